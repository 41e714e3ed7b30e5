//! Stories over recorded timelines, as a person reads them.

use super::*;
use insta::assert_snapshot;
use serde_json::{Value, json};

const ID: &str = "pay_01a2017fd2f772a9a64feb5fe20d6d71";

fn payment(status: &str, more: &Value) -> Value {
    let mut payment = json!({
        "id": ID, "status": status, "amount": 1250, "currency": "EUR", "amount_refunded": 0, "amount_refunding": 0,
        "customer": "cus_1", "reference": "INV-7", "description": null, "off_session": true, "capture": "now",
        "method": { "type": "card", "payment_method": "pm_1" }, "gateway": "acme", "attempt_count": 1,
        "next_attempt_at": null, "failure": null, "next_action": null, "review_reason": null, "livemode": true,
    });
    for (field, value) in more.as_object().unwrap() {
        payment[field] = value.clone();
    }
    payment
}

fn step(
    at: &str,
    cause: &str,
    [to, attempt_to]: [&str; 2],
    detail: &str,
    exchange: impl Into<Value>,
) -> Value {
    json!({
        "object": "transition", "at": format!("2026-11-{at}Z"), "to": to, "attempt": 1, "attempt_to": attempt_to,
        "refund": null, "cause": cause, "detail": detail, "actor": "worker",
        "exchange": exchange.into(),
    })
}

fn exchange(at: &str, id: &str, kind: &str, resend: bool, verdict: &str) -> Value {
    json!({
        "object": "exchange", "id": id, "kind": kind, "resend": resend, "at": format!("2026-11-{at}Z"),
        "verdict": verdict,
    })
}

fn job(kind: &str, due_at: &str) -> Value {
    json!({
        "id": "job_1", "kind": kind, "state": "live", "due_at": format!("2026-11-{due_at}Z"), "leased": false,
        "last_error": null, "parked_reason": null,
    })
}

fn tell(facts: Value) -> String {
    let facts: Facts = serde_json::from_value(facts).unwrap();
    let now = "2026-11-22T12:00:00Z".parse().unwrap();
    facts.tell(Some(now), Paint::plain()).join("\n")
}

fn decline() -> Value {
    json!({ "code": "insufficient_funds", "network_code": "51", "advice": "try_again_later",
        "message": "Your card has insufficient funds." })
}

fn beginning() -> [Value; 2] {
    let mut created = step("22T04:24:44.02", "created", ["pending", ""], "accepted", Value::Null);
    created["actor"] = "key_1".into();
    let due =
        step("22T04:24:44.05", "due", ["processing", "sending"], "attempt 1 begins at acme", json!("exc_1"));
    [created, due]
}

#[test]
fn a_decline_is_told_with_what_follows() {
    let [created, due] = beginning();
    let detail = "insufficient_funds is soft_funds (policy 3): retry 1 of 6 after 24 h";
    let told = tell(json!({
        "payment": payment("retrying", &json!({ "next_attempt_at": "2026-11-23T04:54:43.9Z", "failure": decline() })),
        "attempts": [{ "number": 1, "status": "declined", "gateway_charge": "ch_1", "decline": decline() }],
        "timeline": [
            created, exchange("22T04:24:44.05", "exc_1", "create", false, "declined: insufficient_funds"), due,
            step("22T04:24:44.08", "answered", ["retrying", "declined"], detail, json!("exc_1")),
        ],
        "jobs": [job("retry", "23T04:54:43.9")],
        "refunds": [],
    }));

    assert_snapshot!(told);
}

#[test]
fn a_doubt_is_told_with_its_questions_and_with_what_not_to_do() {
    let [created, due] = beginning();
    let told = tell(json!({
        "payment": payment("needs_review", &json!({
            "review_reason": "the outcome of attempt 1 is unknown for 24 h" })),
        "attempts": [{ "number": 1, "status": "unknown", "gateway_charge": null, "decline": null }],
        "timeline": [
            created, exchange("22T04:24:44.05", "exc_1", "create", false, "unknown: timed out"), due,
            step("22T04:25:14.05", "lost", ["processing", "unknown"], "no answer within 30 s", json!("exc_1")),
            exchange("22T04:25:19", "exc_2", "create", true, "unknown: timed out"),
            exchange("22T04:25:49", "exc_3", "query", false, "absent"),
            exchange("22T04:27:49", "exc_4", "query", false, "absent"),
            exchange("22T04:37:49", "exc_5", "query", false, "unknown: HTTP 503"),
            step("22T11:25:14", "review", ["needs_review", "unknown"], "the outcome of attempt 1 is unknown", Value::Null),
            { "object": "delivery", "at": "2026-11-22T11:25:15Z" },
        ],
        "jobs": [job("reconcile", "22T16:00:00"), {
            "id": "job_2", "kind": "charge", "state": "parked", "due_at": "2026-11-22T04:24:44Z", "leased": false,
            "last_error": null, "parked_reason": "quarantined: its worker vanished 3 times in a row",
        }],
        "refunds": [],
    }));

    assert_snapshot!(told);
}

#[test]
fn a_paid_payment_is_told_with_what_went_back() {
    let [created, due] = beginning();
    let refund = |at: &str, cause: &str, detail: &str, exchange: Value| {
        let mut step = step(at, cause, ["succeeded", "succeeded"], detail, exchange);
        step["refund"] = "rfd_1".into();
        step
    };
    let told = tell(json!({
        "payment": payment("succeeded", &json!({ "amount_refunded": 500, "amount_refunding": 250 })),
        "attempts": [{ "number": 1, "status": "succeeded", "gateway_charge": "ch_1", "decline": null }],
        "timeline": [
            created, exchange("22T04:24:44.05", "exc_1", "create", false, "unknown: cut"), due,
            step("22T04:24:44.09", "lost", ["processing", "unknown"], "the connection was cut", json!("exc_1")),
            exchange("22T04:24:49", "exc_2", "create", true, "succeeded"),
            step("22T04:24:49.1", "answered", ["succeeded", "succeeded"], "the gateway captured it", json!("exc_2")),
            refund("22T05:00:00", "refund_created", "a refund of 5.00 EUR is asked for", Value::Null),
            refund("22T05:00:00.2", "refund_answered", "5.00 EUR went back", json!("exc_3")),
        ],
        "jobs": [],
        "refunds": [
            { "id": "rfd_1", "status": "succeeded", "amount": 500, "currency": "EUR", "reason": "broken",
                "failure": null, "review_reason": null },
            { "id": "rfd_2", "status": "unknown", "amount": 250, "currency": "EUR", "reason": null,
                "failure": null, "review_reason": null },
        ],
    }));

    assert_snapshot!(told);
}

#[test]
fn every_status_says_how_it_stands() {
    let stands = |payment: Value, attempt: &str| {
        let attempts = json!([{ "number": 1, "status": attempt, "gateway_charge": null, "decline": null }]);
        let told = tell(json!({
            "payment": payment, "attempts": attempts, "timeline": [], "refunds": [],
            "jobs": [job("charge", "22T11:00:00"), job("reconcile", "22T12:00:30")],
        }));
        told.lines().nth(5).unwrap().to_owned()
    };

    for (status, attempt, word) in [
        ("pending", "rejected", "It waits for attempt 2, now."),
        ("processing", "sending", "on its way"),
        ("processing", "planned", "never left"),
        ("processing", "unknown", "NOT KNOWN"),
        ("processing", "pending", "accepted attempt 1"),
        ("requires_action", "requires_action", "no address"),
        ("requires_action", "declined", "Only the customer can mend it"),
        ("failed", "declined", "not tried again by itself"),
        ("canceled", "canceled", "canceled"),
        ("something_new", "declined", "something_new"),
    ] {
        let told = stands(payment(status, &json!({})), attempt);
        assert!(told.contains(word), "{status}, {attempt}: {told}");
    }
    let url = payment("requires_action", &json!({ "next_action": { "url": "https://bank" } }));
    assert_eq!(stands(url, "requires_action"), "The customer has to act, at https://bank");
}

#[test]
fn a_deferred_payment_is_told_with_the_command_that_charges_it() {
    let [created, _] = beginning();
    let told = tell(json!({
        "payment": payment("pending", &json!({ "capture": "deferred", "attempt_count": 0 })),
        "attempts": [], "timeline": [created], "jobs": [], "refunds": [],
    }));

    assert!(told.contains(&format!("as by `dunlin payments process {ID}`")), "{told}");
}

#[test]
fn what_people_say_of_an_outcome_is_told_with_what_follows() {
    let [created, due] = beginning();
    let proposal = "canceled is proposed: support found nothing (evidence: ticket 1)";
    let mut told = vec![created, due];
    for (at, cause, states, detail, actor) in [
        ("22T04:25:14", "lost", ["processing", "unknown"], "no answer", "worker"),
        ("23T04:25:14", "review", ["needs_review", "unknown"], "unknown for 24 h", "worker"),
        ("23T05:00:00", "hurry", ["needs_review", "unknown"], "the reconcile job_1 is to run now", "key_1"),
        ("23T06:00:00", "resolve", ["needs_review", "unknown"], proposal, "key_1"),
        (
            "23T07:00:00",
            "resolve",
            ["canceled", "canceled"],
            "canceled is approved; key_1 proposed it",
            "key_2",
        ),
    ] {
        let mut step = step(at, cause, states, detail, Value::Null);
        step["actor"] = actor.into();
        told.push(step);
    }
    let told = tell(json!({
        "payment": payment("canceled", &json!({})),
        "attempts": [{ "number": 1, "status": "canceled", "gateway_charge": null, "decline": null }],
        "timeline": told, "jobs": [], "refunds": [],
    }));

    assert_snapshot!(told);
}

#[test]
fn a_proposal_is_told_to_whoever_might_agree() {
    let proposal = json!({
        "id": "res_01a2017fd2f772a9a64feb5fe20d6d71", "outcome": "charge_again", "reason": "support found nothing", "evidence": "ticket 1", "approved_by": null,
        "proposed_by": "key_01a2017fd2f772a9a64feb5fe20d6d71", "proposed_at": "2026-11-22T11:00:00Z", "resolved_at": null,
    });
    let told = tell(json!({
        "payment": payment("needs_review", &json!({ "review_reason": "unknown for 24 h", "resolution": proposal })),
        "attempts": [{ "number": 1, "status": "unknown", "gateway_charge": null, "decline": null }],
        "timeline": [], "jobs": [], "refunds": [],
    }));

    for words in [
        "key_01a2017fd2f772a9a64feb5fe20d6d71 proposes charge_again: support found nothing (evidence: ticket 1).",
        &format!(
            "Who agrees: `dunlin unknown resolve {ID} --outcome charge_again --approve res_01a2017fd2f772a9a64feb5fe20d6d71`."
        ),
    ] {
        assert!(told.contains(words), "{words:?} is missing: {told}");
    }
}
