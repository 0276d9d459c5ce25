//! Whether something may be sent: the rules, one by one, as reachability tells them.

use serde_json::{Value, json};

use super::{about, ada, email, put, reach, says, with};
use crate::customers::{at, create};
use crate::harness::{Client, workspace};

fn marketing(client: &Client, customer: &str) -> (bool, String) {
    reach(client, customer, "email", "purpose=marketing")
}

fn no(reason: &str) -> (bool, String) {
    (false, reason.into())
}

fn yes(reason: &str) -> (bool, String) {
    (true, reason.into())
}

#[test]
fn advertising_needs_a_yes() {
    let client = workspace();
    let ada = ada(&client);
    assert_eq!(marketing(&client, &ada), no("no_consent"));
    for (state, verdict) in
        [("pending", no("pending")), ("granted", yes("granted")), ("withdrawn", no("withdrawn"))]
    {
        email(&client, &ada, state);
        assert_eq!(marketing(&client, &ada), verdict);
    }
    assert_eq!(reach(&client, &ada, "sms", "purpose=marketing"), no("no_consent"));
    let eva = create(&client, json!({ "email": "eva@shop.example.com" })).id();
    email(&client, &eva, "denied");
    assert_eq!(marketing(&client, &eva), no("denied"));
}

#[test]
fn a_yes_ends_when_its_time_is_over() {
    let client = workspace();
    let ada = ada(&client);
    let over =
        json!({ "consented_at": "2024-01-01T00:00:00Z", "expires_at": "2025-01-01T00:00:00Z" });
    put(&client, &ada, &[with(says("email", "marketing", "granted"), over)]).expect(200);
    assert_eq!(marketing(&client, &ada), no("expired"));
}

#[test]
fn a_soft_opt_in_lasts_until_the_first_objection() {
    let client = workspace();
    let ada = ada(&client);
    let soft = json!({ "lawful_basis": "legitimate_interests", "soft_opt_in": true });
    put(&client, &ada, &[with(says("email", "marketing", "unknown"), soft)]).expect(200);
    assert_eq!(marketing(&client, &ada), yes("soft_opt_in"));
    email(&client, &ada, "withdrawn");
    assert_eq!(marketing(&client, &ada), no("withdrawn"));
    let eva = create(&client, json!({ "email": "eva@shop.example.com" })).id();
    let hard = json!({ "lawful_basis": "legitimate_interests" });
    put(&client, &eva, &[with(says("email", "marketing", "unknown"), hard)]).expect(200);
    assert_eq!(marketing(&client, &eva), no("no_consent"));
}

#[test]
fn what_a_contract_or_a_law_needs_is_sent_and_an_interest_can_be_objected_to() {
    let client = workspace();
    let ada = ada(&client);
    let ask = |purpose: &str| reach(&client, &ada, "email", &format!("purpose={purpose}"));
    assert_eq!(ask("transactional"), yes("contract"));
    assert_eq!(ask("service"), yes("legitimate_interests"));
    put(&client, &ada, &[says("email", "transactional", "withdrawn")]).expect(200);
    put(&client, &ada, &[says("email", "service", "withdrawn")]).expect(200);
    assert_eq!(ask("transactional"), yes("contract"));
    assert_eq!(ask("service"), no("withdrawn"));
    let law = json!({ "lawful_basis": "legal_obligation" });
    let eva = create(&client, json!({ "email": "eva@shop.example.com" })).id();
    put(&client, &eva, &[with(says("email", "service", "unknown"), law)]).expect(200);
    assert_eq!(reach(&client, &eva, "email", "purpose=service"), yes("legal_obligation"));
    for purpose in ["analytics", "profiling"] {
        assert_eq!(ask(purpose), no("no_consent"), "{purpose}");
    }
}

#[test]
fn a_topic_has_a_word_of_its_own_or_that_of_everything() {
    let client = workspace();
    let ada = ada(&client);
    let ask =
        |topic: &str| reach(&client, &ada, "email", &format!("purpose=marketing&topic={topic}"));
    put(&client, &ada, &[about("climbing", "granted")]).expect(200);
    assert_eq!((ask("climbing"), ask("skiing")), (yes("granted"), no("no_consent")));
    assert_eq!(marketing(&client, &ada), no("no_consent"));
    put(&client, &ada, &[says("email", "marketing", "granted"), about("skiing", "withdrawn")])
        .expect(200);
    assert_eq!((ask("climbing"), ask("skiing")), (yes("granted"), no("withdrawn")));
    assert_eq!(ask("hiking"), yes("granted"));
    email(&client, &ada, "withdrawn");
    for topic in ["climbing", "skiing", "hiking"] {
        assert_eq!(ask(topic), no("withdrawn"), "{topic}");
    }
}

#[test]
fn nobody_is_reached_without_an_address() {
    let client = workspace();
    let ada = create(&client, json!({})).id();
    let all = ["email", "sms", "whatsapp", "phone", "push", "social", "post", "meeting"];
    let items: Vec<Value> = all.iter().map(|one| says(one, "marketing", "granted")).collect();
    put(&client, &ada, &items).expect(200);
    let ask = |channel: &str| reach(&client, &ada, channel, "purpose=marketing");
    for channel in &all[..7] {
        assert_eq!(ask(channel), no("no_address"), "{channel}");
    }
    assert_eq!(ask("meeting"), yes("granted"));
    let known = json!({ "email": "ada@shop.example.com", "phone": "+436641234567",
        "addresses": [{ "type": "home", "city": "Innsbruck" }] });
    client.patch(&at(&ada), known).expect(200);
    for mark in [
        json!({ "type": "device_id", "value": "d-1" }),
        json!({ "type": "social", "source": "mastodon", "value": "ada" }),
    ] {
        client.post(&format!("{}/identities", at(&ada)), mark).expect(200);
    }
    for channel in all {
        assert_eq!(ask(channel), yes("granted"), "{channel}");
    }
}

#[test]
fn a_blocked_customer_is_not_reached() {
    let client = workspace();
    let ada = ada(&client);
    email(&client, &ada, "granted");
    client.patch(&at(&ada), json!({ "status": "blocked" })).expect(200);
    assert_eq!(marketing(&client, &ada), no("customer_not_active"));
    client.patch(&at(&ada), json!({ "status": "inactive" })).expect(200);
    assert_eq!(marketing(&client, &ada), yes("granted"));
}

#[test]
fn reachability_names_every_type_of_channel_and_needs_a_purpose() {
    let client = workspace();
    let ada = ada(&client);
    let path = format!("{}/reachability", at(&ada));
    let answer = client.get(&format!("{path}?purpose=marketing&topic=news")).expect(200);
    assert_eq!(answer.json["channels"].as_array().map(Vec::len), Some(14));
    assert_eq!(
        (&answer.json["purpose"], &answer.json["topic"]),
        (&json!("marketing"), &json!("news"))
    );
    for query in ["", "?purpose=fun", "?purpose=marketing&topik=x"] {
        client.get(&format!("{path}{query}")).expect(400);
    }
}
