//! Orders: a payment as a caller describes it, by whichever way, read as a request under its key.

use super::{FlowError, key::fingerprint, payments::Request};
use crate::{
    domain::{card::looks_like_card_number, clock::Time, payment::Start, session::Session},
    store::change::Key,
};
use dunlin_jobs::{Capture, NewPayment};

impl Request {
    /// The request under its key, in the scope that the key was sent to.
    pub fn under(scope: &str, key: String, new: NewPayment) -> Result<Self, FlowError> {
        let key = Key { scope: scope.to_owned(), key, fingerprint: fingerprint(scope, &new) };
        if looks_like_card_number(&new.amount.to_string()) {
            let detail = "this looks like a card number: send the amount in minor units";
            return Err(invalid("amount", detail));
        }
        Ok(Self {
            amount: new.amount,
            currency: new.currency,
            session: session(new.off_session, new.return_url.as_deref())?,
            start: start(new.capture, new.process_at)?,
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
        })
    }
}

/// The session that the two fields mean together.
fn session(off_session: bool, return_url: Option<&str>) -> Result<Session, FlowError> {
    match (off_session, return_url) {
        (true, None) => Ok(Session::Off),
        (true, Some(_)) => Err(invalid(
            "return_url",
            "off session nobody is there to be sent back: leave return_url out, or send off_session: false",
        )),
        (false, None) => Err(invalid(
            "return_url",
            "with off_session: false the customer may have to leave for their bank: say where they come back to",
        )),
        (false, Some(url)) => url.parse().map(Session::On).map_err(|error| invalid("return_url", &error)),
    }
}

/// The start that the two fields mean together.
fn start(capture: Capture, process_at: Option<Time>) -> Result<Start, FlowError> {
    match (capture, process_at) {
        (Capture::Now, None) => Ok(Start::Now),
        (Capture::Now, Some(at)) => Ok(Start::At(at)),
        (Capture::Deferred, None) => Ok(Start::OnRequest),
        (Capture::Deferred, Some(_)) => Err(invalid(
            "process_at",
            "a deferred payment has no time, it waits for a call of /process: leave out one of the two",
        )),
    }
}

fn invalid(field: &str, detail: &(impl ToString + ?Sized)) -> FlowError {
    FlowError::Invalid { field: field.to_owned(), detail: detail.to_string() }
}
