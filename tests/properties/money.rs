//! Money is exact, or an error; never something near.

use ecrm::values::currency::exponent;
use ecrm::values::{Money, MoneyError};
use proptest::prelude::*;

fn money(amount: i64, currency: &str) -> Money {
    Money { amount, currency: currency.into() }
}

/// A currency of 0 to 4 decimals.
fn currency() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["JPY", "EUR", "USD", "KWD", "CLF", "ISK"])
}

/// The same sum in integers that cannot overflow.
fn exactly(amount: i128, currency: &str) -> Result<Money, MoneyError> {
    i64::try_from(amount)
        .map(|amount| money(amount, currency))
        .map_err(|_too_large| MoneyError::OutOfRange)
}

proptest! {
    #[test]
    fn a_shown_amount_reads_back_as_itself(amount in any::<i64>(), currency in currency()) {
        let shown = money(amount, currency).to_string();
        let (decimal, code) = shown.split_once(' ').unwrap();
        prop_assert_eq!(Money::parse_decimal(decimal, code), Ok(money(amount, currency)));
    }

    #[test]
    fn a_decimal_is_its_digits_or_an_error(
        sign in "-?", whole in "[0-9]{1,25}", fraction in "[0-9]{1,6}", currency in currency()
    ) {
        let scale = exponent(currency).unwrap() as usize;
        let (kept, surplus) = fraction.split_at(scale.min(fraction.len()));
        let digits = format!("{sign}{whole}{kept:0<scale$}");
        let expected = if surplus.bytes().any(|digit| digit != b'0') {
            Err(MoneyError::TooManyDecimals)
        } else {
            exactly(digits.parse().unwrap(), currency)
        };
        let text = format!("{sign}{whole}.{fraction}");
        prop_assert_eq!(Money::parse_decimal(&text, currency), expected);
    }

    #[test]
    fn no_text_is_read_wrongly(text in r"\PC{0,24}|[-+.,0-9eE ]{0,24}", currency in currency()) {
        let is_decimal = text.strip_prefix('-').unwrap_or(&text).split('.').count() <= 2
            && text.chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | '.'))
            && text.chars().any(|c| c.is_ascii_digit());
        match Money::parse_decimal(&text, currency) {
            Ok(read) => {
                prop_assert!(is_decimal, "{}", text);
                let again = read.to_string();
                let (again, _) = again.split_once(' ').unwrap();
                prop_assert_eq!(Money::parse_decimal(again, currency), Ok(read.clone()));
            }
            Err(MoneyError::NotDecimal) => {}
            Err(error) => prop_assert!(is_decimal, "{}: {}", text, error),
        }
    }

    #[test]
    fn arithmetic_is_that_of_integers_or_an_error(
        a in any::<i64>(), b in any::<i64>(), currency in currency()
    ) {
        let (one, two) = (money(a, currency), money(b, currency));
        let (a, b) = (i128::from(a), i128::from(b));
        prop_assert_eq!(one.checked_add(&two), exactly(a + b, currency));
        prop_assert_eq!(one.checked_sub(&two), exactly(a - b, currency));
        prop_assert_eq!(one.checked_mul(two.amount), exactly(a * b, currency));
        prop_assert_eq!(one.checked_add(&two), two.checked_add(&one));
    }

    #[test]
    fn two_currencies_are_never_added(a in any::<i64>(), b in any::<i64>()) {
        let (euros, yen) = (money(a, "EUR"), money(b, "JPY"));
        prop_assert_eq!(euros.checked_add(&yen), Err(MoneyError::CurrencyMismatch));
        prop_assert_eq!(yen.checked_sub(&euros), Err(MoneyError::CurrencyMismatch));
    }

    #[test]
    fn money_survives_json(amount in any::<i64>(), currency in currency()) {
        let money = money(amount, currency);
        let text = serde_json::to_string(&money).unwrap();
        prop_assert_eq!(serde_json::from_str::<Money>(&text).unwrap(), money);
    }

    #[test]
    fn only_three_capitals_are_a_currency(text in r"[A-Za-z]{0,5}|\PC{0,6}") {
        if exponent(&text).is_some() {
            prop_assert!(text.len() == 3 && text.bytes().all(|b| b.is_ascii_uppercase()));
        }
    }
}
