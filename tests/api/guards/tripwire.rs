//! The tripwire of this suite's database goes off, or the silence of all other tests means nothing.

use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Text, Uuid as SqlUuid};
use ecrm::db::grants::APPEND_ONLY;
use ecrm::db::{Actor, Outcome, Server, Session, WorkspaceId};
use ecrm::error::{Error, Result};
use uuid::Uuid;

use super::calls::Faults;
use super::fixtures::seed;
use crate::harness::App;

#[derive(diesel::QueryableByName)]
struct Opened {
    #[diesel(sql_type = SqlUuid)]
    id: WorkspaceId,
}

#[derive(diesel::QueryableByName)]
struct Table {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// What a request of this workspace runs in.
fn session(app: &App, workspace: Uuid) -> Session {
    let query = diesel::sql_query("select id from workspaces where id = $1");
    let opened: Opened = query.bind::<SqlUuid, _>(workspace).get_result(&mut app.owner()).unwrap();
    Session {
        workspace: opened.id,
        home: opened.id,
        livemode: true,
        actor: Actor::SYSTEM,
        via: "tripwire".into(),
        lease: None,
    }
}

/// The guarded tables in which a workspace has rows that stay where they are.
fn tables(app: &App, workspace: Uuid) -> Vec<String> {
    let guarded = "select tablename::text as name from pg_policies where policyname = 'tripwire'
          and tablename not in ('workspaces', 'outbox', 'changes', 'feed_heads') order by 1";
    let mut pg = app.owner();
    let all: Vec<Table> = diesel::sql_query(guarded).load(&mut pg).unwrap();
    let mut names: Vec<String> = all.into_iter().map(|table| table.name).collect();
    names.retain(|name| {
        let sql = format!("select count(*) from {name} where workspace_id = $1");
        let query = diesel::sql_query(sql).bind::<SqlUuid, _>(workspace);
        query.get_result::<Count>(&mut pg).unwrap().count > 0
    });
    names
}

/// Runs a statement as a read of this session.
fn count(app: &App, session: &Session, sql: &str, workspace: Uuid) -> Result<i64> {
    app.state.db.read(Server::Primary, session, &|conn| {
        let query = diesel::sql_query(sql).bind::<SqlUuid, _>(workspace);
        Ok(query.get_result::<Count>(conn.pg)?.count)
    })
}

fn trips<T>(done: &Result<T>) -> bool {
    matches!(done, Err(Error::Statement(text)) if text.contains("tripwire"))
}

fn proves_itself(app: &App) {
    let (own, other) = (app.workspace(&["*"]), app.workspace(&["*"]));
    seed(&own);
    seed(&other);
    let session = session(app, own.workspace_id);
    let (tables, mut faults) = (tables(app, other.workspace_id), Faults::default());
    assert!(tables.len() >= 10, "rows are in {tables:?} only");
    for table in tables {
        let scoped = format!("select count(*) from {table} where workspace_id = $1");
        let mine = count(app, &session, &scoped, own.workspace_id);
        faults.expect(&scoped, mine.is_ok_and(|count| count > 0), true);
        let theirs = count(app, &session, &scoped, other.workspace_id);
        faults.expect(&scoped, trips(&theirs), true);
        let forgotten = format!("select count(*) from {table} where $1 is not null");
        let all = count(app, &session, &forgotten, own.workspace_id);
        faults.expect(&forgotten, trips(&all), true);
        let emptied = app.state.db.write(&session, &|tx| {
            let sql = format!("delete from {table} where workspace_id = $1");
            let query = diesel::sql_query(sql).bind::<SqlUuid, _>(other.workspace_id);
            query.execute(tx.pg)?;
            Ok(Outcome::Rollback(()))
        });
        // Of the log nobody may delete anything, so the right is missing before a row is touched.
        let is_log = APPEND_ONLY.contains(&table.as_str());
        let is_refused = trips(&emptied) || (is_log && emptied.is_err());
        faults.expect(&format!("delete from {table}"), is_refused, true);
    }
    faults.none();
}

#[test]
fn a_statement_that_touches_another_workspace_trips_in_the_shared_database() {
    proves_itself(App::shared());
}

#[test]
fn a_statement_that_touches_another_workspace_trips_in_a_database_of_its_own() {
    proves_itself(&App::alone(&[]));
}
