-- Payments whose customer is there: where they come back to, and where they have to go while they must act.

ALTER TABLE payments ADD COLUMN return_url TEXT;
ALTER TABLE attempts ADD COLUMN action_url TEXT;
