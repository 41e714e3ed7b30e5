//! The judge: what must be true of every payment when the dust has settled.
//!
//! What is conceded stands in `docs/reliability.md`: what two people have agreed on who were both wrong, once the gateway
//! has forgotten the key; and what a standby has never heard of.

use super::{
    ledger::{self, Capture},
    office,
    people::Said,
    scheduler::{Simulation, Theme},
    tally::Tally,
};
use chrono::TimeDelta;
use dunlin::{
    domain::{
        attempt::{Attempt, AttemptStatus, Origin},
        payment::{Payment, Ruling, Status},
        refund::RefundStatus,
    },
    store::{RefundFilter, Transition},
};
use serde_json::Value;
use std::collections::BTreeSet;

/// How long the same bytes go under the same key.
const KEY_IS_USED_FOR: TimeDelta = TimeDelta::minutes(24 * 60 * 8 / 10);

pub(super) async fn judge(simulation: &mut Simulation<'_>) -> Result<Tally, String> {
    let payments = simulation.payments().await;
    let mut captures = ledger::captures(&simulation.bank);
    let known: BTreeSet<_> = payments.iter().map(|payment| payment.id.to_string()).collect();
    // Of a payment that no standby has heard of nothing can be told.
    if simulation.unheard_of.is_empty()
        && let Some(payment) = captures.keys().find(|payment| !known.contains(*payment))
    {
        return Err(format!("{payment} was captured and is not known"));
    }
    // S1.23
    let alarms = simulation.count_alarms();
    expect(alarms == 0, format!("{alarms} events met a state that they cannot meet"))?;
    let mut tally = std::mem::take(&mut simulation.tally);
    tally.payments = payments.len();
    tally.count(&simulation.said.lock().unwrap());
    for payment in &payments {
        let taken = captures.remove(&payment.id.to_string()).unwrap_or_default();
        let history = simulation.flows().store.list_history(payment.id).await.unwrap();
        let judged = Case { simulation, payment, taken: &taken, history: &history };
        let conceded = judged.is_conceded();
        if let Err(found) = judged.judge(conceded).await {
            return Err(format!("{found}{}", tell(simulation, payment, &taken).await));
        }
        tally.conceded += usize::from(conceded && taken.len() > 1);
        tally.succeeded += usize::from(payment.status == Status::Succeeded);
        tally.canceled += usize::from(payment.status == Status::Canceled);
        tally.detached += usize::from(payment.failure.is_some());
        tally.failed += usize::from(payment.status == Status::Failed);
        tally.in_review += usize::from(matches!(payment.status, Status::NeedsReview { .. }));
        tally.several_attempts += usize::from(payment.next_attempt() > 2);
        tally.count_causes(history.iter().map(|transition| transition.cause.as_str()));
    }
    Ok(tally)
}

impl Tally {
    fn count(&mut self, said: &[Said]) {
        self.mistaken += said.iter().filter(|said| said.is_mistaken).count();
        self.found_paid += said.iter().filter(|said| said.ruling == Ruling::Succeeded).count();
        self.approved += said.iter().filter(|said| said.ruling != Ruling::Succeeded).count();
    }

    fn count_causes<'c>(&mut self, causes: impl Iterator<Item = &'c str>) {
        for cause in causes {
            match cause {
                "resolve" => self.resolved += 1,
                "retry" => self.retried_by_hand += 1,
                "cancel" => self.canceled_by_hand += 1,
                "hurry" | "release" => self.jobs_moved += 1,
                _ => {}
            }
        }
    }
}

struct Case<'c, 's> {
    simulation: &'c Simulation<'s>,
    payment: &'c Payment,
    taken: &'c [Capture],
    history: &'c [Transition],
}

impl Case<'_, '_> {
    /// Whether what became of its money may be wrong.
    fn is_conceded(&self) -> bool {
        let said = self.simulation.said.lock().unwrap();
        let mut of_it = said.iter().filter(|said| said.payment == self.payment.id && said.is_mistaken);
        let misled = of_it.any(|said| match said.ruling {
            Ruling::Succeeded | Ruling::Canceled => true,
            Ruling::ChargeAgain => said.first_sent_at.is_some_and(|at| said.at - at >= KEY_IS_USED_FOR),
        });
        // What was sent before rows were set back is not on record. It goes again under the same key, which protects
        // for as long as the gateway keeps it.
        let unheard_of = |at| self.simulation.unheard_of.iter().any(|lost| lost.contains(&at));
        let first = self.taken.first().filter(|first| unheard_of(first.at));
        let is_late = |second: &Capture, first: &Capture| second.at - first.at >= KEY_IS_USED_FOR;
        misled || first.is_some_and(|first| self.taken[1..].iter().all(|second| is_late(second, first)))
    }

    async fn judge(&self, is_conceded: bool) -> Result<(), String> {
        let (payment, captured) = (self.payment, self.taken.len());
        let store = &self.simulation.flows().store;
        if is_conceded {
            expect(captured <= 2, format!("captured {captured} times"))?;
        } else {
            expect(captured <= 1, format!("captured {captured} times"))?;
            match payment.status {
                Status::Succeeded => expect(captured == 1, "succeeded and not captured")?,
                Status::Failed | Status::Canceled | Status::RequiresAction => {
                    expect(captured == 0, "captured and not succeeded")?;
                }
                Status::NeedsReview { .. } => {}
                Status::Pending | Status::Processing | Status::Retrying { .. } => {
                    return Err("forgotten".to_owned());
                }
            }
        }
        let attempts = store.list_attempts(payment.id).await.map_err(|error| error.to_string())?;
        let of_ours = |attempt: &&Attempt| attempt.status != AttemptStatus::Duplicate;
        let ours: Vec<_> = attempts.iter().filter(of_ours).map(|attempt| attempt.n).collect();
        expect(ours == (1..payment.next_attempt()).collect::<Vec<_>>(), "attempts are missing")?;
        let last = attempts.iter().rfind(of_ours).map(|attempt| attempt.status);
        if payment.status == Status::Failed {
            // S1.11: time alone fails nothing.
            let told = matches!(last, Some(AttemptStatus::Declined | AttemptStatus::Rejected));
            expect(told || payment.failure.is_some(), "failed without an answer that says so")?;
        }
        self.judge_detachment()?;
        if self.simulation.temper.is(Theme::MoneyGoesBack)
            && payment.status == Status::Succeeded
            && captured == 1
        {
            self.judge_money_back().await?;
        }
        self.judge_record(is_conceded).await?;
        let jobs = store.list_jobs(payment.id).await.map_err(|error| error.to_string())?;
        let live = jobs.iter().filter(|job| job.state == "live").count();
        expect(live == 0, "work is left")
    }

    /// S1.16: what was not begun when its method was detached never was.
    fn judge_detachment(&self) -> Result<(), String> {
        let payment = self.payment;
        let detached = payment.method_id.and_then(|method| self.simulation.detached.get(&method));
        expect(payment.failure.is_none() || detached.is_some(), "its method was not detached")?;
        let Some(payments) = detached else { return Ok(()) };
        let before = payments.get(&payment.id).copied().unwrap_or(0);
        let begun = attempts_begun(payment);
        let is_as_it_was = begun == before
            // Rows that were set back may lack attempts that there were.
            || !self.simulation.unheard_of.is_empty() && begun < before;
        expect(is_as_it_was, "an attempt began by a method that was detached")
    }

    /// S1.20: what has gone back, and what is disputed, is as it is at the gateway, whoever did it.
    async fn judge_money_back(&self) -> Result<(), String> {
        let (payment, bank) = (self.payment, &self.simulation.bank);
        let charge = &self.taken[0].charge;
        let moved = ledger::given_back(bank, charge);
        let net: i64 = moved.iter().map(|back| back.amount).sum();
        expect(net <= payment.money.minor(), "more was given back than was taken")?;
        let sums = (payment.refunded, payment.refunding);
        expect(sums == (net, 0), format!("{net} of {charge} went back, and it says {sums:?}"))?;
        let filter = RefundFilter { payment: Some(payment.id), limit: 100, ..RefundFilter::default() };
        let refunds = self.simulation.flows().list_refunds(self.simulation.owner, &filter).await;
        for refund in refunds.map_err(|error| error.to_string())? {
            let its: i64 = moved
                .iter()
                .filter(|back| Some(&back.refund) == refund.operation.as_ref())
                .map(|back| back.amount)
                .sum();
            let ours =
                moved.iter().filter(|back| back.ours == Some(refund.id.to_string()) && back.amount > 0);
            expect(ours.count() <= 1, format!("{} was executed twice", refund.id))?;
            let expected = match refund.status {
                RefundStatus::Succeeded => refund.money.minor(),
                RefundStatus::Failed => 0,
                RefundStatus::Pending
                | RefundStatus::Sending
                | RefundStatus::Unknown
                | RefundStatus::Processing => return Err(format!("{} was forgotten", refund.id)),
            };
            expect(
                its == expected,
                format!("{its} of {} went back, and it is {:?}", refund.id, refund.status),
            )?;
        }
        let known: BTreeSet<_> = payment
            .disputes
            .iter()
            .map(|dispute| (dispute.id.clone(), dispute.status.name().to_owned()))
            .collect();
        let there: BTreeSet<_> = office::disputes(bank)
            .iter()
            .filter(|dispute| dispute["charge"] == charge.as_str())
            .map(|dispute| (text(&dispute["id"]), text(&dispute["status"])))
            .collect();
        expect(known == there, format!("disputes are {there:?}, and it says {known:?}"))
    }

    async fn judge_record(&self, is_conceded: bool) -> Result<(), String> {
        let (payment, store) = (self.payment, &self.simulation.flows().store);
        let history = self.history;
        let versions: Vec<_> = history.iter().map(|transition| transition.version).collect();
        expect(versions == (1..=i64::from(payment.version)).collect::<Vec<_>>(), "history has a gap")?;
        let chained = history.windows(2).all(|pair| pair[1].from.as_ref() == Some(&pair[0].to));
        expect(chained, "history does not follow")?;
        let events = store.list_event_types(payment.id).await.map_err(|error| error.to_string())?;
        let successes = events.iter().filter(|event| *event == "payment.succeeded").count();
        let expected = usize::from(payment.status == Status::Succeeded);
        expect(is_conceded || successes == expected, "events are wrong")
    }
}

/// How many attempts were begun here. What somebody paid at the gateway is on record as one that was not (S1.21).
pub(super) fn attempts_begun(payment: &Payment) -> u32 {
    let is_received = payment.attempt.as_ref().is_some_and(|attempt| attempt.origin == Origin::Gateway);
    payment.next_attempt() - 1 - u32::from(is_received)
}

/// The payment's story, for whoever has to find out.
async fn tell(simulation: &Simulation<'_>, payment: &Payment, taken: &[Capture]) -> String {
    let store = &simulation.flows().store;
    let mut lines = vec![(payment.created_at, format!("{payment:?}"))];
    for transition in store.list_history(payment.id).await.unwrap_or_default() {
        lines.push((transition.at, format!("{transition:?}")));
    }
    for exchange in store.list_exchanges(payment.id).await.unwrap_or_default() {
        lines.push((exchange.opened_at, format!("{exchange:?}")));
    }
    lines.extend(taken.iter().map(|capture| (capture.at, format!("{capture:?}"))));
    for said in simulation.said.lock().unwrap().iter().filter(|said| said.payment == payment.id) {
        lines.push((said.at, format!("{said:?}")));
    }
    lines.sort_by_key(|(at, _)| *at);
    lines.into_iter().fold(String::new(), |told, (at, line)| format!("{told}\n{at}  {line}"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn expect(holds: bool, found: impl Into<String>) -> Result<(), String> {
    if holds { Ok(()) } else { Err(found.into()) }
}
