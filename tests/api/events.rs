//! The catalogue of events is committed, served, and true.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ecrm::api::events;
use serde_json::{Value, json};

use crate::harness::{Client, document, workspace};

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/events.json")
}

fn catalogue() -> Value {
    serde_json::from_str(events()).expect("JSON")
}

/// Whether something is as a schema of the catalogue says.
fn validator(catalogue: &Value, schema: &Value) -> jsonschema::Validator {
    let mut root = schema.clone();
    root["$defs"] = catalogue["$defs"].clone();
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .should_validate_formats(true)
        .build(&root)
        .unwrap_or_else(|error| panic!("{schema}: {error}"))
}

#[track_caller]
fn fits(catalogue: &Value, event: &Value) {
    let kind = event["type"].as_str().expect("a type");
    let known = &catalogue["events"][kind];
    assert!(known.is_object(), "{kind} is not listed");
    if let Err(error) = validator(catalogue, &known["schema"]).validate(event) {
        panic!("{kind}: {error} at {}: {event:#}", error.instance_path());
    }
}

/// `UPDATE=1` rewrites it.
#[test]
fn the_committed_catalogue_is_the_emitted_one() {
    if std::env::var("UPDATE").is_ok() {
        std::fs::write(path(), events()).expect("the catalogue can be written");
        return;
    }
    let committed = std::fs::read_to_string(path()).unwrap_or_default();
    let is_same = committed == events();
    assert!(is_same, "run `UPDATE=1 cargo test --test api events::` and review the difference");
}

#[test]
fn the_catalogue_is_served_to_everybody_and_the_document_leads_there() {
    let anonymous = Client { token: None, ..workspace() };
    let served = anonymous.send_unchecked("GET", "/events.json", &[], None).expect(200);
    assert!(served.text == events(), "another catalogue is served");
    assert_eq!(served.headers["content-type"], "application/json");
    let about = document()["info"]["description"].to_string();
    assert!(about.contains("/events.json"), "{about}");
}

#[test]
fn every_type_has_a_schema_and_examples_that_fit() {
    let catalogue = catalogue();
    let events = catalogue["events"].as_object().expect("events");
    assert!(events.len() > 100, "only {}", events.len());
    let mut names = BTreeSet::new();
    for (kind, event) in events {
        let examples = event["examples"].as_array().expect("examples");
        assert_eq!(examples.len(), event["written_by"].as_array().expect("who").len(), "{kind}");
        for example in examples {
            assert_eq!(example["type"], *kind);
            fits(&catalogue, example);
        }
        assert!(names.insert(event["schema"]["$ref"].to_string()), "{kind} shares its name");
    }
    let message = &catalogue["webhook"];
    let example = &message["example"];
    assert!(validator(&catalogue, &message["schema"]).is_valid(example), "{example:#}");
}

#[test]
fn schemas_refuse_what_we_would_not_write() {
    let catalogue = catalogue();
    let schema = |kind: &str| validator(&catalogue, &catalogue["events"][kind]["schema"]);
    let example = |kind: &str| catalogue["events"][kind]["examples"][0].clone();
    let mut stage = example("customer.created");
    stage["properties"]["lifecycle_stage"] = json!(7);
    let mut subject = example("order.placed");
    subject["subject"]["type"] = json!("cart");
    let mut foreign = example("customer.created");
    foreign["source"] = json!("shop");
    for (kind, event) in
        [("customer.created", stage), ("order.placed", subject), ("customer.created", foreign)]
    {
        assert!(!schema(kind).is_valid(&event), "{event:#}");
    }
    // What others report of orders is of their own form.
    let mut reported = example("order.placed");
    reported["source"] = json!("shop");
    reported["properties"] = json!({ "items_count": "two" });
    assert!(schema("order.placed").is_valid(&reported));
}

#[test]
fn what_the_feed_tells_is_as_the_catalogue_says() {
    let client = workspace();
    let catalogue = catalogue();
    let money = |amount: i64| json!({ "amount": amount, "currency": "EUR" });
    let ada = client.post("/v1/customers", json!({ "email": "ada@example.com" })).expect(201).id();
    client.patch(&format!("/v1/customers/{ada}"), json!({ "first_name": "Ada" })).expect(200);
    client.post("/v1/channels", json!({ "type": "email", "name": "Letter" })).expect(201);
    client.post("/v1/organizations", json!({ "name": "Gamsbote" })).expect(201);
    let line = json!({ "name": "Rope", "quantity": 1, "unit_price": money(9999) });
    let order = json!({
        "number": "1001", "currency": "EUR", "line_items": [line], "customer": { "id": ada },
        "financial_status": "paid",
    });
    client.post("/v1/orders", order).expect(201);
    let consent = json!({ "channel_type": "email", "purpose": "marketing", "state": "granted" });
    let consent = json!({ "items": [consent] });
    client.put(&format!("/v1/customers/{ada}/consents"), consent).expect(200);
    let seen = json!({ "type": "product.viewed", "customer": { "id": ada } });
    client.post("/v1/touchpoints", seen).expect(201);
    let page = client.get("/v1/changes?from=oldest&limit=1000").expect(200);
    let told = page.json["data"].as_array().expect("events");
    let kinds: BTreeSet<&str> = told.iter().filter_map(|event| event["type"].as_str()).collect();
    for kind in
        ["customer.created", "customer.lifecycle_stage_changed", "order.paid", "consent.granted"]
    {
        assert!(kinds.contains(kind), "{kinds:?}");
    }
    told.iter().for_each(|event| fits(&catalogue, event));
}

#[test]
fn nobody_else_can_write_as_we_do() {
    let client = workspace();
    let forged = json!({ "type": "order.paid", "source": "ecrm" });
    let refused = client.post("/v1/touchpoints", forged).expect_code(422, "validation_failed");
    assert_eq!(refused.fault(), ("reserved_source", "#/source"));
    let import = json!({ "resource": "touchpoints", "format": "csv", "source": "ecrm" });
    let refused = client.post("/v1/imports", import).expect_code(422, "validation_failed");
    assert_eq!(refused.fault(), ("reserved_source", "#/source"));
}

#[test]
fn words_are_those_of_the_api() {
    let catalogue = catalogue().to_string();
    assert!(
        !catalogue.contains("\"x-extensible-enum\":null"),
        "a field that the API does not have"
    );
    assert!(
        catalogue.contains("\"legitimate_interests\"") && catalogue.contains("\"hard_bounce\"")
    );
}
