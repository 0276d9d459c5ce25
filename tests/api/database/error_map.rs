//! Every way in which a live Postgres says no, and what it means here. Diesel names few of them;
//! the rest is told by their texts, which only a live server can be asked for.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::sql_types::{Jsonb, Text};
use diesel::{Connection, QueryResult, RunQueryDsl};
use ecrm::error::{Code, ConstraintKind, Error};

use crate::harness::App;

/// A database with a parent and a child table, and connections to it.
struct Bench(App);

impl Bench {
    fn new() -> Self {
        let bench = Self(App::alone(&[]));
        let tables = "create table parents (
                        id int primary key, amount numeric(4, 2), at timestamptz, small int2,
                        name text not null default 'x' constraint parents_name_length check (name <> ''),
                        constraint parents_name_taken_102008 unique (name, id), doc jsonb);
                      create table children (
                        id int primary key,
                        parent_id int constraint children_parent_exists references parents (id));
                      insert into parents (id) values (1), (2);
                      insert into children values (1, 1)";
        bench.connect().batch_execute(tables).expect("tables");
        bench
    }

    fn connect(&self) -> PgConnection {
        self.0.owner()
    }

    /// How a statement fails.
    fn error(&self, sql: &str) -> Error {
        failed(self.connect().batch_execute(sql))
    }

    fn constraint(&self, sql: &str) -> (String, ConstraintKind) {
        match self.error(sql) {
            Error::Constraint { name, kind } => (name, kind),
            other => panic!("{sql}: {other:?}"),
        }
    }
}

fn failed<T>(result: QueryResult<T>) -> Error {
    Error::from(result.err().expect("a failure"))
}

fn away(error: &Error) -> (Code, bool) {
    match error {
        Error::Unavailable { code, connection_lost, .. } => (*code, *connection_lost),
        other => panic!("{other:?}"),
    }
}

/// A10, A11
#[test]
fn a_broken_constraint_is_known_by_its_name_and_kind() {
    let bench = Bench::new();
    for (sql, name, kind) in [
        ("insert into parents (id) values (1)", "parents_pkey", ConstraintKind::Unique),
        (
            "insert into children values (9, 9)",
            "children_parent_exists",
            ConstraintKind::ForeignKey,
        ),
        ("delete from parents where id = 1", "children_parent_exists", ConstraintKind::ForeignKey),
        ("update parents set name = ''", "parents_name_length", ConstraintKind::Check),
    ] {
        assert_eq!(bench.constraint(sql), (name.into(), kind), "{sql}");
    }
    let (_, kind) = bench.constraint("insert into parents (id, name) values (9, null)");
    assert_eq!(kind, ConstraintKind::NotNull);
}

/// A10: Citus appends the number of the shard.
#[test]
fn a_constraint_of_a_shard_has_the_name_of_the_table_s_own() {
    let bench = Bench::new();
    bench
        .connect()
        .batch_execute("alter table parents drop constraint parents_pkey cascade")
        .expect("dropped");
    let (name, _) = bench.constraint("insert into parents (id) values (1)");
    assert_eq!(name, "parents_name_taken");
}

/// A10: a refusal nobody explained is our bug, and says nothing to the caller.
#[test]
fn a_constraint_that_nobody_explained_is_an_internal_error() {
    let error = Bench::new().error("insert into parents (id) values (1)");
    assert_eq!(error.status(), 500);
    assert!(!error.rejection().detail.contains("parents"));
    assert!(error.log_text().is_some_and(|text| text.contains("parents_pkey")));
}

/// A8
#[test]
fn a_statement_or_a_lock_that_takes_too_long_is_a_timeout() {
    let bench = Bench::new();
    let slow = "set statement_timeout = '50ms'; select pg_sleep(5)";
    assert_eq!(away(&bench.error(slow)), (Code::TIMEOUT, false));
    let mut holder = bench.connect();
    holder.batch_execute("begin; update parents set small = 1 where id = 1").expect("a lock");
    let blocked = "set lock_timeout = '50ms'; update parents set small = 2 where id = 1";
    assert_eq!(away(&bench.error(blocked)), (Code::TIMEOUT, false));
    let no_wait = "select 1 from parents where id = 1 for update nowait";
    assert_eq!(away(&bench.error(no_wait)), (Code::TIMEOUT, false));
}

/// A8: an operator (or a standby that must go on) stops a statement.
#[test]
fn a_statement_that_was_cancelled_is_a_timeout() {
    let bench = Bench::new();
    let mut canceller = bench.connect();
    let sleeper = bench.connect();
    let (sent, backend) = std::sync::mpsc::channel();
    let slow = std::thread::spawn(move || {
        let mut sleeper = sleeper;
        sent.send(pid(&mut sleeper)).expect("a listener");
        failed(sleeper.batch_execute("select pg_sleep(20)"))
    });
    let backend = backend.recv().expect("a backend");
    std::thread::sleep(Duration::from_millis(200));
    canceller.batch_execute(&format!("select pg_cancel_backend({backend})")).expect("cancelled");
    assert_eq!(away(&slow.join().expect("an error")), (Code::TIMEOUT, false));
    for text in [
        "canceling statement due to user request",
        "canceling statement due to conflict with recovery",
        "canceling statement due to lock timeout",
    ] {
        let error = bench.error(&format!("do $$ begin raise exception '{text}'; end $$"));
        assert_eq!(away(&error).0, Code::TIMEOUT, "{text}");
    }
}

fn pid(pg: &mut PgConnection) -> i32 {
    diesel::select(diesel::dsl::sql::<diesel::sql_types::Integer>("pg_backend_pid()"))
        .get_result(pg)
        .expect("a pid")
}

/// A9
#[test]
fn a_deadlock_and_a_serialization_failure_may_be_tried_again() {
    let bench = Bench::new();
    let (mut one, mut two) = (bench.connect(), bench.connect());
    one.batch_execute("begin; update parents set small = 1 where id = 1").expect("a lock");
    two.batch_execute(
        "set deadlock_timeout = '100ms'; begin; update parents set small = 1 where id = 2",
    )
    .expect("a lock");
    let waiting =
        std::thread::spawn(move || one.batch_execute("update parents set small = 1 where id = 2"));
    std::thread::sleep(Duration::from_millis(100));
    let other = two.batch_execute("update parents set small = 1 where id = 1");
    // Only one of them is the victim; the end of its connection lets the other go on.
    drop(two);
    let mine = waiting.join().expect("a result");
    let victim = other.err().or(mine.err()).expect("a victim");
    assert!(matches!(Error::from(victim), Error::Retry(_)));

    let (mut one, mut two) = (bench.connect(), bench.connect());
    let begin = "begin isolation level serializable; select sum(small) from parents";
    one.batch_execute(begin).expect("a snapshot");
    two.batch_execute(begin).expect("a snapshot");
    one.batch_execute("insert into parents (id) values (3); commit").expect("first");
    let late = two.batch_execute("update parents set small = 3; commit");
    assert!(matches!(failed(late), Error::Retry(_)));
}

/// A18
#[test]
fn a_database_that_takes_no_writes_is_read_only() {
    let bench = Bench::new();
    let write = "begin read only; insert into parents (id) values (9)";
    assert_eq!(away(&bench.error(write)), (Code::READ_ONLY, false));
    let mut standby = bench.connect();
    standby.batch_execute("set default_transaction_read_only = on").expect("read only");
    let refused = failed(standby.batch_execute("create table more (id int)"));
    assert_eq!(away(&refused), (Code::READ_ONLY, false));
}

/// A17: the texts of a full disk, as Postgres writes them.
#[test]
fn a_full_disk_is_named() {
    let bench = Bench::new();
    for text in [
        "could not extend file \"base/16384/2619\": No space left on device",
        "could not write to file \"pg_wal/xlogtemp.1\": No space left on device",
        "could not extend file \"base/1/2\": wrote only 4096 of 8192 bytes at block 3",
    ] {
        let error = bench.error(&format!(
            "do $$ begin raise exception '{text}' using errcode = '53100'; end $$"
        ));
        assert_eq!(away(&error), (Code::STORAGE_FULL, false), "{text}");
        assert!(!error.rejection().detail.contains("base"), "{text}");
    }
}

/// A1: what the checks before should have caught is still no fault of ours.
#[test]
fn nul_is_a_fault_of_the_caller_here_too() {
    let bench = Bench::new();
    let mut pg = bench.connect();
    let text =
        diesel::sql_query("update parents set name = $1").bind::<Text, _>("a\0b").execute(&mut pg);
    let json = diesel::sql_query("update parents set doc = $1")
        .bind::<Jsonb, _>(serde_json::json!({ "a": "\0" }))
        .execute(&mut pg);
    for error in [failed(text), failed(json)] {
        let rejection = error.rejection();
        assert_eq!((rejection.status, rejection.errors[0].code.as_ref()), (422, "nul_character"));
    }
}

/// A3, A4
#[test]
fn a_value_that_no_column_holds_is_a_fault_of_the_caller() {
    let bench = Bench::new();
    for sql in [
        "update parents set amount = 100",
        "update parents set small = 32768",
        "select 2147483647 + 1",
        "select 9223372036854775807 + 1",
        "select '99999999999999999999'::int8",
        "update parents set at = '300000-01-01'",
        "select '2023-02-30'::date",
    ] {
        let error = bench.error(sql);
        let code = error.rejection().errors.first().map(|fault| fault.code.to_string());
        assert_eq!((error.status(), code.as_deref()), (422, Some("value_out_of_range")), "{sql}");
    }
}

/// Whatever else fails is a bug of ours: 500, and not a word of it to the caller.
#[test]
fn an_error_in_our_sql_is_internal() {
    let bench = Bench::new();
    for sql in [
        "selec 1",
        "select * from nowhere",
        "select 1/0",
        "select 'x'::int",
        "select pg_terminate_backend('x')",
        "do $$ begin raise exception 'something new'; end $$",
    ] {
        let error = bench.error(sql);
        assert!(matches!(error, Error::Statement(_)), "{sql}: {error:?}");
        let detail = error.rejection().detail.clone();
        assert!(detail.contains("request_id") && !detail.contains("syntax"), "{detail}");
    }
}

/// A13
#[test]
fn a_connection_that_was_cut_is_lost() {
    let bench = Bench::new();
    let mut pg = bench.connect();
    let backend = pid(&mut pg);
    let kill = format!("select pg_terminate_backend({backend})");
    bench.connect().batch_execute(&kill).expect("killed");
    assert_eq!(away(&failed(pg.batch_execute("select 1"))), (Code::UNAVAILABLE, true));
    assert_eq!(away(&failed(pg.batch_execute("select 1"))), (Code::UNAVAILABLE, true));
    // In the middle of a transaction.
    let mut pg = bench.connect();
    pg.batch_execute("begin; insert into parents (id) values (7)").expect("a row");
    let kill = format!("select pg_terminate_backend({})", pid(&mut pg));
    bench.connect().batch_execute(&kill).expect("killed");
    assert_eq!(away(&failed(pg.batch_execute("commit"))), (Code::UNAVAILABLE, true));
}

/// A23
#[test]
fn a_transaction_that_idled_too_long_is_lost() {
    let bench = Bench::new();
    let mut pg = bench.connect();
    let idle = "set idle_in_transaction_session_timeout = '50ms'; begin; select 1";
    pg.batch_execute(idle).expect("a transaction");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(away(&failed(pg.batch_execute("select 1"))), (Code::UNAVAILABLE, true));
}

/// A12: an error that is dropped in a transaction does not turn into a success.
#[test]
fn a_swallowed_error_makes_the_commit_fail_or_keeps_what_a_savepoint_kept() {
    let bench = Bench::new();
    let mut pg = bench.connect();
    let kept = pg.transaction::<_, Error, _>(|pg| {
        pg.batch_execute("insert into parents (id) values (8)")?;
        let twice = pg.transaction(|pg| pg.batch_execute("insert into parents (id) values (8)"));
        assert!(twice.is_err());
        Ok(())
    });
    assert!(kept.is_ok());
    let count = "do $$ begin assert (select count(*) from parents where id = 8) = 1; end $$";
    pg.batch_execute(count).expect("the row was kept");
}

#[test]
fn a_row_that_is_not_there_is_404() {
    let error = Error::from(diesel::result::Error::NotFound);
    assert_eq!((error.status(), error.rejection().code.as_ref()), (404, "not_found"));
}

/// What an operator's outage looks like in text.
#[test]
fn the_texts_of_a_database_that_is_away_are_known() {
    let bench = Bench::new();
    for text in [
        "sorry, too many clients already",
        "remaining connection slots are reserved for non-replication superuser connections",
        "terminating connection due to administrator command",
        "the database system is starting up",
        "the database system is shutting down",
        "server closed the connection unexpectedly",
        "SSL connection has been closed unexpectedly",
        "could not receive data from server: Connection timed out",
    ] {
        let error = bench.error(&format!("do $$ begin raise exception '{text}'; end $$"));
        assert_eq!(away(&error), (Code::UNAVAILABLE, true), "{text}");
    }
}
