-- The first schema: who may call, what was asked, what was tried, what is due, and what was told.
-- Tables of small rows are WITHOUT ROWID: the key is the table, and an insert touches one tree less.

CREATE TABLE tenants (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    created_at TEXT NOT NULL
) WITHOUT ROWID;

-- A key is shown once; what is kept is its digest. Keys are 256 random bits, so a plain SHA-256 will do.
CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    livemode BOOLEAN NOT NULL,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    digest TEXT NOT NULL UNIQUE,
    created_at TEXT NOT NULL,
    expires_at TEXT,
    revoked_at TEXT
) WITHOUT ROWID;

-- How far an environment's clock is ahead of the system's. It only grows.
CREATE TABLE clocks (
    environment TEXT PRIMARY KEY CHECK (environment IN ('test')),
    offset_us BIGINT NOT NULL CHECK (offset_us >= 0)
) WITHOUT ROWID;

CREATE TABLE gateway_accounts (
    name TEXT PRIMARY KEY,
    gateway TEXT NOT NULL,
    livemode BOOLEAN NOT NULL,
    created_at TEXT NOT NULL
) WITHOUT ROWID;

-- No foreign keys where every charge writes: nothing here is ever deleted, and each check would be a query, on
-- PostgreSQL with a lock on the tenant's one row.
CREATE TABLE payments (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    livemode BOOLEAN NOT NULL,
    amount_minor BIGINT NOT NULL CHECK (amount_minor > 0),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    method TEXT NOT NULL,
    customer TEXT,
    reference TEXT,
    description TEXT,
    metadata TEXT NOT NULL,
    account TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'processing', 'requires_action', 'retrying', 'succeeded',
        'failed', 'canceled', 'needs_review')),
    version BIGINT NOT NULL CHECK (version > 0),
    operation TEXT,
    attempt_n BIGINT NOT NULL CHECK (attempt_n >= 0),
    declines BIGINT NOT NULL CHECK (declines >= 0),
    refunded_minor BIGINT NOT NULL CHECK (refunded_minor >= 0),
    refunding_minor BIGINT NOT NULL CHECK (refunding_minor >= 0),
    next_attempt_at TEXT,
    review_reason TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CHECK ((status = 'retrying') = (next_attempt_at IS NOT NULL)),
    CHECK ((status = 'needs_review') = (review_reason IS NOT NULL)),
    CHECK (status NOT IN ('processing', 'succeeded', 'retrying') OR attempt_n > 0)
);

-- Lists page by (tenant, environment), newest first; a payment's id sorts by its creation.
CREATE INDEX payments_tenant_id_livemode_id_idx ON payments (tenant_id, livemode, id);
CREATE INDEX payments_customer_idx ON payments (tenant_id, livemode, customer, id) WHERE customer IS NOT NULL;
-- Lists of one status, and the sweep for orphans. Most payments succeed and leave it.
CREATE INDEX payments_status_idx ON payments (tenant_id, livemode, status, id) WHERE status <> 'succeeded';

CREATE TABLE attempts (
    id TEXT NOT NULL,
    payment_id TEXT NOT NULL,
    n BIGINT NOT NULL CHECK (n > 0),
    account TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('sending', 'planned', 'unknown', 'pending', 'requires_action',
        'succeeded', 'declined', 'rejected', 'canceled', 'duplicate')),
    first_sent_at TEXT NOT NULL,
    charge TEXT,
    decline TEXT,
    PRIMARY KEY (payment_id, n)
) WITHOUT ROWID;

-- One open attempt a payment, one success a payment, one attempt a charge at the gateway.
CREATE UNIQUE INDEX attempts_open_idx ON attempts (payment_id)
    WHERE status IN ('sending', 'planned', 'unknown', 'pending', 'requires_action');
CREATE UNIQUE INDEX attempts_succeeded_idx ON attempts (payment_id) WHERE status = 'succeeded';
CREATE UNIQUE INDEX attempts_account_charge_idx ON attempts (account, charge) WHERE charge IS NOT NULL;

-- Every HTTP call made to a gateway, written before a byte leaves: a resend sends these bytes again.
CREATE TABLE exchanges (
    id TEXT NOT NULL,
    payment_id TEXT NOT NULL,
    attempt_n BIGINT NOT NULL,
    refund_id TEXT,
    kind TEXT NOT NULL CHECK (kind IN ('create', 'confirm', 'query', 'cancel', 'refund')),
    resend BOOLEAN NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    idempotency_key TEXT,
    api_version TEXT NOT NULL,
    body TEXT NOT NULL,
    opened_at TEXT NOT NULL,
    answered_at TEXT,
    http_status BIGINT,
    verdict TEXT,
    answer TEXT,
    PRIMARY KEY (payment_id, id)
);

-- Every change of a payment, in order. A version with its change's id here is a change that took effect.
CREATE TABLE history (
    payment_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    change_id TEXT NOT NULL,
    from_status TEXT,
    to_status TEXT NOT NULL,
    attempt_n BIGINT NOT NULL,
    attempt_from TEXT,
    attempt_to TEXT,
    refund_id TEXT,
    refund_to TEXT,
    cause TEXT NOT NULL,
    detail TEXT NOT NULL,
    actor TEXT NOT NULL,
    exchange_id TEXT,
    at TEXT NOT NULL,
    PRIMARY KEY (payment_id, version)
) WITHOUT ROWID;

-- Work that has to happen. A finished job's row is deleted in the commit of its effect.
CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    lane TEXT NOT NULL,
    livemode BOOLEAN NOT NULL,
    payment_id TEXT,
    payload TEXT NOT NULL,
    dedupe TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL CHECK (state IN ('live', 'parked')),
    parked_reason TEXT,
    priority BIGINT NOT NULL CHECK (priority IN (0, 1)),
    due_at TEXT NOT NULL,
    runs BIGINT NOT NULL,
    lease_owner TEXT,
    lease_until TEXT,
    epoch BIGINT NOT NULL,
    rescues BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    last_error TEXT,
    traceparent TEXT,
    created_at TEXT NOT NULL,
    CHECK ((lease_owner IS NULL) = (lease_until IS NULL)),
    CHECK ((state = 'parked') = (parked_reason IS NOT NULL))
) WITHOUT ROWID;

CREATE INDEX jobs_due_idx ON jobs (lane, livemode, priority, due_at, id)
    WHERE state = 'live' AND lease_owner IS NULL;
CREATE INDEX jobs_leased_idx ON jobs (lease_until) WHERE lease_owner IS NOT NULL;

-- What the merchant is told, frozen in the commit of its cause.
CREATE TABLE events (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    livemode BOOLEAN NOT NULL,
    payment_id TEXT NOT NULL,
    type TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at TEXT NOT NULL
);

CREATE INDEX events_payment_id_idx ON events (payment_id);

-- What a caller's idempotency key has made. It lives as long as its payment.
CREATE TABLE idempotency_keys (
    tenant_id TEXT NOT NULL,
    livemode BOOLEAN NOT NULL,
    scope TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    payment_id TEXT NOT NULL,
    refund_id TEXT,
    created_at TEXT NOT NULL,
    PRIMARY KEY (tenant_id, livemode, scope, idempotency_key)
) WITHOUT ROWID;
