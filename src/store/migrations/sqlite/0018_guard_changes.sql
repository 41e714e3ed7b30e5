-- Which change left a payment as it is. A version alone does not tell: where a failover took commits back, the same
-- number is given to another state. Empty for rows that were written before, or by an older process.

ALTER TABLE payments ADD COLUMN change_id TEXT NOT NULL DEFAULT '';

-- Who sealed an account's secrets last, for whoever finds that somebody else was faster.

ALTER TABLE gateway_accounts ADD COLUMN sealed_by TEXT;

-- Restores of an older state. Until one is released nothing is sent: the gateway knows more than this database.

CREATE TABLE restores (
    restored_at TEXT PRIMARY KEY,
    restored_by TEXT NOT NULL,
    source TEXT NOT NULL,
    released_at TEXT,
    released_by TEXT,
    reason TEXT,
    CHECK ((released_at IS NULL) = (released_by IS NULL))
) WITHOUT ROWID;
