//! Reads telephone numbers so that the same line is recognised however it was written down.

use std::str::FromStr;

use phonenumber::{Mode, country, metadata::DATABASE};
use unicode_normalization::UnicodeNormalization;

/// Longest text that is looked at, in characters.
pub const MAX_CHARS: usize = 40;

/// A telephone number that can be dialled from anywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phone {
    /// As it was given, without blanks around it.
    pub raw: String,
    /// ITU-T E.164: `+`, country calling code, number, at most 15 digits.
    pub e164: String,
}

impl Phone {
    /// Reads a number; one without `+` needs the region (ISO 3166-1 alpha-2) it is dialled in.
    ///
    /// Of a number with `+` the country calling code must exist; whether the line does is not
    /// checked, for numbering plans change faster than software. A national number must fit the
    /// plan of its region, or its trunk prefix could be mistaken. A number with an extension is
    /// refused: without it the whole office would be one person.
    pub fn parse(raw: &str, default_region: Option<&str>) -> Option<Self> {
        let raw = raw.trim();
        let dialled: String = raw.nfkc().collect();
        if !is_dialable(&dialled) {
            return None;
        }
        let e164 = if dialled.starts_with('+') {
            international(&dialled)?
        } else {
            national(&dialled, region_id(default_region?)?)?
        };
        // What would be read differently the next time would be two people.
        let is_stable = international(&e164).as_ref() == Some(&e164);
        (is_stable && is_e164(&e164)).then(|| Self { raw: raw.into(), e164 })
    }
}

/// The digits as they are, unless they make a number of the plan only without a trunk prefix, as
/// in `+49 (0)30 …`. The parser alone would take the first 8 off `+7 800 …`, too.
fn international(dialled: &str) -> Option<String> {
    let digits: String = dialled.chars().filter(|c| *c == '+' || c.is_ascii_digit()).collect();
    // The parser takes all up to the first `-` for the country: `+4930-901820` is none to it.
    let number = phonenumber::parse(None, dialled).or_else(|_| phonenumber::parse(None, &digits));
    let number = number.ok()?;
    if number.is_valid() {
        return Some(number.format().mode(Mode::E164).to_string());
    }
    Some(digits)
}

fn national(dialled: &str, region: country::Id) -> Option<String> {
    let number = phonenumber::parse(Some(region), dialled).ok()?;
    number.is_valid().then(|| number.format().mode(Mode::E164).to_string())
}

fn region_id(region: &str) -> Option<country::Id> {
    country::Id::from_str(region).ok().filter(|id| DATABASE.by_id(id.as_ref()).is_some())
}

/// Digits and what people put between them; the parser is not meant for anything else.
fn is_dialable(text: &str) -> bool {
    text.chars().count() <= MAX_CHARS
        && text.chars().filter(char::is_ascii_digit).count() >= 3
        && text.chars().enumerate().all(|(i, c)| match c {
            '+' => i == 0,
            _ => c.is_ascii_digit() || matches!(c, ' ' | '(' | ')' | '-' | '.' | '/' | '‐' | '–'),
        })
}

fn is_e164(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|b| b.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn e164(raw: &str, region: Option<&str>) -> Option<String> {
        Phone::parse(raw, region).map(|phone| phone.e164)
    }

    #[test]
    fn a_number_is_brought_to_e164_and_its_raw_form_kept() {
        let phone = Phone::parse(" +49 (30) 901820 ", None).unwrap();
        assert_eq!((phone.raw.as_str(), phone.e164.as_str()), ("+49 (30) 901820", "+4930901820"));
        assert_eq!(e164("+1 555-123-4567", None).as_deref(), Some("+15551234567"));
        assert_eq!(e164("＋４９ ３０ ９０１８２０", None).as_deref(), Some("+4930901820"));
    }

    #[test]
    fn a_national_number_needs_its_region() {
        assert_eq!(e164("030 901820", Some("DE")).as_deref(), Some("+4930901820"));
        assert_eq!(e164("06 698 12345", Some("IT")).as_deref(), Some("+390669812345"));
        assert_eq!(e164("+4930901820", Some("US")).as_deref(), Some("+4930901820"));
        assert_eq!(e164("030 901820", None), None);
        assert_eq!(e164("030 901820", Some("ZZ")), None);
    }

    #[test]
    fn a_number_in_e164_stays_as_it_is() {
        for number in [
            "+78001234567",
            "+78121234567",
            "+390669812345",
            "+15551234567",
            "+6834000",
            "+4930901820",
        ] {
            assert_eq!(e164(number, None).as_deref(), Some(number));
            assert_eq!(e164(number, Some("RU")).as_deref(), Some(number));
        }
        assert_eq!(e164("+49 (0)30 901820", None).as_deref(), Some("+4930901820"));
    }

    #[test]
    fn a_hyphen_may_stand_anywhere_after_the_country() {
        for number in ["+4930-901820", "+49-30-901820", "+49309-01820", "+4930901-820"] {
            assert_eq!(e164(number, None).as_deref(), Some("+4930901820"), "{number}");
        }
    }

    #[test]
    fn a_national_number_that_the_parser_would_mutilate_is_refused() {
        // It takes the 8 of St Petersburg's 812 for a second trunk prefix.
        assert_eq!(e164("8 812 123-45-67", Some("RU")), None);
        assert_eq!(e164("+7 812 123-45-67", Some("RU")).as_deref(), Some("+78121234567"));
    }

    #[test]
    fn what_cannot_be_dialled_is_refused() {
        let refused = [
            "",
            "+",
            "12",
            "+49",
            "+999 123456",
            "+0049 30 901820x",
            "call me",
            "+49 30 12 ext 5",
            "+49+30901820",
            "+4930901820\u{0}",
            "+dwPAA;phone-context=AA",
            "+123456789012345678",
            "+)))",
            "(((((((((",
            "+...123",
            "tel:+4930901820",
            "0000000000",
        ];
        for raw in refused {
            for region in [None, Some("DE"), Some("US")] {
                let phone = e164(raw, region);
                assert!(phone.is_none(), "{raw:?} {region:?} {phone:?}");
            }
        }
    }
}
