//! How much happens on a channel: touchpoints by day and by type.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use actix_web::get;
use chrono::{Days, NaiveDate};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::Channel;
use crate::auth::{Caller, Scope};
use crate::error::{Error, Result};
use crate::http::reply::Plain;
use crate::http::{Path, Query, Reply};
use crate::journal::counts::{self, DailyCount};
use crate::values::time::check_date;

/// The days to count, in UTC.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ChannelStatsPeriod {
    /// First day; 29 days before the last one unless said otherwise.
    pub from: Option<NaiveDate>,
    /// Last day, at most 366 days in all; today unless said otherwise.
    pub to: Option<NaiveDate>,
}

/// How much happened on a channel.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChannelStats {
    /// First day counted.
    pub from: NaiveDate,
    /// Last day counted.
    pub to: NaiveDate,
    /// Touchpoints in all, the channel's own changes included.
    pub total: i64,
    /// Touchpoints by type, most frequent first.
    pub by_type: Vec<TypeCount>,
    /// Touchpoints by day, for every day of the period.
    pub by_day: Vec<DayCount>,
}

/// How many touchpoints of a type there were.
#[derive(Debug, Serialize, ToSchema)]
pub struct TypeCount {
    /// Type of the touchpoints.
    #[schema(example = "message.delivered")]
    pub r#type: String,
    /// How many there were.
    pub count: i64,
}

/// How many touchpoints there were on a day.
#[derive(Debug, Serialize, ToSchema)]
pub struct DayCount {
    /// The day, in UTC.
    pub day: NaiveDate,
    /// How many there were.
    pub count: i64,
}

const MAX_DAYS: i64 = 366;
const DEFAULT_DAYS: u64 = 30;

/// Count the touchpoints of a channel
///
/// By the day on which they happened, in UTC; the last 30 days unless said otherwise.
#[utoipa::path(tag = "channels", security(("bearer" = ["channels:read"])), params(ChannelStatsPeriod), responses((status = 200, body = ChannelStats)))]
#[get("/channels/{id}/stats")]
pub async fn get_channel_stats(
    caller: Caller,
    id: Path<Uuid>,
    period: Query<ChannelStatsPeriod>,
) -> Result<Reply> {
    let grant = caller.must(Scope::ChannelsRead)?;
    grant
        .list(move |conn| {
            let (from, to) = period.days(conn.now.date_naive())?;
            Channel::must_exist(conn, *id)?;
            let counts = counts::by_day(conn, *id, from, to)?;
            Ok(Plain(ChannelStats::of(from, to, counts)))
        })
        .await
}

impl ChannelStatsPeriod {
    fn days(&self, today: NaiveDate) -> Result<(NaiveDate, NaiveDate)> {
        for (name, day) in [("from", self.from), ("to", self.to)] {
            if day.is_some_and(|day| !check_date(day)) {
                return Err(Error::parameter(name, format!("`{name}` must be from 1900 to 2199")));
            }
        }
        let to = self.to.unwrap_or(today);
        let from = self.from.unwrap_or(to - Days::new(DEFAULT_DAYS - 1));
        let days = (to - from).num_days() + 1;
        if !(1..=MAX_DAYS).contains(&days) {
            let detail = format!("`from` to `to` must be 1 to {MAX_DAYS} days");
            return Err(Error::parameter("from", detail));
        }
        Ok((from, to))
    }
}

impl ChannelStats {
    fn of(from: NaiveDate, to: NaiveDate, counts: Vec<DailyCount>) -> Self {
        let mut by_day: BTreeMap<NaiveDate, i64> =
            from.iter_days().take_while(|day| *day <= to).map(|day| (day, 0)).collect();
        let mut by_type: BTreeMap<String, i64> = BTreeMap::new();
        for count in counts {
            *by_day.entry(count.day).or_default() += count.n;
            *by_type.entry(count.r#type).or_default() += count.n;
        }
        let mut by_type: Vec<TypeCount> =
            by_type.into_iter().map(|(r#type, count)| TypeCount { r#type, count }).collect();
        by_type.sort_by_key(|row| Reverse(row.count));
        Self {
            from,
            to,
            total: by_type.iter().map(|row| row.count).sum(),
            by_type,
            by_day: by_day.into_iter().map(|(day, count)| DayCount { day, count }).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a day")
    }

    fn period(from: Option<&str>, to: Option<&str>) -> Option<(NaiveDate, NaiveDate)> {
        let period = ChannelStatsPeriod { from: from.map(day), to: to.map(day) };
        period.days(day("2026-03-31")).ok()
    }

    #[test]
    fn the_period_is_the_last_30_days_unless_said_otherwise() {
        assert_eq!(period(None, None), Some((day("2026-03-02"), day("2026-03-31"))));
        assert_eq!(period(None, Some("2026-01-30")), Some((day("2026-01-01"), day("2026-01-30"))));
        assert_eq!(period(Some("2026-03-31"), None), Some((day("2026-03-31"), day("2026-03-31"))));
    }

    #[test]
    fn the_period_has_1_to_366_days() {
        assert!(period(Some("2024-01-01"), Some("2024-12-31")).is_some());
        assert!(period(Some("2024-01-01"), Some("2025-01-01")).is_none());
        assert!(period(Some("2026-04-01"), None).is_none());
        assert!(period(None, Some("2200-01-01")).is_none());
    }

    #[test]
    fn every_day_of_the_period_is_shown_and_the_most_frequent_type_first() {
        let count = |on: &str, kind: &str, n| DailyCount { day: day(on), r#type: kind.into(), n };
        let counts = vec![
            count("2026-03-01", "page.viewed", 2),
            count("2026-03-03", "page.viewed", 1),
            count("2026-03-03", "call.made", 4),
        ];
        let stats = ChannelStats::of(day("2026-03-01"), day("2026-03-03"), counts);
        assert_eq!(stats.total, 7);
        let types: Vec<_> =
            stats.by_type.iter().map(|row| (row.r#type.as_str(), row.count)).collect();
        assert_eq!(types, [("call.made", 4), ("page.viewed", 3)]);
        let days: Vec<_> = stats.by_day.iter().map(|row| row.count).collect();
        assert_eq!(days, [2, 0, 5]);
    }
}
