//! Connectors: what shops send of their own accord, proved, kept, carried out, replayed.

mod acquaintance;
mod custom;
mod keeping;
pub mod shopify;
mod shopify_money;
mod stripe;
mod stripe_orders;
mod woocommerce;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, App, Client};

const SECRET: &str = "shh-this-is-the-shops";

/// A shop's channel, and the address that it sends to.
pub struct Shop {
    client: Client,
    pub channel: String,
    path: String,
}

impl Shop {
    pub fn of(client: &Client, provider: &str) -> Self {
        let body = json!({ "type": "web", "name": "Shop", "provider": provider,
                           "config": { "webhook_secret": SECRET } });
        let channel = client.post("/v1/channels", body).expect(201).id();
        let shown = client.get(&format!("/v1/connectors/{channel}")).expect(200).json;
        let url = shown["webhook_url"].as_str().expect("an address");
        let (_, path) = url.split_once("/connectors/").expect("an address of ours");
        Self { client: client.clone(), channel, path: format!("/connectors/{path}") }
    }

    fn send(&self, headers: &[(&str, &str)], body: &str) -> Answer {
        let nobody = Client { token: None, ..self.client.clone() };
        nobody.send("POST", &self.path, headers, Some(body))
    }

    /// A message as Shopify sends it.
    pub fn shopify(&self, topic: &str, delivery: &str, body: &Value) -> Answer {
        let body = body.to_string();
        let mac = base64_mac(&body);
        let headers = [
            ("X-Shopify-Topic", topic),
            ("X-Shopify-Webhook-Id", delivery),
            ("X-Shopify-Hmac-Sha256", &*mac),
        ];
        self.send(&headers, &body)
    }

    fn events(&self, query: &str) -> Vec<Value> {
        let path = format!("/v1/connectors/{}/events?{query}", self.channel);
        let list = self.client.get(&path).expect(200).json;
        list["data"].as_array().expect("a list").clone()
    }

    fn orders(&self) -> Vec<Value> {
        let list = self.client.get("/v1/orders").expect(200).json;
        list["data"].as_array().expect("a list").clone()
    }
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec()
}

fn base64_mac(text: &str) -> String {
    STANDARD.encode(mac(SECRET.as_bytes(), text.as_bytes()))
}

/// Lets the worker carry out what has come.
fn work(app: &App) {
    while ecrm::worker::round(&app.state, Uuid::now_v7()).expect("a round") > 0 {}
}

fn eur(amount: i64) -> Value {
    json!({ "amount": amount, "currency": "EUR" })
}
