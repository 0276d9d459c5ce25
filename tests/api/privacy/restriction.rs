//! While a restriction holds, the data is kept and nothing else is done with it.

use serde_json::{Value, json};

use super::{act, ask, customer, somebody};
use crate::harness::{Client, workspace};

/// Somebody whose processing is restricted, and the request.
fn restricted(client: &Client) -> (String, String) {
    let (ada, _) = somebody(client);
    let id = ask(client, &ada, "restriction").expect(201).id();
    (ada, id)
}

#[test]
fn nobody_changes_a_restricted_customer_until_it_is_lifted() {
    let client = workspace();
    let (ada, request) = restricted(&client);
    let path = format!("/v1/customers/{ada}");
    let shown = client.get(&path).expect(200).json;
    assert!(shown["restricted_at"].is_string(), "{shown}");
    let other = customer(&client, json!({ "first_name": "Other" }));
    let refused = [
        client.patch(&path, json!({ "first_name": "Adele" })),
        client.delete(&path),
        client.put(&format!("{path}/lifecycle_stage"), json!({ "lifecycle_stage": "customer" })),
        client.post(&format!("{path}/identities"), json!({ "type": "user_id", "value": "u-1" })),
        client.post(&format!("{path}/merge"), json!({ "source_id": other })),
        client.post(&format!("/v1/customers/{other}/merge"), json!({ "source_id": ada })),
    ];
    for answer in refused {
        answer.expect_code(409, "processing_restricted");
    }
    let version = client.get(&path).expect(200).json["version"].clone();
    assert_eq!(version, shown["version"]);
    let lifted = act(&client, &request, "lift").expect(200).json;
    assert!(lifted["lifted_at"].is_string());
    act(&client, &request, "lift").expect_code(409, "invalid_transition");
    client.patch(&path, json!({ "first_name": "Adele" })).expect(200);
    assert_eq!(client.get(&path).expect(200).json["restricted_at"], Value::Null);
}

#[test]
fn nothing_is_sent_to_a_restricted_customer() {
    let client = workspace();
    let (ada, _) = somebody(&client);
    let says = json!({ "items": [
        { "channel_type": "email", "purpose": "marketing", "state": "granted" } ] });
    client.put(&format!("/v1/customers/{ada}/consents"), says).expect(200);
    ask(&client, &ada, "restriction").expect(201);
    for purpose in ["marketing", "transactional"] {
        let path = format!("/v1/customers/{ada}/reachability?purpose={purpose}");
        let reach = client.get(&path).expect(200).json;
        for channel in reach["channels"].as_array().expect("channels") {
            assert_eq!(channel["reason"], "processing_restricted", "{channel}");
        }
    }
}

#[test]
fn what_happens_is_kept_and_their_own_word_counts() {
    let client = workspace();
    let (ada, _) = restricted(&client);
    let seen = json!({ "type": "page.viewed", "customer": { "id": ada } });
    client.post("/v1/touchpoints", seen).expect(201);
    let says = json!({ "items": [
        { "channel_type": "email", "purpose": "marketing", "state": "denied" } ] });
    client.put(&format!("/v1/customers/{ada}/consents"), says).expect(200);
    let agrees = json!({ "items": [
        { "channel_type": "sms", "purpose": "marketing", "state": "granted" } ] });
    client.put(&format!("/v1/customers/{ada}/consents"), agrees).expect(200);
    let shown = client.get(&format!("/v1/customers/{ada}")).expect(200).json;
    assert_eq!(shown["lifecycle_stage"], "lead", "nothing moves by itself");
}

#[test]
fn two_people_do_not_become_one_while_one_is_restricted() {
    let client = workspace();
    let login = |value: &str| json!({ "type": "user_id", "value": value });
    let ada = customer(&client, json!({ "identities": [login("u-1")] }));
    let browser = json!({ "type": "anonymous_id", "value": "b-1" });
    let other = customer(&client, json!({ "identities": [browser] }));
    ask(&client, &other, "restriction").expect(201);
    let both = json!({ "user_id": "u-1", "anonymous_id": "b-1" });
    let seen = json!({ "type": "page.viewed", "customer": both });
    client.post("/v1/touchpoints", seen).expect(201);
    let still = client.get(&format!("/v1/customers/{other}")).expect(200).json;
    assert_eq!((&still["id"], &still["merged_from"]), (&json!(other), &Value::Null));
    let list = client.get(&format!("/v1/customers/{ada}/duplicates")).expect(200).json;
    assert!(list.to_string().contains(&other), "somebody is asked: {list}");
}

#[test]
fn who_is_restricted_can_be_found() {
    let client = workspace();
    let (ada, _) = restricted(&client);
    somebody(&client);
    let asked = json!({ "where": { "field": "restricted_at", "op": "exists", "value": true } });
    let found = client.post("/v1/customers/search", asked).expect(200).json;
    let ids: Vec<&Value> =
        found["data"].as_array().expect("a list").iter().map(|one| &one["id"]).collect();
    assert_eq!(ids, [&json!(ada)]);
}
