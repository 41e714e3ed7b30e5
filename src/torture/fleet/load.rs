//! The load: several callers that hand over one charge after the other, each under its key until it is taken, at
//! whichever API answers.

use super::{Order, replica::Doors};
use crate::torture::{
    caller::{self, Asked, Caller, Taken},
    menu::{DOUBTFUL, OTHERS, SLOW},
    plan::{Charge, Dice, End},
};
use futures_util::future::join_all;
use reqwest::{StatusCode, header::RETRY_AFTER};
use serde_json::Value;
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const CALLERS: usize = 16;
/// After this long without an answer a caller turns to another API.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(50);
/// One of so many is sent to all APIs at once.
const STORM: usize = 16;
/// The customer of one of so many is there.
const THERE: usize = 25;
/// One of so many is given back.
const GIVEN_BACK: usize = 10;
/// So many of them are looked after at a time, the last ones.
const RECENT: usize = 50;
/// How often it is asked for what is to go back, and how long that may take.
const ASK_BACK_EVERY: Duration = Duration::from_secs(1);
const ASK_BACK_WITHIN: Duration = Duration::from_secs(5);

/// What callers met.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Met {
    /// Nobody listened, or the connection was refused.
    pub refused: u64,
    /// The connection broke, or no answer came in time.
    pub unanswered: u64,
    /// 503 with Retry-After.
    pub sent_away: u64,
    /// Any other 5xx.
    pub server_errors: u64,
}

#[derive(Debug)]
pub(super) struct Load {
    http: reqwest::Client,
    key: String,
    seed: u64,
    begun: Instant,
    /// Between two charges.
    pace: Duration,
    /// Whether calls go wrong by what the cards bring about.
    has_doubts: bool,
    now: Mutex<Now>,
}

#[derive(Debug, Default)]
struct Now {
    charges: Vec<Charge>,
    taken: Taken,
    asked: Asked,
    met: Met,
    complaints: Vec<String>,
}

/// What came of one request.
enum Answer {
    Taken(String),
    /// It may be taken elsewhere, or later.
    Not,
    /// It never will be.
    Wrong(String),
}

impl Load {
    pub(super) fn new(order: &Order, key: String) -> anyhow::Result<Self> {
        Ok(Self {
            http: reqwest::Client::builder().no_proxy().timeout(ANSWER_WITHIN).build()?,
            key,
            seed: order.seed,
            begun: Instant::now(),
            pace: Duration::from_secs(1) / order.rate.max(1),
            has_doubts: order.faults > 0,
            now: Mutex::default(),
        })
    }

    /// Hands charges over until the time is up, and then what is not taken yet.
    pub(super) async fn run(&self, doors: &Doors, lasts: Duration) {
        join_all((0..CALLERS).map(|_| self.call(doors, lasts))).await;
    }

    async fn call(&self, doors: &Doors, lasts: Duration) {
        while self.begun.elapsed() < lasts {
            let (number, charge) = self.next_charge();
            let at = self.pace * u32::try_from(number).unwrap_or(u32::MAX);
            tokio::time::sleep(at.saturating_sub(self.begun.elapsed())).await;
            if number.is_multiple_of(STORM) {
                join_all((0..doors.count()).map(|api| self.hand_over(&charge, api, doors))).await;
            } else {
                self.hand_over(&charge, number, doors).await;
            }
        }
    }

    fn next_charge(&self) -> (usize, Charge) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let number = now.charges.len();
        let charge = self.charge(number);
        now.charges.push(charge.clone());
        (number, charge)
    }

    /// The nth charge of the seed.
    fn charge(&self, number: usize) -> Charge {
        let mut dice = Dice::of(self.seed ^ u64::try_from(number + 1).unwrap_or(0).rotate_left(32));
        let menu = match dice.throw(20) {
            0 if self.has_doubts => &DOUBTFUL[..],
            1 if self.has_doubts => &SLOW,
            2..=4 => &OTHERS,
            _ => &OTHERS[..1],
        };
        let (mut method, mut end) = dice.pick(menu);
        if !self.has_doubts && method.contains("lost") {
            (method, end) = ("pm_card_visa", End::Captured);
        }
        let reference = format!("fleet-{}-{number}", self.seed);
        if dice.throw(THERE) == 0 {
            return dice.present(&reference);
        }
        let is_given_back = dice.throw(GIVEN_BACK) == 0;
        let returns = if is_given_back { dice.returns(&reference) } else { Vec::new() };
        Charge { reference, method, end, customer: None, returns, elsewhere: None }
    }

    /// Sends a charge to one API after the other until it is taken.
    async fn hand_over(&self, charge: &Charge, first: usize, doors: &Doors) {
        for api in first.. {
            match self.send(charge, doors.of(api)).await {
                Answer::Taken(id) => {
                    let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
                    let ids = now.taken.entry(charge.reference.clone()).or_default();
                    if !ids.contains(&id) {
                        ids.push(id);
                    }
                    return;
                }
                Answer::Wrong(complaint) => {
                    self.now.lock().unwrap_or_else(PoisonError::into_inner).complaints.push(complaint);
                    return;
                }
                Answer::Not => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    async fn send(&self, charge: &Charge, door: Option<String>) -> Answer {
        let Some(door) = door else {
            self.count(|met| met.refused += 1);
            return Answer::Not;
        };
        let request = self
            .http
            .post(format!("{door}/v1/payments"))
            .bearer_auth(&self.key)
            .header("content-type", "application/json")
            .header("idempotency-key", &charge.reference)
            .body(caller::body(charge).to_string());
        let answered = match request.send().await {
            Ok(answer) => {
                let (status, waits) = (answer.status(), answer.headers().contains_key(RETRY_AFTER));
                answer.bytes().await.map(|body| (status, waits, body))
            }
            Err(error) => Err(error),
        };
        match answered {
            Ok((StatusCode::CREATED, _, body)) => {
                let payment: Value = serde_json::from_slice(&body).unwrap_or_default();
                Answer::Taken(payment["id"].as_str().unwrap_or_default().to_owned())
            }
            Ok((StatusCode::SERVICE_UNAVAILABLE, true, _)) => {
                self.count(|met| met.sent_away += 1);
                Answer::Not
            }
            Ok((status, _, body)) if status.is_server_error() => {
                let complaint = format!("{} {status}", String::from_utf8_lossy(&body));
                self.count(|met| met.server_errors += 1);
                self.now.lock().unwrap_or_else(PoisonError::into_inner).complaints.push(complaint);
                Answer::Not
            }
            Ok((status, _, body)) => {
                let body = String::from_utf8_lossy(&body);
                Answer::Wrong(format!("{} was refused: {status} {body}", charge.reference))
            }
            Err(error) if error.is_connect() => {
                self.count(|met| met.refused += 1);
                Answer::Not
            }
            Err(_) => {
                self.count(|met| met.unanswered += 1);
                Answer::Not
            }
        }
    }

    fn count(&self, one: impl FnOnce(&mut Met)) {
        one(&mut self.now.lock().unwrap_or_else(PoisonError::into_inner).met);
    }

    /// Asks for what is to go back, for as long as it is polled.
    pub(super) async fn keep_asking_back(&self, doors: &Doors) {
        loop {
            tokio::time::sleep(ASK_BACK_EVERY).await;
            self.ask_back(doors).await;
            self.have_customers_answer(doors).await;
        }
    }

    /// Customers who are sent to their bank by now answer there.
    async fn have_customers_answer(&self, doors: &Doors) {
        let Some(caller) = doors.any().and_then(|door| Caller::new(door, self.key.clone()).ok()) else {
            return;
        };
        let (there, taken) = {
            let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
            let there = now.charges.iter().filter(|charge| charge.customer.is_some());
            (there.rev().take(RECENT).cloned().collect::<Vec<_>>(), now.taken.clone())
        };
        let answered = caller.have_customers_answer(&there, &taken);
        let _ = tokio::time::timeout(ASK_BACK_WITHIN, answered).await;
    }

    /// Asks for what is to go back of what is captured by now; how much was taken.
    pub(super) async fn ask_back(&self, doors: &Doors) -> usize {
        let Some(caller) = doors.any().and_then(|door| Caller::new(door, self.key.clone()).ok()) else {
            return 0;
        };
        let (open, mut taken, mut asked) = {
            let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
            let is_open =
                |charge: &&Charge| charge.returns.iter().any(|back| !now.asked.has(&back.reference));
            let open: Vec<_> = now.charges.iter().filter(is_open).cloned().collect();
            (open, now.taken.clone(), now.asked.clone())
        };
        let before = asked.count();
        // Nothing of a call that takes too long is lost: the same is asked for again, under the same key.
        let _ = tokio::time::timeout(ASK_BACK_WITHIN, caller.ask_back(&open, &mut taken, &mut asked)).await;
        let now = &mut *self.now.lock().unwrap_or_else(PoisonError::into_inner);
        for (reference, ids) in taken {
            let known = now.taken.entry(reference).or_default();
            known.extend(ids.into_iter().filter(|id| !known.contains(id)).collect::<Vec<_>>());
        }
        let new = asked.count() - before;
        now.asked = asked;
        new
    }

    /// The charges, what was answered, what callers met, and what was wrong with it.
    pub(super) fn into_account(self) -> (Vec<Charge>, Taken, Met, Vec<String>) {
        let now = self.now.into_inner().unwrap_or_else(PoisonError::into_inner);
        (now.charges, now.taken, now.met, now.complaints)
    }
}
