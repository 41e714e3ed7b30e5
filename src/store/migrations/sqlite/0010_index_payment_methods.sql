-- Lists of the payments by one method of a customer.

CREATE INDEX payments_method_id_idx ON payments (tenant_id, livemode, method_id, id) WHERE method_id IS NOT NULL;
