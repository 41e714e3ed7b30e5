//! Gateways: who moves the money. An adapter only translates, from a payment to the call that charges it and
//! from an answer to what it means; [`client`] is what calls.

mod classify;
pub mod client;
pub mod listing;
mod stripe;
mod text;
pub mod webhook;

use crate::domain::{
    attempt::{Answer, ExchangeKind, Rejection},
    clock::Time,
    decline::Decline,
    payment::{NamedCharge, Payment},
    refund::{self, Refund},
};
use dunlin_jobs::Money;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize, de::IntoDeserializer};
use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc, time::Duration};
use webhook::{Notification, WebhookError};

/// What an adapter says of its gateway (S2.9); the classification and the flows go by nothing else.
#[expect(clippy::struct_excessive_bools, reason = "each is one yes or no that S2.9 asks of an adapter")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traits {
    /// The same bytes under the same key are executed once, and answered the same.
    pub key_supported: bool,
    /// How long the gateway remembers a key.
    pub key_ttl: Duration,
    /// An error that was answered once is answered again under its key, so that asking that way ends.
    pub replays_errors: bool,
    /// The same key with other parameters is refused, so that what a key answers is about our bytes.
    pub param_compare: bool,
    /// The rate limiter stands before the key is looked at, so that its 429 proves that nothing was executed.
    pub limiter_before_idempotency: bool,
    /// A complete listing can be matched on our reference.
    pub query_by_reference: bool,
    /// How long an operation may take to appear in a listing: absence proves nothing earlier.
    pub settle_delay: Duration,
    /// An operation can be canceled by our key alone, before the gateway's id of it is known.
    pub cancel_by_key: bool,
    /// How long the gateway may work on a request, whether or not somebody still waits for its answer.
    pub max_timeout: Duration,
}

impl Traits {
    /// Whether the gateway can be asked what became of an attempt in no way at all: neither by the same bytes
    /// again nor by our reference (S2.10).
    pub fn runs_at_most_once(&self) -> bool {
        !self.key_supported && !self.query_by_reference
    }
}

/// One HTTP call, as it will be stored and sent: byte for byte the same each time (S1.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub kind: ExchangeKind,
    pub method: &'static str,
    /// With its query.
    pub path: String,
    pub idempotency_key: Option<String>,
    pub body: String,
}

/// A gateway's answer on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    /// By lower-case name.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// Which attempt a call is about.
#[derive(Debug, Clone, Copy)]
pub struct Tried<'a> {
    pub payment: &'a Payment,
    pub n: u32,
    /// Nothing can have been sent before: a listing begins there, and has no end, for our record of sends may lack some.
    pub since: Time,
    /// The charge of the attempt before, whose failure is not ours (S1.17).
    pub earlier_charge: Option<&'a str>,
    /// Whether the operation counts only with our reference, since it is not the payment's by our own record.
    pub must_bear_reference: bool,
    /// Which of the payment's operations is looked for, where none is known.
    pub wanted: Wanted<'a>,
}

impl<'a> Tried<'a> {
    /// Whatever there is of the attempt since then.
    pub fn of(payment: &'a Payment, n: u32, since: Time) -> Self {
        let (earlier_charge, must_bear_reference, wanted) = (None, false, Wanted::Any);
        Self { payment, n, since, earlier_charge, must_bear_reference, wanted }
    }
}

/// Which of the operations that bear a payment's reference is looked for in a listing.
#[derive(Debug, Clone, Copy)]
pub enum Wanted<'a> {
    /// Whichever there is, for there cannot be two.
    Any,
    /// An attempt's that was first sent then. What was made before is another's, and counts only where it has taken the money.
    Since(Time),
    /// One that has taken money by a charge that is not on record, beside these, which are.
    Beside(&'a [String]),
}

/// Whether a call is the first of its attempt; a later one's refusals say nothing about the first (S1.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Send {
    First,
    Again,
}

/// What an answer to a charge proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading<A = Answer> {
    Answered(A),
    Rejected(Rejection),
    /// Nothing was executed, and the same call may be made again.
    NotSent(String),
    /// It may have been executed.
    Unknown(String),
    /// It may have been executed, and sending it again brings the same error.
    StoredError(String),
    /// The gateway has it under this id, and what it said of it besides cannot be read.
    Unreadable {
        operation: String,
        reason: String,
    },
    /// It may have been executed; the key was used for other bytes than ours, which a person should know.
    Mismatch(String),
}

/// What an answer to a cancellation proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cancellation {
    /// The gateway has canceled the operation; nobody can complete it any more.
    Canceled,
    /// It could not be canceled, for it has come to this.
    Answered(Answer),
    /// It may have been canceled, or not.
    Unknown(String),
    /// The same, and under this key the gateway says it again and again.
    StoredError(String),
}

/// What an answer to the question for a charge by its name proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    Found(NamedCharge),
    /// The account has no such charge.
    Missing,
    /// The look proves nothing.
    Nothing(String),
}

/// What an answer to a question proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding<A = Answer> {
    Answered(A),
    /// The gateway has canceled the operation.
    Canceled,
    /// A complete look did not find it.
    Absent,
    /// The look is not complete; ask this next.
    More(Call),
    /// The look proves nothing.
    Nothing(String),
}

/// What a gateway does for us. Everything here is pure: [`client::Client`] makes the calls.
pub trait Gateway: fmt::Debug + std::marker::Send + Sync {
    fn traits(&self) -> &Traits;

    /// The version of the gateway's API that all calls name.
    fn api_version(&self) -> &'static str;

    /// Whether the gateway can take this amount, in words if it cannot (S1.15).
    fn check_amount(&self, money: Money) -> Result<(), String>;

    /// The call that makes attempt `n` of the payment.
    fn charge(&self, payment: &Payment, n: u32) -> Result<Call, String>;

    fn read_charge(&self, payment: &Payment, send: Send, reply: &Reply) -> Reading;

    /// The call that asks what became of an attempt.
    fn query(&self, tried: Tried<'_>) -> Call;

    fn read_query(&self, tried: Tried<'_>, call: &Call, reply: &Reply) -> Finding;

    /// The call that asks for a declined charge, where that tells more of the decline than its error does.
    fn query_charge(&self, _charge: &str) -> Option<Call> {
        None
    }

    /// Adds what that answer tells of the decline; false where it tells nothing.
    fn complete_decline(&self, _decline: &mut Decline, _charge: &str, _reply: &Reply) -> bool {
        false
    }

    /// The call that gives a charge back, or a part of it.
    fn refund(&self, refund: &Refund) -> Result<Call, String>;

    fn read_refund(&self, send: Send, reply: &Reply) -> Reading<refund::Answer>;

    /// The call that asks what became of a refund.
    fn query_refund(&self, refund: &Refund) -> Call;

    fn read_refund_query(&self, refund: &Refund, call: &Call, reply: &Reply) -> Finding<refund::Answer>;

    /// The call that looks up a charge that a person names; `None` where the name cannot be one.
    fn look_up_charge(&self, charge: &str) -> Option<Call>;

    fn read_charge_lookup(&self, charge: &str, reply: &Reply) -> Lookup;

    /// The call that cancels the payment's operation; `None` while the gateway's id of it is needed and not known. Each
    /// generation has a key of its own: it moves no money, so an answer that is of no use need not be met again. Of attempt 0
    /// are operations that are no attempt's on record, each with keys of its own.
    fn cancel(&self, payment: &Payment, n: u32, generation: u32) -> Option<Call>;

    fn read_cancel(&self, payment: &Payment, reply: &Reply) -> Cancellation;

    /// Reads what the gateway tells of its own accord, by header names in lower case. It counts only once it is
    /// proven to come from the gateway (S4.12).
    fn read_webhook(
        &self,
        headers: &BTreeMap<String, String>,
        body: &[u8],
        now: Time,
    ) -> Result<Notification, WebhookError>;

    /// What others did there with the money of our charges, where the gateway shows it.
    fn listings(&self) -> Option<&dyn listing::Listings> {
        None
    }

    /// The call that asks whose account the key is of.
    fn identify(&self) -> Call;

    /// The gateway's own id of the account, if it told.
    fn read_identity(&self, reply: &Reply) -> Option<String>;

    /// Whether it is the gateway itself that refuses our key by an answer (401, 403), and nobody on the way.
    fn refuses_key(&self, reply: &Reply) -> bool;

    /// The call that tells a sandbox the time; `None` where the gateway has a clock of its own.
    fn set_clock(&self, offset: chrono::TimeDelta) -> Option<Call>;

    /// The fields of an answer that may be kept: ids, statuses and codes, no personal data.
    fn redact(&self, reply: &Reply) -> Option<String>;

    /// How long the gateway wants us to wait before anything goes again, as far as we heed it.
    fn retry_after(&self, _reply: &Reply) -> Option<Duration> {
        None
    }

    /// The headers of every call: who calls, in which version of the API, and how bodies are written.
    fn headers(&self, api_version: &str) -> Vec<(&'static str, SecretString)>;
}

/// One account at one gateway, from the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountConfig {
    pub gateway: GatewayName,
    pub livemode: bool,
    pub base_url: String,
    pub secret_key: SecretString,
    /// What the gateway signs its webhooks with; without it none is taken.
    #[serde(default)]
    pub webhook_secret: Option<SecretString>,
    /// A sandbox whose clock follows the test clock; only with such accounts may test time be advanced.
    #[serde(default)]
    pub follows_test_clock: bool,
}

impl AccountConfig {
    /// What is wrong with the account, as far as its gateway can tell without asking.
    pub fn mistake(&self) -> Option<String> {
        match self.gateway {
            GatewayName::Stripe => stripe::mistake(self),
        }
    }

    /// Real money is not spoken of where others could listen.
    pub fn is_live_without_tls(&self) -> bool {
        self.livemode && !self.base_url.starts_with("https://")
    }
}

/// The gateways there are adapters for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GatewayName {
    Stripe,
}

impl GatewayName {
    fn facts(self) -> &'static Facts {
        match self {
            Self::Stripe => &stripe::FACTS,
        }
    }

    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// Where the gateway itself is.
    pub fn base_url(self) -> &'static str {
        self.facts().base_url
    }
}

impl FromStr for GatewayName {
    type Err = serde::de::value::Error;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::deserialize(name.into_deserializer())
    }
}

/// What is the same for all accounts of a gateway.
#[derive(Debug)]
struct Facts {
    name: &'static str,
    base_url: &'static str,
}

/// An account that can be charged on.
#[derive(Debug, Clone)]
pub struct Account {
    pub name: String,
    pub kind: GatewayName,
    pub livemode: bool,
    pub base_url: String,
    pub follows_test_clock: bool,
    pub gateway: Arc<dyn Gateway>,
}

/// All configured accounts, by name.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    accounts: Arc<BTreeMap<String, Account>>,
}

impl Registry {
    pub fn new(configs: &BTreeMap<String, AccountConfig>) -> Self {
        let account = |(name, config): (&String, &AccountConfig)| {
            let gateway: Arc<dyn Gateway> = match config.gateway {
                GatewayName::Stripe => Arc::new(stripe::Stripe::new(config)),
            };
            Account {
                name: name.clone(),
                kind: config.gateway,
                livemode: config.livemode,
                base_url: config.base_url.trim_end_matches('/').to_owned(),
                follows_test_clock: config.follows_test_clock,
                gateway,
            }
        };
        Self::of_accounts(configs.iter().map(account))
    }

    pub fn of_accounts(accounts: impl IntoIterator<Item = Account>) -> Self {
        let by_name = accounts.into_iter().map(|account| (account.name.clone(), account)).collect();
        Self { accounts: Arc::new(by_name) }
    }

    pub fn find(&self, name: &str) -> Option<&Account> {
        self.accounts.get(name)
    }

    /// The account that a payment of the environment goes to unless it names one: the first by name.
    pub fn default_for(&self, livemode: bool) -> Option<&Account> {
        self.of(livemode).next()
    }

    /// The accounts of an environment.
    pub fn of(&self, livemode: bool) -> impl Iterator<Item = &Account> {
        self.accounts.values().filter(move |account| account.livemode == livemode)
    }
}
