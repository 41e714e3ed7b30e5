//! The contract: what every gateway's adapter promises, held against a sandbox of that gateway over real HTTP,
//! with the real client and the flows. A gateway keeps it with `contract!(name)` and a [`House`] of its own.

mod doubts;
mod outcomes;
mod present;
mod stripe;
mod traits;
mod versions;

use crate::support::{database::Database, world};
use chrono::{DateTime, TimeDelta};
use dunlin::{
    config::Config,
    domain::{clock::Clock, payment::Payment, refund::RefundStatus, session::Session},
    failpoint::Failpoints,
    flow::{Flows, Turns, payments::Request, refunds},
    gateway::{
        Account, AccountConfig, Call, Registry, Reply,
        client::{Client, ClientConfig, SendError},
    },
    store::{Owner, change::Priority},
    worker,
};
use dunlin_jobs::{Lane, PaymentId, RefundId};
use std::{collections::BTreeMap, fmt};

/// The moment at which a house opens.
const BEGIN: i64 = 1_800_000_000;

/// The tokens by which a gateway's sandbox is asked to behave in a certain way.
#[derive(Debug, Clone, Copy)]
struct Cards {
    approved: &'static str,
    /// Declined once for a reason that passes, then approved.
    declined_once: &'static str,
    declined_for_ever: &'static str,
    challenged: &'static str,
    /// Asks its owner, who is there, and declines all the same.
    challenged_and_declined: &'static str,
    lost_before: &'static str,
    lost_after: &'static str,
    /// Captured, and answered with an error that the key keeps.
    error_kept: &'static str,
    /// Captured at once, and answered after more than [`PATIENCE_MS`].
    slow: &'static str,
    wrong_amount: &'static str,
    /// Accepted at once, and captured a minute later.
    settles_late: &'static str,
}

/// What a sandbox can be told to do to one request.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    /// The limiter turns away the next charge.
    ChargeLimited,
    /// The next refund is executed, and its answer is lost.
    RefundLost,
    /// The next charge is executed, and its answer is lost.
    ChargeLost,
}

/// What a customer does who is asked to approve a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Approve,
    Refuse,
}

/// How long the client of a house waits for an answer.
const PATIENCE_MS: u64 = 400;

/// What a test knows of the gateway behind the adapter.
trait Sandbox: fmt::Debug {
    fn cards(&self) -> Cards;
    /// An account whose key is good, and one whose key is refused.
    fn account(&self) -> AccountConfig;
    fn account_refused(&self) -> AccountConfig;
    /// What was captured for a payment, by the gateway's own books.
    fn captures(&self, payment: PaymentId) -> usize;
    /// How often a refund has gone back.
    fn returned(&self, refund: RefundId) -> usize;
    fn trouble(&self, trouble: Trouble);
    /// The customer does what the payment asks them to, or refuses.
    fn act(&self, payment: &Payment, answer: Act);
    /// Whether the gateway holds an operation of the payment that could still be completed.
    fn holds_open(&self, payment: &Payment) -> bool;
    /// An event that the gateway signs with the secret, about the payment.
    fn event(&self, secret: &str, at: i64, payment: PaymentId) -> (BTreeMap<String, String>, String);
}

/// A service over one sandbox, with a clock that the test holds.
#[derive(Debug)]
struct House {
    _database: Database,
    sandbox: Box<dyn Sandbox>,
    flows: Flows,
    owner: Owner,
}

impl House {
    async fn over(sandbox: Box<dyn Sandbox>) -> Self {
        let database = Database::sqlite();
        let clock = Clock::held(DateTime::from_timestamp(BEGIN, 0).unwrap(), 7);
        let store = database.open(clock, Failpoints::default()).await;
        let tenant = store.ensure_tenant("test").await.unwrap();
        let config = ClientConfig { connect_timeout_ms: PATIENCE_MS, timeout_ms: PATIENCE_MS };
        let flows = Flows {
            store,
            gateways: registry(sandbox.account()),
            client: Client::new(&config).unwrap(),
            turns: Turns::default(),
            redis: None,
            settings: Config::load(None).unwrap().payments,
        };
        let owner = Owner { tenant: tenant.id, livemode: false };
        Self { _database: database, sandbox, flows, owner }
    }

    fn account(&self) -> &Account {
        self.flows.gateways.default_for(false).unwrap()
    }

    async fn pay(&self, card: &str) -> Payment {
        self.pay_in(Session::Off, card).await
    }

    async fn pay_in(&self, session: Session, card: &str) -> Payment {
        let request = Request { customer: None, session, ..world::request(card) };
        let taken = self.flows.create_payment(self.owner, request, Priority::Interactive).await.unwrap();
        taken.payment.unwrap()
    }

    /// Takes in a payment and works on what is due at once.
    async fn charge(&self, card: &str) -> Payment {
        let payment = self.pay(card).await;
        self.work().await;
        self.payment(payment.id).await
    }

    /// The same while the customer is there.
    async fn charge_present(&self, card: &str) -> Payment {
        let session = Session::On("https://shop.example/back".parse().unwrap());
        let payment = self.pay_in(session, card).await;
        self.work().await;
        self.payment(payment.id).await
    }

    async fn payment(&self, id: PaymentId) -> Payment {
        self.flows.store.find_payment(id).await.unwrap().unwrap()
    }

    async fn work(&self) {
        for lane in [Lane::Payments, Lane::Reconcile] {
            worker::run_due_jobs(&self.flows, lane, false).await.unwrap();
        }
    }

    /// Lets time pass, here and at the gateway, working on each job when it is due.
    async fn travel(&self, by: TimeDelta) {
        let clock = self.flows.clock();
        let target = clock.now(false) + by;
        self.work().await;
        while let Some(due) =
            self.flows.store.find_next_due(false).await.unwrap().filter(|due| *due <= target)
        {
            self.set_clock(due - clock.now(false)).await;
            self.work().await;
        }
        self.set_clock(target - clock.now(false)).await;
        self.work().await;
    }

    async fn set_clock(&self, by: TimeDelta) {
        let clock = self.flows.clock();
        clock.travel(by.max(TimeDelta::zero()));
        let offset = TimeDelta::seconds(clock.now(false).timestamp() - BEGIN);
        let call = self.account().gateway.set_clock(offset).expect("a sandbox follows the clock");
        assert_eq!(self.send(&call).await.unwrap().status, 200);
    }

    async fn send(&self, call: &Call) -> Result<Reply, SendError> {
        let account = self.account();
        self.flows.client.send(account, call, account.gateway.api_version()).await
    }

    /// The call that makes the first attempt of a payment which no flow has touched.
    async fn first_call(&self, card: &str) -> (Payment, Call) {
        let payment = self.pay(card).await;
        let call = self.account().gateway.charge(&payment, 1).unwrap();
        (payment, call)
    }

    /// Orders all of a payment back.
    async fn give_back(&self, payment: &Payment) -> RefundId {
        let key = world::key("refund", &payment.id.to_string());
        let request = refunds::Request { amount: None, reason: None, metadata: BTreeMap::new(), key };
        self.flows.create_refund(self.owner, payment.id, request).await.unwrap().0.id
    }

    async fn refund_status(&self, id: RefundId) -> RefundStatus {
        self.flows.store.find_refund(id).await.unwrap().unwrap().status
    }

    fn captures(&self, payment: &Payment) -> usize {
        self.sandbox.captures(payment.id)
    }
}

fn registry(account: AccountConfig) -> Registry {
    Registry::new(&BTreeMap::from([("contract".to_owned(), account)]))
}

/// Makes one test of each promise, for a gateway whose house `$gateway::house()` opens.
macro_rules! contract {
    ($gateway:ident) => {
        $crate::contract::contract! { $gateway:
            outcomes: an_approval_is_captured_once
            outcomes: a_soft_decline_is_tried_again_and_captured_once
            outcomes: a_hard_decline_ends_the_payment
            outcomes: a_challenge_waits_for_the_customer
            outcomes: a_wrong_amount_comes_before_a_person
            outcomes: refused_credentials_hold_the_payment_and_cost_no_attempt
            outcomes: a_late_settlement_is_waited_for
            outcomes: a_refund_goes_back_once
            outcomes: a_canceled_payment_leaves_nothing_open
            outcomes: a_webhook_counts_only_with_its_signature
            present: who_authenticates_pays_once
            present: who_fails_to_authenticate_is_declined_and_not_charged_again
            present: a_decline_after_authentication_is_the_customers_to_mend
            present: who_does_not_come_back_can_pay_no_more
            present: what_waits_for_its_customer_is_canceled_at_the_gateway_first
            present: a_lost_answer_that_asks_the_customer_is_found_out
            present: who_need_not_authenticate_pays_at_once
            doubts: an_answer_lost_before_execution_is_found_out
            doubts: an_answer_lost_after_execution_is_found_out
            doubts: an_answer_that_comes_too_late_is_found_out
            doubts: an_error_that_the_key_keeps_is_seen_through
            doubts: a_refund_whose_answer_is_lost_goes_back_once
            doubts: a_worker_that_dies_in_its_call_neither_loses_nor_doubles_it
            traits: the_same_bytes_under_the_same_key_are_executed_once
            traits: a_key_with_other_parameters_is_refused
            traits: an_error_is_replayed_under_its_key
            traits: what_a_limiter_turns_away_goes_again_as_the_same_attempt
            traits: a_reference_finds_what_was_made_and_nothing_else
            traits: an_operation_is_canceled_by_what_is_declared
            traits: a_call_ends_within_its_time
        }
    };
    ($gateway:ident: $($group:ident: $promise:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $promise() {
            $crate::contract::$group::$promise($crate::contract::$gateway::house().await).await;
        }
    )*};
}
use contract;
