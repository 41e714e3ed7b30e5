//! `dunlin unknown`: payments whose outcome a person has to find out, and what they found.

use super::{
    Ending,
    api::{Api, Where},
    refunds, say,
    story::heard,
    table,
    words::{Paint, moment, money},
};
use crate::{
    config::Config,
    domain::{
        clock::Time,
        payment::{Resolution, Ruling},
    },
};
use anyhow::Context;
use clap::builder::{PossibleValue, PossibleValuesParser};
use dunlin_jobs::{Currency, PaymentId, ResolutionId};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show payments and refunds in review: why, since when, what the gateway was asked, and what somebody proposes.
    List(List),
    /// Say what became of one. That no money was taken needs a second person, who says it with --approve.
    Resolve(Resolve),
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// At most so many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    place: Where,
}

#[derive(Debug, clap::Args)]
pub(super) struct Resolve {
    /// The payment's id, pay_...
    id: PaymentId,
    /// What became of it.
    #[arg(long, value_parser = outcomes())]
    outcome: String,
    /// Why you are sure.
    #[arg(long, required_unless_present = "approve")]
    reason: Option<String>,
    /// Where it can be seen: the gateway's dashboard, or a ticket.
    #[arg(long, required_unless_present = "approve", conflicts_with = "approve")]
    evidence: Option<String>,
    /// The gateway's id of the charge, with the outcome succeeded.
    #[arg(long, required_if_eq("outcome", "succeeded"))]
    charge: Option<String>,
    /// Agree to what somebody else has proposed, by its id, res_...
    #[arg(long, value_name = "PROPOSAL")]
    approve: Option<ResolutionId>,
    #[command(flatten)]
    place: Where,
}

fn outcomes() -> PossibleValuesParser {
    let told = |ruling: Ruling| {
        let means = match ruling {
            Ruling::Succeeded => "The gateway took the money",
            Ruling::Canceled => "It took none, and the payment ends",
            Ruling::ChargeAgain => "It took none, and is asked for it again",
        };
        PossibleValue::new(ruling.name()).help(means)
    };
    Ruling::ALL.map(told).into()
}

pub(super) async fn run(command: Command, config: &Config) -> anyhow::Result<Ending> {
    match command {
        Command::List(args) => list(args, config).await,
        Command::Resolve(args) => resolve(args, config).await,
    }
    .map(|()| Ending::Done)
}

async fn list(args: List, config: &Config) -> anyhow::Result<()> {
    let List { limit, place } = args;
    let (json, api) = (place.json, place.api(config)?);
    let narrowed = [("status", Some("needs_review".to_owned()))];
    let mut listed = api.list_some("/v1/payments", &narrowed, usize::try_from(limit)?).await?;
    for payment in &mut listed.found {
        let review = review(&api, payment).await?;
        payment["review"] = review;
    }
    let refunds = refunds::in_review(&api, usize::try_from(limit)?).await?;
    if json {
        listed.found.extend(refunds.found);
        listed.has_more |= refunds.has_more;
        return listed.show(true, |_| Ok(Vec::new()));
    }
    listed.show(false, |found| lines(found, Paint::detect()))?;
    if refunds.found.is_empty() {
        return Ok(());
    }
    say("");
    refunds.show(false, |found| refunds::lines(found, Paint::detect()))
}

/// Since when a person is asked for, and what the gateway was asked and said.
async fn review(api: &Api, payment: &Value) -> anyhow::Result<Value> {
    let id = payment["id"].as_str().context("the server told of a payment that is none")?;
    let timeline = api.get(&format!("/v1/payments/{id}/timeline")).await?;
    Ok(found(timeline["data"].as_array().map_or(&[], Vec::as_slice)))
}

fn found(timeline: &[Value]) -> Value {
    let began = |entry: &&Value| entry["to"] == "needs_review" && entry["from"] != "needs_review";
    let is_question = |entry: &&Value| {
        entry["object"] == "exchange" && (entry["kind"] == "query" || entry["resend"] == true)
    };
    let since = timeline.iter().rfind(began).map(|entry| &entry["at"]);
    let asked: Vec<_> = timeline.iter().filter(is_question).collect();
    let last = asked.last();
    json!({
        "since": since, "asked": asked.len(), "asked_at": last.map(|entry| &entry["at"]),
        "verdict": last.map(|entry| &entry["verdict"]),
    })
}

/// What a list shows of a payment in review.
#[derive(Debug, Deserialize)]
struct Row {
    id: PaymentId,
    amount: i64,
    currency: Currency,
    review_reason: Option<String>,
    resolution: Option<Resolution>,
    review: Review,
}

#[derive(Debug, Deserialize)]
struct Review {
    since: Option<Time>,
    asked: u64,
    verdict: Option<String>,
}

fn lines(payments: &[Value], paint: Paint) -> anyhow::Result<Vec<String>> {
    let row = |payment: &Value| {
        let row = Row::deserialize(payment).context("the server told of a payment that is none")?;
        let proposal = row.resolution.filter(|said| !said.is_carried_out());
        let named = |said: Resolution| {
            let id = said.id.map(|id| format!(" {id}")).unwrap_or_default();
            format!("{}{id}", paint.status(said.outcome.name()))
        };
        let proposed = proposal.map(named);
        let asked = match row.review.asked {
            0 => "not asked".to_owned(),
            times => format!("{times} x: {}", heard(row.review.verdict.as_deref())),
        };
        anyhow::Ok([
            row.id.to_string(),
            money(row.amount, row.currency),
            row.review.since.map_or_else(|| "-".to_owned(), moment),
            proposed.unwrap_or_else(|| "-".to_owned()),
            row.review_reason.unwrap_or_else(|| "-".to_owned()),
            asked,
        ])
    };
    let rows = payments.iter().map(row).collect::<Result<Vec<_>, _>>()?;
    Ok(table::lines(["ID", "AMOUNT", "SINCE (UTC)", "PROPOSED", "WHY", "WHAT THE GATEWAY SAYS"], &rows))
}

async fn resolve(args: Resolve, config: &Config) -> anyhow::Result<()> {
    let Resolve { id, outcome, reason, evidence, charge, approve, place } = args;
    let (json, api) = (place.json, place.api(config)?);
    let mut body = json!({ "outcome": outcome });
    let approve = approve.map(|proposal| proposal.to_string());
    for (field, value) in
        [("reason", reason), ("evidence", evidence), ("charge", charge), ("approve", approve)]
    {
        if let Some(value) = value {
            body[field] = value.into();
        }
    }
    let told = api.post_once(&format!("/v1/payments/{id}/resolve"), &body).await?;
    if json {
        say(told);
        return Ok(());
    }
    let status = told["status"].as_str().unwrap_or_default();
    if status == "needs_review" {
        say(format_args!(
            "{outcome} is proposed for {id}. Somebody else, with an API key of their own, agrees by"
        ));
        let proposal = told["resolution"]["id"].as_str().unwrap_or_default();
        say(format_args!("dunlin unknown resolve {id} --outcome {outcome} --approve {proposal}"));
    } else {
        say(format_args!("{id} is {status}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(at: &str, resend: bool, verdict: &str) -> Value {
        let kind = if resend { "create" } else { "query" };
        json!({ "object": "exchange", "kind": kind, "resend": resend, "at": at, "verdict": verdict })
    }

    #[test]
    fn a_review_is_told_with_its_beginning_and_its_questions() {
        let first =
            json!({ "object": "exchange", "kind": "create", "resend": false, "verdict": "unknown: cut" });
        let step = |at: &str, from: &str, to: &str| json!({ "object": "transition", "at": at, "from": from, "to": to });
        let timeline = [
            first,
            question("2026-11-22T04:00:00Z", true, "unknown: cut"),
            step("2026-11-23T04:00:00Z", "processing", "needs_review"),
            question("2026-11-23T05:00:00Z", false, "absent"),
            step("2026-11-23T06:00:00Z", "needs_review", "needs_review"),
        ];
        let payment = json!({
            "id": "pay_01a2017fd2f772a9a64feb5fe20d6d71", "amount": 1250, "currency": "EUR",
            "review_reason": "unknown for 24 h", "resolution": {
                "id": "res_01a2017fd2f772a9a64feb5fe20d6d71", "outcome": "charge_again", "reason": "r",
                "evidence": "e", "approved_by": null, "resolved_at": null,
                "proposed_by": "key_01a2017fd2f772a9a64feb5fe20d6d71", "proposed_at": "2026-11-23T06:00:00Z",
            },
            "review": found(&timeline),
        });

        let told = lines(&[payment], Paint::plain()).unwrap();

        assert_eq!(
            told[1],
            "pay_01a2017fd2f772a9a64feb5fe20d6d71  12.50 EUR  2026-11-23 04:00:00  charge_again \
             res_01a2017fd2f772a9a64feb5fe20d6d71  unknown for 24 h  \
             2 x: it knows nothing of it"
        );
    }
}
