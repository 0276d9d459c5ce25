//! The worker: each job done once, whoever dies meanwhile, and nobody waiting for somebody else's.

use chrono::{TimeDelta, Utc};
use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Integer, Nullable, Text};
use ecrm::db::{Outcome, Session};
use ecrm::jobs::{self, End, Job, NewJob, Priority, Turn};
use serde_json::json;
use uuid::Uuid;

use crate::harness::{App, Client};

/// Queues jobs that no worker knows, which so fail when they are tried.
fn queue(app: &App, client: &Client, priority: Priority, n: i64) -> Session {
    let session = app.session(client, true);
    for n in 0..n {
        let job = NewJob {
            queue: "tests",
            priority,
            kind: "tests.fail",
            payload: json!({ "n": n }),
            run_at: Utc::now() - TimeDelta::seconds(60 - n),
            unique_key: None,
        };
        let now = Utc::now();
        let queued = app.state.db.system(|pg| jobs::enqueue(pg, session.workspace, &job, now));
        assert!(queued.expect("queued"));
    }
    session
}

fn turn(at_least: Priority) -> Turn {
    Turn::new(Uuid::now_v7(), at_least)
}

fn claim(app: &App, turn: &mut Turn) -> Option<Job> {
    turn.claim(&app.state.db).expect("a claim")
}

fn sql(app: &App, text: &str) {
    diesel::sql_query(text).execute(&mut app.owner()).expect("a change");
}

fn number(app: &App, text: &str) -> i64 {
    #[derive(diesel::QueryableByName)]
    struct Number {
        #[diesel(sql_type = BigInt)]
        n: i64,
    }
    diesel::sql_query(text).get_result::<Number>(&mut app.owner()).expect("a number").n
}

#[derive(diesel::QueryableByName, Debug, PartialEq)]
struct Stored {
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = Integer)]
    attempts: i32,
    #[diesel(sql_type = Nullable<Text>)]
    last_error: Option<String>,
}

fn stored(app: &App) -> Vec<Stored> {
    let text = "select state, attempts, last_error from jobs where queue = 'tests' order by run_at";
    diesel::sql_query(text).load(&mut app.owner()).expect("jobs")
}

#[test]
fn a_workspace_with_many_jobs_keeps_no_other_waiting() {
    let app = App::alone(&[]);
    let (busy, idle) = (app.workspace(&["*"]), app.workspace(&["*"]));
    queue(&app, &busy, Priority::Normal, 50);
    let idle = queue(&app, &idle, Priority::Normal, 1).workspace;
    let mut turn = turn(Priority::Bulk);
    let first: Vec<_> =
        (0..3).map(|_| claim(&app, &mut turn).expect("a job").workspace_id).collect();
    assert!(first.contains(&idle), "{first:?}");
    let left = (0..).map_while(|_| claim(&app, &mut turn)).count();
    assert_eq!(left, 48, "each is claimed once");
}

#[test]
fn what_somebody_waits_for_goes_first_and_finds_a_free_thread() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    queue(&app, &client, Priority::Bulk, 2);
    queue(&app, &client, Priority::Soon, 1);
    queue(&app, &client, Priority::Normal, 1);
    let mut free = turn(Priority::Normal);
    let kinds = (0..).map_while(|_| claim(&app, &mut free)).count();
    assert_eq!(kinds, 2, "this thread does nothing that takes long");
    let mut any = turn(Priority::Bulk);
    assert_eq!((0..).map_while(|_| claim(&app, &mut any)).count(), 2);
    sql(&app, "update jobs set state = 'queued', locked_by = null where queue = 'tests'");
    let first = claim(&app, &mut any).expect("a job");
    assert_eq!(first.attempts, 2);
    let running = "select priority::bigint as n from jobs where state = 'running'";
    assert_eq!(number(&app, running), Priority::Soon as i64);
}

/// A worker pauses until its lease is over; another takes the job; the first wakes up and goes on.
#[test]
fn a_worker_that_was_thought_dead_writes_nothing_more() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let session = queue(&app, &client, Priority::Normal, 1);
    let slow = claim(&app, &mut turn(Priority::Bulk)).expect("a job");
    let of = |job: &Job| Session { lease: job.lease(), ..session.clone() };
    let write = |job: &Job| {
        app.state.db.write(&of(job), &|tx| {
            ecrm::audit::done(tx, "tests.written", tx.workspace.uuid()).map(Outcome::Commit)
        })
    };
    write(&slow).expect("it has the job");
    sql(&app, "update jobs set locked_until = now() - interval '1 second' where queue = 'tests'");
    jobs::release_expired(&app.state.db).expect("released");
    let gone = write(&slow).expect_err("nobody has the job");
    assert!(gone.to_string().contains("another worker"), "{gone}");

    let next = claim(&app, &mut turn(Priority::Bulk)).expect("the same job");
    assert_eq!((next.id, next.attempts), (slow.id, 2));
    write(&slow).expect_err("another has the job");
    assert_eq!(slow.finish(&app.state.db, &Ok(())).expect("no change"), End::Lost);
    write(&next).expect("it has the job");
    assert_eq!(next.finish(&app.state.db, &Ok(())).expect("a change"), End::Completed);
}

/// The lease of a job whose transaction is open does not end, however long that takes, nor that of one
/// whose worker goes from one transaction to the next.
#[test]
fn a_job_is_not_taken_from_an_open_transaction_nor_right_after() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let session = queue(&app, &client, Priority::Normal, 1);
    let job = claim(&app, &mut turn(Priority::Bulk)).expect("a job");
    let leased = Session { lease: job.lease(), ..session };
    let db = &app.state.db;
    sql(&app, "update jobs set locked_until = now() - interval '1 second' where queue = 'tests'");
    db.write(&leased, &|_tx| {
        jobs::release_expired(db).expect("nothing to release");
        jobs::extend(db, leased.lease.as_ref().expect("a lease").worker).expect("a heartbeat");
        Ok(Outcome::Commit(()))
    })
    .expect("done");
    jobs::release_expired(db).expect("nothing to release");
    assert_eq!(job.finish(db, &Ok(())).expect("a change"), End::Completed);
}

/// A process that must end gives back what it does not finish, and may be in the middle of it.
#[test]
fn a_job_begins_elsewhere_only_when_the_last_transaction_of_its_worker_has_ended() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let session = queue(&app, &client, Priority::Normal, 1);
    let job = claim(&app, &mut turn(Priority::Bulk)).expect("a job");
    let leased = Session { lease: job.lease(), ..session };
    let db = &app.state.db;
    let worker = leased.lease.as_ref().expect("a lease").worker;
    db.write(&leased, &|_tx| {
        assert_eq!(jobs::give_back(db, worker).expect("given back"), 1);
        assert!(claim(&app, &mut turn(Priority::Bulk)).is_none(), "it is still worked on");
        Ok(Outcome::Commit(()))
    })
    .expect("done");
    let next = claim(&app, &mut turn(Priority::Bulk)).expect("the same job");
    assert_eq!((next.id, next.attempts), (job.id, 1));
    let late = db.write(&leased, &|_tx| Ok(Outcome::Commit(())));
    assert!(late.expect_err("another has the job").to_string().contains("another worker"));
}

#[test]
fn who_holds_a_job_is_decided_by_the_clock_of_the_database() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    queue(&app, &client, Priority::Normal, 1);
    let db = &app.ahead().db;
    let worker = Uuid::now_v7();
    let job = Turn::new(worker, Priority::Bulk).claim(db).expect("a claim").expect("a job");
    let seconds_left = || {
        let left =
            "select extract(epoch from locked_until - (now() - interval '1 hour'))::bigint as n
                      from jobs where queue = 'tests'";
        number(&app, left)
    };
    assert!((1..=60).contains(&seconds_left()), "{} seconds", seconds_left());
    jobs::release_expired(db).expect("nothing to release");
    jobs::extend(db, worker).expect("a heartbeat");
    assert!((1..=60).contains(&seconds_left()), "{} seconds", seconds_left());
    jobs::release_expired(db).expect("nothing to release");
    assert_eq!(job.finish(db, &Ok(())).expect("a change"), End::Completed);
}

#[test]
fn a_heartbeat_keeps_a_job() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    queue(&app, &client, Priority::Normal, 1);
    let worker = Uuid::now_v7();
    let job =
        Turn::new(worker, Priority::Bulk).claim(&app.state.db).expect("a claim").expect("a job");
    sql(&app, "update jobs set locked_until = now() - interval '1 second' where queue = 'tests'");
    jobs::extend(&app.state.db, worker).expect("a heartbeat");
    jobs::release_expired(&app.state.db).expect("nothing to release");
    assert_eq!(job.finish(&app.state.db, &Ok(())).expect("a change"), End::Completed);
}

#[test]
fn what_a_process_cannot_finish_it_gives_back_as_it_was() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    queue(&app, &client, Priority::Normal, 2);
    let worker = Uuid::now_v7();
    let mut turn = Turn::new(worker, Priority::Bulk);
    let held = claim(&app, &mut turn).expect("a job");
    assert_eq!(jobs::give_back(&app.state.db, worker).expect("given back"), 1);
    assert_eq!(held.finish(&app.state.db, &Ok(())).expect("no change"), End::Lost);
    assert!(stored(&app).iter().all(|job| (job.state.as_str(), job.attempts) == ("queued", 0)));
}

#[test]
fn a_job_that_kills_its_workers_is_given_up() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    queue(&app, &client, Priority::Normal, 1);
    let mut turn = turn(Priority::Bulk);
    for attempt in 1..=10 {
        assert_eq!(claim(&app, &mut turn).expect("a job").attempts, attempt);
        sql(
            &app,
            "update jobs set locked_until = now() - interval '1 second' where queue = 'tests'",
        );
        jobs::release_expired(&app.state.db).expect("released");
    }
    assert!(claim(&app, &mut turn).is_none());
    let end = Stored {
        state: "failed".into(),
        attempts: 10,
        last_error: Some("the worker that had it fell silent".into()),
    };
    assert_eq!(stored(&app), [end]);
}

#[test]
fn the_worker_tries_ten_times_and_counts() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    queue(&app, &client, Priority::Normal, 1);
    for _ in 0..11 {
        ecrm::worker::round(&app.state, Uuid::now_v7()).expect("a round");
        sql(&app, "update jobs set run_at = now() - interval '1 second' where queue = 'tests'");
    }
    let [job] = &stored(&app)[..] else { panic!("one job") };
    assert_eq!((job.state.as_str(), job.attempts), ("failed", 10));
    let metrics = app.state.metrics.render();
    for line in [
        r#"ecrm_job_attempts_total{end="retried",queue="tests"} 9"#,
        r#"ecrm_job_attempts_total{end="failed",queue="tests"} 1"#,
        r#"ecrm_jobs{queue="tests",state="failed"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}

/// Two processes on one database, both awake at the same minute.
#[test]
fn upkeep_is_queued_once_however_many_workers_there_are() {
    let app = App::alone(&[]);
    let other = app.twin();
    for _ in 0..2 {
        for state in [&app.state, &other] {
            while ecrm::worker::round(state, Uuid::now_v7()).expect("a round") > 0 {}
        }
    }
    let most = "select coalesce(max(n), 0)::bigint as n from (select count(*) as n from jobs
                 where queue = 'maintenance' group by kind, payload) t";
    assert_eq!(number(&app, most), 1);
}

/// What could not be queued is queued in the next second, not in the next period.
#[test]
fn upkeep_that_could_not_be_queued_is_queued_later() {
    let app = App::alone(&[]);
    let round = || ecrm::worker::round(&app.state, Uuid::now_v7());
    sql(&app, "revoke insert on jobs from ecrm_app");
    round().expect_err("nothing can be queued");
    sql(&app, "grant insert on jobs to ecrm_app");
    round().expect("a round");
    let queued = "select count(distinct kind) as n from jobs where queue = 'maintenance'";
    assert_eq!(number(&app, queued), 5);
}

/// Jobs that finished so many days ago.
fn finished(app: &App, client: &Client, n: i64, days: i64) {
    sql(
        app,
        &format!(
            "insert into jobs (workspace_id, id, queue, kind, payload, state, run_at, attempts,
                               max_attempts, created_at, finished_at)
             select '{}', gen_random_uuid(), 'tests', 'tests.done', '{{}}', 'completed', at, 1, 10, at, at
               from generate_series(1, {n}), (select now() - interval '{days} days' as at) as finished",
            client.workspace_id
        ),
    );
}

#[test]
fn what_finished_long_ago_is_removed_page_by_page() {
    let app = App::alone(&[]);
    let (many, few) = (app.workspace(&["*"]), app.workspace(&["*"]));
    finished(&app, &many, 6000, 31);
    finished(&app, &many, 6000, 29);
    finished(&app, &few, 1, 31);
    ecrm::worker::round(&app.state, Uuid::now_v7()).expect("a round");
    assert_eq!(number(&app, "select count(*) as n from jobs where queue = 'tests'"), 6000);
}

#[test]
fn what_cannot_be_removed_keeps_nothing_else() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    finished(&app, &client, 1, 31);
    sql(&app, "revoke delete on refresh_tokens, webhook_deliveries from ecrm_app");
    ecrm::worker::round(&app.state, Uuid::now_v7()).expect("a round");
    assert_eq!(number(&app, "select count(*) as n from jobs where queue = 'tests'"), 0);
    let again = "select count(*) as n from jobs
                  where kind = 'maintenance.prune' and state = 'queued' and last_error is not null";
    assert_eq!(number(&app, again), 1, "it is tried again");
}

/// Real threads: everything is done, and they end when they are asked to.
#[test]
fn the_threads_of_a_worker_do_all_there_is_and_end() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    client.post("/v1/customers", json!({ "first_name": "Ada" })).expect(201);
    client.post("/v1/merge_candidates/scan", json!({})).expect(202);
    let threads = ecrm::worker::start(&app.state).expect("threads");
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let done = "select count(*) as n from jobs
                 where kind = 'customers.scan' and state = 'completed'";
    while number(&app, done) == 0 {
        assert!(std::time::Instant::now() < until, "{:?}", stored(&app));
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    app.state.drain();
    threads.into_iter().for_each(|thread| thread.join().expect("the end"));
}
