"""A charge from a transaction of your own: the invoice and its charge are committed together, or neither is.

    pip install "psycopg[binary]"
    DATABASE_URL=postgres://.. python table.py INVOICE AMOUNT
"""

import json
import os
import sys

import psycopg


def enqueue(cursor, id, payment):
    """Leaves a charge where dunlin finds it, once this transaction is committed."""
    envelope = {
        "v": 1,
        "id": id,
        "tenant": os.environ.get("DUNLIN_TENANT", "development"),
        "livemode": False,
        "type": "charge",
        "payment": payment,
    }
    cursor.execute("SELECT dunlin_enqueue(%s::json)", [json.dumps(envelope)])


def main(invoice, amount):
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO invoices (number, amount) VALUES (%s, %s)", [invoice, amount])
        enqueue(
            cursor,
            f"invoice:{invoice}",
            {
                "amount": amount,
                "currency": "EUR",
                "customer": "cus_1",
                "reference": invoice,
                "method": {"type": "card", "payment_method": "pm_card_visa"},
            },
        )
    # Here both are committed. An exception before would have taken back both.
    print(f"{invoice} is written, and its charge with it")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
