//! Endpoints that are changed while events are on their way to them.

use diesel::connection::SimpleConnection;
use serde_json::{Value, json};
use uuid::Uuid;

use super::sink::{Message, Mode, Sink};
use super::{at, customer, deliveries, endpoint, happen, send, wait_for};
use crate::harness::{App, Client};

/// A service that has not begun to send: nothing that happens is looked at yet.
fn idle() -> (App, Client, Sink) {
    let app = App::alone(&[("ECRM_WEBHOOK_ALLOW_PRIVATE", "1")]);
    let client = app.workspace(&["*"]);
    (app, client, Sink::new(Mode::Status(200)))
}

fn told_of_visits(client: &Client, sink: &Sink) -> String {
    endpoint(client, json!({ "url": sink.url, "event_types": ["visit.*"] })).id()
}

fn enable(client: &Client, id: &str) {
    client.send("POST", &format!("{}/enable", at(id)), &[], None).expect(200);
}

/// Begins to send, and waits until something arrives that is waited for.
fn sent(app: &App, sink: &Sink, last: &str) -> Vec<String> {
    let thread = send(app);
    let came = wait_for("the last", || {
        Some(sink.came()).filter(|came| came.iter().any(|one| one.id() == last))
    });
    app.state.drain();
    thread.join().expect("no panic");
    came.iter().map(Message::id).map(str::to_owned).collect()
}

#[test]
fn what_happened_before_an_endpoint_was_disabled_is_sent_when_it_is_enabled() {
    let (app, client, sink) = idle();
    let id = told_of_visits(&client, &sink);
    let ada = customer(&client);
    let mut expected = Vec::new();
    for round in ["first", "second"] {
        expected.push(happen(&client, &ada, round));
        expected.push(happen(&client, &ada, round));
        client.patch(&at(&id), json!({ "status": "disabled" })).expect(200);
        happen(&client, &ada, "missed");
        enable(&client, &id);
    }
    expected.push(happen(&client, &ada, "last"));
    let last = expected.last().expect("one").clone();
    assert_eq!(sent(&app, &sink, &last), expected);
}

#[test]
fn a_disabled_endpoint_has_its_deliveries_of_before_and_none_after() {
    let (app, client, sink) = idle();
    let id = told_of_visits(&client, &sink);
    let witness = Sink::new(Mode::Status(200));
    told_of_visits(&client, &witness);
    let ada = customer(&client);
    let before = happen(&client, &ada, "before");
    client.patch(&at(&id), json!({ "status": "disabled" })).expect(200);
    let after = happen(&client, &ada, "after");
    sent(&app, &witness, &after);
    let waiting: Vec<Value> = deliveries(&client, &id);
    let told: Vec<&Value> = waiting.iter().map(|one| &one["touchpoint_id"]).collect();
    assert_eq!((told, &waiting[0]["status"]), (vec![&json!(before)], &json!("pending")));
    assert!(sink.came().is_empty());
}

#[test]
fn an_event_is_judged_by_what_was_wanted_when_it_happened() {
    let (app, client, sink) = idle();
    let id = told_of_visits(&client, &sink);
    let ada = customer(&client);
    let want = |patch: Value| client.patch(&at(&id), patch).expect(200);
    let wanted = happen(&client, &ada, "wanted");
    want(json!({ "event_types": ["order.*"] }));
    happen(&client, &ada, "of another type");
    want(json!({ "event_types": ["visit.*"],
                 "where": { "field": "name", "op": "eq", "value": "gold" } }));
    let gold = happen(&client, &ada, "gold");
    happen(&client, &ada, "silver");
    want(json!({ "where": null }));
    let last = happen(&client, &ada, "silver");
    assert_eq!(sent(&app, &sink, &last), [wanted, gold, last]);
}

/// Who began to write first and ends last has its place before what is on its way already: that must not
/// fall behind the place at which the endpoint was disabled.
#[test]
fn what_is_still_being_written_pushes_nothing_out() {
    let (app, client, sink) = idle();
    let id = told_of_visits(&client, &sink);
    let ada = customer(&client);
    let mut slow = app.owner();
    let early = format!(
        "begin; insert into outbox (workspace_id, id, touchpoint_ids, appended_at)
                values ('{}', '{}', '{{{}}}', now() - interval '1 minute')",
        client.workspace_id,
        Uuid::now_v7(),
        Uuid::now_v7(),
    );
    slow.batch_execute(&early).expect("a slow writer");
    let before = happen(&client, &ada, "before");
    client.patch(&at(&id), json!({ "status": "disabled" })).expect(200);
    slow.batch_execute("commit").expect("it ends");
    enable(&client, &id);
    let last = happen(&client, &ada, "last");
    assert_eq!(sent(&app, &sink, &last), [before, last]);
}

#[test]
fn an_endpoint_that_goes_before_its_events_keeps_nobody_busy() {
    let (app, client, sink) = idle();
    let id = told_of_visits(&client, &sink);
    let ada = customer(&client);
    happen(&client, &ada, "before");
    client.patch(&at(&id), json!({ "status": "disabled" })).expect(200);
    client.delete(&at(&id)).expect(204);
    told_of_visits(&client, &sink);
    let last = happen(&client, &ada, "last");
    assert_eq!(sent(&app, &sink, &last), [last]);
}
