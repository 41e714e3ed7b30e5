//! The rules of payments, pure: no I/O, no clock of its own, nothing awaited.

pub mod api_key;
pub mod attempt;
pub mod card;
pub mod clock;
pub mod country;
pub mod customer;
pub mod decline;
pub mod email;
pub mod event;
pub mod exchange_result;
pub mod hold_reason;
pub mod json;
pub mod letter;
pub mod pace;
pub mod payment;
pub mod payment_method;
pub mod refund;
pub mod scope;
pub mod session;
pub mod table;
pub mod time_zone;
pub mod trace;
pub mod trail;
pub mod update;
pub mod wallet;
