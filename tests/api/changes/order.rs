//! Writers that commit in another order than they began in.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ecrm::db::{Outcome, Session};
use ecrm::journal::{self, Change};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{after, all, create, cursor, now};
use crate::dice::Dice;
use crate::harness::{App, workspace};

/// Tells something in a transaction that stays open for a while.
fn tell_slowly(session: &Session, n: i64, slow: Duration) {
    App::shared()
        .state
        .db
        .write(session, &|tx| {
            let id = tx.new_id();
            let properties = json!({ "name": n.to_string() });
            let change = Change {
                kind: "tag.created",
                customer_id: None,
                organization_id: None,
                channel_id: None,
                subject: ("tag", id),
                properties,
            };
            journal::record(tx, change)?;
            // By itself it would be stored right before the commit.
            journal::flush(tx)?;
            std::thread::sleep(slow);
            Ok(Outcome::Commit(()))
        })
        .expect("told");
}

#[test]
fn a_reader_misses_nothing_however_late_it_is_committed() {
    const WRITERS: i64 = 8;
    const EACH: i64 = 40;
    let client = workspace();
    let session = App::shared().session(&client, true);
    let mut at = now(&client);
    let is_over = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = Vec::new();
            loop {
                let was_over = is_over.load(Ordering::SeqCst);
                let page = after(&client, &at, "&limit=7");
                seen.extend(page.json["data"].as_array().expect("events").clone());
                at = cursor(&page);
                if was_over && page.json["has_more"] == false {
                    return seen;
                }
            }
        });
        let write = |writer: i64| {
            let session = &session;
            move || {
                let mut dice = Dice(writer.unsigned_abs());
                for n in 0..EACH {
                    let slow = Duration::from_millis(dice.roll(30) as u64);
                    tell_slowly(session, writer * EACH + n, slow);
                }
            }
        };
        let writers: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(write(writer))).collect();
        writers.into_iter().for_each(|writer| writer.join().expect("a writer"));
        is_over.store(true, Ordering::SeqCst);
        reader.join().expect("a reader")
    });
    let number = |event: &Value| event["properties"]["name"].as_str()?.parse::<i64>().ok();
    let numbers: Vec<i64> = seen.iter().filter_map(number).collect();
    for writer in 0..WRITERS {
        let own = numbers.iter().filter(|n| **n / EACH == writer).copied();
        let expected = writer * EACH..(writer + 1) * EACH;
        assert!(own.eq(expected), "each once, in the order of its writer: {numbers:?}");
    }
}

#[test]
fn the_changes_of_a_customer_come_in_the_order_in_which_they_were_made() {
    const WRITERS: usize = 8;
    const EACH: usize = 25;
    let client = workspace();
    let customers: Vec<String> = (0..3).map(|n| create(&client, &format!("C{n}"))).collect();
    let begin = now(&client);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (client, customers) = (&client, &customers);
            scope.spawn(move || {
                for n in 0..EACH {
                    let id = &customers[(writer + n) % customers.len()];
                    let title = Uuid::new_v4().to_string();
                    let path = format!("/v1/customers/{id}");
                    client.patch(&path, json!({ "title": title })).expect(200);
                }
            });
        }
    });
    let (events, _) = all(&client, begin, "");
    assert_eq!(events.len(), WRITERS * EACH);
    let mut titles: HashMap<&str, &Value> = HashMap::new();
    for event in &events {
        let customer = event["customer_id"].as_str().expect("a customer");
        let change = &event["properties"]["changes"]["title"];
        let known = titles.insert(customer, &change["to"]).unwrap_or(&Value::Null);
        assert_eq!(&change["from"], known, "{customer}: each change begins where the last ended");
    }
}
