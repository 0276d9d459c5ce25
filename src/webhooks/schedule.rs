//! When a message is sent again, and when an endpoint is left alone for a while.

use chrono::{DateTime, TimeDelta, Utc};

use crate::crypto::random;

/// How often a message is tried before it is given up.
pub const ATTEMPTS: i32 = 10;
/// Seconds between one attempt and the next: about 75 hours in all.
const DELAYS_S: [i64; 9] = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// After so many failures in a row an endpoint is sent one message at a time, with pauses.
pub const BREAKER: i32 = 5;
const SHORTEST_PAUSE_S: i64 = 5;
const LONGEST_PAUSE_S: i64 = 300;
/// How long an endpoint can ask us to wait.
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(24);

/// The time until the next attempt after so many failed ones; none after the last.
pub fn delay(failures: i32) -> Option<TimeDelta> {
    let at = usize::try_from(failures.max(1) - 1).ok()?;
    DELAYS_S.get(at).map(|seconds| spread(*seconds, random()))
}

/// How long an endpoint is left alone after so many failures in a row.
pub fn pause(failures: i32) -> Option<TimeDelta> {
    let beyond = u32::try_from(failures - BREAKER).ok()?;
    let seconds = SHORTEST_PAUSE_S.saturating_mul(1_i64 << beyond.min(10));
    Some(spread(seconds.min(LONGEST_PAUSE_S), random()))
}

/// Ten per cent less or more, so that what failed together does not come again together.
fn spread(seconds: i64, random: [u8; 2]) -> TimeDelta {
    let permille = 900 + i64::from(u16::from_le_bytes(random)) % 201;
    TimeDelta::milliseconds(seconds * permille)
}

/// The time that a `Retry-After` names (RFC 9110, 10.2.3): seconds or a date, at most a day ahead.
pub fn retry_after(value: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let value = value.trim();
    let at = match value.parse::<u32>() {
        Ok(seconds) => now + TimeDelta::seconds(seconds.into()),
        Err(_) => DateTime::parse_from_rfc2822(value).ok()?.to_utc(),
    };
    (at > now).then(|| at.min(now + LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_attempts_take_about_three_days() {
        let all: Vec<TimeDelta> = (1..=ATTEMPTS).map_while(delay).collect();
        assert_eq!(all.len(), 9);
        for (delay, seconds) in all.iter().zip(DELAYS_S) {
            let (least, most) = (seconds * 900, seconds * 1100);
            assert!((least..=most).contains(&delay.num_milliseconds()), "{delay}");
        }
        let hours = DELAYS_S.iter().sum::<i64>() / 3600;
        assert_eq!(hours, 75);
        assert_eq!(delay(ATTEMPTS), None);
    }

    #[test]
    fn delays_differ_by_ten_per_cent_at_most() {
        assert_eq!(spread(5, [0, 0]), TimeDelta::milliseconds(4500));
        assert_eq!(spread(5, [200, 0]), TimeDelta::milliseconds(5500));
        assert_ne!(spread(5, [1, 0]), spread(5, [2, 0]));
    }

    #[test]
    fn pauses_begin_with_the_fifth_failure_and_grow_to_five_minutes() {
        assert_eq!(pause(BREAKER - 1), None);
        let seconds = |failures| pause(failures).unwrap().num_milliseconds() / 1000;
        assert!((4..=5).contains(&seconds(5)), "{}", seconds(5));
        assert!((9..=11).contains(&seconds(6)));
        for failures in [11, 20, 1000, i32::MAX] {
            assert!((270..=330).contains(&seconds(failures)), "{failures}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_at_most_a_day() {
        let now: DateTime<Utc> = "1994-11-06T08:49:00Z".parse().unwrap();
        let wait = |value| retry_after(value, now).map(|at| (at - now).num_seconds());
        assert_eq!(wait("120"), Some(120));
        assert_eq!(wait(" 1 "), Some(1));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), Some(37));
        assert_eq!(wait("4000000000"), Some(86_400));
        assert_eq!(wait("Sat, 06 Nov 2094 08:49:37 GMT"), Some(86_400));
        for nothing in
            ["", "0", "-5", "soon", "1.5", "99999999999", "Sun, 06 Nov 1994 08:48:00 GMT"]
        {
            assert_eq!(wait(nothing), None, "{nothing}");
        }
    }
}
