//! The menu of faults: what each does to the work, and what the caller sees, by card and by order alike.

use crate::caller::{Caller, answer, bank, caller, charge};
use dunlin_sandbox::{Closing, Manner, Outcome};
use serde_json::Value;
use std::time::Duration;

const KEY: Option<&str> = Some("k1");
const PATH: &str = "/v1/payment_intents";

/// Sends the same charge twice under one key, with the fault in the first exchange: the outcome of both, and
/// how many captures there were after each.
fn twice(fault: &str, how: How) -> ((Outcome, Value), (Outcome, Value)) {
    let bank = bank();
    let caller = caller(&bank);
    let card = match how {
        How::Card => format!("pm_sandbox_{fault}"),
        How::Order => {
            assert_eq!(
                caller.order(&format!(r#"{{"fault": "{fault}", "times": 1}}"#)).status,
                200,
                "{fault}"
            );
            "pm_card_visa".to_owned()
        }
        How::Rate => {
            let rate = format!(r#"{{"seed": 1, "rate": 1, "menu": ["{fault}"]}}"#);
            assert_eq!(caller.order(&rate).status, 200, "{fault}");
            "pm_card_visa".to_owned()
        }
    };
    let send = |caller: &Caller<'_>| (caller.send("POST", PATH, KEY, &charge(&card)), caller.captures());
    let first = send(&caller);
    caller.send("DELETE", "/_sandbox/faults", None, "");
    (first, send(&caller))
}

#[derive(Debug, Clone, Copy)]
enum How {
    Card,
    Order,
    Rate,
}

/// These begin with the order itself, and not with a request.
const CLOSED: [&str; 2] = ["refuse_connect_50", "reset_on_accept_50"];

const EVERY_WAY: [How; 3] = [How::Card, How::Order, How::Rate];

fn status(outcome: &Outcome) -> Option<u16> {
    outcome.clone().into_reply().map(|reply| reply.status)
}

#[test]
fn what_is_refused_is_not_executed_and_a_resend_is() {
    let refusals = [
        ("cut_before", None),
        ("reset_before", None),
        ("refuse_connect_50", None),
        ("reset_on_accept_50", None),
        ("error_before", Some(500)),
        ("unavailable_before", Some(503)),
        ("rate_limited", Some(429)),
        ("lock_timeout", Some(429)),
        ("key_in_use", Some(409)),
        ("key_reused", Some(400)),
        ("revoked", Some(401)),
        ("redirect", Some(307)),
        ("forbidden", Some(403)),
        ("version_refused", Some(400)),
        ("unheard_of", Some(400)),
    ];

    for (fault, expected) in refusals {
        for how in EVERY_WAY {
            if CLOSED.contains(&fault) && matches!(how, How::Order) {
                continue;
            }
            let ((first, before), (second, after)) = twice(fault, how);

            assert_eq!(status(&first), expected, "{fault} {how:?}");
            assert_eq!(before, 0, "{fault} {how:?}");
            assert_eq!(status(&second), Some(200), "{fault} {how:?}");
            assert_eq!(after, 1, "{fault} {how:?}");
        }
    }
}

#[test]
fn what_is_damaged_is_executed_and_a_resend_learns_of_it() {
    let damages = [
        ("cut_after", None),
        ("reset_after", None),
        ("torn", None),
        ("late_1", Some(200)),
        ("drip_1", Some(200)),
        ("garbage", Some(200)),
        ("truncated", Some(200)),
        ("wrong_currency", Some(200)),
        ("error_masked", Some(500)),
        ("unavailable_after", Some(503)),
        ("key_in_use_after", Some(409)),
        ("unlisted_60", None),
    ];

    for (fault, expected) in damages {
        for how in EVERY_WAY {
            let ((first, before), (second, after)) = twice(fault, how);

            assert_eq!(status(&first), expected, "{fault} {how:?}");
            assert_eq!(before, 1, "{fault} {how:?}");
            let second = answer(second);
            assert_eq!((second.status, &second.body["currency"]), (200, &"usd".into()), "{fault} {how:?}");
            assert!(second.is_replay(), "{fault} {how:?}");
            assert_eq!(after, 1, "{fault} {how:?}");
        }
    }
}

#[test]
fn a_500_may_be_stored_whether_or_not_anything_was_executed() {
    for (fault, captures) in [("error_after", 1), ("error_stored", 0)] {
        for how in EVERY_WAY {
            let ((first, before), (second, after)) = twice(fault, how);

            assert_eq!((status(&first), status(&second)), (Some(500), Some(500)), "{fault} {how:?}");
            assert!(answer(second).is_replay(), "{fault} {how:?}");
            assert_eq!((before, after), (captures.into(), captures.into()), "{fault} {how:?}");
        }
    }
}

#[test]
fn a_forgotten_key_lets_a_resend_charge_again() {
    for how in EVERY_WAY {
        let ((first, before), (_, after)) = twice("forgotten", how);

        assert_eq!(first, Outcome::Cut);
        assert_eq!((before, after), (1.into(), 2.into()), "{how:?}");
    }
}

#[test]
fn a_busy_key_is_in_use_until_its_time_has_passed() {
    let bank = bank();
    let caller = caller(&bank);
    let body = charge("pm_sandbox_busy_30");

    let first = caller.create_under("k1", &body);
    let meanwhile = answer(caller.create_under("k1", &body));
    caller.travel(30);
    let afterwards = answer(caller.create_under("k1", &body));

    assert!(matches!(first, Outcome::Late(_, delay) if delay == Duration::from_secs(30)));
    assert_eq!((meanwhile.status, &meanwhile.body["error"]["code"]), (409, &"idempotency_key_in_use".into()));
    assert_eq!(afterwards.status, 200);
    assert!(afterwards.is_replay());
    assert_eq!(caller.captures(), 1);
}

#[test]
fn a_wrong_amount_is_taken_and_a_wrong_currency_only_said() {
    for how in EVERY_WAY {
        let ((amount, _), _) = twice("wrong_amount", how);
        let ((currency, _), _) = twice("wrong_currency", how);

        assert_eq!(answer(amount).body["amount_received"], 1001, "{how:?}");
        assert_eq!(answer(currency).body["currency"], "eur", "{how:?}");
    }
}

#[test]
fn a_damaged_body_is_not_the_whole_truth() {
    let ((garbage, _), _) = twice("garbage", How::Order);
    let ((truncated, _), (whole, _)) = twice("truncated", How::Order);
    let body = |outcome: Outcome| outcome.into_reply().unwrap().body;

    assert!(serde_json::from_slice::<Value>(&body(garbage)).is_err());
    let (truncated, whole) = (body(truncated), body(whole));
    assert!(serde_json::from_slice::<Value>(&truncated).is_err());
    assert!(whole.starts_with(&truncated));
}

#[test]
fn a_refusal_has_the_shape_of_stripes() {
    let cases = [
        ("rate_limited", "invalid_request_error", Value::from("rate_limit")),
        ("lock_timeout", "invalid_request_error", "lock_timeout".into()),
        ("key_in_use", "idempotency_error", "idempotency_key_in_use".into()),
        ("key_reused", "idempotency_error", Value::Null),
        ("revoked", "invalid_request_error", "api_key_expired".into()),
        ("error_before", "api_error", Value::Null),
        ("forbidden", "invalid_request_error", Value::Null),
        ("version_refused", "invalid_request_error", Value::Null),
        ("unheard_of", "invalid_request_error", "unheard_of".into()),
    ];

    for (fault, kind, code) in cases {
        let ((outcome, _), _) = twice(fault, How::Order);
        let error = answer(outcome).body["error"].clone();

        assert_eq!((&error["type"], &error["code"]), (&kind.into(), &code), "{fault}");
    }
}

#[test]
fn a_closed_door_is_told_apart_from_a_cut_line() {
    let ((deaf, _), _) = twice("refuse_connect_50", How::Card);
    let ((resetting, _), _) = twice("reset_on_accept_50", How::Card);
    let pause = Duration::from_millis(50);

    assert_eq!(deaf, Outcome::Closed(None, Closing { manner: Manner::Deaf, pause }));
    assert_eq!(resetting, Outcome::Closed(None, Closing { manner: Manner::Resetting, pause }));
}
