//! How many statements a request costs: few, and as many for a thousand records as for one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use diesel::connection::{Instrumentation, InstrumentationEvent, set_default_instrumentation};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Client, workspace};

/// Statements by the workspace they name, for those that are being watched.
static SEEN: LazyLock<Mutex<HashMap<String, usize>>> = LazyLock::new(Mutex::default);
static WATCHED: AtomicUsize = AtomicUsize::new(0);

fn seen() -> MutexGuard<'static, HashMap<String, usize>> {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether it is no request that asks. The worker, which tests drive by hand, seals the events of every
/// workspace, and one thread brings all feeds forward. The thread of a test has its path for a name.
fn on_thread_of_no_request() -> bool {
    let is_other = |name: &str| name.contains("::") || name == "feed";
    std::thread::current().name().is_some_and(is_other)
}

struct Counter;

impl Instrumentation for Counter {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        let InstrumentationEvent::StartQuery { query, .. } = event else { return };
        if WATCHED.load(Ordering::Relaxed) == 0 || on_thread_of_no_request() {
            return;
        }
        let text = query.to_string();
        // The tripwire is the suite's own.
        if !text.contains("set_config") {
            let mut seen = seen();
            let watched = seen.iter_mut().filter(|(workspace, _)| text.contains(*workspace));
            watched.for_each(|(_, count)| *count += 1);
        }
    }
}

/// Lets every connection from now on count what it is asked.
pub fn watch_connections() {
    set_default_instrumentation(|| Some(Box::new(Counter))).expect("an instrumentation");
}

/// The statements that name the client's workspace while `work` runs.
pub fn during(client: &Client, work: impl FnOnce()) -> usize {
    let workspace = client.workspace_id.to_string();
    // A credential is believed for ten seconds, which pass on a busy machine.
    client.get("/v1/workspace").expect(200);
    seen().insert(workspace.clone(), 0);
    WATCHED.fetch_add(1, Ordering::Relaxed);
    work();
    WATCHED.fetch_sub(1, Ordering::Relaxed);
    seen().remove(&workspace).expect("it was put there")
}

/// A workspace whose keys are at hand already: that they are got is not counted.
fn warm() -> Client {
    let client = workspace();
    // The workspace's data key is opened once.
    let email = format!("{}@warm.example.com", Uuid::now_v7());
    client.post("/v1/customers", json!({ "email": email })).expect(201);
    client
}

#[test]
fn a_read_is_one_statement() {
    let client = warm();
    let ada = client.post("/v1/customers", json!({ "first_name": "Ada" })).expect(201).id();
    let predicate = json!({ "where": { "did": { "type": "order.placed", "at_least": 2 } } });
    let reads: [(&str, Option<Value>); 5] = [
        (&format!("/v1/customers/{ada}"), None),
        ("/v1/customers?limit=50", None),
        ("/v1/touchpoints?limit=50", None),
        ("/v1/organizations?limit=50", None),
        ("/v1/customers/search", Some(predicate)),
    ];
    for (path, body) in reads {
        let count = during(&client, || match body {
            None => drop(client.get(path).expect(200)),
            Some(body) => drop(client.post(path, body).expect(200)),
        });
        // A search asks for the definitions of attributes first.
        let most = if path.ends_with("search") { 2 } else { 1 };
        assert!((1..=most).contains(&count), "{path}: {count} statements");
    }
}

#[test]
fn a_write_is_a_few_statements() {
    let client = warm();
    let mut id = String::new();
    let create = during(&client, || {
        let body = json!({ "first_name": "Ada", "email": "ada@shop.example.com" });
        id = client.post("/v1/customers", body).expect(201).id();
    });
    let patch = during(&client, || {
        client.patch(&format!("/v1/customers/{id}"), json!({ "score": 7 })).expect(200);
    });
    let touchpoint = during(&client, || {
        let body = json!({ "type": "page.viewed", "customer": { "id": id } });
        client.post("/v1/touchpoints", body).expect(201);
    });
    // What performance was measured with; a statement more needs a reason.
    assert_eq!((create, patch, touchpoint), (5, 5, 3));
}

/// A batch of so many items.
type Items = fn(usize) -> Value;

fn touchpoints(count: usize) -> Value {
    let item = |n: usize| {
        json!({ "type": "page.viewed", "source": "shop", "message_id": Uuid::now_v7(),
                "customer": { "email": format!("{n}-{}@x.example.com", Uuid::now_v7()) } })
    };
    json!({ "items": (0..count).map(item).collect::<Vec<_>>() })
}

fn customers(count: usize) -> Value {
    let item = |_| json!({ "email": format!("{}@x.example.com", Uuid::now_v7()) });
    json!({ "items": (0..count).map(item).collect::<Vec<_>>() })
}

#[test]
fn a_batch_costs_as_many_statements_whatever_its_size() {
    let client = warm();
    let batches: [(&str, Items); 2] = [
        ("/v1/touchpoints/batch?on_unknown_customer=create", touchpoints),
        ("/v1/customers/batch", customers),
    ];
    for (path, items) in batches {
        let send = |count| {
            let body = items(count);
            during(&client, || {
                let answer = client.post(path, body).expect(207);
                assert_eq!(answer.json["failed"], 0, "{}", answer.text);
            })
        };
        // Beside other tests one may meet a connection that is opened just now.
        let least = |count| (0..3).map(|_| send(count)).min();
        let (few, many) = (least(2), least(400));
        assert_eq!(few, many, "{path}");
        assert!(few > Some(0));
    }
}

/// Each order is placed and paid, and makes its customer: the log is written once for all of them.
#[test]
fn an_order_of_a_batch_costs_a_few_statements() {
    let client = warm();
    let order = |_| {
        json!({ "email": format!("{}@x.example.com", Uuid::now_v7()), "currency": "EUR",
                "external_ids": [{ "source": "shop", "id": Uuid::now_v7() }],
                "financial_status": "paid",
                "line_items": [{ "name": "Lamp", "quantity": 1,
                                 "unit_price": { "amount": 1000, "currency": "EUR" } }] })
    };
    let send = |count: usize| {
        let body = json!({ "items": (0..count).map(order).collect::<Vec<_>>() });
        during(&client, || {
            let answer = client.post("/v1/orders/batch", body).expect(207);
            assert_eq!(answer.json["failed"], 0, "{}", answer.text);
        })
    };
    let least = |count| (0..3).map(|_| send(count)).min().expect("three");
    let (few, many) = (least(2), least(22));
    // A statement more needs a reason, too.
    assert_eq!((many - few) / 20, 14, "{few} for two orders, {many} for twenty-two");
}

#[test]
fn an_import_of_consents_costs_as_many_statements_whatever_its_size() {
    let client = warm();
    let people = |count: usize| -> Vec<String> {
        let made = client.post("/v1/customers/batch", customers(count)).expect(207);
        let results = made.json["results"].as_array().expect("results").iter();
        results.map(|result| result["id"].as_str().expect("an id").to_owned()).collect()
    };
    let import = |count: usize| {
        let consent = json!({ "channel_type": "email", "purpose": "marketing", "state": "granted",
                              "consented_at": "2019-05-01T10:00:00Z" });
        let item = |id: &String| json!({ "customer": { "id": id }, "consent": consent });
        let items: Vec<Value> = people(count).iter().map(item).collect();
        during(&client, || {
            let answer = client.post("/v1/consents/batch", json!({ "items": items })).expect(207);
            assert_eq!(answer.json["failed"], 0, "{}", answer.text);
        })
    };
    let (few, many) = (import(2), import(400));
    assert_eq!(few, many);
    assert!(few > 0);
}

#[test]
fn reachability_is_a_few_statements_for_all_channels() {
    let client = warm();
    let ada = client.post("/v1/customers", json!({ "email": "ada@shop.example.com" })).expect(201);
    let path = format!("/v1/customers/{}/reachability?purpose=marketing", ada.id());
    let count = during(&client, || drop(client.get(&path).expect(200)));
    // Is it there, the customer, its handles, suppressions, consents.
    assert_eq!(count, 5);
}
