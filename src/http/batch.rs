//! Batches: up to a thousand items in one request, each accepted or refused on its own.

use actix_web::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use validator::Validate;

use super::json::field_errors;
use super::reply::{IntoReply, Reply};
use crate::db::Tx;
use crate::error::{Error, FieldError, Problem, Result};

/// How a batch treats refused items.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct BatchOptions {
    /// Whether one refused item undoes the whole batch: it is then answered as that item's error.
    pub atomic: Option<bool>,
}

impl BatchOptions {
    pub fn is_atomic(&self) -> bool {
        self.atomic.unwrap_or(false)
    }
}

/// The answer to a batch (207): one result per item, in the order of the request.
#[derive(Debug, Serialize, ToSchema)]
pub struct Batch {
    /// What became of each item.
    pub results: Vec<BatchResult>,
    /// How many items were refused.
    #[schema(example = 0)]
    pub failed: i32,
}

/// What became of one item of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchResult {
    /// Position of the item in the request, from 0.
    #[schema(example = 0)]
    pub index: i32,
    /// The HTTP status this item would have got alone.
    #[schema(example = 201)]
    pub status: i32,
    /// The resource made, changed or found; null where the item was refused.
    pub id: Option<Uuid>,
    /// Why the item was refused; null where it was not.
    pub error: Option<Problem>,
}

impl Batch {
    /// Collects results, given as (status, id) or as the error of the item.
    pub fn of(results: impl IntoIterator<Item = Result<(u16, Uuid)>>) -> Self {
        let results: Vec<_> = results
            .into_iter()
            .enumerate()
            .map(|(position, result)| BatchResult::new(position, result))
            .collect();
        let refused = results.iter().filter(|result| result.error.is_some()).count();
        Self { results, failed: i32::try_from(refused).unwrap_or(i32::MAX) }
    }
}

impl BatchResult {
    fn new(position: usize, result: Result<(u16, Uuid)>) -> Self {
        let index = i32::try_from(position).unwrap_or(i32::MAX);
        match result {
            Ok((status, id)) => {
                Self { index, status: i32::from(status), id: Some(id), error: None }
            }
            Err(error) => {
                let problem = error.rejection().problem(None, None);
                Self { index, status: i32::from(problem.status), id: None, error: Some(problem) }
            }
        }
    }
}

impl IntoReply for Batch {
    fn into_reply(self) -> Result<Reply> {
        Reply::json(StatusCode::MULTI_STATUS, &self)
    }
}

/// Every result of an atomic batch, or the first refusal with its place in the batch.
pub fn all(results: impl IntoIterator<Item = Result<(u16, Uuid)>>) -> Result<Batch> {
    let placed = results.into_iter().enumerate();
    let accepted: Vec<(u16, Uuid)> = placed
        .map(|(position, result)| result.map_err(|error| at_item(error, position)))
        .collect::<Result<_>>()?;
    Ok(Batch::of(accepted.into_iter().map(Ok)))
}

/// Makes items one after the other, each in a savepoint; the first refusal ends an atomic batch.
/// `make` says what became of an item as (status, id).
pub fn one_by_one<T: Validate>(
    tx: &mut Tx,
    items: &[T],
    is_atomic: bool,
    make: impl Fn(&mut Tx, &T) -> Result<(u16, Uuid)>,
) -> Result<Batch> {
    let mut results = Vec::with_capacity(items.len());
    for (position, new) in items.iter().enumerate() {
        let made = tx.savepoint(|tx| {
            new.validate().map_err(|errors| Error::invalid(field_errors(&errors)))?;
            make(tx, new)
        });
        match made {
            Ok(made) => results.push(Ok(made)),
            Err(error) if is_atomic => return Err(at_item(error, position)),
            Err(error) if error.is_rejection() => results.push(Err(error)),
            Err(error) => return Err(error),
        }
    }
    Ok(Batch::of(results))
}

/// The refusal of one item as the refusal of its batch.
fn at_item(mut error: Error, position: usize) -> Error {
    if let Error::Problem(rejection) = &mut error
        && rejection.errors.is_empty()
    {
        rejection.errors.push(FieldError::at("#", "refused", rejection.detail.clone()));
    }
    error.under(&format!("#/items/{position}"))
}
