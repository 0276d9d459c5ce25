//! What customers see of their own orders.

use actix_web::get;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::Me;
use crate::customers::Customer;
use crate::error::Result;
use crate::http::{List, Page, Query, Reply};
use crate::orders::list::{SORT, load};
use crate::orders::types::{
    FinancialStatus, FulfillmentStatus, LineItem, OrderAddress, OrderStatus,
};
use crate::orders::{Order, of_customer};
use crate::values::money::Money;

/// Something I bought.
#[derive(Debug, Serialize, ToSchema)]
pub struct MyOrder {
    /// Unique id, a UUIDv7.
    pub id: Uuid,
    /// The number on the confirmation.
    #[schema(example = "#1001")]
    pub number: Option<String>,
    /// Whether it is being worked on.
    pub status: OrderStatus,
    /// How much is paid, and paid back.
    pub financial_status: FinancialStatus,
    /// How much is on its way, and back.
    pub fulfillment_status: FulfillmentStatus,
    /// What I bought.
    pub line_items: Vec<LineItem>,
    /// Sum of the lines.
    pub subtotal: Money,
    /// Discounts that are not in the lines.
    pub discount_total: Money,
    /// Tax on everything.
    pub tax_total: Money,
    /// Shipping.
    pub shipping_total: Money,
    /// Tips, duties and other fees.
    pub fee_total: Money,
    /// What it cost.
    pub total: Money,
    /// What I paid.
    pub paid_total: Money,
    /// What I was paid back.
    pub refunded_total: Money,
    /// Where it is billed to.
    pub billing_address: Option<OrderAddress>,
    /// Where it is shipped to.
    pub shipping_address: Option<OrderAddress>,
    /// Codes that gave a discount.
    #[schema(example = json!(["SPRING10"]))]
    pub discount_codes: Vec<String>,
    /// What I wrote.
    pub note: Option<String>,
    /// When I ordered.
    pub placed_at: DateTime<Utc>,
    /// When it was cancelled.
    pub cancelled_at: Option<DateTime<Utc>>,
    /// When the company recorded it.
    pub created_at: DateTime<Utc>,
    /// When that record was last changed.
    pub updated_at: DateTime<Utc>,
}

/// List my orders
///
/// Latest records first unless sorted otherwise.
#[utoipa::path(tag = "me", security(("bearer" = ["me:read"])), params(Page), responses((status = 200, body = List<MyOrder>)))]
#[get("/me/orders")]
pub async fn list_my_orders(me: Me, page: Query<Page>) -> Result<Reply> {
    let (customer, grant) = (me.customer, me.grant()?);
    let slice = page.slice(&grant, "my_orders", SORT, &customer)?;
    grant
        .list(move |conn| {
            let customer = Customer::find_for_person(conn, customer)?;
            let page = load(conn, &slice, |workspace| of_customer(workspace, customer))?;
            page.try_map(|order| Ok(MyOrder::from(order)))
        })
        .await
}

impl From<Order> for MyOrder {
    fn from(order: Order) -> Self {
        Self {
            id: order.id,
            number: order.number,
            status: order.status,
            financial_status: order.financial_status,
            fulfillment_status: order.fulfillment_status,
            line_items: order.line_items,
            subtotal: order.subtotal,
            discount_total: order.discount_total,
            tax_total: order.tax_total,
            shipping_total: order.shipping_total,
            fee_total: order.fee_total,
            total: order.total,
            paid_total: order.paid_total,
            refunded_total: order.refunded_total,
            billing_address: order.billing_address,
            shipping_address: order.shipping_address,
            discount_codes: order.discount_codes,
            note: order.note,
            placed_at: order.placed_at,
            cancelled_at: order.cancelled_at,
            created_at: order.created_at,
            updated_at: order.updated_at,
        }
    }
}
