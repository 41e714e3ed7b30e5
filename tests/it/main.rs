//! Tests through the front door: real storage, the real HTTP client, the sandbox's ledger at the end.

mod absence;
mod client;
mod store;
mod support;
mod tidy;
