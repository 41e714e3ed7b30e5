//! A payment gateway for tests: it speaks the part of Stripe's wire that taking money and giving it back needs,
//! produces faults on request, and keeps an append-only ledger of captures and refunds, so that it can judge the
//! service.
//!
//! It shares no code with the service: a mistake in one must not hide the same mistake in the other.

mod account;
mod admin;
mod asked;
mod auth;
mod bank;
mod books;
mod challenge;
mod charge;
mod clock;
mod courier;
mod currency;
mod customer;
mod damage;
mod dashboard;
mod debit;
mod decline;
mod desk;
mod dispute;
mod door;
mod endpoint;
mod entry;
mod event;
mod exchange;
mod expand;
mod fault;
mod flight;
mod form;
mod intent;
mod journal;
mod kept_method;
mod kind;
mod lag;
mod ledger;
mod line;
mod list;
mod message;
mod method;
mod mint;
mod noun;
mod object;
mod operation;
mod order;
mod outbox;
mod pace;
mod params;
mod payer;
mod post;
mod problem;
mod query;
mod rate;
mod refund;
mod route;
mod search;
mod serve;
mod setup;
mod shelf;
mod signature;
mod telling;
mod test_card;
mod trouble;
mod turn;
mod version;
mod view;

pub use bank::Bank;
pub use message::{Closing, Manner, Outcome, Reply, Request};
pub use post::Post;
pub use serve::{Options, Running, Stopper, serve, serve_bank};
