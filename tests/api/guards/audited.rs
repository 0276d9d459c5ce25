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
    ("batch_create_customers", JOURNAL),
    ("batch_create_organizations", JOURNAL),
    ("batch_create_touchpoints", JOURNAL),
    ("confirm_consent", "the customer's own word; the ledger of consents holds it"),
    ("create_customer", JOURNAL),
    ("create_organization", JOURNAL),
    ("create_preference_link", "for one customer's own use; nothing is stored"),
    ("create_touchpoint", JOURNAL),
    ("delete_customer", JOURNAL),
    ("delete_organization", JOURNAL),
    ("put_organization_member", JOURNAL),
    ("remove_customer_identity", JOURNAL),
    ("remove_organization_member", JOURNAL),
    ("restore_customer", JOURNAL),
    ("restore_organization", JOURNAL),
    ("scan_merge_candidates", "looks and suggests; what is accepted is audited"),
    ("search_customers", "reads"),
    ("set_customer_consents", "the ledger of consents holds it"),
    ("set_lifecycle_stage", JOURNAL),
    ("set_preferences", "the customer's own word; the ledger of consents holds it"),
    ("unsubscribe_customer", "the customer's own word; the ledger of consents holds it"),
    ("update_customer", JOURNAL),
    ("update_organization", JOURNAL),
    ("upsert_customer", JOURNAL),
    ("upsert_organization", JOURNAL),
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
fn prepared(operation: &Operation, client: &Client, fixtures: &Fixtures) -> Call {
    let call = operation.call(|parameter| fixtures.id(&operation.resource(parameter)));
    let channel = format!("/v1/channels/{}", fixtures.id("channels"));
    match operation.id() {
        "restore_channel" => drop(client.delete(&channel).expect(204)),
        "resume_channel" => {
            client.send("POST", &format!("{channel}/pause"), &[], None).expect(200);
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
        "accept_merge_candidate" => return call.saying(&json!({})),
        "upsert_channel" => return call.saying(&json!({ "type": "email", "name": "Mail" })),
        "create_token" | "revoke_token" => return session(operation, client, call),
        _ => {}
    }
    call
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
        let call = prepared(operation, &client, &seed(&client));
        // A workspace that is made has its events in itself.
        let is_elsewhere = operation.is_operators();
        let before = count(&app, client.workspace_id, is_elsewhere);
        let caller = if is_elsewhere { client.with_token(OPERATOR_TOKEN) } else { client.clone() };
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
    let before = count(&app, client.workspace_id, false);
    let mut faults = Faults::default();
    for operation in operations() {
        if NOT_AUDITED.iter().any(|(id, _)| *id == operation.id()) {
            prepared(&operation, &client, &fixtures).send(&client);
            let after = count(&app, client.workspace_id, false);
            faults.expect(operation.id(), after, before);
        }
    }
    faults.none();
}
