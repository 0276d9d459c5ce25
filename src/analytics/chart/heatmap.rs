//! Parts of 1 as shades: the more, the stronger.

use super::HeatRow;
use super::canvas::{Anchor, Canvas, MARGIN, TOP, WIDTH, cut};

const ROW: f64 = 26.0;
/// Where the shades begin, and where the rows' labels end.
const START: f64 = 170.0;
const LABEL: f64 = 92.0;

pub fn draw(canvas: &mut Canvas, noted: &str, rows: &[HeatRow]) {
    let columns = rows.iter().map(|row| row.values.len()).max().unwrap_or(0);
    if columns == 0 {
        return canvas.nothing();
    }
    let width = ((WIDTH - MARGIN - START) / columns as f64).min(60.0);
    canvas.text((START - 12.0, TOP + 4.0), Anchor::End, "soft", noted);
    let x = |column: usize| START + width * column as f64;
    // Up to eighteen numbers stand side by side without touching.
    let is_roomy = columns <= 18;
    for column in (0..columns).filter(|column| is_roomy || column % 3 == 0) {
        let place = (x(column) + width / 2.0, TOP + 4.0);
        canvas.text(place, Anchor::Middle, "soft", &column.to_string());
    }
    for (index, row) in rows.iter().enumerate() {
        let y = TOP + 14.0 + ROW * index as f64;
        canvas.text((LABEL, y + 17.0), Anchor::End, "ink", &cut(&row.label, 10));
        canvas.text((START - 12.0, y + 17.0), Anchor::End, "soft", &row.note);
        for (column, value) in row.values.iter().enumerate() {
            let percent = value * 100.0;
            let says = format!("{}, month {column}: {percent:.1} %", row.label);
            let shade = format!("rgba(var(--heat),{:.2})", 0.06 + 0.64 * value.clamp(0.0, 1.0));
            canvas.block((x(column), y), (width - 2.0, ROW - 2.0), &shade, &says);
            if is_roomy {
                let place = (x(column) + width / 2.0 - 1.0, y + 17.0);
                let sign = if width < 44.0 { "" } else { " %" };
                canvas.text(place, Anchor::Middle, "ink", &format!("{percent:.0}{sign}"));
            }
        }
    }
    canvas.height = TOP + 14.0 + ROW * rows.len() as f64 + MARGIN;
}
