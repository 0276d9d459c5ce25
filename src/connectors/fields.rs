//! Reading what shops send: fields that may be missing, empty, numbers or texts.

use chrono::{DateTime, NaiveDateTime, Utc};
use serde_json::Value;

use crate::values::money::{MOST, Money, MoneyError};
use crate::values::{Email, Phone, country, currency, locale, valid};

/// An object of a shop's, or nothing.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a>(pub &'a Value);

impl<'a> Fields<'a> {
    fn value(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// An object in this one; nothing has no fields.
    pub fn object(&self, name: &str) -> Self {
        Self(self.0.get(name).unwrap_or(&Value::Null))
    }

    /// Objects in a list.
    pub fn list(&self, name: &str) -> Vec<Self> {
        let list = self.value(name).and_then(Value::as_array);
        list.into_iter().flatten().map(Self).collect()
    }

    pub fn flag(&self, name: &str) -> bool {
        self.value(name).and_then(Value::as_bool).unwrap_or(false)
    }

    pub fn number(&self, name: &str) -> Option<i64> {
        let value = self.value(name)?;
        value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
    }

    /// A text or number as text; what is empty is absent, what is longer than `most` is cut.
    pub fn text(&self, name: &str, most: usize) -> Option<String> {
        let text = match self.value(name)? {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        let text: String = text.chars().filter(|c| *c != '\0').take(most).collect();
        (!text.is_empty()).then_some(text)
    }

    /// The shop's own id of something; 0 is none.
    pub fn id(&self, name: &str) -> Option<String> {
        self.text(name, 255).filter(|id| id != "0")
    }

    /// An email address; what is none is absent.
    pub fn email(&self, name: &str) -> Option<String> {
        self.text(name, 254).filter(|text| Email::parse(text).is_some())
    }

    /// A phone number, dialled in `country` where it does not say; what is none is absent.
    pub fn phone(&self, name: &str, country: Option<&str>) -> Option<String> {
        let text = self.text(name, 40)?;
        Phone::parse(&text, country).map(|phone| phone.e164)
    }

    pub fn country(&self, name: &str) -> Option<String> {
        let code = self.text(name, 40)?.to_ascii_uppercase();
        country::is_country(&code).then_some(code)
    }

    pub fn currency(&self, name: &str) -> Option<String> {
        let code = self.text(name, 40)?.to_ascii_uppercase();
        currency::is_currency(&code).then_some(code)
    }

    /// A language; what is none is absent.
    pub fn locale(&self, name: &str) -> Option<String> {
        locale::normalise(&self.text(name, locale::MAX_CHARS)?)
    }

    /// An address of the web; what is none is absent.
    pub fn url(&self, name: &str) -> Option<String> {
        self.text(name, 2000).filter(|text| valid::is_web_address(text))
    }

    /// A decimal amount in minor units of `currency`, rounded where it has more decimals than that;
    /// what is none, or negative, is 0. What is more than an order can have stays just above it, so that
    /// it can be reckoned with and is refused in the end.
    pub fn amount(&self, name: &str, currency: &str) -> i64 {
        amount(&self.text(name, 40).unwrap_or_default(), currency)
    }

    /// The same for one that may be negative and counts without its sign.
    pub fn amount_of_any_sign(&self, name: &str, currency: &str) -> i64 {
        let text = self.text(name, 40).unwrap_or_default();
        amount(text.trim_start_matches('-'), currency)
    }

    /// The same for one that may be negative and counts as such.
    pub fn signed(&self, name: &str, currency: &str) -> i64 {
        let amount = self.amount_of_any_sign(name, currency);
        let is_negative = self.text(name, 40).is_some_and(|text| text.starts_with('-'));
        if is_negative { -amount } else { amount }
    }

    /// What the objects of a list come to in `field`.
    pub fn sum(&self, list: &str, field: &str, currency: &str) -> i64 {
        total(self.list(list).iter().map(|one| one.amount(field, currency)))
    }

    /// A time with its zone, or without one in UTC, to the microsecond as we keep it.
    pub fn time(&self, name: &str) -> Option<DateTime<Utc>> {
        let text = self.text(name, 40)?;
        let zoned = DateTime::parse_from_rfc3339(&text).map(|at| at.with_timezone(&Utc));
        let naive = || {
            let read = NaiveDateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%.f");
            read.map(|at| at.and_utc())
        };
        zoned.or_else(|_| naive()).ok()
    }

    /// Seconds since 1970.
    pub fn epoch(&self, name: &str) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp(self.number(name)?, 0)
    }
}

fn amount(text: &str, currency: &str) -> i64 {
    match Money::parse_rounded(text, currency) {
        Ok(money) => money.amount.clamp(0, MOST + 1),
        Err(MoneyError::OutOfRange) => MOST + 1,
        Err(_) => 0,
    }
}

/// The sum of amounts, as far as there are numbers for it.
pub fn total(amounts: impl Iterator<Item = i64>) -> i64 {
    amounts.fold(0, i64::saturating_add)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_read_as_shops_write_them() {
        let value = json!({ "id": 7, "none": 0, "text": " a ", "empty": "", "gone": null,
            "price": "12.3333", "number": 9.5, "minus": "-3.00", "email": "Ada@Example.com",
            "phone": "0664 1234567", "at": "2026-03-14T08:00:00", "zoned": "2026-03-14T09:00:00+01:00",
            "seconds": 1_773_475_200, "bad": "ada",
            "currency": "eur", "words": "Euro and cents" });
        let fields = Fields(&value);
        assert_eq!((fields.id("id").as_deref(), fields.id("none")), (Some("7"), None));
        assert_eq!((fields.text("text", 9).as_deref(), fields.text("empty", 9)), (Some("a"), None));
        let addresses =
            json!({ "good": "https://shop.example.com/c/1", "bad": "javascript:alert(1)" });
        assert!(
            Fields(&addresses).url("good").is_some() && Fields(&addresses).url("bad").is_none()
        );
        assert_eq!((fields.text("gone", 9), fields.text("absent", 9)), (None, None));
        assert_eq!((fields.amount("price", "EUR"), fields.amount("number", "EUR")), (1233, 950));
        assert_eq!(
            (fields.amount("minus", "EUR"), fields.amount_of_any_sign("minus", "EUR")),
            (0, 300)
        );
        assert_eq!((fields.signed("minus", "EUR"), fields.signed("price", "EUR")), (-300, 1233));
        let huge = json!({ "price": "9e99", "more": "90000000000000000", "most": "9".repeat(40) });
        let huge = Fields(&huge);
        assert_eq!(huge.amount("price", "EUR"), 0, "no decimal");
        assert_eq!((huge.amount("more", "EUR"), huge.amount("most", "EUR")), (MOST + 1, MOST + 1));
        assert_eq!((fields.email("email").is_some(), fields.email("bad")), (true, None));
        assert_eq!(fields.phone("phone", Some("AT")).as_deref(), Some("+436641234567"));
        assert_eq!(fields.time("at"), fields.time("zoned"));
        assert_eq!(fields.time("at"), fields.epoch("seconds"));
        assert_eq!(fields.currency("currency").as_deref(), Some("EUR"));
        assert_eq!(fields.currency("words"), None);
        assert!(fields.object("absent").list("x").is_empty());
    }
}
