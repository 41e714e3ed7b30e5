// Charges by a Redis stream.
//
//     npm install redis
//     REDIS_URL=redis://.. node stream.js ORDER AMOUNT [ORDER AMOUNT ..]

const { createClient } = require("redis");

const STREAM = "dunlin:intake";

function envelope(order, amount) {
  return JSON.stringify({
    v: 1,
    // Send the same order again under the same id whenever you do not know whether it arrived.
    id: `order:${order}`,
    tenant: process.env.DUNLIN_TENANT ?? "development",
    livemode: false,
    type: "charge",
    payment: {
      amount,
      currency: "EUR",
      customer: "cus_1",
      reference: order,
      method: { type: "card", payment_method: "pm_card_visa" },
    },
  });
}

async function main(words) {
  const client = createClient({ url: process.env.REDIS_URL ?? "redis://127.0.0.1:6379" });
  client.on("error", (error) => console.error(error.message));
  await client.connect();
  const left = [];
  for (let at = 0; at < words.length; at += 2) {
    // Sent together, without waiting for each. No MAXLEN: it would throw away what nobody has read.
    left.push(client.xAdd(STREAM, "*", { envelope: envelope(words[at], Number(words[at + 1])) }));
  }
  await Promise.all(left);
  await client.close();
  console.log(`${left.length} charges are left in ${STREAM}`);
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
