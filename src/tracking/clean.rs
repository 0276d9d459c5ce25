//! What a call says and we could not keep as it came: numbers that readers of JSON would change become
//! text, what has a NUL character is left out. A library cannot do anything about either.

use serde_json::{Map, Value};

use crate::error::FieldError;
use crate::values::json::{NUL_DETAIL, has_nul, is_safe, push_segment};

/// Levels that are looked at; what lies deeper is refused with its call.
const LEVELS: usize = 20;

/// Makes a call one that can be kept. Its own texts stay as they are: without one of those it would be
/// another call.
pub fn clean(call: &mut Value, ignored: &mut Vec<FieldError>) {
    let Value::Object(members) = call else { return };
    for (name, member) in members {
        let is_own_text = member.is_string();
        if !is_own_text {
            let mut pointer = String::from("#");
            push_segment(&mut pointer, name);
            keepable(member, &pointer, LEVELS, ignored);
        }
    }
}

/// Whether a value can be kept, after what was to be changed in it.
fn keepable(value: &mut Value, at: &str, levels: usize, ignored: &mut Vec<FieldError>) -> bool {
    match value {
        Value::Number(number) if !is_safe(number) => *value = Value::String(number.to_string()),
        Value::String(text) if has_nul(text) => {
            ignored.push(FieldError::at(at, "nul_character", NUL_DETAIL));
            return false;
        }
        Value::Array(items) if levels > 0 => {
            for (n, item) in items.iter_mut().enumerate() {
                if !keepable(item, &format!("{at}/{n}"), levels - 1, ignored) {
                    // The others keep their places.
                    *item = Value::Null;
                }
            }
        }
        Value::Object(members) if levels > 0 => keep_members(members, at, levels - 1, ignored),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        Value::Array(_) | Value::Object(_) => {}
    }
    true
}

fn keep_members(
    members: &mut Map<String, Value>,
    at: &str,
    levels: usize,
    ignored: &mut Vec<FieldError>,
) {
    members.retain(|name, member| {
        let mut pointer = at.to_owned();
        push_segment(&mut pointer, name);
        if has_nul(name) {
            ignored.push(FieldError::at(pointer, "nul_character", NUL_DETAIL));
            return false;
        }
        keepable(member, &pointer, levels, ignored)
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn large_numbers_become_text_and_keep_every_digit() {
        let text = r#"{ "userId": 10222333444555666777, "traits": { "n": 9007199254740992,
            "ids": [-1785000000000000001, { "id": 1785000000000000001 }], "f": 0.1, "e": 1e300 } }"#;
        let mut call: Value = serde_json::from_str(text).expect("json");
        let mut ignored = Vec::new();
        clean(&mut call, &mut ignored);
        let traits = json!({ "n": 9_007_199_254_740_992_i64, "f": 0.1, "e": "1e+300",
            "ids": ["-1785000000000000001", { "id": "1785000000000000001" }] });
        assert_eq!(call, json!({ "userId": "10222333444555666777", "traits": traits }));
        assert_eq!(ignored, []);
    }

    #[test]
    fn what_has_a_nul_is_left_out_and_named() {
        let mut call = json!({ "userId": "u\u{0}", "traits": { "a": "b\u{0}", "c": "d", "e/\u{0}": 1,
                               "list": ["x", "\u{0}"] } });
        let mut ignored = Vec::new();
        clean(&mut call, &mut ignored);
        let kept = json!({ "userId": "u\u{0}", "traits": { "c": "d", "list": ["x", null] } });
        assert_eq!(call, kept);
        let mut named: Vec<_> = ignored.into_iter().filter_map(|fault| fault.pointer).collect();
        named.sort_unstable();
        assert_eq!(named, ["#/traits/a", "#/traits/e~1%00", "#/traits/list/1"]);
    }
}
