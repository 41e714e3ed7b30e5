//! Doubts that meet each other: a request on the wire during a review, an attempt that was never charged
//! between two that were.

use crate::support::{both, database::Database, world, world::World};
use chrono::TimeDelta;
use dunlin::{
    domain::{
        attempt::{Answer, AttemptStatus, Outcome},
        payment::{Event, Payment, Status},
    },
    gateway::{
        Reply,
        client::{Client, SendError},
    },
    store::change::{Change, JobEnd, Subject},
};
use dunlin_jobs::{AttemptId, ChangeId, Job, Reconcile};
use futures_util::FutureExt;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

both! {
    a_request_on_the_wire_is_asked_after_in_a_review_too
    a_question_that_is_hurried_does_not_spend_its_schedule
    what_is_not_proven_unsent_is_asked_after_however_it_came_to_be_planned
    the_failure_of_an_earlier_attempt_is_no_answer_to_one_whose_credentials_were_refused
}

// S5.6
async fn a_request_on_the_wire_is_asked_after_in_a_review_too(database: Database) {
    let world = World::new(database).await;
    let payment = world.pay("pm_card_visa").await;
    let claimed = world.claim_one().await;
    let begun = Event::Due { attempt: 1, id: AttemptId::mint(payment.created_at, [1; 10]) };
    let job = Some((claimed.lease.clone(), JobEnd::Keep));
    world.flows.store.commit(Change { job, ..change(&world, &payment, begun) }).await.unwrap();
    let answer = Answer { operation: None, charge: None, amount: None, outcome: Outcome::Succeeded };
    let contradiction = Event::Answered { attempt: 9, answer };
    world.flows.store.commit(change(&world, &payment, contradiction)).await.unwrap();
    let held = world.payment(payment.id).await;
    assert_eq!(held.attempt.map(|attempt| attempt.status), Some(AttemptStatus::Sending));
    assert!(held.status.review_reason().is_some());

    world.flows.store.expire_leases().await.unwrap();
    world.run_due_jobs().await;
    let doubted = world.payment(payment.id).await;
    let jobs = world.flows.store.list_jobs(payment.id).await.unwrap();

    assert_eq!(doubted.attempt.map(|attempt| attempt.status), Some(AttemptStatus::Unknown));
    assert!(doubted.status.review_reason().is_some());
    assert_eq!(jobs.iter().map(|job| job.kind.as_str()).collect::<Vec<_>>(), ["reconcile"]);
}

// S1.17
async fn the_failure_of_an_earlier_attempt_is_no_answer_to_one_whose_credentials_were_refused(
    database: Database,
) {
    let mut world = World::new(database).await;
    let bank = Arc::clone(&world.bank);
    let posts = AtomicUsize::new(0);
    // The first attempt is declined, the second one's credentials are refused, and then its answer is lost.
    world.flows.client = Client::in_process(Arc::new(move |call| {
        let nth = if call.method == "POST" { posts.fetch_add(1, Ordering::SeqCst) } else { 0 };
        let result = match nth {
            0 => world::answer(&bank, call),
            1 => Ok(Reply {
                status: 401,
                headers: BTreeMap::new(),
                body: br#"{"error":{"type":"invalid_request_error"}}"#.to_vec(),
            }),
            _ => Err(SendError::Lost("no answer".to_owned())),
        };
        std::future::ready(result).boxed()
    }));
    let payment = world.pay("pm_card_visa_chargeDeclinedInsufficientFunds").await;
    world.run_due_jobs().await;
    let retry_at = world.payment(payment.id).await.waits_until().unwrap();
    world.travel(retry_at - payment.created_at).await;
    world.probe().await;

    world.travel(TimeDelta::minutes(10)).await;

    let payment = world.payment(payment.id).await;
    let attempt = payment.attempt.unwrap();
    assert_eq!((attempt.n, attempt.status), (2, AttemptStatus::Unknown));
    assert_eq!((payment.declines, payment.status), (1, Status::Processing));
    let jobs = world.flows.store.list_jobs(payment.id).await.unwrap();
    assert!(jobs.iter().all(|job| job.failures == 0), "{jobs:?}");
}

// S1.10
async fn a_question_that_is_hurried_does_not_spend_its_schedule(database: Database) {
    let mut world = World::new(database).await;
    world.flows.client = Client::in_process(Arc::new(|_| {
        std::future::ready(Err(SendError::Lost("no answer".to_owned()))).boxed()
    }));
    let payment = world.pay("pm_card_visa").await;
    world.travel(TimeDelta::seconds(1)).await;
    let question = Job::Reconcile(Reconcile { payment: payment.id, attempt: 1 });
    let clock = world.flows.clock().clone();

    for hurried in 0..12 {
        let now = clock.now(false);
        world.flows.store.hurry(&question, now).await.unwrap();
        world.flows.store.hurry(&question, now).await.unwrap();
        if hurried == 0 {
            assert_eq!(world.flows.store.list_jobs(payment.id).await.unwrap()[0].runs, 0);
        }
        world.run_due_jobs().await;
    }
    let job = world.flows.store.list_jobs(payment.id).await.unwrap().remove(0);

    assert_eq!((job.kind.as_str(), job.runs), ("reconcile", 0));
    let wait = job.due_at - clock.now(false);
    assert!(wait <= TimeDelta::seconds(36), "the schedule's second delay, give or take a fifth: {wait}");
}

// S1.8
async fn what_is_not_proven_unsent_is_asked_after_however_it_came_to_be_planned(database: Database) {
    let mut world = World::new(database).await;
    let bank = Arc::clone(&world.bank);
    let posts = AtomicUsize::new(0);
    // It is taken, and its answer lost; whatever is sent after that is refused for a reason that is not its own.
    world.flows.client = Client::in_process(Arc::new(move |call| {
        let refused = br#"{"error":{"type":"invalid_request_error","code":"resource_missing"}}"#.to_vec();
        let result = match call.method {
            "POST" if posts.fetch_add(1, Ordering::SeqCst) == 0 => {
                world::answer(&bank, call).and(Err(SendError::Lost("no answer".to_owned())))
            }
            "POST" => Ok(Reply { status: 404, headers: BTreeMap::new(), body: refused }),
            _ => world::answer(&bank, call),
        };
        std::future::ready(result).boxed()
    }));
    let payment = world.pay("pm_card_visa").await;
    world.run_due_jobs().await;
    let planned = change(&world, &payment, Event::Absent { attempt: 1 });
    world.flows.store.commit(planned).await.unwrap();
    let before = world.payment(payment.id).await.attempt.map(|attempt| attempt.status);

    world.run_due_jobs().await;
    let after = world.payment(payment.id).await.attempt.map(|attempt| attempt.status);
    world.travel(TimeDelta::minutes(10)).await;

    assert_eq!((before, after), (Some(AttemptStatus::Planned), Some(AttemptStatus::Unknown)));
    assert_eq!(world.payment(payment.id).await.status, Status::Succeeded);
    assert_eq!(world.captures(payment.id), 1);
}

fn change(world: &World, payment: &Payment, event: Event) -> Change {
    let clock = world.flows.clock();
    Change {
        id: ChangeId::mint(clock.now(false), clock.random()),
        actor: "test".into(),
        subject: Subject::Event(payment.id, event),
        exchanges: Vec::new(),
        job: None,
    }
}
