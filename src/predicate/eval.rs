//! Decides about one row in memory, exactly as the database would.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};
use serde_json::{Number, Value};
use uuid::Uuid;

use super::catalog::Kind;
use super::tree::{Checked, CheckedDid, Comparison, Leaf, Like, Node, Place, Scalar, Test};
use crate::values::text::search_key;
use crate::values::time::{id_floor, parse_date};

impl Checked {
    /// Whether the predicate is true of a resource, given as the JSON that callers see. `did` says
    /// whether the customer did something so often; see [`CheckedDid::counts`] and
    /// [`CheckedDid::holds`].
    pub fn matches(&self, row: &Value, did: &dyn Fn(&CheckedDid) -> bool) -> bool {
        node(&self.node, row, did)
    }
}

pub(super) fn node(part: &Node, row: &Value, did: &dyn Fn(&CheckedDid) -> bool) -> bool {
    match part {
        Node::All(parts) => parts.iter().all(|part| node(part, row, did)),
        Node::Any(parts) => parts.iter().any(|part| node(part, row, did)),
        Node::Not(part) => !node(part, row, did),
        Node::Leaf(leaf) => data(&leaf.place, row).is_some_and(|data| holds(leaf, data)),
        Node::Did(part) => did(part),
    }
}

/// What the row has at the place, unless it is absent or null.
fn data<'a>(place: &Place, row: &'a Value) -> Option<&'a Value> {
    let path = place.name.split('.').chain(place.keys.iter().map(String::as_str));
    let mut data = row;
    for key in path {
        data = data.get(key)?;
    }
    (!data.is_null()).then_some(data)
}

fn holds(leaf: &Leaf, data: &Value) -> bool {
    let place = &leaf.place;
    match &leaf.test {
        Test::Exists if place.kind == Kind::TextArray => {
            data.as_array().is_some_and(|items| !items.is_empty())
        }
        Test::Exists => true,
        Test::Compare(comparison, scalar) => compare(place, data, *comparison, scalar),
        Test::OneOf(one_of) => {
            one_of.scalars.iter().any(|scalar| compare(place, data, Comparison::Eq, scalar))
        }
        Test::Overlaps(texts) => data.as_array().is_some_and(|items| {
            items.iter().filter_map(Value::as_str).any(|item| texts.iter().any(|text| text == item))
        }),
        Test::Like(like) => has_part(place, data, like),
    }
}

fn compare(place: &Place, data: &Value, comparison: Comparison, scalar: &Scalar) -> bool {
    match (comparison, scalar) {
        (Comparison::Eq, Scalar::Json(Value::String(text))) => data == text,
        (Comparison::Eq, _) => order(place, data, scalar).is_some_and(Ordering::is_eq),
        (Comparison::Gt, _) => order(place, data, scalar).is_some_and(Ordering::is_gt),
        (Comparison::Gte, _) => order(place, data, scalar).is_some_and(Ordering::is_ge),
        (Comparison::Lt, _) => order(place, data, scalar).is_some_and(Ordering::is_lt),
        (Comparison::Lte, _) => order(place, data, scalar).is_some_and(Ordering::is_le),
    }
}

/// How the row's value stands to the predicate's; `None` where they cannot be compared.
fn order(place: &Place, data: &Value, scalar: &Scalar) -> Option<Ordering> {
    match scalar {
        Scalar::Text(text) if place.kind == Kind::Folded => {
            Some(search_key(data.as_str()?).as_str().cmp(text))
        }
        Scalar::Text(text) => Some(data.as_str()?.cmp(text)),
        Scalar::Integer(integer) => Some(data.as_i64()?.cmp(integer)),
        Scalar::Boolean(boolean) => Some(data.as_bool()?.cmp(boolean)),
        Scalar::Time(moment) => Some(time(data)?.cmp(moment)),
        Scalar::IdFloor(id) => Some(id_floor(time(data)?).cmp(id)),
        Scalar::Date(date) => Some(parse_date(data.as_str()?)?.cmp(date)),
        Scalar::Id(id) => Some(Uuid::parse_str(data.as_str()?).ok()?.cmp(id)),
        Scalar::Json(Value::Number(number)) => compare_numbers(data.as_number()?, number),
        Scalar::Json(Value::Bool(boolean)) => Some(data.as_bool()?.cmp(boolean)),
        Scalar::Json(Value::String(text)) => compare_texts(place.kind, data.as_str()?, text),
        Scalar::Json(_) => None,
    }
}

/// Earlier and later in free keys are an order of texts, which must therefore look like times.
fn compare_texts(kind: Kind, data: &str, text: &str) -> Option<Ordering> {
    let is_like = has_shape(data, shape(kind)?);
    is_like.then(|| data.trim_end_matches('Z').cmp(text.trim_end_matches('Z')))
}

/// What a text in a free key must be `like` to take part in comparisons of earlier and later.
pub(super) fn shape(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Time | Kind::IdTime => Some("____-__-__T__:__:__%Z"),
        Kind::Date => Some("____-__-__"),
        Kind::Text | Kind::Folded | Kind::Enum(_) | Kind::Integer | Kind::Number => None,
        Kind::Boolean | Kind::Id | Kind::TextArray => None,
    }
}

/// `like` for patterns with `_` and at most one `%`.
fn has_shape(text: &str, shape: &str) -> bool {
    let (head, tail) = shape.split_once('%').unwrap_or((shape, ""));
    let fits = |c: char, p: char| p == '_' || c == p;
    let length = text.chars().count();
    let is_long_enough =
        if shape.contains('%') { length >= head.len() + tail.len() } else { length == head.len() };
    is_long_enough
        && text.ends_with(tail)
        && text.chars().zip(head.chars()).all(|(c, p)| fits(c, p))
}

fn compare_numbers(data: &Number, number: &Number) -> Option<Ordering> {
    match (data.as_i64(), number.as_i64()) {
        (Some(data), Some(number)) => Some(data.cmp(&number)),
        (_, _) => data.as_f64()?.partial_cmp(&number.as_f64()?),
    }
}

fn has_part(place: &Place, data: &Value, like: &Like) -> bool {
    let Some(data) = data.as_str() else { return false };
    let folded = (place.kind == Kind::Folded).then(|| search_key(data));
    let data = folded.as_deref().unwrap_or(data);
    if like.is_prefix { data.starts_with(&like.text) } else { data.contains(&like.text) }
}

pub(super) fn time(data: &Value) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(data.as_str()?).ok().map(|time| time.to_utc())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::json;

    use super::super::{Catalog, Context, Field, FreeColumn, Predicate};
    use super::*;

    static CATALOG: Catalog = Catalog {
        fields: &[
            Field { name: "occurred_at", column: "t.id", kind: Kind::IdTime },
            Field { name: "email", column: "t.email_norm", kind: Kind::Folded },
            Field { name: "value.amount", column: "t.value_amount", kind: Kind::Integer },
        ],
        free: Some(FreeColumn { name: "attributes", column: "t.attributes" }),
        did: None,
    };

    fn is(field: &str, op: &str, value: Value, row: Value) -> bool {
        let predicate = json!({"field": field, "op": op, "value": value});
        let predicate: Predicate = serde_json::from_value(predicate).unwrap();
        let now = "2024-05-01T12:00:00Z".parse().unwrap();
        let attribute_kinds = &HashMap::from([("at".to_string(), Kind::Time)]);
        let context = Context { pointer: "#", catalog: &CATALOG, attribute_kinds, now };
        predicate.check(&context).unwrap().matches(&row, &|_| false)
    }

    #[test]
    fn a_time_in_an_id_is_compared_by_the_millisecond() {
        let at = |op, text: &str| {
            is("occurred_at", op, json!(text), json!({"occurred_at": "2024-05-01T00:00:00.005Z"}))
        };
        let (same, between) = ("2024-05-01T00:00:00.005Z", "2024-05-01T00:00:00.0045Z");
        assert!(at("eq", same) && at("gte", same) && at("lte", same));
        assert!(!at("gt", same) && !at("lt", same) && !at("ne", same));
        assert!(at("gt", between) && at("gte", between) && at("ne", between));
        assert!(!at("eq", between) && !at("lt", between) && !at("lte", between));
    }

    #[test]
    fn what_is_absent_is_equal_to_nothing_and_different_from_everything() {
        for row in [json!({}), json!({"email": null}), json!({"value": 1}), json!([])] {
            for (op, value, expected) in [
                ("eq", json!("a"), false),
                ("ne", json!("a"), true),
                ("in", json!(["a"]), false),
                ("nin", json!(["a"]), true),
                ("contains", json!("a"), false),
                ("exists", json!(true), false),
                ("exists", json!(false), true),
            ] {
                assert_eq!(is("email", op, value, row.clone()), expected, "{op} {row}");
            }
            assert!(!is("value.amount", "gte", json!(0), row.clone()));
        }
    }

    #[test]
    fn free_keys_of_another_kind_are_never_earlier_or_later() {
        let after = |at: Value| {
            is(
                "attributes.at",
                "gte",
                json!("2024-05-01T00:00:00Z"),
                json!({"attributes": {"at": at}}),
            )
        };
        assert!(after(json!("2024-05-01T00:00:00Z")) && after(json!("2024-05-01T00:00:00.5Z")));
        assert!(!after(json!("2024-04-30T23:59:59.999Z")));
        for odd in
            [json!("soonZ"), json!(9_999_999), json!(["x"]), json!("2024-06-01"), json!(null)]
        {
            assert!(!after(odd.clone()), "{odd}");
        }
    }

    #[test]
    fn numbers_compare_by_value_and_folded_text_in_any_case() {
        let x =
            |op, value, x: Value| is("attributes.x", op, value, json!({"attributes": {"x": x}}));
        assert!(x("eq", json!(1), json!(1.0)) && x("lt", json!(2.5), json!(2)));
        assert!(!x("eq", json!(1), json!("1")) && !x("gt", json!(0), json!("5")));
        assert!(is("email", "eq", json!("ANN@example.com"), json!({"email": "Ann@Example.com"})));
        assert!(
            x("starts_with", json!("an"), json!("ann"))
                && !x("contains", json!("AN"), json!("ann"))
        );
    }
}
