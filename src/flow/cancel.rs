//! Cancel: stops a payment. Where an attempt of it is open at the gateway, the gateway cancels first, for the
//! payer might still complete it (S1.19).

use super::{FlowError, Flows, exchange::About, verdict::Verdict};
use crate::{
    domain::{
        attempt::AttemptStatus,
        payment::{Event, Payment, Status},
    },
    gateway::{Account, Call, Cancellation, Reply, client::SendError},
    store::{
        Owner,
        change::{Change, CommitError, ExchangeWrite, Subject},
    },
};
use dunlin_jobs::PaymentId;

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
            Some(_) | None => {
                self.settle_cancel(&payment, self.change("api", Subject::Event(id, Event::Cancel))).await
            }
        }
    }

    /// The gateway's cancellation, then ours. A crash between the two is found by the next look at the attempt.
    async fn cancel_at_gateway(&self, payment: Payment, attempt: u32) -> Result<Payment, FlowError> {
        let account = self.account(&payment)?;
        let by_key = account.gateway.traits().cancel_by_key;
        let call = account.gateway.cancel(&payment, attempt);
        let Some(call) = call.filter(|_| by_key || payment.operation.is_some()) else {
            let detail = "the outcome of its attempt is not known yet, and neither is what to cancel at the \
                          gateway, which is being asked: try again in a while";
            return Err(not_cancelable(&payment, detail.to_owned()));
        };
        let (cancellation, closing) = self.ask_to_cancel(account, &payment, attempt, &call).await?;
        let event = match cancellation {
            Cancellation::Canceled => Event::Canceled { attempt },
            Cancellation::Answered(answer) => Event::Answered { attempt, answer },
            Cancellation::Unknown(why) => {
                self.keep(closing).await?;
                return Err(FlowError::Later(format!(
                    "the gateway did not confirm the cancellation ({why}), and is asked what became of it"
                )));
            }
        };
        let mut change = self.change("api", Subject::Event(payment.id, event));
        change.exchanges.push(closing);
        self.settle_cancel(&payment, change).await
    }

    async fn ask_to_cancel(
        &self,
        account: &Account,
        payment: &Payment,
        attempt: u32,
        call: &Call,
    ) -> Result<(Cancellation, ExchangeWrite), FlowError> {
        let exchange = self.exchange(account, About::Attempt(payment.id, attempt), call);
        self.keep(ExchangeWrite::Open(exchange.clone())).await?;
        // It moves no money, and whoever else works on the payment may be canceled upon: no lease is needed.
        let reply = self.client.send(account, call, &exchange.api_version).await;
        let cancellation = read(account, payment, &reply);
        let closing = self.closing(account, &exchange, &reply, cancellation.verdict());
        Ok((cancellation, closing))
    }

    async fn settle_cancel(&self, payment: &Payment, change: Change) -> Result<Payment, FlowError> {
        let now = match self.store.offer(change).await {
            Ok(committed) => committed.payment.ok_or(FlowError::NotFound("payment"))?,
            // It has moved since we looked, perhaps to where it was to go.
            Err(CommitError::Refused(_)) => {
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

fn not_cancelable(payment: &Payment, detail: String) -> FlowError {
    FlowError::Conflict { code: "payment_not_cancelable", detail, payment: Some(payment.id) }
}

pub(super) fn read(account: &Account, payment: &Payment, reply: &Result<Reply, SendError>) -> Cancellation {
    match reply {
        Ok(reply) => account.gateway.read_cancel(payment, reply),
        Err(error) => Cancellation::Unknown(error.to_string()),
    }
}
