//! What people ask about their own data, and that the answers are whole.

mod canary;
mod classes;
mod erasure;
mod export;
mod requests;
mod restriction;

use diesel::RunQueryDsl;
use diesel::connection::SimpleConnection;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, App, Client};

const REQUESTS: &str = "/v1/data_requests";

fn customer(client: &Client, body: Value) -> String {
    client.post("/v1/customers", body).expect(201).id()
}

/// Somebody with an address of their own, and the address.
fn somebody(client: &Client) -> (String, String) {
    let email = format!("{}@shop.example.com", Uuid::new_v4().simple());
    (customer(client, json!({ "email": email, "first_name": "Ada" })), email)
}

fn ask(client: &Client, customer: &str, kind: &str) -> Answer {
    client.post(REQUESTS, json!({ "customer_id": customer, "kind": kind, "is_verified": true }))
}

fn get(client: &Client, id: &str) -> Value {
    client.get(&format!("{REQUESTS}/{id}")).expect(200).json
}

/// Moves a request on, or tries to.
fn act(client: &Client, id: &str, action: &str) -> Answer {
    client.send("POST", &format!("{REQUESTS}/{id}/{action}"), &[], None)
}

/// Lets the worker do everything that is due.
fn work(app: &App) {
    while ecrm::worker::round(&app.state, Uuid::now_v7()).expect("a round") > 0 {}
}

/// Asks for something that is answered in the background, and waits for the answer.
pub fn answered(app: &App, client: &Client, customer: &str, kind: &str) -> Value {
    let id = ask(client, customer, kind).expect(201).id();
    work(app);
    let request = get(client, &id);
    assert_eq!(request["status"], "completed", "{request}");
    request
}

/// Lets what is left for later be done now.
fn hurry(app: &App) {
    run(app, "update jobs set run_at = '2020-01-01' where state = 'queued'");
    work(app);
}

fn run(app: &App, sql: &str) {
    app.owner().batch_execute(sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
}

/// The one text column `line` of a question.
fn texts(app: &App, sql: &str) -> Vec<String> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::Text)]
        line: String,
    }
    let rows = diesel::sql_query(sql).load::<Row>(&mut app.owner());
    let rows = rows.unwrap_or_else(|error| panic!("{error}: {sql}"));
    rows.into_iter().map(|row| row.line).collect()
}

/// How many rows a table has under a condition.
fn count(app: &App, table: &str, condition: &str) -> usize {
    texts(app, &format!("select '' as line from {table} where {condition}")).len()
}
