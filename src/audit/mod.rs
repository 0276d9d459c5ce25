//! Who changed credentials, permissions, settings and all else that is administered, in a log that
//! tells when it was tampered with.
//!
//! An event is written by the transaction of its change. A job seals the events of each workspace
//! in Merkle trees, one a minute, each holding the hash of the one before. What happens to
//! customers every day is not here but in the journal.

pub mod hash;
mod list;
mod record;
pub mod seal;
pub mod verify;

pub use list::routes;
pub use record::{By, Event, changed, created, deleted, done, forget, record, record_as};
