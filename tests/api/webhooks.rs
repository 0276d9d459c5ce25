//! Webhooks: what happens is told to the company's other systems, signed, again until it arrives.

mod changing;
mod delivering;
mod endpoints;
mod queue;
mod sink;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

use crate::harness::{Answer, App, Client};

const PATH: &str = "/v1/webhook_endpoints";

/// A service that may send to this machine, and does.
static SENDING: LazyLock<App> = LazyLock::new(|| {
    let app = App::alone(&[("ECRM_WEBHOOK_ALLOW_PRIVATE", "1")]);
    send(&app);
    app
});

/// Does what `ecrm serve` does in the background.
fn send(app: &App) -> std::thread::JoinHandle<()> {
    send_as(&app.state)
}

fn send_as(state: &ecrm::app::App) -> std::thread::JoinHandle<()> {
    ecrm::journal::live::start(state.clone()).expect("a thread");
    ecrm::webhooks::deliver::start(state.clone()).expect("a thread")
}

/// A new workspace of it.
fn sending() -> Client {
    SENDING.workspace(&["*"])
}

/// An endpoint with its secret.
fn endpoint(client: &Client, body: Value) -> Answer {
    client.post(PATH, body).expect(201)
}

fn at(id: &str) -> String {
    format!("{PATH}/{id}")
}

/// Something that happens with somebody.
fn happen(client: &Client, customer: &str, name: &str) -> String {
    let touchpoint = json!({ "type": "visit.made", "name": name, "customer": { "id": customer } });
    client.post("/v1/touchpoints", touchpoint).expect(201).id()
}

fn customer(client: &Client) -> String {
    client.post("/v1/customers", json!({ "first_name": "Ada" })).expect(201).id()
}

/// Waits until `found` gives something.
#[track_caller]
fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The deliveries of an endpoint, the oldest first.
fn deliveries(client: &Client, endpoint: &str) -> Vec<Value> {
    let list = client.get(&format!("{}/deliveries?limit=200&sort=created_at", at(endpoint)));
    list.expect(200).json["data"].as_array().expect("rows").clone()
}

/// The one delivery of an endpoint, when it is in one of these states.
#[track_caller]
fn delivery_in(client: &Client, endpoint: &str, status: &str) -> Value {
    wait_for(status, || {
        deliveries(client, endpoint).into_iter().find(|delivery| delivery["status"] == status)
    })
}

/// Lets what waits for its next attempt be due, and the endpoint be over its pause.
fn hurry(client: &Client, endpoint: &str) {
    let sql = format!(
        "update webhook_endpoints set paused_until = null where id = '{endpoint}';
         update webhook_deliveries set next_attempt_at = created_at
          where endpoint_id = '{endpoint}' and status = 'pending'"
    );
    client.owner().batch_execute(&sql).expect("in a hurry");
}
