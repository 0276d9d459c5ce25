//! Times, days, durations, and the time in an id.

use chrono::{DateTime, NaiveDate, Utc};
use ecrm::db::id;
use ecrm::values::{IsoDuration, time};
use proptest::prelude::*;

/// Microseconds from 1900 until 2200.
fn moment() -> impl Strategy<Value = DateTime<Utc>> {
    (-2_208_988_800_000_000_i64..7_258_118_400_000_000)
        .prop_map(|us| DateTime::from_timestamp_micros(us).unwrap())
}

/// Those that ids know.
fn since_1970() -> impl Strategy<Value = DateTime<Utc>> {
    (0_i64..7_258_118_400_000_000).prop_map(|us| DateTime::from_timestamp_micros(us).unwrap())
}

proptest! {
    #[test]
    fn a_shown_time_reads_back_as_itself(moment in moment()) {
        let shown = time::format(moment);
        prop_assert!(shown.ends_with('Z'));
        prop_assert_eq!(time::parse_time(&shown), Some(moment));
    }

    #[test]
    fn a_time_is_the_same_in_every_zone(moment in moment(), minutes in -840_i32..840) {
        let zone = chrono::FixedOffset::east_opt(minutes * 60).unwrap();
        let shown = moment.with_timezone(&zone).to_rfc3339();
        prop_assert_eq!(time::parse_time(&shown), Some(moment));
    }

    #[test]
    fn no_text_is_a_time_out_of_bounds(text in r"[-+:.TZ0-9]{0,35}|\PC{0,35}") {
        if let Some(read) = time::parse_time(&text) {
            prop_assert!(time::check_time(read) && time::truncate(read) == read);
        }
        if let Some(read) = time::parse_date(&text) {
            prop_assert_eq!(read.to_string(), text);
        }
    }

    #[test]
    fn a_day_reads_back_as_itself(days in 0_u64..109_000) {
        let first = NaiveDate::from_ymd_opt(1900, 1, 1).unwrap();
        let day = first + chrono::Days::new(days);
        prop_assert_eq!(time::parse_date(&day.to_string()), Some(day));
    }

    #[test]
    fn a_duration_is_the_sum_of_its_parts(parts in any::<[u16; 7]>()) {
        let [y, mo, w, d, h, mi, s] = parts;
        let text = format!("P{y}Y{mo}M{w}W{d}DT{h}H{mi}M{s}S");
        let seconds = (i64::from(w) * 7 + i64::from(d)) * 86_400
            + i64::from(h) * 3600 + i64::from(mi) * 60 + i64::from(s);
        let months = u32::from(y) * 12 + u32::from(mo);
        let expected = (months > 0 || seconds > 0).then_some(IsoDuration { months, seconds });
        prop_assert_eq!(IsoDuration::parse(&text), expected);
    }

    #[test]
    fn no_duration_leads_out_of_the_calendar(
        text in "P([0-9]{1,7}[YMWD]){0,3}(T([0-9]{1,7}[HMS]){0,2})?|.{0,20}", moment in moment()
    ) {
        if let Some(before) = IsoDuration::parse(&text).and_then(|span| span.before(moment)) {
            prop_assert!(before < moment && time::check_time(before));
        }
    }

    #[test]
    fn an_id_keeps_its_time_to_the_microsecond(moment in since_1970(), sequence in any::<u16>()) {
        let id = id::at(moment, sequence);
        prop_assert_eq!(id::instant(id), moment);
        prop_assert_eq!(id.get_version_num(), 7);
        prop_assert!(id::floor(moment) <= id);
    }

    #[test]
    fn ids_sort_like_their_times(a in since_1970(), later in 1_i64..10_000_000, s in any::<u16>()) {
        let b = a + chrono::TimeDelta::microseconds(later);
        prop_assert!(id::at(a, s) < id::at(b, 0) && id::at(a, s) < id::floor(b));
    }
}
