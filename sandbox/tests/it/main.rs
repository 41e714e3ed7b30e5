//! The sandbox seen from outside: in process for what it decides, over TCP for what only a socket shows.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod caller;
mod cards;
mod challenge;
mod customers;
mod disputes;
mod events;
mod faults;
mod http;
mod keys;
mod lag;
mod ledger;
mod lists;
mod manners;
mod menu;
mod orders;
mod payer;
mod recovery;
mod refunds;
mod search;
mod settling;
mod sockets;
mod versions;
mod wire;
