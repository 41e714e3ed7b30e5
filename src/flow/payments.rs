//! Payments: taking them in, and telling how they stand.

use super::{
    FlowError, Flows,
    naming::{self, Found},
    replays::Unmade,
};
use crate::{
    domain::{
        attempt::Attempt,
        card::looks_like_card_number,
        clock::Time,
        payment::{ByHand, MAX_METADATA, Method, Payment, Start, Status},
        session::Session,
    },
    failpoint::Point,
    gateway::Account,
    store::{
        AllKnown, Filter, Owner, Transition,
        change::{Committed, Create, Exchange, Key, Priority, Subject},
        jobs::JobView,
    },
};
use chrono::{SubsecRound, TimeDelta};
use dunlin_jobs::{Currency, Money, MoneyError, NewPayment, PaymentId, read_identifier};
use futures_util::future::join_all;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::sync::broadcast::error::RecvError;

/// The longest text that is taken in a free field.
pub const MAX_TEXT: usize = NewPayment::MAX_TEXT;
/// How long a key of `metadata` may be.
pub const MAX_METADATA_KEY: usize = NewPayment::MAX_METADATA_KEY;
pub const MAX_REFERENCE: usize = NewPayment::MAX_REFERENCE;
/// How far ahead a payment may be set for a later time.
pub const MAX_AHEAD: TimeDelta = TimeDelta::days(366);
/// How often a waiting caller looks, where nobody in this process can ring.
const WAIT_POLL: Duration = Duration::from_millis(250);

/// What a caller asks for, its shape checked, its meaning not.
#[derive(Debug, Clone)]
pub struct Request {
    /// In minor units.
    pub amount: i64,
    /// The customer's own if none is named.
    pub currency: Option<Currency>,
    /// The customer's default one if none is named; its token may be the id of one of ours.
    pub method: Option<Method>,
    pub session: Session,
    pub start: Start,
    /// The gateway account; the environment's first one if none is named.
    pub gateway: Option<String>,
    pub customer: Option<String>,
    pub reference: Option<String>,
    pub description: Option<String>,
    pub metadata: BTreeMap<String, String>,
    pub key: Option<Key>,
    /// The caller means a second payment just like the one before.
    pub allow_duplicate: bool,
    pub traceparent: Option<String>,
    /// The part of the program that takes it in, for the history.
    pub by: &'static str,
    /// What was found to be wrong with it when it was read.
    pub mistake: Option<Mistake>,
}

/// What is wrong with a field of a request, with the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    pub field: &'static str,
    pub detail: String,
}

/// Everything about one payment.
#[derive(Debug, Clone)]
pub struct Story {
    pub payment: Payment,
    pub history: Vec<Transition>,
    pub exchanges: Vec<Exchange>,
    pub jobs: Vec<JobView>,
}

impl Flows {
    /// Takes in a payment: its key, its row, its job and its event in one commit (S2.3).
    pub async fn create_payment(
        &self,
        owner: Owner,
        request: Request,
        priority: Priority,
    ) -> Result<Committed, FlowError> {
        let taken = self.take_in_all(owner, vec![request], priority).await?;
        taken.into_iter().next().ok_or(FlowError::NotFound("payment"))?
    }

    /// Takes in many payments, each for itself; whom all of them name is looked up at once.
    pub async fn create_payments(
        &self,
        owner: Owner,
        requests: Vec<Request>,
    ) -> Result<Vec<Result<Committed, FlowError>>, FlowError> {
        self.take_in_all(owner, requests, Priority::Bulk).await
    }

    async fn take_in_all(
        &self,
        owner: Owner,
        requests: Vec<Request>,
        priority: Priority,
    ) -> Result<Vec<Result<Committed, FlowError>>, FlowError> {
        self.store.pass(Point::Received).await?;
        let checked: Vec<_> = requests.into_iter().map(checked).collect();
        let known = self.store.find_known(owner, &naming::names(checked.iter().flatten())).await?;
        let taken =
            checked.into_iter().map(async |request| self.take_in(owner, request?, &known, priority).await);
        let taken = join_all(taken).await;
        self.recall_payments(owner, taken).await
    }

    async fn take_in(
        &self,
        owner: Owner,
        request: Request,
        known: &AllKnown,
        priority: Priority,
    ) -> Result<Committed, Unmade> {
        let key = request.key.clone();
        let by = request.by;
        let found = naming::find(&request, known);
        let create = found.and_then(|found| self.prepare(owner, request, found, priority));
        let create = create.map_err(|error| Unmade { key: key.map(Box::new), error })?;
        let change = self.change(by, Subject::Create(Box::new(create)));
        let committed = match priority {
            // A caller with one payment can come back; a batch is in the line already.
            Priority::Interactive => self.store.offer(change).await,
            Priority::Bulk => self.store.commit(change).await,
        };
        // The key was looked at in the commit.
        let unmade = |error| Unmade { key: None, error };
        self.store.pass(Point::Accepted).await.map_err(|error| unmade(error.into()))?;
        committed.map_err(|error| unmade(error.into()))
    }

    fn prepare(
        &self,
        owner: Owner,
        request: Request,
        found: Found,
        priority: Priority,
    ) -> Result<Create, FlowError> {
        let money = Money::new(request.amount, found.currency)
            .map_err(|error| invalid("amount", error.to_string()))?;
        let account = self.account_for(owner, found.gateway.as_deref())?;
        account.gateway.check_amount(money).map_err(|detail| invalid("amount", detail))?;
        let now = self.clock().now(owner.livemode);
        let start = start(&request, now)?;
        let window = i64::try_from(self.settings.duplicate_window_s).unwrap_or(i64::MAX);
        let watched = window > 0 && !request.allow_duplicate;
        let payment = Payment {
            id: PaymentId::mint(now, self.clock().random()),
            tenant: owner.tenant,
            livemode: owner.livemode,
            money,
            method: found.method,
            method_id: found.method_id,
            session: request.session,
            start,
            customer: found.customer,
            reference: request.reference,
            description: request.description,
            metadata: request.metadata,
            account: account.name.clone(),
            status: Status::Pending,
            version: 1,
            operation: None,
            attempt: None,
            declines: 0,
            by_hand: ByHand::default(),
            resolution: None,
            failure: None,
            refunded: 0,
            refunding: 0,
            disputes: Vec::new(),
            created_at: now,
            updated_at: now,
        };
        Ok(Create {
            payment,
            key: request.key,
            twin_since: watched.then(|| now - TimeDelta::try_seconds(window).unwrap_or(TimeDelta::MAX)),
            priority,
            traceparent: request.traceparent,
        })
    }

    /// The gateway account that a caller names; the environment's first one if none is named.
    pub(super) fn account_for(&self, owner: Owner, gateway: Option<&str>) -> Result<&Account, FlowError> {
        let Some(name) = gateway else {
            return self.gateways.default_for(owner.livemode).ok_or_else(|| {
                invalid("gateway", "no gateway account is configured for this environment".to_owned())
            });
        };
        check_short_text("gateway", name)?;
        let account = self.gateways.find(name).filter(|account| account.livemode == owner.livemode);
        account.ok_or_else(|| invalid("gateway", format!("no gateway account {name:?} in this environment")))
    }

    pub async fn load_payment(&self, owner: Owner, id: PaymentId) -> Result<Payment, FlowError> {
        self.store.find_owned_payment(owner, id).await?.ok_or(FlowError::NotFound("payment"))
    }

    pub async fn list_payments(&self, owner: Owner, filter: &Filter) -> Result<Vec<Payment>, FlowError> {
        Ok(self.store.list_payments(owner, filter).await?)
    }

    /// Those of the named payments that are the owner's, by id.
    pub async fn find_payments(
        &self,
        owner: Owner,
        ids: &BTreeSet<PaymentId>,
    ) -> Result<Vec<Payment>, FlowError> {
        Ok(self.store.find_owned_payments(owner, ids).await?)
    }

    pub async fn list_attempts(&self, owner: Owner, id: PaymentId) -> Result<Vec<Attempt>, FlowError> {
        let payment = self.load_payment(owner, id).await?;
        Ok(self.store.list_attempts(payment.id).await?)
    }

    /// Every transition, exchange and job of a payment.
    pub async fn tell_story(&self, owner: Owner, id: PaymentId) -> Result<Story, FlowError> {
        let payment = self.load_payment(owner, id).await?;
        let history = self.store.list_history(id).await?;
        let exchanges = self.store.list_exchanges(id).await?;
        let jobs = self.store.list_jobs(id).await?;
        Ok(Story { payment, history, exchanges, jobs })
    }

    /// Waits until the gateway has had its say, or the time is over; answers with the payment as it is then.
    pub async fn wait_until_settled(
        &self,
        owner: Owner,
        payment: Payment,
        patience: Duration,
    ) -> Result<Payment, FlowError> {
        let mut changes = self.store.subscribe();
        let deadline = tokio::time::Instant::now() + patience;
        let mut payment = self.load_payment(owner, payment.id).await?;
        while !payment.status.is_settled() && !payment.is_early(self.now(&payment)) {
            let next = tokio::time::Instant::now() + WAIT_POLL;
            let rung = async {
                loop {
                    match changes.recv().await {
                        Ok(id) if id != payment.id => {}
                        Ok(_) | Err(RecvError::Lagged(_)) => return,
                        Err(RecvError::Closed) => std::future::pending().await,
                    }
                }
            };
            let _ = tokio::time::timeout_at(next.min(deadline), rung).await;
            payment = self.load_payment(owner, payment.id).await?;
            if tokio::time::Instant::now() >= deadline {
                break;
            }
        }
        Ok(payment)
    }
}

fn checked(request: Request) -> Result<Request, Unmade> {
    match check(&request) {
        Ok(()) => Ok(request),
        Err(error) => Err(Unmade { key: request.key.map(Box::new), error }),
    }
}

/// What is wrong with a request, if anything is: by field, with the remedy.
fn check(request: &Request) -> Result<(), FlowError> {
    if let Some(mistake) = &request.mistake {
        return Err(mistake.clone().into());
    }
    if request.amount.unsigned_abs() > Money::MAX_MINOR.unsigned_abs() {
        return Err(invalid("amount", MoneyError::Overflow.to_string()));
    }
    if request.amount <= 0 {
        return Err(invalid("amount", "the amount must be more than 0, in minor units".to_owned()));
    }
    text("customer", request.customer.as_deref(), MAX_REFERENCE)?;
    text("reference", request.reference.as_deref(), MAX_REFERENCE)?;
    text("description", request.description.as_deref(), MAX_TEXT)?;
    request.method.iter().try_for_each(|method| check_method("method.", method))?;
    check_metadata(&request.metadata)
}

/// When the first attempt may begin: a time that has passed is now, so that a request may be sent again late.
fn start(request: &Request, now: Time) -> Result<Start, FlowError> {
    if request.start != Start::Now && request.session.is_on() {
        let detail = "a customer who is there does not wait: leave process_at and capture out, or send \
                      off_session: true";
        return Err(invalid("off_session", detail.to_owned()));
    }
    match request.start {
        Start::At(at) if at < now - MAX_AHEAD => {
            let days = MAX_AHEAD.num_days();
            let detail = format!(
                "this moment passed more than {days} days ago: leave process_at out to charge now, or send a moment to come"
            );
            Err(invalid("process_at", detail))
        }
        Start::At(at) if at <= now => Ok(Start::Now),
        Start::At(at) if at > now + MAX_AHEAD => {
            let days = MAX_AHEAD.num_days();
            Err(invalid(
                "process_at",
                format!("at most {days} days from now: make the payment nearer to its time"),
            ))
        }
        Start::At(at) => Ok(Start::At(at.trunc_subsecs(6))),
        Start::Now | Start::OnRequest => Ok(request.start),
    }
}

/// What is wrong with a method, if anything is; its fields stand under what is before them.
pub(super) fn check_method(before: &str, method: &Method) -> Result<(), FlowError> {
    text(&format!("{before}payment_method"), Some(&method.payment_method), MAX_REFERENCE)?;
    text(&format!("{before}gateway_customer"), method.gateway_customer.as_deref(), MAX_REFERENCE)
}

/// An id of a caller's own as it is compared (S2.14), where there is one.
pub fn identifier(field: &str, value: Option<String>) -> Result<Option<String>, FlowError> {
    let Some(value) = value else { return Ok(None) };
    let read = read_identifier(&value).map_err(|why| invalid(field, why.to_string()))?;
    text(field, Some(&read), MAX_REFERENCE)?;
    Ok(Some(read.into_owned()))
}

/// What is wrong with a free text, if anything is.
pub(super) fn check_text(field: &str, value: Option<&str>) -> Result<(), FlowError> {
    text(field, value, MAX_TEXT)
}

/// What is wrong with a name, if anything is.
pub(super) fn check_short_text(field: &str, value: &str) -> Result<(), FlowError> {
    text(field, Some(value), MAX_REFERENCE)
}

/// What is wrong with metadata, if anything is.
pub(super) fn check_metadata(metadata: &BTreeMap<String, String>) -> Result<(), FlowError> {
    if metadata.len() > MAX_METADATA {
        return Err(invalid("metadata", format!("at most {MAX_METADATA} entries")));
    }
    metadata.iter().try_for_each(|(key, value)| check_entry(key, value))
}

/// What is wrong with an entry of metadata, if anything is.
pub(super) fn check_entry(key: &str, value: &str) -> Result<(), FlowError> {
    if key.is_empty() || key.chars().count() > MAX_METADATA_KEY {
        let detail = format!("a key must have 1 to {MAX_METADATA_KEY} characters");
        return Err(invalid("metadata", detail));
    }
    if looks_like_card_number(key) {
        return Err(card_number("metadata"));
    }
    if key.chars().any(char::is_control) {
        return Err(invalid("metadata", "a key has control characters: remove them".to_owned()));
    }
    let field = format!("metadata.{key}");
    if value.chars().count() > MAX_TEXT {
        return Err(invalid(&field, format!("at most {MAX_TEXT} characters")));
    }
    // A line break is a person's; PostgreSQL cannot hold a NUL.
    if value.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err(invalid(&field, "the text has control characters: remove them".to_owned()));
    }
    if looks_like_card_number(value) {
        return Err(card_number(&field));
    }
    Ok(())
}

fn text(field: &str, value: Option<&str>, longest: usize) -> Result<(), FlowError> {
    let Some(value) = value else { return Ok(()) };
    if value.trim().is_empty() {
        return Err(invalid(field, "the text is empty: leave the field out, or fill it".to_owned()));
    }
    if value.chars().count() > longest {
        return Err(invalid(field, format!("at most {longest} characters")));
    }
    if value.chars().any(char::is_control) {
        return Err(invalid(field, "the text has control characters: remove them".to_owned()));
    }
    if looks_like_card_number(value) { Err(card_number(field)) } else { Ok(()) }
}

/// Says the field's name only: what stood there is never stored or logged.
fn card_number(field: &str) -> FlowError {
    let detail = "this looks like a card number, which dunlin never takes: send the gateway's token instead";
    invalid(field, detail.to_owned())
}

fn invalid(field: &str, detail: String) -> FlowError {
    FlowError::Invalid { field: field.to_owned(), detail }
}

/// Reads a page's narrowing by status.
pub fn check_status(status: &str) -> Result<(), FlowError> {
    if Status::NAMES.contains(&status) {
        return Ok(());
    }
    Err(invalid("status", format!("{status:?} is not a status: one of {}", Status::NAMES.join(", "))))
}
