//! Torture: real processes that are hurt and must get over it.

mod panics;
