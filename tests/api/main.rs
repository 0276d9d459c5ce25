//! The API, tested from outside: real HTTP against a real Postgres.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod api_keys;
mod as_of;
mod attributes;
mod audit;
mod bulk;
mod carts;
mod channels;
mod connectors;
mod consents;
mod customer_search;
mod customers;
mod database;
mod dice;
mod guards;
mod harness;
mod http;
mod idempotency;
mod identities;
mod lifecycle;
mod lints;
mod me;
mod merges;
mod openapi;
mod openapi_rules;
mod orders;
mod organizations;
mod predicate;
mod privacy;
mod products;
mod profiles;
mod rules;
mod sessions;
mod statements;
mod suppressions;
mod tags;
mod test_mode;
mod things;
mod timeline;
mod touchpoints;
mod tracking;
mod trusted_issuers;
mod users;
mod verify;
mod workspaces;
