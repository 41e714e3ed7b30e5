//! The `dunlin` command.

use mimalloc::MiMalloc;
use std::process::ExitCode;

/// A tenth of a worker's time went into the system's allocator.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    dunlin::cli::main()
}
