//! The API, tested from outside: real HTTP against a real Postgres.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod api_keys;
mod channels;
mod guards;
mod harness;
mod openapi_rules;
mod organizations;
mod predicate;
mod rules;
mod sessions;
mod things;
mod trusted_issuers;
mod users;
mod workspaces;
