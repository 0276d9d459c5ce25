//! A row beside the record that it is found to be: whether it is the same one, and what is new in it.

use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::values::text::added;

/// The fields of a row or record.
pub type Fields = Map<String, Value>;

pub fn json(record: &impl Serialize) -> Result<Value> {
    serde_json::to_value(record).map_err(|error| Error::internal(error.to_string()))
}

/// How much it tells that a record has this field of the row: its id and outside ids and logins most,
/// then email addresses, then phone numbers and SKUs, then everything else that only one can have.
fn strength(pointer: &str, row: &Fields) -> u8 {
    let mut steps = pointer.trim_start_matches("#/").split('/');
    let kind = match (steps.next(), steps.next().and_then(|at| at.parse::<usize>().ok())) {
        (Some("identities"), Some(at)) => row["identities"][at]["type"].as_str(),
        (field, _) => field,
    };
    match kind {
        Some("id") => 4,
        Some("external_ids" | "external" | "user_id") => 3,
        Some("email") => 2,
        Some("phone" | "sku") => 1,
        _ => 0,
    }
}

/// Whether the row has something that tells more than that by which it was found.
pub fn is_in_doubt(pointer: &str, row: &Fields) -> bool {
    let found_by = strength(pointer, row);
    let told = ["external_ids", "email", "phone", "sku"].into_iter();
    let mut told = told.filter(|name| row.get(*name).is_some_and(|value| !value.is_null()));
    told.any(|name| strength(name, row) > found_by)
}

/// The refusal of a row whose record, found by a weaker identity, has another of a stronger kind: two
/// people who share a phone number stay two.
pub fn must_be_same(id: Uuid, pointer: &str, row: &Fields, record: &Value) -> Result<()> {
    let found_by = strength(pointer, row);
    let is_other = |name: &&str| match (&record[*name], row.get(*name)) {
        (Value::Array(known), Some(Value::Array(given))) => given.iter().any(|one| {
            known.iter().any(|other| other["source"] == one["source"] && other["id"] != one["id"])
        }),
        (Value::String(known), Some(Value::String(given))) => known != given,
        _ => false,
    };
    let told = ["external_ids", "email", "phone", "sku"].into_iter();
    let other = told.filter(|name| strength(name, row) > found_by).find(is_other);
    let Some(other) = other else { return Ok(()) };
    let by = pointer.trim_start_matches("#/");
    let detail = format!(
        "the record {id} has this `{by}` and another `{other}`: it is not changed, and none is made"
    );
    Err(Error::field(pointer, "identity_conflict", detail))
}

/// What a row says of a record, as a patch; `None` where nothing of it is new. Tags, outside ids and
/// addresses are added, objects merged, and only what is there is cleared.
pub fn news(record: &impl Serialize, row: Fields) -> Result<Option<Fields>> {
    let record = json(record)?;
    let fields = row.into_iter().map(|(name, given)| {
        let joined = joined(&name, &record[&name], given);
        (name, joined)
    });
    let mut fields: Fields = fields.collect();
    if fields.iter().all(|(name, value)| is_known(&record[name], value)) {
        return Ok(None);
    }
    fields.retain(|name, value| !value.is_null() || !record[name].is_null());
    Ok(Some(fields))
}

fn joined(name: &str, known: &Value, given: Value) -> Value {
    match (name, known, given) {
        ("tags", Value::Array(known), Value::Array(given)) if are_texts(&given) => {
            added(&texts(known), texts(&given)).into()
        }
        ("external_ids", Value::Array(known), Value::Array(given)) => {
            let mut all = known.clone();
            for one in given.into_iter().filter(|one| !known.contains(one)) {
                all.retain(|other| other["source"] != one["source"]);
                all.push(one);
            }
            all.into()
        }
        ("addresses", Value::Array(known), Value::Array(given)) => beside(known, given).into(),
        // Theirs are merged with what is stored.
        ("attributes", _, given) => given,
        (_, Value::Object(known), Value::Object(given)) => merged(known.clone(), given).into(),
        (_, _, given) => given,
    }
}

fn texts(all: &[Value]) -> Vec<String> {
    all.iter().filter_map(Value::as_str).map(String::from).collect()
}

fn are_texts(all: &[Value]) -> bool {
    all.iter().all(Value::is_string)
}

fn merged(mut known: Fields, given: Fields) -> Fields {
    known.extend(given);
    known
}

/// The addresses of a customer with those of a row: each says something new of the one of its type, the
/// second of a type of the second.
fn beside(known: &[Value], given: Vec<Value>) -> Vec<Value> {
    let mut all = known.to_vec();
    let mut free: Vec<usize> = (0..known.len()).collect();
    for address in given {
        let same = free.iter().position(|at| known[*at]["type"] == address["type"]);
        match (same.map(|at| free.remove(at)), address) {
            (Some(at), Value::Object(address)) => {
                let before = known[at].as_object().cloned().unwrap_or_default();
                all[at] = merged(before, address).into();
            }
            (_, address) => all.push(address),
        }
    }
    all
}

/// Whether a record says all of that already.
fn is_known(known: &Value, given: &Value) -> bool {
    match (known, given) {
        (Value::Object(known), Value::Object(given)) => given.iter().all(|(name, value)| {
            known.get(name).map_or(value.is_null(), |known| is_known(known, value))
        }),
        (Value::Array(known), Value::Array(given)) => {
            known.len() == given.len() && known.iter().zip(given).all(|(a, b)| is_known(a, b))
        }
        _ => known == given,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        value.as_object().expect("an object").clone()
    }

    #[test]
    fn only_something_stronger_tells_of_somebody_else() {
        let record = json!({ "email": "a@x", "phone": "+431", "external_ids":
                             [{ "source": "shop", "id": "1" }] });
        let is_same = |pointer: &str, row: Value| {
            must_be_same(Uuid::nil(), pointer, &fields(row), &record).is_ok()
        };
        assert!(is_same("#/email", json!({ "email": "a@x", "phone": "+432" })));
        assert!(is_same("#/phone", json!({ "phone": "+431" })));
        assert!(!is_same("#/phone", json!({ "phone": "+431", "email": "b@x" })));
        let other = json!([{ "source": "shop", "id": "2" }]);
        assert!(!is_same("#/email", json!({ "email": "a@x", "external_ids": other })));
        let more = json!([{ "source": "erp", "id": "2" }]);
        assert!(is_same("#/email", json!({ "email": "a@x", "external_ids": more })));
        assert!(is_same("#/external_ids/0", json!({ "email": "b@x", "external_ids": [] })));
        let login = json!([{ "type": "user_id", "value": "7" }]);
        assert!(is_same("#/identities/0/value", json!({ "email": "b@x", "identities": login })));
        assert!(!is_same("#/attributes/member", json!({ "phone": "+432" })));
    }

    #[test]
    fn what_is_known_is_no_news() {
        let record = json!({ "name": "A", "tags": ["a"], "note": null, "attributes": { "x": 1 },
                             "lines": [{ "id": 7, "sku": "S" }] });
        let news = |row: Value| news(&record, fields(row)).expect("an object").map(Value::Object);
        let same = json!({ "name": "A", "tags": ["a"], "note": null, "attributes": { "y": null },
                           "lines": [{ "sku": "S" }] });
        assert_eq!(news(same), None);
        let more = json!({ "name": null, "note": null, "tags": ["b"] });
        assert_eq!(news(more), Some(json!({ "name": null, "tags": ["a", "b"] })));
    }

    #[test]
    fn an_address_says_what_is_new_of_the_one_of_its_type() {
        let known = [
            json!({ "type": "billing", "city": "Wien" }),
            json!({ "type": "shipping", "city": "Graz" }),
            json!({ "type": "billing", "city": "Linz" }),
        ];
        let given = vec![
            json!({ "type": "billing", "line1": "A 1" }),
            json!({ "type": "billing", "city": "Wels" }),
            json!({ "type": "home", "city": "Imst" }),
        ];
        let all = beside(&known, given);
        assert_eq!(all[0], json!({ "type": "billing", "city": "Wien", "line1": "A 1" }));
        assert_eq!((&all[1], &all[2]["city"]), (&known[1], &json!("Wels")));
        assert_eq!((all.len(), &all[3]["type"]), (4, &json!("home")));
    }
}
