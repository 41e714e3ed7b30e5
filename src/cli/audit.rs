//! `dunlin audit`: what people did, and whether the record of it is whole.

use super::{Ending, api::Where, note, say, table, words::moment};
use crate::{config::Config, domain::trail::Entry};
use anyhow::Context;
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// At most so many, newest first.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    place: Where,
}

pub(super) async fn run(args: Args, config: &Config) -> anyhow::Result<Ending> {
    let Args { limit, place } = args;
    let (json, api) = (place.json, place.api(config)?);
    let listed = api.list_some("/v1/audit", &[], usize::try_from(limit)?).await?;
    let entries =
        Vec::<Entry>::deserialize(json!(listed.found)).context("the server told of no audit trail")?;
    let broken = entries.iter().enumerate().find(|(n, entry)| !entry.is_sound(entries.get(n + 1)));
    if json {
        say(json!({ "object": "list", "data": listed.found, "has_more": listed.has_more,
            "sound": broken.is_none() }));
    } else {
        lines(&entries).iter().for_each(say);
    }
    if let Some((_, entry)) = broken {
        note(format_args!(
            "the audit trail is BROKEN at entry {}: it, or the one before, is not what was written; compare with a copy",
            entry.number
        ));
        return Ok(Ending::Disproved);
    }
    if listed.has_more && !json {
        note(format_args!(
            "there are more than these {limit}, which are sound: raise --limit to see and check them"
        ));
    }
    Ok(Ending::Done)
}

fn lines(entries: &[Entry]) -> Vec<String> {
    let or_none = |text: Option<&String>| text.map_or_else(|| "-".to_owned(), String::clone);
    let row = |entry: &Entry| {
        [
            entry.number.to_string(),
            moment(entry.at),
            entry.actor.clone(),
            entry.action.clone(),
            entry.subject.clone(),
            or_none(entry.before.as_ref()),
            or_none(entry.after.as_ref()),
            or_none(entry.reason.as_ref()),
        ]
    };
    let rows: Vec<_> = entries.iter().map(row).collect();
    table::lines(["NO", "AT (UTC)", "BY", "WHAT", "OF", "BEFORE", "AFTER", "REASON"], &rows)
}
