//! Access and portability: one archive with everything, for whoever has the link, once.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use ecrm::crypto::{hex, sha256};
use serde_json::{Value, json};

use super::{answered, ask, count, customer, run, somebody, work};
use crate::harness::{Answer, App, Client};

/// The files of an archive.
pub type Files = BTreeMap<String, Vec<u8>>;

pub fn unpack(bytes: &[u8]) -> Files {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).expect("a ZIP file");
    let mut files = Files::new();
    for position in 0..archive.len() {
        let mut file = archive.by_index(position).expect("a file");
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).expect("its content");
        files.insert(file.name().expect("a name").into_owned(), bytes);
    }
    files
}

/// The path of a new link to an archive.
pub fn link(client: &Client, request: &str) -> String {
    let path = format!("/v1/data_requests/{request}/download_links");
    let made = client.send("POST", &path, &[], None).expect(201);
    let url = made.json["url"].as_str().expect("a link").to_owned();
    url[url.find("/downloads/").expect("a path")..].to_owned()
}

pub fn download(client: &Client, path: &str) -> Answer {
    client.send("POST", path, &[], None)
}

/// Everything about somebody.
pub fn export(app: &App, client: &Client, customer: &str) -> Files {
    let request = answered(app, client, customer, "access");
    let path = link(client, request["id"].as_str().expect("an id"));
    unpack(&download(client, &path).expect(200).bytes)
}

pub fn records(files: &Files, table: &str) -> Vec<Value> {
    let text = &files[&format!("json/{table}.json")];
    serde_json::from_slice(text).expect("a list of records")
}

#[test]
fn an_archive_has_everything_in_two_forms_and_a_manifest_that_adds_up() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let (ada, email) = somebody(&client);
    for name in ["=1+1", "Boots, \"red\""] {
        let seen = json!({ "type": "product.viewed", "name": name, "customer": { "id": ada },
                           "content": { "text": "two\nlines" } });
        client.post("/v1/touchpoints", seen).expect(201);
    }
    let files = export(&app, &client, &ada);
    let manifest: Value = serde_json::from_slice(&files["manifest.json"]).expect("a manifest");
    assert_eq!(manifest["customer_id"], ada.as_str());
    for section in manifest["sections"].as_array().expect("sections") {
        let kind = section["kind"].as_str().expect("a kind");
        assert_eq!(section["records"], records(&files, kind).len(), "{kind}");
        for file in section["files"].as_array().expect("files") {
            let bytes = &files[file["name"].as_str().expect("a name")];
            assert_eq!(file["bytes"], bytes.len(), "{file}");
            assert_eq!(file["sha256"], hex(&sha256(bytes)), "{file}");
        }
    }
    assert_eq!(records(&files, "customers")[0]["email"], email.as_str());
    let touchpoints = records(&files, "touchpoints");
    let viewed = touchpoints.iter().filter(|one| one["type"] == "product.viewed");
    assert_eq!(viewed.count(), 2);
    assert!(touchpoints.iter().all(|one| one["occurred_at"].is_string()));
    let mut table = csv::Reader::from_reader(files["csv/touchpoints.csv"].as_slice());
    let at = table.headers().expect("a head").iter().position(|name| name == "name");
    let names: Vec<String> =
        table.records().map(|row| row.expect("a row")[at.expect("names")].to_owned()).collect();
    assert!(names.contains(&"'=1+1".to_owned()), "a formula is text: {names:?}");
    assert!(names.contains(&"Boots, \"red\"".to_owned()), "{names:?}");
}

#[test]
fn an_archive_holds_those_who_were_merged_and_what_a_browser_did_before() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let anonymous = json!({ "type": "page.viewed", "customer": { "anonymous_id": "b-77" } });
    let path = "/v1/touchpoints?on_unknown_customer=keep_anonymous";
    let before = client.post(path, anonymous).expect(201).id();
    let ada = customer(
        &client,
        json!({ "first_name": "Ada", "identities": [{ "type": "anonymous_id", "value": "b-77" }] }),
    );
    let double = customer(&client, json!({ "first_name": "Adele" }));
    let seen = json!({ "type": "page.viewed", "customer": { "id": double } });
    let theirs = client.post("/v1/touchpoints", seen).expect(201).id();
    let merge = json!({ "source_id": double });
    client.post(&format!("/v1/customers/{ada}/merge"), merge).expect(200);
    // Whoever still knows the old id asks for the same person.
    let files = export(&app, &client, &double);
    let ids: Vec<Value> =
        records(&files, "touchpoints").iter().map(|one| one["id"].clone()).collect();
    assert!(ids.contains(&json!(before)), "what the browser did: {ids:?}");
    assert!(ids.contains(&json!(theirs)), "what the double did: {ids:?}");
    let names: Vec<Value> =
        records(&files, "customers").iter().map(|one| one["first_name"].clone()).collect();
    assert!(names.contains(&json!("Ada")) && names.contains(&json!("Adele")), "{names:?}");
}

#[test]
fn a_link_works_once_and_looking_at_it_does_not_use_it_up() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let (ada, _) = somebody(&client);
    let request = answered(&app, &client, &ada, "portability");
    let id = request["id"].as_str().expect("an id");
    let first = link(&client, id);
    let second = link(&client, id);
    let anonymous = Client { token: None, ..client.clone() };
    download(&anonymous, &first).expect_code(404, "not_found");
    for _ in 0..2 {
        let page = anonymous.get(&second).expect(200);
        assert!(page.text.contains("<form method=\"post\""), "{}", page.text);
    }
    let bytes = download(&anonymous, &second).expect(200).bytes;
    assert_eq!(request["archive"]["bytes"], bytes.len());
    assert_eq!(request["archive"]["sha256"], hex(&sha256(&bytes)));
    download(&anonymous, &second).expect_code(404, "not_found");
    anonymous.get(&second).expect(404);
    anonymous.get("/downloads/ecrm_dl_guess").expect(404);
}

#[test]
fn a_request_without_an_archive_has_no_link() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let (ada, _) = somebody(&client);
    let id = ask(&client, &ada, "access").expect(201).id();
    let path = format!("/v1/data_requests/{id}/download_links");
    client.send("POST", &path, &[], None).expect_code(409, "invalid_transition");
    work(&app);
    client.send("POST", &path, &[], None).expect(201);
    run(&app, "update data_requests set archive_expires_at = '2020-01-01'");
    client.send("POST", &path, &[], None).expect_code(409, "invalid_transition");
}

/// The stored archive is sealed, and goes when its time is over.
#[test]
fn an_archive_cannot_be_read_in_the_database_and_goes_after_a_week() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let (ada, _) = somebody(&client);
    let request = answered(&app, &client, &ada, "access");
    let count = |condition: &str| count(&app, "data_request_pieces", condition);
    assert_eq!(count("true"), 1);
    assert_eq!(count("position('manifest.json'::bytea in sealed) > 0"), 0);
    run(&app, "update data_requests set archive_expires_at = '2020-01-01'");
    let now = chrono::Utc::now();
    app.state.db.system(|pg| ecrm::privacy::prune(pg, now)).expect("pruned");
    assert_eq!(count("true"), 0);
    let id = request["id"].as_str().expect("an id");
    assert_eq!(super::get(&client, id)["archive"], Value::Null);
}
