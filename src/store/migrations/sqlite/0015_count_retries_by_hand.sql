-- Attempts that a person asked for take no place in the schedule of retries: which one was the latest, and how many of
-- the payment's declines were of such attempts.

ALTER TABLE payments ADD COLUMN hand_attempt_n BIGINT NOT NULL DEFAULT 0 CHECK (hand_attempt_n >= 0);
ALTER TABLE payments ADD COLUMN hand_declines BIGINT NOT NULL DEFAULT 0 CHECK (hand_declines >= 0);
