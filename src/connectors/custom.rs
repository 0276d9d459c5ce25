//! The canonical body, for shops that have no connector of their own: Medusa, Saleor, your own.
//!
//! A Standard Webhook whose `data` is what our own API takes, with the shop's `external_id`.

use actix_web::web::Bytes;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use validator::Validate;

use super::fields::Fields;
use super::native::{NativeConsent, NativePerson};
use super::process::{Done, News};
use crate::carts::CartPatch;
use crate::channels::ChannelType;
use crate::consents::SettableConsentState;
use crate::error::{Error, Result};
use crate::http::json;
use crate::orders::types::{FinancialStatus, FulfillmentStatus, OrderStatus};
use crate::orders::{NewRefund, OrderPatch};
use crate::products::ProductPatch;

/// Takes one message in.
pub fn take(news: &mut News, topic: &str, body: &Value) -> Result<Done> {
    let data = Fields(body).object("data");
    match topic {
        "order.deleted" => news.forget_order(&Fields(&serde_json::json!({ "id": id(&data)? }))),
        "refund.created" => {
            let order = data.id("order_external_id");
            let order = order.ok_or_else(|| missing("order_external_id"))?;
            let refund: NewRefund = rest(&data, &["order_external_id"])?;
            news.refund(&order, |_| Some(refund.clone()))
        }
        _ if topic.starts_with("order.") => {
            let mut patch: OrderPatch = rest(&data, &["external_id"])?;
            take_word(topic, &mut patch);
            news.order_patch(&id(&data)?, patch)
        }
        _ if topic.starts_with("cart.") => {
            let patch: CartPatch = rest(&data, &["external_id"])?;
            news.cart_patch(&id(&data)?, &patch)
        }
        _ if topic.starts_with("product.") => {
            let patch: ProductPatch = rest(&data, &["external_id"])?;
            news.product(&id(&data)?, &patch)
        }
        _ if topic.starts_with("customer.") => news.person(person(&data)),
        _ => Ok(Done::ignored("a type that is not used")),
    }
}

/// What the type says of an order, where the order does not say it itself.
fn take_word(topic: &str, order: &mut OrderPatch) {
    let status = match topic {
        "order.cancelled" | "order.canceled" => Some(OrderStatus::Cancelled),
        "order.completed" => Some(OrderStatus::Completed),
        _ => None,
    };
    order.status = order.status.or(status);
    if topic == "order.paid" && order.paid_total.is_none() {
        order.financial_status = order.financial_status.or(Some(FinancialStatus::Paid));
    }
    if topic == "order.fulfilled" {
        order.fulfillment_status = order.fulfillment_status.or(Some(FulfillmentStatus::Fulfilled));
    }
}

fn id(data: &Fields) -> Result<String> {
    data.id("external_id").ok_or_else(|| missing("external_id"))
}

fn missing(name: &str) -> Error {
    Error::field(format!("#/data/{name}"), "required", format!("`{name}` is required"))
}

/// What is left of `data` without some of its members, read as strictly as a request.
fn rest<T: DeserializeOwned + Validate>(data: &Fields, without: &[&str]) -> Result<T> {
    let members: Map<String, Value> = data.0.as_object().cloned().unwrap_or_default();
    let members = members.into_iter().filter(|(name, _)| !without.contains(&name.as_str()));
    let text = Value::Object(members.collect()).to_string();
    json::parse(&Bytes::from(text)).map_err(|error| error.under("#/data"))
}

fn person(data: &Fields) -> NativePerson {
    let state = match data.text("marketing_consent", 20).as_deref() {
        Some("granted") => Some(SettableConsentState::Granted),
        Some("withdrawn") => Some(SettableConsentState::Withdrawn),
        Some("denied") => Some(SettableConsentState::Denied),
        _ => None,
    };
    let at = data.time("consented_at");
    let consent = state.map(|state| NativeConsent { channel_type: ChannelType::Email, state, at });
    NativePerson {
        external_id: data.id("external_id"),
        email: data.email("email"),
        phone: data.phone("phone", None),
        first_name: data.text("first_name", 200),
        last_name: data.text("last_name", 200),
        tags: data.list("tags").iter().filter_map(|tag| tag.0.as_str()).map(String::from).collect(),
        locale: data.locale("locale"),
        addresses: Vec::new(),
        consents: consent.into_iter().collect(),
        updated_at: data.time("source_updated_at"),
    }
}
