//! A small shop of things, described the way real handlers are: one terse attribute each.

#![expect(dead_code, reason = "the things are described, never served")]
#![expect(unused_variables, reason = "an argument named `_` would not be described")]

use std::collections::BTreeMap;

use actix_web::web::{Form, Json, Path, Query};
use actix_web::{App, HttpResponse, delete, get, patch, post, put};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, OpenApi, ToSchema};
use utoipa_actix_web::AppExt;
use uuid::Uuid;

/// How far a thing has come.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    Draft,
    OnSale,
}

/// An amount in minor units of its currency.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Price {
    /// Minor units, such as cents.
    #[schema(example = 1999)]
    pub amount: i64,
    /// ISO 4217 code.
    #[schema(example = "EUR", min_length = 3, max_length = 3)]
    pub currency: String,
}

/// Where a thing is kept.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Place {
    /// Name of the shelf.
    #[schema(example = "A3")]
    pub shelf: String,
    /// Free text for the packers.
    pub note: Option<String>,
}

/// A thing that can be sold.
#[derive(Serialize, ToSchema)]
pub struct Thing {
    /// Its id.
    pub id: Uuid,
    /// Grows with every change.
    #[schema(example = 3)]
    pub version: i32,
    /// What the shop calls it.
    #[schema(example = "Lamp")]
    pub name: String,
    /// How far it has come.
    pub stage: Stage,
    /// What it will become next, where that is decided.
    pub next_stage: Option<Stage>,
    /// Every stage it had.
    pub past_stages: Vec<Stage>,
    /// What it costs.
    pub price: Price,
    /// What it cost before.
    pub old_price: Option<Price>,
    /// Where it is kept.
    pub place: Option<Place>,
    /// Whatever the shop wants to remember.
    #[schema(value_type = Object)]
    pub attributes: Map<String, Value>,
    /// Any JSON value.
    pub raw: Value,
    /// Labels.
    pub tags: Vec<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// A thing to be made.
#[derive(Deserialize, ToSchema)]
pub struct NewThing {
    /// What the shop calls it.
    #[schema(example = "Lamp", max_length = 100)]
    pub name: String,
    /// How far it has come.
    #[serde(default)]
    pub stage: Option<Stage>,
    /// What it costs.
    pub price: Price,
    /// Where it is kept.
    pub place: Option<Place>,
    /// Whatever the shop wants to remember.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub attributes: Map<String, Value>,
}

/// What may be changed about a thing.
#[derive(Deserialize, ToSchema)]
pub struct ThingPatch {
    /// What the shop calls it.
    #[serde(default, with = "serde_with::rust::double_option")]
    #[schema(example = "Desk lamp")]
    pub name: Option<Option<String>>,
    /// How far it has come.
    pub stage: Option<Stage>,
    /// Where it is kept; null clears it.
    #[serde(default, with = "serde_with::rust::double_option")]
    #[schema(value_type = Option<Place>)]
    pub place: Option<Option<Place>>,
    /// Labels, replaced as a whole.
    #[schema(nullable = false)]
    pub tags: Option<Vec<String>>,
    /// Merged into what is there.
    #[schema(value_type = Option<Object>)]
    pub attributes: Option<Map<String, Value>>,
}

/// A page of things.
#[derive(Serialize, ToSchema)]
pub struct ThingList {
    /// The things of this page.
    pub data: Vec<Thing>,
    /// Whether another page follows.
    pub has_more: bool,
    /// Give it back as `cursor` to get the next page.
    pub next_cursor: Option<String>,
}

/// Which things to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ThingFilter {
    /// Only things in one of these stages.
    pub stage: Option<Vec<Stage>>,
    /// How many things a page holds.
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<i32>,
    /// Where the last page ended.
    pub cursor: Option<String>,
    /// Only things changed since then.
    pub updated_at_gte: Option<DateTime<Utc>>,
}

/// Which things are wanted: everything that holds for a thing.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Condition {
    /// Name of the property.
    #[schema(example = "name")]
    pub field: Option<String>,
    /// In which stage.
    pub stage: Option<Stage>,
    /// How often each word may come.
    #[serde(default)]
    pub counts: BTreeMap<String, i32>,
    /// Conditions that must hold too.
    #[serde(default)]
    #[schema(no_recursion)]
    pub all: Vec<Condition>,
}

/// A kept question.
#[derive(Serialize, ToSchema)]
pub struct Question {
    /// Its id.
    pub id: Uuid,
    /// What is asked.
    pub condition: Condition,
}

/// A question to keep.
#[derive(Deserialize, ToSchema)]
pub struct NewQuestion {
    /// What is asked.
    pub condition: Condition,
}

/// Whether the service is well.
#[derive(Serialize, ToSchema)]
pub struct Health {
    /// `ok` where everything works.
    #[schema(example = "ok")]
    pub status: String,
}

/// A client asking for a token (RFC 6749).
#[derive(Deserialize, ToSchema)]
pub struct TokenRequest {
    /// Always `client_credentials`.
    #[schema(example = "client_credentials")]
    pub grant_type: String,
}

/// A token (RFC 6749).
#[derive(Serialize, ToSchema)]
pub struct Token {
    /// Send it as `Authorization: Bearer`.
    #[schema(example = "eyJhbGciOi")]
    pub access_token: String,
    /// Seconds it lives.
    #[schema(example = 900)]
    pub expires_in: i32,
}

/// What OAuth clients expect instead of a problem (RFC 6749, section 5.2).
#[derive(Serialize, ToSchema)]
pub struct OAuthError {
    /// What is wrong, for programs.
    #[schema(example = "invalid_client")]
    pub error: String,
}

/// List things
///
/// Newest first.
#[utoipa::path(
    tag = "things",
    params(ThingFilter),
    security(("bearer" = ["things:read"])),
    responses((status = 200, body = ThingList)),
)]
#[get("/v1/things")]
async fn list_things(filter: Query<ThingFilter>) -> HttpResponse {
    HttpResponse::Ok().finish()
}

/// Create a thing
///
/// Its id is made by the service.
#[utoipa::path(
    tag = "things",
    security(("bearer" = ["things:write"])),
    responses((status = 201, body = Thing)),
)]
#[post("/v1/things")]
async fn create_thing(new: Json<NewThing>) -> HttpResponse {
    HttpResponse::Created().finish()
}

/// Get a thing
///
/// By its id.
#[utoipa::path(
    tag = "things",
    security(("bearer" = ["things:read"])),
    responses((status = 200, body = Thing)),
)]
#[get("/v1/things/{id}")]
async fn get_thing(id: Path<Uuid>) -> HttpResponse {
    HttpResponse::Ok().finish()
}

/// Update a thing
///
/// What is absent stays as it is.
#[utoipa::path(
    tag = "things",
    security(("bearer" = ["things:write"])),
    responses((status = 200, body = Thing)),
)]
#[patch("/v1/things/{id}")]
async fn update_thing(id: Path<Uuid>, patch: Json<ThingPatch>) -> HttpResponse {
    HttpResponse::Ok().finish()
}

/// Delete a thing
///
/// It can be restored.
#[utoipa::path(tag = "things", security(("bearer" = ["things:write"])), responses((status = 204)))]
#[delete("/v1/things/{id}")]
async fn delete_thing(id: Path<Uuid>) -> HttpResponse {
    HttpResponse::NoContent().finish()
}

/// Upsert a thing
///
/// By the id it has elsewhere.
#[utoipa::path(
    tag = "things",
    security(("bearer" = ["things:write"])),
    params(
        ("source", description = "Where the outside id comes from", example = "shop"),
        ("external_id", description = "The id over there", example = "4711"),
    ),
    responses((status = 200, body = Thing), (status = 201, body = Thing)),
)]
#[put("/v1/things/external/{source}/{external_id}")]
async fn upsert_thing(key: Path<(String, String)>, new: Json<NewThing>) -> HttpResponse {
    HttpResponse::Ok().finish()
}

/// Create a question
///
/// It can be asked again.
#[utoipa::path(
    tag = "things",
    security(("bearer" = ["things:write"])),
    responses((status = 201, body = Question)),
)]
#[post("/v1/questions")]
async fn create_question(new: Json<NewQuestion>) -> HttpResponse {
    HttpResponse::Created().finish()
}

/// Export things
///
/// One line per thing.
#[utoipa::path(
    tag = "things",
    security(("bearer" = ["things:read"])),
    responses((status = 200, body = Vec<u8>, content_type = "text/csv")),
)]
#[get("/v1/things/file.csv")]
async fn export_things() -> HttpResponse {
    HttpResponse::Ok().finish()
}

/// Create a token
///
/// OAuth client credentials.
#[utoipa::path(
    tag = "auth",
    security(()),
    responses(
        (status = 200, body = Token),
        (status = 400, body = OAuthError, description = "Refused in OAuth's own shape"),
    ),
)]
#[post("/v1/auth/token")]
async fn create_token(request: Form<TokenRequest>) -> HttpResponse {
    HttpResponse::Ok().finish()
}

/// Get the health
///
/// For load balancers.
#[utoipa::path(tag = "operations", security(()), responses((status = 200, body = Health)))]
#[get("/health")]
async fn get_health() -> HttpResponse {
    HttpResponse::Ok().finish()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Things",
        version = "1.0.0",
        description = "A shop.",
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT"),
    ),
    tags(
        (name = "things", description = "What is sold"),
        (name = "auth", description = "Tokens"),
        (name = "operations", description = "For operators"),
    ),
)]
struct Doc;

/// The document as utoipa emits it.
pub fn raw() -> Value {
    let (_, api) = App::new()
        .into_utoipa_app()
        .openapi(Doc::openapi())
        .service(list_things)
        .service(create_thing)
        .service(create_question)
        .service(export_things)
        .service(get_thing)
        .service(update_thing)
        .service(delete_thing)
        .service(upsert_thing)
        .service(create_token)
        .service(get_health)
        .split_for_parts();
    serde_json::to_value(api).expect("a document is JSON")
}
