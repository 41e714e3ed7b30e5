#!/bin/sh
# Charges 12.50 euros. Run it again: the key is the same, so nothing is charged a second time.
set -eu

curl --silent --show-error --fail-with-body \
    "${DUNLIN_URL:-http://127.0.0.1:7070}/v1/payments" \
    --header "Authorization: Bearer ${DUNLIN_API_KEY:?set it to your API key}" \
    --header "Idempotency-Key: charge-INV-1" \
    --header "Content-Type: application/json" \
    --data '{
        "amount": 1250,
        "currency": "EUR",
        "customer": "cus_0042",
        "reference": "INV-1",
        "method": { "type": "card", "payment_method": "pm_card_visa" }
    }'
echo
