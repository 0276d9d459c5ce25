//! Ids that sort by time: a UUIDv7 (RFC 9562) carries the instant it stands for.

use chrono::{DateTime, TimeZone, Utc};
use uuid::Uuid;

/// The id of something that happened at `at`, the `sequence`-th of its request.
///
/// 48 bits of milliseconds, 12 bits of the millisecond's fraction (RFC 9562, method 3, so that
/// [`instant`] gives the microsecond back), 14 bits of sequence to keep the order in which one
/// request wrote, 48 random bits. Times before 1970 have no such id and count as 1970.
pub fn at(at: DateTime<Utc>, sequence: u16) -> Uuid {
    let micros = u128::try_from(at.timestamp_micros()).unwrap_or(0);
    let (millis, rest) = (micros / 1000, micros % 1000);
    let fraction = (rest * 4096).div_ceil(1000);
    let random = Uuid::new_v4().as_u128() & ((1 << 48) - 1);
    let sequence = u128::from(sequence & 0x3fff);
    Uuid::from_u128(
        (millis << 80) | (0x7 << 76) | (fraction << 64) | (0b10 << 62) | (sequence << 48) | random,
    )
}

/// The instant in an id made by [`at`], to the microsecond.
pub fn instant(id: Uuid) -> DateTime<Utc> {
    let bits = id.as_u128();
    let millis = i64::try_from(bits >> 80).expect("BUG: 48 bits fit in 64");
    let fraction = i64::try_from((bits >> 64) & 0xfff).expect("BUG: 12 bits fit in 64");
    let micros = millis.saturating_mul(1000) + fraction * 1000 / 4096;
    Utc.timestamp_micros(micros).single().unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// The smallest id of an instant: ids at or after it are `>=` this one.
pub fn floor(at: DateTime<Utc>) -> Uuid {
    let micros = u128::try_from(at.timestamp_micros()).unwrap_or(0);
    let fraction = ((micros % 1000) * 4096).div_ceil(1000);
    Uuid::from_u128(((micros / 1000) << 80) | (0x7 << 76) | (fraction << 64) | (0b10 << 62))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_gives_its_microsecond_back() {
        for micros in (0..3000).chain([1_773_475_923_120_001, 7_258_118_399_999_999]) {
            let time = Utc.timestamp_micros(micros).unwrap();
            assert_eq!(instant(at(time, 7)), time);
            assert_eq!(instant(floor(time)), time);
            assert_eq!(at(time, 0).get_version_num(), 7);
        }
    }

    #[test]
    fn ids_sort_by_time_then_by_sequence() {
        let time = Utc.timestamp_micros(1_773_475_923_120_001).unwrap();
        let later = Utc.timestamp_micros(1_773_475_923_120_002).unwrap();
        assert!(floor(time) <= at(time, 0));
        assert!(at(time, 0) < at(time, 1));
        assert!(at(time, 0x3fff) < floor(later));
    }
}
