//! How far a customer has come, and what its fields were before.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::customers::{at, create, kinds, rows, texts, unchanged};
use crate::harness::{Answer, Client, workspace};

fn move_to(client: &Client, customer: &str, stage: &str) -> Answer {
    client.put(&format!("{}/lifecycle_stage", at(customer)), json!({ "lifecycle_stage": stage }))
}

fn history(client: &Client, customer: &str, query: &str) -> Answer {
    client.get(&format!("{}/history?{query}", at(customer)))
}

#[test]
fn a_manual_move_goes_any_way_and_is_kept_with_its_cause() {
    let client = workspace();
    let ada = create(&client, json!({ "lifecycle_stage": "visitor" })).id();
    for (position, stage) in ["lead", "customer", "subscriber", "other"].iter().enumerate() {
        let moved = move_to(&client, &ada, stage).expect(200);
        assert_eq!(moved.json["lifecycle_stage"], *stage);
        assert_eq!(moved.headers["etag"], format!("\"{}\"", position + 2));
    }
    let path = format!("{}/timeline?type=customer.lifecycle_stage_changed", at(&ada));
    let moves = client.get(&path).expect(200);
    let last = json!({
        "changes": { "lifecycle_stage": { "from": "subscriber", "to": "other" } }, "cause": "manual",
    });
    assert_eq!(rows(&moves).len(), 4);
    assert_eq!(moves.json["data"][0]["properties"], last);
    assert!(rows(&moves)[0]["actor"]["id"].is_string());
}

#[test]
fn a_patch_moves_a_customer_just_as_well() {
    let client = workspace();
    let ada = create(&client, json!({})).id();
    client.patch(&at(&ada), json!({ "lifecycle_stage": "customer" })).expect(200);
    client.patch(&at(&ada), json!({ "lifecycle_stage": "customer", "score": 1 })).expect(200);
    let kinds = kinds(&client, &ada);
    let moves = kinds.iter().filter(|kind| *kind == "customer.lifecycle_stage_changed");
    assert_eq!(moves.count(), 1);
    // The second patch changed the score alone; a move writes no second entry for itself.
    assert_eq!(kinds.len(), 3, "{kinds:?}");
}

#[test]
fn a_move_to_where_the_customer_is_changes_nothing() {
    let client = workspace();
    let ada = create(&client, json!({ "lifecycle_stage": "lead" })).id();
    let answer = unchanged(&client, || move_to(&client, &ada, "lead")).expect(200);
    assert_eq!(answer.json["version"], 1);
}

#[test]
fn a_move_that_cannot_be_is_refused() {
    let client = workspace();
    let ada = create(&client, json!({})).id();
    let path = format!("{}/lifecycle_stage", at(&ada));
    unchanged(&client, || {
        assert_eq!(
            move_to(&client, &ada, "loyal").expect(422).fault(),
            ("invalid_type", "#/lifecycle_stage")
        );
        let refused = client.put(&path, json!({})).expect(422);
        assert_eq!(refused.fault(), ("required", "#/lifecycle_stage"));
        let refused =
            client.put(&path, json!({ "lifecycle_stage": "lead", "why": "x" })).expect(422);
        assert_eq!(refused.fault(), ("unknown_field", "#/why"));
        let body = json!({ "lifecycle_stage": "other" }).to_string();
        let stale = client.send("PUT", &path, &[("If-Match", "\"9\"")], Some(&body)).expect(412);
        assert_eq!(stale.code(), "version_mismatch");
        move_to(&client, &Uuid::now_v7().to_string(), "lead").expect(404);
        move_to(&workspace(), &ada, "lead").expect(404);
    });
}

#[test]
fn the_history_of_a_field_tells_each_change_newest_first() {
    let client = workspace();
    let ada = create(&client, json!({ "first_name": "Ada", "lifecycle_stage": "visitor" })).id();
    client.patch(&at(&ada), json!({ "first_name": "Eve" })).expect(200);
    move_to(&client, &ada, "lead").expect(200);
    client
        .patch(&at(&ada), json!({ "first_name": null, "lifecycle_stage": "customer" }))
        .expect(200);
    let changes = |field: &str| -> Vec<(Value, Value)> {
        let told = history(&client, &ada, &format!("field={field}")).expect(200);
        assert!(rows(&told).iter().all(|row| row["field"] == field));
        rows(&told).iter().map(|row| (row["from"].clone(), row["to"].clone())).collect()
    };
    let names = [(json!("Eve"), Value::Null), (json!("Ada"), json!("Eve"))];
    assert_eq!(changes("first_name"), names);
    let stages = [(json!("lead"), json!("customer")), (json!("visitor"), json!("lead"))];
    assert_eq!(changes("lifecycle_stage"), stages);
    assert!(changes("last_name").is_empty());
    assert!(changes("nope").is_empty());
}

#[test]
fn a_long_history_has_pages() {
    let client = workspace();
    let ada = create(&client, json!({ "score": 0 })).id();
    for score in 1..=7 {
        client.patch(&at(&ada), json!({ "score": score, "title": format!("{score}") })).expect(200);
    }
    let mut seen = Vec::new();
    let mut query = "field=score&limit=3&include_total=true".to_owned();
    loop {
        let page = history(&client, &ada, &query).expect(200);
        assert_eq!(page.json["total"], 7);
        seen.extend(rows(&page).iter().map(|row| row["to"].as_i64().expect("a score")));
        let Some(cursor) = page.json["next_cursor"].as_str() else { break };
        query = format!("field=score&limit=3&include_total=true&cursor={cursor}");
    }
    assert_eq!(seen, [7, 6, 5, 4, 3, 2, 1]);
    let oldest = history(&client, &ada, "field=score&sort=changed_at&limit=1").expect(200);
    assert_eq!(oldest.json["data"][0]["to"], 1);
    let cursor = history(&client, &ada, "field=score&limit=1").json["next_cursor"].clone();
    let other = format!("field=title&limit=1&cursor={}", cursor.as_str().expect("a cursor"));
    assert_eq!(history(&client, &ada, &other).expect(400).code(), "invalid_cursor");
}

#[test]
fn a_history_needs_a_field_and_a_customer() {
    let client = workspace();
    let ada = create(&client, json!({})).id();
    let refused = history(&client, &ada, "").expect(400);
    assert_eq!(refused.json["errors"][0]["parameter"], "field");
    history(&client, &ada, "field=score&nope=1").expect(400);
    history(&client, &Uuid::now_v7().to_string(), "field=score").expect(404);
    assert_eq!(texts(&history(&client, &ada, "field=score"), "id"), Vec::<String>::new());
}
