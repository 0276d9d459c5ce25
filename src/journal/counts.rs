//! How much happened when, from counters that are kept while touchpoints come in.

use chrono::{DateTime, NaiveDate, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Date, Text, Uuid as SqlUuid};
use uuid::Uuid;

use crate::db::{Conn, id};
use crate::error::Result;

/// Seconds that are counted together: whatever its time zone, a day begins with such a quarter of an
/// hour.
const QUARTER: i64 = 900;

/// The quarter of an hour that a touchpoint of this id counts in.
pub fn quarter(id: Uuid) -> DateTime<Utc> {
    let seconds = id::instant(id).timestamp();
    DateTime::from_timestamp(seconds - seconds.rem_euclid(QUARTER), 0).unwrap_or_default()
}

/// How many touchpoints of a type happened on a day (UTC).
#[derive(Debug, Clone, PartialEq, Eq, QueryableByName)]
pub struct DailyCount {
    #[diesel(sql_type = Date)]
    pub day: NaiveDate,
    #[diesel(sql_type = Text, column_name = "type")]
    pub r#type: String,
    #[diesel(sql_type = BigInt)]
    pub n: i64,
}

/// The counts of a channel from the first day to the last, both included.
pub fn by_day(
    conn: &mut Conn,
    channel: Uuid,
    from: NaiveDate,
    to: NaiveDate,
) -> Result<Vec<DailyCount>> {
    let statement = "
        select (at at time zone 'UTC')::date as day, type, sum(n)::bigint as n
          from touchpoint_counts
         where workspace_id = $1 and channel_id = $2
           and at >= $3::timestamp at time zone 'UTC'
           and at < ($4 + 1)::timestamp at time zone 'UTC'
         group by 1, type
         order by 1, type";
    Ok(diesel::sql_query(statement)
        .bind::<SqlUuid, _>(conn.workspace)
        .bind::<SqlUuid, _>(channel)
        .bind::<Date, _>(from)
        .bind::<Date, _>(to)
        .load(conn.pg)?)
}
