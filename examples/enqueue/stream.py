"""Charges by a Redis stream.

    pip install redis
    REDIS_URL=redis://.. python stream.py ORDER AMOUNT [ORDER AMOUNT ..]
"""

import json
import os
import sys

import redis

STREAM = "dunlin:intake"


def envelope(order, amount):
    return json.dumps(
        {
            "v": 1,
            # Send the same order again under the same id whenever you do not know whether it arrived.
            "id": f"order:{order}",
            "tenant": os.environ.get("DUNLIN_TENANT", "development"),
            "livemode": False,
            "type": "charge",
            "payment": {
                "amount": amount,
                "currency": "EUR",
                "customer": "cus_1",
                "reference": order,
                "method": {"type": "card", "payment_method": "pm_card_visa"},
            },
        }
    )


def main(orders):
    client = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379"))
    with client.pipeline(transaction=False) as pipeline:
        for order, amount in orders:
            # No MAXLEN: it would throw away what nobody has read.
            pipeline.xadd(STREAM, {"envelope": envelope(order, amount)})
        pipeline.execute()
    print(f"{len(orders)} charges are left in {STREAM}")


if __name__ == "__main__":
    words = sys.argv[1:]
    main([(order, int(amount)) for order, amount in zip(words[::2], words[1::2])])
