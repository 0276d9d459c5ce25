//! Organizations and their members.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Client, workspace};

const PATH: &str = "/v1/organizations";

fn create(client: &Client, body: Value) -> String {
    client.post(PATH, body).expect(201).id()
}

fn named(client: &Client, name: &str) -> String {
    create(client, json!({ "name": name }))
}

fn at(id: &str) -> String {
    format!("{PATH}/{id}")
}

fn names(client: &Client, query: &str) -> Vec<String> {
    let list = client.get(&format!("{PATH}?{query}")).expect(200).json;
    let rows = list["data"].as_array().expect("a list").iter();
    rows.map(|row| row["name"].as_str().expect("a name").to_owned()).collect()
}

/// The types of the touchpoints about an organization, oldest first, with their properties.
fn log(client: &Client, id: &str) -> Vec<(String, Value)> {
    let list = client.get(&format!("/v1/touchpoints?organization_id={id}")).expect(200).json;
    let mut rows: Vec<_> = list["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| (row["type"].as_str().expect("a type").to_owned(), row["properties"].clone()))
        .collect();
    rows.reverse();
    rows
}

fn kinds(client: &Client, id: &str) -> Vec<String> {
    log(client, id).into_iter().map(|(kind, _)| kind).collect()
}

fn user(client: &Client) -> String {
    let email = format!("{}@shop.example.com", Uuid::new_v4().simple());
    let body = json!({ "email": email, "name": "Mira Berg", "role": "agent" });
    client.post("/v1/users", body).expect(201).id()
}

fn customer(client: &Client) -> String {
    client.post("/v1/customers", json!({ "first_name": "Ada" })).expect(201).id()
}

#[test]
fn an_organization_keeps_every_field_it_was_given() {
    let client = workspace();
    let (parent, owner) = (named(&client, "Holding"), user(&client));
    let body = json!({
        "external_ids": [{ "source": "erp", "id": "o-1" }],
        "name": "Bergsport Tirol GmbH",
        "domains": ["bergsport.example.com"],
        "industry": "retail",
        "employees_count": 42,
        "annual_revenue": { "amount": 120_000_000, "currency": "EUR" },
        "parent_id": parent,
        "owner_id": owner,
        "attributes": { "payment_terms_days": 30 },
        "tags": ["key_account"],
    });
    let made = client.post(PATH, body.clone()).expect(201);
    assert_eq!(made.headers["location"], at(&made.id()));
    assert_eq!(made.headers["etag"], "\"1\"");
    for (name, value) in body.as_object().expect("an object") {
        assert_eq!(&made.json[name], value, "{name}");
    }
    assert_eq!(client.get(&at(&made.id())).expect(200).json, made.json);
    assert_eq!(kinds(&client, &made.id()), ["organization.created"]);
}

#[test]
fn a_field_that_is_not_valid_is_named() {
    let client = workspace();
    let unknown = Uuid::new_v4();
    let cases = [
        (json!({}), "required", "#/name"),
        (json!({ "name": "" }), "invalid_length", "#/name"),
        (json!({ "name": "x".repeat(201) }), "invalid_length", "#/name"),
        (json!({ "name": "a", "domains": ["Example.com"] }), "invalid_domain", "#/domains"),
        (json!({ "name": "a", "industry": "x".repeat(101) }), "invalid_length", "#/industry"),
        (json!({ "name": "a", "employees_count": -1 }), "out_of_range", "#/employees_count"),
        (json!({ "name": "a", "parent_id": unknown }), "not_found", "#/parent_id"),
        (json!({ "name": "a", "owner_id": unknown }), "not_found", "#/owner_id"),
        (json!({ "name": "a", "tags": ["x", "x"] }), "invalid_tags", "#/tags"),
        (json!({ "name": "a", "size": 1 }), "unknown_field", "#/size"),
        (
            json!({ "name": "a", "annual_revenue": { "amount": 1, "currency": "eur" } }),
            "invalid_currency",
            "#/annual_revenue/currency",
        ),
        (
            json!({ "name": "a", "external_ids": [{ "source": "e", "id": "1" }, { "source": "e", "id": "2" }] }),
            "duplicate_source",
            "#/external_ids/1/source",
        ),
    ];
    for (body, code, pointer) in cases {
        let refused = client.post(PATH, body.clone()).expect(422);
        assert_eq!(refused.fault(), (code, pointer), "{body}");
    }
}

#[test]
fn attributes_follow_their_definitions() {
    let client = workspace();
    let definition = json!({
        "resource": "organization", "key": "vat_id", "name": "VAT", "type": "string", "unique": true,
    });
    client.post("/v1/attribute_definitions", definition).expect(201);
    let with = |vat: Value| json!({ "name": "a", "attributes": { "vat_id": vat } });
    let refused = client.post(PATH, with(json!(7))).expect(422);
    assert_eq!(refused.fault(), ("invalid_attribute", "#/attributes/vat_id"));
    let first = create(&client, with(json!("ATU1")));
    let taken = client.post(PATH, with(json!("ATU1"))).expect(409);
    assert_eq!(taken.code(), "unique_attributes_value_taken");
    assert_eq!(taken.json["existing_id"], json!(first));

    client.delete(&at(&first)).expect(204);
    let second = create(&client, with(json!("ATU1")));
    let refused = client.post(&format!("{}/restore", at(&first)), json!(null)).expect(409);
    assert_eq!(refused.json["existing_id"], json!(second));
}

#[test]
fn a_patch_changes_what_it_names_and_the_log_tells_what() {
    let client = workspace();
    let id = create(
        &client,
        json!({ "name": "Old", "industry": "retail", "attributes": { "a": 1, "b": 2 }, "tags": ["x"] }),
    );
    let patch = json!({ "name": "New", "industry": null, "attributes": { "b": null, "c": 3 } });
    let after = client.patch(&at(&id), patch).expect(200);
    assert_eq!(after.json["name"], "New");
    assert_eq!(after.json["industry"], Value::Null);
    assert_eq!(after.json["attributes"], json!({ "a": 1, "c": 3 }));
    assert_eq!(after.json["tags"], json!(["x"]));
    assert_eq!(after.headers["etag"], "\"2\"");
    let log = log(&client, &id);
    assert_eq!(log[1].0, "organization.updated");
    let changes = &log[1].1["changes"];
    assert_eq!(changes["name"], json!({ "from": "Old", "to": "New" }));
    assert_eq!(changes["industry"], json!({ "from": "retail", "to": null }));
    assert!(changes["tags"].is_null(), "{changes}");
}

#[test]
fn a_patch_that_changes_nothing_is_not_in_the_log() {
    let client = workspace();
    let id = named(&client, "Same");
    client.patch(&at(&id), json!({ "name": "Same" })).expect(200);
    assert_eq!(kinds(&client, &id), ["organization.created"]);
}

#[test]
fn a_change_of_another_version_is_refused() {
    let client = workspace();
    let id = named(&client, "a");
    let stale = [("If-Match", "\"7\"")];
    let body = json!({ "name": "b" }).to_string();
    client.send("PATCH", &at(&id), &stale, Some(&body)).expect(412);
    client.send("DELETE", &at(&id), &stale, None).expect(412);
    client.send("PATCH", &at(&id), &[("If-Match", "\"1\"")], Some(&body)).expect(200);
    client.send("DELETE", &at(&id), &[("If-Match", "\"2\"")], None).expect(204);
}

#[test]
fn an_organization_is_never_a_part_of_itself() {
    let client = workspace();
    let top = named(&client, "top");
    let middle = create(&client, json!({ "name": "middle", "parent_id": top }));
    let bottom = create(&client, json!({ "name": "bottom", "parent_id": middle }));
    for (id, parent) in [(&top, &top), (&top, &middle), (&top, &bottom), (&middle, &bottom)] {
        let refused = client.patch(&at(id), json!({ "parent_id": parent })).expect(422);
        assert_eq!(refused.fault(), ("parent_cycle", "#/parent_id"));
    }
    client.patch(&at(&bottom), json!({ "parent_id": top })).expect(200);
    client.patch(&at(&middle), json!({ "parent_id": bottom })).expect(200);
    client.patch(&at(&middle), json!({ "parent_id": null })).expect(200);
}

#[test]
fn two_moves_at_once_close_no_circle() {
    let client = workspace();
    for _ in 0..10 {
        let ids: Vec<String> =
            ["a", "b", "c", "d"].iter().map(|name| named(&client, name)).collect();
        client.patch(&at(&ids[1]), json!({ "parent_id": ids[2] })).expect(200);
        client.patch(&at(&ids[3]), json!({ "parent_id": ids[0] })).expect(200);
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let moves = [(&ids[0], &ids[1]), (&ids[2], &ids[3])].map(|(id, parent)| {
                let client = &client;
                scope.spawn(move || client.patch(&at(id), json!({ "parent_id": parent })).status)
            });
            moves.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert!(statuses == [200, 422] || statuses == [422, 200], "{statuses:?}");
    }
}

#[test]
fn a_deleted_organization_is_gone_until_it_is_restored() {
    let client = workspace();
    let body = json!({ "name": "a", "external_ids": [{ "source": "erp", "id": "1" }] });
    let id = create(&client, body.clone());
    client.delete(&at(&id)).expect(204);
    client.get(&at(&id)).expect(404);
    client.patch(&at(&id), json!({ "name": "b" })).expect(404);
    client.delete(&at(&id)).expect(404);
    assert!(names(&client, "").is_empty());
    assert_eq!(
        client.post(PATH, json!({ "name": "b", "parent_id": id })).expect(422).fault(),
        ("not_found", "#/parent_id")
    );
    let restored = client.post(&format!("{}/restore", at(&id)), json!(null)).expect(200);
    assert_eq!(restored.json["deleted_at"], Value::Null);
    assert_eq!(restored.json["version"], 3);
    let again = client.post(&format!("{}/restore", at(&id)), json!(null)).expect(200);
    assert_eq!(again.json, restored.json);
    let kinds = kinds(&client, &id);
    assert_eq!(kinds, ["organization.created", "organization.deleted", "organization.restored"]);
    client.post(PATH, body).expect(409);
}

#[test]
fn an_outside_id_belongs_to_one_organization_that_is_not_deleted() {
    let client = workspace();
    let body = json!({ "name": "a", "external_ids": [{ "source": "erp", "id": "1" }] });
    let first = create(&client, body.clone());
    let taken = client.post(PATH, body.clone()).expect(409);
    assert_eq!((taken.code(), &taken.json["existing_id"]), ("external_ids_taken", &json!(first)));
    client.delete(&at(&first)).expect(204);
    let second = create(&client, body);
    let refused = client.post(&format!("{}/restore", at(&first)), json!(null)).expect(409);
    assert_eq!(refused.json["existing_id"], json!(second));
    client.get(&at(&first)).expect(404);
    client.patch(&at(&second), json!({ "external_ids": [] })).expect(200);
    client.post(&format!("{}/restore", at(&first)), json!(null)).expect(200);
}

#[test]
fn an_upsert_makes_an_organization_once_and_changes_it_afterwards() {
    let client = workspace();
    let path = format!("{PATH}/external/erp/o-1");
    let made = client.put(&path, json!({ "name": "a", "industry": "retail" })).expect(201);
    assert_eq!(made.json["external_ids"], json!([{ "source": "erp", "id": "o-1" }]));
    assert_eq!(made.headers["location"], at(&made.id()));
    let after = client.put(&path, json!({ "name": "b" })).expect(200);
    assert_eq!((after.id(), &after.json["name"]), (made.id(), &json!("b")));
    assert_eq!(after.json["industry"], "retail");
    let other = json!({ "external_ids": [{ "source": "crm", "id": "9" }] });
    let after = client.put(&path, other).expect(200);
    let expected = json!([{ "source": "crm", "id": "9" }, { "source": "erp", "id": "o-1" }]);
    assert_eq!(after.json["external_ids"], expected);

    let body = json!({ "name": "c" }).to_string();
    let refused = client.send("PUT", &path, &[("If-None-Match", "*")], Some(&body)).expect(412);
    assert_eq!(refused.code(), "precondition_failed");
    client.send("PUT", &path, &[("If-Match", "\"9\"")], Some(&body)).expect(412);
    let absent = format!("{PATH}/external/erp/o-2");
    client.send("PUT", &absent, &[("If-Match", "\"1\"")], Some(&body)).expect(412);
    let refused = client.put(&absent, json!({ "industry": "x" })).expect(422);
    assert_eq!(refused.fault(), ("required", "#/name"));
    client.send("PUT", &absent, &[("If-None-Match", "*")], Some(&body)).expect(201);
    let long = format!("{PATH}/external/erp/{}", "x".repeat(256));
    assert_eq!(client.put(&long, json!({ "name": "a" })).expect(400).code(), "invalid_parameter");
}

#[test]
fn upserts_at_once_make_one_organization() {
    let client = workspace();
    let path = format!("{PATH}/external/erp/race");
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let puts: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| client.put(&path, json!({ "name": "a" })).status))
            .collect();
        puts.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 5, "{statuses:?}");
    assert_eq!(names(&client, "").len(), 1);
}

#[test]
fn a_batch_refuses_bad_items_alone_unless_it_is_atomic() {
    let client = workspace();
    let external = json!([{ "source": "erp", "id": "1" }]);
    let items = json!({ "items": [
        { "name": "a", "external_ids": external },
        { "name": "" },
        { "name": "b", "external_ids": external },
        { "name": "c", "parent_id": Uuid::new_v4() },
        { "name": "d" },
    ] });
    let path = format!("{PATH}/batch");
    let refused = client.post(&format!("{path}?atomic=true"), items.clone()).expect(422);
    assert_eq!(refused.fault(), ("invalid_length", "#/items/1/name"));
    assert!(names(&client, "").is_empty());

    let done = client.post(&path, items).expect(207).json;
    assert_eq!(done["failed"], 3);
    let statuses: Vec<_> =
        done["results"].as_array().expect("results").iter().map(|r| r["status"].clone()).collect();
    assert_eq!(statuses, [201, 422, 409, 422, 201]);
    assert_eq!(done["results"][2]["error"]["existing_id"], done["results"][0]["id"]);
    assert_eq!(names(&client, "sort=name"), ["a", "d"]);

    for items in [json!([]), Value::Array(vec![json!({ "name": "x" }); 1001])] {
        let refused = client.post(&path, json!({ "items": items })).expect(422);
        assert_eq!(refused.fault(), ("invalid_length", "#/items"));
    }
}

#[test]
fn lists_are_filtered_sorted_and_paged() {
    let client = workspace();
    let owner = user(&client);
    let parent = create(
        &client,
        json!({
            "name": "Alpenverein", "domains": ["alpen.example.com"], "industry": "club", "tags": ["a"],
        }),
    );
    create(
        &client,
        json!({
            "name": "Bergsport 50%", "industry": "retail", "owner_id": owner, "tags": ["a", "b"],
            "external_ids": [{ "source": "erp", "id": "XYZ-9" }],
        }),
    );
    create(&client, json!({ "name": "Club Süd", "industry": "club", "parent_id": parent }));
    for (query, expected) in [
        ("sort=name", vec!["Alpenverein", "Bergsport 50%", "Club Süd"]),
        ("sort=-name", vec!["Club Süd", "Bergsport 50%", "Alpenverein"]),
        ("sort=created_at", vec!["Alpenverein", "Bergsport 50%", "Club Süd"]),
        ("q=SÜD", vec!["Club Süd"]),
        ("q=alpen.exa", vec!["Alpenverein"]),
        ("q=xyz-9", vec!["Bergsport 50%"]),
        ("q=0%25", vec!["Bergsport 50%"]),
        ("q=%25", vec!["Bergsport 50%"]),
        ("industry=club&sort=name", vec!["Alpenverein", "Club Süd"]),
        ("industry=retail,none", vec!["Bergsport 50%"]),
        ("tags=b,c", vec!["Bergsport 50%"]),
        ("domain=ALPEN.example.com", vec!["Alpenverein"]),
        ("created_at_lt=2020-01-01T00:00:00Z", vec![]),
        ("updated_at_gte=2020-01-01T00:00:00Z&industry=retail", vec!["Bergsport 50%"]),
    ] {
        assert_eq!(names(&client, &query.replace('Ü', "%C3%9C")), expected, "{query}");
    }
    assert_eq!(names(&client, &format!("owner_id={owner}")), ["Bergsport 50%"]);
    assert_eq!(names(&client, &format!("parent_id={parent}")), ["Club Süd"]);

    let first =
        client.get(&format!("{PATH}?sort=name&limit=2&include_total=true")).expect(200).json;
    assert_eq!((&first["has_more"], &first["total"]), (&json!(true), &json!(3)));
    let cursor = first["next_cursor"].as_str().expect("a cursor");
    assert_eq!(names(&client, &format!("sort=name&limit=2&cursor={cursor}")), ["Club Süd"]);
    let foreign = client.get(&format!("{PATH}?sort=-name&cursor={cursor}")).expect(400);
    assert_eq!(foreign.code(), "invalid_cursor");
    client.get(&format!("{PATH}?color=red")).expect(400);
}

#[test]
fn another_workspace_sees_nothing_and_changes_nothing() {
    let (ours, theirs) = (workspace(), workspace());
    let (id, person) = (named(&ours, "a"), customer(&ours));
    ours.put(&format!("{}/members/{person}", at(&id)), json!({})).expect(200);
    for path in
        [at(&id), format!("{}/members", at(&id)), format!("/v1/customers/{person}/organizations")]
    {
        theirs.get(&path).expect(404);
    }
    theirs.patch(&at(&id), json!({ "name": "b" })).expect(404);
    theirs.delete(&at(&id)).expect(404);
    theirs.post(&format!("{}/restore", at(&id)), json!(null)).expect(404);
    theirs.put(&format!("{}/members/{person}", at(&id)), json!({})).expect(404);
    theirs.delete(&format!("{}/members/{person}", at(&id))).expect(404);
    let refused = theirs.post(PATH, json!({ "name": "b", "parent_id": id })).expect(422);
    assert_eq!(refused.fault(), ("not_found", "#/parent_id"));
    assert!(names(&theirs, "").is_empty());
    ours.test_mode().get(&at(&id)).expect(404);
    assert_eq!(ours.get(&at(&id)).expect(200).json["version"], 1);
}

#[test]
fn a_key_without_the_scope_is_told_which_one() {
    let client = workspace();
    let id = named(&client, "a");
    let reader = client.with_scopes(&["organizations:read"]);
    reader.get(&at(&id)).expect(200);
    let refused = reader.patch(&at(&id), json!({ "name": "b" })).expect(403);
    assert!(refused.json["detail"].as_str().expect("a detail").contains("organizations:write"));
    client.with_scopes(&["customers:read"]).get(&at(&id)).expect(403);
}

#[test]
fn a_repeated_request_is_answered_from_memory() {
    let client = workspace();
    let key = [("Idempotency-Key", "once")];
    let body = json!({ "name": "a" }).to_string();
    let first = client.send("POST", PATH, &key, Some(&body)).expect(201);
    let again = client.send("POST", PATH, &key, Some(&body)).expect(201);
    assert_eq!((again.id(), again.headers["idempotent-replayed"].as_str()), (first.id(), "true"));
    assert_eq!(names(&client, "").len(), 1);
}

fn member(organization: &str, customer: &str) -> String {
    format!("{}/members/{customer}", at(organization))
}

#[test]
fn a_customer_becomes_a_member_changes_role_and_leaves() {
    let client = workspace();
    let (id, person) = (named(&client, "a"), customer(&client));
    let body =
        json!({ "role": "purchasing", "is_primary": true, "since": "2024-01-01", "until": null });
    let made = client.put(&member(&id, &person), body.clone()).expect(200).json;
    assert_eq!((&made["customer_id"], &made["organization_id"]), (&json!(person), &json!(id)));
    assert_eq!((&made["role"], &made["is_primary"]), (&json!("purchasing"), &json!(true)));
    assert_eq!(client.put(&member(&id, &person), body).expect(200).json, made);
    let after = client.put(&member(&id, &person), json!({ "role": "boss" })).expect(200).json;
    assert_eq!((&after["since"], &after["is_primary"]), (&Value::Null, &json!(false)));

    let members = client.get(&format!("{}/members", at(&id))).expect(200).json;
    assert_eq!(members["data"], json!([after]));
    let theirs = client.get(&format!("/v1/customers/{person}/organizations")).expect(200).json;
    assert_eq!(theirs["data"], json!([after]));

    client.delete(&member(&id, &person)).expect(204);
    client.delete(&member(&id, &person)).expect(404);
    assert_eq!(
        kinds(&client, &id),
        ["organization.created", "membership.created", "membership.updated", "membership.deleted"]
    );
    let log = client.get(&format!("/v1/touchpoints?customer_id={person}&type=membership.updated"));
    assert_eq!(log.expect(200).json["data"][0]["organization_id"], json!(id));
}

#[test]
fn a_customer_has_one_main_organization() {
    let client = workspace();
    let (first, second, person) = (named(&client, "a"), named(&client, "b"), customer(&client));
    client.put(&member(&first, &person), json!({ "is_primary": true })).expect(200);
    client.put(&member(&second, &person), json!({ "is_primary": true })).expect(200);
    let list = client.get(&format!("/v1/customers/{person}/organizations")).expect(200).json;
    let primary: Vec<_> = list["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| (row["organization_id"].clone(), row["is_primary"].clone()))
        .collect();
    assert_eq!(primary, [(json!(second), json!(true)), (json!(first), json!(false))]);
    assert_eq!(kinds(&client, &first).last().map(String::as_str), Some("membership.updated"));
}

#[test]
fn of_two_main_organizations_set_at_once_one_is_left() {
    let client = workspace();
    for _ in 0..5 {
        let (first, second, person) = (named(&client, "a"), named(&client, "b"), customer(&client));
        std::thread::scope(|scope| {
            for id in [&first, &second] {
                let (client, path) = (&client, member(id, &person));
                scope.spawn(move || client.put(&path, json!({ "is_primary": true })).expect(200));
            }
        });
        let list = client.get(&format!("/v1/customers/{person}/organizations")).expect(200).json;
        let rows = list["data"].as_array().expect("a list");
        assert_eq!(rows.iter().filter(|row| row["is_primary"] == true).count(), 1, "{rows:?}");
    }
}

#[test]
fn a_membership_needs_both_sides_and_a_period_in_order() {
    let client = workspace();
    let (id, person) = (named(&client, "a"), customer(&client));
    let nobody = Uuid::new_v4().to_string();
    client.put(&member(&id, &nobody), json!({})).expect(404);
    client.put(&member(&nobody, &person), json!({})).expect(404);
    client.get(&format!("{}/members", at(&nobody))).expect(404);
    client.get(&format!("/v1/customers/{nobody}/organizations")).expect(404);
    let body = json!({ "since": "2024-02-01", "until": "2024-01-31" });
    let refused = client.put(&member(&id, &person), body).expect(422);
    assert_eq!(refused.fault(), ("invalid_period", "#/until"));
    client.put(&member(&id, &person), json!({ "role": "x".repeat(101) })).expect(422);

    client.put(&member(&id, &person), json!({})).expect(200);
    client.delete(&format!("/v1/customers/{person}")).expect(204);
    let members = client.get(&format!("{}/members", at(&id))).expect(200).json;
    assert_eq!(members["data"], json!([]));
    client.put(&member(&id, &person), json!({})).expect(404);
}

#[test]
fn members_of_a_deleted_organization_come_back_with_it() {
    let client = workspace();
    let (id, person) = (named(&client, "a"), customer(&client));
    client.put(&member(&id, &person), json!({ "role": "boss" })).expect(200);
    client.delete(&at(&id)).expect(204);
    let path = format!("/v1/customers/{person}/organizations");
    assert_eq!(client.get(&path).expect(200).json["data"], json!([]));
    client.delete(&member(&id, &person)).expect(404);
    client.post(&format!("{}/restore", at(&id)), json!(null)).expect(200);
    assert_eq!(client.get(&path).expect(200).json["data"][0]["role"], "boss");
}

#[test]
fn members_are_paged() {
    let client = workspace();
    let id = named(&client, "a");
    let people: Vec<String> = (0..5).map(|_| customer(&client)).collect();
    for person in &people {
        client.put(&member(&id, person), json!({})).expect(200);
    }
    let mut seen = Vec::new();
    let mut query = "limit=2".to_owned();
    loop {
        let page = client.get(&format!("{}/members?{query}", at(&id))).expect(200).json;
        let rows = page["data"].as_array().expect("a list").iter();
        seen.extend(rows.map(|row| row["customer_id"].as_str().expect("an id").to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        query = format!("limit=2&cursor={cursor}");
    }
    seen.reverse();
    assert_eq!(seen, people);
}
