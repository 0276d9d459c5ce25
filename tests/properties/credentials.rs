//! Keys are recognised before anybody is asked; sealed values open in their own place alone.

use ecrm::auth::key::{KeyKind, KeyText};
use ecrm::seal::{Context, DataKey, MasterKey, open, seal};
use proptest::prelude::*;
use uuid::Uuid;

fn key() -> impl Strategy<Value = KeyText> {
    let kind = prop::sample::select(vec![KeyKind::Secret, KeyKind::Write]);
    (kind, any::<bool>(), any::<u128>())
        .prop_map(|(kind, live, id)| KeyText::generate(kind, live, Uuid::from_u128(id)))
}

fn place() -> impl Strategy<Value = Context> {
    let table = prop::sample::select(vec!["channels", "users"]);
    let column = prop::sample::select(vec!["secrets", "totp"]);
    (any::<u128>(), table, column, any::<u128>(), 1..9).prop_map(
        |(workspace, table, column, row, version)| {
            let (workspace, row) = (Uuid::from_u128(workspace), Uuid::from_u128(row));
            Context { workspace, table, column, row, version }
        },
    )
}

proptest! {
    #[test]
    fn a_key_says_what_it_is(key in key()) {
        let read = KeyText::parse(key.reveal()).unwrap();
        let says = |key: &KeyText| (key.kind(), key.livemode(), key.workspace(), key.hash());
        prop_assert_eq!(says(&read), says(&key));
        prop_assert!(key.reveal().starts_with(&key.prefix()));
        let shown = format!("{key:?}");
        prop_assert!(!shown.contains(&key.reveal()[20..]));
    }

    /// The checksum: a mistyped key costs no look at the database.
    #[test]
    fn one_wrong_letter_makes_no_key(
        key in key(), at in any::<prop::sample::Index>(), letter in "[0-9A-Za-z]"
    ) {
        let text = key.reveal();
        let from = text.rfind('_').unwrap() + 1;
        let at = from + at.index(text.len() - from);
        let wrong = format!("{}{letter}{}", &text[..at], &text[at + 1..]);
        prop_assert_eq!(KeyText::parse(&wrong).is_some(), wrong == text);
    }

    #[test]
    fn no_other_text_is_a_key(text in r"ecrm_(sk|wk)_(test_)?[0-9A-Za-z]{0,60}|\PC{0,80}") {
        prop_assert!(KeyText::parse(&text).is_none());
    }

    #[test]
    fn a_sealed_value_opens_in_its_place_alone(
        plain in prop::collection::vec(any::<u8>(), 0..200), here in place(), there in place()
    ) {
        let key = DataKey::generate();
        let sealed = seal(&key, &here, &plain);
        prop_assert_eq!(open(&key, &here, &sealed).unwrap(), plain.clone());
        prop_assert_eq!(open(&key, &there, &sealed).is_ok(), here == there);
        for other in [
            Context { version: here.version + 1, ..here },
            Context { row: there.row, ..here },
            Context { workspace: there.workspace, ..here },
        ] {
            prop_assert_eq!(open(&key, &other, &sealed).is_ok(), other == here);
        }
        prop_assert!(open(&DataKey::generate(), &here, &sealed).is_err());
        prop_assert!(seal(&key, &here, &plain) != sealed);
    }

    #[test]
    fn one_flipped_bit_opens_nothing(
        plain in prop::collection::vec(any::<u8>(), 0..99), place in place(),
        at in any::<prop::sample::Index>(), bit in 0_u32..8
    ) {
        let key = DataKey::generate();
        let mut sealed = seal(&key, &place, &plain);
        let at = at.index(sealed.len());
        sealed[at] ^= 1_u8 << bit;
        prop_assert!(open(&key, &place, &sealed).is_err());
    }

    #[test]
    fn no_bytes_break_the_opening(bytes in prop::collection::vec(any::<u8>(), 0..80), place in place()) {
        prop_assert!(open(&DataKey::generate(), &place, &bytes).is_err());
        prop_assert!(DataKey::unwrap(&bytes, &MasterKey::generate(), place.workspace).is_err());
    }

    #[test]
    fn a_data_key_belongs_to_its_workspace(a in any::<u128>(), b in any::<u128>(), place in place()) {
        let (master, key) = (MasterKey::generate(), DataKey::generate());
        let wrapped = key.wrap(&master, Uuid::from_u128(a));
        let again = DataKey::unwrap(&wrapped, &master, Uuid::from_u128(a)).unwrap();
        prop_assert_eq!(open(&again, &place, &seal(&key, &place, b"x")).unwrap(), b"x");
        prop_assert_eq!(DataKey::unwrap(&wrapped, &master, Uuid::from_u128(b)).is_ok(), a == b);
        prop_assert!(DataKey::unwrap(&wrapped, &MasterKey::generate(), Uuid::from_u128(a)).is_err());
    }
}
