//! Customers and prospects: the people the company has a relationship with.

mod as_of;
pub mod candidates;
mod contacts;
mod create;
pub mod erased;
pub mod identities;
mod joins;
mod lifecycle;
mod marks;
pub mod merge;
pub mod references;
mod requests;
mod restriction;
mod search;
pub mod types;
mod update;
mod upsert;

use std::collections::HashMap;

use actix_web::{delete, get, patch, post};
use diesel::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

pub use contacts::Contact;
pub use create::{create, create_many};
pub use identities::{Identity, IdentityType};
pub use lifecycle::advance;
pub use requests::{CustomerPatch, NewCustomer};
pub use restriction::restrict;
pub use search::{CustomerFilter, check as check_predicate, count_matching, matching};
pub use types::{Customer, CustomerFields, CustomerStats, CustomerStatus, LifecycleStage};

use crate::auth::{Caller, Scope};
use crate::db::{Conn, Tx, WorkspaceId};
use crate::error::{Code, Error, Result};
use crate::http::reply::Plain;
use crate::http::{Created, Found, IfMatch, Json, NoContent, Path, Query, Reply, ServiceConfig};
use crate::journal::{Change, record};
use crate::schema::{customer_stats, customers};
use as_of::AsOf;
use types::StatsRow;

pub fn routes(api: &mut ServiceConfig) {
    api.service(search::list_customers)
        .service(create_customer)
        .service(upsert::batch_create_customers)
        .service(search::search_customers)
        .service(search::lookup_customer)
        .service(upsert::upsert_customer)
        .service(upsert::get_customer_by_external_id)
        .service(get_customer)
        .service(update_customer)
        .service(delete_customer)
        .service(restore_customer)
        .service(lifecycle::set_lifecycle_stage)
        .service(lifecycle::list_customer_history)
        .service(identities::list_customer_identities)
        .service(identities::add_customer_identity)
        .service(identities::remove_customer_identity)
        .service(merge::merge_customers)
        .service(merge::list_merges)
        .service(merge::get_merge)
        .service(merge::revert_merge)
        .service(candidates::list_duplicates)
        .service(candidates::list_merge_candidates)
        .service(candidates::scan_merge_candidates)
        .service(candidates::get_merge_candidate)
        .service(candidates::accept_merge_candidate)
        .service(candidates::dismiss_merge_candidate);
}

/// Create a customer
///
/// 409 names the customer who has one of the identities already. To create or update in one call,
/// use the upsert by external id.
#[utoipa::path(tag = "customers", security(("bearer" = ["customers:write"])), responses((status = 201, body = Customer)))]
#[post("/customers")]
async fn create_customer(caller: Caller, new: Json<NewCustomer>) -> Result<Reply> {
    let grant = caller.must(Scope::CustomersWrite)?;
    grant.write(move |tx| Ok(Created(Customer::new(create(tx, &new)?)))).await
}

/// Get a customer
///
/// With `as_of` as it was at that time: 404 where it was not made yet, or deleted. Such an answer has
/// no `stats`, no `ETag` and the version 0, for there is nothing to change. It takes longer the more
/// touchpoints the customer has had since.
#[utoipa::path(tag = "customers", security(("bearer" = ["customers:read"])), params(AsOf), responses((status = 200, body = Customer)))]
#[get("/customers/{id}")]
async fn get_customer(caller: Caller, id: Path<Uuid>, moment: Query<AsOf>) -> Result<Reply> {
    let grant = caller.must(Scope::CustomersRead)?;
    match moment.as_of {
        None => grant.read(move |conn| Customer::find(conn, *id).map(Found)).await,
        Some(at) => grant.read(move |conn| Customer::find_as_of(conn, *id, at).map(Plain)).await,
    }
}

/// Change a customer
#[utoipa::path(tag = "customers", security(("bearer" = ["customers:write"])), responses((status = 200, body = Customer)))]
#[patch("/customers/{id}")]
async fn update_customer(
    caller: Caller,
    id: Path<Uuid>,
    if_match: IfMatch,
    patch: Json<CustomerPatch>,
) -> Result<Reply> {
    let grant = caller.must(Scope::CustomersWrite)?;
    grant.write(move |tx| patch.apply(tx, *id, if_match).map(Found)).await
}

/// Delete a customer
///
/// The customer can be restored; its identities are free for others until then.
#[utoipa::path(tag = "customers", security(("bearer" = ["customers:write"])), responses((status = 204)))]
#[delete("/customers/{id}")]
async fn delete_customer(caller: Caller, id: Path<Uuid>, if_match: IfMatch) -> Result<Reply> {
    let grant = caller.must(Scope::CustomersWrite)?;
    grant.write(move |tx| Customer::delete(tx, *id, if_match).map(|()| NoContent)).await
}

/// Restore a deleted customer
///
/// 409 names the customer who took one of its identities in the meantime. Restoring a customer that
/// is not deleted changes nothing.
#[utoipa::path(tag = "customers", security(("bearer" = ["customers:write"])), responses((status = 200, body = Customer)))]
#[post("/customers/{id}/restore")]
async fn restore_customer(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::CustomersWrite)?;
    grant.write(move |tx| Customer::restore(tx, *id).map(Found)).await
}

/// Every customer of a workspace that is neither deleted nor merged into another.
#[diesel::dsl::auto_type(no_type_alias)]
fn of(workspace: WorkspaceId) -> _ {
    customers::table
        .filter(customers::workspace_id.eq(workspace))
        .filter(customers::deleted_at.is_null())
        .filter(customers::merged_into_id.is_null())
}

/// The same with their figures.
#[diesel::dsl::auto_type]
fn with_stats(workspace: WorkspaceId) -> _ {
    let same_workspace = customer_stats::workspace_id.eq(customers::workspace_id);
    let same_customer = customer_stats::customer_id.eq(customers::id);
    customers::table
        .left_join(customer_stats::table.on(same_workspace.and(same_customer)))
        .filter(customers::workspace_id.eq(workspace))
        .filter(customers::deleted_at.is_null())
        .filter(customers::merged_into_id.is_null())
}

impl Customer {
    /// A customer without figures yet.
    pub fn new(fields: CustomerFields) -> Self {
        let stats = Some(CustomerStats::default());
        Self { fields, stats, merged_from: None, as_of: None }
    }

    /// A customer that is not deleted, or 404; for the id of a merged one the survivor.
    pub fn find(conn: &mut Conn, id: Uuid) -> Result<Self> {
        if let Some(found) = Self::load(conn, id)? {
            return Ok(found);
        }
        let survivor = merge::survivor(conn, id)?.ok_or_else(Error::not_found)?;
        let found = Self::load(conn, survivor)?.ok_or_else(Error::not_found)?;
        Ok(Self { merged_from: Some(id), ..found })
    }

    fn load(conn: &mut Conn, id: Uuid) -> Result<Option<Self>> {
        let found: Option<(CustomerFields, Option<StatsRow>)> = with_stats(conn.workspace)
            .filter(customers::id.eq(id))
            .select((CustomerFields::as_select(), Option::<StatsRow>::as_select()))
            .first(conn.pg)
            .optional()?;
        Ok(found.map(Into::into))
    }

    /// Those of several customers that are there and not deleted.
    pub fn find_many(conn: &mut Conn, ids: &[Uuid]) -> Result<Vec<Self>> {
        let found: Vec<(CustomerFields, Option<StatsRow>)> = with_stats(conn.workspace)
            .filter(customers::id.eq_any(ids))
            .select((CustomerFields::as_select(), Option::<StatsRow>::as_select()))
            .load(conn.pg)?;
        Ok(found.into_iter().map(Into::into).collect())
    }

    /// A customer to be changed, locked until the transaction ends: writers of one customer take
    /// turns. 409 while its data may only be kept.
    pub fn lock(tx: &mut Tx, id: Uuid) -> Result<CustomerFields> {
        let locked = Self::lock_even_restricted(tx, id)?;
        match locked.restricted_at {
            None => Ok(locked),
            Some(_) => Err(Error::new(
                Code::PROCESSING_RESTRICTED,
                "the customer's data may be kept and nothing else until the restriction is lifted",
            )),
        }
    }

    /// The same for what may be done all the same. 409 names the survivor of a merged customer: who
    /// changes one shall know which.
    pub fn lock_even_restricted(tx: &mut Tx, id: Uuid) -> Result<CustomerFields> {
        let found = of(tx.workspace).filter(customers::id.eq(id));
        let found =
            found.select(CustomerFields::as_select()).for_update().first(tx.pg).optional()?;
        if let Some(found) = found {
            tx.not_before(found.updated_at);
            return Ok(found);
        }
        let survivor = merge::survivor(tx, id)?.ok_or_else(Error::not_found)?;
        let detail = "the customer was merged into another one; change that one";
        Err(Error::conflict(Code::CUSTOMER_MERGED.name, detail, Some(survivor)))
    }

    /// A customer, locked by who changes none of its keys, and so waits for nobody who only names it.
    pub fn lock_fields(tx: &mut Tx, id: Uuid) -> Result<CustomerFields> {
        let found = of(tx.workspace).filter(customers::id.eq(id));
        let found = found.select(CustomerFields::as_select()).for_no_key_update();
        let found: CustomerFields = found.first(tx.pg)?;
        tx.not_before(found.updated_at);
        Ok(found)
    }

    /// The id of a customer that is there: the one asked for, or that of its survivor; or 404.
    pub fn current_id(conn: &mut Conn, id: Uuid) -> Result<Uuid> {
        Self::current_ids(conn, &[id])?.remove(&id).ok_or_else(Error::not_found)
    }

    /// The same for those of several ids that lead to somebody, with two statements at most.
    pub fn current_ids(conn: &mut Conn, ids: &[Uuid]) -> Result<HashMap<Uuid, Uuid>> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let there = Self::existing(conn, ids)?.into_iter();
        let mut found: HashMap<Uuid, Uuid> = there.map(|id| (id, id)).collect();
        let missing: Vec<Uuid> = ids.iter().filter(|id| !found.contains_key(id)).copied().collect();
        found.extend(merge::survivors(conn, &missing)?);
        Ok(found)
    }

    /// Those of several customers that are there and not deleted.
    pub fn existing(conn: &mut Conn, ids: &[Uuid]) -> Result<Vec<Uuid>> {
        let found = of(conn.workspace).filter(customers::id.eq_any(ids));
        Ok(found.select(customers::id).load(conn.pg)?)
    }

    /// Those of several customers whose data may be kept and nothing else.
    pub fn restricted(conn: &mut Conn, ids: &[Uuid]) -> Result<Vec<Uuid>> {
        let found = of(conn.workspace).filter(customers::id.eq_any(ids));
        let found = found.filter(customers::restricted_at.is_not_null());
        Ok(found.select(customers::id).load(conn.pg)?)
    }

    /// Hides a customer and frees its identities.
    pub fn delete(tx: &mut Tx, id: Uuid, if_match: IfMatch) -> Result<()> {
        let before = Self::lock(tx, id)?;
        if_match.check(before.version)?;
        identities::release(tx, id)?;
        crate::attributes::release(tx, id)?;
        mark_deleted(tx, id, true)?;
        record(tx, customer_change("customer.deleted", id, json!({})))
    }

    fn restore(tx: &mut Tx, id: Uuid) -> Result<Self> {
        let stored: CustomerFields = customers::table
            .filter(customers::workspace_id.eq(tx.workspace))
            .filter(customers::id.eq(id))
            .select(CustomerFields::as_select())
            .for_update()
            .first(tx.pg)?;
        if stored.status == CustomerStatus::Erased {
            return Err(Error::new(Code::CUSTOMER_ERASED, "nothing is left to be restored"));
        }
        tx.not_before(stored.updated_at);
        if stored.deleted_at.is_some() {
            identities::reclaim(tx, id)?;
            let known = crate::attributes::AttributeResource::Customer;
            let definitions = crate::attributes::Definitions::load(tx, known)?;
            definitions.claim(tx, id, &stored.attributes.parse()?)?;
            mark_deleted(tx, id, false)?;
            record(tx, customer_change("customer.restored", id, json!({})))?;
        }
        Self::find(tx, id)
    }
}

fn mark_deleted(tx: &mut Tx, id: Uuid, is_deleted: bool) -> Result<()> {
    let target = customers::table
        .filter(customers::workspace_id.eq(tx.workspace))
        .filter(customers::id.eq(id));
    diesel::update(target)
        .set((
            customers::deleted_at.eq(is_deleted.then_some(tx.now)),
            customers::version.eq(customers::version + 1),
            customers::updated_at.eq(tx.now),
        ))
        .execute(tx.pg)?;
    Ok(())
}

/// The touchpoint of a change to a customer.
pub fn customer_change(kind: &'static str, id: Uuid, properties: Value) -> Change<'static> {
    Change {
        kind,
        customer_id: Some(id),
        organization_id: None,
        channel_id: None,
        subject: ("customer", id),
        properties,
    }
}

fn unknown_owner() -> Error {
    Error::field("#/owner_id", "not_found", "`owner_id` must be a user of this workspace")
}

impl From<types::SettableStatus> for types::CustomerStatus {
    fn from(status: types::SettableStatus) -> Self {
        match status {
            types::SettableStatus::Active => Self::Active,
            types::SettableStatus::Inactive => Self::Inactive,
            types::SettableStatus::Blocked => Self::Blocked,
        }
    }
}
