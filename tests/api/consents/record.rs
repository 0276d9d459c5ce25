//! What the company records: which moves there are, and what is refused.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{about, ada, email, path, put, says, state, states, told, with};
use crate::customers::{at, create, rows, texts, unchanged};
use crate::harness::{App, Client, workspace};

#[test]
fn a_consent_keeps_what_was_said_and_how_it_can_be_shown() {
    let client = workspace();
    let ada = ada(&client);
    let evidence = json!({
        "ip": "203.0.113.7", "user_agent": "Mozilla/5.0", "form_id": "footer",
        "text": "Yes, send me the newsletter.", "text_version": "2026-03",
        "document_url": "https://shop.example.com/forms/1.pdf",
    });
    let said = with(
        says("email", "marketing", "granted"),
        json!({ "topic": "climbing", "source": "shop", "evidence": evidence,
                "expires_at": "2199-01-01T00:00:00Z" }),
    );
    let answer = put(&client, &ada, std::slice::from_ref(&said)).expect(200);
    let consent = &answer.json["consents"][0];
    for (name, value) in said.as_object().expect("fields") {
        assert_eq!(consent[name], *value, "{name}");
    }
    assert_eq!(consent["lawful_basis"], "consent");
    assert_eq!(consent["method"], "api");
    assert_eq!(consent["customer_id"], ada.as_str());
    assert_eq!(consent["origin_customer_id"], ada.as_str());
    assert_eq!(consent["granted_at"], consent["decided_at"]);
    assert_eq!(consent["withdrawn_at"], Value::Null);
    let all = client.get(&path(&ada)).expect(200);
    assert_eq!(rows(&all), &vec![consent.clone()]);
    assert_eq!(answer.json["confirmations"], json!([]));
}

#[test]
fn each_channel_type_purpose_and_topic_stands_alone() {
    let client = workspace();
    let ada = ada(&client);
    let items = [
        says("email", "marketing", "granted"),
        about("climbing", "denied"),
        says("sms", "marketing", "withdrawn"),
        says("email", "profiling", "granted"),
    ];
    put(&client, &ada, &items).expect(200);
    put(&client, &ada, &[says("sms", "service", "granted")]).expect(200);
    let text = |text: &str| text.to_owned();
    let row = |channel: &str, purpose: &str, topic: Option<&str>, state: &str| {
        (text(channel), text(purpose), topic.map(text), text(state))
    };
    let mut all = states(&client, &ada);
    all.sort();
    let expected = [
        row("email", "marketing", None, "granted"),
        row("email", "marketing", Some("climbing"), "denied"),
        row("email", "profiling", None, "granted"),
        row("sms", "marketing", None, "withdrawn"),
        row("sms", "service", None, "granted"),
    ];
    assert_eq!(all, expected);
}

#[test]
fn every_change_is_one_entry_in_the_ledger_and_one_in_the_timeline() {
    let client = workspace();
    let ada = ada(&client);
    for state in ["denied", "withdrawn"] {
        email(&client, &ada, state);
    }
    put(&client, &ada, &[says("sms", "marketing", "granted")]).expect(200);
    assert_eq!(told(&client, &ada), ["consent.denied", "consent.withdrawn", "consent.granted"]);
    let history = client.get(&format!("{}/history?include_total=true", path(&ada))).expect(200);
    assert_eq!(texts(&history, "state"), ["granted", "withdrawn", "denied"]);
    assert_eq!(history.json["total"], 3);
    let timeline = format!("{}/timeline?type=consent.withdrawn", at(&ada));
    let entry = client.get(&timeline).expect(200).json["data"][0].clone();
    assert_eq!(entry["properties"]["from"], "denied");
    assert_eq!(entry["properties"]["to"], "withdrawn");
    assert_eq!(entry["subject"]["type"], "consent");
    assert_eq!(rows(&history)[1]["actor"]["type"], "integration");
}

#[test]
fn a_long_history_has_pages() {
    let client = workspace();
    let ada = ada(&client);
    let topics: Vec<Value> =
        (0..7).map(|topic| about(&format!("topic {topic}"), "granted")).collect();
    put(&client, &ada, &topics).expect(200);
    let mut seen = Vec::new();
    let mut query = "sort=recorded_at&limit=3".to_owned();
    loop {
        let page = client.get(&format!("{}/history?{query}", path(&ada))).expect(200);
        seen.extend(texts(&page, "topic"));
        let Some(cursor) = page.json["next_cursor"].as_str() else { break };
        query = format!("sort=recorded_at&limit=3&cursor={cursor}");
    }
    let expected: Vec<String> = (0..7).map(|topic| format!("topic {topic}")).collect();
    assert_eq!(seen, expected);
}

#[test]
fn saying_the_same_again_changes_nothing() {
    let client = workspace();
    let ada = ada(&client);
    let said = with(says("email", "marketing", "granted"), json!({ "source": "shop" }));
    for items in [vec![said.clone()], vec![about("news", "pending")], vec![about("x", "denied")]] {
        let first = put(&client, &ada, &items).expect(200);
        let again = unchanged(&client, || put(&client, &ada, &items)).expect(200);
        assert_eq!(again.json, first.json);
    }
    let renewed = with(said, json!({ "evidence": { "form_id": "checkout" } }));
    put(&client, &ada, &[renewed]).expect(200);
    let kinds = told(&client, &ada);
    assert_eq!(kinds.last().map(String::as_str), Some("consent.recorded"));
}

#[test]
fn a_request_that_is_repeated_with_its_key_has_one_effect() {
    let client = workspace();
    let ada = ada(&client);
    let body = json!({ "items": [about("news", "pending")] }).to_string();
    let key = [("Idempotency-Key", "consent-1")];
    let first = client.send("PUT", &path(&ada), &key, Some(&body)).expect(200);
    let again = client.send("PUT", &path(&ada), &key, Some(&body)).expect(200);
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(again.text, first.text);
    assert_eq!(told(&client, &ada), ["consent.requested"]);
}

#[test]
fn a_dry_run_shows_what_would_be_said_and_leaves_nothing() {
    let client = workspace();
    let ada = ada(&client);
    let body = json!({ "items": [says("email", "marketing", "granted")] });
    let dry = format!("{}?dry_run=true", path(&ada));
    let shown = unchanged(&client, || client.put(&dry, body)).expect(200);
    assert_eq!(shown.json["consents"][0]["state"], "granted");
}

/// What a state machine says: the moves out of each state, for a program.
#[test]
fn a_program_makes_no_other_moves_than_the_state_machine_knows() {
    let client = workspace();
    let settable = ["unknown", "pending", "granted", "denied", "withdrawn"];
    let known: [(&[&str], &[&str]); 5] = [
        (&[], &["pending", "granted", "denied", "withdrawn"]),
        (&["pending"], &["pending", "granted", "denied", "withdrawn"]),
        (&["granted"], &["granted", "withdrawn"]),
        (&["denied"], &["denied", "withdrawn"]),
        (&["granted", "withdrawn"], &["withdrawn"]),
    ];
    for (way, reachable) in known {
        for to in settable.iter().filter(|to| **to != "unknown" || !way.is_empty()) {
            let ada = create(&client, json!({})).id();
            way.iter().for_each(|state| drop(email(&client, &ada, state)));
            let basis = if *to == "unknown" { "contract" } else { "consent" };
            let said = with(says("email", "marketing", to), json!({ "lawful_basis": basis }));
            if reachable.contains(to) {
                put(&client, &ada, &[said]).expect(200);
                assert_eq!(state(&client, &ada, None), *to, "after {way:?}");
                continue;
            }
            let refused = unchanged(&client, || put(&client, &ada, &[said])).expect(409);
            assert_eq!(refused.code(), "invalid_transition", "{way:?} to {to}");
            assert_eq!(refused.fault(), ("invalid_transition", "#/items/0/state"));
            let allowed = refused.json["allowed"].as_array().expect("moves");
            let expected = reachable.iter().filter(|state| {
                // What is said already needs no move.
                !matches!(
                    (way.last(), **state),
                    (Some(&"denied"), "denied") | (Some(&"withdrawn"), "withdrawn")
                )
            });
            let expected: Vec<Value> = expected.map(|state| json!(state)).collect();
            assert!(expected.iter().all(|state| allowed.contains(state)), "{}", refused.text);
            assert_eq!(allowed.len(), expected.len(), "{}", refused.text);
        }
    }
}

/// A member of staff, signed in.
fn staff(client: &Client) -> Client {
    let email = format!("{}@work.example.com", Uuid::new_v4().simple());
    let password = "granite skis at dawn";
    let user = json!({ "email": email, "name": "Mira", "role": "agent", "password": password });
    client.post("/v1/users", user).expect(201);
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let body = format!(
        "grant_type=password&username={}&password=granite+skis+at+dawn&workspace={}",
        email.replace('@', "%40"),
        client.slug
    );
    let token = client.send("POST", "/v1/auth/token", &form, Some(&body)).expect(200);
    client.with_token(token.json["access_token"].as_str().expect("a token"))
}

#[test]
fn a_refusal_ends_by_a_user_with_evidence_and_by_no_program() {
    let client = workspace();
    let mira = staff(&client);
    let shown = |state: &str, evidence: Value| {
        with(says("email", "marketing", state), json!({ "evidence": evidence }))
    };
    for refusal in ["withdrawn", "denied"] {
        let ada = create(&client, json!({})).id();
        email(&client, &ada, refusal);
        let proof = json!({ "document_url": "https://shop.example.com/forms/1.pdf" });
        for (caller, evidence) in [
            (&client, proof.clone()),
            (&mira, json!({})),
            (&mira, json!({ "ip": "203.0.113.7", "user_agent": "x" })),
        ] {
            for to in ["granted", "pending"] {
                let said = shown(to, evidence.clone());
                let refused = unchanged(&client, || put(caller, &ada, &[said])).expect(409);
                assert_eq!(refused.code(), "invalid_transition");
            }
        }
        put(&mira, &ada, &[shown("granted", proof)]).expect(200);
        assert_eq!(state(&client, &ada, None), "granted");
        let history = client.get(&format!("{}/history", path(&ada))).expect(200);
        assert_eq!(rows(&history)[0]["actor"]["type"], "user");
    }
}

/// Asking about a topic is no way around what was said about everything.
#[test]
fn a_refusal_of_everything_is_one_of_every_topic_also_of_new_ones() {
    let client = workspace();
    let ada = ada(&client);
    let items = [says("email", "marketing", "granted"), about("climbing", "granted")];
    put(&client, &ada, &items).expect(200);
    put(&client, &ada, &[says("sms", "marketing", "granted")]).expect(200);
    email(&client, &ada, "withdrawn");
    assert_eq!(state(&client, &ada, Some("climbing")), "withdrawn");
    for topic in ["climbing", "something new"] {
        let refused = || put(&client, &ada, &[about(topic, "granted")]);
        assert_eq!(unchanged(&client, refused).expect(409).code(), "invalid_transition");
    }
    put(&client, &ada, &[about("another", "withdrawn")]).expect(200);
    let sms = states(&client, &ada).into_iter().find(|row| row.0 == "sms");
    assert_eq!(sms.map(|row| row.3).as_deref(), Some("granted"));
}

#[test]
fn a_granted_consent_expires_by_itself_and_may_be_granted_again() {
    let client = workspace();
    let ada = ada(&client);
    let short =
        json!({ "consented_at": "2024-01-01T00:00:00Z", "expires_at": "2025-01-01T00:00:00Z" });
    put(&client, &ada, &[with(says("email", "marketing", "granted"), short)]).expect(200);
    assert_eq!(state(&client, &ada, None), "expired");
    let granted = email(&client, &ada, "granted");
    assert_eq!(granted["state"], "granted");
    assert_eq!(granted["expires_at"], Value::Null);
}

/// The worker tells of it; that it counts for nothing needs no worker.
#[test]
fn that_a_consent_has_expired_is_told_to_ledger_and_timeline_once() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let (ada, gone) = (ada(&client), create(&client, json!({})).id());
    let short =
        json!({ "consented_at": "2024-01-01T00:00:00Z", "expires_at": "2025-01-01T00:00:00Z" });
    let long = json!({ "expires_at": "2199-01-01T00:00:00Z" });
    let over = with(says("email", "marketing", "granted"), short);
    put(&client, &ada, &[over.clone(), with(says("sms", "marketing", "granted"), long)])
        .expect(200);
    put(&client, &gone, &[over]).expect(200);
    client.delete(&at(&gone)).expect(204);
    for _ in 0..3 {
        ecrm::worker::round(&app.state, Uuid::now_v7()).expect("a round");
    }
    let kinds = told(&client, &ada);
    assert_eq!(kinds, ["consent.granted", "consent.granted", "consent.expired"]);
    let history = client.get(&format!("{}/history", path(&ada))).expect(200);
    let last = &rows(&history)[0];
    assert_eq!((&last["state"], &last["method"]), (&json!("expired"), &json!("expiry")));
    assert_eq!(last["occurred_at"], "2025-01-01T00:00:00Z");
    assert_eq!(last["actor"], json!({ "type": "system", "id": null }));
    let expired = client.get("/v1/touchpoints?type=consent.expired").expect(200);
    assert_eq!(rows(&expired).len(), 2, "also of who is deleted and may be restored");
    assert_eq!(rows(&expired)[0]["properties"]["from"], "granted");
    let sms = states(&client, &ada).into_iter().find(|row| row.0 == "sms");
    assert_eq!(sms.map(|row| row.3).as_deref(), Some("granted"));
    assert_eq!(email(&client, &ada, "granted")["state"], "granted");
}

#[test]
fn all_items_are_recorded_or_none() {
    let client = workspace();
    let ada = ada(&client);
    email(&client, &ada, "withdrawn");
    let items = [says("sms", "marketing", "granted"), says("email", "marketing", "granted")];
    let refused = unchanged(&client, || put(&client, &ada, &items)).expect(409);
    assert_eq!(refused.fault().1, "#/items/1/state");
}

#[test]
fn what_is_no_consent_is_refused_at_its_place() {
    let client = workspace();
    let ada = ada(&client);
    let granted = || says("email", "marketing", "granted");
    let evidence = |fields: Value| with(granted(), json!({ "evidence": fields }));
    let wrong = [
        (json!({ "purpose": "marketing", "state": "granted" }), ("required", "/channel_type")),
        (says("fax", "marketing", "granted"), ("invalid_type", "/channel_type")),
        (says("email", "fun", "granted"), ("invalid_type", "/purpose")),
        (says("email", "marketing", "expired"), ("invalid_type", "/state")),
        (about("", "granted"), ("invalid_length", "/topic")),
        (about(&"x".repeat(101), "granted"), ("invalid_length", "/topic")),
        (with(granted(), json!({ "mood": 1 })), ("unknown_field", "/mood")),
        (with(granted(), json!({ "lawful_basis": "mood" })), ("invalid_type", "/lawful_basis")),
        (with(granted(), json!({ "soft_opt_in": true })), ("invalid_basis", "/soft_opt_in")),
        (says("email", "marketing", "unknown"), ("invalid_basis", "/lawful_basis")),
        (says("email", "transactional", "pending"), ("invalid_basis", "/lawful_basis")),
        (
            with(granted(), json!({ "consented_at": "2199-01-01T00:00:00Z" })),
            ("in_the_future", "/consented_at"),
        ),
        (
            with(granted(), json!({ "consented_at": "1899-01-01T00:00:00Z" })),
            ("invalid_time", "/consented_at"),
        ),
        (
            with(granted(), json!({ "expires_at": "2020-01-01T00:00:00Z" })),
            ("in_the_past", "/expires_at"),
        ),
        (evidence(json!({ "ip": "localhost" })), ("invalid_ip", "/evidence/ip")),
        (evidence(json!({ "document_url": "ftp://x" })), ("invalid_url", "/evidence/document_url")),
        (evidence(json!({ "text": "" })), ("invalid_length", "/evidence/text")),
        (evidence(json!({ "mood": "" })), ("unknown_field", "/evidence/mood")),
    ];
    for (item, (code, place)) in wrong {
        let answer =
            unchanged(&client, || put(&client, &ada, std::slice::from_ref(&item))).expect(422);
        assert_eq!(answer.fault(), (code, format!("#/items/0{place}").as_str()), "{item}");
    }
    unchanged(&client, || {
        put(&client, &ada, &[]).expect(422);
        let many: Vec<Value> = (0..101).map(|n| about(&format!("{n}"), "granted")).collect();
        put(&client, &ada, &many).expect(422);
    });
}

#[test]
fn a_customer_has_a_bounded_number_of_consents() {
    let client = workspace();
    let ada = ada(&client);
    for hundred in 0..2 {
        let topics = (0..100).map(|n| about(&format!("{hundred}-{n}"), "granted"));
        put(&client, &ada, &topics.collect::<Vec<_>>()).expect(200);
    }
    let refused = unchanged(&client, || put(&client, &ada, &[about("more", "granted")]));
    assert_eq!(refused.expect(422).fault(), ("too_many_consents", "#/items/0/topic"));
    put(&client, &ada, &[about("1-7", "withdrawn")]).expect(200);
}

#[test]
fn a_granted_marketing_consent_makes_a_visitor_a_subscriber_and_nobody_else() {
    let client = workspace();
    let stage = |id: &str| client.get(&at(id)).expect(200).json["lifecycle_stage"].clone();
    for (before, purpose, after) in [
        ("visitor", "marketing", "subscriber"),
        ("visitor", "analytics", "visitor"),
        ("customer", "marketing", "customer"),
        ("other", "marketing", "other"),
    ] {
        let ada = create(&client, json!({ "lifecycle_stage": before })).id();
        put(&client, &ada, &[says("email", purpose, "granted")]).expect(200);
        assert_eq!(stage(&ada), after, "{before} by {purpose}");
        email(&client, &ada, "withdrawn");
        assert_eq!(stage(&ada), after, "no move leads back");
    }
    let ada = create(&client, json!({ "lifecycle_stage": "visitor" })).id();
    email(&client, &ada, "pending");
    assert_eq!(stage(&ada), "visitor");
    email(&client, &ada, "granted");
    let moves = format!("{}/timeline?type=customer.lifecycle_stage_changed", at(&ada));
    let moved = client.get(&moves).expect(200).json["data"][0]["properties"].clone();
    let expected = json!({ "changes": { "lifecycle_stage": { "from": "visitor", "to": "subscriber" } },
                           "cause": "consent" });
    assert_eq!(moved, expected);
}

#[test]
fn consents_of_nobody_and_of_others_are_not_found() {
    let client = workspace();
    let theirs = ada(&workspace());
    let gone = create(&client, json!({})).id();
    client.delete(&at(&gone)).expect(204);
    for id in [Uuid::now_v7().to_string(), theirs, gone] {
        unchanged(&client, || {
            client.get(&path(&id)).expect(404);
            client.get(&format!("{}/history", path(&id))).expect(404);
            put(&client, &id, &[says("email", "marketing", "granted")]).expect(404);
            client.get(&format!("{}/reachability?purpose=marketing", at(&id))).expect(404);
            let link = json!({ "channel_type": "email" });
            client.post(&format!("{}/preference_links", at(&id)), link).expect(404);
        });
    }
}

#[test]
fn reading_and_writing_consents_need_their_own_scopes() {
    let client = workspace();
    let ada = ada(&client);
    let reader = client.with_token(&App::shared().key(&client, &["consents:read"], true));
    reader.get(&path(&ada)).expect(200);
    let refused = put(&reader, &ada, &[says("email", "marketing", "granted")]).expect(403);
    assert_eq!(refused.code(), "insufficient_scope");
    let other = client.with_token(&App::shared().key(&client, &["customers:write"], true));
    put(&other, &ada, &[says("email", "marketing", "granted")]).expect(403);
}
