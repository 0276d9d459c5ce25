//! A message is believed if it is signed, kept once, seen, and replayed.

use serde_json::json;
use uuid::Uuid;

use super::shopify::order;
use super::{SECRET, Shop, mac, work};
use crate::harness::{App, Client, workspace};

#[test]
fn a_message_that_is_not_signed_with_the_secret_is_refused() {
    let client = workspace();
    let shop = Shop::of(&client, "shopify");
    let body = order().to_string();
    let topic = ("X-Shopify-Topic", "orders/create");
    for mac in ["", "x", "AAAA", "bm90IHRoZSBtYWM="] {
        let headers = [topic, ("X-Shopify-Hmac-Sha256", mac)];
        shop.send(&headers, &body).expect_code(401, "invalid_signature");
    }
    shop.send(&[topic], &body).expect_code(401, "invalid_signature");
    assert_eq!(shop.events("").len(), 0);
    // Without a secret nothing is believed.
    let patch = json!({ "config": { "webhook_secret": null } });
    client.patch(&format!("/v1/channels/{}", shop.channel), patch).expect(200);
    shop.shopify("orders/create", "1", &order()).expect_code(401, "invalid_signature");
    let shown = client.get(&format!("/v1/connectors/{}", shop.channel)).expect(200).json;
    assert_eq!(shown["has_webhook_secret"], false);
}

#[test]
fn an_address_is_of_one_channel_and_one_provider() {
    let client = workspace();
    let shop = Shop::of(&client, "shopify");
    let nobody = Client { token: None, ..client.clone() };
    let other = |path: String| nobody.send("POST", &path, &[], Some("{}"));
    other(shop.path.replace("/shopify/", "/woocommerce/")).expect(404);
    other(shop.path.replace(&shop.channel, &Uuid::now_v7().to_string())).expect(404);
    other(format!("/connectors/shopify/{}/{}", Uuid::now_v7(), shop.channel)).expect(404);
    other(format!("/connectors/shopify/{}/{}", workspace().workspace_id, shop.channel)).expect(404);
    let mail = client.post("/v1/channels", json!({ "type": "email", "name": "Mail" })).expect(201);
    client.get(&format!("/v1/connectors/{}", mail.id())).expect(404);
}

#[test]
fn a_delivery_is_kept_once() {
    let client = workspace();
    let shop = Shop::of(&client, "shopify");
    let first = shop.shopify("orders/create", "d-1", &order()).expect(200).json;
    let again = shop.shopify("orders/create", "d-1", &order()).expect(200).json;
    assert_eq!(again, first);
    // One that has no id is known by what it says.
    let body = order().to_string();
    let tag = base64(&mac(SECRET.as_bytes(), body.as_bytes()));
    let headers = [("X-Shopify-Topic", "orders/updated"), ("X-Shopify-Hmac-Sha256", &*tag)];
    let third = shop.send(&headers, &body).expect(200).json;
    assert_eq!(shop.send(&headers, &body).expect(200).json, third);
    assert_eq!(shop.events("").len(), 2);
    assert_eq!(shop.events("topic=orders/updated").len(), 1);
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn what_fails_is_kept_with_its_reason_and_replayed() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "shopify");
    let mut broken = order();
    broken["currency"] = json!("Euro and cents");
    shop.shopify("orders/create", "d-1", &broken).expect(200);
    shop.shopify("orders/create", "d-2", &order()).expect(200);
    assert_eq!(shop.events("status=pending").len(), 2);
    work(&app);
    let failed = shop.events("status=failed");
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["error"]["errors"][0]["code"], "required", "{failed:?}");
    assert_eq!(failed[0]["attempts"], 1);
    let path =
        format!("/v1/connectors/{}/events/{}", shop.channel, failed[0]["id"].as_str().unwrap());
    let shown = client.get(&path).expect(200).json;
    assert_eq!(shown["body"], broken.to_string());
    let processed = shop.events("status=processed");
    assert_eq!(processed[0]["resource_type"], "order");
    assert_eq!(processed[0]["resource_id"], shop.orders()[0]["id"]);
    // Again, one and all: the reason is still there.
    let queued = client.send("POST", &format!("{path}/replay"), &[], None).expect(202).json;
    assert_eq!(queued["queued"], 1);
    work(&app);
    let all = format!("/v1/connectors/{}/replay", shop.channel);
    assert_eq!(client.send("POST", &all, &[], None).expect(202).json["queued"], 1);
    work(&app);
    assert_eq!(shop.events("status=failed")[0]["attempts"], 3);
    // What was carried out, carried out again, changes nothing.
    let before = shop.orders();
    let id = processed[0]["id"].as_str().unwrap();
    let path = format!("/v1/connectors/{}/events/{id}/replay", shop.channel);
    client.send("POST", &path, &[], None).expect(202);
    work(&app);
    assert_eq!(shop.orders(), before);
    let shown = client.get(&format!("/v1/connectors/{}", shop.channel)).expect(200).json;
    assert_eq!((&shown["pending_count"], &shown["failed_count"]), (&json!(0), &json!(1)));
}

#[test]
fn what_is_no_json_is_kept_and_fails() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "shopify");
    let tag = base64(&mac(SECRET.as_bytes(), b"not json"));
    let headers = [("X-Shopify-Topic", "orders/create"), ("X-Shopify-Hmac-Sha256", &*tag)];
    shop.send(&headers, "not json").expect(200);
    work(&app);
    assert_eq!(shop.events("status=failed")[0]["error"]["errors"][0]["code"], "invalid_json");
}

#[test]
fn messages_of_another_workspace_are_not_there() {
    let (mine, other) = (workspace(), workspace());
    let shop = Shop::of(&mine, "shopify");
    let kept = shop.shopify("orders/create", "d-1", &order()).expect(200).json;
    let event =
        format!("/v1/connectors/{}/events/{}", shop.channel, kept["event_id"].as_str().unwrap());
    mine.get(&event).expect(200);
    other.get(&event).expect(404);
    other.get(&format!("/v1/connectors/{}/events", shop.channel)).expect(404);
    other.send("POST", &format!("{event}/replay"), &[], None).expect(404);
    let import = json!({ "topic": "orders/updated", "items": [order()] });
    other.post(&format!("/v1/connectors/{}/import", shop.channel), import).expect(404);
}

#[test]
fn an_erasure_takes_the_messages_about_somebody_along() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "shopify");
    shop.shopify("orders/create", "d-1", &order()).expect(200);
    work(&app);
    let customer = shop.orders()[0]["customer_id"].clone();
    // Two that led to nobody: one names the customer all the same.
    let mut broken = order();
    broken["currency"] = json!(null);
    shop.shopify("orders/create", "d-2", &broken).expect(200);
    shop.shopify("orders/create", "d-3", &json!({ "id": 1 })).expect(200);
    work(&app);
    assert_eq!(shop.events("status=failed").len(), 2);
    let asked = json!({ "customer_id": customer, "kind": "erasure", "is_verified": true });
    client.post("/v1/data_requests", asked).expect(201);
    work(&app);
    let left = shop.events("");
    assert_eq!((left.len(), &left[0]["delivery_id"]), (1, &json!("d-3")));
}

#[test]
fn a_test_channel_takes_in_test_orders() {
    let client = workspace();
    let shop = Shop::of(&client.test_mode(), "shopify");
    shop.shopify("orders/create", "d-1", &order()).expect(200);
    work(App::shared());
    assert_eq!(shop.orders().len(), 1);
    assert_eq!(client.get("/v1/orders").expect(200).json["data"], json!([]));
}

#[test]
fn a_paused_shop_is_heard_of_what_its_customers_ask_alone() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "shopify");
    shop.shopify("orders/create", "d-1", &order()).expect(200);
    shop.shopify("shop/redact", "d-2", &json!({ "shop_id": 1 })).expect(200);
    work(&app);
    let later = shop.shopify("orders/create", "d-3", &order());
    later.expect_code(409, "channel_paused");
    assert_eq!(shop.events("").len(), 2, "it is not kept");
    let who = json!({ "customer": { "id": 207_119_551, "email": "bob.norman@mail.example.com" } });
    shop.shopify("customers/data_request", "d-4", &who).expect(200);
    shop.shopify("app/uninstalled", "d-5", &json!({ "id": 1 })).expect(200);
    work(&app);
    assert_eq!(shop.events("status=processed").len(), 4, "{:?}", shop.events(""));
    assert_eq!(client.get("/v1/data_requests").expect(200).json["data"][0]["kind"], "access");
    let resume = format!("/v1/channels/{}/resume", shop.channel);
    client.send("POST", &resume, &[], None).expect(200);
    shop.shopify("orders/create", "d-3", &order()).expect(200);
}

#[test]
fn a_large_order_of_a_shop_is_taken_in() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "shopify");
    let with_lines = |count: usize| {
        let lines = (1..=count).map(|id| {
            json!({ "id": id, "title": "x", "quantity": 1, "price": "1.00",
                    "properties": "x".repeat(4000) })
        });
        let mut body = order();
        body["line_items"] = lines.collect();
        body
    };
    shop.shopify("orders/create", "d-1", &with_lines(500)).expect(200);
    shop.shopify("orders/updated", "d-2", &with_lines(501)).expect(200);
    shop.shopify("orders/updated", "d-3", &with_lines(1500)).expect_code(413, "payload_too_large");
    work(&app);
    assert_eq!(shop.orders()[0]["line_items"].as_array().map(Vec::len), Some(500));
    let failed = shop.events("status=failed");
    let fault = &failed[0]["error"]["errors"][0];
    assert_eq!(
        (&fault["code"], &fault["pointer"]),
        (&json!("invalid_length"), &json!("#/line_items"))
    );
}
