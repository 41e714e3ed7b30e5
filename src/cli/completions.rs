//! `dunlin completions`: what a shell needs to complete our commands.

use super::{Cli, Ending};
use clap::CommandFactory;
use clap_complete::Shell;
use std::io::Write;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell that it is for.
    shell: Shell,
}

pub(super) fn run(args: &Args) -> Ending {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "dunlin", &mut script);
    // Whoever stopped reading, as `head` does, must not stop the command.
    let _ = std::io::stdout().write_all(&script);
    Ending::Done
}
