//! Figures over time: one series as columns, several as lines with a legend.

use super::canvas::{Anchor, Canvas, MARGIN, TOP, WIDTH, cut};
use super::{Line, Unit, short};

const LEFT: f64 = 70.0;
const RIGHT: f64 = WIDTH - MARGIN;
const HEIGHT: f64 = 230.0;
/// Labels below the time axis, and legends in a row.
const LABELS: usize = 8;
const LEGENDS: usize = 3;

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
    if labels.is_empty() || lines.is_empty() {
        return canvas.nothing();
    }
    let values = lines.iter().flat_map(|line| &line.values).map(|value| unit.whole(*value));
    let scale = Scale::around(values, unit.decimals == 0);
    rules(canvas, &scale);
    for step in (0..labels.len()).step_by(labels.len().div_ceil(LABELS)) {
        let place = (middle(step, labels.len()), TOP + HEIGHT + 20.0);
        canvas.text(place, Anchor::Middle, "soft", &labels[step]);
    }
    match lines {
        [line] => columns(canvas, unit, &scale, labels, line),
        _ => several(canvas, unit, &scale, lines),
    }
}

/// The middle of a step.
fn middle(step: usize, steps: usize) -> f64 {
    LEFT + (RIGHT - LEFT) / steps as f64 * (step as f64 + 0.5)
}

fn rules(canvas: &mut Canvas, scale: &Scale) {
    let count = ((scale.high - scale.low) / scale.step).round() as i32;
    for value in (0..=count).map(|rule| scale.low + scale.step * f64::from(rule)) {
        canvas.rule(LEFT, RIGHT, scale.y(value));
        canvas.text((LEFT - 10.0, scale.y(value) + 4.0), Anchor::End, "soft", &short(value));
    }
}

fn columns(canvas: &mut Canvas, unit: &Unit, scale: &Scale, labels: &[String], line: &Line) {
    let width = (RIGHT - LEFT) / labels.len() as f64;
    // Thin columns touch: gaps of less than a pixel would blur.
    let gap = if width > 4.0 { width * 0.24 } else { 0.0 };
    for (step, (label, value)) in labels.iter().zip(&line.values).enumerate() {
        let (zero, end) = (scale.y(0.0), scale.y(unit.whole(*value)));
        let place = (LEFT + width * step as f64 + gap / 2.0, zero.min(end));
        let says = format!("{label}: {} {}", unit.exact(*value), unit.name);
        canvas.block(place, (width - gap, (zero - end).abs()), "var(--s0)", &says);
    }
    canvas.height = TOP + HEIGHT + 40.0;
}

fn several(canvas: &mut Canvas, unit: &Unit, scale: &Scale, lines: &[Line]) {
    for (index, line) in lines.iter().enumerate() {
        let colour = format!("var(--s{index})");
        let heights = line.values.iter().map(|value| scale.y(unit.whole(*value)));
        let points: Vec<(f64, f64)> =
            heights.enumerate().map(|(step, y)| (middle(step, line.values.len()), y)).collect();
        canvas.polyline(&points, &colour, &line.name);
        let x = LEFT + (RIGHT - LEFT) / LEGENDS as f64 * (index % LEGENDS) as f64;
        let y = TOP + HEIGHT + 48.0 + 22.0 * (index / LEGENDS) as f64;
        canvas.block((x, y - 10.0), (12.0, 12.0), &colour, &line.name);
        canvas.text((x + 18.0, y), Anchor::Start, "ink", &cut(&line.name, 26));
    }
    canvas.height = TOP + HEIGHT + 44.0 + 22.0 * lines.len().div_ceil(LEGENDS) as f64;
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
