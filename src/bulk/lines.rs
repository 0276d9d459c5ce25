//! The records of a file, one after the other, each with the rows that it is made of: one, unless they
//! are the lines of an order or the pictures of a product.

use serde_json::Value;

use super::head::FileHead;
use super::mapping::{Cells, Plan, Whole};
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
    /// Rows, without those that are blank.
    pub rows: i64,
    /// About how many bytes it takes, with what it has of its product.
    pub weight: usize,
}

/// A record that is being put together.
struct Row {
    text: Vec<u8>,
    cells: Result<Cells>,
    /// What names its order or product, also where the rest cannot be read.
    name: Option<String>,
    bytes: usize,
    rows: i64,
    weight: usize,
}

/// Reads records. One row is read ahead, where it may belong to the one before.
pub struct Lines<'a> {
    plan: &'a Plan,
    splitter: Splitter,
    ahead: Option<std::result::Result<Row, Broken>>,
    /// The product that further rows may be variants of, its handle, and about how many bytes it takes.
    product: Option<(String, Cells, usize)>,
}

type Read<T> = Result<Option<std::result::Result<T, Broken>>>;

impl<'a> Lines<'a> {
    pub fn new(plan: &'a Plan, format: BulkFormat, head: &FileHead) -> Self {
        let delimiter = (format == BulkFormat::Csv).then_some(head.delimiter);
        let splitter = Splitter::new(delimiter, head.line_end);
        Self { plan, splitter, ahead: None, product: None }
    }

    /// Whether the next row is a variant of the product of the last one: they are taken in together.
    pub fn is_within(&self) -> bool {
        match (&self.product, &self.ahead) {
            (Some((handle, ..)), Some(Ok(next))) => next.is_further(handle),
            _ => false,
        }
    }

    /// The next record; `None` at the end.
    pub fn next(&mut self, source: &mut dyn Source) -> Read<Line> {
        let mut row = match self.row(source)? {
            Some(Ok(row)) => row,
            Some(Err(broken)) => return Ok(Some(Err(broken))),
            None => return Ok(None),
        };
        if self.plan.whole() == Some(Whole::Product) {
            self.complete(&mut row);
        }
        while let (Some(whole), None) = (self.plan.whole(), &self.ahead) {
            match self.row(source)? {
                None => break,
                Some(Ok(next)) => self.ahead = row.join(next, whole).map(Ok),
                Some(Err(broken)) => self.ahead = Some(Err(broken)),
            }
        }
        let value = row.cells.and_then(|cells| self.plan.completed(cells));
        let Row { text, bytes, rows, weight, .. } = row;
        Ok(Some(Ok(Line { text, value, bytes, rows, weight })))
    }

    /// Gives a variant what its product has; remembers the product otherwise.
    fn complete(&mut self, row: &mut Row) {
        let Some(handle) = &row.name else { return };
        match &self.product {
            Some((known, product, weight)) if row.is_further(known) => {
                row.weight += weight;
                let options = self.plan.options(&row.text);
                if let Ok(cells) = &mut row.cells {
                    let sku = cells.get("sku").and_then(Value::as_str).map(str::to_owned);
                    let options = (!options.is_empty()).then(|| options.join("/"));
                    shops::variant(cells, product, sku.or(options).as_deref());
                }
            }
            _ => {
                let cells = row.cells.as_ref().ok();
                self.product = cells.map(|cells| (handle.clone(), cells.clone(), row.weight));
            }
        }
    }

    fn row(&mut self, source: &mut dyn Source) -> Read<Row> {
        if let Some(ahead) = self.ahead.take() {
            return Ok(Some(ahead));
        }
        Ok(self.splitter.next(source)?.map(|read| {
            read.map(|record| {
                let cells = self.plan.read(&record.bytes);
                let name = self.plan.name(&record.bytes);
                let rows = i64::from(!record.bytes.trim_ascii().is_empty());
                let weight = record.bytes.len();
                Row { text: record.bytes, cells, name, bytes: record.consumed, rows, weight }
            })
        }))
    }
}

impl Row {
    /// Whether it says only what is new beside the row before, whose product has this handle.
    fn is_further(&self, handle: &str) -> bool {
        let is_alike = self.name.as_deref() == Some(handle);
        is_alike && self.cells.as_ref().is_ok_and(shops::is_further)
    }

    /// Takes in the row that follows, if it is a line of the same order, a picture of the same product, or
    /// blank; else gives it back. An order of which a row cannot be read is refused whole.
    fn join(&mut self, next: Self, whole: Whole) -> Option<Self> {
        let is_blank = next.text.trim_ascii().is_empty();
        let is_alike = next.name.is_some() && next.name == self.name;
        let is_picture = || is_alike && next.cells.as_ref().is_ok_and(shops::is_picture);
        if is_blank || whole == Whole::Product && is_picture() {
            (self.bytes, self.rows) = (self.bytes + next.bytes, self.rows + next.rows);
            return None;
        }
        if whole == Whole::Product {
            return Some(next);
        }
        let is_line = match (&mut self.cells, &next.cells) {
            (Ok(order), Ok(cells)) => shops::join(order, cells),
            _ => is_alike,
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
