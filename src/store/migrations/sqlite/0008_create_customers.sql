-- Customers, and the payment methods that they keep. A payment remembers the method that it was told to use, and why
-- it failed where no attempt says so. An older process beside this schema writes neither.

CREATE TABLE customers (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    livemode BOOLEAN NOT NULL,
    external_id TEXT,
    name TEXT,
    email TEXT,
    country TEXT CHECK (length(country) = 2),
    time_zone TEXT,
    currency TEXT CHECK (length(currency) = 3),
    metadata TEXT NOT NULL,
    idempotency_key TEXT,
    fingerprint TEXT,
    version BIGINT NOT NULL CHECK (version > 0),
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CHECK ((idempotency_key IS NULL) = (fingerprint IS NULL))
) WITHOUT ROWID;

-- Lists page by (tenant, environment), newest first; a customer's id sorts by its creation.
CREATE INDEX customers_tenant_id_livemode_id_idx ON customers (tenant_id, livemode, id);
CREATE INDEX customers_email_idx ON customers (tenant_id, livemode, email, id) WHERE email IS NOT NULL;
-- A caller's own id names one customer, and what a key has made is made once.
CREATE UNIQUE INDEX customers_external_id_idx ON customers (tenant_id, livemode, external_id)
    WHERE external_id IS NOT NULL;
CREATE UNIQUE INDEX customers_idempotency_key_idx ON customers (tenant_id, livemode, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

-- The order of a customer's methods is changed under the lock of the customer's row. The first is the default.
CREATE TABLE payment_methods (
    id TEXT PRIMARY KEY,
    customer_id TEXT NOT NULL REFERENCES customers (id),
    tenant_id TEXT NOT NULL,
    livemode BOOLEAN NOT NULL,
    method TEXT NOT NULL,
    token TEXT NOT NULL,
    account TEXT NOT NULL,
    label TEXT,
    position BIGINT CHECK (position > 0),
    idempotency_key TEXT,
    fingerprint TEXT,
    created_at TEXT NOT NULL,
    detached_at TEXT,
    CHECK ((position IS NULL) = (detached_at IS NOT NULL)),
    CHECK ((idempotency_key IS NULL) = (fingerprint IS NULL))
) WITHOUT ROWID;

CREATE INDEX payment_methods_customer_id_idx ON payment_methods (customer_id, position) WHERE position IS NOT NULL;
-- One token of a gateway is one method of a customer, and what a key has made is made once.
CREATE UNIQUE INDEX payment_methods_token_idx ON payment_methods (customer_id, account, token)
    WHERE position IS NOT NULL;
CREATE UNIQUE INDEX payment_methods_idempotency_key_idx ON payment_methods (tenant_id, livemode, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

ALTER TABLE payments ADD COLUMN method_id TEXT;
ALTER TABLE payments ADD COLUMN failure TEXT;
