//! Amounts of money, exact to the cent: whole minor units and a currency, never a fraction.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

use super::{currency, valid};
use crate::error::FieldError;

/// An amount in the smallest unit of its currency: 1999 in EUR is 19.99 euros.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// Minor units of the currency (ISO 4217 exponent): cents for EUR, whole yen for JPY.
    #[schema(example = 1999)]
    pub amount: i64,
    /// ISO 4217 code in upper case.
    #[validate(custom(function = "valid::currency"))]
    #[schema(example = "EUR", min_length = 3, max_length = 3)]
    pub currency: String,
}

/// The largest amount that an order, cart or touchpoint can have anywhere, in minor units: sums stay far
/// from 64 bits.
pub const MOST: i64 = 1_000_000_000_000_000;

/// Why an amount could not be read or computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoneyError {
    /// No ISO 4217 currency that prices can be in.
    UnknownCurrency,
    /// Not of the shape `-12.30`.
    NotDecimal,
    /// A decimal other than 0 that the currency has no unit for.
    TooManyDecimals,
    /// Beyond what 64 bits hold.
    OutOfRange,
    /// Two amounts in different currencies.
    CurrencyMismatch,
}

impl MoneyError {
    /// Stable code for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::UnknownCurrency => "invalid_currency",
            Self::NotDecimal | Self::TooManyDecimals => "invalid_amount",
            Self::OutOfRange => "amount_out_of_range",
            Self::CurrencyMismatch => "currency_mismatch",
        }
    }
}

impl fmt::Display for MoneyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownCurrency => "the currency must be an ISO 4217 code such as `EUR`",
            Self::NotDecimal => "the amount must be a decimal such as `12.30`",
            Self::TooManyDecimals => "the amount has more decimals than its currency",
            Self::OutOfRange => "the amount does not fit into 64 bits of minor units",
            Self::CurrencyMismatch => "the amounts must be in the same currency",
        })
    }
}

impl std::error::Error for MoneyError {}

impl Money {
    /// Reads a decimal text such as `-12.30` exactly; decimals that are missing count as 0, and
    /// surplus decimals must be 0.
    pub fn parse_decimal(text: &str, currency: &str) -> Result<Self, MoneyError> {
        let exponent = currency::exponent(currency).ok_or(MoneyError::UnknownCurrency)?;
        let amount = minor_units(text, exponent)?;
        Ok(Self { amount, currency: currency.into() })
    }

    /// Reads a decimal text and rounds it, half away from zero, where it has more decimals than its
    /// currency: shops compute prices with more.
    pub fn parse_rounded(text: &str, currency: &str) -> Result<Self, MoneyError> {
        let exponent = currency::exponent(currency).ok_or(MoneyError::UnknownCurrency)?;
        let kept = text.find('.').map_or(text.len(), |point| point + 1 + exponent as usize);
        let Some(rest) = text.get(kept..).filter(|rest| !rest.is_empty()) else {
            return Self::parse_decimal(text, currency);
        };
        if !is_digits(rest) {
            return Err(MoneyError::NotDecimal);
        }
        let exact = Self::parse_decimal(text[..kept].trim_end_matches('.'), currency)?;
        let up = i64::from(rest.as_bytes()[0] >= b'5');
        let away = if text.starts_with('-') { -up } else { up };
        let amount = exact.amount.checked_add(away).ok_or(MoneyError::OutOfRange)?;
        Ok(Self { amount, ..exact })
    }

    /// The amount, where it is from 0 to [`MOST`] in `currency`; else what is wrong at `pointer`.
    pub fn within(&self, currency: &str, pointer: &str) -> Result<i64, FieldError> {
        if self.currency != currency {
            let detail = format!("every amount here is in one currency, `{currency}`");
            let pointer = format!("{pointer}/currency");
            return Err(FieldError::at(pointer, "currency_mismatch", detail));
        }
        if !(0..=MOST).contains(&self.amount) {
            let detail = format!("the amount must be from 0 to {MOST} minor units");
            return Err(FieldError::at(format!("{pointer}/amount"), "out_of_range", detail));
        }
        Ok(self.amount)
    }

    /// Whether it is at most [`MOST`], or as much below zero.
    pub fn fits(&self) -> bool {
        self.amount.unsigned_abs() <= MOST.unsigned_abs()
    }

    /// The sum of two amounts in the same currency.
    pub fn checked_add(&self, other: &Self) -> Result<Self, MoneyError> {
        self.combine(other, i64::checked_add)
    }

    /// The difference of two amounts in the same currency.
    pub fn checked_sub(&self, other: &Self) -> Result<Self, MoneyError> {
        self.combine(other, i64::checked_sub)
    }

    /// So many times the amount.
    pub fn checked_mul(&self, quantity: i64) -> Result<Self, MoneyError> {
        let amount = self.amount.checked_mul(quantity).ok_or(MoneyError::OutOfRange)?;
        Ok(Self { amount, currency: self.currency.clone() })
    }

    fn combine(
        &self,
        other: &Self,
        operation: fn(i64, i64) -> Option<i64>,
    ) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrencyMismatch);
        }
        let amount = operation(self.amount, other.amount).ok_or(MoneyError::OutOfRange)?;
        Ok(Self { amount, currency: self.currency.clone() })
    }
}

fn minor_units(text: &str, exponent: u32) -> Result<i64, MoneyError> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    if !is_digits(whole) || !is_digits(fraction) {
        return Err(MoneyError::NotDecimal);
    }
    let scale = exponent as usize;
    if fraction.bytes().skip(scale).any(|b| b != b'0') {
        return Err(MoneyError::TooManyDecimals);
    }
    let decimals = fraction.bytes().chain(std::iter::repeat(b'0')).take(scale);
    whole
        .bytes()
        .chain(decimals)
        .try_fold(0_i64, |sum, digit| {
            let digit = i64::from(digit - b'0') * sign;
            sum.checked_mul(10)?.checked_add(digit)
        })
        .ok_or(MoneyError::OutOfRange)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

impl Money {
    /// The decimal amount, as [`Money::parse_decimal`] reads it: `-12.30`.
    pub fn decimal(&self) -> String {
        let scale = currency::exponent(&self.currency).unwrap_or(0) as usize;
        let digits = format!("{:0width$}", self.amount.unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let sign = if self.amount < 0 { "-" } else { "" };
        let point = if scale > 0 { "." } else { "" };
        format!("{sign}{whole}{point}{fraction}")
    }
}

impl fmt::Display for Money {
    /// The decimal amount and its currency: `-12.30 EUR`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.decimal(), self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(amount: i64, currency: &str) -> Money {
        Money { amount, currency: currency.into() }
    }

    #[test]
    fn a_decimal_is_read_exactly() {
        let cases = [
            ("12.30", "EUR", 1230),
            ("12", "EUR", 1200),
            ("12.3", "EUR", 1230),
            ("-0.01", "EUR", -1),
            ("-0.00", "EUR", 0),
            ("1.005", "KWD", 1005),
            ("1200", "JPY", 1200),
            ("1200.00", "JPY", 1200),
            ("12.3000", "EUR", 1230),
            ("92233720368547758.07", "EUR", i64::MAX),
            ("-92233720368547758.08", "EUR", i64::MIN),
        ];
        for (text, currency, amount) in cases {
            assert_eq!(Money::parse_decimal(text, currency), Ok(money(amount, currency)), "{text}");
        }
    }

    #[test]
    fn a_decimal_is_rounded_where_that_is_asked_for() {
        let cases = [
            ("12.3333", "EUR", 1233),
            ("12.335", "EUR", 1234),
            ("-12.335", "EUR", -1234),
            ("-0.004", "EUR", 0),
            ("9.5", "JPY", 10),
            ("9.4", "JPY", 9),
            ("9", "JPY", 9),
            ("1.0005", "KWD", 1001),
            ("12.3", "EUR", 1230),
        ];
        for (text, currency, amount) in cases {
            assert_eq!(Money::parse_rounded(text, currency), Ok(money(amount, currency)), "{text}");
        }
        for text in ["", "x", "1.2x3", "1.23x", "1..2", "1e3"] {
            assert_eq!(Money::parse_rounded(text, "EUR"), Err(MoneyError::NotDecimal), "{text}");
        }
    }

    #[test]
    fn a_decimal_that_is_not_exact_is_an_error() {
        use MoneyError::*;
        let cases = [
            ("1.005", "EUR", TooManyDecimals),
            ("0.5", "JPY", TooManyDecimals),
            ("92233720368547758.08", "EUR", OutOfRange),
            ("1", "XAU", UnknownCurrency),
            ("1", "eur", UnknownCurrency),
        ];
        for (text, currency, error) in cases {
            assert_eq!(Money::parse_decimal(text, currency), Err(error), "{text}");
        }
        for text in ["", "-", ".5", "5.", "1e3", "+1", "--1", "1,20", " 1", "1.-2", "NaN", "١"] {
            assert_eq!(Money::parse_decimal(text, "EUR"), Err(NotDecimal), "{text}");
        }
    }

    #[test]
    fn a_shown_amount_reads_back_as_itself() {
        for amount in [i64::MIN, i64::MIN + 1, -1999, -5, 0, 5, 99, 100, i64::MAX] {
            for currency in ["EUR", "JPY", "KWD"] {
                let shown = money(amount, currency).to_string();
                let (decimal, code) = shown.split_once(' ').unwrap();
                assert_eq!(Money::parse_decimal(decimal, code), Ok(money(amount, currency)));
            }
        }
        assert_eq!(money(-5, "EUR").to_string(), "-0.05 EUR");
        assert_eq!(money(1999, "JPY").to_string(), "1999 JPY");
    }

    #[test]
    fn arithmetic_is_checked() {
        use MoneyError::*;
        let (most, one) = (money(i64::MAX, "EUR"), money(1, "EUR"));
        assert_eq!(money(5, "EUR").checked_sub(&one), Ok(money(4, "EUR")));
        assert_eq!(money(5, "EUR").checked_mul(-3), Ok(money(-15, "EUR")));
        assert_eq!(most.checked_add(&one), Err(OutOfRange));
        assert_eq!(money(i64::MIN, "EUR").checked_sub(&one), Err(OutOfRange));
        assert_eq!(money(i64::MIN, "EUR").checked_mul(-1), Err(OutOfRange));
        assert_eq!(one.checked_add(&money(1, "USD")), Err(CurrencyMismatch));
    }

    #[test]
    fn money_is_two_members_and_nothing_else() {
        let json = r#"{"amount":1999,"currency":"EUR"}"#;
        let read: Money = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), json);
        assert!(read.validate().is_ok() && money(1, "eur").validate().is_err());
        for bad in [
            r#"{"amount":1.5,"currency":"EUR"}"#,
            r#"{"amount":"1","currency":"EUR"}"#,
            r#"{"amount":9223372036854775808,"currency":"EUR"}"#,
            r#"{"amount":1}"#,
        ] {
            assert!(serde_json::from_str::<Money>(bad).is_err(), "{bad}");
        }
    }
}
