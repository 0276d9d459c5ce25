//! Order and keyset pages over a closed list of sort keys, as SQL with bound values.

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, QueryFragment};
use diesel::sql_types::{BigInt, Bool, Text, Timestamptz, Uuid as SqlUuid};
use diesel::{QueryResult, result::Error as Diesel};
use serde_json::Value;

use super::expression::expression;

/// A field that a list may be sorted by.
#[derive(Debug, Clone, Copy)]
pub struct SortKey {
    /// Name in the `sort` parameter and of the field in the answer.
    pub name: &'static str,
    /// Column, qualified with its table.
    pub column: &'static str,
    pub kind: SortKind,
}

/// How a sort key's value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortKind {
    /// Ids are UUIDv7: their order is the order of creation.
    Id,
    /// Absent text sorts as the empty text.
    Text,
    Time,
    /// Absent numbers sort as the smallest.
    Number,
}

impl SortKey {
    fn push(&self, out: &mut AstPass<'_, '_, Pg>) {
        match self.kind {
            SortKind::Id | SortKind::Time => out.push_sql(self.column),
            SortKind::Text => {
                out.push_sql("coalesce(");
                out.push_sql(self.column);
                out.push_sql(", '')");
            }
            SortKind::Number => {
                out.push_sql("coalesce(");
                out.push_sql(self.column);
                out.push_sql("::bigint, -9223372036854775808)");
            }
        }
    }

    fn push_value<'b>(&self, value: &'b Bound, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        match value {
            Bound::Id(id) => out.push_bind_param::<SqlUuid, _>(id),
            Bound::Text(text) => out.push_bind_param::<Text, _>(text),
            Bound::Time(time) => out.push_bind_param::<Timestamptz, _>(time),
            Bound::Number(number) => out.push_bind_param::<BigInt, _>(number),
        }
    }
}

/// A cursor's value of one sort key.
#[derive(Debug, Clone, PartialEq)]
pub enum Bound {
    Id(uuid::Uuid),
    Text(String),
    Time(chrono::DateTime<chrono::Utc>),
    Number(i64),
}

impl Bound {
    /// The value as it stands in an answer; `None` where a cursor carries something else.
    pub fn parse(kind: SortKind, value: &Value) -> Option<Self> {
        match kind {
            SortKind::Id => value.as_str()?.parse().ok().map(Self::Id),
            SortKind::Text => Some(Self::Text(value.as_str().unwrap_or_default().to_owned())),
            SortKind::Time => value.as_str()?.parse().ok().map(Self::Time),
            SortKind::Number => Some(Self::Number(value.as_i64().unwrap_or(i64::MIN))),
        }
    }
}

/// One key of an order and its direction.
#[derive(Debug, Clone, Copy)]
pub struct Term {
    pub key: SortKey,
    pub is_descending: bool,
}

/// A full order; its last key is the id, so no two rows are equal in it.
#[derive(Debug, Clone)]
pub struct Order(pub Vec<Term>);

/// Rows strictly after a position in an order.
#[derive(Debug, Clone)]
pub struct After {
    pub order: Order,
    /// One bound per term; empty at the start of the list.
    pub bounds: Vec<Bound>,
}

impl QueryFragment<Pg> for Order {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        for (position, term) in self.0.iter().enumerate() {
            if position > 0 {
                out.push_sql(", ");
            }
            term.key.push(&mut out);
            out.push_sql(if term.is_descending { " desc" } else { " asc" });
        }
        Ok(())
    }
}

impl QueryFragment<Pg> for After {
    /// `(a > 1) or (a = 1 and b > 2)`; a single term is one comparison, which an index answers.
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        if self.bounds.is_empty() {
            out.push_sql("true");
            return Ok(());
        }
        if self.bounds.len() != self.order.0.len() {
            return Err(Diesel::QueryBuilderError("a cursor has one value per sort key".into()));
        }
        out.push_sql("(");
        for last in 0..self.bounds.len() {
            out.push_sql(if last == 0 { "(" } else { " or (" });
            for (position, (term, bound)) in
                self.order.0.iter().zip(&self.bounds).enumerate().take(last + 1)
            {
                if position > 0 {
                    out.push_sql(" and ");
                }
                term.key.push(&mut out);
                out.push_sql(match (position == last, term.is_descending) {
                    (false, _) => " = ",
                    (true, true) => " < ",
                    (true, false) => " > ",
                });
                term.key.push_value(bound, &mut out)?;
            }
            out.push_sql(")");
        }
        out.push_sql(")");
        Ok(())
    }
}

expression!(Order => diesel::sql_types::Untyped, After => Bool);
