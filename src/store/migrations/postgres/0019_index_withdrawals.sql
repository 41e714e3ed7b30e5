-- The sweep for what was canceled or has failed, and may still be paid at the gateway.

CREATE INDEX payments_unwithdrawn_idx ON payments (updated_at)
    WHERE status IN ('failed', 'canceled') AND operation IS NOT NULL;
