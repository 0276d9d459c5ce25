//! Segment's tracking API: what its libraries send is taken in, and answered as they expect.

mod batch;
mod events;
mod people;
mod shop;
mod ways;

use serde_json::{Value, json};

use crate::harness::{Answer, Client};

/// Long and short paths of the six calls, and what each needs.
fn calls() -> [(&'static str, &'static str, Value); 6] {
    [
        ("identify", "i", json!({ "userId": "u1", "traits": {} })),
        ("track", "t", json!({ "userId": "u1", "event": "Door Opened" })),
        ("page", "p", json!({ "userId": "u1", "name": "Home" })),
        ("screen", "s", json!({ "userId": "u1", "name": "Home" })),
        ("group", "g", json!({ "userId": "u1", "groupId": "g1" })),
        ("alias", "a", json!({ "userId": "u1", "previousId": "a1" })),
    ]
}

/// Another key of the same workspace.
fn key(client: &Client, kind: &str, livemode: bool) -> String {
    let mut new = json!({ "name": kind, "kind": kind, "livemode": livemode });
    if kind == "secret" {
        new["scopes"] = json!(["*"]);
    }
    let made = client.post("/v1/api_keys", new).expect(201);
    made.json["key"].as_str().expect("a key").to_owned()
}

/// A caller who has the public key of the workspace.
fn public(client: &Client) -> Client {
    client.with_token(&key(client, "write", true))
}

/// What became of the one call that was sent.
#[track_caller]
fn sent(client: &Client, path: &str, body: Value) -> Value {
    let answer = client.post(path, body).expect(200);
    assert_eq!(answer.json["success"], true, "{}", answer.text);
    answer.json["results"][0].clone()
}

/// The touchpoint that a call became.
#[track_caller]
fn touchpoint(client: &Client, result: &Value) -> Value {
    let id = result["id"].as_str().unwrap_or_else(|| panic!("no touchpoint: {result}"));
    client.get(&format!("/v1/touchpoints/{id}")).expect(200).json
}

/// The customer with a mark.
fn lookup(client: &Client, kind: &str, value: &str) -> Answer {
    client.get(&format!("/v1/customers/lookup?type={kind}&value={value}"))
}

#[track_caller]
fn customer(client: &Client, kind: &str, value: &str) -> Value {
    lookup(client, kind, value).expect(200).json
}

/// The codes of what was left out, by place.
fn ignored(result: &Value) -> Vec<(&str, &str)> {
    let faults = result["ignored"].as_array().expect("a list").iter();
    faults
        .map(|f| {
            (f["pointer"].as_str().unwrap_or_default(), f["code"].as_str().unwrap_or_default())
        })
        .collect()
}

/// How many touchpoints of a type the workspace has.
fn count(client: &Client, kind: &str) -> usize {
    let found = client.get(&format!("/v1/touchpoints?type={kind}&limit=200")).expect(200);
    found.json["data"].as_array().expect("a list").len()
}
