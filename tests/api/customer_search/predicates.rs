//! Questions about fields and attributes.

use serde_json::{Value, json};

use super::{field, finds, search};
use crate::customers::{create, rows};
use crate::harness::{Client, workspace};

fn people(client: &Client) {
    for (key, kind) in
        [("born_on", "date"), ("size", "number"), ("sports", "multi_enum"), ("seen", "datetime")]
    {
        let mut definition =
            json!({ "resource": "customer", "key": key, "name": key, "type": kind });
        if kind == "multi_enum" {
            definition["options"] = json!(["ski", "run", "swim"]);
        }
        client.post("/v1/attribute_definitions", definition).expect(201);
    }
    let people = [
        json!({
            "first_name": "Ada", "last_name": "Lindqvist", "email": "ada@shop.example.com",
            "lifecycle_stage": "customer", "score": 10, "birth_date": "1990-02-28",
            "tags": ["club", "vip"],
            "attributes": {
                "size": 42.5, "sports": ["ski", "run"], "born_on": "1990-02-28", "vip": true,
                "seen": "2024-05-01T08:00:00.5Z", "home": { "floor": 3, "door": "B" },
            },
        }),
        json!({
            "first_name": "Eve", "last_name": "100%_Berg", "email": "eve@other.example.com",
            "lifecycle_stage": "lead", "score": -3, "birth_date": "2001-12-31", "tags": ["club"],
            "attributes": {
                "size": 38, "sports": ["swim"], "born_on": "2001-12-31", "vip": false,
                "seen": "2024-05-01T08:00:00Z", "home": { "floor": "three" },
            },
        }),
        json!({ "first_name": "Kim", "lifecycle_stage": "visitor", "attributes": { "vip": null } }),
    ];
    for person in people {
        create(client, person);
    }
}

#[test]
fn every_operator_asks_what_it_says() {
    let client = workspace();
    people(&client);
    let present = |name: &str, is: bool| json!({ "field": name, "op": "exists", "value": is });
    finds(
        &client,
        &[
            (field("first_name", "eq", "Ada"), &["Ada"]),
            (field("first_name", "eq", "ada"), &[]),
            (field("first_name", "ne", "Ada"), &["Eve", "Kim"]),
            (field("email", "eq", "ADA@Shop.example.com"), &["Ada"]),
            (field("email", "contains", "Example.COM"), &["Ada", "Eve"]),
            (field("email", "starts_with", "EVE"), &["Eve"]),
            (field("last_name", "contains", "%_"), &["Eve"]),
            (field("last_name", "starts_with", "_00"), &[]),
            (field("score", "gt", 9), &["Ada"]),
            (field("score", "gte", 10), &["Ada"]),
            (field("score", "lt", 10), &["Eve"]),
            (field("score", "lte", 10), &["Ada", "Eve"]),
            (field("score", "between", json!([-3, 9])), &["Eve"]),
            (field("score", "ne", 10), &["Eve", "Kim"]),
            (field("lifecycle_stage", "in", json!(["customer", "visitor"])), &["Ada", "Kim"]),
            (field("lifecycle_stage", "nin", json!(["customer", "visitor"])), &["Eve"]),
            (field("score", "nin", json!([10])), &["Eve", "Kim"]),
            (field("birth_date", "lt", "2000-01-01"), &["Ada"]),
            (field("birth_date", "between", json!(["2001-12-31", "2001-12-31"])), &["Eve"]),
            (field("tags", "contains", "club"), &["Ada", "Eve"]),
            (field("tags", "in", json!(["vip", "x"])), &["Ada"]),
            (field("tags", "nin", json!(["vip"])), &["Eve", "Kim"]),
            (present("tags", true), &["Ada", "Eve"]),
            (present("email", false), &["Kim"]),
            (field("created_at", "within", "P1D"), &["Ada", "Eve", "Kim"]),
            (field("created_at", "lt", "2020-01-01T00:00:00Z"), &[]),
        ],
    );
}

#[test]
fn attributes_are_asked_by_their_definition_or_by_the_kind_of_the_value() {
    let client = workspace();
    people(&client);
    let present = |name: &str, is: bool| json!({ "field": name, "op": "exists", "value": is });
    finds(
        &client,
        &[
            (field("attributes.size", "gte", 42.5), &["Ada"]),
            (field("attributes.size", "eq", 38), &["Eve"]),
            (field("attributes.size", "eq", 38.0), &["Eve"]),
            (field("attributes.size", "in", json!([38, 42.5])), &["Ada", "Eve"]),
            (field("attributes.born_on", "lt", "2000-01-01"), &["Ada"]),
            (field("attributes.born_on", "within", "P26Y"), &["Eve"]),
            (field("attributes.sports", "contains", "run"), &["Ada"]),
            (field("attributes.sports", "in", json!(["run", "swim"])), &["Ada", "Eve"]),
            (field("attributes.seen", "gt", "2024-05-01T08:00:00Z"), &["Ada"]),
            (field("attributes.seen", "lte", "2024-05-01T10:00:00.5+02:00"), &["Ada", "Eve"]),
            (field("attributes.vip", "eq", true), &["Ada"]),
            (field("attributes.vip", "ne", true), &["Eve", "Kim"]),
            (field("attributes.home.floor", "eq", 3), &["Ada"]),
            (field("attributes.home.floor", "eq", "three"), &["Eve"]),
            (field("attributes.home.floor", "gt", 2), &["Ada"]),
            (field("attributes.home.door", "starts_with", "B"), &["Ada"]),
            (present("attributes.home", true), &["Ada", "Eve"]),
            (present("attributes.vip", false), &["Kim"]),
            (present("attributes.nobody.has.this", true), &[]),
        ],
    );
}

#[test]
fn parts_are_joined_by_all_any_and_not() {
    let client = workspace();
    people(&client);
    let club = field("tags", "contains", "club");
    let lead = field("lifecycle_stage", "eq", "lead");
    let kim = field("first_name", "eq", "Kim");
    finds(
        &client,
        &[
            (json!({ "all": [club, lead] }), &["Eve"]),
            (json!({ "any": [lead, kim] }), &["Eve", "Kim"]),
            (json!({ "not": club }), &["Kim"]),
            (json!({ "not": { "not": club } }), &["Ada", "Eve"]),
            (json!({ "not": { "all": [club, lead] } }), &["Ada", "Kim"]),
            (json!({ "not": field("score", "gt", 0) }), &["Eve", "Kim"]),
            (json!({ "all": [{ "any": [lead, kim] }, { "not": kim }] }), &["Eve"]),
        ],
    );
}

#[test]
fn no_condition_finds_everybody_and_keeps_the_other_options() {
    let client = workspace();
    people(&client);
    let all = search(&client, json!({})).expect(200);
    assert_eq!((rows(&all).len(), &all.json["total"]), (3, &Value::Null));
    let body = json!({
        "where": field("tags", "contains", "club"), "sort": ["-first_name"], "limit": 1,
        "include_total": true,
    });
    let page = search(&client, body).expect(200);
    assert_eq!(page.json["data"][0]["first_name"], "Eve");
    assert_eq!((&page.json["total"], &page.json["has_more"]), (&json!(2), &json!(true)));
    assert_eq!(search(&workspace(), json!({})).expect(200).json["data"], json!([]));
}
