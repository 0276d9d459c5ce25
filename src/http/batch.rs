//! Batches: up to a thousand items in one request, each accepted or refused on its own.

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::__dev::ComposeSchema;
use utoipa::openapi::schema::{AdditionalProperties, ArrayBuilder, ObjectBuilder, Schema};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use validator::{Validate, ValidationErrors};

use super::json::{self, field_errors};
use super::reply::{IntoReply, Reply};
use crate::db::Tx;
use crate::error::{Error, FieldError, Problem, Result};
use crate::values::valid;

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

/// The items of a batch, `{"items": […]}`, in their order: each was read, or is refused on its own.
#[derive(Debug)]
pub struct Items<T> {
    read: Vec<T>,
    /// With their positions in the request.
    refused: Vec<(usize, Error)>,
}

/// What is sent together, each item on its own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewBatch<T> {
    items: Vec<T>,
}

/// `NewBatch_NewOrder` to utoipa, `NewOrderBatch` in the document; its items by reference.
impl<T: ToSchema> ToSchema for NewBatch<T> {
    fn name() -> std::borrow::Cow<'static, str> {
        "NewBatch".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into(), T::schema()));
        T::schemas(schemas);
    }
}

impl<T: ToSchema> ComposeSchema for NewBatch<T> {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        let items = ArrayBuilder::new()
            .items(Ref::from_schema_name(T::name()))
            .min_items(Some(1))
            .max_items(Some(1000))
            .description(Some("1 to 1000 items."));
        ObjectBuilder::new()
            .description(Some("What is sent together, each item on its own."))
            .property("items", items)
            .required("items")
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .into()
    }
}

impl<T> Validate for NewBatch<T> {
    fn validate(&self) -> Result<(), ValidationErrors> {
        let mut errors = ValidationErrors::new();
        if let Err(error) = valid::batch(&self.items) {
            errors.add("items", error);
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

impl<T> From<Vec<T>> for Items<T> {
    fn from(read: Vec<T>) -> Self {
        Self { read, refused: Vec::new() }
    }
}

impl<T: DeserializeOwned + Validate + Send + 'static> FromRequest for Items<T> {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        json::taken_in(req, payload, |bytes| Self::parse(bytes))
    }
}

impl<T: DeserializeOwned + Validate> Items<T> {
    /// As a whole, and only where that fails item by item: nearly every batch is read once.
    fn parse(body: &[u8]) -> Result<Self> {
        match json::parse::<NewBatch<T>>(body) {
            Ok(whole) => Ok(whole.items.into()),
            Err(error) => Self::parse_each(body).unwrap_or(Err(error)),
        }
    }

    /// Reads each item as if it had come alone; nothing where the body is no batch.
    fn parse_each(body: &[u8]) -> Option<Result<Self>> {
        let whole: NewBatch<Box<RawValue>> = json::parse_unchecked(body).ok()?;
        whole.validate().ok()?;
        let mut items = Self { read: Vec::with_capacity(whole.items.len()), refused: Vec::new() };
        for (position, item) in whole.items.iter().enumerate() {
            match json::parse(item.get().as_bytes()) {
                Ok(item) => items.read.push(item),
                Err(error) if error.is_rejection() => items.refused.push((position, error)),
                Err(error) => return Some(Err(error)),
            }
        }
        Some(Ok(items))
    }
}

impl<T> Items<T> {
    /// How many were sent.
    pub fn count(&self) -> usize {
        self.read.len() + self.refused.len()
    }

    /// Those that could be read.
    pub fn read(&self) -> &[T] {
        &self.read
    }

    /// The results of those that were read, and between them the refusals of the others.
    pub fn results<R>(&self, mut read: Vec<Result<R>>) -> Vec<Result<R>> {
        for (position, error) in &self.refused {
            read.insert(*position, Err(error.clone()));
        }
        read
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
    items: &Items<T>,
    is_atomic: bool,
    make: impl Fn(&mut Tx, &T) -> Result<(u16, Uuid)>,
) -> Result<Batch> {
    if is_atomic && let Some((position, error)) = items.refused.first() {
        return Err(at_item(error.clone(), *position));
    }
    let mut results = Vec::with_capacity(items.count());
    for (position, new) in items.read.iter().enumerate() {
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
    Ok(Batch::of(items.results(results)))
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
