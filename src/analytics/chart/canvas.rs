//! What charts are made of: boxes, lines and texts, and the frame around them.
//!
//! Colours are attributes, so that what reads no styles (a mail, a converter to PNG) paints them too; for
//! readers who may have either page, a style overrides them on dark ones. It names only classes of its
//! own and there are no ids: a chart can be part of a page, and several can.

use std::fmt::Write;

use super::ChartTheme;
use super::text::{cut, is_right_to_left};
use crate::values::text::markup_escape;

pub const WIDTH: f64 = 720.0;
/// Where a chart begins, below its titles.
pub const TOP: f64 = 78.0;
pub const MARGIN: f64 = 24.0;

/// What something is painted with.
#[derive(Debug, Clone, Copy)]
pub enum Paint {
    Paper,
    Ink,
    Soft,
    Rule,
    Heat,
    /// The colour of a series, the first being 0.
    Series(usize),
}

/// Name, colour on light pages and on dark ones. Those of series are told apart by people who see no
/// red or no green (Okabe and Ito, 2008).
const COLOURS: [(&str, &str, &str); 11] = [
    ("paper", "#ffffff", "#151a21"),
    ("ink", "#1c2430", "#eef1f5"),
    ("soft", "#5b6675", "#a3adba"),
    ("rule", "#e3e7ed", "#2c343f"),
    ("heat", "#0072b2", "#1480c4"),
    ("s0", "#0072b2", "#56b4e9"),
    ("s1", "#d55e00", "#e69f00"),
    ("s2", "#009e73", "#2fc79b"),
    ("s3", "#cc79a7", "#e39cc4"),
    ("s4", "#8a6d00", "#f0e442"),
    ("s5", "#1c2430", "#9fb7ff"),
];

impl Paint {
    fn colours(self) -> (&'static str, &'static str, &'static str) {
        COLOURS[match self {
            Self::Paper => 0,
            Self::Ink => 1,
            Self::Soft => 2,
            Self::Rule => 3,
            Self::Heat => 4,
            Self::Series(index) => 5 + index % 6,
        }]
    }
}

/// How a text is set.
#[derive(Debug, Clone, Copy)]
pub enum Type {
    Plain,
    Soft,
    Strong,
    Title,
}

/// On which side of its place a text stands.
#[derive(Debug, Clone, Copy)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

pub struct Canvas {
    theme: ChartTheme,
    body: String,
    pub height: f64,
}

impl Canvas {
    pub fn new(theme: ChartTheme) -> Self {
        Self { theme, body: String::new(), height: TOP + 60.0 }
    }

    pub fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, set: Type, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (paint, set) = match set {
            Type::Plain => (Paint::Ink, ""),
            Type::Soft => (Paint::Soft, ""),
            Type::Strong => (Paint::Ink, " font-weight=\"600\""),
            Type::Title => (Paint::Ink, " font-weight=\"600\" font-size=\"18\""),
        };
        // What is written to the left ends on the left.
        let bidi = if is_right_to_left(text) { " unicode-bidi=\"plaintext\"" } else { "" };
        let (fill, text) = (self.paint("fill", paint), escape(text));
        self.push(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\"{bidi}{set} {fill}>{text}</text>"
        ));
    }

    /// A box with what it says when it is pointed at.
    pub fn block(&mut self, place: (f64, f64), size: (f64, f64), fill: Paint, says: &str) {
        self.shade(place, size, (fill, 1.0), says);
    }

    /// A box that is painted more or less strongly, from 0 to 1.
    pub fn shade(
        &mut self,
        (x, y): (f64, f64),
        (w, h): (f64, f64),
        (fill, strength): (Paint, f64),
        says: &str,
    ) {
        let (fill, says) = (self.paint("fill", fill), escape(says));
        let opacity =
            if strength < 1.0 { format!(" fill-opacity=\"{strength:.2}\"") } else { String::new() };
        self.push(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" rx=\"2\" \
             {fill}{opacity}><title>{says}</title></rect>"
        ));
    }

    /// A horizontal line.
    pub fn rule(&mut self, from: f64, to: f64, y: f64) {
        let stroke = self.paint("stroke", Paint::Rule);
        self.push(format_args!(
            "<line x1=\"{from:.1}\" y1=\"{y:.1}\" x2=\"{to:.1}\" y2=\"{y:.1}\" {stroke}/>"
        ));
    }

    pub fn polyline(&mut self, points: &[(f64, f64)], stroke: Paint, says: &str) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let (points, stroke, says) = (points.join(" "), self.paint("stroke", stroke), escape(says));
        self.push(format_args!(
            "<polyline points=\"{points}\" fill=\"none\" {stroke} stroke-width=\"2\" \
             stroke-linejoin=\"round\"><title>{says}</title></polyline>"
        ));
    }

    pub fn nothing(&mut self) {
        let place = (WIDTH / 2.0, TOP + 24.0);
        self.text(place, Anchor::Middle, Type::Soft, "Nothing to show yet");
    }

    /// `fill` or `stroke` with its colour, and the class by which dark pages override it.
    fn paint(&self, what: &str, paint: Paint) -> String {
        let (name, light, dark) = paint.colours();
        match self.theme {
            ChartTheme::Light => format!("{what}=\"{light}\""),
            ChartTheme::Dark => format!("{what}=\"{dark}\""),
            ChartTheme::Auto => format!("{what}=\"{light}\" class=\"ecrm-{what}-{name}\""),
        }
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        self.body.write_fmt(element).expect("BUG: a String takes everything");
        self.body.push('\n');
    }

    /// The whole image.
    pub fn finish(mut self, title: &str, subtitle: &str) -> String {
        let body = std::mem::take(&mut self.body);
        let shown = cut(subtitle, WIDTH - 2.0 * MARGIN);
        self.text((MARGIN, 34.0), Anchor::Start, Type::Title, title);
        self.text((MARGIN, 56.0), Anchor::Start, Type::Soft, &shown);
        let style = if self.theme == ChartTheme::Auto { dark_pages() } else { String::new() };
        let (height, head, paper) = (self.height, &self.body, self.paint("fill", Paint::Paper));
        let (title, subtitle) = (escape(title), escape(subtitle));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" \
             width=\"{WIDTH}\" height=\"{height:.0}\" role=\"img\" aria-label=\"{title}, {subtitle}\" \
             direction=\"ltr\" font-size=\"13\" \
             font-family=\"system-ui,-apple-system,'Segoe UI',Roboto,sans-serif\">\n\
             <title>{title}</title>\n<desc>{subtitle}</desc>\n{style}\
             <rect width=\"{WIDTH}\" height=\"{height:.0}\" {paper}/>\n\
             {head}{body}</svg>\n"
        )
    }
}

/// The colours of dark pages, for readers who have them.
fn dark_pages() -> String {
    let rule = |(name, _, dark): &(&str, &str, &str)| {
        format!(".ecrm-fill-{name}{{fill:{dark}}}.ecrm-stroke-{name}{{stroke:{dark}}}")
    };
    let rules: String = COLOURS.iter().map(rule).collect();
    format!("<style>@media (prefers-color-scheme: dark){{{rules}}}</style>\n")
}

/// Text of an XML document; what XML cannot hold is left out (XML 1.0, 2.2).
fn escape(text: &str) -> String {
    let is_held = |c: &char| {
        !matches!(c, '\u{fffe}' | '\u{ffff}') && (!c.is_control() || matches!(c, '\t' | '\n'))
    };
    markup_escape(&text.chars().filter(is_held).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance (WCAG 2.2) of `#rrggbb`, painted so strongly on `paper`.
    fn luminance(colour: &str, strength: f64, paper: &str) -> f64 {
        let part = |of: &str, at: usize| {
            f64::from(u8::from_str_radix(&of[at..at + 2], 16).expect("a colour")) / 255.0
        };
        let linear = |at: usize| {
            let mixed = part(colour, at) * strength + part(paper, at) * (1.0 - strength);
            if mixed <= 0.04045 { mixed / 12.92 } else { ((mixed + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(1) + 0.7152 * linear(3) + 0.0722 * linear(5)
    }

    fn contrast(one: f64, other: f64) -> f64 {
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn texts_and_series_stand_out_from_what_is_behind_them() {
        let of = |paint: Paint| [paint.colours().1, paint.colours().2];
        for page in [0, 1] {
            let paper = of(Paint::Paper)[page];
            let behind = luminance(paper, 1.0, paper);
            for text in [Paint::Ink, Paint::Soft] {
                let found = contrast(luminance(of(text)[page], 1.0, paper), behind);
                assert!(found >= 4.5, "{text:?} on {paper}: {found:.1}");
            }
            for series in (0..6).map(Paint::Series) {
                let found = contrast(luminance(of(series)[page], 1.0, paper), behind);
                assert!(found >= 3.0, "{series:?} on {paper}: {found:.1}");
            }
            let hottest = luminance(of(Paint::Heat)[page], super::super::heatmap::HOTTEST, paper);
            let found = contrast(luminance(of(Paint::Ink)[page], 1.0, paper), hottest);
            assert!(found >= 4.5, "heat on {paper}: {found:.1}");
        }
    }
}
