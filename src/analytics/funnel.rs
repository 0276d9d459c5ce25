//! Funnels: how many customers go from one kind of touchpoint to the next, and where they stop.

use actix_web::get;
use chrono::{NaiveDate, TimeDelta};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Double, Integer, Nullable, Text, Uuid as SqlUuid};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::chart::{Bar, Chart, ChartStyle, Unit};
use super::period::{Calendar, Period};
use super::{draw, ratio, rounded, show};
use crate::auth::{Caller, TokenInAddress};
use crate::db::{Conn, id};
use crate::error::{Error, Result};
use crate::http::{AnyOf, Query, Reply};

/// Which way to follow.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FunnelSteps {
    /// Types of touchpoints in their order, 2 to 10.
    #[param(value_type = Vec<String>, style = Form, explode = false, min_items = 2, max_items = 10, example = json!(["page.viewed", "cart.item_added", "order.placed"]))]
    pub steps: AnyOf<String>,
    /// Days from the first step within which the others must follow, 1 to 365.
    #[param(minimum = 1, maximum = 365, default = 30)]
    pub within_days: Option<i32>,
}

/// How many customers went how far.
#[derive(Debug, Serialize, ToSchema)]
pub struct Funnel {
    /// First day on which the first step counts.
    pub from: NaiveDate,
    /// Last day on which the first step counts.
    pub to: NaiveDate,
    /// Within how many days of it the others must follow.
    #[schema(example = 30)]
    pub within_days: i32,
    /// From the first step to the last, as parts of 1.
    #[schema(example = 0.12)]
    pub conversion_rate: f64,
    /// Every step.
    pub steps: Vec<FunnelStep>,
}

/// A step of a funnel.
#[derive(Debug, Serialize, ToSchema)]
pub struct FunnelStep {
    /// Its type of touchpoint.
    #[schema(example = "order.placed")]
    pub r#type: String,
    /// How many customers got this far.
    #[schema(example = 31)]
    pub customers: i64,
    /// Their part of those of the step before, from 0 to 1; 1 for the first.
    #[schema(example = 0.42)]
    pub conversion_rate: f64,
    /// How many of the step before got no further.
    #[schema(example = 43)]
    pub drop_off: i64,
    /// Hours since the step before, half of them being quicker; null where nobody is here, and for
    /// the first.
    #[schema(example = 5.5)]
    pub median_hours: Option<f64>,
}

/// Follow customers through a funnel
///
/// From the first touchpoint of the first type in the period, each next step is the first of its type
/// after the one before. Whoever does the first thing several times is followed from the first time.
#[utoipa::path(tag = "analytics", security(("bearer" = ["analytics:read"])), params(FunnelSteps, Period), responses((status = 200, body = Funnel)))]
#[get("/analytics/funnel")]
pub async fn get_funnel(
    caller: Caller,
    steps: Query<FunnelSteps>,
    period: Query<Period>,
) -> Result<Reply> {
    show(caller, move |conn, calendar| funnel(conn, calendar, &steps, &period)).await
}

/// Draw a funnel
///
/// How many customers got how far, as an SVG image.
#[utoipa::path(tag = "analytics", security(("bearer" = ["analytics:read"])), params(FunnelSteps, Period, ChartStyle, TokenInAddress), responses((status = 200, body = String, content_type = "image/svg+xml", description = "The chart.")))]
#[get("/analytics/funnel/chart.svg")]
pub async fn get_funnel_chart(
    caller: Caller,
    steps: Query<FunnelSteps>,
    period: Query<Period>,
    style: Query<ChartStyle>,
) -> Result<Reply> {
    draw(caller, style, move |conn, calendar| Ok(funnel(conn, calendar, &steps, &period)?.chart()))
        .await
}

impl FunnelSteps {
    /// The days within which the steps must follow.
    fn check(&self) -> Result<i32> {
        if !(2..=10).contains(&self.steps.0.len()) {
            return Err(Error::parameter("steps", "`steps` must be 2 to 10 types of touchpoints"));
        }
        let days = self.within_days.unwrap_or(30);
        if !(1..=365).contains(&days) {
            return Err(Error::parameter("within_days", "`within_days` must be from 1 to 365"));
        }
        Ok(days)
    }
}

/// An id's first 48 bits are milliseconds since 1970, so a bound on ids is one on time.
const WALK: &str = "
    with recursive walk as (
      (select distinct on (customer_id) 1 as step, customer_id, id, id as before,
              ('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint as began
         from touchpoints
        where workspace_id = $1 and id >= $2 and id < $3 and type = ($4)[1]
          and customer_id is not null
        order by customer_id, id)
      union all
      select walk.step + 1, walk.customer_id, next.id, walk.id, walk.began
        from walk
       cross join lateral (
         select t.id from touchpoints t
          where t.workspace_id = $1 and t.customer_id = walk.customer_id
            and t.type = ($4)[walk.step + 1] and t.id > walk.id
            -- The same for all of them, so that only months of the period are opened.
            and t.id > $2 and t.id < $6
            and t.id < uuid_v7_floor(to_timestamp((walk.began + $5 * 86400000::bigint) / 1000.0))
          order by t.id limit 1) next
       where walk.step < cardinality($4)
    )
    select step, count(*) as customers,
           percentile_cont(0.5) within group (order by (
             ('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint
             - ('x' || left(replace(before::text, '-', ''), 12))::bit(48)::bigint) / 3600000.0
           )::float8 as hours
      from walk group by step";

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Integer)]
    step: i32,
    #[diesel(sql_type = BigInt)]
    customers: i64,
    #[diesel(sql_type = Nullable<Double>)]
    hours: Option<f64>,
}

fn funnel(
    conn: &mut Conn,
    calendar: &Calendar,
    steps: &FunnelSteps,
    period: &Period,
) -> Result<Funnel> {
    let within_days = steps.check()?;
    let types = &steps.steps.0;
    let span = calendar.span(period)?;
    let rows: Vec<Row> = diesel::sql_query(WALK)
        .bind::<SqlUuid, _>(conn.workspace)
        .bind::<SqlUuid, _>(id::floor(span.start))
        .bind::<SqlUuid, _>(id::floor(span.end))
        .bind::<Array<Text>, _>(types)
        .bind::<Integer, _>(within_days)
        .bind::<SqlUuid, _>(id::floor(span.end + TimeDelta::days(within_days.into())))
        .load(conn.pg)?;
    let row = |step: i32| rows.iter().find(|row| row.step == step);
    let count = |step: i32| row(step).map_or(0, |row| row.customers);
    let shown = |(step, name): (i32, &String)| {
        let before = if step == 1 { count(1) } else { count(step - 1) };
        FunnelStep {
            r#type: name.clone(),
            customers: count(step),
            conversion_rate: if step == 1 { 1.0 } else { ratio(count(step), before) },
            drop_off: before - count(step),
            median_hours: row(step)
                .filter(|_| step > 1)
                .and_then(|row| row.hours)
                .map(|hours| rounded(hours, 2)),
        }
    };
    let steps: Vec<FunnelStep> = (1..).zip(types).map(shown).collect();
    let last = steps.last().map_or(0, |step| step.customers);
    let conversion_rate = ratio(last, count(1));
    Ok(Funnel { from: span.from, to: span.to, within_days, conversion_rate, steps })
}

impl Funnel {
    fn chart(&self) -> Chart {
        let first = self.steps.first().map_or(0, |step| step.customers);
        let bar = |step: &FunnelStep| Bar {
            label: step.r#type.clone(),
            value: step.customers,
            note: format!("{:.1} %", ratio(step.customers, first) * 100.0),
        };
        Chart::bars(
            "Funnel".into(),
            format!("{} to {}, within {} days", self.from, self.to, self.within_days),
            Unit::count("customers"),
            if first == 0 { Vec::new() } else { self.steps.iter().map(bar).collect() },
        )
    }
}
