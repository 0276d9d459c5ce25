//! Who a request is about: a customer, everybody who was merged into it, and the browsers that turned
//! out to be theirs; and what the log holds of them.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Text, Uuid as SqlUuid};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::customers::{self, IdentityType};
use crate::db::Conn;
use crate::error::Result;

/// How many touchpoints one statement reads or clears.
pub const PORTION: usize = 1_000;

/// Whose data it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Subject {
    /// The customer, then those that were merged into it.
    pub customers: Vec<Uuid>,
    /// Ids of browsers and apps, under which there may be touchpoints of nobody.
    pub browsers: Vec<String>,
}

const TOUCHPOINTS: &str = "
    select id from touchpoints where workspace_id = $1 and customer_id = any($2)
    union all
    select id from touchpoints
     where workspace_id = $1 and customer_id is null and anonymous_id = any($3)";

/// A number of rows.
#[derive(QueryableByName)]
pub struct Count {
    #[diesel(sql_type = BigInt)]
    pub n: i64,
}

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

impl Subject {
    /// Everything that goes by a customer's id.
    pub fn of(conn: &mut Conn, customer: Uuid) -> Result<Self> {
        let mut customers = customers::merge::tree(conn, customer)?;
        customers.sort_unstable_by_key(|id| *id != customer);
        let marks = customers::identities::of_customers(conn, &customers)?.into_iter();
        let browsers = marks.filter(|(_, kind, _)| *kind == IdentityType::AnonymousId);
        let browsers = browsers.map(|(.., norm)| norm).collect();
        Ok(Self { customers, browsers })
    }

    /// The touchpoints, the oldest first. Ids alone: a long timeline has room in memory, and whoever
    /// goes through it portion by portion sees each once, whatever comes in meanwhile.
    pub fn touchpoints(&self, conn: &mut Conn) -> Result<Vec<Uuid>> {
        let found: Vec<Id> = diesel::sql_query(TOUCHPOINTS)
            .bind::<SqlUuid, _>(conn.workspace)
            .bind::<Array<SqlUuid>, _>(&self.customers)
            .bind::<Array<Text>, _>(&self.browsers)
            .load(conn.pg)?;
        let mut ids: Vec<Uuid> = found.into_iter().map(|found| found.id).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// How many there are.
    pub fn touchpoints_count(&self, conn: &mut Conn) -> Result<i64> {
        let found: Count =
            diesel::sql_query(format!("select count(*) as n from ({TOUCHPOINTS}) all_of_them"))
                .bind::<SqlUuid, _>(conn.workspace)
                .bind::<Array<SqlUuid>, _>(&self.customers)
                .bind::<Array<Text>, _>(&self.browsers)
                .get_result(conn.pg)?;
        Ok(found.n)
    }
}
