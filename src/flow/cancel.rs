//! Cancel: stops a payment. What its payer could still complete at the gateway is canceled there first (S1.19, S1.21).

use super::{
    FlowError, Flows, evidence,
    exchange::{About, By, Talk},
    restored,
};
use crate::{
    domain::{
        attempt::{AttemptStatus, ExchangeKind, Outcome},
        exchange_result::ExchangeResult,
        payment::{Event, Payment, Status},
        table::{self, Kind},
    },
    gateway::{Account, Cancellation, Reply, client::SendError},
    store::{
        Owner,
        change::{Change, CommitError, Exchange, ExchangeWrite, Subject},
    },
};
use chrono::TimeDelta;
use dunlin_jobs::{Job, PaymentId, Reconcile};

/// How soon is asked what became of a cancel that got no answer.
const ASK_AFTER: TimeDelta = TimeDelta::seconds(5);

impl Flows {
    /// Stops a payment.
    pub async fn cancel_payment(&self, owner: Owner, id: PaymentId) -> Result<Payment, FlowError> {
        let payment = self.load_payment(owner, id).await?;
        if payment.status == Status::Canceled {
            return Ok(payment);
        }
        match payment.open_attempt().map(|attempt| (attempt.n, attempt.status)) {
            Some((n, AttemptStatus::Unknown | AttemptStatus::Pending | AttemptStatus::RequiresAction)) => {
                self.cancel_at_gateway(payment, n).await
            }
            // Nothing is at the gateway; or the request is on the wire, and the table refuses.
            Some(_) | None => self.cancel_waiting(&payment).await,
        }
    }

    /// Nothing of it is under way, and it may be canceled here. What a decline has left at the gateway its payer may have
    /// paid (S1.21), so that the gateway's word comes first; where it has none, the payment ends all the same, and a job
    /// goes on withdrawing.
    async fn cancel_waiting(&self, payment: &Payment) -> Result<Payment, FlowError> {
        let may_end = table::verdict(payment.phase(), Kind::Cancel) == table::Verdict::Cancel;
        let (mut event, mut closing) =
            if may_end { restored::cancel_after_look(self, payment).await? } else { (Event::Cancel, None) };
        if let Some((n, account)) = self.left_at_gateway(payment).filter(|_| may_end)
            && let Some((cancellation, ended)) = self.ask_to_cancel(account, payment, n).await?
        {
            match cancellation {
                Cancellation::Canceled => {}
                Cancellation::Answered(answer) if answer.outcome == Outcome::Succeeded => {
                    event = Event::Answered { attempt: n, answer };
                }
                Cancellation::Answered(_) => {
                    self.keep(ended).await?;
                    let detail =
                        "its customer is paying it at the gateway, where the result is still to come";
                    return Err(not_cancelable(payment, detail.to_owned()));
                }
                Cancellation::Unknown(why) | Cancellation::StoredError(why) => {
                    tracing::warn!(payment.id = %payment.id, gateway.name = %payment.account,
                        "{} is canceled before its gateway has confirmed it ({why})", payment.id);
                }
            }
            closing = Some(ended);
        }
        let mut change = self.change("api", Subject::Event(payment.id, event));
        change.exchanges.extend(closing);
        self.settle_cancel(payment, change).await
    }

    /// The attempt whose operation could still be paid at the gateway.
    fn left_at_gateway(&self, payment: &Payment) -> Option<(u32, &Account)> {
        let attempt = payment.attempt.as_ref().filter(|_| payment.operation.is_some())?;
        // What an account that is gone has left, a person has to withdraw: its job says so.
        Some((attempt.n, self.account(payment).ok()?))
    }

    /// The gateway's cancellation, then ours. A crash between the two is found by the next look at the attempt.
    async fn cancel_at_gateway(&self, payment: Payment, attempt: u32) -> Result<Payment, FlowError> {
        let account = self.account(&payment)?;
        let by_key = account.gateway.traits().cancel_by_key;
        if !by_key && payment.operation.is_none() {
            let detail = "the outcome of its attempt is not known yet, and neither is what to cancel at the \
                          gateway, which is being asked: try again in a while";
            return Err(not_cancelable(&payment, detail.to_owned()));
        }
        let Some((cancellation, closing)) = self.ask_to_cancel(account, &payment, attempt).await? else {
            return Err(not_cancelable(&payment, "its gateway cannot cancel it".to_owned()));
        };
        let event = match cancellation {
            Cancellation::Canceled => Event::Canceled { attempt },
            Cancellation::Answered(answer) => Event::Answered { attempt, answer },
            Cancellation::Unknown(why) | Cancellation::StoredError(why) => {
                self.keep(closing).await?;
                return self.leave_open(&payment, attempt, &why).await;
            }
        };
        let mut change = self.change("api", Subject::Event(payment.id, event));
        change.exchanges.push(closing);
        self.settle_cancel(&payment, change).await
    }

    /// The caller is told that it may be canceled, or not; what became of it is asked at once, not by the schedule.
    async fn leave_open(&self, payment: &Payment, attempt: u32, why: &str) -> Result<Payment, FlowError> {
        tracing::warn!(payment.id = %payment.id, gateway.name = %payment.account,
            "{} can still be paid: its gateway did not confirm that it is canceled ({why})", payment.id);
        let question = Job::Reconcile(Reconcile { payment: payment.id, attempt });
        self.store.hurry(&question, self.now(payment) + ASK_AFTER).await?;
        Err(FlowError::Later(format!(
            "the gateway did not confirm the cancellation ({why}), and is asked what became of it"
        )))
    }

    /// What the gateway says to a cancellation; none where it knows no such call. Whoever else works on the payment may be
    /// canceled upon.
    async fn ask_to_cancel(
        &self,
        account: &Account,
        payment: &Payment,
        attempt: u32,
    ) -> Result<Option<(Cancellation, ExchangeWrite)>, FlowError> {
        let about = About::Attempt(payment.id, attempt);
        Talk { flows: self, by: By::Caller, account, about }.cancel(payment).await
    }

    async fn settle_cancel(&self, payment: &Payment, change: Change) -> Result<Payment, FlowError> {
        let closings = change.exchanges.clone();
        let now = match self.store.offer(change).await {
            Ok(committed) => committed.payment.ok_or(FlowError::NotFound("payment"))?,
            // It has moved since we looked, perhaps to where it was to go.
            Err(CommitError::Refused(_)) => {
                for closing in closings {
                    self.keep(closing).await?;
                }
                self.store.find_payment(payment.id).await?.ok_or(FlowError::NotFound("payment"))?
            }
            Err(error) => return Err(error.into()),
        };
        if now.status == Status::Canceled {
            return Ok(now);
        }
        let detail = format!(
            "the payment is {}: only one that waits, and that the gateway can still cancel, can be canceled",
            now.status.name()
        );
        Err(not_cancelable(&now, detail))
    }
}

pub(super) fn not_cancelable(payment: &Payment, detail: String) -> FlowError {
    FlowError::Conflict { code: "payment_not_cancelable", detail, payment: Some(payment.id) }
}

/// The generations of keys that one try may cancel under. An answer that is of no use and that the gateway keeps under a
/// key must not stand in the way for as long as the key lives: a cancel moves no money, so it goes under the next one,
/// which is counted from what is on record (S1.6).
pub(super) fn generations(exchanges: &[Exchange]) -> (u32, u32) {
    let cancels = evidence::ended(exchanges).filter(|(exchange, _)| exchange.kind == ExchangeKind::Cancel);
    let useless = cancels.filter(|(_, result)| *result == Some(ExchangeResult::StoredError)).count();
    let first = u32::try_from(useless).unwrap_or(u32::MAX - 1);
    (first, first.saturating_add(1))
}

pub(super) fn read(account: &Account, payment: &Payment, reply: &Result<Reply, SendError>) -> Cancellation {
    match reply {
        Ok(reply) => account.gateway.read_cancel(payment, reply),
        Err(error) => Cancellation::Unknown(error.to_string()),
    }
}
