//! Questions to the catalog of the migrated database.

use diesel::pg::PgConnection;
use diesel::sql_types::Text;
use diesel::{QueryableByName, RunQueryDsl};

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    line: String,
}

/// The one text column `line` of a query, in order.
pub fn lines(pg: &mut PgConnection, sql: &str) -> Vec<String> {
    let rows: Vec<Row> = diesel::sql_query(sql).load(pg).unwrap_or_else(|e| panic!("{e}: {sql}"));
    let mut lines: Vec<String> = rows.into_iter().map(|row| row.line).collect();
    lines.sort();
    lines
}

/// The same, asked of the database of the suite.
pub fn catalog(sql: &str) -> Vec<String> {
    lines(&mut crate::harness::App::shared().owner(), sql)
}

/// Fails with every line that an exception does not name, and with every exception that names
/// nothing any more.
#[track_caller]
pub fn only(found: &[String], exceptions: &[(&str, &str)]) {
    let is_known = |line: &&String| exceptions.iter().any(|(known, _)| known == *line);
    let broken: Vec<_> = found.iter().filter(|line| !is_known(line)).collect();
    assert!(broken.is_empty(), "{} lines break the rule: {broken:#?}", broken.len());
    let is_needed = |known: &str| found.iter().any(|line| line == known);
    let idle: Vec<_> = exceptions.iter().filter(|(known, _)| !is_needed(known)).collect();
    assert!(idle.is_empty(), "exceptions that nothing needs: {idle:#?}");
}
