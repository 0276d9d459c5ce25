//! What charts are made of: boxes, lines and texts, and the frame around them.

use std::fmt::Write;

use super::ChartTheme;
use crate::values::text::markup_escape;

pub const WIDTH: f64 = 720.0;
/// Where a chart begins, below its titles.
pub const TOP: f64 = 78.0;
pub const MARGIN: f64 = 24.0;

/// Colours of series; told apart by people who see no red or no green (Okabe and Ito, 2008).
const LIGHT: &str = "--paper:#fff;--ink:#1c2430;--soft:#5b6675;--rule:#e3e7ed;--heat:0,114,178;\
    --s0:#0072b2;--s1:#d55e00;--s2:#009e73;--s3:#cc79a7;--s4:#8a6d00;--s5:#56b4e9";
const DARK: &str = "--paper:#151a21;--ink:#eef1f5;--soft:#a3adba;--rule:#2c343f;--heat:86,180,233;\
    --s0:#56b4e9;--s1:#e69f00;--s2:#2fc79b;--s3:#e39cc4;--s4:#f0e442;--s5:#9fb7ff";

pub struct Canvas {
    body: String,
    pub height: f64,
}

/// On which side of its place a text stands.
#[derive(Debug, Clone, Copy)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

impl Canvas {
    pub fn new() -> Self {
        Self { body: String::new(), height: TOP + 60.0 }
    }

    /// A text; `class` is `ink`, `soft` or `strong`.
    pub fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escape(text);
        self.push(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">{text}</text>"
        ));
    }

    /// A box with what it says when it is pointed at.
    pub fn block(&mut self, (x, y): (f64, f64), (w, h): (f64, f64), fill: &str, says: &str) {
        let says = escape(says);
        self.push(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" rx=\"2\" \
             fill=\"{fill}\"><title>{says}</title></rect>"
        ));
    }

    /// A horizontal line.
    pub fn rule(&mut self, from: f64, to: f64, y: f64) {
        self.push(format_args!(
            "<line x1=\"{from:.1}\" y1=\"{y:.1}\" x2=\"{to:.1}\" y2=\"{y:.1}\" stroke=\"var(--rule)\"/>"
        ));
    }

    pub fn polyline(&mut self, points: &[(f64, f64)], stroke: &str, says: &str) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let (points, says) = (points.join(" "), escape(says));
        self.push(format_args!(
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"2\" \
             stroke-linejoin=\"round\"><title>{says}</title></polyline>"
        ));
    }

    pub fn nothing(&mut self) {
        self.text((WIDTH / 2.0, TOP + 24.0), Anchor::Middle, "soft", "Nothing to show yet");
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        self.body.write_fmt(element).expect("BUG: a String takes everything");
        self.body.push('\n');
    }

    /// The whole image.
    pub fn finish(mut self, title: &str, subtitle: &str, theme: ChartTheme) -> String {
        let body = std::mem::take(&mut self.body);
        self.text((MARGIN, 34.0), Anchor::Start, "title", title);
        self.text((MARGIN, 56.0), Anchor::Start, "soft", subtitle);
        let colours = match theme {
            ChartTheme::Light => format!("svg{{{LIGHT}}}"),
            ChartTheme::Dark => format!("svg{{{DARK}}}"),
            ChartTheme::Auto => {
                format!("svg{{{LIGHT}}}@media (prefers-color-scheme: dark){{svg{{{DARK}}}}}")
            }
        };
        let (height, head) = (self.height, &self.body);
        let (title, subtitle) = (escape(title), escape(subtitle));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" \
             width=\"{WIDTH}\" height=\"{height:.0}\" role=\"img\" aria-labelledby=\"t d\">\n\
             <title id=\"t\">{title}</title>\n<desc id=\"d\">{subtitle}</desc>\n\
             <style>{colours}text{{font:13px system-ui,-apple-system,\"Segoe UI\",Roboto,sans-serif;\
             fill:var(--ink)}}text.title{{font-size:18px;font-weight:600}}text.soft{{fill:var(--soft)}}\
             text.strong{{font-weight:600}}</style>\n\
             <rect width=\"{WIDTH}\" height=\"{height:.0}\" fill=\"var(--paper)\"/>\n\
             {head}{body}</svg>\n"
        )
    }
}

/// At most so many characters.
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most - 1).chain(['…']).collect(),
    }
}

/// Text of an XML document; what XML cannot hold is left out (XML 1.0, 2.2).
fn escape(text: &str) -> String {
    let is_held = |c: &char| {
        !matches!(c, '\u{fffe}' | '\u{ffff}') && (!c.is_control() || matches!(c, '\t' | '\n'))
    };
    markup_escape(&text.chars().filter(is_held).collect::<String>())
}
