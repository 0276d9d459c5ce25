//! Brings the database to the schema this binary was built with.

use std::collections::HashSet;

use diesel::connection::SimpleConnection;
use diesel::migration::MigrationSource;
use diesel::pg::{Pg, PgConnection};
use diesel::sql_types::Text;
use diesel::{Connection, QueryableByName, RunQueryDsl};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::error::{Error, Result};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// Any fixed number: every replica that migrates takes the same lock and waits its turn.
const LOCK: i64 = 0x6563_726d;

/// Runs what is missing and returns the names; safe to run from several replicas at once. Needs a
/// direct connection (session lock) of a role that may create tables.
pub fn run(url: &str) -> Result<Vec<String>> {
    let mut pg = PgConnection::establish(url)
        .map_err(|error| Error::unavailable(format!("cannot connect to migrate: {error}")))?;
    diesel::sql_query("select pg_advisory_lock($1)")
        .bind::<diesel::sql_types::BigInt, _>(LOCK)
        .execute(&mut pg)?;
    // A table that stays locked must not queue every request behind the migration.
    pg.batch_execute("set lock_timeout = '10s'; set client_min_messages = warning")?;
    let names = pg
        .run_pending_migrations(MIGRATIONS)
        .map_err(|error| Error::internal(format!("migration failed: {error}")))?
        .iter()
        .map(ToString::to_string)
        .collect();
    super::grants::apply(&mut pg)?;
    Ok(names)
}

#[derive(QueryableByName)]
struct Applied {
    #[diesel(sql_type = Text)]
    version: String,
}

/// Whether the database has every migration of this binary. Reads only: the serving role may not
/// create the table of migrations, as diesel's own check would.
pub fn is_current(pg: &mut PgConnection) -> Result<bool> {
    let applied: Vec<Applied> =
        diesel::sql_query("select version::text as version from __diesel_schema_migrations")
            .load(pg)?;
    let applied: HashSet<String> = applied.into_iter().map(|row| row.version).collect();
    let wanted = MigrationSource::<Pg>::migrations(&MIGRATIONS)
        .map_err(|error| Error::internal(error.to_string()))?;
    Ok(wanted.iter().all(|migration| applied.contains(&migration.name().version().to_string())))
}
