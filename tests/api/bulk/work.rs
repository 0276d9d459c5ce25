//! Work in the background that is no import and no export: looked at, and tried again.

use diesel::connection::SimpleConnection;
use serde_json::{Value, json};
use uuid::Uuid;

use super::csv_of;
use crate::harness::{App, Client};

fn sql(app: &App, text: &str) {
    app.owner().batch_execute(text).expect("a change");
}

fn round(app: &App) {
    ecrm::worker::round(&app.state, Uuid::now_v7()).expect("a round");
}

/// The search for duplicates that is queued.
fn scan(client: &Client) -> String {
    let made = client.post("/v1/merge_candidates/scan", json!({})).expect(202).json;
    assert_eq!(made["is_new"], true);
    let found = client.get("/v1/jobs?kind=customers.scan&status=queued").expect(200).json;
    found["data"][0]["id"].as_str().expect("an id").to_owned()
}

fn path(id: &str) -> String {
    format!("/v1/jobs/{id}")
}

fn retry(id: &str) -> String {
    format!("/v1/jobs/{id}/retry")
}

#[test]
fn a_job_that_has_failed_says_why_and_is_done_when_it_is_tried_again() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let id = scan(&client);
    sql(&app, "revoke select on merge_candidates from ecrm_app");
    round(&app);
    let tried = client.get(&path(&id)).expect(200).json;
    assert_eq!((&tried["status"], &tried["attempts"]), (&json!("queued"), &json!(1)));
    let why = format!(
        "the database refused a statement; the log of the service says more where `job_id` is {id}"
    );
    assert_eq!(tried["failure"], why.as_str());
    assert!(tried["next_attempt_at"].is_string(), "{tried}");
    let refused = client.send("POST", &retry(&id), &[], None);
    refused.expect_code(409, "invalid_transition");
    for _ in 2..=10 {
        sql(&app, "update jobs set run_at = created_at where kind = 'customers.scan'");
        round(&app);
    }
    let list = client.get("/v1/jobs?status=failed&include_total=true").expect(200).json;
    assert_eq!((&list["total"], &list["data"][0]["id"]), (&json!(1), &json!(id)));
    let failed = &list["data"][0];
    assert_eq!((&failed["kind"], &failed["attempts"]), (&json!("customers.scan"), &json!(10)));
    assert!(failed["failure"].is_string() && failed["finished_at"].is_string(), "{failed}");
    assert_eq!((&failed["progress"], &failed["next_attempt_at"]), (&json!(0.0), &Value::Null));

    sql(&app, "grant select on merge_candidates to ecrm_app");
    let queued = client.send("POST", &retry(&id), &[], None).expect(200).json;
    assert_eq!((&queued["status"], &queued["finished_at"]), (&json!("queued"), &Value::Null));
    assert!(queued["version"].as_i64() > failed["version"].as_i64(), "{failed} {queued}");
    round(&app);
    let done = client.get(&path(&id)).expect(200).json;
    let shown = (&done["status"], &done["attempts"], &done["failure"], &done["progress"]);
    assert_eq!(shown, (&json!("completed"), &json!(11), &Value::Null, &json!(1.0)));
    client.send("POST", &retry(&id), &[], None).expect_code(409, "invalid_transition");
}

#[test]
fn a_job_is_not_tried_again_where_another_waits_that_does_the_same() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let id = scan(&client);
    sql(&app, "update jobs set state = 'failed', finished_at = created_at");
    let other = scan(&client);
    client.send("POST", &retry(&id), &[], None).expect_code(409, "conflict");
    assert_eq!(client.get(&path(&id)).expect(200).json["status"], "failed");
    sql(&app, &format!("delete from jobs where id = '{other}'"));
    client.send("POST", &retry(&id), &[], None).expect(200);
}

/// As where a process ends and gives its work back: the attempt does not count, the change does.
#[test]
fn a_version_rises_with_every_change() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let id = scan(&client);
    let version = || client.get(&path(&id)).expect(200).json["version"].as_i64().expect("a number");
    let (worker, mut seen) = (Uuid::now_v7(), vec![version()]);
    for _ in 0..2 {
        let mut turn = ecrm::jobs::Turn::new(worker, ecrm::jobs::Priority::Bulk);
        while turn.claim(&app.state.db).expect("a claim").is_some() {}
        seen.push(version());
        ecrm::jobs::give_back(&app.state.db, worker).expect("given back");
        seen.push(version());
    }
    assert!(seen.is_sorted_by(|one, next| one < next), "{seen:?}");
}

#[test]
fn what_is_no_import_and_no_export_is_not_cancelled() {
    let app = App::alone(&[]);
    let (client, stranger) = (app.workspace(&["*"]), app.workspace(&["*"]));
    let id = scan(&client);
    let cancel = |who: &Client| who.send("POST", &format!("{}/cancel", path(&id)), &[], None);
    cancel(&client).expect_code(409, "invalid_transition");
    cancel(&stranger).expect_code(404, "not_found");
    assert_eq!(client.get(&path(&id)).expect(200).json["status"], "queued");
}

#[test]
fn what_is_no_job_of_this_kind_is_not_tried_again() {
    let app = App::alone(&[]);
    let (client, stranger) = (app.workspace(&["*"]), app.workspace(&["*"]));
    let id = scan(&client);
    sql(&app, "update jobs set state = 'failed', finished_at = created_at");
    for (who, id) in [(&stranger, id.as_str()), (&client, &Uuid::now_v7().to_string())] {
        who.get(&path(id)).expect_code(404, "not_found");
        who.send("POST", &retry(id), &[], None).expect_code(404, "not_found");
    }
    let import = client.post("/v1/imports", csv_of("customers")).expect(201).id();
    client.send("POST", &retry(&import), &[], None).expect_code(409, "invalid_transition");
}

#[test]
fn a_kind_or_state_that_there_is_not_is_refused() {
    let client = super::workspace();
    for (question, name) in
        [("status=nope", "status"), ("kind=nope", "kind"), ("status=failed,x", "status")]
    {
        let refused = client.get(&format!("/v1/jobs?{question}"));
        let refused = refused.expect_code(400, "invalid_parameter");
        assert!(refused.text.contains(&format!("\"parameter\":\"{name}\"")), "{}", refused.text);
    }
    client.get("/v1/jobs?status=reverted,queued&kind=import,privacy.erase").expect(200);
}
