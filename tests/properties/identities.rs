//! The same mailbox, line or login is recognised however it was typed, and no two become one.

use ecrm::customers::IdentityType;
use ecrm::customers::identities::Mark;
use ecrm::external_ids::ExternalId;
use ecrm::values::{Email, Phone};
use proptest::prelude::*;

/// An address such as people have.
fn address() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9]([a-zA-Z0-9._+-]{0,20}[a-zA-Z0-9])?@[a-z0-9]{1,12}(\\.[a-z0-9]{1,8}){0,2}\\.[a-z]{2,6}"
        .prop_filter("no dot twice", |address| !address.contains(".."))
}

/// A number with its country, as digits.
fn number() -> impl Strategy<Value = String> {
    let country = prop::sample::select(vec!["49", "43", "1", "39", "7", "44", "81", "683"]);
    (country, "[1-9][0-9]{6,9}").prop_map(|(country, number)| format!("+{country}{number}"))
}

/// Latin letters, digits and signs in their wide forms, as East Asian keyboards give them.
fn widened(text: &str) -> String {
    let wide = |c: char| char::from_u32(u32::from(c) + 0xfee0).unwrap_or(c);
    text.chars().map(|c| if c.is_ascii_graphic() { wide(c) } else { c }).collect()
}

fn plain_kind() -> impl Strategy<Value = IdentityType> {
    use IdentityType::{AnonymousId, Cookie, DeviceId, Email, Phone, UserId};
    prop::sample::select(vec![Email, Phone, UserId, AnonymousId, DeviceId, Cookie])
}

proptest! {
    #[test]
    fn an_email_in_normal_form_stays_as_it_is(raw in prop_oneof![address(), r"\PC{0,40}".boxed()]) {
        if let Some(email) = Email::parse(&raw) {
            let again = Email::parse(&email.norm);
            prop_assert_eq!(again.map(|again| again.norm), Some(email.norm));
        }
    }

    #[test]
    fn an_address_is_one_in_any_case(address in address()) {
        let email = Email::parse(&address);
        prop_assert!(email.is_some(), "{}", address);
        for other in [address.to_uppercase(), address.to_lowercase(), format!(" {address}\t")] {
            prop_assert_eq!(Email::parse(&other).map(|email| email.norm), email.clone().map(|e| e.norm));
        }
    }

    #[test]
    fn a_name_in_wide_letters_is_the_same_name(address in address()) {
        let (name, domain) = address.split_once('@').unwrap();
        let letters: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        let wide = Email::parse(&format!("{}@{domain}", widened(&letters)));
        let narrow = Email::parse(&format!("{letters}@{domain}"));
        prop_assert_eq!(wide.map(|email| email.norm), narrow.map(|email| email.norm));
    }

    #[test]
    fn a_composed_letter_is_its_parts(at in "[a-z]{0,5}", accent in "[\u{300}\u{301}\u{308}]") {
        use unicode_normalization::UnicodeNormalization;
        let parts = format!("{at}e{accent}@example.com");
        let composed: String = parts.nfc().collect();
        prop_assert!(parts != composed);
        let norm = |text: &str| Email::parse(text).map(|email| email.norm);
        prop_assert_eq!(norm(&parts), norm(&composed));
    }

    #[test]
    fn no_email_has_blanks_or_more_than_254_characters(raw in r".{0,300}|[a@. \u{0}\u{200b}]{0,300}") {
        if let Some(email) = Email::parse(&raw) {
            let is_blank = |c: char| c.is_whitespace() || c.is_control();
            prop_assert!(!email.norm.contains(is_blank) && !email.raw.contains(is_blank));
            prop_assert!(email.norm.chars().count() <= 254 && email.raw.chars().count() <= 254);
            prop_assert_eq!(email.norm.matches('@').count(), 1);
        }
    }

    #[test]
    fn a_number_is_e164_and_stays_so(
        raw in prop_oneof![number(), r"[-+ ()./0-9]{0,40}".boxed(), r"\PC{0,40}".boxed()],
        region in prop::option::of(prop::sample::select(vec!["DE", "US", "IT", "RU", "JP", "ZZ", ""]))
    ) {
        if let Some(phone) = Phone::parse(&raw, region) {
            let digits = phone.e164.strip_prefix('+').unwrap();
            prop_assert!((7..=15).contains(&digits.len()));
            prop_assert!(digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0'));
            let again = Phone::parse(&phone.e164, region).map(|again| again.e164);
            prop_assert_eq!(again, Some(phone.e164));
        }
    }

    #[test]
    fn what_stands_between_digits_means_nothing(
        number in number(), between in prop::collection::vec("[- ./]{0,1}", 16)
    ) {
        let plain = Phone::parse(&number, None).map(|phone| phone.e164);
        let wide = Phone::parse(&widened(&number), None).map(|phone| phone.e164);
        prop_assert_eq!(wide, plain.clone());
        // The country's code stays in one piece.
        let (country, rest) = number.split_at(4);
        let signs = rest.chars().zip(&between);
        let spaced: String = signs.map(|(c, sign)| format!("{sign}{c}")).collect();
        let spaced = country.to_owned() + &spaced;
        let read = Phone::parse(&spaced, None).map(|phone| phone.e164);
        prop_assert_eq!(read, plain, "{}", spaced);
    }

    #[test]
    fn a_number_with_its_country_is_the_same_everywhere(number in number()) {
        let here = Phone::parse(&number, None).map(|phone| phone.e164);
        for region in ["DE", "US", "IT", "RU", "JP"] {
            let there = Phone::parse(&number, Some(region)).map(|phone| phone.e164);
            prop_assert_eq!(there, here.clone(), "{}", region);
        }
    }

    #[test]
    fn a_mark_is_compared_in_a_form_that_stays(
        kind in plain_kind(), value in prop_oneof![address(), number(), r"\PC{0,30}".boxed()]
    ) {
        if let Ok(mark) = Mark::parse(kind, None, &value) {
            let again = Mark::parse(kind, None, &mark.norm).unwrap();
            prop_assert_eq!(again.norm, mark.norm);
        }
    }

    #[test]
    fn blanks_around_a_mark_mean_nothing(kind in plain_kind(), value in "[a-z0-9@.]{1,20}") {
        let norm = |value: &str| Mark::parse(kind, None, value).ok().map(|mark| mark.norm);
        prop_assert_eq!(norm(&format!(" \t{value}\n")), norm(&value));
    }

    #[test]
    fn a_source_is_named_just_where_it_belongs(kind in plain_kind(), source in ".{1,9}") {
        prop_assert!(Mark::parse(kind, Some(&source), "ada@shop.example.com").is_err());
        for kind in [IdentityType::External, IdentityType::Social] {
            prop_assert!(Mark::parse(kind, None, "7").is_err());
            prop_assert!(Mark::parse(kind, Some(&source), "7").is_ok());
        }
    }

    /// Signs that could end the source's name are tried most.
    #[test]
    fn two_outside_ids_never_become_one(
        a in ("[:%a3A25]{1,6}", "[:%a3A25]{1,6}"), b in ("[:%a3A25]{1,6}", "[:%a3A25]{1,6}")
    ) {
        let mark = |(source, id): &(String, String)| {
            Mark::external(&ExternalId { source: source.clone(), id: id.clone() }).key()
        };
        prop_assert_eq!(mark(&a) == mark(&b), a == b);
    }
}
