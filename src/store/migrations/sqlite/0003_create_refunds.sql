-- Refunds: money of a payment that goes back. Their changes stand in their payment's history.

CREATE TABLE refunds (
    id TEXT PRIMARY KEY,
    payment_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    livemode BOOLEAN NOT NULL,
    amount_minor BIGINT NOT NULL CHECK (amount_minor > 0),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    cause TEXT NOT NULL CHECK (cause IN ('requested', 'duplicate')),
    charge TEXT NOT NULL,
    account TEXT NOT NULL,
    reason TEXT,
    metadata TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'sending', 'unknown', 'processing', 'succeeded', 'failed')),
    operation TEXT,
    failure TEXT,
    review_reason TEXT,
    first_sent_at TEXT,
    version BIGINT NOT NULL CHECK (version > 0),
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CHECK (status IN ('pending', 'succeeded', 'failed') OR first_sent_at IS NOT NULL)
) WITHOUT ROWID;

CREATE INDEX refunds_payment_id_idx ON refunds (payment_id, id);
CREATE INDEX refunds_tenant_id_livemode_id_idx ON refunds (tenant_id, livemode, id);
-- What is not final is little, and the sweep for orphans reads all of it.
CREATE INDEX refunds_unfinished_idx ON refunds (updated_at) WHERE status IN ('pending', 'sending', 'unknown', 'processing');
-- A refund of the gateway's is one of ours, and a charge made twice goes back once.
CREATE UNIQUE INDEX refunds_account_operation_idx ON refunds (account, operation) WHERE operation IS NOT NULL;
CREATE UNIQUE INDEX refunds_duplicate_idx ON refunds (account, charge) WHERE cause = 'duplicate';
