//! `dunlin backup`: a file from which the database can be restored, made while it is used.

use super::{Ending, dump, say};
use crate::{
    config::Config,
    store::{self, backup},
};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file to write; it must not be there.
    file: PathBuf,
}

pub(super) async fn run(Args { file }: Args, config: &Config) -> anyhow::Result<Ending> {
    let options = config.store_options();
    if store::file_of(&options).is_none() {
        dump::back_up(&options, &file).await?;
        say(format_args!("{} is a dump of the database, whole and on the disk", file.display()));
    } else {
        let payments = backup::back_up(&options, &file).await?;
        say(format_args!("{} has {payments} payments, and is whole and on the disk", file.display()));
    }
    Ok(Ending::Done)
}
