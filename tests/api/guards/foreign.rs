//! What one workspace made for itself is of no use to another: lists, outside ids, cursors, keys.

use serde_json::{Value, json};
use uuid::Uuid;

use super::calls::{Call, Faults, Operation, escape, secured};
use super::fixtures::{Fixtures, quiet_keys, seed};
use crate::audit::sealing::seal_all;
use crate::harness::{Answer, App, Client};

#[test]
fn no_list_shows_anything_of_another_workspace() {
    let app = App::alone(&[]);
    let (caller, stranger) = (app.workspace(&["*"]), app.workspace(&["*"]));
    seed(&caller);
    let foreign = seed(&stranger);
    let mut faults = Faults::default();
    for operation in secured() {
        let is_list = operation.method == "GET" || operation.id().starts_with("search_");
        if !is_list || !operation.ids().is_empty() || operation.is_operators() {
            continue;
        }
        let answer = operation.call(|_| String::new()).send(&caller);
        for (resource, id) in foreign.ids().filter(|(_, id)| answer.text.contains(id)) {
            faults.add(format!("{} shows {resource} {id}", operation.place()));
        }
        if answer.status >= 500 {
            faults.add(format!("{}: {}", operation.place(), answer.text));
        }
    }
    faults.none();
}

#[test]
fn a_foreign_external_id_is_free_to_use_and_leaves_its_owner_alone() {
    let app = App::alone(&[]);
    let (caller, stranger) = (app.workspace(&["*"]), app.workspace(&["*"]));
    let upserts = secured().into_iter().filter(|operation| operation.path.contains("/external/"));
    for operation in upserts {
        let call = operation.call(|_| String::new());
        let theirs = call.send(&stranger);
        // What an upsert needs besides its key is the resource's own test.
        if theirs.status != 201 {
            continue;
        }
        let mine = call.send(&caller).expect(201);
        assert_ne!(mine.id(), theirs.id(), "{}", operation.place());
        let collection = operation.path.split("/external").next().expect("a collection");
        let still = stranger.get(&format!("{collection}/{}", theirs.id())).expect(200);
        assert_eq!(still.json["version"], theirs.json["version"], "{}", operation.place());
    }
}

/// Two of everything that a list can show, so that its first page is not its last.
fn seed_pages(app: &App, client: &Client) -> Fixtures {
    let one = seed(client);
    seal_all(app, client, true);
    let two = seed(client);
    seal_all(app, client, true);
    let id = |fixtures: &Fixtures, resource| fixtures.id(resource);
    for (organization, customer) in [(&one, &two), (&two, &one)] {
        let organization = id(organization, "organizations");
        let path =
            format!("/v1/organizations/{organization}/members/{}", id(customer, "customers"));
        client.put(&path, json!({ "role": "guide" })).expect(200);
    }
    for what in ["refunds", "fulfillments"] {
        let path = format!("/v1/orders/{}/{what}", id(&one, "orders"));
        let body = json!({ "amount": { "amount": 1, "currency": "EUR" } });
        let body = if what == "refunds" { body } else { json!({}) };
        client.post(&path, body).expect(201);
    }
    for (name, stage) in [("one", "customer"), ("two", "evangelist")] {
        let touchpoint = json!({ "type": "page.viewed", "name": name,
            "customer": { "id": id(&one, "customers") },
            "organization": { "id": id(&one, "organizations") } });
        client.post("/v1/touchpoints", touchpoint).expect(201);
        let path = format!("/v1/customers/{}", id(&one, "customers"));
        client.patch(&path, json!({ "lifecycle_stage": stage })).expect(200);
    }
    one
}

/// A request for a page of one row, after `cursor`; `None` for what has no pages.
fn page(operation: &Operation, fixtures: &Fixtures, cursor: Option<&str>) -> Option<Call> {
    let call = operation.call(|id| fixtures.id(&operation.resource(id)));
    let in_body =
        operation.body().is_some_and(|body| body.schema["properties"]["cursor"].is_object());
    if in_body {
        return Some(call.saying(&json!({ "limit": 1, "cursor": cursor })));
    }
    let parameters = operation.parameters("query");
    let knows = |name| parameters.iter().any(|parameter| parameter["name"] == name);
    let has_pages = knows("cursor") && knows("limit");
    let after = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
    has_pages.then(|| call.asking(&format!("limit=1{after}")))
}

#[test]
fn a_cursor_of_another_workspace_opens_no_list() {
    let app = App::alone(&[]);
    let (caller, stranger) = (app.workspace(&["*"]), app.workspace(&["*"]));
    let (own, foreign) = (seed_pages(&app, &caller), seed_pages(&app, &stranger));
    let (mut lists, mut faults) = (0, Faults::default());
    for operation in secured() {
        let Some(first) = page(&operation, &foreign, None) else { continue };
        let first = first.send(&stranger).expect(200);
        let Some(cursor) = first.json["next_cursor"].as_str() else {
            faults.add(format!("{} has one page: {}", operation.place(), first.text));
            continue;
        };
        let after = |fixtures| page(&operation, fixtures, Some(cursor)).expect("pages");
        after(&foreign).send(&stranger).expect(200);
        let answer = after(&own).send(&caller);
        let place = format!("{}: {}", operation.place(), answer.text);
        faults.expect(&place, (answer.status, answer.code()), (400, "invalid_cursor"));
        lists += 1;
    }
    faults.none();
    assert!(lists >= 14, "only {lists} lists were asked");
}

/// Neither for the very same request nor for the same one of its own.
#[test]
fn the_stored_answer_of_a_foreign_key_is_replayed_to_nobody_else() {
    let app = App::alone(&[]);
    let (caller, stranger) = (app.workspace(&["*"]), app.workspace(&["*"]));
    let (own, foreign) = (seed(&caller), seed(&stranger));
    let (mut stored, mut faults) = (0, Faults::default());
    for operation in secured() {
        let mut headers = operation.parameters("header").into_iter();
        if !headers.any(|header| header["name"] == "Idempotency-Key") {
            continue;
        }
        if operation.id() == "test_webhook_endpoint" {
            // It sends again, and says so: there is no transaction that could keep its answer.
            continue;
        }
        let key = Uuid::new_v4().to_string();
        let ask = |fixtures: &Fixtures, client: &Client| {
            let call = operation.call(|id| fixtures.id(&operation.resource(id)));
            call.send_with(client, &[("Idempotency-Key", &key)])
        };
        let first = ask(&foreign, &stranger);
        let again = ask(&foreign, &stranger);
        let place = format!("{}: {}", operation.place(), again.text);
        faults.expect(&place, (is_replayed(&again), again.status), (true, first.status));
        let has_ids = !operation.ids().is_empty();
        for fixtures in [Some(&own), has_ids.then_some(&foreign)].into_iter().flatten() {
            let answer = ask(fixtures, &caller);
            faults.expect(&operation.place(), is_replayed(&answer), false);
        }
        stored += 1;
    }
    faults.none();
    assert!(stored >= 27, "only {stored} answers were stored");
}

fn is_replayed(answer: &Answer) -> bool {
    answer.headers.contains_key("idempotent-replayed")
}

/// Every mark a customer can be recognised by, of somebody with this name.
fn marks(name: &str, phone: &str) -> Vec<Value> {
    let plain = |kind: &str, value: &str| json!({ "type": kind, "value": value });
    let of = |kind: &str| json!({ "type": kind, "source": "shop", "value": name });
    vec![
        plain("email", &format!("{name}@shop.example.com")),
        plain("phone", phone),
        plain("user_id", name),
        plain("anonymous_id", name),
        plain("device_id", name),
        plain("cookie", name),
        of("external"),
        of("social"),
    ]
}

#[test]
fn the_marks_of_a_foreign_customer_lead_to_nobody() {
    let app = App::alone(&[]);
    let (caller, stranger) = (app.workspace(&["*"]), app.workspace(&["*"]));
    let (known, unknown) = (marks("petra", "+4930901820"), marks("nobody", "+4930901821"));
    stranger.post("/v1/customers", json!({ "identities": known })).expect(201);
    quiet_keys(&app);
    let (before, mut faults) = (app.checksums(), Faults::default());
    for (known, unknown) in known.iter().zip(&unknown) {
        let look_up = |client: &Client, mark: &Value| {
            let text = |name: &str| escape(mark[name].as_str().unwrap_or_default());
            let source = mark.get("source").map(|_| format!("&source={}", text("source")));
            let source = source.unwrap_or_default();
            client.get(&format!(
                "/v1/customers/lookup?type={}&value={}{source}",
                text("type"),
                text("value")
            ))
        };
        look_up(&stranger, known).expect(200);
        let refer = |mark: &Value| {
            let customer = json!({ "identities": [mark] });
            caller.post(
                "/v1/touchpoints?on_unknown_customer=reject",
                json!({ "type": "page.viewed", "customer": customer }),
            )
        };
        for (theirs, absent) in
            [(look_up(&caller, known), look_up(&caller, unknown)), (refer(known), refer(unknown))]
        {
            let place = format!("{known}: {}", theirs.text);
            faults.expect(&place, theirs.status >= 400, true);
            let expected = (absent.status, absent.code(), &absent.json["errors"]);
            faults.expect(&place, (theirs.status, theirs.code(), &theirs.json["errors"]), expected);
        }
    }
    faults.none();
    assert_eq!(app.checksums(), before);
}
