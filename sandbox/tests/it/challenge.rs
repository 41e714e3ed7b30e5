//! The page that asks the customer, and where its two buttons lead.

use crate::caller::{Caller, answer, bank, caller, charge};
use dunlin_sandbox::{Bank, Outcome, Reply, Request};
use serde_json::json;

fn visit(bank: &Bank, method: &str, url: &str, body: &str) -> Reply {
    let path = url.strip_prefix("https://sandbox.invalid").unwrap().to_owned();
    let (method, body) = (method.to_owned(), body.as_bytes().to_vec());
    let outcome = bank.handle(&Request { method, path, body, ..Request::default() });
    let Outcome::Reply(reply) = outcome else { panic!("{outcome:?}") };
    reply
}

fn asked(caller: &Caller<'_>, more: &str) -> (String, String) {
    let created = caller.create(&format!("{}{more}", charge("pm_card_authenticationRequired")));
    let url = created.body["next_action"]["redirect_to_url"]["url"].as_str().unwrap().to_owned();
    (created.id(), url)
}

#[test]
fn approving_takes_the_money_once_and_leads_back_to_the_shop() {
    let bank = bank();
    let caller = caller(&bank);
    let (id, url) = asked(&caller, "&return_url=https://shop.test/back?cart=7%23end");

    let approved = visit(&bank, "POST", &url, "answer=approve");
    let again = visit(&bank, "POST", &url, "answer=approve");

    assert_eq!((approved.status, again.status), (303, 410));
    let location = approved.header("location").unwrap();
    let expected = format!(
        "https://shop.test/back?cart=7&payment_intent={id}&payment_intent_client_secret={id}_secret_"
    );
    assert!(location.starts_with(&expected), "{location}");
    assert!(location.ends_with("&redirect_status=succeeded#end"), "{location}");
    assert_eq!(caller.retrieve(&id).body["status"], "succeeded");
    assert_eq!(caller.captures(), 1);
}

#[test]
fn refusing_fails_the_attempt_without_a_charge() {
    let bank = bank();
    let caller = caller(&bank);
    let (id, url) = asked(&caller, "");

    let refused = visit(&bank, "POST", &url, "answer=refuse");

    let intent = caller.retrieve(&id).body;
    assert_eq!(refused.status, 200);
    assert_eq!(intent["status"], "requires_payment_method");
    assert_eq!(intent["last_payment_error"]["code"], "payment_intent_authentication_failure");
    assert_eq!(intent["last_payment_error"]["type"], "invalid_request_error");
    assert_eq!((&intent["latest_charge"], &intent["next_action"]), (&json!(null), &json!(null)));
    assert_eq!(caller.captures(), 0);
}

#[test]
fn a_card_may_decline_after_the_customer_approved() {
    let bank = bank();
    let caller = caller(&bank);
    let created = caller.create(&charge("pm_card_threeDSecureRequiredChargeDeclined"));
    let url = created.body["next_action"]["redirect_to_url"]["url"].as_str().unwrap();

    visit(&bank, "POST", url, "answer=approve");

    let intent = caller.retrieve(&created.id()).body;
    assert_eq!(intent["last_payment_error"]["decline_code"], "generic_decline");
    assert_eq!(caller.captures(), 0);
}

#[test]
fn the_page_loads_nothing_and_has_two_buttons() {
    let bank = bank();
    let (_, url) = asked(&caller(&bank), "");

    let page = visit(&bank, "GET", &url, "");

    let text = String::from_utf8(page.body.clone()).unwrap();
    assert_eq!(text.matches("<button type=\"submit\"").count(), 2);
    for word in ["<script", "src=", "href=", "@import", "url("] {
        assert!(!text.contains(word), "{word}");
    }
    assert!(text.contains("<html lang=\"en\">") && text.contains("<h1>") && text.contains("<main>"));
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
}

#[test]
fn looking_decides_nothing_and_nonsense_neither() {
    let bank = bank();
    let caller = caller(&bank);
    let (id, url) = asked(&caller, "");

    visit(&bank, "GET", &url, "");
    let nonsense = visit(&bank, "POST", &url, "answer=maybe");
    let strange = visit(&bank, "GET", &format!("{url}x"), "");

    assert_eq!((nonsense.status, strange.status), (400, 404));
    assert_eq!(caller.retrieve(&id).body["status"], "requires_action");
}

#[test]
fn a_canceled_intent_does_not_ask_any_more() {
    let bank = bank();
    let caller = caller(&bank);
    let (id, url) = asked(&caller, "");
    caller.post(&format!("/v1/payment_intents/{id}/cancel"), "");

    let approved = visit(&bank, "POST", &url, "answer=approve");

    assert_eq!(approved.status, 410);
    assert_eq!(caller.captures(), 0);
}

#[test]
fn the_page_is_where_the_caller_reached_the_bank() {
    let bank = bank();
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let headers = vec![header("authorization", "Bearer sk_test_x"), header("host", "localhost:12111")];
    let (method, path) = ("POST".to_owned(), "/v1/payment_intents".to_owned());
    let body = charge("pm_card_authenticationRequired").into_bytes();

    let created = answer(bank.handle(&Request { method, path, headers, body, ..Request::default() }));

    let url = created.body["next_action"]["redirect_to_url"]["url"].as_str().unwrap();
    assert!(url.starts_with("http://localhost:12111/challenge/pi_"), "{url}");
}

#[test]
fn a_return_url_that_is_none_is_refused() {
    let bank = bank();

    for url in ["back", "https://shop.test/a%0d%0ax: y", "https://shop.test/a b"] {
        let refused =
            caller(&bank).create(&format!("{}&return_url={url}", charge("pm_card_authenticationRequired")));
        assert_eq!((refused.status, &refused.body["error"]["code"]), (400, &"url_invalid".into()), "{url}");
    }
}
