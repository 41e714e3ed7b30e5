//! The next version of a payment: what each verdict of the table makes of it.

use super::{Edit, Effect, Payment, Plan, Resolution, Start, Status, Step};
use crate::domain::{
    attempt::{Answer, Attempt, AttemptStatus, Origin, Outcome},
    clock::Time,
    decline::{Decided, Decision, Decline},
    event::EventType,
    rejection::{Fate, Refusal},
};
use dunlin_jobs::{AttemptId, Job, Money, Reconcile, RefundId, Retry, Withdraw};
use sha2::{Digest, Sha256};

/// A payment on its way to its next version.
pub(super) struct Next<'a> {
    pub(super) payment: Payment,
    pub(super) now: Time,
    pub(super) plan: &'a Plan,
}

impl Next<'_> {
    pub(super) fn begin(mut self, id: AttemptId) -> Step {
        let attempt = Attempt {
            id,
            n: self.payment.next_attempt(),
            account: self.payment.account.clone(),
            origin: Origin::Dunlin,
            status: AttemptStatus::Sending,
            first_sent_at: self.now,
            charge: None,
            action_url: None,
            decline: None,
        };
        let detail = format!("attempt {} begins at {}", attempt.n, attempt.account);
        self.payment.carry_wish(attempt.n);
        self.payment.attempt = Some(attempt);
        self.payment.status = Status::Processing;
        self.done(detail, vec![])
    }

    /// The attempt stays open under another status; a payment in review stays there.
    pub(super) fn open(mut self, detail: &str, status: AttemptStatus) -> Step {
        self.set_attempt(status);
        if !self.in_review() {
            self.payment.status = Status::Processing;
        }
        self.done(detail.to_owned(), vec![])
    }

    /// Absence found by the reconciler: its job ends, and the charge has to be carried on by another. The doubt
    /// that a review was about is answered by it.
    pub(super) fn found_absent(mut self) -> Step {
        self.payment.status = Status::Processing;
        let charge = Job::Charge(dunlin_jobs::Charge { payment: self.payment.id });
        let now = self.now;
        let mut step = self.open("the gateway does not know the attempt", AttemptStatus::Planned);
        step.effects.push(Effect::Enqueue(charge, now));
        step
    }

    pub(super) fn doubt(mut self, reason: &str, operation: Option<String>) -> Step {
        // What is kept over all attempts is no other's (S1.17).
        if self.payment.operation.is_none() {
            self.payment.operation = operation;
        }
        let reconcile = self.reconcile();
        let mut step = self.open(reason, AttemptStatus::Unknown);
        step.effects.push(reconcile);
        step
    }

    /// The next attempt is due now, as a person wants it; nothing new where it is due already.
    pub(super) fn hasten(mut self, reason: Option<&str>) -> Option<Step> {
        if self.payment.waits_until().is_some_and(|at| at <= self.now) {
            return None;
        }
        self.payment.status = Status::Retrying { next_attempt_at: self.now };
        self.payment.by_hand.attempt = self.payment.next_attempt();
        let retry = Retry { payment: self.payment.id, attempt: self.payment.next_attempt() };
        let effects = vec![Effect::Hasten(Job::Retry(retry), self.now), Effect::Emit(EventType::Retrying)];
        Some(self.done(because("a person wants the next attempt now", reason), effects))
    }

    /// A job of its was moved by a person; a proposal that waits for its second person waits on.
    pub(super) fn moved(self, what: &str, reason: Option<&str>) -> Step {
        self.stepped(because(what, reason), vec![])
    }

    /// Its first attempt is due now, as somebody wants it; nothing new where it is due already.
    pub(super) fn start(mut self) -> Option<Step> {
        if !self.payment.is_early(self.now) {
            return None;
        }
        self.payment.start = Start::At(self.now);
        let charge = Job::Charge(dunlin_jobs::Charge { payment: self.payment.id });
        let effects = vec![Effect::Hasten(charge, self.now), Effect::Emit(EventType::Updated)];
        Some(self.done("it is to be charged now".to_owned(), effects))
    }

    /// What is written beside it, as the merchant wants it; nothing new where it stands there already.
    pub(super) fn edit(mut self, edit: Edit) -> Option<Step> {
        let (edited, changed) = edit.of(&self.payment);
        if changed.is_empty() {
            return None;
        }
        self.payment = edited;
        Some(self.stepped(format!("changed: {}", changed.join(", ")), vec![Effect::Emit(EventType::Updated)]))
    }

    pub(super) fn hold(mut self, reason: &str) -> Step {
        let reconcile = self.reconcile();
        // What may be on the wire, or was accepted and never finished, is a doubt while a person looks.
        if self.payment.open_attempt().is_some_and(|attempt| attempt.status != AttemptStatus::Planned) {
            self.set_attempt(AttemptStatus::Unknown);
        }
        self.payment.status = Status::NeedsReview { reason: reason.to_owned() };
        self.done(reason.to_owned(), vec![reconcile, Effect::Emit(EventType::NeedsReview)])
    }

    /// What the gateway says cannot be: what is open is a doubt, and what is closed stays as it is, while a person looks.
    pub(super) fn contradicted(mut self, reason: &str) -> Step {
        if self.payment.open_attempt().is_some() {
            return self.hold(reason);
        }
        self.payment.status = Status::NeedsReview { reason: reason.to_owned() };
        self.done(reason.to_owned(), vec![Effect::Emit(EventType::NeedsReview)])
    }

    /// Its payment method was taken from its customer before an attempt (S1.16).
    pub(super) fn detached(mut self) -> Step {
        let detail = "its payment method was detached before the attempt".to_owned();
        let failure = Decline::of("payment_method_detached");
        self.payment.failure = Some(Decline { message: Some(detail.clone()), ..failure });
        self.payment.status = Status::Failed;
        self.done(detail, vec![Effect::Emit(EventType::Failed)])
    }

    /// Canceled by us, with nothing open. What earlier attempts have left at the gateway is canceled by a job.
    pub(super) fn cancel(self) -> Step {
        let withdraw = self.withdraw().map(|job| Effect::Hasten(job, self.now));
        let mut step = self.canceled_there();
        step.effects.extend(withdraw);
        step
    }

    /// The job that cancels what the gateway may still have open of it.
    pub(super) fn withdraw(&self) -> Option<Job> {
        let attempt = self.payment.attempt.as_ref().map_or(1, |attempt| attempt.n);
        let job = Job::Withdraw(Withdraw::own(self.payment.id, attempt));
        self.payment.operation.as_ref().map(|_| job)
    }

    /// Canceled by the gateway, which has nothing left of it.
    pub(super) fn canceled_there(mut self) -> Step {
        if self.payment.open_attempt().is_some() {
            self.set_attempt(AttemptStatus::Canceled);
        }
        self.payment.status = Status::Canceled;
        self.done("canceled".to_owned(), vec![Effect::Emit(EventType::Canceled)])
    }

    /// Nothing was executed; what becomes of the payment was sorted by what has to change (S1.22).
    pub(super) fn reject(mut self, refusal: &Refusal, fate: Fate) -> Step {
        let was_unknown =
            self.payment.attempt.as_ref().is_some_and(|attempt| attempt.status == AttemptStatus::Unknown);
        self.set_attempt(AttemptStatus::Rejected);
        self.set_decline(refusal.as_decline());
        let said = format!("the gateway refused the request: {}: {}", refusal.code(), refusal.message);
        match fate {
            Fate::NewMethod => {
                self.payment.status = Status::RequiresAction;
                let detail = format!("{said}; its customer may bring another method");
                self.done(detail, vec![Effect::Emit(EventType::RequiresAction)])
            }
            Fate::Fails => {
                self.payment.status = Status::Failed;
                self.done(said, vec![Effect::Emit(EventType::Failed)])
            }
            // Whoever sent it has the job that goes on; whoever asked what became of it has not.
            Fate::Waits | Fate::OnHold => {
                self.payment.status = Status::Pending;
                let charge = Job::Charge(dunlin_jobs::Charge { payment: self.payment.id });
                let effects = was_unknown.then_some(Effect::Enqueue(charge, self.now));
                self.done(said, effects.into_iter().collect())
            }
        }
    }

    pub(super) fn conclude(mut self, answer: Answer) -> Option<Step> {
        let known = self.payment.attempt.as_ref().map(|attempt| attempt.status);
        self.keep_references(&answer);
        if answer.amount.is_some_and(|amount| amount != self.payment.money) {
            return self.mismatch(known);
        }
        match answer.outcome {
            Outcome::Succeeded => {
                self.set_attempt(AttemptStatus::Succeeded);
                self.payment.status = Status::Succeeded;
                Some(
                    self.done("the gateway captured it".to_owned(), vec![Effect::Emit(EventType::Succeeded)]),
                )
            }
            Outcome::Declined(decline) => Some(self.declined(decline)),
            // What the gateway has accepted does not go back to its payer (S1's table of attempts).
            Outcome::RequiresAction { .. }
                if matches!(known, Some(AttemptStatus::RequiresAction | AttemptStatus::Pending)) =>
            {
                None
            }
            Outcome::RequiresAction { url } => {
                self.set_attempt(AttemptStatus::RequiresAction);
                self.set_action(url);
                let told = (Status::RequiresAction, Some(EventType::RequiresAction));
                Some(self.wait("the customer has to act", told))
            }
            Outcome::Pending if known == Some(AttemptStatus::Pending) => None,
            Outcome::Pending => {
                self.set_attempt(AttemptStatus::Pending);
                Some(self.wait("accepted by the gateway, the result comes later", (Status::Processing, None)))
            }
        }
    }

    /// The end is still to come, and is asked after. A review ends by an end, not by the word that there is none.
    fn wait(mut self, detail: &str, (status, event): (Status, Option<EventType>)) -> Step {
        let mut effects = vec![self.reconcile()];
        if !self.in_review() {
            self.payment.status = status;
            effects.extend(event.map(Effect::Emit));
        }
        self.done(detail.to_owned(), effects)
    }

    fn declined(mut self, decline: Decline) -> Step {
        self.set_attempt(AttemptStatus::Declined);
        let tried = self.payment.count_decline();
        let Decided { decision, by, reason } = self.plan.declines.decide(&decline, tried, self.now);
        self.set_decline(Decline { decided_by: Some(Box::new(by)), ..decline });
        let effects = match decision {
            Decision::RetryAt(at) => {
                self.payment.status = Status::Retrying { next_attempt_at: at };
                let retry = Retry { payment: self.payment.id, attempt: self.payment.next_attempt() };
                vec![Effect::Enqueue(Job::Retry(retry), at), Effect::Emit(EventType::Retrying)]
            }
            Decision::NeedCustomer(_) => {
                self.payment.status = Status::RequiresAction;
                vec![Effect::Emit(EventType::RequiresAction)]
            }
            Decision::Review => {
                self.payment.status = Status::NeedsReview { reason: reason.clone() };
                vec![Effect::Emit(EventType::NeedsReview)]
            }
            Decision::Stop => {
                self.payment.status = Status::Failed;
                vec![Effect::Emit(EventType::Failed)]
            }
        };
        self.done(reason, effects)
    }

    /// S1.15: money of another amount is not our answer, whatever it says.
    fn mismatch(mut self, known: Option<AttemptStatus>) -> Option<Step> {
        if known == Some(AttemptStatus::Unknown) && self.in_review() {
            return None;
        }
        self.set_attempt(AttemptStatus::Unknown);
        Some(self.hold("the gateway names another amount or currency than was asked for"))
    }

    /// An answer for a payment that has no attempt open for it.
    pub(super) fn compare(self, answer: Answer) -> Option<Step> {
        match (&answer.outcome, &self.payment.status) {
            (Outcome::Succeeded, Status::Succeeded) => self.compare_successes(answer),
            // Two people have said of this money that it is gone: the gateway never unsays a charge that was given back.
            (Outcome::Succeeded, Status::Canceled) if self.is_gone_by_hand(&answer) => None,
            // A late `processing` or `failed` never moves what is decided (S1.13), and a person looks already.
            (Outcome::Declined(_) | Outcome::RequiresAction { .. } | Outcome::Pending, _)
            | (Outcome::Succeeded, Status::NeedsReview { .. }) => None,
            (
                Outcome::Succeeded,
                Status::Pending
                | Status::Processing
                | Status::RequiresAction
                | Status::Retrying { .. }
                | Status::Failed
                | Status::Canceled,
            ) => Some(self.contradiction(&answer)),
        }
    }

    /// The same success told again, or a second one: only two charges that are both named are proven to be two.
    fn compare_successes(self, answer: Answer) -> Option<Step> {
        let charge = self.payment.attempt.as_ref().and_then(|attempt| attempt.charge.clone());
        let same_operation = answer.operation.is_none() || answer.operation == self.payment.operation;
        let is_of_another = !same_operation && self.payment.operation.is_some();
        match (charge, &answer.charge) {
            (Some(known), Some(told)) if known == *told => None,
            // A person's word, with what may be a slip in it, is no reason to give back what the gateway has; but where
            // the gateway has shown both charges as this payment's, by two operations, they are two.
            (Some(_), Some(_)) if self.payment.is_paid_by_hand() && !is_of_another => {
                Some(self.contradiction(&answer))
            }
            (Some(_), Some(_)) => Some(self.duplicate(answer.charge, answer.amount)),
            (None, _) | (_, None) if same_operation => None,
            (None, _) | (_, None) => Some(self.contradiction(&answer)),
        }
    }

    fn contradiction(mut self, answer: &Answer) -> Step {
        // Where the money is has to be known to whoever looks.
        if self.payment.open_attempt().is_none() && self.payment.status != Status::Succeeded {
            self.keep_references(answer);
        }
        let reason = if self.payment.status == Status::Succeeded && self.payment.is_paid_by_hand() {
            "the gateway reports another charge than the one that a person named".to_owned()
        } else {
            let is_other = answer.amount.is_some_and(|amount| amount != self.payment.money);
            let other = if is_other { " of another amount or currency" } else { "" };
            format!(
                "the gateway reports a success{other} for a payment that is {}",
                self.payment.status.name()
            )
        };
        self.payment.status = Status::NeedsReview { reason: reason.clone() };
        self.done(reason, vec![Effect::Emit(EventType::NeedsReview)])
    }

    /// S1.4: never dropped. It has an id of its own, made of the facts, since nothing here is random.
    fn duplicate(self, charge: Option<String>, amount: Option<Money>) -> Step {
        let first = self.payment.attempt.clone();
        let money = amount.filter(|amount| amount.minor() > 0).unwrap_or(self.payment.money);
        let (n, now) = (self.payment.next_attempt(), self.now);
        let mut step = self
            .done("a second success was found".to_owned(), vec![Effect::Emit(EventType::DuplicateCapture)]);
        step.duplicate = first.map(|first| {
            let digest = Sha256::digest(format!("{}:{}", first.id, charge.as_deref().unwrap_or_default()));
            let mut random = [0; 10];
            random.copy_from_slice(&digest[..10]);
            let id = AttemptId::mint(now, random);
            let duplicate = Attempt {
                id,
                n,
                origin: Origin::Gateway,
                status: AttemptStatus::Duplicate,
                charge,
                action_url: None,
                decline: None,
                ..first
            };
            let refund = RefundId::mint(now, random);
            step.refund = step.payment.refund_duplicate(refund, &duplicate, money, now);
            duplicate
        });
        step
    }

    pub(super) fn done(mut self, detail: String, effects: Vec<Effect>) -> Step {
        // What was proposed was so upon facts that have changed.
        self.payment.resolution = self.payment.resolution.take().filter(Resolution::is_carried_out);
        self.stepped(detail, effects)
    }

    pub(super) fn stepped(mut self, detail: String, effects: Vec<Effect>) -> Step {
        self.payment.version += 1;
        self.payment.updated_at = self.now;
        Step { payment: self.payment, duplicate: None, refund: None, effects, detail }
    }

    fn reconcile(&self) -> Effect {
        let (job, at) = self.question();
        Effect::Enqueue(job, at)
    }

    /// The job that asks after the latest attempt, and when it first does.
    pub(super) fn question(&self) -> (Job, Time) {
        let attempt = self.payment.attempt.as_ref().map_or(1, |attempt| attempt.n);
        let job = Job::Reconcile(Reconcile { payment: self.payment.id, attempt });
        (job, self.now + self.plan.first_poll)
    }

    fn in_review(&self) -> bool {
        self.payment.status.review_reason().is_some()
    }

    fn keep_references(&mut self, answer: &Answer) {
        if answer.operation.is_some() {
            self.payment.operation.clone_from(&answer.operation);
        }
        // Before there is a verdict the operation may still name the charge of the attempt before.
        let decided = matches!(answer.outcome, Outcome::Succeeded | Outcome::Declined(_));
        if let (Some(attempt), Some(charge), true) = (&mut self.payment.attempt, &answer.charge, decided) {
            attempt.charge = Some(charge.clone());
        }
    }

    pub(super) fn set_attempt(&mut self, status: AttemptStatus) {
        if let Some(attempt) = &mut self.payment.attempt {
            attempt.status = status;
            attempt.action_url = None;
        }
    }

    fn set_action(&mut self, url: Option<String>) {
        if let Some(attempt) = &mut self.payment.attempt {
            attempt.action_url = url;
        }
    }

    fn set_decline(&mut self, decline: Decline) {
        if let Some(attempt) = &mut self.payment.attempt {
            attempt.decline = Some(decline);
        }
    }
}

/// What was done, and why, where somebody said why.
fn because(what: &str, reason: Option<&str>) -> String {
    reason.map_or_else(|| what.to_owned(), |reason| format!("{what}: {reason}"))
}
