//! Two records, one person: merged as the caller says, seen beforehand, undone exactly.

mod candidates;
mod policy;
mod refusals;
mod revert;
mod sequences;

use diesel::RunQueryDsl;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, App, Client, workspace};

const CUSTOMERS: &str = "/v1/customers";

fn create(client: &Client, body: Value) -> String {
    client.post(CUSTOMERS, body).expect(201).id()
}

fn merge(client: &Client, survivor: &str, source: &str) -> Answer {
    client.post(&format!("{CUSTOMERS}/{survivor}/merge"), json!({ "source_id": source }))
}

fn merged(client: &Client, survivor: &str, source: &str) -> String {
    let done = merge(client, survivor, source).expect(200);
    done.json["merge_id"].as_str().expect("a merge").to_owned()
}

fn undo(client: &Client, merge: &str) -> Answer {
    client.send("POST", &format!("/v1/merges/{merge}/revert"), &[], None)
}

fn get(client: &Client, id: &str) -> Answer {
    client.get(&format!("{CUSTOMERS}/{id}")).expect(200)
}

/// Reports a page view of somebody, and returns the touchpoint's id.
fn seen(client: &Client, customer: Value) -> String {
    let body = json!({ "type": "page.viewed", "customer": customer });
    client.post("/v1/touchpoints", body).expect(201).id()
}

fn timeline(client: &Client, id: &str) -> Vec<String> {
    let list = client.get(&format!("{CUSTOMERS}/{id}/timeline?limit=200")).expect(200);
    let entries = list.json["data"].as_array().expect("a list").iter();
    entries.map(|one| one["id"].as_str().expect("an id").to_owned()).collect()
}

/// Everything that belongs to somebody and is not the log of the merge itself.
fn belongings(client: &Client, id: &str) -> Value {
    let customer = get(client, id).json;
    let list = |path: &str| {
        let list = client.get(&format!("{CUSTOMERS}/{id}/{path}")).expect(200).json;
        list["data"].as_array().expect("a list").clone()
    };
    let timeline = client.get(&format!("{CUSTOMERS}/{id}/timeline?limit=200")).expect(200).json;
    let entries: Vec<Value> = timeline["data"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|one| !one["type"].as_str().expect("a type").starts_with("customer.merge"))
        .map(|one| one["id"].clone())
        .collect();
    let mut fields = customer.as_object().expect("an object").clone();
    for silent in ["version", "updated_at"] {
        fields.remove(silent);
    }
    let mut memberships = list("organizations");
    memberships.iter_mut().for_each(|one| one["updated_at"] = Value::Null);
    json!({ "customer": fields, "identities": list("identities"), "memberships": memberships,
            "consents": list("consents"), "timeline": entries })
}

/// What the figures of a customer say, past the API: counters per type without the merge's own.
fn activity(app: &App, id: &str) -> Vec<String> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::Text)]
        line: String,
    }
    let sql = format!(
        "select concat_ws(' ', type, n, first_at, last_at) as line from customer_activity
          where customer_id = '{id}' and type not like 'customer.merge%' order by type"
    );
    let rows: Vec<Row> = diesel::sql_query(sql).load(&mut app.owner()).expect("rows");
    rows.into_iter().map(|row| row.line).collect()
}

/// Carries out what is queued until a merge is done.
fn work_until(app: &App, client: &Client, merge: &str, status: &str) {
    let path = format!("/v1/merges/{merge}");
    let asked = std::time::Instant::now();
    while client.get(&path).expect(200).json["status"] != status {
        assert!(asked.elapsed() < std::time::Duration::from_secs(60), "still not {status}");
        ecrm::worker::round(&app.state, Uuid::now_v7()).expect("a round");
    }
}

fn ada_and_twin(client: &Client) -> (String, String) {
    let ada = create(
        client,
        json!({ "first_name": "Ada", "email": "ada@shop.example.com", "tags": ["club"],
                "attributes": { "shoe": 42 }, "lifecycle_stage": "lead" }),
    );
    let twin = create(
        client,
        json!({ "first_name": "A.", "last_name": "Lindqvist", "email": "ada@work.example.com",
                "phone": "+436641234567", "tags": ["vip"], "attributes": { "shoe": 41, "hat": "M" },
                "lifecycle_stage": "customer",
                "external_ids": [{ "source": "shop", "id": "7" }] }),
    );
    (ada, twin)
}

#[test]
fn the_survivor_has_what_both_had() {
    let client = workspace();
    let (ada, twin) = ada_and_twin(&client);
    let (one, two) = (seen(&client, json!({ "id": ada })), seen(&client, json!({ "id": twin })));
    let done = merge(&client, &ada, &twin).expect(200).json;
    assert_eq!(done["merge"]["status"], "completed");
    assert_eq!(done["merge"]["moved"]["identities"], 3);
    let customer = &done["customer"];
    assert_eq!(customer["id"], ada);
    assert_eq!(customer["first_name"], "Ada");
    assert_eq!(customer["last_name"], "Lindqvist");
    assert_eq!(customer["email"], "ada@shop.example.com");
    assert_eq!(customer["phone"], "+436641234567");
    assert_eq!(customer["lifecycle_stage"], "customer");
    assert_eq!(customer["attributes"], json!({ "shoe": 42, "hat": "M" }));
    assert_eq!(customer["tags"], json!(["club", "vip"]));
    assert_eq!(customer["external_ids"], json!([{ "source": "shop", "id": "7" }]));
    assert_eq!(customer["stats"]["touchpoints_count"], 2);
    let timeline = timeline(&client, &ada);
    assert!(timeline.contains(&one) && timeline.contains(&two), "{timeline:?}");
    let found = client.get(&format!("{CUSTOMERS}?q=lindqvist")).expect(200).json;
    assert_eq!(found["data"].as_array().map(Vec::len), Some(1));
    let found = client.get(&format!("{CUSTOMERS}/lookup?type=email&value=ada@work.example.com"));
    assert_eq!(found.expect(200).id(), ada);
}

#[test]
fn the_old_id_leads_to_the_survivor() {
    let client = workspace();
    let (ada, twin) = ada_and_twin(&client);
    merged(&client, &ada, &twin);
    let found = get(&client, &twin).json;
    assert_eq!((found["id"].clone(), found["merged_from"].clone()), (json!(ada), json!(twin)));
    assert_eq!(get(&client, &ada).json["merged_from"], Value::Null);
    assert_eq!(timeline(&client, &twin), timeline(&client, &ada));
    for path in ["identities", "organizations", "profile", "history?field=first_name"] {
        client.get(&format!("{CUSTOMERS}/{twin}/{path}")).expect(200);
    }
    let touchpoint = seen(&client, json!({ "id": twin }));
    let stored = client.get(&format!("/v1/touchpoints/{touchpoint}")).expect(200).json;
    assert_eq!(stored["customer_id"], json!(ada));
    assert_eq!(stored["origin_customer_id"], json!(twin));
    let refused = client.patch(&format!("{CUSTOMERS}/{twin}"), json!({ "score": 1 })).expect(409);
    assert_eq!(refused.code(), "customer_merged");
    assert_eq!(refused.json["existing_id"], json!(ada));
}

#[test]
fn the_caller_says_whose_values_count() {
    let client = workspace();
    let (ada, twin) = ada_and_twin(&client);
    let body = json!({ "source_id": twin, "fields": {
        "first_name": "source", "last_name": "survivor", "tags": "source", "attributes": "source" } });
    let done = client.post(&format!("{CUSTOMERS}/{ada}/merge"), body).expect(200).json;
    let customer = &done["customer"];
    assert_eq!(customer["first_name"], "A.");
    assert_eq!(customer["last_name"], Value::Null);
    assert_eq!(customer["tags"], json!(["vip"]));
    assert_eq!(customer["attributes"], json!({ "shoe": 41, "hat": "M" }));
    assert_eq!(done["merge"]["fields"]["first_name"], json!({ "from": "Ada", "to": "A." }));
    assert!(done["merge"]["fields"].get("last_name").is_none());
}

#[test]
fn a_preview_shows_all_and_changes_nothing() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let (ada, twin) = ada_and_twin(&client);
    seen(&client, json!({ "id": twin }));
    client.get("/v1/workspace").expect(200);
    crate::guards::fixtures::quiet_keys(&app);
    let before = app.checksums();
    let path = format!("{CUSTOMERS}/{ada}/merge?dry_run=true");
    let shown = client.post(&path, json!({ "source_id": twin })).expect(200).json;
    assert_eq!(shown["customer"]["last_name"], "Lindqvist");
    assert_eq!(shown["merge"]["moved"]["identities"], 3);
    assert_eq!(shown["merge"]["moved"]["touchpoints_total"], 2);
    assert_eq!(app.checksums(), before);
}

#[test]
fn a_merge_is_found_and_stands_in_the_timeline() {
    let client = workspace();
    let (ada, twin) = ada_and_twin(&client);
    let id = merged(&client, &ada, &twin);
    let other = create(&client, json!({ "first_name": "Eva" }));
    for customer in [&ada, &twin] {
        let list = client.get(&format!("/v1/merges?customer_id={customer}")).expect(200).json;
        assert_eq!(list["data"][0]["id"], json!(id));
    }
    let none = client.get(&format!("/v1/merges?customer_id={other}")).expect(200).json;
    assert_eq!(none["data"], json!([]));
    let list = client.get("/v1/merges?status=reverted").expect(200).json;
    assert_eq!(list["data"], json!([]));
    let path = format!("{CUSTOMERS}/{ada}/timeline?type=customer.merged");
    let entry = &client.get(&path).expect(200).json["data"][0];
    assert_eq!(entry["properties"]["source_id"], json!(twin));
    let history = client.get(&format!("{CUSTOMERS}/{ada}/history?field=last_name")).expect(200);
    assert_eq!(history.json["data"][0]["to"], "Lindqvist");
}

#[test]
fn the_same_request_again_is_answered_from_memory() {
    let client = workspace();
    let (ada, twin) = ada_and_twin(&client);
    let path = format!("{CUSTOMERS}/{ada}/merge");
    let send = || {
        let body = json!({ "source_id": twin }).to_string();
        client.send("POST", &path, &[("Idempotency-Key", "merge-1")], Some(&body)).expect(200)
    };
    let first = send();
    let again = send();
    assert_eq!(first.json, again.json);
    assert_eq!(again.headers["idempotent-replayed"], "true");
}

/// A table that names customers and does not say what a merge does there would lose their rows.
#[test]
fn every_table_that_names_a_customer_takes_part() {
    use ecrm::customers::merge::{OTHERS, PARTS};
    let sql = "select distinct c.relname::text as line
                 from pg_attribute a join pg_class c on c.oid = a.attrelid
                where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
                  and not c.relispartition and a.attnum > 0 and not a.attisdropped
                  and (a.attname like '%customer_id' or a.attname = 'merged_into_id')
               union
               select conrelid::regclass::text from pg_constraint
                where contype = 'f' and confrelid = 'customers'::regclass and conparentid = 0
               union
               select c.relname::text from pg_attribute a join pg_class c on c.oid = a.attrelid
                where c.relkind = 'r' and a.attname = 'resource_id'";
    let named = crate::lints::pg::catalog(sql);
    let mut listed: Vec<&str> =
        PARTS.iter().map(|part| part.table).chain(OTHERS.iter().map(|(table, _)| *table)).collect();
    listed.sort_unstable();
    assert_eq!(named, listed);
}
