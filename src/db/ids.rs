//! Rows of a range of ids, which as UUIDv7 are a range of time.

use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, QueryFragment};
use diesel::sql_types::{Bool, Uuid as SqlUuid};
use uuid::Uuid;

use super::expression::expression;

/// Ids from one to before another, and after the last one that was read.
#[derive(Debug, Clone, Copy, Default)]
pub struct IdRange {
    pub from: Option<Uuid>,
    pub until: Option<Uuid>,
    pub after: Option<Uuid>,
}

impl IdRange {
    /// True for rows whose `column` (qualified) is in the range.
    pub fn holds(self, column: &'static str) -> Within {
        Within { column, range: self }
    }
}

/// See [`IdRange::holds`].
#[derive(Debug, Clone, Copy)]
pub struct Within {
    column: &'static str,
    range: IdRange,
}

impl QueryFragment<Pg> for Within {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let IdRange { from, until, after } = &self.range;
        out.push_sql("(true");
        for (operator, bound) in [(" >= ", from), (" < ", until), (" > ", after)] {
            if let Some(bound) = bound {
                out.push_sql(" and ");
                out.push_sql(self.column);
                out.push_sql(operator);
                out.push_bind_param::<SqlUuid, _>(bound)?;
            }
        }
        out.push_sql(")");
        Ok(())
    }
}

expression!(Within => Bool);
