//! Reads a request body once before it is used, for what the JSON reader would let through.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::json::{NUL_DETAIL, has_nul, push_segment};
use crate::error::{Code, Error, FieldError};

/// Levels of objects and arrays a body may have.
pub const MAX_DEPTH: usize = 32;

/// Texts with NUL beyond this many are not reported.
const MAX_FAULTS: usize = 20;

/// Checks a whole JSON document without building it.
///
/// # Errors
/// 400 `invalid_json` when it is no JSON in UTF-8, names a key twice in one object, or is deeper
/// than [`MAX_DEPTH`]; 422 with `nul_character` for every text or key that contains U+0000.
pub fn scan(bytes: &[u8]) -> Result<(), Error> {
    let mut state = State::default();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let end = Scan(&mut state).deserialize(&mut reader).and_then(|()| reader.end());
    if let Some(fault) = state.fault {
        return Err(Error::new(Code::INVALID_JSON, fault));
    }
    end.map_err(|error| unreadable(&error))?;
    if state.nul.is_empty() { Ok(()) } else { Err(Error::invalid(state.nul)) }
}

fn unreadable(error: &serde_json::Error) -> Error {
    let (line, column) = (error.line(), error.column());
    let detail = format!("the body is not valid JSON in UTF-8 at line {line} column {column}");
    Error::new(Code::INVALID_JSON, detail)
}

/// Where the scan is and what it has found.
#[derive(Default)]
struct State<'de> {
    /// Keys of the objects that are open; those of one object lie together.
    keys: Vec<Cow<'de, str>>,
    path: Vec<Step>,
    fault: Option<String>,
    nul: Vec<FieldError>,
}

/// One step down into the document.
#[derive(Clone, Copy)]
enum Step {
    /// Position in [`State::keys`].
    Key(usize),
    Item(usize),
}

impl State<'_> {
    fn pointer(&self) -> String {
        let mut pointer = String::from("#");
        for step in &self.path {
            match *step {
                Step::Key(at) => push_segment(&mut pointer, &self.keys[at]),
                Step::Item(at) => push_segment(&mut pointer, &at.to_string()),
            }
        }
        pointer
    }

    fn look_at(&mut self, text: &str) {
        if has_nul(text) && self.nul.len() < MAX_FAULTS {
            self.nul.push(FieldError::at(self.pointer(), "nul_character", NUL_DETAIL));
        }
    }

    fn stop<E: de::Error>(&mut self, fault: String) -> E {
        self.fault = Some(fault);
        E::custom("refused")
    }

    fn enter<E: de::Error>(&mut self) -> Result<(), E> {
        if self.path.len() < MAX_DEPTH {
            return Ok(());
        }
        Err(self.stop(format!("the body may be at most {MAX_DEPTH} levels deep")))
    }

    /// Forgets the keys from `start` on, which are those of one object.
    fn leave<E: de::Error>(&mut self, start: usize) -> Result<(), E> {
        let keys = &mut self.keys[start..];
        keys.sort_unstable();
        let double = keys.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].clone());
        self.keys.truncate(start);
        let Some(key) = double else { return Ok(()) };
        let mut pointer = self.pointer();
        push_segment(&mut pointer, &key);
        Err(self.stop(format!("the body has `{pointer}` more than once")))
    }
}

/// Scans one value.
struct Scan<'a, 'de>(&'a mut State<'de>);

impl<'de> DeserializeSeed<'de> for Scan<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scan<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.look_at(text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let state = self.0;
        state.enter()?;
        state.path.push(Step::Item(0));
        let mut next = 1;
        while items.next_element_seed(Scan(state))?.is_some() {
            if let Some(step) = state.path.last_mut() {
                *step = Step::Item(next);
            }
            next += 1;
        }
        state.path.pop();
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let state = self.0;
        state.enter()?;
        let start = state.keys.len();
        while let Some(key) = members.next_key_seed(Key)? {
            state.keys.push(key);
            state.path.push(Step::Key(state.keys.len() - 1));
            state.look_at_key();
            members.next_value_seed(Scan(state))?;
            state.path.pop();
        }
        state.leave(start)
    }
}

impl State<'_> {
    fn look_at_key(&mut self) {
        if self.keys.last().is_some_and(|key| has_nul(key)) {
            self.look_at("\0");
        }
    }
}

/// Reads a key, from the body itself unless it is written with escapes.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `code pointer` of every fault, or the code and detail of a refusal as a whole.
    fn refusal(body: impl AsRef<[u8]>) -> Vec<String> {
        let error = scan(body.as_ref()).unwrap_err();
        let rejection = error.rejection();
        if rejection.errors.is_empty() {
            return vec![format!("{} {}", rejection.code, rejection.detail)];
        }
        let show = |e: &FieldError| format!("{} {}", e.code, e.pointer.clone().unwrap_or_default());
        rejection.errors.iter().map(show).collect()
    }

    #[test]
    fn ordinary_json_passes() {
        let bodies = [
            r#"{"a":1,"b":[{"a":1},{"a":2}],"c":{"a":{"a":null}},"d":-1.5,"e":true,"f":"\u00e9"}"#,
            "[]",
            " 1 ",
            "null",
            r#""text""#,
            r#"{"":1," ":2}"#,
            r#"{"a":{"b":1},"b":1}"#,
        ];
        for body in bodies {
            assert!(scan(body.as_bytes()).is_ok(), "{body}");
        }
    }

    #[test]
    fn a_key_twice_in_one_object_is_refused_at_any_depth() {
        let twice = |pointer| vec![format!("invalid_json the body has `{pointer}` more than once")];
        assert_eq!(refusal(r#"{"a":1,"a":2}"#), twice("#/a"));
        assert_eq!(refusal(r#"{"x":[0,{"y":{"b":1,"c":{"b":0},"b":2}}]}"#), twice("#/x/1/y/b"));
        assert_eq!(refusal(r#"{"a":1,"\u0061":2}"#), twice("#/a"));
    }

    #[test]
    fn nul_is_reported_with_its_pointer() {
        let body = r#"{"first_name":"a\u0000b","items":[{"k\u0000":1},"\u0000"],"ok":"\\u0000"}"#;
        let expected = [
            "nul_character #/first_name",
            "nul_character #/items/0/k%00",
            "nul_character #/items/1",
        ];
        assert_eq!(refusal(body), expected);
        assert_eq!(
            refusal("[\"\\u0000\"".to_string() + &",\"\\u0000\"".repeat(99) + "]").len(),
            20
        );
    }

    #[test]
    fn a_body_has_32_levels_at_most() {
        let nested = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert!(scan(nested(32).as_bytes()).is_ok());
        assert!(scan((r#"{"a":"#.repeat(32) + "1" + &"}".repeat(32)).as_bytes()).is_ok());
        for n in [33, 127, 128, 129, 100_000] {
            assert_eq!(refusal(nested(n)), ["invalid_json the body may be at most 32 levels deep"]);
            assert_eq!(refusal(r#"{"a":"#.repeat(n)).len(), 1);
        }
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_place() {
        let bodies: [&[u8]; 9] = [
            b"",
            b"{",
            b"{}x",
            b"{\"a\":1,}",
            b"\"\xff\"",
            b"{\"s\":\"\\ud800\"}",
            b"1e400",
            b"NaN",
            b"\"a\0b\"",
        ];
        for body in bodies {
            assert!(
                refusal(body)[0].contains("not valid JSON in UTF-8 at line 1 column"),
                "{body:?}"
            );
        }
    }
}
