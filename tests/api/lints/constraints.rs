//! A constraint that can refuse a request is explained beside its query, or cannot be reached:
//! then this says which check stands before it (A10, A11).

use std::collections::BTreeSet;

use serde_json::Value;

use super::pg::catalog;
use super::source::sources;
use crate::guards::calls::plain;

/// Constraints that no request reaches, and what stands before them.
const UNREACHED: [(&str, &str); 28] = [
    ("carts_channel_exists", "the channel is looked up before; none goes for good"),
    ("carts_customer_exists", "the reference is resolved before; no customer goes for good"),
    ("connector_events_channel_exists", "the channel is looked up before; none goes for good"),
    ("connector_events_delivery_taken", "`keep` does nothing on conflict and finds the first one"),
    ("consent_events_consent_exists", "the consent is written before, by the same transaction"),
    ("data_request_pieces_request_exists", "the job has read the request, and none is deleted"),
    ("memberships_period_ordered", "`NewMembership` is checked for `invalid_period`"),
    ("merge_candidates_pair_ordered", "`suggest` puts the smaller id first"),
    ("merge_candidates_pair_taken", "`suggest` does nothing on conflict"),
    ("order_fulfillments_external_id_taken", "known ones are left out, under the order's lock"),
    ("order_fulfillments_order_exists", "the order is written before, by the same transaction"),
    ("order_line_items_order_exists", "the order is written before, by the same transaction"),
    ("order_line_items_product_exists", "the product is looked up before; none goes for good"),
    ("order_line_items_quantity_positive", "the validator's range begins at 1"),
    ("order_refunds_amount_positive", "`Money::within` refuses less than 0"),
    ("order_refunds_external_id_taken", "known ones are left out, under the order's lock"),
    ("order_refunds_order_exists", "the order is written before, by the same transaction"),
    ("orders_channel_exists", "the channel is looked up before; none goes for good"),
    ("orders_customer_exists", "the reference is resolved before; no customer goes for good"),
    ("orders_refunds_within_payments", "a draft is checked for `refund_exceeds_payment`"),
    ("organizations_employees_count_positive", "the validator's range begins at 0"),
    ("touchpoint_keys_message_taken", "ingest does nothing on conflict and finds the first one"),
    ("webhook_attempts_delivery_exists", "the delivery is written before, by the same transaction"),
    ("webhook_deliveries_endpoint_exists", "the endpoint is locked, and none goes for good"),
    ("webhook_deliveries_once", "the endpoint's cursor moves on in the same transaction"),
    ("webhook_endpoints_event_types_count", "the validator's length is 1 to 100"),
    ("webhook_endpoints_max_concurrency_range", "the validator's range is 1 to 10"),
    ("webhook_endpoints_signatures_listed", "a closed set in the document, each at most once"),
];

/// Every constraint and unique index of ours, with its kind.
const CONSTRAINTS: &str = "
    select conname || ' ' || contype::text as line from pg_constraint k
      join pg_class c on c.oid = k.conrelid and not c.relispartition
     where c.relnamespace = 'public'::regnamespace and c.relname not like '\\_\\_%'
       and contype in ('u', 'p', 'f', 'c')
    union
    select i.indexrelid::regclass || ' u' from pg_index i
      join pg_class c on c.oid = i.indrelid and not c.relispartition
     where c.relnamespace = 'public'::regnamespace and c.relname not like '\\_\\_%'
       and i.indisunique";

fn names() -> BTreeSet<(String, char)> {
    let split = |line: String| {
        let (name, kind) = line.rsplit_once(' ').expect("a kind");
        (name.to_owned(), kind.chars().next().expect("a kind"))
    };
    let names: BTreeSet<_> = catalog(CONSTRAINTS).into_iter().map(split).collect();
    assert!(names.len() > 60, "{names:?}");
    names
}

/// Covered by a rule instead of by its own name.
fn is_covered(name: &str, kind: char) -> bool {
    let is_key = name.ends_with("_pkey");
    let is_workspace = name.ends_with("_workspace_id_fkey");
    // Ids are made by us, workspaces come from a credential that was checked; the tests below
    // hold lengths and words against the document.
    is_key
        || is_workspace
        || (kind == 'c' && (name.ends_with("_length") || name.ends_with("_known")))
}

#[test]
fn every_constraint_is_explained_or_cannot_be_reached() {
    let sources = sources();
    let is_named = |name: &str| {
        let holds = |text: &String| {
            text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name)
        };
        sources.iter().any(|source| source.texts.iter().any(|(_, text)| holds(text)))
    };
    let unexplained: BTreeSet<String> = names()
        .into_iter()
        .filter(|(name, kind)| !is_covered(name, *kind) && !is_named(name))
        .map(|(name, _)| name)
        .collect();
    super::pg::only(&unexplained.into_iter().collect::<Vec<_>>(), &UNREACHED);
}

/// The code of every conflict is a name in the catalog, or nobody could look it up.
#[test]
fn every_code_that_is_a_constraint_exists() {
    let names: BTreeSet<String> = names().into_iter().map(|(name, _)| name).collect();
    for name in ecrm::db::constraints::ANSWERED {
        let is_slug = *name == "workspaces_slug_taken";
        assert!(names.contains(*name) || is_slug, "`{name}` is no constraint");
    }
}

/// A check of one column, such as `customers.first_name`.
struct Check {
    table: String,
    column: String,
    definition: String,
}

fn checks(ending: &str) -> Vec<Check> {
    let sql = format!(
        "select c.relname || '|' || a.attname || '|' || pg_get_constraintdef(k.oid) as line
           from pg_constraint k join pg_class c on c.oid = k.conrelid and not c.relispartition
           join pg_attribute a on a.attrelid = c.oid and k.conkey = array[a.attnum]
          where k.contype = 'c' and k.conname like '%\\_{ending}'"
    );
    let parse = |line: String| {
        let mut parts = line.splitn(3, '|').map(String::from);
        let mut next = || parts.next().expect("a part");
        Check { table: next(), column: next(), definition: next() }
    };
    catalog(&sql).into_iter().map(parse).collect()
}

/// The name of one row of a table, as schemas are named.
fn noun(table: &str) -> String {
    let singular = match table {
        "identities" => "identity",
        other => other.strip_suffix('s').unwrap_or(other),
    };
    let capital = |word: &str| format!("{}{}", word[..1].to_uppercase(), &word[1..]);
    singular.split('_').map(capital).collect()
}

/// The same property in the schemas of what is made, changed and answered.
fn properties(check: &Check, forms: &[&str]) -> Vec<(String, &'static Value)> {
    let schemas = &crate::harness::document()["components"]["schemas"];
    let names = forms.iter().map(|form| form.replace('X', &noun(&check.table)));
    names
        .map(|name| {
            let property = plain(&schemas[&name]["properties"][&check.column]);
            (format!("{name}.{}", check.column), property)
        })
        .filter(|(_, property)| !property.is_null())
        .collect()
}

/// The bounds of `char_length` in a definition.
fn bounds(definition: &str) -> (Option<u64>, Option<u64>) {
    let after = |sign: &str| {
        let rest = definition.split(&format!(") {sign} ")).nth(1)?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    let exact = after("=");
    (after(">=").or(exact), after("<=").or(exact))
}

#[test]
fn bounds_are_read_as_postgres_prints_them() {
    let between = "CHECK (((char_length(name) >= 1) AND (char_length(name) <= 200)))";
    assert_eq!(bounds(between), (Some(1), Some(200)));
    assert_eq!(bounds("CHECK ((char_length(phone) <= 32))"), (None, Some(32)));
    assert_eq!(bounds("CHECK ((char_length(currency) = 3))"), (Some(3), Some(3)));
}

/// A21, rule 10: the document refuses what the column would, before the column does.
#[test]
fn every_length_in_the_database_is_the_length_in_the_document() {
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for check in checks("length") {
        let (least, most) = bounds(&check.definition);
        for (place, property) in properties(&check, &["NewX", "XPatch"]) {
            compared += 1;
            let says = (property["minLength"].as_u64(), property["maxLength"].as_u64());
            let is_min_said = least.is_none_or(|least| says.0.is_some_and(|min| min >= least));
            if says.1.is_none_or(|max| most.is_some_and(|most| max > most)) || !is_min_said {
                wrong.push(format!("{place} says {says:?}, the column {:?}", (least, most)));
            }
        }
    }
    assert!(wrong.is_empty(), "{} lengths differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 30, "only {compared} lengths were compared");
}

/// The words of `check (x = any (array['a'::text, …]))`.
fn words(definition: &str) -> BTreeSet<String> {
    definition.split('\'').skip(1).step_by(2).map(String::from).collect()
}

/// A word that the document has and the column has not would be a 500.
#[test]
fn every_closed_set_in_the_database_is_the_set_in_the_document() {
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for check in checks("known") {
        let known = words(&check.definition);
        for (place, property) in properties(&check, &["NewX", "XPatch", "X"]) {
            let listed = [&property["enum"], &property["x-extensible-enum"]];
            let listed = listed.into_iter().find_map(Value::as_array);
            let said: BTreeSet<String> = listed
                .into_iter()
                .flatten()
                .filter_map(|word| word.as_str().map(String::from))
                .collect();
            compared += 1;
            // A caller may be refused a word that only the service itself writes.
            let is_fit = if place.starts_with(&noun(&check.table)) && !place.contains("Patch") {
                said == known
            } else {
                !said.is_empty() && said.is_subset(&known)
            };
            if !is_fit {
                wrong.push(format!("{place} says {said:?}, the column {}", check.definition));
            }
        }
    }
    assert!(wrong.is_empty(), "{} sets differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 10, "only {compared} sets were compared");
}
