-- Which envelopes came back with a restore: they may have been taken in since the backup, by a database that is set aside
-- or lost. A restore of an older backup adds the column itself.

ALTER TABLE intake ADD COLUMN IF NOT EXISTS restored_at TIMESTAMPTZ;

CREATE INDEX intake_restored_idx ON intake (seq) WHERE restored_at IS NOT NULL;
