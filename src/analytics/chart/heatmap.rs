//! Parts of a whole as shades: the more, the stronger.

use super::HeatRow;
use super::canvas::{Anchor, Canvas, MARGIN, Paint, TOP, Type, WIDTH};
use super::text::{cut, widest, width};

const ROW: f64 = 26.0;
/// Where the shades begin, and where the rows' labels end.
const START: f64 = 170.0;
const LABEL: f64 = 92.0;
/// How strong the shade of nothing is, and that of all.
const COLDEST: f64 = 0.06;
pub const HOTTEST: f64 = 0.7;

pub fn draw(canvas: &mut Canvas, noted: &str, rows: &[HeatRow]) {
    let columns = rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
    if columns == 0 {
        return canvas.nothing();
    }
    let room = ((WIDTH - MARGIN - START) / columns as f64).min(60.0);
    canvas.text((START - 12.0, TOP + 4.0), Anchor::End, Type::Soft, noted);
    let x = |column: usize| START + room * column as f64;
    let is_roomy = room > width("00") + 8.0;
    for column in (0..columns).filter(|column| is_roomy || column % 3 == 0) {
        let place = (x(column) + room / 2.0, TOP + 4.0);
        canvas.text(place, Anchor::Middle, Type::Soft, &column.to_string());
    }
    // All of the numbers or none: a gap would read as nothing.
    let cells = rows.iter().flat_map(|row| &row.cells);
    let has_numbers = widest(cells.map(|cell| cell.text.as_str())) <= room - 4.0;
    for (index, row) in rows.iter().enumerate() {
        let y = TOP + 14.0 + ROW * index as f64;
        canvas.text((LABEL, y + 17.0), Anchor::End, Type::Plain, &cut(&row.label, LABEL - 4.0));
        canvas.text((START - 12.0, y + 17.0), Anchor::End, Type::Soft, &row.note);
        for (column, cell) in row.cells.iter().enumerate() {
            let says = format!("{}, month {column}: {}", row.label, cell.says);
            let strength = COLDEST + (HOTTEST - COLDEST) * cell.part.clamp(0.0, 1.0);
            let size = (room - 2.0, ROW - 2.0);
            canvas.shade((x(column), y), size, (Paint::Heat, strength), &says);
            if has_numbers {
                let place = (x(column) + room / 2.0 - 1.0, y + 17.0);
                canvas.text(place, Anchor::Middle, Type::Plain, &cell.text);
            }
        }
    }
    canvas.height = TOP + 14.0 + ROW * rows.len() as f64 + MARGIN;
}
