-- A payment's key is one key, by whichever way it came in. Where two ways have used one already, the key stays with what
-- came by HTTP, and then with the batch.
UPDATE idempotency_keys SET scope = 'payment.create' WHERE scope = 'POST /v1/payments';

UPDATE idempotency_keys SET scope = 'payment.create' WHERE scope = 'POST /v1/payments/batch'
    AND NOT EXISTS (SELECT 1 FROM idempotency_keys taken WHERE taken.tenant_id = idempotency_keys.tenant_id
        AND taken.livemode = idempotency_keys.livemode AND taken.scope = 'payment.create'
        AND taken.idempotency_key = idempotency_keys.idempotency_key);

UPDATE idempotency_keys SET scope = 'payment.create' WHERE scope = 'intake'
    AND NOT EXISTS (SELECT 1 FROM idempotency_keys taken WHERE taken.tenant_id = idempotency_keys.tenant_id
        AND taken.livemode = idempotency_keys.livemode AND taken.scope = 'payment.create'
        AND taken.idempotency_key = idempotency_keys.idempotency_key);
