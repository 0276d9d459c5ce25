//! A company's own fields: typed, required, unique.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::customers::{PATH as CUSTOMERS, at as customer_at, create, rows, texts, unchanged};
use crate::harness::{Answer, Client, workspace};

const PATH: &str = "/v1/attribute_definitions";

fn at(id: &str) -> String {
    format!("{PATH}/{id}")
}

/// Defines an attribute of customers; `more` adds flags and options.
fn define(client: &Client, key: &str, kind: &str, more: Value) -> Answer {
    let mut body = json!({ "resource": "customer", "key": key, "name": key, "type": kind });
    for (name, value) in more.as_object().expect("an object") {
        body[name] = value.clone();
    }
    client.post(PATH, body)
}

fn with(client: &Client, attributes: Value) -> Answer {
    client.post(CUSTOMERS, json!({ "attributes": attributes }))
}

#[test]
fn a_definition_keeps_what_it_was_given() {
    let client = workspace();
    let body = json!({
        "resource": "organization", "key": "tier_2", "name": "Tier", "description": "How big",
        "type": "enum", "options": ["gold", "silver"], "unique": false, "required": true,
        "pii": true, "searchable": true,
    });
    let made = client.post(PATH, body.clone()).expect(201);
    for (name, value) in body.as_object().expect("an object") {
        assert_eq!(&made.json[name], value, "{name}");
    }
    assert_eq!(made.headers["location"], at(&made.id()));
    assert_eq!(made.headers["etag"], "\"1\"");
    assert_eq!(client.get(&at(&made.id())).expect(200).json, made.json);
    workspace().get(&at(&made.id())).expect(404);
}

#[test]
fn every_type_takes_what_fits_and_nothing_else() {
    let client = workspace();
    let options = json!({ "options": ["a", "b"] });
    let id = Uuid::now_v7();
    let money = |currency: &str| json!({ "amount": 1999, "currency": currency });
    let cases = [
        (
            "string",
            json!({}),
            vec![json!("x"), json!("")],
            vec![json!(1), json!(true), json!(["x"])],
        ),
        ("number", json!({}), vec![json!(1), json!(-1.5)], vec![json!("1"), json!([1])]),
        ("boolean", json!({}), vec![json!(true)], vec![json!("true"), json!(0)]),
        (
            "date",
            json!({}),
            vec![json!("2026-03-14")],
            vec![json!("2026-02-30"), json!("14.3.2026"), json!(1)],
        ),
        (
            "datetime",
            json!({}),
            vec![json!("2026-03-14T08:00:00+01:00")],
            vec![json!("2026-03-14"), json!(1)],
        ),
        ("enum", options.clone(), vec![json!("a")], vec![json!("c"), json!(["a"])]),
        ("multi_enum", options, vec![json!(["a", "b"]), json!([])], vec![json!("a"), json!(["c"])]),
        (
            "money",
            json!({}),
            vec![money("EUR")],
            vec![json!(19.99), money("euro"), json!({ "amount": 1 })],
        ),
        ("reference", json!({}), vec![json!(id)], vec![json!("x"), json!(1)]),
        ("json", json!({}), vec![json!({ "a": [1] }), json!("x"), json!(1)], vec![]),
    ];
    for (kind, more, good, bad) in cases {
        let key = format!("a_{kind}");
        define(&client, &key, kind, more).expect(201);
        for value in good {
            let made = with(&client, json!({ &key: value })).expect(201);
            assert_eq!(made.json["attributes"][&key], value, "{kind}");
        }
        with(&client, json!({ &key: null })).expect(201);
        for value in bad {
            let refused = unchanged(&client, || with(&client, json!({ &key: value }))).expect(422);
            let pointer = format!("#/attributes/{key}");
            assert_eq!(refused.fault(), ("invalid_attribute", pointer.as_str()), "{kind} {value}");
        }
    }
}

#[test]
fn a_patch_is_held_against_the_definitions_too() {
    let client = workspace();
    define(&client, "size", "number", json!({})).expect(201);
    let ada = with(&client, json!({ "size": 42 })).expect(201).id();
    let patch = json!({ "attributes": { "size": "large", "other": 1 } });
    let refused = unchanged(&client, || client.patch(&customer_at(&ada), patch)).expect(422);
    assert_eq!(refused.fault(), ("invalid_attribute", "#/attributes/size"));
    let cleared = client.patch(&customer_at(&ada), json!({ "attributes": { "size": null } }));
    assert_eq!(cleared.expect(200).json["attributes"], json!({}));
}

#[test]
fn a_required_attribute_must_be_there_and_stay() {
    let client = workspace();
    let early = create(&client, json!({})).id();
    define(&client, "size", "number", json!({ "required": true })).expect(201);
    for attributes in [json!({}), json!({ "size": null }), json!({ "other": 1 })] {
        let refused = unchanged(&client, || with(&client, attributes)).expect(422);
        assert_eq!(refused.fault(), ("required", "#/attributes/size"));
    }
    let ada = with(&client, json!({ "size": 42 })).expect(201).id();
    let patch = json!({ "attributes": { "size": null } });
    let refused = unchanged(&client, || client.patch(&customer_at(&ada), patch)).expect(422);
    assert_eq!(refused.fault(), ("required", "#/attributes/size"));
    client.patch(&customer_at(&ada), json!({ "score": 1 })).expect(200);
    client.patch(&customer_at(&early), json!({ "score": 1 })).expect(200);
}

#[test]
fn a_unique_value_belongs_to_one_customer() {
    let client = workspace();
    define(&client, "card", "string", json!({ "unique": true })).expect(201);
    define(&client, "number", "number", json!({ "unique": true })).expect(201);
    let ada = with(&client, json!({ "card": "A-1", "number": 7 })).expect(201).id();
    let eve = with(&client, json!({ "card": "A-2" })).expect(201).id();
    with(&client, json!({})).expect(201);
    with(&client, json!({ "card": null })).expect(201);
    for (attributes, pointer) in [
        (json!({ "card": "A-1" }), "#/attributes/card"),
        (json!({ "number": 7 }), "#/attributes/number"),
    ] {
        for refused in [
            unchanged(&client, || with(&client, attributes.clone())),
            unchanged(&client, || {
                client.patch(&customer_at(&eve), json!({ "attributes": attributes, "score": 1 }))
            }),
        ] {
            let refused = refused.expect(409);
            assert_eq!(refused.code(), "unique_attributes_value_taken");
            assert_eq!(refused.json["existing_id"], ada);
            assert_eq!(refused.fault(), ("already_exists", pointer));
        }
    }
    let same = json!({ "attributes": { "card": "A-1", "x": 1 } });
    client.patch(&customer_at(&ada), same).expect(200);
    client.patch(&customer_at(&ada), json!({ "attributes": { "card": "A-3" } })).expect(200);
    client.patch(&customer_at(&eve), json!({ "attributes": { "card": "A-1" } })).expect(200);
}

#[test]
fn a_deleted_customer_gives_its_unique_values_up() {
    let client = workspace();
    define(&client, "card", "string", json!({ "unique": true })).expect(201);
    let ada = with(&client, json!({ "card": "A-1" })).expect(201).id();
    client.delete(&customer_at(&ada)).expect(204);
    let heir = with(&client, json!({ "card": "A-1" })).expect(201).id();
    let restore = format!("{}/restore", customer_at(&ada));
    let refused = unchanged(&client, || client.post(&restore, json!({}))).expect(409);
    assert_eq!(refused.code(), "unique_attributes_value_taken");
    assert_eq!(refused.json["existing_id"], heir);
    client.delete(&customer_at(&heir)).expect(204);
    client.post(&restore, json!({})).expect(200);
    with(&client, json!({ "card": "A-1" })).expect(409);
}

#[test]
fn a_unique_value_has_a_sensible_length() {
    let client = workspace();
    define(&client, "card", "string", json!({ "unique": true })).expect(201);
    let noise: String =
        (0..1000_u32).filter_map(|n| char::from_u32(0x1f300 + n * 7919 % 700)).collect();
    for value in ["x".repeat(1001), noise] {
        let refused = unchanged(&client, || with(&client, json!({ "card": value }))).expect(422);
        assert_eq!(refused.fault(), ("invalid_attribute", "#/attributes/card"));
    }
    with(&client, json!({ "card": "x".repeat(255) })).expect(201);
}

#[test]
fn a_key_that_two_customers_share_cannot_become_unique() {
    let client = workspace();
    let ada = with(&client, json!({ "card": "A-1" })).expect(201).id();
    let eve = with(&client, json!({ "card": "A-1" })).expect(201).id();
    let unique = json!({ "unique": true });
    let refused =
        unchanged(&client, || define(&client, "card", "string", unique.clone())).expect(409);
    assert_eq!(refused.code(), "unique_attributes_value_taken");
    client.delete(&customer_at(&eve)).expect(204);
    define(&client, "card", "string", unique).expect(201);
    assert_eq!(with(&client, json!({ "card": "A-1" })).expect(409).json["existing_id"], ada);
}

#[test]
fn a_key_is_defined_once_per_resource() {
    let client = workspace();
    let first = define(&client, "size", "number", json!({})).expect(201).id();
    let again = unchanged(&client, || define(&client, "size", "string", json!({}))).expect(409);
    assert_eq!(again.code(), "attribute_definitions_key_taken");
    assert_eq!(again.json["existing_id"], first);
    define(&client, "size", "string", json!({ "resource": "organization" })).expect(201);
    define(&workspace(), "size", "string", json!({})).expect(201);
}

#[test]
fn a_definition_that_makes_no_sense_is_refused() {
    let client = workspace();
    let cases = [
        ("size", "colour", json!({}), "invalid_type", "#/type"),
        ("Size", "number", json!({}), "invalid_key", "#/key"),
        ("2size", "number", json!({}), "invalid_key", "#/key"),
        ("", "number", json!({}), "invalid_key", "#/key"),
        ("size", "number", json!({ "resource": "tag" }), "invalid_type", "#/resource"),
        ("size", "number", json!({ "name": "" }), "invalid_length", "#/name"),
        ("size", "number", json!({ "nope": 1 }), "unknown_field", "#/nope"),
        ("size", "enum", json!({}), "invalid_options", "#/options"),
        ("size", "number", json!({ "options": ["a"] }), "invalid_options", "#/options"),
        ("size", "enum", json!({ "options": ["a", "a"] }), "invalid_tags", "#/options"),
        ("size", "boolean", json!({ "unique": true }), "invalid_unique", "#/unique"),
        ("size", "json", json!({ "unique": true }), "invalid_unique", "#/unique"),
    ];
    unchanged(&client, || {
        for (key, kind, more, code, pointer) in cases {
            let refused = define(&client, key, kind, more).expect(422);
            assert_eq!(refused.fault(), (code, pointer), "{key} {kind}");
        }
    });
}

#[test]
fn a_definition_changes_in_what_does_not_bind_records() {
    let client = workspace();
    let made = define(&client, "size", "enum", json!({ "options": ["s"] })).expect(201).id();
    let patch = json!({ "name": "Size", "description": "x", "options": ["s", "m"], "pii": true });
    let after = client.patch(&at(&made), patch).expect(200);
    assert_eq!(after.json["options"], json!(["s", "m"]));
    assert_eq!((&after.json["name"], &after.json["pii"]), (&json!("Size"), &json!(true)));
    assert_eq!(after.headers["etag"], "\"2\"");
    with(&client, json!({ "size": "m" })).expect(201);
    let cleared = client.patch(&at(&made), json!({ "description": null })).expect(200);
    assert_eq!(cleared.json["description"], Value::Null);
    let number = define(&client, "n", "number", json!({})).expect(201).id();
    unchanged(&client, || {
        for field in ["type", "unique", "key", "resource"] {
            let refused = client.patch(&at(&made), json!({ field: "x" })).expect(422);
            assert_eq!(refused.fault(), ("unknown_field", format!("#/{field}").as_str()));
        }
        for (id, options) in [(&made, json!([])), (&number, json!(["a"]))] {
            let refused = client.patch(&at(id), json!({ "options": options })).expect(422);
            assert_eq!(refused.fault(), ("invalid_options", "#/options"));
        }
        let body = Some(r#"{"name": "x"}"#);
        client.send("PATCH", &at(&made), &[("If-Match", "\"1\"")], body).expect(412);
        client.patch(&at(&Uuid::now_v7().to_string()), json!({})).expect(404);
    });
}

#[test]
fn a_deleted_definition_binds_nobody() {
    let client = workspace();
    let made = define(&client, "card", "string", json!({ "unique": true, "required": true }));
    let made = made.expect(201).id();
    let ada = with(&client, json!({ "card": "A-1" })).expect(201).id();
    let delete = |tag: &str| client.send("DELETE", &at(&made), &[("If-Match", tag)], None);
    unchanged(&client, || delete("\"2\"").expect(412));
    delete("\"1\"").expect(204);
    client.get(&at(&made)).expect(404);
    client.delete(&at(&made)).expect(404);
    assert_eq!(client.get(&customer_at(&ada)).expect(200).json["attributes"]["card"], "A-1");
    with(&client, json!({ "card": "A-1" })).expect(201);
    with(&client, json!({ "card": 1 })).expect(201);
    with(&client, json!({})).expect(201);
}

#[test]
fn definitions_are_listed_by_resource_and_in_pages() {
    let client = workspace();
    for key in ["b", "a", "c"] {
        define(&client, key, "string", json!({})).expect(201);
    }
    define(&client, "d", "string", json!({ "resource": "channel" })).expect(201);
    let list = |query: &str| client.get(&format!("{PATH}?{query}"));
    assert_eq!(texts(&list("").expect(200), "key"), ["d", "c", "a", "b"]);
    assert_eq!(texts(&list("resource=customer&sort=key").expect(200), "key"), ["a", "b", "c"]);
    let first = list("sort=-key&limit=3&include_total=true").expect(200);
    assert_eq!(
        (texts(&first, "key"), &first.json["total"]),
        (vec!["d".into(), "c".into(), "b".into()], &json!(4))
    );
    let cursor = first.json["next_cursor"].as_str().expect("a cursor");
    let last = list(&format!("sort=-key&limit=3&cursor={cursor}")).expect(200);
    assert_eq!((texts(&last, "key"), rows(&last).len()), (vec!["a".into()], 1));
    assert_eq!(list("resource=tag").expect(400).code(), "invalid_parameter");
    assert_eq!(list("sort=name").expect(400).json["errors"][0]["parameter"], "sort");
}

#[test]
fn a_searchable_attribute_is_found_by_its_text() {
    let client = workspace();
    define(&client, "club", "string", json!({ "searchable": true })).expect(201);
    define(&client, "secret", "string", json!({})).expect(201);
    let ada = with(&client, json!({ "club": "Alpenverein", "secret": "hidden" })).expect(201).id();
    let found = |q: &str| texts(&client.get(&format!("{CUSTOMERS}?q={q}")).expect(200), "id");
    assert_eq!(found("alpenv"), std::slice::from_ref(&ada));
    assert!(found("hidden").is_empty());
    client
        .patch(&customer_at(&ada), json!({ "attributes": { "club": "Naturfreunde" } }))
        .expect(200);
    assert!(found("alpenv").is_empty());
    assert_eq!(found("NATUR"), [ada]);
}
