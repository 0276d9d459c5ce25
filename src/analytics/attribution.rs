//! Attribution: which meetings before an order get how much of the credit for it.

use actix_web::get;
use chrono::{NaiveDate, TimeDelta};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Double, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::chart::{Bar, Chart, ChartStyle, Unit};
use super::period::{Calendar, Period};
use super::{draw, rounded, show};
use crate::auth::{Caller, TokenInAddress};
use crate::db::{Conn, id};
use crate::error::{Error, Result};
use crate::http::{Query, Reply};
use crate::values::money::Money;

crate::text_enum! {
    /// How the credit for an order is divided among what led to it.
    pub enum AttributionModel {
        /// All to the first.
        First = "first",
        /// All to the last.
        Last = "last",
        /// The same to each.
        Linear = "linear",
        /// Half as much for every seven days earlier.
        TimeDecay = "time_decay",
        /// 40 % each to the first and the last, 20 % to those between.
        Position = "position",
    }
}

crate::text_enum! {
    /// What the credit is given to.
    pub enum AttributionDimension {
        Channel = "channel",
        /// `utm_source` of the campaign that led here.
        Source = "source",
        /// `utm_medium`.
        Medium = "medium",
        /// `utm_campaign`.
        Campaign = "campaign",
    }
}

/// How to divide the credit.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AttributionRules {
    /// The model; `last` unless said otherwise.
    #[param(inline)]
    pub model: Option<AttributionModel>,
    /// What gets the credit; `channel` unless said otherwise.
    #[param(inline)]
    pub by: Option<AttributionDimension>,
    /// Days before an order that are looked at, 1 to 365.
    #[param(minimum = 1, maximum = 365, default = 30)]
    pub lookback_days: Option<i32>,
}

/// Who gets the credit for the orders of a period.
#[derive(Debug, Serialize, ToSchema)]
pub struct Attribution {
    /// First day of the orders.
    pub from: NaiveDate,
    /// Last day of the orders.
    pub to: NaiveDate,
    /// How the credit is divided.
    #[schema(value_type = String, extensions(("x-extensible-enum" = json!(AttributionModel::ALL))), example = "last")]
    pub model: AttributionModel,
    /// What it is given to.
    #[schema(value_type = String, extensions(("x-extensible-enum" = json!(AttributionDimension::ALL))), example = "channel")]
    pub by: AttributionDimension,
    /// Days before an order that were looked at.
    #[schema(example = 30)]
    pub lookback_days: i32,
    /// Most revenue first, the first 200; orders that nothing led to have a null `key`.
    pub credits: Vec<AttributionCredit>,
    /// How many there are in all; where they are more than 200, `credits` do not add up to all orders.
    #[schema(example = 5)]
    pub credit_count: i64,
}

/// The credit of one channel, source, medium or campaign.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttributionCredit {
    /// Id of the channel, or the word itself; null for orders that nothing led to.
    #[schema(example = "newsletter")]
    pub key: Option<String>,
    /// Name of the channel, or the word itself.
    #[schema(example = "newsletter")]
    pub name: Option<String>,
    /// Orders, in parts where several share the credit.
    #[schema(example = 12.4)]
    pub orders: f64,
    /// Its part of what was paid less refunded, in the workspace's currency.
    pub revenue: Money,
}

/// Divide the credit for orders
///
/// Among the customer's touchpoints before each order, within the lookback: those on a channel, or
/// those with a campaign, by `by`. What orders and carts themselves report gets none, nor what the
/// company records internally. Orders of guests nobody knows count as led to by nothing.
#[utoipa::path(tag = "analytics", security(("bearer" = ["analytics:read"])), params(AttributionRules, Period), responses((status = 200, body = Attribution)))]
#[get("/analytics/attribution")]
pub async fn get_attribution(
    caller: Caller,
    rules: Query<AttributionRules>,
    period: Query<Period>,
) -> Result<Reply> {
    show(caller, move |conn, calendar| attribution(conn, calendar, &rules, &period)).await
}

/// Draw the credit for orders
///
/// The revenue of the twelve that get most, as an SVG image.
#[utoipa::path(tag = "analytics", security(("bearer" = ["analytics:read"])), params(AttributionRules, Period, ChartStyle, TokenInAddress), responses((status = 200, body = String, content_type = "image/svg+xml", description = "The chart.")))]
#[get("/analytics/attribution/chart.svg")]
pub async fn get_attribution_chart(
    caller: Caller,
    rules: Query<AttributionRules>,
    period: Query<Period>,
    style: Query<ChartStyle>,
) -> Result<Reply> {
    draw(caller, style, move |conn, calendar| {
        Ok(attribution(conn, calendar, &rules, &period)?.chart(calendar))
    })
    .await
}

impl AttributionRules {
    fn days(&self) -> Result<i32> {
        let days = self.lookback_days.unwrap_or(30);
        if !(1..=365).contains(&days) {
            return Err(Error::parameter("lookback_days", "`lookback_days` must be from 1 to 365"));
        }
        Ok(days)
    }
}

/// Credits that a chart shows.
const BARS: usize = 12;

const CREDITS: &str = "
    with placed as (
      select id, customer_id, placed_at,
             case when currency = $4 then paid_total - refunded_total else 0 end as amount
        from orders
       where workspace_id = $1 and placed_at >= $2 and placed_at < $3 and status <> 'cancelled'
         and deleted_at is null
    ), touches as (
      select placed.id as order_id, placed.amount, touch.key, touch.id,
             extract(epoch from placed.placed_at)::float8
               - ('x' || left(replace(touch.id::text, '-', ''), 12))::bit(48)::bigint / 1000.0::float8
               as age
        from placed
        left join lateral (
          select * from (
            select t.id, case $6 when 'channel' then t.channel_id::text
                                 else t.context -> 'campaign' ->> $6 end as key
              from touchpoints t
             where t.workspace_id = $1 and t.customer_id = placed.customer_id
               and t.id >= uuid_v7_floor(placed.placed_at - make_interval(days => $5))
               and t.id < uuid_v7_floor(placed.placed_at)
               -- The same for all of them, so that only months of the period are opened.
               and t.id >= $8 and t.id < $9
               and t.direction <> 'internal' and t.type !~ '^(order|cart)[.]') met
           where key is not null) touch on true
    ), credited as (
      select key, amount,
             case
               -- Nothing led to it: all the credit is nobody's.
               when key is null then 1
               when $7 = 'first' then (position = 1)::int::float8
               when $7 = 'last' then (position = n)::int::float8
               when $7 = 'linear' then 1.0 / n
               when $7 = 'time_decay' then decayed / sum(decayed) over (partition by order_id)
               when n <= 2 then 1.0 / n
               when position in (1, n) then 0.4
               else 0.2 / (n - 2)
             end as weight
        from (select order_id, key, amount,
                     row_number() over (partition by order_id order by id) as position,
                     count(*) over (partition by order_id) as n,
                     -- Measured from the last one, or what is long ago would vanish altogether.
                     power(2.0, (min(age) over (partition by order_id) - age) / 604800) as decayed
                from touches) counted
    )
    select key, sum(weight)::float8 as orders, sum(weight * amount)::float8 as revenue,
           count(*) over () as of_all,
           (select c.name from channels c
             where $6 = 'channel' and c.workspace_id = $1 and c.id::text = key) as name
      from credited group by key
     order by revenue desc, orders desc, key
     limit 200";

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Nullable<Text>)]
    key: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    name: Option<String>,
    #[diesel(sql_type = Double)]
    orders: f64,
    #[diesel(sql_type = Double)]
    revenue: f64,
    #[diesel(sql_type = BigInt)]
    of_all: i64,
}

fn attribution(
    conn: &mut Conn,
    calendar: &Calendar,
    rules: &AttributionRules,
    period: &Period,
) -> Result<Attribution> {
    let lookback_days = rules.days()?;
    let span = calendar.span(period)?;
    let by = rules.by.unwrap_or(AttributionDimension::Channel);
    let model = rules.model.unwrap_or(AttributionModel::Last);
    let rows: Vec<Row> = diesel::sql_query(CREDITS)
        .bind::<SqlUuid, _>(conn.workspace)
        .bind::<Timestamptz, _>(span.start)
        .bind::<Timestamptz, _>(span.end)
        .bind::<Text, _>(&calendar.currency)
        .bind::<Integer, _>(lookback_days)
        .bind::<Text, _>(if by == AttributionDimension::Campaign { "name" } else { by.as_str() })
        .bind::<Text, _>(model.as_str())
        .bind::<SqlUuid, _>(id::floor(span.start - TimeDelta::days(lookback_days.into())))
        .bind::<SqlUuid, _>(id::floor(span.end))
        .load(conn.pg)?;
    let credit_count = rows.first().map_or(0, |row| row.of_all);
    let credit = |row: Row| AttributionCredit {
        name: row.name.or_else(|| row.key.clone()),
        key: row.key,
        orders: rounded(row.orders, 2),
        revenue: Money { amount: row.revenue.round() as i64, currency: calendar.currency.clone() },
    };
    let credits = rows.into_iter().map(credit).collect();
    Ok(Attribution {
        from: span.from,
        to: span.to,
        model,
        by,
        lookback_days,
        credits,
        credit_count,
    })
}

impl Attribution {
    fn chart(&self, calendar: &Calendar) -> Chart {
        let bar = |credit: &AttributionCredit| Bar {
            label: credit.name.clone().unwrap_or_else(|| "nothing known".into()),
            value: credit.revenue.amount,
            note: parts(credit.orders),
        };
        let model = self.model.as_str().replace('_', " ");
        let shown = match usize::try_from(self.credit_count).unwrap_or(usize::MAX) {
            all if all > BARS => format!(", the first {BARS} of {all}"),
            _ => String::new(),
        };
        Chart::bars(
            format!("Revenue by {}", self.by),
            format!(
                "{} to {}, {model} attribution, {} days back{shown}",
                self.from, self.to, self.lookback_days
            ),
            Unit::money(&calendar.currency),
            self.credits.iter().take(BARS).map(bar).collect(),
        )
    }
}

/// Orders, of which several may have a part: `1 order`, `12.4 orders`.
fn parts(orders: f64) -> String {
    let text = format!("{orders:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    format!("{text} {}", if text == "1" { "order" } else { "orders" })
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn orders_and_parts_of_them_are_written_as_people_do() {
        assert_eq!(
            [0.0, 1.0, 1.04, 74.0].map(parts),
            ["0 orders", "1 order", "1 order", "74 orders"]
        );
        assert_eq!([0.5, 12.4].map(parts), ["0.5 orders", "12.4 orders"]);
    }
}
