//! Where the id of a merged customer leads.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, Uuid as SqlUuid};
use uuid::Uuid;

use crate::db::Conn;
use crate::error::Result;

#[derive(QueryableByName)]
struct Lead {
    #[diesel(sql_type = SqlUuid)]
    asked: Uuid,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// The customer that a merged one is now part of, over any number of merges; none where the id is not
/// that of a merged customer.
pub fn survivor(conn: &mut Conn, id: Uuid) -> Result<Option<Uuid>> {
    Ok(survivors(conn, &[id])?.remove(&id))
}

/// The same for many, with one statement.
pub fn survivors(conn: &mut Conn, ids: &[Uuid]) -> Result<HashMap<Uuid, Uuid>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let leads: Vec<Lead> = diesel::sql_query(
        "with recursive way(asked, id) as (
             select id, merged_into_id from customers
              where workspace_id = $1 and id = any($2) and merged_into_id is not null
             union
             select way.asked, c.merged_into_id
               from way join customers c on c.id = way.id
              where c.workspace_id = $1 and c.merged_into_id is not null
         )
         select way.asked, way.id
           from way join customers c on c.id = way.id
          where c.workspace_id = $1 and c.merged_into_id is null and c.deleted_at is null",
    )
    .bind::<SqlUuid, _>(conn.workspace)
    .bind::<Array<SqlUuid>, _>(ids)
    .load(conn.pg)?;
    Ok(leads.into_iter().map(|lead| (lead.asked, lead.id)).collect())
}

/// The customer and all that it was merged into, one after the other, deleted or not: what was told
/// of it lies with the last, and on the way there while a merge still moves it.
pub fn way(conn: &mut Conn, id: Uuid) -> Result<Vec<Uuid>> {
    #[derive(QueryableByName)]
    struct Step {
        #[diesel(sql_type = SqlUuid)]
        id: Uuid,
    }
    let steps: Vec<Step> = diesel::sql_query(
        "with recursive way(id) as (
             select $2
             union
             select c.merged_into_id from way join customers c on c.id = way.id
              where c.workspace_id = $1 and c.merged_into_id is not null
         )
         select id from way",
    )
    .bind::<SqlUuid, _>(conn.workspace)
    .bind::<SqlUuid, _>(id)
    .load(conn.pg)?;
    Ok(steps.into_iter().map(|step| step.id).collect())
}
