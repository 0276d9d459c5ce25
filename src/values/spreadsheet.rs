//! CSV that a spreadsheet can open: what it would take for a formula is text.

use serde_json::Value;

use crate::error::{Error, Result};

/// A text as a cell. One that a spreadsheet would take for a formula is marked as text by an
/// apostrophe; phone numbers and negative numbers are none.
pub fn cell(text: &str) -> String {
    // What looks as if it were marked is marked too, or nobody could tell the two apart.
    if is_formula(text) || is_marked(text) { format!("'{text}") } else { text.to_owned() }
}

/// The text of a cell without the apostrophe that marks it as text, here or in a spreadsheet.
pub fn plain(cell: &str) -> &str {
    if is_marked(cell) { &cell[1..] } else { cell }
}

/// Whether an apostrophe stands before what would be a formula or a number, or is marked itself.
fn is_marked(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('\'') else { return false };
    let is_number = rest.contains(|c: char| c.is_ascii_digit())
        && rest.chars().all(|c| c.is_ascii_digit() || " .,()/+-".contains(c));
    is_formula(rest) || is_number || is_marked(rest)
}

/// A value as a cell: lists of words with commas, everything else that is nested as JSON.
pub fn value(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => cell(text),
        Value::Array(items) if items.iter().all(is_word) => {
            let words: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            cell(&words.join(", "))
        }
        other => other.to_string(),
    }
}

/// Whether a list with this item can be read again between its commas.
fn is_word(item: &Value) -> bool {
    let is_plain = |text: &str| {
        !text.contains([',', ';', '"']) && !text.starts_with('[') && text.trim() == text
    };
    item.as_str().is_some_and(is_plain)
}

fn is_formula(text: &str) -> bool {
    let is_number = |rest: &str| rest.chars().all(|c| c.is_ascii_digit() || " .()-".contains(c));
    match text.chars().next() {
        Some('=' | '@' | '\t' | '\r') => true,
        Some('+' | '-') => !is_number(&text[1..]),
        _ => false,
    }
}

type Writer = csv::Writer<Vec<u8>>;

/// Lines of CSV as RFC 4180 has them.
pub fn writer() -> Writer {
    csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new())
}

pub fn write<'a>(out: &mut Writer, cells: impl IntoIterator<Item = &'a str>) -> Result<()> {
    let cells = cells.into_iter().map(cell);
    out.write_record(cells).map_err(|error| Error::internal(error.to_string()))
}

pub fn finish(out: Writer) -> Result<Vec<u8>> {
    out.into_inner().map_err(|error| Error::internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_marked_is_read_as_it_was() {
        for text in
            ["=1+1", "'=1+1", "''=x", "'4501", "4501", "+43 1", "O'Neil", "'tis", "\t=1", "'"]
        {
            assert_eq!(plain(&cell(text)), text);
        }
        for (marked, text) in
            [("'4501", "4501"), ("'+1415 22", "+1415 22"), ("'90s kid", "'90s kid")]
        {
            assert_eq!(plain(marked), text);
        }
    }

    #[test]
    fn words_with_commas_are_json() {
        assert_eq!(value(&serde_json::json!(["a", "b c"])), "a, b c");
        assert_eq!(value(&serde_json::json!(["a, b", "c"])), "[\"a, b\",\"c\"]");
    }

    #[test]
    fn a_formula_is_text_and_a_phone_number_stays_one() {
        for formula in ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3+cmd|'x'!A0", "\t=1"] {
            assert!(is_formula(formula), "{formula}");
        }
        for text in ["+436641234567", "-12.50", "+43 (664) 123-45", "Ada", ""] {
            assert!(!is_formula(text), "{text}");
        }
    }
}
