//! What sells best.

use actix_web::get;
use chrono::NaiveDate;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::chart::{Bar, Chart, ChartStyle, Unit};
use super::period::{Calendar, Period};
use super::{draw, show};
use crate::auth::{Caller, TokenInAddress};
use crate::db::Conn;
use crate::error::{Error, Result};
use crate::http::{Query, Reply};
use crate::values::money::Money;

/// How many products to show.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TopProducts {
    /// How many, 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 20)]
    pub limit: Option<i32>,
}

/// What sold best.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProductAnalytics {
    /// First day counted.
    pub from: NaiveDate,
    /// Last day counted.
    pub to: NaiveDate,
    /// By `revenue`, most first.
    pub products: Vec<ProductFigures>,
}

/// How a product sold.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProductFigures {
    /// The product; null where the orders name none that is known here.
    pub product_id: Option<Uuid>,
    /// Its stock-keeping unit.
    #[schema(example = "ROPE-60-BLUE")]
    pub sku: Option<String>,
    /// Its name, as it was ordered last.
    #[schema(example = "Single rope")]
    pub name: String,
    /// How many orders had it and did not send all of it back.
    #[schema(example = 41)]
    pub orders: i64,
    /// Pieces ordered and not returned.
    #[schema(example = 44)]
    pub quantity: i64,
    /// What these pieces cost, in the workspace's currency. What was paid back for pieces that were
    /// kept is not taken off.
    pub revenue: Money,
}

const DEFAULT: i32 = 20;
const BARS: i32 = 12;

/// List the products that sell best
///
/// By what their lines came to, in orders that were placed in the period: paid at least in part, not
/// paid back in full, and not cancelled. Lines from before their product was known count with the
/// product that has their SKU now; without one they are put together by SKU, or else by name.
#[utoipa::path(tag = "analytics", security(("bearer" = ["analytics:read"])), params(Period, TopProducts), responses((status = 200, body = ProductAnalytics)))]
#[get("/analytics/products")]
pub async fn get_product_analytics(
    caller: Caller,
    period: Query<Period>,
    top: Query<TopProducts>,
) -> Result<Reply> {
    show(caller, move |conn, calendar| best(conn, calendar, &period, top.limit(DEFAULT)?)).await
}

/// Draw the products that sell best
///
/// Their revenue as an SVG image; 12 of them unless said otherwise.
#[utoipa::path(tag = "analytics", security(("bearer" = ["analytics:read"])), params(Period, TopProducts, ChartStyle, TokenInAddress), responses((status = 200, body = String, content_type = "image/svg+xml", description = "The chart.")))]
#[get("/analytics/products/chart.svg")]
pub async fn get_product_analytics_chart(
    caller: Caller,
    period: Query<Period>,
    top: Query<TopProducts>,
    style: Query<ChartStyle>,
) -> Result<Reply> {
    draw(caller, style, move |conn, calendar| {
        Ok(best(conn, calendar, &period, top.limit(BARS)?)?.chart(calendar))
    })
    .await
}

impl TopProducts {
    fn limit(&self, otherwise: i32) -> Result<i64> {
        let limit = self.limit.unwrap_or(otherwise);
        if !(1..=100).contains(&limit) {
            return Err(Error::parameter("limit", "`limit` must be from 1 to 100"));
        }
        Ok(i64::from(limit))
    }
}

const BEST: &str = "
    select coalesce(l.product_id, p.id) as product_id,
           (array_agg(l.sku order by o.placed_at desc, l.id))[1] as sku,
           (array_agg(l.name order by o.placed_at desc, l.id))[1] as name,
           count(distinct o.id) as orders,
           sum(l.quantity - l.returned_quantity)::bigint as quantity,
           coalesce(sum(round(l.total * (l.quantity - l.returned_quantity)::numeric / l.quantity))
                      filter (where o.currency = $4), 0)::bigint as revenue
      from orders o
      join order_line_items l on l.workspace_id = o.workspace_id and l.order_id = o.id
      left join products p on p.workspace_id = o.workspace_id and l.product_id is null
                          and p.sku = l.sku and p.deleted_at is null
     where o.workspace_id = $1 and o.placed_at >= $2 and o.placed_at < $3
       and o.status <> 'cancelled' and o.deleted_at is null
       and o.financial_status in ('partially_paid', 'paid', 'partially_refunded')
       and l.returned_quantity < l.quantity
     group by 1, case when coalesce(l.product_id, p.id) is null then coalesce(l.sku, l.name) end
     order by revenue desc, orders desc, name
     limit $5";

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Nullable<SqlUuid>)]
    product_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<Text>)]
    sku: Option<String>,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    orders: i64,
    #[diesel(sql_type = BigInt)]
    quantity: i64,
    #[diesel(sql_type = BigInt)]
    revenue: i64,
}

fn best(
    conn: &mut Conn,
    calendar: &Calendar,
    period: &Period,
    limit: i64,
) -> Result<ProductAnalytics> {
    let span = calendar.span(period)?;
    let rows: Vec<Row> = diesel::sql_query(BEST)
        .bind::<SqlUuid, _>(conn.workspace)
        .bind::<Timestamptz, _>(span.start)
        .bind::<Timestamptz, _>(span.end)
        .bind::<Text, _>(&calendar.currency)
        .bind::<BigInt, _>(limit)
        .load(conn.pg)?;
    let shown = |row: Row| ProductFigures {
        product_id: row.product_id,
        sku: row.sku,
        name: row.name,
        orders: row.orders,
        quantity: row.quantity,
        revenue: Money { amount: row.revenue, currency: calendar.currency.clone() },
    };
    let products = rows.into_iter().map(shown).collect();
    Ok(ProductAnalytics { from: span.from, to: span.to, products })
}

impl ProductAnalytics {
    fn chart(&self, calendar: &Calendar) -> Chart {
        let bar = |product: &ProductFigures| Bar {
            label: product.name.clone(),
            value: product.revenue.amount,
            note: format!("{} sold", product.quantity),
        };
        Chart::bars(
            "Products by revenue".into(),
            format!("{} to {}", self.from, self.to),
            Unit::money(&calendar.currency),
            self.products.iter().map(bar).collect(),
        )
    }
}
