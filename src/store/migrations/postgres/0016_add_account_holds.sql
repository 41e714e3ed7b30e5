-- Accounts that are not charged for now, as all processes see it, and the account of each job, by which a claim leaves
-- those jobs alone. An older process beside this schema writes no account, and looks at no holds.

CREATE TABLE account_holds (
    account TEXT COLLATE "C" PRIMARY KEY,
    reason TEXT NOT NULL CHECK (reason IN ('identity', 'wrong_account', 'credentials', 'requests', 'person')),
    detail TEXT NOT NULL,
    held_at TIMESTAMPTZ NOT NULL,
    probes BIGINT NOT NULL CHECK (probes >= 0),
    probe_at TIMESTAMPTZ,
    -- How many payments may begin while work resumes, of which so many have; 0 while none may.
    allowance BIGINT NOT NULL CHECK (allowance >= 0),
    begun BIGINT NOT NULL CHECK (begun >= 0),
    passed BIGINT NOT NULL CHECK (passed >= 0),
    stage_at TIMESTAMPTZ NOT NULL
);

ALTER TABLE jobs ADD COLUMN account TEXT COLLATE "C";

UPDATE jobs SET account = (SELECT p.account FROM payments p WHERE p.id = jobs.payment_id)
    WHERE payment_id IS NOT NULL;

-- What waited for a restart is held by its account from now on.
UPDATE jobs SET state = 'live', parked_reason = NULL, parked_code = NULL
    WHERE state = 'parked' AND parked_code = 'credentials';
