//! Organizations: the companies, clubs and authorities that customers belong to.

mod list;
pub mod memberships;
pub mod types;
mod write;

use std::collections::HashSet;

use actix_web::{delete, get, patch, post, put};
use diesel::prelude::*;
use uuid::Uuid;

pub use list::{OrganizationFilter, count_matching, matching};
pub use memberships::{Membership, join, memberships_of, primary_organizations};
pub use types::{NewOrganization, Organization, OrganizationPatch};
pub use write::{create, create_each, delete, upsert};

use crate::auth::{Caller, Scope};
use crate::db::{Conn, Tx, WorkspaceId};
use crate::error::{Error, Result};
use crate::external_ids::{self, ExternalId, Owner};
use crate::http::{
    Batch, BatchOptions, Created, Found, IfMatch, IfNoneMatch, Items, Json, NewBatch, NoContent,
    Path, Query, Reply, ServiceConfig,
};
use crate::schema::organizations;

pub fn routes(api: &mut ServiceConfig) {
    api.service(list::list_organizations)
        .service(create_organization)
        .service(batch_create_organizations)
        .service(upsert_organization)
        .service(get_organization_by_external_id)
        .service(get_organization)
        .service(update_organization)
        .service(delete_organization)
        .service(restore_organization)
        .service(memberships::list_organization_members)
        .service(memberships::put_organization_member)
        .service(memberships::remove_organization_member)
        .service(memberships::list_customer_organizations);
}

/// Create an organization
///
/// 409 names the organization that has one of the outside ids already. To create or update in one
/// call, use the upsert by external id.
#[utoipa::path(tag = "organizations", security(("bearer" = ["organizations:write"])), responses((status = 201, body = Organization)))]
#[post("/organizations")]
async fn create_organization(caller: Caller, new: Json<NewOrganization>) -> Result<Reply> {
    let grant = caller.must(Scope::OrganizationsWrite)?;
    grant.write(move |tx| write::create(tx, &new).map(Created)).await
}

/// Create up to 1000 organizations
///
/// Each item is created or refused on its own, unless `atomic` is set.
#[utoipa::path(tag = "organizations", security(("bearer" = ["organizations:write"])), params(BatchOptions), request_body = NewBatch<NewOrganization>, responses((status = 207, body = Batch)))]
#[post("/organizations/batch")]
async fn batch_create_organizations(
    caller: Caller,
    options: Query<BatchOptions>,
    batch: Items<NewOrganization>,
) -> Result<Reply> {
    let grant = caller.must(Scope::OrganizationsWrite)?;
    grant.charge(batch.count())?;
    grant.write(move |tx| write::create_many(tx, &batch, options.is_atomic())).await
}

/// Create or update an organization by its id in an outside system
///
/// Repeating the call is harmless. The reference in the path is added to `external_ids`.
/// `If-None-Match: *` creates only.
#[utoipa::path(tag = "organizations", security(("bearer" = ["organizations:write"])),
    params(("source" = String, Path, description = "The outside system"), ("external_id" = String, Path, description = "The organization's id there")),
    responses((status = 200, body = Organization), (status = 201, body = Organization)))]
#[put("/organizations/external/{source}/{external_id}")]
async fn upsert_organization(
    caller: Caller,
    reference: Path<(String, String)>,
    if_match: IfMatch,
    if_none_match: IfNoneMatch,
    patch: Json<OrganizationPatch>,
) -> Result<Reply> {
    let reference = ExternalId::from_upsert(reference.into_inner(), patch.external_ids.as_ref())?;
    let grant = caller.must(Scope::OrganizationsWrite)?;
    grant.write(move |tx| write::upsert(tx, &patch, &reference, (if_match, if_none_match))).await
}

/// Get an organization by its id in an outside system
#[utoipa::path(tag = "organizations", security(("bearer" = ["organizations:read"])),
    params(("source" = String, Path, description = "The outside system"), ("external_id" = String, Path, description = "The organization's id there")),
    responses((status = 200, body = Organization)))]
#[get("/organizations/external/{source}/{external_id}")]
async fn get_organization_by_external_id(
    caller: Caller,
    reference: Path<(String, String)>,
) -> Result<Reply> {
    let reference = ExternalId::from_path(reference.into_inner())?;
    let grant = caller.must(Scope::OrganizationsRead)?;
    grant
        .read(move |conn| {
            let id = external_ids::resolve(conn, Owner::Organization, &reference)?;
            Organization::find(conn, id).map(Found)
        })
        .await
}

/// Get an organization
#[utoipa::path(tag = "organizations", security(("bearer" = ["organizations:read"])), responses((status = 200, body = Organization)))]
#[get("/organizations/{id}")]
async fn get_organization(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::OrganizationsRead)?;
    grant.read(move |conn| Organization::find(conn, *id).map(Found)).await
}

/// Change an organization
#[utoipa::path(tag = "organizations", security(("bearer" = ["organizations:write"])), responses((status = 200, body = Organization)))]
#[patch("/organizations/{id}")]
async fn update_organization(
    caller: Caller,
    id: Path<Uuid>,
    if_match: IfMatch,
    patch: Json<OrganizationPatch>,
) -> Result<Reply> {
    let grant = caller.must(Scope::OrganizationsWrite)?;
    grant.write(move |tx| patch.apply(tx, *id, if_match).map(Found)).await
}

/// Delete an organization
///
/// It can be restored; its outside ids are free for others until then. Members and the
/// organizations that are part of it stay as they are.
#[utoipa::path(tag = "organizations", security(("bearer" = ["organizations:write"])), responses((status = 204)))]
#[delete("/organizations/{id}")]
async fn delete_organization(caller: Caller, id: Path<Uuid>, if_match: IfMatch) -> Result<Reply> {
    let grant = caller.must(Scope::OrganizationsWrite)?;
    grant.write(move |tx| write::delete(tx, *id, if_match).map(|()| NoContent)).await
}

/// Restore a deleted organization
///
/// 409 names the organization that took one of its outside ids in the meantime. Restoring an
/// organization that is not deleted changes nothing.
#[utoipa::path(tag = "organizations", security(("bearer" = ["organizations:write"])), responses((status = 200, body = Organization)))]
#[post("/organizations/{id}/restore")]
async fn restore_organization(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::OrganizationsWrite)?;
    grant.write(move |tx| write::restore(tx, *id).map(Found)).await
}

/// Every organization of a workspace that is not deleted.
#[diesel::dsl::auto_type]
fn of(workspace: WorkspaceId) -> _ {
    organizations::table
        .filter(organizations::workspace_id.eq(workspace))
        .filter(organizations::deleted_at.is_null())
}

/// The same with those that are deleted.
#[diesel::dsl::auto_type(no_type_alias)]
fn with_deleted(workspace: WorkspaceId) -> _ {
    organizations::table.filter(organizations::workspace_id.eq(workspace))
}

impl Organization {
    /// An organization that is not deleted, or 404.
    pub fn find(conn: &mut Conn, id: Uuid) -> Result<Self> {
        let found = of(conn.workspace).filter(organizations::id.eq(id));
        Ok(found.select(Self::as_select()).first(conn.pg)?)
    }

    /// The same, locked until the transaction ends: writers of one organization take turns.
    pub fn lock(tx: &mut Tx, id: Uuid) -> Result<Self> {
        let found = of(tx.workspace).filter(organizations::id.eq(id));
        Ok(found.select(Self::as_select()).for_no_key_update().first(tx.pg)?)
    }

    /// Whether an organization is there and not deleted.
    pub fn exists(conn: &mut Conn, id: Uuid) -> Result<bool> {
        Ok(exists_many(conn, &[id])?.contains(&id))
    }

    /// 404 unless the organization is there and not deleted.
    pub fn must_exist(conn: &mut Conn, id: Uuid) -> Result<()> {
        if Self::exists(conn, id)? { Ok(()) } else { Err(Error::not_found()) }
    }
}

/// Those of several organizations that are there and not deleted.
pub fn exists_many(conn: &mut Conn, ids: &[Uuid]) -> Result<HashSet<Uuid>> {
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let found = of(conn.workspace).filter(organizations::id.eq_any(ids));
    Ok(found.select(organizations::id).load(conn.pg)?.into_iter().collect())
}
