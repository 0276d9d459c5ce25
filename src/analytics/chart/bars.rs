//! Bars below each other, each with its name, value and note.

use super::canvas::{Anchor, Canvas, MARGIN, Paint, TOP, Type, WIDTH};
use super::text::{cut, widest};
use super::{Bar, Unit};

const ROW: f64 = 30.0;
/// Between the columns.
const GAP: f64 = 12.0;
/// The widest labels and notes, and the least that is left for the longest bar.
const LABEL: f64 = 260.0;
const NOTE: f64 = 140.0;
const BAR: f64 = 80.0;
/// How much wider strong texts are.
const STRONG: f64 = 1.1;

pub fn draw(canvas: &mut Canvas, unit: &Unit, bars: &[Bar]) {
    if bars.is_empty() {
        return canvas.nothing();
    }
    let values: Vec<String> = bars.iter().map(|bar| unit.exact(bar.value)).collect();
    let notes: Vec<String> = bars.iter().map(|bar| cut(&bar.note, NOTE)).collect();
    let taken = widest(values.iter().map(String::as_str)) * STRONG
        + widest(notes.iter().map(String::as_str))
        + 2.0 * GAP;
    let room = WIDTH - 2.0 * MARGIN - GAP - taken;
    let labels = widest(bars.iter().map(|bar| bar.label.as_str())).min(LABEL).min(room - BAR);
    let (start, longest) = (MARGIN + labels + GAP, room - labels);
    let most = bars.iter().map(|bar| bar.value).max().unwrap_or(0).max(1) as f64;
    for (row, (bar, (value, note))) in bars.iter().zip(values.iter().zip(&notes)).enumerate() {
        let y = TOP + ROW * row as f64;
        let label = cut(&bar.label, labels);
        canvas.text((start - GAP, y + 15.0), Anchor::End, Type::Plain, &label);
        let length = if bar.value > 0 { (bar.value as f64 / most * longest).max(1.0) } else { 0.0 };
        if length > 0.0 {
            let says = format!("{}: {}, {}", bar.label, unit.said(bar.value), bar.note);
            canvas.block((start, y), (length, ROW - 9.0), Paint::Series(0), &says);
        }
        let after = start + length + if length > 0.0 { 8.0 } else { 0.0 };
        canvas.text((after, y + 15.0), Anchor::Start, Type::Strong, value);
        canvas.text((WIDTH - MARGIN, y + 15.0), Anchor::End, Type::Soft, note);
    }
    canvas.height = TOP + ROW * bars.len() as f64 + MARGIN / 2.0;
}
