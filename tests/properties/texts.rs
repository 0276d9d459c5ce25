//! Spelling for searching, languages and countries.

use ecrm::values::json::push_segment;
use ecrm::values::text::{like_escape, search_key};
use ecrm::values::{country, locale, timezone};
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_search_key_of_a_search_key_is_itself(text in r"\PC{0,40}|.{0,40}") {
        let key = search_key(&text);
        prop_assert_eq!(search_key(&key), key);
    }

    #[test]
    fn a_search_finds_any_case(text in "[a-zà-öø-ýа-яα-ρ0-9 ]{0,30}") {
        prop_assert_eq!(search_key(&text.to_uppercase()), search_key(&text));
    }

    #[test]
    fn an_escaped_text_has_no_wildcard_and_can_be_read_back(text in r"[%_\\a-c]{0,20}|\PC{0,20}") {
        let escaped = like_escape(&text);
        let (mut read, mut letters) = (String::new(), escaped.chars());
        while let Some(letter) = letters.next() {
            prop_assert!(!matches!(letter, '%' | '_'));
            read.push(if letter == '\\' { letters.next().unwrap() } else { letter });
        }
        prop_assert_eq!(read, text);
    }

    #[test]
    fn a_locale_in_normal_form_stays_as_it_is(tag in "[a-zA-Z]{2,3}([-_][a-zA-Z0-9]{1,8}){0,3}|.{0,40}") {
        if let Some(normal) = locale::normalise(&tag) {
            prop_assert_eq!(locale::normalise(&normal), Some(normal.clone()));
            prop_assert_eq!(locale::normalise(&tag.to_ascii_uppercase()), Some(normal));
        }
    }

    #[test]
    fn a_country_is_one_in_any_case(code in "[a-zA-Z]{2}|.{0,4}") {
        let normal = country::normalise(&code);
        prop_assert_eq!(country::normalise(&code.to_ascii_lowercase()), normal);
        prop_assert!(normal.is_none_or(country::is_country));
    }

    #[test]
    fn no_text_breaks_the_reading_of_a_time_zone(text in ".{0,40}|[A-Za-z]{2,8}/[A-Za-z_]{2,12}") {
        if let Some(zone) = timezone::parse(&text) {
            prop_assert_eq!(timezone::parse(zone.name()), Some(zone));
        }
    }

    /// RFC 6901, sections 3 and 6.
    #[test]
    fn a_segment_of_a_pointer_can_be_read_back(segment in r"[~/%#a-c]{0,12}|.{0,12}") {
        let mut pointer = String::from("#");
        push_segment(&mut pointer, &segment);
        prop_assert!(pointer.is_ascii() && !pointer[1..].contains('#'));
        let bytes = pointer.strip_prefix("#/").unwrap().bytes().collect::<Vec<_>>();
        let (mut read, mut rest) = (Vec::new(), bytes.as_slice());
        while let [first, after @ ..] = rest {
            let is_escaped = *first == b'%';
            let hex = || u8::from_str_radix(std::str::from_utf8(&after[..2]).unwrap(), 16).unwrap();
            read.push(if is_escaped { hex() } else { *first });
            rest = if is_escaped { &after[2..] } else { after };
        }
        let read = String::from_utf8(read).unwrap().replace("~1", "/").replace("~0", "~");
        prop_assert_eq!(read, segment);
    }
}
