//! The scheduler: only one actor moves at a time, and the dice say which.
//!
//! While a transaction is open nobody moves but who has it: on SQLite it has the only writer, on PostgreSQL others would
//! wait for its locks, and what they do without its writes they could have done before it.

use super::{
    actors::{self, DOUBTFUL, METHODS, Means},
    dice::Dice,
    failover::Standby,
    mail,
    people::Said,
    process::{Committer, Process, Site},
    tally::Tally,
    wire::Wire,
};
use crate::support::{
    database::Database,
    world::{self, BEGIN},
};
use chrono::{DateTime, TimeDelta};
use dunlin::{
    domain::{
        clock::{Clock, Time},
        listing::Progress,
        payment::Payment,
    },
    failpoint::{CommitFault, Point, Visit},
    flow::Flows,
    gateway::listing::Topic,
    store::{Filter, Owner},
};
use dunlin_jobs::{MethodId, PaymentId};
use dunlin_sandbox::Bank;
use std::{
    collections::BTreeMap,
    fmt::Write,
    ops::RangeInclusive,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    sync::mpsc,
    task::{Id, JoinHandle},
};

/// A step takes milliseconds; one that takes this long has hung.
const HANG: Duration = Duration::from_secs(30);
/// How far a clock may be wrong, in minutes.
const WRONG_BY: [i64; 4] = [-9 * 60, -5, 5, 9 * 60];

pub(crate) struct Simulation<'a> {
    pub(super) site: Site<'a>,
    pub(super) bank: Arc<Bank>,
    pub(super) owner: Owner,
    pub(super) processes: BTreeMap<u64, Process>,
    pub(super) standby: Standby,
    /// From when until when what was committed is gone.
    pub(super) unheard_of: Vec<RangeInclusive<Time>>,
    /// Those of processes that came to an end.
    alarms: u64,
    pub(super) tally: Tally,
    pub(super) temper: Temper,
    /// Posts of the gateway that are on their way.
    pub(super) mail: Vec<u64>,
    pub(super) said: Arc<Mutex<Vec<Said>>>,
    /// Payment methods of customers.
    pub(super) kept: Vec<MethodId>,
    /// Those that were detached, with the attempts that had been begun for their payments.
    pub(super) detached: BTreeMap<MethodId, BTreeMap<PaymentId, u32>>,
    told: mpsc::UnboundedReceiver<Told>,
    actors: BTreeMap<u64, Actor>,
    next: u64,
}

/// What a seed is like as a whole.
#[derive(Debug)]
pub(super) struct Temper {
    /// People are mistaken most of the time, else never, and much is to be looked at.
    pub(super) people_are_rash: bool,
    pub(super) theme: Theme,
}

/// What comes on top of what goes wrong in every seed. What the gateway has told would be lost with the commits that a
/// standby has not heard of, so that only one of these can be judged strictly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Theme {
    PayersReturn,
    MoneyGoesBack,
    StandbysTakeOver,
}

impl Temper {
    fn of(dice: &Dice) -> Self {
        const THEMES: [Theme; 3] = [Theme::PayersReturn, Theme::MoneyGoesBack, Theme::StandbysTakeOver];
        Self { people_are_rash: dice.throw(3) == 0, theme: dice.pick(&THEMES) }
    }

    pub(super) fn is(&self, theme: Theme) -> bool {
        self.theme == theme
    }
}

/// What the scheduler hears.
pub(super) enum Told {
    /// Somebody in a process stands at a point.
    Visit(u64, Visit),
    Ended(u64),
}

#[derive(Debug)]
struct Actor {
    task: JoinHandle<()>,
    process: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Running,
    At(Visit),
    /// In its committer's line, or in its batch.
    InLine,
    InBatch,
}

impl<'a> Simulation<'a> {
    pub(crate) async fn begin(database: &'a Database, dice: Dice) -> Self {
        let (tell, told) = mpsc::unbounded_channel();
        let bank = Arc::new(Bank::simulated(dice.seed, BEGIN));
        let clock = Clock::held(DateTime::from_timestamp(BEGIN, 0).unwrap(), dice.seed);
        let wire = Wire::new(dice.clone(), Arc::clone(&bank), clock.clone());
        let mut settings = world::settings();
        let temper = Temper::of(&dice);
        if temper.people_are_rash || dice.throw(2) == 0 {
            // People come early, while a gateway still knows its keys.
            settings.review_after_s = 3600;
        }
        let secret = mail::listen(&bank);
        let site = Site { database, dice, clock, wire, settings, secret, tell };
        let first = site.start(0, TimeDelta::zero()).await;
        for topic in Topic::ALL {
            // The gateway of each seed is another one, and nothing of its lists has been read.
            first.flows.store.keep_progress("sandbox", topic.name(), &Progress::default()).await.unwrap();
        }
        let tenant = first.flows.store.ensure_tenant(&format!("seed {}", site.dice.seed)).await.unwrap();
        let owner = Owner { tenant: tenant.id, livemode: false };
        let standby = Standby::of(database, owner).await;
        let mut simulation = Self {
            site,
            bank,
            owner,
            processes: BTreeMap::from([(0, first)]),
            standby,
            unheard_of: Vec::new(),
            alarms: 0,
            tally: Tally::default(),
            temper,
            mail: Vec::new(),
            said: Arc::default(),
            kept: Vec::new(),
            detached: BTreeMap::new(),
            told,
            actors: BTreeMap::new(),
            next: 1,
        };
        if !database.is_sqlite() {
            for _ in 0..simulation.dice().throw(3) {
                simulation.start_process().await;
            }
        }
        simulation
    }

    pub(super) fn dice(&self) -> Dice {
        self.site.dice.clone()
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// A number that was not given before.
    pub(super) fn nth(&mut self) -> u64 {
        self.number()
    }

    async fn start_process(&mut self) {
        let dice = self.dice();
        let minutes = if dice.trouble(3) { dice.pick(&WRONG_BY) } else { 0 };
        self.tally.wrong_clocks += usize::from(minutes != 0);
        let number = self.number();
        let process = self.site.start(number, TimeDelta::minutes(minutes)).await;
        self.processes.insert(number, process);
    }

    /// One of the processes.
    pub(super) fn any_process(&self) -> u64 {
        *self.processes.keys().nth(self.dice().throw(self.processes.len())).expect("one is always there")
    }

    pub(super) fn flows_of(&self, process: u64) -> Flows {
        self.processes[&process].flows.clone()
    }

    /// One process's flows, for looking.
    pub(super) fn flows(&self) -> &Flows {
        &self.processes.values().next().expect("one is always there").flows
    }

    /// All payments, in the order of their making.
    pub(super) async fn payments(&self) -> Vec<Payment> {
        let filter = Filter { limit: 100, ..Filter::default() };
        let mut payments = self.flows().store.list_payments(self.owner, &filter).await.unwrap();
        payments.reverse();
        payments
    }

    pub(super) async fn choose_means(&mut self) -> Means {
        let dice = self.dice();
        let token = if self.temper.people_are_rash { dice.pick(&DOUBTFUL) } else { dice.pick(&METHODS) };
        if dice.throw(3) > 0 {
            return Means { token, kept: None };
        }
        let kept = actors::keep(self.flows(), self.owner, token).await;
        self.kept.push(kept);
        Means { token, kept: Some(kept) }
    }

    pub(super) async fn tell_what_is_left(&self) -> String {
        let mut told = format!("{} actors; now {}", self.actors.len(), self.site.clock.now(false));
        for payment in self.payments().await {
            let jobs = self.flows().store.list_jobs(payment.id).await.unwrap();
            let _ = write!(told, "\n{payment:?}\n  {jobs:?}");
        }
        told
    }

    pub(crate) async fn end(mut self) {
        for process in std::mem::take(&mut self.processes).into_values() {
            process.flows.store.abandon().await;
        }
    }

    /// The process that has a transaction open.
    fn writer(&self) -> Option<u64> {
        self.processes.iter().find(|(_, process)| process.is_writing()).map(|(number, _)| *number)
    }

    pub(super) fn is_writing(&self) -> bool {
        self.writer().is_some()
    }

    pub(super) async fn expire_leases(&mut self) {
        if !self.is_writing() {
            self.flows().store.expire_leases().await.unwrap();
        }
    }

    pub(super) fn is_at_rest(&self) -> bool {
        let mut committers = self.processes.values().map(|process| &process.committer);
        self.actors.is_empty() && committers.all(|committer| matches!(committer, Committer::Idle))
    }

    pub(super) async fn start_worker(&mut self) {
        let (dice, process) = (self.dice(), self.any_process());
        let lane = dice.pick(&actors::LANES);
        let limit = 1 + u16::try_from(dice.throw(3)).unwrap();
        let owner = format!("worker {}", self.number());
        self.spawn(process, actors::worker(self.flows_of(process), lane, owner, limit)).await;
    }

    /// Time passes for everybody, whatever their clocks say.
    pub(super) fn pass_time(&self, by: TimeDelta) {
        let by = by.max(TimeDelta::zero());
        for process in self.processes.values() {
            process.flows.clock().travel(by);
        }
        world::move_clock(&self.site.clock, &self.bank, by);
    }

    pub(super) async fn spawn(&mut self, process: u64, work: impl Future<Output = ()> + Send + 'static) {
        let (number, tell) = (self.number(), self.site.tell.clone());
        let task = tokio::spawn(async move {
            work.await;
            let _ = tell.send(Told::Ended(number));
        });
        self.actors.insert(number, Actor { task, process, state: State::Running });
        self.settle().await;
    }

    /// Lets one of those who can move take a step.
    pub(super) async fn step(&mut self) {
        if let Some(writer) = self.writer() {
            self.move_committer(writer);
            return self.settle().await;
        }
        let standing = self.actors.iter().filter(|(_, actor)| matches!(actor.state, State::At(_)));
        let mut movable: Vec<(bool, u64)> = standing.map(|(number, _)| (false, *number)).collect();
        let busy = |process: &Process| matches!(process.committer, Committer::At(_));
        let committers = self.processes.iter().filter(|(_, process)| busy(process));
        movable.extend(committers.map(|(number, _)| (true, *number)));
        if movable.is_empty() {
            return;
        }
        match self.dice().pick(&movable) {
            (false, actor) => self.move_actor(actor),
            (true, process) => self.move_committer(process),
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

    fn move_committer(&mut self, number: u64) {
        let process = self.processes.get_mut(&number).expect("it was listed");
        let Committer::At(visit) = std::mem::replace(&mut process.committer, Committer::Idle) else { return };
        let mut fault = CommitFault::None;
        if visit.point == Point::BatchWritten {
            fault = self.site.dice.commit_fault();
            self.tally.lost_commits += usize::from(fault != CommitFault::None);
        } else if visit.point == Point::BatchTaken {
            self.change_states(number, |state| matches!(state, State::InLine), || State::InBatch);
        } else if visit.point == Point::BatchCommitted {
            self.change_states(number, |state| matches!(state, State::InBatch), || State::Running);
        }
        let _ = visit.go.send(fault);
    }

    fn change_states(&mut self, process: u64, which: impl Fn(&State) -> bool, to: impl Fn() -> State) {
        let its = self.actors.values_mut().filter(|actor| actor.process == process);
        for actor in its.filter(|actor| which(&actor.state)) {
            actor.state = to();
        }
    }

    /// Hears what happens until nobody runs any more.
    async fn settle(&mut self) {
        while self.somebody_runs() {
            let told = tokio::time::timeout(HANG, self.told.recv()).await;
            let told = told.unwrap_or_else(|_| panic!("seed {}: a step hangs", self.site.dice.seed));
            match told.expect("the scheduler holds a sender") {
                Told::Ended(number) => {
                    self.actors.remove(&number);
                }
                Told::Visit(process, visit) => self.visited(process, visit),
            }
        }
    }

    /// An actor runs, or its committer has something to do and stands nowhere.
    fn somebody_runs(&self) -> bool {
        self.actors.values().any(|actor| match actor.state {
            State::Running => true,
            State::At(_) => false,
            State::InLine | State::InBatch => {
                let process = self.processes.get(&actor.process);
                process.is_some_and(|process| matches!(process.committer, Committer::Idle))
            }
        })
    }

    fn visited(&mut self, process: u64, visit: Visit) {
        if let Some(actor) = self.actors.values_mut().find(|actor| Some(actor.id()) == visit.task) {
            actor.state = State::At(visit);
        } else if let Some(process) = self.processes.get_mut(&process) {
            // Tasks that were killed still stand where they stood; the committer is the only other one.
            if visit.point.is_the_committers() {
                process.committer = Committer::At(visit);
            }
        }
    }

    /// One worker or caller dies where it stands; what it asked of the committer may still happen.
    pub(super) fn kill_someone(&mut self) {
        let standing = self.actors.iter().filter(|(_, actor)| matches!(actor.state, State::At(_)));
        let standing: Vec<_> = standing.map(|(number, _)| *number).collect();
        if standing.is_empty() {
            return;
        }
        if let Some(actor) = self.actors.remove(&self.dice().pick(&standing)) {
            actor.task.abort();
            self.tally.crashes += 1;
        }
    }

    /// A process dies, with everybody in it and what was not committed, and another one is started.
    pub(super) async fn crash(&mut self) {
        self.tally.crashes += 1;
        self.stop(self.any_process()).await;
        self.start_process().await;
        self.expire_leases().await;
    }

    /// All processes are replaced by as many others: with clocks that are right, once the world is healed.
    pub(super) async fn deploy(&mut self) {
        let numbers: Vec<_> = self.processes.keys().copied().collect();
        for number in &numbers {
            self.stop(*number).await;
        }
        for _ in numbers {
            self.start_process().await;
        }
        self.expire_leases().await;
    }

    async fn stop(&mut self, number: u64) {
        let its = self.actors.extract_if(.., |_, actor| actor.process == number).collect::<Vec<_>>();
        for (_, actor) in its {
            actor.task.abort();
            let _ = actor.task.await;
        }
        if let Some(process) = self.processes.remove(&number) {
            self.alarms += process.flows.store.count_alarms();
            process.flows.store.abandon().await;
        }
    }

    /// How often an event met a state that it cannot meet, in all processes that there were.
    pub(super) fn count_alarms(&self) -> u64 {
        let running = self.processes.values().map(|process| process.flows.store.count_alarms());
        self.alarms + running.sum::<u64>()
    }

    /// A standby takes over under the processes; where there is one, it comes to an end, and a backup is restored.
    pub(super) async fn set_back(&mut self) {
        let is_only = self.site.database.is_sqlite();
        if is_only {
            self.stop(self.any_process()).await;
        }
        let since = self.standby.take_over(self.site.database).await;
        if is_only {
            self.start_process().await;
        }
        self.flows().store.expire_leases().await.unwrap();
        self.unheard_of.push(since..=self.site.clock.now(false));
        self.tally.set_back += 1;
    }
}

impl Actor {
    fn id(&self) -> Id {
        self.task.id()
    }
}
