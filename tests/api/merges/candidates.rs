//! Possible duplicates: found, shown, accepted, dismissed.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{CUSTOMERS, create, get};
use crate::harness::{App, Client, workspace};

/// Pairs that are alike in one way each, and people who only look so.
fn people(client: &Client) -> Vec<String> {
    let home = |line1: &str| json!([{ "type": "home", "line1": line1, "postal_code": "6020" }]);
    let all = [
        json!({ "email": "ada.lind@gmail.com" }),
        json!({ "email": "adalind+shop@googlemail.com" }),
        json!({ "phone": "+436641234567" }),
        json!({ "phone": "+496641234567" }),
        json!({ "first_name": "Mira", "last_name": "Bergmann", "addresses": home("Seestraße 4") }),
        json!({ "first_name": "Mirra", "last_name": "Bergmann", "addresses": home("Seestraße 4a") }),
        json!({ "first_name": "Otto", "last_name": "Kranz", "addresses": home("Seestraße 4") }),
        json!({ "email": "ada.lind@example.com" }),
    ];
    all.map(|body| create(client, body)).to_vec()
}

fn scan(app: &App, client: &Client) {
    client.send("POST", "/v1/merge_candidates/scan", &[], None).expect(202);
    while ecrm::worker::round(&app.state, Uuid::now_v7()).expect("a round") > 0 {}
}

fn open(client: &Client) -> Vec<Value> {
    let list = client.get("/v1/merge_candidates?sort=created_at").expect(200).json;
    list["data"].as_array().expect("a list").clone()
}

#[test]
fn a_scan_finds_each_pair_once_and_says_why() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let people = people(&client);
    for _ in 0..2 {
        scan(&app, &client);
        let mut found: Vec<_> = open(&client)
            .iter()
            .map(|one| (one["customer_id"].clone(), one["other_id"].clone(), one["reason"].clone()))
            .collect();
        found.sort_by_key(|(one, ..)| one.to_string());
        let pair =
            |at: usize, reason: &str| (json!(people[at]), json!(people[at + 1]), json!(reason));
        let expected =
            [pair(0, "same_email"), pair(2, "same_phone"), pair(4, "similar_name_and_address")];
        assert_eq!(found, expected);
    }
    let by_phone = client.get("/v1/merge_candidates?reason=same_phone").expect(200).json;
    assert_eq!(by_phone["data"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_customer_shows_its_possible_duplicates_without_a_scan() {
    let client = workspace();
    let people = people(&client);
    for (one, other, reason) in [
        (0, 1, "same_email"),
        (1, 0, "same_email"),
        (3, 2, "same_phone"),
        (5, 4, "similar_name_and_address"),
    ] {
        let path = format!("{CUSTOMERS}/{}/duplicates", people[one]);
        let found = client.get(&path).expect(200).json["data"].clone();
        assert_eq!(found.as_array().map(Vec::len), Some(1), "{one}: {found}");
        assert_eq!(found[0]["customer"]["id"], json!(people[other]));
        assert_eq!(found[0]["reasons"], json!([reason]));
    }
    let path = format!("{CUSTOMERS}/{}/duplicates", people[6]);
    assert_eq!(client.get(&path).expect(200).json["data"], json!([]));
    client.get(&format!("{CUSTOMERS}/{}/duplicates", Uuid::now_v7())).expect(404);
}

#[test]
fn an_accepted_candidate_is_a_merge_that_can_be_undone() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let people = people(&client);
    scan(&app, &client);
    let id = open(&client)[0]["id"].as_str().expect("an id").to_owned();
    let path = format!("/v1/merge_candidates/{id}/accept");
    let stranger = json!({ "survivor_id": people[6] });
    assert_eq!(client.post(&path, stranger).expect(422).fault(), ("not_found", "#/survivor_id"));
    let one = client.get(&format!("/v1/merge_candidates/{id}")).expect(200).json;
    let (older, newer) = (one["customer_id"].clone(), one["other_id"].clone());
    let done = client.post(&path, json!({ "survivor_id": newer })).expect(200).json;
    assert_eq!(done["merge"]["cause"], "candidate");
    assert_eq!(get(&client, older.as_str().expect("an id")).json["id"], newer);
    let decided = client.get(&format!("/v1/merge_candidates/{id}")).expect(200).json;
    assert_eq!(
        (decided["status"].clone(), decided["merge_id"].clone()),
        (json!("accepted"), done["merge_id"].clone())
    );
    assert_eq!(client.post(&path, json!({})).expect(409).code(), "invalid_transition");
    let dismiss = format!("/v1/merge_candidates/{id}/dismiss");
    let refused = client.send("POST", &dismiss, &[], None).expect(409);
    assert_eq!(refused.code(), "invalid_transition");
    super::undo(&client, done["merge_id"].as_str().expect("an id")).expect(200);
}

#[test]
fn a_dismissed_pair_is_not_suggested_again() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let people = people(&client);
    scan(&app, &client);
    for one in open(&client) {
        let id = one["id"].as_str().expect("an id");
        let path = format!("/v1/merge_candidates/{id}/dismiss");
        let done = client.send("POST", &path, &[], None).expect(200).json;
        assert_eq!(done["status"], "dismissed");
        // Again changes nothing.
        let again = client.send("POST", &path, &[], None).expect(200).json;
        assert_eq!(again["version"], done["version"]);
    }
    scan(&app, &client);
    assert!(open(&client).is_empty());
    let path = format!("{CUSTOMERS}/{}/duplicates", people[0]);
    assert_eq!(client.get(&path).expect(200).json["data"], json!([]));
}

#[test]
fn a_second_scan_waits_for_the_first() {
    let client = workspace();
    let ask = || client.send("POST", "/v1/merge_candidates/scan", &[], None).expect(202).json;
    assert_eq!(ask()["is_new"], true);
    assert_eq!(ask()["is_new"], false);
}
