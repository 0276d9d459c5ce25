//! Questions that cannot be asked: each fault has a code and a place.

use serde_json::{Value, json};

use super::{field, search};
use crate::harness::workspace;

#[test]
fn every_fault_of_a_predicate_is_named() {
    let client = workspace();
    let did = |more: Value| json!({ "did": more });
    let cases = [
        (json!({}), "empty_predicate", "#/where"),
        (json!({ "all": [] }), "empty_predicate", "#/where/all"),
        (json!({ "all": [], "any": [] }), "ambiguous_predicate", "#/where"),
        (field("salary", "eq", 1), "unknown_field", "#/where/field"),
        (field("search_key", "eq", "x"), "unknown_field", "#/where/field"),
        (field("attributes.", "eq", "x"), "unknown_field", "#/where/field"),
        (json!({ "field": "score", "value": 1 }), "invalid_operator", "#/where/op"),
        (field("score", "contains", "1"), "invalid_operator", "#/where/op"),
        (field("first_name", "gt", "A"), "invalid_operator", "#/where/op"),
        (field("score", "gt", "1"), "invalid_value", "#/where/value"),
        (field("score", "eq", Value::Null), "invalid_value", "#/where/value"),
        (field("lifecycle_stage", "eq", "loyal"), "invalid_value", "#/where/value"),
        (field("score", "in", json!([1, "2"])), "invalid_value", "#/where/value/1"),
        (field("score", "in", json!([])), "invalid_value", "#/where/value"),
        (field("score", "in", json!(vec![1; 501])), "invalid_value", "#/where/value"),
        (field("score", "between", json!([1, 2, 3])), "invalid_value", "#/where/value"),
        (field("created_at", "gt", "2024-05-01"), "invalid_value", "#/where/value"),
        (field("created_at", "within", "90 days"), "invalid_value", "#/where/value"),
        (field("email", "contains", ""), "invalid_value", "#/where/value"),
        (field("owner_id", "eq", "mira"), "invalid_value", "#/where/value"),
        (did(json!({ "type": "" })), "invalid_value", "#/where/did/type"),
        (did(json!({ "type": "a.b", "at_least": 0 })), "invalid_value", "#/where/did/at_least"),
        (
            did(json!({ "type": "a.b", "at_least": 2, "at_most": 1 })),
            "invalid_value",
            "#/where/did/at_most",
        ),
        (did(json!({ "type": "a.b", "within": "x" })), "invalid_value", "#/where/did/within"),
        (
            did(json!({ "type": "a.b", "where": field("email", "eq", "x") })),
            "unknown_field",
            "#/where/did/where/field",
        ),
        (
            json!({ "not": { "any": [field("score", "eq", 1), {}] } }),
            "empty_predicate",
            "#/where/not/any/1",
        ),
    ];
    for (predicate, code, pointer) in cases {
        let refused = search(&client, json!({ "where": predicate })).expect(422);
        assert_eq!(refused.fault(), (code, pointer), "{predicate}");
    }
}

#[test]
fn a_predicate_of_the_wrong_shape_is_refused() {
    let client = workspace();
    let cases = [
        (json!({ "consent": {} }), "unknown_field", "#/where/consent"),
        (json!({ "field": "score", "op": "like", "value": 1 }), "invalid_type", "#/where/op"),
        (json!({ "all": field("score", "eq", 1) }), "invalid_type", "#/where/all"),
        (json!({ "any": [1] }), "invalid_type", "#/where/any/0"),
        (json!({ "did": { "at_least": 1 } }), "required", "#/where/did/type"),
        (
            json!({ "did": { "type": "a.b", "at_least": -1 } }),
            "invalid_type",
            "#/where/did/at_least",
        ),
        (json!("score = 1"), "invalid_type", "#/where"),
        (json!([]), "invalid_type", "#/where"),
        (field("first_name", "eq", "\u{0}"), "nul_character", "#/where/value"),
    ];
    for (predicate, code, pointer) in cases {
        let refused = search(&client, json!({ "where": predicate })).expect(422);
        assert_eq!(refused.fault(), (code, pointer), "{predicate}");
    }
}

#[test]
fn a_predicate_has_at_most_50_clauses_and_5_levels() {
    let client = workspace();
    let clauses = |n: usize| json!({ "any": vec![field("score", "eq", 1); n] });
    let nested = |levels: usize| {
        (1..levels).fold(field("score", "eq", 1), |inner, _| json!({ "not": inner }))
    };
    for predicate in [clauses(50), nested(5)] {
        search(&client, json!({ "where": predicate })).expect(200);
    }
    let refused = search(&client, json!({ "where": clauses(51) })).expect(422);
    assert_eq!(refused.fault(), ("too_many_clauses", "#/where/any/50"));
    let refused = search(&client, json!({ "where": nested(6) })).expect(422);
    assert_eq!(refused.fault(), ("too_deep", "#/where/not/not/not/not/not"));
    assert_eq!(search(&client, json!({ "where": nested(40) })).expect(400).code(), "invalid_json");
}

#[test]
fn the_other_options_of_a_search_have_limits_too() {
    let client = workspace();
    for (body, status) in [
        (json!({ "limit": 0 }), 400),
        (json!({ "limit": 201 }), 400),
        (json!({ "sort": ["salary"] }), 400),
        (json!({ "cursor": "x" }), 400),
        (json!({ "limit": "many" }), 422),
        (json!({ "sort": "score" }), 422),
        (json!({ "sort": vec!["score"; 6] }), 422),
        (json!({ "offset": 1 }), 422),
    ] {
        search(&client, body.clone()).expect(status);
    }
}

#[test]
fn words_of_sql_are_only_words() {
    let client = workspace();
    crate::customers::create(&client, json!({ "first_name": "Robert'); drop table customers;--" }));
    let predicate = field("first_name", "contains", "'); drop table");
    let answer = search(&client, json!({ "where": predicate })).expect(200);
    assert_eq!(crate::customers::rows(&answer).len(), 1);
    for name in ["attributes.a'b", "attributes.\"", "attributes.$1", "attributes.a\\"] {
        search(&client, json!({ "where": field(name, "eq", "'") })).expect(200);
    }
}
