//! What orders bring: their number, their average value, how often customers come back.

use actix_web::get;
use chrono::{DateTime, NaiveDate, Utc};
use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Double, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::chart::{Chart, ChartStyle, Line, Unit};
use super::period::{Calendar, Interval, Period, Span};
use super::{draw, ratio, rounded, show};
use crate::auth::{Caller, TokenInAddress};
use crate::db::Conn;
use crate::error::Result;
use crate::http::{Query, Reply};
use crate::values::money::Money;

/// How long each step is.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OrderAnalyticsSteps {
    /// How long each step is; a month unless said otherwise.
    #[param(inline)]
    pub interval: Option<Interval>,
}

crate::text_enum! {
    /// What a chart of orders shows.
    pub enum OrderMeasure {
        /// Paid less refunded.
        Revenue = "revenue",
        /// How many were placed.
        Orders = "orders",
        /// Revenue for each order.
        AverageOrderValue = "average_order_value",
    }
}

/// What to draw of them.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OrderColumns {
    /// What the columns are; `revenue` unless said otherwise.
    #[param(inline)]
    pub measure: Option<OrderMeasure>,
}

/// What orders brought.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderAnalytics {
    /// First day counted.
    pub from: NaiveDate,
    /// Last day counted.
    pub to: NaiveDate,
    /// Where the days begin.
    #[schema(example = "Europe/Vienna")]
    pub timezone: String,
    /// Orders placed and not cancelled.
    #[schema(example = 310)]
    pub orders: i64,
    /// Known customers who placed them.
    #[schema(example = 240)]
    pub customers: i64,
    /// What was paid less what was refunded, of orders in the workspace's currency.
    pub revenue: Money,
    /// Revenue for each such order.
    pub average_order_value: Money,
    /// Of these customers, how many had ordered before or ordered again until the last day.
    #[schema(example = 96)]
    pub repeat_customers: i64,
    /// Their part, from 0 to 1.
    #[schema(example = 0.4)]
    pub repeat_rate: f64,
    /// Days from an order to the one before it by the same customer, on average; null where there is
    /// no such pair.
    #[schema(example = 38.5)]
    pub average_days_between_orders: Option<f64>,
    /// The same, half of the pairs being closer.
    #[schema(example = 31.0)]
    pub median_days_between_orders: Option<f64>,
    /// Step by step.
    pub points: Vec<OrderAnalyticsPoint>,
}

/// What the orders of a step brought.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderAnalyticsPoint {
    /// When the step begins; the first begins with the period.
    pub start: DateTime<Utc>,
    /// Orders placed.
    #[schema(example = 103)]
    pub orders: i64,
    /// Paid less refunded.
    pub revenue: Money,
    /// Revenue for each order.
    pub average_order_value: Money,
}

/// Get the figures of orders
///
/// Average order value, days between orders, repeat rate, and revenue over time. Orders count when
/// they were placed, unless cancelled.
#[utoipa::path(tag = "analytics", security(("bearer" = ["analytics:read"])), params(Period, OrderAnalyticsSteps), responses((status = 200, body = OrderAnalytics)))]
#[get("/analytics/orders")]
pub async fn get_order_analytics(
    caller: Caller,
    period: Query<Period>,
    steps: Query<OrderAnalyticsSteps>,
) -> Result<Reply> {
    show(caller, move |conn, calendar| figures(conn, calendar, &period, steps.interval())).await
}

/// Draw the figures of orders over time
///
/// Their revenue, which is what was paid less what was refunded, their number or their average value, as
/// an SVG image.
#[utoipa::path(tag = "analytics", security(("bearer" = ["analytics:read"])), params(Period, OrderAnalyticsSteps, OrderColumns, ChartStyle, TokenInAddress), responses((status = 200, body = String, content_type = "image/svg+xml", description = "The chart.")))]
#[get("/analytics/orders/chart.svg")]
pub async fn get_order_analytics_chart(
    caller: Caller,
    period: Query<Period>,
    steps: Query<OrderAnalyticsSteps>,
    columns: Query<OrderColumns>,
    style: Query<ChartStyle>,
) -> Result<Reply> {
    let measure = columns.measure.unwrap_or(OrderMeasure::Revenue);
    draw(caller, style, move |conn, calendar| {
        let figures = figures(conn, calendar, &period, steps.interval())?;
        Ok(figures.chart(calendar, steps.interval(), measure))
    })
    .await
}

impl OrderAnalyticsSteps {
    fn interval(&self) -> Interval {
        self.interval.unwrap_or(Interval::Month)
    }
}

/// A row without a step is about the whole period.
const STEPS: &str = "
    select step, count(*) as orders, count(distinct customer_id) as customers,
           count(amount) as counted, coalesce(sum(amount), 0)::bigint as revenue
      from (select width_bucket(placed_at, $4) as step, customer_id,
                   case when currency = $5 then paid_total - refunded_total end as amount
              from orders
             where workspace_id = $1 and placed_at >= $2 and placed_at < $3
               and status <> 'cancelled' and deleted_at is null) placed
     group by grouping sets ((step), ())";

/// The whole history of those who ordered in the period, until its end.
const AGAIN: &str = "
    with history as (
      select customer_id, placed_at,
             lag(placed_at) over (partition by customer_id order by placed_at, id) as before
        from orders
       where workspace_id = $1 and placed_at < $3 and status <> 'cancelled' and deleted_at is null
         and customer_id = any(array(
           select distinct customer_id from orders
            where workspace_id = $1 and placed_at >= $2 and placed_at < $3
              and status <> 'cancelled' and deleted_at is null and customer_id is not null))
    ), pairs as (
      select extract(epoch from placed_at - before)::float8 / 86400 as days
        from history where before is not null and placed_at >= $2
    )
    select (select count(distinct customer_id) from history where before is not null) as repeaters,
           (select avg(days) from pairs) as average,
           (select percentile_cont(0.5) within group (order by days) from pairs) as median";

#[derive(QueryableByName)]
struct StepRow {
    #[diesel(sql_type = Nullable<Integer>)]
    step: Option<i32>,
    #[diesel(sql_type = BigInt)]
    orders: i64,
    #[diesel(sql_type = BigInt)]
    customers: i64,
    #[diesel(sql_type = BigInt)]
    counted: i64,
    #[diesel(sql_type = BigInt)]
    revenue: i64,
}

#[derive(QueryableByName)]
struct AgainRow {
    #[diesel(sql_type = BigInt)]
    repeaters: i64,
    #[diesel(sql_type = Nullable<Double>)]
    average: Option<f64>,
    #[diesel(sql_type = Nullable<Double>)]
    median: Option<f64>,
}

fn figures(
    conn: &mut Conn,
    calendar: &Calendar,
    period: &Period,
    interval: Interval,
) -> Result<OrderAnalytics> {
    let span = calendar.span(period)?;
    let starts = calendar.steps(&span, interval)?;
    let rows = steps(conn, &span, &starts, &calendar.currency)?;
    let again: AgainRow = diesel::sql_query(AGAIN)
        .bind::<SqlUuid, _>(conn.workspace)
        .bind::<Timestamptz, _>(span.start)
        .bind::<Timestamptz, _>(span.end)
        .get_result(conn.pg)?;
    let money = |amount| Money { amount, currency: calendar.currency.clone() };
    let average = |row: Option<&StepRow>| {
        let (sum, count) = row.map_or((0, 0), |row| (row.revenue, row.counted));
        money(if count == 0 { 0 } else { (sum as f64 / count as f64).round() as i64 })
    };
    let of_step = |step: Option<usize>| {
        let step = step.and_then(|step| i32::try_from(step + 1).ok());
        rows.iter().find(|row| row.step == step)
    };
    let point = |(step, start): (usize, &DateTime<Utc>)| {
        let row = of_step(Some(step));
        OrderAnalyticsPoint {
            start: *start,
            orders: row.map_or(0, |row| row.orders),
            revenue: money(row.map_or(0, |row| row.revenue)),
            average_order_value: average(row),
        }
    };
    let all = of_step(None);
    let customers = all.map_or(0, |row| row.customers);
    Ok(OrderAnalytics {
        from: span.from,
        to: span.to,
        timezone: calendar.timezone.name().to_owned(),
        orders: all.map_or(0, |row| row.orders),
        customers,
        revenue: money(all.map_or(0, |row| row.revenue)),
        average_order_value: average(all),
        repeat_customers: again.repeaters,
        repeat_rate: ratio(again.repeaters, customers),
        average_days_between_orders: again.average.map(|days| rounded(days, 1)),
        median_days_between_orders: again.median.map(|days| rounded(days, 1)),
        points: starts.iter().enumerate().map(point).collect(),
    })
}

fn steps(
    conn: &mut Conn,
    span: &Span,
    starts: &[DateTime<Utc>],
    currency: &str,
) -> Result<Vec<StepRow>> {
    Ok(diesel::sql_query(STEPS)
        .bind::<SqlUuid, _>(conn.workspace)
        .bind::<Timestamptz, _>(span.start)
        .bind::<Timestamptz, _>(span.end)
        .bind::<Array<Timestamptz>, _>(starts)
        .bind::<Text, _>(currency)
        .load(conn.pg)?)
}

impl OrderAnalytics {
    fn chart(&self, calendar: &Calendar, interval: Interval, measure: OrderMeasure) -> Chart {
        let money = || Unit::money(&calendar.currency);
        let (title, unit) = match measure {
            OrderMeasure::Revenue => ("Revenue", money()),
            OrderMeasure::Orders => ("Orders", Unit::count("orders")),
            OrderMeasure::AverageOrderValue => ("Average order value", money()),
        };
        let value = |point: &OrderAnalyticsPoint| match measure {
            OrderMeasure::Revenue => point.revenue.amount,
            OrderMeasure::Orders => point.orders,
            OrderMeasure::AverageOrderValue => point.average_order_value.amount,
        };
        let starts: Vec<_> = self.points.iter().map(|point| point.start).collect();
        Chart::over_time(
            format!("{title} by {interval}"),
            format!("{} to {}", self.from, self.to),
            unit,
            interval.labels(&starts, calendar.timezone),
            vec![Line { name: None, values: self.points.iter().map(value).collect() }],
        )
    }
}
