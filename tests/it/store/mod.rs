//! The conformance suite of the store: what every database must do, method by method.

mod accounts;
mod api_keys;
mod changes;
mod claims;
mod constraints;
mod failover;
mod jobs;
mod keys;
mod lost;
mod people;
pub(crate) mod raw;
mod reads;
mod restores;
mod schema;
mod trail;
mod wallets;

use crate::support::{
    database::{Database, plan},
    world::BEGIN,
};
use chrono::{DateTime, TimeDelta, Utc};
use dunlin::{
    domain::{
        attempt::{Answer, ExchangeKind, Outcome},
        clock::Clock,
        decline::{CardFacts, Decline},
        payment::{ByHand, Event, Method, MethodKind, Payment, Start, Status},
        rejection::{Fate, Refusal},
        session::Session,
    },
    failpoint::{CommitFault, Failpoints, Point, Visit},
    store::{
        Options, Owner, Store,
        change::{
            Change, CommitError, Committed, Create, Exchange, ExchangeWrite, JobEnd, Key, Lease, Priority,
            Subject,
        },
        claim::{Claimed, Order},
        jobs::JobView,
    },
};
use dunlin_jobs::{AttemptId, ChangeId, ExchangeId, JobId, Lane, Money, PaymentId};
use futures_util::future::join_all;
use std::{collections::BTreeMap, time::Duration};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

type Answered = Result<Committed, CommitError>;

/// A store over a fresh database, and a clock that the test holds.
struct Bench {
    database: Database,
    store: Store,
    owner: Owner,
}

impl Bench {
    async fn new(database: Database) -> Self {
        Self::with(database, Failpoints::default()).await
    }

    async fn with(database: Database, failpoints: Failpoints) -> Self {
        Self::under(database, Clock::held(moment(0), 11), failpoints).await
    }

    async fn under(database: Database, clock: Clock, failpoints: Failpoints) -> Self {
        let options = Options { committers: 1, ..database.options() };
        let store = Store::open(&options, clock, plan(), failpoints).await.unwrap();
        let tenant = store.ensure_tenant("test").await.unwrap();
        Self { database, store, owner: Owner { tenant: tenant.id, livemode: false } }
    }

    /// One whose committer stands at each of its points until it is let go.
    async fn gated(database: Database) -> (Self, Gate) {
        let (scheduler, visits) = unbounded_channel();
        (Self::with(database, Failpoints::ask(scheduler)).await, Gate { visits, kept: Vec::new() })
    }

    /// Another replica on the same database; only PostgreSQL can have one.
    async fn replica(&self, seed: u64) -> Store {
        self.database.open(Clock::held(moment(0), seed), Failpoints::default()).await
    }

    fn now(&self) -> DateTime<Utc> {
        self.store.clock().now(self.owner.livemode)
    }

    fn payment(&self) -> Payment {
        let now = self.now();
        Payment {
            id: PaymentId::mint(now, self.store.clock().random()),
            tenant: self.owner.tenant,
            livemode: self.owner.livemode,
            money: euros(1250),
            method: Method {
                kind: MethodKind::Card,
                payment_method: "pm_1".to_owned(),
                gateway_customer: None,
            },
            method_id: None,
            session: Session::Off,
            start: Start::Now,
            customer: None,
            reference: None,
            description: None,
            metadata: BTreeMap::new(),
            account: "main".to_owned(),
            status: Status::Pending,
            version: 1,
            operation: None,
            attempt: None,
            declines: 0,
            by_hand: ByHand::default(),
            resolution: None,
            failure: None,
            refunded: 0,
            refunding: 0,
            disputes: Vec::new(),
            created_at: now,
            updated_at: now,
        }
    }

    fn change(&self, subject: Subject) -> Change {
        let id = ChangeId::mint(self.now(), self.store.clock().random());
        Change { id, actor: "test".into(), subject, exchanges: Vec::new(), job: None }
    }

    fn note(&self, lease: &Lease, end: JobEnd) -> Change {
        Change { job: Some((lease.clone(), end)), ..self.change(Subject::Note) }
    }

    fn create(&self, payment: Payment, key: Option<Key>) -> Change {
        self.create_with(Create {
            payment,
            key,
            twin_since: None,
            priority: Priority::Interactive,
            traceparent: None,
        })
    }

    fn create_with(&self, create: Create) -> Change {
        self.change(Subject::Create(Box::new(create)))
    }

    fn event(&self, payment: PaymentId, event: Event) -> Change {
        self.change(Subject::Event(payment, event))
    }

    fn due(&self) -> Event {
        Event::Due { attempt: 1, id: AttemptId::mint(self.now(), self.store.clock().random()) }
    }

    /// A payment as the store has taken it in.
    async fn paid_in(&self) -> Payment {
        self.store.commit(self.create(self.payment(), None)).await.unwrap().payment.unwrap()
    }

    /// A payment whose attempt is on the wire.
    async fn sending(&self) -> Payment {
        let payment = self.paid_in().await;
        self.store.commit(self.event(payment.id, self.due())).await.unwrap().payment.unwrap()
    }

    async fn read(&self, id: PaymentId) -> Payment {
        self.store.find_payment(id).await.unwrap().unwrap()
    }

    async fn job(&self, id: PaymentId) -> JobView {
        let jobs = self.store.list_jobs(id).await.unwrap();
        assert_eq!(jobs.len(), 1, "{jobs:?}");
        jobs.into_iter().next().unwrap()
    }

    async fn claim(&self, limit: u16) -> Vec<Claimed> {
        self.store.claim(self.order(limit)).await.unwrap()
    }

    async fn claim_one(&self) -> Claimed {
        self.claim(1).await.pop().expect("a job is due")
    }

    fn order(&self, limit: u16) -> Order {
        Order {
            lane: Lane::Payments,
            livemode: self.owner.livemode,
            owner: "worker".to_owned(),
            lease: Duration::from_mins(1),
            limit,
        }
    }

    fn exchange(&self, payment: PaymentId, body: &str) -> Exchange {
        Exchange {
            id: ExchangeId::mint(self.now(), self.store.clock().random()),
            payment,
            attempt: 1,
            refund: None,
            kind: ExchangeKind::Create,
            resend: false,
            method: "POST".to_owned(),
            path: "/v1/payment_intents".to_owned(),
            idempotency_key: Some("key".to_owned()),
            api_version: "2026-01-01".to_owned(),
            body: body.to_owned(),
            opened_at: self.now(),
            closed: None,
        }
    }

    fn opening(&self, payment: PaymentId, body: &str) -> (Exchange, Change) {
        let exchange = self.exchange(payment, body);
        let mut change = self.change(Subject::Note);
        change.exchanges.push(ExchangeWrite::Open(exchange.clone()));
        (exchange, change)
    }
}

/// Holds the committer at its points.
struct Gate {
    visits: UnboundedReceiver<Visit>,
    /// Those who came while only one was let in.
    kept: Vec<Visit>,
}

impl Gate {
    /// Lets the committer through while the future runs, which is polled first: what it asks for at once is in
    /// the line before the committer looks.
    async fn run<F: Future>(&mut self, future: F, mut fault: impl FnMut(Point) -> CommitFault) -> F::Output {
        let mut future = std::pin::pin!(future);
        for visit in std::mem::take(&mut self.kept) {
            visit.go.send(fault(visit.point)).expect("the committer waits");
        }
        loop {
            tokio::select! {
                biased;
                output = &mut future => return output,
                visit = self.visits.recv() => {
                    let visit = visit.expect("the committer runs");
                    visit.go.send(fault(visit.point)).expect("the committer waits");
                }
            }
        }
    }

    /// Lets the one who asks into the line, and nobody through it.
    async fn let_in(&mut self) {
        loop {
            let visit = self.visits.recv().await.expect("somebody asks");
            if visit.point == Point::Asked {
                visit.go.send(CommitFault::None).expect("the caller waits");
                return;
            }
            self.kept.push(visit);
        }
    }

    async fn pass<F: Future>(&mut self, future: F) -> F::Output {
        self.run(future, |_| CommitFault::None).await
    }

    /// Commits all of them as one batch; also says how many transactions that took.
    async fn together(&mut self, store: &Store, changes: Vec<Change>) -> (Vec<Answered>, usize) {
        let mut written = 0;
        let all = join_all(changes.into_iter().map(|change| store.commit(change)));
        let answers = self.run(all, |point| {
            written += usize::from(point == Point::BatchWritten);
            CommitFault::None
        });
        (answers.await, written)
    }
}

fn moment(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(BEGIN, 123_456_000).unwrap() + TimeDelta::seconds(seconds)
}

fn euros(minor: i64) -> Money {
    Money::new(minor, "EUR".parse().unwrap()).unwrap()
}

fn key(key: &str, fingerprint: &str) -> Key {
    Key { scope: "payment.create".to_owned(), key: key.to_owned(), fingerprint: fingerprint.to_owned() }
}

fn answered(charge: &str, outcome: Outcome) -> Event {
    let answer = Answer {
        operation: Some("pi_1".to_owned()),
        charge: Some(charge.to_owned()),
        amount: Some(euros(1250)),
        outcome,
    };
    Event::Answered { attempt: 1, answer }
}

fn lost() -> Event {
    Event::Lost { attempt: 1, reason: "no answer".to_owned(), operation: None }
}

fn rejected() -> Event {
    let refusal = Refusal { code: None, param: None, message: "no such payment method".to_owned() };
    Event::Rejected { attempt: 1, refusal, fate: Fate::Fails }
}

fn not_sent() -> Event {
    Event::NotSent { attempt: 1, reason: "refused".to_owned() }
}

fn ids(claimed: &[Claimed]) -> Vec<JobId> {
    claimed.iter().map(|claimed| claimed.lease.job).collect()
}
