//! Customer lifetime value: what buyers have brought, and what they are likely to bring next year.

use actix_web::get;
use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Double, Integer, Timestamptz, Uuid as SqlUuid};
use serde::Serialize;
use utoipa::ToSchema;

use super::chart::{Bar, Chart, ChartStyle, Unit};
use super::period::Calendar;
use super::{draw, ratio, rounded, show};
use crate::auth::{Caller, TokenInAddress};
use crate::db::Conn;
use crate::error::Result;
use crate::http::{Query, Reply};
use crate::values::money::Money;

const FORMULA: &str = "historic: paid less refunded. predicted (next 12 months): average_order_value \
     x orders_per_year x retention_rate, for each customer, where orders_per_year = orders / years \
     since the first order (at least one) and retention_rate = of the customers whose first order is \
     more than a year ago, the share who ordered in the last year (1 where there are none)";

/// What buyers are worth.
#[derive(Debug, Serialize, ToSchema)]
pub struct Clv {
    /// As of when.
    pub as_of: DateTime<Utc>,
    /// How many customers have ordered something.
    #[schema(example = 1240)]
    pub customers: i64,
    /// What an order brings on average.
    pub average_order_value: Money,
    /// Orders of a customer, on average.
    #[schema(example = 2.4)]
    pub orders_per_customer: f64,
    /// Of the customers whose first order is more than a year ago, the share who ordered in the last
    /// year, from 0 to 1; 1 where there are none.
    #[schema(example = 0.62)]
    pub retention_rate: f64,
    /// What customers have brought so far.
    pub historic: ClvFigures,
    /// What they are likely to bring in the next 12 months.
    pub predicted: ClvFigures,
    /// Ten groups of equal size, those who brought most first; fewer where there are few customers.
    pub deciles: Vec<ClvDecile>,
    /// How it is worked out.
    #[schema(example = "predicted: average_order_value x orders_per_year x retention_rate")]
    pub formula: &'static str,
}

/// A value of all customers.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClvFigures {
    /// Of all together.
    pub total: Money,
    /// Of one, on average.
    pub average: Money,
    /// Half of the customers have less.
    pub median: Money,
}

/// A tenth of the customers.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClvDecile {
    /// 1 is the tenth that brought most.
    #[schema(example = 1)]
    pub decile: i32,
    /// How many customers it has.
    #[schema(example = 124)]
    pub customers: i64,
    /// What one brought, on average.
    pub historic: Money,
    /// What one is likely to bring in the next 12 months, on average.
    pub predicted: Money,
}

/// Get the customer lifetime value
///
/// Historic and predicted, over everybody who has ordered something; `formula` says how.
#[utoipa::path(tag = "analytics", security(("bearer" = ["analytics:read"])), responses((status = 200, body = Clv)))]
#[get("/analytics/clv")]
pub async fn get_clv(caller: Caller) -> Result<Reply> {
    show(caller, clv).await
}

/// Draw the customer lifetime value
///
/// What a customer of each tenth has brought, as an SVG image.
#[utoipa::path(tag = "analytics", security(("bearer" = ["analytics:read"])), params(ChartStyle, TokenInAddress), responses((status = 200, body = String, content_type = "image/svg+xml", description = "The chart.")))]
#[get("/analytics/clv/chart.svg")]
pub async fn get_clv_chart(caller: Caller, style: Query<ChartStyle>) -> Result<Reply> {
    draw(caller, style, |conn, calendar| Ok(clv(conn, calendar)?.chart(calendar))).await
}

/// One row for all, whose decile is 0, and one for each decile.
const VALUES: &str = "
    with buyers as (
      select s.customer_id, s.orders_count, s.total_spent, s.first_order_at, s.last_order_at
        from customer_stats s
        join customers c on c.workspace_id = s.workspace_id and c.id = s.customer_id
       where s.workspace_id = $1 and s.orders_count > 0 and c.deleted_at is null
    ), retention as (
      select coalesce(avg((last_order_at >= $3)::int::float8), 1) as rate
        from buyers where first_order_at < $3
    ), valued as (
      select orders_count, total_spent, rate,
             total_spent::float8 / orders_count
               * (orders_count
                  / greatest(extract(epoch from $2 - first_order_at)::float8 / 31536000, 1))
               * rate as predicted,
             ntile(10) over (order by total_spent desc, customer_id) as decile
        from buyers, retention
    )
    select coalesce(decile, 0) as decile, count(*) as customers, sum(orders_count)::bigint as orders,
           sum(total_spent)::bigint as historic, sum(predicted)::float8 as predicted,
           percentile_cont(0.5) within group (order by total_spent)::float8 as historic_median,
           percentile_cont(0.5) within group (order by predicted)::float8 as predicted_median,
           min(rate)::float8 as retention
      from valued
     group by grouping sets ((decile), ())
    having count(*) > 0
     order by 1";

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Integer)]
    decile: i32,
    #[diesel(sql_type = BigInt)]
    customers: i64,
    #[diesel(sql_type = BigInt)]
    orders: i64,
    #[diesel(sql_type = BigInt)]
    historic: i64,
    #[diesel(sql_type = Double)]
    predicted: f64,
    #[diesel(sql_type = Double)]
    historic_median: f64,
    #[diesel(sql_type = Double)]
    predicted_median: f64,
    #[diesel(sql_type = Double)]
    retention: f64,
}

fn clv(conn: &mut Conn, calendar: &Calendar) -> Result<Clv> {
    let mut rows: Vec<Row> = diesel::sql_query(VALUES)
        .bind::<SqlUuid, _>(conn.workspace)
        .bind::<Timestamptz, _>(calendar.now)
        .bind::<Timestamptz, _>(calendar.now - TimeDelta::days(365))
        .load(conn.pg)?;
    let nobody = Row {
        decile: 0,
        customers: 0,
        orders: 0,
        historic: 0,
        predicted: 0.0,
        historic_median: 0.0,
        predicted_median: 0.0,
        retention: 1.0,
    };
    let all = if rows.is_empty() { nobody } else { rows.remove(0) };
    let money =
        |amount: f64| Money { amount: amount.round() as i64, currency: calendar.currency.clone() };
    let per = |sum: f64, count: i64| money(if count == 0 { 0.0 } else { sum / count as f64 });
    let decile = |row: Row| ClvDecile {
        decile: row.decile,
        customers: row.customers,
        historic: per(row.historic as f64, row.customers),
        predicted: per(row.predicted, row.customers),
    };
    Ok(Clv {
        as_of: calendar.now,
        customers: all.customers,
        average_order_value: per(all.historic as f64, all.orders),
        orders_per_customer: ratio(all.orders, all.customers),
        retention_rate: rounded(all.retention, 4),
        historic: ClvFigures {
            total: money(all.historic as f64),
            average: per(all.historic as f64, all.customers),
            median: money(all.historic_median),
        },
        predicted: ClvFigures {
            total: money(all.predicted),
            average: per(all.predicted, all.customers),
            median: money(all.predicted_median),
        },
        deciles: rows.into_iter().map(decile).collect(),
        formula: FORMULA,
    })
}

impl Clv {
    fn chart(&self, calendar: &Calendar) -> Chart {
        let bar = |decile: &ClvDecile| Bar {
            label: format!("tenth {}", decile.decile),
            value: decile.historic.amount,
            note: Unit::count("customers").said(decile.customers),
        };
        Chart::bars(
            "Lifetime value by tenth of customers".into(),
            format!("what one has spent on average, as of {}", calendar.today()),
            Unit::money(&calendar.currency),
            self.deciles.iter().map(bar).collect(),
        )
    }
}
