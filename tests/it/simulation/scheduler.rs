//! The scheduler: only one actor moves at a time, and the dice say which.

use super::{
    actors::{self, METHODS, Means},
    faults::Dice,
};
use crate::support::{
    database::Database,
    world::{self, BEGIN},
};
use chrono::{DateTime, TimeDelta};
use dunlin::{
    domain::clock::Clock,
    failpoint::{CommitFault, Failpoints, Point, Visit},
    flow::{Flows, Turns},
    store::{Filter, Owner},
};
use dunlin_jobs::{Lane, MethodId, PaymentId};
use dunlin_sandbox::Bank;
use std::{collections::BTreeMap, fmt::Write, sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    task::{Id, JoinHandle},
};

/// How many steps go wrong before the world heals.
const TROUBLED_STEPS: usize = 60;
/// The healed world must come to rest within as many.
const HEALED_STEPS: usize = 20_000;
/// A step takes milliseconds; one that takes this long has hung.
const HANG: Duration = Duration::from_secs(30);

pub(crate) struct Simulation<'a> {
    database: &'a Database,
    dice: Dice,
    clock: Clock,
    pub(crate) bank: Arc<Bank>,
    pub(crate) flows: Flows,
    pub(crate) owner: Owner,
    pub(crate) crashes: usize,
    pub(crate) lost_commits: usize,
    /// How often a customer approved or refused.
    pub(crate) acted: usize,
    /// Payment methods of customers.
    kept: Vec<MethodId>,
    /// Those that were detached, with the attempts that their payments had then.
    pub(crate) detached: BTreeMap<MethodId, BTreeMap<PaymentId, u32>>,
    told: mpsc::UnboundedReceiver<Told>,
    tell: mpsc::UnboundedSender<Told>,
    actors: BTreeMap<u64, Actor>,
    committer: Committer,
    next: u64,
}

/// What the scheduler hears.
enum Told {
    Visit(Visit),
    Ended(u64),
}

#[derive(Debug)]
struct Actor {
    task: JoinHandle<()>,
    state: State,
}

#[derive(Debug)]
enum State {
    Running,
    At(Visit),
    /// In the committer's line, or in its batch.
    InLine,
    InBatch,
}

#[derive(Debug)]
enum Committer {
    Idle,
    At(Visit),
}

impl<'a> Simulation<'a> {
    pub(crate) async fn begin(database: &'a Database, dice: Dice) -> Self {
        let (tell, told) = mpsc::unbounded_channel();
        let bank = Arc::new(Bank::simulated(dice.seed, BEGIN));
        let clock = Clock::held(DateTime::from_timestamp(BEGIN, 0).unwrap(), dice.seed);
        let flows = Self::open(database, &dice, &clock, &bank, tell.clone()).await;
        let tenant = flows.store.ensure_tenant(&format!("seed {}", dice.seed)).await.unwrap();
        let owner = Owner { tenant: tenant.id, livemode: false };
        Self {
            database,
            dice,
            clock,
            bank,
            flows,
            owner,
            crashes: 0,
            lost_commits: 0,
            acted: 0,
            kept: Vec::new(),
            detached: BTreeMap::new(),
            told,
            tell,
            actors: BTreeMap::new(),
            committer: Committer::Idle,
            next: 0,
        }
    }

    async fn open(
        database: &Database,
        dice: &Dice,
        clock: &Clock,
        bank: &Arc<Bank>,
        tell: mpsc::UnboundedSender<Told>,
    ) -> Flows {
        let (visits, mut visited) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(visit) = visited.recv().await {
                let _ = tell.send(Told::Visit(visit));
            }
        });
        let store = database.open_with_one_committer(clock.clone(), Failpoints::ask(visits)).await;
        let client = dice.bad_line(Arc::clone(bank));
        Flows {
            store,
            gateways: world::gateways(),
            client,
            turns: Turns::default(),
            redis: None,
            settings: world::settings(),
        }
    }

    /// Everything that can go wrong does, as the dice have it.
    pub(crate) async fn trouble(&mut self) {
        let mut wanted = Vec::new();
        for _ in 0..=self.dice.throw(3) {
            wanted.push(self.choose_means().await);
        }
        for (payment, means) in wanted.into_iter().enumerate() {
            for _ in 0..=self.dice.throw(3) {
                let key = format!("{}-{payment}", self.dice.seed);
                self.spawn(actors::caller(self.flows.clone(), self.owner, key, means)).await;
            }
        }
        for _ in 0..TROUBLED_STEPS {
            match self.dice.throw(30) {
                0..=3 => self.start_worker().await,
                4 => self.pass_time(TimeDelta::seconds(5)),
                5 => self.pass_time(TimeDelta::days(1)),
                // Whoever holds a lease is slow, and somebody else takes over.
                6 => self.expire_leases().await,
                7 => self.kill_someone(),
                8 if self.dice.throw(4) == 0 => self.crash().await,
                9 => self.customers_act().await,
                10 => self.detach().await,
                _ => self.step().await,
            }
        }
    }

    /// Nothing goes wrong any more, and everything has to end well.
    pub(crate) async fn heal(&mut self) {
        self.dice.heal();
        for _ in 0..HEALED_STEPS {
            if self.is_at_rest() {
                self.flows.store.expire_leases().await.unwrap();
                // Most were sent to their bank only now; what they do not answer in time is canceled.
                if self.dice.throw(8) == 0 {
                    self.customers_act().await;
                }
                let now = self.clock.now(false);
                if self.flows.store.count_busy(false, now).await.unwrap() == 0 {
                    match self.flows.store.find_next_due(false).await.unwrap() {
                        Some(due) => self.pass_time(due - now),
                        None => return,
                    }
                }
                self.start_worker().await;
            }
            self.step().await;
        }
        panic!("seed {}: it does not come to rest: {}", self.dice.seed, self.tell_what_is_left().await);
    }

    async fn choose_means(&mut self) -> Means {
        let token = METHODS[self.dice.throw(METHODS.len())];
        if self.dice.throw(3) > 0 {
            return Means { token, kept: None };
        }
        let kept = actors::keep(&self.flows, self.owner, token).await;
        self.kept.push(kept);
        Means { token, kept: Some(kept) }
    }

    /// Takes one of the kept methods from its customer.
    async fn detach(&mut self) {
        if self.kept.is_empty() || self.is_writing() {
            return;
        }
        let method = self.kept.swap_remove(self.dice.throw(self.kept.len()));
        self.flows.detach_method(self.owner, method).await.unwrap();
        let filter = Filter { limit: 100, ..Filter::default() };
        let payments = self.flows.store.list_payments(self.owner, &filter).await.unwrap();
        let its = payments.iter().filter(|payment| payment.method_id == Some(method));
        self.detached.insert(method, its.map(|payment| (payment.id, payment.next_attempt())).collect());
    }

    /// Every customer who was sent to their bank, and knows of it, approves or refuses.
    async fn customers_act(&mut self) {
        let status = Some("requires_action".to_owned());
        let filter = Filter { status, limit: 100, ..Filter::default() };
        for payment in self.flows.store.list_payments(self.owner, &filter).await.unwrap() {
            let answer = if self.dice.throw(4) == 0 { "refuse" } else { "approve" };
            if let Some(url) = payment.attempt.and_then(|attempt| attempt.action_url) {
                self.acted += usize::from(world::visit(&self.bank, &url, answer) == 303);
            }
        }
    }

    async fn tell_what_is_left(&self) -> String {
        let filter = Filter { limit: 100, ..Filter::default() };
        let mut told = format!("{} actors; now {}", self.actors.len(), self.clock.now(false));
        for payment in self.flows.store.list_payments(self.owner, &filter).await.unwrap() {
            let jobs = self.flows.store.list_jobs(payment.id).await.unwrap();
            let _ = write!(told, "\n{payment:?}\n  {jobs:?}");
        }
        told
    }

    pub(crate) async fn end(self) {
        self.flows.store.abandon().await;
    }

    /// Whether a transaction is open: on SQLite it has the only writer, on PostgreSQL its locks.
    fn is_writing(&self) -> bool {
        matches!(&self.committer, Committer::At(visit) if visit.point == Point::BatchWritten)
    }

    async fn expire_leases(&mut self) {
        if !self.is_writing() {
            let done = self.flows.store.expire_leases().await;
            assert!(
                done.is_ok(),
                "seed {}: {done:?} {:?} {:?} crashes {}",
                self.dice.seed,
                self.committer,
                self.actors,
                self.crashes
            );
        }
    }

    fn is_at_rest(&self) -> bool {
        self.actors.is_empty() && matches!(self.committer, Committer::Idle)
    }

    async fn start_worker(&mut self) {
        let lane = if self.dice.throw(3) == 0 { Lane::Reconcile } else { Lane::Payments };
        let limit = 1 + u16::try_from(self.dice.throw(3)).unwrap();
        let owner = format!("worker {}", self.next);
        self.spawn(actors::worker(self.flows.clone(), lane, owner, limit)).await;
    }

    fn pass_time(&self, by: TimeDelta) {
        world::move_clock(&self.clock, &self.bank, by);
    }

    async fn spawn(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        let number = self.next;
        self.next += 1;
        let tell = self.tell.clone();
        let task = tokio::spawn(async move {
            work.await;
            let _ = tell.send(Told::Ended(number));
        });
        self.actors.insert(number, Actor { task, state: State::Running });
        self.settle().await;
    }

    /// Lets one of those who can move take a step.
    async fn step(&mut self) {
        let mut movable: Vec<Option<u64>> = self
            .actors
            .iter()
            .filter(|(_, actor)| matches!(actor.state, State::At(_)))
            .map(|(number, _)| Some(*number))
            .collect();
        if matches!(self.committer, Committer::At(_)) {
            movable.push(None);
        }
        if movable.is_empty() {
            return;
        }
        match movable[self.dice.throw(movable.len())] {
            Some(number) => self.move_actor(number),
            None => self.move_committer(),
        }
        self.settle().await;
    }

    fn move_actor(&mut self, number: u64) {
        let actor = self.actors.get_mut(&number).expect("it was listed");
        let State::At(visit) = std::mem::replace(&mut actor.state, State::Running) else { return };
        if visit.point == Point::Asked {
            actor.state = State::InLine;
        }
        let _ = visit.go.send(CommitFault::None);
    }

    fn move_committer(&mut self) {
        let Committer::At(visit) = std::mem::replace(&mut self.committer, Committer::Idle) else { return };
        let mut fault = CommitFault::None;
        if visit.point == Point::BatchWritten {
            fault = self.dice.commit_fault();
            self.lost_commits += usize::from(fault != CommitFault::None);
        } else if visit.point == Point::BatchTaken {
            self.change_states(|state| matches!(state, State::InLine), || State::InBatch);
        } else if visit.point == Point::BatchCommitted {
            self.change_states(|state| matches!(state, State::InBatch), || State::Running);
        }
        let _ = visit.go.send(fault);
    }

    fn change_states(&mut self, which: impl Fn(&State) -> bool, to: impl Fn() -> State) {
        for actor in self.actors.values_mut().filter(|actor| which(&actor.state)) {
            actor.state = to();
        }
    }

    /// Hears what happens until nobody runs any more.
    async fn settle(&mut self) {
        while self.somebody_runs() {
            let told = tokio::time::timeout(HANG, self.told.recv()).await;
            let told = told.unwrap_or_else(|_| panic!("seed {}: a step hangs", self.dice.seed));
            match told.expect("the scheduler holds a sender") {
                Told::Ended(number) => {
                    self.actors.remove(&number);
                }
                Told::Visit(visit) => self.visited(visit),
            }
        }
    }

    /// An actor runs, or the committer has something to do and stands nowhere.
    fn somebody_runs(&self) -> bool {
        let running = self.actors.values().any(|actor| matches!(actor.state, State::Running));
        let waited_for =
            self.actors.values().any(|actor| matches!(actor.state, State::InLine | State::InBatch));
        running || (waited_for && matches!(self.committer, Committer::Idle))
    }

    fn visited(&mut self, visit: Visit) {
        let found = self.actors.values_mut().find(|actor| Some(actor.id()) == visit.task);
        match found {
            Some(actor) => actor.state = State::At(visit),
            // Tasks that were killed still stand where they stood; the committer is the only other one.
            None if visit.point.is_the_committers() => self.committer = Committer::At(visit),
            None => {}
        }
    }

    /// One worker or caller dies where it stands; what it asked of the committer may still happen.
    fn kill_someone(&mut self) {
        let standing: Vec<_> = self
            .actors
            .iter()
            .filter(|(_, actor)| matches!(actor.state, State::At(_)))
            .map(|(number, _)| *number)
            .collect();
        if standing.is_empty() {
            return;
        }
        let number = standing[self.dice.throw(standing.len())];
        if let Some(actor) = self.actors.remove(&number) {
            actor.task.abort();
            self.crashes += 1;
        }
    }

    /// The process dies: everybody in it, and what was not committed.
    async fn crash(&mut self) {
        self.crashes += 1;
        for actor in std::mem::take(&mut self.actors).into_values() {
            actor.task.abort();
            let _ = actor.task.await;
        }
        self.committer = Committer::Idle;
        let (tell, told) = mpsc::unbounded_channel();
        let before = self.flows.store.clone();
        // Whoever waits for a word from this scheduler waits for ever, holding nothing.
        (self.tell, self.told) = (tell, told);
        before.abandon().await;
        self.flows = Self::open(self.database, &self.dice, &self.clock, &self.bank, self.tell.clone()).await;
        self.flows.store.expire_leases().await.unwrap();
    }
}

impl Actor {
    fn id(&self) -> Id {
        self.task.id()
    }
}
