//! Rows found by pairs of texts: a thousand with one statement, and each by the index.

use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, QueryFragment};
use diesel::sql_types::{Array, Bool, Text};

use super::expression::expression;

/// True for rows whose two columns are one of the pairs.
///
/// `a = any(…) and b = any(…)` asks for every `a` with every `b`. For a thousand pairs the planner
/// expects a million of them, and reads the whole table instead of the index.
pub struct AnyPair<'a> {
    columns: &'static str,
    left: Vec<&'a str>,
    right: Vec<&'a str>,
}

/// Rows whose `columns` (two, qualified, with a comma between them) are one of the pairs.
pub fn any_pair<'a>(
    columns: &'static str,
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> AnyPair<'a> {
    let (left, right) = pairs.into_iter().unzip();
    AnyPair { columns, left, right }
}

impl QueryFragment<Pg> for AnyPair<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("(");
        out.push_sql(self.columns);
        out.push_sql(") in (select * from unnest(");
        out.push_bind_param::<Array<Text>, _>(&self.left)?;
        out.push_sql("::text[], ");
        out.push_bind_param::<Array<Text>, _>(&self.right)?;
        out.push_sql("::text[]))");
        Ok(())
    }
}

expression!(AnyPair<'_> => Bool);
