//! `dunlin dead-letters`: envelopes that could not be taken, in the database itself.

use super::{Ending, note, say, table, words::moment};
use crate::{
    app,
    config::Config,
    domain::{
        card::looks_like_card_number,
        letter::{Form, Letter, View},
    },
    store::{NotPutBack, OpenError, Store},
};
use anyhow::{Context, bail, ensure};
use dunlin_jobs::LetterId;
use serde_json::json;
use std::path::{Path, PathBuf};

const AFTER_HELP: &str = "These open the database themselves. Where that is SQLite, stop the server first: it has the file to itself.";

#[derive(Debug, clap::Subcommand)]
#[command(after_help = AFTER_HELP)]
pub(super) enum Command {
    /// Show dead letters, the newest first.
    List(List),
    /// Tell why an envelope could not be taken, and show it.
    Show(Show),
    /// Put envelopes back where a reader finds them, after what was wrong is mended.
    Retry(Retry),
    /// Throw dead letters away; their payments are never made.
    Drop(Named),
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// At most so many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// The letter's id, dlt_...
    id: LetterId,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Retry {
    #[command(flatten)]
    named: Named,
    /// The mended envelope, which takes the place of the one that came.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Named {
    /// The letters' ids, dlt_...
    #[arg(required = true)]
    ids: Vec<LetterId>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(command: Command, config: &Config) -> anyhow::Result<Ending> {
    let store = match app::open_store(config).await {
        Err(error) if matches!(error.downcast_ref(), Some(OpenError::Locked { .. })) => {
            return Err(error.context("a server has the database to itself: stop it first"));
        }
        other => other?,
    };
    let done = match command {
        Command::List(args) => list(&args, &store).await,
        Command::Show(args) => show(&args, &store).await,
        Command::Retry(args) => retry(&args, &store).await,
        Command::Drop(args) => throw_away(&args, &store).await,
    };
    store.close().await;
    done.map(|()| Ending::Done)
}

async fn list(args: &List, store: &Store) -> anyhow::Result<()> {
    let limit = usize::try_from(args.limit)?;
    let mut found: Vec<Letter> = Vec::new();
    while found.len() <= limit {
        let page = store.list_letters(found.last().map(|letter| letter.id), PAGE).await?;
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    let has_more = found.len() > limit;
    found.truncate(limit);
    if args.json {
        let views: Vec<_> = found.iter().map(View::from).collect();
        say(json!({ "object": "list", "data": views, "has_more": has_more }));
        return Ok(());
    }
    let rows: Vec<_> = found.iter().map(row).collect();
    table::lines(["ID", "REFUSED", "FROM", "CODE", "FIELD", "REASON"], &rows).iter().for_each(say);
    if has_more {
        note("there are more: see --limit");
    }
    Ok(())
}

const PAGE: u16 = 200;

fn row(letter: &Letter) -> [String; 6] {
    let reason = letter.reason.split([':', ';']).next().unwrap_or_default();
    [
        letter.id.to_string(),
        moment(letter.refused_at),
        letter.source.name().to_owned(),
        letter.code.clone(),
        letter.field.clone().unwrap_or_else(|| "-".to_owned()),
        reason.to_owned(),
    ]
}

async fn show(args: &Show, store: &Store) -> anyhow::Result<()> {
    let letter = store.find_letter(args.id).await?.with_context(|| missing(args.id))?;
    if args.json {
        say(json!(View::from(&letter)));
        return Ok(());
    }
    let entry = letter.entry.as_ref().map(|entry| format!(", entry {entry}")).unwrap_or_default();
    say(format_args!(
        "{} from the {}{entry}, refused {}",
        letter.id,
        letter.source.name(),
        moment(letter.refused_at)
    ));
    let about = letter.field.as_ref().map(|field| format!(" ({field})")).unwrap_or_default();
    say(format_args!("{}{about}: {}", letter.code, letter.reason));
    say(match letter.form {
        Form::Text => "the envelope, as it came:",
        Form::Hex => "the envelope, which is no text, in hexadecimal digits:",
        Form::Redacted => "the envelope, without its digits, since it had what looks like a card number:",
    });
    say(&letter.envelope);
    Ok(())
}

async fn retry(args: &Retry, store: &Store) -> anyhow::Result<()> {
    let Retry { named: Named { ids, json }, file } = args;
    ensure!(file.is_none() || ids.len() == 1, "--file is for one letter: name one");
    let mended = file.as_deref().map(read).transpose()?;
    for id in ids {
        match store.put_back(*id, mended.as_deref()).await {
            Ok(()) => told(*json, *id, "retried", "lies where a reader finds it"),
            Err(NotPutBack::Missing) => bail!(missing(*id)),
            Err(NotPutBack::NotWhole) => {
                bail!("{id} is not kept as it came: write the envelope anew, and name it with --file")
            }
            Err(NotPutBack::Store(error)) => return Err(error.into()),
        }
    }
    Ok(())
}

/// A mended envelope; a reader judges the rest of it.
fn read(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    ensure!(!text.contains('\0'), "{} is no text: it has a NUL in it", path.display());
    ensure!(
        !looks_like_card_number(&text),
        "{} has what looks like a card number, which dunlin never takes: put the gateway's token there",
        path.display()
    );
    Ok(text)
}

async fn throw_away(args: &Named, store: &Store) -> anyhow::Result<()> {
    for id in &args.ids {
        ensure!(store.drop_letter(*id).await?, missing(*id));
        told(args.json, *id, "dropped", "is gone");
    }
    Ok(())
}

fn told(as_json: bool, id: LetterId, done: &str, words: &str) {
    if as_json {
        say(json!({ "object": "dead_letter", "id": id, "done": done }));
    } else {
        say(format_args!("{id} {words}"));
    }
}

fn missing(id: LetterId) -> String {
    format!("there is no dead letter {id}: see `dunlin dead-letters list`")
}
