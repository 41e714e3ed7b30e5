// Stripe's own Node library, unmodified, against a sandbox. Run by tests/it/clients.rs; SANDBOX_URL says where.
"use strict";

const assert = require("node:assert/strict");
const { randomUUID } = require("node:crypto");
const { createServer } = require("node:http");
const { once } = require("node:events");
const { test } = require("node:test");
const Stripe = require("stripe");

const url = new URL(process.env.SANDBOX_URL);
const stripe = new Stripe(`sk_test_${randomUUID()}`, {
  apiVersion: "2025-01-27.acacia",
  host: url.hostname,
  port: url.port,
  protocol: "http",
  // What fails, fails here: the library must not hide it by trying again.
  maxNetworkRetries: 0,
  telemetry: false,
});

/** The judge's side. */
async function admin(path, body) {
  const wanted = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const answer = await fetch(new URL(`/_sandbox/${path}`, url), wanted);
  assert.equal(answer.status, 200);
  return answer.json();
}

async function advance(seconds) {
  const { offset_seconds } = await admin("clock");
  await admin("clock", { offset_seconds: offset_seconds + seconds });
}

function charge(card, more = {}, ...options) {
  const wanted = { amount: 1000, currency: "usd", payment_method: card, payment_method_types: ["card"] };
  return stripe.paymentIntents.create({ ...wanted, confirm: true, ...more }, ...options);
}

/** Presses a button of the challenge page. */
function answerChallenge(page, answer) {
  return fetch(page, { method: "POST", body: new URLSearchParams({ answer }), redirect: "manual" });
}

test("a payment is created and confirmed, and its charge is found", async () => {
  const intent = await charge("pm_card_visa", { metadata: { order: "o-1" }, expand: ["latest_charge"] });
  const retrieved = await stripe.paymentIntents.retrieve(intent.id);

  assert.equal(intent.status, "succeeded");
  assert.equal(intent.latest_charge.outcome.type, "authorized");
  assert.equal(retrieved.latest_charge, intent.latest_charge.id);
  assert.deepEqual(retrieved.metadata, { order: "o-1" });
});

test("a decline is a card error", async () => {
  await assert.rejects(charge("pm_card_visa_chargeDeclinedLostCard"), (error) => {
    assert.ok(error instanceof Stripe.errors.StripeCardError);
    assert.deepEqual([error.statusCode, error.code, error.decline_code], [402, "card_declined", "lost_card"]);
    assert.equal(error.payment_intent.status, "requires_payment_method");
    return true;
  });
});

test("a customer who has to approve is asked on session, and declined off session", async () => {
  const asked = await charge("pm_card_authenticationRequired", { return_url: "https://shop.test/back" });
  const answer = await answerChallenge(asked.next_action.redirect_to_url.url, "approve");
  const paid = await stripe.paymentIntents.retrieve(asked.id);

  assert.equal(asked.status, "requires_action");
  assert.equal(answer.status, 303);
  assert.equal(new URL(answer.headers.get("location")).searchParams.get("redirect_status"), "succeeded");
  assert.equal(paid.status, "succeeded");
  await assert.rejects(charge("pm_card_authenticationRequired", { off_session: true }), {
    code: "authentication_required",
  });
});

test("a customer who refuses does not pay", async () => {
  const asked = await charge("pm_card_authenticationRequired", { return_url: "https://shop.test/back" });

  await answerChallenge(asked.next_action.redirect_to_url.url, "refuse");

  const failed = await stripe.paymentIntents.retrieve(asked.id);
  assert.equal(failed.status, "requires_payment_method");
  assert.equal(failed.last_payment_error.code, "payment_intent_authentication_failure");
});

test("a debit that comes back fails after it was processing", async () => {
  const debit = await charge("pm_usBankAccount_insufficientFunds", { payment_method_types: ["us_bank_account"] });
  await advance(60);
  const failed = await stripe.paymentIntents.retrieve(debit.id, { expand: ["latest_charge"] });

  assert.equal(debit.status, "processing");
  assert.equal(failed.status, "requires_payment_method");
  assert.equal(failed.last_payment_error.code, "payment_intent_payment_attempt_failed");
  assert.equal(failed.latest_charge ?? null, failed.latest_charge);
});

test("a list is read to its end page by page", async () => {
  const customer = await stripe.customers.create({ name: "Many" });
  const made = [];
  for (let number = 0; number < 7; number += 1) {
    made.push((await charge("pm_card_visa", { customer: customer.id })).id);
  }

  const listed = [];
  for await (const intent of stripe.paymentIntents.list({ customer: customer.id, limit: 3 })) {
    listed.push(intent.id);
  }

  assert.deepEqual(listed, made.reverse());
});

test("a payment is refunded in parts and not beyond", async () => {
  const intent = await charge("pm_card_visa");

  const part = await stripe.refunds.create({ payment_intent: intent.id, amount: 400 });
  await assert.rejects(stripe.refunds.create({ payment_intent: intent.id, amount: 601 }), { param: "amount" });
  const rest = await stripe.refunds.create({ charge: intent.latest_charge });
  await assert.rejects(stripe.refunds.create({ payment_intent: intent.id }), { code: "charge_already_refunded" });

  assert.deepEqual([part.amount, rest.amount], [400, 600]);
  assert.equal((await stripe.charges.retrieve(intent.latest_charge)).amount_refunded, 1000);
});

test("the same request under the same key is one payment, another is an error", async () => {
  const options = { idempotencyKey: randomUUID() };

  const first = await charge("pm_card_visa", {}, options);
  const second = await charge("pm_card_visa", {}, options);

  assert.equal(first.id, second.id);
  assert.equal(second.lastResponse.headers["idempotent-replayed"], "true");
  await assert.rejects(charge("pm_card_visa", { amount: 1001 }, options), Stripe.errors.StripeIdempotencyError);
});

test("a setup makes a method that is charged off session", async () => {
  const customer = await stripe.customers.create({ email: "a@example.com" });
  const wanted = { customer: customer.id, payment_method: "pm_card_visa", payment_method_types: ["card"] };

  const setup = await stripe.setupIntents.create({ ...wanted, confirm: true });
  const paid = await charge(setup.payment_method, { customer: customer.id, off_session: true });
  const { data } = await stripe.paymentMethods.list({ customer: customer.id, type: "card" });
  const detached = await stripe.paymentMethods.detach(setup.payment_method);

  assert.deepEqual([setup.status, paid.status], ["succeeded", "succeeded"]);
  assert.deepEqual(data.map((method) => method.id), [setup.payment_method]);
  assert.equal(detached.customer, null);
});

test("an event is posted, its signature verifies, and a forged one does not", async (context) => {
  const server = createServer(async (request, response) => {
    const chunks = await request.toArray();
    response.end();
    server.emit("event", Buffer.concat(chunks), request.headers["stripe-signature"]);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  context.after(() => server.close());
  const endpoint = await stripe.webhookEndpoints.create({
    url: `http://127.0.0.1:${server.address().port}/hook`,
    enabled_events: ["refund.created"],
  });
  context.after(() => stripe.webhookEndpoints.del(endpoint.id));
  const posted = once(server, "event", { signal: AbortSignal.timeout(30_000) });

  const refund = await stripe.refunds.create({ payment_intent: (await charge("pm_card_visa")).id });
  const [body, signature] = await posted;
  const event = stripe.webhooks.constructEvent(body, signature, endpoint.secret);

  assert.deepEqual([event.type, event.data.object.id], ["refund.created", refund.id]);
  const forged = Buffer.from(body.toString().replace("1000", "9000"));
  assert.throws(
    () => stripe.webhooks.constructEvent(forged, signature, endpoint.secret),
    Stripe.errors.StripeSignatureVerificationError,
  );
  const again = await admin(`events/${event.id}/signed?endpoint=${endpoint.id}`);
  assert.equal(stripe.webhooks.constructEvent(again.payload, again.signature, endpoint.secret).id, event.id);
});
