//! What is sent to charge, and what the answers to it prove.

use super::*;
use crate::domain::{attempt::Rejection, session::Session};

fn read(send: Send, status: u16, body: &Value) -> Reading {
    stripe().read_charge(&payment(), send, &reply(status, body))
}

fn name(reading: &Reading) -> &'static str {
    match reading {
        Reading::Answered(_) => "answered",
        Reading::Rejected(Rejection::Refused(_)) => "invalid",
        Reading::Rejected(Rejection::Credentials(_)) => "credentials",
        Reading::NotSent(_) => "not sent",
        Reading::Unknown(_) => "unknown",
        Reading::StoredError(_) => "stored error",
        Reading::Unreadable { .. } => "unreadable",
        Reading::Mismatch(_) => "mismatch",
    }
}

// S1.8, row by row: what a first send proves, and what a resend does.
#[test]
fn answers_are_classified_by_what_they_prove() {
    let invalid = error("invalid_request_error", "resource_missing");
    let replayed = error("idempotency_error", "");
    let elsewhere = error("invalid_request_error", "payment_intent_unexpected_state");
    let busy = error("invalid_request_error", "rate_limit");
    let locked = error("invalid_request_error", "lock_timeout");
    let down = error("api_error", "");
    let unreadable = json!("a page of HTML");
    for (status, body, first, again) in [
        (500, &down, "unknown", "unknown"),
        (502, &unreadable, "unknown", "unknown"),
        (503, &down, "unknown", "unknown"),
        (504, &unreadable, "unknown", "unknown"),
        (200, &unreadable, "unknown", "unknown"),
        (204, &json!(null), "unknown", "unknown"),
        (302, &unreadable, "unknown", "unknown"),
        (409, &error("invalid_request_error", "idempotency_key_in_use"), "unknown", "unknown"),
        (429, &locked, "unknown", "unknown"),
        (429, &busy, "not sent", "unknown"),
        (401, &error("invalid_request_error", ""), "credentials", "unknown"),
        (403, &error("invalid_request_error", ""), "credentials", "unknown"),
        (401, &error("authentication_error", ""), "credentials", "unknown"),
        (429, &error("rate_limit_error", ""), "not sent", "unknown"),
        (400, &invalid, "invalid", "unknown"),
        (404, &invalid, "invalid", "unknown"),
        (422, &invalid, "invalid", "unknown"),
        (400, &replayed, "mismatch", "mismatch"),
        (400, &elsewhere, "unknown", "unknown"),
        (400, &unreadable, "unknown", "unknown"),
        (
            402,
            &decline(Some("ch_1"), &intent("requires_payment_method", Some("ch_1"))),
            "answered",
            "answered",
        ),
        (402, &unreadable, "unknown", "unknown"),
        (402, &error("api_error", ""), "unknown", "unknown"),
        (200, &intent("succeeded", Some("ch_1")), "answered", "answered"),
        (200, &intent("processing", None), "answered", "answered"),
        (200, &intent("requires_action", None), "answered", "answered"),
        (200, &intent("requires_confirmation", None), "unreadable", "unreadable"),
        (200, &intent("requires_payment_method", None), "unknown", "unknown"),
        (200, &intent("canceled", None), "unreadable", "unreadable"),
        (200, &intent("brand_new", None), "unreadable", "unreadable"),
        (200, &json!({ "id": "pi_9", "amount": "1250" }), "unreadable", "unreadable"),
        (200, &json!({ "id": "ch_9" }), "unknown", "unknown"),
        (200, &json!({ "id": "pi_/../9" }), "unknown", "unknown"),
    ] {
        let readings = [Send::First, Send::Again].map(|send| read(send, status, body));
        assert_eq!(readings.each_ref().map(name), [first, again], "HTTP {status} {body}: {readings:?}");
    }
}

#[test]
fn an_intent_says_what_became_of_its_charge() {
    for (status, outcome) in [
        ("succeeded", Outcome::Succeeded),
        ("processing", Outcome::Pending),
        ("requires_action", Outcome::RequiresAction { url: None }),
    ] {
        let reading = read(Send::First, 200, &intent(status, Some("ch_1")));
        assert_eq!(reading, Reading::Answered(answer(Some("ch_1"), outcome)));
    }
}

#[test]
fn a_decline_keeps_its_codes_as_received() {
    let body = decline(Some("ch_1"), &intent("requires_payment_method", Some("ch_1")));

    assert_eq!(read(Send::First, 402, &body), Reading::Answered(answer(Some("ch_1"), no_funds())));
}

// S1.17
#[test]
fn a_decline_without_a_charge_does_not_take_the_one_of_the_attempt_before() {
    let body = decline(None, &intent("requires_payment_method", Some("ch_1")));

    let first = read(Send::First, 402, &body);
    let later = stripe().read_charge(&second(), Send::First, &reply(402, &body));

    assert_eq!(first, Reading::Answered(answer(Some("ch_1"), no_funds())));
    assert_eq!(later, Reading::Answered(answer(None, no_funds())));
}

// S1.15
#[test]
fn the_amount_that_stripe_names_comes_back_in_our_units() {
    for (amount, currency, ours) in [
        (1250, "eur", money(1250, "EUR")),
        (125_000, "isk", money(1250, "ISK")),
        (125_000, "ugx", money(1250, "UGX")),
        (12, "mga", money(1200, "MGA")),
        (1250, "kwd", money(1250, "KWD")),
        (1250, "usd", money(1250, "USD")),
    ] {
        let mut body = intent("succeeded", Some("ch_1"));
        body["amount_received"] = json!(amount);
        body["currency"] = json!(currency);
        let Reading::Answered(answer) = read(Send::First, 200, &body) else { panic!("{body}") };
        assert_eq!(answer.amount, Some(ours), "{currency}");
    }
    // What is captured counts, not what was asked for; and what cannot be read is never what was asked for.
    for (field, value) in [("amount_received", json!(1249)), ("currency", json!("zzz"))] {
        let mut body = intent("succeeded", Some("ch_1"));
        body[field] = value;
        let Reading::Answered(answer) = read(Send::First, 200, &body) else { panic!("{body}") };
        assert_ne!(answer.amount, Some(money(1250, "EUR")), "{field}");
    }
}

// S1.15
#[test]
fn what_stripe_cannot_take_is_refused_before_it_is_sent() {
    for (minor, code) in [(1251, "KWD"), (1250, "MGA"), (100_000_000, "EUR")] {
        let payment = Payment { money: money(minor, code), ..payment() };
        assert!(stripe().check_amount(payment.money).is_err());
        assert!(stripe().charge(&payment, 1).is_err());
    }
}

// S1.5, S1.6
#[test]
fn the_same_attempt_is_the_same_call_byte_for_byte() {
    let payment = Payment { description: Some("Größe & Co = 1+1".to_owned()), ..payment() };

    let calls = [1, 1].map(|n| stripe().charge(&payment, n).unwrap());

    assert_eq!(calls[0], calls[1]);
    let call = &calls[0];
    assert_eq!(
        (call.kind, call.method, call.path.as_str()),
        (ExchangeKind::Create, "POST", "/v1/payment_intents")
    );
    let key = format!("dunlin:test:{}:{}:1:create", payment.tenant, payment.id);
    assert_eq!(call.idempotency_key.as_deref(), Some(key.as_str()));
    let body = format!(
        "amount=1250&currency=eur&payment_method=pm_1&allowed_payment_method_types%5B%5D=card&confirm=true&off_session=true\
         &metadata%5Bdunlin_payment%5D={}&description=Gr%C3%B6%C3%9Fe+%26+Co+%3D+1%2B1",
        payment.id
    );
    assert_eq!(call.body, body);
}

// S1.6
#[test]
fn keys_are_apart_by_environment_tenant_payment_attempt_and_kind() {
    let key =
        |stripe: &Stripe, payment: &Payment, n| stripe.charge(payment, n).unwrap().idempotency_key.unwrap();
    let live = Stripe { livemode: true, ..stripe() };
    let tenant = Payment { tenant: TenantId::mint(at(0), [9; 10]), ..payment() };
    let other = Payment { id: PaymentId::mint(at(0), [9; 10]), ..payment() };

    let keys = [
        key(&stripe(), &payment(), 1),
        key(&live, &payment(), 1),
        key(&stripe(), &tenant, 1),
        key(&stripe(), &other, 1),
        key(&stripe(), &payment(), 2),
        key(&stripe(), &second(), 2),
    ];

    assert_eq!(keys.iter().collect::<std::collections::BTreeSet<_>>().len(), keys.len(), "{keys:?}");
}

// S1.17
#[test]
fn a_later_attempt_confirms_the_intent_of_the_first() {
    let call = stripe().charge(&second(), 2).unwrap();

    assert_eq!((call.kind, call.path.as_str()), (ExchangeKind::Confirm, "/v1/payment_intents/pi_1/confirm"));
    assert_eq!(call.body, "payment_method=pm_1&off_session=true");
}

// S1.18
#[test]
fn on_session_the_customer_is_there_to_be_asked_and_sent_back() {
    let session = Session::On("https://shop.example/back?cart=7#end".parse().unwrap());
    let (first, later) = (Payment { session: session.clone(), ..payment() }, Payment { session, ..second() });

    let [create, confirm] =
        [(&first, 1), (&later, 2)].map(|(payment, n)| stripe().charge(payment, n).unwrap());

    let back = "return_url=https%3A%2F%2Fshop.example%2Fback%3Fcart%3D7%23end";
    let body = format!(
        "amount=1250&currency=eur&payment_method=pm_1&allowed_payment_method_types%5B%5D=card&confirm=true&{back}\
         &metadata%5Bdunlin_payment%5D={}",
        first.id
    );
    assert_eq!((create.kind, create.body), (ExchangeKind::Create, body));
    assert_eq!(
        (confirm.kind, confirm.path.as_str()),
        (ExchangeKind::Confirm, "/v1/payment_intents/pi_1/confirm")
    );
    assert_eq!(confirm.body, format!("payment_method=pm_1&{back}"));
}

#[test]
fn a_demand_for_the_customer_says_where_they_have_to_go() {
    let asked = |action: Value| {
        let mut body = intent("requires_action", None);
        body["next_action"] = action;
        read(Send::First, 200, &body)
    };
    let address = |url: Value| asked(json!({ "type": "redirect_to_url", "redirect_to_url": { "url": url } }));
    let told = |url: Option<&str>| {
        let url = url.map(str::to_owned);
        Reading::Answered(answer(None, Outcome::RequiresAction { url }))
    };

    let bank = "https://hooks.stripe.com/3d_secure_2/hosted?payment_intent=pi_1";
    assert_eq!(address(json!(bank)), told(Some(bank)));
    for nothing in [
        asked(json!(null)),
        asked(json!({ "type": "use_stripe_sdk", "use_stripe_sdk": {} })),
        asked(json!({ "type": "brand_new", "redirect_to_url": "odd" })),
        asked(json!([])),
        address(json!(null)),
        address(json!(7)),
        address(json!("javascript:alert(1)")),
        address(json!("https://bank.example/a b")),
        address(json!(format!("https://bank.example/{}", "a".repeat(5000)))),
    ] {
        assert_eq!(nothing, told(None));
    }
}

#[test]
fn what_is_kept_of_an_answer_is_ids_statuses_and_codes() {
    let body = decline(Some("ch_1"), &intent("requires_payment_method", Some("ch_1")));
    let mut reply = reply(402, &body);
    reply.headers.insert("request-id".to_owned(), "req_1".to_owned());

    let kept: Value = serde_json::from_str(&stripe().redact(&reply).unwrap()).unwrap();

    let error = json!({
        "type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds",
        "network_decline_code": "51", "advice_code": "try_again_later", "charge": "ch_1",
    });
    assert_eq!(kept, json!({ "error": error, "request_id": "req_1" }));
    assert_eq!(stripe().redact(&Reply { body: b"HTML".to_vec(), ..reply }), None);
}

#[test]
fn the_key_is_sent_and_never_shown() {
    let headers = stripe().headers("2026-01-01");

    assert!(
        headers
            .iter()
            .any(|(name, value)| *name == "authorization" && value.expose_secret() == "Bearer sk_test_1")
    );
    assert!(!format!("{:?}{headers:?}", stripe()).contains("sk_test"));
}

#[test]
fn a_resends_refusal_counts_only_where_the_key_replays_it() {
    let refused = error("invalid_request_error", "resource_missing");
    let mut replayed = reply(400, &refused);
    replayed.headers.insert("idempotent-replayed".to_owned(), "true".to_owned());

    assert_eq!(name(&read(Send::Again, 400, &refused)), "unknown");
    assert_eq!(name(&stripe().read_charge(&payment(), Send::Again, &replayed)), "invalid");
}

#[test]
fn an_answer_of_the_other_environment_proves_nothing() {
    let mut other = intent("succeeded", Some("ch_1"));
    other["livemode"] = json!(!payment().livemode);

    assert_eq!(name(&read(Send::First, 200, &other)), "unknown");
}

#[test]
fn what_a_gateway_says_is_kept_short_and_without_card_numbers() {
    let said = |message: &str| {
        let mut told = decline(Some("ch_1"), &intent("requires_payment_method", None));
        told["error"]["message"] = json!(message);
        let Reading::Answered(Answer { outcome: Outcome::Declined(decline), .. }) =
            read(Send::First, 402, &told)
        else {
            panic!("a decline is an answer")
        };
        decline.message.unwrap()
    };

    assert_eq!(said("no\u{0}\nfunds"), "no\\u{0} funds");
    assert_eq!(said(&"xx ".repeat(3000)).len(), 500);
    assert!(!said("your card 4242 4242 4242 4242 was declined").contains("4242"));
}
