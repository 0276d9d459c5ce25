//! The days of a company: figures are cut where its own midnight is.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::db::Conn;
use crate::error::{Error, FieldError, Result};
use crate::values::time::check_date;
use crate::values::timezone;
use crate::workspaces::Workspace;

crate::text_enum! {
    /// How long each step of a series is; weeks begin on Monday (ISO 8601).
    pub enum Interval {
        Hour = "hour",
        Day = "day",
        Week = "week",
        Month = "month",
        Quarter = "quarter",
        Year = "year",
    }
}

/// The days to look at, in the workspace's time zone.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Period {
    /// First day; 89 days before the last one unless said otherwise.
    pub from: Option<NaiveDate>,
    /// Last day, at most 1100 days in all; today unless said otherwise.
    pub to: Option<NaiveDate>,
}

const DEFAULT_DAYS: u64 = 90;
const MAX_DAYS: i64 = 1100;
/// Steps of one series.
const MAX_STEPS: usize = 1000;

/// How a workspace reckons: its time zone, its currency, and the present.
pub struct Calendar {
    pub timezone: Tz,
    pub currency: String,
    pub now: DateTime<Utc>,
}

/// Whole days, and the instants between which they lie.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub from: NaiveDate,
    pub to: NaiveDate,
    pub start: DateTime<Utc>,
    /// The first instant after.
    pub end: DateTime<Utc>,
}

/// The fault of a period, said of a field or of a parameter by who knows which it is.
pub struct Unfit {
    pub name: &'static str,
    /// Its code in a body.
    pub code: &'static str,
    pub detail: String,
}

impl From<Unfit> for Error {
    fn from(unfit: Unfit) -> Self {
        Self::parameter(unfit.name, unfit.detail)
    }
}

impl Unfit {
    fn out_of_range(name: &'static str, detail: String) -> Self {
        Self { name, code: "out_of_range", detail }
    }

    /// As the fault of a body.
    pub fn in_body(self) -> Error {
        FieldError::at(format!("#/{}", self.name), self.code, self.detail).into()
    }
}

impl Calendar {
    pub fn of(conn: &mut Conn) -> Result<Self> {
        let workspace = Workspace::current(conn)?;
        let timezone = timezone::parse(&workspace.timezone).unwrap_or(Tz::UTC);
        Ok(Self { timezone, currency: workspace.default_currency, now: conn.now })
    }

    /// The day it is.
    pub fn today(&self) -> NaiveDate {
        self.day_of(self.now)
    }

    /// The day of an instant.
    pub fn day_of(&self, at: DateTime<Utc>) -> NaiveDate {
        at.with_timezone(&self.timezone).date_naive()
    }

    /// The first instant of a day: midnight, or what comes after where a clock change skips it.
    pub fn start_of(&self, day: NaiveDate) -> DateTime<Utc> {
        let midnight = day.and_time(NaiveTime::MIN);
        let later = (0..=48).map(|half_hours| midnight + TimeDelta::minutes(30 * half_hours));
        let first = later.filter_map(|time| self.timezone.from_local_datetime(&time).earliest());
        first.map(|time| time.to_utc()).next().unwrap_or_else(|| midnight.and_utc())
    }

    /// The days of a period.
    pub fn span(&self, period: &Period) -> Result<Span, Unfit> {
        for (name, day) in [("from", period.from), ("to", period.to)] {
            if day.is_some_and(|day| !check_date(day)) {
                return Err(Unfit::out_of_range(
                    name,
                    format!("`{name}` must be from 1900 to 2199"),
                ));
            }
        }
        let to = period.to.unwrap_or_else(|| self.today());
        let from = period.from.unwrap_or(to - Days::new(DEFAULT_DAYS - 1));
        let days = (to - from).num_days() + 1;
        if !(1..=MAX_DAYS).contains(&days) {
            let detail = format!("`from` to `to` must be 1 to {MAX_DAYS} days");
            return Err(Unfit::out_of_range("from", detail));
        }
        let (start, end) = (self.start_of(from), self.start_of(to + Days::new(1)));
        Ok(Span { from, to, start, end })
    }

    /// Where each step of a span begins; the first begins with the span.
    pub fn steps(&self, span: &Span, interval: Interval) -> Result<Vec<DateTime<Utc>>, Unfit> {
        let mut steps = vec![span.start];
        let mut day = interval.first_day(span.from);
        loop {
            let next = match interval {
                Interval::Hour => steps[steps.len() - 1] + TimeDelta::hours(1),
                _ => {
                    day = interval.next(day);
                    self.start_of(day)
                }
            };
            if next >= span.end {
                return Ok(steps);
            }
            if steps.len() == MAX_STEPS {
                let detail =
                    format!("that would be more than {MAX_STEPS} steps: choose longer ones");
                return Err(Unfit::out_of_range("interval", detail));
            }
            steps.push(next);
        }
    }
}

impl Interval {
    /// The first day of the step that a day is in.
    pub fn first_day(self, day: NaiveDate) -> NaiveDate {
        let back = match self {
            Self::Hour | Self::Day => 0,
            Self::Week => day.weekday().num_days_from_monday(),
            Self::Month => day.day0(),
            Self::Quarter => {
                let first = day - Months::new(day.month0() % 3);
                return first - Days::new(first.day0().into());
            }
            Self::Year => day.ordinal0(),
        };
        day - Days::new(back.into())
    }

    /// The first day of the next step.
    fn next(self, first: NaiveDate) -> NaiveDate {
        match self {
            Self::Hour | Self::Day => first + Days::new(1),
            Self::Week => first + Days::new(7),
            Self::Month => first + Months::new(1),
            Self::Quarter => first + Months::new(3),
            Self::Year => first + Months::new(12),
        }
    }

    /// The steps as a chart labels them; days without their year where that is the same for all.
    pub fn labels(self, starts: &[DateTime<Utc>], timezone: Tz) -> Vec<String> {
        let years: Vec<i32> =
            starts.iter().map(|start| start.with_timezone(&timezone).year()).collect();
        let has_year = years.first() != years.last();
        starts.iter().map(|start| self.label(*start, timezone, has_year)).collect()
    }

    fn label(self, at: DateTime<Utc>, timezone: Tz, has_year: bool) -> String {
        let local = at.with_timezone(&timezone);
        let year = if has_year { " %Y" } else { "" };
        match self {
            Self::Hour => local.format(&format!("%-d %b{year} %H:%M")).to_string(),
            Self::Day | Self::Week => local.format(&format!("%-d %b{year}")).to_string(),
            Self::Month => local.format("%b %Y").to_string(),
            Self::Quarter => format!("Q{} {}", local.month0() / 3 + 1, local.year()),
            Self::Year => local.year().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar(zone: &str) -> Calendar {
        let now = "2026-03-31T22:30:00Z".parse().expect("a time");
        Calendar { timezone: zone.parse().expect("a zone"), currency: "EUR".into(), now }
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a day")
    }

    fn starts(zone: &str, from: &str, to: &str, interval: Interval) -> Vec<String> {
        let calendar = calendar(zone);
        let period = Period { from: Some(day(from)), to: Some(day(to)) };
        let span = calendar.span(&period).ok().expect("a span");
        let steps = calendar.steps(&span, interval).ok().expect("steps");
        steps.iter().map(|step| step.format("%F %H:%M").to_string()).collect()
    }

    #[test]
    fn a_day_begins_at_the_companys_midnight() {
        assert_eq!(calendar("UTC").today(), day("2026-03-31"));
        assert_eq!(calendar("Europe/Vienna").today(), day("2026-04-01"));
        let days = starts("Europe/Vienna", "2026-03-28", "2026-03-30", Interval::Day);
        assert_eq!(days, ["2026-03-27 23:00", "2026-03-28 23:00", "2026-03-29 22:00"]);
        let hours = starts("Europe/Vienna", "2026-03-29", "2026-03-29", Interval::Hour);
        assert_eq!(hours.len(), 23);
    }

    #[test]
    fn a_midnight_that_is_skipped_is_the_first_instant_after_it() {
        let cairo = calendar("Africa/Cairo").start_of(day("2024-04-26"));
        assert_eq!(cairo.to_rfc3339(), "2024-04-25T22:00:00+00:00");
        let apia = calendar("Pacific/Apia").start_of(day("2011-12-30"));
        assert_eq!(apia.to_rfc3339(), "2011-12-30T10:00:00+00:00");
    }

    #[test]
    fn steps_are_those_of_the_calendar_and_the_first_begins_with_the_span() {
        let weeks = starts("UTC", "2026-03-04", "2026-03-16", Interval::Week);
        assert_eq!(weeks, ["2026-03-04 00:00", "2026-03-09 00:00", "2026-03-16 00:00"]);
        let quarters = starts("UTC", "2026-03-31", "2026-07-01", Interval::Quarter);
        assert_eq!(quarters, ["2026-03-31 00:00", "2026-04-01 00:00", "2026-07-01 00:00"]);
        assert_eq!(starts("UTC", "2024-12-31", "2026-01-01", Interval::Year).len(), 3);
    }

    #[test]
    fn days_of_several_years_are_labelled_with_theirs() {
        let labels = |interval: Interval, starts: &[&str]| {
            let starts: Vec<_> = starts.iter().map(|at| at.parse().expect("a time")).collect();
            interval.labels(&starts, Tz::UTC).join(", ")
        };
        let year = ["2026-01-05T00:00:00Z", "2026-12-28T00:00:00Z"];
        assert_eq!(labels(Interval::Week, &year), "5 Jan, 28 Dec");
        let years = ["2025-12-31T23:00:00Z", "2026-01-01T00:00:00Z"];
        assert_eq!(labels(Interval::Day, &years), "31 Dec 2025, 1 Jan 2026");
        assert_eq!(labels(Interval::Hour, &years), "31 Dec 2025 23:00, 1 Jan 2026 00:00");
        assert_eq!(labels(Interval::Quarter, &years), "Q4 2025, Q1 2026");
    }

    #[test]
    fn a_period_has_1_to_1100_days_and_a_series_at_most_1000_steps() {
        let calendar = calendar("UTC");
        let span = |from: &str, to: &str| {
            calendar.span(&Period { from: Some(day(from)), to: Some(day(to)) }).ok()
        };
        assert!(span("2026-04-01", "2026-03-31").is_none());
        assert!(span("1800-01-01", "1800-01-02").is_none());
        assert!(span("2023-01-01", "2026-01-05").is_none());
        let long = span("2023-01-01", "2026-01-04").expect("1100 days");
        assert!(calendar.steps(&long, Interval::Day).is_err());
        assert_eq!(calendar.steps(&long, Interval::Week).ok().map(|steps| steps.len()), Some(158));
        let usual = calendar.span(&Period::default()).ok().expect("a span");
        assert_eq!((usual.from, usual.to), (day("2026-01-01"), day("2026-03-31")));
    }
}
