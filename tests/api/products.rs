//! Products: what the company sells.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Client, workspace};

const PATH: &str = "/v1/products";

fn create(client: &Client, body: Value) -> String {
    client.post(PATH, body).expect(201).id()
}

fn at(id: &str) -> String {
    format!("{PATH}/{id}")
}

fn names(client: &Client, query: &str) -> Vec<String> {
    let list = client.get(&format!("{PATH}?{query}")).expect(200).json;
    let rows = list["data"].as_array().expect("a list").iter();
    rows.map(|row| row["name"].as_str().expect("a name").to_owned()).collect()
}

/// The types of the touchpoints about a product, oldest first.
fn kinds(client: &Client, id: &str) -> Vec<String> {
    let list = client.get("/v1/touchpoints?limit=200").expect(200).json;
    let about = list["data"].as_array().expect("a list").iter().rev();
    let about = about.filter(|row| row["subject"]["id"] == id);
    about.map(|row| row["type"].as_str().expect("a type").to_owned()).collect()
}

#[test]
fn a_product_keeps_every_field_it_was_given() {
    let client = workspace();
    let body = json!({
        "external_ids": [{ "source": "shopify", "id": "632910392" }],
        "sku": "ROPE-60-BLUE", "name": "Single rope", "description": "Light.",
        "brand": "Alpenglow", "category": "Ropes",
        "price": { "amount": 14990, "currency": "EUR" },
        "url": "https://shop.example.com/p/rope", "image_url": "https://shop.example.com/p.jpg",
        "status": "draft", "attributes": { "length_m": 60 }, "tags": ["climbing"],
    });
    let made = client.post(PATH, body.clone()).expect(201);
    assert_eq!(made.headers["location"], at(&made.id()));
    assert_eq!(made.headers["etag"], "\"1\"");
    for (name, value) in body.as_object().expect("an object") {
        assert_eq!(&made.json[name], value, "{name}");
    }
    assert_eq!(client.get(&at(&made.id())).expect(200).json, made.json);
    assert_eq!(kinds(&client, &made.id()), ["product.created"]);
}

#[test]
fn a_field_of_a_product_that_is_not_valid_is_named() {
    let client = workspace();
    let cases = [
        (json!({}), "required", "#/name"),
        (json!({ "name": "" }), "invalid_length", "#/name"),
        (json!({ "name": "a", "sku": "" }), "invalid_length", "#/sku"),
        (json!({ "name": "a", "url": "shop" }), "invalid_url", "#/url"),
        (
            json!({ "name": "a", "price": { "amount": -1, "currency": "EUR" } }),
            "out_of_range",
            "#/price",
        ),
        (json!({ "name": "a", "url": "javascript:alert(1)" }), "invalid_url", "#/url"),
        (json!({ "name": "a", "image_url": "data:text/html,x" }), "invalid_url", "#/image_url"),
        (json!({ "name": "a", "image_url": "x" }), "invalid_url", "#/image_url"),
        (
            json!({ "name": "a", "price": { "amount": 1, "currency": "eur" } }),
            "invalid_currency",
            "#/price/currency",
        ),
        (json!({ "name": "a", "tags": ["x", "x"] }), "invalid_tags", "#/tags"),
        (
            json!({ "name": "a", "external_ids": [{ "source": "s", "id": "1" },
                                               { "source": "s", "id": "2" }] }),
            "duplicate_source",
            "#/external_ids/1/source",
        ),
    ];
    for (body, code, pointer) in cases {
        let refused = client.post(PATH, body).expect(422);
        assert_eq!(refused.json["errors"][0]["code"], code, "{}", refused.text);
        assert_eq!(refused.json["errors"][0]["pointer"], pointer, "{}", refused.text);
    }
    assert_eq!(client.get(PATH).expect(200).json["data"], json!([]));
}

#[test]
fn a_sku_belongs_to_one_product() {
    let client = workspace();
    let first = create(&client, json!({ "name": "Rope", "sku": "R1" }));
    let taken = client.post(PATH, json!({ "name": "Other", "sku": "R1" })).expect(409);
    assert_eq!(taken.json["code"], "products_sku_taken");
    assert_eq!(taken.json["existing_id"], first);
    let second = create(&client, json!({ "name": "Other", "sku": "R2" }));
    let taken = client.patch(&at(&second), json!({ "sku": "R1" })).expect(409);
    assert_eq!(taken.json["existing_id"], first);
    // A deleted product does not hold its SKU, and cannot take it back from another one.
    client.delete(&at(&first)).expect(204);
    client.patch(&at(&second), json!({ "sku": "R1" })).expect(200);
    let taken = client.post(&format!("{}/restore", at(&first)), json!({})).expect(409);
    assert_eq!(taken.json["existing_id"], second);
    client.patch(&at(&second), json!({ "sku": null })).expect(200);
    client.post(&format!("{}/restore", at(&first)), json!({})).expect(200);
    assert_eq!(kinds(&client, &first), ["product.created", "product.deleted", "product.restored"]);
}

#[test]
fn a_product_is_made_or_changed_by_its_outside_id() {
    let client = workspace();
    let path = format!("{PATH}/external/shopify/632910392");
    client.put(&path, json!({})).expect_code(422, "validation_failed");
    let made = client.put(&path, json!({ "name": "Rope", "tags": ["a"] })).expect(201);
    let changed = client.put(&path, json!({ "brand": "Alpenglow" })).expect(200);
    assert_eq!(changed.id(), made.id());
    assert_eq!(
        (&changed.json["name"], &changed.json["brand"]),
        (&json!("Rope"), &json!("Alpenglow"))
    );
    assert_eq!(changed.json["external_ids"], json!([{ "source": "shopify", "id": "632910392" }]));
    let same = client.put(&path, json!({ "brand": "Alpenglow" })).expect(200);
    assert_eq!(kinds(&client, &same.id()), ["product.created", "product.updated"]);
}

#[test]
fn a_patch_of_a_product_changes_what_it_names_and_null_clears() {
    let client = workspace();
    let id =
        create(&client, json!({ "name": "Rope", "brand": "A", "attributes": { "a": 1, "b": 2 } }));
    let patch = json!({ "brand": null, "attributes": { "a": null, "c": 3 }, "status": "archived" });
    let after = client.patch(&at(&id), patch).expect(200).json;
    assert_eq!(after["brand"], Value::Null);
    assert_eq!(after["attributes"], json!({ "b": 2, "c": 3 }));
    assert_eq!(after["status"], "archived");
    client.patch(&at(&id), json!({ "name": null })).expect(422);
    let stale = client.send("PATCH", &at(&id), &[("If-Match", "\"1\"")], Some("{}"));
    stale.expect(412);
}

#[test]
fn products_are_listed_by_what_they_are() {
    let client = workspace();
    create(&client, json!({ "name": "Rope", "sku": "R1", "brand": "A", "category": "Ropes" }));
    create(&client, json!({ "name": "Shoe", "sku": "S1", "brand": "B", "tags": ["new"] }));
    create(&client, json!({ "name": "Old shoe", "status": "archived", "brand": "A" }));
    assert_eq!(names(&client, "sort=name"), ["Old shoe", "Rope", "Shoe"]);
    assert_eq!(names(&client, "q=shoe&sort=name"), ["Old shoe", "Shoe"]);
    assert_eq!(names(&client, "q=r1"), ["Rope"]);
    assert_eq!(names(&client, "sku=R1,S1&sort=name"), ["Rope", "Shoe"]);
    assert_eq!(names(&client, "brand=A&status=active"), ["Rope"]);
    assert_eq!(names(&client, "category=Ropes"), ["Rope"]);
    assert_eq!(names(&client, "tags=new"), ["Shoe"]);
    assert_eq!(names(&client, "updated_at_gte=2200-01-01T00:00:00Z"), [""; 0]);
}

#[test]
fn a_batch_of_products_makes_each_on_its_own() {
    let client = workspace();
    let items = json!({ "items": [{ "name": "A", "sku": "1" }, { "name": "B", "sku": "1" },
                                  { "name": "" }] });
    let answer = client.post(&format!("{PATH}/batch"), items.clone()).expect(207).json;
    let statuses: Vec<_> = answer["results"]
        .as_array()
        .expect("results")
        .iter()
        .map(|result| result["status"].as_i64().expect("a status"))
        .collect();
    assert_eq!((statuses, &answer["failed"]), (vec![201, 409, 422], &json!(2)));
    let all = json!({ "items": [{ "name": "C" }, { "name": "" }] });
    client.post(&format!("{PATH}/batch?atomic=true"), all).expect(422);
    assert_eq!(names(&client, ""), ["A"]);
}

#[test]
fn a_batch_that_is_sent_again_changes_the_products_it_names() {
    let client = workspace();
    let other = json!({ "name": "Shoe", "external_ids": [{ "source": "shop", "id": "2" }] });
    let known = json!({
        "name": "Rope", "status": "draft", "tags": ["new"], "attributes": { "length_m": 60 },
        "external_ids": [{ "source": "shop", "id": "1" }, { "source": "erp", "id": "r" }],
    });
    let id = create(&client, known.clone());
    let news = json!({ "name": "Rope 60", "external_ids": [{ "source": "shop", "id": "1" }] });
    let path = format!("{PATH}/batch");
    let statuses = |answer: &Value| -> Vec<i64> {
        let results = answer["results"].as_array().expect("results").iter();
        results.map(|result| result["status"].as_i64().expect("a status")).collect()
    };
    let items = json!({ "items": [news, other] });
    let first = client.post(&path, items.clone()).expect(207).json;
    assert_eq!((statuses(&first), &first["results"][0]["id"]), (vec![200, 201], &json!(id)));
    let again = client.post(&path, items).expect(207).json;
    assert_eq!(
        (statuses(&again), &again["results"][1]),
        (vec![200, 200], &{
            let mut same = first["results"][1].clone();
            same["status"] = json!(200);
            same
        })
    );
    let product = client.get(&at(&id)).expect(200).json;
    assert_eq!(product["name"], "Rope 60");
    // What the item does not say is left alone.
    for field in ["status", "tags", "attributes"] {
        assert_eq!(product[field], known[field], "{field}");
    }
    let ids = product["external_ids"].as_array().expect("ids");
    assert_eq!(ids.len(), 2, "{ids:?}");
}

#[test]
fn the_attributes_of_products_are_held_against_their_definitions() {
    let client = workspace();
    let definition = json!({ "resource": "product", "key": "ean", "name": "EAN", "type": "string",
                             "unique": true });
    client.post("/v1/attribute_definitions", definition).expect(201);
    let first = create(&client, json!({ "name": "A", "attributes": { "ean": "1" } }));
    client.post(PATH, json!({ "name": "B", "attributes": { "ean": 1 } })).expect(422);
    let taken = client.post(PATH, json!({ "name": "B", "attributes": { "ean": "1" } })).expect(409);
    assert_eq!(taken.json["existing_id"], first);
}

#[test]
fn a_product_of_another_workspace_is_not_there() {
    let (mine, other) = (workspace(), workspace());
    let id = create(&mine, json!({ "name": "Rope", "sku": "R1" }));
    other.get(&at(&id)).expect(404);
    other.patch(&at(&id), json!({ "name": "x" })).expect(404);
    create(&other, json!({ "name": "Rope", "sku": "R1" }));
    mine.get(&at(&Uuid::new_v4().to_string())).expect(404);
}

#[test]
fn older_news_of_a_product_change_nothing() {
    let client = workspace();
    let path = format!("{PATH}/external/shopify/1");
    let told = |name: &str, at: &str| json!({ "name": name, "source_updated_at": at });
    let made = client.put(&path, told("new", "2026-03-14T09:00:00Z")).expect(201);
    let late = client.put(&path, told("old", "2026-03-14T08:00:00Z")).expect(200);
    assert_eq!(late.json, made.json);
    let newer = client.put(&path, told("newer", "2026-03-14T10:00:00Z")).expect(200);
    assert_eq!(newer.json["name"], "newer");
    assert_eq!(newer.json["source_updated_at"], "2026-03-14T10:00:00Z");
    // Said again it is no change.
    client.put(&path, told("newer", "2026-03-14T11:00:00Z")).expect(200);
    assert_eq!(kinds(&client, &made.id()), ["product.created", "product.updated"]);
}
