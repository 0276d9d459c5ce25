//! Touchpoints that are reported one by one at the same time: stored together, answered each.

use std::thread::JoinHandle;
use std::time::Duration;

use diesel::RunQueryDsl;
use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

use super::{PATH, send};
use crate::harness::{Answer, App, Client, workspace};

fn named(message: usize) -> Value {
    json!({ "type": "page.viewed", "source": "shop", "message_id": message.to_string() })
}

/// Reports all of `bodies` while nothing can be stored, so that they meet in the queue.
fn report_at_once(app: &App, client: &Client, bodies: Vec<Value>) -> Vec<Answer> {
    let mut owner = app.owner();
    owner.batch_execute("begin; lock table touchpoint_counts in exclusive mode").expect("a lock");
    let reports: Vec<JoinHandle<Answer>> = bodies
        .into_iter()
        .map(|body| {
            let client = client.clone();
            std::thread::spawn(move || send(&client, body))
        })
        .collect();
    std::thread::sleep(Duration::from_millis(1200));
    owner.batch_execute("commit").expect("unlocked");
    reports.into_iter().map(|report| report.join().expect("an answer")).collect()
}

/// How many transactions stored the touchpoints of a source.
fn commits(app: &App) -> i64 {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        n: i64,
    }
    let count = "select count(distinct xmin::text) as n from touchpoints where source = 'shop'";
    diesel::sql_query(count).get_result::<Row>(&mut app.owner()).expect("a count").n
}

#[test]
fn what_arrives_during_a_commit_shares_the_next_one() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let answers = report_at_once(&app, &client, (0..40).map(named).collect());
    let mut ids: Vec<String> = answers.into_iter().map(|answer| answer.expect(201).id()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 40);
    let commits = commits(&app);
    assert!(commits <= 3, "{commits} commits for 40 touchpoints");
    let stats =
        client.get("/v1/touchpoints?type=page.viewed&include_total=true&limit=1").expect(200);
    assert_eq!(stats.json["total"], 40);
}

#[test]
fn each_is_answered_as_if_it_had_been_alone() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let stranger = json!({ "type": "page.viewed", "customer": { "email": "no@shop.example.com" } });
    let nowhere = json!({ "type": "page.viewed",
                          "channel": { "id": "0192f0c1-2a3b-7c4d-8e5f-60718293a4b5" } });
    let bodies = [named(1), stranger, named(1), nowhere, named(2), named(1)];
    let answers = report_at_once(&app, &client, bodies.to_vec());
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [201, 422, 201, 422, 201, 201]);
    assert_eq!(answers[1].fault(), ("customer_not_found", "#/customer"));
    assert_eq!(answers[3].fault(), ("not_found", "#/channel"));
    let repeats = [&answers[0], &answers[2], &answers[5]];
    let is_replay = |answer: &&&Answer| answer.headers.contains_key("idempotent-replayed");
    assert_eq!(repeats.iter().filter(is_replay).count(), 2);
    assert!(repeats.iter().all(|answer| answer.json == repeats[0].json));
}

/// What reports of different workspaces have in common is the time of day.
#[test]
fn workspaces_do_not_wait_for_each_other() {
    let app = App::alone(&[]);
    let (slow, quick) = (app.workspace(&["*"]), app.workspace(&["*"]));
    send(&slow, named(1)).expect(201);
    send(&quick, named(1)).expect(201);
    let mut owner = app.owner();
    let lock = format!(
        "begin; select from touchpoint_counts where workspace_id = '{}' for update",
        slow.workspace_id
    );
    owner.batch_execute(&lock).expect("a lock");
    let waiting = std::thread::spawn({
        let slow = slow.clone();
        move || (2..60).map(|n| send(&slow, named(n)).status).collect::<Vec<_>>()
    });
    for n in 2..20 {
        send(&quick, named(n)).expect(201);
    }
    owner.batch_execute("commit").expect("unlocked");
    assert!(waiting.join().expect("answers").iter().all(|status| *status == 201));
}

#[test]
fn the_answer_is_what_a_reader_finds() {
    let client = workspace();
    let ada = client.post("/v1/customers", json!({ "email": "ada@x.example.com" })).expect(201);
    let body = json!({
        "type": "order.placed", "name": "Order Completed", "direction": "inbound",
        "occurred_at": "2026-03-14T15:31:00.123456Z", "source": "shop", "message_id": "o-1",
        "customer": { "id": ada.id(), "anonymous_id": "a-1" },
        "subject": { "type": "order", "id": "1001" },
        "value": { "amount": 4990, "currency": "EUR" },
        "content": { "text": "Two pairs", "language": "en" },
        "context": { "ip": "203.0.113.7", "page": { "url": "https://shop.example.com/" },
                     "device": { "type": "phone" } },
        "properties": { "z": 1, "a": [1.5, null, { "b": true }], "coupon": "\u{1f9d7}" },
    });
    let made = client.post(PATH, body).expect(201);
    let read = client.get(&format!("{PATH}/{}", made.id())).expect(200);
    assert_eq!(made.json, read.json);
    assert_eq!(made.json["context"]["page"]["title"], Value::Null);
}
