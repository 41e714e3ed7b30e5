-- Which change left a payment as it is. A version alone does not tell: where a failover took commits back, the same
-- number is given to another state. Empty for rows that were written before, or by an older process.

ALTER TABLE payments ADD COLUMN change_id TEXT NOT NULL DEFAULT '';
