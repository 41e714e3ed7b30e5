//! Accounts on hold: what a gateway refuses because of the account or of us waits, costs nothing, and is charged once
//! when the cause is mended (S1.22, S6.4).

mod clocks;
mod identity;
mod rejections;
mod resuming;

use crate::support::world::{self, World};
use chrono::TimeDelta;
use dunlin::{
    domain::{hold::HoldCause, payment::Payment},
    gateway::{
        Call, Reply,
        client::{Client, SendError},
    },
    store::change::Priority,
};
use dunlin_jobs::PaymentId;
use dunlin_sandbox::Bank;
use futures_util::FutureExt;
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

const ACCOUNT: &str = "sandbox";

/// A gateway that refuses in a way of its own until it is mended.
#[derive(Clone)]
struct Gate {
    bank: Arc<Bank>,
    refusal: Arc<Mutex<Option<Refuse>>>,
    charges: Arc<AtomicUsize>,
}

#[derive(Debug, Clone, Copy)]
enum Refuse {
    /// Everything, by this status.
    All(u16),
    /// Charges, by this code and param.
    Charges(&'static str, &'static str),
    /// Charges of this payment alone.
    ChargeOf(PaymentId),
    /// Whoever asks whose account it is, by this status.
    Identity(u16),
    /// It is another account: nothing of ours is there.
    Another,
}

fn reply(status: u16, body: &serde_json::Value) -> Reply {
    Reply { status, headers: BTreeMap::new(), body: body.to_string().into_bytes() }
}

fn error(code: &str, param: &str) -> serde_json::Value {
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    json!({ "error": { "type": "invalid_request_error", "code": given(code), "param": given(param), "message": "no" } })
}

fn names(call: &Call, payment: PaymentId) -> bool {
    call.body.contains(&payment.to_string())
}

impl Gate {
    fn before(world: &mut World) -> Self {
        let gate = Self { bank: Arc::clone(&world.bank), refusal: Arc::default(), charges: Arc::default() };
        let own = gate.clone();
        world.flows.client =
            Client::in_process(Arc::new(move |call| std::future::ready(own.answer(call)).boxed()));
        gate
    }

    fn set(&self, refusal: Option<Refuse>) {
        *self.refusal.lock().unwrap() = refusal;
    }

    fn charges(&self) -> usize {
        self.charges.load(Ordering::SeqCst)
    }

    fn answer(&self, call: &Call) -> Result<Reply, SendError> {
        let is_charge = call.kind.is_charge();
        if is_charge {
            self.charges.fetch_add(1, Ordering::SeqCst);
        }
        let is_identity = call.path == "/v1/account";
        let refusal = *self.refusal.lock().unwrap();
        match refusal {
            Some(Refuse::All(status)) => Ok(reply(status, &error("", ""))),
            Some(Refuse::Charges(code, param)) if is_charge => Ok(reply(400, &error(code, param))),
            Some(Refuse::ChargeOf(payment)) if is_charge && names(call, payment) => {
                Ok(reply(400, &error("parameter_missing", "")))
            }
            Some(Refuse::Identity(status)) if is_identity => Ok(reply(status, &error("", ""))),
            Some(Refuse::Another) if is_identity => Ok(reply(200, &json!({ "id": "acct_other" }))),
            Some(Refuse::Another) if is_charge => panic!("nothing is charged in another account"),
            Some(Refuse::Another) => {
                Ok(reply(200, &json!({ "object": "list", "data": [], "has_more": false })))
            }
            Some(Refuse::Charges(..) | Refuse::ChargeOf(_) | Refuse::Identity(_)) | None => {
                world::answer(&self.bank, call)
            }
        }
    }
}

impl World {
    async fn pay_many(&self, count: usize) -> Vec<PaymentId> {
        let mut ids = Vec::new();
        for n in 0..count {
            let customer = Some(format!("cus_{n}"));
            let request = dunlin::flow::payments::Request { customer, ..world::request("pm_card_visa") };
            let taken = self.flows.create_payment(self.owner, request, Priority::Bulk).await.unwrap();
            ids.push(taken.payment.unwrap().id);
        }
        ids
    }

    fn reason(&self) -> Option<HoldCause> {
        self.flows.hold_of(ACCOUNT).map(|hold| hold.reason)
    }

    /// Lets probes be made until the account is charged as before.
    async fn until_released(&self) {
        for _ in 0..40 {
            if self.flows.hold_of(ACCOUNT).is_none() {
                return;
            }
            self.travel(TimeDelta::minutes(2)).await;
            self.flows.tend_holds_once().await.unwrap();
            self.run_due_jobs().await;
        }
        panic!("{:?}", self.flows.hold_of(ACCOUNT));
    }
}

fn failure(payment: &Payment) -> &str {
    &payment.attempt.as_ref().unwrap().decline.as_ref().unwrap().code
}
