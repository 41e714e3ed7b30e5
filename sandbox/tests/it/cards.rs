//! What each test card answers.

use crate::caller::{bank, caller, charge};
use serde_json::json;

#[test]
fn an_approved_card_is_captured_once_and_in_full() {
    let bank = bank();
    let caller = caller(&bank);

    for card in ["pm_card_visa", "pm_card_mastercard"] {
        let answer = caller.create(&charge(card));

        assert_eq!(answer.status, 200);
        assert_eq!(answer.body["status"], "succeeded");
        assert_eq!(answer.body["amount_received"], 1000);
        assert_eq!(answer.body["payment_method"], card);
        assert!(answer.body["latest_charge"].as_str().unwrap().starts_with("ch_"));
    }
    assert_eq!(caller.captures(), 2);
}

#[test]
fn each_declining_card_says_why_as_stripe_does() {
    let cases = [
        ("pm_card_visa_chargeDeclined", "card_declined", json!("generic_decline"), json!("01")),
        (
            "pm_card_visa_chargeDeclinedInsufficientFunds",
            "card_declined",
            json!("insufficient_funds"),
            json!("51"),
        ),
        ("pm_card_visa_chargeDeclinedLostCard", "card_declined", json!("lost_card"), json!("41")),
        ("pm_card_visa_chargeDeclinedStolenCard", "card_declined", json!("stolen_card"), json!("43")),
        (
            "pm_card_visa_chargeDeclinedVelocityLimitExceeded",
            "card_declined",
            json!("card_velocity_exceeded"),
            json!("61"),
        ),
        ("pm_card_chargeDeclinedFraudulent", "card_declined", json!("fraudulent"), json!("59")),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", json!(null), json!("54")),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", json!(null), json!("N7")),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", json!(null), json!("96")),
    ];
    let bank = bank();
    let caller = caller(&bank);

    for (card, code, decline_code, network) in cases {
        let answer = caller.create(&charge(card));
        let error = &answer.body["error"];

        assert_eq!(answer.status, 402, "{card}");
        assert_eq!(error["type"], "card_error", "{card}");
        assert_eq!(error["code"], code, "{card}");
        assert_eq!(error["decline_code"], decline_code, "{card}");
        assert_eq!(error["network_decline_code"], network, "{card}");
        assert_eq!(error["payment_method"]["id"], card);
        assert_eq!(error["payment_intent"]["status"], "requires_payment_method", "{card}");
        assert_eq!(error["payment_intent"]["last_payment_error"]["code"], code, "{card}");
        assert_eq!(error["payment_intent"]["latest_charge"], error["charge"], "{card}");
    }
    assert_eq!(caller.captures(), 0);
}

#[test]
fn advice_tells_a_card_to_retry_from_one_to_give_up() {
    let bank = bank();
    let advice = |card| caller(&bank).create(&charge(card)).body["error"]["advice_code"].clone();

    assert_eq!(advice("pm_card_visa_chargeDeclinedInsufficientFunds"), "try_again_later");
    assert_eq!(advice("pm_card_visa_chargeDeclinedStolenCard"), "do_not_try_again");
    assert_eq!(advice("pm_card_chargeDeclinedExpiredCard"), "confirm_card_data");
}

#[test]
fn a_field_that_does_not_apply_is_absent() {
    let bank = bank();

    let answer = caller(&bank).create(&charge("pm_card_chargeDeclinedExpiredCard"));

    let error = answer.body["error"].as_object().unwrap();
    assert!(!error.contains_key("decline_code"));
    assert!(!error.contains_key("network_advice_code"));
}

#[test]
fn a_card_that_wants_its_owner_is_declined_off_session() {
    let bank = bank();
    let caller = caller(&bank);

    for how in ["off_session=true", "error_on_requires_action=true"] {
        let answer = caller.create(&format!("{}&{how}", charge("pm_card_authenticationRequired")));

        assert_eq!(answer.status, 402);
        assert_eq!(answer.body["error"]["code"], "authentication_required");
        assert_eq!(answer.body["error"]["decline_code"], "authentication_required");
        assert_eq!(answer.body["error"]["payment_intent"]["status"], "requires_payment_method");
    }
}

#[test]
fn a_card_that_wants_its_owner_asks_for_action_on_session() {
    let bank = bank();
    let body = format!("{}&return_url=https://shop.test/back", charge("pm_card_authenticationRequired"));

    let answer = caller(&bank).create(&body);

    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["status"], "requires_action");
    assert_eq!(answer.body["next_action"]["type"], "redirect_to_url");
    assert_eq!(answer.body["next_action"]["redirect_to_url"]["return_url"], "https://shop.test/back");
    assert_eq!(caller(&bank).captures(), 0);
}

#[test]
fn a_counted_card_declines_an_intent_n_times_and_then_approves() {
    let cases = [
        ("pm_sandbox_insufficient_funds_2", "insufficient_funds", "51"),
        ("pm_sandbox_try_again_later_2", "try_again_later", "91"),
        ("pm_sandbox_do_not_honor_2", "do_not_honor", "05"),
    ];
    let bank = bank();
    let caller = caller(&bank);

    for (card, decline_code, network) in cases {
        let first = caller.create(&charge(card));
        let id = first.body["error"]["payment_intent"]["id"].as_str().unwrap().to_owned();
        let second = caller.confirm(&id, &format!("payment_method={card}"));
        let third = caller.confirm(&id, &format!("payment_method={card}"));

        for declined in [&first, &second] {
            assert_eq!(declined.status, 402);
            assert_eq!(declined.body["error"]["decline_code"], decline_code);
            assert_eq!(declined.body["error"]["network_decline_code"], network);
        }
        assert_ne!(first.body["error"]["charge"], second.body["error"]["charge"]);
        assert_eq!(third.body["status"], "succeeded");
        assert_eq!(third.body["last_payment_error"], json!(null));
    }
    assert_eq!(caller.captures(), 3);
}

#[test]
fn an_unknown_card_is_no_payment_method() {
    let bank = bank();

    let answer = caller(&bank).create(&charge("pm_1NotHere"));

    assert_eq!(answer.status, 400);
    assert_eq!(answer.body["error"]["code"], "resource_missing");
    assert_eq!(answer.body["error"]["param"], "payment_method");
    assert_eq!(answer.body["error"]["message"], "No such PaymentMethod: 'pm_1NotHere'");
    assert_eq!(caller(&bank).get("/_sandbox/ledger").body["intents"], 0);
}
