//! Looking into the audit log: what happened, in which seal it stands, and the proof of it.

use actix_web::get;
use chrono::{DateTime, Utc};
use diesel::helper_types::IntoBoxed;
use diesel::pg::Pg;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::hash::{Hash, ProofSide, path};
use super::seal::hashes_under;
use crate::auth::{Caller, Scope};
use crate::db::keyset::{SortKey, SortKind};
use crate::db::{ActorKind, Conn, WorkspaceId, id};
use crate::error::Result;
use crate::http::reply::Plain;
use crate::http::{AnyOf, List, Page, Path, Query, Reply, ServiceConfig};
use crate::schema::{audit_events, audit_seals};
use crate::values::free::FreeObject;

/// Something that was administered.
#[derive(Debug, Clone, Queryable, Selectable, Serialize, ToSchema)]
#[diesel(table_name = audit_events)]
pub struct AuditEvent {
    /// Unique id, a UUIDv7.
    pub id: Uuid,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// What kind of somebody did it.
    pub actor_type: ActorKind,
    /// The user, customer or API key; null for the system.
    pub actor_id: Option<Uuid>,
    /// What was done, as `noun.past_verb`.
    #[schema(example = "api_key.created")]
    pub action: String,
    /// What it was done to.
    #[schema(example = "api_key")]
    pub resource_type: String,
    /// The id of what it was done to; null where it was many.
    pub resource_id: Option<Uuid>,
    /// The request by which it was done, as in `X-Request-Id`.
    #[schema(example = "0192f0c1-2a3b-7c4d-8e5f-60718293a4b5")]
    pub request_id: Option<String>,
    /// Address from which it was done; null for our own work and after an erasure.
    #[schema(example = "203.0.113.7")]
    pub ip: Option<String>,
    /// The fields before, of a change those that differ; null where there was nothing before, and
    /// after an erasure.
    #[schema(value_type = Option<FreeObject>)]
    pub before: Option<Value>,
    /// The fields after, of a change those that differ; null where nothing is left, and after an
    /// erasure.
    #[schema(value_type = Option<FreeObject>)]
    pub after: Option<Value>,
    /// SHA-256 of `before`, under a salt that an erasure destroys.
    #[schema(value_type = Option<String>, example = "6f2c7a1d0b3e4f5861728394a5b6c7d8e9fa0b1c2d3e4f5061728394a5b6c7d8")]
    pub before_hash: Option<Hash>,
    /// SHA-256 of `after`, under the same salt.
    #[schema(value_type = Option<String>, example = "6f2c7a1d0b3e4f5861728394a5b6c7d8e9fa0b1c2d3e4f5061728394a5b6c7d8")]
    pub after_hash: Option<Hash>,
    /// SHA-256 of `ip`, under the same salt.
    #[schema(value_type = Option<String>, example = "6f2c7a1d0b3e4f5861728394a5b6c7d8e9fa0b1c2d3e4f5061728394a5b6c7d8")]
    pub ip_hash: Option<Hash>,
    /// SHA-256 of the event: a leaf of the tree that its seal is the root of.
    #[schema(value_type = String, example = "6f2c7a1d0b3e4f5861728394a5b6c7d8e9fa0b1c2d3e4f5061728394a5b6c7d8")]
    pub hash: Hash,
    /// The seal under which it stands; null for about a minute.
    pub seal_id: Option<Uuid>,
}

/// An event and the proof that it stands under its seal.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AuditEventWithProof {
    #[serde(flatten)]
    pub event: AuditEvent,
    /// The seal; null while the event has none.
    pub seal: Option<AuditSeal>,
    /// From the leaf to the root: beginning with SHA-256 of a 0 byte and `hash`, each step is
    /// SHA-256 of a 1 byte, the left and the right hash (RFC 6962). What comes out is `seal.root`.
    pub proof: Vec<AuditProofStep>,
}

/// What the hash so far is joined with.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AuditProofStep {
    /// On which side `hash` stands.
    pub side: ProofSide,
    /// The hash of the other branch.
    #[schema(value_type = String, example = "6f2c7a1d0b3e4f5861728394a5b6c7d8e9fa0b1c2d3e4f5061728394a5b6c7d8")]
    pub hash: Hash,
}

/// What closes a run of events: whoever keeps its `hash` elsewhere can tell later whether one of
/// them, or one before, was changed.
#[derive(Debug, Clone, Queryable, Selectable, Serialize, ToSchema)]
#[diesel(table_name = audit_seals)]
pub struct AuditSeal {
    /// Unique id, a UUIDv7.
    pub id: Uuid,
    /// 1 for the first seal of the workspace, then one more each.
    #[schema(example = 1)]
    pub sequence: i64,
    /// `hash` of the seal before; null for the first.
    #[schema(value_type = Option<String>, example = "6f2c7a1d0b3e4f5861728394a5b6c7d8e9fa0b1c2d3e4f5061728394a5b6c7d8")]
    pub previous_hash: Option<Hash>,
    /// Merkle root of the events (RFC 6962), in the order of their ids.
    #[schema(value_type = String, example = "6f2c7a1d0b3e4f5861728394a5b6c7d8e9fa0b1c2d3e4f5061728394a5b6c7d8")]
    pub root: Hash,
    /// How many events it closes.
    #[schema(example = 12)]
    pub events_count: i32,
    /// The first of them.
    pub first_event_id: Uuid,
    /// The last of them.
    pub last_event_id: Uuid,
    /// SHA-256 of the seal.
    #[schema(value_type = String, example = "6f2c7a1d0b3e4f5861728394a5b6c7d8e9fa0b1c2d3e4f5061728394a5b6c7d8")]
    pub hash: Hash,
    /// When it was made.
    pub sealed_at: DateTime<Utc>,
}

pub fn routes(api: &mut ServiceConfig) {
    api.service(list_audit_events).service(get_audit_event).service(list_audit_seals);
}

const SORT: &[SortKey] =
    &[SortKey { name: "occurred_at", column: "audit_events.id", kind: SortKind::Id }];

const SEAL_SORT: &[SortKey] =
    &[SortKey { name: "sequence", column: "audit_seals.id", kind: SortKind::Id }];

/// Which events to list; filters are combined with and.
#[derive(Debug, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditEventFilter {
    /// Any of these actions.
    #[serde(default)]
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false)]
    pub action: AnyOf<String>,
    /// Done to any of these types of resource.
    #[serde(default)]
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false)]
    pub resource_type: AnyOf<String>,
    /// Done to this resource.
    pub resource_id: Option<Uuid>,
    /// Done by this user, customer or API key.
    pub actor_id: Option<Uuid>,
    /// Done at or after this time.
    pub occurred_at_gte: Option<DateTime<Utc>>,
    /// Done before this time.
    pub occurred_at_lt: Option<DateTime<Utc>>,
}

/// List audit events
///
/// What was administered, newest first: credentials, permissions, settings, channels, merges. What
/// happens to customers every day stands in `GET /v1/touchpoints`. Users, API keys, trusted issuers
/// and the workspace itself are those of the live workspace, also where a test credential changes
/// them.
#[utoipa::path(tag = "audit", security(("bearer" = ["audit:read"])), params(Page, AuditEventFilter), responses((status = 200, body = List<AuditEvent>)))]
#[get("/audit_events")]
async fn list_audit_events(
    caller: Caller,
    page: Query<Page>,
    filter: Query<AuditEventFilter>,
) -> Result<Reply> {
    let grant = caller.must(Scope::AuditRead)?;
    let slice = page.slice(&grant, "audit_events", SORT, &filter.0)?;
    grant
        .list(move |conn| {
            let matching = || filter.apply(conn.workspace);
            let total = slice.total(|| matching().count().get_result(conn.pg))?;
            let rows = matching()
                .filter(slice.after.clone())
                .order(slice.order.clone())
                .limit(slice.fetch())
                .select(AuditEvent::as_select())
                .load(conn.pg)?;
            slice.list(rows, total)
        })
        .await
}

/// Get an audit event
///
/// With its seal and the proof that it stands under it.
#[utoipa::path(tag = "audit", security(("bearer" = ["audit:read"])), responses((status = 200, body = AuditEventWithProof)))]
#[get("/audit_events/{id}")]
async fn get_audit_event(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::AuditRead)?;
    grant.read(move |conn| AuditEventWithProof::find(conn, *id).map(Plain)).await
}

/// List audit seals
///
/// Newest first. Keep the `hash` of the newest one elsewhere: with it alone everything up to it can
/// be checked.
#[utoipa::path(tag = "audit", security(("bearer" = ["audit:read"])), params(Page), responses((status = 200, body = List<AuditSeal>)))]
#[get("/audit_seals")]
async fn list_audit_seals(caller: Caller, page: Query<Page>) -> Result<Reply> {
    let grant = caller.must(Scope::AuditRead)?;
    let slice = page.slice(&grant, "audit_seals", SEAL_SORT, &())?;
    grant
        .list(move |conn| {
            let all = || seals_of(conn.workspace);
            let total = slice.total(|| all().count().get_result(conn.pg))?;
            let rows = all()
                .filter(slice.after.clone())
                .order(slice.order.clone())
                .limit(slice.fetch())
                .select(AuditSeal::as_select())
                .load(conn.pg)?;
            slice.list(rows, total)
        })
        .await
}

#[diesel::dsl::auto_type]
fn of(workspace: WorkspaceId) -> _ {
    audit_events::table.filter(audit_events::workspace_id.eq(workspace))
}

#[diesel::dsl::auto_type(no_type_alias)]
fn seals_of(workspace: WorkspaceId) -> _ {
    audit_seals::table.filter(audit_seals::workspace_id.eq(workspace))
}

type Matching = IntoBoxed<'static, of, Pg>;

impl AuditEventFilter {
    fn apply(&self, workspace: WorkspaceId) -> Matching {
        let mut found = of(workspace).into_boxed();
        if let Some(actions) = self.action.given() {
            found = found.filter(audit_events::action.eq_any(actions.clone()));
        }
        if let Some(types) = self.resource_type.given() {
            found = found.filter(audit_events::resource_type.eq_any(types.clone()));
        }
        if let Some(resource) = self.resource_id {
            found = found.filter(audit_events::resource_id.eq(resource));
        }
        if let Some(actor) = self.actor_id {
            found = found.filter(audit_events::actor_id.eq(actor));
        }
        if let Some(from) = self.occurred_at_gte {
            found = found.filter(audit_events::id.ge(id::floor(from)));
        }
        if let Some(until) = self.occurred_at_lt {
            found = found.filter(audit_events::id.lt(id::floor(until)));
        }
        found
    }
}

impl AuditEventWithProof {
    fn find(conn: &mut Conn, id: Uuid) -> Result<Self> {
        let query = of(conn.workspace).filter(audit_events::id.eq(id));
        let event: AuditEvent = query.select(AuditEvent::as_select()).first(conn.pg)?;
        let Some(seal) = event.seal_id else {
            return Ok(Self { event, seal: None, proof: Vec::new() });
        };
        let query = seals_of(conn.workspace).filter(audit_seals::id.eq(seal));
        let seal: AuditSeal = query.select(AuditSeal::as_select()).first(conn.pg)?;
        let members = hashes_under(conn.pg, conn.workspace, seal.id)?;
        let index = members.iter().position(|(member, _)| *member == id).unwrap_or_default();
        let hashes: Vec<Hash> = members.into_iter().map(|(_, hash)| hash).collect();
        let steps = path(index, &hashes).into_iter();
        let proof = steps.map(|(side, hash)| AuditProofStep { side, hash }).collect();
        Ok(Self { event, seal: Some(seal), proof })
    }
}
