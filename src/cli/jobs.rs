//! `dunlin jobs`: what payments have before them, what was set aside, and what a person does about it.

use super::{
    Ending,
    api::Where,
    note, say, table,
    words::{Paint, moment},
};
use crate::{config::Config, domain::clock::Time, store::jobs::JobView};
use anyhow::Context;
use dunlin_jobs::{JobId, PaymentId};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show jobs, the newest first; one that is done is gone.
    List(List),
    /// Tell how a job stands.
    Show(One),
    /// Make a job run now rather than at its time.
    Retry(Act),
    /// Let a job run again that was set aside.
    Release(Act),
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Only those that wait or run (live), or that were set aside (parked).
    #[arg(long, value_parser = JobView::STATES)]
    state: Option<String>,
    /// Only those of this kind.
    #[arg(long, value_parser = JobView::KINDS)]
    kind: Option<String>,
    /// Only those of this payment.
    #[arg(long)]
    payment: Option<PaymentId>,
    /// Only those that are due before this moment, such as 2027-01-01T00:00:00Z.
    #[arg(long, value_name = "MOMENT", value_parser = dunlin_jobs::read_moment)]
    due_before: Option<Time>,
    /// At most so many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    place: Where,
}

#[derive(Debug, clap::Args)]
pub(super) struct One {
    /// The job's id, job_...
    id: JobId,
    #[command(flatten)]
    place: Where,
}

#[derive(Debug, clap::Args)]
pub(super) struct Act {
    /// The job's id, job_...
    id: JobId,
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
        Command::Retry(args) => act(args, "retry", config).await,
        Command::Release(args) => act(args, "release", config).await,
    }
    .map(|()| Ending::Done)
}

/// What is told of a job.
#[derive(Debug, Deserialize)]
struct Job {
    id: String,
    kind: String,
    state: String,
    payment: String,
    due_at: Time,
    runs: u64,
    failures: u64,
    leased: bool,
    last_error: Option<String>,
    parked_reason: Option<String>,
}

impl Job {
    fn read(told: &Value) -> anyhow::Result<Self> {
        Self::deserialize(told).context("the server told of a job that is none")
    }

    /// Why it was set aside, or what went wrong last.
    fn trouble(&self) -> Option<&str> {
        self.parked_reason.as_deref().or(self.last_error.as_deref())
    }
}

async fn list(args: List, config: &Config) -> anyhow::Result<()> {
    let List { state, kind, payment, due_before, limit, place } = args;
    let narrowed = [
        ("state", state),
        ("kind", kind),
        ("payment", payment.map(|id| id.to_string())),
        ("due_before", due_before.map(|at| at.to_rfc3339())),
    ];
    let (json, api) = (place.json, place.api(config)?);
    let listed = api.list_some("/v1/jobs", &narrowed, usize::try_from(limit)?).await?;
    listed.show(json, |found| lines(found, Paint::detect()))?;
    // Why nothing of it moves, where that is so for all.
    if let Some(standstill) = api.standstill().await {
        note(standstill);
    }
    Ok(())
}

fn lines(jobs: &[Value], paint: Paint) -> anyhow::Result<Vec<String>> {
    let row = |job: &Value| {
        let job = Job::read(job)?;
        let state = if job.leased { "running" } else { &job.state };
        let trouble = job.trouble().unwrap_or("-").to_owned();
        anyhow::Ok([
            job.id.clone(),
            job.kind.clone(),
            paint.status(state),
            moment(job.due_at),
            job.payment.clone(),
            trouble,
        ])
    };
    let rows = jobs.iter().map(row).collect::<Result<Vec<_>, _>>()?;
    Ok(table::lines(["ID", "KIND", "STATE", "DUE (UTC)", "PAYMENT", "WHAT WENT WRONG"], &rows))
}

async fn show(id: JobId, place: Where, config: &Config) -> anyhow::Result<()> {
    let (json, api) = (place.json, place.api(config)?);
    let told = api.get(&format!("/v1/jobs/{id}")).await?;
    if json {
        say(told);
    } else {
        tell(&Job::read(&told)?, Paint::detect()).iter().for_each(say);
    }
    Ok(())
}

fn tell(job: &Job, paint: Paint) -> Vec<String> {
    let Job { id, kind, state, payment, runs, failures, .. } = job;
    let mut lines = vec![format!("{id}  {kind}  {}", paint.status(state))];
    lines.push(format!("  of {payment}, of which `dunlin payments show {payment}` tells"));
    lines.push(match (job.leased, &job.parked_reason) {
        (_, Some(reason)) => format!("  set aside: {reason}"),
        (true, None) => "  a worker has it in hand".to_owned(),
        (false, None) => format!("  due at {} UTC", moment(job.due_at)),
    });
    lines.push(format!("  came again {runs} times, went wrong {failures} times"));
    lines.extend(job.last_error.as_ref().map(|error| format!("  at last: {error}")));
    if job.parked_reason.is_some() {
        lines.push(format!("Once that is mended: `dunlin jobs release {id}`"));
    }
    lines
}

async fn act(args: Act, act: &str, config: &Config) -> anyhow::Result<()> {
    let Act { id, reason, place } = args;
    let (json, api) = (place.json, place.api(config)?);
    let told = api.post(&format!("/v1/jobs/{id}/{act}"), &json!({ "reason": reason })).await?;
    if json {
        say(told);
    } else {
        let job = Job::read(&told)?;
        say(format_args!(
            "{id} is due since {} UTC: `dunlin payments show {}` tells what it came to",
            moment(job.due_at),
            job.payment
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(more: &Value) -> Value {
        let mut job = json!({
            "id": "job_1", "kind": "charge", "state": "live", "payment": "pay_1", "due_at": "2026-11-23T04:54:43.9Z",
            "runs": 0, "failures": 2, "leased": false, "last_error": "no way to the host", "parked_reason": null,
        });
        for (field, value) in more.as_object().unwrap() {
            job[field] = value.clone();
        }
        job
    }

    #[test]
    fn a_list_says_of_each_job_what_went_wrong() {
        let parked = json!({ "state": "parked", "parked_reason": "quarantined" });

        let told = lines(&[job(&json!({})), job(&parked)], Paint::plain()).unwrap();

        assert_eq!(told[1], "job_1  charge  live    2026-11-23 04:54:43  pay_1    no way to the host");
        assert_eq!(told[2], "job_1  charge  parked  2026-11-23 04:54:43  pay_1    quarantined");
        assert!(lines(&[json!({})], Paint::plain()).is_err());
    }

    #[test]
    fn a_job_that_was_set_aside_says_how_it_goes_on() {
        let parked = job(&json!({ "state": "parked", "parked_reason": "quarantined" }));

        let told = tell(&Job::read(&parked).unwrap(), Paint::plain()).join("\n");

        assert!(
            told.contains("set aside: quarantined") && told.contains("dunlin jobs release job_1"),
            "{told}"
        );
    }
}
