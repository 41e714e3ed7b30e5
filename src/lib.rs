//! dunlin: a payment processor that is a job queue at heart.

pub mod accounts;
pub mod app;
pub mod audit;
pub mod bench;
pub mod billing_run;
pub mod cli;
pub mod config;
pub mod domain;
pub mod failpoint;
pub mod flow;
pub mod gateway;
pub mod http;
pub mod private;
pub mod redis;
pub mod sandbox;
pub mod sealing;
pub mod signals;
pub mod store;
pub mod telemetry;
pub mod torture;
pub mod worker;
