//! Where news come from, and how far they are believed.

use chrono::{DateTime, Utc};

/// Whose word it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// A caller's: a record moves as its state machine says.
    ByCaller,
    /// The shop's own: a record is as its shop says it is, whatever it was before.
    ByShop,
}

/// Whether news of a record are older than what is known of it, as far as both say when they are from.
pub fn is_older(news: Option<DateTime<Utc>>, known: Option<DateTime<Utc>>) -> bool {
    matches!((news, known), (Some(news), Some(known)) if news < known)
}
