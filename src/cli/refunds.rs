//! `dunlin refunds`: which refunds there are, whoever made them, and another try of one that failed.

use super::{
    Ending,
    api::{Api, Where},
    say, table,
    words::{Paint, moment, money},
};
use crate::{
    config::Config,
    domain::{clock::Time, refund::RefundStatus},
};
use anyhow::Context;
use dunlin_jobs::{Currency, PaymentId, RefundId};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show refunds, newest first.
    List(List),
    /// Try a failed refund again, by another one in its place.
    Retry(Retry),
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Only those of this status.
    #[arg(long, value_parser = RefundStatus::ALL.map(RefundStatus::name))]
    status: Option<String>,
    /// Only those that a person has to look at.
    #[arg(long)]
    needs_review: bool,
    /// At most so many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    place: Where,
}

#[derive(Debug, clap::Args)]
pub(super) struct Retry {
    /// The refund's id, rfd_...
    id: RefundId,
    /// Why, for the new refund.
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    place: Where,
}

pub(super) async fn run(command: Command, config: &Config) -> anyhow::Result<Ending> {
    match command {
        Command::List(args) => list(args, config).await,
        Command::Retry(args) => retry(args, config).await,
    }
    .map(|()| Ending::Done)
}

async fn list(args: List, config: &Config) -> anyhow::Result<()> {
    let List { status, needs_review, limit, place } = args;
    let (json, api) = (place.json, place.api(config)?);
    let narrowed = [("status", status), ("needs_review", needs_review.then(|| "true".to_owned()))];
    let listed = api.list_some("/v1/refunds", &narrowed, usize::try_from(limit)?).await?;
    listed.show(json, |found| lines(found, Paint::detect()))
}

/// The refunds that a person has to look at.
pub(super) async fn in_review(api: &Api, limit: usize) -> anyhow::Result<super::api::Listed> {
    api.list_some("/v1/refunds", &[("needs_review", Some("true".to_owned()))], limit).await
}

async fn retry(args: Retry, config: &Config) -> anyhow::Result<()> {
    let Retry { id, reason, place } = args;
    let (json, api) = (place.json, place.api(config)?);
    let told = api.post_once(&format!("/v1/refunds/{id}/retry"), &json!({ "reason": reason })).await?;
    if json {
        say(told);
    } else {
        let again = told["id"].as_str().unwrap_or_default();
        say(format_args!("{again} is made in the place of {id}"));
    }
    Ok(())
}

/// What a list shows of a refund.
#[derive(Debug, Deserialize)]
struct Row {
    id: RefundId,
    payment: PaymentId,
    status: String,
    amount: i64,
    currency: Currency,
    cause: String,
    origin: String,
    failure: Option<String>,
    review_reason: Option<String>,
    created_at: Time,
}

pub(super) fn lines(refunds: &[Value], paint: Paint) -> anyhow::Result<Vec<String>> {
    let row = |refund: &Value| {
        let row = Row::deserialize(refund).context("the server told of a refund that is none")?;
        anyhow::Ok([
            row.id.to_string(),
            row.payment.to_string(),
            paint.status(&row.status),
            money(row.amount, row.currency),
            row.cause,
            row.origin,
            moment(row.created_at),
            row.review_reason.or(row.failure).unwrap_or_else(|| "-".to_owned()),
        ])
    };
    let rows = refunds.iter().map(row).collect::<Result<Vec<_>, _>>()?;
    let head = ["ID", "PAYMENT", "STATUS", "AMOUNT", "CAUSE", "MADE BY", "CREATED (UTC)", "WHY"];
    Ok(table::lines(head, &rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_a_line_for_each_refund() {
        let refund = json!({
            "id": "rfd_01a2017fd2f772a9a64feb5fe20d6d71", "payment": "pay_01a2017fd2f772a9a64feb5fe20d6d71",
            "status": "failed", "amount": 1250, "currency": "EUR", "cause": "duplicate", "origin": "api",
            "failure": "no", "review_reason": "look", "created_at": "2026-11-22T04:24:44.02Z",
        });

        let told = lines(&[refund], Paint::plain()).unwrap();

        assert_eq!(
            told[1],
            "rfd_01a2017fd2f772a9a64feb5fe20d6d71  pay_01a2017fd2f772a9a64feb5fe20d6d71  failed  12.50 EUR  duplicate  \
             api      2026-11-22 04:24:44  look"
        );
        assert!(lines(&[json!({})], Paint::plain()).is_err());
    }
}
