//! The facts of declines, from errors and from charges; and what Stripe wants us to wait for.

use super::*;
use crate::domain::decline::NOT_SENT_TO_NETWORK;

fn read_decline(body: &Value) -> Decline {
    let Reading::Answered(Answer { outcome: Outcome::Declined(decline), .. }) =
        stripe().read_charge(&payment(), Send::First, &reply(402, body))
    else {
        panic!("a decline is an answer")
    };
    decline
}

fn charge() -> Value {
    json!({
        "id": "ch_1", "object": "charge",
        "outcome": {
            "network_status": NOT_SENT_TO_NETWORK, "type": "blocked", "reason": "highest_risk_level",
            "risk_level": "highest", "network_advice_code": "03", "risk_score": 92, "rule": { "id": "ssr_1" },
        },
        "payment_method_details": { "type": "card", "card": {
            "brand": "visa", "funding": "debit", "fingerprint": "Xt5E", "network": "cartes_bancaires",
        } },
    })
}

#[test]
fn an_error_tells_of_the_card_and_of_the_networks_advice() {
    let mut body = decline(Some("ch_1"), &intent("requires_payment_method", None));
    body["error"]["network_advice_code"] = json!("02");
    body["error"]["payment_method"] =
        json!({ "id": "pm_1", "card": { "brand": "mastercard", "funding": "credit" } });

    let told = read_decline(&body);

    assert_eq!((told.network_advice.as_deref(), told.network()), (Some("02"), Some("mastercard")));
    assert_eq!(told.gateway.as_deref(), Some("stripe"));
    assert_eq!(told.outcome, None);
}

#[test]
fn a_charge_completes_a_decline_that_is_its_own() {
    let body = decline(Some("ch_1"), &intent("requires_payment_method", None));
    let mut told = read_decline(&body);
    let call = stripe().query_charge("ch_1").unwrap();

    assert_eq!((call.method, call.path.as_str()), ("GET", "/v1/charges/ch_1"));
    assert!(!stripe().complete_decline(&mut told, "ch_2", &reply(200, &charge())));
    assert!(!stripe().complete_decline(&mut told, "ch_1", &reply(404, &charge())));
    assert_eq!(told.outcome, None);
    assert!(stripe().complete_decline(&mut told, "ch_1", &reply(200, &charge())));
    let outcome = told.outcome.clone().unwrap();
    assert_eq!((outcome.kind.as_deref(), outcome.risk_level.as_deref()), (Some("blocked"), Some("highest")));
    assert!(!told.counts_at_the_network());
    let card = told.card.clone().unwrap();
    assert_eq!((card.funding.as_deref(), card.fingerprint.as_deref()), (Some("debit"), Some("Xt5E")));
    assert_eq!((told.network(), told.network_advice.as_deref()), (Some("cartes_bancaires"), Some("03")));
    assert_eq!(told.advice.as_deref(), Some("try_again_later"), "what the error said stays");
}

#[test]
fn an_intent_that_holds_its_charge_tells_all_of_it() {
    let mut body = with_error(intent("requires_payment_method", None));
    body["latest_charge"] = charge();
    body["last_payment_error"]["charge"] = json!("ch_1");
    let payment = Payment { operation: Some("pi_1".to_owned()), ..payment() };
    let tried = Tried::of(&payment, 1, at(0));
    let call = stripe().query(tried);

    let Finding::Answered(found) = stripe().read_query(tried, &call, &reply(200, &body)) else {
        panic!("it is there")
    };

    let Outcome::Declined(told) = found.outcome else { panic!("it is declined") };
    assert_eq!((found.charge.as_deref(), told.network_status()), (Some("ch_1"), Some(NOT_SENT_TO_NETWORK)));
    body["last_payment_error"]["charge"] = json!("ch_0");
    let Finding::Answered(found) = stripe().read_query(tried, &call, &reply(200, &body)) else {
        panic!("it is there")
    };
    let Outcome::Declined(told) = found.outcome else { panic!("it is declined") };
    assert_eq!(told.network_status(), None, "another attempt's charge tells nothing of this one");
}

#[test]
fn what_stripe_wants_us_to_wait_is_heeded_up_to_ten_minutes() {
    let asked = |value: &str| {
        let headers = BTreeMap::from([("retry-after".to_owned(), value.to_owned())]);
        stripe().retry_after(&Reply { headers, ..reply(429, &error("invalid_request_error", "rate_limit")) })
    };

    assert_eq!(asked("7"), Some(Duration::from_secs(7)));
    assert_eq!(asked("86400"), Some(Duration::from_mins(10)));
    assert_eq!([asked("soon"), asked("-1"), asked("")], [None; 3]);
}

#[test]
fn a_failure_of_which_stripe_says_that_it_stays_is_not_sent_again() {
    let failed = |retry: &str| {
        let headers = BTreeMap::from([("stripe-should-retry".to_owned(), retry.to_owned())]);
        let reply = Reply { headers, ..reply(500, &error("api_error", "")) };
        stripe().read_charge(&payment(), Send::Again, &reply)
    };

    assert!(matches!(failed("false"), Reading::StoredError(_)));
    assert!(matches!(failed("true"), Reading::Unknown(_)));
}

#[test]
fn a_demand_for_authentication_without_a_charge_is_not_the_failure_before() {
    let payment = second();
    let tried = Tried { earlier_charge: Some("ch_1"), ..Tried::of(&payment, 2, at(0)) };
    let mut body = with_error(intent("requires_payment_method", Some("ch_1")));
    body["last_payment_error"]["code"] = json!("authentication_required");
    body["last_payment_error"]["decline_code"] = json!("authentication_required");
    let call = stripe().query(tried);

    let Finding::Answered(found) = stripe().read_query(tried, &call, &reply(200, &body)) else {
        panic!("it is there")
    };

    let Outcome::Declined(told) = found.outcome else { panic!("it is declined") };
    assert_eq!((told.code.as_str(), found.charge), ("authentication_required", None));
}
