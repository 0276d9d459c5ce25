//! A predicate after it was checked: every name is a column, every value has the column's type.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::catalog::{DidColumns, Kind};

/// A predicate that fits its resource: filters a query, or decides about one row in memory.
///
/// As a diesel expression it is `Nullable<Bool>`, where null means false: `filter` takes it as it
/// is, and indexes stay usable. To leave out what it matches, check a predicate with `not`.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    pub(super) node: Node,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Leaf(Leaf),
    Did(Box<CheckedDid>),
}

/// A test of one field.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Leaf {
    pub place: Place,
    pub test: Test,
}

/// Where the tested value is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    /// Path in the resource's JSON.
    pub name: &'static str,
    pub column: &'static str,
    /// Keys below a `jsonb` column; none for any other column.
    pub keys: Vec<String>,
    pub kind: Kind,
}

impl Place {
    pub fn is_json(&self) -> bool {
        !self.keys.is_empty()
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    Exists,
    Compare(Comparison, Scalar),
    OneOf(OneOf),
    /// Shares an element with these.
    Overlaps(Vec<String>),
    Like(Like),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Eq,
    Gt,
    Gte,
    Lt,
    Lte,
}

/// A value as it is bound.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    Text(String),
    Integer(i64),
    Boolean(bool),
    Time(DateTime<Utc>),
    /// Smallest id of a millisecond.
    IdFloor(Uuid),
    Date(NaiveDate),
    Id(Uuid),
    /// A number, or any value of a free key.
    Json(Value),
}

/// The values of `in`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct OneOf {
    pub scalars: Vec<Scalar>,
    /// The same as they are bound, to be cast to the column's type.
    pub bound: Vec<String>,
}

/// Part of a text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Like {
    pub text: String,
    /// At the start, otherwise anywhere.
    pub is_prefix: bool,
    /// The same for `like`.
    pub pattern: String,
}

/// How often a customer did something; given to the function that counts it in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedDid {
    pub(super) columns: DidColumns,
    pub(super) kind: String,
    pub(super) at_least: i64,
    pub(super) at_most: Option<i64>,
    /// Counting further than this changes nothing.
    pub(super) enough: i64,
    pub(super) since: Option<Since>,
    pub(super) condition: Option<Node>,
}

/// A moment in whole milliseconds and the smallest id it can have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Since {
    pub time: DateTime<Utc>,
    pub id: Uuid,
}
