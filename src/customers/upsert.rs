//! Creating or updating by an outside key, and creating many at once: what integrations call first.

use actix_web::{post, put};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use validator::Validate;

use super::identities::{self, Mark};
use super::types::{Customer, CustomerPatch, NewCustomer};
use super::{create, create_many};
use crate::auth::{Caller, Scope};
use crate::db::Tx;
use crate::db::json::Jsonb;
use crate::error::{Code, Error, FieldError, Result};
use crate::external_ids::ExternalId;
use crate::http::{Batch, IfMatch, IfNoneMatch, Json, Path, Query, Reply, Upserted};

/// Customers to create, each on its own.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCustomerBatch {
    /// 1 to 1000 customers.
    #[validate(custom(function = "crate::values::valid::batch"))]
    #[schema(min_items = 1, max_items = 1000)]
    pub items: Vec<NewCustomer>,
}

/// How a batch treats refused items.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct BatchOptions {
    /// Whether one refused item undoes the whole batch: it is then answered as that item's error.
    pub atomic: Option<bool>,
}

/// Create up to 1000 customers
///
/// Each item is created or refused on its own, unless `atomic` is set.
#[utoipa::path(tag = "customers", security(("bearer" = ["customers:write"])), params(BatchOptions), responses((status = 207, body = Batch)))]
#[post("/customers/batch")]
pub async fn batch_create_customers(
    caller: Caller,
    options: Query<BatchOptions>,
    batch: Json<NewCustomerBatch>,
) -> Result<Reply> {
    let grant = caller.must(Scope::CustomersWrite)?;
    grant.charge(batch.items.len())?;
    let is_atomic = options.atomic.unwrap_or(false);
    grant
        .write(move |tx| {
            let made = create_many(tx, &batch.items)?;
            let results = made.into_iter().map(|made| made.map(|customer| (201, customer.id)));
            if is_atomic { all(results) } else { Ok(Batch::of(results)) }
        })
        .await
}

/// The answer to an atomic batch: every result, or the first refusal with its place.
pub fn all(results: impl Iterator<Item = Result<(u16, Uuid)>>) -> Result<Batch> {
    let mut accepted = Vec::new();
    for (position, result) in results.enumerate() {
        match result {
            Ok(accept) => accepted.push(Ok(accept)),
            Err(error) => return Err(at_item(error, position)),
        }
    }
    Ok(Batch::of(accepted))
}

fn at_item(error: Error, position: usize) -> Error {
    let Error::Problem(mut rejection) = error else { return error };
    let prefix = format!("#/items/{position}");
    if rejection.errors.is_empty() {
        let code = Code { name: "refused", ..Code::CONFLICT };
        rejection.errors.push(FieldError::at("#", code.name, rejection.detail.clone()));
    }
    rejection.errors = std::mem::take(&mut rejection.errors)
        .into_iter()
        .map(|fault| fault.under(&prefix))
        .collect();
    Error::Problem(rejection)
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
    let (source, id) = reference.into_inner();
    let reference = ExternalId { source, id };
    reference.validate().map_err(|_unread| {
        Error::parameter(
            "external_id",
            "`source` takes 1 to 100 and `external_id` 1 to 255 characters",
        )
    })?;
    let grant = caller.must(Scope::CustomersWrite)?;
    grant
        .write(move |tx| {
            let mark = Mark::external(&reference);
            match identities::holders(tx, &[mark.key()])?.into_values().next() {
                Some(_) if if_none_match.create_only => Err(Error::new(
                    Code::PRECONDITION_FAILED,
                    "a customer with this outside id exists already",
                )),
                Some(id) => update(tx, id, &patch, &reference, if_match),
                None => insert(tx, &patch, &reference),
            }
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
    patch.external_ids = patch.external_ids.map(|Jsonb(given)| Jsonb(with(given, reference)));
    let resource = patch.apply(tx, id, if_match)?;
    Ok(Upserted { resource, is_new: false })
}

fn insert(
    tx: &mut Tx,
    patch: &CustomerPatch,
    reference: &ExternalId,
) -> Result<Upserted<Customer>> {
    let mut new: NewCustomer = patch.clone().into_new()?;
    new.external_ids = Jsonb(with(new.external_ids.0, reference));
    let resource = Customer::new(create(tx, &new)?);
    Ok(Upserted { resource, is_new: true })
}

/// The references given and the one of the path, which wins over another of its system.
fn with(mut given: Vec<ExternalId>, reference: &ExternalId) -> Vec<ExternalId> {
    given.retain(|other| other.source != reference.source);
    given.push(reference.clone());
    given
}
