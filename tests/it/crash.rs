//! Crashes: real processes, killed for real at each place on a charge's path, and started again.

use crate::support::{
    both,
    database::Database,
    process::{self, Serve},
};
use serde_json::json;
use std::time::{Duration, Instant};

both! {
    a_kill_at_any_point_of_the_charge_path_neither_loses_nor_doubles_a_charge
    a_kill_while_an_outcome_is_asked_after_neither_loses_nor_doubles_a_charge
}

/// Leases short enough that on PostgreSQL the dead one's runs out soon.
const BRISK: [(&str, &str); 3] = [
    ("DUNLIN_CLIENT__TIMEOUT_MS", "1000"),
    ("DUNLIN_PAYMENTS__LEASE_MARGIN_MS", "500"),
    ("DUNLIN_WORKER__LEASE_S", "3"),
];

/// The points that a charge passes, with the visit at which the process is killed.
const CHARGE_PATH: [(&str, u32); 16] = [
    ("commit.asked", 1),
    ("commit.taken", 1),
    ("commit.taken", 3),
    ("commit.written", 1),
    ("commit.written", 2),
    ("commit.written", 3),
    ("commit.committed", 1),
    ("commit.committed", 2),
    ("commit.committed", 3),
    ("http.accepted", 1),
    ("job.claimed", 1),
    ("charge.before_intent", 1),
    ("charge.before_send", 1),
    ("charge.after_send", 1),
    ("charge.answered", 1),
    ("charge.committed", 1),
];

async fn a_kill_at_any_point_of_the_charge_path_neither_loses_nor_doubles_a_charge(database: Database) {
    let place = Place::new(database);
    for (round, (point, nth)) in CHARGE_PATH.into_iter().enumerate() {
        let charge = Charge { key: format!("crash-{round}"), method: "pm_card_visa" };
        let id = place.kill_at(point, nth, &charge).await;
        place.expect_one_capture(&id, &format!("{point} {nth}")).await;
    }
}

async fn a_kill_while_an_outcome_is_asked_after_neither_loses_nor_doubles_a_charge(database: Database) {
    let place = Place::new(database);
    for (round, (point, method)) in [
        ("reconcile.before_ask", "pm_sandbox_lost_before"),
        ("reconcile.before_ask", "pm_sandbox_lost_after"),
        ("reconcile.after_ask", "pm_sandbox_lost_before"),
        ("reconcile.after_ask", "pm_sandbox_error_after"),
    ]
    .into_iter()
    .enumerate()
    {
        let charge = Charge { key: format!("ask-{round}"), method };
        let id = place.kill_at(point, 1, &charge).await;
        place.expect_one_capture(&id, &format!("{point} {method}")).await;
    }
}

/// What one process after the other finds: the database, the sandbox's journal, the key.
struct Place {
    database: Database,
    folder: tempfile::TempDir,
}

struct Charge {
    key: String,
    method: &'static str,
}

impl Place {
    fn new(database: Database) -> Self {
        Self { database, folder: tempfile::tempdir().unwrap() }
    }

    fn serve(&self, settings: &[(&str, &str)]) -> Serve {
        Serve::start(&self.database, self.folder.path(), &[&BRISK[..], settings].concat())
    }

    /// Sends one charge to a process that dies at the point, then again, under the same key, to its successor.
    async fn kill_at(&self, point: &str, nth: u32, charge: &Charge) -> String {
        let body = json!({
            "amount": 1250,
            "currency": "EUR",
            "method": { "type": "card", "payment_method": charge.method },
        });
        let nth = nth.to_string();
        let mut dying = self.serve(&[("DUNLIN_FAILPOINT__POINT", point), ("DUNLIN_FAILPOINT__NTH", &nth)]);
        let caller = dying.client();
        let sent = tokio::spawn({
            let (body, key) = (body.clone(), charge.key.clone());
            async move { caller.try_post("/v1/payments", Some(&key), &body).await.is_ok() }
        });
        dying.wait_for_failpoint();
        dying.kill();
        let _ = sent.await;

        let serve = self.serve(&[]);
        let answer = serve.client().post("/v1/payments", Some(&charge.key), &body).await;
        assert_eq!(answer.status, 201, "{point}: {}", answer.body);
        answer.body["id"].as_str().unwrap().to_owned()
    }

    /// A third process carries the charge to its end, whatever the first left behind.
    async fn expect_one_capture(&self, id: &str, when: &str) {
        let serve = self.serve(&[]);
        let caller = serve.client();
        let deadline = Instant::now() + Duration::from_mins(2);
        loop {
            let payment = caller.get(&format!("/v1/payments/{id}")).await.body;
            if payment["status"] == "succeeded" {
                break;
            }
            assert!(Instant::now() < deadline, "{when}: {payment}");
            // The lease of the dead runs out by the database's clock; doubts are asked after in test time.
            let _ = caller.post("/v1/test_clock/advance", None, &json!({ "by_s": 10 })).await;
        }
        let captures = process::captures(&serve.sandbox).await;
        assert_eq!(captures.get(id), Some(&1), "{when}");
        assert!(captures.values().all(|count| *count == 1), "{when}: {captures:?}");
    }
}
