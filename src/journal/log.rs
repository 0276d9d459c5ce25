//! What a transaction has to tell: kept until its end, and then stored by one statement, so that a
//! batch of a thousand changes appends once and holds the counters for a moment.

use super::{Entry, append};
use crate::db::Tx;
use crate::error::Result;

/// How much may wait to be stored.
const WAITING: usize = 1_000;

/// What a transaction has told so far. What is stored stays here, too: a savepoint that is undone may
/// have stored what was told before it.
#[derive(Debug, Default)]
pub struct Log {
    entries: Vec<Entry>,
    stored: usize,
    is_backfill: bool,
}

/// A place in a log to go back to.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    entries: usize,
    stored: usize,
}

impl Log {
    /// Where the log stands.
    pub fn mark(&self) -> Mark {
        Mark { entries: self.entries.len(), stored: self.stored }
    }

    /// Takes back what was told and stored since.
    pub fn back_to(&mut self, mark: Mark) {
        self.entries.truncate(mark.entries);
        self.stored = mark.stored;
    }

    pub(super) fn is_backfill(&self) -> bool {
        self.is_backfill
    }

    pub(super) fn waiting(&self) -> &[Entry] {
        &self.entries[self.stored..]
    }

    pub(super) fn mark_stored(&mut self) {
        self.stored = self.entries.len();
    }
}

/// Enters what happened, to be stored before the transaction commits.
pub fn enter(tx: &mut Tx, entries: impl IntoIterator<Item = Entry>) -> Result<()> {
    tx.log.entries.extend(entries);
    if tx.log.waiting().len() < WAITING { Ok(()) } else { flush(tx) }
}

/// Says that what the transaction tells happened long ago and is told to be complete: nobody is sent
/// webhooks of it.
pub fn backfill(tx: &mut Tx) {
    tx.log.is_backfill = true;
}

/// Stores what waits: at the end of a transaction, and before it asks the log or moves it.
pub fn flush(tx: &mut Tx) -> Result<()> {
    append(tx, &[]).map(drop)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::super::Change;
    use super::*;

    fn entry(n: u128) -> Entry {
        let subject = ("tag", Uuid::nil());
        let kind = "tag.created";
        let (customer_id, organization_id, channel_id) = (None, None, None);
        let properties = json!({});
        Change { kind, customer_id, organization_id, channel_id, subject, properties }
            .entry(Uuid::from_u128(n), json!({}))
    }

    fn waiting(log: &Log) -> Vec<u128> {
        log.waiting().iter().map(|entry| entry.id.as_u128()).collect()
    }

    #[test]
    fn a_savepoint_that_is_undone_takes_back_what_was_told_and_what_was_stored_in_it() {
        let mut log = Log::default();
        log.entries.extend([entry(1), entry(2)]);
        let mark = log.mark();
        log.entries.push(entry(3));
        log.mark_stored();
        log.entries.push(entry(4));
        assert_eq!(waiting(&log), [4]);
        log.back_to(mark);
        assert_eq!(waiting(&log), [1, 2]);
        log.mark_stored();
        assert_eq!(waiting(&log), [0_u128; 0]);
    }
}
