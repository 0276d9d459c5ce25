//! A small API, written as tersely as ours, gets a document that breaks no rule; and every rule
//! notices when it is broken.

use ecrm::openapi::{Routes, finish};
use serde_json::{Value, json};

use crate::{rules, things};

fn document() -> Value {
    finish(things::raw())
}

fn at<'a>(document: &'a Value, pointer: &str) -> &'a Value {
    document.pointer(pointer).unwrap_or_else(|| panic!("nothing at {pointer}"))
}

const THINGS: &str = "/paths/~1v1~1things";
const THING: &str = "/paths/~1v1~1things~1{id}";

#[test]
fn a_finished_document_breaks_no_rule() {
    assert_eq!(rules::violations(&document()), Vec::<String>::new());
}

#[test]
fn the_same_handlers_give_the_same_document() {
    assert_eq!(document().to_string(), document().to_string());
}

#[test]
fn a_finished_document_can_be_written_for_the_linters() {
    let text = serde_json::to_string_pretty(&document()).expect("a document is JSON");
    if let Some(path) = std::env::var_os("WRITE_OPENAPI_TO") {
        std::fs::write(path, text).expect("the path can be written");
    }
}

/// A rule, where to plant a fault against it, and the fault; null removes what is there.
type Fault = (&'static str, &'static str, Value);

fn faults() -> Vec<Fault> {
    vec![
        ("R1", "/paths/~1health/get/operationId", json!("health")),
        ("R1", "/paths/~1health/get/operationId", json!("list_things")),
        ("R2", "/paths/~1health/get/tags", json!(["operations", "things"])),
        ("R2", "/tags/0/description", json!("")),
        ("R3", "/components/schemas/List_Thing", json!({ "type": "string", "description": "x" })),
        ("R3", "/components/schemas/Thing/properties/price", inline_object()),
        ("R3", "/components/schemas/Thing/properties/tags/items", inline_object()),
        ("R3", "/components/schemas/Place", Value::Null),
        ("R4", "/components/schemas/Thing/properties/price", json!({ "anyOf": [] })),
        ("R4", "/components/schemas/Thing/properties/price", json!({ "oneOf": [{}, {}, {}] })),
        ("R5", "/paths/~1health/get/responses/200/content/application~1json/schema/$ref", patch()),
        ("R5", "/components/schemas/ThingList/properties/data", Value::Null),
        ("R6", "/components/schemas/Thing/properties/stage/enum", json!(["draft"])),
        ("R6", "/components/schemas/Thing/properties/stage/x-extensible-enum", json!([1])),
        ("R7", "/components/schemas/Thing/required", json!(["id"])),
        ("R8", "/components/schemas/ThingPatch/required", json!(["name"])),
        ("R8", "/components/schemas/NewThing/properties/name/default", json!("x")),
        ("R9", "/paths/~1v1~1things/get/parameters/0/name", json!("created_at[gte]")),
        ("R9", "/paths/~1v1~1things/get/parameters/2/schema/type", json!(["string", "null"])),
        ("R9", "/paths/~1v1~1things~1{id}/delete/parameters", json!([])),
        ("R10", "/paths/~1health/get/responses/200/content/text~1csv", json!({})),
        (
            "R11",
            "/paths/~1v1~1things~1file.csv/get/responses/200/content/text~1csv/schema/format",
            json!("byte"),
        ),
        ("R12", "/paths/~1v1~1things/get/responses/400", json!({ "description": "mine" })),
        ("R12", "/components/responses/TooManyRequests/headers/Retry-After", Value::Null),
        ("R13", "/paths/~1v1~1things/get/responses/202", json!({ "description": "later" })),
        ("R14", "/components/securitySchemes/basic", json!({ "type": "http" })),
        ("R14", "/paths/~1v1~1things/get/security", json!([])),
        ("R14", "/paths/~1v1~1things/get/x-required-scopes", Value::Null),
        (
            "R15",
            "/components/schemas/Thing/properties/attributes/additionalProperties",
            Value::Null,
        ),
        ("R15", "/components/schemas/Thing/properties/raw/description", Value::Null),
        ("R16", "/components/schemas/Thing/properties/version/format", Value::Null),
        ("R16", "/paths/~1v1~1things/get/parameters/1/schema/format", json!("int64")),
        ("R17", "/components/schemas/Thing/properties/name/description", Value::Null),
        ("R17", "/paths/~1v1~1things/get/summary", json!("Lists things.")),
        ("R17", "/paths/~1v1~1things/get/description", Value::Null),
        (
            "R17",
            "/paths/~1v1~1things/post/responses/201/content/application~1json/example/id",
            json!("x"),
        ),
        (
            "R17",
            "/paths/~1v1~1things/post/requestBody/content/application~1json/example",
            Value::Null,
        ),
        ("R17", "/components/schemas/Price/properties/currency/maxLength", json!(2)),
        ("R18", "/paths/~1v1~1things~1{id}/get/responses/404", Value::Null),
        ("R18", "/paths/~1v1~1things~1{id}/get/responses/200/headers/ETag", Value::Null),
        ("R18", "/paths/~1v1~1things/post/parameters", json!([])),
        ("R19", "/components/schemas/Stage/enum", json!(["on_sale", "on-sale"])),
    ]
}

fn inline_object() -> Value {
    let word = json!({ "type": "string", "description": "x" });
    json!({ "type": "object", "description": "x", "required": ["a"], "properties": { "a": word } })
}

fn patch() -> Value {
    json!("#/components/schemas/ThingPatch")
}

#[test]
fn every_rule_notices_when_it_is_broken() {
    let sound = document();
    for (rule, pointer, fault) in faults() {
        let mut broken = sound.clone();
        plant(&mut broken, pointer, fault.clone());
        assert_ne!(broken, sound, "{rule} at {pointer}: the fault changes nothing");
        let found = rules::violations(&broken);
        let noticed = found.iter().any(|place| place.starts_with(&format!("{rule} ")));
        assert!(noticed, "{rule} at {pointer} = {fault} went unnoticed, only {found:?}");
    }
}

fn plant(document: &mut Value, pointer: &str, fault: Value) {
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer has a slash");
    let parent = document.pointer_mut(parent).unwrap_or_else(|| panic!("nothing at {parent}"));
    let key = key.replace("~1", "/");
    match (parent.as_object_mut(), fault) {
        (Some(map), Value::Null) => assert!(map.remove(&key).is_some(), "nothing at {pointer}"),
        (Some(map), fault) => drop(map.insert(key, fault)),
        (None, _) => panic!("{pointer} is in no object"),
    }
}

#[test]
fn scopes_are_named_beside_the_bearer_scheme() {
    let document = document();
    let create = at(&document, &format!("{THINGS}/post")).clone();
    assert_eq!(create["security"], json!([{ "bearer": [] }]));
    assert_eq!(create["x-required-scopes"], json!(["things:write"]));
    let health = at(&document, "/paths/~1health/get").clone();
    assert_eq!(health["security"], json!([]));
    assert_eq!(health["x-public"], json!(true));
    assert!(health["responses"]["401"].is_null());
}

#[test]
fn an_operation_without_a_word_on_security_needs_a_credential() {
    let mut raw = things::raw();
    plant(&mut raw, "/paths/~1health/get/security", Value::Null);
    let document = finish(raw);
    let health = at(&document, "/paths/~1health/get");
    assert_eq!(health["security"], json!([{ "bearer": [] }]));
    assert_eq!(health["x-required-scopes"], json!([]));
}

#[test]
fn a_shape_used_both_ways_is_strict_in_answers_and_lenient_in_requests() {
    let document = document();
    let schemas = at(&document, "/components/schemas");
    assert_eq!(schemas["Place"]["required"], json!(["note", "shelf"]));
    assert_eq!(schemas["NewPlace"]["required"], json!(["shelf"]));
    assert!(schemas["NewPrice"].is_null(), "the same contract needs no twin");
    let place = &schemas["NewThing"]["properties"]["place"]["oneOf"];
    assert_eq!(place, &json!([{ "type": "null" }, { "$ref": "#/components/schemas/NewPlace" }]));
}

#[test]
fn a_rule_tree_that_is_stored_and_shown_has_two_forms_that_refer_to_themselves() {
    let document = document();
    let target = |name: &str| {
        at(&document, &format!("/components/schemas/{name}/properties/all/items/$ref")).clone()
    };
    assert_eq!(target("Condition"), json!("#/components/schemas/Condition"));
    assert_eq!(target("NewCondition"), json!("#/components/schemas/NewCondition"));
}

#[test]
fn an_enum_is_closed_in_requests_and_open_in_answers() {
    let document = document();
    let thing = at(&document, "/components/schemas/Thing/properties");
    assert_eq!(
        thing["next_stage"],
        json!({
            "description": "What it will become next, where that is decided.",
            "type": ["string", "null"],
            "x-extensible-enum": ["draft", "on_sale"],
        })
    );
    assert_eq!(thing["past_stages"]["items"]["x-extensible-enum"], json!(["draft", "on_sale"]));
    let asked = at(&document, "/components/schemas/NewThing/properties/stage/oneOf/1/$ref");
    assert_eq!(asked, "#/components/schemas/Stage");
}

#[test]
fn a_schema_registered_by_hand_stays_and_is_an_answer() {
    let mut raw = things::raw();
    let note = json!({ "type": ["string", "null"], "description": "A word." });
    let event = json!({ "type": "object", "description": "x", "properties": { "note": note } });
    plant(&mut raw, "/components/schemas/ThingSold", event);
    let document = finish(raw);
    assert_eq!(at(&document, "/components/schemas/ThingSold/required"), &json!(["note"]));
}

#[test]
fn a_patch_is_a_merge_patch_that_demands_nothing() {
    let document = document();
    let content = at(&document, &format!("{THING}/patch/requestBody/content"));
    let media: Vec<_> = content.as_object().expect("an object").keys().collect();
    assert_eq!(media, ["application/merge-patch+json"]);
    assert_eq!(at(&document, "/components/schemas/ThingPatch")["required"], Value::Null);
    // Declared as never null: what is always there cannot be cleared.
    let tags = at(&document, "/components/schemas/ThingPatch/properties/tags");
    assert_eq!(tags["type"], "array");
}

#[test]
fn what_a_property_is_when_it_is_left_out_is_said_in_words() {
    let mut raw = things::raw();
    let told = |kind: &str, default: Value, said: &str| json!({ "type": kind, "default": default, "description": said });
    let properties = "/components/schemas/NewThing/properties";
    for (name, property) in [
        ("pace", told("string", json!("slow"), "How fast.")),
        ("size", told("integer", json!(4), "How large; 4 unless said otherwise.")),
        ("words", told("array", json!([]), "Words.")),
        ("note", told("string", Value::Null, "A note.")),
    ] {
        plant(&mut raw, &format!("{properties}/{name}"), property);
    }
    let document = finish(raw);
    for (name, said) in [
        ("pace", "How fast. It is `slow` unless said otherwise."),
        ("size", "How large; 4 unless said otherwise."),
        ("words", "Words."),
        ("note", "A note."),
    ] {
        let property = at(&document, &format!("{properties}/{name}"));
        assert_eq!((property.get("default"), &property["description"]), (None, &json!(said)));
    }
}

#[test]
fn a_public_operation_may_fail_in_the_shape_of_another_standard() {
    let document = document();
    let token = at(&document, "/paths/~1v1~1auth~1token/post/responses");
    let own = &token["400"]["content"]["application/json"]["schema"]["$ref"];
    assert_eq!(own, "#/components/schemas/OAuthError");
    assert_eq!(token["429"]["$ref"], "#/components/responses/TooManyRequests");
}

#[test]
fn a_literal_step_wins_over_a_parameter() {
    let routes = Routes::of(&document());
    let methods = |path: &str| routes.methods(path);
    assert_eq!(methods("/v1/things"), Some("GET, HEAD, POST, OPTIONS"));
    assert_eq!(methods("/v1/things/0192"), Some("GET, HEAD, PATCH, DELETE, OPTIONS"));
    assert_eq!(methods("/v1/things/file.csv"), Some("GET, HEAD, OPTIONS"));
    assert_eq!(methods("/v1/things/external/shop/1"), Some("PUT, OPTIONS"));
}

#[test]
fn a_path_nobody_serves_has_no_methods() {
    let routes = Routes::of(&document());
    for path in ["/", "/v1", "/v1/things/", "/v1/things/1/2", "/v2/things", "/v1/things/external"] {
        let expected =
            (path == "/v1/things/external").then_some("GET, HEAD, PATCH, DELETE, OPTIONS");
        assert_eq!(routes.methods(path), expected, "{path}");
    }
}

#[test]
fn head_understands_the_query_parameters_of_get() {
    let routes = Routes::of(&document());
    let get = routes.query_parameters("GET", "/v1/things").expect("an operation");
    assert!(get.contains_key("stage") && get.contains_key("limit") && get.len() == 4, "{get:?}");
    assert_eq!(routes.query_parameters("HEAD", "/v1/things"), Some(get));
    let post = routes.query_parameters("POST", "/v1/things").expect("an operation");
    assert!(post.contains_key("dry_run") && post.len() == 1, "{post:?}");
    assert_eq!(routes.query_parameters("PUT", "/v1/things"), None);
}
