//! What happened to a payment: a sentence or two for each step, and one for each row of fruitless questions.

use super::{Entry, Exchange, Facts, Transition, in_words, sentence};
use crate::{
    cli::words::{length, money},
    domain::clock::Time,
};

impl Facts {
    /// Each moment at which something happened, and what.
    pub(super) fn happened(&self) -> Vec<(Time, Vec<String>)> {
        let mut told = Vec::new();
        let mut questions: Vec<&Exchange> = Vec::new();
        for entry in &self.timeline {
            match entry {
                // What a step came of is told with the step.
                // What a list showed of news has its own steps.
                Entry::Exchange(exchange) if exchange.result.as_deref() == Some("listed") => {}
                Entry::Exchange(exchange) if self.led_to_a_step(exchange) => {}
                Entry::Exchange(exchange) => {
                    if questions.last().is_some_and(|last| about(last) != about(exchange)) {
                        told.extend(fruitless(&questions));
                        questions.clear();
                    }
                    questions.push(exchange);
                }
                Entry::Transition(transition) => {
                    told.extend(fruitless(&questions));
                    questions.clear();
                    told.push((transition.at, self.step(transition)));
                }
                Entry::Other => {}
            }
        }
        told.extend(fruitless(&questions));
        told
    }

    fn led_to_a_step(&self, exchange: &Exchange) -> bool {
        self.timeline.iter().any(|entry| match entry {
            Entry::Transition(transition) => transition.exchange.as_ref() == Some(&exchange.id),
            Entry::Exchange(_) | Entry::Other => false,
        })
    }

    fn exchange(&self, id: Option<&String>) -> Option<&Exchange> {
        self.timeline.iter().find_map(|entry| match entry {
            Entry::Exchange(exchange) if Some(&exchange.id) == id => Some(exchange),
            Entry::Exchange(_) | Entry::Transition(_) | Entry::Other => None,
        })
    }

    fn step(&self, step: &Transition) -> Vec<String> {
        let Transition { attempt: n, detail, .. } = step;
        if let Some(refund) = &step.refund {
            return vec![self.refund_step(step, refund)];
        }
        match step.cause.as_str() {
            "created" => vec![format!("Taken in, for {}{}.", self.amount(), by(step))],
            "due" => vec![format!("Attempt {n} is sent to {}.", self.payment.gateway)],
            "send" => vec![format!("Attempt {n} is sent again: the same bytes under the same key.")],
            "not_sent" => {
                vec![format!("It did not leave: {detail}."), "Nothing was charged; it goes again.".to_owned()]
            }
            "lost" => vec![
                format!("No answer: {detail}."),
                "Whether it was charged is not known. From here on it is asked after, not charged again."
                    .to_owned(),
            ],
            "answered" => self.answered(step),
            "rejected" => vec![sentence(detail)],
            "absent" => vec![
                format!("The gateway is proven not to know attempt {n}: nothing was charged."),
                "It goes again, as the same attempt.".to_owned(),
            ],
            "cancel" => vec![format!("Canceled{}, before anything was charged.", by(step))],
            "canceled" => vec![format!("The gateway confirms that it is canceled{}.", by(step))],
            "review" => vec![format!("A person is asked to look: {detail}.")],
            "resolve" => resolved(step),
            _ => vec![format!("{}{}", sentence(detail).trim_end_matches('.'), by(step)) + "."],
        }
    }

    /// What the gateway said, how it came to say it, and what was made of that.
    fn answered(&self, step: &Transition) -> Vec<String> {
        let n = step.attempt;
        let before = match self.exchange(step.exchange.as_ref()) {
            Some(exchange) if exchange.kind == "query" => "Asked, the gateway says: ",
            Some(exchange) if exchange.resend => "Sent again under the same key, it gets its answer: ",
            Some(_) | None => "",
        };
        let attempt = self.attempt(n);
        let decline = attempt.and_then(|attempt| attempt.decline.as_ref());
        match (step.attempt_to.as_deref(), decline) {
            (Some("succeeded"), _) if attempt.is_some_and(|attempt| attempt.origin == "gateway") => {
                vec![sentence(&format!("{before}it is paid, {}, past dunlin's own attempts", self.amount()))]
            }
            (Some("succeeded"), _) if step.to == "succeeded" => {
                vec![sentence(&format!("{before}attempt {n} is captured, {}", self.amount()))]
            }
            (Some("declined"), Some(decline)) => vec![
                sentence(&format!("{before}attempt {n} is declined, {}", in_words(decline))),
                match step.to.as_str() {
                    "retrying" => format!("It is tried again: {}.", step.detail),
                    _ => format!("It is not tried again by itself: {}.", step.detail),
                },
            ],
            _ => vec![sentence(&format!("{before}{}", step.detail))],
        }
    }

    fn refund_step(&self, step: &Transition, id: &str) -> String {
        let refund = self.refunds.iter().find(|refund| refund.id == id);
        let reason = refund.and_then(|refund| refund.reason.as_ref());
        let what = refund.map_or_else(|| id.to_owned(), |refund| money(refund.amount, refund.currency));
        match (step.cause.as_str(), reason) {
            ("refund_created", Some(reason)) => {
                format!("A refund of {what} is asked for{}: {reason}. It is {id}.", by(step))
            }
            ("refund_created", None) => format!("A refund of {what} is asked for{}. It is {id}.", by(step)),
            ("refund_lost", _) => {
                format!("No answer: {}. Whether {what} went back is not known.", step.detail)
            }
            ("refund_review", _) => format!("A person is asked to look at the refund: {}.", step.detail),
            _ => format!("Refund of {what}: {}.", step.detail),
        }
    }
}

/// What a person said of the outcome, and what follows from it.
fn resolved(step: &Transition) -> Vec<String> {
    let said = sentence(&format!("by the word of {}: {}", step.actor, step.detail));
    let follows = match step.to.as_str() {
        "needs_review" => "A second person has to agree.",
        "processing" => "It goes again, as the same attempt, whose key the gateway knows.",
        "pending" => "It is charged again, by a new attempt.",
        "canceled" => "The payment ends.",
        _ => "It counts as paid.",
    };
    vec![said, follows.to_owned()]
}

/// Who did it, where a person or a backend did.
fn by(step: &Transition) -> String {
    if step.actor.starts_with("key_") { format!(", by {}", step.actor) } else { String::new() }
}

fn about(exchange: &Exchange) -> (&str, bool) {
    (&exchange.kind, exchange.resend)
}

/// Exchanges of one kind that changed nothing, in one sentence.
fn fruitless(questions: &[&Exchange]) -> Option<(Time, Vec<String>)> {
    let (first, last) = (questions.first()?, questions.last()?);
    let what = match (first.kind.as_str(), first.resend) {
        ("query", _) => "The gateway is asked what became of it",
        ("cancel", _) => "The gateway is asked to cancel it",
        ("refund", false) => "The refund is sent",
        (_, true) => "The same bytes are sent again under the same key",
        (_, false) => "It is sent",
    };
    let often = match questions.len() {
        1 => String::new(),
        2 => format!(", twice within {}", length(last.at - first.at)),
        count => format!(", {count} times within {}", length(last.at - first.at)),
    };
    let told = heard(last.verdict.as_deref());
    let lately = if questions.len() > 1 { "at last: " } else { "" };
    Some((first.at, vec![format!("{what}{often}; {lately}{told}.")]))
}

/// How an exchange ended, for people.
pub(in crate::cli) fn heard(verdict: Option<&str>) -> String {
    match verdict {
        None => "no answer yet".to_owned(),
        Some("absent") => "it knows nothing of it".to_owned(),
        Some(verdict) => match verdict.strip_prefix("unknown: ") {
            Some(reason) => format!("no answer that settles it: {reason}"),
            None => verdict.to_owned(),
        },
    }
}
