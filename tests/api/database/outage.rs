//! The database is away or has no connection left: callers hear it soon, and in clear words.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use ecrm::config::Config;
use ecrm::error::Error;
use serde_json::json;

use crate::harness::{Answer, App, Client};

const PATH: &str = "/v1/customers";

/// What a caller waits for at most (A14).
const PATIENCE: Duration = Duration::from_millis(2300);
/// What a busy test machine may add for a few of them.
const NOISE: Duration = Duration::from_millis(1200);

fn are_away(answers: &[(Answer, Duration)]) {
    for (answer, waited) in answers {
        assert_eq!((answer.status, answer.code()), (503, "unavailable"), "{}", answer.text);
        assert_eq!(answer.headers["retry-after"], "1");
        assert!(!answer.text.contains("onnection"), "{}", answer.text);
        assert!(*waited < PATIENCE + NOISE, "{waited:?}");
    }
    let mut waits: Vec<Duration> = answers.iter().map(|(_, waited)| *waited).collect();
    waits.sort_unstable();
    let median = waits[waits.len() / 2];
    assert!(median < PATIENCE, "{waits:?}");
}

/// Lets so many callers ask at once.
fn crowd(client: &Client, callers: usize) -> Vec<std::thread::JoinHandle<(Answer, Duration)>> {
    let ask = |_| {
        let client = client.clone();
        std::thread::spawn(move || timed(|| client.get(PATH)))
    };
    (0..callers).map(ask).collect()
}

fn answers(crowd: Vec<std::thread::JoinHandle<(Answer, Duration)>>) -> Vec<(Answer, Duration)> {
    crowd.into_iter().map(|caller| caller.join().expect("an answer")).collect()
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    let done = work();
    (done, started.elapsed())
}

/// What needs no connection is answered at once all the same.
fn the_rest_works(client: &Client) {
    let anonymous = Client { token: None, ..client.clone() };
    let (_, waited) = timed(|| {
        client.get("/health/live").expect(200);
        client.get("/metrics").expect(200);
        client.send("GET", "/nowhere", &[], None).expect(404);
        client.send("DELETE", PATH, &[], None).expect(405);
        anonymous.get(PATH).expect(401);
    });
    assert!(waited < Duration::from_millis(1500), "{waited:?}");
}

/// Holds every connection of the pool for as long as the guard lives.
fn hold_the_pool(app: &App, connections: usize) -> Vec<std::thread::JoinHandle<()>> {
    let (ready, held) = std::sync::mpsc::channel();
    let holders: Vec<_> = (0..connections)
        .map(|_| {
            let (db, ready) = (app.state.db.clone(), ready.clone());
            std::thread::spawn(move || {
                let held = db.system(|pg| {
                    ready.send(()).expect("a listener");
                    pg.batch_execute("select pg_sleep(4)").map_err(Error::from)
                });
                held.expect("a connection");
            })
        })
        .collect();
    (0..connections).for_each(|_| held.recv().expect("a connection"));
    holders
}

/// A14
#[test]
fn a_pool_without_a_free_connection_is_answered_503_in_time() {
    let app = App::alone(&[("ECRM_POOL_SIZE", "4")]);
    let client = app.workspace(&["*"]);
    client.get(PATH).expect(200);
    let holders = hold_the_pool(&app, 4);
    let callers = crowd(&client, 4);
    the_rest_works(&client);
    are_away(&answers(callers));
    holders.into_iter().for_each(|holder| holder.join().expect("released"));
    client.get(PATH).expect(200);
}

/// A14: fifty callers at once wait no longer than one.
#[test]
fn a_crowd_before_an_exhausted_pool_is_answered_in_time() {
    let app = App::alone(&[("ECRM_POOL_SIZE", "4")]);
    let client = app.workspace(&["*"]);
    client.get(PATH).expect(200);
    let holders = hold_the_pool(&app, 4);
    are_away(&answers(crowd(&client, 50)));
    holders.into_iter().for_each(|holder| holder.join().expect("released"));
    client.get(PATH).expect(200);
}

/// A service whose Postgres does not exist.
fn without_database() -> Client {
    // Bound and dropped: nobody listens there.
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = closed.local_addr().expect("an address").port();
    drop(closed);
    let lookup = |name: &str| match name {
        "ECRM_JWT_SECRET" => Some("a secret of the test suite, 32 bytes and more".into()),
        "ECRM_MASTER_KEY" => Some("00".repeat(32)),
        "ECRM_DEV" => Some("1".into()),
        _ => None,
    };
    let config = Config::from_lookup(&lookup).expect("settings");
    let url = format!("postgres://nobody@127.0.0.1:{port}/nothing");
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let base = format!("http://{}", socket.local_addr().expect("an address"));
    let state = ecrm::app::App::new(config, &url).expect("an app");
    super::restart::serve(state, socket);
    let key = crate::harness::workspace().token;
    Client { base, token: key, workspace_id: uuid::Uuid::nil(), slug: String::new() }
}

/// A15: the service starts without its database, says so, and answers what needs none.
#[test]
fn a_service_without_its_database_lives_and_answers_503() {
    let client = without_database();
    the_rest_works(&client);
    let requests = [
        ("GET", "/health/ready", None),
        ("GET", PATH, None),
        ("GET", "/v1/workspace", None),
        ("POST", PATH, Some("{}")),
        ("DELETE", "/v1/customers/0192f0c1-2a3b-7c4d-8e5f-60718293a4b5", None),
    ];
    let ask = |(method, path, body)| timed(|| client.send(method, path, &[], body));
    are_away(&requests.map(ask));
}

/// A13, A15
#[test]
fn a_service_recovers_when_all_its_connections_were_cut() {
    let app = App::alone(&[("ECRM_POOL_SIZE", "8")]);
    let client = app.workspace(&["*"]);
    let name = |i: usize| json!({ "last_name": i.to_string() });
    for round in 0..3 {
        fill_the_pool(&client);
        app.owner().batch_execute(CUT_ALL).expect("cut");
        let answers: Vec<Answer> = (0..30).map(|i| client.post(PATH, name(i))).collect();
        let failed: Vec<_> = answers.iter().filter(|answer| answer.status != 201).collect();
        assert!(failed.len() <= 1, "round {round}: {} writes failed", failed.len());
        failed.iter().for_each(|answer| assert_eq!(answer.status, 503, "{}", answer.text));
    }
    for round in 0..3 {
        fill_the_pool(&client);
        app.owner().batch_execute(CUT_ALL).expect("cut");
        let failed = (0..30).filter(|_| client.get(PATH).status != 200).count();
        assert!(failed <= 1, "round {round}: {failed} reads failed");
    }
}

/// Opens as many connections as the pool may have.
fn fill_the_pool(client: &Client) {
    let callers: Vec<_> = (0..16)
        .map(|_| {
            let client = client.clone();
            std::thread::spawn(move || {
                (0..5).for_each(|_| drop(client.get("/v1/touchpoints").expect(200)));
            })
        })
        .collect();
    callers.into_iter().for_each(|caller| caller.join().expect("answers"));
}

/// Ends every other connection to this database.
pub const CUT_ALL: &str = "select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()";

/// A16
#[test]
fn more_callers_than_the_server_has_room_for_are_answered_200_or_503() {
    let app = App::alone(&[("ECRM_POOL_SIZE", "8")]);
    let client = app.workspace(&["*"]);
    let mut owner = app.owner();
    let limit = "do $$ begin execute format('alter database %I connection limit 3', current_database()); end $$";
    owner.batch_execute(limit).expect("a limit");
    owner.batch_execute(CUT_ALL).expect("cut");
    for (answer, _) in answers(crowd(&client, 24)) {
        assert!([200, 503].contains(&answer.status), "{}", answer.text);
    }
    owner.batch_execute(&limit.replace("limit 3", "limit -1")).expect("no limit");
    client.get(PATH).expect(200);
}

/// A18: a failover leaves a database that can only be read for a while.
#[test]
fn a_read_only_database_answers_reads_and_refuses_writes() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    client.get(PATH).expect(200);
    let mut owner = app.owner();
    // A key that was not used for a while has its time of use to be written.
    owner.batch_execute("update api_keys set last_used_at = '2020-01-01'").expect("an old use");
    app.state.credentials.forget();
    let set = |value: &str| {
        format!(
            "do $$ begin execute format('alter database %I set default_transaction_read_only = {value}',
                                        current_database()); end $$"
        )
    };
    owner.batch_execute(&set("on")).expect("read only");
    owner.batch_execute(CUT_ALL).expect("cut");
    // After a pause connections are tested before they are used.
    std::thread::sleep(Duration::from_secs(1));
    client.get(PATH).expect(200);
    client.get("/v1/workspace").expect(200);
    let refused = client.post(PATH, json!({})).expect(503);
    assert_eq!(refused.code(), "read_only");
    assert_eq!(refused.headers["retry-after"], "1");
    owner.batch_execute("set default_transaction_read_only = off").expect("may write");
    owner.batch_execute(&set("off")).expect("writable");
    owner.batch_execute(CUT_ALL).expect("cut");
    std::thread::sleep(Duration::from_secs(1));
    client.get(PATH).expect(200);
    client.post(PATH, json!({})).expect(201);
}
