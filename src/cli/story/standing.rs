//! How a payment stands, and what that asks of whoever reads it.

use super::{Dispute, Facts, Job, Refund, in_words, sentence};
use crate::{
    cli::words::{length, moment, money},
    domain::{clock::Time, event::Capture},
};

impl Facts {
    pub(super) fn standing(&self, now: Option<Time>) -> Vec<String> {
        let mut lines = self.status(now);
        lines.extend(self.payment.dispute.iter().map(dispute));
        lines.extend(self.refunds.iter().filter_map(refund));
        lines.extend(self.jobs.iter().filter_map(|job| set_aside(job, &self.payment.id)));
        lines
    }

    fn status(&self, now: Option<Time>) -> Vec<String> {
        let n = self.payment.attempt_count;
        match self.payment.status.as_str() {
            "pending" if self.payment.capture == Capture::Deferred => {
                let command = format!("`dunlin payments process {}`", self.payment.id);
                vec![format!("It is deferred: it is charged when somebody says so, as by {command}.")]
            }
            "pending" => vec![format!("It waits for attempt {}, {}.", n + 1, self.work("charge", now))],
            "processing" | "requires_action" => self.open(now),
            "retrying" => {
                let at = self.payment.next_attempt_at.map_or_else(String::new, |at| when(at, now));
                let mut lines = vec![format!("Attempt {} comes {at}.", n + 1)];
                lines.extend(self.last_failure("The last one was declined"));
                lines
            }
            "succeeded" => vec![self.paid()],
            "failed" => {
                let mut lines = vec!["It failed, and is not tried again by itself.".to_owned()];
                lines.extend(self.last_failure(self.last_word()));
                lines
            }
            "canceled" => vec!["It was canceled, and nothing more is charged.".to_owned()],
            "needs_review" => self.review(now),
            other => vec![format!("It is {other}.")],
        }
    }

    /// An attempt is open, or only the customer can go on.
    fn open(&self, now: Option<Time>) -> Vec<String> {
        let n = self.payment.attempt_count;
        let attempt = self.attempt(n).map_or("", |attempt| attempt.status.as_str());
        let asked = self.work("reconcile", now);
        match (attempt, &self.payment.next_action) {
            ("sending", _) => vec![format!("Attempt {n} is on its way to {}.", self.payment.gateway)],
            ("planned", _) => vec![
                format!("Attempt {n} never left: nothing was charged."),
                format!("It goes again, as the same attempt, {}.", self.work("", now)),
            ],
            ("unknown", _) => {
                vec![not_known(n), format!("The gateway is asked again {asked}; its answer settles this.")]
            }
            ("pending", _) => vec![
                format!("{} has accepted attempt {n}; the result comes later.", self.payment.gateway),
                format!("It is asked after {asked}."),
            ],
            ("requires_action", Some(action)) => {
                vec![format!("The customer has to act, at {}", action.url)]
            }
            ("requires_action", None) => {
                vec!["The customer has to act; the gateway gave no address.".to_owned()]
            }
            (_, _) => {
                let mut lines =
                    vec!["Only the customer can mend it; nothing is tried again by itself.".to_owned()];
                lines.extend(self.last_failure("The last attempt was declined"));
                lines
            }
        }
    }

    fn review(&self, now: Option<Time>) -> Vec<String> {
        let reason = self.payment.review_reason.as_deref().unwrap_or("no reason was told");
        let mut lines = vec![format!("A person has to look: {reason}.")];
        let n = self.payment.attempt_count;
        if self.attempt(n).is_some_and(|attempt| attempt.status == "unknown") {
            lines.push(not_known(n));
            lines.push(format!("The gateway is asked again {}.", self.work("reconcile", now)));
        }
        let (gateway, id) = (&self.payment.gateway, &self.payment.id);
        lines.push(format!("At {gateway} it is found by the metadata dunlin_payment, which is {id}."));
        let proposal = self.payment.resolution.as_ref().filter(|said| !said.is_carried_out());
        lines.extend(match proposal {
            Some(said) => [
                format!(
                    "{} proposes {}: {} (evidence: {}).",
                    said.proposed_by,
                    said.outcome.name(),
                    said.reason,
                    said.evidence
                ),
                format!(
                    "Who agrees: `dunlin unknown resolve {id} --outcome {} --approve {}`.",
                    said.outcome.name(),
                    said.id.map(|id| id.to_string()).unwrap_or_default()
                ),
            ],
            None => [
                "What you find there decides it, if the gateway's own answer does not come first:".to_owned(),
                format!("`dunlin unknown resolve {id} --outcome ... --reason ... --evidence ...`."),
            ],
        });
        lines
    }

    fn paid(&self) -> String {
        let currency = self.payment.currency;
        let charge = self.attempts.iter().find(|attempt| attempt.status == "succeeded");
        let charge = charge.and_then(|attempt| attempt.gateway_charge.as_ref());
        let charge = charge.map(|charge| format!(", as {charge}")).unwrap_or_default();
        let mut told =
            vec![format!("It is paid: {} received at {}{charge}.", self.amount(), self.payment.gateway)];
        for (minor, what) in [
            (self.payment.amount_refunded, "went back"),
            (self.payment.amount_refunding, "is on its way back"),
        ] {
            if minor > 0 {
                told.push(format!("{} of it {what}.", money(minor, currency)));
            }
        }
        told.join(" ")
    }

    /// Who had it: of what was never sent the gateway said nothing.
    fn last_word(&self) -> &'static str {
        let failure = self.payment.failure.as_ref();
        if failure.is_some_and(|failure| failure.code == "payment_method_detached") {
            "It was not charged"
        } else {
            "The gateway's last word"
        }
    }

    fn last_failure(&self, before: &str) -> Option<String> {
        self.payment.failure.as_ref().map(|failure| sentence(&format!("{before}: {}", in_words(failure))))
    }

    /// When a kind of job comes next; any kind if none is named.
    fn work(&self, kind: &str, now: Option<Time>) -> String {
        let live =
            self.jobs.iter().filter(|job| job.state == "live" && (kind.is_empty() || job.kind == kind));
        match live.min_by_key(|job| job.due_at) {
            Some(job) if job.leased => "which is being worked on now".to_owned(),
            Some(job) => when(job.due_at, now),
            None => "once its job is there again".to_owned(),
        }
    }
}

fn not_known(n: u32) -> String {
    format!("Whether attempt {n} was charged is NOT KNOWN. Do not charge the customer in another way.")
}

/// A moment to come, and how far it is away.
fn when(at: Time, now: Option<Time>) -> String {
    match now {
        Some(now) if at <= now => "now".to_owned(),
        Some(now) => format!("at {} UTC, in {}", moment(at), length(at - now)),
        None => format!("at {} UTC", moment(at)),
    }
}

/// What its payer objects to, and until when that can be answered.
fn dispute(dispute: &Dispute) -> String {
    let Dispute { id, status, amount, currency, reason, due_by } = dispute;
    let money = money(*amount, *currency);
    match due_by {
        Some(due_by) => format!(
            "Its payer disputes {money} ({reason}): {id} is {status}. Answer it at the gateway by {} UTC.",
            moment(*due_by)
        ),
        None => format!("Its payer disputed {money} ({reason}): {id} is {status}."),
    }
}

/// What is not over about a refund, or went wrong.
fn refund(refund: &Refund) -> Option<String> {
    let Refund { id, status, amount, currency, failure, review_reason, .. } = refund;
    let money = money(*amount, *currency);
    let told = match (status.as_str(), review_reason, failure) {
        (_, Some(reason), _) => format!("Refund {id} of {money} needs a person: {reason}."),
        ("failed", None, Some(failure)) => format!("Refund {id} of {money} failed: {failure}."),
        ("failed", None, None) => format!("Refund {id} of {money} failed."),
        ("unknown", None, _) => {
            format!("Whether refund {id} of {money} went back is NOT KNOWN; the gateway is asked.")
        }
        ("succeeded", None, _) => return None,
        (_, None, _) => format!("Refund {id} of {money} is on its way: {status}."),
    };
    Some(told)
}

/// A job that nobody works on until a person releases it, or that keeps going wrong.
fn set_aside(job: &Job, payment: &str) -> Option<String> {
    let Job { id, kind, parked_reason, last_error, .. } = job;
    match (parked_reason, last_error) {
        (Some(reason), _) => Some(format!(
            "Its job {id} ({kind}) is set aside: {reason}. Once that is mended: `dunlin jobs release {id}`."
        )),
        (None, Some(error)) => Some(format!("Work on {payment} went wrong lately: {error}.")),
        (None, None) => None,
    }
}
