//! What the first line of a file says: its columns, what parts them, and what they may mean.

use serde::{Deserialize, Serialize};

use super::imports::ImportSettings;
use super::mapping::Mapping;
use super::records::{self, Record, Splitter};
use super::row::{BulkFormat, Row};
use crate::error::{Error, Result};

/// What the head of the uploaded file shows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FileHead {
    pub columns: Vec<String>,
    pub delimiter: u8,
    /// The byte at which lines end.
    #[serde(default = "lf")]
    pub line_end: u8,
    /// Bytes of the head line and of what stands before it.
    pub bytes: i64,
    pub suggested: Mapping,
}

fn lf() -> u8 {
    records::LF
}

/// What the upload found; 409 before there is a file.
pub fn head_of(row: &Row) -> Result<FileHead> {
    let found = row.found.as_ref().filter(|_| row.file_id.is_some());
    found.ok_or_else(|| Error::transition("the import has no file", &[]))?.parse()
}

/// Reads the head of a file from its first piece.
pub fn read_head(row: &Row, start: &[u8]) -> Result<FileHead> {
    let settings: ImportSettings = row.settings.parse()?;
    let marked = if start.starts_with(records::BOM) { records::BOM.len() } else { 0 };
    let line_end = records::line_end(start);
    let at = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
    if row.format == BulkFormat::Ndjson {
        let (columns, suggested) = Default::default();
        return Ok(FileHead { columns, delimiter: 0, line_end, bytes: at(marked), suggested });
    }
    let (record, delimiter, before) = head_line(&start[marked..], line_end)?;
    let columns = distinct(records::fields(&record.bytes, delimiter));
    if columns.len() > records::MAX_COLUMNS {
        return no_head("the head line has more than 500 columns");
    }
    let suggested = row.resource.suggestions(&columns, settings.source.as_deref());
    let bytes = at(marked + before + record.consumed);
    Ok(FileHead { columns, delimiter, line_end, bytes, suggested })
}

fn no_head<T>(detail: &str) -> Result<T> {
    Err(Error::field("#", "no_head_line", detail))
}

/// The first line that is not blank and not `sep=;`, by which Excel is told what parts fields; with that
/// byte, and how many bytes stand before it.
fn head_line(mut rest: &[u8], line_end: u8) -> Result<(Record, u8, usize)> {
    let (mut before, mut told) = (0, None);
    loop {
        // Quotes are the same with every delimiter in a head line that is one line.
        let line = rest.split(|byte| *byte == line_end).next().unwrap_or_default();
        let delimiter = told.unwrap_or_else(|| records::delimiter(line));
        let record = match Splitter::new(Some(delimiter), line_end).next(&mut rest)? {
            Some(Ok(record)) => record,
            Some(Err(broken)) => return no_head(broken.detail()),
            None => return no_head("the file is empty"),
        };
        match record.bytes.as_slice() {
            [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', byte] if b",;\t|".contains(byte) => {
                told = Some(*byte);
            }
            bytes if bytes.trim_ascii().is_empty() => {}
            _ => return Ok((record, delimiter, before)),
        }
        before += record.consumed;
    }
}

/// Columns of the same name are told apart: `Email`, `Email (2)`.
fn distinct(columns: Vec<String>) -> Vec<String> {
    let mut found: Vec<String> = Vec::with_capacity(columns.len());
    for column in columns {
        let column: String = column.trim().chars().take(190).collect();
        let numbered = (2..).map(|n| format!("{column} ({n})"));
        let mut names = std::iter::once(column.clone()).chain(numbered);
        found.extend(names.find(|name| !found.contains(name)));
    }
    found
}
