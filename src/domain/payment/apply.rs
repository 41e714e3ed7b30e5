//! The one way in which a payment changes: an event meets the table, and a step comes out of it.

use super::{Event, Payment, Status, next::Next};
use crate::domain::{
    attempt::{Attempt, AttemptStatus, Outcome},
    clock::Time,
    decline::Policy,
    event::EventType,
    refund::Refund,
    table::{Bar, Kind, Phase, Verdict, verdict_against},
};
use chrono::TimeDelta;
use dunlin_jobs::Job;

impl Payment {
    /// The one way in which a payment changes. `None`: the fact is known already and changes nothing.
    ///
    /// # Errors
    /// [`Refused`] where [`crate::domain::table`] says so, or where the event speaks of another attempt.
    pub fn apply(&self, event: Event, plan: &Plan, now: Time) -> Result<Option<Step>, Refused> {
        let phase = self.phase();
        let kind = if self.is_received_by(&event) { Kind::Received } else { event.kind() };
        let verdict = verdict_against(phase, kind, self.bar(&event, plan, now));
        let next = Next { payment: self.clone(), now, plan };
        let step = match (verdict, event) {
            (Verdict::Begin, Event::Due { id, .. }) => Some(next.begin(id)),
            (Verdict::Resume, _) => {
                Some(next.open("sent again, as the same attempt", AttemptStatus::Sending))
            }
            (Verdict::Plan, Event::NotSent { reason, .. }) => {
                Some(next.open(&reason, AttemptStatus::Planned))
            }
            (Verdict::Plan, _) => Some(next.found_absent()),
            (Verdict::Doubt, Event::Lost { reason, operation, .. }) => Some(next.doubt(&reason, operation)),
            (Verdict::Conclude, Event::Answered { answer, .. }) => next.conclude(answer),
            (Verdict::Reject, Event::Rejected { refusal, fate, .. }) => Some(next.reject(&refusal, fate)),
            (Verdict::Cancel, Event::Cancel) => Some(next.cancel()),
            (Verdict::Cancel, _) => Some(next.canceled_there()),
            (Verdict::Hold, Event::Review { reason }) => Some(next.hold(&reason)),
            (Verdict::Hold, Event::Contradicted { reason }) => Some(next.contradicted(&reason)),
            (Verdict::Hasten, Event::Retry { reason }) => next.hasten(reason.as_deref()),
            (Verdict::Start, Event::Process) => next.start(),
            (Verdict::Edit, Event::Edit(edit)) => next.edit(edit),
            (Verdict::Resolve, Event::Resolve { by, word }) => next.resolve(by, word),
            (Verdict::Note, Event::Hurry { job, kind, reason }) => {
                Some(next.moved(&format!("the {kind} {job} is to run now"), reason.as_deref()))
            }
            (Verdict::Note, Event::Release { job, kind, reason }) => Some(
                next.moved(&format!("the {kind} {job}, which was set aside, is released"), reason.as_deref()),
            ),
            (Verdict::Fail, _) => Some(next.detached()),
            (Verdict::Compare, Event::Answered { answer, .. }) => next.compare(answer),
            (Verdict::Receive, Event::Answered { answer, .. }) => Some(next.received(answer)),
            (Verdict::Withdraw, _) => Some(next.withdrawn()),
            (
                Verdict::Begin
                | Verdict::Doubt
                | Verdict::Conclude
                | Verdict::Reject
                | Verdict::Hold
                | Verdict::Hasten
                | Verdict::Start
                | Verdict::Edit
                | Verdict::Resolve
                | Verdict::Note
                | Verdict::Compare
                | Verdict::Receive
                | Verdict::Refuse
                | Verdict::Impossible,
                _,
            ) => {
                let is_impossible = verdict == Verdict::Impossible;
                return Err(Refused { phase, event: kind, is_impossible });
            }
        };
        Ok(step.map(|mut step| {
            let leftovers = step.payment.leftovers(phase, plan, now);
            // What is withdrawn already was canceled by the gateway.
            let former = step.payment.let_go(self, now).filter(|_| verdict != Verdict::Withdraw);
            step.effects.extend(leftovers.into_iter().chain(former));
            step
        }))
    }
}

impl Payment {
    /// What stands against the event beside where the payment stands.
    fn bar(&self, event: &Event, plan: &Plan, now: Time) -> Bar {
        let latest = self.attempt.as_ref().map(|attempt| attempt.n);
        match event {
            Event::Due { attempt, .. } if *attempt != self.next_attempt() => Bar::NotNext,
            // A job that comes too early does not shorten a delay that was decided on.
            Event::Due { .. } if self.is_early(now) => Bar::Early,
            // Its payer's bank has taken back what was charged (S1.20).
            Event::Due { .. } if self.is_disputed() => Bar::AgainstRules,
            Event::Resolve { .. } if self.resolvable(event).is_err() => Bar::AgainstRules,
            Event::Retry { .. } if self.retriable(&plan.declines, now).is_err() => Bar::AgainstRules,
            Event::Send { attempt }
            | Event::NotSent { attempt, .. }
            | Event::Lost { attempt, .. }
            | Event::Answered { attempt, .. }
            | Event::Rejected { attempt, .. }
            | Event::Absent { attempt }
            | Event::Canceled { attempt }
            | Event::Withdrawn { attempt }
                if Some(*attempt) != latest =>
            {
                Bar::OtherAttempt
            }
            Event::Due { .. }
            | Event::Send { .. }
            | Event::NotSent { .. }
            | Event::Lost { .. }
            | Event::Answered { .. }
            | Event::Rejected { .. }
            | Event::Absent { .. }
            | Event::Cancel
            | Event::Canceled { .. }
            | Event::Withdrawn { .. }
            | Event::Review { .. }
            | Event::Contradicted { .. }
            | Event::Retry { .. }
            | Event::Process
            | Event::Edit(_)
            | Event::Resolve { .. }
            | Event::Hurry { .. }
            | Event::Release { .. }
            | Event::Detached => Bar::Clear,
        }
    }

    /// Whether the event tells of a success that is another than what is on record as the payment's.
    pub fn is_paid_anew_by(&self, event: &Event) -> bool {
        self.is_paid_twice_by(event) || self.is_received_by(event)
    }

    /// Whether the event tells of another success than the one that the payment has.
    fn is_paid_twice_by(&self, event: &Event) -> bool {
        let charge = self.attempt.as_ref().and_then(|attempt| attempt.charge.as_ref());
        match event {
            Event::Answered { answer, .. } => {
                self.status == Status::Succeeded
                    && answer.outcome == Outcome::Succeeded
                    && answer.charge.as_ref() != charge
            }
            Event::Due { .. }
            | Event::Send { .. }
            | Event::NotSent { .. }
            | Event::Lost { .. }
            | Event::Rejected { .. }
            | Event::Absent { .. }
            | Event::Cancel
            | Event::Canceled { .. }
            | Event::Withdrawn { .. }
            | Event::Review { .. }
            | Event::Contradicted { .. }
            | Event::Retry { .. }
            | Event::Process
            | Event::Edit(_)
            | Event::Resolve { .. }
            | Event::Hurry { .. }
            | Event::Release { .. }
            | Event::Detached => false,
        }
    }
}

impl Step {
    /// The step beside all attempts that are on record: a duplicate that is one of them is known already.
    pub fn beside(mut self, before: &Payment, known: &[Attempt]) -> Option<Self> {
        if let Some(duplicate) = &mut self.duplicate {
            let same = |one: &Attempt| {
                let named = one.charge.is_some() || one.status == AttemptStatus::Duplicate;
                named && one.charge == duplicate.charge
            };
            if known.iter().any(same) {
                return None;
            }
            let last = known.iter().map(|attempt| attempt.n).max().unwrap_or(0);
            duplicate.n = duplicate.n.max(last + 1);
        }
        self.unless_known(before, known)
    }
}

/// What a payment needs to know to decide.
#[derive(Debug, Clone)]
pub struct Plan {
    pub declines: Policy,
    /// How long after a doubt the gateway is first asked.
    pub first_poll: TimeDelta,
    /// How long what was declined may still be paid at the gateway, where only the customer can.
    pub payable: TimeDelta,
}

/// The payment after an event, and what has to happen with it in the same commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub payment: Payment,
    /// A second success, to be kept beside the first, and the order to give it back (S1.4).
    pub duplicate: Option<Attempt>,
    pub refund: Option<Refund>,
    pub effects: Vec<Effect>,
    /// Why, in words, for the payment's history.
    pub detail: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// This job at this time.
    Enqueue(Job, Time),
    /// This job at this time, also where it waits for another one, and before what nobody waits for.
    Hasten(Job, Time),
    /// Tell the merchant.
    Emit(EventType),
}

/// The table does not let this happen now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a payment that is {phase:?} cannot take {event:?}")]
pub struct Refused {
    pub phase: Phase,
    pub event: Kind,
    /// No right program brings the two together.
    pub is_impossible: bool,
}
