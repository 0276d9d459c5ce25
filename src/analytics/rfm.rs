//! Recency, frequency, money: who buys lately, often and much, and what to call them.
//!
//! Each buyer gets a score from 1 to 5 in each: one more than the quintile boundaries that their value
//! is beyond, so equal values have equal scores. Where there are few buyers, or many with the same value,
//! those on a boundary count as recent, and as having bought seldom and little: the only buyer of a
//! shop is new and not lost. The names of the segments are the usual eleven, by recency and the mean of
//! the other two (rounded up).

use actix_web::get;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Timestamptz, Uuid as SqlUuid};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::chart::{Bar, Chart, ChartStyle, Unit};
use super::period::Calendar;
use super::{draw, show};
use crate::auth::{Caller, Scope, TokenInAddress};
use crate::db::Conn;
use crate::db::keyset::{Bound, SortKey, SortKind};
use crate::error::Result;
use crate::http::{AnyOf, List, Page, Query, Reply};
use crate::values::money::Money;

crate::text_enum! {
    /// What buyers of some scores are called.
    pub enum RfmSegment {
        Champions = "champions",
        LoyalCustomers = "loyal_customers",
        PotentialLoyalists = "potential_loyalists",
        NewCustomers = "new_customers",
        Promising = "promising",
        NeedAttention = "need_attention",
        AboutToSleep = "about_to_sleep",
        AtRisk = "at_risk",
        CannotLoseThem = "cannot_lose_them",
        Hibernating = "hibernating",
        Lost = "lost",
    }
}

use RfmSegment::{
    AboutToSleep, AtRisk, CannotLoseThem, Champions, Hibernating, Lost, LoyalCustomers,
    NeedAttention, NewCustomers, PotentialLoyalists, Promising,
};

/// By recency (1 to 5, downwards), then by frequency and money (1 to 5).
const GRID: [[RfmSegment; 5]; 5] = [
    [Lost, Lost, AtRisk, AtRisk, CannotLoseThem],
    [Hibernating, Hibernating, AtRisk, AtRisk, CannotLoseThem],
    [AboutToSleep, AboutToSleep, NeedAttention, LoyalCustomers, LoyalCustomers],
    [Promising, PotentialLoyalists, PotentialLoyalists, LoyalCustomers, Champions],
    [NewCustomers, PotentialLoyalists, PotentialLoyalists, Champions, Champions],
];

/// All buyers by recency, frequency and money.
#[derive(Debug, Serialize, ToSchema)]
pub struct Rfm {
    /// As of when.
    pub as_of: DateTime<Utc>,
    /// How many customers have ordered something.
    #[schema(example = 1240)]
    pub customers: i64,
    /// Where one score ends and the next begins.
    pub thresholds: RfmThresholds,
    /// Every segment, the best first.
    pub segments: Vec<RfmSegmentFigures>,
}

/// The boundaries between the scores, four each; a value beyond one has a higher score, and so has a last
/// order just at one.
#[derive(Debug, Serialize, ToSchema)]
pub struct RfmThresholds {
    /// The last order, in days ago; fewer days score higher.
    #[schema(example = json!([210.5, 120.0, 61.2, 20.9]))]
    pub recency_days: Vec<f64>,
    /// How many orders.
    #[schema(example = json!([1, 1, 2, 4]))]
    pub orders_count: Vec<i64>,
    /// Amount paid less refunded, in minor units.
    #[schema(example = json!([4990, 9900, 18_500, 42_000]))]
    pub total_spent: Vec<i64>,
}

/// How many buyers a segment has and what they are worth.
#[derive(Debug, Serialize, ToSchema)]
pub struct RfmSegmentFigures {
    /// Its name.
    #[schema(value_type = String, extensions(("x-extensible-enum" = json!(RfmSegment::ALL))), example = "champions")]
    pub segment: RfmSegment,
    /// How many customers it has.
    #[schema(example = 124)]
    pub customers: i64,
    /// Their part of all buyers, from 0 to 1.
    #[schema(example = 0.1)]
    pub share: f64,
    /// Orders of all of them.
    #[schema(example = 980)]
    pub orders: i64,
    /// What all of them spent.
    pub total_spent: Money,
}

/// The scores of one customer.
#[derive(Debug, Serialize, ToSchema)]
pub struct RfmCustomer {
    /// The customer.
    pub customer_id: Uuid,
    /// When they ordered last.
    pub last_order_at: DateTime<Utc>,
    /// How many orders they placed.
    #[schema(example = 9)]
    pub orders_count: i64,
    /// What they spent.
    pub total_spent: Money,
    /// From 1 to 5, by the last order.
    #[schema(example = 5)]
    pub recency_score: i32,
    /// From 1 to 5, by the number of orders.
    #[schema(example = 4)]
    pub frequency_score: i32,
    /// From 1 to 5, by the amount.
    #[schema(example = 4)]
    pub monetary_score: i32,
    /// The segment of these scores.
    #[schema(value_type = String, extensions(("x-extensible-enum" = json!(RfmSegment::ALL))), example = "champions")]
    pub segment: RfmSegment,
}

/// Which buyers to list.
#[derive(Debug, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RfmFilter {
    /// Any of these.
    #[serde(default)]
    #[param(value_type = Option<Vec<RfmSegment>>, inline, style = Form, explode = false)]
    pub segment: AnyOf<RfmSegment>,
}

/// Divide the buyers by recency, frequency and money
///
/// Scores from 1 to 5 by quintile and the usual segments, over everybody who has ordered something.
#[utoipa::path(tag = "analytics", security(("bearer" = ["analytics:read"])), responses((status = 200, body = Rfm)))]
#[get("/analytics/rfm")]
pub async fn get_rfm(caller: Caller) -> Result<Reply> {
    show(caller, rfm).await
}

/// Draw the segments of the buyers
///
/// How many customers each segment has, as an SVG image.
#[utoipa::path(tag = "analytics", security(("bearer" = ["analytics:read"])), params(ChartStyle, TokenInAddress), responses((status = 200, body = String, content_type = "image/svg+xml", description = "The chart.")))]
#[get("/analytics/rfm/chart.svg")]
pub async fn get_rfm_chart(caller: Caller, style: Query<ChartStyle>) -> Result<Reply> {
    draw(caller, style, |conn, calendar| Ok(rfm(conn, calendar)?.chart(calendar))).await
}

const SORT: &[SortKey] =
    &[SortKey { name: "customer_id", column: "customer_id", kind: SortKind::Id }];

/// List buyers with their scores
///
/// Latest customers first unless sorted otherwise.
#[utoipa::path(tag = "analytics", security(("bearer" = ["analytics:read"])), params(Page, RfmFilter), responses((status = 200, body = List<RfmCustomer>)))]
#[get("/analytics/rfm/customers")]
pub async fn list_rfm_customers(
    caller: Caller,
    page: Query<Page>,
    filter: Query<RfmFilter>,
) -> Result<Reply> {
    let grant = caller.must(Scope::AnalyticsRead)?;
    let slice = page.slice(&grant, "rfm_customers", SORT, &filter.0)?;
    grant
        .list(move |conn| {
            let currency = Calendar::of(conn)?.currency;
            let cells = cells_of(&filter.segment);
            let total = slice.total(|| {
                let counted: Count = diesel::sql_query(COUNT)
                    .bind::<SqlUuid, _>(conn.workspace)
                    .bind::<Array<Integer>, _>(&cells)
                    .get_result(conn.pg)?;
                Ok(counted.value)
            })?;
            let after = slice.after.bounds.first().and_then(|bound| match bound {
                Bound::Id(id) => Some(*id),
                _ => None,
            });
            let is_ascending = slice.order.0.first().is_some_and(|term| !term.is_descending);
            let rows: Vec<ScoredRow> = diesel::sql_query(if is_ascending { UP } else { DOWN })
                .bind::<SqlUuid, _>(conn.workspace)
                .bind::<Array<Integer>, _>(&cells)
                .bind::<Nullable<SqlUuid>, _>(after)
                .bind::<BigInt, _>(slice.fetch())
                .load(conn.pg)?;
            slice.list(rows.into_iter().map(|row| row.shown(&currency)).collect(), total)
        })
        .await
}

/// Recency, and frequency with money, of these segments as `recency * 10 + the other`; all of them
/// where none is named.
fn cells_of(segments: &AnyOf<RfmSegment>) -> Vec<i32> {
    let all = (1..=5).flat_map(|recency| (1..=5).map(move |worth| (recency, worth)));
    let wanted = all.filter(|(recency, worth)| {
        segments.given().is_none_or(|wanted| wanted.contains(&segment(*recency, *worth)))
    });
    wanted.map(|(recency, worth)| recency * 10 + worth).collect()
}

fn segment(recency: i32, worth: i32) -> RfmSegment {
    let index = |score: i32| usize::try_from(score - 1).expect("BUG: scores are 1 to 5");
    GRID[index(recency)][index(worth)]
}

macro_rules! scored {
    ($rest:literal) => {
        concat!(
            "
    with buyers as (
      select s.customer_id, s.last_order_at, s.orders_count, s.total_spent
        from customer_stats s
        join customers c on c.workspace_id = s.workspace_id and c.id = s.customer_id
       where s.workspace_id = $1 and s.orders_count > 0 and c.deleted_at is null
         and c.merged_into_id is null
    ), bounds as (
      select percentile_disc(array[0.8, 0.6, 0.4, 0.2])
               within group (order by last_order_at desc) as r,
             percentile_disc(array[0.2, 0.4, 0.6, 0.8]) within group (order by orders_count) as f,
             percentile_disc(array[0.2, 0.4, 0.6, 0.8]) within group (order by total_spent) as m
        from buyers
    ), scored as (
      select buyers.*,
             1 + (last_order_at >= r[1])::int + (last_order_at >= r[2])::int
               + (last_order_at >= r[3])::int + (last_order_at >= r[4])::int as recency,
             1 + (orders_count > f[1])::int + (orders_count > f[2])::int
               + (orders_count > f[3])::int + (orders_count > f[4])::int as frequency,
             1 + (total_spent > m[1])::int + (total_spent > m[2])::int
               + (total_spent > m[3])::int + (total_spent > m[4])::int as money
        from buyers, bounds
    ) ",
            $rest
        )
    };
}

const CELLS: &str = scored!(
    "select recency, (frequency + money + 1) / 2 as worth, count(*) as customers,
            sum(orders_count)::bigint as orders, sum(total_spent)::bigint as spent
       from scored group by 1, 2"
);
const BOUNDS: &str = scored!("select r, f, m from bounds");
const COUNT: &str = scored!(
    "select count(*) as value from scored where recency * 10 + (frequency + money + 1) / 2 = any($2)"
);
const DOWN: &str = scored!(
    "select * from scored
      where recency * 10 + (frequency + money + 1) / 2 = any($2) and ($3 is null or customer_id < $3)
      order by customer_id desc limit $4"
);
const UP: &str = scored!(
    "select * from scored
      where recency * 10 + (frequency + money + 1) / 2 = any($2) and ($3 is null or customer_id > $3)
      order by customer_id limit $4"
);

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    value: i64,
}

#[derive(QueryableByName)]
struct CellRow {
    #[diesel(sql_type = Integer)]
    recency: i32,
    #[diesel(sql_type = Integer)]
    worth: i32,
    #[diesel(sql_type = BigInt)]
    customers: i64,
    #[diesel(sql_type = BigInt)]
    orders: i64,
    #[diesel(sql_type = BigInt)]
    spent: i64,
}

#[derive(QueryableByName)]
struct BoundsRow {
    #[diesel(sql_type = Nullable<Array<Timestamptz>>)]
    r: Option<Vec<DateTime<Utc>>>,
    #[diesel(sql_type = Nullable<Array<BigInt>>)]
    f: Option<Vec<i64>>,
    #[diesel(sql_type = Nullable<Array<BigInt>>)]
    m: Option<Vec<i64>>,
}

#[derive(QueryableByName)]
struct ScoredRow {
    #[diesel(sql_type = SqlUuid)]
    customer_id: Uuid,
    #[diesel(sql_type = Timestamptz)]
    last_order_at: DateTime<Utc>,
    #[diesel(sql_type = BigInt)]
    orders_count: i64,
    #[diesel(sql_type = BigInt)]
    total_spent: i64,
    #[diesel(sql_type = Integer)]
    recency: i32,
    #[diesel(sql_type = Integer)]
    frequency: i32,
    #[diesel(sql_type = Integer)]
    money: i32,
}

impl ScoredRow {
    fn shown(self, currency: &str) -> RfmCustomer {
        RfmCustomer {
            customer_id: self.customer_id,
            last_order_at: self.last_order_at,
            orders_count: self.orders_count,
            total_spent: Money { amount: self.total_spent, currency: currency.to_owned() },
            recency_score: self.recency,
            frequency_score: self.frequency,
            monetary_score: self.money,
            segment: segment(self.recency, (self.frequency + self.money + 1) / 2),
        }
    }
}

fn rfm(conn: &mut Conn, calendar: &Calendar) -> Result<Rfm> {
    let bounds: BoundsRow =
        diesel::sql_query(BOUNDS).bind::<SqlUuid, _>(conn.workspace).get_result(conn.pg)?;
    let cells: Vec<CellRow> =
        diesel::sql_query(CELLS).bind::<SqlUuid, _>(conn.workspace).load(conn.pg)?;
    let customers: i64 = cells.iter().map(|cell| cell.customers).sum();
    let figures = |name: &&str| {
        let wanted: RfmSegment = name.parse().expect("BUG: a word of its own enum");
        let cells = cells.iter().filter(|cell| segment(cell.recency, cell.worth) == wanted);
        let zero = (0, 0, 0);
        let (count, orders, spent) = cells.fold(zero, |(count, orders, spent), cell| {
            (count + cell.customers, orders + cell.orders, spent + cell.spent)
        });
        RfmSegmentFigures {
            segment: wanted,
            customers: count,
            share: super::ratio(count, customers),
            orders,
            total_spent: Money { amount: spent, currency: calendar.currency.clone() },
        }
    };
    let ago = |at: DateTime<Utc>| {
        let seconds = (calendar.now - at).as_seconds_f64();
        (seconds / 8640.0).round() / 10.0
    };
    Ok(Rfm {
        as_of: calendar.now,
        customers,
        thresholds: RfmThresholds {
            recency_days: bounds.r.unwrap_or_default().into_iter().map(ago).collect(),
            orders_count: bounds.f.unwrap_or_default(),
            total_spent: bounds.m.unwrap_or_default(),
        },
        segments: RfmSegment::ALL.iter().map(figures).collect(),
    })
}

impl Rfm {
    fn chart(&self, calendar: &Calendar) -> Chart {
        let bar = |figures: &RfmSegmentFigures| Bar {
            label: figures.segment.as_str().replace('_', " "),
            value: figures.customers,
            note: format!("{:.0} %", figures.share * 100.0),
        };
        let segments = if self.customers == 0 { &[][..] } else { &self.segments };
        let buyers = Unit::count("buyers").said(self.customers);
        Chart::bars(
            "Customers by RFM segment".into(),
            format!("{buyers}, as of {}", calendar.today()),
            Unit::count("customers"),
            segments.iter().map(bar).collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_scores_has_a_segment_and_every_segment_a_pair() {
        for name in RfmSegment::ALL {
            let one = AnyOf(vec![name.parse().expect("a segment")]);
            assert!(!cells_of(&one).is_empty(), "{name}");
        }
        assert_eq!(cells_of(&AnyOf::default()).len(), 25);
        assert_eq!(segment(5, 5), Champions);
        assert_eq!(segment(1, 1), Lost);
        assert_eq!(segment(5, 1), NewCustomers);
        assert_eq!(segment(1, 5), CannotLoseThem);
    }
}
