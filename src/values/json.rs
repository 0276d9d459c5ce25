//! Keeps the free JSON that callers may store with a customer or touchpoint within sane bounds.

use std::io;

use serde_json::{Number, Value};

use crate::error::FieldError;

/// How large and deep a free JSON value may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Levels of objects and arrays, the value itself being the first.
    pub depth: usize,
    /// Keys of one object.
    pub keys: usize,
    /// Bytes of the value written without blanks.
    pub bytes: usize,
}

/// The limits of `attributes` and `properties`.
pub const FREE: Limits = Limits { depth: 8, keys: 200, bytes: 32 * 1024 };

/// Numbers up to here are the same in every client (RFC 8259 section 6).
const MAX_SAFE_INTEGER: u64 = 1 << 53;

/// Faults beyond this many are not reported.
const MAX_FAULTS: usize = 20;

/// Everything that is wrong with a free JSON value that lies at `pointer` (`#/attributes`): the
/// codes are `too_large`, `too_deep`, `too_many_keys`, `nul_character` and `number_out_of_range`.
pub fn check_json(pointer: &str, value: &Value, limits: &Limits) -> Vec<FieldError> {
    let mut check = Check { limits, pointer: pointer.into(), faults: Vec::new() };
    if written_bytes(value) > limits.bytes {
        check.fault("too_large", format!("the value may have at most {} bytes", limits.bytes));
        return check.faults;
    }
    check.visit(value, limits.depth);
    check.faults
}

struct Check<'a> {
    limits: &'a Limits,
    pointer: String,
    faults: Vec<FieldError>,
}

impl Check<'_> {
    fn visit(&mut self, value: &Value, levels: usize) {
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::Number(number) if !is_safe(number) => {
                self.fault("number_out_of_range", "integers must be within ±2^53".into());
            }
            Value::Number(_) => {}
            Value::String(text) if has_nul(text) => self.nul(),
            Value::String(_) => {}
            Value::Array(_) | Value::Object(_) if levels == 0 => {
                let most = self.limits.depth;
                self.fault("too_deep", format!("at most {most} levels are allowed"));
            }
            Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    self.descend(&i.to_string(), |check| check.visit(item, levels - 1));
                }
            }
            Value::Object(members) => {
                self.check_keys(members.len());
                for (key, member) in members {
                    self.descend(key, |check| check.member(key, member, levels - 1));
                }
            }
        }
    }

    fn member(&mut self, key: &str, member: &Value, levels: usize) {
        if has_nul(key) {
            self.nul();
        }
        self.visit(member, levels);
    }

    fn check_keys(&mut self, keys: usize) {
        let most = self.limits.keys;
        if keys > most {
            self.fault("too_many_keys", format!("an object may have at most {most} keys"));
        }
    }

    fn descend(&mut self, segment: &str, visit: impl FnOnce(&mut Self)) {
        let parent = self.pointer.len();
        push_segment(&mut self.pointer, segment);
        visit(self);
        self.pointer.truncate(parent);
    }

    fn nul(&mut self) {
        self.fault("nul_character", NUL_DETAIL.into());
    }

    fn fault(&mut self, code: &'static str, detail: String) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(FieldError::at(self.pointer.clone(), code, detail));
        }
    }
}

/// Why a text with U+0000 is refused; the database cannot store it.
pub const NUL_DETAIL: &str = "text must not contain the NUL character (U+0000)";

/// Whether the text contains U+0000, which the database cannot store.
pub fn has_nul(text: &str) -> bool {
    text.as_bytes().contains(&0)
}

/// Appends `/segment` to a JSON Pointer in URI fragment form (RFC 6901 sections 3 and 6).
pub fn push_segment(pointer: &mut String, segment: &str) {
    pointer.push('/');
    for c in segment.chars() {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            c if c.is_ascii_alphanumeric() || "-._!$&'()*+,;=:@?".contains(c) => pointer.push(c),
            c => {
                let mut utf8 = [0; 4];
                for byte in c.encode_utf8(&mut utf8).bytes() {
                    pointer.push_str(&format!("%{byte:02X}"));
                }
            }
        }
    }
}

/// Integers within ±2^53; fractions as they are, for they are 64-bit floats everywhere.
pub fn is_safe(number: &Number) -> bool {
    if number.is_f64() {
        let float = number.as_f64().unwrap_or(f64::NAN);
        return float.is_finite()
            && (float.fract() != 0.0 || float.abs() <= MAX_SAFE_INTEGER as f64);
    }
    number
        .as_i64()
        .map(i64::unsigned_abs)
        .or(number.as_u64())
        .is_some_and(|n| n <= MAX_SAFE_INTEGER)
}

/// How long a value is when it is written without blanks.
pub fn written_bytes(value: &Value) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, value).map_or(usize::MAX, |()| count.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn faults(value: &Value) -> Vec<(String, String)> {
        check_json("#/attributes", value, &FREE)
            .into_iter()
            .map(|fault| (fault.pointer.unwrap(), fault.code.into_owned()))
            .collect()
    }

    fn nested(levels: usize) -> Value {
        (1..levels).fold(json!({}), |inner, _| json!([inner]))
    }

    #[test]
    fn nul_is_found_in_values_and_keys_wherever_they_are() {
        let value = json!({"a": {"b": "x\u{0}"}, "c\u{0}": 1, "d": ["", "\u{0}"]});
        let expected = [
            ("#/attributes/a/b", "nul_character"),
            ("#/attributes/c%00", "nul_character"),
            ("#/attributes/d/1", "nul_character"),
        ];
        assert_eq!(faults(&value), expected.map(|(p, c)| (p.to_string(), c.to_string())));
    }

    #[test]
    fn numbers_that_clients_would_change_are_refused() {
        for good in ["0", "-0", "9007199254740992", "-9007199254740992", "0.1", "1.5e3", "1e-300"] {
            assert!(faults(&json!({"n": serde_json::from_str::<Value>(good).unwrap()})).is_empty());
        }
        for bad in [
            "9007199254740993",
            "-9007199254740993",
            "18446744073709551615",
            "1e300",
            "123456789012345678901234567890",
        ] {
            let value = json!({"n": serde_json::from_str::<Value>(bad).unwrap()});
            assert_eq!(faults(&value)[0].1, "number_out_of_range", "{bad}");
        }
        assert!(serde_json::from_str::<Value>("1e400").is_err());
    }

    #[test]
    fn eight_levels_are_allowed_and_nine_are_not() {
        assert!(faults(&nested(8)).is_empty());
        assert_eq!(faults(&nested(9))[0].1, "too_deep");
        assert_eq!(faults(&nested(9))[0].0, format!("#/attributes{}", "/0".repeat(8)));
    }

    #[test]
    fn an_object_has_200_keys_at_most() {
        let keys = |n: usize| Value::Object((0..n).map(|i| (format!("k{i}"), json!(i))).collect());
        assert!(faults(&keys(200)).is_empty());
        assert_eq!(
            faults(&json!({"a": keys(201)}))[0],
            ("#/attributes/a".into(), "too_many_keys".into())
        );
    }

    #[test]
    fn a_value_has_32_kib_at_most() {
        let of = |bytes: usize| json!({"a": "x".repeat(bytes - r#"{"a":""}"#.len())});
        assert!(faults(&of(32 * 1024)).is_empty());
        assert_eq!(faults(&of(32 * 1024 + 1)), [("#/attributes".into(), "too_large".into())]);
    }

    #[test]
    fn pointers_are_escaped_as_uri_fragments() {
        let mut pointer = String::from("#");
        push_segment(&mut pointer, "a/b~c d\u{e9}");
        assert_eq!(pointer, "#/a~1b~0c%20d%C3%A9");
    }
}
