-- What an exchange proved, and why a job is parked, as values to decide by; the words beside them are for people.

ALTER TABLE exchanges ADD COLUMN result TEXT;
ALTER TABLE jobs ADD COLUMN parked_code TEXT;

-- Only what is still open is decided on again.
UPDATE exchanges SET result = CASE
        WHEN verdict IN ('succeeded', 'requires_action', 'pending', 'rejected', 'canceled', 'absent') THEN verdict
        WHEN verdict = 'processing' THEN 'pending'
        WHEN verdict LIKE 'declined: %' THEN 'declined'
        WHEN verdict LIKE 'failed: %' THEN 'failed'
        WHEN verdict LIKE 'not sent: %' THEN 'not_sent'
        WHEN verdict LIKE 'unknown: %' THEN 'unknown'
        WHEN verdict LIKE 'stored error: %' THEN 'stored_error'
        WHEN verdict LIKE 'mismatch: %' THEN 'mismatch'
        WHEN kind = 'query' THEN 'no_answer'
        ELSE 'unknown' END
    WHERE answered_at IS NOT NULL AND (
        payment_id IN (SELECT payment_id FROM attempts
            WHERE status IN ('sending', 'planned', 'unknown', 'pending', 'requires_action'))
        OR payment_id IN (SELECT payment_id FROM refunds
            WHERE status IN ('pending', 'sending', 'unknown', 'processing')));

UPDATE jobs SET parked_code = CASE
        WHEN parked_reason = 'the gateway account''s credentials were refused' THEN 'credentials'
        WHEN parked_reason LIKE 'quarantined: %' THEN 'quarantine'
        ELSE 'invalid' END
    WHERE state = 'parked';
