//! Postgres at its edges: what it refuses, where it is slow, away or full, and what callers notice.

mod error_map;
mod outage;
mod pressure;
mod races;
mod restart;
