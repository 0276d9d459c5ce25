//! What was said elsewhere before: brought in by the thousand, and as often as one likes.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{about, ada, email, link, one_click, path, reach, says, state, told, with};
use crate::customers::{create, rows, unchanged};
use crate::harness::{Answer, Client, workspace};

fn import(client: &Client, items: &[Value]) -> Answer {
    client.post("/v1/consents/batch", json!({ "items": items })).expect(207)
}

/// What somebody said to marketing by email, at a time.
fn item(customer: Value, state: &str, at: &str) -> Value {
    let consent = with(says("email", "marketing", state), json!({ "consented_at": at }));
    json!({ "customer": customer, "consent": consent })
}

fn statuses(answer: &Answer) -> Vec<i64> {
    let results = answer.json["results"].as_array().expect("results").iter();
    results.map(|result| result["status"].as_i64().expect("a status")).collect()
}

#[test]
fn historical_consents_keep_the_time_at_which_they_were_given() {
    let client = workspace();
    let ada = ada(&client);
    let by_email = json!({ "email": "ada@shop.example.com" });
    let evidence = json!({ "evidence": { "form_id": "footer", "ip": "2001:db8::1" } });
    let mut old = item(by_email, "granted", "2019-05-01T10:00:00Z");
    old["consent"] = with(old["consent"].clone(), evidence);
    let answer = import(&client, &[old]);
    assert_eq!((statuses(&answer), &answer.json["failed"]), (vec![201], &json!(0)));
    let row = client.get(&path(&ada)).expect(200).json["data"][0].clone();
    assert_eq!(answer.json["results"][0]["id"], row["id"]);
    assert_eq!(row["granted_at"], "2019-05-01T10:00:00Z");
    assert_eq!(row["method"], "import");
    assert_eq!(row["evidence"]["form_id"], "footer");
    assert_eq!(reach(&client, &ada, "email", "purpose=marketing"), (true, "granted".into()));
}

#[test]
fn an_import_can_be_repeated() {
    let client = workspace();
    let ada = json!({ "id": ada(&client) });
    let items = [
        item(ada.clone(), "granted", "2019-05-01T10:00:00Z"),
        item(ada.clone(), "withdrawn", "2021-05-01T10:00:00Z"),
        item(ada.clone(), "granted", "2017-05-01T10:00:00Z"),
        // The same as the first, in one request.
        item(ada, "granted", "2019-05-01T10:00:00Z"),
    ];
    let first = import(&client, &items);
    assert_eq!(statuses(&first), [201, 201, 201, 200]);
    let again = unchanged(&client, || import(&client, &items));
    assert_eq!(statuses(&again), [200, 200, 200, 200]);
    assert_eq!(again.json["results"][1]["id"], first.json["results"][1]["id"]);
}

/// In whatever order files are read, who withdrew last is left alone.
#[test]
fn the_order_of_an_import_does_not_lose_a_withdrawal() {
    let words =
        [("granted", "2018"), ("withdrawn", "2020"), ("granted", "2016"), ("denied", "2015")];
    for first in 0..words.len() {
        let client = workspace();
        let ada = ada(&client);
        for (word, year) in words.iter().cycle().skip(first).take(words.len()) {
            let at = format!("{year}-01-01T00:00:00Z");
            import(&client, &[item(json!({ "id": ada }), word, &at)]);
        }
        let row = client.get(&path(&ada)).expect(200).json["data"][0].clone();
        assert_eq!(row["state"], "withdrawn", "from {first}");
        assert_eq!(row["decided_at"], "2020-01-01T00:00:00Z", "from {first}");
        assert_eq!(row["withdrawn_at"], "2020-01-01T00:00:00Z", "from {first}");
        let verdict = reach(&client, &ada, "email", "purpose=marketing");
        assert_eq!(verdict, (false, "withdrawn".into()), "from {first}");
    }
}

/// The list of an old tool must not bring back who has said no since.
#[test]
fn an_import_does_not_bring_back_who_has_withdrawn() {
    let client = workspace();
    let ada = ada(&client);
    one_click(&client, &link(&client, &ada, None)).expect(200);
    let old = item(json!({ "id": ada }), "granted", "2019-05-01T10:00:00Z");
    assert_eq!(statuses(&import(&client, &[old])), [201]);
    let mut topic = item(json!({ "id": ada }), "granted", "2019-05-01T10:00:00Z");
    topic["consent"]["topic"] = json!("news");
    assert_eq!(statuses(&import(&client, &[topic])), [201]);
    assert_eq!(state(&client, &ada, None), "withdrawn");
    let history = client.get(&format!("{}/history", path(&ada))).expect(200);
    assert_eq!(rows(&history).len(), 3, "kept as history");
    for query in ["purpose=marketing", "purpose=marketing&topic=news"] {
        assert_eq!(reach(&client, &ada, "email", query), (false, "withdrawn".into()), "{query}");
    }
    assert_eq!(told(&client, &ada), ["consent.withdrawn", "consent.recorded", "consent.recorded"]);
    // Now, and without a time, it would be a new word, which a program cannot speak.
    let now =
        json!({ "customer": { "id": ada }, "consent": says("email", "marketing", "granted") });
    let refused = unchanged(&client, || import(&client, &[now]));
    let error = &refused.json["results"][0]["error"];
    assert_eq!((&error["status"], &error["code"]), (&json!(409), &json!("invalid_transition")));
    assert_eq!(error["errors"][0]["pointer"], "#/consent/state");
}

#[test]
fn each_item_is_recorded_or_refused_on_its_own() {
    let client = workspace();
    let ada = ada(&client);
    let theirs = super::ada(&workspace());
    let at = "2019-05-01T10:00:00Z";
    let fine = |id: &str| item(json!({ "id": id }), "granted", at);
    let items = [
        fine(&ada),
        fine(&Uuid::now_v7().to_string()),
        fine(&theirs),
        item(json!({ "email": "nobody@shop.example.com" }), "granted", at),
        item(json!({}), "granted", at),
        item(json!({ "id": ada, "email": "new@shop.example.com" }), "granted", at),
        item(json!({ "anonymous_id": "a-1" }), "granted", at),
        item(json!({ "id": ada }), "granted", "2199-01-01T00:00:00Z"),
        json!({ "customer": { "id": ada }, "consent": about("", "granted") }),
        item(json!({ "phone": "+436641234567" }), "withdrawn", at),
    ];
    let answer = import(&client, &items);
    assert_eq!(statuses(&answer), [201, 422, 422, 422, 422, 422, 422, 422, 422, 201]);
    assert_eq!(answer.json["failed"], 8);
    let fault = |position: usize| {
        let first = &answer.json["results"][position]["error"]["errors"][0];
        (first["code"].as_str().unwrap_or_default(), first["pointer"].as_str().unwrap_or_default())
    };
    assert_eq!(fault(1), ("not_found", "#/customer/id"));
    assert_eq!(fault(2), fault(1));
    assert_eq!(fault(3), ("customer_not_found", "#/customer"));
    assert_eq!(fault(5), ("ambiguous_reference", "#/customer"));
    assert_eq!(fault(6), ("customer_not_found", "#/customer"));
    assert_eq!(fault(7), ("in_the_future", "#/consent/consented_at"));
    assert_eq!(fault(8), ("invalid_length", "#/consent/topic"));
    assert_eq!(told(&client, &ada).len(), 2);
    let identities = client.get(&format!("/v1/customers/{ada}/identities")).expect(200);
    assert_eq!(rows(&identities).len(), 2, "an import attaches nothing");
}

#[test]
fn an_atomic_import_is_recorded_as_a_whole_or_not_at_all() {
    let client = workspace();
    let ada = ada(&client);
    email(&client, &ada, "withdrawn");
    let items = json!({ "items": [
        { "customer": { "id": ada }, "consent": says("sms", "marketing", "granted") },
        { "customer": { "id": ada }, "consent": says("email", "marketing", "granted") },
    ] });
    let path = "/v1/consents/batch?atomic=true";
    let refused = unchanged(&client, || client.post(path, items.clone())).expect(409);
    assert_eq!(refused.fault(), ("invalid_transition", "#/items/1/consent/state"));
    unchanged(&client, || client.post("/v1/consents/batch?dry_run=true", items)).expect(207);
}

#[test]
fn a_thousand_are_brought_in_at_once() {
    let client = workspace();
    let people: Vec<Value> = (0..250)
        .map(|n| json!({ "email": format!("{n}@shop.example.com"), "lifecycle_stage": "visitor" }))
        .collect();
    client.post("/v1/customers/batch", json!({ "items": people })).expect(207);
    let says = |n: usize| {
        let customer = json!({ "email": format!("{}@shop.example.com", n % 250) });
        let mut item = item(customer, "granted", "2019-05-01T10:00:00Z");
        item["consent"]["topic"] = json!(format!("topic {}", n / 250));
        item
    };
    let items: Vec<Value> = (0..1000).map(says).collect();
    let answer = import(&client, &items);
    assert_eq!(answer.json["failed"], 0, "{}", answer.text);
    let subscribers = "/v1/customers?lifecycle_stage=subscriber&include_total=true&limit=1";
    assert_eq!(client.get(subscribers).expect(200).json["total"], 250);
    let many: Vec<Value> = (0..1001).map(says).collect();
    client.post("/v1/consents/batch", json!({ "items": many })).expect(422);
}

#[test]
fn an_import_of_nobody_is_refused() {
    let client = workspace();
    create(&client, json!({}));
    unchanged(&client, || {
        client.post("/v1/consents/batch", json!({ "items": [] })).expect(422);
        client.post("/v1/consents/batch", json!({})).expect(422);
    });
}
