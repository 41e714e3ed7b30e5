//! Late charge: what people have set aside, whose outcome nobody knew, may have been charged after all (S1.12). Its gateway
//! is asked for some days more, and before each attempt that follows: money that is there and not on record is either
//! the payment's, or a second capture, or a contradiction, and never nothing (S1.4).

use super::{
    FlowError, Flows, Worked,
    exchange::{About, By, Talk},
};
use crate::{
    domain::{
        attempt::{Answer, Attempt, AttemptStatus},
        clock::Time,
        decline::transport,
        payment::{ASKED_EVERY, Event, Payment},
    },
    gateway::{Call, Finding, Reply, Tried, Wanted},
    store::{
        change::{CommitError, ExchangeWrite, JobEnd},
        claim::Claimed,
    },
};
use chrono::TimeDelta;

/// For how long is asked, from when it was set aside: as long as after any other doubt (S1.10).
const ASKED_FOR: TimeDelta = TimeDelta::days(7);
/// How soon is asked again while a request is on the wire, whose answer comes first.
const SOON: TimeDelta = TimeDelta::seconds(5);

/// Works on the question about an attempt that is over.
pub(super) async fn run(
    flows: &Flows,
    claimed: &Claimed,
    payment: &Payment,
    n: u32,
) -> Result<(), FlowError> {
    let attempts = flows.store.list_attempts(payment.id).await?;
    let search = Search { flows, claimed, payment, attempts: &attempts };
    let end = |end| flows.end_job(&claimed.lease, end);
    if !attempts.iter().any(|attempt| attempt.n == n && payment.is_set_aside(attempt)) {
        return end(JobEnd::DoneAt(payment.version)).await;
    }
    let now = flows.now(payment);
    if payment.open_attempt().is_some_and(|attempt| attempt.status == AttemptStatus::Sending) {
        return end(JobEnd::Again(now + SOON)).await;
    }
    // A person who looks may let money lie that nobody has told them of.
    let is_long_ago = now >= search.set_aside_at(n) + ASKED_FOR && payment.status.review_reason().is_none();
    match search.look().await? {
        Heard::Passed => Ok(()),
        Heard::Charged(charged) => search.conclude(*charged, JobEnd::Again(now + ASKED_EVERY)).await,
        Heard::Mute => end(JobEnd::DoneAt(payment.version)).await,
        Heard::Nothing if is_long_ago => end(JobEnd::DoneAt(payment.version)).await,
        Heard::Nothing | Heard::Unclear(_) => end(JobEnd::Again(now + ASKED_EVERY)).await,
    }
}

/// Whether another attempt may begin after one that people have set aside; where it may not, the job is ended.
pub(super) async fn allows(flows: &Flows, claimed: &Claimed, payment: &Payment) -> Result<bool, FlowError> {
    // A second look has seen to the latest one.
    let latest = payment.next_attempt() - 1;
    if latest <= 1 {
        return Ok(true);
    }
    let attempts = flows.store.list_attempts(payment.id).await?;
    if !attempts.iter().any(|attempt| attempt.n < latest && payment.is_set_aside(attempt)) {
        return Ok(true);
    }
    let search = Search { flows, claimed, payment, attempts: &attempts };
    match search.look().await? {
        Heard::Nothing | Heard::Mute => Ok(true),
        Heard::Passed => Ok(false),
        Heard::Charged(charged) => search.conclude(*charged, JobEnd::Done).await.map(|()| false),
        Heard::Unclear(why) => {
            let at = flows.now(payment) + transport(claimed.failures + 1);
            flows.end_job(&claimed.lease, JobEnd::Failed(at, why)).await.map(|()| false)
        }
    }
}

/// What a look came to.
enum Heard {
    /// Somebody has charged for the payment, and it is not on record.
    Charged(Box<(Answer, ExchangeWrite)>),
    Nothing,
    /// The gateway has not told all.
    Unclear(String),
    /// The gateway lists nothing by our reference.
    Mute,
    /// The job has passed to another worker, or was put back.
    Passed,
}

/// A search for money of a payment that is not on record.
struct Search<'a> {
    flows: &'a Flows,
    claimed: &'a Claimed,
    payment: &'a Payment,
    attempts: &'a [Attempt],
}

impl Search<'_> {
    /// When the attempt was set aside, or later: the next one had not begun.
    fn set_aside_at(&self, n: u32) -> Time {
        let mut later = self.attempts.iter().filter(|attempt| attempt.n > n);
        later.next().map_or(self.payment.updated_at, |next| next.first_sent_at)
    }

    /// Reads the gateway's listing since the payment was made.
    async fn look(&self) -> Result<Heard, FlowError> {
        let Self { flows, claimed, payment, attempts } = *self;
        let account = flows.account(payment)?;
        let gateway = &account.gateway;
        if !gateway.traits().query_by_reference {
            return Ok(Heard::Mute);
        }
        let known: Vec<String> = attempts.iter().filter_map(|attempt| attempt.charge.clone()).collect();
        let unnamed = Payment { operation: None, ..payment.clone() };
        let tried = Tried {
            must_bear_reference: true,
            wanted: Wanted::Beside(&known),
            ..Tried::of(&unnamed, payment.next_attempt(), payment.created_at)
        };
        // It is about the payment: what it does not find proves nothing of any one attempt.
        let talk = Talk { flows, by: By::Worker(claimed), account, about: About::no_attempt(payment.id) };
        let read = |call: &Call, reply: &Reply| gateway.read_query(tried, call, reply);
        let Some((finding, closing)) = talk.ask(gateway.query(tried), read).await? else {
            return Ok(Heard::Passed);
        };
        match finding {
            Finding::Answered(answer) => Ok(Heard::Charged(Box::new((answer, closing)))),
            Finding::Absent => flows.keep(closing).await.map(|()| Heard::Nothing),
            Finding::Canceled | Finding::More(_) => {
                flows.keep(closing).await?;
                Ok(Heard::Unclear("the gateway's listing cannot be read to its end".to_owned()))
            }
            Finding::Nothing(why) => flows.keep(closing).await.map(|()| Heard::Unclear(why)),
        }
    }

    /// The table says what the money is.
    async fn conclude(
        &self,
        (answer, closing): (Answer, ExchangeWrite),
        end: JobEnd,
    ) -> Result<(), FlowError> {
        let Self { flows, claimed, payment, .. } = *self;
        let latest = |payment: &Payment| payment.attempt.as_ref().map(|it| (it.n, it.status));
        let now = flows.store.find_payment(payment.id).await?;
        if now.as_ref().and_then(latest) != latest(payment) {
            // It may be what an attempt has charged whose answer has come meanwhile.
            flows.keep(closing).await?;
            return flows.end_job(&claimed.lease, JobEnd::Again(flows.now(payment) + SOON)).await;
        }
        tracing::error!(payment.id = %payment.id, gateway.name = %payment.account,
            "{} has a charge at {} that was not on record, {}: an attempt was set aside that had been charged",
            payment.id, payment.account, answer.charge.as_deref().unwrap_or("without an id"));
        let event = Event::Answered { attempt: latest(payment).map_or(1, |(n, _)| n), answer };
        match flows.happen(claimed, Worked::event(payment, event, end).with(closing.clone())).await {
            Ok(committed) => {
                super::charge::tell(committed.payment.as_ref().filter(|_| committed.fresh));
                Ok(())
            }
            Err(CommitError::LeaseLost) => flows.keep(closing).await,
            Err(error) => Err(error.into()),
        }
    }
}
