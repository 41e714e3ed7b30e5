-- Money that others move at the gateway: refunds of other hands, disputes, warnings of fraud, and how far the gateway's
-- lists have been read.

ALTER TABLE refunds ADD COLUMN origin TEXT NOT NULL DEFAULT 'api' CHECK (origin IN ('api', 'gateway'));
-- The failed refund in whose place this one was made.
ALTER TABLE refunds ADD COLUMN retry_of TEXT;
-- A charge made twice goes back by one refund of ours, and by one more for each that failed.
DROP INDEX refunds_duplicate_idx;
CREATE UNIQUE INDEX refunds_duplicate_idx ON refunds (account, charge)
    WHERE cause = 'duplicate' AND origin = 'api' AND retry_of IS NULL;
CREATE UNIQUE INDEX refunds_retry_of_idx ON refunds (retry_of) WHERE retry_of IS NOT NULL;
-- What a person has to look at is little.
CREATE INDEX refunds_review_idx ON refunds (tenant_id, livemode, id) WHERE review_reason IS NOT NULL;

-- All disputes of the payment, as it is shown.
ALTER TABLE payments ADD COLUMN disputes TEXT;

-- The charge that an event tells of, and what of it is to be looked at.
ALTER TABLE gateway_events ADD COLUMN charge TEXT;
ALTER TABLE gateway_events ADD COLUMN topic TEXT;

CREATE TABLE disputes (
    account TEXT NOT NULL,
    id TEXT NOT NULL,
    payment_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    livemode BOOLEAN NOT NULL,
    charge TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('inquiry_needs_response', 'inquiry_under_review', 'inquiry_closed',
        'needs_response', 'under_review', 'won', 'lost', 'prevented')),
    amount_minor BIGINT NOT NULL,
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    reason TEXT NOT NULL,
    due_at TEXT,
    opened_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (account, id)
) WITHOUT ROWID;

CREATE INDEX disputes_payment_id_idx ON disputes (payment_id);

CREATE TABLE fraud_warnings (
    account TEXT NOT NULL,
    id TEXT NOT NULL,
    payment_id TEXT NOT NULL,
    charge TEXT NOT NULL,
    kind TEXT NOT NULL,
    actionable BOOLEAN NOT NULL,
    made_at TEXT NOT NULL,
    PRIMARY KEY (account, id)
) WITHOUT ROWID;

CREATE TABLE gateway_listings (
    account TEXT NOT NULL,
    topic TEXT NOT NULL CHECK (topic IN ('refunds', 'disputes', 'warnings')),
    progress TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (account, topic)
) WITHOUT ROWID;
