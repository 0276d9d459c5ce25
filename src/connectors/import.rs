//! Catching up with a shop: a page of what its own API lists, taken in at once.

use actix_web::post;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;
use validator::{Validate, ValidationErrors};

use super::process::News;
use super::{Provider, Shop};
use crate::auth::{Caller, Scope};
use crate::error::{Error, Result};
use crate::http::batch::one_by_one;
use crate::http::{Batch, Items, Json, Path, Reply};
use crate::journal;

/// A record as the shop's own API shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NativeRecord(Map<String, Value>);

impl PartialSchema for NativeRecord {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .description(Some("A record as the shop's own API shows it."))
            .additional_properties(Some(AdditionalProperties::FreeForm(true)))
            .examples([json!({ "id": 450_789_469, "currency": "EUR", "total_price": "149.90" })])
            .into()
    }
}

impl ToSchema for NativeRecord {}

/// It is read leniently, by what it means.
impl Validate for NativeRecord {
    fn validate(&self) -> Result<(), ValidationErrors> {
        Ok(())
    }
}

/// Records of a shop, as a page of its own API lists them.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectorImport {
    /// The topic of the webhook that would tell of such a record.
    #[validate(length(min = 1, max = 100))]
    #[schema(example = "orders/updated", min_length = 1, max_length = 100)]
    pub topic: String,
    /// 1 to 250 records.
    #[validate(length(min = 1, max = 250))]
    #[schema(min_items = 1, max_items = 250)]
    pub items: Vec<NativeRecord>,
    /// Whether they are history that moves in, of which no webhooks are sent. The change feed has them.
    #[serde(default)]
    pub backfill: bool,
}

/// What a caller has to be allowed who tells of such a record; none where that can be told by the shop
/// alone, as what people ask about their data.
fn scopes(topic: &str) -> Option<&'static [Scope]> {
    let begins = |words: &[&str]| words.iter().any(|word| topic.starts_with(word));
    match topic {
        "customers/create" | "customers/update" | "customers/enable" | "customers/disable"
        | "customer.created" | "customer.updated" => Some(&[Scope::CustomersWrite]),
        "refunds/create" | "refund.created" => Some(&[]),
        _ if begins(&["orders/", "order.", "payment_intent.", "charge.", "checkout.session."]) => {
            Some(&[])
        }
        _ if begins(&["checkouts/", "cart."]) => Some(&[Scope::CartsWrite]),
        _ if begins(&["product."]) => Some(&[Scope::ProductsWrite]),
        _ => None,
    }
}

/// Catch up with a shop
///
/// For shops that do not repeat a webhook nobody answered, and for their history: send what their own
/// API lists, page by page, as much at once as a request body takes. What is known already, or older than
/// what is known, changes nothing. Each item is taken in, or refused, on its own. Customers need
/// `customers:write` besides, carts `carts:write`, products `products:write`; with `consents:write` also
/// what people said to marketing is entered. What they ask about their own data is not imported.
#[utoipa::path(tag = "connectors", security(("bearer" = ["orders:write"])), params(("channel_id" = Uuid, Path, description = "Id of the channel")), responses((status = 207, body = Batch)))]
#[post("/connectors/{channel_id}/import")]
pub async fn import_connector_records(
    caller: Caller,
    channel_id: Path<Uuid>,
    import: Json<ConnectorImport>,
) -> Result<Reply> {
    let grant = caller.must(Scope::OrdersWrite)?;
    let scopes = scopes(&import.topic);
    for scope in scopes.unwrap_or_default() {
        caller.must(*scope)?;
    }
    let takes_consent = caller.must(Scope::ConsentsWrite).is_ok();
    let ConnectorImport { topic, items, backfill } = import.into_inner();
    let items = Items::from(items);
    grant.charge(items.count())?;
    grant
        .write(move |tx| {
            let shop = Shop::find(tx, *channel_id)?;
            if backfill {
                journal::backfill(tx);
            }
            one_by_one(tx, &items, false, |tx, item| {
                if scopes.is_none() {
                    return Err(Error::field("#", "ignored", "a topic that is not imported"));
                }
                let body = match shop.provider {
                    Provider::Custom => json!({ "data": item }),
                    _ => Value::Object(item.0.clone()),
                };
                let done = News::of(tx, &shop, takes_consent).take(&topic, &body)?;
                match done.resource {
                    Some((_, id)) => Ok((if done.is_new { 201 } else { 200 }, id)),
                    None => {
                        let why = done.ignored.unwrap_or_default();
                        Err(Error::field("#", "ignored", why))
                    }
                }
            })
        })
        .await
}
