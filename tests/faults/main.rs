//! Faults: the real binary over a real Postgres, while network, database, disk and callers fail.
//!
//! `cargo test --test faults` takes a few minutes, one test after the other, because most of them
//! measure times. `FAULTS=long` goes further: a database that is away for 20 seconds, 25 restarts of
//! each kind, 40 kills under 100,000 acknowledgements, 40 more under 100,000 webhooks. `FAULTS_SEED` repeats a
//! kill test.

#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![allow(clippy::print_stdout, reason = "a test tells what it measured")]

mod backends;
mod capacity;
mod client;
mod cuts;
mod deadlocks;
mod delivery;
mod disk;
mod golden;
mod kill;
mod migrations;
mod network;
mod postgres;
mod promise;
mod proxy;
mod restarts;
mod service;
mod shutdown;
mod sockets;
mod stage;
mod wire;

/// Whether the long versions were asked for.
fn is_long() -> bool {
    std::env::var("FAULTS").is_ok_and(|value| value == "long")
}
