//! The records of a file, one after the other, each with the rows that it is made of: one, unless they
//! are the lines of an order.

use serde_json::Value;

use super::mapping::{Cells, Plan};
use super::records::{Broken, MAX_RECORD, Source, Splitter};
use super::row::BulkFormat;
use super::shops;
use crate::error::Result;

/// Rows that may be one order; it has at most 500 lines.
const MAX_ROWS: i64 = 500;

/// A record and where it ends.
pub struct Line {
    pub text: Vec<u8>,
    pub value: Result<Value>,
    /// Bytes up to the next record.
    pub bytes: usize,
    /// Rows, with those that are blank.
    pub rows: i64,
}

/// A record that is being put together.
struct Row {
    text: Vec<u8>,
    cells: Result<Cells>,
    /// What names its order, where the rest cannot be read.
    name: Option<String>,
    bytes: usize,
    rows: i64,
}

/// Reads records. One row is read ahead, where it may belong to the one before.
pub struct Lines<'a> {
    plan: &'a Plan,
    splitter: Splitter,
    ahead: Option<std::result::Result<Row, Broken>>,
}

type Read<T> = Result<Option<std::result::Result<T, Broken>>>;

impl<'a> Lines<'a> {
    pub fn new(plan: &'a Plan, format: BulkFormat, delimiter: u8) -> Self {
        let splitter = Splitter::new((format == BulkFormat::Csv).then_some(delimiter));
        Self { plan, splitter, ahead: None }
    }

    /// The next record; `None` at the end.
    pub fn next(&mut self, source: &mut dyn Source) -> Read<Line> {
        let mut row = match self.row(source)? {
            Some(Ok(row)) => row,
            Some(Err(broken)) => return Ok(Some(Err(broken))),
            None => return Ok(None),
        };
        while self.plan.is_joining() && self.ahead.is_none() {
            match self.row(source)? {
                None => break,
                Some(Ok(next)) => self.ahead = row.join(next).map(Ok),
                Some(Err(broken)) => self.ahead = Some(Err(broken)),
            }
        }
        let value = row.cells.and_then(|cells| self.plan.completed(cells));
        Ok(Some(Ok(Line { text: row.text, value, bytes: row.bytes, rows: row.rows })))
    }

    fn row(&mut self, source: &mut dyn Source) -> Read<Row> {
        if let Some(ahead) = self.ahead.take() {
            return Ok(Some(ahead));
        }
        Ok(self.splitter.next(source)?.map(|read| {
            read.map(|record| {
                let cells = self.plan.read(&record.bytes);
                let name = self.plan.name(&record.bytes);
                Row { text: record.bytes, cells, name, bytes: record.consumed, rows: 1 }
            })
        }))
    }
}

impl Row {
    /// Takes in the row that follows, if it is a line of the same order, or blank; else gives it back. An
    /// order of which a row cannot be read is refused whole.
    fn join(&mut self, next: Self) -> Option<Self> {
        if next.text.trim_ascii().is_empty() {
            (self.bytes, self.rows) = (self.bytes + next.bytes, self.rows + next.rows);
            return None;
        }
        let is_named_alike = next.name.is_some() && next.name == self.name;
        let is_line = match (&mut self.cells, &next.cells) {
            (Ok(order), Ok(cells)) => shops::join(order, cells),
            _ => is_named_alike,
        };
        if !is_line {
            return Some(next);
        }
        (self.bytes, self.rows) = (self.bytes + next.bytes, self.rows + next.rows);
        if self.rows > MAX_ROWS || self.text.len() + next.text.len() > MAX_RECORD {
            // What is known of it is enough to go on recognising its rows, and no more is kept.
            self.cells.iter_mut().for_each(shops::cut);
        } else {
            self.text.push(b'\n');
            self.text.extend(next.text);
        }
        if self.cells.is_ok() && next.cells.is_err() {
            self.cells = next.cells;
        }
        None
    }
}
