//! The laws of "not", "all" and "any", in memory. That the database agrees with memory is tried in
//! `tests/api/predicate.rs`, with the same rows and predicates by chance.

#[path = "../api/predicate/made_up/mod.rs"]
#[expect(dead_code, reason = "touchpoints and leaves are for the database")]
mod made_up;

use std::collections::HashMap;

use ecrm::predicate::{Catalog, Checked, Context, Field, FreeColumn, Kind, Predicate};
use made_up::{Chance, predicates};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::json::patch_value;

static CATALOG: Catalog = Catalog {
    fields: &[
        Field { name: "first_name", column: "c.first_name", kind: Kind::Text },
        Field { name: "lifecycle_stage", column: "c.stage", kind: Kind::Enum(made_up::STAGES) },
        Field { name: "score", column: "c.score", kind: Kind::Integer },
        Field { name: "rating", column: "c.rating", kind: Kind::Number },
        Field { name: "vip", column: "c.vip", kind: Kind::Boolean },
        Field { name: "created_at", column: "c.created_at", kind: Kind::Time },
        Field { name: "birth_date", column: "c.birth_date", kind: Kind::Date },
        Field { name: "owner_id", column: "c.owner_id", kind: Kind::Id },
        Field { name: "tags", column: "c.tags", kind: Kind::TextArray },
    ],
    free: Some(FreeColumn { name: "attributes", column: "c.attributes" }),
    did: None,
};

fn check(predicate: &Value) -> Option<Checked> {
    let predicate: Predicate = serde_json::from_value(predicate.clone()).ok()?;
    let now = made_up::NOW.parse().unwrap();
    let context =
        Context { pointer: "#", catalog: &CATALOG, attribute_kinds: &HashMap::new(), now };
    predicate.check(&context).ok()
}

fn holds(predicate: &Value, row: &Value) -> Option<bool> {
    Some(check(predicate)?.matches(row, &|_| false))
}

/// Predicates that fit, and rows to hold them against.
fn cases(seed: u64) -> (Vec<Value>, Vec<Value>) {
    let mut chance = Chance::new(seed);
    let rows = made_up::customers(&mut chance);
    let some: Vec<Value> = (0..12).map(|_| predicates::predicate(&mut chance, 2)).collect();
    (some.into_iter().filter(|predicate| check(predicate).is_some()).collect(), rows)
}

proptest! {
    #[test]
    fn not_is_the_opposite_and_twice_nothing(seed in any::<u64>()) {
        let (predicates, rows) = cases(seed);
        for predicate in predicates {
            let not = json!({ "not": predicate });
            let twice = json!({ "not": not });
            for row in rows.iter().take(6) {
                let is_so = holds(&predicate, row).unwrap();
                prop_assert_eq!(holds(&not, row).unwrap(), !is_so, "{}", predicate);
                prop_assert_eq!(holds(&twice, row).unwrap(), is_so, "{}", predicate);
            }
        }
    }

    #[test]
    fn all_and_any_are_what_de_morgan_says(seed in any::<u64>()) {
        let (predicates, rows) = cases(seed);
        for pair in predicates.windows(2).take(8) {
            let nots = [json!({ "not": pair[0] }), json!({ "not": pair[1] })];
            for row in rows.iter().take(6) {
                let [a, b] = [&pair[0], &pair[1]].map(|part| holds(part, row).unwrap());
                prop_assert_eq!(holds(&json!({ "all": pair }), row).unwrap(), a && b);
                prop_assert_eq!(holds(&json!({ "any": pair }), row).unwrap(), a || b);
                prop_assert_eq!(holds(&json!({ "not": { "any": nots } }), row).unwrap(), a && b);
                prop_assert_eq!(holds(&json!({ "not": { "all": nots } }), row).unwrap(), a || b);
            }
        }
    }

    #[test]
    fn operators_that_mean_the_same_find_the_same(seed in any::<u64>(), score in -3_i64..3) {
        let leaf = |op: &str, value: Value| json!({ "field": "score", "op": op, "value": value });
        let same = [
            (leaf("in", json!([score])), leaf("eq", json!(score))),
            (leaf("nin", json!([score])), leaf("ne", json!(score))),
            (leaf("ne", json!(score)), json!({ "not": leaf("eq", json!(score)) })),
            (
                leaf("between", json!([score, score + 2])),
                json!({ "all": [leaf("gte", json!(score)), leaf("lte", json!(score + 2))] }),
            ),
            (leaf("exists", json!(false)), json!({ "not": leaf("exists", json!(true)) })),
        ];
        for row in cases(seed).1.iter().take(12) {
            for (one, other) in &same {
                prop_assert_eq!(holds(one, row).unwrap(), holds(other, row).unwrap(), "{}", one);
            }
        }
    }

    #[test]
    fn a_predicate_is_written_as_it_was_read(seed in any::<u64>()) {
        for value in cases(seed).0 {
            let predicate: Predicate = serde_json::from_value(value.clone()).unwrap();
            prop_assert_eq!(serde_json::to_value(&predicate).unwrap(), value);
        }
    }

    #[test]
    fn any_value_is_taken_or_refused(
        field in "score|first_name|created_at|attributes\\.x|tags|owner_id|.{0,9}",
        op in "eq|ne|gt|gte|lt|lte|in|nin|contains|starts_with|exists|between|within",
        value in patch_value()
    ) {
        let leaf = json!({ "field": field, "op": op, "value": value });
        for predicate in [leaf.clone(), json!({ "any": [leaf, value] }), value.clone()] {
            if let Some(checked) = check(&predicate) {
                checked.matches(&json!({ "score": value, "attributes": { "x": value } }), &|_| true);
            }
        }
    }
}
