//! Laws of cursors, for rows, orders and tampering that chance makes up.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::db::keyset::Term;

const KEYS: [SortKey; 4] = [
    SortKey { name: "created_at", column: "things.id", kind: SortKind::Id },
    SortKey { name: "name", column: "things.name", kind: SortKind::Text },
    SortKey { name: "seen_at", column: "things.seen_at", kind: SortKind::Time },
    SortKey { name: "score", column: "things.score", kind: SortKind::Number },
];

fn seal(secret: &str, place: &str) -> CursorSeal {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    CursorSeal::new(key, &place).unwrap()
}

/// Some of the keys in any order, the id last.
fn order() -> impl Strategy<Value = Order> {
    let some = proptest::sample::subsequence(KEYS[1..].to_vec(), 0..KEYS.len());
    (some.prop_shuffle(), any::<[bool; 4]>()).prop_map(|(keys, directions)| {
        let keys = keys.into_iter().chain([KEYS[0]]).zip(directions);
        Order(keys.map(|(key, is_descending)| Term { key, is_descending }).collect())
    })
}

/// A row as it is answered, and what a cursor after it holds for each sort key.
fn row() -> impl Strategy<Value = (Value, [Bound; 4])> {
    let name = proptest::option::of(".{0,40}");
    let score = proptest::option::of(any::<i64>());
    let seen_at = -2_208_988_800_000_000_i64..7_258_118_400_000_000;
    (any::<u128>(), name, seen_at, score).prop_map(|(id, name, seen_at, score)| {
        let id = uuid::Uuid::from_u128(id);
        let seen_at = chrono::DateTime::from_timestamp_micros(seen_at).unwrap();
        let row = json!({ "id": id, "name": name, "seen_at": seen_at, "score": score });
        let bounds = [
            Bound::Id(id),
            Bound::Text(name.unwrap_or_default()),
            Bound::Time(seen_at),
            Bound::Number(score.unwrap_or(i64::MIN)),
        ];
        (row, bounds)
    })
}

fn expected(order: &Order, bounds: &[Bound; 4]) -> Vec<Bound> {
    let place = |term: &Term| KEYS.iter().position(|key| key.name == term.key.name).unwrap();
    order.0.iter().map(|term| bounds[place(term)].clone()).collect()
}

proptest! {
    #[test]
    fn a_cursor_opens_to_the_row_it_was_closed_on((row, bounds) in row(), order in order()) {
        let seal = seal("secret", "things");
        let cursor = seal.close(&row, &order).unwrap();
        prop_assert_eq!(seal.open(&cursor, &order).unwrap(), expected(&order, &bounds));
    }

    #[test]
    fn a_cursor_is_plain_in_a_query((row, _) in row(), order in order()) {
        let cursor = seal("secret", "things").close(&row, &order).unwrap();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        prop_assert!(cursor.chars().all(is_plain), "{cursor}");
    }

    #[test]
    fn one_flipped_bit_closes_a_cursor(
        (row, _) in row(), order in order(), at in any::<prop::sample::Index>(), bit in 0_u32..8
    ) {
        let seal = seal("secret", "things");
        let cursor = seal.close(&row, &order).unwrap();
        let mut bytes = URL_SAFE_NO_PAD.decode(cursor).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        prop_assert!(seal.open(&URL_SAFE_NO_PAD.encode(bytes), &order).is_err());
    }

    #[test]
    fn a_part_of_a_cursor_is_none(
        (row, _) in row(), order in order(), from in any::<prop::sample::Index>()
    ) {
        let seal = seal("secret", "things");
        let cursor = seal.close(&row, &order).unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(&cursor).unwrap();
        let at = from.index(bytes.len() - 1) + 1;
        for part in [&bytes[..at - 1], &bytes[at..]] {
            prop_assert!(seal.open(&URL_SAFE_NO_PAD.encode(part), &order).is_err());
        }
        let longer = cursor + "AAAA";
        prop_assert!(seal.open(&longer, &order).is_err());
    }

    #[test]
    fn no_other_text_is_a_cursor(text in ".{0,200}", order in order()) {
        prop_assert!(seal("secret", "things").open(&text, &order).is_err());
    }

    #[test]
    fn a_cursor_is_for_its_place_and_its_secret_alone(
        (row, _) in row(), order in order(), (secret, place) in ("[a-z]{1,9}", "[a-z]{1,9}")
    ) {
        let own = seal(&secret, &place);
        let cursor = own.close(&row, &order).unwrap();
        prop_assert!(own.open(&cursor, &order).is_ok());
        for other in [seal(&secret, &format!("{place}s")), seal(&format!("{secret}s"), &place)] {
            prop_assert!(other.open(&cursor, &order).is_err());
        }
    }

    /// Where the sort is not part of the place, as it is in every list, it must not panic either.
    #[test]
    fn an_order_with_more_keys_opens_no_shorter_cursor((row, _) in row(), order in order()) {
        let seal = seal("secret", "things");
        let id = Order(vec![Term { key: KEYS[0], is_descending: true }]);
        let cursor = seal.close(&row, &id).unwrap();
        prop_assert_eq!(seal.open(&cursor, &order).is_ok(), order.0.len() == 1);
    }
}
