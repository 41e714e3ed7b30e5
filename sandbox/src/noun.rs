//! A noun is a kind of object as callers name it: where it is asked for, and how it is missed.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Noun {
    Charge,
    Customer,
    Dispute,
    Endpoint,
    Event,
    Intent,
    Method,
    Refund,
    Setup,
    /// Of fraud.
    Warning,
}

impl Noun {
    pub(crate) fn at(collection: &str) -> Option<Self> {
        Some(match collection {
            "charges" => Self::Charge,
            "customers" => Self::Customer,
            "disputes" => Self::Dispute,
            "events" => Self::Event,
            "payment_intents" => Self::Intent,
            "payment_methods" => Self::Method,
            "radar/early_fraud_warnings" => Self::Warning,
            "refunds" => Self::Refund,
            "setup_intents" => Self::Setup,
            "webhook_endpoints" => Self::Endpoint,
            _ => return None,
        })
    }

    pub(crate) fn url(self) -> &'static str {
        match self {
            Self::Charge => "/v1/charges",
            Self::Customer => "/v1/customers",
            Self::Dispute => "/v1/disputes",
            Self::Endpoint => "/v1/webhook_endpoints",
            Self::Event => "/v1/events",
            Self::Intent => "/v1/payment_intents",
            Self::Method => "/v1/payment_methods",
            Self::Refund => "/v1/refunds",
            Self::Setup => "/v1/setup_intents",
            Self::Warning => "/v1/radar/early_fraud_warnings",
        }
    }

    /// Stripe's word for what is missing.
    pub(crate) fn missed(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::Customer => "customer",
            Self::Dispute => "dispute",
            Self::Endpoint => "webhook endpoint",
            Self::Event => "event",
            Self::Intent => "payment_intent",
            Self::Method => "PaymentMethod",
            Self::Refund => "refund",
            Self::Setup => "setupintent",
            Self::Warning => "early fraud warning",
        }
    }

    /// The parameter that names it in a path.
    pub(crate) fn param(self) -> &'static str {
        match self {
            Self::Charge | Self::Customer | Self::Event | Self::Refund | Self::Warning => "id",
            Self::Dispute => "dispute",
            Self::Endpoint => "webhook_endpoint",
            Self::Intent => "intent",
            Self::Method => "payment_method",
            Self::Setup => "setup_intent",
        }
    }
}
