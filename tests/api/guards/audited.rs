//! Whatever is administered is audited: every operation that writes leaves an event, or stands here
//! as everyday work.

use std::collections::BTreeSet;

use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Uuid as SqlUuid};
use serde_json::{Value, json};
use uuid::Uuid;

use super::calls::{Call, Faults, Operation, operations};
use super::fixtures::{Fixtures, seed};
use crate::harness::{App, Client, OPERATOR_TOKEN};
use crate::sessions::{PASSWORD, address, sign_in};

const JOURNAL: &str = "everyday work with customers; the journal tells it";

/// Operations that leave no audit event, and why.
const NOT_AUDITED: &[(&str, &str)] = &[
    ("add_customer_identity", JOURNAL),
    ("alias_customer", JOURNAL),
    ("alias_customer_in_short", JOURNAL),
    ("batch_create_customers", JOURNAL),
    ("batch_create_organizations", JOURNAL),
    ("batch_create_products", JOURNAL),
    ("batch_create_touchpoints", JOURNAL),
    ("batch_track", JOURNAL),
    ("batch_track_in_short", JOURNAL),
    ("batch_upsert_orders", JOURNAL),
    ("cancel_order", JOURNAL),
    ("confirm_consent", "the customer's own word; the ledger of consents holds it"),
    ("convert_cart", JOURNAL),
    ("create_cart", JOURNAL),
    ("create_customer", JOURNAL),
    ("create_fulfillment", JOURNAL),
    ("create_order", JOURNAL),
    ("create_organization", JOURNAL),
    ("create_preference_link", "for one customer's own use; nothing is stored"),
    ("create_product", JOURNAL),
    ("create_refund", JOURNAL),
    ("create_touchpoint", JOURNAL),
    ("delete_customer", JOURNAL),
    ("delete_order", JOURNAL),
    ("delete_organization", JOURNAL),
    ("delete_product", JOURNAL),
    ("import_connector_records", JOURNAL),
    ("group_customer", JOURNAL),
    ("group_customer_in_short", JOURNAL),
    ("identify_customer", JOURNAL),
    ("identify_customer_in_short", JOURNAL),
    ("put_organization_member", JOURNAL),
    ("query_analytics", "a question"),
    ("receive_connector_event", JOURNAL),
    ("remove_customer_identity", JOURNAL),
    ("remove_organization_member", JOURNAL),
    ("replay_connector_event", JOURNAL),
    ("replay_connector_events", JOURNAL),
    ("redeliver_webhook", "sends what was sent before; the delivery's attempts tell it"),
    ("replay_webhooks", "sends what was sent before; the deliveries' attempts tell it"),
    ("test_webhook_endpoint", "nothing is stored"),
    ("restore_customer", JOURNAL),
    ("restore_order", JOURNAL),
    ("restore_organization", JOURNAL),
    ("restore_product", JOURNAL),
    ("scan_merge_candidates", "looks and suggests; what is accepted is audited"),
    ("search_customers", "reads"),
    ("set_customer_consents", "the ledger of consents holds it"),
    ("set_lifecycle_stage", JOURNAL),
    ("set_my_consents", "the customer's own word; the ledger of consents holds it"),
    ("set_preferences", "the customer's own word; the ledger of consents holds it"),
    ("track_event", JOURNAL),
    ("track_event_in_short", JOURNAL),
    ("track_page", JOURNAL),
    ("track_page_in_short", JOURNAL),
    ("track_screen", JOURNAL),
    ("track_screen_in_short", JOURNAL),
    ("unsubscribe_customer", "the customer's own word; the ledger of consents holds it"),
    ("update_cart", JOURNAL),
    ("update_customer", JOURNAL),
    ("update_my_profile", JOURNAL),
    ("update_order", JOURNAL),
    ("update_organization", JOURNAL),
    ("update_product", JOURNAL),
    ("upsert_cart", JOURNAL),
    ("upsert_customer", JOURNAL),
    ("upsert_order", JOURNAL),
    ("upsert_organization", JOURNAL),
    ("upsert_product", JOURNAL),
];

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// All audit events but those of one workspace, or only those.
fn count(app: &App, workspace: Uuid, is_elsewhere: bool) -> i64 {
    let sign = if is_elsewhere { "<>" } else { "=" };
    let sql = format!("select count(*) from audit_events where workspace_id {sign} $1");
    let query = diesel::sql_query(sql).bind::<SqlUuid, _>(workspace);
    query.get_result::<Count>(&mut app.owner()).expect("a count").count
}

/// Brings about what the operation needs; the request that does something, where the examples of
/// the document do nothing here.
fn prepared(app: &App, operation: &Operation, client: &Client, fixtures: &Fixtures) -> Call {
    let call = operation.call(|parameter| fixtures.id(&operation.resource(parameter)));
    let channel = format!("/v1/channels/{}", fixtures.id("channels"));
    match operation.id() {
        "restore_channel" => drop(client.delete(&channel).expect(204)),
        "resume_channel" => {
            client.send("POST", &format!("{channel}/pause"), &[], None).expect(200);
        }
        "enable_webhook_endpoint" => {
            let path = format!("/v1/webhook_endpoints/{}", fixtures.id("webhook_endpoints"));
            client.patch(&path, json!({ "status": "disabled" })).expect(200);
        }
        "merge_customers" => {
            let other = client.post("/v1/customers", json!({ "first_name": "Other" })).expect(201);
            return call.saying(&json!({ "source_id": other.id() }));
        }
        "batch_create_consents" => {
            let consent =
                json!({ "channel_type": "push", "purpose": "marketing", "state": "granted" });
            let item =
                json!({ "customer": { "id": fixtures.id("customers") }, "consent": consent });
            return call.saying(&json!({ "items": [item] }));
        }
        "create_data_request" => {
            let customer = fixtures.id("customers");
            return call.saying(&json!({ "customer_id": customer, "kind": "portability" }));
        }
        "create_export_link" => {
            while ecrm::worker::round(&app.state, Uuid::now_v7()).expect("a round") > 0 {}
        }
        "revert_import" => {
            let path = format!("/v1/imports/{}/start", fixtures.id("imports"));
            client.send("POST", &path, &[], None).expect(200);
            while ecrm::worker::round(&app.state, Uuid::now_v7()).expect("a round") > 0 {}
        }
        "retry_job" => {
            let id = Uuid::now_v7();
            let failed = "insert into jobs (workspace_id, id, queue, kind, payload, state, run_at, attempts,
                                            max_attempts, created_at, finished_at)
                          values ($1, $2, 'merges', 'customers.scan', '{}', 'failed', now(), 10, 10, now(), now())";
            let failed = diesel::sql_query(failed).bind::<SqlUuid, _>(client.workspace_id);
            failed.bind::<SqlUuid, _>(id).execute(&mut app.owner()).expect("a failed job");
            return Call { path: format!("/v1/jobs/{id}/retry"), ..call };
        }
        "accept_merge_candidate" => return call.saying(&json!({})),
        "upsert_channel" => return call.saying(&json!({ "type": "email", "name": "Mail" })),
        "create_token" | "revoke_token" => return session(operation, client, call),
        "complete_data_request" => return about(call, &request(client, fixtures, "rectification")),
        "lift_restriction" => return about(call, &request(client, fixtures, "restriction")),
        "create_download_link" => return about(call, &archive(app, client, fixtures)),
        "create_my_export_link" => drop(archive(app, client, fixtures)),
        "download_archive" => {
            let path =
                format!("/v1/data_requests/{}/download_links", archive(app, client, fixtures));
            let link = client.send("POST", &path, &[], None).expect(201);
            let url = link.json["url"].as_str().expect("a link").to_owned();
            return Call {
                path: url[url.find("/downloads/").expect("a path")..].to_owned(),
                ..call
            };
        }
        _ => {}
    }
    call
}

/// A data request of this kind that is being processed.
fn request(client: &Client, fixtures: &Fixtures, kind: &str) -> String {
    let customer = fixtures.id("customers");
    let body = json!({ "customer_id": customer, "kind": kind, "is_verified": true });
    client.post("/v1/data_requests", body).expect(201).id()
}

/// The request of the fixtures, answered.
fn archive(app: &App, client: &Client, fixtures: &Fixtures) -> String {
    let id = fixtures.id("data_requests");
    client.send("POST", &format!("/v1/data_requests/{id}/process"), &[], None).expect(200);
    while ecrm::worker::round(&app.state, Uuid::now_v7()).expect("a round") > 0 {}
    id
}

/// The same call about another data request.
fn about(call: Call, id: &str) -> Call {
    let action = call.path.rsplit('/').next().expect("an action");
    Call { path: format!("/v1/data_requests/{id}/{action}"), ..call }
}

/// A client that is the customer of the fixtures in person.
fn in_person(client: &Client, fixtures: &Fixtures) -> Client {
    let path = format!("/v1/customers/{}/tokens", fixtures.id("customers"));
    let made = client.post(&path, json!({})).expect(201);
    client.with_token(made.json["token"].as_str().expect("a token"))
}

/// Signs somebody in, or out.
fn session(operation: &Operation, client: &Client, mut call: Call) -> Call {
    let email = address();
    let user = json!({ "email": email, "name": "Mira", "role": "agent", "password": PASSWORD });
    client.post("/v1/users", user).expect(201);
    let pairs = match operation.id() {
        "create_token" => {
            vec![("grant_type", "password"), ("username", &email), ("password", PASSWORD)]
        }
        _ => vec![],
    };
    let token: Value = sign_in(client, &email).expect(200).json["refresh_token"].clone();
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    match token.as_str().filter(|_| pairs.is_empty()) {
        Some(token) => form.append_pair("token", token),
        None => form.extend_pairs(pairs),
    };
    call.body = Some(form.finish());
    call
}

#[test]
fn whatever_is_administered_leaves_an_event() {
    let app = App::alone(&[]);
    let mut faults = Faults::default();
    for operation in operations().iter().filter(|operation| operation.method != "GET") {
        if NOT_AUDITED.iter().any(|(id, _)| *id == operation.id()) {
            continue;
        }
        let client = app.workspace(&["*"]);
        let fixtures = seed(&client);
        let call = prepared(&app, operation, &client, &fixtures);
        let caller = match (operation.is_operators(), operation.is_customers()) {
            (true, _) => client.with_token(OPERATOR_TOKEN),
            (_, true) => in_person(&client, &fixtures),
            _ => client.clone(),
        };
        // A workspace that is made has its events in itself.
        let is_elsewhere = operation.is_operators();
        let before = count(&app, client.workspace_id, is_elsewhere);
        let answer = call.send(&caller);
        let left = count(&app, client.workspace_id, is_elsewhere) - before;
        if !(200..300).contains(&answer.status) || left == 0 {
            let place = operation.place();
            faults.add(format!("{place} ({}): {left} events\n    {}", operation.id(), answer.text));
        }
    }
    faults.none();
}

/// The list above names what there is, and keeps its word.
#[test]
fn everyday_work_leaves_no_event() {
    let ids: BTreeSet<&str> = operations().iter().map(Operation::id).collect();
    for (id, reason) in NOT_AUDITED {
        assert!(ids.contains(id), "there is no `{id}`: {reason}");
    }
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let fixtures = seed(&client);
    let mut faults = Faults::default();
    for operation in operations() {
        if NOT_AUDITED.iter().any(|(id, _)| *id == operation.id()) {
            let me = operation.is_customers().then(|| in_person(&client, &fixtures));
            let before = count(&app, client.workspace_id, false);
            prepared(&app, &operation, &client, &fixtures).send(me.as_ref().unwrap_or(&client));
            let after = count(&app, client.workspace_id, false);
            faults.expect(operation.id(), after, before);
        }
    }
    faults.none();
}
