//! A customer who is there, as callers see them: sent to their bank by an address, and back.

use super::{Api, assert_problem, id, payment};
use crate::support::{both, database::Database};
use serde_json::{Value, json};

both! { a_customer_is_sent_to_their_bank_and_back_and_has_paid }

fn present(method: &str, back: &str) -> Value {
    let mut body = payment(method);
    body["off_session"] = json!(false);
    body["return_url"] = json!(back);
    body
}

async fn a_customer_is_sent_to_their_bank_and_back_and_has_paid(database: Database) {
    let api = Api::start(database, &[]);
    let back = format!("{}/livez", api.serve.url);

    let asked = api
        .create_with("a", ("prefer", "wait=5"), &present("pm_card_authenticationRequired", &back))
        .await
        .body;

    assert_eq!(asked["status"], "requires_action", "{asked}");
    assert_eq!((&asked["off_session"], &asked["return_url"]), (&json!(false), &json!(back)));
    assert_eq!(asked["next_action"]["type"], "redirect", "{asked}");
    let url = asked["next_action"]["url"].as_str().unwrap().to_owned();
    let returned = api.caller.raw(|http, _| http.post(url).body("answer=approve")).await;
    assert_eq!(returned.status, 200, "they are led back to the return_url");
    let paid = api.caller.wait_for(&id(&asked), "succeeded").await;
    assert_eq!((&paid["next_action"], &paid["amount_received"]), (&json!(null), &json!(1250)));
    assert_eq!(api.captures(&id(&asked)).await, 1);
}

#[tokio::test]
async fn nobody_is_there_unless_it_is_said() {
    let api = Api::sqlite();
    let mut said = payment("pm_card_visa");
    said["off_session"] = json!(true);

    let silent = api.create("a", &payment("pm_card_visa")).await;
    let same = api.create("a", &said).await;
    let other = api.create("a", &present("pm_card_visa", "https://shop.example")).await;

    assert_eq!((silent.status, same.status), (201, 201), "{}", same.body);
    assert_eq!(same.headers["idempotent-replayed"], "true");
    for (field, value) in
        [("off_session", json!(true)), ("return_url", json!(null)), ("next_action", json!(null))]
    {
        assert_eq!(silent.body[field], value, "{field}");
    }
    assert_problem(&other, 422, "idempotency_key_reused", Some("Idempotency-Key"));
}

#[tokio::test]
async fn another_way_back_is_another_request() {
    let api = Api::sqlite();

    let first = api.create("a", &present("pm_card_visa", "https://shop.example/1")).await;
    let again = api.create("a", &present("pm_card_visa", "https://shop.example/1")).await;
    let other = api.create("a", &present("pm_card_visa", "https://shop.example/2")).await;

    assert_eq!((first.status, id(&first.body)), (201, id(&again.body)));
    assert_problem(&other, 422, "idempotency_key_reused", Some("Idempotency-Key"));
}

#[tokio::test]
async fn a_session_is_said_whole_or_not_at_all() {
    let api = Api::sqlite();
    let shop = json!("https://shop.example");
    let long = json!(format!("https://shop.example/{}", "a".repeat(2028)));

    for (off_session, return_url, param, remedy) in [
        (json!(false), json!(null), "return_url", "where they come back to"),
        (json!(true), shop.clone(), "return_url", "off_session: false"),
        (json!(false), json!("/thanks"), "return_url", "absolute"),
        (json!(false), json!("ftp://shop.example"), "return_url", "absolute"),
        (json!(false), json!(""), "return_url", "absolute"),
        (json!(false), json!("https://me:secret@shop.example"), "return_url", "password"),
        (json!(false), json!("https://shop.example/4242424242424242"), "return_url", "card number"),
        (json!(false), long, "return_url", "2048"),
        (json!(false), json!(7), "return_url", "string"),
        (json!("false"), shop.clone(), "off_session", "boolean"),
        (json!(null), shop, "off_session", "boolean"),
    ] {
        let mut body = payment("pm_card_visa");
        body["off_session"] = off_session;
        body["return_url"] = return_url;
        let refused = api.create("a", &body).await;
        assert_problem(&refused, 422, "invalid_field", Some(param));
        let detail = refused.body["detail"].as_str().unwrap();
        assert!(detail.contains(remedy), "{body}: {detail:?} should say {remedy:?}");
    }
    assert!(api.list("").await.is_empty());
}

#[tokio::test]
async fn an_item_of_a_batch_may_have_its_customer_there() {
    let api = Api::sqlite();
    let mut asked = present("pm_card_authenticationRequired", "https://shop.example");
    asked["idempotency_key"] = json!("a");
    let mut wrong = payment("pm_card_visa");
    (wrong["idempotency_key"], wrong["off_session"]) = (json!("b"), json!(false));

    let taken =
        api.caller.post("/v1/payments/batch", None, &json!({ "payments": [asked, wrong] })).await.body;

    assert_eq!((&taken["accepted"], &taken["refused"]), (&json!(1), &json!(1)), "{taken}");
    assert_eq!(taken["data"][1]["error"]["param"], "return_url", "{taken}");
    let acting = api.caller.wait_for(&id(&taken["data"][0]["payment"]), "requires_action").await;
    assert!(acting["next_action"]["url"].is_string(), "{acting}");
}
