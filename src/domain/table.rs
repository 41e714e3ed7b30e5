//! The table of states: for each phase of a payment and each thing that can happen, what follows.
//!
//! This is the only place that says which transitions are legal (S1.2). It is pure and total: adding a phase
//! or an event makes the compiler list the decisions that are now missing, and a test prints all pairs.

use super::{attempt::AttemptStatus, payment::Ruling};

/// Where a payment stands: its own status and that of its latest attempt, in the combinations that exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Nothing is open; an attempt is due.
    Pending,
    /// An attempt is open.
    Open(Open),
    /// An attempt is open and a person has to look.
    Review(Open),
    /// No attempt is open and a person has to look: two final facts contradict each other.
    Disputed,
    /// The last attempt was declined; the next has its time.
    Retrying,
    /// The last attempt was declined; only the customer can mend it.
    NeedsCustomer,
    Succeeded,
    Failed,
    Canceled,
}

/// The open statuses of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Open {
    Sending,
    Planned,
    Unknown,
    /// Accepted, the result comes later: the attempt's `pending`.
    Settling,
    /// The customer must act on it: the attempt's `requires_action`.
    Acting,
}

/// The names of what can happen; [`super::payment::Event`] carries the facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Due,
    Send,
    NotSent,
    Lost,
    Answered,
    /// The payment's own operation has taken the money, by a charge that is on record with no attempt (S1.21).
    Received,
    Rejected,
    Absent,
    Cancel,
    Canceled,
    /// The gateway has canceled what an attempt that is over had left payable.
    Withdrawn,
    Review,
    /// What the gateway says cannot be, beside what is on record.
    Contradicted,
    Retry,
    Process,
    Edit,
    /// A person says what became of it.
    Resolve(Ruling),
    /// A person wants one of its jobs to run now.
    Hurry,
    /// A person wants one of its jobs to run that was set aside.
    Release,
    Detached,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// An attempt is born, `sending` (S1.16).
    Begin,
    /// The planned attempt goes again, under its own key.
    Resume,
    /// The attempt is proven not sent.
    Plan,
    /// The attempt may have been executed: ask, never charge again.
    Doubt,
    /// The gateway's answer decides.
    Conclude,
    /// The gateway refused the request; the answer to that is in the rejection.
    Reject,
    /// The payment ends here, and with it an attempt that was never sent.
    Cancel,
    /// A person has to look.
    Hold,
    /// The payment ends here, since its payment method is gone.
    Fail,
    /// The next attempt is due now.
    Hasten,
    /// The first attempt is due now.
    Start,
    /// What is written beside the payment changes, and nothing else.
    Edit,
    /// A person's word decides, or two persons' (S1.12).
    Resolve,
    /// Work moves, and the payment stays where it is.
    Note,
    /// An answer met a payment that has no attempt open for it: the same fact again, or a contradiction.
    Compare,
    /// Somebody paid at the gateway what had stayed payable there: an attempt of the gateway's, and it is paid.
    Receive,
    /// The payment has nothing at the gateway any more.
    Withdraw,
    Refuse,
    /// Refused, and no right program brings these two together: a person is told (S1.23).
    Impossible,
}

/// What stands against an event beside its pair of phase and kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bar {
    Clear,
    /// It speaks of another attempt than the latest.
    OtherAttempt,
    /// Its request was made for another attempt than the next one.
    NotNext,
    /// The time that was set for it has not come.
    Early,
    /// The rules of declines, or of people's words, are against it.
    AgainstRules,
}

impl Open {
    pub const ALL: [Self; 5] = [Self::Sending, Self::Planned, Self::Unknown, Self::Settling, Self::Acting];

    pub fn from_status(status: AttemptStatus) -> Option<Self> {
        match status {
            AttemptStatus::Sending => Some(Self::Sending),
            AttemptStatus::Planned => Some(Self::Planned),
            AttemptStatus::Unknown => Some(Self::Unknown),
            AttemptStatus::Pending => Some(Self::Settling),
            AttemptStatus::RequiresAction => Some(Self::Acting),
            AttemptStatus::Succeeded
            | AttemptStatus::Declined
            | AttemptStatus::Rejected
            | AttemptStatus::Canceled
            | AttemptStatus::Duplicate => None,
        }
    }
}

impl Phase {
    pub fn all() -> impl Iterator<Item = Self> {
        let closed = [Self::Disputed, Self::Retrying, Self::NeedsCustomer];
        let ends = [Self::Succeeded, Self::Failed, Self::Canceled];
        std::iter::once(Self::Pending)
            .chain(Open::ALL.map(Self::Open))
            .chain(Open::ALL.map(Self::Review))
            .chain(closed)
            .chain(ends)
    }
}

impl Kind {
    pub const ALL: [Self; 22] = [
        Self::Due,
        Self::Send,
        Self::NotSent,
        Self::Lost,
        Self::Answered,
        Self::Received,
        Self::Rejected,
        Self::Absent,
        Self::Cancel,
        Self::Canceled,
        Self::Withdrawn,
        Self::Review,
        Self::Contradicted,
        Self::Retry,
        Self::Process,
        Self::Edit,
        Self::Resolve(Ruling::Succeeded),
        Self::Resolve(Ruling::Canceled),
        Self::Resolve(Ruling::ChargeAgain),
        Self::Hurry,
        Self::Release,
        Self::Detached,
    ];

    /// The name that history keeps.
    pub fn name(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Send => "send",
            Self::NotSent => "not_sent",
            Self::Lost => "lost",
            Self::Answered | Self::Received => "answered",
            Self::Rejected => "rejected",
            Self::Absent => "absent",
            Self::Cancel => "cancel",
            Self::Canceled => "canceled",
            Self::Withdrawn => "withdrawn",
            Self::Review => "review",
            Self::Contradicted => "contradicted",
            Self::Retry => "retry",
            Self::Process => "process",
            Self::Edit => "edit",
            Self::Resolve(_) => "resolve",
            Self::Hurry => "hurry",
            Self::Release => "release",
            Self::Detached => "method_detached",
        }
    }
}

impl Bar {
    pub const ALL: [Self; 5] =
        [Self::Clear, Self::OtherAttempt, Self::NotNext, Self::Early, Self::AgainstRules];
}

/// The table, and what stands against the event.
pub fn verdict_against(phase: Phase, kind: Kind, bar: Bar) -> Verdict {
    match bar {
        Bar::Clear => verdict(phase, kind),
        // A gateway's word on money is a fact, also where it is about an earlier attempt.
        Bar::OtherAttempt if kind == Kind::Answered => Verdict::Compare,
        // An operation takes the money once, so that it is the same money for whichever attempt is open (S1.21).
        Bar::OtherAttempt if kind == Kind::Received => verdict(phase, kind),
        Bar::OtherAttempt | Bar::NotNext | Bar::Early | Bar::AgainstRules => Verdict::Refuse,
    }
}

/// The table.
pub fn verdict(phase: Phase, kind: Kind) -> Verdict {
    // What is written beside a payment is no part of where it stands.
    if kind == Kind::Edit {
        return Verdict::Edit;
    }
    // Wherever it stands, a person looks, unless one does already.
    if kind == Kind::Contradicted {
        return match phase {
            Phase::Review(_) | Phase::Disputed => Verdict::Refuse,
            Phase::Pending
            | Phase::Open(_)
            | Phase::Retrying
            | Phase::NeedsCustomer
            | Phase::Succeeded
            | Phase::Failed
            | Phase::Canceled => Verdict::Hold,
        };
    }
    match phase {
        Phase::Pending if kind == Kind::Process => Verdict::Start,
        // A person may want the next attempt now; whether it is worth one, the decline says.
        Phase::Retrying | Phase::NeedsCustomer | Phase::Failed if kind == Kind::Retry => Verdict::Hasten,
        // What is not tried any more may still be payable at the gateway (S1.21).
        Phase::Failed if kind == Kind::Received => Verdict::Receive,
        Phase::Failed if kind == Kind::Withdrawn => Verdict::Withdraw,
        Phase::Pending | Phase::Retrying => waiting(kind),
        Phase::Open(open) => at_open(open, kind),
        Phase::Review(open) => in_review(open, kind),
        Phase::NeedsCustomer => needs_customer(kind),
        Phase::Disputed => disputed(kind),
        Phase::Succeeded | Phase::Failed | Phase::Canceled => closed(kind),
    }
}

/// Nothing is open, and an attempt may begin.
fn waiting(kind: Kind) -> Verdict {
    match kind {
        Kind::Due => Verdict::Begin,
        Kind::Answered => Verdict::Compare,
        Kind::Received => Verdict::Receive,
        Kind::Withdrawn => Verdict::Withdraw,
        Kind::Cancel => Verdict::Cancel,
        Kind::Hurry | Kind::Release => Verdict::Note,
        Kind::Detached => Verdict::Fail,
        Kind::Send
        | Kind::NotSent
        | Kind::Lost
        | Kind::Rejected
        | Kind::Absent
        | Kind::Canceled
        | Kind::Review
        | Kind::Retry
        | Kind::Process
        | Kind::Edit
        | Kind::Contradicted
        | Kind::Resolve(_) => Verdict::Refuse,
    }
}

fn needs_customer(kind: Kind) -> Verdict {
    match kind {
        Kind::Answered => Verdict::Compare,
        Kind::Received => Verdict::Receive,
        Kind::Withdrawn => Verdict::Withdraw,
        Kind::Cancel => Verdict::Cancel,
        Kind::Hurry | Kind::Release => Verdict::Note,
        Kind::Due
        | Kind::Send
        | Kind::NotSent
        | Kind::Lost
        | Kind::Rejected
        | Kind::Absent
        | Kind::Canceled
        | Kind::Review
        | Kind::Retry
        | Kind::Process
        | Kind::Edit
        | Kind::Contradicted
        | Kind::Resolve(_)
        | Kind::Detached => Verdict::Refuse,
    }
}

fn at_open(open: Open, kind: Kind) -> Verdict {
    match (open, kind) {
        (Open::Planned, Kind::Send) => Verdict::Resume,
        // Only the exchange on the wire can be proven not sent, and only absence undoes a doubt (S1.9).
        (Open::Sending, Kind::NotSent) | (Open::Unknown, Kind::Absent) => Verdict::Plan,
        // A send that is not proven unsent after all is a doubt, however the attempt came to be planned.
        (Open::Sending | Open::Planned | Open::Settling | Open::Acting, Kind::Lost) => Verdict::Doubt,
        (Open::Sending | Open::Unknown | Open::Settling | Open::Acting, Kind::Answered)
        // Whoever paid, it is paid, and by the one operation that this attempt goes by too: it ends here, and nothing more
        // is sent or given back (S1.21).
        | (
            Open::Sending | Open::Planned | Open::Unknown | Open::Settling | Open::Acting,
            Kind::Received,
        ) => Verdict::Conclude,
        // Proven not sent, and yet answered: one of the two is wrong.
        (Open::Planned, Kind::Answered) => Verdict::Compare,
        (Open::Sending | Open::Unknown, Kind::Rejected) => Verdict::Reject,
        (Open::Planned, Kind::Cancel) | (Open::Unknown | Open::Settling | Open::Acting, Kind::Canceled) => {
            Verdict::Cancel
        }
        (Open::Sending | Open::Planned | Open::Unknown | Open::Settling | Open::Acting, Kind::Review) => {
            Verdict::Hold
        }
        (
            Open::Sending | Open::Planned | Open::Unknown | Open::Settling | Open::Acting,
            Kind::Hurry | Kind::Release,
        ) => Verdict::Note,
        // A cancel with an attempt open waits for the gateway's own cancellation (S1.19).
        (Open::Sending | Open::Unknown | Open::Settling | Open::Acting, Kind::Cancel | Kind::Send)
        // What is open must end first: no second attempt beside it (S1.3). And a person is not asked yet.
        | (
            Open::Sending | Open::Planned | Open::Unknown | Open::Settling | Open::Acting,
            Kind::Due
            | Kind::Withdrawn
            | Kind::Retry
            | Kind::Process
            | Kind::Edit
            | Kind::Contradicted
            | Kind::Resolve(_),
        )
        | (Open::Unknown | Open::Settling | Open::Acting, Kind::NotSent)
        | (Open::Unknown, Kind::Lost)
        | (Open::Planned | Open::Settling | Open::Acting, Kind::Rejected)
        | (Open::Settling | Open::Acting, Kind::Absent)
        | (Open::Sending | Open::Planned, Kind::Canceled) => Verdict::Refuse,
        // Whoever says so has the lease of the one job that could have moved the attempt on, and has not.
        (Open::Planned, Kind::NotSent)
        | (Open::Sending | Open::Planned, Kind::Absent)
        // A method that is gone is met before an attempt begins, and by nothing that is open.
        | (
            Open::Sending | Open::Planned | Open::Unknown | Open::Settling | Open::Acting,
            Kind::Detached,
        ) => Verdict::Impossible,
    }
}

/// In review facts still count, but nothing new is started.
fn in_review(open: Open, kind: Kind) -> Verdict {
    match kind {
        Kind::NotSent
        | Kind::Lost
        | Kind::Answered
        | Kind::Received
        | Kind::Rejected
        | Kind::Absent
        | Kind::Canceled
        | Kind::Detached => at_open(open, kind),
        Kind::Resolve(ruling) => in_doubt(open, ruling),
        Kind::Hurry | Kind::Release => Verdict::Note,
        Kind::Due
        | Kind::Send
        | Kind::Cancel
        | Kind::Withdrawn
        | Kind::Review
        | Kind::Retry
        | Kind::Process
        | Kind::Edit
        | Kind::Contradicted => Verdict::Refuse,
    }
}

/// What a person may say of an attempt that is open (S1.12).
fn in_doubt(open: Open, ruling: Ruling) -> Verdict {
    match (open, ruling) {
        (Open::Unknown | Open::Planned, Ruling::Succeeded | Ruling::Canceled | Ruling::ChargeAgain)
        | (Open::Settling | Open::Acting, Ruling::Succeeded) => Verdict::Resolve,
        // What the gateway says that it has, it has to cancel itself (S1.19); and a request on the wire has no outcome.
        (Open::Settling | Open::Acting, Ruling::Canceled | Ruling::ChargeAgain)
        | (Open::Sending, Ruling::Succeeded | Ruling::Canceled | Ruling::ChargeAgain) => Verdict::Refuse,
    }
}

/// Two final facts contradict each other: a person says which one holds.
fn disputed(kind: Kind) -> Verdict {
    match kind {
        Kind::Resolve(Ruling::Succeeded | Ruling::Canceled) => Verdict::Resolve,
        // The gateway has told of money for it, so no more is asked for.
        Kind::Resolve(Ruling::ChargeAgain)
        | Kind::Due
        | Kind::Send
        | Kind::NotSent
        | Kind::Lost
        | Kind::Answered
        | Kind::Received
        | Kind::Rejected
        | Kind::Absent
        | Kind::Cancel
        | Kind::Canceled
        | Kind::Withdrawn
        | Kind::Review
        | Kind::Retry
        | Kind::Process
        | Kind::Edit
        | Kind::Contradicted
        | Kind::Hurry
        | Kind::Release
        | Kind::Detached => closed(kind),
    }
}

fn closed(kind: Kind) -> Verdict {
    match kind {
        Kind::Answered | Kind::Received => Verdict::Compare,
        Kind::Hurry | Kind::Release => Verdict::Note,
        Kind::Due
        | Kind::Send
        | Kind::NotSent
        | Kind::Lost
        | Kind::Rejected
        | Kind::Absent
        | Kind::Cancel
        | Kind::Canceled
        | Kind::Withdrawn
        | Kind::Review
        | Kind::Retry
        | Kind::Process
        | Kind::Edit
        | Kind::Contradicted
        | Kind::Resolve(_)
        | Kind::Detached => Verdict::Refuse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    #[test]
    fn every_pair_of_phase_and_event_has_its_verdict() {
        let mut table = String::new();
        for phase in Phase::all() {
            for kind in Kind::ALL {
                let (phase, kind) = (format!("{phase:?}"), format!("{kind:?}: {:?}", verdict(phase, kind)));
                writeln!(table, "{phase:<16} {kind}").unwrap();
            }
        }

        insta::assert_snapshot!(table);
    }

    #[test]
    fn what_stands_against_an_event_lets_nothing_through_but_a_gateways_word() {
        for (phase, kind) in Phase::all().flat_map(|phase| Kind::ALL.map(|kind| (phase, kind))) {
            for bar in Bar::ALL {
                let expected = match (bar, kind) {
                    (Bar::Clear, _) | (Bar::OtherAttempt, Kind::Received) => verdict(phase, kind),
                    (Bar::OtherAttempt, Kind::Answered) => Verdict::Compare,
                    (_, _) => Verdict::Refuse,
                };
                assert_eq!(verdict_against(phase, kind, bar), expected, "{phase:?} {kind:?} {bar:?}");
            }
        }
    }

    #[test]
    fn no_second_attempt_begins_while_one_is_open() {
        for phase in Phase::all() {
            let begins = Kind::ALL.into_iter().any(|kind| verdict(phase, kind) == Verdict::Begin);
            assert_eq!(begins, matches!(phase, Phase::Pending | Phase::Retrying), "{phase:?}");
        }
    }

    #[test]
    fn an_answer_is_never_refused() {
        for phase in Phase::all() {
            assert!(matches!(verdict(phase, Kind::Answered), Verdict::Conclude | Verdict::Compare));
        }
    }

    // S1.21
    #[test]
    fn what_a_payer_pays_by_the_payments_own_operation_is_received_unless_it_is_decided_otherwise() {
        for phase in Phase::all() {
            let expected = match phase {
                Phase::Open(_) | Phase::Review(_) => Verdict::Conclude,
                Phase::Pending | Phase::Retrying | Phase::NeedsCustomer | Phase::Failed => Verdict::Receive,
                Phase::Disputed | Phase::Succeeded | Phase::Canceled => Verdict::Compare,
            };
            assert_eq!(verdict(phase, Kind::Received), expected, "{phase:?}");
        }
    }
}
