//! Finding them: for one customer while somebody waits, for a whole workspace in the background.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{Text, Uuid as SqlUuid};
use uuid::Uuid;

use super::{CandidateReason, Duplicate, suggest};
use crate::app::App;
use crate::customers::Customer;
use crate::db::{Conn, Outcome, Session, Tx};
use crate::error::Result;
use crate::jobs::Job;

#[derive(QueryableByName)]
struct Pair {
    #[diesel(sql_type = SqlUuid)]
    one: Uuid,
    #[diesel(sql_type = SqlUuid)]
    other: Uuid,
    #[diesel(sql_type = Text)]
    reason: CandidateReason,
}

/// What two customers are compared by: the mailbox (what stands after a `+` leads to the same one, and
/// Google's ignores dots), the last nine digits of the phone number, and name and address together. A
/// key that many share says nothing about a person: more than 20 are a shop's address, not a double.
const COMPARED: &str = "
), keyed as (
    select id,
           case when split_part(email, '@', 2) in ('gmail.com', 'googlemail.com')
                then replace(split_part(split_part(email, '@', 1), '+', 1), '.', '') || '@gmail.com'
                else split_part(split_part(email, '@', 1), '+', 1) || '@' || split_part(email, '@', 2)
           end as mailbox,
           case when char_length(phone) >= 10 then right(phone, 9) end as number,
           lower(concat_ws(' ', first_name, last_name)) as name, addresses
      from pool
), lives as (
    select id, name, lower(a ->> 'postal_code') as postal_code, lower(a ->> 'line1') as line1
      from keyed, jsonb_array_elements(addresses) a
     where a ->> 'postal_code' is not null and a ->> 'line1' is not null and char_length(name) > 3
), mailboxes as (
    select mailbox from keyed where mailbox is not null
     group by mailbox having count(*) between 2 and 20
), numbers as (
    select number from keyed where number is not null
     group by number having count(*) between 2 and 20
), places as (
    select postal_code, left(line1, 6) as street from lives
     group by 1, 2 having count(*) between 2 and 20
), pairs as (
    select a.id as one, b.id as other, 'same_email' as reason
      from mailboxes join keyed a using (mailbox) join keyed b using (mailbox)
     where a.id < b.id
    union
    select a.id, b.id, 'same_phone'
      from numbers join keyed a using (number) join keyed b using (number)
     where a.id < b.id
    union
    select a.id, b.id, 'similar_name_and_address'
      from places p
      join lives a on a.postal_code = p.postal_code and left(a.line1, 6) = p.street
      join lives b on b.postal_code = p.postal_code and left(b.line1, 6) = p.street
     where a.id < b.id and similarity(a.name, b.name) > 0.5 and similarity(a.line1, b.line1) > 0.5
)
select one, other, reason from pairs
 where not exists (
   select from merge_candidates m
    where m.workspace_id = $1 and m.customer_id = one and m.other_id = other
";

/// Everybody.
const ALL: &str = "
with pool as (
    select id, email, phone, first_name, last_name, addresses from customers
     where workspace_id = $1 and deleted_at is null and merged_into_id is null";

/// Those whose names, addresses and numbers look like one customer's, by the index for searching, and
/// the customer.
const LIKE_ONE: &str = "
with me as (
    select search_key, phone from customers where workspace_id = $1 and id = $2
), pool as (
    select c.id, c.email, c.phone, c.first_name, c.last_name, c.addresses
      from me, customers c
     where c.workspace_id = $1 and c.deleted_at is null and c.merged_into_id is null
       and (c.id = $2 or c.search_key % me.search_key
            or c.search_key like '%' || right(me.phone, 9) || '%')";

/// Pairs that were found before count again unless somebody dismissed them.
const NOT_DISMISSED: &str = "
      and m.status <> 'open')
   and (one = $2 or other = $2)
 limit 200";

/// Pairs that were found before need not be found again.
const NEW: &str = ") limit 10000";

/// Who may be the same person as this customer.
pub fn duplicates(conn: &mut Conn, id: Uuid) -> Result<Vec<Duplicate>> {
    let mut reasons: BTreeMap<Uuid, Vec<CandidateReason>> = BTreeMap::new();
    let found = pairs(conn, [LIKE_ONE, COMPARED, NOT_DISMISSED], id)?;
    for Pair { one, other, reason } in found.into_iter().chain(suggested(conn, id)?) {
        let reasons = reasons.entry(if one == id { other } else { one }).or_default();
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    let ids: Vec<Uuid> = reasons.keys().copied().take(50).collect();
    let customers = Customer::find_many(conn, &ids)?;
    let found = customers.into_iter().filter_map(|customer| {
        Some(Duplicate { reasons: reasons.remove(&customer.fields.id)?, customer })
    });
    Ok(found.collect())
}

fn pairs(conn: &mut Conn, parts: [&'static str; 3], id: Uuid) -> Result<Vec<Pair>> {
    Ok(diesel::sql_query(parts.concat())
        .bind::<SqlUuid, _>(conn.workspace)
        .bind::<SqlUuid, _>(id)
        .load(conn.pg)?)
}

/// Open candidates that name the customer.
fn suggested(conn: &mut Conn, id: Uuid) -> Result<Vec<Pair>> {
    Ok(diesel::sql_query(
        "select customer_id as one, other_id as other, reason from merge_candidates
          where workspace_id = $1 and status = 'open' and (customer_id = $2 or other_id = $2)
          limit 50",
    )
    .bind::<SqlUuid, _>(conn.workspace)
    .bind::<SqlUuid, _>(id)
    .load(conn.pg)?)
}

/// The job that looks through a whole workspace.
pub fn scan(app: &App, session: &Session, _: &Job) -> Result<()> {
    app.db.write(session, &|tx| note_all(tx).map(Outcome::Commit))
}

fn note_all(tx: &mut Tx) -> Result<()> {
    diesel::sql_query("set local statement_timeout = '10min'").execute(tx.pg)?;
    for Pair { one, other, reason } in pairs(tx, [ALL, COMPARED, NEW], Uuid::nil())? {
        suggest(tx, one, other, reason)?;
    }
    Ok(())
}
