//! Who is served when, and by whom.

use std::time::Duration;

use diesel::RunQueryDsl;
use diesel::connection::SimpleConnection;
use diesel::sql_types::BigInt;
use serde_json::{Value, json};
use uuid::Uuid;

use super::sink::{Mode, Sink};
use super::{
    at, customer, deliveries, delivery_in, endpoint, happen, send, send_as, sending, wait_for,
};
use crate::harness::{App, Client};

const PRIVATE: &[(&str, &str)] = &[("ECRM_WEBHOOK_ALLOW_PRIVATE", "1")];

fn told_of_visits(client: &Client, sink: &Sink, at_a_time: usize) -> String {
    let body = json!({ "url": sink.url, "event_types": ["visit.*"], "max_concurrency": at_a_time });
    endpoint(client, body).id()
}

fn sql(client: &Client, text: &str) {
    client.owner().batch_execute(text).expect("a change");
}

fn number(client: &Client, text: &str) -> i64 {
    #[derive(diesel::QueryableByName)]
    struct Number {
        #[diesel(sql_type = BigInt)]
        n: i64,
    }
    diesel::sql_query(text).get_result::<Number>(&mut client.owner()).expect("a number").n
}

/// A dozen endpoints of one workspace take messages and never answer.
#[test]
fn slow_endpoints_of_one_workspace_keep_no_other_waiting() {
    let app = App::alone(PRIVATE);
    send(&app);
    let (slow, quick) = (app.workspace(&["*"]), app.workspace(&["*"]));
    let sinks: Vec<Sink> = (0..12).map(|_| Sink::new(Mode::Hang)).collect();
    sinks.iter().for_each(|sink| drop(told_of_visits(&slow, sink, 10)));
    let good = Sink::new(Mode::Status(200));
    told_of_visits(&quick, &good, 1);
    let ada = customer(&quick);
    let many: Vec<String> = (0..10).map(|_| customer(&slow)).collect();
    many.iter().for_each(|one| drop(happen(&slow, one, "visit")));
    let came = || sinks.iter().flat_map(Sink::came).map(|message| message.at);
    wait_for("many to be under way", || (came().count() >= 32).then_some(()));
    happen(&quick, &ada, "visit");
    let arrived = wait_for("the other", || good.came().pop()).at;
    let first = came().min().expect("the first");
    // When the first of them is given up.
    let given_up = first + Duration::from_secs(10);
    assert!(arrived < given_up, "after {:?}", arrived - first);
    assert!(came().filter(|at| *at <= arrived).count() <= 64, "more than its share");
}

/// Nobody answers the tests of one workspace.
#[test]
fn tests_of_one_workspace_keep_no_other_from_testing() {
    let (slow, quick) = (sending(), sending());
    let (sink, good) = (Sink::new(Mode::Hang), Sink::new(Mode::Status(200)));
    let test = |client: &Client, id: &str| {
        client.send("POST", &format!("{}/test", at(id)), &[], None).status
    };
    let (hangs, answers) = (told_of_visits(&slow, &sink, 1), told_of_visits(&quick, &good, 1));
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..12).map(|_| scope.spawn(|| test(&slow, &hangs))).collect();
        wait_for("some to be under way", || (sink.came().len() >= 4).then_some(()));
        assert_eq!(test(&quick, &answers), 200);
        let all: Vec<u16> = all.into_iter().map(|one| one.join().expect("an answer")).collect();
        assert!(all.contains(&200) && all.contains(&503), "{all:?}");
    });
}

/// Ada's first event waits for its next attempt, and so do all her others; Bob's is behind them.
#[test]
fn what_one_customer_waits_for_keeps_no_other_waiting() {
    let client = sending();
    let sink = Sink::new(Mode::Status(200));
    let id = told_of_visits(&client, &sink, 4);
    sql(
        &client,
        &format!(
            "update webhook_endpoints set paused_until = now() + interval '1 hour' where id = '{id}'"
        ),
    );
    let (ada, bob) = (customer(&client), customer(&client));
    happen(&client, &ada, "first");
    let visit = happen(&client, &bob, "behind");
    wait_for("both", || (deliveries(&client, &id).len() == 2).then_some(()));
    sql(
        &client,
        &format!(
            "update webhook_deliveries set sequence = 1000000 + sequence where customer_id = '{bob}';
             update webhook_deliveries set failures = 1, next_attempt_at = now() + interval '1 hour'
              where customer_id = '{ada}';
             insert into webhook_deliveries (workspace_id, id, endpoint_id, sequence, touchpoint_id,
                    customer_id, type, status, attempts, failures, next_attempt_at, created_at)
             select workspace_id, gen_random_uuid(), endpoint_id, sequence + n, touchpoint_id,
                    customer_id, type, 'pending', 0, 0, created_at, created_at
               from webhook_deliveries, generate_series(1, 2500) n where customer_id = '{ada}';
             update webhook_endpoints set paused_until = null where id = '{id}'"
        ),
    );
    let first = wait_for("somebody's", || sink.came().into_iter().next());
    assert_eq!(first.id(), visit);
    delivery_in(&client, &id, "delivered");
    assert_eq!(sink.came().len(), 1);
}

#[test]
fn who_sends_a_message_is_decided_by_the_clock_of_the_database() {
    let app = App::alone(PRIVATE);
    let client = app.workspace(&["*"]);
    let (sink, silent) = (Sink::new(Mode::Status(200)), Sink::new(Mode::Hang));
    let (id, hangs) = (told_of_visits(&client, &sink, 2), told_of_visits(&client, &silent, 2));
    let ahead = app.ahead();
    send_as(&ahead);
    let visits = [(), ()].map(|()| happen(&client, &customer(&client), "visit"));
    delivery_in(&client, &hangs, "delivering");
    let left = format!(
        "select extract(epoch from max(locked_until) - (now() - interval '1 hour'))::bigint as n
           from webhook_deliveries where endpoint_id = '{hangs}'"
    );
    assert!((1..=15).contains(&number(&client, &left)), "{} seconds", number(&client, &left));
    let sent = |visit: &str| sink.came().iter().filter(|one| one.id() == visit).count();
    wait_for("both", || {
        let all = deliveries(&client, &id);
        (all.len() == 2 && all.iter().all(|one| one["status"] == "delivered")).then_some(())
    });
    // Somebody took both: the first long ago, the other just now.
    for (visit, seconds) in visits.iter().zip([-1, 600]) {
        let taken = format!(
            "update webhook_deliveries
                set status = 'delivering', locked_by = id, delivered_at = null,
                    locked_until = now() - interval '1 hour' + interval '{seconds} seconds'
              where endpoint_id = '{id}' and touchpoint_id = '{visit}'"
        );
        sql(&client, &taken);
    }
    wait_for("the first again", || (sent(&visits[0]) == 2).then_some(()));
    assert_eq!(sent(&visits[1]), 1);
    delivery_in(&client, &id, "delivering");
    ahead.drain();
}

/// Somebody looks at one of them just now.
#[test]
fn deliveries_are_removed_after_a_month_as_far_as_they_can_be() {
    let app = App::alone(PRIVATE);
    let client = app.workspace(&["*"]);
    let endpoint = told_of_visits(&client, &Sink::new(Mode::Status(200)), 4);
    let old = |n: i64| ecrm::db::id::at(chrono::Utc::now() - chrono::TimeDelta::days(n), 0);
    let (locked, under_way, young) = (old(40), old(39), old(29));
    let make = |id: Uuid, status: &str, sequence: i64| {
        format!(
            "insert into webhook_deliveries (workspace_id, id, endpoint_id, sequence, touchpoint_id, type,
                    status, attempts, failures, next_attempt_at, created_at)
             values ('{0}', '{id}', '{endpoint}', {sequence}, '{id}', 'visit.made', '{status}', 1, 0,
                     now(), now());
             insert into webhook_attempts (workspace_id, id, delivery_id, number, attempted_at,
                    latency_ms, request_headers, response_headers)
             values ('{0}', gen_random_uuid(), '{id}', 1, now(), 1, '{{}}', '{{}}');",
            client.workspace_id
        )
    };
    let special = [(locked, "failed"), (under_way, "delivering"), (young, "failed")];
    let others = (0..1200).map(|_| (old(35), "delivered"));
    let all: Vec<String> = special
        .into_iter()
        .chain(others)
        .zip(1..)
        .map(|((id, status), sequence)| make(id, status, sequence))
        .collect();
    sql(&client, &all.concat());
    let mut holder = client.owner();
    let lock = format!("begin; select from webhook_deliveries where id = '{locked}' for update");
    holder.batch_execute(&lock).expect("a lock");
    ecrm::worker::round(&app.state, Uuid::now_v7()).expect("a round");
    let mut left: Vec<Value> =
        deliveries(&client, &endpoint).iter().map(|one| one["id"].clone()).collect();
    left.sort_by_key(Value::to_string);
    assert_eq!(left, [locked, under_way, young].map(|id| json!(id)));
    assert_eq!(number(&client, "select count(*) as n from webhook_attempts"), 3);
}
