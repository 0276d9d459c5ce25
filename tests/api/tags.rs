//! Tags: labels with a meaning, one of each name.

use serde_json::{Value, json};

use crate::customers::unchanged;
use crate::harness::{Answer, Client, workspace};

const PATH: &str = "/v1/tags";

fn create(client: &Client, body: Value) -> Answer {
    client.post(PATH, body)
}

fn at(id: &str) -> String {
    format!("{PATH}/{id}")
}

#[test]
fn a_tag_keeps_what_it_was_given() {
    let client = workspace();
    let body = json!({ "name": "VIP", "color": "#2e7d32", "description": "Comes every week" });
    let made = create(&client, body.clone()).expect(201);
    assert_eq!(made.headers["location"], at(&made.id()));
    assert_eq!(made.headers["etag"], "\"1\"");
    for (name, value) in body.as_object().expect("fields") {
        assert_eq!(made.json[name], *value);
    }
    assert_eq!(client.get(&at(&made.id())).expect(200).json, made.json);
}

#[test]
fn tags_are_listed_by_name() {
    let client = workspace();
    for name in ["b", "c", "a"] {
        create(&client, json!({ "name": name })).expect(201);
    }
    let list = client.get(&format!("{PATH}?sort=name&limit=2&include_total=true")).expect(200);
    let names = |list: &Answer| {
        let rows = list.json["data"].as_array().expect("rows").clone();
        rows.iter().map(|row| row["name"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&list), ["a", "b"]);
    assert_eq!(list.json["total"], 3);
    let cursor = list.json["next_cursor"].as_str().expect("a cursor");
    let rest = client.get(&format!("{PATH}?sort=name&limit=2&cursor={cursor}")).expect(200);
    assert_eq!(names(&rest), ["c"]);
}

#[test]
fn a_name_is_taken_once_per_workspace() {
    let client = workspace();
    let first = create(&client, json!({ "name": "vip" })).expect(201).id();
    let other = create(&client, json!({ "name": "new" })).expect(201).id();
    let refused = unchanged(&client, || create(&client, json!({ "name": "vip" }))).expect(409);
    assert_eq!(refused.code(), "tags_name_taken");
    assert_eq!(refused.json["existing_id"], first.as_str());
    assert_eq!(refused.fault(), ("already_exists", "#/name"));
    let rename = || client.patch(&at(&other), json!({ "name": "vip" }));
    assert_eq!(unchanged(&client, rename).expect(409).json["existing_id"], first.as_str());
    create(&workspace(), json!({ "name": "vip" })).expect(201);
}

#[test]
fn what_is_no_tag_is_refused() {
    let client = workspace();
    let wrong = [
        (json!({}), ("required", "#/name")),
        (json!({ "name": "" }), ("invalid_length", "#/name")),
        (json!({ "name": "a", "color": "green" }), ("invalid_color", "#/color")),
        (json!({ "name": "a", "color": "#2E7D32" }), ("invalid_color", "#/color")),
        (json!({ "name": "a", "size": 1 }), ("unknown_field", "#/size")),
    ];
    for (body, fault) in wrong {
        let answer = unchanged(&client, || create(&client, body.clone())).expect(422);
        assert_eq!(answer.fault(), fault, "{body}");
    }
}

#[test]
fn a_patch_changes_what_it_names_and_null_clears() {
    let client = workspace();
    let made = create(&client, json!({ "name": "vip", "color": "#2e7d32" })).expect(201);
    let path = at(&made.id());
    let changed = client.patch(&path, json!({ "color": null, "description": "x" })).expect(200);
    assert_eq!(changed.json["color"], Value::Null);
    assert_eq!(changed.json["name"], "vip");
    assert_eq!(changed.headers["etag"], "\"2\"");
    let outdated = [("If-Match", "\"1\"")];
    client.send("PATCH", &path, &outdated, Some("{\"name\": \"a\"}")).expect(412);
    client.send("DELETE", &path, &outdated, None).expect(412);
}

#[test]
fn a_deleted_tag_is_gone_and_records_keep_the_label() {
    let client = workspace();
    let tag = create(&client, json!({ "name": "vip" })).expect(201).id();
    let ada = client.post("/v1/customers", json!({ "tags": ["vip"] })).expect(201).id();
    client.delete(&at(&tag)).expect(204);
    client.get(&at(&tag)).expect(404);
    client.delete(&at(&tag)).expect(404);
    let ada = client.get(&format!("/v1/customers/{ada}")).expect(200);
    assert_eq!(ada.json["tags"], json!(["vip"]));
    create(&client, json!({ "name": "vip" })).expect(201);
}

#[test]
fn every_change_of_a_tag_is_in_the_log() {
    let client = workspace();
    let tag = create(&client, json!({ "name": "vip" })).expect(201).id();
    client.patch(&at(&tag), json!({ "name": "key_account" })).expect(200);
    client.delete(&at(&tag)).expect(204);
    let log = client.get("/v1/touchpoints?type=tag.created,tag.updated,tag.deleted").expect(200);
    let kinds: Vec<&str> = log.json["data"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| row["type"].as_str().expect("a type"))
        .collect();
    assert_eq!(kinds, ["tag.deleted", "tag.updated", "tag.created"]);
}
