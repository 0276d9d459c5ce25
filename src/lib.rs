//! ecrm, a headless eCRM: customers, channels and touchpoints behind one static OpenAPI document.
//!
//! The kernel: settings, errors, the road to the database, who may, the shape of HTTP, the log.
//! The resources: one file or folder each, from types to SQL. [`api`] mounts them all.

// The kernel; it knows no resource.
pub mod app;
pub mod audit;
pub mod auth;
pub mod config;
pub mod crypto;
pub mod db;
pub mod error;
pub mod http;
pub mod jobs;
pub mod journal;
pub mod logging;
pub mod metrics;
pub mod openapi;
pub mod outbound;
pub mod predicate;
pub mod schema;
pub mod seal;
mod text_enum;
pub mod values;

// What every resource may have.
pub mod attributes;
pub mod external_ids;
pub mod sources;
pub mod tags;

// Who may.
pub mod api_keys;
pub mod sessions;
pub mod trusted_issuers;
pub mod users;
pub mod workspaces;

// Who, where, what happened.
pub mod bulk;
pub mod channels;
pub mod consents;
pub mod customers;
pub mod me;
pub mod organizations;
pub mod privacy;
pub mod profiles;
pub mod suppressions;
pub mod touchpoints;
pub mod tracking;

// What they buy.
pub mod carts;
pub mod connectors;
pub mod orders;
pub mod products;

// What it all adds up to, and out again.
pub mod analytics;
pub mod changes;
pub mod webhooks;

// All of it together.
pub mod api;
pub mod cli;
pub mod demo;
pub mod platform;
pub mod worker;
