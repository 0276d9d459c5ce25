//! Moments and days that a business can mean: from 1900 until 2200, in UTC.
//!
//! `DateTime<Utc>` needs no serde module: chrono reads any RFC 3339 offset and writes `Z` with 0,
//! 3 or 6 decimals, as long as every value is whole microseconds. Those from the database are;
//! those made here come from [`now`]; those from a caller pass [`truncate`] on their way in.

use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, SubsecRound, Timelike, Utc};
use uuid::Uuid;

/// The present, in whole microseconds as the database keeps it.
pub fn now() -> DateTime<Utc> {
    truncate(Utc::now())
}

/// The time in whole microseconds, never later than given.
pub fn truncate(time: DateTime<Utc>) -> DateTime<Utc> {
    time.trunc_subsecs(6)
}

/// The time as it is shown: RFC 3339 in UTC with `Z`.
pub fn format(time: DateTime<Utc>) -> String {
    truncate(time).to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Whether the time is within 1900-01-01 and 2200-01-01 (excluded) and no leap second, which the
/// database would turn into the next minute.
pub fn check_time(time: DateTime<Utc>) -> bool {
    check_date(time.date_naive()) && time.nanosecond() < 1_000_000_000
}

/// Whether the day is within 1900-01-01 and 2200-01-01 (excluded).
pub fn check_date(date: NaiveDate) -> bool {
    (1900..2200).contains(&date.year())
}

/// Reads an RFC 3339 time within bounds, in whole microseconds.
pub fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    check_time(time).then(|| truncate(time))
}

/// Reads a day as `YYYY-MM-DD` within bounds.
pub fn parse_date(text: &str) -> Option<NaiveDate> {
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    (text.len() == 10 && check_date(date)).then_some(date)
}

/// The smallest UUID that a version 7 id of this millisecond or later can have (RFC 9562, 5.7).
///
/// Ids know no time before 1970; such a time gets the smallest id of all.
pub fn id_floor(time: DateTime<Utc>) -> Uuid {
    let ms = u128::try_from(time.timestamp_millis()).unwrap_or(0);
    Uuid::from_u128(ms << 80)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_time_is_shown_in_utc_with_z_and_microseconds_at_most() {
        let read = |text: &str| -> DateTime<Utc> { serde_json::from_value(json!(text)).unwrap() };
        let show = |text| serde_json::to_value(truncate(read(text))).unwrap();
        assert_eq!(show("2024-05-01T02:00:00+02:00"), json!("2024-05-01T00:00:00Z"));
        assert_eq!(show("2024-05-01T00:00:00.5Z"), json!("2024-05-01T00:00:00.500Z"));
        assert_eq!(show("1960-05-01T00:00:00.1234569Z"), json!("1960-05-01T00:00:00.123456Z"));
        assert_eq!(format(read("2024-05-01T02:00:00+02:00")), "2024-05-01T00:00:00Z");
        assert_eq!(now().nanosecond() % 1000, 0);
    }

    #[test]
    fn only_times_from_1900_until_2200_are_times() {
        assert!(parse_time("1900-01-01T00:00:00Z").is_some());
        assert!(parse_time("2199-12-31T23:59:59.999999999Z").is_some());
        let refused = [
            "1899-12-31T23:59:59Z",
            "2200-01-01T00:00:00Z",
            "1900-01-01T00:00:00+01:00",
            "-10000-01-01T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "+262000-01-01T00:00:00Z",
            "2023-12-31T23:59:60Z",
            "2023-02-30T00:00:00Z",
            "2023-01-01T00:00:00+99:00",
            "2023-01-01T00:00:00",
            "infinity",
            "",
        ];
        for text in refused {
            assert!(parse_time(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_date_has_four_two_and_two_digits() {
        assert!(parse_date("2024-02-29").is_some());
        for text in
            ["2023-02-29", "2024-2-9", "24-02-09", "1899-12-31", "2200-01-01", "", " 2024-1-1"]
        {
            assert!(parse_date(text).is_none(), "{text}");
        }
    }

    #[test]
    fn an_id_floor_divides_ids_by_their_time() {
        let at = |ms| DateTime::from_timestamp_millis(ms).unwrap();
        let id = |ms: i64| {
            Uuid::new_v7(uuid::Timestamp::from_unix_time(
                ms as u64 / 1000,
                (ms % 1000) as u32 * 1_000_000,
                0,
                0,
            ))
        };
        let ms = 1_700_000_000_123;
        assert!(id_floor(at(ms)) <= id(ms) && id(ms) < id_floor(at(ms + 1)));
        assert_eq!(id_floor(at(-5)), Uuid::nil());
    }
}
