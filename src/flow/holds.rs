//! Holds: what a rejection does to its account, and how an account that is on hold comes to be charged again. What
//! waits is left alone: no job is touched and no attempt is burnt (S1.22, S6.4).

use super::{FlowError, Flows, payments::check_text};
use crate::{
    domain::{
        attempt::AttemptStatus,
        hold::{Hold, HoldCause, Untold},
        payment::Payment,
        rejection::{Class, Fate, Refusal},
        trail::Deed,
    },
    gateway::Account,
    store::{KeyHolder, change::Actor},
};
use chrono::TimeDelta;
use std::time::Duration;

/// How often holds are read, and probes that are due are made.
const LOOK: Duration = Duration::from_secs(1);

/// A stage that stands still for this long ends: whoever was at it has died, or nothing waits any more.
const STILL: TimeDelta = TimeDelta::seconds(30);

/// What follows from a rejection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sorted {
    pub(super) fate: Fate,
    /// How long the payment waits, where it does.
    pub(super) wait: TimeDelta,
}

impl Flows {
    /// Sorts the refusal of a payment's attempt by what has to change, and puts the account on hold where that is it.
    pub(super) async fn sort(&self, payment: &Payment, refusal: &Refusal) -> Result<Sorted, FlowError> {
        let account = &payment.account;
        let rules = &self.settings.rejections;
        let now = self.clock().now(true);
        let is_missing = rules.is_missing(refusal);
        if is_missing && self.store.holds().watch(|watch| watch.missed(account, payment.id, rules.alike, now))
        {
            let detail = "one payment after the other names what is not there; is it the right account?";
            self.doubt(account, HoldCause::Identity, detail);
            return Ok(Sorted { fate: Fate::Waits, wait: TimeDelta::zero() });
        }
        let class = rules.class(refusal);
        match class {
            Class::Method | Class::Payment => {
                return Ok(Sorted { fate: rules.fate(class, 0), wait: TimeDelta::zero() });
            }
            Class::Account | Class::Unlisted => {}
        }
        if self.stops_alike(payment, refusal).await? {
            // Whoever is refused for its account's sake has not had a chance of its own. It goes behind what comes until
            // the next probe, so that none holds up all others by being tried first each time.
            let probe_at = self.store.holds().find(account).and_then(|hold| hold.probe_at);
            let wait = probe_at.map_or(TimeDelta::zero(), |at| (at - now).max(TimeDelta::zero()));
            return Ok(Sorted { fate: rules.fate(class, 0), wait });
        }
        let before = self.rejected_alike(payment, refusal).await?;
        Ok(Sorted { fate: rules.fate(class, before), wait: rules.wait(before) })
    }

    /// Puts the account on hold if one payment after the other is rejected like this one.
    async fn stops_alike(&self, payment: &Payment, refusal: &Refusal) -> Result<bool, FlowError> {
        let account = &payment.account;
        let alike = self.store.holds().watch(|watch| watch.rejected(account, refusal.code(), payment.id));
        // Once others were accepted while work resumes, it is no more the account's fault than at any time.
        let is_held = self.store.holds().find(account).is_some_and(|hold| !hold.has_passed());
        if alike < self.settings.rejections.alike && !is_held {
            return Ok(false);
        }
        let detail = format!("{}: {}", refusal.code(), refusal.message);
        self.hold(account, HoldCause::Requests, &detail).await?;
        Ok(true)
    }

    /// How often the payment was rejected by this code before.
    async fn rejected_alike(&self, payment: &Payment, refusal: &Refusal) -> Result<usize, FlowError> {
        let current = payment.attempt.as_ref().map(|attempt| attempt.n);
        let attempts = self.store.list_attempts(payment.id).await?;
        let alike = attempts.iter().filter(|attempt| {
            Some(attempt.n) != current
                && attempt.status == AttemptStatus::Rejected
                && attempt.decline.as_ref().is_some_and(|decline| decline.code == refusal.code())
        });
        Ok(alike.count())
    }

    /// The gateway refused our key: nothing is begun at the account, in no process, until it says whose it is.
    pub(super) async fn refuse_key(&self, account: &str, reason: &str) -> Result<(), FlowError> {
        let detail = format!("the gateway refused our credentials: {reason}");
        self.hold(account, HoldCause::Credentials, &detail).await?;
        let now = self.clock().now(true);
        // The log has said it.
        self.store.holds().watch(|watch| watch.doubt(account, HoldCause::Credentials, &detail, now));
        Ok(())
    }

    async fn hold(&self, account: &str, reason: HoldCause, detail: &str) -> Result<(), FlowError> {
        if self.store.hold_account(account, reason, detail).await? {
            tracing::error!(
                gateway.name = account,
                reason = reason.name(),
                "the gateway account {account} is on hold, and its charges wait: {detail}"
            );
        }
        Ok(())
    }

    /// The gateway took a charge of the account up, whatever became of it.
    pub(super) async fn accept(&self, account: &str) -> Result<(), FlowError> {
        self.store.holds().watch(|watch| watch.accepted(account));
        if self.store.holds().find(account).is_some_and(|hold| hold.stage.is_some()) {
            self.store.pass_stage(account).await?;
        }
        Ok(())
    }

    /// Looks after holds for as long as the process lives.
    pub async fn tend_holds(self) {
        loop {
            tokio::time::sleep(LOOK).await;
            if let Err(error) = self.tend_holds_once().await {
                tracing::debug!(%error, "the holds of accounts could not be looked after");
            }
        }
    }

    /// Reads the holds, makes the probes that are due, and ends stages that stand still.
    pub async fn tend_holds_once(&self) -> Result<(), FlowError> {
        self.store.refresh_holds().await?;
        self.store.note_restores().await?;
        let now = self.clock().now(true);
        let is_due = |name: &str| {
            self.store.holds().watch(|watch| watch.untold(name).is_some_and(|untold| untold.probe_at <= now))
        };
        for account in [true, false].into_iter().flat_map(|livemode| self.gateways.of(livemode)) {
            if is_due(&account.name) && self.identify(account).await?.is_ok() {
                tracing::info!(gateway.name = %account.name,
                    "the gateway account {} is the one that it was", account.name);
                self.store.enqueued().notify_waiters();
            }
        }
        for hold in self.store.holds().all() {
            match (hold.stage, hold.probe_at) {
                (Some(stage), _) if now - stage.since > STILL => self.store.end_stage(&hold).await?,
                (None, Some(at)) if at <= now => self.probe(&hold).await?,
                (Some(_) | None, _) => {}
            }
        }
        Ok(())
    }

    /// Asks without charging; work resumes if the account is the right one and takes the key.
    async fn probe(&self, hold: &Hold) -> Result<(), FlowError> {
        let Some(account) = self.gateways.find(&hold.account) else { return Ok(()) };
        // A key that was refused here proves nothing for other processes, which have one of their own.
        if !self.store.take_probe(hold).await? {
            return Ok(());
        }
        if self.identify(account).await?.is_ok() && self.store.resume_account(&hold.account).await? {
            tracing::info!(gateway.name = %hold.account,
                "the gateway account {} is charged again, one payment first", hold.account);
        }
        Ok(())
    }

    /// The account takes the key with which this process starts: what waits because one was refused resumes.
    pub async fn resume_with_key(&self, account: &str) -> Result<(), FlowError> {
        let held = self.store.holds().find(account);
        if held.is_some_and(|hold| hold.reason == HoldCause::Credentials && hold.stage.is_none()) {
            self.store.resume_account(account).await?;
        }
        Ok(())
    }

    /// Why the account is not charged, or only a little, as far as this process knows.
    pub fn hold_of(&self, account: &str) -> Option<Hold> {
        let untold = self.store.holds().watch(|watch| watch.untold(account).cloned());
        let own = untold.map(|Untold { reason, detail, since, probes, probe_at }| Hold {
            account: account.to_owned(),
            reason,
            detail,
            since,
            probes,
            probe_at: Some(probe_at),
            stage: None,
        });
        own.or_else(|| self.store.holds().find(account))
    }

    /// Reads the holds that other processes have made.
    pub async fn refresh_holds(&self) -> Result<(), FlowError> {
        Ok(self.store.refresh_holds().await?)
    }

    /// Puts an account on hold because a person wants it.
    pub async fn hold_gateway(
        &self,
        by: &KeyHolder,
        name: &str,
        reason: Option<String>,
    ) -> Result<Account, FlowError> {
        check_text("reason", reason.as_deref())?;
        let account = self.owned_account(by, name)?;
        let detail = reason.clone().unwrap_or_else(|| "a person put it on hold".to_owned());
        let deed = self.deed(by, "gateway.hold", name, reason);
        self.store.hold_by_hand(by.owner, name, &detail, deed).await?;
        tracing::info!(gateway.name = name, key.id = %by.key, "a person puts the gateway account {name} on hold");
        Ok(account)
    }

    /// Ends an account's hold because a person wants it: all that waits may be charged at once.
    pub async fn release_gateway(
        &self,
        by: &KeyHolder,
        name: &str,
        reason: Option<String>,
    ) -> Result<Account, FlowError> {
        check_text("reason", reason.as_deref())?;
        let account = self.owned_account(by, name)?;
        if !self.is_identified(name) {
            // A key that is refused, or another account's, is not made good by a person's word.
            self.identify(&account).await?.map_err(|error| FlowError::Conflict {
                code: "gateway_not_identified",
                detail: format!("{name} stays on hold: {error}"),
                payment: None,
            })?;
        }
        let deed = self.deed(by, "gateway.release", name, reason);
        if self.store.release_by_hand(by.owner, name, deed).await? {
            tracing::info!(gateway.name = name, key.id = %by.key, "a person releases the gateway account {name}");
        }
        self.store.enqueued().notify_waiters();
        Ok(account)
    }

    fn owned_account(&self, by: &KeyHolder, name: &str) -> Result<Account, FlowError> {
        let account = self.gateways.find(name).filter(|account| account.livemode == by.owner.livemode);
        account.cloned().ok_or(FlowError::NotFound("gateway account"))
    }

    fn deed(&self, by: &KeyHolder, action: &str, name: &str, reason: Option<String>) -> Deed {
        Deed { reason, ..Deed::by(&Actor::from(by), action, name, self.clock().now(true)) }
    }
}
