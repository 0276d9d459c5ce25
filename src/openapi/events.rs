//! The catalogue of events as a document: what `openapi/events.json` and `/events.json` show.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::journal::catalogue::{EventType, OWN, REPORTED, ReportedType, Told};

const DESCRIPTION: &str = "Everything that the log, the change feed (`/v1/changes`) and webhooks \
    tell of. An event is a touchpoint; `events` names the types, each with a JSON Schema and an example. \
    A webhook carries it as `data` of a `WebhookMessage`, the change feed as it is. What is \
    written by `ecrm` has `source: ecrm`, which nobody else can claim, and the `properties` of its schema; \
    of erased people these are gone. What is written by `callers` is reported by shops, apps and \
    trackers, with `properties` of their own. Callers may report other types, and new ones may come: \
    skip what you do not know.";

/// The catalogue beside an API's document. `is_reserved` tells the types that nobody but us can write.
pub fn catalogue(document: &Value, is_reserved: fn(&str) -> bool) -> Value {
    let mut events: Map<String, Value> = Map::new();
    let mut definitions = shared(document);
    definitions.insert("WebhookMessage".into(), webhook_message());
    for event in OWN {
        let name = name(event.kind);
        definitions
            .insert(name.clone(), own_schema(event, &name, document, is_reserved(event.kind)));
        events.insert(event.kind.into(), entry(event.about, "ecrm", &name, own_example(event)));
    }
    for event in REPORTED {
        let example = reported_example(event);
        match events.get_mut(event.kind) {
            // Callers may report what we write about our own records as well.
            Some(known) => {
                append(&mut known["written_by"], "callers".into());
                append(&mut known["examples"], example);
            }
            None => {
                let name = name(event.kind);
                definitions.insert(name.clone(), schema_of(event.kind, &name));
                events.insert(event.kind.into(), entry(event.about, "callers", &name, example));
            }
        }
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Events of ecrm",
        "version": document["info"]["version"],
        "description": DESCRIPTION,
        "events": events,
        "webhook": {
            "schema": { "$ref": "#/$defs/WebhookMessage" },
            "example": message_example(),
        },
        "$defs": definitions,
    })
}

fn append(list: &mut Value, item: Value) {
    if let Some(list) = list.as_array_mut() {
        list.push(item);
    }
}

fn entry(about: &str, by: &str, name: &str, example: Value) -> Value {
    json!({
        "description": about,
        "written_by": [by],
        "schema": { "$ref": format!("#/$defs/{name}") },
        "examples": [example],
    })
}

/// `OrderPlacedEvent` of `order.placed`.
fn name(kind: &str) -> String {
    let begun = |word: &str| format!("{}{}", word[..1].to_uppercase(), &word[1..]);
    let words: String = kind.split(['.', '_']).map(begun).collect();
    format!("{words}Event")
}

fn schema_of(kind: &str, name: &str) -> Value {
    json!({
        "title": name,
        "allOf": [{ "$ref": "#/$defs/Touchpoint" }],
        "properties": { "type": { "const": kind } },
    })
}

/// What we write is of a known form. Of types that callers may report as well, the source tells.
fn own_schema(event: &EventType, name: &str, document: &Value, is_reserved: bool) -> Value {
    let mut schema = schema_of(event.kind, name);
    let ours = json!({
        // Of erased people it is null.
        "subject": { "properties": { "type": { "const": event.subject } } },
        "properties": event.properties_schema(document),
    });
    if is_reserved {
        let own = schema["properties"].as_object_mut().expect("BUG: an object");
        own.extend(ours.as_object().expect("BUG: an object").clone());
        own.insert("source".into(), json!({ "const": "ecrm" }));
    } else {
        schema["if"] = json!({ "properties": { "source": { "const": "ecrm" } } });
        schema["then"] = json!({ "properties": ours });
    }
    schema
}

const WORKSPACE: &str = "019a9c3e-0000-7000-8000-000000000001";
const CUSTOMER: &str = "019a9c3e-4b7a-7c1e-9d0f-000000000011";
const ORGANIZATION: &str = "019a9c3e-4b7a-7c1e-9d0f-000000000022";
const CHANNEL: &str = "019a9c3e-4b7a-7c1e-9d0f-000000000033";
const SUBJECT: &str = "019a9c3e-4b7a-7c1e-9d0f-000000000044";
const TOUCHPOINT: &str = "019ceb83-5a00-7000-8000-000000000055";
const AT: &str = "2026-03-14T09:00:00.000Z";

fn touchpoint(kind: &str, source: &str, properties: Value) -> Value {
    json!({
        "id": TOUCHPOINT, "type": kind, "name": null, "source": source, "message_id": null,
        "direction": "internal", "occurred_at": AT, "received_at": AT,
        "customer_id": null, "origin_customer_id": null, "anonymous_id": null,
        "organization_id": null, "channel_id": null, "conversation_id": null, "campaign_id": null,
        "subject": null, "actor": { "type": "system", "id": null }, "value": null,
        "content": null, "context": null, "properties": properties,
    })
}

fn own_example(event: &EventType) -> Value {
    let mut example = touchpoint(event.kind, "ecrm", event.properties_example());
    let mut set = |field: &str, value: Value| example[field] = value;
    if matches!(event.told, Told::Customer | Told::CustomerIfKnown | Told::Both | Told::Sale) {
        set("customer_id", CUSTOMER.into());
        set("origin_customer_id", CUSTOMER.into());
    }
    if matches!(event.told, Told::Organization | Told::Both) {
        set("organization_id", ORGANIZATION.into());
    }
    if matches!(event.told, Told::Channel | Told::Sale) {
        set("channel_id", CHANNEL.into());
    }
    if event.told == Told::Sale {
        set("value", json!({ "amount": 19_998, "currency": "EUR" }));
    }
    let id = match event.subject {
        "customer" => CUSTOMER,
        "organization" => ORGANIZATION,
        "channel" => CHANNEL,
        "workspace" => WORKSPACE,
        _ => SUBJECT,
    };
    set("subject", json!({ "type": event.subject, "id": id }));
    example
}

fn reported_example(event: &ReportedType) -> Value {
    let properties = serde_json::from_str(event.example).expect("BUG: examples are JSON");
    let mut example = touchpoint(event.kind, "shop", properties);
    example["direction"] = "inbound".into();
    example["message_id"] = "evt-20260314-000017".into();
    example["customer_id"] = CUSTOMER.into();
    example["origin_customer_id"] = CUSTOMER.into();
    example["channel_id"] = CHANNEL.into();
    example["actor"] = json!({ "type": "customer", "id": CUSTOMER });
    example
}

/// What `POST` brings to a webhook endpoint.
fn webhook_message() -> Value {
    json!({
        "title": "WebhookMessage",
        "description": "What is posted to a webhook endpoint (Standard Webhooks 1.0.0). The `webhook-id` \
            header is the id of the event: a repeat has the same.",
        "type": "object",
        "properties": {
            "type": { "type": "string", "description": "The type of the event." },
            "timestamp": { "type": "string", "format": "date-time", "description": "When it happened." },
            "workspace_id": { "type": "string", "format": "uuid", "description": "Where it happened." },
            "livemode": { "type": "boolean", "description": "False where it is about test data." },
            "omitted": {
                "type": "array",
                "items": { "type": "string", "x-extensible-enum": ["content", "context", "properties"] },
                "description": "Fields of `data` that were too large and are empty; \
                    `GET /v1/touchpoints/{id}` shows them.",
            },
            "data": { "$ref": "#/$defs/Touchpoint", "description": "The event." },
        },
        "required": ["type", "timestamp", "workspace_id", "livemode", "omitted", "data"],
    })
}

fn message_example() -> Value {
    let placed = EventType::of("order.placed").expect("BUG: it is listed");
    json!({
        "type": placed.kind, "timestamp": AT, "workspace_id": WORKSPACE, "livemode": true,
        "omitted": [], "data": own_example(placed),
    })
}

/// The schema of touchpoints and what it refers to, from the API's own document.
fn shared(document: &Value) -> Map<String, Value> {
    let (mut found, mut wanted) = (Map::new(), BTreeSet::from(["Touchpoint".to_owned()]));
    while let Some(name) = wanted.pop_first() {
        let text = document["components"]["schemas"][&name].to_string();
        let mut parts = text.split("#/components/schemas/");
        parts.next();
        wanted.extend(parts.filter_map(|part| part.split('"').next()).map(str::to_owned));
        let text = text.replace("#/components/schemas/", "#/$defs/");
        found.insert(name, serde_json::from_str(&text).expect("BUG: renaming keeps JSON"));
        wanted.retain(|name| !found.contains_key(name));
    }
    found
}
