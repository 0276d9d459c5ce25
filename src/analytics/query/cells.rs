//! The figures of a question, as the database adds them up.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid,
};
use uuid::Uuid;

use super::super::period::Span;
use super::{AnalyticsQuery, Grouping, Measure, Metric};
use crate::db::{Conn, id};
use crate::error::Result;

/// The days to look at, and where each step of them begins.
pub struct Course {
    pub span: Span,
    pub steps: Vec<DateTime<Utc>>,
}

/// What one step of a series comes to; without a step, the whole series.
#[derive(QueryableByName)]
pub struct Cell {
    #[diesel(sql_type = Nullable<Integer>)]
    pub step: Option<i32>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub channel_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<Text>)]
    pub label: Option<String>,
    #[diesel(sql_type = BigInt)]
    pub value: i64,
}

impl AnalyticsQuery {
    /// Counts of touchpoints come from their counters, all else from the records.
    pub fn cells(&self, conn: &mut Conn, course: &Course, currency: &str) -> Result<Vec<Cell>> {
        match (self.metric, self.measure) {
            (Metric::Touchpoints, Measure::Count) => self.counters(conn, course),
            (Metric::Touchpoints, _) => self.touchpoints(conn, course, currency),
            (Metric::Orders, _) => self.orders(conn, course, currency),
        }
    }

    fn counters(&self, conn: &mut Conn, Course { span, steps }: &Course) -> Result<Vec<Cell>> {
        Ok(diesel::sql_query(COUNTERS)
            .bind::<SqlUuid, _>(conn.workspace)
            .bind::<Timestamptz, _>(span.start)
            .bind::<Timestamptz, _>(span.end)
            .bind::<Array<Timestamptz>, _>(steps)
            .bind::<Bool, _>(self.groups(Grouping::Channel))
            .bind::<Bool, _>(self.groups(Grouping::Type))
            .bind::<Array<Text>, _>(&self.types)
            .bind::<Array<SqlUuid>, _>(&self.channel_ids)
            .load(conn.pg)?)
    }

    fn touchpoints(
        &self,
        conn: &mut Conn,
        Course { span, steps }: &Course,
        currency: &str,
    ) -> Result<Vec<Cell>> {
        let steps: Vec<Uuid> = steps.iter().copied().map(id::floor).collect();
        Ok(diesel::sql_query(TOUCHPOINTS)
            .bind::<SqlUuid, _>(conn.workspace)
            .bind::<SqlUuid, _>(id::floor(span.start))
            .bind::<SqlUuid, _>(id::floor(span.end))
            .bind::<Array<SqlUuid>, _>(steps)
            .bind::<Bool, _>(self.groups(Grouping::Channel))
            .bind::<Bool, _>(self.groups(Grouping::Type))
            .bind::<Array<Text>, _>(&self.types)
            .bind::<Array<SqlUuid>, _>(&self.channel_ids)
            .bind::<Text, _>(self.measure.as_str())
            .bind::<Text, _>(currency)
            .load(conn.pg)?)
    }

    fn orders(
        &self,
        conn: &mut Conn,
        Course { span, steps }: &Course,
        currency: &str,
    ) -> Result<Vec<Cell>> {
        Ok(diesel::sql_query(ORDERS)
            .bind::<SqlUuid, _>(conn.workspace)
            .bind::<Timestamptz, _>(span.start)
            .bind::<Timestamptz, _>(span.end)
            .bind::<Array<Timestamptz>, _>(steps)
            .bind::<Bool, _>(self.groups(Grouping::Channel))
            .bind::<Bool, _>(self.groups(Grouping::Source))
            .bind::<Array<SqlUuid>, _>(&self.channel_ids)
            .bind::<Text, _>(self.measure.as_str())
            .bind::<Text, _>(currency)
            .load(conn.pg)?)
    }
}

const COUNTERS: &str = "
    select step, channel_id, label, sum(n)::bigint as value
      from (select width_bucket(at, $4) as step,
                   case when $5 and channel_id <> '00000000-0000-0000-0000-000000000000'
                        then channel_id end as channel_id,
                   case when $6 then type end as label, n
              from touchpoint_counts
             where workspace_id = $1 and at >= $2 and at < $3
               and ($7 = '{}' or type = any($7)) and ($8 = '{}' or channel_id = any($8))) counted
     group by grouping sets ((step, channel_id, label), (channel_id, label))";

const TOUCHPOINTS: &str = "
    select step, channel_id, label,
           case $9
             when 'unique' then count(distinct customer_id)
             -- What is beyond 64 bits is the most that they hold.
             when 'sum' then least(greatest(coalesce(sum(amount), 0), -9223372036854775808),
                                   9223372036854775807)::bigint
             else coalesce(round(avg(amount)), 0)::bigint
           end as value
      from (select width_bucket(id, $4) as step, case when $5 then channel_id end as channel_id,
                   case when $6 then type end as label,
                   case when $9 = 'unique' then customer_id end as customer_id,
                   case when value_currency = $10 then value_amount end as amount
              from touchpoints
             where workspace_id = $1 and id >= $2 and id < $3
               and ($7 = '{}' or type = any($7)) and ($8 = '{}' or channel_id = any($8))) happened
     group by grouping sets ((step, channel_id, label), (channel_id, label))";

const ORDERS: &str = "
    select step, channel_id, label,
           case $8
             when 'count' then count(*)
             when 'unique' then count(distinct customer_id)
             -- What is beyond 64 bits is the most that they hold.
             when 'sum' then least(greatest(coalesce(sum(amount), 0), -9223372036854775808),
                                   9223372036854775807)::bigint
             else coalesce(round(avg(amount)), 0)::bigint
           end as value
      from (select width_bucket(placed_at, $4) as step, case when $5 then channel_id end as channel_id,
                   case when $6 then source end as label,
                   case when $8 = 'unique' then customer_id end as customer_id,
                   case when currency = $9 then paid_total - refunded_total end as amount
              from orders
             where workspace_id = $1 and placed_at >= $2 and placed_at < $3
               and status <> 'cancelled' and deleted_at is null
               and ($7 = '{}' or channel_id = any($7))) placed
     group by grouping sets ((step, channel_id, label), (channel_id, label))";
