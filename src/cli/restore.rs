//! `dunlin restore`: puts a backup in the place of the database. The gateway knows more than it, so that nothing is sent
//! afterwards until somebody says that the two were compared.

use super::{Ending, dump, note, person::who, say};
use crate::{
    config::Config,
    domain::clock::Clock,
    store::{
        self, Options,
        restores::{self, Restore, file::Restored},
    },
};
use anyhow::bail;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The backup. No server may run over the database.
    #[arg(required_unless_present_any = ["hold", "release"], conflicts_with_all = ["hold", "release"])]
    file: Option<PathBuf>,
    /// The database was restored by other means: have nothing sent until --release. Before any server is started.
    #[arg(long, conflicts_with = "release")]
    hold: bool,
    /// The database and the gateway were compared: have everything sent again.
    #[arg(long, requires = "reason")]
    release: bool,
    /// What was compared, for whoever asks later.
    #[arg(long, requires = "release")]
    reason: Option<String>,
}

pub(super) async fn run(args: Args, config: &Config) -> anyhow::Result<Ending> {
    let options = config.store_options();
    let at = Clock::system().now(true);
    if args.release {
        return release(&options, &args.reason.unwrap_or_default()).await;
    }
    let Some(file) = args.file else {
        let source = "by other means".to_owned();
        restores::hold(&options, &Restore { at, by: who(), source }).await?;
        say(NEXT);
        return Ok(Ending::Done);
    };
    let source = file.canonicalize().unwrap_or_else(|_| file.clone()).display().to_string();
    let restore = Restore { at, by: who(), source };
    put_back(&options, &file, &restore).await?;
    say(NEXT);
    Ok(Ending::Done)
}

const NEXT: &str = "nothing is sent to gateways until you have compared the two: docs/operations.md, \"Backup and restore\"; \
    then `dunlin restore --release --reason ...`";

async fn put_back(options: &Options, file: &Path, restore: &Restore) -> anyhow::Result<()> {
    let Some(database) = store::file_of(options) else {
        let aside = dump::restore(options, file, restore).await?;
        say(format_args!("{} is restored", file.display()));
        if let Some(aside) = aside {
            note(format_args!(
                "what was there before is the schema {aside}: drop it once you need it no more"
            ));
        }
        return Ok(());
    };
    let Restored { payments, aside, unread } = restores::file::restore(&database, file, restore).await?;
    say(format_args!("{} is restored, with {payments} payments", file.display()));
    if let Some(aside) = aside {
        note(format_args!(
            "what was there before is {}: remove it once you need it no more",
            aside.display()
        ));
    }
    if let Some(unread) = unread {
        note(format_args!(
            "what waited in the intake there could not be read ({unread}): look for it if producers left anything since the \
             backup"
        ));
    }
    Ok(())
}

async fn release(options: &Options, reason: &str) -> anyhow::Result<Ending> {
    if reason.trim().is_empty() {
        bail!("--reason is empty: say what was compared, and by whom");
    }
    if !restores::release(options, Clock::system().now(true), &who(), reason).await? {
        bail!("nothing is on hold: the database was not restored, or was released already");
    }
    say("everything is sent again");
    Ok(Ending::Done)
}
