//! The day: what the dice have happen while things go wrong, and how everything comes to its end once nothing does.

use super::{
    actors::{self, PRESENT_ACT},
    judge,
    people::{self, Act, Person},
    scheduler::{Simulation, Theme},
    wire::Weather,
};
use crate::support::world;
use chrono::TimeDelta;
use dunlin::domain::{
    hold::Hold,
    payment::{Payment, Ruling, Status},
};
use std::sync::Arc;

/// How many steps go wrong before the world heals.
const TROUBLED_STEPS: usize = 90;
/// The healed world must come to rest within as many.
const HEALED_STEPS: usize = 20_000;
/// How many steps somebody may take who is not disturbed.
const UNDISTURBED_STEPS: usize = 60;
/// How often people look at what is left when nothing else is to be done.
const LAST_LOOKS: usize = 12;
/// How often the gateway's lists are read after that.
const LAST_READINGS: usize = 2;

impl Simulation<'_> {
    /// Everything that can go wrong does, as the dice have it.
    pub(crate) async fn trouble(&mut self) {
        self.call().await;
        if self.temper.people_are_rash {
            self.site.wire.set_weather(Weather::Silent);
        }
        for _ in 0..TROUBLED_STEPS {
            match self.dice().throw(48) {
                0..=4 => self.start_worker().await,
                5..=7 => self.work_undisturbed().await,
                8 => self.pass_time(TimeDelta::seconds(5)),
                9 => self.pass_time(TimeDelta::hours(3)),
                10 => self.pass_time(TimeDelta::days(1)),
                // Whoever holds a lease is slow, and somebody else takes over.
                11 => self.expire_leases().await,
                12 => self.kill_someone(),
                13 if self.dice().throw(4) == 0 => self.crash().await,
                14 => self.customers_act().await,
                15 => self.detach().await,
                16..=19 => self.somebody_resolves().await,
                20 | 21 => self.somebody_acts().await,
                22 => self.weather_changes(),
                23 | 24 if self.temper.is(Theme::StandbysTakeOver) => self.fail_over().await,
                25 | 26 | 30 if self.temper.is(Theme::MoneyGoesBack) => self.money_goes_back().await,
                27 | 28 => self.mail_comes().await,
                29 if self.temper.is(Theme::PayersReturn) => self.payers_come_back().await,
                30 | 31 => self.tend_holds().await,
                _ => self.step().await,
            }
        }
    }

    /// Callers, some of them with the same wish.
    async fn call(&mut self) {
        let dice = self.dice();
        let mut wanted = Vec::new();
        for _ in 0..=dice.throw(3) {
            wanted.push(self.choose_means().await);
        }
        for (payment, means) in wanted.into_iter().enumerate() {
            for _ in 0..=dice.throw(3) {
                let (key, process) = (format!("{}-{payment}", dice.seed), self.any_process());
                let caller = actors::caller(self.flows_of(process), self.owner, key, means);
                self.spawn(process, caller).await;
            }
        }
    }

    /// Nothing goes wrong any more, and everything has to end well.
    pub(crate) async fn heal(&mut self) -> Result<(), String> {
        self.dice().heal();
        self.site.wire.set_weather(Weather::Fair);
        self.deploy().await;
        let (mut looks, mut readings) = (0, 0);
        let wanted = if self.temper.is(Theme::MoneyGoesBack) { LAST_READINGS } else { 0 };
        for _ in 0..HEALED_STEPS {
            if self.is_at_rest() {
                self.expire_leases().await;
                // Most were sent to their bank only now; what they do not answer in time is canceled.
                if self.dice().throw(8) == 0 {
                    self.customers_act().await;
                }
                if self.dice().throw(8) == 0 {
                    self.somebody_resolves().await;
                }
                self.mail_comes().await;
                self.tend_holds().await;
                let now = self.site.clock.now(false);
                let store = self.flows().store.clone();
                if store.count_busy(false, now).await.unwrap() == 0 {
                    match store.find_next_due(false).await.unwrap() {
                        Some(due) => self.pass_time(due - now),
                        // Its probes come by themselves.
                        None if self.holds_something() => self.pass_time(TimeDelta::minutes(10)),
                        None if looks == LAST_LOOKS && readings == wanted => return Ok(()),
                        None if looks == LAST_LOOKS => {
                            // Once a day the whole of a list is read, which finds what a listing showed late.
                            readings += 1;
                            self.pass_time(TimeDelta::days(1));
                            self.lists_are_read().await;
                        }
                        None => {
                            looks += 1;
                            self.look_at_what_is_left().await;
                        }
                    }
                }
                self.start_worker().await;
            }
            self.step().await;
        }
        Err(format!("it does not come to rest: {}", self.tell_what_is_left().await))
    }

    /// A worker of a process does what it does without being disturbed.
    async fn work_undisturbed(&mut self) {
        self.start_worker().await;
        for _ in 0..UNDISTURBED_STEPS {
            if self.is_at_rest() {
                return;
            }
            self.step().await;
        }
    }

    /// Every process looks after the accounts that are on hold.
    async fn tend_holds(&mut self) {
        if self.is_writing() {
            return;
        }
        for process in self.processes.values() {
            Box::pin(process.flows.tend_holds_once()).await.unwrap();
        }
    }

    /// Whether an account waits for its next probe, or for somebody who began there and died.
    fn holds_something(&self) -> bool {
        let waits = |hold: Hold| hold.stage.is_none_or(|stage| stage.begun > stage.passed);
        self.processes.values().any(|process| process.flows.hold_of("sandbox").is_some_and(waits))
    }

    fn weather_changes(&mut self) {
        let weather = self.dice().pick(&Weather::ALL);
        self.tally.storms += usize::from(weather != Weather::Fair);
        self.site.wire.set_weather(weather);
    }

    /// A standby that has heard nothing of the last few steps takes over.
    async fn fail_over(&mut self) {
        if self.is_writing() {
            return;
        }
        let (database, now) = (self.site.database, self.site.clock.now(false));
        self.standby.catch_up(database, now).await;
        for _ in 0..self.dice().throw(4) {
            match self.dice().throw(3) {
                0 => self.somebody_acts().await,
                1 => self.start_worker().await,
                _ => self.pass_time(TimeDelta::seconds(5)),
            }
            for _ in 0..self.dice().throw(UNDISTURBED_STEPS) {
                self.step().await;
            }
        }
        while self.is_writing() {
            self.step().await;
        }
        self.set_back().await;
    }

    /// Takes one of the kept methods from its customer.
    async fn detach(&mut self) {
        if self.kept.is_empty() || self.is_writing() {
            return;
        }
        let method = self.kept.swap_remove(self.dice().throw(self.kept.len()));
        self.flows().detach_method(self.owner, method).await.unwrap();
        let payments = self.payments().await;
        let its = payments.iter().filter(|payment| payment.method_id == Some(method));
        let begun = its.map(|payment| (payment.id, judge::attempts_begun(payment)));
        self.detached.insert(method, begun.collect());
    }

    /// Every customer who was sent to their bank, and knows of it, approves or refuses.
    async fn customers_act(&mut self) {
        for payment in self.payments().await {
            let asked = payment.status == Status::RequiresAction;
            let url = payment.attempt.filter(|_| asked).and_then(|attempt| attempt.action_url);
            if let Some(url) = url {
                let answer = self.dice().pick(&PRESENT_ACT);
                self.tally.acted += usize::from(world::visit(&self.bank, &url, answer) == 303);
            }
        }
    }

    /// One of two people looks at one of the payments that are to be looked at.
    async fn somebody_resolves(&mut self) {
        let mut payments = self.payments().await;
        payments.retain(|payment| payment.status.review_reason().is_some());
        if !payments.is_empty() {
            let payment = payments.swap_remove(self.dice().throw(payments.len()));
            let who = 1 + u8::try_from(self.dice().throw(2)).unwrap();
            self.let_speak(&payment, who).await;
        }
    }

    async fn let_speak(&mut self, payment: &Payment, who: u8) {
        let (dice, process) = (self.dice(), self.any_process());
        let is_mistaken = self.temper.people_are_rash && (dice.trouble(2) || dice.trouble(2));
        let wants = dice.pick(&[Ruling::ChargeAgain, Ruling::ChargeAgain, Ruling::Canceled]);
        let wants = if payment.session.is_on() { Ruling::Canceled } else { wants };
        let holder = people::holder(self.owner, who);
        let (bank, said, nth) = (Arc::clone(&self.bank), Arc::clone(&self.said), self.nth());
        let person = Person { holder, bank, is_mistaken, wants, nth, said };
        let (flows, now) = (self.flows_of(process), self.site.clock.now(false));
        self.spawn(process, person.speak(flows, payment.id, now)).await;
    }

    /// Somebody does something to a payment, whatever it is at.
    async fn somebody_acts(&mut self) {
        let payments = self.payments().await;
        if payments.is_empty() {
            return;
        }
        let (dice, process) = (self.dice(), self.any_process());
        let (payment, act) = (payments[dice.throw(payments.len())].id, dice.pick(&Act::ALL));
        let by = people::holder(self.owner, 1);
        let nth = self.nth();
        self.spawn(process, act.on(self.flows_of(process), by, payment, nth)).await;
    }

    /// When no work is left, people see to what waits for them.
    async fn look_at_what_is_left(&mut self) {
        for payment in self.payments().await {
            if payment.status.review_reason().is_some() {
                for who in [1, 2] {
                    self.let_speak(&payment, who).await;
                    while !self.is_at_rest() {
                        self.step().await;
                    }
                }
            } else if !payment.status.is_final() && payment.status != Status::RequiresAction {
                let (process, by) = (self.any_process(), people::holder(self.owner, 1));
                let nth = self.nth();
                self.spawn(process, Act::Release.on(self.flows_of(process), by, payment.id, nth)).await;
            }
        }
    }
}
