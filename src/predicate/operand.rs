//! Turns "field, operator, value" into a test with values of the field's own kind.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::catalog::Kind;
use super::check::is_text;
use super::tree::{Comparison, Leaf, Like, Node, OneOf, Place, Scalar, Test};
use super::{MAX_VALUES, Op};
use crate::values::text::{like_escape, search_key};
use crate::values::{IsoDuration, json, time};

pub(super) const DURATION: &str = "the value must be an ISO 8601 duration such as `P90D` \
    or `PT12H` that reaches back to 1900 at most";

/// What a clause asks about.
pub(super) struct Target {
    pub place: Place,
    /// Whether its kind is known; otherwise the kind of the value is taken.
    pub is_defined: bool,
}

/// What is wrong with a clause, seen from the clause.
pub(super) struct Fault {
    pub pointer: String,
    pub code: &'static str,
    pub detail: String,
}

/// The test that the operator and the value make of the place.
pub(super) fn node(
    target: Target,
    op: Op,
    value: Option<&Value>,
    now: DateTime<Utc>,
) -> Result<Node, Fault> {
    let Target { mut place, is_defined } = target;
    if !is_defined {
        place.kind = kind_of(op, value);
    }
    if !knows(place.kind, op) {
        let detail = "the field, or a value of this kind, does not know this operator".into();
        return Err(Fault { pointer: "/op".into(), code: "invalid_operator", detail });
    }
    match op {
        Op::Exists => exists(place, value),
        Op::Within => within(place, value, now),
        Op::Between => between(place, value),
        Op::Eq => compare(place, Comparison::Eq, value, "/value"),
        Op::Gt => compare(place, Comparison::Gt, value, "/value"),
        Op::Gte => compare(place, Comparison::Gte, value, "/value"),
        Op::Lt => compare(place, Comparison::Lt, value, "/value"),
        Op::Lte => compare(place, Comparison::Lte, value, "/value"),
        Op::Ne => compare(place, Comparison::Eq, value, "/value").map(not),
        Op::In => one_of(place, value),
        Op::Nin => one_of(place, value).map(not),
        Op::Contains => part(place, value, false),
        Op::StartsWith => part(place, value, true),
    }
}

fn knows(kind: Kind, op: Op) -> bool {
    match op {
        Op::Exists => true,
        Op::Eq | Op::Ne => kind != Kind::TextArray,
        Op::Gt | Op::Gte | Op::Lt | Op::Lte | Op::Between => {
            matches!(kind, Kind::Integer | Kind::Number) || is_temporal(kind)
        }
        Op::In | Op::Nin => kind != Kind::Boolean && !is_temporal(kind),
        Op::Contains => matches!(kind, Kind::Text | Kind::Folded | Kind::TextArray),
        Op::StartsWith => matches!(kind, Kind::Text | Kind::Folded),
        Op::Within => is_temporal(kind),
    }
}

fn is_temporal(kind: Kind) -> bool {
    matches!(kind, Kind::Time | Kind::IdTime | Kind::Date)
}

/// The kind of a key without a definition, from what it is compared with.
fn kind_of(op: Op, value: Option<&Value>) -> Kind {
    let is_ordered = matches!(op, Op::Gt | Op::Gte | Op::Lt | Op::Lte | Op::Between);
    match value {
        _ if op == Op::Within => Kind::Time,
        _ if op == Op::Exists => Kind::Text,
        Some(Value::Array(values)) => kind_of(op, values.first()),
        Some(Value::Number(_)) => Kind::Number,
        Some(Value::Bool(_)) => Kind::Boolean,
        Some(text @ Value::String(_)) if is_ordered && date(text).is_some() => Kind::Date,
        Some(Value::String(_)) if is_ordered => Kind::Time,
        Some(Value::String(_) | Value::Null | Value::Object(_)) | None => Kind::Text,
    }
}

fn exists(place: Place, value: Option<&Value>) -> Result<Node, Fault> {
    let node = leaf(place, Test::Exists);
    match value {
        None | Some(Value::Bool(true)) => Ok(node),
        Some(Value::Bool(false)) => Ok(not(node)),
        Some(_) => Err(invalid("/value", "the value must be true or false")),
    }
}

fn within(place: Place, value: Option<&Value>, now: DateTime<Utc>) -> Result<Node, Fault> {
    let duration = value.and_then(Value::as_str).and_then(IsoDuration::parse);
    let Some(since) = duration.and_then(|duration| duration.before(now)) else {
        return Err(invalid("/value", DURATION));
    };
    let is_date = place.kind == Kind::Date;
    let show = |moment: DateTime<Utc>| {
        if is_date { moment.date_naive().to_string() } else { time::format(moment) }
    };
    let (since, now) = (Value::String(show(since)), Value::String(show(now)));
    range(place, [(&since, "/value"), (&now, "/value")])
}

fn between(place: Place, value: Option<&Value>) -> Result<Node, Fault> {
    match value.and_then(Value::as_array).map(Vec::as_slice) {
        Some([from, to]) => range(place, [(from, "/value/0"), (to, "/value/1")]),
        _ => Err(invalid("/value", "the value must be a list of two, both ends included")),
    }
}

fn range(place: Place, [from, to]: [(&Value, &str); 2]) -> Result<Node, Fault> {
    let from = compare(place.clone(), Comparison::Gte, Some(from.0), from.1)?;
    let to = compare(place, Comparison::Lte, Some(to.0), to.1)?;
    Ok(Node::All(vec![from, to]))
}

fn compare(
    place: Place,
    comparison: Comparison,
    value: Option<&Value>,
    pointer: &str,
) -> Result<Node, Fault> {
    let scalar = value.and_then(|value| scalar(&place, value));
    match scalar {
        Some(Scalar::Time(time)) if place.kind == Kind::IdTime => {
            Ok(compare_id(&place, comparison, time))
        }
        Some(scalar) => Ok(leaf(place, Test::Compare(comparison, scalar))),
        None => Err(invalid(pointer, expected(place.kind))),
    }
}

/// Ids of a millisecond lie between its floor and the next one's.
fn compare_id(place: &Place, comparison: Comparison, time: DateTime<Utc>) -> Node {
    let ms = TimeDelta::milliseconds(1);
    let floor = time.duration_trunc(ms).unwrap_or(time);
    let ceiling = if floor == time { time } else { floor + ms };
    let bound = |comparison, time| {
        let bound = Scalar::IdFloor(time::id_floor(time));
        leaf(place.clone(), Test::Compare(comparison, bound))
    };
    match comparison {
        Comparison::Gt => bound(Comparison::Gte, floor + ms),
        Comparison::Gte => bound(Comparison::Gte, ceiling),
        Comparison::Lt => bound(Comparison::Lt, ceiling),
        Comparison::Lte => bound(Comparison::Lt, floor + ms),
        Comparison::Eq => {
            Node::All(vec![bound(Comparison::Gte, ceiling), bound(Comparison::Lt, floor + ms)])
        }
    }
}

fn one_of(place: Place, value: Option<&Value>) -> Result<Node, Fault> {
    let values = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if values.is_empty() || values.len() > MAX_VALUES {
        let detail = format!("the value must be a list of 1 to {MAX_VALUES}");
        return Err(invalid("/value", &detail));
    }
    let mut scalars = Vec::with_capacity(values.len());
    for (i, value) in values.iter().enumerate() {
        let scalar = scalar(&place, value);
        let fault = || invalid(&format!("/value/{i}"), expected(place.kind));
        scalars.push(scalar.ok_or_else(fault)?);
    }
    if place.kind == Kind::TextArray {
        return Ok(leaf(place, Test::Overlaps(values.iter().filter_map(text).collect())));
    }
    let bound = scalars.iter().map(|scalar| bound(&place, scalar)).collect();
    Ok(leaf(place, Test::OneOf(OneOf { scalars, bound })))
}

/// The value as text that the database casts.
fn bound(place: &Place, scalar: &Scalar) -> String {
    match scalar.clone().into_json() {
        Value::String(text) if !place.is_json() => text,
        value => value.to_string(),
    }
}

fn part(place: Place, value: Option<&Value>, is_prefix: bool) -> Result<Node, Fault> {
    let Some(text) = value.and_then(text).filter(|text| !text.is_empty()) else {
        return Err(invalid("/value", expected(Kind::Text)));
    };
    let text = if place.kind == Kind::Folded { search_key(&text) } else { text };
    if place.kind == Kind::TextArray {
        return Ok(leaf(place, Test::Overlaps(vec![text])));
    }
    let start = if is_prefix { "" } else { "%" };
    let pattern = format!("{start}{}%", like_escape(&text));
    Ok(leaf(place, Test::Like(Like { text, is_prefix, pattern })))
}

/// The value in the type that the place is compared in; `None` where it is of another kind.
fn scalar(place: &Place, value: &Value) -> Option<Scalar> {
    let scalar = match place.kind {
        Kind::Text | Kind::TextArray => Scalar::Text(text(value)?),
        Kind::Folded => Scalar::Text(search_key(&text(value)?)),
        Kind::Enum(allowed) => {
            Scalar::Text(text(value).filter(|text| allowed.contains(&text.as_str()))?)
        }
        Kind::Integer => Scalar::Integer(value.as_i64()?),
        Kind::Number => Scalar::Json(safe_number(value)?),
        Kind::Boolean => Scalar::Boolean(value.as_bool()?),
        Kind::Time | Kind::IdTime => Scalar::Time(time::parse_time(value.as_str()?)?),
        Kind::Date => Scalar::Date(date(value)?),
        Kind::Id => Scalar::Id(Uuid::parse_str(value.as_str()?).ok()?),
    };
    Some(if place.is_json() { Scalar::Json(scalar.into_json()) } else { scalar })
}

impl Scalar {
    /// As free keys hold it.
    fn into_json(self) -> Value {
        match self {
            Self::Text(text) => Value::String(text),
            Self::Integer(integer) => Value::from(integer),
            Self::Boolean(boolean) => Value::Bool(boolean),
            Self::Time(moment) => Value::String(time::format(moment)),
            Self::Date(date) => Value::String(date.to_string()),
            Self::Id(id) | Self::IdFloor(id) => Value::String(id.to_string()),
            Self::Json(value) => value,
        }
    }
}

fn safe_number(value: &Value) -> Option<Value> {
    value.as_number().filter(|number| json::is_safe(number)).map(|_| value.clone())
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| text.is_empty() || is_text(text)).map(String::from)
}

fn date(value: &Value) -> Option<chrono::NaiveDate> {
    time::parse_date(value.as_str()?)
}

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Folded | Kind::TextArray => {
            "the value must be a text of at most 1000 characters; for absence ask with `exists`"
        }
        Kind::Enum(_) => "the value must be one of those the field can have",
        Kind::Integer => "the value must be a whole number",
        Kind::Number => "the value must be a number, integers within ±2^53",
        Kind::Boolean => "the value must be true or false",
        Kind::Time | Kind::IdTime => "the value must be an RFC 3339 time from 1900 until 2200",
        Kind::Date => "the value must be a date `YYYY-MM-DD` from 1900 until 2200",
        Kind::Id => "the value must be an id",
    }
}

fn leaf(place: Place, test: Test) -> Node {
    Node::Leaf(Leaf { place, test })
}

fn not(node: Node) -> Node {
    Node::Not(Box::new(node))
}

fn invalid(pointer: &str, detail: &str) -> Fault {
    Fault { pointer: pointer.into(), code: "invalid_value", detail: detail.into() }
}
