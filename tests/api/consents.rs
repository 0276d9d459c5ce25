//! Consents: what was said is kept, what holds follows from it, and who said no is left alone.

mod import;
mod ledger;
mod people;
mod race;
mod record;
mod sending;

use serde_json::{Value, json};

use crate::customers::{at, create};
use crate::harness::{Answer, Client};

/// What a customer says, as a request.
pub fn says(channel: &str, purpose: &str, state: &str) -> Value {
    json!({ "channel_type": channel, "purpose": purpose, "state": state })
}

/// The same about a topic.
pub fn about(topic: &str, state: &str) -> Value {
    json!({ "channel_type": "email", "purpose": "marketing", "topic": topic, "state": state })
}

/// The same with more fields.
pub fn with(mut body: Value, more: Value) -> Value {
    for (name, value) in more.as_object().expect("fields") {
        body[name] = value.clone();
    }
    body
}

pub fn path(customer: &str) -> String {
    format!("{}/consents", at(customer))
}

/// A customer who can be reached by email and telephone.
pub fn ada(client: &Client) -> String {
    create(client, json!({ "email": "ada@shop.example.com", "phone": "+436641234567" })).id()
}

pub fn put(client: &Client, customer: &str, items: &[Value]) -> Answer {
    client.put(&path(customer), json!({ "items": items }))
}

/// Records that the customer said this to marketing by email.
#[track_caller]
pub fn email(client: &Client, customer: &str, state: &str) -> Value {
    let answer = put(client, customer, &[says("email", "marketing", state)]).expect(200);
    answer.json["consents"][0].clone()
}

/// Channel type, purpose, topic and state of all that a customer says.
pub fn states(client: &Client, customer: &str) -> Vec<(String, String, Option<String>, String)> {
    let all = client.get(&path(customer)).expect(200);
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let rows = all.json["data"].as_array().expect("consents").iter();
    rows.map(|row| {
        let topic = row["topic"].as_str().map(str::to_owned);
        (text(row, "channel_type"), text(row, "purpose"), topic, text(row, "state"))
    })
    .collect()
}

/// What the customer says to marketing by email, about a topic or everything.
#[track_caller]
pub fn state(client: &Client, customer: &str, topic: Option<&str>) -> String {
    let all = states(client, customer);
    let found = all.iter().find(|(channel, purpose, about, _)| {
        (channel.as_str(), purpose.as_str(), about.as_deref()) == ("email", "marketing", topic)
    });
    found.unwrap_or_else(|| panic!("nothing is said about {topic:?}: {all:?}")).3.clone()
}

/// The types of all touchpoints about consents, oldest first.
pub fn told(client: &Client, customer: &str) -> Vec<String> {
    let kinds = crate::customers::kinds(client, customer).into_iter();
    kinds.filter(|kind| kind.starts_with("consent.")).collect()
}

/// Whether something may be sent by this type of channel, and why or why not.
#[track_caller]
pub fn reach(client: &Client, customer: &str, channel: &str, query: &str) -> (bool, String) {
    let path = format!("{}/reachability?{query}", at(customer));
    let answer = client.get(&path).expect(200);
    let channels = answer.json["channels"].as_array().expect("channels");
    let one = channels.iter().find(|one| one["channel_type"] == channel).expect("the channel");
    (one["is_allowed"] == true, one["reason"].as_str().unwrap_or_default().to_owned())
}

/// The token of a link to a customer's preferences, which leads out of marketing by email.
pub fn link(client: &Client, customer: &str, topic: Option<&str>) -> String {
    let body = json!({ "channel_type": "email", "topic": topic });
    let made = client.post(&format!("{}/preference_links", at(customer)), body).expect(201);
    made.json["token"].as_str().expect("a token").to_owned()
}

/// Somebody without a credential.
pub fn person(client: &Client) -> Client {
    Client { token: None, ..client.clone() }
}

/// What a mail program sends (RFC 8058).
pub fn one_click(client: &Client, token: &str) -> Answer {
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let body = Some("List-Unsubscribe=One-Click");
    person(client).send("POST", &format!("/u/{token}"), &form, body)
}
