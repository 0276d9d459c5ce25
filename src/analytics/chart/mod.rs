//! Charts as SVG: one image with a title, units and legible labels, for light and for dark pages.
//!
//! Drawn here and not by a library: those there are know no dark pages, need fonts, or both, and three
//! kinds of chart are all that these figures ask for.

mod bars;
mod canvas;
mod heatmap;
mod over_time;

use chrono::NaiveDate;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::error::Result;
use crate::http::Reply;
use crate::http::reply::IntoReply;
use crate::values::currency;
use canvas::Canvas;

crate::text_enum! {
    /// For which pages a chart is drawn.
    pub enum ChartTheme {
        /// As the reader's system has it.
        Auto = "auto",
        Light = "light",
        Dark = "dark",
    }
}

/// How a chart looks.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ChartStyle {
    /// For light or dark pages; as the reader's system has it unless said otherwise.
    #[param(inline)]
    pub theme: Option<ChartTheme>,
}

/// What a number counts.
#[derive(Debug, Clone)]
pub struct Unit {
    name: String,
    decimals: u32,
}

impl Unit {
    pub fn count(name: &str) -> Self {
        Self { name: name.to_owned(), decimals: 0 }
    }

    /// Minor units of a currency.
    pub fn money(code: &str) -> Self {
        Self { name: code.to_owned(), decimals: currency::exponent(code).unwrap_or(0) }
    }

    /// The number in whole units.
    fn whole(&self, value: i64) -> f64 {
        value as f64 / 10_f64.powi(i32::try_from(self.decimals).unwrap_or_default())
    }

    /// The number as people read it: `1,234.50`.
    fn exact(&self, value: i64) -> String {
        let decimals = self.decimals as usize;
        let digits = format!("{:0>width$}", value.unsigned_abs(), width = decimals + 1);
        let (whole, rest) = digits.split_at(digits.len() - decimals);
        let groups: Vec<&str> = whole.as_bytes().rchunks(3).rev().map(ascii).collect();
        let sign = if value < 0 { "−" } else { "" };
        let point = if decimals > 0 { "." } else { "" };
        format!("{sign}{}{point}{rest}", groups.join(","))
    }
}

fn ascii(digits: &[u8]) -> &str {
    std::str::from_utf8(digits).expect("BUG: digits are ASCII")
}

/// The number of an axis: `12k`.
fn short(value: f64) -> String {
    let size = value.abs();
    let (scaled, suffix) = match size {
        _ if size >= 1e9 => (value / 1e9, "B"),
        _ if size >= 1e6 => (value / 1e6, "M"),
        _ if size >= 1e4 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let text = format!("{scaled:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{}{suffix}", text.replace('-', "−"))
}

/// A bar and what stands beside it.
#[derive(Debug, Clone)]
pub struct Bar {
    pub label: String,
    pub value: i64,
    pub note: String,
}

/// A series over time.
#[derive(Debug, Clone)]
pub struct Line {
    pub name: String,
    pub values: Vec<i64>,
}

/// A row of parts of 1.
#[derive(Debug, Clone)]
pub struct HeatRow {
    pub label: String,
    pub note: String,
    pub values: Vec<f64>,
}

enum Body {
    Bars(Unit, Vec<Bar>),
    OverTime(Unit, Vec<String>, Vec<Line>),
    Heatmap(String, Vec<HeatRow>),
}

/// A chart that is ready to be drawn.
pub struct Chart {
    title: String,
    subtitle: String,
    body: Body,
}

impl Chart {
    /// How many series one chart can tell apart.
    pub const MOST_LINES: usize = 6;

    /// Bars below each other.
    pub fn bars(title: String, subtitle: String, unit: Unit, bars: Vec<Bar>) -> Self {
        let subtitle = format!("{subtitle} · {}", unit.name);
        Self { title, subtitle, body: Body::Bars(unit, bars) }
    }

    /// One series as columns, several as lines.
    pub fn over_time(
        title: String,
        (from, to): (NaiveDate, NaiveDate),
        unit: Unit,
        labels: Vec<String>,
        lines: Vec<Line>,
    ) -> Self {
        let subtitle = format!("{from} to {to} · {}", unit.name);
        Self { title, subtitle, body: Body::OverTime(unit, labels, lines) }
    }

    /// Parts of 1 as shades; `noted` says what stands beside the labels.
    pub fn heatmap(title: String, subtitle: String, noted: String, rows: Vec<HeatRow>) -> Self {
        Self { title, subtitle, body: Body::Heatmap(noted, rows) }
    }

    fn draw(&self, theme: ChartTheme) -> String {
        let mut canvas = Canvas::new();
        match &self.body {
            Body::Bars(unit, bars) => bars::draw(&mut canvas, unit, bars),
            Body::OverTime(unit, labels, lines) => {
                over_time::draw(&mut canvas, unit, labels, lines)
            }
            Body::Heatmap(noted, rows) => heatmap::draw(&mut canvas, noted, rows),
        }
        canvas.finish(&self.title, &self.subtitle, theme)
    }
}

/// 200 with a chart.
pub struct Drawing {
    pub chart: Chart,
    pub theme: Option<ChartTheme>,
}

impl IntoReply for Drawing {
    fn into_reply(self) -> Result<Reply> {
        let theme = self.theme.unwrap_or(ChartTheme::Auto);
        let mut reply = Reply::empty(200);
        reply.content_type = "image/svg+xml";
        reply.body = self.chart.draw(theme).into_bytes();
        let policy = "default-src 'none'; style-src 'unsafe-inline'";
        Ok(reply.with("Content-Security-Policy", policy.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_read_them() {
        let euro = Unit::money("EUR");
        let written = [0, 5, 123_456_789, -1_999].map(|value| euro.exact(value));
        assert_eq!(written, ["0.00", "0.05", "1,234,567.89", "−19.99"]);
        assert_eq!(Unit::money("JPY").exact(1_000), "1,000");
        assert_eq!(Unit::count("orders").exact(i64::MIN), "−9,223,372,036,854,775,808");
        let axis = [0.0, 0.25, 1_500.0, 12_500.0, 2e6, -3e9].map(short);
        assert_eq!(axis, ["0", "0.25", "1500", "12.5k", "2M", "−3B"]);
    }

    #[test]
    fn a_chart_has_its_title_and_escapes_what_people_wrote() {
        let bar = Bar { label: "<b>&\u{0}".into(), value: 3, note: "x".into() };
        let unit = Unit::count("things");
        let chart = Chart::bars("Up & \"down\"".into(), "all".into(), unit, vec![bar]);
        let drawn = chart.draw(ChartTheme::Light);
        assert!(drawn.contains("Up &amp; &quot;down&quot;"), "{drawn}");
        assert!(drawn.contains("&lt;b&gt;&amp;") && !drawn.contains('\u{0}'), "{drawn}");
        assert!(drawn.contains("all · things"));
        assert!(!drawn.contains("prefers-color-scheme"));
        assert!(chart.draw(ChartTheme::Auto).contains("prefers-color-scheme: dark"));
    }

    #[test]
    fn a_chart_of_nothing_says_so() {
        let unit = || Unit::count("things");
        let charts = [
            Chart::bars("t".into(), "s".into(), unit(), vec![]),
            Chart::heatmap("t".into(), "s".into(), "n".into(), vec![]),
            Chart::over_time("t".into(), Default::default(), unit(), vec![], vec![]),
        ];
        for chart in charts {
            assert!(chart.draw(ChartTheme::Dark).contains("Nothing to show yet"));
        }
    }
}
