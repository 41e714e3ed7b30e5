//! What Stripe does beside the charge: currencies, versions, headers, and cards that cannot be attached.

use crate::caller::{START, bank, caller, charge};
use dunlin_sandbox::{Bank, Request};

#[test]
fn an_amount_that_its_currency_does_not_take_is_refused_and_named() {
    let cases = [
        ("49", "usd", "amount_too_small"),
        ("1255", "kwd", "parameter_invalid_integer"),
        ("550", "isk", "parameter_invalid_integer"),
        ("501", "ugx", "parameter_invalid_integer"),
        ("100000000", "jpy", "amount_too_large"),
    ];
    let bank = bank();
    let create = |amount, currency| caller(&bank).create(&format!("amount={amount}&currency={currency}"));

    for (amount, currency, code) in cases {
        let answer = create(amount, currency);

        assert_eq!(answer.status, 400, "{amount} {currency}");
        assert_eq!(answer.body["error"]["code"], code, "{amount} {currency}");
        assert_eq!(answer.body["error"]["param"], "amount");
        assert!(answer.body["error"]["doc_url"].as_str().unwrap().ends_with(&code.replace('_', "-")));
    }
    assert_eq!(create("1000", "xyz").body["error"]["param"], "currency");
    assert_eq!(create("50", "jpy").status, 200);
}

fn asked(bank: &Bank, version: Option<&str>) -> dunlin_sandbox::Reply {
    let mut headers = vec![("authorization".to_owned(), "Bearer sk_test_x".to_owned())];
    headers.extend(version.map(|version| ("stripe-version".to_owned(), version.to_owned())));
    let (method, path) = ("GET".to_owned(), "/v1/payment_intents".to_owned());
    bank.handle(&Request { method, path, headers, ..Request::default() }).into_reply().unwrap()
}

#[test]
fn a_version_that_never_was_is_refused_and_a_missing_one_is_the_accounts() {
    let bank = Bank::simulated(1, START);

    assert_eq!(asked(&bank, Some("2025-03-31.basil")).header("stripe-version"), Some("2025-03-31.basil"));
    assert_eq!(asked(&bank, None).header("stripe-version"), Some("2025-01-27.acacia"));
    assert_eq!(asked(&bank, Some("2026-08-27.basil")).status, 400);
}

#[test]
fn an_error_says_whether_to_send_it_again() {
    let cases = [
        ("pm_card_chargeDeclined", "false"),
        ("pm_sandbox_rate_limited", "false"),
        ("pm_sandbox_error_stored", "false"),
        ("pm_sandbox_error_after", "false"),
        ("pm_sandbox_error_before", "true"),
        ("pm_sandbox_lock_timeout", "true"),
        ("pm_sandbox_key_in_use", "true"),
        ("pm_sandbox_unavailable_before", "true"),
    ];
    let bank = bank();

    for (card, expected) in cases {
        let reply = caller(&bank).create_under(card, &charge(card)).into_reply().unwrap();
        assert_eq!(reply.header("stripe-should-retry"), Some(expected), "{card}");
    }
    let limited =
        caller(&bank).create_under("other", &charge("pm_sandbox_rate_limited")).into_reply().unwrap();
    assert_eq!(limited.header("stripe-rate-limited-reason"), Some("global-rate"));
}

#[test]
fn a_card_that_declines_cannot_be_attached() {
    let bank = bank();
    let caller = caller(&bank);
    let customer = caller.post("/v1/customers", "").id();
    let attach = |card: &str| {
        caller.post(&format!("/v1/payment_methods/{card}/attach"), &format!("customer={customer}"))
    };

    let declined = attach("pm_card_visa_chargeDeclinedLostCard");
    let attached = attach("pm_card_chargeCustomerFail");

    assert_eq!(declined.status, 402);
    assert_eq!(declined.body["error"]["type"], "card_error");
    assert_eq!(declined.body["error"]["decline_code"], "lost_card");
    assert_eq!(attached.status, 200);
}

#[test]
fn a_card_that_was_set_up_pays_off_session_and_asks_on_session() {
    let bank = bank();
    let body = charge("pm_card_authenticationRequiredSetupForOffSession");

    let alone = caller(&bank).create(&format!("{body}&off_session=true"));
    let present = caller(&bank).create(&body);

    assert_eq!(alone.body["status"], "succeeded");
    assert_eq!(present.body["status"], "requires_action");
    assert_eq!(caller(&bank).captures(), 1);
}
