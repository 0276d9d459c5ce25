//! Records in from a file, records out into one: whole, once, and to be undone.

mod again;
mod command;
mod exports;
mod files;
mod known;
mod resume;
mod revert;
mod shops;
mod work;

use std::sync::LazyLock;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, App, Client};

/// A service of their own: its jobs are carried out by these tests.
static APP: LazyLock<App> = LazyLock::new(|| App::alone(&[]));

const FILE: [(&str, &str); 1] = [("content-type", "application/octet-stream")];

fn workspace() -> Client {
    APP.workspace(&["*"])
}

fn prepare(client: &Client, new: Value) -> String {
    client.post("/v1/imports", new).expect(201).id()
}

fn upload(client: &Client, id: &str, file: &str) -> Answer {
    client.send("PUT", &format!("/v1/imports/{id}/file"), &FILE, Some(file))
}

fn act(client: &Client, id: &str, action: &str) -> Answer {
    client.send("POST", &format!("/v1/imports/{id}/{action}"), &[], None)
}

/// Works until a job has ended; other tests may work on it as well.
fn ended(client: &Client, path: &str) -> Value {
    for _ in 0..600 {
        ecrm::worker::round(&APP.state, Uuid::now_v7()).expect("a round");
        let job = client.get(path).expect(200).json;
        let status = job["status"].as_str().expect("a status");
        if !["queued", "running", "reverting"].contains(&status) {
            return job;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("{path} does not end");
}

/// Takes a file in and waits for the end.
fn import(client: &Client, new: Value, file: &str) -> Value {
    let id = prepare(client, new);
    upload(client, &id, file).expect(200);
    act(client, &id, "start").expect(200);
    ended(client, &format!("/v1/imports/{id}"))
}

fn path_of(job: &Value, kind: &str) -> String {
    format!("/v1/{kind}/{}", job["id"].as_str().expect("an id"))
}

fn refusals(client: &Client, job: &Value) -> Vec<Vec<String>> {
    let errors = client.get(&format!("{}/errors", path_of(job, "imports"))).expect(200);
    let mut table = csv::Reader::from_reader(errors.text.as_bytes());
    let rows = table.records().map(|row| row.expect("a row"));
    rows.map(|row| row.iter().map(String::from).collect()).collect()
}

fn customers(client: &Client) -> Vec<Value> {
    let list = client.get("/v1/customers?sort=created_at&limit=200").expect(200);
    list.json["data"].as_array().expect("a list").clone()
}

fn counts(job: &Value) -> [i64; 4] {
    ["created", "updated", "skipped", "failed"]
        .map(|name| job["counts"][name].as_i64().expect("a number"))
}

fn csv_of(resource: &str) -> Value {
    json!({ "resource": resource, "format": "csv" })
}
