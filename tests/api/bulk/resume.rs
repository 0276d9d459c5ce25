//! Crashes, cancels and doubles: no row is lost, none is taken in twice.

use diesel::connection::SimpleConnection;
use serde_json::json;
use uuid::Uuid;

use super::{APP, act, counts, csv_of, ended, prepare, upload, workspace};
use crate::harness::Client;

fn file(rows: usize) -> String {
    let rows = (0..rows).map(|n| format!("{n}@shop.example.com,{n}\n"));
    std::iter::once("email,score\n".to_owned()).chain(rows).collect()
}

/// A worker that fell silent after some portions leaves a job whose lease is over and an import that
/// says it is running.
#[test]
fn a_killed_worker_is_followed_by_one_that_goes_on_where_it_was() {
    let client = workspace();
    let id = prepare(&client, csv_of("customers"));
    upload(&client, &id, &file(1300)).expect(200);
    act(&client, &id, "start").expect(200);
    let path = format!("/v1/imports/{id}");
    assert_eq!(counts(&ended(&client, &path)), [1300, 0, 0, 0]);
    // The same from the middle: the place is that of row 600, the rows after it are gone.
    let head = "email,score\n".len();
    let before: usize = (0..600).map(|n| format!("{n}@shop.example.com,{n}\n").len()).sum();
    crash(&client, &id, head + before, (600, 600));
    let done = ended(&client, &path);
    // Those after row 600 are there already, and known by their addresses.
    assert_eq!(counts(&done), [600, 0, 700, 0], "{done}");
    assert_eq!(done["counts"]["total"], 1300);
    let list = client.get("/v1/customers?include_total=true&limit=1").expect(200);
    assert_eq!(list.json["total"], 1300);
}

/// Puts an import back to after some rows, and its worker to silence.
fn crash(client: &Client, id: &str, position: usize, (rows, created): (usize, usize)) {
    let mut pg = APP.owner();
    pg.batch_execute(&format!(
        "delete from import_changes where import_id = '{id}' and row_number > {rows};
         update bulk_jobs set status = 'running', position = {position}, row_count = {rows},
                created_count = {created} where id = '{id}';
         insert into jobs (workspace_id, id, queue, kind, payload, state, run_at, attempts,
                           max_attempts, locked_by, locked_until, created_at)
         values ('{}', '{}', 'bulk', 'imports.run', '{{\"bulk_job_id\": \"{id}\"}}', 'running',
                 now(), 1, 10, '{}', now() - interval '1 second', now())",
        client.workspace_id,
        Uuid::now_v7(),
        Uuid::now_v7(),
    ))
    .expect("a crash");
}

#[test]
fn an_import_of_orders_goes_on_with_the_next_order() {
    let client = workspace();
    let new = json!({ "resource": "orders", "format": "csv", "source": "shop" });
    let id = prepare(&client, new);
    let head = "Id,Lineitem name,Lineitem quantity,Lineitem price\n";
    let rows: Vec<String> = (0..520).map(|n| format!("{n},a,1,1.00\n{n},b,1,2.00\n")).collect();
    upload(&client, &id, &format!("{head}{}", rows.concat())).expect(200);
    act(&client, &id, "start").expect(200);
    let path = format!("/v1/imports/{id}");
    assert_eq!(counts(&ended(&client, &path)), [520, 0, 0, 0]);
    crash(&client, &id, head.len() + rows[..500].concat().len(), (1000, 500));
    assert_eq!(counts(&ended(&client, &path)), [500, 0, 20, 0]);
    let list = client.get("/v1/orders?include_total=true&limit=200").expect(200).json;
    assert_eq!(list["total"], 520);
    let orders = list["data"].as_array().expect("a list");
    assert!(orders.iter().all(|order| order["total"]["amount"] == 300), "both lines each");
}

#[test]
fn an_import_that_is_queued_twice_is_carried_out_once() {
    let client = workspace();
    let id = prepare(&client, csv_of("customers"));
    upload(&client, &id, &file(1500)).expect(200);
    act(&client, &id, "start").expect(200);
    let mut pg = APP.owner();
    pg.batch_execute(&format!(
        "insert into jobs (workspace_id, id, queue, kind, payload, state, run_at, attempts,
                           max_attempts, created_at)
         values ('{}', '{}', 'bulk', 'imports.run', '{{\"bulk_job_id\": \"{id}\"}}', 'queued',
                 now(), 0, 10, now())",
        client.workspace_id,
        Uuid::now_v7(),
    ))
    .expect("a double");
    let both: Vec<_> = (0..2)
        .map(|_| {
            std::thread::spawn(|| {
                ecrm::worker::round(&APP.state, Uuid::now_v7()).expect("a round");
            })
        })
        .collect();
    both.into_iter().for_each(|worker| worker.join().expect("a worker"));
    assert_eq!(counts(&ended(&client, &format!("/v1/imports/{id}"))), [1500, 0, 0, 0]);
}

#[test]
fn a_cancelled_import_stops_and_can_be_reverted() {
    let client = workspace();
    let id = prepare(&client, csv_of("customers"));
    let ready = upload(&client, &id, &file(10)).expect(200).json;
    let started = act(&client, &id, "start").expect(200).json;
    assert_eq!((&ready["progress"], &started["progress"]), (&json!(0.0), &json!(0.0)));
    let cancelled = client.send("POST", &format!("/v1/jobs/{id}/cancel"), &[], None).expect(200);
    assert_eq!(cancelled.json["status"], "cancelled");
    let done = ended(&client, &format!("/v1/imports/{id}"));
    assert_eq!((&done["status"], counts(&done)), (&json!("cancelled"), [0, 0, 0, 0]));
    client
        .send("POST", &format!("/v1/jobs/{id}/cancel"), &[], None)
        .expect_code(409, "invalid_transition");
    act(&client, &id, "revert").expect(200);
    assert_eq!(ended(&client, &format!("/v1/imports/{id}"))["status"], "reverted");
}
