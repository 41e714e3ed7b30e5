//! `dunlin clock`: the test environment's time, so that a month of retries is seen in a second.

use super::{
    Ending,
    api::Where,
    say,
    words::{moment, span},
};
use crate::{config::Config, domain::clock::Time};
use anyhow::Context;
use chrono::TimeDelta;
use serde_json::{Value, json};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Tell the time of test payments.
    Show(Where),
    /// Move it forward, and wait until all that falls due on the way is done.
    Advance(Advance),
}

#[derive(Debug, clap::Args)]
#[group(id = "target", required = true, multiple = false, args = ["by", "to"])]
pub(super) struct Advance {
    /// By how much: minutes, hours, days or weeks, such as 12h or 90d.
    #[arg(value_name = "TIME", value_parser = span)]
    by: Option<TimeDelta>,
    /// To when, such as 2027-01-01T00:00:00Z.
    #[arg(long, value_name = "MOMENT", value_parser = dunlin_jobs::read_moment)]
    to: Option<Time>,
    #[command(flatten)]
    place: Where,
}

pub(super) async fn run(command: Command, config: &Config) -> anyhow::Result<Ending> {
    let (json, told) = match command {
        Command::Show(place) => (place.json, place.api(config)?.get("/v1/test_clock").await?),
        Command::Advance(Advance { by, to, place }) => {
            let body = by.map_or_else(|| json!({ "to": to }), |by| json!({ "by_s": by.num_seconds() }));
            (place.json, place.api(config)?.post("/v1/test_clock/advance", &body).await?)
        }
    };
    if json {
        say(told);
    } else {
        say(format_args!("{} UTC", moment(now(&told)?)));
    }
    Ok(Ending::Done)
}

/// The time that a test clock tells.
pub(super) fn now(told: &Value) -> anyhow::Result<Time> {
    let now = told["now"].as_str().and_then(|now| now.parse().ok());
    now.context("the server told no time")
}
