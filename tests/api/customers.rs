//! Customers: made, read, changed, deleted and brought back.

mod batch;
mod create;
mod delete;
mod patch;
mod refusals;
mod upsert;

use diesel::RunQueryDsl;
use diesel::sql_types::Text;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, App, Client, sums_of};

pub const PATH: &str = "/v1/customers";

pub fn at(id: &str) -> String {
    format!("{PATH}/{id}")
}

/// Makes a customer of these fields.
pub fn create(client: &Client, body: Value) -> Answer {
    client.post(PATH, body).expect(201)
}

/// The id of a new customer with this email.
pub fn with_email(client: &Client, email: &str) -> String {
    create(client, json!({ "email": email })).id()
}

/// The rows of a list.
#[track_caller]
pub fn rows(answer: &Answer) -> &Vec<Value> {
    answer.json["data"].as_array().unwrap_or_else(|| panic!("no list: {}", answer.text))
}

/// One field of every row of a list, as text.
#[track_caller]
pub fn texts(answer: &Answer, field: &str) -> Vec<String> {
    rows(answer).iter().map(|row| row[field].as_str().unwrap_or_default().to_owned()).collect()
}

/// The types of a customer's touchpoints, oldest first.
pub fn kinds(client: &Client, id: &str) -> Vec<String> {
    let path = format!("{PATH}/{id}/timeline?sort=occurred_at&limit=200");
    texts(&client.get(&path).expect(200), "type")
}

/// The customer who holds an email.
pub fn holder(client: &Client, email: &str) -> Answer {
    client.get(&format!("{PATH}/lookup?type=email&value={}", email.replace('+', "%2B")))
}

#[derive(diesel::QueryableByName)]
struct Table {
    #[diesel(sql_type = Text)]
    name: String,
}

/// One number per table over the rows of a workspace of the shared service, which others cannot
/// change meanwhile. Of keys the time of the last use may, and a worker that another test drives may
/// seal the events of every workspace.
pub fn footprint(workspace: Uuid) -> Vec<(String, i64)> {
    let mut pg = App::shared().owner();
    let tables: Vec<Table> = diesel::sql_query(
        "select c.relname::text as name from pg_class c join pg_attribute a on a.attrelid = c.oid
          where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
            and not c.relispartition and a.attname = 'workspace_id'
            and c.relname not in ('api_keys', 'audit_seals', 'changes', 'feed_heads', 'outbox')
          order by 1",
    )
    .load(&mut pg)
    .expect("tables");
    let sums = tables.iter().map(|Table { name }| {
        format!(
            "select '{name}' as name, coalesce(sum(hashtextextended((to_jsonb(t) - 'seal_id')::text, 0)
               ::numeric % 1000000007), 0)::bigint as sum from {name} t where workspace_id = '{workspace}'"
        )
    });
    sums_of(&mut pg, sums)
}

/// Fails unless `act` leaves every row of the workspace as it was.
#[track_caller]
pub fn unchanged<T>(client: &Client, act: impl FnOnce() -> T) -> T {
    let before = footprint(client.workspace_id);
    let done = act();
    let changed = changes(&before, client);
    assert!(changed.is_empty(), "written to: {}", changed.join(", "));
    done
}

/// The tables in which a workspace's rows are not what they were.
pub fn changes(before: &[(String, i64)], client: &Client) -> Vec<String> {
    let after = footprint(client.workspace_id).into_iter();
    after.zip(before).filter(|(now, then)| now != *then).map(|(now, _)| now.0).collect()
}

/// How many touchpoints a workspace has, besides those of making it.
pub fn touchpoints(client: &Client) -> i64 {
    let total = |query: &str| {
        let path = format!("/v1/touchpoints?limit=1&include_total=true{query}");
        client.get(&path).expect(200).json["total"].as_i64().expect("a total")
    };
    total("") - total("&type=workspace.created,api_key.created,user.created")
}
