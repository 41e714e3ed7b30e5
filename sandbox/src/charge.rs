//! A charge is the deciding: what an intent becomes when it is created, confirmed or canceled.

use crate::{
    auth::AccountId,
    books::Books,
    decline::Decline,
    entry::{Ending, Subject},
    fault::{Fault, Twist},
    form::Form,
    intent::{Facts, Failure, Intent, Status},
    method::{Behaviour, Verdict},
    mint,
    params::{self, Action, Confirm, Create},
    problem::Problem,
    route::Write,
};
use std::sync::Arc;

/// What a call makes of an intent; nothing has happened yet.
#[derive(Debug)]
pub(crate) struct Turn {
    pub subject: Subject,
    pub intent: Intent,
    pub ending: Ending,
    /// What the card wants to go wrong.
    pub fault: Option<Fault>,
    /// What does go wrong with the work itself.
    pub twist: Option<Twist>,
}

pub(crate) fn turn(
    books: &Books,
    account: &AccountId,
    write: Write<'_>,
    form: &Form,
    now: i64,
) -> Result<Turn, Problem> {
    let find = |id: &str| books.intent(account, id).ok_or_else(|| Problem::no_intent("intent", id));
    match write {
        Write::Create => create(books, Create::read(form)?, now),
        Write::Confirm(id) => confirm(find(id)?, Confirm::read(form)?),
        Write::Cancel(id) => cancel(find(id)?, params::cancellation_reason(form)?, now),
    }
}

fn create(books: &Books, asked: Create, now: i64) -> Result<Turn, Problem> {
    let id = mint::intent(books.salt(), books.intents());
    let facts = Arc::new(Facts {
        client_secret: mint::client_secret(books.salt(), &id),
        id,
        amount: asked.amount,
        currency: asked.currency,
        created: now,
        customer: asked.customer,
        description: asked.description,
        metadata: asked.metadata,
        confirmation_method: asked.confirmation_method,
    });
    let status = match asked.method {
        Some(method) => Status::RequiresConfirmation { method },
        None => Status::RequiresPaymentMethod { failure: None },
    };
    let subject = Subject::New(Arc::clone(&facts));
    let intent = Intent { facts, attempts: 0, status };
    match asked.confirm {
        None => Ok(Turn { subject, intent, ending: Ending::Done, fault: None, twist: None }),
        Some(_) if intent.status.method().is_none() => Err(Problem::missing("payment_method")),
        Some(how) => settle(subject, &intent, how),
    }
}

fn confirm(intent: &Intent, how: Confirm) -> Result<Turn, Problem> {
    if let Status::Succeeded { .. } = intent.status {
        let message = "You cannot confirm this PaymentIntent because it has already succeeded after being previously confirmed.";
        return Err(Problem::unexpected_state(intent, message.to_owned()));
    }
    if !intent.status.is_open() {
        return Err(closed("confirm", intent));
    }
    settle(Subject::Known(intent.id().to_owned()), intent, how)
}

fn cancel(intent: &Intent, reason: Option<String>, now: i64) -> Result<Turn, Problem> {
    if !intent.status.is_open() {
        return Err(closed("cancel", intent));
    }
    let failure = intent.status.failure().cloned();
    let next = intent.next(intent.attempts, Status::Canceled { at: now, reason, failure });
    let subject = Subject::Known(intent.id().to_owned());
    Ok(Turn { subject, intent: next, ending: Ending::Done, fault: None, twist: None })
}

fn closed(verb: &str, intent: &Intent) -> Problem {
    let status = intent.status.name();
    let message = format!("You cannot {verb} this PaymentIntent because it has a status of {status}.");
    Problem::unexpected_state(intent, message)
}

/// Asks the card.
fn settle(subject: Subject, intent: &Intent, how: Confirm) -> Result<Turn, Problem> {
    let Some(method) = how.method.or_else(|| intent.status.method().map(str::to_owned)) else {
        let message = "You cannot confirm this PaymentIntent because it's missing a payment method.";
        return Err(Problem::unexpected_state(intent, message.to_owned()));
    };
    let Some(Behaviour { verdict, fault }) = Behaviour::of(&method) else {
        return Err(Problem::no_method(&method));
    };
    let attempt = intent.attempts.saturating_add(1);
    let charge = mint::charge(intent.id(), attempt);
    let (status, ending) = match decision(verdict, attempt, how.action) {
        Decision::Take => {
            let received = intent.facts.amount;
            (Status::Succeeded { method, charge, received }, Ending::Done)
        }
        Decision::Refuse(decline) => {
            let failure = Some(Failure { decline, charge, method });
            (Status::RequiresPaymentMethod { failure }, Ending::Declined)
        }
        Decision::Ask => (Status::RequiresAction { method, return_url: how.return_url }, Ending::Done),
    };
    Ok(Turn { subject, intent: intent.next(attempt, status), ending, fault, twist: None })
}

/// What a card says to one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Take,
    Refuse(Decline),
    Ask,
}

fn decision(verdict: Verdict, attempt: u32, action: Action) -> Decision {
    match (verdict, action) {
        (Verdict::Decline(decline), _) => Decision::Refuse(decline),
        (Verdict::DeclineFirst { times, decline }, _) if attempt <= times => Decision::Refuse(decline),
        (Verdict::Approve | Verdict::DeclineFirst { .. }, _) => Decision::Take,
        (Verdict::Authenticate, Action::Refused) => Decision::Refuse(Decline::AuthenticationRequired),
        (Verdict::Authenticate, Action::Asked) => Decision::Ask,
    }
}
