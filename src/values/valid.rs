//! The checks as request bodies name them: `#[validate(custom(function = "valid::email"))]`.
//!
//! Each has a stable code and a message that says what is expected and never repeats the value.

use std::borrow::Cow;

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;
use url::Url;
use validator::ValidationError;

use super::{Email, Phone, country as countries, currency as currencies, json, locale as locales};
use super::{time as times, timezone as timezones};

/// One bare email address: `invalid_email`.
pub fn email(value: &str) -> Result<(), ValidationError> {
    let expected = "must be an email address of at most 254 characters, such as `ann@example.com`";
    ensure(Email::parse(value).is_some(), "invalid_email", expected)
}

/// A telephone number with its country calling code: `invalid_phone`.
pub fn phone(value: &str) -> Result<(), ValidationError> {
    let expected = "must be a phone number with country calling code and without extension, \
                    such as `+4930901820`";
    ensure(Phone::parse(value, None).is_some(), "invalid_phone", expected)
}

/// A language tag in any case: `invalid_locale`.
pub fn locale(value: &str) -> Result<(), ValidationError> {
    let expected = "must be a BCP 47 language tag such as `en-US`";
    ensure(locales::normalise(value).is_some(), "invalid_locale", expected)
}

/// A country in upper case: `invalid_country`.
pub fn country(value: &str) -> Result<(), ValidationError> {
    let expected = "must be an ISO 3166-1 alpha-2 code in upper case, such as `DE`";
    ensure(countries::is_country(value), "invalid_country", expected)
}

/// A currency in upper case: `invalid_currency`.
pub fn currency(value: &str) -> Result<(), ValidationError> {
    let expected = "must be an ISO 4217 code in upper case, such as `EUR`";
    ensure(currencies::is_currency(value), "invalid_currency", expected)
}

/// An IANA time zone: `invalid_timezone`.
pub fn timezone(value: &str) -> Result<(), ValidationError> {
    let expected = "must be an IANA time zone such as `Europe/Berlin`";
    ensure(timezones::parse(value).is_some(), "invalid_timezone", expected)
}

/// A time from 1900 until 2200: `invalid_time`.
pub fn time(value: &DateTime<Utc>) -> Result<(), ValidationError> {
    let expected = "must be from 1900-01-01T00:00:00Z until before 2200-01-01T00:00:00Z \
                    and no leap second";
    ensure(times::check_time(*value), "invalid_time", expected)
}

/// A day from 1900 until 2200: `invalid_date`.
pub fn date(value: &NaiveDate) -> Result<(), ValidationError> {
    let expected = "must be from 1900-01-01 until before 2200-01-01";
    ensure(times::check_date(*value), "invalid_date", expected)
}

/// A free JSON object within [`json::FREE`]. The first fault's code; where it lies below the field
/// is in the parameter `pointer` (`/a/b`).
pub fn free_object(value: &Value) -> Result<(), ValidationError> {
    ensure(value.is_object(), "invalid_type", "must be a JSON object")?;
    let Some(fault) = json::check_json("", value, &json::FREE).into_iter().next() else {
        return Ok(());
    };
    let error = ValidationError { code: fault.code, message: None, params: Default::default() };
    let mut error = error.with_message(fault.detail.into());
    if let Some(pointer) = fault.pointer {
        error.params.insert(Cow::Borrowed("pointer"), Value::String(pointer));
    }
    Err(error)
}

/// Short labels: each 1 to 100 characters, none twice: `invalid_tags`.
pub fn tags(values: &[String]) -> Result<(), ValidationError> {
    let fits = |tag: &String| (1..=100).contains(&tag.chars().count());
    let is_new = |(at, tag): (usize, &String)| !values[..at].contains(tag);
    let is_valid = values.iter().all(fits) && values.iter().enumerate().all(is_new);
    ensure(is_valid, "invalid_tags", "must be different labels of 1 to 100 characters")
}

/// The items of a batch: 1 to 1000, `invalid_length`. Each item is checked on its own later.
pub fn batch<T>(items: &[T]) -> Result<(), ValidationError> {
    ensure((1..=1000).contains(&items.len()), "invalid_length", "must have 1 to 1000 items")
}

/// The key of an attribute: `invalid_key`.
pub fn key(value: &str) -> Result<(), ValidationError> {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let starts = value.starts_with(|c: char| c.is_ascii_lowercase());
    let is_valid = starts && value.len() <= 100 && value.chars().all(is_word);
    let expected = "must be 1 to 100 lower-case letters, digits and `_`, beginning with a letter";
    ensure(is_valid, "invalid_key", expected)
}

/// An address that a browser can open and that runs nothing there: `invalid_url`.
pub fn url(value: &str) -> Result<(), ValidationError> {
    let expected = "must be a web address such as `https://shop.example.com/products/rope`";
    ensure(is_web_address(value), "invalid_url", expected)
}

/// Whether a text is an `http` or `https` address, and nothing like `javascript:`.
pub fn is_web_address(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

fn ensure(
    is_valid: bool,
    code: &'static str,
    expected: &'static str,
) -> Result<(), ValidationError> {
    if is_valid {
        return Ok(());
    }
    Err(ValidationError::new(code).with_message(Cow::Borrowed(expected)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use validator::{Validate, ValidationErrors};

    use super::super::Money;
    use super::*;
    use crate::values::valid;

    #[derive(Validate)]
    struct Everything {
        #[validate(custom(function = "valid::email"))]
        email: Option<String>,
        #[validate(custom(function = "valid::phone"))]
        phone: Option<String>,
        #[validate(custom(function = "valid::locale"))]
        locale: String,
        #[validate(custom(function = "valid::country"))]
        country: String,
        #[validate(custom(function = "valid::timezone"))]
        timezone: String,
        #[validate(custom(function = "valid::time"))]
        seen_at: Option<DateTime<Utc>>,
        #[validate(custom(function = "valid::date"))]
        born_on: NaiveDate,
        #[validate(nested)]
        price: Option<Money>,
        #[validate(custom(function = "valid::free_object"))]
        attributes: Value,
    }

    fn good() -> Everything {
        Everything {
            email: Some("ann@example.com".into()),
            phone: None,
            locale: "en-us".into(),
            country: "DE".into(),
            timezone: "Europe/Berlin".into(),
            seen_at: Some(times::now()),
            born_on: NaiveDate::from_ymd_opt(1990, 1, 1).unwrap(),
            price: Some(Money { amount: 1, currency: "EUR".into() }),
            attributes: json!({"a": 1}),
        }
    }

    fn codes(errors: &ValidationErrors) -> Vec<(String, String)> {
        let mut codes: Vec<_> = errors
            .field_errors()
            .iter()
            .flat_map(|(field, all)| all.iter().map(|e| (field.to_string(), e.code.to_string())))
            .collect();
        codes.sort();
        codes
    }

    #[test]
    fn a_good_body_is_valid() {
        assert!(good().validate().is_ok());
    }

    #[test]
    fn every_bad_field_has_its_own_code() {
        let bad = Everything {
            email: Some("ann".into()),
            phone: Some("030".into()),
            locale: "english".into(),
            country: "de".into(),
            timezone: "Berlin".into(),
            seen_at: Some(DateTime::UNIX_EPOCH - chrono::TimeDelta::days(40_000)),
            born_on: NaiveDate::from_ymd_opt(1600, 1, 1).unwrap(),
            price: Some(Money { amount: 1, currency: "eur".into() }),
            attributes: json!({"a": {"b": "\u{0}"}}),
        };
        let errors = bad.validate().unwrap_err();
        let expected = [
            ("attributes", "nul_character"),
            ("born_on", "invalid_date"),
            ("country", "invalid_country"),
            ("email", "invalid_email"),
            ("locale", "invalid_locale"),
            ("phone", "invalid_phone"),
            ("seen_at", "invalid_time"),
            ("timezone", "invalid_timezone"),
        ];
        let expected = expected.map(|(field, code)| (field.to_string(), code.to_string()));
        assert_eq!(codes(&errors), expected);
        assert!(errors.errors().contains_key("price"));
    }

    #[test]
    fn an_address_is_one_of_the_web() {
        for good in ["https://shop.example.com", "http://[::1]:80/a?b#c", "HTTPS://x.example"] {
            assert!(url(good).is_ok(), "{good}");
        }
        let scripts =
            ["javascript:alert(1)", " javascript:alert(1)", "data:text/html,x", "vbscript:x"];
        let others =
            ["ftp://x.example/", "//x.example/a", "/a", "x.example", "https://", "mailto:a@b.c"];
        for bad in scripts.iter().chain(&others) {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_message_says_what_is_expected_and_not_what_was_given() {
        let secret = "secret-text";
        let checks = [email, phone, locale, country, currency, timezone, url];
        for check in checks {
            let message = check(secret).unwrap_err().message.unwrap();
            assert!(message.starts_with("must be") && !message.contains(secret));
        }
        let error = free_object(&json!({"a": {"b": "x\u{0}"}})).unwrap_err();
        assert_eq!(error.params["pointer"], "/a/b");
        assert_eq!(free_object(&json!([1])).unwrap_err().code, "invalid_type");
    }
}
