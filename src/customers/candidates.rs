//! Customers who may be the same person: found, shown with the reason, and decided by somebody.

mod find;

use actix_web::http::StatusCode;
use actix_web::{get, post};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use validator::Validate;

pub use find::scan;

use super::Customer;
use super::merge::{self, MergeCause, MergeResult, MergeSides, NewMerge};
use crate::audit;
use crate::auth::{Caller, Scope};
use crate::db::keyset::{SortKey, SortKind};
use crate::db::{Conn, Tx, WorkspaceId};
use crate::error::{Error, OnConstraint, Result};
use crate::http::reply::Plain;
use crate::http::{Found, IfMatch, Json, List, Page, Path, Query, Reply, Versioned};
use crate::jobs::{self, NewJob, Priority};
use crate::schema::merge_candidates;

crate::text_enum! {
    /// Why two customers may be the same person.
    pub enum CandidateReason {
        /// A sender named marks of both for one person.
        SharedIdentity = "shared_identity",
        /// Their email addresses reach the same mailbox.
        SameEmail = "same_email",
        /// Their phone numbers end alike.
        SamePhone = "same_phone",
        /// Their names and postal addresses are alike.
        SimilarNameAndAddress = "similar_name_and_address",
    }
}

crate::text_enum! {
    /// What somebody decided about a candidate.
    pub enum CandidateStatus {
        Open = "open",
        /// They were merged.
        Accepted = "accepted",
        /// They are two people; the pair is not suggested again.
        Dismissed = "dismissed",
    }
}

/// Two customers who may be the same person.
#[derive(Debug, Clone, Queryable, Selectable, Serialize, ToSchema)]
#[diesel(table_name = merge_candidates)]
pub struct MergeCandidate {
    /// Unique id, a UUIDv7.
    pub id: Uuid,
    /// One of the two.
    pub customer_id: Uuid,
    /// The other.
    pub other_id: Uuid,
    /// Why they may be the same person.
    pub reason: CandidateReason,
    /// What somebody decided.
    pub status: CandidateStatus,
    /// The merge that came of it.
    pub merge_id: Option<Uuid>,
    /// Rises by one with every change; the `ETag`.
    pub version: i64,
    /// When they were first found.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

impl Versioned for MergeCandidate {
    const COLLECTION: &'static str = "/v1/merge_candidates";

    fn id(&self) -> Uuid {
        self.id
    }

    fn version(&self) -> i64 {
        self.version
    }
}

/// Which candidates to list.
#[derive(Debug, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MergeCandidateFilter {
    /// Those that are so far; `open` ones unless said otherwise.
    #[param(inline)]
    pub status: Option<CandidateStatus>,
    /// Those found for this reason.
    #[param(inline)]
    pub reason: Option<CandidateReason>,
}

/// How to merge the two.
#[derive(Debug, Clone, Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MergeDecision {
    /// Which of the two stays; the older one unless said otherwise.
    pub survivor_id: Option<Uuid>,
    /// Whose values count, where the default does not suit.
    #[validate(nested)]
    pub fields: MergeSides,
}

/// A customer who may be the same person as another.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Duplicate {
    /// The other customer.
    pub customer: Customer,
    /// Why they may be the same person.
    pub reasons: Vec<CandidateReason>,
}

/// A search for duplicates that was asked for.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MergeCandidateScan {
    /// Whether it was queued by this request; false where one waits already.
    pub is_new: bool,
}

const SORT: &[SortKey] =
    &[SortKey { name: "created_at", column: "merge_candidates.id", kind: SortKind::Id }];

#[diesel::dsl::auto_type(no_type_alias)]
fn of(workspace: WorkspaceId) -> _ {
    merge_candidates::table.filter(merge_candidates::workspace_id.eq(workspace))
}

/// List a customer's possible duplicates
///
/// Found now, by the same rules as a scan of the workspace: mailboxes, phone numbers, names with
/// addresses; and pairs that were suggested before. Those that somebody dismissed are left out. At
/// most 50.
#[utoipa::path(tag = "customers", security(("bearer" = ["customers:read"])), responses((status = 200, body = List<Duplicate>)))]
#[get("/customers/{id}/duplicates")]
pub async fn list_duplicates(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::CustomersRead)?;
    grant
        .read(move |conn| {
            let id = Customer::current_id(conn, *id)?;
            Ok(List::whole(find::duplicates(conn, id)?))
        })
        .await
}

/// List merge candidates
#[utoipa::path(tag = "customers", security(("bearer" = ["customers:read"])), params(Page, MergeCandidateFilter), responses((status = 200, body = List<MergeCandidate>)))]
#[get("/merge_candidates")]
pub async fn list_merge_candidates(
    caller: Caller,
    page: Query<Page>,
    filter: Query<MergeCandidateFilter>,
) -> Result<Reply> {
    let grant = caller.must(Scope::CustomersRead)?;
    let slice = page.slice(&grant, "merge_candidates", SORT, &filter.0)?;
    grant
        .list(move |conn| {
            let workspace = conn.workspace;
            let matching = || {
                let status = filter.status.unwrap_or(CandidateStatus::Open);
                let found = of(workspace).filter(merge_candidates::status.eq(status)).into_boxed();
                match filter.reason {
                    Some(reason) => found.filter(merge_candidates::reason.eq(reason)),
                    None => found,
                }
            };
            let total = slice.total(|| matching().count().get_result(conn.pg))?;
            let rows = matching()
                .filter(slice.after.clone())
                .order(slice.order.clone())
                .limit(slice.fetch())
                .select(MergeCandidate::as_select())
                .load(conn.pg)?;
            slice.list(rows, total)
        })
        .await
}

/// Get a merge candidate
#[utoipa::path(tag = "customers", security(("bearer" = ["customers:read"])), responses((status = 200, body = MergeCandidate)))]
#[get("/merge_candidates/{id}")]
pub async fn get_merge_candidate(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::CustomersRead)?;
    grant.read(move |conn| MergeCandidate::find(conn, *id).map(Found)).await
}

/// Search the whole workspace for duplicates
///
/// In the background; what it finds are merge candidates.
#[utoipa::path(tag = "customers", security(("bearer" = ["customers:write"])), responses((status = 202, body = MergeCandidateScan)))]
#[post("/merge_candidates/scan")]
pub async fn scan_merge_candidates(caller: Caller) -> Result<Reply> {
    let grant = caller.must(Scope::CustomersWrite)?;
    grant
        .write(|tx| {
            let job = NewJob {
                queue: "merges",
                priority: Priority::Bulk,
                kind: "customers.scan",
                payload: json!({}),
                run_at: tx.now,
                unique_key: Some("customers.scan".into()),
            };
            let (workspace, now) = (tx.workspace, tx.now);
            let is_new = jobs::enqueue(tx.pg, workspace, &job, now)?;
            Reply::json(StatusCode::ACCEPTED, &MergeCandidateScan { is_new })
        })
        .await
}

/// Merge the two customers of a candidate
#[utoipa::path(tag = "customers", security(("bearer" = ["customers:write"])), responses((status = 200, body = MergeResult), (status = 412)))]
#[post("/merge_candidates/{id}/accept")]
pub async fn accept_merge_candidate(
    caller: Caller,
    id: Path<Uuid>,
    if_match: IfMatch,
    decision: Json<MergeDecision>,
) -> Result<Reply> {
    let grant = caller.must(Scope::CustomersWrite)?;
    grant
        .write(move |tx| {
            let candidate = MergeCandidate::lock(tx, *id)?;
            if_match.check(candidate.version)?;
            candidate.accept(tx, &decision).map(Plain)
        })
        .await
}

/// Dismiss a merge candidate
///
/// The two are different people: the pair is not suggested again.
#[utoipa::path(tag = "customers", security(("bearer" = ["customers:write"])), responses((status = 200, body = MergeCandidate), (status = 412)))]
#[post("/merge_candidates/{id}/dismiss")]
pub async fn dismiss_merge_candidate(
    caller: Caller,
    id: Path<Uuid>,
    if_match: IfMatch,
) -> Result<Reply> {
    let grant = caller.must(Scope::CustomersWrite)?;
    grant
        .write(move |tx| {
            let candidate = MergeCandidate::lock(tx, *id)?;
            if_match.check(candidate.version)?;
            candidate.decide(tx, CandidateStatus::Dismissed, None)?;
            MergeCandidate::find(tx, *id).map(Found)
        })
        .await
}

/// Notes that two customers may be the same person, unless that was noted before.
pub fn suggest(tx: &mut Tx, one: Uuid, other: Uuid, reason: CandidateReason) -> Result<()> {
    use merge_candidates as m;
    let id = tx.new_id();
    diesel::insert_into(m::table)
        .values((
            m::workspace_id.eq(tx.workspace),
            m::id.eq(id),
            m::customer_id.eq(one.min(other)),
            m::other_id.eq(one.max(other)),
            m::reason.eq(reason),
            m::status.eq(CandidateStatus::Open),
            m::version.eq(1_i64),
            m::created_at.eq(tx.now),
            m::updated_at.eq(tx.now),
        ))
        .on_conflict_do_nothing()
        .execute(tx.pg)
        .on_constraint("merge_candidates_customer_exists", Error::not_found)
        .on_constraint("merge_candidates_other_exists", Error::not_found)?;
    Ok(())
}

impl MergeCandidate {
    fn find(conn: &mut Conn, id: Uuid) -> Result<Self> {
        let query = of(conn.workspace).filter(merge_candidates::id.eq(id));
        Ok(query.select(Self::as_select()).first(conn.pg)?)
    }

    fn lock(tx: &mut Tx, id: Uuid) -> Result<Self> {
        let query = of(tx.workspace).filter(merge_candidates::id.eq(id));
        Ok(query.select(Self::as_select()).for_update().first(tx.pg)?)
    }

    /// Merges whoever the two are by now: either may have been merged since.
    fn accept(&self, tx: &mut Tx, decision: &MergeDecision) -> Result<MergeResult> {
        if self.status != CandidateStatus::Open {
            return Err(Error::transition("the candidate was decided already", &[]));
        }
        let pair = [self.customer_id, self.other_id];
        let survivor = decision.survivor_id.unwrap_or(self.customer_id);
        if !pair.contains(&survivor) {
            let detail = "`survivor_id` must be one of the two customers of the candidate";
            return Err(Error::field("#/survivor_id", "not_found", detail));
        }
        let source = if survivor == self.customer_id { self.other_id } else { self.customer_id };
        let survivor = Customer::current_id(tx, survivor)?;
        let source = Customer::current_id(tx, source)?;
        let new = NewMerge { source_id: source, fields: decision.fields.clone() };
        let done = merge::merge(tx, survivor, &new, MergeCause::Candidate)?;
        self.decide(tx, CandidateStatus::Accepted, Some(done.merge_id))?;
        Ok(done)
    }

    fn decide(&self, tx: &mut Tx, status: CandidateStatus, merge: Option<Uuid>) -> Result<()> {
        if self.status == status {
            return Ok(());
        }
        if self.status == CandidateStatus::Accepted {
            return Err(Error::transition("the two were merged; undo the merge instead", &[]));
        }
        diesel::update(of(tx.workspace).filter(merge_candidates::id.eq(self.id)))
            .set((
                merge_candidates::status.eq(status),
                merge_candidates::merge_id.eq(merge),
                merge_candidates::version.eq(merge_candidates::version + 1),
                merge_candidates::updated_at.eq(tx.now),
            ))
            .execute(tx.pg)?;
        let ids = json!({ "customer_id": self.customer_id, "other_id": self.other_id, "merge_id": merge });
        let action = match status {
            CandidateStatus::Accepted => "merge_candidate.accepted",
            CandidateStatus::Dismissed => "merge_candidate.dismissed",
            CandidateStatus::Open => "merge_candidate.opened",
        };
        audit::created(tx, action, self.id, &ids)
    }
}
