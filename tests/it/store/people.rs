//! What people do to payments and jobs: under the locks, once, and to nobody else's.

use super::*;
use crate::support::both;
use dunlin::{
    domain::hold_reason::HoldReason,
    domain::payment::{Grounds, NotResolvable, NotRetriable, Ruling, Word},
    store::{
        change::{JobAct, JobWish, Wish},
        jobs::JobFilter,
    },
};
use dunlin_jobs::{KeyId, Reconcile, ResolutionId};

both! {
    what_is_refused_is_refused_to_all_who_ask_in_one_batch
    what_was_refused_in_a_batch_leaves_its_key_unused
    a_key_that_is_misused_beside_its_replay_leaves_the_replay_as_it_is
    a_job_that_is_hurried_is_due_now_and_twice_is_once
    a_job_whose_time_a_decline_has_set_goes_by_the_rules_of_a_retry
    a_job_that_waits_for_the_time_that_was_set_is_left_to_whoever_may_move_that
    a_job_in_hand_is_left_alone
    a_parked_job_is_released_and_begins_anew
    a_job_of_another_payment_is_none
    jobs_are_found_by_their_owner_only
    jobs_are_listed_narrowed_page_by_page
    what_a_person_says_stands_in_the_row_and_in_the_history
    a_charge_that_is_another_attempts_is_not_taken_twice
    nobody_has_the_last_word_while_a_worker_is_at_it
}

impl Bench {
    fn wish(&self, payment: PaymentId, text: &str, event: Event) -> Change {
        let wish = Wish {
            payment,
            tenant: self.owner.tenant,
            livemode: self.owner.livemode,
            event,
            key: key(text, "same"),
            asked_at: self.now(),
        };
        self.change(Subject::Wish(Box::new(wish)))
    }

    fn act(&self, payment: PaymentId, job: &JobView, act: JobAct) -> Change {
        let reason = Some("as it is mended".to_owned());
        self.change(Subject::Job(JobWish { payment, job: job.id.parse().unwrap(), act, reason }))
    }

    /// A payment that a decline has put off.
    async fn retrying(&self) -> Payment {
        let payment = self.sending().await;
        let declined = Decline::of("insufficient_funds");
        let declined = answered("ch_1", Outcome::Declined(declined));
        let lease = self.claim_one().await.lease;
        let change = Change { job: Some((lease, JobEnd::Done)), ..self.event(payment.id, declined) };
        self.store.commit(change).await.unwrap().payment.unwrap()
    }

    /// A payment in review, with its job in hand or not.
    async fn held(&self) -> Payment {
        let payment = self.sending().await;
        let lease = self.claim_one().await.lease;
        let change = Change { job: Some((lease, JobEnd::Done)), ..self.event(payment.id, lost()) };
        self.store.commit(change).await.unwrap();
        let review = Event::Review { reason: "look".to_owned() };
        self.store.commit(self.event(payment.id, review)).await.unwrap().payment.unwrap()
    }

    async fn causes(&self, payment: PaymentId) -> Vec<String> {
        let history = self.store.list_history(payment).await.unwrap();
        history.into_iter().map(|transition| transition.cause).collect()
    }
}

fn again() -> Event {
    Event::Retry { reason: None }
}

fn person(n: u8) -> KeyId {
    KeyId::mint(moment(0), [n; 10])
}

fn said_as() -> ResolutionId {
    ResolutionId::mint(moment(0), [1; 10])
}

fn grounds() -> Grounds {
    Grounds { reason: "seen".to_owned(), evidence: "ticket 1".to_owned() }
}

fn said(by: u8, word: Word) -> Event {
    Event::Resolve { by: person(by), word }
}

fn paid(charge: &str) -> Event {
    said(1, Word::Succeeded { id: said_as(), charge: charge.to_owned(), operation: None, grounds: grounds() })
}

fn proposed() -> Event {
    said(1, Word::Propose { id: said_as(), ruling: Ruling::Canceled, grounds: grounds() })
}

fn approved() -> Event {
    said(
        2,
        Word::Approve { proposal: said_as(), ruling: Ruling::Canceled, reason: None, is_key_known: false },
    )
}

async fn what_is_refused_is_refused_to_all_who_ask_in_one_batch(database: Database) {
    let (bench, mut gate) = Bench::gated(database).await;
    let payment = gate.pass(bench.paid_in()).await;
    let changes = (0..3).map(|_| bench.wish(payment.id, "k", again())).collect();

    let (answers, transactions) = gate.together(&bench.store, changes).await;

    assert_eq!(transactions, 1);
    for answer in answers {
        assert!(matches!(answer, Err(CommitError::NotRetriable(_))), "{answer:?}");
    }
    assert_eq!(raw::count(&bench.database, "idempotency_keys").await, 0);
}

// S2.4
async fn a_key_that_is_misused_beside_its_replay_leaves_the_replay_as_it_is(database: Database) {
    let (bench, mut gate) = Bench::gated(database).await;
    let payment = gate.pass(bench.retrying()).await;
    gate.pass(bench.store.commit(bench.wish(payment.id, "k", again()))).await.unwrap();
    let mut other = bench.wish(payment.id, "k", again());
    if let Subject::Wish(wish) = &mut other.subject {
        "another".clone_into(&mut wish.key.fingerprint);
    }

    let (answers, _) = gate.together(&bench.store, vec![other, bench.wish(payment.id, "k", again())]).await;

    assert!(matches!(answers[0], Err(CommitError::KeyReused { .. })), "{:?}", answers[0]);
    assert!(!answers[1].as_ref().unwrap().fresh);
}

// S2.4
async fn what_was_refused_in_a_batch_leaves_its_key_unused(database: Database) {
    let (bench, mut gate) = Bench::gated(database).await;
    let payment = gate.pass(bench.held()).await;
    let wish = |event| bench.wish(payment.id, "k", event);
    let other = bench.wish(payment.id, "other", proposed());

    // What comes between makes right what was wrong, and its key is given back all the same.
    let changes = vec![wish(approved()), other, wish(approved())];
    let (answers, transactions) = gate.together(&bench.store, changes).await;

    assert_eq!(transactions, 1);
    assert!(matches!(answers[0], Err(CommitError::NotResolvable(NotResolvable::NotProposed(_)))));
    assert!(answers[1].is_ok());
    assert!(matches!(answers[2], Err(CommitError::Busy)), "{:?}", answers[2]);
    assert_eq!(gate.pass(bench.read(payment.id)).await.status.name(), "needs_review");
    let third = gate.pass(bench.store.commit(wish(approved()))).await.unwrap();
    assert!(third.fresh);
    assert_eq!(third.payment.unwrap().status, Status::Canceled);
}

async fn a_job_that_is_hurried_is_due_now_and_twice_is_once(database: Database) {
    let bench = Bench::new(database).await;
    let payment = bench.paid_in().await;
    let lease = bench.claim_one().await.lease;
    let failed = JobEnd::Failed(moment(60), "the gateway is away".to_owned());
    bench.store.commit(bench.note(&lease, failed)).await.unwrap();
    let waiting = bench.job(payment.id).await;

    let first = bench.store.commit(bench.act(payment.id, &waiting, JobAct::Retry)).await.unwrap();
    let second = bench.store.commit(bench.act(payment.id, &waiting, JobAct::Retry)).await.unwrap();

    let hurried = bench.job(payment.id).await;
    assert_eq!((waiting.due_at, hurried.due_at, &hurried.id), (moment(60), moment(0), &waiting.id));
    assert_eq!((first.fresh, second.fresh), (true, false));
    assert_eq!(bench.causes(payment.id).await, ["created", "hurry"]);
    let told = bench.store.list_history(payment.id).await.unwrap().pop().unwrap();
    assert_eq!(told.detail, format!("the charge {} is to run now: as it is mended", waiting.id));
    assert_eq!(told.to, "pending");
}

// S3.4
async fn a_job_whose_time_a_decline_has_set_goes_by_the_rules_of_a_retry(database: Database) {
    let bench = Bench::new(database).await;
    let payment = bench.retrying().await;
    let waiting = bench.job(payment.id).await;

    let hurried = bench.store.commit(bench.act(payment.id, &waiting, JobAct::Retry)).await.unwrap();

    let job = bench.job(payment.id).await;
    assert_eq!((&job.id, job.due_at), (&waiting.id, moment(0)));
    assert_eq!(hurried.payment.unwrap().status, Status::Retrying { next_attempt_at: moment(0) });
    assert_eq!(bench.causes(payment.id).await.last().unwrap(), "retry");
}

async fn a_job_that_waits_for_the_time_that_was_set_is_left_to_whoever_may_move_that(database: Database) {
    let bench = Bench::new(database).await;
    let scheduled = Payment { start: Start::At(moment(600)), ..bench.payment() };
    let payment = bench.store.commit(bench.create(scheduled, None)).await.unwrap().payment.unwrap();
    let waiting = bench.job(payment.id).await;

    let refused = bench.store.commit(bench.act(payment.id, &waiting, JobAct::Retry)).await;
    bench.store.clock().travel(TimeDelta::seconds(600));
    let due = bench.store.commit(bench.act(payment.id, &waiting, JobAct::Retry)).await.unwrap();

    assert!(matches!(refused, Err(CommitError::NotRetriable(NotRetriable::Scheduled))), "{refused:?}");
    assert!(!due.fresh, "it is due anyway");
    assert_eq!(bench.job(payment.id).await, waiting);
}

async fn a_job_in_hand_is_left_alone(database: Database) {
    let bench = Bench::new(database).await;
    let payment = bench.paid_in().await;
    bench.claim_one().await;
    let job = bench.job(payment.id).await;

    for act in [JobAct::Retry, JobAct::Release] {
        let refused = bench.store.commit(bench.act(payment.id, &job, act)).await;
        assert!(matches!(refused, Err(CommitError::InHand)), "{refused:?}");
    }
    assert_eq!(bench.job(payment.id).await, job);
    assert_eq!(bench.causes(payment.id).await, ["created"]);
}

async fn a_parked_job_is_released_and_begins_anew(database: Database) {
    let bench = Bench::new(database).await;
    let payment = bench.paid_in().await;
    let lease = bench.claim_one().await.lease;
    bench
        .store
        .commit(bench.note(&lease, JobEnd::Park(HoldReason::Quarantine, "quarantined".to_owned())))
        .await
        .unwrap();
    raw::execute(&bench.database, "UPDATE jobs SET rescues = 3").await.unwrap();
    let parked = bench.job(payment.id).await;
    assert_eq!(parked.parked_reason.as_deref(), Some("quarantined"));

    let retried = bench.store.commit(bench.act(payment.id, &parked, JobAct::Retry)).await;
    let first = bench.store.commit(bench.act(payment.id, &parked, JobAct::Release)).await.unwrap();
    let second = bench.store.commit(bench.act(payment.id, &parked, JobAct::Release)).await.unwrap();

    assert!(matches!(retried, Err(CommitError::Parked)), "{retried:?}");
    assert_eq!((first.fresh, second.fresh), (true, false));
    let job = bench.job(payment.id).await;
    assert_eq!((job.state.as_str(), job.parked_reason.as_deref()), ("live", None));
    assert_eq!((job.due_at, job.rescues), (moment(0), 0));
    assert_eq!(bench.causes(payment.id).await, ["created", "release"]);
    assert_eq!(bench.claim_one().await.rescues, 0);
}

async fn a_job_of_another_payment_is_none(database: Database) {
    let bench = Bench::new(database).await;
    let (one, other) = (bench.paid_in().await, bench.paid_in().await);
    let job = bench.job(other.id).await;

    let refused = bench.store.commit(bench.act(one.id, &job, JobAct::Retry)).await;

    assert!(matches!(refused, Err(CommitError::NotFound)), "{refused:?}");
}

// S7
async fn jobs_are_found_by_their_owner_only(database: Database) {
    let bench = Bench::new(database).await;
    let payment = bench.paid_in().await;
    let job = bench.job(payment.id).await;
    let id = job.id.parse().unwrap();
    let tenant = bench.store.ensure_tenant("another").await.unwrap().id;
    let filter = JobFilter { limit: 10, ..JobFilter::default() };
    let of_payment = JobFilter { payment: Some(payment.id), ..filter.clone() };

    for owner in [Owner { tenant, ..bench.owner }, Owner { livemode: true, ..bench.owner }] {
        assert_eq!(bench.store.find_owned_job(owner, id).await.unwrap(), None);
        for filter in [&filter, &of_payment] {
            assert_eq!(bench.store.list_owned_jobs(owner, filter).await.unwrap(), []);
        }
    }
    assert_eq!(bench.store.find_owned_job(bench.owner, id).await.unwrap(), Some(job.clone()));
    assert_eq!(bench.store.list_owned_jobs(bench.owner, &of_payment).await.unwrap(), [job]);
}

async fn jobs_are_listed_narrowed_page_by_page(database: Database) {
    let bench = Bench::new(database).await;
    let first = bench.paid_in().await;
    let lease = bench.claim_one().await.lease;
    bench
        .store
        .commit(bench.note(&lease, JobEnd::Park(HoldReason::Invalid, "later".to_owned())))
        .await
        .unwrap();
    bench.store.clock().travel(TimeDelta::seconds(10));
    let doubted = bench.held().await;
    let all = JobFilter { limit: 10, ..JobFilter::default() };
    let listed = async |filter: JobFilter| {
        let jobs = bench.store.list_owned_jobs(bench.owner, &filter).await.unwrap();
        jobs.into_iter().map(|job| (job.payment, job.kind)).collect::<Vec<_>>()
    };
    let charge = (first.id.to_string(), "charge".to_owned());
    let reconcile = (doubted.id.to_string(), "reconcile".to_owned());

    assert_eq!(listed(all.clone()).await, [reconcile.clone(), charge.clone()], "the newest first");
    for (filter, expected) in [
        (JobFilter { state: Some("parked".to_owned()), ..all.clone() }, &charge),
        (JobFilter { state: Some("live".to_owned()), ..all.clone() }, &reconcile),
        (JobFilter { kind: Some("reconcile".to_owned()), ..all.clone() }, &reconcile),
        (JobFilter { payment: Some(first.id), ..all.clone() }, &charge),
        (JobFilter { due_before: Some(moment(5)), ..all.clone() }, &charge),
        (JobFilter { limit: 1, ..all.clone() }, &reconcile),
    ] {
        assert_eq!(listed(filter.clone()).await, std::slice::from_ref(expected), "{filter:?}");
    }
    let newest = bench.job(doubted.id).await.id.parse().unwrap();
    assert_eq!(listed(JobFilter { after: Some(newest), ..all }).await, [charge]);
}

// S1.12
async fn what_a_person_says_stands_in_the_row_and_in_the_history(database: Database) {
    let bench = Bench::new(database).await;
    let payment = bench.held().await;

    let proposal = bench.store.commit(bench.wish(payment.id, "k", proposed())).await.unwrap();
    bench.store.forget_recent();
    let read = bench.read(payment.id).await;
    let same = bench.store.commit(bench.wish(payment.id, "another", proposed())).await.unwrap();
    let done = bench.store.commit(bench.wish(payment.id, "m", approved())).await.unwrap();
    bench.store.forget_recent();

    assert_eq!(proposal.payment, Some(read.clone()));
    assert_eq!((same.fresh, same.payment), (false, Some(read)));
    assert_eq!(done.payment, Some(bench.read(payment.id).await));
    assert_eq!(bench.causes(payment.id).await[4..], ["resolve", "resolve"]);
}

// S1.4
async fn a_charge_that_is_another_attempts_is_not_taken_twice(database: Database) {
    let bench = Bench::new(database).await;
    let other = bench.sending().await;
    let lease = bench.claim_one().await.lease;
    let answer = answered("ch_1", Outcome::Succeeded);
    let settled = Change { job: Some((lease, JobEnd::Done)), ..bench.event(other.id, answer) };
    bench.store.commit(settled).await.unwrap();
    let payment = bench.held().await;

    let refused = bench.store.commit(bench.wish(payment.id, "k", paid("ch_1"))).await;
    let settled = bench.store.commit(bench.wish(payment.id, "k", paid("ch_2"))).await.unwrap();

    assert!(matches!(refused, Err(CommitError::ChargeTaken)), "{refused:?}");
    assert_eq!(settled.payment.unwrap().status, Status::Succeeded);
}

async fn nobody_has_the_last_word_while_a_worker_is_at_it(database: Database) {
    let bench = Bench::new(database).await;
    let payment = bench.held().await;
    bench.store.commit(bench.wish(payment.id, "k", proposed())).await.unwrap();
    bench.store.clock().travel(TimeDelta::minutes(1));
    let reconcile = Order { lane: Lane::Reconcile, ..bench.order(1) };
    let claimed = bench.store.claim(reconcile).await.unwrap().pop().unwrap();
    assert_eq!(claimed.job, dunlin_jobs::Job::Reconcile(Reconcile { payment: payment.id, attempt: 1 }));

    let early = bench.store.commit(bench.wish(payment.id, "m", approved())).await;
    bench.store.commit(bench.note(&claimed.lease, JobEnd::Again(moment(600)))).await.unwrap();
    let late = bench.store.commit(bench.wish(payment.id, "m", approved())).await.unwrap();

    assert!(matches!(early, Err(CommitError::InHand)), "{early:?}");
    assert_eq!(late.payment.unwrap().status, Status::Canceled);
}
