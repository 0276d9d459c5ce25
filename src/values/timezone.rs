//! Time zones by their IANA names, such as `Europe/Berlin`.

use std::str::FromStr;

use chrono_tz::Tz;

/// The time zone of this IANA name, spelled exactly.
pub fn parse(name: &str) -> Option<Tz> {
    Tz::from_str(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_zone_has_an_iana_name() {
        assert!(["Europe/Berlin", "UTC", "America/New_York"].iter().all(|n| parse(n).is_some()));
        for name in ["", "europe/berlin", "+02:00", "Berlin", "Mars/Base", "UTC\u{0}"] {
            assert!(parse(name).is_none(), "{name:?}");
        }
    }
}
