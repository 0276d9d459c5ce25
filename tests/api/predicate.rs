//! Holds what the database finds and what memory decides against each other, for predicates and
//! rows that chance makes up.

mod made_up;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::Jsonb;
use diesel::{debug_query, sql_query};
use ecrm::predicate::{
    Catalog, Checked, CheckedDid, Context, DidColumns, Field, FreeColumn, Kind, Predicate,
};
use made_up::{Chance, predicates};
use serde_json::{Value, json};
use uuid::Uuid;

diesel::table! {
    customers (workspace_id, id) {
        workspace_id -> Uuid,
        id -> Uuid,
    }
}

const TABLES: &str = "
    create temp table customers (
        workspace_id uuid, id uuid, first_name text, email_norm text, lifecycle_stage text,
        score int, rating numeric, vip boolean, created_at timestamptz, birth_date date,
        owner_id uuid, tags text[], attributes jsonb, primary key (workspace_id, id));
    create index customers_email on customers (workspace_id, email_norm);
    create temp table touchpoints (
        workspace_id uuid, customer_id uuid, id uuid, type text, channel_id uuid, direction text,
        name text, source text, organization_id uuid, value_amount bigint, value_currency text,
        properties jsonb, primary key (workspace_id, id));
    create temp table customer_activity (
        workspace_id uuid, customer_id uuid, type text, n bigint, first_at timestamptz,
        last_at timestamptz, primary key (workspace_id, customer_id, type));";

const FILL: [&str; 3] = [
    "insert into customers select (r->>'workspace_id')::uuid, (r->>'id')::uuid, r->>'first_name',
        r->>'email_norm', r->>'lifecycle_stage', (r->>'score')::int, (r->>'rating')::numeric,
        (r->>'vip')::boolean, (r->>'created_at')::timestamptz, (r->>'birth_date')::date,
        (r->>'owner_id')::uuid,
        case when jsonb_typeof(r->'tags') = 'array'
            then array(select jsonb_array_elements_text(r->'tags')) end,
        nullif(r->'attributes', 'null') from jsonb_array_elements($1) r",
    "insert into touchpoints select (r->>'workspace_id')::uuid, (r->>'customer_id')::uuid,
        (r->>'id')::uuid, r->>'type', (r->>'channel_id')::uuid, r->>'direction', r->>'name',
        r->>'source', (r->>'organization_id')::uuid, (r->'value'->>'amount')::bigint,
        r->'value'->>'currency', r->'properties' from jsonb_array_elements($1) r",
    "insert into customer_activity select (r->>'workspace_id')::uuid, (r->>'customer_id')::uuid,
        r->>'type', count(*), min((r->>'occurred_at')::timestamptz),
        max((r->>'occurred_at')::timestamptz) from jsonb_array_elements($1) r group by 1, 2, 3",
];

static CATALOG: Catalog = Catalog {
    fields: &[
        Field { name: "first_name", column: "customers.first_name", kind: Kind::Text },
        Field { name: "email", column: "customers.email_norm", kind: Kind::Folded },
        Field {
            name: "lifecycle_stage",
            column: "customers.lifecycle_stage",
            kind: Kind::Enum(made_up::STAGES),
        },
        Field { name: "score", column: "customers.score", kind: Kind::Integer },
        Field { name: "rating", column: "customers.rating", kind: Kind::Number },
        Field { name: "vip", column: "customers.vip", kind: Kind::Boolean },
        Field { name: "created_at", column: "customers.created_at", kind: Kind::Time },
        Field { name: "birth_date", column: "customers.birth_date", kind: Kind::Date },
        Field { name: "owner_id", column: "customers.owner_id", kind: Kind::Id },
        Field { name: "tags", column: "customers.tags", kind: Kind::TextArray },
    ],
    free: Some(FreeColumn { name: "attributes", column: "customers.attributes" }),
    did: Some(DidColumns { workspace_id: "customers.workspace_id", customer_id: "customers.id" }),
};

fn now() -> DateTime<Utc> {
    made_up::NOW.parse().unwrap()
}

fn check(predicate: &Value) -> ecrm::error::Result<Checked> {
    let attribute_kinds = HashMap::from([
        ("renewal".to_string(), Kind::Date),
        ("visit".to_string(), Kind::Time),
        ("colours".to_string(), Kind::TextArray),
        ("level".to_string(), Kind::Integer),
        ("plan".to_string(), Kind::Text),
    ]);
    let predicate: Predicate = serde_json::from_value(predicate.clone()).unwrap();
    let attribute_kinds = &attribute_kinds;
    predicate.check(&Context { pointer: "#/where", catalog: &CATALOG, attribute_kinds, now: now() })
}

/// Customers and touchpoints, in the database and in memory.
struct World {
    db: PgConnection,
    customers: Vec<Value>,
    touchpoints: HashMap<(String, String), Vec<Value>>,
}

impl World {
    fn new(chance: &mut Chance) -> Self {
        let mut db = crate::harness::App::shared().owner();
        diesel::connection::SimpleConnection::batch_execute(&mut db, TABLES).unwrap();
        let mut customers = made_up::customers(chance);
        for customer in &mut customers {
            let folded = customer["email"].as_str().map(ecrm::values::text::search_key);
            customer["email_norm"] = json!(folded);
        }
        let touchpoints = made_up::touchpoints(chance, &customers);
        for (sql, rows) in FILL.into_iter().zip([&customers, &touchpoints, &touchpoints]) {
            sql_query(sql).bind::<Jsonb, _>(json!(rows)).execute(&mut db).unwrap();
        }
        let mut by_customer: HashMap<_, Vec<Value>> = HashMap::new();
        for touchpoint in touchpoints {
            let key = key(&touchpoint, "customer_id");
            by_customer.entry(key).or_default().push(touchpoint);
        }
        Self { db, customers, touchpoints: by_customer }
    }

    fn in_database(&mut self, workspace_id: &str, checked: &Checked) -> Vec<Uuid> {
        let query = customers::table
            .filter(customers::workspace_id.eq(Uuid::parse_str(workspace_id).unwrap()))
            .filter(checked.clone())
            .order(customers::id)
            .select(customers::id);
        let sql = debug_query::<Pg, _>(&query).to_string();
        query.load(&mut self.db).unwrap_or_else(|error| panic!("{error}: {sql}"))
    }

    fn in_memory(&self, workspace_id: &str, checked: &Checked) -> Vec<Uuid> {
        let mut found: Vec<_> = self
            .customers
            .iter()
            .filter(|row| row["workspace_id"] == workspace_id)
            .filter(|row| checked.matches(row, &|did| self.did(row, did)))
            .map(|row| Uuid::parse_str(row["id"].as_str().unwrap()).unwrap())
            .collect();
        found.sort_unstable();
        found
    }

    fn did(&self, customer: &Value, did: &CheckedDid) -> bool {
        let theirs = self.touchpoints.get(&key(customer, "id")).map_or(&[][..], Vec::as_slice);
        did.holds(theirs.iter().filter(|touchpoint| did.counts(touchpoint)).count() as u64)
    }
}

fn key(row: &Value, customer_id: &str) -> (String, String) {
    (row["workspace_id"].as_str().unwrap().into(), row[customer_id].as_str().unwrap().into())
}

#[test]
fn the_database_and_memory_agree() {
    let mut chance = Chance::new(20_240_501);
    let mut world = World::new(&mut chance);
    let (mut checked_predicates, mut some, mut all) = (0, 0, 0);
    for _ in 0..rounds() {
        let predicate = predicates::predicate(&mut chance, 3);
        let Ok(checked) = check(&predicate) else { continue };
        for workspace_id in made_up::WORKSPACES {
            let found = world.in_database(workspace_id, &checked);
            assert_eq!(found, world.in_memory(workspace_id, &checked), "{predicate:#}");
            checked_predicates += 1;
            some += usize::from(!found.is_empty());
            all += usize::from(found.len() == made_up::CUSTOMERS);
        }
    }
    // Agreement about nothing would prove nothing.
    assert!(checked_predicates > 4000, "{checked_predicates}");
    assert!(some - all > checked_predicates / 3, "{some} {all} {checked_predicates}");
}

/// 3000, or more with `PROPTEST_CASES`, as for the other laws that chance tries.
fn rounds() -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    asked.unwrap_or(0).max(3000)
}

#[test]
fn every_operator_finds_something_and_its_opposite_the_rest() {
    let mut chance = Chance::new(7);
    let mut world = World::new(&mut chance);
    let workspace_id = made_up::WORKSPACES[0];
    for leaf in predicates::leaves() {
        let found = world.in_database(workspace_id, &check(&leaf).unwrap());
        let rest = world.in_database(workspace_id, &check(&json!({"not": leaf})).unwrap());
        assert!(!found.is_empty() && !rest.is_empty(), "{leaf} {} {}", found.len(), rest.len());
        assert_eq!(found.len() + rest.len(), made_up::CUSTOMERS, "{leaf}");
        assert_eq!(found, world.in_memory(workspace_id, &check(&leaf).unwrap()), "{leaf}");
    }
}

fn sql(predicate: &Value) -> String {
    let checked = check(predicate).unwrap();
    let query = customers::table.filter(checked).select(customers::id);
    let sql = debug_query::<Pg, _>(&query).to_string();
    let (_, condition) = sql.split_once(" WHERE ").unwrap();
    condition.split_once(" -- binds").unwrap().0.to_string()
}

#[test]
fn no_value_and_no_key_is_part_of_the_sql() {
    let evil = "x') or true; --";
    for predicate in [
        json!({"field": "first_name", "op": "eq", "value": evil}),
        json!({"field": "tags", "op": "in", "value": [evil]}),
        json!({"field": format!("attributes.{evil}"), "op": "eq", "value": evil}),
        json!({"field": format!("attributes.{evil}"), "op": "gt", "value": 4711}),
        json!({"field": format!("attributes.{evil}"), "op": "contains", "value": evil}),
        json!({"field": "score", "op": "in", "value": [4711]}),
        json!({"did": {"type": evil, "at_least": 4711, "at_most": 4712, "within": "P4711D",
            "where": {"field": format!("properties.{evil}"), "op": "starts_with", "value": evil}}}),
    ] {
        let sql = sql(&predicate);
        assert!(!sql.contains("or true") && !sql.contains("471"), "{sql}");
    }
}

#[test]
fn an_equality_stays_plain_so_that_an_index_serves_it() {
    let email = json!({"field": "email", "op": "eq", "value": "Ann@Example.com"});
    assert_eq!(sql(&email), "(customers.email_norm = $1)");
    let (absent, not) =
        (json!({"field": "email", "op": "exists", "value": false}), json!({"not": email}));
    assert_eq!(sql(&absent), "(not (customers.email_norm is not null))");
    assert_eq!(sql(&not), "((customers.email_norm = $1) is not true)");
    assert_eq!(sql(&not), sql(&json!({"field": "email", "op": "ne", "value": "a@b.de"})));
}

#[test]
fn rollups_answer_where_they_can_and_touchpoints_where_they_must() {
    let uses_rollup = |did: Value| sql(&json!({"did": did})).contains("customer_activity");
    for did in [
        json!({"type": "t"}),
        json!({"type": "t", "at_least": 3}),
        json!({"type": "t", "at_least": 1, "at_most": 2}),
        json!({"type": "t", "at_most": 5}),
        json!({"type": "t", "within": "P30D"}),
        json!({"type": "t", "within": "P30D", "at_most": 0}),
    ] {
        assert!(uses_rollup(did.clone()), "{did}");
    }
    for did in [
        json!({"type": "t", "within": "P30D", "at_least": 2}),
        json!({"type": "t", "within": "P30D", "at_most": 1}),
        json!({"type": "t", "where": {"field": "name", "op": "exists"}}),
    ] {
        assert!(!uses_rollup(did.clone()), "{did}");
    }
    let never = sql(&json!({"not": {"did": {"type": "t", "within": "P1D"}}}));
    assert!(never.starts_with("(not (exists (select 1 from customer_activity where "), "{never}");
}

#[test]
fn a_checked_predicate_can_be_boxed_selected_and_combined() {
    let mut world = World::new(&mut Chance::new(1));
    let checked = check(&json!({"field": "vip", "op": "eq", "value": true})).unwrap();
    let boxed = customers::table.into_boxed::<Pg>().filter(checked.clone());
    let counted = boxed.count().get_result::<i64>(&mut world.db).unwrap();
    let column = customers::table.select(checked.clone()).load::<Option<bool>>(&mut world.db);
    let vips = column.unwrap().into_iter().filter(|vip| *vip == Some(true)).count();
    assert!(counted > 0 && counted == vips as i64);
    let both = customers::table.filter(customers::id.eq(Uuid::nil()).or(checked));
    assert_eq!(both.count().get_result::<i64>(&mut world.db), Ok(counted));
}
