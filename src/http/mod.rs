//! What every endpoint shares: bodies, pages, answers, errors and limits.

pub mod batch;
pub mod body;
pub mod boundary;
pub mod client_ip;
pub mod conditional;
pub mod cors;
pub mod cursor;
pub mod idempotency;
pub mod json;
mod newcomers;
mod objects;
pub mod observe;
pub mod page;
pub mod query;
pub mod rate_limit;
pub mod reply;
pub mod request_id;
pub mod server;
pub mod service_config;
#[cfg(test)]
mod testing;
pub mod unread;
mod words;

pub use actix_web::web::Path;
pub use batch::{Batch, BatchOptions, BatchResult, Items, NewBatch};
pub use conditional::{IfMatch, IfNoneMatch};
pub use json::Json;
pub use page::{List, Page};
pub use query::{AnyOf, Exact, Query};
pub use reply::{Created, Found, NoContent, Reply, Upserted, Versioned};
pub use service_config::ServiceConfig;
