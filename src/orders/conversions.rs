//! Carts that became orders, said by hand.

use actix_web::post;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;
use validator::Validate;

use super::Order;
use crate::auth::{Caller, Scope};
use crate::carts::{self, Cart};
use crate::error::{Error, Result};
use crate::http::{Found, IfMatch, Json, Path, Reply};

/// The order that a cart became.
#[derive(Debug, Clone, Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CartConversion {
    /// The order, where there is a record of it.
    pub order_id: Option<Uuid>,
}

/// Convert a cart into an order
///
/// Orders that say which cart they were do this by themselves.
#[utoipa::path(tag = "carts", security(("bearer" = ["carts:write"])), responses((status = 200, body = Cart)))]
#[post("/carts/{id}/convert")]
pub async fn convert_cart(
    caller: Caller,
    id: Path<Uuid>,
    if_match: IfMatch,
    conversion: Json<CartConversion>,
) -> Result<Reply> {
    let grant = caller.must(Scope::CartsWrite)?;
    grant
        .write(move |tx| {
            if let Some(order) = conversion.order_id
                && !Order::exists(tx, order)?
            {
                let detail = "`order_id` must be an order of this workspace";
                return Err(Error::field("#/order_id", "not_found", detail));
            }
            carts::convert(tx, *id, if_match, conversion.order_id).map(Found)
        })
        .await
}
