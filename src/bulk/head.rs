//! What the first line of a file says: its columns, what parts them, and what they may mean.

use serde::{Deserialize, Serialize};

use super::imports::ImportSettings;
use super::mapping::Mapping;
use super::records::{self, Splitter};
use super::row::{BulkFormat, Row};
use crate::error::{Error, Result};

/// What the head of the uploaded file shows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FileHead {
    pub columns: Vec<String>,
    pub delimiter: u8,
    /// Bytes of the head line and of what stands before it.
    pub bytes: i64,
    pub suggested: Mapping,
}

/// What the upload found; 409 before there is a file.
pub fn head_of(row: &Row) -> Result<FileHead> {
    let found = row.found.as_ref().filter(|_| row.file_id.is_some());
    found.ok_or_else(|| Error::transition("the import has no file", &[]))?.parse()
}

/// Reads the head of a file from its first piece.
pub fn read_head(row: &Row, start: &[u8]) -> Result<FileHead> {
    let (resource, format) = (row.resource, row.format);
    let settings: ImportSettings = row.settings.parse()?;
    let marked = if start.starts_with(records::BOM) { records::BOM.len() } else { 0 };
    let no_head = |detail: &str| Err(Error::field("#", "no_head_line", detail));
    let at = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
    if format == BulkFormat::Ndjson {
        let (columns, suggested) = Default::default();
        return Ok(FileHead { columns, delimiter: 0, bytes: at(marked), suggested });
    }
    let mut rest = &start[marked..];
    // Quotes are the same with every delimiter in a head line that is one line.
    let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let delimiter = records::delimiter(line);
    let record = match Splitter::new(Some(delimiter)).next(&mut rest)? {
        Some(Ok(record)) => record,
        Some(Err(broken)) => return no_head(broken.detail()),
        None => return no_head("the file is empty"),
    };
    let columns = distinct(records::fields(&record.bytes, delimiter));
    if columns.len() > records::MAX_COLUMNS {
        return no_head("the head line has more than 500 columns");
    }
    let mut taken = std::collections::HashSet::new();
    let suggest = |column: &String| {
        let field = resource.suggest(column, settings.source.as_deref());
        let field = field.filter(|field| taken.insert(field.clone()))?;
        Some((column.clone(), field))
    };
    let suggested = columns.iter().filter_map(suggest).collect();
    let bytes = at(marked + record.consumed);
    Ok(FileHead { columns, delimiter, bytes, suggested })
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
