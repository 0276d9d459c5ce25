//! Two records, one person: a merge that the caller steers, sees beforehand and can undo exactly.

mod fields;
mod lead;
mod registry;
mod rows;
mod run;

use actix_web::{get, post};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use validator::Validate;

pub use fields::{MergeSides, Side};
pub use lead::{survivor, survivors, way};
pub use registry::{OTHERS, PARTS};
pub use run::{is_being_undone, tree, work};

use super::{Customer, CustomerStatus};
use crate::auth::{Caller, Scope};
use crate::db::json::{Jsonb, RawJson};
use crate::db::keyset::{SortKey, SortKind};
use crate::db::{Conn, Tx, WorkspaceId};
use crate::error::Result;
use crate::http::reply::Plain;
use crate::http::{Found, IfMatch, Json, List, Page, Path, Query, Reply, Versioned};
use crate::journal::TouchpointActor;
use crate::schema::merges;

crate::text_enum! {
    /// How far a merge is.
    pub enum MergeStatus {
        /// Touchpoints still move.
        Running = "running",
        Completed = "completed",
        /// Touchpoints move back.
        Reverting = "reverting",
        Reverted = "reverted",
    }
}

crate::text_enum! {
    /// Why two customers were merged.
    pub enum MergeCause {
        /// Somebody asked for it.
        Manual = "manual",
        /// They shared an identity, and the workspace's policy said so.
        Automatic = "automatic",
        /// Somebody accepted a candidate.
        Candidate = "candidate",
    }
}

/// A merge of one customer into another.
#[derive(Debug, Clone, Queryable, Selectable, Serialize, ToSchema)]
#[diesel(table_name = merges)]
pub struct Merge {
    /// Unique id, a UUIDv7.
    pub id: Uuid,
    /// The customer that stayed.
    pub customer_id: Uuid,
    /// The customer that was merged into it.
    pub source_id: Uuid,
    /// How far it is.
    pub status: MergeStatus,
    /// Why it was done.
    pub cause: MergeCause,
    /// The survivor's fields that changed, with their values before and after; `attributes.<key>` for
    /// an attribute.
    #[schema(value_type = std::collections::BTreeMap<String, MergedField>)]
    pub fields: RawJson,
    /// How many records moved, by kind; of touchpoints those that have moved so far.
    #[schema(value_type = MovedRecords)]
    pub moved: RawJson,
    /// Who did it.
    #[schema(value_type = TouchpointActor)]
    pub actor: RawJson,
    /// Rises by one with every change; the `ETag`.
    pub version: i64,
    /// When it was done.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// When it was undone; null while it holds.
    pub reverted_at: Option<DateTime<Utc>>,
}

/// A field of the survivor that a merge changed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MergedField {
    /// Its value before, any JSON.
    pub from: serde_json::Value,
    /// Its value after: the source's, or one made of both.
    pub to: serde_json::Value,
}

/// How many records changed hands.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct MovedRecords {
    /// Identities.
    pub identities: i64,
    /// Memberships; where both are members of an organization, the source's stays behind.
    pub memberships: i64,
    /// Consents.
    pub consents: i64,
    /// Orders.
    #[serde(default)]
    pub orders: i64,
    /// Carts.
    #[serde(default)]
    pub carts: i64,
    /// Values of unique attributes that the survivor took.
    pub unique_attributes: i64,
    /// Touchpoints that have moved.
    pub touchpoints: i64,
    /// Touchpoints that are to move in all.
    pub touchpoints_total: i64,
}

impl Versioned for Merge {
    const COLLECTION: &'static str = "/v1/merges";

    fn id(&self) -> Uuid {
        self.id
    }

    fn version(&self) -> i64 {
        self.version
    }
}

/// Who is merged into a customer, and whose values count.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMerge {
    /// The customer to merge into the one in the path; its id goes on leading there.
    pub source_id: Uuid,
    /// Whose values count, where the default does not suit.
    #[serde(default)]
    #[validate(nested)]
    pub fields: MergeSides,
}

/// A merge and the customer that came of it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MergeResult {
    /// Id of the merge: `POST /v1/merges/{id}/revert` undoes it.
    pub merge_id: Uuid,
    /// What was done.
    pub merge: Merge,
    /// The survivor.
    pub customer: Customer,
}

/// Which merges to list.
#[derive(Debug, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MergeFilter {
    /// Those in which this customer stayed or was merged.
    pub customer_id: Option<Uuid>,
    /// Those that are so far.
    #[param(inline)]
    pub status: Option<MergeStatus>,
}

const SORT: &[SortKey] = &[SortKey { name: "created_at", column: "merges.id", kind: SortKind::Id }];

/// Merge a customer into another
///
/// The customer in the path stays and takes over the source's identities, memberships and touchpoints.
/// The source's id goes on leading to it. With `dry_run` the answer shows what would move and which
/// fields would change. From 2000 touchpoints on they move in the background: `status` is `running` until
/// they have. `POST /v1/merges/{id}/revert` undoes it.
#[utoipa::path(tag = "customers", security(("bearer" = ["customers:write"])), responses((status = 200, body = MergeResult)))]
#[post("/customers/{id}/merge")]
pub async fn merge_customers(caller: Caller, id: Path<Uuid>, new: Json<NewMerge>) -> Result<Reply> {
    let grant = caller.must(Scope::CustomersWrite)?;
    grant.write(move |tx| merge(tx, *id, &new, MergeCause::Manual).map(Plain)).await
}

/// Joins two customers because the workspace's policy says so.
pub fn join(tx: &mut Tx, survivor: Uuid, source: Uuid) -> Result<()> {
    run::merge(tx, survivor, source, &MergeSides::default(), MergeCause::Automatic).map(drop)
}

/// Merges and shows the result.
pub fn merge(
    tx: &mut Tx,
    survivor: Uuid,
    new: &NewMerge,
    cause: MergeCause,
) -> Result<MergeResult> {
    let id = run::merge(tx, survivor, new.source_id, &new.fields, cause)?;
    let merge = Merge::find(tx, id)?;
    Ok(MergeResult { merge_id: id, merge, customer: Customer::find(tx, survivor)? })
}

/// List merges
#[utoipa::path(tag = "customers", security(("bearer" = ["customers:read"])), params(Page, MergeFilter), responses((status = 200, body = List<Merge>)))]
#[get("/merges")]
pub async fn list_merges(
    caller: Caller,
    page: Query<Page>,
    filter: Query<MergeFilter>,
) -> Result<Reply> {
    let grant = caller.must(Scope::CustomersRead)?;
    let slice = page.slice(&grant, "merges", SORT, &filter.0)?;
    grant
        .list(move |conn| {
            let workspace = conn.workspace;
            let matching = || {
                let mut found = of(workspace).into_boxed();
                if let Some(customer) = filter.customer_id {
                    let either =
                        merges::customer_id.eq(customer).or(merges::source_id.eq(customer));
                    found = found.filter(either);
                }
                match filter.status {
                    Some(status) => found.filter(merges::status.eq(status)),
                    None => found,
                }
            };
            let total = slice.total(|| matching().count().get_result(conn.pg))?;
            let rows = matching()
                .filter(slice.after.clone())
                .order(slice.order.clone())
                .limit(slice.fetch())
                .select(Merge::as_select())
                .load(conn.pg)?;
            slice.list(rows, total)
        })
        .await
}

/// Get a merge
#[utoipa::path(tag = "customers", security(("bearer" = ["customers:read"])), responses((status = 200, body = Merge)))]
#[get("/merges/{id}")]
pub async fn get_merge(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::CustomersRead)?;
    grant.read(move |conn| Merge::find(conn, *id).map(Found)).await
}

/// Undo a merge
///
/// The source is a customer of its own again, with everything that first belonged to it, or to those
/// merged into it before, and with what has arrived through its identities since. Fields of the
/// survivor that still are as the merge left them get their values of before. Undoing what is undone
/// changes nothing. 409 while the survivor is merged itself: undo that merge first.
#[utoipa::path(tag = "customers", security(("bearer" = ["customers:write"])), responses((status = 200, body = Merge), (status = 412)))]
#[post("/merges/{id}/revert")]
pub async fn revert_merge(caller: Caller, id: Path<Uuid>, if_match: IfMatch) -> Result<Reply> {
    let grant = caller.must(Scope::CustomersWrite)?;
    grant
        .write(move |tx| {
            run::revert(tx, *id, if_match)?;
            Merge::find(tx, *id).map(Found)
        })
        .await
}

#[diesel::dsl::auto_type(no_type_alias)]
fn of(workspace: WorkspaceId) -> _ {
    merges::table.filter(merges::workspace_id.eq(workspace))
}

/// The customer that this one was part of at `at`, by a merge that held then. One whose touchpoints
/// move back for a while holds until they have.
pub fn part_of(conn: &mut Conn, id: Uuid, at: DateTime<Utc>) -> Result<Option<Uuid>> {
    let then = of(conn.workspace)
        .filter(merges::source_id.eq(id))
        .filter(merges::created_at.le(at))
        .filter(merges::reverted_at.is_null().or(merges::reverted_at.gt(at)));
    Ok(then.order(merges::id.desc()).select(merges::customer_id).first(conn.pg).optional()?)
}

/// The status that a merged customer had before.
pub fn former_status(conn: &mut Conn, id: Uuid) -> Result<CustomerStatus> {
    let last = of(conn.workspace).filter(merges::source_id.eq(id)).order(merges::id.desc());
    let kept: Option<Jsonb<Value>> = last.select(merges::kept).first(conn.pg).optional()?;
    let status = kept.and_then(|kept| kept.0["status"].as_str()?.parse().ok());
    Ok(status.unwrap_or(CustomerStatus::Active))
}

impl Merge {
    fn find(conn: &mut Conn, id: Uuid) -> Result<Self> {
        let query = of(conn.workspace).filter(merges::id.eq(id));
        Ok(query.select(Self::as_select()).first(conn.pg)?)
    }

    fn lock(tx: &mut Tx, id: Uuid) -> Result<Self> {
        let query = of(tx.workspace).filter(merges::id.eq(id));
        Ok(query.select(Self::as_select()).for_update().first(tx.pg)?)
    }

    fn moved(&self) -> Result<MovedRecords> {
        self.moved.parse()
    }

    /// Notes how far it is.
    fn advance(&self, tx: &mut Tx, status: MergeStatus, moved: &MovedRecords) -> Result<()> {
        diesel::update(of(tx.workspace).filter(merges::id.eq(self.id)))
            .set((
                merges::status.eq(status),
                merges::moved.eq(Jsonb(moved.clone())),
                merges::version.eq(merges::version + 1),
                merges::updated_at.eq(tx.now),
                merges::reverted_at.eq((status == MergeStatus::Reverted).then_some(tx.now)),
            ))
            .execute(tx.pg)?;
        Ok(())
    }
}
