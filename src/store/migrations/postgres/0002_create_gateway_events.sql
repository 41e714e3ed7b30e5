-- What gateways tell of their own accord, as it came, and accounts whose secrets are kept here, sealed.

CREATE TABLE gateway_events (
    account TEXT COLLATE "C" NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    livemode BOOLEAN NOT NULL,
    type TEXT NOT NULL,
    payment_id TEXT COLLATE "C",
    -- The gateway's id of the operation that it tells of.
    operation TEXT,
    refund_id TEXT,
    body TEXT NOT NULL,
    received_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (account, event_id)
);

ALTER TABLE gateway_accounts ADD COLUMN base_url TEXT;
-- The gateway's own id of the account, to which a changed key must still belong.
ALTER TABLE gateway_accounts ADD COLUMN identity TEXT;
-- The secrets under a key of their own, and that key under the one from the configuration.
ALTER TABLE gateway_accounts ADD COLUMN sealed TEXT;
ALTER TABLE gateway_accounts ADD COLUMN sealed_at TIMESTAMPTZ;
