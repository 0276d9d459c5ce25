//! Cohorts: of those who first ordered in the same month, who came back and what they brought.

use std::collections::HashMap;

use actix_web::get;
use chrono::{DateTime, Days, Months, NaiveDate, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Text, Timestamptz, Uuid as SqlUuid};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::chart::{Chart, ChartStyle, HeatCell, HeatRow, Unit, brief};
use super::period::{Calendar, Interval};
use super::{draw, ratio, show};
use crate::auth::{Caller, TokenInAddress};
use crate::db::Conn;
use crate::error::{Error, Result};
use crate::http::{Query, Reply};
use crate::values::money::Money;

/// How far to look back.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CohortMonths {
    /// How many months, this one included, 1 to 36.
    #[param(minimum = 1, maximum = 36, default = 12)]
    pub months: Option<i32>,
}

crate::text_enum! {
    /// What the shades of a chart of cohorts are.
    pub enum CohortMeasure {
        /// The part of the cohort that ordered.
        Retention = "retention",
        /// What its orders brought.
        Revenue = "revenue",
    }
}

/// What to draw of them.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CohortShades {
    /// What the shades are; `retention` unless said otherwise.
    #[param(inline)]
    pub measure: Option<CohortMeasure>,
}

/// The cohorts of the last months.
#[derive(Debug, Serialize, ToSchema)]
pub struct Cohorts {
    /// Where the months begin.
    #[schema(example = "Europe/Vienna")]
    pub timezone: String,
    /// One for each month, the oldest first.
    pub cohorts: Vec<Cohort>,
}

/// The customers whose first order was in one month.
#[derive(Debug, Serialize, ToSchema)]
pub struct Cohort {
    /// First day of the month.
    #[schema(example = "2026-01-01")]
    pub month_on: NaiveDate,
    /// How many customers it has.
    #[schema(example = 48)]
    pub customers: i64,
    /// From the month of the first order to this one, until the end of today.
    pub periods: Vec<CohortPeriod>,
}

/// A month of a cohort.
#[derive(Debug, Serialize, ToSchema)]
pub struct CohortPeriod {
    /// Months since the first order; 0 is its own month.
    #[schema(example = 1)]
    pub month: i32,
    /// How many of the cohort ordered in it.
    #[schema(example = 12)]
    pub customers: i64,
    /// Their part of the cohort, from 0 to 1.
    #[schema(example = 0.25)]
    pub retention: f64,
    /// How many orders they placed.
    #[schema(example = 14)]
    pub orders: i64,
    /// Paid less refunded, in the workspace's currency.
    pub revenue: Money,
}

/// Get the cohorts by month of first order
///
/// Retention and revenue of every later month, in the months of the workspace's time zone.
#[utoipa::path(tag = "analytics", security(("bearer" = ["analytics:read"])), params(CohortMonths), responses((status = 200, body = Cohorts)))]
#[get("/analytics/cohorts")]
pub async fn get_cohorts(caller: Caller, months: Query<CohortMonths>) -> Result<Reply> {
    show(caller, move |conn, calendar| cohorts(conn, calendar, months.count()?)).await
}

/// Draw the cohorts
///
/// Their retention or revenue, one row for each month of first order, as an SVG image.
#[utoipa::path(tag = "analytics", security(("bearer" = ["analytics:read"])), params(CohortMonths, CohortShades, ChartStyle, TokenInAddress), responses((status = 200, body = String, content_type = "image/svg+xml", description = "The chart.")))]
#[get("/analytics/cohorts/chart.svg")]
pub async fn get_cohorts_chart(
    caller: Caller,
    months: Query<CohortMonths>,
    shades: Query<CohortShades>,
    style: Query<ChartStyle>,
) -> Result<Reply> {
    let measure = shades.measure.unwrap_or(CohortMeasure::Retention);
    draw(caller, style, move |conn, calendar| {
        Ok(cohorts(conn, calendar, months.count()?)?.chart(measure, calendar))
    })
    .await
}

impl CohortMonths {
    fn count(&self) -> Result<u32> {
        let count = self.months.unwrap_or(12);
        u32::try_from(count)
            .ok()
            .filter(|count| (1..=36).contains(count))
            .ok_or_else(|| Error::parameter("months", "`months` must be from 1 to 36"))
    }
}

/// Who ordered when; a cohort's first month is its own.
const ACTIVE: &str = "
    select cohort, month - cohort as month, count(distinct customer_id) as customers,
           count(*) as orders, coalesce(sum(amount), 0)::bigint as revenue
      from (select o.customer_id, width_bucket(s.first_order_at, $2) as cohort,
                   width_bucket(o.placed_at, $2) as month,
                   case when o.currency = $4 then o.paid_total - o.refunded_total end as amount
              from customer_stats s
              join orders o on o.workspace_id = s.workspace_id and o.customer_id = s.customer_id
             where s.workspace_id = $1 and s.first_order_at >= $3 and o.status <> 'cancelled'
               and o.deleted_at is null and o.placed_at >= $3 and o.placed_at < $5) placed
     group by 1, 2";

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Integer)]
    cohort: i32,
    #[diesel(sql_type = Integer)]
    month: i32,
    #[diesel(sql_type = BigInt)]
    customers: i64,
    #[diesel(sql_type = BigInt)]
    orders: i64,
    #[diesel(sql_type = BigInt)]
    revenue: i64,
}

fn cohorts(conn: &mut Conn, calendar: &Calendar, months: u32) -> Result<Cohorts> {
    let this = Interval::Month.first_day(calendar.today());
    let days: Vec<NaiveDate> = (0..months).rev().map(|back| this - Months::new(back)).collect();
    let starts: Vec<DateTime<Utc>> = days.iter().map(|day| calendar.start_of(*day)).collect();
    let rows: Vec<Row> = diesel::sql_query(ACTIVE)
        .bind::<SqlUuid, _>(conn.workspace)
        .bind::<Array<Timestamptz>, _>(&starts)
        .bind::<Timestamptz, _>(starts[0])
        .bind::<Text, _>(&calendar.currency)
        .bind::<Timestamptz, _>(calendar.start_of(calendar.today() + Days::new(1)))
        .load(conn.pg)?;
    let found: HashMap<(i32, i32), &Row> =
        rows.iter().map(|row| ((row.cohort, row.month), row)).collect();
    let cohort = |(cohort, day): (i32, &NaiveDate)| {
        let customers = found.get(&(cohort, 0)).map_or(0, |row| row.customers);
        let last = i32::try_from(months).expect("BUG: at most 36") - cohort;
        let period = |month: i32| {
            let row = found.get(&(cohort, month));
            let active = row.map_or(0, |row| row.customers);
            let amount = row.map_or(0, |row| row.revenue);
            CohortPeriod {
                month,
                customers: active,
                retention: ratio(active, customers),
                orders: row.map_or(0, |row| row.orders),
                revenue: Money { amount, currency: calendar.currency.clone() },
            }
        };
        Cohort { month_on: *day, customers, periods: (0..=last).map(period).collect() }
    };
    let timezone = calendar.timezone.name().to_owned();
    Ok(Cohorts { timezone, cohorts: (1..).zip(&days).map(cohort).collect() })
}

impl Cohorts {
    fn chart(&self, measure: CohortMeasure, calendar: &Calendar) -> Chart {
        let all = || self.cohorts.iter().flat_map(|cohort| &cohort.periods);
        let most = all().map(|period| period.revenue.amount).max().unwrap_or(0).max(1);
        let money = Unit::money(&calendar.currency);
        let cell = |period: &CohortPeriod| match measure {
            CohortMeasure::Retention => {
                let percent = period.retention * 100.0;
                let (text, says) = (format!("{percent:.0}"), format!("{percent:.1} %"));
                HeatCell { part: period.retention, text, says }
            }
            CohortMeasure::Revenue => HeatCell {
                part: period.revenue.amount as f64 / most as f64,
                text: brief(money.whole(period.revenue.amount)),
                says: money.said(period.revenue.amount),
            },
        };
        let row = |cohort: &Cohort| HeatRow {
            label: cohort.month_on.format("%b %Y").to_string(),
            note: cohort.customers.to_string(),
            cells: match cohort.customers {
                0 => Vec::new(),
                _ => cohort.periods.iter().map(cell).collect(),
            },
        };
        let (title, shades) = match measure {
            CohortMeasure::Retention => ("Retention", "percent of the cohort that ordered".into()),
            CohortMeasure::Revenue => {
                ("Revenue", format!("{} paid less refunded", calendar.currency))
            }
        };
        Chart::heatmap(
            format!("{title} by month of first order"),
            format!("{shades}, by months since the first order"),
            "customers".into(),
            self.cohorts.iter().map(row).collect(),
        )
    }
}
