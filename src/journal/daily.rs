//! What happened on a channel day by day, from counters that are kept while touchpoints come in.

use chrono::NaiveDate;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Date, Text, Uuid as SqlUuid};
use uuid::Uuid;

use crate::db::Conn;
use crate::error::Result;

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
pub fn counts(
    conn: &mut Conn,
    channel: Uuid,
    from: NaiveDate,
    to: NaiveDate,
) -> Result<Vec<DailyCount>> {
    let statement = "
        select day, type, sum(n)::bigint as n
          from touchpoint_daily
         where workspace_id = $1 and channel_id = $2 and day between $3 and $4
         group by day, type
         order by day, type";
    Ok(diesel::sql_query(statement)
        .bind::<SqlUuid, _>(conn.workspace)
        .bind::<SqlUuid, _>(channel)
        .bind::<Date, _>(from)
        .bind::<Date, _>(to)
        .load(conn.pg)?)
}
