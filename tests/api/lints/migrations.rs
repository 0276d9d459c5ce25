//! Migrations go up, down and up again, and leave what they found.

use diesel::Connection;
use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use ecrm::db::migrate;
use uuid::Uuid;

use super::pg::lines;
use crate::harness::App;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// An empty database beside those of the suite.
struct Scratch {
    admin: PgConnection,
    name: String,
    url: String,
}

impl Scratch {
    fn new() -> Self {
        let name = format!("ecrm_test_scratch_{}", Uuid::new_v4().simple());
        let mut admin = App::shared().owner();
        admin.batch_execute(&format!("create database {name}")).expect("a database");
        let mut url: url::Url = App::shared().owner_url.parse().expect("a URL");
        url.set_path(&name);
        Self { admin, name, url: url.to_string() }
    }

    fn connect(&self) -> PgConnection {
        PgConnection::establish(&self.url).expect("a connection")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let sql = format!("drop database if exists {} with (force)", self.name);
        drop(self.admin.batch_execute(&sql));
    }
}

/// Everything that migrations can make, one line each.
const PICTURE: &str = "
    select 'column ' || c.relname || '.' || a.attname || ' '
           || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull as line
      from pg_attribute a join pg_class c on c.oid = a.attrelid
     where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and a.attnum > 0
       and not a.attisdropped and c.relname not like '\\_\\_%'
    union all
    select 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
      from pg_constraint where connamespace = 'public'::regnamespace
       and conrelid::regclass::text not like '\\_\\_%'
    union all
    select 'index ' || indexdef from pg_indexes
     where schemaname = 'public' and tablename not like '\\_\\_%'
    union all
    select 'function ' || p.oid::regprocedure || ' ' || md5(prosrc) from pg_proc p
     where pronamespace = 'public'::regnamespace
       and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
    union all
    select 'extension ' || extname from pg_extension
    union all
    select 'type ' || typname from pg_type
     where typnamespace = 'public'::regnamespace and typtype in ('e', 'd')";

#[test]
fn every_migration_can_be_undone_and_done_again() {
    let scratch = Scratch::new();
    let mut pg = scratch.connect();
    pg.batch_execute("set client_min_messages = warning").expect("quiet");
    let empty = lines(&mut pg, PICTURE);
    let ran = migrate::run(&scratch.url).expect("migrations");
    assert!(migrate::is_current(&mut pg).expect("an answer"));
    let whole = lines(&mut pg, PICTURE);
    assert!(whole.len() > 200, "{} things were made", whole.len());
    let undone = pg.revert_all_migrations(MIGRATIONS).expect("undone");
    assert_eq!(undone.len(), ran.len());
    assert_eq!(lines(&mut pg, PICTURE), empty);
    assert!(!migrate::is_current(&mut pg).expect("an answer"));
    assert_eq!(migrate::run(&scratch.url).expect("migrations"), ran);
    assert_eq!(lines(&mut pg, PICTURE), whole);
}

/// One step back and forth at any point, as after a failed release.
#[test]
fn every_migration_can_be_undone_alone() {
    let scratch = Scratch::new();
    let mut pg = scratch.connect();
    pg.batch_execute("set client_min_messages = warning").expect("quiet");
    loop {
        let before = lines(&mut pg, PICTURE);
        if pg.run_next_migration(MIGRATIONS).is_err() {
            break;
        }
        let name = pg.revert_last_migration(MIGRATIONS).expect("undone").to_string();
        assert_eq!(lines(&mut pg, PICTURE), before, "{name} leaves something behind");
        pg.run_next_migration(MIGRATIONS).expect("done again");
    }
    assert!(migrate::is_current(&mut pg).expect("an answer"));
}

/// A19: replicas that start together on an empty database.
#[test]
fn replicas_that_start_together_all_come_up() {
    for _ in 0..3 {
        let scratch = Scratch::new();
        let replicas: Vec<_> = (0..4)
            .map(|_| {
                let url = scratch.url.clone();
                std::thread::spawn(move || migrate::run(&url))
            })
            .collect();
        let ran = replicas.into_iter().map(|replica| replica.join().expect("a thread"));
        let ran: Vec<Vec<String>> = ran.map(|result| result.expect("migrations")).collect();
        assert_eq!(ran.iter().filter(|names| !names.is_empty()).count(), 1, "{ran:?}");
        assert!(migrate::is_current(&mut scratch.connect()).expect("an answer"));
    }
}

/// The types that diesel works with are those of the tables.
#[test]
fn the_schema_in_rust_names_every_column() {
    let text =
        std::fs::read_to_string(super::source::root().join("src/schema.rs")).expect("a schema");
    let sql = "select c.relname || ' ' || a.attname as line
                 from pg_attribute a join pg_class c on c.oid = a.attrelid
                where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
                  and not c.relispartition and a.attnum > 0 and not a.attisdropped
                  and c.relname not like '\\_\\_%'";
    for line in super::pg::catalog(sql) {
        let (table, column) = line.split_once(' ').expect("a column");
        let Some(body) = text.split(&format!("\n    {table} (")).nth(1) else {
            panic!("src/schema.rs has no `{table}`")
        };
        let body = body.split("\n    }\n").next().unwrap_or_default();
        let is_there = |line: &str| {
            let line = line.trim();
            line.starts_with(&format!("{column} ->")) || line.contains(&format!("\"{column}\""))
        };
        assert!(body.lines().any(is_there), "src/schema.rs has no `{table}.{column}`");
    }
}
