-- Which envelopes came back with a restore: they may have been taken in since the backup, by a database that is set aside
-- or lost.

ALTER TABLE intake ADD COLUMN restored_at TEXT;

CREATE INDEX intake_restored_idx ON intake (seq) WHERE restored_at IS NOT NULL;
