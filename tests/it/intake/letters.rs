//! Dead letters: each sort of what cannot be taken, and what a person does about it.

use super::{MAX_BYTES, envelope, json_of, why, with, world};
use crate::support::{both, database::Database, world::World};
use chrono::DateTime;
use dunlin::{
    domain::{
        clock::Clock,
        letter::{Form, Source},
    },
    failpoint::{Deed, Failpoints, Point},
    store::NotPutBack,
};
use serde_json::json;

both! {
    what_cannot_be_taken_is_kept_as_it_came_with_its_reason
    a_card_number_is_left_nowhere
    what_is_only_late_is_tried_again
    a_panic_leaves_the_rest_of_the_batch_alone
    a_letter_is_put_back_and_charged_once
}

/// What is wrong, the code, the field.
fn wrong() -> Vec<(String, &'static str, Option<&'static str>)> {
    let change = |path: &str, value| with("x", &[(path, value)]);
    vec![
        ("no JSON".to_owned(), "invalid_json", None),
        (String::new(), "invalid_json", None),
        ("[]".to_owned(), "invalid_field", None),
        ("[".repeat(40), "json_too_deep", None),
        (" ".repeat(MAX_BYTES + 1), "envelope_too_large", None),
        (r#"{"v":1,"v":1}"#.to_owned(), "duplicate_field", Some("v")),
        (r#"{"v":1}"#.to_owned(), "invalid_field", Some("id")),
        (change("v", json!(2)), "unsupported_version", Some("v")),
        (change("type", json!("retry")), "invalid_field", Some("type")),
        (change("colour", json!("red")), "unknown_field", Some("colour")),
        (change("payment.colour", json!("red")), "unknown_field", Some("payment.colour")),
        (change("id", json!(" ")), "idempotency_key_invalid", Some("id")),
        (change("id", json!("x".repeat(256))), "idempotency_key_invalid", Some("id")),
        (change("tenant", json!("nobody")), "unknown_tenant", Some("tenant")),
        (change("tenant", json!("a\0b")), "unknown_tenant", Some("tenant")),
        (change("payment.a\0b", json!(1)), "unknown_field", Some("payment.a\u{fffd}b")),
        (change("livemode", json!(true)), "invalid_field", Some("payment.gateway")),
        (change("livemode", json!("yes")), "invalid_field", Some("livemode")),
        (change("payment", json!([])), "invalid_field", Some("payment")),
        (change("payment.amount", json!(0)), "invalid_field", Some("payment.amount")),
        (change("payment.amount", json!(12.5)), "invalid_field", Some("payment.amount")),
        (change("payment.currency", json!("XXX")), "invalid_field", Some("payment.currency")),
        (change("payment.gateway", json!("other")), "invalid_field", Some("payment.gateway")),
        (change("payment.capture", json!("never")), "invalid_field", Some("payment.capture")),
        (change("payment.method", json!(null)), "invalid_field", Some("payment.method")),
        (
            change("payment.return_url", json!("https://a.example")),
            "invalid_field",
            Some("payment.return_url"),
        ),
        (
            with("x", &[("payment.amount", json!(123)), ("payment.currency", json!("KWD"))]),
            "invalid_field",
            Some("payment.amount"),
        ),
    ]
}

async fn what_cannot_be_taken_is_kept_as_it_came_with_its_reason(database: Database) {
    let world = world(database).await;
    for (text, ..) in wrong() {
        world.leave(&text).await;
    }
    world.leave(&envelope("good").to_json()).await;

    world.read().await;

    let letters = world.letters().await;
    for (text, code, field) in wrong() {
        let letter =
            letters.iter().find(|letter| letter.envelope == text).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(why(letter), (code, field), "{text}: {}", letter.reason);
        assert_eq!((letter.source, letter.form), (Source::Table, Form::Text));
        assert!(letter.reason.len() > 10, "{}", letter.reason);
    }
    assert_eq!((letters.len(), world.waiting().await), (wrong().len(), 0));
    assert_eq!(world.charged().await, [1]);
}

async fn a_card_number_is_left_nowhere(database: Database) {
    let world = world(database).await;
    let card = "4242424242424242";
    for text in [
        with("one", &[("payment.method.payment_method", json!(card))]),
        with("two", &[("payment.description", json!("4242 4242 4242 4242")), ("payment.cvc", json!("123"))]),
        with("three", &[("payment.amount", json!(4_242_424_242_424_242_i64))]),
        with(card, &[]),
        format!("card {card}"),
    ] {
        world.leave(&text).await;
    }

    world.read().await;

    let letters = world.letters().await;
    assert_eq!((letters.len(), world.payments().await.len(), world.waiting().await), (5, 0, 0));
    for letter in &letters {
        let told = format!("{letter:?}");
        assert_eq!(letter.form, Form::Redacted, "{told}");
        assert!(!told.contains("4242") && !told.contains("123\""), "{told}");
        assert!(matches!(world.flows.store.put_back(letter.id, None).await, Err(NotPutBack::NotWhole)));
    }
    let ids: Vec<_> = letters.iter().map(|letter| json_of(&letter.envelope)["id"].clone()).collect();
    for id in ["one", "two", "three"] {
        assert!(ids.contains(&json!(id)), "an operator has to find its producer: {ids:?}");
    }
}

/// A world in which something happens at the first visit of a place.
async fn hurt(database: Database, point: Point, deed: Deed) -> World {
    let clock = Clock::held(DateTime::from_timestamp(crate::support::world::BEGIN, 0).unwrap(), 7);
    let store = database.open(clock, Failpoints::act(point, 1, deed)).await;
    let mut world = World::new(database.another().await).await;
    let tenant = store.ensure_tenant("test").await.unwrap();
    world.owner.tenant = tenant.id;
    world.flows.store = store;
    world
}

async fn what_is_only_late_is_tried_again(database: Database) {
    let world = hurt(Database::at(database.url.clone()), Point::Received, Deed::Fail).await;
    world.leave(&envelope("a").to_json()).await;

    world.read().await;
    assert_eq!((world.waiting().await, world.letters().await), (1, Vec::new()));
    world.read().await;

    assert_eq!((world.waiting().await, world.letters().await), (0, Vec::new()));
    assert_eq!(world.charged().await, [1]);
}

async fn a_panic_leaves_the_rest_of_the_batch_alone(database: Database) {
    let world = hurt(Database::at(database.url.clone()), Point::Received, Deed::Panic).await;
    for id in ["a", "b", "c"] {
        world.leave(&envelope(id).to_json()).await;
    }

    world.read().await;

    assert_eq!(world.charged().await, [1, 1, 1]);
    assert_eq!((world.waiting().await, world.letters().await), (0, Vec::new()));
}

async fn a_letter_is_put_back_and_charged_once(database: Database) {
    let world = world(database).await;
    world.leave(&with("a", &[("tenant", json!("later"))])).await;
    world.leave(&with("b", &[("payment.amount", json!(0))])).await;
    world.read().await;
    let of = |letters: &[dunlin::domain::letter::Letter], id: &str| {
        letters.iter().find(|letter| json_of(&letter.envelope)["id"] == id).unwrap().id
    };
    let letters = world.letters().await;
    let (unknown, zero) = (of(&letters, "a"), of(&letters, "b"));
    let later = world.flows.store.ensure_tenant("later").await.unwrap();

    world.flows.store.put_back(unknown, None).await.unwrap();
    world.flows.store.put_back(zero, Some(&envelope("b").to_json())).await.unwrap();
    assert_eq!(world.letters().await, Vec::new());
    world.read().await;

    let twice = world.flows.store.put_back(zero, None).await;
    assert!(matches!(twice, Err(NotPutBack::Missing)), "{twice:?}");
    assert_eq!((world.waiting().await, world.letters().await), (0, Vec::new()));
    assert_eq!(world.charged().await, [1]);
    let owner = dunlin::store::Owner { tenant: later.id, livemode: false };
    let filter = dunlin::store::Filter { limit: 10, ..dunlin::store::Filter::default() };
    assert_eq!(world.flows.store.list_payments(owner, &filter).await.unwrap().len(), 1);
}
