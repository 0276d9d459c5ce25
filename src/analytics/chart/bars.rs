//! Bars below each other, each with its name, value and note.

use super::canvas::{Anchor, Canvas, MARGIN, TOP, WIDTH, cut};
use super::{Bar, Unit};

const ROW: f64 = 30.0;
/// Where bars begin, and where the longest ends.
const START: f64 = 200.0;
const END: f64 = 500.0;

pub fn draw(canvas: &mut Canvas, unit: &Unit, bars: &[Bar]) {
    if bars.is_empty() {
        return canvas.nothing();
    }
    let most = bars.iter().map(|bar| bar.value).max().unwrap_or(0).max(1) as f64;
    for (row, bar) in bars.iter().enumerate() {
        let y = TOP + ROW * row as f64;
        let length = (bar.value.max(0) as f64 / most * (END - START)).max(1.0);
        let value = unit.exact(bar.value);
        let says = format!("{}: {value} {}, {}", bar.label, unit.name, bar.note);
        canvas.text((START - 12.0, y + 15.0), Anchor::End, "ink", &cut(&bar.label, 25));
        canvas.block((START, y), (length, ROW - 9.0), "var(--s0)", &says);
        canvas.text((START + length + 8.0, y + 15.0), Anchor::Start, "strong", &value);
        canvas.text((WIDTH - MARGIN, y + 15.0), Anchor::End, "soft", &cut(&bar.note, 16));
    }
    canvas.height = TOP + ROW * bars.len() as f64 + MARGIN / 2.0;
}
