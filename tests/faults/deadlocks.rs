//! Writers who want the same rows in opposite order: one of them waits, none is refused.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

use crate::client::{Answer, CUSTOMERS, TOUCHPOINTS};
use crate::postgres::number;
use crate::stage::Stage;

const ITEMS: usize = 20;

/// Sends a batch of items from two callers at the same moment, one of them from last to first.
fn crossing(stage: &Stage, path: &str, items: &[Value]) -> Vec<Answer> {
    let start = Barrier::new(2);
    let backwards: Vec<&Value> = items.iter().rev().collect();
    let bodies = [json!({ "items": items }), json!({ "items": backwards })];
    let send = |body| {
        start.wait();
        stage.client.post(path, body)
    };
    thread::scope(|scope| {
        let callers: Vec<_> = bodies.iter().map(|body| scope.spawn(move || send(body))).collect();
        callers.into_iter().map(|caller| caller.join().unwrap().expect(207)).collect()
    })
}

fn statuses(answer: &Answer) -> Vec<i64> {
    let results = answer.json["results"].as_array().expect("results");
    results.iter().map(|result| result["status"].as_i64().expect("a status")).collect()
}

fn email(round: usize, item: usize) -> String {
    format!("p{round}-{item}@shop.example.com")
}

#[test]
fn batches_of_the_same_new_customers_in_opposite_order_make_each_once() {
    let stage = Stage::new();
    for round in 0..10 {
        let items: Vec<_> = (0..ITEMS).map(|n| json!({ "email": email(round, n) })).collect();
        let answers = crossing(&stage, &format!("{CUSTOMERS}/batch"), &items);
        let mut others = statuses(&answers[1]);
        others.reverse();
        for (one, other) in statuses(&answers[0]).into_iter().zip(others) {
            assert_eq!([one.min(other), one.max(other)], [201, 409], "{answers:?}");
        }
    }
    let stored = number(&mut stage.connect(), "select count(*) from customers");
    assert_eq!(stored, 10 * i64::try_from(ITEMS).unwrap());
}

#[test]
fn batches_of_touchpoints_of_the_same_people_in_opposite_order_are_all_stored() {
    let stage = Stage::new();
    for round in 0..10 {
        let item = |n| json!({ "type": "page.viewed", "customer": { "email": email(round, n) } });
        let items: Vec<_> = (0..ITEMS).map(item).collect();
        let path = format!("{TOUCHPOINTS}/batch?on_unknown_customer=create");
        for answer in crossing(&stage, &path, &items) {
            assert_eq!(statuses(&answer), [201; ITEMS]);
        }
    }
    let mut pg = stage.connect();
    let people = 10 * i64::try_from(ITEMS).unwrap();
    assert_eq!(number(&mut pg, "select count(*) from customers"), people);
    let counted = "select sum(n) from customer_activity where type = 'page.viewed'";
    assert_eq!(number(&mut pg, counted), 2 * people);
}

#[test]
fn upserts_of_the_same_customers_at_once_are_all_answered() {
    let stage = Stage::new();
    let start = Barrier::new(4);
    thread::scope(|scope| {
        for caller in 0..4 {
            let (stage, start) = (&stage, &start);
            scope.spawn(move || {
                for round in 0..15 {
                    start.wait();
                    for n in 0..4 {
                        let n = if caller % 2 == 0 { n } else { 3 - n };
                        let path = format!("{CUSTOMERS}/external/shop/{round}-{n}");
                        let key = format!("{caller}-{round}-{n}");
                        let body = json!({ "attributes": { format!("by_{caller}"): true } });
                        let answer = stage.client.write("PUT", &path, &key, &body);
                        assert!([200, 201].contains(&answer.status), "{answer:?}");
                    }
                }
            });
        }
    });
    let whole = "select count(*) from customers where version = 4
                    and attributes ?& array['by_0', 'by_1', 'by_2', 'by_3']";
    assert_eq!(number(&mut stage.connect(), whole), 60);
}

/// A deadlock made on purpose with somebody who cannot be moved: the service gives way, and tries
/// again.
#[test]
fn a_batch_that_is_the_victim_of_a_deadlock_is_stored_all_the_same() {
    let stage = Stage::new();
    let person = |n| json!({ "type": "page.viewed", "customer": { "email": email(0, n) } });
    let path = format!("{TOUCHPOINTS}/batch?on_unknown_customer=create");
    let body = json!({ "items": [person(0), person(1)] });
    stage.client.post(&path, &body).expect(207);
    let mut other = stage.connect();
    let take = |end: &str| {
        format!(
            "update customer_stats set orders_count = 0 where customer_id =
                 (select customer_id from customer_stats order by customer_id {end} limit 1)"
        )
    };
    other.batch_execute(&format!("set deadlock_timeout = '20s'; begin; {}", take("desc"))).unwrap();
    let answer = thread::scope(|scope| {
        let writer = scope.spawn(|| stage.client.post(&path, &body));
        wait_for_blocked(&stage);
        other.batch_execute(&take("asc")).expect("the other one gives way");
        other.batch_execute("commit").expect("committed");
        writer.join().unwrap()
    });
    assert_eq!(statuses(&answer.expect(207)), [201, 201]);
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    let asked = Instant::now();
    while number(&mut stage.connect(), deadlocks) == 0 {
        assert!(asked.elapsed() < Duration::from_secs(5), "there was no deadlock");
        thread::sleep(Duration::from_millis(50));
    }
    let counted = "select sum(n) from customer_activity where type = 'page.viewed'";
    assert_eq!(number(&mut stage.connect(), counted), 4);
}

fn wait_for_blocked(stage: &Stage) {
    let mut pg = stage.connect();
    let blocked = "select count(*) from pg_stat_activity
                    where datname = current_database() and wait_event_type = 'Lock'";
    let asked = Instant::now();
    while number(&mut pg, blocked) == 0 {
        assert!(asked.elapsed() < Duration::from_secs(2), "nobody waits for the lock");
        thread::sleep(Duration::from_millis(10));
    }
}
