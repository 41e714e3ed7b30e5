//! Orders: a payment as a caller describes it, by whichever way, read as a request under its key.

use super::{
    FlowError,
    key::{PAYMENT_CREATE, fingerprint},
    payments::{Mistake, Request},
};
use crate::{
    domain::{card::looks_like_card_number, clock::Time, payment::Start, session::Session},
    store::change::Key,
};
use dunlin_jobs::{Capture, NewPayment};

impl Request {
    /// The request under its key. What is wrong with it is kept, and counts once the key turns out to be new: a replay is
    /// answered first.
    pub fn under(key: String, mut new: NewPayment) -> Self {
        let mistake = new.tidy().err().map(|(field, why)| Mistake::of(field, &why));
        let fingerprint = fingerprint(PAYMENT_CREATE, &new);
        let key = Key { scope: PAYMENT_CREATE.to_owned(), key, fingerprint };
        let session = session(new.off_session, new.return_url.as_deref());
        let start = start(new.capture, new.process_at);
        let wrong = [mistake, amount(new.amount).err()];
        let wrong = wrong.into_iter().flatten().chain(session.as_ref().err().cloned());
        let mistake = wrong.chain(start.as_ref().err().cloned()).next();
        Self {
            amount: new.amount,
            currency: new.currency,
            session: session.unwrap_or(Session::Off),
            start: start.unwrap_or(Start::OnRequest),
            method: new.method,
            gateway: new.gateway,
            customer: new.customer,
            reference: new.reference,
            description: new.description,
            metadata: new.metadata,
            key: Some(key),
            allow_duplicate: false,
            traceparent: None,
            by: "api",
            mistake,
        }
    }
}

impl Mistake {
    fn of(field: &'static str, detail: &(impl ToString + ?Sized)) -> Self {
        Self { field, detail: detail.to_string() }
    }
}

impl From<Mistake> for FlowError {
    fn from(Mistake { field, detail }: Mistake) -> Self {
        Self::Invalid { field: field.to_owned(), detail }
    }
}

fn amount(amount: i64) -> Result<(), Mistake> {
    if looks_like_card_number(&amount.to_string()) {
        return Err(Mistake::of("amount", "this looks like a card number: send the amount in minor units"));
    }
    Ok(())
}

/// The session that the two fields mean together.
fn session(off_session: bool, return_url: Option<&str>) -> Result<Session, Mistake> {
    match (off_session, return_url) {
        (true, None) => Ok(Session::Off),
        (true, Some(_)) => Err(Mistake::of(
            "return_url",
            "off session nobody is there to be sent back: leave return_url out, or send off_session: false",
        )),
        (false, None) => Err(Mistake::of(
            "return_url",
            "with off_session: false the customer may have to leave for their bank: say where they come back to",
        )),
        (false, Some(url)) => url.parse().map(Session::On).map_err(|error| Mistake::of("return_url", &error)),
    }
}

/// The start that the two fields mean together.
fn start(capture: Capture, process_at: Option<Time>) -> Result<Start, Mistake> {
    match (capture, process_at) {
        (Capture::Now, None) => Ok(Start::Now),
        (Capture::Now, Some(at)) => Ok(Start::At(at)),
        (Capture::Deferred, None) => Ok(Start::OnRequest),
        (Capture::Deferred, Some(_)) => Err(Mistake::of(
            "process_at",
            "a deferred payment has no time, it waits for a call of /process: leave out one of the two",
        )),
    }
}
