-- What a person said of an outcome that the gateway did not tell: a proposal, or what was made of it.

ALTER TABLE payments ADD COLUMN resolution TEXT;

-- What was set aside is little, and listed among all that waits for its time.
CREATE INDEX jobs_parked_idx ON jobs (id) WHERE state = 'parked';
