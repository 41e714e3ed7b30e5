//! Payments that name a customer or a payment method that is known: found once, and the payment's own from then on.

use super::{Answer, Api, assert_problem, id};
use crate::support::{both, database::Database};
use serde_json::{Value, json};

both! {
    a_customer_is_charged_by_their_default_however_they_are_named
    a_replay_is_the_same_payment_whatever_has_become_of_the_customer
    a_batch_names_customers_as_single_payments_do
    payments_and_a_detach_at_once_charge_before_it_or_not_at_all
}

/// A payment of 12.50 with these fields beside it.
fn naming(fields: &Value) -> Value {
    let mut body = json!({ "amount": 1250 });
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

fn token(token: &str) -> Value {
    json!({ "type": "card", "payment_method": token })
}

impl Api {
    async fn charge(&self, key: &str, fields: &Value) -> Answer {
        let body = naming(fields);
        self.create_with(key, ("x-allow-duplicate", "true"), &body).await
    }
}

async fn a_customer_is_charged_by_their_default_however_they_are_named(database: Database) {
    let api = Api::start(database, &[]);
    let customer = api.customer(&json!({ "external_id": "u-1", "currency": "JPY" })).await;
    let visa = api.keep(&customer, "pm_card_visa").await;
    let mastercard = api.keep(&customer, "pm_card_mastercard").await;

    for (n, (fields, expected, method, currency)) in [
        (json!({ "customer": customer }), json!(customer), &visa, "JPY"),
        (json!({ "customer": "u-1" }), json!("u-1"), &visa, "JPY"),
        (json!({ "customer": "u-1", "currency": "EUR" }), json!("u-1"), &visa, "EUR"),
        (json!({ "method": token(&mastercard) }), json!(customer), &mastercard, "JPY"),
        (json!({ "method": token(&mastercard), "customer": "u-1" }), json!("u-1"), &mastercard, "JPY"),
        (
            json!({ "method": token(&visa), "customer": customer, "gateway": "sandbox" }),
            json!(customer),
            &visa,
            "JPY",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let taken = api.charge(&format!("k{n}"), &fields).await;
        assert_eq!(taken.status, 201, "{fields}: {}", taken.body);
        let paid = api.caller.wait_for(&id(&taken.body), "succeeded").await;
        let card = if *method == visa { "pm_card_visa" } else { "pm_card_mastercard" };
        assert_eq!(paid["method"], json!({ "id": method, "type": "card", "payment_method": card }));
        assert_eq!((&paid["customer"], &paid["currency"]), (&expected, &json!(currency)), "{fields}");
        assert_eq!((&paid["gateway"], &paid["amount"]), (&json!("sandbox"), &json!(1250)));
        assert_eq!(api.captures(&id(&paid)).await, 1);
    }
    // With a token nothing is looked up but a currency, and one of our own ids.
    for (n, fields) in [
        json!({ "customer": "u-1", "method": token("pm_card_amex") }),
        json!({ "customer": customer, "method": token("pm_card_amex") }),
        json!({ "customer": "cus_1", "method": token("pm_card_amex"), "currency": "EUR" }),
    ]
    .iter()
    .enumerate()
    {
        let taken = api.charge(&format!("t{n}"), fields).await;
        assert_eq!(taken.status, 201, "{}", taken.body);
        assert_eq!(taken.body["method"], token("pm_card_amex"));
        assert_eq!(taken.body["customer"], fields["customer"]);
    }
    assert_eq!(api.list("customer=u-1").await.len(), 4);
    assert_eq!(api.list(&format!("payment_method={mastercard}")).await.len(), 2);
    assert_eq!(api.list(&format!("payment_method={visa}&customer=u-1")).await.len(), 2);
    let unknown = "met_0190000000007000800000000000000a";
    assert!(api.list(&format!("payment_method={unknown}")).await.is_empty());
}

async fn a_replay_is_the_same_payment_whatever_has_become_of_the_customer(database: Database) {
    let api = Api::start(database, &[]);
    let customer = api.customer(&json!({ "external_id": "u-1", "currency": "EUR" })).await;
    let visa = api.keep(&customer, "pm_card_visa").await;
    let named = json!({ "customer": "u-1" });
    let first = api.charge("k", &named).await;
    api.caller.wait_for(&id(&first.body), "succeeded").await;
    let (path, other) =
        (format!("/v1/customers/{customer}"), json!({ "external_id": "u-2", "currency": null }));

    let mut replays = Vec::new();
    let default = json!({ "type": "card", "payment_method": "pm_card_mastercard", "default": true });
    let mastercard = id(&api.attach(&customer, &default).await.body);
    replays.push(api.charge("k", &named).await);
    for method in [visa, mastercard] {
        api.caller.post(&format!("/v1/payment_methods/{method}/detach"), None, &json!({})).await;
    }
    replays.push(api.charge("k", &named).await);
    assert_eq!(api.caller.patch(&path, &other).await.status, 200);
    replays.push(api.charge("k", &named).await);

    for replay in replays {
        assert_eq!((replay.status, id(&replay.body)), (201, id(&first.body)), "{}", replay.body);
        assert_eq!(replay.headers["idempotent-replayed"], "true");
        assert_eq!(replay.body["method"]["payment_method"], "pm_card_visa");
    }
    let reused = api.charge("k", &json!({ "customer": "u-2" })).await;
    assert_problem(&reused, 422, "idempotency_key_reused", Some("Idempotency-Key"));
    assert_problem(&api.charge("new", &named).await, 422, "invalid_field", Some("method"));
    assert_eq!(api.list("").await.len(), 1);
}

#[tokio::test]
async fn what_does_not_go_together_is_refused_by_field_and_makes_nothing() {
    let api = Api::sqlite();
    let customer = api.customer(&json!({ "external_id": "u-1", "currency": "EUR" })).await;
    let method = api.keep(&customer, "pm_card_visa").await;
    let bare = api.customer(&json!({ "external_id": "u-2" })).await;
    let gone = api.keep(&customer, "pm_card_mastercard").await;
    api.caller.post(&format!("/v1/payment_methods/{gone}/detach"), None, &json!({})).await;
    let (nobody, nothing) = (format!("cus_{}", "0".repeat(32)), format!("met_{}", "0".repeat(32)));
    let mut kept = token(&method);
    kept["gateway_customer"] = json!("cus_Nffr");

    for (fields, param, remedy) in [
        (json!({ "currency": "EUR" }), "method", "name a customer"),
        (json!({ "customer": "u-9", "currency": "EUR" }), "method", "attach one"),
        (json!({ "customer": bare, "currency": "EUR" }), "method", "attach one"),
        (json!({ "customer": "u-2", "currency": "EUR" }), "method", "attach one"),
        (json!({ "customer": nobody, "currency": "EUR" }), "customer", "POST /v1/customers"),
        (
            json!({ "customer": nobody, "currency": "EUR", "method": token("pm_card_visa") }),
            "customer",
            "no customer",
        ),
        (json!({ "method": token("pm_card_visa") }), "currency", "ISO 4217"),
        (json!({ "customer": "u-2", "method": token("pm_card_visa") }), "currency", "ISO 4217"),
        (json!({ "customer": bare, "method": token("pm_card_visa") }), "currency", "ISO 4217"),
        (json!({ "method": token(&nothing), "currency": "EUR" }), "method.payment_method", "attach it"),
        (json!({ "method": token(&gone) }), "method.payment_method", "is detached"),
        (json!({ "method": token(&method), "customer": bare }), "customer", "goes together"),
        (json!({ "method": token(&method), "customer": "u-2" }), "customer", "goes together"),
        (json!({ "method": token(&method), "customer": "cus_1" }), "customer", "goes together"),
        (json!({ "method": token(&method), "gateway": "other" }), "gateway", "leave this out"),
        (json!({ "customer": "u-1", "gateway": "other" }), "gateway", "leave this out"),
        (json!({ "method": kept }), "method.gateway_customer", "leave this out"),
        (json!({ "customer": "u-1", "method": null }), "method", "object"),
        (json!({ "customer": "u-1", "currency": null }), "currency", "string"),
    ] {
        let refused = api.charge("k", &fields).await;
        assert_problem(&refused, 422, "invalid_field", Some(param));
        assert!(refused.body["detail"].as_str().unwrap().contains(remedy), "{fields}: {}", refused.body);
    }

    assert!(api.list("").await.is_empty());
    assert_eq!(api.charge("k", &json!({ "customer": "u-1" })).await.status, 201, "a refusal takes no key");
}

async fn a_batch_names_customers_as_single_payments_do(database: Database) {
    let api = Api::start(database, &[]);
    let mut items = Vec::new();
    for n in 0..20 {
        let customer = api.customer(&json!({ "external_id": format!("u-{n}"), "currency": "EUR" })).await;
        let method = api.keep(&customer, "pm_card_visa").await;
        items.push(match n % 3 {
            0 => json!({ "customer": customer }),
            1 => json!({ "customer": format!("u-{n}") }),
            _ => json!({ "method": token(&method) }),
        });
    }
    items.push(json!({ "customer": "nobody" }));
    items.push(json!({ "customer": "cus_1", "currency": "EUR", "method": token("pm_card_visa") }));
    let mut payments: Vec<_> = items.iter().map(naming).collect();
    for (n, payment) in payments.iter_mut().enumerate() {
        payment["idempotency_key"] = json!(format!("k{n}"));
    }

    let batch = api.caller.post("/v1/payments/batch", None, &json!({ "payments": payments })).await;
    let again = api.caller.post("/v1/payments/batch", None, &json!({ "payments": payments })).await;

    assert_eq!((&batch.body["accepted"], &batch.body["refused"]), (&json!(21), &json!(1)), "{}", batch.body);
    let refused = &batch.body["data"][20];
    assert_eq!((&refused["status"], &refused["error"]["param"]), (&json!(422), &json!("method")));
    for (one, two) in
        batch.body["data"].as_array().unwrap().iter().zip(again.body["data"].as_array().unwrap())
    {
        assert_eq!(one["payment"]["id"], two["payment"]["id"]);
    }
    assert_eq!(api.advance(1).await.status, 200, "everything that is due is done");
    assert_eq!(api.list("status=succeeded").await.len(), 21);
}

// S1.16
async fn payments_and_a_detach_at_once_charge_before_it_or_not_at_all(database: Database) {
    let api = Api::start(database, &[]);
    let customer = api.customer(&json!({ "currency": "EUR" })).await;
    let method = api.keep(&customer, "pm_card_visa").await;
    let named = json!({ "method": token(&method) });
    let keys: Vec<_> = (0..60).map(|n| format!("k{n}")).collect();
    let charges = futures_util::future::join_all(keys.iter().map(|key| api.charge(key, &named)));
    let path = format!("/v1/payment_methods/{method}/detach");
    let nothing = json!({});
    let detach = async {
        // Once the first is under way.
        while api.list("").await.is_empty() {}
        api.caller.post(&path, None, &nothing).await
    };

    let (charges, detached) = tokio::join!(charges, detach);

    assert_eq!(detached.status, 200, "{}", detached.body);
    let detached_at = detached.body["detached_at"].as_str().unwrap().to_owned();
    assert_eq!(api.advance(1).await.status, 200, "everything that is due is done");
    for charge in charges {
        if charge.status != 201 {
            assert_problem(&charge, 422, "invalid_field", Some("method.payment_method"));
            continue;
        }
        let payment = api.caller.get(&format!("/v1/payments/{}", id(&charge.body))).await.body;
        let captures = api.captures(&id(&payment)).await;
        match payment["status"].as_str().unwrap() {
            "succeeded" => assert_eq!(captures, 1),
            "failed" => {
                assert_eq!((captures, &payment["attempt_count"]), (0, &json!(0)));
                assert_eq!(payment["failure"]["code"], "payment_method_detached");
                assert!(payment["updated_at"].as_str().unwrap() >= detached_at.as_str());
            }
            other => panic!("{other}: {payment}"),
        }
    }
}

#[tokio::test]
async fn a_payment_that_failed_for_want_of_its_method_says_so_and_is_not_retried() {
    let api = Api::sqlite();
    let customer = api.customer(&json!({ "currency": "EUR" })).await;
    let method = api.keep(&customer, "pm_sandbox_insufficient_funds_1").await;
    let payment = id(&api.charge("k", &json!({ "customer": customer })).await.body);
    api.caller.wait_for(&payment, "retrying").await;
    api.caller.post(&format!("/v1/payment_methods/{method}/detach"), None, &json!({})).await;

    assert_eq!(api.advance(30 * 86_400).await.status, 200);

    let failed = api.caller.wait_for(&payment, "failed").await;
    assert_eq!((&failed["attempt_count"], &failed["next_attempt_at"]), (&json!(1), &Value::Null));
    assert_eq!(failed["failure"]["code"], "payment_method_detached");
    assert_eq!(api.captures(&payment).await, 0);
    let retry = api.caller.post(&format!("/v1/payments/{payment}/retry"), Some("r"), &json!({})).await;
    assert_problem(&retry, 409, "payment_not_retriable", None);
    assert!(retry.body["detail"].as_str().unwrap().contains("was detached"), "{}", retry.body);
    let timeline = api.caller.get(&format!("/v1/payments/{payment}/timeline")).await.body;
    let ended = timeline["data"].as_array().unwrap().iter().find(|entry| entry["to"] == "failed").unwrap();
    assert_eq!(ended["cause"], "method_detached", "{timeline}");
}

// S7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_charges_a_foreign_customer_or_method() {
    let api = Api::start(Database::postgres().await, &[]);
    let customer = api.customer(&json!({ "external_id": "u-1", "currency": "EUR" })).await;
    let method = api.keep(&customer, "pm_card_visa").await;

    let other = api.stranger("another", false).await;
    for (fields, param) in [
        (json!({ "customer": customer }), "customer"),
        (json!({ "customer": customer, "method": token("pm_card_visa"), "currency": "EUR" }), "customer"),
        (json!({ "customer": "u-1" }), "method"),
        (json!({ "method": token(&method) }), "method.payment_method"),
        (json!({ "customer": "u-1", "method": token("pm_card_visa") }), "currency"),
    ] {
        let refused = other.post("/v1/payments", Some("k"), &naming(&fields)).await;
        assert_problem(&refused, 422, "invalid_field", Some(param));
        assert!(!refused.body.to_string().contains("pm_card"), "{}", refused.body);
    }

    assert!(api.list("").await.is_empty());
}
