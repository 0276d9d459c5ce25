//! Countries by their two letters, such as `DE` or `US`.

use celes::Country;

/// The ISO 3166-1 alpha-2 code in upper case, whatever case it came in.
pub fn normalise(code: &str) -> Option<&'static str> {
    Country::from_alpha2(code).ok().map(|country| country.alpha2)
}

/// Whether this is an ISO 3166-1 alpha-2 code in upper case, as it is stored and shown.
pub fn is_country(code: &str) -> bool {
    normalise(code) == Some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_is_two_known_capitals() {
        assert!(is_country("DE") && is_country("US") && is_country("GB"));
        for code in ["", "de", "UK", "DEU", "XX", "D\u{0}", "Germany"] {
            assert!(!is_country(code), "{code:?}");
        }
        assert_eq!(normalise("de"), Some("DE"));
    }
}
