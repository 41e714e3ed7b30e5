//! A storm: a thousand callers with one key at once.

use super::{Api, id, payment};
use crate::support::{both, database::Database, process::Answer};
use futures_util::future::join_all;
use serde_json::json;
use std::collections::BTreeSet;

const CALLERS: usize = 1000;

both! {
    a_thousand_equal_requests_at_once_make_one_payment
    among_unequal_requests_under_one_key_one_wins_and_the_others_are_told
}

async fn a_thousand_equal_requests_at_once_make_one_payment(database: Database) {
    let api = Api::start(database, &[]);
    let body = payment("pm_card_visa");

    let answers = join_all((0..CALLERS).map(|_| api.create("storm", &body))).await;

    let fresh = answers.iter().filter(|answer| !answer.headers.contains_key("idempotent-replayed"));
    assert_eq!(fresh.count(), 1);
    assert_eq!(statuses(&answers), BTreeSet::from([201]), "{:?}", first_failure(&answers));
    let ids: BTreeSet<_> = answers.iter().map(|answer| id(&answer.body)).collect();
    assert_eq!(ids.len(), 1);
    assert_charged_once(&api).await;
}

async fn among_unequal_requests_under_one_key_one_wins_and_the_others_are_told(database: Database) {
    let api = Api::start(database, &[]);
    let bodies = [payment("pm_card_visa"), payment("pm_card_mastercard")];

    let answers = join_all((0..CALLERS).map(|n| api.create("storm", &bodies[usize::from(n % 5 == 0)]))).await;

    assert_eq!(statuses(&answers), BTreeSet::from([201, 422]), "{:?}", first_failure(&answers));
    let (taken, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert!([CALLERS / 5, CALLERS * 4 / 5].contains(&taken.len()), "{} taken", taken.len());
    assert!(refused.iter().all(|answer| answer.body["code"] == "idempotency_key_reused"));
    let fresh = taken.iter().filter(|answer| !answer.headers.contains_key("idempotent-replayed"));
    assert_eq!(fresh.count(), 1);
    assert_charged_once(&api).await;
}

async fn assert_charged_once(api: &Api) {
    let payments = api.list("").await;
    assert_eq!(payments.len(), 1);
    let id = id(&payments[0]);
    api.caller.wait_for(&id, "succeeded").await;
    assert_eq!(api.captures(&id).await, 1);
    let timeline = api.caller.get(&format!("/v1/payments/{id}/timeline")).await.body;
    assert_eq!(timeline["jobs"], json!([]), "nothing is left to do");
}

fn statuses(answers: &[Answer]) -> BTreeSet<u16> {
    answers.iter().map(|answer| answer.status).collect()
}

fn first_failure(answers: &[Answer]) -> Option<&serde_json::Value> {
    answers.iter().find(|answer| answer.status != 201).map(|answer| &answer.body)
}
