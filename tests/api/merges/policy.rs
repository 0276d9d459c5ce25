//! One sender's marks lead to several customers: the policy says whether they become one.

use serde_json::{Value, json};

use super::{create, get, seen, timeline};
use crate::harness::{Client, workspace};

fn with_policy(policy: &str) -> Client {
    let client = workspace();
    client.patch("/v1/workspace", json!({ "settings": { "merge_policy": policy } })).expect(200);
    client
}

/// Somebody with a login and somebody with an email, proved or not.
fn two(client: &Client, is_verified: bool) -> (String, String) {
    let login = json!({ "identities": [{ "type": "user_id", "value": "u-1" }] });
    let email = json!({ "identities": [
        { "type": "email", "value": "ada@shop.example.com", "is_verified": is_verified }] });
    (create(client, login), create(client, email))
}

fn both() -> Value {
    json!({ "user_id": "u-1", "email": "ada@shop.example.com" })
}

fn candidates(client: &Client) -> Vec<Value> {
    let list = client.get("/v1/merge_candidates").expect(200).json;
    list["data"].as_array().expect("a list").clone()
}

#[test]
fn a_browser_becomes_part_of_whoever_signs_in_with_it() {
    for policy in ["strict", "verified", "eager"] {
        let client = with_policy(policy);
        let browser =
            create(&client, json!({ "identities": [{ "type": "anonymous_id", "value": "a-1" }] }));
        let before = seen(&client, json!({ "anonymous_id": "a-1" }));
        let login =
            create(&client, json!({ "identities": [{ "type": "user_id", "value": "u-1" }] }));
        let now = seen(&client, json!({ "anonymous_id": "a-1", "user_id": "u-1" }));
        assert_eq!(get(&client, &browser).json["id"], json!(login), "{policy}");
        let timeline = timeline(&client, &login);
        assert!(timeline.contains(&before) && timeline.contains(&now), "{policy}: {timeline:?}");
        let merges = client.get("/v1/merges").expect(200).json;
        assert_eq!(merges["data"][0]["cause"], "automatic");
        assert!(candidates(&client).is_empty());
    }
}

#[test]
fn two_people_become_one_as_far_as_the_policy_goes() {
    for (policy, is_verified, joins) in [
        ("strict", true, false),
        ("verified", false, false),
        ("verified", true, true),
        ("eager", false, true),
    ] {
        let client = with_policy(policy);
        let (login, email) = two(&client, is_verified);
        let touchpoint = seen(&client, both());
        let stored = client.get(&format!("/v1/touchpoints/{touchpoint}")).expect(200).json;
        assert_eq!(stored["customer_id"], json!(login), "{policy}");
        let now = get(&client, &email).json["id"].clone();
        assert_eq!(now == json!(login), joins, "{policy}, verified: {is_verified}");
        assert_eq!(candidates(&client).len(), usize::from(!joins));
    }
}

#[test]
fn two_logins_are_never_taken_for_one_person() {
    let client = with_policy("eager");
    let logins = ["u-1", "u-2"].map(|login| {
        let mark = json!({ "type": "user_id", "value": login });
        create(&client, json!({ "identities": [mark] }))
    });
    let mark = json!({ "type": "user_id", "value": "u-2" });
    seen(&client, json!({ "user_id": "u-1", "identities": [mark] }));
    assert_eq!(get(&client, &logins[1]).json["id"], json!(logins[1]));
    let found = candidates(&client);
    assert_eq!((found.len(), found[0]["reason"].clone()), (1, json!("shared_identity")));
}

#[test]
fn a_batch_joins_each_pair_once() {
    let client = with_policy("eager");
    let (login, email) = two(&client, false);
    let item = json!({ "type": "page.viewed", "customer": both() });
    let by_email =
        json!({ "type": "page.viewed", "customer": { "email": "ada@shop.example.com" } });
    let body = json!({ "items": [item, by_email, item] });
    let answer = client.post("/v1/touchpoints/batch", body).expect(207).json;
    assert_eq!(answer["failed"], 0);
    for result in answer["results"].as_array().expect("results") {
        let id = result["id"].as_str().expect("an id");
        let stored = client.get(&format!("/v1/touchpoints/{id}")).expect(200).json;
        assert_eq!(stored["customer_id"], json!(login));
    }
    assert_eq!(get(&client, &email).json["id"], json!(login));
    assert_eq!(client.get("/v1/merges").expect(200).json["data"].as_array().map(Vec::len), Some(1));
}

/// Whoever comes first makes the customer, the others find it.
#[test]
fn thirty_two_writers_of_one_person_make_one_customer() {
    const WRITERS: usize = 32;
    const ROUNDS: usize = 500;
    let client = workspace();
    let barrier = std::sync::Barrier::new(WRITERS);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (client, barrier) = (client.clone(), &barrier);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    barrier.wait();
                    let body = json!({ "type": "page.viewed", "customer": {
                        "email": format!("{round}@x.example.com"),
                        "anonymous_id": format!("a-{round}-{}", writer % 2) } });
                    let path = "/v1/touchpoints?on_unknown_customer=create";
                    client.post(path, body).expect(201);
                }
            });
        }
    });
    let list = client.get("/v1/customers?limit=1&include_total=true").expect(200).json;
    assert_eq!(list["total"], ROUNDS);
    let all = client.get("/v1/touchpoints?type=page.viewed&limit=1&include_total=true");
    assert_eq!(all.expect(200).json["total"], ROUNDS * WRITERS);
}
