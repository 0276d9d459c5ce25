//! Request bodies: what the scan lets through, and what free JSON may be.

use actix_web::web::Bytes;
use ecrm::http::json::parse;
use ecrm::values::json::{FREE, Limits, check_json};
use ecrm::values::scan::{MAX_DEPTH, scan};
use ecrm::values::{Money, free::FreeObject};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::json::{object, value};

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

proptest! {
    #[test]
    fn sound_json_passes_the_scan(value in value(), is_pretty in any::<bool>()) {
        let write = if is_pretty { serde_json::to_vec_pretty } else { serde_json::to_vec };
        let has_nul = value.to_string().contains("\\u0000");
        prop_assert_eq!(scan(&write(&value).unwrap()).is_ok(), !has_nul);
    }

    #[test]
    fn what_passes_the_scan_is_json(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        if scan(&bytes).is_ok() {
            prop_assert!(serde_json::from_slice::<Value>(&bytes).is_ok());
        }
    }

    #[test]
    fn what_looks_like_json_passes_only_where_it_is(text in r#"[\[\]{}",:0-9a\\u.e-]{0,40}"#) {
        let is_json = serde_json::from_str::<Value>(&text).is_ok();
        prop_assert!(is_json || scan(text.as_bytes()).is_err());
    }

    #[test]
    fn a_key_twice_is_refused_at_any_depth(
        object in object(), key in "[a-z]{1,6}", levels in 0_usize..20
    ) {
        let members: Vec<String> = object
            .iter()
            .filter(|(name, value)| **name != key && !json!([name, value]).to_string().contains("\\u0000"))
            .map(|(name, value)| format!("{}:{value}", json!(name)))
            .collect();
        let twice = [format!("{}:1", json!(key)), members.join(","), format!("{}:2", json!(key))];
        let twice: Vec<String> = twice.into_iter().filter(|part| !part.is_empty()).collect();
        let wrap = |inner: String| {
            format!("{}{{{inner}}}{}", r#"{"k":["#.repeat(levels / 2), "]}".repeat(levels / 2))
        };
        prop_assert!(scan(wrap(twice.join(",")).as_bytes()).is_err());
        prop_assert!(scan(wrap(twice[..twice.len() - 1].join(",")).as_bytes()).is_ok());
    }

    #[test]
    fn a_body_may_be_as_deep_as_it_says(levels in 1_usize..80, is_list in any::<bool>()) {
        let (open, close) = if is_list { ("[", "]") } else { (r#"{"a":"#, "}") };
        let inner = if is_list { "" } else { "1" };
        let text = format!("{}{inner}{}", open.repeat(levels), close.repeat(levels));
        prop_assert_eq!(scan(text.as_bytes()).is_ok(), levels <= MAX_DEPTH);
    }

    #[test]
    fn free_json_is_refused_just_where_it_is_too_deep(value in value()) {
        let value = json!({ "a": value });
        let limits = Limits { depth: 3, ..FREE };
        let faults = check_json("#", &value, &limits);
        let is_deep = faults.iter().any(|fault| fault.code == "too_deep");
        prop_assert_eq!(is_deep, depth(&value) > 3);
    }

    #[test]
    fn every_fault_of_free_json_names_a_place_in_it(value in value()) {
        let limits = Limits { depth: 2, keys: 1, bytes: 100_000 };
        for fault in check_json("#", &value, &limits) {
            let pointer = fault.pointer.unwrap();
            // Where every key is plain the pointer is one that serde reads, too.
            if !pointer.contains('%') {
                prop_assert!(value.pointer(&pointer[1..]).is_some(), "{} in {}", pointer, value);
            }
        }
    }

    #[test]
    fn free_json_larger_than_allowed_is_refused(value in value(), bytes in 0_usize..80) {
        let limits = Limits { bytes, ..FREE };
        let is_large = value.to_string().len() > bytes;
        let faults = check_json("#", &value, &limits);
        prop_assert_eq!(faults.iter().any(|fault| fault.code == "too_large"), is_large);
    }

    /// Serde alone reads `[1999, "EUR"]` as money.
    #[test]
    fn an_array_is_never_taken_for_an_object(amount in any::<i64>()) {
        let array = Bytes::from(json!([amount, "EUR"]).to_string());
        prop_assert!(parse::<Money>(&array).is_err());
        let object = Bytes::from(json!({ "amount": amount, "currency": "EUR" }).to_string());
        prop_assert_eq!(parse::<Money>(&object).unwrap().amount, amount);
    }

    #[test]
    fn a_free_object_survives_json(object in object()) {
        let text = serde_json::to_string(&FreeObject(object.clone())).unwrap();
        prop_assert_eq!(serde_json::from_str::<FreeObject>(&text).unwrap().0, object);
    }
}
