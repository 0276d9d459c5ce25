//! The proof: something that stands nowhere else is put into every personal column; an export has all
//! of it, and after an erasure a dump of the whole database has none.

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use ecrm::crypto::hex;
use ecrm::privacy::columns::TABLES;
use ecrm::privacy::registry::{COPIES, GO_WITH, OF_STAFF};
use serde_json::json;

use super::export::{Files, export};
use super::{answered, customer, hurry, texts, work};
use crate::connectors::Shop;
use crate::harness::{App, Client};

const DAY: &str = "1911-11-11";
const FIGURE: &str = "815815815";

/// A personal column and what was put there, as text finds it again.
struct Planted {
    table: &'static str,
    column: &'static str,
    canary: String,
}

/// Somebody about whom everything is known that can be.
fn seed(client: &Client) -> String {
    let unique = json!({ "resource": "customer", "key": "card", "name": "Card", "type": "string",
                         "unique": true });
    client.post("/v1/attribute_definitions", unique).expect(201);
    let identity = |kind: &str, value: &str| json!({ "type": kind, "value": value });
    let ada = customer(
        client,
        json!({ "email": "ada@shop.example.com", "phone": "+436641234567", "first_name": "Ada",
                "external_ids": [{ "source": "shop", "id": "1" }], "attributes": { "card": "7" },
                "identities": [identity("user_id", "u-1"), identity("anonymous_id", "b-1")] }),
    );
    let double = customer(client, json!({ "first_name": "Adele", "last_name": "Double" }));
    let merge = json!({ "source_id": double, "fields": { "first_name": "source" } });
    client.post(&format!("/v1/customers/{ada}/merge"), merge).expect(200);
    let club = client.post("/v1/organizations", json!({ "name": "Club" })).expect(201).id();
    let member = format!("/v1/organizations/{club}/members/{ada}");
    client.put(&member, json!({ "role": "guide" })).expect(200);
    let says = json!({ "items": [{ "channel_type": "email", "purpose": "marketing",
        "state": "granted", "evidence": { "text": "Yes" } }] });
    client.put(&format!("/v1/customers/{ada}/consents"), says).expect(200);
    for body in [
        json!({ "type": "call.made", "message_id": "m-1", "source": "shop",
                "customer": { "id": ada, "anonymous_id": "b-1" } }),
        json!({ "type": "page.viewed", "customer": { "anonymous_id": "b-2" } }),
    ] {
        let path = "/v1/touchpoints?on_unknown_customer=keep_anonymous";
        client.post(path, body).expect(201);
    }
    let euro = |amount: i64| json!({ "amount": amount, "currency": "EUR" });
    let order = json!({ "currency": "EUR", "customer": { "id": ada }, "financial_status": "paid",
                        "line_items": [{ "name": "Rope", "quantity": 1, "unit_price": euro(9) }],
                        "refunds": [{ "amount": euro(1) }], "fulfillments": [{}] });
    client.post("/v1/orders", order).expect(201);
    let person = json!({ "id": 1, "email": "ada@shop.example.com" });
    Shop::of(client, "shopify").shopify("customers/update", "d-1", &person).expect(200);
    let cart = json!({ "currency": "EUR", "customer": { "id": ada } });
    client.post("/v1/carts", cart).expect(201);
    let token = client.post(&format!("/v1/customers/{ada}/tokens"), json!({})).expect(201);
    let me = client.with_token(token.json["token"].as_str().expect("a token"));
    me.send("POST", "/v1/me/export", &[], None).expect(202);
    let asked = json!({ "customer_id": ada, "kind": "rectification", "note": "By letter" });
    let asked = asked.to_string();
    let key = [("Idempotency-Key", "k-1")];
    client.send("POST", "/v1/data_requests", &key, Some(&asked)).expect(201);
    ada
}

/// What to put into a column of this type, as SQL.
fn value(table: &str, column: &str, kind: &str, canary: &str, ada: &str) -> String {
    let json = match (table, column) {
        ("customers", "external_ids") => json!([{ "source": canary, "id": canary }]),
        ("customers", "addresses") => json!([{ "type": "home", "line1": canary }]),
        ("customers", "preferences") => json!({ "channels": [], "topics": [canary] }),
        ("customers", "acquisition") => json!({ "utm_source": canary }),
        ("orders", "billing_address" | "shipping_address") => json!({ "line1": canary }),
        ("orders", "utm") => json!({ "source": canary }),
        ("touchpoints", "subject") => json!({ "type": "thing", "id": canary }),
        ("touchpoints", "content") => json!({ "text": canary }),
        ("touchpoints", "context") => json!({ "user_agent": canary }),
        ("merges", "fields") => json!({ "first_name": { "from": canary, "to": canary } }),
        ("bulk_jobs", "settings") => {
            json!({ "where": canary, "filter": { "q": canary }, "columns": [] })
        }
        ("idempotency_keys", "headers") => json!([["Location", canary]]),
        (_, "evidence") => json!({ "text": canary }),
        _ => json!({ "key": canary }),
    };
    match kind {
        "jsonb" | "json" => format!("'{json}'"),
        "ARRAY" => format!("array['{canary}']"),
        "date" => format!("'{DAY}'"),
        "integer" => FIGURE.to_owned(),
        "bytea" => format!("convert_to('{canary} {ada}', 'UTF8')"),
        _ if column == "last_error" => format!("'{canary} {ada}'"),
        _ if column == "ip" => format!("'{canary}'"),
        // Some are unique: each row has its own end.
        _ => format!("'{canary}' || left(md5(random()::text), 6)"),
    }
}

fn plant(app: &App, ada: &str) -> Vec<Planted> {
    let mut pg = app.owner();
    let mut planted = Vec::new();
    // An import that changed the customer, and an export that asked for somebody.
    pg.batch_execute(&format!(
        "insert into import_changes
         select workspace_id, id, 1, id, id, 1, '{{}}', created_at from customers where id = '{ada}';
         insert into bulk_jobs (workspace_id, id, kind, resource, format, status, settings,
                file_bytes, position, row_count, created_count, updated_count, skipped_count,
                failed_count, reverted_count, actor, expires_at, version, created_at, updated_at)
         select workspace_id, id, 'export', 'customers', 'csv', 'completed', '{{}}', 0, 0, 0, 0, 0, 0,
                0, 0, '{{}}', created_at + interval '1 day', 1, created_at, created_at
           from customers where id = '{ada}'"
    ))
    .expect("what was done in bulk");
    // An endpoint that was told of the customer.
    pg.batch_execute(&format!(
        "insert into webhook_endpoints (workspace_id, id, url, event_types, signatures, max_concurrency,
                status, sealed, public_key, cursor, version, created_at, updated_at)
         select workspace_id, id, 'https://erp.example.com', array['*'], array['v1'], 1, 'disabled', '', '',
                0, 1, created_at, created_at from customers where id = '{ada}';
         insert into webhook_deliveries (workspace_id, id, endpoint_id, sequence, touchpoint_id, customer_id,
                type, status, attempts, failures, next_attempt_at, created_at)
         select workspace_id, id, id, 1, id, id, 'customer.created', 'delivered', 1, 0, created_at, created_at
           from customers where id = '{ada}';
         insert into webhook_attempts (workspace_id, id, delivery_id, number, attempted_at, latency_ms,
                request_headers, response_headers)
         select workspace_id, id, id, 1, created_at, 1, '{{}}', '{{}}' from customers where id = '{ada}'"
    ))
    .expect("what was sent");
    for table in TABLES.iter().filter(|table| !OF_STAFF.contains(&table.table)) {
        for column in table.pii {
            if table.table == "touchpoint_keys" {
                continue;
            }
            let canary = format!("canary{:03}x", planted.len());
            let canary = set(app, &mut pg, (table.table, column), canary, ada);
            planted.push(Planted { table: table.table, column, canary });
        }
    }
    // What belongs together still does.
    pg.batch_execute(
        "update touchpoint_keys k set message_id = t.message_id
           from touchpoints t where t.id = k.touchpoint_id;
         update touchpoints set anonymous_id = value_norm from identities i
          where touchpoints.customer_id is null and i.type = 'anonymous_id'",
    )
    .expect("what belongs together");
    planted
}

fn set(app: &App, pg: &mut PgConnection, at: (&str, &str), canary: String, ada: &str) -> String {
    let (table, column) = at;
    let kind = texts(
        app,
        &format!(
            "select data_type as line from information_schema.columns
              where table_name = '{table}' and column_name = '{column}'"
        ),
    );
    let value = value(table, column, &kind[0], &canary, ada);
    let whose = match table {
        "audit_events" => format!("where actor_id = '{ada}'"),
        // Upkeep belongs to no workspace, and to nobody.
        "jobs" => "where queue = 'privacy'".to_owned(),
        _ => String::new(),
    };
    pg.batch_execute(&format!("update {table} set {column} = {value} {whose}"))
        .unwrap_or_else(|error| panic!("{table}.{column}: {error}"));
    let rows = texts(app, &format!("select count(*)::text as line from {table}"));
    assert_ne!(rows[0], "0", "`{table}` has no row to plant `{column}` in");
    match kind[0].as_str() {
        "date" => DAY.to_owned(),
        "integer" => FIGURE.to_owned(),
        _ => canary,
    }
}

fn has_all(files: &Files, planted: &[Planted]) {
    let is_exported = |one: &&Planted| {
        !COPIES.contains(&one.table) && !GO_WITH.iter().any(|(table, _)| *table == one.table)
    };
    for one in planted.iter().filter(is_exported) {
        for form in ["json", "csv"] {
            let text = String::from_utf8_lossy(&files[&format!("{form}/{}.{form}", one.table)]);
            assert!(text.contains(&one.canary), "{form}: {}.{} is missing", one.table, one.column);
        }
    }
}

/// Every row of every table, as a dump has it.
fn dump(app: &App) -> String {
    let tables = texts(
        app,
        "select relname::text as line from pg_class
          where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
            and not relispartition order by 1",
    );
    let rows = |table: &String| {
        let rows = texts(app, &format!("select t::text as line from {table} t"));
        rows.into_iter().map(|row| format!("{table}: {row}\n")).collect::<String>()
    };
    tables.iter().map(rows).collect()
}

#[test]
fn an_export_has_every_personal_column_and_an_erasure_leaves_none() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let ada = seed(&client);
    work(&app);
    let planted = plant(&app, &ada);
    assert!(planted.len() > 35, "{} columns", planted.len());
    let bea = customer(&client, json!({ "email": "bea@shop.example.com", "first_name": "Bea" }));
    let seen = json!({ "type": "page.viewed", "name": "Boots", "customer": { "id": bea } });
    let touchpoint = client.post("/v1/touchpoints", seen).expect(201).id();

    has_all(&export(&app, &client, &ada), &planted);
    let before = dump(&app);
    for one in &planted {
        let in_hex = hex(one.canary.as_bytes());
        let is_there = [&one.canary, &in_hex].iter().any(|text| before.contains(*text));
        assert!(is_there, "{}.{} was not planted", one.table, one.column);
    }

    answered(&app, &client, &ada, "erasure");
    hurry(&app);
    let after = dump(&app);
    let in_hex = hex(b"canary");
    for trace in ["canary", DAY, FIGURE, in_hex.as_str(), "ada@shop", "Adele"] {
        let lines: Vec<&str> = after.lines().filter(|line| line.contains(trace)).collect();
        assert!(lines.is_empty(), "`{trace}` is still there: {lines:#?}");
    }
    // Nobody else has lost anything.
    let still = client.get(&format!("/v1/customers/{bea}")).expect(200).json;
    assert_eq!(still["email"], "bea@shop.example.com");
    let seen = client.get(&format!("/v1/touchpoints/{touchpoint}")).expect(200).json;
    assert_eq!(seen["name"], "Boots");
}
