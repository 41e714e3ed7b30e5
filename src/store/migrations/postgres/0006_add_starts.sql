-- Payments that are charged later: at a time, or when somebody says so.

ALTER TABLE payments ADD COLUMN process_at TIMESTAMPTZ;
ALTER TABLE payments ADD COLUMN deferred BOOLEAN NOT NULL DEFAULT FALSE;
