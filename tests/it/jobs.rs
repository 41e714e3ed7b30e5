//! Jobs that a person moves: what was parked goes on, what waits goes now, and nothing is charged twice by it.

use crate::support::{
    both,
    database::Database,
    world::{self, World},
};
use chrono::TimeDelta;
use dunlin::{
    domain::{
        attempt::AttemptStatus,
        payment::{Event, Status},
    },
    flow::FlowError,
    gateway::{Registry, Reply, client::Client},
    store::{
        change::{Change, JobAct, JobEnd, Subject},
        jobs::JobView,
    },
};
use dunlin_jobs::{AttemptId, ChangeId, PaymentId};
use futures_util::FutureExt;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

both! {
    a_job_that_is_set_aside_is_released_and_charges_once
    a_job_that_was_quarantined_is_released_and_charges_nothing_beside_the_question
    a_job_that_waits_for_what_a_person_has_mended_goes_now
    a_retry_that_is_wanted_now_is_one_attempt
}

impl World {
    async fn act(&self, job: &JobView, act: JobAct) -> Result<JobView, FlowError> {
        let reason = Some("it is mended".to_owned());
        self.flows.operate_job(&self.person(1), job.id.parse().unwrap(), act, reason).await
    }

    async fn job(&self, payment: PaymentId, state: &str) -> JobView {
        let jobs = self.flows.store.list_jobs(payment).await.unwrap();
        jobs.into_iter().find(|job| job.state == state).unwrap()
    }
}

async fn a_job_that_is_set_aside_is_released_and_charges_once(database: Database) {
    let mut world = World::new(database).await;
    let (bank, is_mended) = (Arc::clone(&world.bank), Arc::new(AtomicBool::new(false)));
    let mended = Arc::clone(&is_mended);
    world.flows.client = Client::in_process(Arc::new(move |call| {
        let body = br#"{"error":{"type":"invalid_request_error","code":"unheard_of"}}"#;
        let refused = Reply { status: 400, headers: BTreeMap::new(), body: body.to_vec() };
        let is_mended = mended.load(Ordering::SeqCst);
        let result = if is_mended { world::answer(&bank, call) } else { Ok(refused) };
        std::future::ready(result).boxed()
    }));
    let id = world.pay("pm_card_visa").await.id;
    world.run_due_jobs().await;
    let parked = world.job(id, "parked").await;
    assert_eq!(parked.parked_code.as_deref(), Some("rejected"));
    assert!(parked.parked_reason.as_ref().unwrap().contains("unheard_of"), "{parked:?}");

    is_mended.store(true, Ordering::SeqCst);
    let released = world.act(&parked, JobAct::Release).await.unwrap();
    let again = world.act(&parked, JobAct::Release).await.unwrap();
    world.run_due_jobs().await;
    let gone = world.act(&parked, JobAct::Release).await;

    assert_eq!((released.state.as_str(), &again), ("live", &released));
    assert!(matches!(gone, Err(FlowError::NotFound("job"))), "{gone:?}");
    assert_eq!((world.payment(id).await.status, world.captures(id)), (Status::Succeeded, 1));
    let history = world.flows.store.list_history(id).await.unwrap();
    let told: Vec<_> = history.iter().filter(|line| line.cause == "release").collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].actor, world.person(1).key.to_string());
    assert!(told[0].detail.ends_with("is released: it is mended"), "{}", told[0].detail);
}

// S5.6
async fn a_job_that_was_quarantined_is_released_and_charges_nothing_beside_the_question(database: Database) {
    let world = World::new(database).await;
    let payment = world.pay("pm_card_visa").await;
    let claimed = world.claim_one().await;
    let clock = world.flows.clock();
    let begun = Event::Due { attempt: 1, id: AttemptId::mint(payment.created_at, [1; 10]) };
    let intent = Change {
        id: ChangeId::mint(clock.now(false), clock.random()),
        actor: "test".into(),
        subject: Subject::Event(payment.id, begun),
        exchanges: Vec::new(),
        job: Some((claimed.lease, JobEnd::Keep)),
    };
    world.flows.store.commit(intent).await.unwrap();
    for _ in 0..world.flows.settings.max_rescues - 1 {
        world.flows.store.expire_leases().await.unwrap();
        world.claim_one().await;
    }
    world.flows.store.expire_leases().await.unwrap();
    world.run_due_jobs().await;
    let held = world.payment(payment.id).await;
    assert!(held.status.review_reason().unwrap().starts_with("quarantined"), "{:?}", held.status);

    let parked = world.job(payment.id, "parked").await;
    world.act(&parked, JobAct::Release).await.unwrap();
    world.run_due_jobs().await;

    let jobs = world.flows.store.list_jobs(payment.id).await.unwrap();
    assert_eq!(jobs.iter().map(|job| job.kind.as_str()).collect::<Vec<_>>(), ["reconcile"]);
    let after = world.payment(payment.id).await;
    assert_eq!((after.status, after.attempt.unwrap().status), (held.status, AttemptStatus::Unknown));
    assert_eq!(world.captures(payment.id), 0);
}

async fn a_job_that_waits_for_what_a_person_has_mended_goes_now(database: Database) {
    let mut world = World::new(database).await;
    let id = world.pay("pm_card_visa").await.id;
    world.flows.gateways = Registry::new(&BTreeMap::new());
    for _ in 0..8 {
        world.travel(TimeDelta::seconds(60)).await;
    }
    let failing = world.job(id, "live").await;
    assert!(failing.last_error.as_ref().unwrap().contains("not configured"), "{failing:?}");
    assert!(failing.due_at > world.flows.clock().now(false));

    world.flows.gateways = world::gateways();
    assert_eq!(world.run_due_jobs().await, 0);
    world.act(&failing, JobAct::Retry).await.unwrap();
    world.run_due_jobs().await;

    assert_eq!((world.payment(id).await.status, world.captures(id)), (Status::Succeeded, 1));
}

async fn a_retry_that_is_wanted_now_is_one_attempt(database: Database) {
    let world = World::new(database).await;
    let id = world.pay("pm_sandbox_insufficient_funds_1").await.id;
    world.run_due_jobs().await;
    let waiting = world.job(id, "live").await;

    let hurried = world.act(&waiting, JobAct::Retry).await.unwrap();
    let again = world.act(&waiting, JobAct::Retry).await.unwrap();
    world.run_due_jobs().await;
    let late = world.act(&waiting, JobAct::Retry).await;

    assert!(waiting.due_at > hurried.due_at);
    assert_eq!(hurried, again);
    assert!(matches!(late, Err(FlowError::NotFound("job"))), "{late:?}");
    let paid = world.payment(id).await;
    assert_eq!((paid.status, paid.attempt.unwrap().n, world.captures(id)), (Status::Succeeded, 2, 1));
    let history = world.flows.store.list_history(id).await.unwrap();
    assert_eq!(history.iter().filter(|line| line.cause == "retry").count(), 1);
}
