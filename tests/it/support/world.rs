//! A world to test in: a database, a sandbox called in process, and a clock that the test holds.

use super::{database::Database, webhooks};
use chrono::{DateTime, TimeDelta};
use dunlin::{
    config::Config,
    domain::{
        attempt::ExchangeKind,
        clock::Clock,
        payment::{Method, MethodKind, Payment, Start},
        refund::Refund,
        scope::Scopes,
        session::Session,
    },
    failpoint::Failpoints,
    flow::{FlowError, Flows, Settings, Turns, payments::Request, refunds},
    gateway::{
        Call, Registry, Reply,
        client::{Client, SendError},
    },
    store::{
        KeyHolder, Owner, Store,
        change::{JobEnd, Key, Priority},
        claim::{Claimed, Order},
        restores::{self, Restore},
    },
    worker,
};
use dunlin_jobs::{Job, KeyId, Lane, PaymentId, RefundId, Sweep, SweepName};
use dunlin_sandbox::{Bank, Outcome};
use futures_util::FutureExt;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
    time::Duration,
};

/// The moment at which tests begin.
pub(crate) const BEGIN: i64 = 1_800_000_000;

#[derive(Debug)]
pub(crate) struct World {
    database: Database,
    pub(crate) bank: Arc<Bank>,
    pub(crate) flows: Flows,
    pub(crate) owner: Owner,
}

impl World {
    pub(crate) async fn new(database: Database) -> Self {
        Self::with_settings(database, |_| {}).await
    }

    pub(crate) async fn with_settings(database: Database, change: impl FnOnce(&mut Settings)) -> Self {
        let bank = Arc::new(Bank::simulated(7, BEGIN));
        let clock = Clock::held(DateTime::from_timestamp(BEGIN, 0).unwrap(), 7);
        let store = database.open(clock, Failpoints::default()).await;
        let tenant = store.ensure_tenant("test").await.unwrap();
        let mut settings = settings();
        change(&mut settings);
        let client = client(Arc::clone(&bank));
        let flows =
            Flows { store, gateways: gateways(), client, turns: Turns::default(), redis: None, settings };
        Self { database, bank, flows, owner: Owner { tenant: tenant.id, livemode: false } }
    }

    /// The flows of a worker beside this one whose machine's clock is wrong by that much.
    pub(crate) async fn drifting(&self, by: TimeDelta) -> Flows {
        let clock = self.flows.clock().drifting(by);
        let store = self.database.open(clock, Failpoints::default()).await;
        Flows { store, ..self.flows.clone() }
    }

    /// Takes in a payment of 12.50 EUR with the sandbox's method.
    pub(crate) async fn pay(&self, method: &str) -> Payment {
        self.flows
            .create_payment(self.owner, request(method), Priority::Interactive)
            .await
            .unwrap()
            .payment
            .unwrap()
    }

    /// Takes in the same while the customer is there.
    pub(crate) async fn pay_present(&self, method: &str) -> Payment {
        let session = Session::On("https://shop.example/back".parse().unwrap());
        let request = Request { session, ..request(method) };
        let taken = self.flows.create_payment(self.owner, request, Priority::Interactive).await;
        taken.unwrap().payment.unwrap()
    }

    /// Runs everything that is due.
    pub(crate) async fn run_due_jobs(&self) -> usize {
        let charges = worker::run_due_jobs(&self.flows, Lane::Payments, false).await.unwrap();
        charges + worker::run_due_jobs(&self.flows, Lane::Reconcile, false).await.unwrap()
    }

    /// Moves the clock, and the sandbox's with it.
    fn move_clock(&self, by: TimeDelta) {
        move_clock(self.flows.clock(), &self.bank, by);
    }

    /// Lets time pass, and nobody works.
    pub(crate) fn pass(&self, by: TimeDelta) {
        self.move_clock(by);
    }

    /// Lets time pass, running each job when it is due.
    pub(crate) async fn travel(&self, by: TimeDelta) {
        let target = self.flows.clock().now(false) + by;
        self.run_due_jobs().await;
        while let Some(due) =
            self.flows.store.find_next_due(false).await.unwrap().filter(|due| *due <= target)
        {
            self.move_clock(due - self.flows.clock().now(false));
            self.tend_holds().await;
            self.run_due_jobs().await;
        }
        self.move_clock(target - self.flows.clock().now(false));
        self.tend_holds().await;
        self.run_due_jobs().await;
    }

    /// What every process does all the time, where there is need.
    async fn tend_holds(&self) {
        if self.flows.hold_of("sandbox").is_some() {
            self.flows.tend_holds_once().await.unwrap();
        }
    }

    /// Lets time pass at once, and runs what is due then.
    pub(crate) async fn leap(&self, by: TimeDelta) {
        self.move_clock(by);
        self.run_due_jobs().await;
    }

    /// Lets the next probe of an account come that is on hold.
    pub(crate) async fn probe(&self) {
        self.move_clock(TimeDelta::seconds(10));
        self.flows.tend_holds_once().await.unwrap();
    }

    pub(crate) async fn payment(&self, id: PaymentId) -> Payment {
        self.flows.store.find_payment(id).await.unwrap().unwrap()
    }

    /// Asks for a refund of a payment, of all that is left where no amount is named.
    pub(crate) async fn try_refund(
        &self,
        payment: PaymentId,
        amount: Option<i64>,
        text: &str,
    ) -> Result<(Refund, bool), FlowError> {
        let key = key(text, &format!("{payment}:{amount:?}"));
        let request = refunds::Request { amount, reason: None, metadata: BTreeMap::new(), key };
        self.flows.create_refund(self.owner, payment, request).await
    }

    /// A restore was made, and released: what is on record may lack what was sent.
    pub(crate) async fn restore(&self) {
        let (options, at) = (self.database.options(), self.flows.clock().now(true));
        let restore = Restore { at, by: "the test".to_owned(), source: "a backup".to_owned() };
        restores::hold(&options, &restore).await.unwrap();
        assert!(restores::release(&options, at, "the test", "compared").await.unwrap());
    }

    pub(crate) async fn refund(&self, id: RefundId) -> Refund {
        self.flows.store.find_refund(id).await.unwrap().unwrap()
    }

    /// One of the people who may do everything; their key is the same whenever they are asked for.
    pub(crate) fn person(&self, n: u8) -> KeyHolder {
        let begin = DateTime::from_timestamp(BEGIN, 0).unwrap();
        let key = KeyId::mint(begin, [n; 10]);
        KeyHolder { key, owner: self.owner, scopes: Scopes::everything(), request: None }
    }

    /// What the sandbox has given back, by our refunds' ids, in minor units.
    pub(crate) fn returned(&self) -> Vec<(String, i64)> {
        let page = admin(&self.bank, "GET", "refunds", "after=0&limit=10000", "");
        let told = |refund: &Value| {
            let id = refund["metadata"]["dunlin_refund"].as_str().unwrap_or_default().to_owned();
            (id, refund["amount"].as_i64().unwrap())
        };
        page["refunds"].as_array().unwrap().iter().map(told).collect()
    }

    /// Claims one due payment job, as a worker would that then vanishes.
    pub(crate) async fn claim_one(&self) -> Claimed {
        claim_one(&self.flows.store).await
    }

    /// Charges at the gateway past dunlin; answers with the charge's id.
    pub(crate) fn charge_beside(&self, amount: i64) -> String {
        let body = format!(
            "amount={amount}&currency=eur&payment_method=pm_card_visa&confirm=true&off_session=true\
             &metadata%5Bdunlin_payment%5D=beside"
        );
        let intent = self.call(ExchangeKind::Create, "/v1/payment_intents", body);
        intent["latest_charge"].as_str().unwrap().to_owned()
    }

    /// Gives a charge back at the gateway past dunlin.
    pub(crate) fn refund_beside(&self, charge: &str) {
        self.call(ExchangeKind::Refund, "/v1/refunds", format!("charge={charge}"));
    }

    fn call(&self, kind: ExchangeKind, path: &str, body: String) -> Value {
        let call = Call { kind, method: "POST", path: path.to_owned(), idempotency_key: None, body };
        let reply = answer(&self.bank, &call).unwrap();
        assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
        serde_json::from_slice(&reply.body).unwrap()
    }

    /// The payer pays what the payment has left at the gateway, past dunlin; what the gateway says of it.
    pub(crate) fn pay_beside(&self, payment: &Payment) -> Value {
        pay(&self.bank, payment.operation.as_ref().unwrap())
    }

    /// What the gateway says of the payment's operation.
    pub(crate) fn intent(&self, id: &str) -> Value {
        let path = format!("/v1/payment_intents/{id}");
        let call = Call {
            kind: ExchangeKind::Query,
            method: "GET",
            path,
            idempotency_key: None,
            body: String::new(),
        };
        serde_json::from_slice(&answer(&self.bank, &call).unwrap().body).unwrap()
    }

    /// The next question of all goes away without a trace when it is due; its job's kind.
    pub(crate) async fn lose_next_job(&self) -> &'static str {
        let due = self.flows.store.find_next_due(false).await.unwrap().unwrap();
        self.move_clock(due - self.flows.clock().now(false));
        let (owner, lease) = ("a worker that forgets".to_owned(), Duration::from_mins(1));
        let order = Order { lane: Lane::Reconcile, livemode: false, owner, lease, limit: 1 };
        let claimed = self.flows.store.claim(order).await.unwrap().remove(0);
        self.flows.end_job(&claimed.lease, JobEnd::Done).await.unwrap();
        claimed.job.kind()
    }

    /// Runs the sweep for orphans.
    pub(crate) async fn sweep(&self) {
        let sweep = Job::Sweep(Sweep { name: SweepName::Orphans });
        self.flows.store.plant(&sweep, self.flows.clock().now(true)).await.unwrap();
        worker::run_due_jobs(&self.flows, Lane::Upkeep, true).await.unwrap();
    }

    pub(crate) fn clear_faults(&self) {
        admin(&self.bank, "DELETE", "faults", "", "");
    }

    /// Orders faults of the sandbox.
    pub(crate) fn order(&self, fault: &Value) {
        admin(&self.bank, "POST", "faults", "", &fault.to_string());
    }

    /// What the sandbox has captured for a payment.
    pub(crate) fn captures(&self, payment: PaymentId) -> usize {
        captures(&self.bank).get(&payment.to_string()).copied().unwrap_or(0)
    }
}

/// The customer presses a button on the page that a payment has sent them to; the status of what follows.
pub(crate) fn visit(bank: &Bank, url: &str, answer: &str) -> u16 {
    let path = url.splitn(4, '/').nth(3).map(|path| format!("/{path}")).unwrap();
    let (method, body) = ("POST".to_owned(), format!("answer={answer}").into_bytes());
    let request = dunlin_sandbox::Request { method, path, body, ..dunlin_sandbox::Request::default() };
    let Outcome::Reply(reply) = bank.handle(&request) else { panic!("the page answers") };
    reply.status
}

/// The payer pays an intent, as by its client secret.
pub(crate) fn pay(bank: &Bank, intent: &str) -> Value {
    admin(bank, "POST", "pay", "", &serde_json::json!({ "intent": intent }).to_string())
}

/// Moves a held clock forward, and tells the sandbox.
pub(crate) fn move_clock(clock: &Clock, bank: &Bank, by: TimeDelta) {
    clock.travel(by.max(TimeDelta::zero()));
    let offset = clock.now(false).timestamp() - BEGIN;
    admin(bank, "POST", "clock", "", &format!("{{\"offset_seconds\":{offset}}}"));
}

/// The captures in the sandbox's ledger, by payment.
pub(crate) fn captures(bank: &Bank) -> BTreeMap<String, usize> {
    let page = admin(bank, "GET", "captures", "after=0&limit=10000", "");
    let mut captures = BTreeMap::new();
    // What was charged by hand bears no payment's id.
    let payments =
        page["captures"].as_array().unwrap().iter().map(|line| &line["metadata"]["dunlin_payment"]);
    for payment in payments.filter_map(Value::as_str) {
        *captures.entry(payment.to_owned()).or_default() += 1;
    }
    captures
}

/// One of the sandbox's admin calls, which must succeed.
pub(crate) fn admin(bank: &Bank, method: &str, path: &str, query: &str, body: &str) -> Value {
    let request = dunlin_sandbox::Request {
        method: method.to_owned(),
        path: format!("/_sandbox/{path}"),
        query: query.to_owned(),
        body: body.as_bytes().to_vec(),
        ..dunlin_sandbox::Request::default()
    };
    let Outcome::Reply(reply) = bank.handle(&request) else { panic!("the sandbox answers its admin") };
    assert!(reply.status < 300, "{}", String::from_utf8_lossy(&reply.body));
    serde_json::from_slice(&reply.body).unwrap()
}

/// A SQLite file in memory: a simulated crash is not one of the machine.
pub(crate) fn in_memory() -> Database {
    Database::sqlite_in("/dev/shm")
}

pub(crate) fn settings() -> Settings {
    Config::load(None).unwrap().payments
}

pub(crate) fn gateways() -> Registry {
    gateways_with(webhooks::SECRET)
}

/// The same with another secret for what they tell.
pub(crate) fn gateways_with(webhook_secret: &str) -> Registry {
    let mut accounts = Config::load(None).unwrap().gateways;
    for account in accounts.values_mut() {
        account.webhook_secret = Some(webhook_secret.to_owned().into());
    }
    Registry::new(&accounts)
}

/// The version that the sandbox's account is called in.
static API_VERSION: LazyLock<String> = LazyLock::new(|| {
    gateways().find("sandbox").expect("the shipped configuration has it").gateway.api_version().to_owned()
});

/// The bank called in process, as the wire would.
pub(crate) fn client(bank: Arc<Bank>) -> Client {
    Client::in_process(Arc::new(move |call| std::future::ready(answer(&bank, call)).boxed()))
}

pub(crate) fn answer(bank: &Bank, call: &Call) -> Result<Reply, SendError> {
    let (path, query) = call.path.split_once('?').unwrap_or((&call.path, ""));
    let mut headers = vec![
        ("authorization".to_owned(), "Bearer sk_test_sandbox".to_owned()),
        ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()),
        ("stripe-version".to_owned(), API_VERSION.clone()),
    ];
    headers.extend(call.idempotency_key.iter().map(|key| ("idempotency-key".to_owned(), key.clone())));
    let request = dunlin_sandbox::Request {
        method: call.method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        body: call.body.clone().into_bytes(),
    };
    let reply = bank.handle(&request).into_reply();
    let reply = reply.ok_or_else(|| SendError::Lost("the connection was cut".to_owned()))?;
    Ok(Reply { status: reply.status, headers: reply.headers.into_iter().collect(), body: reply.body })
}

/// Claims one due payment job, as a worker would that then vanishes.
pub(crate) async fn claim_one(store: &Store) -> Claimed {
    let order = Order {
        lane: Lane::Payments,
        livemode: false,
        owner: "a worker that dies".to_owned(),
        lease: Duration::from_mins(1),
        limit: 1,
    };
    store.claim(order).await.unwrap().remove(0)
}

pub(crate) fn request(method: &str) -> Request {
    Request {
        amount: 1250,
        currency: Some("EUR".parse().unwrap()),
        method: Some(Method {
            kind: MethodKind::Card,
            payment_method: method.to_owned(),
            gateway_customer: None,
        }),
        session: Session::Off,
        start: Start::Now,
        gateway: None,
        customer: Some("cus_1".to_owned()),
        reference: None,
        description: None,
        metadata: BTreeMap::new(),
        key: None,
        allow_duplicate: false,
        mistake: None,
        traceparent: None,
        by: "test",
    }
}

pub(crate) fn key(key: &str, fingerprint: &str) -> Key {
    Key { scope: "test".to_owned(), key: key.to_owned(), fingerprint: fingerprint.to_owned() }
}
