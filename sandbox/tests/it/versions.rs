//! What each version of Stripe takes, and what a key keeps.

use crate::caller::{bank, caller, charge};
use dunlin_sandbox::{Bank, Reply, Request};
use serde_json::Value;

fn create(bank: &Bank, version: &str, body: &str) -> Reply {
    let headers = [("authorization", "Bearer sk_test_first"), ("stripe-version", version)];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let (method, path) = ("POST".to_owned(), "/v1/payment_intents".to_owned());
    let request = Request { method, path, headers, body: body.as_bytes().to_vec(), ..Request::default() };
    bank.handle(&request).into_reply().unwrap()
}

fn error(reply: &Reply) -> Value {
    serde_json::from_slice::<Value>(&reply.body).unwrap()["error"].clone()
}

#[test]
fn the_types_of_methods_are_named_as_the_version_wants() {
    let bank = bank();
    let named = |name: &str| format!("{}&{name}[]=card", charge("pm_card_visa"));
    let (old, new) = (named("payment_method_types"), named("allowed_payment_method_types"));

    for (version, taken, refused) in [
        ("2025-01-27.acacia", Some(&old), Some((&new, "parameter_unknown"))),
        ("2026-07-29.dahlia", Some(&old), None),
        ("2026-07-29.dahlia", Some(&new), None),
        ("2026-08-26.preview", Some(&new), Some((&old, "payment_method_types_no_longer_supported"))),
        ("2026-09-30.endive", Some(&new), Some((&old, "payment_method_types_no_longer_supported"))),
    ] {
        if let Some(taken) = taken {
            assert_eq!(create(&bank, version, taken).status, 200, "{version}");
        }
        if let Some((refused, code)) = refused {
            let refusal = create(&bank, version, refused);
            assert_eq!((refusal.status, &error(&refusal)["code"]), (400, &code.into()), "{version}");
        }
    }
    let both = format!("{new}&automatic_payment_methods[enabled]=true");
    assert_eq!(create(&bank, "2026-09-30.endive", &both).status, 400);
    assert_eq!(create(&bank, "2026-07-15.dahlia", &new).status, 400, "that version never was");
}

#[test]
fn a_refusal_of_the_execution_is_kept_under_its_key_and_one_before_it_is_not() {
    let bank = bank();
    let caller = caller(&bank);
    let send =
        |key: &str, path: &str, body: &str| caller.send("POST", path, Some(key), body).into_reply().unwrap();

    let confirm = "/v1/payment_intents/pi_none/confirm";
    assert_eq!(send("key_1", confirm, "payment_method=pm_card_visa").status, 404);
    let again = send("key_1", confirm, "payment_method=pm_card_visa");
    assert_eq!((again.status, again.header("idempotent-replayed")), (404, Some("true")));
    assert_eq!(send("key_1", confirm, "payment_method=pm_card_mastercard").status, 400, "of another request");

    let create = "/v1/payment_intents";
    assert_eq!(send("key_2", create, "amount=1&nonsense=1").status, 400);
    assert_eq!(send("key_2", create, &charge("pm_card_visa")).status, 200);
}

#[test]
fn a_method_that_belongs_to_nobody_is_spent_by_one_use() {
    let bank = bank();
    let caller = caller(&bank);
    let method = caller.post("/v1/payment_methods", "type=card&card[token]=tok_visa").id();

    assert_eq!(caller.create(&charge(&method)).status, 200);
    let spent = caller.create(&charge(&method)).body["error"].clone();
    assert!(spent["message"].as_str().unwrap().contains("previously used"), "{spent}");
    assert_eq!((&spent["code"], &spent["param"]), (&Value::Null, &Value::Null));
    assert_eq!(caller.post(&format!("/v1/payment_methods/{method}/attach"), "customer=cus_1").status, 400);
    for _ in 0..2 {
        assert_eq!(
            caller.create(&charge("pm_card_visa")).status,
            200,
            "a test token is another card each time"
        );
    }
}

#[test]
fn off_session_a_demand_for_authentication_leaves_no_charge() {
    let bank = bank();
    let caller = caller(&bank);

    let declined = caller.create(&format!("{}&off_session=true", charge("pm_card_authenticationRequired")));

    let error = &declined.body["error"];
    assert_eq!((declined.status, &error["code"]), (402, &"authentication_required".into()));
    assert_eq!((error.get("charge"), &error["payment_intent"]["latest_charge"]), (None, &Value::Null));
}

#[test]
fn what_the_gateway_blocks_never_came_to_a_network() {
    let bank = bank();
    let caller = caller(&bank);

    for (card, code) in [("pm_card_radarBlock", "fraudulent"), ("pm_sandbox_blocked", "generic_decline")] {
        let error = caller.create(&charge(card)).body["error"].clone();
        let charge = caller.get(&format!("/v1/charges/{}", error["charge"].as_str().unwrap())).body;

        assert_eq!((&error["decline_code"], error.get("network_decline_code")), (&code.into(), None));
        assert_eq!(charge["outcome"]["type"], "blocked");
        assert_eq!(charge["outcome"]["network_status"], "not_sent_to_network");
        assert_eq!(charge["payment_method_details"]["card"]["network"], "visa");
        assert_eq!(error["payment_method"]["card"]["brand"], "visa");
    }
}
