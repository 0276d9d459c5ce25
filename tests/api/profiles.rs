//! A customer at a glance.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::customers::{PATH, at, create, rows};
use crate::harness::workspace;

#[test]
fn a_profile_shows_the_customer_and_what_belongs_to_it() {
    let client = workspace();
    let body = json!({
        "email": "ada@shop.example.com", "first_name": "Ada",
        "identities": [{ "type": "user_id", "value": "u-1" }],
    });
    let ada = create(&client, body).id();
    let shop = client.post("/v1/organizations", json!({ "name": "Bergsport" })).expect(201).id();
    let member = format!("/v1/organizations/{shop}/members/{ada}");
    client.put(&member, json!({ "role": "buyer", "is_primary": true })).expect(200);
    let seen = json!({ "type": "page.viewed", "customer": { "id": ada } });
    let seen = client.post("/v1/touchpoints", seen).expect(201);
    let profile = client.get(&format!("{}/profile", at(&ada))).expect(200).json;
    assert_eq!(profile["customer"], client.get(&at(&ada)).expect(200).json);
    let identities = client.get(&format!("{}/identities", at(&ada))).expect(200);
    assert_eq!(&profile["identities"], &identities.json["data"]);
    assert_eq!(profile["identities"].as_array().map(Vec::len), Some(2));
    assert_eq!(profile["memberships"][0]["organization_id"], shop);
    assert_eq!(profile["memberships"][0]["role"], "buyer");
    assert_eq!(profile["touchpoints"][0]["id"], seen.id());
    let timeline = client.get(&format!("{}/timeline", at(&ada))).expect(200);
    assert_eq!(profile["touchpoints"], timeline.json["data"]);
}

#[test]
fn a_profile_shows_the_latest_twenty_touchpoints() {
    let client = workspace();
    let ada = create(&client, json!({})).id();
    let items: Vec<Value> = (1..=25)
        .map(|day| {
            let at = format!("2024-03-{day:02}T08:00:00Z");
            json!({ "type": "page.viewed", "customer": { "id": ada }, "occurred_at": at })
        })
        .collect();
    client.post("/v1/touchpoints/batch", json!({ "items": items })).expect(207);
    let profile = client.get(&format!("{}/profile", at(&ada))).expect(200).json;
    let shown = profile["touchpoints"].as_array().expect("touchpoints");
    assert_eq!(shown.len(), 20);
    assert_eq!(shown[0]["type"], "customer.created");
    assert_eq!(shown[1]["occurred_at"], "2024-03-25T08:00:00Z");
    assert_eq!(profile["customer"]["stats"]["touchpoints_count"], 25);
    assert_eq!(profile["customer"]["stats"]["first_seen_at"], "2024-03-01T08:00:00Z");
    assert_eq!(profile["customer"]["stats"]["last_seen_at"], "2024-03-25T08:00:00Z");
}

#[test]
fn a_profile_of_nobody_is_not_found() {
    let client = workspace();
    client.get(&format!("{}/profile", at(&Uuid::now_v7().to_string()))).expect(404);
    client.get(&format!("{}/profile", at("ada"))).expect(404);
    let theirs = create(&workspace(), json!({})).id();
    client.get(&format!("{}/profile", at(&theirs))).expect(404);
    assert!(rows(&client.get(PATH).expect(200)).is_empty());
}

#[test]
fn a_profile_needs_the_right_to_read_customers() {
    let client = workspace();
    let path = format!("{}/profile", at(&create(&client, json!({})).id()));
    let refused = client.with_scopes(&["touchpoints:read"]).get(&path).expect(403);
    assert_eq!(refused.code(), "insufficient_scope");
    client.with_scopes(&["customers:read"]).get(&path).expect(403);
    let all = ["customers:read", "organizations:read", "touchpoints:read"];
    client.with_scopes(&all).get(&path).expect(200);
}
