//! The API, tested from outside: real HTTP against a real Postgres.

mod attributes;
mod channels;
mod customers;
mod guards;
mod harness;
mod http;
mod idempotency;
mod openapi;
mod openapi_rules;
mod organizations;
mod rules;
mod things;
mod touchpoints;
