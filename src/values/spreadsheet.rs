//! CSV that a spreadsheet can open: what it would take for a formula is text.

use serde_json::Value;

use crate::error::{Error, Result};

/// A text as a cell. One that a spreadsheet would take for a formula is marked as text by an
/// apostrophe; phone numbers and negative numbers are none.
pub fn cell(text: &str) -> String {
    if is_formula(text) { format!("'{text}") } else { text.to_owned() }
}

/// A value as a cell: lists of words with commas, everything else that is nested as JSON.
pub fn value(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => cell(text),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            let words: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            cell(&words.join(", "))
        }
        other => other.to_string(),
    }
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
    fn a_formula_is_text_and_a_phone_number_stays_one() {
        for formula in ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3+cmd|'x'!A0", "\t=1"] {
            assert!(is_formula(formula), "{formula}");
        }
        for text in ["+436641234567", "-12.50", "+43 (664) 123-45", "Ada", ""] {
            assert!(!is_formula(text), "{text}");
        }
    }
}
