//! SQL of our own as a diesel expression.

/// Makes types whose SQL they write themselves expressions over any table: their columns are
/// qualified, and whether those are in scope is for the query to know. A statement is known by its
/// text, for two values of one type may name different columns.
macro_rules! expression {
    ($($name:ty => $sql:ty),*) => {$(
        impl diesel::expression::Expression for $name { type SqlType = $sql; }
        impl<T> diesel::expression::AppearsOnTable<T> for $name {}
        impl<T> diesel::expression::SelectableExpression<T> for $name {}
        impl diesel::expression::ValidGrouping<()> for $name {
            type IsAggregate = diesel::expression::is_aggregate::No;
        }
        impl diesel::query_builder::QueryId for $name {
            type QueryId = ();
            const HAS_STATIC_QUERY_ID: bool = false;
        }
    )*};
}

pub(super) use expression;
