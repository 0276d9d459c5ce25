//! `ecrm verify` finds what was broken behind the API, names it, and finds nothing where nothing is.

use std::process::{Command, Output};

use diesel::connection::SimpleConnection;
use serde_json::json;

use crate::audit::sealing::seal_all;
use crate::connectors::Shop;
use crate::harness::{App, Client};

/// The key under which the suite's databases are sealed.
const MASTER_KEY: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// Another one.
const FOREIGN_KEY: &str = "1111111111111111111111111111111111111111111111111111111111111111";

/// What is done behind the API, how it is undone, the checks that find it, and what they name.
const FAULTS: [(&str, &str, &[&str], &str); 33] = [
    (
        "update identities set value = 'ada@shop.example.com' where value like ' erased:%' and type = 'email'",
        "update identities set value = value_norm where value_norm like ' erased:%'",
        &["identities"],
        "is erased and an identity is not",
    ),
    (
        "update external_ids set external_id = '1002' where resource = 'order'",
        "update external_ids set external_id = '1001' where resource = 'order'",
        &["external_ids"],
        "its id in `shop` is",
    ),
    (
        "update orders set refunded_total = refunded_total - 1 where refunded_total > 0",
        "update orders set refunded_total = refunded_total + 1 where refunded_total > 0",
        &["orders", "spending"],
        "99 paid back, its refunds come to 100",
    ),
    (
        "update customer_stats set total_spent = total_spent + 1 where orders_count = 1",
        "update customer_stats set total_spent = total_spent - 1 where orders_count = 1",
        &["spending"],
        "counted 1 orders and 901 spent, there are 1 and 900",
    ),
    (
        "update carts set order_id = workspace_id",
        "update carts c set order_id = o.id from orders o where o.cart_id = c.id",
        &["references"],
        "names the order",
    ),
    (
        "update changes set sequence = sequence + 100000 where sequence = 1",
        "update changes set sequence = 1 where sequence = 100001",
        &["feed"],
        "of the feed of workspace",
    ),
    (
        "update webhook_endpoints set sealed = sealed || '\\x00'",
        "update webhook_endpoints set sealed = substr(sealed, 1, length(sealed) - 1)",
        &["webhook_secrets"],
        "is not sealed for this place",
    ),
    (
        "update consents set state = 'granted' where state = 'withdrawn'",
        "update consents set state = 'withdrawn' where state = 'granted'",
        &["consents"],
        "is not what its last event says",
    ),
    (
        "update consents set origin_customer_id = workspace_id",
        "update consents set origin_customer_id = customer_id",
        &["consents", "references"],
        "names the customer",
    ),
    (
        "update touchpoint_counts set n = n + 1 where type = 'order.placed'",
        "update touchpoint_counts set n = n - 1 where type = 'order.placed'",
        &["touchpoint_counts"],
        "`order.placed` at 2026-03-14",
    ),
    (
        "update customer_activity set last_at = last_at + interval '1 microsecond' where type = 'order.placed'",
        "update customer_activity set last_at = last_at - interval '1 microsecond' where type = 'order.placed'",
        &["customer_activity"],
        "`order.placed` of customer",
    ),
    (
        "update customer_stats set touchpoints_count = touchpoints_count + 1 where first_seen_at is not null",
        "update customer_stats set touchpoints_count = touchpoints_count - 1 where first_seen_at is not null",
        &["customer_stats"],
        "counted 2, seen 2026-03-14 23:59:59.123457",
    ),
    (
        "update customers set email = 'eva@shop.example.com' where email is not null",
        "update customers set email = 'ada@shop.example.com' where email is not null",
        &["identities"],
        "email is not that of the primary identity",
    ),
    (
        "update customers set phone = null",
        "update customers set phone = '+4930123456' where email is not null",
        &["identities"],
        "phone is not that of the primary identity",
    ),
    (
        "update identities set released_at = created_at where type = 'phone'",
        "update identities set released_at = null where type = 'phone'",
        &["identities"],
        "is deleted and holds identities",
    ),
    (
        "update identities set value = value || 'x' where type = 'external'",
        "update identities set value = rtrim(value, 'x') where type = 'external'",
        &["external_ids"],
        "its id in `shop` is",
    ),
    (
        "update external_ids set resource_id = workspace_id where resource = 'organization'",
        "update external_ids e set resource_id = o.id from organizations o where e.resource = 'organization'",
        &["external_ids", "references"],
        "names the organization",
    ),
    (
        "update touchpoints set customer_id = workspace_id where type = 'page.viewed'",
        "update touchpoints set customer_id = null where type = 'page.viewed'",
        &["customer_activity", "customer_stats", "references"],
        "names the customer",
    ),
    (
        "update touchpoint_keys set touchpoint_id = workspace_id",
        "update touchpoint_keys k set touchpoint_id = t.id from touchpoints t where t.message_id = k.message_id",
        &["message_ids"],
        "the key `order-1` of `shop`",
    ),
    (
        "update touchpoint_keys set message_id = 'order-2'",
        "update touchpoint_keys set message_id = 'order-1'",
        &["message_ids"],
        "has no touchpoint",
    ),
    (
        "update workspace_slugs set slug = slug || 'x'",
        "update workspace_slugs set slug = rtrim(slug, 'x')",
        &["directories"],
        "the slug `t-",
    ),
    (
        "update channels set sealed_secrets = sealed_secrets || '\\x00' where sealed_secrets is not null",
        "update channels set sealed_secrets = substr(sealed_secrets, 1, length(sealed_secrets) - 1)
          where sealed_secrets is not null",
        &["secrets"],
        "is not sealed for this place",
    ),
    (
        "update __diesel_schema_migrations set version = 'x' || version where version like '%900'",
        "update __diesel_schema_migrations set version = ltrim(version, 'x')",
        &["migrations"],
        "run `ecrm migrate`",
    ),
    (
        "update pg_index set indisvalid = false where indexrelid = 'customers_by_tag'::regclass",
        "update pg_index set indisvalid = true where indexrelid = 'customers_by_tag'::regclass",
        &["schema"],
        "the index customers_by_tag is not valid",
    ),
    (
        "alter table touchpoints detach partition touchpoints_2026_03",
        "alter table touchpoints attach partition touchpoints_2026_03 for values
           from (uuid_v7_floor('2026-03-01Z')) to (uuid_v7_floor('2026-04-01Z'))",
        &["partitions", "touchpoint_counts", "customer_activity", "customer_stats", "message_ids", "feed"],
        "touchpoints_2026_03 is not attached",
    ),
    (
        "update audit_events set action = 'tag.created' where action = 'channel.created'",
        "update audit_events set action = 'channel.created' where action = 'tag.created'",
        &["audit_events"],
        "does not have the hash that it was written with",
    ),
    (
        "update audit_events set after = (after::text || ' ')::json where action = 'channel.created'",
        "update audit_events set after = rtrim(after::text)::json where action = 'channel.created'",
        &["audit_events"],
        "has another `after` than it was written with",
    ),
    (
        "update audit_events set ip = '127.0.0.2' where ip = '127.0.0.1'",
        "update audit_events set ip = '127.0.0.1' where ip = '127.0.0.2'",
        &["audit_events"],
        "has another `ip`",
    ),
    (
        "create schema aside;
         create table aside.gone as select * from audit_events where action = 'channel.created';
         delete from audit_events where action = 'channel.created'",
        "insert into audit_events select * from aside.gone; drop schema aside cascade",
        &["audit_seals"],
        "closed 1 events and has 0",
    ),
    (
        "insert into audit_events (workspace_id, id, occurred_at, actor_type, action, resource_type, hash, seal_id)
           select workspace_id, workspace_id, occurred_at, actor_type, action, resource_type, hash, seal_id
             from audit_events where action = 'channel.created'",
        "delete from audit_events where id = workspace_id",
        &["audit_events", "audit_seals"],
        "closed 1 events and has 2",
    ),
    (
        "update audit_events e set seal_id = s.id from audit_seals s where e.action = 'channel.created' and s.sequence = 1",
        "update audit_events e set seal_id = s.id from audit_seals s where e.action = 'channel.created' and s.sequence = 2",
        &["audit_seals"],
        "closed 3 events and has 4",
    ),
    (
        "update audit_seals set sealed_at = sealed_at + interval '1 second' where sequence = 2",
        "update audit_seals set sealed_at = sealed_at - interval '1 second' where sequence = 2",
        &["audit_seals"],
        "does not have the hash that it was made with",
    ),
    (
        "create schema aside; create table aside.gone as select * from audit_seals where sequence = 1;
         delete from audit_seals where sequence = 1",
        "insert into audit_seals select * from aside.gone; drop schema aside cascade",
        &["audit_seals"],
        "is number 2 and does not follow the one before",
    ),
];

fn verify(app: &App, master_key: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ecrm"))
        .arg("verify")
        .env("DATABASE_URL", &app.owner_url)
        .env("DATABASE_MIGRATE_URL", &app.owner_url)
        .env("ECRM_MASTER_KEY", master_key)
        .output()
        .expect("the binary runs")
}

/// The names of the checks that found something.
fn faulty(output: &Output) -> (String, Vec<String>) {
    let text = String::from_utf8(output.stdout.clone()).expect("text");
    let lines = text.lines().filter_map(|line| line.strip_prefix("FAULT  "));
    let names = lines.map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect();
    (text, names)
}

fn work(app: &App) {
    while ecrm::worker::round(&app.state, uuid::Uuid::now_v7()).expect("a round") > 0 {}
}

fn erase(client: &Client, customer: &str) {
    let asked = json!({ "customer_id": customer, "kind": "erasure", "is_verified": true });
    client.post("/v1/data_requests", asked).expect(201);
}

/// A cart that became an order, some of which was paid back.
fn sell(client: &Client, customer: &str) {
    let cart = json!({ "currency": "EUR", "customer": { "id": customer } });
    client.put("/v1/carts/external/shop/c1", cart).expect(201);
    let order = json!({
        "currency": "EUR", "customer": { "id": customer }, "financial_status": "paid",
        "total": { "amount": 1000, "currency": "EUR" },
        "cart": { "external_id": { "source": "shop", "id": "c1" } },
        "refunds": [{ "amount": { "amount": 100, "currency": "EUR" } }],
    });
    client.put("/v1/orders/external/shop/1001", order).expect(201);
}

/// A service in which every check has something to look at, in live and in test data.
fn filled() -> (App, Client) {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let test = client.with_token(&app.key(&client, &["*"], false));
    test.post("/v1/customers", json!({ "first_name": "Test" })).expect(201);
    let customer = json!({
        "email": "ada@shop.example.com", "phone": "+49 30 123456",
        "external_ids": [{ "source": "shop", "id": "4711" }],
    });
    let ada = client.post("/v1/customers", customer.clone()).expect(201).id();
    let said = json!({ "channel_type": "email", "purpose": "marketing", "state": "withdrawn" });
    client.put(&format!("/v1/customers/{ada}/consents"), json!({ "items": [said] })).expect(200);
    let organization =
        json!({ "name": "Alpenglow", "external_ids": [{ "source": "erp", "id": "1" }] });
    client.post("/v1/organizations", organization).expect(201);
    let channel = json!({
        "name": "Mail", "type": "email", "provider": "smtp", "direction": "both",
        "config": { "host": "mail.example.com", "password": "correct horse battery" },
    });
    seal_all(&app, &client, true);
    let channel = client.post("/v1/channels", channel).expect(201).id();
    seal_all(&app, &client, true);
    for new in [
        json!({ "type": "order.placed", "source": "shop", "message_id": "order-1",
                "customer": { "id": ada }, "channel": { "id": channel },
                "occurred_at": "2026-03-14T23:59:59.123457Z" }),
        json!({ "type": "page.viewed", "source": "web", "direction": "inbound",
                "customer": { "anonymous_id": "a-1" } }),
    ] {
        client.post("/v1/touchpoints?on_unknown_customer=keep_anonymous", new).expect(201);
    }
    // Deleted ones keep their identities, released, for a restore.
    let gone = client.post("/v1/customers", json!({ "first_name": "Eva" })).expect(201).id();
    client.delete(&format!("/v1/customers/{gone}")).expect(204);
    let gone = client.post("/v1/customers", json!({ "email": "gone@shop.example.com" }));
    erase(&client, &gone.expect(201).id());
    let buyer = client.post("/v1/customers", json!({ "first_name": "Max" })).expect(201).id();
    sell(&client, &buyer);
    let endpoint = json!({ "url": "https://erp.example.com/hooks" });
    client.post("/v1/webhook_endpoints", endpoint).expect(201);
    work(&app);
    client.get("/v1/changes?from=oldest").expect(200);
    (app, client)
}

#[test]
fn a_whole_database_is_found_whole_and_left_as_it_is() {
    let (app, _) = filled();
    let before = app.checksums();
    let output = verify(&app, MASTER_KEY);
    let (text, names) = faulty(&output);
    assert_eq!((output.status.code(), names), (Some(0), Vec::<String>::new()), "{text}");
    assert_eq!(text.lines().count(), 20, "{text}");
    for line in [
        "ok     data_keys: 2 workspaces",
        "ok     secrets: 1 channels",
        "ok     audit_seals: 3 seals",
    ] {
        assert!(text.lines().any(|found| found == line), "`{line}` is not in\n{text}");
    }
    assert_eq!(app.checksums(), before);
}

/// The demo workspace, and whatever can happen to customers, orders and carts in it.
#[test]
fn a_database_in_use_is_found_whole() {
    let app = App::alone(&[]);
    let client = demo(&app);
    let mut buyers: Vec<String> = Vec::new();
    let orders = client.get("/v1/orders?limit=200").expect(200).json;
    for order in orders["data"].as_array().expect("a list") {
        let customer = order["customer_id"].as_str().unwrap_or_default().to_owned();
        if !customer.is_empty() && !buyers.contains(&customer) {
            buyers.push(customer);
        }
    }
    sell(&client, &buyers[0]);
    erase(&client, &buyers[0]);
    client.delete(&format!("/v1/customers/{}", buyers[1])).expect(204);
    let merge = |one: &str, other: &str| {
        let body = json!({ "source_id": other });
        let merged = client.post(&format!("/v1/customers/{one}/merge"), body).expect(200).json;
        merged["merge_id"].as_str().expect("a merge").to_owned()
    };
    merge(&buyers[2], &buyers[3]);
    let undone = merge(&buyers[4], &buyers[5]);
    client.post(&format!("/v1/merges/{undone}/revert"), json!({})).expect(200);
    merge(&buyers[6], &buyers[7]);
    erase(&client, &buyers[6]);
    let order =
        |at: usize| format!("/v1/orders/{}", orders["data"][at]["id"].as_str().expect("id"));
    client.delete(&order(0)).expect(204);
    client.delete(&order(1)).expect(204);
    client.post(&format!("{}/restore", order(1)), json!({})).expect(200);
    client.post(&format!("{}/cancel", order(2)), json!({})).expect(200);
    let product = client.get("/v1/products?limit=1").expect(200).json["data"][0]["id"].clone();
    client.delete(&format!("/v1/products/{}", product.as_str().expect("an id"))).expect(204);
    client
        .post("/v1/webhook_endpoints", json!({ "url": "https://erp.example.com/hooks" }))
        .expect(201);
    tell(&client);
    work(&app);
    let output = verify(&app, MASTER_KEY);
    let (text, names) = faulty(&output);
    assert_eq!((output.status.code(), names), (Some(0), Vec::<String>::new()), "{text}");
}

/// What shops and payment providers tell: somebody is erased, an order is deleted.
fn tell(client: &Client) {
    let shop = Shop::of(client, "shopify");
    let mut order = crate::connectors::shopify::order();
    shop.shopify("orders/create", "d-1", &order).expect(200);
    (order["id"], order["customer"]["id"]) = (json!(2), json!(2));
    order["email"] = json!("eve@shop.example.com");
    order["customer"]["email"] = json!("eve@shop.example.com");
    shop.shopify("orders/create", "d-2", &order).expect(200);
    shop.shopify("orders/delete", "d-3", &json!({ "id": 2 })).expect(200);
    let who = json!({ "customer": { "id": 207_119_551 } });
    shop.shopify("customers/redact", "d-4", &who).expect(200);
    let of = |id: &str| {
        json!({ "id": id, "amount_received": 100, "currency": "eur",
                                "metadata": { "order_id": "450789469", "order_source": "shopify" } })
    };
    let stripe = Shop::of(client, "stripe");
    let import = format!("/v1/connectors/{}/import", stripe.channel);
    let body = json!({ "topic": "payment_intent.succeeded", "items": [of("pi_1"), of("pi_2")] });
    client.post(&import, body).expect(207);
}

/// The key of the demo workspace, which is made as the first start makes it.
fn demo(app: &App) -> Client {
    let folder = std::env::temp_dir().join(uuid::Uuid::new_v4().to_string());
    let output = Command::new(env!("CARGO_BIN_EXE_ecrm"))
        .arg("seed")
        .env("DATABASE_URL", &app.owner_url)
        .env("ECRM_MASTER_KEY", MASTER_KEY)
        .env("ECRM_DATA_DIR", &folder)
        .env("ECRM_JWT_SECRET", "a secret of the test suite, 32 bytes and more")
        .output()
        .expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::remove_dir_all(folder).expect("the key's folder");
    let key = String::from_utf8(output.stdout).expect("text");
    app.workspace(&["*"]).with_token(key.trim())
}

#[test]
fn what_was_broken_behind_the_api_is_named() {
    let (app, _) = filled();
    for (fault, repair, checks, named) in FAULTS {
        app.owner().batch_execute(fault).unwrap_or_else(|error| panic!("{fault}: {error}"));
        let output = verify(&app, MASTER_KEY);
        let (text, names) = faulty(&output);
        assert_eq!(
            (output.status.code(), names.iter().map(String::as_str).collect::<Vec<_>>()),
            (Some(1), checks.to_vec()),
            "{fault}\n{text}"
        );
        assert!(text.contains(named), "`{named}` is not in\n{text}");
        app.owner().batch_execute(repair).unwrap_or_else(|error| panic!("{repair}: {error}"));
    }
    let output = verify(&app, MASTER_KEY);
    assert_eq!(faulty(&output).1, Vec::<String>::new(), "what was repaired is whole");
}

#[test]
fn a_database_without_a_table_is_a_fault_and_the_other_checks_go_on() {
    let (app, _) = filled();
    app.owner().batch_execute("drop table cors_origins").expect("dropped");
    let (text, names) = faulty(&verify(&app, MASTER_KEY));
    assert_eq!(names, ["directories"], "{text}");
    assert!(text.contains("cannot be checked") && text.contains("ok     secrets"), "{text}");
}

#[test]
fn another_master_key_opens_nothing_and_is_said_to() {
    let (app, _) = filled();
    let output = verify(&app, FOREIGN_KEY);
    let (text, names) = faulty(&output);
    assert_eq!(
        (output.status.code(), names),
        (Some(1), vec!["data_keys".into(), "secrets".into(), "webhook_secrets".into()]),
        "{text}"
    );
    assert!(!text.contains(FOREIGN_KEY) && !text.contains("correct horse"), "{text}");
}

/// Addresses are personal data, and what this prints may be kept in a log.
#[test]
fn what_is_named_holds_no_address() {
    let (app, _) = filled();
    app.owner().batch_execute("update customers set email = null, phone = null").expect("broken");
    let output = verify(&app, MASTER_KEY);
    let all = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(all).expect("text");
    assert!(text.contains("FAULT  identities"), "{text}");
    assert!(!text.contains("ada@") && !text.contains("+4930123456"), "{text}");
}
