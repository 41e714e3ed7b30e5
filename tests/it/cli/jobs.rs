//! `dunlin jobs` and `dunlin unknown`, against a running server: what an operator does at three in the morning.

use super::{Ended, payments::Room, run};
use crate::support::process::Caller;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

impl Room {
    /// Orders faults of the sandbox, in the place of those before.
    pub(super) async fn break_gateway(&self, faults: &[Value]) {
        let sandbox = Caller::new(&self.serve.sandbox, "");
        let cleared = sandbox.raw(|http, url| http.delete(format!("{url}/_sandbox/faults"))).await;
        assert!(cleared.status < 300, "{}", cleared.body);
        for fault in faults {
            let ordered = sandbox.post("/_sandbox/faults", None, fault).await;
            assert!(ordered.status < 300, "{}", ordered.body);
        }
    }

    /// A payment that the gateway did not answer for, for more than a day.
    async fn in_review(&self) -> String {
        self.break_gateway(&[json!({ "fault": "unavailable_before", "method": "any" })]).await;
        let id = self.pay("INV-1", "pm_card_visa").await;
        self.done(&["clock", "advance", "40h"]);
        self.caller.wait_for(&id, "needs_review").await;
        id
    }

    async fn wait_for_parked(&self, payment: &str) {
        let deadline = Instant::now() + Duration::from_secs(10);
        let path = format!("/v1/jobs?state=parked&payment={payment}");
        while self.caller.get(&path).await.body["data"] == json!([]) {
            assert!(Instant::now() < deadline, "nothing is parked");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Runs a command as somebody else.
    fn ask_as(&self, key: &str, arguments: &[&str]) -> Ended {
        let folder = tempfile::tempdir().unwrap();
        let place = ["--url", &self.serve.url, "--api-key", key];
        run(folder.path(), &[arguments, &place].concat(), &[])
    }
}

#[tokio::test]
async fn a_job_is_listed_shown_and_run_now() {
    let room = Room::new();
    let id = room.pay("INV-1", "pm_sandbox_insufficient_funds_1").await;
    room.caller.wait_for(&id, "retrying").await;

    let all = room.done(&["jobs", "list"]);
    let found = room.read(&["jobs", "list", "--payment", &id, "--kind", "retry", "--state", "live"]);
    let none = room.read(&["jobs", "list", "--due-before", "2020-01-01T00:00:00Z"]);
    let job = found["data"][0]["id"].as_str().unwrap().to_owned();
    let shown = room.done(&["jobs", "show", &job]);
    let released = room.read(&["jobs", "release", &job]);
    let retried = room.done(&["jobs", "retry", &job, "--reason", "topped up"]);
    room.caller.wait_for(&id, "succeeded").await;
    let story = room.done(&["payments", "show", &id]);

    assert!(all.starts_with("ID ") && all.lines().count() == 2, "{all}");
    assert!(all.contains(&job) && all.contains("retry  live"), "{all}");
    assert_eq!(none["data"], json!([]));
    for words in [job.as_str(), &format!("dunlin payments show {id}"), "due at "] {
        assert!(shown.contains(words), "{words:?} is missing: {shown}");
    }
    assert_eq!(released, found["data"][0], "what was not set aside stays as it is");
    assert!(retried.starts_with(&format!("{job} is due since ")), "{retried}");
    assert!(story.contains("A person wants the next attempt now: topped up, by key_"), "{story}");
    room.ask(&["jobs", "show", &job]).assert_failed(&["HTTP 404", "no such job"]);
}

#[tokio::test]
async fn a_parked_job_is_released_once_its_reason_is_mended() {
    let room = Room::new();
    room.break_gateway(&[json!({ "fault": "unheard_of" })]).await;
    let id = room.pay("INV-1", "pm_card_visa").await;
    room.wait_for_parked(&id).await;

    let parked = room.done(&["jobs", "list", "--state", "parked"]);
    let story = room.done(&["payments", "show", &id]);
    let job = room.read(&["jobs", "list", "--state", "parked"])["data"][0]["id"].clone();
    let job = job.as_str().unwrap();
    room.ask(&["jobs", "retry", job]).assert_failed(&["HTTP 409", "release it"]);
    room.break_gateway(&[]).await;
    room.done(&["jobs", "release", job, "--reason", "support has said why"]);
    room.caller.wait_for(&id, "succeeded").await;
    let after = room.done(&["payments", "show", &id]);

    assert!(parked.contains("unheard_of") && parked.contains("parked"), "{parked}");
    assert!(story.contains(&format!("dunlin jobs release {job}")), "{story}");
    let told = format!("The charge {job}, which was set aside, is released: support has said why, by key_");
    assert!(after.contains(&told), "{after}");
}

#[tokio::test]
async fn two_people_resolve_what_nobody_knows() {
    let room = Room::new();
    let id = room.in_review().await;
    let second = room.read(&["keys", "create", "--name", "second", "--scope", "approve_unknown"]);
    let second = second["secret"].as_str().unwrap();

    let listed = room.done(&["unknown", "list"]);
    let proposed = room.done(&[
        "unknown",
        "resolve",
        &id,
        "--outcome",
        "charge_again",
        "--reason",
        "support found nothing",
        "--evidence",
        "ticket 4711",
    ]);
    let with_proposal = room.done(&["unknown", "list"]);
    let facts = room.read(&["unknown", "list"]);
    let proposal = facts["data"][0]["resolution"]["id"].as_str().unwrap();
    let agree = ["unknown", "resolve", &id, "--outcome", "charge_again", "--approve", proposal];
    room.ask(&agree).assert_failed(&["HTTP 409", "somebody else"]);
    room.break_gateway(&[]).await;
    let agreed = room.ask_as(second, &agree);
    room.caller.wait_for(&id, "succeeded").await;
    let story = room.done(&["payments", "show", &id]);

    assert!(listed.starts_with("ID ") && listed.contains(&id), "{listed}");
    assert!(listed.contains("the outcome of attempt 1 is unknown for"), "{listed}");
    assert!(proposed.contains(&format!("dunlin {}", agree.join(" "))), "{proposed}");
    assert!(with_proposal.contains("charge_again"), "{with_proposal}");
    let review = &facts["data"][0]["review"];
    assert!(review["since"].is_string() && review["asked"].as_u64() > Some(5), "{review}");
    assert_eq!((agreed.code, agreed.out), (Some(0), format!("{id} is pending\n")), "{}", agreed.err);
    assert!(story.contains("A second person has to agree."), "{story}");
    assert!(story.contains("It is charged again, by a new attempt."), "{story}");
    assert!(!story.contains('\u{1b}'), "{story}");
    assert_eq!(room.done(&["unknown", "list"]).lines().count(), 1);
}

#[tokio::test]
async fn one_person_says_that_the_money_is_there() {
    let room = Room::new();
    // It is taken, its answer is lost, and nothing can be asked.
    let unanswered = json!({ "fault": "unavailable_before", "method": "any" });
    room.break_gateway(&[json!({ "fault": "cut_after", "times": 1 }), unanswered]).await;
    let id = room.pay("INV-1", "pm_card_visa").await;
    room.done(&["clock", "advance", "40h"]);
    room.caller.wait_for(&id, "needs_review").await;
    let sandbox = Caller::new(&room.serve.sandbox, "");
    let taken = sandbox.get("/_sandbox/captures?after=0&limit=10").await.body;
    let charge = taken["captures"][0]["charge"].as_str().unwrap();
    room.break_gateway(&[]).await;

    let paid = room.done(&[
        "unknown",
        "resolve",
        &id,
        "--outcome",
        "succeeded",
        "--charge",
        charge,
        "--reason",
        "seen",
        "--evidence",
        "https://dashboard.example/ch_1",
    ]);
    let story = room.done(&["payments", "show", &id]);

    assert_eq!(paid, format!("{id} is succeeded\n"));
    let received = format!("It is paid: 12.50 EUR received at sandbox, as {charge}.");
    assert!(story.contains(&received), "{story}");
    assert!(story.contains(&format!("resolved as succeeded, by {charge}: seen")), "{story}");
}

#[test]
fn what_is_wrong_with_such_a_command_is_told() {
    let room = Room::new();
    let unknown = "pay_0190000000007000800000000000000a";
    let resolve = |more: &[&str]| room.ask(&[&["unknown", "resolve", unknown][..], more].concat());
    let job = "job_0190000000007000800000000000000a";

    room.ask(&["jobs", "retry", job]).assert_failed(&["HTTP 404", "no such job"]);
    let proposal = "res_0190000000007000800000000000000a";
    resolve(&["--outcome", "canceled", "--approve", proposal])
        .assert_failed(&["HTTP 404", "no such payment"]);
    for (ended, word) in [
        (room.ask(&["jobs", "show", unknown]), "job_"),
        (room.ask(&["jobs", "list", "--state", "done"]), "parked"),
        (room.ask(&["jobs", "list", "--kind", "sweep"]), "reconcile"),
        (room.ask(&["jobs", "list", "--limit", "0"]), "--limit"),
        (room.ask(&["unknown", "list", "--limit", "0"]), "--limit"),
        (resolve(&["--outcome", "failed"]), "charge_again"),
        (resolve(&["--outcome", "canceled"]), "--reason"),
        (resolve(&["--outcome", "canceled", "--reason", "r"]), "--evidence"),
        (resolve(&["--outcome", "succeeded", "--reason", "r", "--evidence", "e"]), "--charge"),
        (resolve(&["--outcome", "canceled", "--approve", "yes"]), "res_"),
        (
            resolve(&["--outcome", "canceled", "--approve", proposal, "--evidence", "e"]),
            "cannot be used with",
        ),
    ] {
        assert_eq!(ended.code, Some(2), "{}", ended.err);
        assert!(ended.err.contains(word), "{word:?} is missing: {}", ended.err);
    }
}
