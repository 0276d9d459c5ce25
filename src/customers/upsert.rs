//! Creating or updating by an outside key, and creating many at once: what integrations call first.

use actix_web::{get, post, put};
use uuid::Uuid;

use super::identities::{self, Mark};
use super::requests::{CustomerPatch, NewCustomer};
use super::types::Customer;
use super::{create, create_many};
use crate::auth::{Caller, Scope};
use crate::db::Tx;
use crate::db::json::Jsonb;
use crate::error::{Code, Error, Result};
use crate::external_ids::ExternalId;
use crate::http::batch::all;
use crate::http::{
    Batch, BatchOptions, Found, IfMatch, IfNoneMatch, Items, Json, NewBatch, Path, Query, Reply,
    Upserted,
};

/// Create up to 1000 customers
///
/// Each item is created or refused on its own, unless `atomic` is set.
#[utoipa::path(tag = "customers", security(("bearer" = ["customers:write"])), params(BatchOptions), request_body = NewBatch<NewCustomer>, responses((status = 207, body = Batch)))]
#[post("/customers/batch")]
pub async fn batch_create_customers(
    caller: Caller,
    options: Query<BatchOptions>,
    batch: Items<NewCustomer>,
) -> Result<Reply> {
    let grant = caller.must(Scope::CustomersWrite)?;
    grant.charge(batch.count())?;
    grant
        .write(move |tx| {
            let made = create_many(tx, batch.read())?;
            let made = made.into_iter().map(|made| made.map(|customer| (201, customer.id)));
            let results = batch.results(made.collect());
            if options.is_atomic() { all(results) } else { Ok(Batch::of(results)) }
        })
        .await
}

/// Create or update a customer by its id in an outside system
///
/// Repeating the call changes nothing more. The reference in the path is added to `external_ids`.
/// `If-None-Match: *` creates only.
#[utoipa::path(tag = "customers", security(("bearer" = ["customers:write"])),
    params(("source" = String, Path, description = "The outside system"), ("external_id" = String, Path, description = "The customer's id there")),
    responses((status = 200, body = Customer), (status = 201, body = Customer)))]
#[put("/customers/external/{source}/{external_id}")]
pub async fn upsert_customer(
    caller: Caller,
    reference: Path<(String, String)>,
    if_match: IfMatch,
    if_none_match: IfNoneMatch,
    patch: Json<CustomerPatch>,
) -> Result<Reply> {
    let reference = ExternalId::from_upsert(reference.into_inner(), patch.external_ids.as_ref())?;
    let grant = caller.must(Scope::CustomersWrite)?;
    grant
        .write(move |tx| {
            let mark = Mark::external(&reference);
            match identities::holders(tx, &[mark.key()])?.into_values().next() {
                Some(_) if if_none_match.create_only => Err(Error::new(
                    Code::PRECONDITION_FAILED,
                    "a customer with this outside id exists already",
                )),
                Some(held) => update(tx, held.customer_id, &patch, &reference, if_match),
                None => insert(tx, &patch, &reference),
            }
        })
        .await
}

/// Get a customer by its id in an outside system
#[utoipa::path(tag = "customers", security(("bearer" = ["customers:read"])),
    params(("source" = String, Path, description = "The outside system"), ("external_id" = String, Path, description = "The customer's id there")),
    responses((status = 200, body = Customer)))]
#[get("/customers/external/{source}/{external_id}")]
pub async fn get_customer_by_external_id(
    caller: Caller,
    reference: Path<(String, String)>,
) -> Result<Reply> {
    let reference = ExternalId::from_path(reference.into_inner())?;
    let grant = caller.must(Scope::CustomersRead)?;
    grant
        .read(move |conn| {
            let id = identities::holder(conn, &Mark::external(&reference))?;
            Customer::find(conn, id).map(Found)
        })
        .await
}

fn update(
    tx: &mut Tx,
    id: Uuid,
    patch: &CustomerPatch,
    reference: &ExternalId,
    if_match: IfMatch,
) -> Result<Upserted<Customer>> {
    let mut patch = patch.clone();
    patch.external_ids = patch.external_ids.map(|Jsonb(given)| Jsonb(reference.joined_to(given)));
    let resource = patch.apply(tx, id, if_match)?;
    Ok(Upserted { resource, is_new: false })
}

fn insert(
    tx: &mut Tx,
    patch: &CustomerPatch,
    reference: &ExternalId,
) -> Result<Upserted<Customer>> {
    let mut new: NewCustomer = patch.clone().into_new()?;
    new.external_ids = Jsonb(reference.joined_to(new.external_ids.0));
    match create(tx, &new) {
        Ok(made) => Ok(Upserted { resource: Customer::new(made), is_new: true }),
        Err(error) => Err(unless_raced(tx, error, reference)?),
    }
}

/// Somebody made the same customer a moment before: run again, which then changes it.
fn unless_raced(tx: &mut Tx, error: Error, reference: &ExternalId) -> Result<Error> {
    if !error.is_rejection() {
        return Ok(error);
    }
    let key = Mark::external(reference).key();
    let is_held = identities::holders(tx, std::slice::from_ref(&key))?.contains_key(&key);
    Ok(if is_held { Error::Retry("customer upsert race".into()) } else { error })
}
