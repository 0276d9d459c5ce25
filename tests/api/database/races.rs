//! Several writers at once: nothing is lost, nothing happens twice.

use std::sync::Barrier;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use ecrm::customers::{self, NewCustomer};
use ecrm::db::Outcome;
use ecrm::error::Error;
use ecrm::schema::workspaces;
use serde_json::json;

use crate::harness::{Answer, App, Client, workspace};

const PATH: &str = "/v1/customers";
const WRITERS: usize = 8;

/// Runs the same work on several threads at the same moment.
fn together<T: Send>(threads: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let start = Barrier::new(threads);
    let run = |number| {
        start.wait();
        work(number)
    };
    std::thread::scope(|scope| {
        let begin = |number| {
            scope.spawn({
                let run = &run;
                move || run(number)
            })
        };
        let running: Vec<_> = (0..threads).map(begin).collect();
        running.into_iter().map(|thread| thread.join().expect("a result")).collect()
    })
}

/// Adds one to a number in the customer, if nobody has changed the customer since it was read.
fn try_to_count(client: &Client, path: &str) -> bool {
    let read = client.get(path).expect(200);
    let count = read.json["attributes"]["count"].as_i64().expect("a count");
    let body = json!({ "attributes": { "count": count + 1 } }).to_string();
    let etag = read.headers["etag"].as_str();
    let answer = client.send("PATCH", path, &[("If-Match", etag)], Some(&body));
    assert!([200, 412].contains(&answer.status), "{}", answer.text);
    answer.status == 200
}

#[test]
fn no_update_is_lost_between_eight_writers() {
    let client = workspace();
    let made = client.post(PATH, json!({ "attributes": { "count": 0 } })).expect(201);
    let path = format!("{PATH}/{}", made.id());
    let each = 10;
    together(WRITERS, |_| {
        let mut done = 0;
        while done < each {
            done += i32::from(try_to_count(&client, &path));
        }
    });
    let end = client.get(&path).expect(200).json;
    assert_eq!(end["attributes"]["count"], 80);
    assert_eq!(end["version"], 81);
}

#[test]
fn writers_without_a_version_take_turns() {
    let client = workspace();
    let made = client.post(PATH, json!({})).expect(201);
    let path = format!("{PATH}/{}", made.id());
    together(WRITERS, |number| {
        for round in 0..5 {
            let key = format!("k{number}x{round}");
            client.patch(&path, json!({ "attributes": { key: true } })).expect(200);
        }
    });
    let end = client.get(&path).expect(200).json;
    assert_eq!(end["attributes"].as_object().map(serde_json::Map::len), Some(40));
    assert_eq!(end["version"], 41);
}

fn statuses(answers: &[Answer]) -> Vec<u16> {
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    statuses
}

#[test]
fn an_email_is_taken_by_exactly_one_of_those_who_ask_at_once() {
    let client = workspace();
    for round in 0..20 {
        let email = json!({ "email": format!("race{round}@shop.example.com") });
        let answers = together(4, |_| client.post(PATH, email.clone()));
        assert_eq!(statuses(&answers), [201, 409, 409, 409], "round {round}");
        let winner = answers.iter().find(|answer| answer.status == 201).expect("a winner").id();
        for loser in answers.iter().filter(|answer| answer.status == 409) {
            assert_eq!(loser.json["existing_id"], winner.as_str());
        }
    }
    let list = client.get(&format!("{PATH}?include_total=true")).expect(200);
    assert_eq!(list.json["total"], 20);
}

#[test]
fn an_upsert_at_once_makes_one_and_changes_it() {
    let client = workspace();
    for round in 0..10 {
        let path = format!("{PATH}/external/shop/{round}");
        let answers = together(4, |_| client.put(&path, json!({ "first_name": "Ada" })));
        assert_eq!(statuses(&answers), [200, 200, 200, 201], "round {round}");
        let ids: Vec<String> = answers.iter().map(Answer::id).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }
}

#[test]
fn a_touchpoint_that_comes_several_times_at_once_is_stored_once() {
    let client = workspace();
    let body = json!({ "type": "page.viewed", "source": "shop", "message_id": "m1",
                       "customer": { "anonymous_id": "a" } });
    let path = "/v1/touchpoints?on_unknown_customer=keep_anonymous";
    let answers = together(6, |_| client.post(path, body.clone()));
    let ids: Vec<String> = answers.iter().map(Answer::id).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let list = client.get("/v1/touchpoints?type=page.viewed&include_total=true").expect(200);
    assert_eq!(list.json["total"], 1);
}

/// A transaction that writes a lot keeps to one row of each counter.
#[test]
fn a_long_transaction_holds_up_few_others() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let session = app.session(&client, true);
    let (started, end) = (Barrier::new(2), Barrier::new(2));
    let answers = std::thread::scope(|scope| {
        scope.spawn(|| {
            let done = app.state.db.write(&session, &|tx| {
                for _ in 0..200 {
                    let new: NewCustomer = serde_json::from_value(json!({})).expect("nobody");
                    customers::create(tx, &new)?;
                    ecrm::journal::flush(tx)?;
                }
                started.wait();
                end.wait();
                Ok(Outcome::Commit(()))
            });
            done.expect("made");
        });
        started.wait();
        let answers = together(WRITERS, |_| client.post(PATH, json!({})));
        end.wait();
        answers
    });
    let held_up = answers.iter().filter(|answer| answer.status == 503).count();
    assert!(held_up < WRITERS / 2, "{held_up} of {WRITERS} waited until they gave up");
}

/// A9: two transactions that lock the same rows in opposite order, again and again.
#[test]
fn transactions_that_lock_in_opposite_order_all_succeed() {
    let app = App::alone(&[]);
    let table = "create table seats (id int primary key, n int not null);
                 insert into seats values (1, 0), (2, 0);
                 grant all on seats to public";
    app.owner().batch_execute(table).expect("a table");
    let client = app.workspace(&["*"]);
    let session = app.session(&client, true);
    let rounds = 100;
    together(2, |number| {
        let order = if number == 0 { [1, 2] } else { [2, 1] };
        for _ in 0..rounds {
            let done = app.state.db.write(&session, &|tx| {
                for seat in order {
                    let sql = format!("update seats set n = n + 1 where id = {seat}");
                    tx.pg.batch_execute(&sql)?;
                }
                Ok(Outcome::Commit(()))
            });
            done.expect("both go through in the end");
        }
    });
    let check = "do $$ begin assert (select min(n) = 200 and max(n) = 200 from seats); end $$";
    app.owner().batch_execute(check).expect("no update is lost");
}

/// A dry run and a failed write leave nothing, whatever they did before.
#[test]
fn a_transaction_that_fails_leaves_nothing() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let session = app.session(&client, true);
    let before = app.checksums();
    for commit in [false, true] {
        let done = app.state.db.write(&session, &|tx| {
            let workspace = tx.workspace;
            diesel::update(workspaces::table.filter(workspaces::id.eq(workspace)))
                .set(workspaces::name.eq("changed"))
                .execute(tx.pg)?;
            if commit { Err(Error::internal("on purpose")) } else { Ok(Outcome::Rollback(())) }
        });
        assert_eq!(done.is_err(), commit);
        assert_eq!(app.checksums(), before);
    }
}
