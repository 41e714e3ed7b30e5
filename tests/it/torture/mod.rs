//! Torture: real processes that are killed, broken and stopped, and doubts at their worst.

mod cells;
mod doubts;
mod fleets;
mod panics;
mod stopped;
