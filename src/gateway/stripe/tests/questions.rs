//! What is asked about an attempt, how its operation is canceled, and what the answers to that prove.

use super::*;
use crate::{
    domain::attempt::{Attempt, AttemptStatus, Origin},
    gateway::Wanted,
};
use dunlin_jobs::AttemptId;

fn tried<'a>(payment: &'a Payment, n: u32, earlier_charge: Option<&'a str>) -> Tried<'a> {
    Tried { earlier_charge, ..Tried::of(payment, n, at(0)) }
}

fn ask(tried: Tried<'_>, status: u16, body: &Value) -> Finding {
    let stripe = stripe();
    stripe.read_query(tried, &stripe.query(tried), &reply(status, body))
}

// S1.9
#[test]
fn an_intent_that_is_known_is_asked_for_by_its_id() {
    let payment = second();
    let tried = tried(&payment, 2, Some("ch_1"));

    let call = stripe().query(tried);

    assert_eq!(
        (call.kind, call.method, call.path.as_str()),
        (ExchangeKind::Query, "GET", "/v1/payment_intents/pi_1?expand%5B%5D=latest_charge")
    );
    assert_eq!(call.idempotency_key, None);
    let succeeded = Finding::Answered(answer(Some("ch_2"), Outcome::Succeeded));
    assert_eq!(ask(tried, 200, &intent("succeeded", Some("ch_2"))), succeeded);
    assert_eq!(ask(tried, 200, &intent("canceled", None)), Finding::Canceled);
    for status in [401, 404, 429, 500] {
        assert!(matches!(ask(tried, status, &error("api_error", "")), Finding::Nothing(_)), "{status}");
    }
    assert!(matches!(ask(tried, 200, &json!("HTML")), Finding::Nothing(_)));
    assert!(matches!(ask(tried, 200, &intent("brand_new", None)), Finding::Nothing(_)));
}

// S1.17
#[test]
fn the_failure_of_the_charge_before_is_no_answer() {
    let payment = second();
    let failed = |charge| with_error(intent("requires_payment_method", Some(charge)));

    let earlier = ask(tried(&payment, 2, Some("ch_1")), 200, &failed("ch_1"));
    let own = ask(tried(&payment, 2, Some("ch_1")), 200, &failed("ch_2"));

    assert_eq!(earlier, Finding::Absent);
    assert_eq!(own, Finding::Answered(answer(Some("ch_2"), no_funds())));
}

// S1.17
#[test]
fn who_fails_to_authenticate_leaves_a_failure_without_a_charge() {
    let attempt = Attempt {
        id: AttemptId::mint(at(0), [4; 10]),
        n: 2,
        account: "main".to_owned(),
        origin: Origin::Dunlin,
        status: AttemptStatus::RequiresAction,
        first_sent_at: at(0),
        charge: None,
        action_url: None,
        decline: None,
    };
    let acting = Payment { attempt: Some(attempt), ..second() };
    let failed = with_error(intent("requires_payment_method", None));

    let asked = ask(tried(&acting, 2, None), 200, &failed);
    let never_asked = ask(tried(&second(), 2, None), 200, &failed);

    assert_eq!(asked, Finding::Answered(answer(None, no_funds())));
    assert_eq!(never_asked, Finding::Absent);
}

#[test]
fn an_intent_that_was_never_confirmed_was_never_charged() {
    let payment = second();
    for status in ["requires_confirmation", "requires_payment_method"] {
        assert_eq!(ask(tried(&payment, 2, Some("ch_1")), 200, &intent(status, None)), Finding::Absent);
    }
}

// S1.9, S1.17
#[test]
fn the_first_attempts_intent_whose_id_is_known_was_confirmed() {
    let known = second();
    let unknown = payment();
    for status in ["requires_confirmation", "requires_payment_method"] {
        let found = ask(tried(&known, 1, None), 200, &intent(status, None));
        let listed = ask(tried(&unknown, 1, None), 200, &page(&[intent(status, None)], false));

        assert!(matches!(found, Finding::Nothing(_)), "{found:?}");
        assert_eq!(listed, Finding::Absent);
    }
}

fn page(intents: &[Value], has_more: bool) -> Value {
    json!({ "object": "list", "data": intents, "has_more": has_more })
}

// S1.9
#[test]
fn an_intent_that_is_not_known_is_looked_for_in_a_complete_listing() {
    let payment = payment();
    let tried = tried(&payment, 1, None);
    let mut stranger = intent("succeeded", Some("ch_9"));
    stranger["id"] = json!("pi_9");
    stranger["metadata"] = json!({});

    let found = ask(tried, 200, &page(&[stranger.clone(), intent("succeeded", Some("ch_1"))], true));
    let absent = ask(tried, 200, &page(std::slice::from_ref(&stranger), false));
    let more = ask(tried, 200, &page(std::slice::from_ref(&stranger), true));

    assert_eq!(found, Finding::Answered(answer(Some("ch_1"), Outcome::Succeeded)));
    assert_eq!(absent, Finding::Absent);
    let Finding::More(next) = more else { panic!("{more:?}") };
    assert!(next.path.ends_with("&starting_after=pi_9"), "{}", next.path);
    // A page that does not get further, or claims more behind nothing, proves nothing.
    let stuck = stripe().read_query(tried, &next, &reply(200, &page(&[stranger], true)));
    assert!(matches!(stuck, Finding::Nothing(_)), "{stuck:?}");
    assert!(matches!(ask(tried, 200, &page(&[], true)), Finding::Nothing(_)));
    assert!(matches!(ask(tried, 200, &intent("succeeded", None)), Finding::Nothing(_)));
    assert!(matches!(ask(tried, 500, &page(&[], false)), Finding::Nothing(_)));
}

// S1.12, S1.21
#[test]
fn what_was_made_before_an_attempt_is_its_own_only_where_it_has_taken_the_money() {
    let payment = payment();
    let since = Tried { wanted: Wanted::Since(at(24)), ..tried(&payment, 2, None) };
    let made = |mut intent: Value, at: Time| {
        intent["created"] = json!(at.timestamp());
        intent
    };
    let declined = || with_error(intent("requires_payment_method", Some("ch_1")));
    let listed = |intents: &[Value]| ask(since, 200, &page(intents, false));

    assert_eq!(listed(&[made(declined(), at(1))]), Finding::Absent);
    assert!(matches!(listed(&[made(declined(), at(24))]), Finding::Answered(_)));
    let paid = made(intent("succeeded", Some("ch_1")), at(1));
    assert_eq!(listed(&[paid]), Finding::Answered(answer(Some("ch_1"), Outcome::Succeeded)));
}

// S1.4
#[test]
fn money_that_is_not_on_record_is_found_beside_what_is() {
    let payment = payment();
    let known = ["ch_1".to_owned()];
    let beside = Tried { wanted: Wanted::Beside(&known), ..tried(&payment, 2, None) };
    let listed = |intents: &[Value]| ask(beside, 200, &page(intents, false));
    let (first, second) = (intent("succeeded", Some("ch_1")), intent("succeeded", Some("ch_2")));

    assert_eq!(listed(std::slice::from_ref(&first)), Finding::Absent);
    assert_eq!(listed(&[intent("requires_payment_method", Some("ch_3"))]), Finding::Absent);
    assert_eq!(listed(&[first, second]), Finding::Answered(answer(Some("ch_2"), Outcome::Succeeded)));
}

// S1.9: an intent may be younger than any send that is on record, for a restored record lacks some.
#[test]
fn the_listing_begins_before_all_that_was_sent_and_has_no_end() {
    let payment = payment();

    let call = stripe().query(tried(&payment, 1, None));

    let pairs: BTreeMap<String, String> =
        serde_urlencoded::from_str(call.path.split_once('?').unwrap().1).unwrap();
    assert!(DateTime::from_timestamp(pairs["created[gte]"].parse().unwrap(), 0).unwrap() < at(0));
    assert!(!pairs.contains_key("created[lte]"), "{pairs:?}");
}

// S1.6
#[test]
fn an_intent_is_canceled_by_its_id_under_a_key_of_its_own() {
    let payment = second();

    let call = stripe().cancel(&payment, 1, 0).unwrap();

    let key = format!("dunlin:test:{}:{}:1:cancel", payment.tenant, payment.id);
    assert_eq!(
        (call.kind, call.method, call.path.as_str()),
        (ExchangeKind::Cancel, "POST", "/v1/payment_intents/pi_1/cancel")
    );
    assert_eq!(call.idempotency_key, Some(key));
    let other = stripe().cancel(&payment, 0, 1).unwrap().idempotency_key;
    assert_eq!(other, Some(format!("dunlin:test:{}:{}:0:cancel:pi_1:1", payment.tenant, payment.id)));
    assert_eq!(stripe().cancel(&super::payment(), 1, 0), None);
}

// S1.8
#[test]
fn a_cancellation_counts_only_where_the_intent_is_named_as_it_stands() {
    let refused = |status: &str| {
        let mut error = error("invalid_request_error", "payment_intent_unexpected_state");
        error["error"]["payment_intent"] = intent(status, Some("ch_1"));
        error
    };
    let mut stranger = intent("canceled", None);
    stranger["id"] = json!("pi_9");
    let mut live = intent("canceled", None);
    live["livemode"] = json!(true);
    for (status, body, expected) in [
        (200, intent("canceled", None), "canceled"),
        (400, refused("canceled"), "canceled"),
        (400, refused("succeeded"), "answered"),
        (400, refused("processing"), "answered"),
        (400, refused("requires_action"), "unknown"),
        (400, error("invalid_request_error", "payment_intent_unexpected_state"), "unknown"),
        (400, error("idempotency_error", ""), "unknown"),
        (200, stranger, "unknown"),
        (200, live, "unknown"),
        (200, intent("requires_action", None), "unknown"),
        (401, error("invalid_request_error", ""), "unknown"),
        (404, error("invalid_request_error", "resource_missing"), "unknown"),
        (409, error("idempotency_error", ""), "unknown"),
        (429, error("rate_limit_error", ""), "unknown"),
        (500, error("api_error", ""), "unknown"),
        (200, json!("HTML"), "unknown"),
    ] {
        let read = stripe().read_cancel(&second(), &reply(status, &body));
        let name = match read {
            Cancellation::Canceled => "canceled",
            Cancellation::Answered(_) => "answered",
            Cancellation::Unknown(_) | Cancellation::StoredError(_) => "unknown",
        };
        assert_eq!(name, expected, "HTTP {status} {body}");
    }
}

#[test]
fn a_refusal_that_the_key_has_kept_tells_only_of_ends() {
    let replayed = |status: &str| {
        let mut error = error("invalid_request_error", "payment_intent_unexpected_state");
        error["error"]["payment_intent"] = intent(status, Some("ch_1"));
        let mut reply = reply(400, &error);
        reply.headers.insert("idempotent-replayed".to_owned(), "true".to_owned());
        stripe().read_cancel(&second(), &reply)
    };

    assert_eq!(replayed("canceled"), Cancellation::Canceled);
    assert!(matches!(replayed("succeeded"), Cancellation::Answered(_)));
    assert!(matches!(replayed("processing"), Cancellation::StoredError(_)));
}

// S1.6
#[test]
fn an_answer_that_a_key_keeps_and_that_is_of_no_use_is_met_under_that_key_alone() {
    let mut kept = reply(500, &error("api_error", ""));
    let fresh = stripe().read_cancel(&second(), &kept);
    kept.headers.insert("idempotent-replayed".to_owned(), "true".to_owned());

    assert!(matches!(fresh, Cancellation::Unknown(_)));
    assert!(matches!(stripe().read_cancel(&second(), &kept), Cancellation::StoredError(_)));
    let key = |generation| stripe().cancel(&second(), 1, generation).unwrap().idempotency_key.unwrap();
    assert_eq!((key(1), key(2)), (format!("{}:1", key(0)), format!("{}:2", key(0))));
}

// S1.4
#[test]
fn an_intent_that_an_event_names_counts_only_with_our_reference() {
    let payment = second();
    let named = Tried { must_bear_reference: true, ..tried(&payment, 2, None) };
    let bare = intent("succeeded", Some("ch_2"));
    let bearing = |reference: &str| {
        let mut intent = bare.clone();
        intent["metadata"] = json!({ "dunlin_payment": reference });
        intent
    };

    let ours = ask(named, 200, &bearing(&payment.id.to_string()));
    let others = ask(named, 200, &bearing("pay_2"));
    let mut nobodys = bare.clone();
    nobodys["metadata"] = json!({});

    assert_eq!(ours, Finding::Answered(answer(Some("ch_2"), Outcome::Succeeded)));
    for finding in [others, ask(named, 200, &nobodys)] {
        assert!(matches!(finding, Finding::Nothing(_)), "{finding:?}");
    }
}
