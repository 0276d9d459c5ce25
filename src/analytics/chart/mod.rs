//! Charts as SVG: one image with a title, units and legible labels, for light and for dark pages.
//!
//! Drawn here and not by a library: those there are know no dark pages, need fonts, or both, and three
//! kinds of chart are all that these figures ask for.

mod bars;
mod canvas;
mod heatmap;
mod over_time;
mod text;

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
    pub fn whole(&self, value: i64) -> f64 {
        value as f64 / 10_f64.powi(i32::try_from(self.decimals).unwrap_or_default())
    }

    /// The number and what it counts: `1 order`, `1,234.50 EUR`.
    pub fn said(&self, value: i64) -> String {
        let one = if value == 1 { self.name.strip_suffix('s') } else { None };
        format!("{} {}", self.exact(value), one.unwrap_or(&self.name))
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
        _ if size >= 1e12 => (value / 1e12, "T"),
        _ if size >= 1e9 => (value / 1e9, "B"),
        _ if size >= 1e6 => (value / 1e6, "M"),
        _ if size >= 1e4 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let text = format!("{scaled:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{}{suffix}", text.replace('-', "−"))
}

/// The number of a cell, in at most four signs up to a billion: `1.2k`.
pub fn brief(value: f64) -> String {
    let size = value.abs();
    let (unit, suffix) = match size {
        _ if size >= 999_500_000.0 => (1e9, "B"),
        _ if size >= 999_500.0 => (1e6, "M"),
        _ if size >= 999.5 => (1e3, "k"),
        _ => (1.0, ""),
    };
    let decimals = usize::from(unit > 1.0 && size < 9.95 * unit);
    format!("{:.decimals$}{suffix}", value / unit).replace('-', "−")
}

/// A bar and what stands beside it.
#[derive(Debug, Clone)]
pub struct Bar {
    pub label: String,
    pub value: i64,
    pub note: String,
}

/// A series over time; what the title names already has no name of its own.
#[derive(Debug, Clone)]
pub struct Line {
    pub name: Option<String>,
    pub values: Vec<i64>,
}

impl Line {
    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }
}

/// A row of shades.
#[derive(Debug, Clone)]
pub struct HeatRow {
    pub label: String,
    pub note: String,
    pub cells: Vec<HeatCell>,
}

/// A part of a whole, from 0 to 1, in short and when it is pointed at.
#[derive(Debug, Clone)]
pub struct HeatCell {
    pub part: f64,
    pub text: String,
    pub says: String,
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
        subtitle: String,
        unit: Unit,
        labels: Vec<String>,
        lines: Vec<Line>,
    ) -> Self {
        let subtitle = format!("{subtitle} · {}", unit.name);
        Self { title, subtitle, body: Body::OverTime(unit, labels, lines) }
    }

    /// Parts of a whole as shades; `noted` says what stands beside the labels.
    pub fn heatmap(title: String, subtitle: String, noted: String, rows: Vec<HeatRow>) -> Self {
        Self { title, subtitle, body: Body::Heatmap(noted, rows) }
    }

    fn draw(&self, theme: ChartTheme) -> String {
        let mut canvas = Canvas::new(theme);
        match &self.body {
            Body::Bars(unit, bars) => bars::draw(&mut canvas, unit, bars),
            Body::OverTime(unit, labels, lines) => {
                over_time::draw(&mut canvas, unit, labels, lines)
            }
            Body::Heatmap(noted, rows) => heatmap::draw(&mut canvas, noted, rows),
        }
        canvas.finish(&self.title, &self.subtitle)
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
        let axis = [0.0, 0.25, 1_500.0, 12_500.0, 2e6, -3e9, 4e13].map(short);
        assert_eq!(axis, ["0", "0.25", "1500", "12.5k", "2M", "−3B", "40T"]);
        assert_eq!([euro.said(1), euro.said(100)], ["0.01 EUR", "1.00 EUR"]);
        let cells = [0.0, 312.4, 999.6, 1_240.0, 12_400.0, 999_600.0, -2e6].map(brief);
        assert_eq!(cells, ["0", "312", "1.0k", "1.2k", "12k", "1.0M", "−2.0M"]);
        let orders = Unit::count("orders");
        assert_eq!(
            [0, 1, 1_200].map(|count| orders.said(count)),
            ["0 orders", "1 order", "1,200 orders"]
        );
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

    fn line(name: &str, values: &[i64]) -> Line {
        Line { name: Some(name.into()), values: values.to_vec() }
    }

    fn over_time(labels: &[&str], lines: Vec<Line>) -> Chart {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        Chart::over_time("t".into(), "s".into(), Unit::count("things"), labels, lines)
    }

    #[test]
    fn colours_are_seen_without_styles_and_a_page_keeps_its_own() {
        let chart = over_time(&["a", "b"], vec![line("x", &[1, 2]), line("y", &[2, 3])]);
        for theme in [ChartTheme::Light, ChartTheme::Dark, ChartTheme::Auto] {
            let drawn = chart.draw(theme);
            assert!(!drawn.contains("var(") && !drawn.contains(" id="), "{drawn}");
            assert_eq!(drawn.contains("<style>"), theme == ChartTheme::Auto);
            for shape in drawn.split('<').filter(|shape| {
                ["rect ", "text ", "line ", "polyline "].iter().any(|name| shape.starts_with(name))
            }) {
                assert!(shape.contains("fill=\"#") || shape.contains("stroke=\"#"), "{shape}");
            }
        }
        let auto = chart.draw(ChartTheme::Auto);
        let (_, style) = auto.split_once("dark){").expect("a style");
        let (style, _) = style.split_once("}</style>").expect("its end");
        let mut rules = style.split_inclusive('}');
        assert!(rules.all(|rule| rule.starts_with(".ecrm-")), "{style}");
    }

    #[test]
    fn several_series_of_one_step_are_columns_and_every_one_is_named() {
        let drawn =
            over_time(&["Nov"], vec![line("x", &[1]), line("y", &[2])]).draw(ChartTheme::Light);
        assert!(!drawn.contains("<polyline"), "{drawn}");
        assert!(drawn.contains("<title>x: 1 thing</title>"), "{drawn}");
        assert!(drawn.contains("<title>y: 2 things</title>") && drawn.contains(">y</text>"));
        let alone = over_time(&["Nov", "Dec"], vec![line("Online shop", &[1, 2])]);
        assert!(alone.draw(ChartTheme::Light).contains(">Online shop</text>"));
    }

    #[test]
    fn times_below_an_axis_stand_apart() {
        let hours: Vec<String> = (0..24).map(|hour| format!("29 Nov {hour:02}:00")).collect();
        let hours: Vec<&str> = hours.iter().map(String::as_str).collect();
        let drawn = over_time(&hours, vec![line("x", &[1; 24])]).draw(ChartTheme::Light);
        let shown = drawn.split("<text x=\"").skip(1).filter(|text| text.contains(":00</text>"));
        let places: Vec<f64> =
            shown.filter_map(|text| text.split_once('"')?.0.parse().ok()).collect();
        assert!(places.len() > 2 && places.len() < 7, "{places:?}");
        let room = text::width(hours[0]) + 10.0;
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] > room), "{places:?}");
    }

    #[test]
    fn a_long_value_does_not_run_into_its_note() {
        let bar = |label: &str, value: i64| Bar {
            label: label.into(),
            value,
            note: "10 customers".into(),
        };
        let bars = vec![bar("tenth 1", 8_500_000_000), bar("W", 0)];
        let chart = Chart::bars("t".into(), "s".into(), Unit::money("IDR"), bars);
        let drawn = chart.draw(ChartTheme::Light);
        let (before, _) = drawn.split_once(">85,000,000.00</text>").expect("the value");
        let (_, place) = before.rsplit_once("<text x=\"").expect("its place");
        let x: f64 = place.split_once('"').and_then(|(x, _)| x.parse().ok()).expect("a number");
        let note = canvas::WIDTH - canvas::MARGIN - text::width("10 customers");
        assert!(x + text::width("85,000,000.00") < note, "{x}");
        // Nothing is no bar: the page, and the bar of the other.
        assert_eq!(drawn.matches("<rect ").count(), 2, "{drawn}");
    }

    #[test]
    fn a_chart_of_nothing_says_so() {
        let unit = || Unit::count("things");
        let charts = [
            Chart::bars("t".into(), "s".into(), unit(), vec![]),
            Chart::heatmap("t".into(), "s".into(), "n".into(), vec![]),
            over_time(&[], vec![]),
            over_time(&["a", "b"], vec![line("x", &[0, 0])]),
        ];
        for chart in charts {
            assert!(chart.draw(ChartTheme::Dark).contains("Nothing to show yet"));
        }
    }
}
