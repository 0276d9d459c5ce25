//! Splitting a file into records, with bounded memory and to the byte: where a record ends is where
//! the next stretch of work can begin.

use crate::error::Result;

/// Bytes that one record has at most.
pub const MAX_RECORD: usize = 1024 * 1024;
/// Columns that one record has at most.
pub const MAX_COLUMNS: usize = 500;

/// What a record cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    TooLong,
    UnclosedQuote,
}

impl Broken {
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLong => "record_too_long",
            Self::UnclosedQuote => "unclosed_quote",
        }
    }

    pub fn detail(self) -> &'static str {
        match self {
            Self::TooLong => "a record has more than 1 MiB; is a quote before it not closed?",
            Self::UnclosedQuote => "a quote opens here and is not closed until the end of the file",
        }
    }
}

/// A record of a file, without its line end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    pub bytes: Vec<u8>,
    /// Bytes up to the next record.
    pub consumed: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    FieldStart,
    Plain,
    Quoted,
    QuoteInQuoted,
}

/// Finds the end of records as RFC 4180 has them: a line break inside of quotes is none. Quotes count
/// only where a field begins with one, as spreadsheets read them.
pub struct Splitter {
    /// `None` for NDJSON, in which quotes mean nothing here.
    delimiter: Option<u8>,
    line_end: u8,
    state: State,
}

impl Splitter {
    pub fn new(delimiter: Option<u8>, line_end: u8) -> Self {
        Self { delimiter, line_end, state: State::FieldStart }
    }

    /// The position after the line break that ends the record, where it is in `bytes`.
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, byte) in bytes.iter().enumerate() {
            if *byte == self.line_end && self.state != State::Quoted {
                self.state = State::FieldStart;
                return Some(at + 1);
            }
            self.state = self.after(*byte);
        }
        None
    }

    fn after(&self, byte: u8) -> State {
        let Some(delimiter) = self.delimiter else { return State::Plain };
        match (self.state, byte) {
            (State::FieldStart, b'"') | (State::QuoteInQuoted, b'"') => State::Quoted,
            (State::Quoted, b'"') => State::QuoteInQuoted,
            (State::Quoted, _) => State::Quoted,
            (_, byte) if byte == delimiter => State::FieldStart,
            _ => State::Plain,
        }
    }

    /// The next record of a source that shows its next bytes and is told how many were taken; `None`
    /// at the end.
    pub fn next(
        &mut self,
        source: &mut dyn Source,
    ) -> Result<Option<std::result::Result<Record, Broken>>> {
        self.state = State::FieldStart;
        let mut record = Record::default();
        loop {
            let rest = source.rest()?;
            if rest.is_empty() {
                return Ok(match (record.bytes.is_empty(), self.state) {
                    (true, _) => None,
                    (false, State::Quoted) => Some(Err(Broken::UnclosedQuote)),
                    (false, _) => Some(Ok(trimmed(record))),
                });
            }
            let end = self.end(rest);
            let taken = end.unwrap_or(rest.len());
            if record.bytes.len() + taken > MAX_RECORD {
                return Ok(Some(Err(Broken::TooLong)));
            }
            record.bytes.extend_from_slice(&rest[..taken]);
            record.consumed += taken;
            source.consume(taken);
            if end.is_some() {
                return Ok(Some(Ok(trimmed(record))));
            }
        }
    }
}

fn trimmed(mut record: Record) -> Record {
    for end in [b'\n', b'\r'] {
        if record.bytes.last() == Some(&end) {
            record.bytes.pop();
        }
    }
    record
}

/// Where records come from.
pub trait Source {
    fn rest(&mut self) -> Result<&[u8]>;
    fn consume(&mut self, bytes: usize);
}

impl Source for super::pieces::Reader<'_> {
    fn rest(&mut self) -> Result<&[u8]> {
        self.rest()
    }

    fn consume(&mut self, bytes: usize) {
        self.consume(bytes);
    }
}

/// The first bytes of a file.
impl Source for &[u8] {
    fn rest(&mut self) -> Result<&[u8]> {
        Ok(self)
    }

    fn consume(&mut self, bytes: usize) {
        *self = &self[bytes..];
    }
}

/// The fields of one record.
pub fn fields(record: &[u8], delimiter: u8) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(record);
    let mut found = csv::ByteRecord::new();
    match reader.read_byte_record(&mut found) {
        Ok(true) => found.iter().map(|it| String::from_utf8_lossy(it).into_owned()).collect(),
        // An empty line has one empty field.
        _ => vec![String::new()],
    }
}

/// The byte between the fields of a head line: the most frequent one outside of quotes.
pub fn delimiter(head: &[u8]) -> u8 {
    // Outside of quotes, whichever delimiter they would belong to.
    let plain = head.split(|byte| *byte == b'"').step_by(2).collect::<Vec<_>>().concat();
    let count = |delimiter: u8| plain.iter().filter(|byte| **byte == delimiter).count();
    let candidates = [b',', b';', b'\t', b'|'];
    candidates.into_iter().rev().max_by_key(|delimiter| count(*delimiter)).unwrap_or(b',')
}

/// The byte at which lines end, in nearly every file.
pub const LF: u8 = b'\n';

/// The byte at which the lines of a file end, by its first piece: CR where no line ends in LF, as old
/// programs for the Macintosh write it.
pub fn line_end(start: &[u8]) -> u8 {
    let (mut is_quoted, mut has_cr) = (false, false);
    for byte in start {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\n' if !is_quoted => return LF,
            b'\r' if !is_quoted => has_cr = true,
            _ => {}
        }
    }
    if has_cr { b'\r' } else { LF }
}

/// The three bytes that some programs write before UTF-8.
pub const BOM: &[u8] = b"\xef\xbb\xbf";

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<std::result::Result<String, Broken>> {
        let (mut source, mut splitter) = (text.as_bytes(), Splitter::new(Some(b','), LF));
        let mut found = Vec::new();
        while let Some(record) = splitter.next(&mut source).expect("no database") {
            let is_broken = record.is_err();
            found.push(record.map(|it| String::from_utf8(it.bytes).expect("text")));
            if is_broken {
                break;
            }
        }
        found
    }

    #[test]
    fn a_line_break_ends_a_record_unless_it_is_quoted() {
        let text = "a,b\r\n\"x\ny\",\"say \"\"hi\"\"\"\n5\" pipe,z\nlast";
        let records: Vec<_> = split(text).into_iter().map(|it| it.expect("whole")).collect();
        assert_eq!(records, ["a,b", "\"x\ny\",\"say \"\"hi\"\"\"", "5\" pipe,z", "last"]);
        assert_eq!(fields(records[1].as_bytes(), b','), ["x\ny", "say \"hi\""]);
        assert_eq!(fields(records[2].as_bytes(), b','), ["5\" pipe", "z"]);
    }

    #[test]
    fn lines_may_end_in_cr_alone() {
        for (text, end) in [("a\r\n1", LF), ("a\r1\r", b'\r'), ("a\r\"x\ny\"\r", b'\r'), ("a", LF)]
        {
            assert_eq!(line_end(text.as_bytes()), end, "{text}");
        }
        let (mut source, mut splitter) = ("a,b\r1,2".as_bytes(), Splitter::new(Some(b','), b'\r'));
        let first = splitter.next(&mut source).expect("no database").expect("a record");
        assert_eq!(first.expect("whole").bytes, b"a,b");
    }

    #[test]
    fn what_never_ends_is_broken() {
        assert_eq!(split("a,b\n1,\"open\n2,3\n").last(), Some(&Err(Broken::UnclosedQuote)));
        let long = format!("\"{}", "x\n".repeat(MAX_RECORD));
        assert_eq!(split(&long), [Err(Broken::TooLong)]);
    }

    #[test]
    fn consumed_bytes_add_up_to_the_file() {
        let text = "a,b\r\n\"x\r\ny\",2\n\n3,4";
        let (mut source, mut splitter, mut sum) =
            (text.as_bytes(), Splitter::new(Some(b','), LF), 0);
        while let Some(record) = splitter.next(&mut source).expect("no database") {
            sum += record.expect("whole").consumed;
        }
        assert_eq!(sum, text.len());
    }

    #[test]
    fn the_delimiter_is_the_one_that_makes_columns() {
        let heads = [
            ("a,b,c", b','),
            ("a;\"b,c,d\";e", b';'),
            ("a\tb", b'\t'),
            ("a|b", b'|'),
            ("email", b','),
        ];
        for (head, expected) in heads {
            assert_eq!(delimiter(head.as_bytes()), expected, "{head}");
        }
    }
}
