//! Spans of time such as "90 days" or "12 hours", written the ISO 8601 way: `P90D`, `PT12H`.

use chrono::{DateTime, Months, TimeDelta, Utc};

use super::time::check_time;

/// An ISO 8601 duration in whole numbers; years and months follow the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IsoDuration {
    pub months: u32,
    pub seconds: i64,
}

impl IsoDuration {
    /// Reads `P2W`, `P1Y6M`, `P90D`, `PT12H30M` and the like; longer than nothing, no fractions.
    pub fn parse(text: &str) -> Option<Self> {
        let (date, time) = match text.strip_prefix('P')?.split_once('T') {
            Some((date, time)) => (date, Some(time)),
            None => (text.strip_prefix('P')?, None),
        };
        let [years, months, weeks, days] = read(date, ['Y', 'M', 'W', 'D'])?;
        let [hours, minutes, seconds] = match time {
            Some("") => return None,
            Some(time) => read(time, ['H', 'M', 'S'])?,
            None => [0; 3],
        };
        let days = i64::from(weeks) * 7 + i64::from(days);
        let minutes = i64::from(hours) * 60 + i64::from(minutes);
        let span = Self {
            months: years * 12 + months,
            seconds: days * 86_400 + minutes * 60 + i64::from(seconds),
        };
        (span.months > 0 || span.seconds > 0).then_some(span)
    }

    /// The moment that lies this long before `time`; `None` before 1900.
    pub fn before(self, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let time = time.checked_sub_months(Months::new(self.months))?;
        let time = time.checked_sub_signed(TimeDelta::try_seconds(self.seconds)?)?;
        check_time(time).then_some(time)
    }
}

/// Numbers of up to six digits, each before its unit, units in order and none twice.
fn read<const N: usize>(mut text: &str, units: [char; N]) -> Option<[u32; N]> {
    let mut values = [0; N];
    for (value, unit) in values.iter_mut().zip(units) {
        let Some((digits, rest)) = text.split_once(unit) else { continue };
        let is_number = (1..=6).contains(&digits.len());
        if !is_number || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *value = digits.parse().ok()?;
        text = rest;
    }
    text.is_empty().then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_read_from_iso_8601() {
        let parts = |text| IsoDuration::parse(text).map(|d| (d.months, d.seconds));
        assert_eq!(parts("P90D"), Some((0, 90 * 86_400)));
        assert_eq!(parts("PT12H"), Some((0, 12 * 3600)));
        assert_eq!(parts("P2W"), Some((0, 14 * 86_400)));
        assert_eq!(parts("P1Y6M"), Some((18, 0)));
        assert_eq!(parts("P1M"), Some((1, 0)));
        assert_eq!(parts("PT1M"), Some((0, 60)));
        assert_eq!(parts("P1DT1H1M1S"), Some((0, 90_061)));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        let refused = [
            "",
            "P",
            "PT",
            "90D",
            "P90",
            "P-1D",
            "-P1D",
            "P1.5D",
            "P1D2Y",
            "P1D1D",
            "PD",
            "P0D",
            "PT0S",
            "p1d",
            "P1H",
            "PT1D",
            "P1234567D",
            "P1DT",
            " P1D",
            "P٣D",
        ];
        for text in refused {
            assert_eq!(IsoDuration::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_month_before_the_last_of_march_is_the_last_of_february() {
        let time: DateTime<Utc> = "2024-03-31T12:00:00Z".parse().unwrap();
        let month = IsoDuration::parse("P1M").unwrap();
        assert_eq!(month.before(time), Some("2024-02-29T12:00:00Z".parse().unwrap()));
        assert_eq!(IsoDuration::parse("P999999Y").unwrap().before(time), None);
        assert_eq!(IsoDuration::parse("P999999D").unwrap().before(time), None);
    }
}
