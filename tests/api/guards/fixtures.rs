//! One object of every resource, so that the guards have ids to try.

use std::collections::BTreeMap;

use diesel::connection::SimpleConnection;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::connectors::Shop;
use crate::harness::{App, Client};

/// The ids of one workspace's objects, by resource.
#[derive(Clone)]
pub struct Fixtures(BTreeMap<&'static str, String>);

/// Fills a workspace. A resource with an id in some path needs a line here.
pub fn seed(client: &Client) -> Fixtures {
    let mut fixtures = seed_data(client);
    let unique = Uuid::new_v4().simple().to_string();
    let user = json!({ "email": format!("{unique}@work.example.com"), "name": "Guard",
                       "role": "agent", "password": "granite skis at dawn" });
    let issuer = json!({ "issuer": format!("https://{unique}.example.com/"), "audience": "ecrm",
                         "jwks_url": "https://login.example.com/jwks.json",
                         "algorithms": ["RS256"] });
    let key = json!({ "name": "guarded", "kind": "secret", "scopes": ["customers:read"] });
    fixtures.0.extend([
        ("users", make(client, "/v1/users", user)),
        ("api_keys", client.post("/v1/api_keys", key).expect(201).id()),
        ("trusted_issuers", make(client, "/v1/trusted_issuers", issuer)),
    ]);
    fixtures
}

/// The part that test credentials can make as well.
pub fn seed_data(client: &Client) -> Fixtures {
    let unique = Uuid::new_v4().simple().to_string();
    let customer = json!({ "email": format!("{unique}@shop.example.com") });
    let customer = make(client, "/v1/customers", customer);
    let organization = json!({ "name": format!("Club {unique}") });
    let organization = make(client, "/v1/organizations", organization);
    let member = format!("/v1/organizations/{organization}/members/{customer}");
    client.put(&member, json!({ "role": "guide" })).expect(200);
    let shop = Shop::of(client, "shopify");
    let message = json!({ "id": unique, "email": format!("{unique}@shop.example.com") });
    let message = shop.shopify("themes/publish", &unique, &message).expect(200);
    let message = message.json["event_id"].as_str().expect("a message").to_owned();
    let again = json!({ "id": unique });
    shop.shopify("themes/publish", &format!("{unique}-2"), &again).expect(200);
    let channel = shop.channel.clone();
    let touchpoint = json!({ "type": "page.viewed", "name": unique, "customer": { "id": customer },
                             "channel": { "id": channel },
                             "organization": { "id": organization } });
    let touchpoint = make(client, "/v1/touchpoints", touchpoint);
    let says =
        |channel| json!({ "channel_type": channel, "purpose": "marketing", "state": "granted" });
    let consents = json!({ "items": [says("email"), says("sms")] });
    client.put(&format!("/v1/customers/{customer}/consents"), consents).expect(200);
    let suppression = json!({ "channel_type": "email", "reason": "manual",
                              "address": format!("{unique}@gone.example.com") });
    let definition = json!({ "resource": "customer", "key": format!("k{unique}"),
                             "name": "Guarded", "type": "string" });
    let identities = client.get(&format!("/v1/customers/{customer}/identities")).expect(200);
    let identity = identities.json["data"][0]["id"].as_str().expect("an identity").to_owned();
    let merged = make(client, "/v1/customers", json!({ "first_name": "Merged" }));
    let merge =
        client.post(&format!("/v1/customers/{customer}/merge"), json!({ "source_id": merged }));
    let merge = merge.expect(200).json["merge_id"].as_str().expect("a merge").to_owned();
    let tag = make(client, "/v1/tags", json!({ "name": format!("tag-{unique}") }));
    let events = client.get("/v1/audit_events?action=tag.created").expect(200);
    let event = events.json["data"][0]["id"].as_str().expect("an event").to_owned();
    let product = make(client, "/v1/products", json!({ "name": format!("Rope {unique}") }));
    let amount = |amount: i64| json!({ "amount": amount, "currency": "EUR" });
    let order = json!({ "currency": "EUR", "customer": { "id": customer }, "total": amount(900),
                        "financial_status": "paid" });
    let order = make(client, "/v1/orders", order);
    let below = |what: &str| format!("/v1/orders/{order}/{what}");
    let refund = make(client, &below("refunds"), json!({ "amount": amount(100) }));
    let fulfillment = make(client, &below("fulfillments"), json!({}));
    let cart = json!({ "currency": "EUR", "customer": { "id": customer } });
    let asked = json!({ "customer_id": customer, "kind": "access" });
    let endpoint = json!({ "url": format!("https://{unique}.example.com/hooks") });
    let endpoint = make(client, "/v1/webhook_endpoints", endpoint);
    let delivery = delivery(client, &endpoint, &touchpoint);
    Fixtures(BTreeMap::from([
        ("webhook_endpoints", endpoint),
        ("webhook_deliveries", delivery),
        ("connector_events", message),
        ("products", product),
        ("refunds", refund),
        ("fulfillments", fulfillment),
        ("orders", order),
        ("carts", make(client, "/v1/carts", cart)),
        ("data_requests", make(client, "/v1/data_requests", asked)),
        ("audit_events", event),
        ("imports", ready_import(client)),
        (
            "exports",
            make(client, "/v1/exports", json!({ "resource": "customers", "format": "csv" })),
        ),
        ("jobs", make(client, "/v1/exports", json!({ "resource": "customers", "format": "csv" }))),
        ("merges", merge),
        ("merge_candidates", candidate(client, &unique)),
        ("customers", customer),
        ("identities", identity),
        ("organizations", organization),
        ("channels", channel),
        ("touchpoints", touchpoint),
        ("suppressions", make(client, "/v1/suppressions", suppression)),
        ("tags", tag),
        ("attribute_definitions", make(client, "/v1/attribute_definitions", definition)),
    ]))
}

/// Two failed deliveries, as sending leaves them; the id of one.
fn delivery(client: &Client, endpoint: &str, touchpoint: &str) -> String {
    let (id, other) = (Uuid::now_v7(), Uuid::now_v7());
    let sql = format!(
        "insert into webhook_deliveries
           (workspace_id, id, endpoint_id, sequence, touchpoint_id, type, status, attempts, failures,
            next_attempt_at, created_at)
         select workspace_id, made.id, e.id, made.sequence, '{touchpoint}', 'page.viewed', 'failed', 10,
                10, created_at, created_at
           from webhook_endpoints e, (values ('{id}'::uuid, 1), ('{other}', 2)) made(id, sequence)
          where e.id = '{endpoint}'"
    );
    client.owner().batch_execute(&sql).expect("a delivery");
    id.to_string()
}

/// An import with its file.
fn ready_import(client: &Client) -> String {
    let new = json!({ "resource": "customers", "format": "csv" });
    let id = make(client, "/v1/imports", new);
    let file = "E-Mail\nada@file.example.com\n";
    let headers = [("content-type", "application/octet-stream")];
    client.send("PUT", &format!("/v1/imports/{id}/file"), &headers, Some(file)).expect(200);
    id
}

/// Two people whom one sender takes for the same, and nobody has proved it.
fn candidate(client: &Client, unique: &str) -> String {
    let (login, email) = (format!("u-{unique}"), format!("other-{unique}@shop.example.com"));
    make(client, "/v1/customers", json!({ "identities": [{ "type": "user_id", "value": login }] }));
    make(client, "/v1/customers", json!({ "email": email }));
    let both = json!({ "user_id": login, "email": email });
    let met = json!({ "type": "page.viewed", "customer": both });
    client.post("/v1/touchpoints", met).expect(201);
    client.get("/v1/merge_candidates").expect(200).json["data"][0]["id"]
        .as_str()
        .expect("a candidate")
        .to_owned()
}

fn make(client: &Client, path: &str, body: Value) -> String {
    client.post(path, body).expect(201).id()
}

impl Fixtures {
    pub fn id(&self, resource: &str) -> String {
        let known = self.0.get(resource);
        known.unwrap_or_else(|| panic!("guards/fixtures.rs makes no `{resource}`")).clone()
    }

    pub fn add(&mut self, resource: &'static str, id: String) {
        self.0.insert(resource, id);
    }

    pub fn ids(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(resource, id)| (*resource, id.as_str()))
    }
}

/// Keeps the time of last use of all keys out of the checksums.
pub fn quiet_keys(app: &App) {
    let sql = "update api_keys set last_used_at = '2199-01-01'";
    app.owner().batch_execute(sql).expect("quiet keys");
}
