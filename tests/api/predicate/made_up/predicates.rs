//! Predicates by chance, and one of every sort.

use serde_json::{Value, json};

use super::{COLOURS, Chance, DATES, STAGES, TEXTS, TYPES};

/// A predicate of at most so many levels, not always a sound one.
pub fn predicate(chance: &mut Chance, levels: usize) -> Value {
    let parts = |chance: &mut Chance| -> Value {
        (0..=chance.below(3)).map(|_| predicate(chance, levels - 1)).collect()
    };
    match chance.below(if levels > 1 { 10 } else { 7 }) {
        7 => json!({"all": parts(chance)}),
        8 => json!({"any": parts(chance)}),
        9 => json!({"not": predicate(chance, levels - 1)}),
        0 => did(chance),
        _ => clause(chance, CUSTOMER_FIELDS),
    }
}

const CUSTOMER_FIELDS: &[&str] = &[
    "first_name",
    "email",
    "lifecycle_stage",
    "score",
    "rating",
    "vip",
    "created_at",
    "birth_date",
    "owner_id",
    "tags",
    "attributes.renewal",
    "attributes.visit",
    "attributes.colours",
    "attributes.level",
    "attributes.plan",
    "attributes.x",
    "attributes.y",
    "attributes.x.a",
    "attributes.x.0",
    "attributes.absent",
];
const TOUCHPOINT_FIELDS: &[&str] = &[
    "channel_id",
    "direction",
    "name",
    "source",
    "occurred_at",
    "value.amount",
    "value.currency",
    "organization_id",
    "properties.x",
    "properties.y.a",
    "properties.level",
    "properties.renewal",
];

fn did(chance: &mut Chance) -> Value {
    let mut did = json!({"type": chance.text(TYPES)});
    let (low, high) = (chance.below(4), chance.below(4));
    if chance.below(2) == 0 {
        did["at_least"] = json!(low);
    }
    if chance.below(3) == 0 {
        did["at_most"] = json!(high);
    }
    if chance.below(2) == 0 {
        did["within"] = chance.text(&["P30D", "P4W", "P2M", "PT36H", "P1Y"]);
    }
    if chance.below(2) == 0 {
        let inner = clause(chance, TOUCHPOINT_FIELDS);
        did["where"] = if chance.below(3) == 0 { json!({"not": inner}) } else { inner };
    }
    json!({"did": did})
}

fn clause(chance: &mut Chance, fields: &[&str]) -> Value {
    let field = chance.one(fields);
    let ops: &[&str] = match field {
        "vip" => &["eq", "ne", "exists"],
        "tags" | "attributes.colours" => &["in", "nin", "contains", "exists"],
        "first_name" | "email" | "name" | "source" | "value.currency" | "attributes.plan" => {
            &["eq", "ne", "in", "nin", "contains", "starts_with", "exists"]
        }
        "lifecycle_stage" | "direction" | "owner_id" | "channel_id" | "organization_id" => {
            &["eq", "ne", "in", "nin", "exists"]
        }
        "created_at" | "birth_date" | "occurred_at" | "attributes.renewal" | "attributes.visit" => {
            &["eq", "ne", "gt", "gte", "lt", "lte", "between", "within", "exists"]
        }
        "score" | "rating" | "value.amount" | "attributes.level" => {
            &["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "between", "exists"]
        }
        _ => &[
            "eq",
            "ne",
            "gt",
            "gte",
            "lt",
            "lte",
            "in",
            "nin",
            "contains",
            "starts_with",
            "between",
            "within",
            "exists",
        ],
    };
    let op = chance.one(ops);
    let value = match op {
        "exists" => json!(chance.below(2) == 0),
        "within" => chance.text(&["P30D", "PT24H", "P100Y", "P1Y2M"]),
        "in" | "nin" | "between" => {
            let values = if op == "between" { 2 } else { 1 + chance.below(3) };
            let first = value(chance, field);
            let rest: Vec<_> = (1..values).map(|_| value(chance, field)).collect();
            std::iter::once(first).chain(rest).collect()
        }
        "contains" | "starts_with" if !field.ends_with("tags") && !field.ends_with("colours") => {
            chance.text(&["Ann", "n", "%", "_", "\\", "ü", "example", "AN", "a", "red", "漢"])
        }
        _ => value(chance, field),
    };
    json!({"field": field, "op": op, "value": value})
}

fn value(chance: &mut Chance, field: &str) -> Value {
    match field {
        "first_name" | "name" | "source" | "attributes.plan" => chance.text(TEXTS),
        "email" => chance.text(&["ANN@example.com", "ünal@example.com", "bob"]),
        "lifecycle_stage" => chance.text(STAGES),
        "direction" => chance.text(&["inbound", "outbound"]),
        "value.currency" => chance.text(&["EUR", "USD"]),
        "score" => json!(chance.below(5) as i64 - 2),
        "value.amount" => json!(chance.below(3) * 1000),
        "vip" => json!(chance.below(2) == 0),
        "created_at" | "occurred_at" | "attributes.visit" => chance.time(),
        "birth_date" | "attributes.renewal" => chance.text(DATES),
        "owner_id" | "channel_id" | "organization_id" => chance.id(),
        "tags" | "attributes.colours" => chance.text(COLOURS),
        "rating" | "attributes.level" => chance.number(),
        _ => match chance.below(5) {
            0 | 1 => chance.number(),
            2 => chance.text(TEXTS),
            3 => chance.time(),
            _ => chance.one(&[json!("red"), json!(true), json!("2024-04-01"), json!("zero")]),
        },
    }
}

/// One sound predicate for every kind of field and operator, true of some customers and not of all.
pub fn leaves() -> Vec<Value> {
    let leaf =
        |field: &str, op: &str, value: Value| json!({"field": field, "op": op, "value": value});
    let did = |did: Value| json!({"did": did});
    vec![
        leaf("first_name", "eq", json!("José")),
        leaf("first_name", "contains", json!("nn")),
        leaf("first_name", "contains", json!("%_")),
        leaf("first_name", "starts_with", json!("Ann")),
        leaf("first_name", "nin", json!(["Ann", "ann"])),
        leaf("first_name", "exists", json!(true)),
        leaf("email", "eq", json!("ANN@EXAMPLE.COM")),
        leaf("email", "contains", json!("ÜNAL")),
        leaf("lifecycle_stage", "in", json!(["lead", "other"])),
        leaf("score", "between", json!([0, 1])),
        leaf("score", "ne", json!(0)),
        leaf("rating", "eq", json!(1)),
        leaf("rating", "lt", json!(0.2)),
        leaf("rating", "in", json!([0.1, 2.5e10])),
        leaf("vip", "eq", json!(false)),
        leaf("created_at", "gte", json!("2024-04-01T02:00:00+02:00")),
        leaf("created_at", "within", json!("P30D")),
        leaf("birth_date", "lt", json!("1970-01-01")),
        leaf("birth_date", "within", json!("P1M")),
        leaf("owner_id", "eq", json!("018F0000-0000-7000-8000-000000000101")),
        leaf("tags", "contains", json!("red")),
        leaf("tags", "in", json!(["red", "blue"])),
        leaf("tags", "exists", json!(true)),
        leaf("attributes.renewal", "within", json!("P2M")),
        leaf("attributes.visit", "gt", json!("2024-04-01T00:00:00Z")),
        leaf("attributes.colours", "contains", json!("green")),
        leaf("attributes.colours", "exists", json!(true)),
        leaf("attributes.level", "lte", json!(1)),
        leaf("attributes.plan", "starts_with", json!("An")),
        leaf("attributes.x", "exists", json!(true)),
        leaf("attributes.x.a", "gte", json!(-5)),
        leaf("attributes.x.0", "eq", json!("zero")),
        did(json!({"type": "order.placed"})),
        did(json!({"type": "order.placed", "at_most": 0})),
        did(json!({"type": "order.placed", "at_least": 2, "at_most": 3})),
        did(json!({"type": "page.viewed", "within": "P50D"})),
        did(json!({"type": "page.viewed", "within": "P50D", "at_most": 0})),
        did(json!({"type": "page.viewed", "within": "P80D", "at_least": 2})),
        did(json!({"type": "page.viewed", "within": "P50D", "at_most": 1, "at_least": 1})),
        did(json!({"type": "order.placed", "at_most": 1,
            "where": {"field": "value.amount", "op": "gte", "value": 1000}})),
        did(json!({"type": "order.placed",
            "where": {"field": "occurred_at", "op": "lt", "value": "2024-04-01T00:00:00Z"}})),
        did(json!({"type": "order.placed",
            "where": {"field": "properties.level", "op": "gte", "value": 1}})),
    ]
}
