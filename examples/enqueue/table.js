// A charge from a transaction of your own: the invoice and its charge are committed together, or neither is.
//
//     npm install pg
//     DATABASE_URL=postgres://.. node table.js INVOICE AMOUNT

const { Client } = require("pg");

// Leaves a charge where dunlin finds it, once this transaction is committed.
async function enqueue(client, id, payment) {
  const envelope = {
    v: 1,
    id,
    tenant: process.env.DUNLIN_TENANT ?? "development",
    livemode: false,
    type: "charge",
    payment,
  };
  await client.query("SELECT dunlin_enqueue($1::json)", [JSON.stringify(envelope)]);
}

async function main(invoice, amount) {
  const client = new Client({ connectionString: process.env.DATABASE_URL });
  await client.connect();
  try {
    await client.query("BEGIN");
    await client.query("INSERT INTO invoices (number, amount) VALUES ($1, $2)", [invoice, amount]);
    await enqueue(client, `invoice:${invoice}`, {
      amount,
      currency: "EUR",
      customer: "cus_1",
      reference: invoice,
      method: { type: "card", payment_method: "pm_card_visa" },
    });
    await client.query("COMMIT");
  } finally {
    // Without a COMMIT the end of the connection takes back both.
    await client.end();
  }
  console.log(`${invoice} is written, and its charge with it`);
}

main(process.argv[2], Number(process.argv[3])).catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
