//! What a value has to be instead, in the words of JSON: what the libraries that read it say of a
//! mistake is about Rust.

/// What a time looks like.
pub const TIME: &str = "must be a time with its zone, such as `2026-11-01T12:00:00Z`";

const DAY: &str = "must be a day such as `2026-11-01`";

const ID: &str = "must be a UUID such as `0192f0c1-2a3b-7c4d-8e5f-60718293a4b5`";

/// The fields and parameters that are days, as others are times.
const DAYS: [&str; 5] = ["birth_date", "since", "until", "from", "to"];

/// What chrono says of a text that is no time.
const NO_TIME: [&str; 6] = [
    "input is out of range",
    "no possible date and time matching input",
    "input is not enough for unique date and time",
    "input contains invalid characters",
    "premature end of input",
    "trailing input",
];

/// What is wrong with the value of `name`, given what the library said of it; never the value.
pub fn plain(name: &str, said: &str) -> String {
    let said = said.strip_prefix("a value is not allowed: ").unwrap_or(said);
    match said {
        _ if NO_TIME.contains(&said) => moment(name).to_owned(),
        _ if said.contains("UUID") || said.starts_with("invalid length: found ") => ID.to_owned(),
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            "must be a whole number".to_owned()
        }
        "number too large to fit in target type" => "is too large".to_owned(),
        "number too small to fit in target type" => "is too small".to_owned(),
        "invalid float literal" => "must be a number".to_owned(),
        _ => unexpected(name, said).unwrap_or_else(|| said.to_owned()),
    }
}

/// Whether a text says what a value must be, and so goes on after its name.
pub fn is_demand(text: &str) -> bool {
    text.starts_with("must ") || text.starts_with("is ")
}

fn moment(name: &str) -> &'static str {
    if DAYS.contains(&name) { DAY } else { TIME }
}

/// Serde's "invalid type: string \"x\", expected struct Money" and its like.
fn unexpected(name: &str, said: &str) -> Option<String> {
    let (found, expected) = said.split_once(", expected ")?;
    if found.starts_with("unknown variant") {
        return Some(format!("must be {expected}"));
    }
    if expected.ends_with("date and time string") || expected.ends_with("date string") {
        return Some(moment(name).to_owned());
    }
    let must = format!("must be {}", wanted(expected));
    let not = found.strip_prefix("invalid type: ").map(kind);
    Some(not.map_or_else(|| must.clone(), |not| format!("{must}, not {not}")))
}

/// What was expected, as JSON calls it.
fn wanted(expected: &str) -> String {
    let text = match expected {
        "struct Money" => "an object such as `{\"amount\": 1999, \"currency\": \"EUR\"}`",
        "a map" => "an object",
        "a sequence" => "an array",
        "a boolean" | "\"true\", \"on\" or \"false\"" => "`true` or `false`",
        "i64" | "u64" | "usize" | "i128" | "u128" => "a whole number",
        "i32" => "a whole number from -2147483648 to 2147483647",
        "u32" => "a whole number from 0 to 4294967295",
        "i16" => "a whole number from -32768 to 32767",
        "u16" => "a whole number from 0 to 65535",
        "i8" => "a whole number from -128 to 127",
        "u8" => "a whole number from 0 to 255",
        "f32" | "f64" => "a number",
        _ if expected.starts_with("struct ") => "an object",
        _ => expected,
    };
    text.to_owned()
}

/// What was sent, as JSON calls it; the value behind it is left out.
fn kind(found: &str) -> &'static str {
    let is = |word: &str| found.starts_with(word);
    match found {
        _ if is("string") => "a string",
        _ if is("integer") => "a number",
        _ if is("floating point") => "a fraction",
        _ if is("boolean") => "a boolean",
        _ if is("sequence") => "an array",
        _ if is("map") => "an object",
        _ if is("null") || is("unit") => "null",
        _ => "this",
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, NaiveDate, Utc};
    use serde::Deserialize;
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::orders::types::OrderStatus;
    use crate::values::money::Money;

    #[derive(Deserialize, Debug)]
    struct Thing {}

    fn said_of<T: DeserializeOwned + std::fmt::Debug>(name: &str, value: Value) -> String {
        let error = serde_json::from_value::<T>(value).unwrap_err();
        plain(name, &error.to_string())
    }

    #[test]
    fn a_time_or_a_day_is_asked_for_by_an_example() {
        for text in [
            "2026-11-01",
            "2026-11-01T00:00:00",
            "2026-13-01T00:00:00Z",
            "x",
            "",
            "2026-11-01T00:00:00Zx",
            "01.11.2026",
        ] {
            assert_eq!(said_of::<DateTime<Utc>>("placed_at", json!(text)), TIME, "{text}");
        }
        for text in ["2026-11-01T00:00:00Z", "2026-13-01", "x", "01.11.2026", ""] {
            assert_eq!(said_of::<NaiveDate>("from", json!(text)), DAY, "{text}");
        }
        assert_eq!(said_of::<DateTime<Utc>>("placed_at", json!(1_700_000_000)), TIME);
        assert_eq!(said_of::<NaiveDate>("birth_date", json!(1)), DAY);
    }

    #[test]
    fn every_other_mistake_says_what_to_send() {
        for text in ["abc", "", "0192f0c1-2a3b-7c4d-8e5f-60718293a4bz", "0192f0c1-2a3b"] {
            assert_eq!(said_of::<Uuid>("id", json!(text)), ID, "{text}");
        }
        let money = "must be an object such as `{\"amount\": 1999, \"currency\": \"EUR\"}`";
        assert_eq!(said_of::<Money>("total", json!("19.99")), format!("{money}, not a string"));
        assert_eq!(said_of::<Money>("total", json!(1999)), format!("{money}, not a number"));
        let cases = [
            (said_of::<i64>("amount", json!(1.5)), "must be a whole number, not a fraction"),
            (said_of::<i64>("amount", json!("1")), "must be a whole number, not a string"),
            (said_of::<u8>("n", json!(300)), "must be a whole number from 0 to 255"),
            (said_of::<Vec<String>>("tags", json!("a,b")), "must be an array, not a string"),
            (said_of::<String>("name", json!(null)), "must be a string, not null"),
            (said_of::<bool>("b", json!("yes")), "must be `true` or `false`, not a string"),
            (said_of::<Thing>("b", json!("x")), "must be an object, not a string"),
            (
                said_of::<OrderStatus>("status", json!("secret")),
                "must be one of `open`, `completed`, `cancelled`, `archived`",
            ),
        ];
        for (said, expected) in cases {
            assert_eq!(said, expected);
        }
        assert_eq!(plain("limit", "invalid digit found in string"), "must be a whole number");
        assert_eq!(plain("x", "null cannot clear this field"), "null cannot clear this field");
    }
}
