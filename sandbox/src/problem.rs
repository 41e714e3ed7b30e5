//! A problem is an answer that is Stripe's error object and not a card's decline.

use crate::{
    decline::{Decline, Wording},
    intent::Intent,
    message::Reply,
    noun::Noun,
    setup::Setup,
    view::{self, IntentView},
};
use serde::Serialize;
use serde_json::Value;

#[derive(Debug)]
pub(crate) struct Problem {
    status: u16,
    kind: &'static str,
    code: Option<&'static str>,
    message: String,
    param: Option<String>,
    intent: Option<Box<Intent>>,
    setup: Option<Box<Setup>>,
    decline: Option<Decline>,
    /// What the caller is told about sending it again.
    retry: Option<&'static str>,
    /// It came out of the execution, so that it is stored under the key.
    executed: bool,
}

#[derive(Serialize)]
struct Body<'a> {
    error: Error<'a>,
}

#[derive(Serialize)]
struct Error<'a> {
    #[serde(flatten)]
    wording: Option<Wording>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    doc_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_intent: Option<IntentView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    setup_intent: Option<Value>,
    r#type: &'static str,
}

impl Problem {
    pub(crate) fn reply(&self) -> Reply {
        let doc_url = |code: &str| format!("https://stripe.com/docs/error-codes/{}", code.replace('_', "-"));
        let error = Error {
            wording: self.decline.map(Decline::wording),
            code: self.code,
            doc_url: self.code.map(doc_url),
            message: Some(self.message.as_str()).filter(|_| self.decline.is_none()),
            param: self.param.as_deref(),
            payment_intent: self.intent.as_deref().map(view::intent),
            setup_intent: self.setup.as_deref().map(view::setup),
            r#type: self.kind,
        };
        let reply = Reply::json(self.status, &Body { error });
        match self.retry {
            Some(retry) => reply.with("stripe-should-retry", retry),
            None => reply,
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        let (kind, message) = ("invalid_request_error", message.into());
        Self {
            status: 400,
            kind,
            code: None,
            message,
            param: None,
            intent: None,
            setup: None,
            decline: None,
            retry: None,
            executed: false,
        }
    }

    /// The same, out of the execution.
    pub(crate) fn executed(self) -> Self {
        Self { executed: true, ..self }
    }

    pub(crate) fn is_executed(&self) -> bool {
        self.executed
    }

    pub(crate) fn unauthorized(message: &str) -> Self {
        Self { status: 401, ..Self::invalid(message) }
    }

    pub(crate) fn no_route(method: &str, path: &str) -> Self {
        Self { status: 404, ..Self::invalid(format!("Unrecognized request URL ({method}: {path}).")) }
    }

    pub(crate) fn no_such(noun: Noun, param: &str, id: &str) -> Self {
        let message = format!("No such {}: '{id}'", noun.missed());
        Self { status: 404, ..Self::parameter("resource_missing", param, message) }
    }

    pub(crate) fn no_method(token: &str) -> Self {
        let message = format!("No such PaymentMethod: '{token}'");
        Self::parameter("resource_missing", "payment_method", message)
    }

    /// A card that says no before anything is charged.
    pub(crate) fn declined(decline: Decline) -> Self {
        Self { status: 402, kind: "card_error", decline: Some(decline), ..Self::invalid("") }
    }

    pub(crate) fn missing(param: &str) -> Self {
        Self::parameter("parameter_missing", param, format!("Missing required param: {param}."))
    }

    pub(crate) fn unknown(param: &str) -> Self {
        Self::parameter("parameter_unknown", param, format!("Received unknown parameter: {param}"))
    }

    pub(crate) fn parameter(code: &'static str, param: &str, message: impl Into<String>) -> Self {
        Self { code: Some(code), param: Some(param.to_owned()), ..Self::invalid(message) }
    }

    pub(crate) fn wrong(param: &str, message: impl Into<String>) -> Self {
        Self { param: Some(param.to_owned()), ..Self::invalid(message) }
    }

    pub(crate) fn unexpected_state(intent: &Intent, message: String) -> Self {
        let code = Some("payment_intent_unexpected_state");
        Self { code, intent: Some(Box::new(intent.clone())), ..Self::invalid(message) }
    }

    pub(crate) fn unexpected_setup(setup: &Setup, message: String) -> Self {
        let code = Some("setup_intent_unexpected_state");
        Self { code, setup: Some(Box::new(setup.clone())), ..Self::invalid(message) }
    }

    pub(crate) fn refunded_already(charge: &str) -> Self {
        let message = format!("Charge {charge} has already been refunded.");
        Self { code: Some("charge_already_refunded"), ..Self::invalid(message) }
    }

    pub(crate) fn charged_back(charge: &str) -> Self {
        let message = format!("Charge {charge} has been charged back; cannot issue a refund.");
        Self { code: Some("charge_disputed"), ..Self::invalid(message) }
    }

    pub(crate) fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub(crate) fn key_reused(key: &str) -> Self {
        let message = format!(
            "Keys for idempotent requests can only be used with the same parameters they were first used with. \
             Try using a key other than '{key}' if you meant to execute a different request."
        );
        Self { kind: "idempotency_error", ..Self::invalid(message) }
    }

    pub(crate) fn key_in_use(key: &str) -> Self {
        let message = format!(
            "There is currently another in-progress request using this Idempotent Key ({key}), probably because \
             you submitted twice and the first request is still being processed."
        );
        let code = Some("idempotency_key_in_use");
        Self { status: 409, kind: "idempotency_error", code, retry: Some("true"), ..Self::invalid(message) }
    }

    pub(crate) fn rate_limited() -> Self {
        let message =
            "Request rate limit exceeded. Learn more about rate limits: https://stripe.com/docs/rate-limits.";
        Self { status: 429, code: Some("rate_limit"), ..Self::invalid(message) }
    }

    pub(crate) fn lock_timeout() -> Self {
        let message = "This object cannot be accessed right now because another API request or Stripe process is \
                       currently accessing it. If you see this error intermittently, retry the request.";
        Self { status: 429, code: Some("lock_timeout"), retry: Some("true"), ..Self::invalid(message) }
    }

    pub(crate) fn unavailable() -> Self {
        Self {
            status: 503,
            retry: Some("true"),
            ..Self::broken("The service is unavailable; try again later.")
        }
    }

    pub(crate) fn revoked() -> Self {
        Self { code: Some("api_key_expired"), ..Self::unauthorized("Expired API Key provided.") }
    }

    pub(crate) fn too_large(most_bytes: u64) -> Self {
        Self { status: 413, ..Self::invalid(format!("The body must be at most {most_bytes} bytes.")) }
    }

    pub(crate) fn forbidden(message: &str) -> Self {
        Self { status: 403, ..Self::invalid(message) }
    }

    /// A conflict in the admin's calls.
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self { status: 409, ..Self::invalid(message) }
    }

    pub(crate) fn broken(message: impl Into<String>) -> Self {
        Self { status: 500, kind: "api_error", ..Self::invalid(message) }
    }
}
