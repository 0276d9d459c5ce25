//! One line in the log for everything that happened, for people or for machines.
//!
//! Values that come from outside cannot break a line or move a terminal's cursor: control
//! characters are written as escapes.

use std::fmt::Write as _;
use std::io::Write as _;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use env_logger::Builder;
use log::{LevelFilter, Record, kv};
use serde::Serialize;
use serde_json::Value;

/// Libraries that talk a lot about themselves; they get `warn` unless `RUST_LOG` names them.
const CHATTY: [&str; 5] = ["actix", "diesel", "r2d2", "rustls", "ureq"];

/// The names of a JSON line's own members, which key-values cannot take.
const RESERVED: [&str; 4] = ["ts", "level", "target", "message"];

/// How a log line is written (`LOG_FORMAT`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `2026-11-22T03:14:48.123Z INFO ecrm::http request method=GET status=200`
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(format!("`{other}` is not a log format; use `text` or `json`")),
        }
    }
}

/// Sends the log to standard error, filtered by `RUST_LOG` (default `info`); the first call counts.
pub fn init(format: Format) {
    let filters = std::env::var("RUST_LOG").unwrap_or_default();
    if builder(format, &filters).try_init().is_err() {
        log::debug!("logging was set up before");
    }
}

fn builder(format: Format, filters: &str) -> Builder {
    let mut builder = Builder::new();
    builder.filter_level(LevelFilter::Info);
    for library in CHATTY {
        builder.filter_module(library, LevelFilter::Warn);
    }
    builder.parse_filters(filters);
    builder.format(move |out, record| writeln!(out, "{}", line(format, Utc::now(), record)));
    builder
}

/// One record as one line, without the line break; key-values that are null are left out.
pub fn line(format: Format, at: DateTime<Utc>, record: &Record<'_>) -> String {
    let ts = at.to_rfc3339_opts(SecondsFormat::Millis, true);
    match format {
        Format::Text => text_line(&ts, record),
        Format::Json => json_line(&ts, record),
    }
}

fn text_line(ts: &str, record: &Record<'_>) -> String {
    let mut line = format!("{ts} {} {} {}", record.level(), record.target(), record.args());
    for (key, value) in fields(record) {
        let value = match value {
            Value::String(text) if is_plain(&text) => text,
            other => other.to_string(),
        };
        write!(line, " {key}={value}").expect("BUG: a string cannot be written to");
    }
    without_controls(line)
}

/// Whether a value can stand without quotes and still end where it seems to end.
fn is_plain(text: &str) -> bool {
    let ends_a_value = |c: char| c.is_whitespace() || matches!(c, '"' | '=');
    !text.is_empty() && !text.contains(ends_a_value)
}

#[derive(Serialize)]
struct JsonLine<'a> {
    ts: &'a str,
    level: &'a str,
    target: &'a str,
    message: String,
    #[serde(flatten)]
    fields: serde_json::Map<String, Value>,
}

fn json_line(ts: &str, record: &Record<'_>) -> String {
    let mut fields: serde_json::Map<_, _> = fields(record).into_iter().collect();
    fields.retain(|key, _| !RESERVED.contains(&key.as_str()));
    let (level, target) = (record.level().as_str(), record.target());
    let message = record.args().to_string();
    let line = JsonLine { ts, level, target, message, fields };
    without_controls(serde_json::to_string(&line).expect("BUG: a log line is not JSON"))
}

/// Writes CR, LF, ESC, the C1 set and Unicode's line ends as `\u….`: inside JSON strings, the only
/// place where they can still occur in JSON, the meaning stays.
fn without_controls(line: String) -> String {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if !line.contains(breaks) {
        return line;
    }
    let mut safe = String::with_capacity(line.len() + 16);
    for c in line.chars() {
        match c {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            c if breaks(c) => {
                write!(safe, "\\u{:04x}", u32::from(c)).expect("BUG: a string cannot be written to")
            }
            c => safe.push(c),
        }
    }
    safe
}

fn fields(record: &Record<'_>) -> Vec<(String, Value)> {
    let mut fields = Fields(Vec::new());
    // The visitor below never fails, and a source that does has shown us what it could.
    match record.key_values().visit(&mut fields) {
        Ok(()) | Err(_) => fields.0,
    }
}

struct Fields(Vec<(String, Value)>);

impl<'kvs> kv::VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: kv::Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
        let mut json = Json(Value::Null);
        value.visit(&mut json)?;
        if !json.0.is_null() {
            self.0.push((key.to_string(), json.0));
        }
        Ok(())
    }
}

/// A log value as JSON: numbers and truth values stay what they are, the rest becomes text.
struct Json(Value);

impl Json {
    fn set(&mut self, value: impl Into<Value>) -> Result<(), kv::Error> {
        self.0 = value.into();
        Ok(())
    }
}

impl<'v> kv::VisitValue<'v> for &mut Json {
    fn visit_any(&mut self, value: kv::Value<'_>) -> Result<(), kv::Error> {
        self.set(value.to_string())
    }

    fn visit_null(&mut self) -> Result<(), kv::Error> {
        self.set(Value::Null)
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), kv::Error> {
        self.set(value)
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), kv::Error> {
        self.set(value)
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), kv::Error> {
        self.set(value)
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), kv::Error> {
        self.set(value)
    }
}

#[cfg(test)]
mod tests {
    use log::{Level, Log as _, Metadata};
    use serde_json::json;

    use super::*;

    fn written(format: Format, message: &str, pairs: &[(&str, kv::Value<'_>)]) -> String {
        let at = "2026-11-22T03:14:48.123456Z".parse().unwrap();
        let mut record = Record::builder();
        record.level(Level::Info).target("ecrm::http").key_values(&pairs);
        line(format, at, &record.args(format_args!("{message}")).build())
    }

    #[test]
    fn a_text_line_reads_time_level_target_message_and_fields() {
        let pairs = [("method", "GET".into()), ("status", 200.into()), ("latency_ms", 1.5.into())];
        assert_eq!(
            written(Format::Text, "request", &pairs),
            "2026-11-22T03:14:48.123Z INFO ecrm::http request method=GET status=200 latency_ms=1.5"
        );
    }

    #[test]
    fn a_json_line_keeps_numbers_and_truth_values() {
        let pairs = [
            ("status", 200.into()),
            ("latency_ms", 2.0.into()),
            ("ok", true.into()),
            ("route", "/v1/customers".into()),
        ];
        let line = written(Format::Json, "request", &pairs);
        assert!(line.starts_with(r#"{"ts":"2026-11-22T03:14:48.123Z","level":"INFO""#), "{line}");
        let value: Value = serde_json::from_str(&line).unwrap();
        let expected = json!({
            "ts": "2026-11-22T03:14:48.123Z", "level": "INFO", "target": "ecrm::http",
            "message": "request", "status": 200, "latency_ms": 2.0, "ok": true,
            "route": "/v1/customers",
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn a_value_can_neither_end_a_line_nor_steer_a_terminal() {
        let evil = "a\r\nb\u{1b}[2J\u{9b}1m\u{7f}\0\u{2028}c";
        for format in [Format::Text, Format::Json] {
            let line = written(format, evil, &[("note", evil.into())]);
            assert!(!line.contains(|c: char| c.is_control() || c == '\u{2028}'), "{line:?}");
            assert!(line.contains(r"a\r\nb\u001b[2J\u009b1m\u007f\u0000\u2028c"), "{line}");
        }
        let json: Value =
            serde_json::from_str(&written(Format::Json, evil, &[("note", evil.into())])).unwrap();
        assert_eq!((json["message"].as_str(), json["note"].as_str()), (Some(evil), Some(evil)));
    }

    #[test]
    fn a_value_cannot_pretend_to_be_another_field() {
        let pairs = [("route", "/x status=200".into()), ("empty", "".into()), ("q", "\"".into())];
        let line = written(Format::Text, "request", &pairs);
        assert!(line.ends_with(r#"request route="/x status=200" empty="" q="\"""#), "{line}");
    }

    #[test]
    fn fields_that_are_null_or_named_like_the_line_itself_are_left_out() {
        let pairs = [("workspace_id", kv::Value::null()), ("level", "forged".into())];
        let line = written(Format::Json, "request", &pairs);
        assert!(!line.contains("workspace_id") && !line.contains("forged"), "{line}");
    }

    fn is_logged(filters: &str, target: &str, level: Level) -> bool {
        let metadata = Metadata::builder().target(target).level(level).build();
        builder(Format::Text, filters).build().enabled(&metadata)
    }

    #[test]
    fn the_default_is_info_for_us_and_warn_for_chatty_libraries() {
        assert!(is_logged("", "ecrm::http", Level::Info));
        assert!(!is_logged("", "ecrm::http", Level::Debug));
        for library in ["actix_server::builder", "diesel", "rustls::client", "ureq_proto"] {
            assert!(is_logged("", library, Level::Warn), "{library}");
            assert!(!is_logged("", library, Level::Info), "{library}");
        }
    }

    #[test]
    fn rust_log_raises_a_library_only_by_its_name() {
        assert!(is_logged("debug", "ecrm::db", Level::Debug));
        assert!(!is_logged("debug", "rustls::client", Level::Debug));
        assert!(is_logged("rustls=debug", "rustls::client", Level::Debug));
        assert!(is_logged("info,actix_web=trace", "actix_web::app", Level::Trace));
        assert!(!is_logged("info,actix_web=trace", "actix_server", Level::Info));
    }

    #[test]
    fn a_format_is_text_or_json() {
        assert_eq!("json".parse(), Ok(Format::Json));
        assert_eq!("text".parse(), Ok(Format::Text));
        assert!("xml".parse::<Format>().unwrap_err().contains("`xml`"));
    }
}
