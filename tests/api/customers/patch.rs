//! Merge patches: what is absent stays, null clears, lists replace, attributes merge.

use serde_json::{Value, json};

use super::{at, create, holder, kinds, rows, unchanged, with_email};
use crate::harness::workspace;

#[test]
fn what_a_patch_does_not_name_stays() {
    let client = workspace();
    let before = create(&client, super::create::everything_without_owner());
    let after = client.patch(&at(&before.id()), json!({ "title": "Prof." })).expect(200);
    let mut expected = before.json.clone();
    expected["title"] = json!("Prof.");
    expected["version"] = json!(2);
    expected["updated_at"] = after.json["updated_at"].clone();
    assert_eq!(after.json, expected);
    assert!(after.json["updated_at"].as_str() > before.json["updated_at"].as_str());
    assert_eq!(after.headers["etag"], "\"2\"");
    assert_eq!(client.get(&at(&before.id())).expect(200).json, after.json);
}

#[test]
fn null_clears_a_field() {
    let client = workspace();
    let before = create(&client, super::create::everything_without_owner());
    let fields = [
        "first_name",
        "last_name",
        "display_name",
        "email",
        "phone",
        "title",
        "birth_date",
        "gender",
        "locale",
        "timezone",
        "currency",
        "owner_id",
        "source",
        "acquisition",
        "preferences",
        "score",
    ];
    let patch: serde_json::Map<String, Value> =
        fields.iter().map(|field| ((*field).to_owned(), Value::Null)).collect();
    let after = client.patch(&at(&before.id()), patch.into()).expect(200);
    for field in fields {
        assert_eq!(after.json[field], Value::Null, "{field}");
    }
    assert_eq!(after.json["tags"], before.json["tags"]);
    holder(&client, "ada@shop.example.com").expect(404);
}

#[test]
fn null_empties_a_list() {
    let client = workspace();
    let before = create(&client, super::create::everything_without_owner());
    for list in ["tags", "addresses", "external_ids"] {
        let after = client.patch(&at(&before.id()), json!({ list: null })).expect(200);
        assert_eq!(after.json[list], json!([]), "{list}");
    }
}

#[test]
fn lists_replace_what_was_there() {
    let client = workspace();
    let before = create(&client, super::create::everything_without_owner());
    let patch = json!({
        "tags": ["new"],
        "addresses": [{ "type": "work", "city": "Wien" }],
        "external_ids": [{ "source": "erp", "id": "K-2" }],
        "preferences": { "topics": ["skis"] },
    });
    let after = client.patch(&at(&before.id()), patch).expect(200);
    assert_eq!(after.json["tags"], json!(["new"]));
    assert_eq!(after.json["addresses"].as_array().map(Vec::len), Some(1));
    assert_eq!(after.json["addresses"][0]["city"], "Wien");
    assert_eq!(after.json["external_ids"], json!([{ "source": "erp", "id": "K-2" }]));
    let preferences = json!({ "channels": [], "topics": ["skis"], "language": null });
    assert_eq!(after.json["preferences"], preferences);
    let lookup = |source: &str, id: &str| {
        let query = format!("type=external&source={source}&value={id}");
        client.get(&format!("{}/lookup?{query}", super::PATH))
    };
    assert_eq!(lookup("erp", "K-2").expect(200).id(), before.id());
    lookup("erp", "K-1").expect(404);
    lookup("shop", "7310211").expect(404);
}

#[test]
fn attributes_merge_at_every_depth() {
    let client = workspace();
    let body = json!({ "attributes": { "a": 1, "b": { "c": [1], "d": 2 }, "e": "x" } });
    let made = create(&client, body).id();
    let patch =
        json!({ "attributes": { "a": null, "b": { "c": [2], "f": null }, "g": { "h": 1 } } });
    let after = client.patch(&at(&made), patch).expect(200);
    let expected = json!({ "b": { "c": [2], "d": 2 }, "e": "x", "g": { "h": 1 } });
    assert_eq!(after.json["attributes"], expected);
}

#[test]
fn attributes_may_not_outgrow_their_limit_bit_by_bit() {
    let client = workspace();
    let made = create(&client, json!({ "attributes": { "a": "x".repeat(20_000) } })).id();
    let patch = json!({ "attributes": { "b": "x".repeat(20_000) } });
    let refused = unchanged(&client, || client.patch(&at(&made), patch)).expect(422);
    assert_eq!(refused.fault(), ("too_large", "#/attributes"));
}

#[test]
fn a_new_email_takes_the_place_of_the_old_one_and_frees_it() {
    let client = workspace();
    let ada = with_email(&client, "ada@shop.example.com");
    let after = client.patch(&at(&ada), json!({ "email": "Ada@New.example.com" })).expect(200);
    assert_eq!(after.json["email"], "ada@new.example.com");
    assert_eq!(holder(&client, "ada@new.example.com").expect(200).id(), ada);
    holder(&client, "ada@shop.example.com").expect(404);
    let identities = client.get(&format!("{}/identities", at(&ada))).expect(200);
    assert_eq!(rows(&identities).len(), 1);
    with_email(&client, "ada@shop.example.com");
    let found = client.get(&format!("{}?q=ada@new", super::PATH)).expect(200);
    assert_eq!(rows(&found).len(), 1);
}

#[test]
fn the_email_or_phone_of_another_customer_is_refused() {
    let client = workspace();
    let ada = create(&client, json!({ "email": "ada@shop.example.com", "phone": "+436641234567" }));
    let eve = create(&client, json!({ "email": "eve@shop.example.com", "first_name": "Eve" })).id();
    let cases = [
        (json!({ "email": "ADA@shop.example.com", "first_name": "Ada" }), "#/email"),
        (json!({ "phone": "+43 664 1234567", "email": null }), "#/phone"),
    ];
    for (patch, pointer) in cases {
        let refused = unchanged(&client, || client.patch(&at(&eve), patch)).expect(409);
        assert_eq!(refused.code(), "identities_value_taken");
        assert_eq!(refused.fault(), ("already_exists", pointer));
        assert_eq!(refused.json["existing_id"], ada.id());
    }
    let own = json!({ "email": "Eve@Shop.example.com" });
    assert_eq!(client.patch(&at(&eve), own).expect(200).json["email"], "eve@shop.example.com");
}

#[test]
fn a_patch_of_an_older_version_is_refused() {
    let client = workspace();
    let made = create(&client, json!({})).id();
    let patch = |tag: &str, name: &str| {
        let body = json!({ "first_name": name }).to_string();
        client.send("PATCH", &at(&made), &[("If-Match", tag)], Some(&body))
    };
    patch("\"1\"", "Ada").expect(200);
    let refused = unchanged(&client, || patch("\"1\"", "Eve")).expect(412);
    assert_eq!(refused.code(), "version_mismatch");
    patch("*", "Eve").expect(200);
    assert_eq!(patch("3", "Ann").expect(200).json["version"], 4);
    for tag in ["ada", "\"\"", "\"1\", \"2\""] {
        let refused = unchanged(&client, || patch(tag, "Kim")).expect(400);
        assert_eq!(refused.json["errors"][0]["parameter"], "If-Match", "{tag}");
    }
    let known = client.send("GET", &at(&made), &[("If-None-Match", "\"4\"")], None);
    assert_eq!((known.status, known.text.as_str()), (304, ""));
    client.send("GET", &at(&made), &[("If-None-Match", "\"3\"")], None).expect(200);
}

#[test]
fn a_patch_that_changes_nothing_changes_nothing() {
    let client = workspace();
    let before = create(&client, super::create::everything_without_owner());
    let same = json!({
        "first_name": "Ada", "email": "ada@shop.example.com", "tags": ["club", "Früh dran"],
        "attributes": { "shoe_size": 42.5, "unknown": null },
    });
    for patch in [json!({}), same] {
        let after = unchanged(&client, || client.patch(&at(&before.id()), patch)).expect(200);
        assert_eq!(after.json, before.json);
    }
}

#[test]
fn a_change_is_written_down_once_with_what_was_before() {
    let client = workspace();
    let made = create(&client, json!({ "first_name": "Ada", "tags": ["a"] })).id();
    client.patch(&at(&made), json!({ "first_name": "Eve", "tags": ["b"], "score": 3 })).expect(200);
    assert_eq!(kinds(&client, &made), ["customer.created", "customer.updated"]);
    let timeline = client.get(&format!("{}/timeline?type=customer.updated", at(&made))).expect(200);
    let touchpoint = &timeline.json["data"][0];
    let changes = json!({
        "first_name": { "from": "Ada", "to": "Eve" },
        "tags": { "from": ["a"], "to": ["b"] },
        "score": { "from": null, "to": 3 },
    });
    assert_eq!(touchpoint["properties"], json!({ "changes": changes }));
    assert_eq!(touchpoint["direction"], "internal");
    assert_eq!(touchpoint["source"], "ecrm");
    assert_eq!(touchpoint["actor"]["type"], "integration");
    assert_eq!(touchpoint["subject"], json!({ "type": "customer", "id": made }));
}

#[test]
fn both_kinds_of_patch_body_are_understood() {
    let client = workspace();
    let made = create(&client, json!({})).id();
    let send = |kind: &str| {
        let body = Some(r#"{"first_name": "Ada"}"#);
        client.send("PATCH", &at(&made), &[("Content-Type", kind)], body)
    };
    for kind in
        ["application/merge-patch+json", "application/json", "application/json; charset=utf-8"]
    {
        send(kind).expect(200);
    }
    for kind in ["text/plain", "application/xml"] {
        assert_eq!(send(kind).expect(415).code(), "unsupported_media_type");
    }
}

#[test]
fn a_patch_takes_only_what_callers_may_change() {
    let client = workspace();
    let made = create(&client, json!({})).id();
    unchanged(&client, || {
        for field in
            ["id", "version", "created_at", "deleted_at", "stats", "merged_into_id", "identities"]
        {
            let refused = client.patch(&at(&made), json!({ field: null })).expect(422);
            assert_eq!(refused.fault(), ("unknown_field", format!("#/{field}").as_str()));
        }
        let cases = [
            (json!({ "email": 1 }), "invalid_type", "#/email"),
            (json!({ "email": "ada" }), "invalid_email", "#/email"),
            (json!({ "status": "erased" }), "invalid_type", "#/status"),
            (json!({ "currency": "eur" }), "invalid_currency", "#/currency"),
            (json!({ "tags": ["a", "a"] }), "invalid_tags", "#/tags"),
        ];
        for (patch, code, pointer) in cases {
            let refused = client.patch(&at(&made), patch).expect(422);
            assert_eq!(refused.fault(), (code, pointer));
        }
    });
}

#[test]
fn writers_of_one_customer_take_turns() {
    let client = workspace();
    let made = create(&client, json!({})).id();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let (client, made) = (&client, &made);
            let patch = json!({ "attributes": { format!("k{n}"): n } });
            scope.spawn(move || client.patch(&at(made), patch).expect(200));
        }
    });
    let after = client.get(&at(&made)).expect(200).json;
    assert_eq!(after["version"], 9);
    assert_eq!(after["attributes"].as_object().map(serde_json::Map::len), Some(8));
}
