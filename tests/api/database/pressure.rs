//! Somebody else holds a lock, a connection dies in the middle: the caller hears 503, and asking
//! again is safe.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use ecrm::error::{Code, Error};
use serde_json::json;

use super::outage::CUT_ALL;
use crate::guards::fixtures::quiet_keys;
use crate::harness::{Answer, App, Client};

const PATH: &str = "/v1/customers";

fn service() -> (App, Client, String) {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let made = client.post(PATH, json!({ "first_name": "Ada" })).expect(201);
    let path = format!("{PATH}/{}", made.id());
    client.get(&path).expect(200);
    quiet_keys(&app);
    (app, client, path)
}

/// A transaction of somebody else that has locked all customers.
fn lock(app: &App) -> PgConnection {
    let mut holder = app.owner();
    holder.batch_execute("begin; select 1 from customers for update").expect("a lock");
    holder
}

/// A8
#[test]
fn a_write_that_waits_for_a_lock_too_long_is_given_up() {
    let (app, client, path) = service();
    let before = app.checksums();
    let holder = lock(&app);
    let started = Instant::now();
    let refused = client.patch(&path, json!({ "first_name": "Eva" })).expect(503);
    assert_eq!(refused.code(), "timeout");
    assert_eq!(refused.headers["retry-after"], "1");
    assert!(started.elapsed() < Duration::from_millis(4800), "{:?}", started.elapsed());
    client.get(&path).expect(200);
    drop(holder);
    assert_eq!(app.checksums(), before);
    client.patch(&path, json!({ "first_name": "Eva" })).expect(200);
}

/// A8
#[test]
fn a_statement_that_takes_too_long_is_given_up_and_its_connection_used_again() {
    let app = App::alone(&[("ECRM_POOL_SIZE", "2")]);
    let started = Instant::now();
    let slow =
        app.state.db.system(|pg| pg.batch_execute("select pg_sleep(30)").map_err(Error::from));
    let Err(Error::Unavailable { code, connection_lost, .. }) = slow else { panic!("{slow:?}") };
    assert_eq!((code, connection_lost), (Code::TIMEOUT, false));
    assert!(started.elapsed() < Duration::from_millis(6500), "{:?}", started.elapsed());
    let client = app.workspace(&["*"]);
    (0..4).for_each(|_| drop(client.get(PATH).expect(200)));
}

/// Every session has the limits and the settings that the rest relies on (A8, A22, A23).
#[test]
fn every_session_has_its_limits() {
    let app = App::alone(&[]);
    let settings = [
        ("statement_timeout", "5s"),
        ("lock_timeout", "3s"),
        ("idle_in_transaction_session_timeout", "10s"),
        ("TimeZone", "UTC"),
        ("lc_messages", "C"),
        ("client_encoding", "UTF8"),
        ("standard_conforming_strings", "on"),
        ("synchronous_commit", "on"),
    ];
    for (name, value) in settings {
        let sql = format!(
            "do $$ begin assert current_setting('{name}') = '{value}', current_setting('{name}'); end $$"
        );
        let checked = app.state.db.system(|pg| pg.batch_execute(&sql).map_err(Error::from));
        assert!(checked.is_ok(), "{name}: {checked:?}");
    }
}

/// A22: a server with another time zone and another way to write dates changes no answer.
#[test]
fn a_server_in_another_time_zone_answers_the_same() {
    let (app, client, path) = service();
    let expected = client.get(&path).expect(200).json;
    let other = "do $$ begin
        execute format('alter database %I set timezone = ''Asia/Kathmandu''', current_database());
        execute format('alter database %I set datestyle = ''German''', current_database());
        execute format('alter database %I set intervalstyle = ''iso_8601''', current_database());
      end $$";
    app.owner().batch_execute(other).expect("other settings");
    app.owner().batch_execute(CUT_ALL).expect("cut");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(client.get(&path).expect(200).json, expected);
    let made = client.post(PATH, json!({ "birth_date": "1990-03-04" })).expect(201);
    assert_eq!(made.json["birth_date"], "1990-03-04");
    assert!(made.json["created_at"].as_str().is_some_and(|time| time.ends_with('Z')));
}

fn patch(client: &Client, path: &str, key: &str) -> Answer {
    let body = json!({ "first_name": "Eva" }).to_string();
    client.send("PATCH", path, &[("Idempotency-Key", key)], Some(&body))
}

/// A13: the outcome of a write whose connection dies is unknown; with its key it is safe to ask.
#[test]
fn a_write_that_was_cut_off_can_be_sent_again() {
    let (app, client, path) = service();
    let mut holder = lock(&app);
    let cut = {
        let (client, path) = (client.clone(), path.clone());
        std::thread::spawn(move || patch(&client, &path, "again"))
    };
    std::thread::sleep(Duration::from_millis(300));
    let waiting = "select pg_terminate_backend(pid) from pg_stat_activity
                    where datname = current_database() and wait_event_type = 'Lock'";
    holder.batch_execute(waiting).expect("cut");
    drop(holder);
    let refused = cut.join().expect("an answer").expect(503);
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(client.get(&path).expect(200).json["version"], 1);
    let done = patch(&client, &path, "again").expect(200);
    assert_eq!(done.json["version"], 2);
    let replayed = patch(&client, &path, "again").expect(200);
    assert_eq!(replayed.headers["idempotent-replayed"], "true");
    assert_eq!(client.get(&path).expect(200).json["version"], 2);
}

/// A20: the switch for a transaction pooler changes nothing that callers see.
#[test]
fn the_service_works_without_session_state() {
    let app = App::alone(&[("DATABASE_POOLER", "transaction")]);
    let client = app.workspace(&["*"]);
    let made = client.post(PATH, json!({ "first_name": "Ada" })).expect(201);
    let path = format!("{PATH}/{}", made.id());
    for name in ["Eva", "Ida"] {
        client.patch(&path, json!({ "first_name": name })).expect(200);
        assert_eq!(client.get(&path).expect(200).json["first_name"], name);
    }
    let prepared = "do $$ begin assert (select count(*) from pg_prepared_statements) = 0; end $$";
    let checked = app.state.db.system(|pg| pg.batch_execute(prepared).map_err(Error::from));
    assert!(checked.is_ok(), "{checked:?}");
}

/// What a large body is parsed into is many times its size, so there are turns for them.
#[test]
fn large_bodies_take_turns_and_give_them_back() {
    let app = App::alone(&[("ECRM_POOL_SIZE", "2")]);
    let client = app.workspace(&["*"]);
    let notes = "n".repeat(900);
    let item = json!({ "type": "page.viewed", "properties": { "notes": notes } });
    let body = json!({ "items": vec![item; 100] });
    let senders: Vec<_> = (0..12)
        .map(|_| {
            let (client, body) = (client.clone(), body.clone());
            std::thread::spawn(move || client.post("/v1/touchpoints/batch", body))
        })
        .collect();
    for sender in senders {
        assert_eq!(sender.join().expect("an answer").expect(207).json["failed"], 0);
    }
    let taken = app.state.large_bodies.clone().try_acquire_many_owned(2).expect("both are back");
    // While others have them all, a large body waits, and not for ever; a small one does not.
    client.post("/v1/touchpoints", json!({ "type": "page.viewed" })).expect(201);
    let started = Instant::now();
    let refused = client.post("/v1/touchpoints/batch", body.clone()).expect(503);
    assert_eq!(refused.headers["retry-after"], "1");
    assert!(started.elapsed() > Duration::from_millis(1800), "{:?}", started.elapsed());
    drop(taken);
    client.post("/v1/touchpoints/batch", body).expect(207);
}
