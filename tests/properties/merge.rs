//! Merge patches (RFC 7396) over attributes, and what the log says about a change.

use ecrm::attributes::merge;
use ecrm::journal::differences;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::json::{object, patch, value};

type Object = Map<String, Value>;

fn merged(target: &Object, patch: &Object) -> Object {
    let mut target = target.clone();
    merge(&mut target, patch);
    target
}

/// `MergePatch` as RFC 7396, section 2 writes it down.
fn by_the_rfc(target: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut target = match target {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            let old = target.remove(name).unwrap_or(Value::Null);
            target.insert(name.clone(), by_the_rfc(old, value));
        }
    }
    Value::Object(target)
}

/// The patch that makes one object of another; there is one wherever no value is null.
fn patch_between(from: &Object, to: &Object) -> Object {
    let mut patch = Object::new();
    for name in from.keys().filter(|name| !to.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    for (name, value) in to.iter().filter(|(name, value)| from.get(*name) != Some(value)) {
        let change = match (from.get(name), value) {
            (Some(Value::Object(from)), Value::Object(to)) => patch_between(from, to).into(),
            _ => value.clone(),
        };
        patch.insert(name.clone(), change);
    }
    patch
}

/// Null as a member of an object; in a list it is a value like others.
fn has_null_member(object: &Object) -> bool {
    object.values().any(|value| match value {
        Value::Null => true,
        Value::Object(inner) => has_null_member(inner),
        _ => false,
    })
}

proptest! {
    #[test]
    fn attributes_merge_as_the_rfc_says(target in object(), patch in patch()) {
        let expected = by_the_rfc(target.clone().into(), &patch.clone().into());
        prop_assert_eq!(Value::Object(merged(&target, &patch)), expected);
    }

    #[test]
    fn a_patch_twice_is_a_patch_once(target in object(), patch in patch()) {
        let once = merged(&target, &patch);
        prop_assert_eq!(merged(&once, &patch), once);
    }

    #[test]
    fn an_empty_patch_changes_nothing(target in object()) {
        prop_assert_eq!(merged(&target, &Object::new()), target);
    }

    #[test]
    fn what_a_patch_does_not_name_stays(target in object(), patch in patch()) {
        let after = merged(&target, &patch);
        for (name, value) in target.iter().filter(|(name, _)| !patch.contains_key(*name)) {
            prop_assert_eq!(after.get(name), Some(value));
        }
        prop_assert!(after.keys().all(|name| target.contains_key(name) || patch.contains_key(name)));
    }

    #[test]
    fn no_null_is_ever_stored(target in object(), patch in patch()) {
        prop_assert!(!has_null_member(&merged(&target, &patch)));
    }

    #[test]
    fn any_object_can_be_made_of_any_other(from in object(), to in object()) {
        prop_assert_eq!(merged(&from, &patch_between(&from, &to)), to);
    }

    #[test]
    fn nothing_differs_from_itself(object in object()) {
        let object = Value::Object(object);
        prop_assert_eq!(Value::from(differences(&object, &object)), json!({}));
    }

    #[test]
    fn differences_are_the_fields_that_differ_with_both_values(
        before in object(), after in object()
    ) {
        let found = Value::from(differences(&before.clone().into(), &after.clone().into()));
        let found = found.as_object().unwrap();
        for (name, value) in &after {
            let is_named = found.contains_key(name);
            prop_assert_eq!(is_named, before.get(name) != Some(value), "{}", name);
            let expected = json!({ "from": before.get(name), "to": value });
            prop_assert!(!is_named || found[name] == expected);
        }
        prop_assert!(found.keys().all(|name| after.contains_key(name)));
    }

    #[test]
    fn counters_and_clocks_are_no_differences(object in object(), a in value(), b in value()) {
        let with = |value: &Value| {
            let mut object = object.clone();
            for name in ["version", "updated_at", "stats"] {
                object.insert(name.into(), value.clone());
            }
            Value::Object(object)
        };
        prop_assert_eq!(Value::from(differences(&with(&a), &with(&b))), json!({}));
    }
}
