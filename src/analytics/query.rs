//! How much happened, step by step: touchpoints and orders counted and added up.

mod cells;

use std::collections::BTreeMap;

use actix_web::{get, post};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use validator::Validate;

use cells::{Cell, Course};

use super::chart::{Chart, ChartStyle, Line, Unit};
use super::period::{Calendar, Interval, Period, Unfit};
use super::{draw, show};
use crate::auth::{Caller, TokenInAddress};
use crate::channels;
use crate::db::Conn;
use crate::error::{Error, Result};
use crate::http::{AnyOf, Json, Query, Reply};

crate::text_enum! {
    /// What is counted.
    pub enum Metric {
        Touchpoints = "touchpoints",
        Orders = "orders",
    }
}

crate::text_enum! {
    /// How it is counted.
    pub enum Measure {
        /// How many there were.
        Count = "count",
        /// Their amounts, added up.
        Sum = "sum",
        /// Their amounts, on average.
        Avg = "avg",
        /// How many customers they were of.
        Unique = "unique",
    }
}

crate::text_enum! {
    /// What makes a series of its own.
    pub enum Grouping {
        Channel = "channel",
        /// Of touchpoints.
        Type = "type",
        /// Of orders.
        Source = "source",
    }
}

/// A question about figures over time.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "metric": "orders", "measure": "sum", "interval": "month", "group_by": ["channel"],
    "from": "2026-01-01", "to": "2026-03-31"
}))]
pub struct AnalyticsQuery {
    /// What is counted.
    #[schema(example = "orders")]
    pub metric: Metric,
    /// How: `count`, `sum` and `avg` of amounts in the workspace's currency, or `unique` customers.
    #[serde(default = "count")]
    #[schema(default = "count")]
    pub measure: Measure,
    /// How long each step is.
    #[serde(default = "day")]
    #[schema(default = "day")]
    pub interval: Interval,
    /// A series for each channel, type (of touchpoints) or source (of orders).
    #[serde(default)]
    #[validate(length(max = 2))]
    #[schema(max_items = 2, example = json!(["channel"]))]
    pub group_by: Vec<Grouping>,
    /// First day, in the workspace's time zone; 89 days before the last one unless said otherwise.
    #[schema(example = "2026-01-01")]
    pub from: Option<NaiveDate>,
    /// Last day, at most 1100 days in all; today unless said otherwise.
    #[schema(example = "2026-03-31")]
    pub to: Option<NaiveDate>,
    /// Touchpoints of these types only.
    #[serde(default)]
    #[validate(length(max = 200), custom(function = "crate::values::valid::tags"))]
    #[schema(value_type = Vec<crate::values::items::Word>, inline, max_items = 200)]
    pub types: Vec<String>,
    /// On these channels only.
    #[serde(default)]
    #[validate(length(max = 200))]
    #[schema(max_items = 200)]
    pub channel_ids: Vec<Uuid>,
}

fn count() -> Measure {
    Measure::Count
}

fn day() -> Interval {
    Interval::Day
}

/// The same question as parameters.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AnalyticsQueryParams {
    /// What is counted.
    #[param(inline, example = "orders")]
    pub metric: Metric,
    /// How; `count` unless said otherwise.
    #[param(inline)]
    pub measure: Option<Measure>,
    /// How long each step is; a day unless said otherwise.
    #[param(inline)]
    pub interval: Option<Interval>,
    /// A series for each channel, type (of touchpoints) or source (of orders).
    #[serde(default)]
    #[param(value_type = Option<Vec<Grouping>>, inline, style = Form, explode = false)]
    pub group_by: AnyOf<Grouping>,
    /// Touchpoints of these types only.
    #[serde(default)]
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false)]
    pub types: AnyOf<String>,
    /// On these channels only.
    #[serde(default)]
    #[param(value_type = Option<Vec<Uuid>>, style = Form, explode = false)]
    pub channel_ids: AnyOf<Uuid>,
}

/// Figures over time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "metric": "orders", "measure": "sum", "interval": "month", "currency": "EUR",
    "timezone": "Europe/Vienna", "from": "2026-01-01", "to": "2026-03-31",
    "series": [{
        "channel_id": "0192f0c1-2a3b-7c4d-8e5f-60718293a4b5", "channel_name": "Online shop",
        "type": null, "source": null, "total": 184500,
        "points": [
            { "start": "2025-12-31T23:00:00Z", "value": 61500 },
            { "start": "2026-01-31T23:00:00Z", "value": 52000 },
            { "start": "2026-02-28T23:00:00Z", "value": 71000 }
        ]
    }],
    "series_count": 1
}))]
pub struct AnalyticsResult {
    /// What is counted.
    #[schema(value_type = String, extensions(("x-extensible-enum" = json!(Metric::ALL))), example = "orders")]
    pub metric: Metric,
    /// How.
    #[schema(value_type = String, extensions(("x-extensible-enum" = json!(Measure::ALL))), example = "sum")]
    pub measure: Measure,
    /// How long each step is.
    #[schema(value_type = String, extensions(("x-extensible-enum" = json!(Interval::ALL))), example = "month")]
    pub interval: Interval,
    /// Of what the values are minor units; null where they count something.
    #[schema(example = "EUR")]
    pub currency: Option<String>,
    /// Where the days begin.
    #[schema(example = "Europe/Vienna")]
    pub timezone: String,
    /// First day counted.
    pub from: NaiveDate,
    /// Last day counted.
    pub to: NaiveDate,
    /// The largest first; without `group_by`, just one.
    pub series: Vec<AnalyticsSeries>,
    /// How many series there are; the largest 50 are shown.
    #[schema(example = 3)]
    pub series_count: i64,
}

/// One series of figures.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AnalyticsSeries {
    /// Of this channel; null for what happened on none, and where it does not matter.
    pub channel_id: Option<Uuid>,
    /// Name of the channel.
    #[schema(example = "Online shop")]
    pub channel_name: Option<String>,
    /// Of this type.
    #[schema(example = "page.viewed")]
    pub r#type: Option<String>,
    /// Of this source.
    #[schema(example = "shopify")]
    pub source: Option<String>,
    /// Over the whole period; not the sum of the steps where customers or averages are counted.
    #[schema(example = 184_500)]
    pub total: i64,
    /// Every step of the period.
    pub points: Vec<AnalyticsPoint>,
}

/// One step of a series.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AnalyticsPoint {
    /// When the step begins; the first begins with the period.
    pub start: DateTime<Utc>,
    /// How much there was.
    #[schema(example = 61_500)]
    pub value: i64,
}

const NOT_FOR_THIS_METRIC: &str = "not_for_this_metric";
const UNKNOWN_CHANNEL: &str = "`channel_ids` must be channels of this workspace";
const MOST_SERIES: usize = 50;

/// Count touchpoints or orders over time
///
/// Steps are those of the workspace's time zone. Counts of touchpoints come from counters and cost
/// the same however many there are; amounts and unique customers are read from the records. Orders
/// count when they were placed, unless cancelled; their amount is what was paid less what was
/// refunded, in the workspace's currency.
#[utoipa::path(tag = "analytics", security(("bearer" = ["analytics:read"])), responses((status = 200, body = AnalyticsResult)))]
#[post("/analytics/query")]
pub async fn query_analytics(caller: Caller, query: Json<AnalyticsQuery>) -> Result<Reply> {
    show(caller, move |conn, calendar| {
        let course = query.course(calendar).map_err(Unfit::in_body)?;
        if let Some(index) = query.unknown_channel(conn)? {
            let pointer = format!("#/channel_ids/{index}");
            return Err(Error::field(pointer, "not_found", UNKNOWN_CHANNEL));
        }
        query.answer(conn, calendar, &course)
    })
    .await
}

/// Draw touchpoints or orders over time
///
/// The largest six series as an SVG image, which says how many there are.
#[utoipa::path(tag = "analytics", security(("bearer" = ["analytics:read"])), params(AnalyticsQueryParams, Period, ChartStyle, TokenInAddress), responses((status = 200, body = String, content_type = "image/svg+xml", description = "The chart.")))]
#[get("/analytics/query/chart.svg")]
pub async fn get_analytics_query_chart(
    caller: Caller,
    params: Query<AnalyticsQueryParams>,
    period: Query<Period>,
    style: Query<ChartStyle>,
) -> Result<Reply> {
    let query = params.0.question(&period);
    draw(caller, style, move |conn, calendar| {
        let course = query.course(calendar)?;
        if query.unknown_channel(conn)?.is_some() {
            return Err(Error::parameter("channel_ids", UNKNOWN_CHANNEL));
        }
        let answer = query.answer(conn, calendar, &course)?;
        Ok(query.chart(&answer, calendar, &query.only(conn)?))
    })
    .await
}

impl AnalyticsQueryParams {
    fn question(self, period: &Period) -> AnalyticsQuery {
        AnalyticsQuery {
            metric: self.metric,
            measure: self.measure.unwrap_or_else(count),
            interval: self.interval.unwrap_or_else(day),
            group_by: self.group_by.0,
            from: period.from,
            to: period.to,
            types: self.types.0,
            channel_ids: self.channel_ids.0,
        }
    }
}

impl AnalyticsQuery {
    /// The days and steps to look at, where all of the question can be asked of its metric.
    fn course(&self, calendar: &Calendar) -> Result<Course, Unfit> {
        let foreign = match self.metric {
            Metric::Touchpoints => Grouping::Source,
            Metric::Orders => Grouping::Type,
        };
        if self.groups(foreign) {
            let detail = format!("{} have no `{foreign}`", self.metric);
            return Err(Unfit { name: "group_by", code: NOT_FOR_THIS_METRIC, detail });
        }
        if self.metric == Metric::Orders && !self.types.is_empty() {
            return Err(Unfit {
                name: "types",
                code: NOT_FOR_THIS_METRIC,
                detail: "orders have no types".into(),
            });
        }
        let span = calendar.span(&Period { from: self.from, to: self.to })?;
        Ok(Course { steps: calendar.steps(&span, self.interval)?, span })
    }

    /// Which of the channels never was: whoever asks about it has mistaken its id.
    fn unknown_channel(&self, conn: &mut Conn) -> Result<Option<usize>> {
        let known = channels::names(conn, &self.channel_ids)?;
        Ok(self.channel_ids.iter().position(|channel| !known.contains_key(channel)))
    }

    fn groups(&self, grouping: Grouping) -> bool {
        self.group_by.contains(&grouping)
    }

    fn answer(
        &self,
        conn: &mut Conn,
        calendar: &Calendar,
        course: &Course,
    ) -> Result<AnalyticsResult> {
        let cells = self.cells(conn, course, &calendar.currency)?;
        let mut series = self.series(cells, &course.steps);
        let series_count = i64::try_from(series.len()).unwrap_or(i64::MAX);
        series.truncate(MOST_SERIES);
        let of: Vec<Uuid> = series.iter().filter_map(|series| series.channel_id).collect();
        let names = channels::names(conn, &of)?;
        for one in &mut series {
            one.channel_name = one.channel_id.and_then(|channel| names.get(&channel).cloned());
        }
        let is_amount = matches!(self.measure, Measure::Sum | Measure::Avg);
        Ok(AnalyticsResult {
            metric: self.metric,
            measure: self.measure,
            interval: self.interval,
            currency: is_amount.then(|| calendar.currency.clone()),
            timezone: calendar.timezone.name().to_owned(),
            from: course.span.from,
            to: course.span.to,
            series,
            series_count,
        })
    }

    /// Every series with every step, the largest first; one of nothing where nothing was found.
    fn series(&self, cells: Vec<Cell>, steps: &[DateTime<Utc>]) -> Vec<AnalyticsSeries> {
        let zeros =
            || steps.iter().map(|start| AnalyticsPoint { start: *start, value: 0 }).collect();
        let mut found: BTreeMap<(Option<Uuid>, Option<String>), AnalyticsSeries> = BTreeMap::new();
        if self.group_by.is_empty() {
            found.insert((None, None), self.empty(None, None, zeros()));
        }
        for cell in cells {
            let key = (cell.channel_id, cell.label.clone());
            let series = found
                .entry(key)
                .or_insert_with(|| self.empty(cell.channel_id, cell.label, zeros()));
            match cell.step.map(|step| usize::try_from(step - 1).unwrap_or_default()) {
                None => series.total = cell.value,
                Some(step) => series.points[step].value = cell.value,
            }
        }
        let mut series: Vec<_> = found.into_values().collect();
        series.sort_by_key(|series| std::cmp::Reverse(series.total));
        series
    }

    fn empty(
        &self,
        channel_id: Option<Uuid>,
        label: Option<String>,
        points: Vec<AnalyticsPoint>,
    ) -> AnalyticsSeries {
        let (r#type, source) = match self.metric {
            Metric::Touchpoints => (label, None),
            Metric::Orders => (None, label),
        };
        AnalyticsSeries { channel_id, channel_name: None, r#type, source, total: 0, points }
    }
}

impl AnalyticsQuery {
    fn chart(&self, answer: &AnalyticsResult, calendar: &Calendar, only: &str) -> Chart {
        let what = match self.metric {
            Metric::Touchpoints => "Touchpoints",
            Metric::Orders => "Orders",
        };
        let currency = &calendar.currency;
        let (title, unit) = match self.measure {
            Measure::Unique => {
                (format!("Customers with {}", self.metric), Unit::count("customers"))
            }
            Measure::Sum => (format!("{what}: amount"), Unit::money(currency)),
            Measure::Avg => (format!("{what}: average amount"), Unit::money(currency)),
            Measure::Count => (what.to_owned(), Unit::count(self.metric.as_str())),
        };
        let starts: Vec<_> = answer.series.first().map_or_else(Vec::new, |series| {
            series.points.iter().map(|point| point.start).collect()
        });
        let shown = answer.series.len().min(Chart::MOST_LINES);
        let shown = match answer.series_count {
            all if all > shown as i64 => format!(" · the largest {shown} of {all}"),
            _ => String::new(),
        };
        let lines = answer.series.iter().take(Chart::MOST_LINES).map(|series| self.line(series));
        Chart::over_time(
            format!("{title} by {}", self.interval),
            format!("{} to {}{only}{shown}", answer.from, answer.to),
            unit,
            self.interval.labels(&starts, calendar.timezone),
            lines.collect(),
        )
    }

    /// What is looked at only, as a chart says it; what has a series of its own is named there.
    fn only(&self, conn: &mut Conn) -> Result<String> {
        let mut only = String::new();
        if !self.groups(Grouping::Type) {
            only += &few(&self.types);
        }
        if !self.groups(Grouping::Channel) {
            let mut names: Vec<String> =
                channels::names(conn, &self.channel_ids)?.into_values().collect();
            names.sort();
            only += &few(&names);
        }
        Ok(only)
    }

    fn line(&self, series: &AnalyticsSeries) -> Line {
        let channel = series.channel_name.as_deref();
        let parts = [channel, series.r#type.as_deref(), series.source.as_deref()];
        let name: Vec<&str> = parts.into_iter().flatten().collect();
        let name = if name.is_empty() { "no channel".into() } else { name.join(" · ") };
        Line {
            name: (!self.group_by.is_empty()).then_some(name),
            values: series.points.iter().map(|point| point.value).collect(),
        }
    }
}

/// The first of several names, and how many more there are.
fn few(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => format!(" · {one}"),
        [one, other] => format!(" · {one} and {other}"),
        [one, other, more @ ..] => format!(" · {one}, {other} and {} more", more.len()),
    }
}
