-- Who made an attempt: we did, or somebody else at the gateway, who paid what had stayed payable there.

ALTER TABLE attempts ADD COLUMN origin TEXT NOT NULL DEFAULT 'dunlin' CHECK (origin IN ('dunlin', 'gateway'));
