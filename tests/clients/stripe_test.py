"""Stripe's own Python library, unmodified, against a sandbox. Run by tests/it/clients.rs; SANDBOX_URL says where."""

import http.server
import json
import os
import threading
import unittest
import urllib.error
import urllib.parse
import urllib.request
import uuid

import stripe

URL = os.environ["SANDBOX_URL"]

stripe.api_base = URL
stripe.api_key = "sk_test_" + uuid.uuid4().hex
stripe.api_version = "2025-01-27.acacia"
# What fails, fails here: the library must not hide it by trying again.
stripe.max_network_retries = 0


def admin(path, body=None):
    """The judge's side."""
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{URL}/_sandbox/{path}", data=data)) as answer:
        return json.load(answer)


def advance(seconds):
    admin("clock", {"offset_seconds": admin("clock")["offset_seconds"] + seconds})


def charge(card="pm_card_visa", **more):
    wanted = {"amount": 1000, "currency": "usd", "payment_method": card, "confirm": True} | more
    wanted.setdefault("payment_method_types", ["card"])
    return stripe.PaymentIntent.create(**wanted)


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def answer_challenge(url, answer):
    """Presses a button of the challenge page, and says where it leads."""
    data = urllib.parse.urlencode({"answer": answer}).encode()
    try:
        urllib.request.build_opener(NoRedirect).open(url, data=data)
    except urllib.error.HTTPError as leads:
        leads.close()
        return leads.code, leads.headers["location"]
    raise AssertionError("the page leads nowhere")


class Payments(unittest.TestCase):
    def test_a_payment_is_created_and_confirmed_in_one_call(self):
        intent = charge(metadata={"order": "o-1"})

        self.assertEqual((intent.status, intent.amount_received), ("succeeded", 1000))
        self.assertEqual(intent.metadata["order"], "o-1")

    def test_a_payment_is_confirmed_later_and_retrieved(self):
        created = stripe.PaymentIntent.create(amount=500, currency="eur")
        confirmed = stripe.PaymentIntent.confirm(created.id, payment_method="pm_card_mastercard")
        retrieved = stripe.PaymentIntent.retrieve(created.id, expand=["latest_charge"])

        self.assertEqual((created.status, confirmed.status), ("requires_payment_method", "succeeded"))
        self.assertEqual(retrieved.latest_charge.payment_method_details.card.brand, "mastercard")
        self.assertEqual(stripe.Charge.list(payment_intent=created.id).data[0].id, retrieved.latest_charge.id)

    def test_a_decline_is_a_card_error(self):
        with self.assertRaises(stripe.error.CardError) as raised:
            charge("pm_card_visa_chargeDeclinedInsufficientFunds")

        error = raised.exception
        self.assertEqual((error.http_status, error.code), (402, "card_declined"))
        self.assertEqual(error.error.decline_code, "insufficient_funds")
        self.assertEqual(error.error.payment_intent.status, "requires_payment_method")

    def test_a_customer_who_approves_pays(self):
        intent = charge("pm_card_authenticationRequired", return_url="https://shop.test/back")
        action = intent.next_action.redirect_to_url
        with urllib.request.urlopen(action.url) as page:
            text = page.read().decode()

        status, location = answer_challenge(action.url, "approve")

        self.assertEqual((intent.status, intent.next_action.type), ("requires_action", "redirect_to_url"))
        self.assertEqual(text.count("<button"), 2)
        self.assertEqual(status, 303)
        self.assertTrue(location.startswith("https://shop.test/back?"), location)
        self.assertIn("redirect_status=succeeded", location)
        self.assertEqual(stripe.PaymentIntent.retrieve(intent.id).status, "succeeded")

    def test_a_customer_who_refuses_does_not_pay(self):
        intent = charge("pm_card_authenticationRequired", return_url="https://shop.test/back")

        _, location = answer_challenge(intent.next_action.redirect_to_url.url, "refuse")

        failed = stripe.PaymentIntent.retrieve(intent.id)
        self.assertIn("redirect_status=failed", location)
        self.assertEqual(failed.status, "requires_payment_method")
        self.assertEqual(failed.last_payment_error.code, "payment_intent_authentication_failure")

    def test_a_debit_is_processing_until_it_settles(self):
        intent = charge("pm_usBankAccount_success", payment_method_types=["us_bank_account"])
        advance(60)

        self.assertEqual(intent.status, "processing")
        self.assertEqual(stripe.PaymentIntent.retrieve(intent.id).status, "succeeded")

    def test_a_list_is_read_to_its_end_page_by_page(self):
        customer = stripe.Customer.create(name="Many")
        made = [charge(customer=customer.id).id for _ in range(7)]

        listed = stripe.PaymentIntent.list(customer=customer.id, limit=3).auto_paging_iter()

        self.assertEqual([intent.id for intent in listed], made[::-1])

    def test_an_intent_is_updated_and_canceled(self):
        intent = stripe.PaymentIntent.create(amount=500, currency="usd", metadata={"a": "1", "b": "2"})

        updated = stripe.PaymentIntent.modify(intent.id, metadata={"a": "", "c": "3"})
        canceled = stripe.PaymentIntent.cancel(intent.id, cancellation_reason="abandoned")

        self.assertEqual(dict(updated.metadata), {"b": "2", "c": "3"})
        self.assertEqual((canceled.status, canceled.cancellation_reason), ("canceled", "abandoned"))

    def test_what_is_not_there_is_an_invalid_request(self):
        with self.assertRaises(stripe.error.InvalidRequestError) as raised:
            stripe.PaymentIntent.retrieve("pi_none")

        self.assertEqual((raised.exception.http_status, raised.exception.code), (404, "resource_missing"))

    def test_a_foreign_key_is_an_authentication_error(self):
        with self.assertRaises(stripe.error.AuthenticationError):
            stripe.PaymentIntent.list(api_key="sk_live_no")


class Keys(unittest.TestCase):
    def test_the_same_request_under_the_same_key_is_one_payment(self):
        key = uuid.uuid4().hex

        first, second = charge(idempotency_key=key), charge(idempotency_key=key)

        self.assertEqual(first.id, second.id)
        self.assertEqual(second.last_response.headers["idempotent-replayed"], "true")

    def test_another_request_under_the_same_key_is_an_idempotency_error(self):
        key = uuid.uuid4().hex
        charge(idempotency_key=key)

        with self.assertRaises(stripe.error.IdempotencyError):
            charge(idempotency_key=key, amount=1001)


class Refunds(unittest.TestCase):
    def test_a_payment_is_refunded_in_parts_and_not_beyond(self):
        intent = charge()

        part = stripe.Refund.create(payment_intent=intent.id, amount=400, metadata={"why": "half"})
        rest = stripe.Refund.create(charge=intent.latest_charge)
        with self.assertRaises(stripe.error.InvalidRequestError) as raised:
            stripe.Refund.create(payment_intent=intent.id)

        self.assertEqual([(it.amount, it.status) for it in (part, rest)], [(400, "succeeded"), (600, "succeeded")])
        self.assertEqual(raised.exception.code, "charge_already_refunded")
        self.assertEqual(len(stripe.Refund.list(payment_intent=intent.id).data), 2)
        self.assertTrue(stripe.Charge.retrieve(intent.latest_charge).refunded)

    def test_a_pending_refund_succeeds_later_and_a_failing_one_fails(self):
        pending = stripe.Refund.create(payment_intent=charge("pm_card_pendingRefund").id)
        failing = stripe.Refund.create(payment_intent=charge("pm_card_refundFail").id)
        advance(60)

        self.assertEqual((pending.status, failing.status), ("pending", "succeeded"))
        self.assertEqual(stripe.Refund.retrieve(pending.id).status, "succeeded")
        self.assertEqual(stripe.Refund.retrieve(failing.id).status, "failed")


class Disputes(unittest.TestCase):
    def dispute_of(self, intent):
        return stripe.Dispute.list(payment_intent=intent.id).data[0]

    def test_a_disputed_charge_is_won_by_its_evidence(self):
        intent = charge("pm_card_createDispute")
        dispute = self.dispute_of(intent)
        with self.assertRaises(stripe.error.InvalidRequestError) as refused:
            stripe.Refund.create(payment_intent=intent.id)

        won = stripe.Dispute.modify(dispute.id, evidence={"uncategorized_text": "winning_evidence"})

        self.assertEqual((dispute.status, dispute.charge), ("needs_response", intent.latest_charge))
        self.assertEqual(refused.exception.code, "charge_disputed")
        self.assertEqual((won.status, stripe.Dispute.retrieve(dispute.id).status), ("won", "won"))
        self.assertTrue(stripe.Charge.retrieve(intent.latest_charge).disputed)
        events = [event.type for event in stripe.Event.list(limit=100) if dispute.id in str(event)]
        self.assertIn("charge.dispute.closed", events)
        self.assertIn("charge.dispute.funds_reinstated", events)

    def test_a_dispute_that_is_given_in_to_is_lost(self):
        intent = charge("pm_card_createDisputeProductNotReceived")

        lost = stripe.Dispute.close(self.dispute_of(intent).id)

        self.assertEqual((lost.status, lost.reason), ("lost", "product_not_received"))

    def test_a_refund_by_the_dashboard_and_a_warning_of_fraud_are_listed(self):
        intent = charge()
        admin("refunds", {"charge": intent.latest_charge, "amount": 400})
        admin("warnings", {"charge": intent.latest_charge})

        refunds = list(stripe.Refund.list(charge=intent.latest_charge).auto_paging_iter())
        warnings = list(stripe.radar.EarlyFraudWarning.list(charge=intent.latest_charge).auto_paging_iter())

        self.assertEqual([refund.amount for refund in refunds], [400])
        self.assertEqual([warning.actionable for warning in warnings], [True])
        self.assertEqual(stripe.Charge.retrieve(intent.latest_charge).amount_refunded, 400)


class Customers(unittest.TestCase):
    def test_a_method_is_attached_charged_and_detached(self):
        customer = stripe.Customer.create(email="a@example.com", name="Ann")
        method = stripe.PaymentMethod.attach("pm_card_visa", customer=customer.id)
        paid = charge(method.id, customer=customer.id, off_session=True)
        listed = stripe.Customer.list_payment_methods(customer.id, type="card").data

        stripe.PaymentMethod.detach(method.id)
        with self.assertRaises(stripe.error.InvalidRequestError):
            charge(method.id, customer=customer.id)

        self.assertEqual((paid.status, paid.payment_method), ("succeeded", method.id))
        self.assertEqual([it.id for it in listed], [method.id])

    def test_a_setup_makes_a_method_for_later(self):
        customer = stripe.Customer.create(name="Later")

        setup = stripe.SetupIntent.create(
            customer=customer.id, payment_method="pm_card_visa", confirm=True, payment_method_types=["card"]
        )
        paid = charge(setup.payment_method, customer=customer.id, off_session=True)

        self.assertEqual((setup.status, paid.status), ("succeeded", "succeeded"))
        self.assertEqual(stripe.PaymentMethod.retrieve(setup.payment_method).customer, customer.id)

    def test_a_customer_is_updated_listed_and_deleted(self):
        customer = stripe.Customer.create(email=f"{uuid.uuid4().hex}@example.com", name="Old")

        updated = stripe.Customer.modify(customer.id, name="New", metadata={"tier": "gold"})
        listed = stripe.Customer.list(email=customer.email).data
        deleted = stripe.Customer.delete(customer.id)

        self.assertEqual((updated.name, updated.metadata["tier"]), ("New", "gold"))
        self.assertEqual([it.id for it in listed], [customer.id])
        self.assertTrue(deleted.deleted)
        self.assertTrue(stripe.Customer.retrieve(customer.id).deleted)

    def test_a_card_number_is_not_taken(self):
        with self.assertRaises(stripe.error.StripeError) as raised:
            stripe.PaymentMethod.create(type="card", card={"number": "4" + "242" * 5})

        self.assertEqual(raised.exception.http_status, 402)


class Hook(http.server.BaseHTTPRequestHandler):
    """An endpoint that fails the first post and takes the others."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        with self.server.arrived:
            self.server.posts.append((body, self.headers["stripe-signature"]))
            self.send_response(500 if len(self.server.posts) == 1 else 200)
            self.send_header("content-length", "0")
            self.end_headers()
            self.server.arrived.notify_all()

    def log_message(self, *_):
        pass


class Events(unittest.TestCase):
    def test_an_event_is_posted_until_it_is_taken_and_its_signature_verifies(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
        server.posts, server.arrived = [], threading.Condition()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        endpoint = stripe.WebhookEndpoint.create(
            url=f"http://127.0.0.1:{server.server_port}/hook", enabled_events=["payment_intent.succeeded"]
        )
        self.addCleanup(stripe.WebhookEndpoint.delete, endpoint.id)

        intent = charge()
        with server.arrived:
            self.assertTrue(server.arrived.wait_for(lambda: len(server.posts) >= 2, timeout=30))
        body, signature = server.posts[1]
        # The sandbox's clock may be ahead, never behind, which the library allows.
        event = stripe.Webhook.construct_event(body, signature, endpoint.secret)

        self.assertEqual((event.type, event.data.object.id), ("payment_intent.succeeded", intent.id))
        self.assertEqual(json.loads(server.posts[0][0])["id"], event.id)
        self.assertEqual(stripe.Event.retrieve(event.id).type, "payment_intent.succeeded")
        self.assertNotIn("secret", stripe.WebhookEndpoint.retrieve(endpoint.id))
        for forged in (body.replace(b"1000", b"9000"), body + b" "):
            with self.assertRaises(stripe.error.SignatureVerificationError):
                stripe.Webhook.construct_event(forged, signature, endpoint.secret)
        with self.assertRaises(stripe.error.SignatureVerificationError):
            stripe.Webhook.construct_event(body, signature, "whsec_other")

    def test_what_happened_to_a_payment_is_told_in_order(self):
        intent = charge("pm_sandbox_settles_after_1")
        advance(60)
        stripe.Refund.create(payment_intent=intent.id)

        events = [event for event in stripe.Event.list(limit=100).auto_paging_iter() if intent.id in str(event)]

        self.assertEqual(
            [event.type for event in reversed(events)],
            [
                "payment_intent.created",
                "charge.pending",
                "payment_intent.processing",
                "charge.succeeded",
                "payment_intent.succeeded",
                "refund.created",
                "charge.refunded",
            ],
        )


if __name__ == "__main__":
    unittest.main()
