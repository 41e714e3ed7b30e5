//! Panics where the whole process depends on a task: it goes on, and only what was in hand is in doubt.

use crate::support::{
    both,
    database::Database,
    process::{Serve, folder},
};
use serde_json::json;

both! {
    a_panic_in_the_committer_fails_its_batch_and_no_later_one
    a_panic_in_a_claimer_costs_a_lease_and_no_more
}

const BRISK: [(&str, &str); 4] = [
    ("DUNLIN_CLIENT__TIMEOUT_MS", "1000"),
    ("DUNLIN_PAYMENTS__LEASE_MARGIN_MS", "300"),
    ("DUNLIN_WORKER__LEASE_S", "2"),
    ("DUNLIN_FAILPOINT__DEED", "panic"),
];

async fn a_panic_in_the_committer_fails_its_batch_and_no_later_one(database: Database) {
    let (_folder, path) = folder();
    let written = [("DUNLIN_FAILPOINT__POINT", "commit.written")];
    let settings = [&BRISK[..], &written, &[("DUNLIN_WORKER__LANES__UPKEEP", "0")]].concat();
    let idle = [("DUNLIN_WORKER__LANES__PAYMENTS", "0"), ("DUNLIN_WORKER__LANES__RECONCILE", "0")];
    let serve = Serve::start(&database, &path, &[&settings[..], &idle].concat());
    let caller = serve.client();

    let first = caller.post("/v1/payments", Some("panic-1"), &charge()).await;
    let again = caller.post("/v1/payments", Some("panic-1"), &charge()).await;

    assert_eq!((first.status, again.status), (503, 201), "{} {}", first.body, again.body);
}

async fn a_panic_in_a_claimer_costs_a_lease_and_no_more(database: Database) {
    let (_folder, path) = folder();
    let claimed = [("DUNLIN_FAILPOINT__POINT", "job.claimed"), ("DUNLIN_WORKER__LANES__UPKEEP", "0")];
    let serve = Serve::start(&database, &path, &[&BRISK[..], &claimed].concat());
    let caller = serve.client();

    let taken = caller.post("/v1/payments", Some("panic-2"), &charge()).await;

    caller.wait_for(taken.body["id"].as_str().unwrap(), "succeeded").await;
}

fn charge() -> serde_json::Value {
    let method = json!({ "type": "card", "payment_method": "pm_card_visa" });
    json!({ "amount": 1250, "currency": "EUR", "method": method })
}
