//! Files out: safe to open, whole, and only for who may have them.

use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

use super::{APP, counts, ended, import, path_of, workspace};
use crate::customers::unchanged;
use crate::harness::Client;

pub fn export(client: &Client, new: Value) -> Value {
    let made = client.post("/v1/exports", new).expect(201);
    ended(client, &format!("/v1/exports/{}", made.id()))
}

pub fn file(client: &Client, done: &Value) -> String {
    client.get(done["result_url"].as_str().expect("a file")).expect(200).text
}

#[test]
fn formulas_are_text_and_columns_are_chosen() {
    let client = workspace();
    let body = json!({ "email": "ada@shop.example.com", "first_name": "=HYPERLINK(1)",
                       "phone": "+436641234567", "tags": ["a", "b"],
                       "attributes": { "size": 42, "note": "@x, \"y\"" },
                       "external_ids": [{ "source": "shop", "id": "17" }] });
    client.post("/v1/customers", body).expect(201);
    client.post("/v1/customers", json!({ "first_name": "Other", "status": "blocked" })).expect(201);
    let done = export(
        &client,
        json!({ "resource": "customers", "format": "csv",
        "where": { "field": "status", "op": "eq", "value": "active" },
        "columns": ["email", "first_name", "phone", "tags", "attributes.size", "attributes.note",
                    "external_ids.shop", "stats.nothing"] }),
    );
    assert_eq!(
        (&done["status"], &done["counts"]["ok"]),
        (&json!("completed"), &json!(1)),
        "{done}"
    );
    let expected = "email,first_name,phone,tags,attributes.size,attributes.note,external_ids.shop,\
                    stats.nothing\r\nada@shop.example.com,'=HYPERLINK(1),+436641234567,\"a, b\",42,\
                    \"'@x, \"\"y\"\"\",17,\r\n";
    assert_eq!(file(&client, &done), expected);
}

#[test]
fn lines_of_json_are_what_the_api_shows() {
    let client = workspace();
    let rows: String = (0..1100).map(|n| format!("{n}@shop.example.com\n")).collect();
    let new = json!({ "resource": "customers", "format": "csv" });
    assert_eq!(counts(&import(&client, new, &format!("email\n{rows}"))), [1100, 0, 0, 0]);
    client.post("/v1/products", json!({ "name": "Rope" })).expect(201);
    let order = json!({ "currency": "EUR", "line_items": [
        { "name": "Rope", "quantity": 1, "unit_price": { "amount": 1, "currency": "EUR" } }] });
    client.post("/v1/orders", order).expect(201);
    client.post("/v1/carts", json!({ "currency": "EUR" })).expect(201);
    for resource in ["customers", "touchpoints", "organizations", "products", "orders", "carts"] {
        let list = client.get(&format!("/v1/{resource}?include_total=true&limit=1")).expect(200);
        let count = usize::try_from(list.json["total"].as_u64().expect("a total")).expect("few");
        let are_many = ["customers", "touchpoints"].contains(&resource);
        assert!(count >= 1100 || !are_many, "{resource}: {count}");
        let done = export(&client, json!({ "resource": resource, "format": "ndjson" }));
        assert_eq!(done["counts"]["total"], count, "{resource}");
        let text = file(&client, &done);
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("a line")).collect();
        assert_eq!(lines.len(), count, "{resource}");
        if let Some(first) = lines.first() {
            let path = format!("/v1/{resource}/{}", first["id"].as_str().expect("an id"));
            assert_eq!(client.get(&path).expect(200).json, *first);
        }
        let csv = export(&client, json!({ "resource": resource, "format": "csv" }));
        let text = file(&client, &csv);
        let mut table = csv::Reader::from_reader(text.as_bytes());
        let head: Vec<String> = table.headers().expect("a head").iter().map(Into::into).collect();
        if let Some(first) = lines.first() {
            let field = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
            let shown = |name: &&String| first.get(field(name)).is_some();
            assert!(head.iter().all(|name| shown(&name)), "{head:?}");
        }
        assert_eq!(table.records().count(), count);
    }
}

/// The filters are those of the list, in its words.
#[test]
fn an_export_has_what_its_list_shows() {
    let client = workspace();
    let ada = json!({ "email": "ada@shop.example.com", "tags": ["vip"] });
    let ada = client.post("/v1/customers", ada).expect(201).id();
    client.post("/v1/customers", json!({ "tags": ["club"], "status": "blocked" })).expect(201);
    for (source, status) in [("shop", "open"), ("shop", "cancelled"), ("erp", "open")] {
        let order = json!({ "currency": "EUR", "source": source, "status": status });
        client.post("/v1/orders", order).expect(201);
    }
    client.post("/v1/products", json!({ "name": "Rope", "brand": "Alpenglow" })).expect(201);
    client.post("/v1/products", json!({ "name": "Chalk" })).expect(201);
    client.post("/v1/carts", json!({ "currency": "EUR", "source": "shop" })).expect(201);
    client.post("/v1/carts", json!({ "currency": "EUR" })).expect(201);
    client.post("/v1/organizations", json!({ "name": "Alpen", "industry": "retail" })).expect(201);
    let questions = [
        ("customers", json!({ "tags": "vip,club", "status": "blocked" }), 1),
        ("customers", json!({ "tags": "vip,club" }), 2),
        ("orders", json!({ "source": "shop", "status": "open" }), 1),
        (
            "orders",
            json!({ "status": "open,cancelled", "placed_at_lt": "2999-01-01T00:00:00Z" }),
            3,
        ),
        ("products", json!({ "brand": "Alpenglow" }), 1),
        ("carts", json!({ "source": "shop" }), 1),
        ("organizations", json!({ "industry": "sports" }), 0),
        ("touchpoints", json!({ "customer_id": ada, "type": "customer.created" }), 1),
    ];
    for (resource, filter, count) in questions {
        let new = json!({ "resource": resource, "format": "ndjson", "filter": filter });
        let done = export(&client, new);
        assert_eq!(done["counts"]["total"], count, "{resource} {filter}");
        assert_eq!(file(&client, &done).lines().count(), count, "{resource} {filter}");
    }
    let carts = json!({ "resource": "carts", "format": "csv" });
    client.post("/v1/imports", carts).expect(422);
    let typo = json!({ "resource": "customers", "format": "csv", "columns": ["email", "emial"] });
    let refused = unchanged(&client, || client.post("/v1/exports", typo.clone())).expect(422);
    assert_eq!(refused.fault(), ("unknown_field", "#/columns/1"));
    let refused = [
        ("orders", json!({ "statuz": "open" }), ("unknown_field", "#/filter/statuz")),
        ("orders", json!({ "limit": "1" }), ("unknown_field", "#/filter/limit")),
        ("orders", json!({ "status": "shut" }), ("invalid_filter", "#/filter/status")),
        ("touchpoints", json!({ "customer_id": "x" }), ("invalid_filter", "#/filter/customer_id")),
    ];
    for (resource, filter, fault) in refused {
        let new = json!({ "resource": resource, "format": "csv", "filter": filter });
        let answer = unchanged(&client, || client.post("/v1/exports", new.clone())).expect(422);
        assert_eq!(answer.fault(), fault, "{filter}");
    }
}

#[test]
fn a_link_needs_no_credential_and_ends() {
    let client = workspace();
    let done = export(&client, json!({ "resource": "organizations", "format": "csv" }));
    let links = format!("{}/links", path_of(&done, "exports"));
    let link = |client: &Client| {
        let made = client.send("POST", &links, &[], None).expect(201).json;
        let url = made["url"].as_str().expect("a URL").to_owned();
        url[url.find("/exports/").expect("a path")..].to_owned()
    };
    let first = link(&client);
    let nobody = Client {
        token: None,
        base: client.base.clone(),
        slug: String::new(),
        workspace_id: client.workspace_id,
    };
    assert!(nobody.get(&first).expect(200).text.starts_with("id,external_ids,name"));
    assert!(nobody.get(&first).expect(200).headers["content-disposition"].contains(".csv"));
    let second = link(&client);
    nobody.get(&first).expect(404);
    nobody.get(&second).expect(200);
    APP.owner()
        .batch_execute("update bulk_jobs set link_expires_at = now() where link_hash is not null")
        .expect("later");
    nobody.get(&second).expect(404);
    nobody.get("/exports/ecrm_ex_nonsense").expect(404);
}

#[test]
fn nobody_takes_out_what_they_could_not_read() {
    let client = APP.workspace(&["jobs:write", "jobs:read", "organizations:read"]);
    let customers = json!({ "resource": "customers", "format": "csv" });
    client.post("/v1/exports", customers).expect(403);
    let asks = json!({ "resource": "organizations", "format": "csv",
                       "where": { "field": "status", "op": "eq", "value": "active" } });
    assert_eq!(client.post("/v1/exports", asks).expect(422).fault().1, "#/where");
    let made = client.post("/v1/exports", json!({ "resource": "organizations", "format": "csv" }));
    let id = made.expect(201).id();
    let stranger = workspace();
    stranger.get(&format!("/v1/exports/{id}/file")).expect(404);
    stranger.send("POST", &format!("/v1/exports/{id}/links"), &[], None).expect(404);
    let wrong = json!({ "resource": "customers", "format": "csv",
                        "where": { "field": "shoe", "op": "eq", "value": 1 } });
    assert_eq!(stranger.post("/v1/exports", wrong).expect(422).fault().1, "#/where/field");
}

#[test]
fn an_erasure_takes_the_files_away() {
    let client = workspace();
    let ada =
        client.post("/v1/customers", json!({ "email": "ada@gone.example.com" })).expect(201).id();
    let done = export(&client, json!({ "resource": "customers", "format": "csv" }));
    let new = json!({ "resource": "customers", "format": "csv" });
    let taken = import(&client, new, "email,score\nada@gone.example.com,x\n");
    assert_eq!(taken["counts"]["failed"], 1);
    let asked = json!({ "customer_id": ada, "kind": "erasure", "is_verified": true });
    let asked = client.post("/v1/data_requests", asked).expect(201).id();
    ended(&client, &format!("/v1/exports/{}", done["id"].as_str().expect("an id")));
    for _ in 0..200 {
        let request = client.get(&format!("/v1/data_requests/{asked}")).expect(200).json;
        if request["status"] == "completed" {
            break;
        }
        ecrm::worker::round(&APP.state, uuid::Uuid::now_v7()).expect("a round");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    client
        .get(&format!("{}/file", path_of(&done, "exports")))
        .expect_code(409, "invalid_transition");
    assert!(super::refusals(&client, &taken).is_empty(), "refused rows are gone");
}
