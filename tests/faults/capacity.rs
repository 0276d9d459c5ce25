//! The database has no connection left, or takes no writes.

use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::{Connection, RunQueryDsl};
use ecrm::db::embedded::Role;

use crate::client::{Answer, CUSTOMERS};
use crate::promise::{NOISE, TO_FAIL, TO_RECOVER, are_away, is_usual, kept, usual};
use crate::stage::Stage;

/// Lets so many readers ask at once.
fn readers(stage: &Stage, callers: usize) -> Vec<Answer> {
    thread::scope(|scope| {
        let ask = || stage.client.get(CUSTOMERS);
        let callers: Vec<_> = (0..callers).map(|_| scope.spawn(ask)).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    })
}

/// Ends the connections of the service.
const CUT: &str = "select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and usename = 'ecrm_app'";

/// A statement holds every thread and connection: the rest wait no longer for that.
#[test]
fn callers_before_a_pool_that_is_held_are_answered_503_in_time() {
    let stage = Stage::with(&[("ECRM_POOL_SIZE", "4")]);
    let waits = |answers: &[Answer]| answers.iter().map(|one| one.waited).collect::<Vec<_>>();
    is_usual(&waits(&readers(&stage, 50)));
    let mut holder = stage.connect();
    holder.batch_execute("begin; lock table customers in access exclusive mode").expect("a lock");
    let answers = thread::scope(|scope| {
        let crowd = scope.spawn(|| readers(&stage, 50));
        thread::sleep(Duration::from_millis(500));
        stage.the_rest_works();
        crowd.join().unwrap()
    });
    let (held, waiting): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.code() == "timeout");
    // Four, and on a machine that is very slow some who came when those had been answered.
    assert!((1..25).contains(&held.len()), "{} were held", held.len());
    held.iter().for_each(|answer| answer.expect_503("timeout"));
    kept(&waits(&held), Duration::from_secs(5));
    are_away(&waiting);
    drop(holder);
    kept(&[stage.recovery(Instant::now())], TO_RECOVER);
}

#[test]
fn a_database_with_room_for_few_connections_answers_200_or_503() {
    let stage = Stage::with(&[("ECRM_POOL_SIZE", "8")]);
    stage.fill_the_pool();
    stage.execute(&format!("alter database {} connection limit 3", stage.database));
    stage.execute(CUT);
    let answers = readers(&stage, 40);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.expect_503("unavailable");
    }
    assert!(answers.iter().any(|answer| answer.status == 200), "nobody was served");
    let waits: Vec<Duration> = answers.iter().map(|answer| answer.waited).collect();
    kept(&waits, TO_FAIL);
    stage.execute(&format!("alter database {} connection limit -1", stage.database));
    kept(&[stage.recovery(Instant::now())], TO_RECOVER);
}

#[test]
fn a_database_with_too_many_clients_is_answered_503() {
    let stage = Stage::with(&[("ECRM_POOL_SIZE", "4")]);
    let mut owner = stage.connect();
    let url = stage.postgres.url(Role::App, "postgres");
    let mut others = Vec::new();
    while let Ok(other) = PgConnection::establish(&url) {
        others.push(other);
        assert!(others.len() < 300, "there is always room for one more");
    }
    // What the service leaves is taken, until it was not quicker to come back.
    while diesel::sql_query(CUT).execute(&mut owner).expect("cut") > 0 {
        let ends_at = Instant::now() + Duration::from_millis(200);
        while Instant::now() < ends_at {
            // A backend that was cut off leaves room once it is gone.
            match PgConnection::establish(&url) {
                Ok(other) => others.push(other),
                Err(_) => thread::sleep(Duration::from_millis(1)),
            }
        }
    }
    let (reads, writes) = stage.crowd(4);
    are_away(&reads);
    are_away(&writes.iter().map(|(_, answer)| answer.clone()).collect::<Vec<_>>());
    stage.the_rest_works();
    drop(others);
    kept(&[stage.recovery(Instant::now())], TO_RECOVER);
    stage.repeat(&writes);
    stage.audit();
}

#[test]
fn a_database_that_takes_no_writes_answers_reads_and_refuses_writes() {
    let stage = Stage::new();
    let mark = stage.mark();
    stage.store(&mark).expect(201);
    let set = |value: &str| {
        format!("alter database {} set default_transaction_read_only = {value}", stage.database)
    };
    stage.execute(&set("on"));
    stage.execute(CUT);
    assert_eq!(stage.read().expect(200).json["data"][0]["last_name"], mark.as_str());
    let other = stage.mark();
    for _ in 0..3 {
        let refused = stage.store(&other);
        refused.expect_503("read_only");
        assert!(refused.waited < NOISE + usual(), "{refused:?}");
    }
    // Who lifts the rule is under it as well.
    let mut owner = stage.connect();
    owner.batch_execute("set default_transaction_read_only = off").expect("may write");
    owner.batch_execute(&set("off")).expect("writable");
    stage.execute(CUT);
    kept(&[stage.recovery(Instant::now())], TO_RECOVER);
    assert!(!stage.store(&other).expect(201).is_replay());
    stage.audit();
}
