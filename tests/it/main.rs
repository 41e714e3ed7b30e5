//! Tests through the front door: real storage, the real HTTP client, the sandbox's ledger at the end.
#![expect(clippy::unwrap_used, reason = "in a test, what is not there fails it")]

mod absence;
mod api;
mod bad_days;
mod cancel;
mod cli;
mod client;
mod clients;
mod contract;
mod deploy;
mod detached;
mod disputes;
mod docs;
mod doubts;
mod drift;
mod environments;
mod examples;
mod gateway_refunds;
mod intake;
mod jobs;
mod overdue;
mod payable;
mod present;
mod private;
mod refunds;
mod replicas;
mod resolutions;
mod simulation;
mod store;
mod support;
mod tidy;
mod torture;
mod unfit;
mod unreadable;
mod webhooks;
mod withdrawals;
