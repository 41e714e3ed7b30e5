//! `dunlin payments`: which payments there are, what became of one, and what a person can do about it.

use super::{
    Ending,
    api::{Api, Where},
    clock, say, story, table,
    words::{Paint, moment, money},
};
use crate::{
    config::Config,
    domain::{
        clock::{Clock, Time},
        payment::Status,
    },
};
use anyhow::Context;
use dunlin_jobs::{Currency, MethodId, PaymentId};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show payments, newest first.
    List(List),
    /// Tell a payment's story: how it stands, what that asks of you, and how it came there.
    Show(One),
    /// Stop a payment that waits.
    Cancel(One),
    /// Try a payment again now: one that waits for its next attempt, or has given up.
    Retry(Retry),
    /// Charge now what is deferred, or set for a later time.
    Process(One),
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Only those of this status.
    #[arg(long, value_parser = Status::NAMES)]
    status: Option<String>,
    /// Only those of this customer.
    #[arg(long)]
    customer: Option<String>,
    /// Only those with this reference.
    #[arg(long)]
    reference: Option<String>,
    /// Only those by this method of a customer.
    #[arg(long, value_name = "MET_ID")]
    payment_method: Option<MethodId>,
    /// Only those made at this moment or later, such as 2027-01-01T00:00:00Z.
    #[arg(long, value_name = "MOMENT", value_parser = dunlin_jobs::read_moment)]
    created_from: Option<Time>,
    /// Only those made before this moment.
    #[arg(long, value_name = "MOMENT", value_parser = dunlin_jobs::read_moment)]
    created_before: Option<Time>,
    /// At most so many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    place: Where,
}

#[derive(Debug, clap::Args)]
pub(super) struct One {
    /// The payment's id, pay_...
    id: PaymentId,
    #[command(flatten)]
    place: Where,
}

#[derive(Debug, clap::Args)]
pub(super) struct Retry {
    /// The payment's id, pay_...
    id: PaymentId,
    /// Why, for the payment's history.
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    place: Where,
}

pub(super) async fn run(command: Command, config: &Config) -> anyhow::Result<Ending> {
    match command {
        Command::List(args) => list(args, config).await,
        Command::Show(One { id, place }) => show(id, place, config).await,
        Command::Cancel(One { id, place }) => cancel(id, place, config).await,
        Command::Retry(args) => retry(args, config).await,
        Command::Process(One { id, place }) => process(id, place, config).await,
    }
    .map(|()| Ending::Done)
}

async fn list(args: List, config: &Config) -> anyhow::Result<()> {
    let List { status, customer, reference, payment_method, created_from, created_before, limit, place } =
        args;
    let narrowed = [
        ("status", status),
        ("customer", customer),
        ("reference", reference),
        ("payment_method", payment_method.map(|method| method.to_string())),
        ("created_from", created_from.map(|at| at.to_rfc3339())),
        ("created_before", created_before.map(|at| at.to_rfc3339())),
    ];
    let (json, api) = (place.json, place.api(config)?);
    let listed = api.list_some("/v1/payments", &narrowed, usize::try_from(limit)?).await?;
    listed.show(json, |found| lines(found, Paint::detect()))
}

/// What a list shows of a payment.
#[derive(Debug, Deserialize)]
struct Row {
    id: PaymentId,
    status: String,
    amount: i64,
    currency: Currency,
    customer: Option<String>,
    reference: Option<String>,
    next_attempt_at: Option<Time>,
    created_at: Time,
}

fn lines(payments: &[Value], paint: Paint) -> anyhow::Result<Vec<String>> {
    let row = |payment: &Value| {
        let row = Row::deserialize(payment).context("the server told of a payment that is none")?;
        let next = row.next_attempt_at.map_or_else(|| "-".to_owned(), moment);
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        anyhow::Ok([
            row.id.to_string(),
            paint.status(&row.status),
            money(row.amount, row.currency),
            or_none(row.customer),
            or_none(row.reference),
            moment(row.created_at),
            next,
        ])
    };
    let rows = payments.iter().map(row).collect::<Result<Vec<_>, _>>()?;
    let head = ["ID", "STATUS", "AMOUNT", "CUSTOMER", "REFERENCE", "CREATED (UTC)", "NEXT ATTEMPT (UTC)"];
    Ok(table::lines(head, &rows))
}

async fn show(id: PaymentId, place: Where, config: &Config) -> anyhow::Result<()> {
    let (json, api) = (place.json, place.api(config)?);
    let path = format!("/v1/payments/{id}");
    let payment = api.get(&path).await?;
    let mut timeline = api.get(&format!("{path}/timeline")).await?;
    let attempts = api.get(&format!("{path}/attempts")).await?["data"].take();
    let refunds = api.list(&format!("{path}/refunds")).await?;
    let facts = json!({
        "payment": payment, "attempts": attempts, "refunds": refunds,
        "timeline": timeline["data"].take(), "jobs": timeline["jobs"].take(),
    });
    if json {
        say(facts);
        return Ok(());
    }
    let now = if api.is_live() { Some(Clock::system().now(true)) } else { test_time(&api).await };
    let told = story::Facts::deserialize(&facts).context("the server told what this version cannot read")?;
    told.tell(now, Paint::detect()).iter().for_each(say);
    Ok(())
}

/// What the test clock shows, where the key may see it: without it nothing is told in "3 h".
async fn test_time(api: &Api) -> Option<Time> {
    clock::now(&api.get("/v1/test_clock").await.ok()?).ok()
}

async fn cancel(id: PaymentId, place: Where, config: &Config) -> anyhow::Result<()> {
    let (json, api) = (place.json, place.api(config)?);
    let canceled = api.post(&format!("/v1/payments/{id}/cancel"), &json!({})).await?;
    if json {
        say(canceled);
    } else {
        say(format_args!("{id} is canceled"));
    }
    Ok(())
}

async fn retry(args: Retry, config: &Config) -> anyhow::Result<()> {
    let Retry { id, reason, place } = args;
    let (json, api) = (place.json, place.api(config)?);
    let told = api.post_once(&format!("/v1/payments/{id}/retry"), &json!({ "reason": reason })).await?;
    if json {
        say(told);
    } else {
        let next = told["attempt_count"].as_u64().unwrap_or(0) + 1;
        say(format_args!(
            "attempt {next} of {id} is due now: `dunlin payments show {id}` tells what it came to"
        ));
    }
    Ok(())
}

async fn process(id: PaymentId, place: Where, config: &Config) -> anyhow::Result<()> {
    let (json, api) = (place.json, place.api(config)?);
    let told = api.post_once(&format!("/v1/payments/{id}/process"), &json!({})).await?;
    if json {
        say(told);
    } else {
        say(format_args!("{id} is to be charged now: `dunlin payments show {id}` tells what it came to"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_a_line_for_each_payment() {
        let payment = json!({
            "id": "pay_01a2017fd2f772a9a64feb5fe20d6d71", "status": "retrying", "amount": 1250, "currency": "EUR",
            "customer": "cus_1", "reference": null, "next_attempt_at": "2026-11-23T04:54:43.9Z",
            "created_at": "2026-11-22T04:24:44.02Z",
        });

        let told = lines(&[payment], Paint::plain()).unwrap();

        assert_eq!(
            told[1],
            "pay_01a2017fd2f772a9a64feb5fe20d6d71  retrying  12.50 EUR  cus_1     -          2026-11-22 04:24:44  \
             2026-11-23 04:54:43"
        );
        assert!(lines(&[json!({})], Paint::plain()).is_err());
    }
}
