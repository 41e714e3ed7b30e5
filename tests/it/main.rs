//! Tests through the front door: real storage, the real HTTP client, the sandbox's ledger at the end.

mod api;
mod cli;
mod support;
