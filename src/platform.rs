//! The service about itself: health, metrics, its own description, what its error codes mean.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::blocking;
use crate::error::{Code, Error, Result};
use crate::http::ServiceConfig;

/// Whether the service works.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`; a service that is not ok answers with a problem.
    #[schema(example = "ok")]
    pub status: String,
    /// Version of the service.
    #[schema(example = "0.1.0")]
    pub version: String,
}

/// What an error code means.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemType {
    /// The code.
    #[schema(example = "validation_failed")]
    pub code: String,
    /// Its HTTP status.
    #[schema(example = 422)]
    pub status: i32,
    /// What it means.
    #[schema(example = "One or more fields are not valid")]
    pub title: String,
}

/// Operations that the document describes.
pub fn routes(api: &mut ServiceConfig) {
    api.service(get_liveness).service(get_readiness).service(get_metrics).service(get_problem_type);
}

/// What stands outside the document: the document itself, that of events, and the way to the docs page.
pub fn plain_routes(api: &mut web::ServiceConfig) {
    api.route("/", web::get().to(lead_to_docs))
        .route("/docs", web::get().to(lead_to_docs))
        .route("/openapi.json", web::get().to(document))
        .route("/events.json", web::get().to(events));
}

impl Health {
    fn ok() -> Self {
        Self { status: "ok".into(), version: env!("CARGO_PKG_VERSION").into() }
    }
}

/// Tell whether the process lives
///
/// Needs no database: a process that answers here should not be restarted.
#[utoipa::path(tag = "platform", security(()), responses((status = 200, body = Health)))]
#[get("/health/live")]
async fn get_liveness() -> web::Json<Health> {
    web::Json(Health::ok())
}

/// Tell whether requests can be served
///
/// 503 while the database is away or not migrated, and during shutdown: send no traffic then.
#[utoipa::path(tag = "platform", security(()), responses((status = 200, body = Health)))]
#[get("/health/ready")]
async fn get_readiness(req: HttpRequest) -> Result<web::Json<Health>> {
    let app = App::of(&req);
    if app.is_draining() {
        return Err(Error::unavailable("shutting down"));
    }
    let is_current = blocking(move || app.db.system(crate::db::migrate::is_current)).await?;
    if !is_current {
        return Err(Error::unavailable("the database is not migrated"));
    }
    Ok(web::Json(Health::ok()))
}

/// Show metrics
///
/// In the text format of Prometheus.
#[utoipa::path(tag = "platform", security(()), responses((status = 200, body = String, content_type = "text/plain")))]
#[get("/metrics")]
async fn get_metrics(req: HttpRequest) -> HttpResponse {
    let app = App::of(&req);
    for (name, state) in app.db.pool_state() {
        let in_use = state.connections - state.idle_connections;
        app.metrics.pool(name, state.idle_connections, in_use);
    }
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(app.metrics.render())
}

/// Explain an error code
///
/// The `type` of every problem leads here.
#[utoipa::path(tag = "platform", security(()), params(("code" = String, Path, description = "The `code` of a problem", example = "validation_failed")), responses((status = 200, body = ProblemType)))]
#[get("/problems/{code}")]
async fn get_problem_type(code: web::Path<String>) -> Result<web::Json<ProblemType>> {
    let known = Code::ALL.iter().find(|known| known.name == code.as_str());
    let constraint =
        Code { title: "A rule of the data model refused the change", ..Code::ALREADY_EXISTS };
    let found = match known {
        Some(known) => *known,
        None if crate::db::constraints::is_known(&code) => constraint,
        None => return Err(Error::not_found()),
    };
    Ok(web::Json(ProblemType {
        code: code.into_inner(),
        status: i32::from(found.status),
        title: found.title.into(),
    }))
}

async fn lead_to_docs() -> HttpResponse {
    HttpResponse::Found().insert_header((header::LOCATION, "/docs/")).finish()
}

async fn document() -> HttpResponse {
    published(crate::api::spec().text.as_str())
}

async fn events() -> HttpResponse {
    published(crate::api::events())
}

fn published(text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((header::CACHE_CONTROL, "public, max-age=300"))
        .body(text)
}
