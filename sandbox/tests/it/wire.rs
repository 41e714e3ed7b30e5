//! The shape of requests and answers, and the states an intent may be in.

use crate::caller::{START, bank, caller, charge};
use dunlin_sandbox::{Bank, Outcome, Request};
use serde_json::{Value, json};

#[test]
fn an_intent_looks_like_stripes() {
    let bank = bank();

    let answer = caller(&bank).create(
        "amount=2599&currency=gbp&customer=cus_1&description=a+book&metadata[order]=o-1\
         &payment_method_types[]=card&capture_method=automatic&statement_descriptor_suffix=BOOK&expand[]=latest_charge",
    );

    let id = answer.id();
    assert!(id.starts_with("pi_"));
    assert!(answer.body["client_secret"].as_str().unwrap().starts_with(&format!("{id}_secret_")));
    let expected = json!({
        "id": id, "object": "payment_intent", "amount": 2599, "amount_capturable": 0,
        "amount_details": { "tip": {} }, "amount_received": 0, "application": null,
        "application_fee_amount": null, "automatic_payment_methods": null, "canceled_at": null,
        "cancellation_reason": null, "capture_method": "automatic",
        "client_secret": answer.body["client_secret"], "confirmation_method": "automatic", "created": START,
        "currency": "gbp", "customer": "cus_1", "description": "a book", "invoice": null,
        "last_payment_error": null, "latest_charge": null, "livemode": false, "metadata": { "order": "o-1" },
        "next_action": null, "on_behalf_of": null, "payment_method": null,
        "payment_method_configuration_details": null, "payment_method_options": {},
        "payment_method_types": ["card"], "processing": null, "receipt_email": null, "review": null,
        "setup_future_usage": null, "shipping": null, "source": null, "statement_descriptor": null,
        "statement_descriptor_suffix": "BOOK", "status": "requires_payment_method", "transfer_data": null,
        "transfer_group": null,
    });
    assert_eq!(answer.body, expected);
    assert_eq!(caller(&bank).retrieve(&id).body, expected);
}

#[test]
fn every_answer_has_a_request_id_of_its_own() {
    let bank = bank();

    let first = caller(&bank).list("").reply;
    let second = caller(&bank).list("").reply;

    assert!(first.header("request-id").unwrap().starts_with("req_"));
    assert_ne!(first.header("request-id"), second.header("request-id"));
    assert_eq!(first.header("content-type"), Some("application/json"));
}

#[test]
fn a_parameter_that_is_wrong_is_named() {
    let cases = [
        ("currency=usd", "parameter_missing", "amount"),
        ("amount=1", "parameter_missing", "currency"),
        ("amount=0&currency=usd", "parameter_invalid_integer", "amount"),
        ("amount=-5&currency=usd", "parameter_invalid_integer", "amount"),
        ("amount=1.5&currency=usd", "parameter_invalid_integer", "amount"),
        ("amount=100000000&currency=usd", "amount_too_large", "amount"),
        ("amount=100&currency=usd&colour=red", "parameter_unknown", "colour"),
        ("amount=100&currency=usd&metadata=x", "parameter_unknown", "metadata"),
        ("amount=100&currency=usd&customer=", "parameter_invalid_empty", "customer"),
        ("amount=100&currency=usd&confirm=true", "parameter_missing", "payment_method"),
    ];
    let bank = bank();

    for (body, code, param) in cases {
        let answer = caller(&bank).create(body);

        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(answer.body["error"]["type"], "invalid_request_error", "{body}");
        assert_eq!(answer.body["error"]["code"], code, "{body}");
        assert_eq!(answer.body["error"]["param"], param, "{body}");
    }
}

#[test]
fn a_value_that_is_wrong_is_refused() {
    let tails = [
        "&confirm=yes",
        "&capture_method=manual",
        "&confirmation_method=none",
        "&payment_method_types[]=sofort",
        "&off_session=true",
        "&return_url=https://shop.test",
    ];
    let bank = bank();

    for tail in tails {
        assert_eq!(caller(&bank).create(&format!("amount=100&currency=usd{tail}")).status, 400, "{tail}");
    }
    for currency in ["USD", "us", "usdt", "u$d"] {
        assert_eq!(
            caller(&bank).create(&format!("amount=100&currency={currency}")).status,
            400,
            "{currency}"
        );
    }
}

#[test]
fn metadata_has_limits() {
    let bank = bank();
    let create =
        |metadata: String| caller(&bank).create(&format!("amount=100&currency=usd{metadata}")).status;
    let many = |count: usize| {
        let pairs: Vec<String> = (0..count).map(|number| format!("&metadata[k{number}]=v")).collect();
        pairs.concat()
    };

    assert_eq!(create(many(50)), 200);
    assert_eq!(create(many(51)), 400);
    assert_eq!(create(format!("&metadata[{}]=v", "k".repeat(41))), 400);
    assert_eq!(create(format!("&metadata[k]={}", "v".repeat(501))), 400);
}

#[test]
fn an_intent_is_captured_at_most_once() {
    let bank = bank();
    let caller = caller(&bank);
    let id = caller.create(&charge("pm_card_visa")).id();

    let again = caller.confirm(&id, "payment_method=pm_card_visa");
    let canceled = caller.post(&format!("/v1/payment_intents/{id}/cancel"), "");

    for refused in [again, canceled] {
        assert_eq!(refused.status, 400);
        assert_eq!(refused.body["error"]["code"], "payment_intent_unexpected_state");
        assert_eq!(refused.body["error"]["payment_intent"]["status"], "succeeded");
    }
    assert_eq!(caller.captures(), 1);
}

#[test]
fn a_canceled_intent_takes_no_money() {
    let bank = bank();
    let caller = caller(&bank);
    let id = caller.create("amount=100&currency=usd&payment_method=pm_card_visa").id();

    let canceled = caller.post(&format!("/v1/payment_intents/{id}/cancel"), "cancellation_reason=abandoned");
    let confirmed = caller.confirm(&id, "");

    assert_eq!(canceled.body["status"], "canceled");
    assert_eq!(canceled.body["cancellation_reason"], "abandoned");
    assert_eq!(canceled.body["canceled_at"], START);
    assert_eq!(confirmed.body["error"]["code"], "payment_intent_unexpected_state");
    assert_eq!(caller.captures(), 0);
}

#[test]
fn an_intent_without_a_card_cannot_be_confirmed() {
    let bank = bank();
    let id = caller(&bank).create("amount=100&currency=usd").id();

    let answer = caller(&bank).confirm(&id, "");

    assert_eq!(answer.body["error"]["code"], "payment_intent_unexpected_state");
    assert_eq!(answer.body["error"]["payment_intent"]["status"], "requires_payment_method");
}

#[test]
fn what_does_not_exist_is_missing() {
    let bank = bank();
    let caller = caller(&bank);

    assert_eq!(caller.retrieve("pi_none").body["error"]["code"], "resource_missing");
    for missing in [caller.retrieve("pi_none"), caller.confirm("pi_none", ""), caller.get("/v1/coupons")] {
        assert_eq!(missing.status, 404);
    }
}

#[test]
fn a_request_without_a_key_of_ours_is_not_heard() {
    let bank = bank();

    for header in [None, Some("Bearer sk_live_x"), Some("Bearer x"), Some("Basic !")] {
        let headers =
            header.map(|value| ("authorization".to_owned(), value.to_owned())).into_iter().collect();
        let (method, path) = ("GET".to_owned(), "/v1/payment_intents".to_owned());
        let outcome = bank.handle(&Request { method, path, headers, ..Request::default() });

        assert!(matches!(&outcome, Outcome::Reply(reply) if reply.status == 401), "{header:?}");
        assert!(!format!("{outcome:?}").contains("sk_live_x"));
    }
}

#[test]
fn a_version_is_echoed() {
    let headers = [("authorization", "Bearer sk_test_x"), ("stripe-version", "2025-01-27.acacia")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let (method, path) = ("GET".to_owned(), "/v1/payment_intents".to_owned());

    let outcome = bank().handle(&Request { method, path, headers, ..Request::default() });

    let Outcome::Reply(reply) = outcome else { panic!("no reply") };
    assert_eq!(reply.header("stripe-version"), Some("2025-01-27.acacia"));
}

#[test]
fn two_simulations_of_one_seed_are_the_same() {
    let run = |seed| -> Value {
        let bank = Bank::simulated(seed, START);
        caller(&bank).create(&charge("pm_card_visa")).body
    };

    assert_eq!(run(1), run(1));
    assert_ne!(run(1)["id"], run(2)["id"]);
}
