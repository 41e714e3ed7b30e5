//! A payment gateway for tests: it speaks the part of Stripe's wire that charging needs, produces
//! faults on request, and keeps an append-only ledger of captures, so that it can judge the service.
//!
//! It shares no code with the service: a mistake in one must not hide the same mistake in the other.

mod account;
mod admin;
mod asked;
mod auth;
mod bank;
mod books;
mod charge;
mod clock;
mod damage;
mod decline;
mod desk;
mod door;
mod entry;
mod exchange;
mod fault;
mod flight;
mod form;
mod intent;
mod journal;
mod lag;
mod line;
mod list;
mod message;
mod method;
mod mint;
mod operation;
mod order;
mod pace;
mod params;
mod problem;
mod query;
mod rate;
mod route;
mod search;
mod serve;
mod trouble;
mod view;

pub use bank::Bank;
pub use message::{Closing, Manner, Outcome, Reply, Request};
pub use serve::{Options, Running, Stopper, serve, serve_bank};
