//! Figures over time: one series or one step as columns, several as lines.

use super::canvas::{Anchor, Canvas, MARGIN, Paint, TOP, Type, WIDTH};
use super::text::{cut_inside, widest};
use super::{Line, Unit, short};

const LEFT: f64 = 70.0;
const RIGHT: f64 = WIDTH - MARGIN;
const HEIGHT: f64 = 230.0;
/// Labels below the time axis.
const LABELS: f64 = 8.0;
/// The widest column.
const WIDEST: f64 = 90.0;
/// From a legend's colour to its name.
const SWATCH: f64 = 18.0;

/// Where values lie between the lowest and the highest rule.
struct Scale {
    low: f64,
    high: f64,
    step: f64,
}

impl Scale {
    /// Rules at round numbers, around all the values and zero; five or so.
    fn around(values: impl Iterator<Item = f64> + Clone, is_whole: bool) -> Self {
        let low = values.clone().fold(0.0, f64::min);
        let high = values.fold(0.0, f64::max);
        let rough = ((high - low) / 4.0).max(if is_whole { 1.0 } else { 0.01 });
        let unit = 10_f64.powf(rough.log10().floor());
        let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * unit >= rough);
        let step = factor.unwrap_or(10.0) * unit;
        let (low, high) = ((low / step).floor() * step, (high / step).ceil() * step);
        Self { low, high: if high > low { high } else { step }, step }
    }

    fn y(&self, value: f64) -> f64 {
        TOP + HEIGHT * (self.high - value) / (self.high - self.low)
    }
}

pub fn draw(canvas: &mut Canvas, unit: &Unit, labels: &[String], lines: &[Line]) {
    let values = lines.iter().flat_map(|line| &line.values);
    if labels.is_empty() || values.clone().all(|value| *value == 0) {
        return canvas.nothing();
    }
    let scale = Scale::around(values.map(|value| unit.whole(*value)), unit.decimals == 0);
    rules(canvas, &scale);
    times(canvas, labels);
    let first = Paint::Series(0);
    match (lines, labels) {
        ([line], _) => {
            let columns = labels.iter().zip(&line.values);
            let columns = columns.map(|(label, value)| (label.as_str(), *value, first));
            draw_columns(canvas, unit, &scale, columns.collect());
        }
        // A line through one point is not seen.
        (_, [_]) => {
            let columns = lines.iter().enumerate().map(|(index, line)| {
                (line.name(), line.values.first().copied().unwrap_or(0), Paint::Series(index))
            });
            draw_columns(canvas, unit, &scale, columns.collect());
        }
        _ => draw_lines(canvas, unit, &scale, lines),
    }
    canvas.height = TOP + HEIGHT + 40.0;
    legend(canvas, lines);
}

/// The middle of a step.
fn middle(step: usize, steps: usize) -> f64 {
    LEFT + (RIGHT - LEFT) / steps as f64 * (step as f64 + 0.5)
}

fn rules(canvas: &mut Canvas, scale: &Scale) {
    let count = ((scale.high - scale.low) / scale.step).round() as i32;
    for value in (0..=count).map(|rule| scale.low + scale.step * f64::from(rule)) {
        canvas.rule(LEFT, RIGHT, scale.y(value));
        let place = (LEFT - 10.0, scale.y(value) + 4.0);
        canvas.text(place, Anchor::End, Type::Soft, &short(value));
    }
}

/// The times below the axis, as many as stand side by side.
fn times(canvas: &mut Canvas, labels: &[String]) {
    let room = widest(labels.iter().map(String::as_str));
    let most = ((RIGHT - LEFT) / (room + 24.0)).floor().clamp(1.0, LABELS) as usize;
    for step in (0..labels.len()).step_by(labels.len().div_ceil(most)) {
        let x = middle(step, labels.len()).min(WIDTH - room / 2.0);
        canvas.text((x, TOP + HEIGHT + 20.0), Anchor::Middle, Type::Soft, &labels[step]);
    }
}

/// Columns side by side: what each says, its value and its colour.
fn draw_columns(canvas: &mut Canvas, unit: &Unit, scale: &Scale, columns: Vec<(&str, i64, Paint)>) {
    let room = (RIGHT - LEFT) / columns.len() as f64;
    // Thin columns touch: gaps of less than a pixel would blur.
    let width = if room > 4.0 { (room * 0.76).min(WIDEST) } else { room };
    for (index, (label, value, paint)) in columns.iter().enumerate() {
        if *value == 0 {
            continue;
        }
        let (zero, end) = (scale.y(0.0), scale.y(unit.whole(*value)));
        let place = (middle(index, columns.len()) - width / 2.0, zero.min(end));
        let says = format!("{label}: {}", unit.said(*value));
        canvas.block(place, (width, (zero - end).abs()), *paint, &says);
    }
}

fn draw_lines(canvas: &mut Canvas, unit: &Unit, scale: &Scale, lines: &[Line]) {
    for (index, line) in lines.iter().enumerate() {
        let heights = line.values.iter().map(|value| scale.y(unit.whole(*value)));
        let points: Vec<(f64, f64)> =
            heights.enumerate().map(|(step, y)| (middle(step, line.values.len()), y)).collect();
        canvas.polyline(&points, Paint::Series(index), line.name());
    }
}

/// The names of the lines that have one: as many in a row as their width allows.
fn legend(canvas: &mut Canvas, lines: &[Line]) {
    let named: Vec<&str> = lines.iter().filter_map(|line| line.name.as_deref()).collect();
    if named.is_empty() {
        return;
    }
    let rooms = [3_usize, 2, 1].map(|columns| (columns, (RIGHT - LEFT) / columns as f64));
    let longest = widest(named.iter().copied()) + SWATCH + 12.0;
    let (columns, room) =
        rooms.into_iter().find(|(_, room)| longest <= *room).unwrap_or((1, RIGHT - LEFT));
    for (index, name) in named.iter().enumerate() {
        let x = LEFT + room * (index % columns) as f64;
        let y = TOP + HEIGHT + 48.0 + 22.0 * (index / columns) as f64;
        canvas.block((x, y - 10.0), (12.0, 12.0), Paint::Series(index), name);
        let name = cut_inside(name, room - SWATCH - 12.0);
        canvas.text((x + SWATCH, y), Anchor::Start, Type::Plain, &name);
    }
    canvas.height = TOP + HEIGHT + 44.0 + 22.0 * named.len().div_ceil(columns) as f64;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_stand_at_round_numbers_around_everything() {
        let around = |values: &[f64], is_whole| {
            let scale = Scale::around(values.iter().copied(), is_whole);
            format!("{} {} {}", scale.low, scale.high, scale.step)
        };
        assert_eq!(around(&[0.0, 0.0], true), "0 1 1");
        assert_eq!(around(&[3.0, 17.0], true), "0 20 5");
        assert_eq!(around(&[-40.0, 60.0], true), "-50 100 50");
        assert_eq!(around(&[1.0, 2.0], true), "0 2 1");
        assert_eq!(around(&[123_456.0], false), "0 150000 50000");
    }
}
