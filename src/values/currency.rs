//! Currencies by their three letters, and how many decimals each one has.

use iso_currency::Currency;

/// Number of decimals of an ISO 4217 currency in upper case: 2 for `EUR`, 0 for `JPY`.
///
/// `None` for what is no currency, and for metals, test codes and the like that nobody pays in.
pub fn exponent(code: &str) -> Option<u32> {
    let currency = Currency::from_code(code).filter(|currency| !currency.is_special())?;
    currency.exponent().map(u32::from)
}

/// Whether prices can be in this currency.
pub fn is_currency(code: &str) -> bool {
    exponent(code).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_currency_has_its_iso_exponent() {
        for (code, decimals) in [("EUR", 2), ("USD", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4)] {
            assert_eq!(exponent(code), Some(decimals), "{code}");
        }
    }

    #[test]
    fn what_nobody_pays_in_is_no_currency() {
        for code in ["", "eur", "EURO", "XAU", "XXX", "XTS", "AAA", "E\u{0}R"] {
            assert!(!is_currency(code), "{code:?}");
        }
    }
}
