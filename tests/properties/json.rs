//! JSON by chance.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Everything JSON has but `null`, nested a little.
pub fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        (-1e9..1e9).prop_map(|number: f64| json!(number)),
        ".{0,12}".prop_map(Value::from),
    ];
    nested(leaf.boxed())
}

/// The same with `null`, as patches have it.
pub fn patch_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i8>().prop_map(Value::from),
        "[a-c]{0,2}".prop_map(Value::from)
    ];
    nested(leaf.boxed())
}

fn nested(leaf: BoxedStrategy<Value>) -> impl Strategy<Value = Value> {
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            members(inner).prop_map(Value::Object),
        ]
    })
}

/// Few keys, so that two objects share some.
fn members(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    let key = prop_oneof![4 => "[a-d]", 1 => ".{0,4}"];
    prop::collection::btree_map(key, value, 0..5).prop_map(|members| members.into_iter().collect())
}

pub fn object() -> impl Strategy<Value = Map<String, Value>> {
    members(value())
}

pub fn patch() -> impl Strategy<Value = Map<String, Value>> {
    members(patch_value())
}
