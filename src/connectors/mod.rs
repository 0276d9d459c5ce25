//! Connectors: the way in for shops, which send their own webhooks to an address of their channel.
//!
//! A message is proved by its signature, kept sealed, answered, and carried out by the worker. What
//! fails stays, with the reason, and can be replayed.

mod acquaint;
mod custom;
mod events;
mod fields;
mod import;
mod native;
mod process;
mod receive;
mod shopify;
mod signature;
mod stripe;
mod woocommerce;
mod work;

use actix_web::get;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

pub use events::{forget, prune};
pub use work::work;

use crate::auth::{Caller, Scope};
use crate::channels::{self, Channel, ChannelStatus, ChannelType};
use crate::db::Conn;
use crate::error::{Code, Error, Result};
use crate::http::reply::Plain;
use crate::http::{Path, Reply, ServiceConfig};
use crate::schema::connector_events as e;
use events::EventStatus;

pub fn routes(api: &mut ServiceConfig) {
    api.service(get_connector)
        .service(events::list_connector_events)
        .service(events::get_connector_event)
        .service(events::replay_connector_event)
        .service(events::replay_connector_events)
        .service(import::import_connector_records);
}

/// Operations outside `/v1`, for shops that sign what they send.
pub fn public_routes(api: &mut ServiceConfig) {
    api.service(receive::receive_connector_event);
}

/// Whose language a shop speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    Shopify,
    Woocommerce,
    Stripe,
    /// The canonical one, of every other name.
    Custom,
}

impl Provider {
    fn of(name: &str) -> Self {
        match name {
            "shopify" => Self::Shopify,
            "woocommerce" => Self::Woocommerce,
            "stripe" => Self::Stripe,
            _ => Self::Custom,
        }
    }
}

/// A channel that a shop sends to.
#[derive(Debug, Clone)]
struct Shop {
    channel: Uuid,
    /// The provider's name, as the channel has it.
    name: String,
    provider: Provider,
    /// What the shop's records are called ours by: two shops of one provider need two.
    source: String,
    /// What the orders that payments are for are called by, where a payment does not say.
    order_source: Option<String>,
    is_paused: bool,
}

/// The types of channels that can be shops.
const TYPES: [ChannelType; 3] = [ChannelType::Web, ChannelType::MobileApp, ChannelType::Pos];

impl Shop {
    /// The shop of a channel, or 404 where that is no way in for one.
    fn find(conn: &mut Conn, channel: Uuid) -> Result<Self> {
        let found = Channel::find(conn, channel)?;
        if !TYPES.contains(&found.r#type) || found.provider == "manual" {
            let detail = "the channel is no shop: it needs the type `web`, `mobile_app` or `pos`, and \
                          a `provider` such as `shopify`";
            return Err(Error::new(Code::NOT_FOUND, detail));
        }
        Self::of(found)
    }

    fn of(channel: Channel) -> Result<Self> {
        let config: serde_json::Value = channel.config.parse()?;
        let named = |name: &str| -> Option<String> {
            config[name].as_str().map(|source| source.chars().take(100).collect())
        };
        Ok(Self {
            channel: channel.id,
            provider: Provider::of(&channel.provider),
            source: named("source").unwrap_or_else(|| channel.provider.clone()),
            order_source: named("order_source"),
            is_paused: channel.status == ChannelStatus::Paused,
            name: channel.provider,
        })
    }

    /// What the orders of the workspace's shops are called by.
    fn sources(conn: &mut Conn) -> Result<Vec<String>> {
        let mut sources = Vec::new();
        for channel in Channel::of_types(conn, &TYPES)? {
            let shop = Self::of(channel)?;
            if shop.name != "manual" && !sources.contains(&shop.source) {
                sources.push(shop.source);
            }
        }
        Ok(sources)
    }

    /// What its messages are signed with; none where nobody has said.
    fn secret(&self, conn: &mut Conn) -> Result<Option<String>> {
        Ok(channels::open_secrets(conn, self.channel)?.remove("webhook_secret"))
    }
}

/// How a shop is connected.
#[derive(Debug, Serialize, ToSchema)]
pub struct Connector {
    /// The channel it is.
    pub channel_id: Uuid,
    /// The provider: `shopify`, `woocommerce`, `stripe`, or any name for the canonical body.
    #[schema(example = "shopify")]
    pub provider: String,
    /// What the shop's records are called by in outside ids: `config.source` of the channel, else the
    /// provider. Two shops of one provider need two.
    #[schema(example = "shopify")]
    pub source: String,
    /// Where the shop sends its webhooks to.
    #[schema(
        example = "https://crm.example.com/connectors/shopify/0192f0c1-2a3b-7c4d-8e5f-60718293a4b5/0192f0c1-2a3b-7c4d-8e5f-60718293a4b6"
    )]
    pub webhook_url: String,
    /// Whether `config.webhook_secret` of the channel is set: without it nothing is believed.
    pub has_webhook_secret: bool,
    /// Messages that are waiting to be carried out.
    #[schema(example = 0)]
    pub pending_count: i64,
    /// Messages that failed, to be looked at and replayed.
    #[schema(example = 0)]
    pub failed_count: i64,
    /// When the last message came.
    pub last_received_at: Option<DateTime<Utc>>,
}

/// Show how a shop is connected
///
/// Any channel of type `web`, `mobile_app` or `pos` with a `provider` is a way in for a shop.
#[utoipa::path(tag = "connectors", security(("bearer" = ["orders:read"])), params(("channel_id" = Uuid, Path, description = "Id of the channel")), responses((status = 200, body = Connector)))]
#[get("/connectors/{channel_id}")]
async fn get_connector(caller: Caller, channel_id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::OrdersRead)?;
    let base = grant.app().config.public_url.clone();
    grant
        .read(move |conn| {
            let shop = Shop::find(conn, *channel_id)?;
            let has_webhook_secret = shop.secret(conn)?.is_some();
            let of_shop = || {
                e::table
                    .filter(e::workspace_id.eq(conn.workspace))
                    .filter(e::channel_id.eq(shop.channel))
            };
            let count = |status: EventStatus| of_shop().filter(e::status.eq(status)).count();
            let (pending, failed) = (count(EventStatus::Pending), count(EventStatus::Failed));
            let last = of_shop().select(diesel::dsl::max(e::received_at));
            let workspace = conn.workspace.uuid();
            Ok(Plain(Connector {
                channel_id: shop.channel,
                webhook_url: format!(
                    "{base}/connectors/{}/{workspace}/{}",
                    shop.name, shop.channel
                ),
                provider: shop.name,
                source: shop.source,
                has_webhook_secret,
                pending_count: pending.get_result(conn.pg)?,
                failed_count: failed.get_result(conn.pg)?,
                last_received_at: last.get_result(conn.pg)?,
            }))
        })
        .await
}
