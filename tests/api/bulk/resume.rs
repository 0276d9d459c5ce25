//! Crashes, cancels and doubles: no row is lost, none is taken in twice.

use diesel::connection::SimpleConnection;
use serde_json::json;
use uuid::Uuid;

use super::{APP, act, counts, csv_of, ended, prepare, upload, workspace};

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
    let mut pg = APP.owner();
    pg.batch_execute(&format!(
        "delete from import_changes where import_id = '{id}' and row_number > 600;
         update bulk_jobs set status = 'running', position = {}, row_count = 600,
                created_count = 600 where id = '{id}';
         insert into jobs (workspace_id, id, queue, kind, payload, state, run_at, attempts,
                           max_attempts, locked_by, locked_until, created_at)
         values ('{}', '{}', 'bulk', 'imports.run', '{{\"bulk_job_id\": \"{id}\"}}', 'running',
                 now(), 1, 10, '{}', now() - interval '1 second', now())",
        head + before,
        client.workspace_id,
        Uuid::now_v7(),
        Uuid::now_v7(),
    ))
    .expect("a crash");
    let done = ended(&client, &path);
    // Those after row 600 are there already, and known by their addresses.
    assert_eq!(counts(&done), [600, 0, 700, 0], "{done}");
    assert_eq!(done["counts"]["total"], 1300);
    let list = client.get("/v1/customers?include_total=true&limit=1").expect(200);
    assert_eq!(list.json["total"], 1300);
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
    upload(&client, &id, &file(10)).expect(200);
    act(&client, &id, "start").expect(200);
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
