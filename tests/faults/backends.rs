//! Postgres ends a connection of ours at every point of a request: reads are asked again, and a
//! write is stored once, whatever its caller was told.

use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use serde_json::json;

use crate::client::{Answer, CUSTOMERS};
use crate::postgres::number;
use crate::promise::usual;
use crate::stage::Stage;

/// The lock that [`trap`] waits for.
const LOCK: &str = "select pg_advisory_lock(4711)";

/// Makes inserting a customer wait for a lock at this point.
fn trap(stage: &Stage, point: &str) {
    stage.execute(
        "create function wait_for_the_test() returns trigger language plpgsql as $$
         begin perform pg_advisory_xact_lock(4711); return null; end $$",
    );
    stage.execute(&format!("{point} execute function wait_for_the_test()"));
}

fn hold(stage: &Stage, lock: &str) -> PgConnection {
    let mut holder = stage.connect();
    holder.batch_execute(lock).expect("a lock");
    holder
}

/// Waits until so many connections of the service wait for a lock.
fn wait_for_blocked(stage: &Stage, wanted: i64) {
    let mut pg = stage.connect();
    let blocked = "select count(*) from pg_stat_activity
                    where datname = current_database() and wait_event_type = 'Lock'";
    let asked = Instant::now();
    while number(&mut pg, blocked) != wanted {
        assert!(asked.elapsed() < Duration::from_secs(2), "nobody waits for the lock");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Kills the connections that wait for a lock.
fn kill_blocked(stage: &Stage) {
    stage.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock'",
    );
}

/// Kills all connections of the service, idle ones too.
fn kill_all(stage: &Stage) {
    stage.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid()",
    );
}

/// A write whose connection is killed while it waits for the lock at the point of the trap.
fn killed_at(point: &str) {
    let stage = Stage::new();
    stage.store(&stage.mark()).expect(201);
    trap(&stage, point);
    for _ in 0..3 {
        let holder = hold(&stage, LOCK);
        let mark = stage.mark();
        let answer: Answer = thread::scope(|scope| {
            let writer = scope.spawn(|| stage.store(&mark));
            wait_for_blocked(&stage, 1);
            kill_blocked(&stage);
            writer.join().unwrap()
        });
        answer.expect_503("unavailable");
        assert!(answer.waited < Duration::from_secs(3) + usual(), "{answer:?}");
        assert_eq!(stage.stored(&mark), 0, "killed {point}");
        drop(holder);
        let repeated = stage.store(&mark).expect(201);
        assert!(!repeated.is_replay());
        assert!(stage.store(&mark).expect(201).is_replay());
        assert_eq!(stage.stored(&mark), 1);
    }
    stage.audit();
}

#[test]
fn a_backend_killed_between_requests_fails_none() {
    let stage = Stage::new();
    for _ in 0..5 {
        stage.fill_the_pool();
        kill_all(&stage);
        (0..20).for_each(|_| drop(stage.read().expect(200)));
        stage.fill_the_pool();
        kill_all(&stage);
        (0..20).for_each(|_| drop(stage.store(&stage.mark()).expect(201)));
    }
    stage.audit();
}

#[test]
fn a_backend_killed_during_a_read_is_asked_again() {
    let stage = Stage::new();
    stage.fill_the_pool();
    let mark = stage.mark();
    stage.store(&mark).expect(201);
    let holder = hold(&stage, "begin; lock table customers in access exclusive mode");
    let answer = thread::scope(|scope| {
        let reader = scope.spawn(|| stage.read());
        for _ in 0..3 {
            wait_for_blocked(&stage, 1);
            kill_blocked(&stage);
        }
        wait_for_blocked(&stage, 1);
        drop(holder);
        reader.join().unwrap()
    });
    assert_eq!(answer.expect(200).json["data"][0]["last_name"], mark.as_str());
}

#[test]
fn a_backend_killed_before_a_statement_stores_nothing() {
    killed_at("create trigger trap before insert on customers for each statement");
}

#[test]
fn a_backend_killed_after_a_statement_stores_nothing() {
    killed_at("create trigger trap after insert on customers for each statement");
}

#[test]
fn a_backend_killed_in_its_commit_stores_nothing() {
    killed_at(
        "create constraint trigger trap after insert on customers
         deferrable initially deferred for each row",
    );
}

#[test]
fn a_backend_killed_while_a_patch_waits_for_its_row_changes_nothing() {
    let stage = Stage::new();
    let made = stage.store(&stage.mark()).expect(201);
    let path = format!("{CUSTOMERS}/{}", made.id());
    let body = json!({ "score": 7 });
    let holder = hold(&stage, "begin; select 1 from customers for update");
    let answer = thread::scope(|scope| {
        let writer = scope.spawn(|| stage.client.write("PATCH", &path, "patch", &body));
        wait_for_blocked(&stage, 1);
        kill_blocked(&stage);
        writer.join().unwrap()
    });
    answer.expect_503("unavailable");
    drop(holder);
    assert_eq!(stage.client.get(&path).expect(200).json["version"], 1);
    assert!(!stage.client.write("PATCH", &path, "patch", &body).expect(200).is_replay());
    assert!(stage.client.write("PATCH", &path, "patch", &body).expect(200).is_replay());
    assert_eq!(stage.client.get(&path).expect(200).json["version"], 2);
}
