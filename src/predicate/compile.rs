//! Turns a checked predicate into a condition for the database, in which every value is bound.
//!
//! A condition may be null where it is false; `not` is therefore `is not true`. Plain comparisons
//! stay plain, so that indexes serve them.

use diesel::expression::{
    AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate,
};
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::{Array, BigInt, Bool, Date, Jsonb, Nullable, Text, Timestamptz, Uuid};
use serde_json::Value;

use super::catalog::Kind;
use super::did_sql;
use super::eval::shape;
use super::tree::{Checked, Comparison, Leaf, Node, OneOf, Place, Scalar, Test};

impl Expression for Checked {
    type SqlType = Nullable<Bool>;
}

/// Where the columns of its catalog are in scope is for the query to know.
impl<QS> AppearsOnTable<QS> for Checked {}

impl<QS> SelectableExpression<QS> for Checked {}

impl ValidGrouping<()> for Checked {
    type IsAggregate = is_aggregate::No;
}

impl QueryId for Checked {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryFragment<Pg> for Checked {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        // Callers invent ever new shapes; a cache of prepared statements would only grow.
        out.unsafe_to_cache_prepared();
        node(&self.node, &mut out)
    }
}

pub(super) type Out<'a, 'b> = AstPass<'a, 'b, Pg>;

pub(super) fn node<'b>(part: &'b Node, out: &mut Out<'_, 'b>) -> QueryResult<()> {
    match part {
        Node::All(parts) => join(parts, " and ", out),
        Node::Any(parts) => join(parts, " or ", out),
        Node::Not(part) if is_never_null(part) => {
            out.push_sql("(not ");
            node(part, out)?;
            out.push_sql(")");
            Ok(())
        }
        Node::Not(part) => {
            out.push_sql("(");
            node(part, out)?;
            out.push_sql(" is not true)");
            Ok(())
        }
        Node::Leaf(part) => {
            out.push_sql("(");
            leaf(part, out)?;
            out.push_sql(")");
            Ok(())
        }
        Node::Did(part) => {
            out.push_sql("(");
            did_sql::did(part, out)?;
            out.push_sql(")");
            Ok(())
        }
    }
}

/// `not exists` and `is null` are plain too: joins and indexes serve them.
fn is_never_null(part: &Node) -> bool {
    match part {
        Node::Did(_) => true,
        Node::Leaf(leaf) => leaf.test == Test::Exists && !leaf.place.is_json(),
        Node::All(_) | Node::Any(_) | Node::Not(_) => false,
    }
}

fn join<'b>(parts: &'b [Node], word: &str, out: &mut Out<'_, 'b>) -> QueryResult<()> {
    out.push_sql("(");
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            out.push_sql(word);
        }
        node(part, out)?;
    }
    out.push_sql(")");
    Ok(())
}

fn leaf<'b>(leaf: &'b Leaf, out: &mut Out<'_, 'b>) -> QueryResult<()> {
    let place = &leaf.place;
    match &leaf.test {
        Test::Exists => exists(place, out),
        Test::Compare(comparison, scalar) if place.is_json() => {
            compare_json(place, *comparison, scalar, out)
        }
        Test::Compare(comparison, scalar) => {
            out.push_sql(place.column);
            out.push_sql(sign(*comparison));
            bind(scalar, out)?;
            // Numbers are bound as JSON, which has no limits of its own.
            out.push_sql(if place.kind == Kind::Number { "::numeric" } else { "" });
            Ok(())
        }
        Test::OneOf(one_of) => {
            value(place, out)?;
            contained(place, one_of, out)
        }
        Test::Overlaps(texts) => {
            guard(place, "array", out)?;
            value(place, out)?;
            out.push_sql(if place.is_json() { " ?| " } else { " && " });
            out.push_bind_param::<Array<Text>, _>(texts)
        }
        Test::Like(like) => {
            guard(place, "string", out)?;
            text(place, out)?;
            out.push_sql(" like ");
            out.push_bind_param::<Text, _>(&like.pattern)
        }
    }
}

fn exists<'b>(place: &'b Place, out: &mut Out<'_, 'b>) -> QueryResult<()> {
    match (place.is_json(), place.kind == Kind::TextArray) {
        (false, false) => {
            out.push_sql(place.column);
            out.push_sql(" is not null");
        }
        (false, true) => {
            out.push_sql("coalesce(cardinality(");
            out.push_sql(place.column);
            out.push_sql("), 0) > 0");
        }
        (true, false) => {
            out.push_sql("jsonb_typeof(");
            value(place, out)?;
            out.push_sql(") <> 'null'");
        }
        (true, true) => {
            guard(place, "array", out)?;
            value(place, out)?;
            out.push_sql(" <> '[]'::jsonb");
        }
    }
    Ok(())
}

/// No cast, which could fail on odd data: containment, JSON's own order of numbers, texts.
fn compare_json<'b>(
    place: &'b Place,
    comparison: Comparison,
    scalar: &'b Scalar,
    out: &mut Out<'_, 'b>,
) -> QueryResult<()> {
    match (comparison, shape(place.kind), scalar) {
        (Comparison::Eq, _, _) => contains(place, scalar, out),
        (_, Some(shape), Scalar::Json(Value::String(bound))) => {
            guard(place, "string", out)?;
            text(place, out)?;
            out.push_sql(" like '");
            out.push_sql(shape);
            out.push_sql("' and rtrim(");
            text(place, out)?;
            out.push_sql(", 'Z') collate \"C\"");
            out.push_sql(sign(comparison));
            out.push_sql("rtrim(");
            out.push_bind_param::<Text, _>(bound)?;
            out.push_sql(", 'Z')");
            Ok(())
        }
        _ => {
            guard(place, "number", out)?;
            value(place, out)?;
            out.push_sql(sign(comparison));
            bind(scalar, out)
        }
    }
}

/// `column @> {"key": value}`, which an index on the whole column serves.
fn contains<'b>(place: &'b Place, scalar: &'b Scalar, out: &mut Out<'_, 'b>) -> QueryResult<()> {
    out.push_sql(place.column);
    out.push_sql(" @> ");
    for key in &place.keys {
        out.push_sql("jsonb_build_object(");
        out.push_bind_param::<Text, _>(key)?;
        out.push_sql(", ");
    }
    bind(scalar, out)?;
    out.push_sql(&")".repeat(place.keys.len()));
    Ok(())
}

fn contained<'b>(place: &Place, one_of: &'b OneOf, out: &mut Out<'_, 'b>) -> QueryResult<()> {
    out.push_sql(" = any(");
    out.push_bind_param::<Array<Text>, _>(&one_of.bound)?;
    out.push_sql(match place.kind {
        _ if place.is_json() => "::jsonb[])",
        Kind::Text | Kind::Folded | Kind::Enum(_) | Kind::TextArray => ")",
        Kind::Integer => "::int8[])",
        Kind::Number => "::numeric[])",
        Kind::Boolean => "::bool[])",
        Kind::Time => "::timestamptz[])",
        Kind::Date => "::date[])",
        Kind::Id | Kind::IdTime => "::uuid[])",
    });
    Ok(())
}

fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Eq => " = ",
        Comparison::Gt => " > ",
        Comparison::Gte => " >= ",
        Comparison::Lt => " < ",
        Comparison::Lte => " <= ",
    }
}

/// A free key is asked for its type first.
fn guard<'b>(place: &'b Place, json_type: &str, out: &mut Out<'_, 'b>) -> QueryResult<()> {
    if place.is_json() {
        out.push_sql("jsonb_typeof(");
        value(place, out)?;
        out.push_sql(") = '");
        out.push_sql(json_type);
        out.push_sql("' and ");
    }
    Ok(())
}

/// The column, or the free key's JSON.
fn value<'b>(place: &'b Place, out: &mut Out<'_, 'b>) -> QueryResult<()> {
    keys(place, &place.keys, out)
}

/// The column, or the free key's JSON as text.
fn text<'b>(place: &'b Place, out: &mut Out<'_, 'b>) -> QueryResult<()> {
    let Some((last, keys_before)) = place.keys.split_last() else { return value(place, out) };
    out.push_sql("(");
    keys(place, keys_before, out)?;
    out.push_sql(" ->> ");
    out.push_bind_param::<Text, _>(last)?;
    out.push_sql(")");
    Ok(())
}

/// `((column -> key) -> key)`; other than a path, it never takes a key for a place in an array.
fn keys<'b>(place: &Place, keys: &'b [String], out: &mut Out<'_, 'b>) -> QueryResult<()> {
    out.push_sql(&"(".repeat(keys.len()));
    out.push_sql(place.column);
    for key in keys {
        out.push_sql(" -> ");
        out.push_bind_param::<Text, _>(key)?;
        out.push_sql(")");
    }
    Ok(())
}

fn bind<'b>(scalar: &'b Scalar, out: &mut Out<'_, 'b>) -> QueryResult<()> {
    match scalar {
        Scalar::Text(text) => out.push_bind_param::<Text, _>(text),
        Scalar::Integer(integer) => out.push_bind_param::<BigInt, _>(integer),
        Scalar::Boolean(boolean) => out.push_bind_param::<Bool, _>(boolean),
        Scalar::Time(time) => out.push_bind_param::<Timestamptz, _>(time),
        Scalar::Date(date) => out.push_bind_param::<Date, _>(date),
        Scalar::Id(id) | Scalar::IdFloor(id) => out.push_bind_param::<Uuid, _>(id),
        Scalar::Json(value) => out.push_bind_param::<Jsonb, _>(value),
    }
}
