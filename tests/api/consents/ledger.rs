//! The ledger and what follows from it: nothing else decides what holds today.

use diesel::RunQueryDsl;
use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::sql_types::{BigInt, Uuid as SqlUuid};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{about, ada, email, link, one_click, path, put, reach, says, state, with};
use crate::customers::create;
use crate::harness::{App, Client, workspace};

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// Every consent, made again from its events alone by the database, and compared column by column.
const DIFFERENCES: &str = "
    with last as (
      select distinct on (consent_id) * from consent_events where workspace_id = $1
       order by consent_id, occurred_at desc, version
    ), times as (
      select consent_id, count(*) as version,
             min(recorded_at) as created_at, max(version) as last_version,
             max(occurred_at) filter (where state = 'granted') as granted_at,
             max(occurred_at) filter (where state = 'withdrawn') as withdrawn_at,
             max(occurred_at) filter (where state = 'pending') as sent_at,
             max(occurred_at) filter (where method = 'double_opt_in') as confirmed_at
        from consent_events where workspace_id = $1 group by consent_id
    ), rebuilt as (
      select consent_id as id, origin_customer_id, channel_type, purpose, topic, state, lawful_basis,
             soft_opt_in, method, source, evidence, sent_at, confirmed_at, granted_at, withdrawn_at,
             expires_at, last.id as event_id, occurred_at as decided_at, times.version, last_version,
             created_at
        from last join times using (consent_id)
    ), stored as (
      select id, origin_customer_id, channel_type, purpose, topic, state, lawful_basis,
             soft_opt_in, method, source, evidence, double_opt_in_sent_at, double_opt_in_confirmed_at,
             granted_at, withdrawn_at, expires_at, event_id, decided_at, version, version, created_at
        from consents where workspace_id = $1
    )
    select count(*) as count from (
      (select * from rebuilt except all select * from stored) union all
      (select * from stored except all select * from rebuilt)) differences";

fn count(sql: &str, workspace: Uuid) -> i64 {
    let query = diesel::sql_query(sql).bind::<SqlUuid, _>(workspace);
    query.get_result::<Count>(&mut App::shared().owner()).expect("a count").count
}

#[track_caller]
fn is_rebuilt(client: &Client, least: i64) {
    assert_eq!(count(DIFFERENCES, client.workspace_id), 0);
    let all = "select count(*) as count from consent_events where workspace_id = $1";
    let events = count(all, client.workspace_id);
    assert!(events >= least, "only {events} events");
}

/// Whatever is said, in whatever order, with whatever times.
#[test]
fn what_holds_today_can_be_made_again_from_the_ledger() {
    let client = workspace();
    let people: Vec<String> = (0..4).map(|_| create(&client, json!({})).id()).collect();
    // A walk that is the same each time and visits every combination there is.
    let mut step = 7_usize;
    let mut pick = |count: usize| {
        step = (step * 31 + 11) % 10_007;
        step % count
    };
    for _ in 0..150 {
        let to = ["granted", "withdrawn", "denied", "pending"][pick(4)];
        let item = match pick(3) {
            0 => says(["email", "sms"][pick(2)], "marketing", to),
            _ => about(["climbing", "skiing"][pick(2)], to),
        };
        let year = 2015 + pick(9);
        let past = json!({ "consented_at": format!("{year}-05-01T00:00:00Z"), "source": "import" });
        let item = if pick(2) == 0 { with(item, past) } else { item };
        // What the state machine refuses leaves nothing; that is tried as well.
        let answer = put(&client, &people[pick(4)], &[item]);
        assert!([200, 409].contains(&answer.status), "{}", answer.text);
    }
    for customer in &people {
        one_click(&client, &link(&client, customer, None)).expect(200);
    }
    is_rebuilt(&client, 80);
}

#[test]
fn the_comparison_finds_a_row_that_does_not_follow() {
    let client = workspace();
    email(&client, &ada(&client), "withdrawn");
    is_rebuilt(&client, 1);
    let id = client.workspace_id;
    let forged = format!("update consents set state = 'granted' where workspace_id = '{id}'");
    App::shared().owner().batch_execute(&forged).expect("forged");
    assert_eq!(count(DIFFERENCES, id), 2);
}

/// The role that the service has cannot change or delete what was said.
#[test]
fn the_ledger_can_be_added_to_and_nothing_else() {
    let client = workspace();
    email(&client, &ada(&client), "granted");
    let app = App::shared();
    let url = app.state.config.database_url.clone().expect("a database");
    let mut pg = <PgConnection as diesel::Connection>::establish(&url).expect("the service's role");
    pg.batch_execute("set ecrm.workspaces = '*'").expect("no tripwire");
    for statement in [
        "update consent_events set state = 'granted'",
        "delete from consent_events",
        "truncate consent_events",
    ] {
        let refused = pg.batch_execute(statement).expect_err("no right to do that").to_string();
        assert!(refused.contains("permission denied"), "{statement}: {refused}");
    }
    is_rebuilt(&client, 1);
}

/// Two customers that turn out to be one, as a merge makes them: rows change hands, origins stay.
fn merge(client: &Client, source: &str, survivor: &str) {
    let id = client.workspace_id;
    let sql = format!(
        "update customers set merged_into_id = '{survivor}', status = 'merged'
          where workspace_id = '{id}' and id = '{source}';
         update consents set customer_id = '{survivor}'
          where workspace_id = '{id}' and customer_id = '{source}'"
    );
    App::shared().owner().batch_execute(&sql).expect("merged");
}

fn revert(client: &Client, source: &str) {
    let id = client.workspace_id;
    let sql = format!(
        "update customers set merged_into_id = null, status = 'active'
          where workspace_id = '{id}' and id = '{source}';
         update consents set customer_id = origin_customer_id
          where workspace_id = '{id}' and origin_customer_id = '{source}'"
    );
    App::shared().owner().batch_execute(&sql).expect("reverted");
}

#[test]
fn of_two_who_are_one_the_latest_word_holds() {
    for (first, second) in [("granted", "withdrawn"), ("withdrawn", "granted")] {
        let client = workspace();
        let (ada, twin) = (ada(&client), create(&client, json!({})).id());
        email(&client, &ada, first);
        email(&client, &twin, second);
        merge(&client, &twin, &ada);
        let verdict = reach(&client, &ada, "email", "purpose=marketing");
        assert_eq!(verdict, (second == "granted", second.into()));
        let history = client.get(&format!("{}/history", path(&ada))).expect(200);
        assert_eq!(history.json["data"].as_array().map(Vec::len), Some(2));
        is_rebuilt(&client, 2);
    }
}

/// A no said while two were one stays with both when they are parted; a yes with who said it.
#[test]
fn a_merge_that_is_undone_gives_each_its_own_word_back() {
    let client = workspace();
    let (ada, twin) = (ada(&client), create(&client, json!({})).id());
    let token = link(&client, &twin, Some("climbing"));
    put(&client, &twin, &[says("sms", "marketing", "granted"), about("climbing", "granted")])
        .expect(200);
    merge(&client, &twin, &ada);
    put(&client, &ada, &[about("climbing", "granted"), about("skiing", "granted")]).expect(200);
    // The link of the one who is merged leads to the survivor, and its word is kept under its name.
    one_click(&client, &token).expect(200);
    assert_eq!(reach(&client, &ada, "email", "purpose=marketing&topic=climbing").1, "withdrawn");
    revert(&client, &twin);
    assert_eq!(state(&client, &twin, Some("climbing")), "withdrawn");
    assert_eq!(super::states(&client, &twin).len(), 2);
    assert_eq!(state(&client, &ada, Some("skiing")), "granted");
    is_rebuilt(&client, 4);
}

#[test]
fn the_ledger_of_a_deleted_customer_is_there_when_it_is_restored() {
    let client = workspace();
    let ada = ada(&client);
    email(&client, &ada, "granted");
    let token = link(&client, &ada, None);
    client.delete(&crate::customers::at(&ada)).expect(204);
    // Who is deleted here has not stopped being a person who can say no.
    one_click(&client, &token).expect(200);
    client.post(&format!("{}/restore", crate::customers::at(&ada)), json!({})).expect(200);
    assert_eq!(state(&client, &ada, None), "withdrawn");
    let none: Vec<Value> = Vec::new();
    assert_ne!(client.get(&path(&ada)).expect(200).json["data"], json!(none));
}
