//! Exports: what is asked for, and the file that answers it.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, get, post};
use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use validator::{Validate, ValidationError};

use super::job::{JobCounts, progress, result_url};
use super::question::{Filters, Question};
use super::row::{BulkFormat, BulkResource, JobKind, JobStatus, Row, of};
use super::stream::{self, File};
use super::{SORT, export_run, must_read, pieces};
use crate::app::App;
use crate::audit;
use crate::auth::secret_text::SecretText;
use crate::auth::{Caller, Scope, blocking};
use crate::customers;
use crate::db::{Conn, Server, Session, Tx, Via};
use crate::error::{Error, Result};
use crate::http::{Created, Found, Json, List, Page, Path, Query, Reply, Versioned};
use crate::predicate::Predicate;
use crate::schema::bulk_jobs;
use crate::workspaces;

const PREFIX: &str = "ecrm_ex_";
/// How long a link works.
const WORKS_FOR: TimeDelta = TimeDelta::hours(24);

/// What an export was asked for; stored with it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExportSettings {
    pub r#where: Option<Predicate>,
    pub filter: Option<Filters>,
    pub columns: Vec<String>,
    pub created_at_gte: Option<DateTime<Utc>>,
    pub created_at_lt: Option<DateTime<Utc>>,
}

/// Records to be written into a file.
#[derive(Debug, Serialize, ToSchema)]
pub struct Export {
    /// Unique id, a UUIDv7.
    pub id: Uuid,
    /// What the records are.
    #[schema(value_type = String, extensions(("x-extensible-enum" = json!(BulkResource::ALL))), example = "customers")]
    pub resource: BulkResource,
    /// How the file is written.
    #[schema(value_type = String, extensions(("x-extensible-enum" = json!(BulkFormat::ALL))), example = "csv")]
    pub format: BulkFormat,
    /// How far it is.
    #[schema(value_type = String, extensions(("x-extensible-enum" = json!(JobStatus::ALL))), example = "completed")]
    pub status: JobStatus,
    /// The columns of a CSV file.
    #[schema(example = json!(["email", "attributes.size"]))]
    pub columns: Vec<String>,
    /// From 0 to 1.
    #[schema(example = 1.0)]
    pub progress: f64,
    /// How many records were written.
    pub counts: JobCounts,
    /// Bytes of the file.
    pub file_bytes: i64,
    /// Why it failed.
    pub failure: Option<String>,
    /// Where the file is, with the same credential; null before it is there.
    #[schema(example = "/v1/exports/019a9c3e-4b7a-7c1e-9d0f-2a5b8c7d6e4f/file")]
    pub result_url: Option<String>,
    /// When the file is removed.
    pub expires_at: DateTime<Utc>,
    /// When the first record was read.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Rises by one with every change; the `ETag`.
    pub version: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl Versioned for Export {
    const COLLECTION: &'static str = "/v1/exports";

    fn id(&self) -> Uuid {
        self.id
    }

    fn version(&self) -> i64 {
        self.version
    }
}

/// An export to be made.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewExport {
    /// What to write.
    pub resource: BulkResource,
    /// How to write it: `csv` is safe to open in a spreadsheet, `ndjson` loses nothing.
    pub format: BulkFormat,
    /// Of customers: which, as in the search; absent means all.
    pub r#where: Option<Predicate>,
    /// Which, by the filters of the list (`GET /v1/orders`, …), named and written as in its address.
    #[validate(custom(function = "filter_size"))]
    #[schema(value_type = Option<BTreeMap<String, String>>, example = json!({"tags": "vip,club"}))]
    pub filter: Option<Filters>,
    /// The columns of a CSV file: fields such as `email` or `attributes.size`; all fields unless said
    /// otherwise. Amounts are decimals, whose currency is a column of its own (`currency`, or
    /// `price.currency`).
    #[serde(default)]
    #[validate(length(max = 200), custom(function = "crate::values::valid::tags"))]
    #[schema(value_type = Vec<crate::values::items::Word>, inline, example = json!(["email", "attributes.size"]), max_items = 200)]
    pub columns: Vec<String>,
    /// Made, or of touchpoints happened, at or after this time.
    pub created_at_gte: Option<DateTime<Utc>>,
    /// Made, or of touchpoints happened, before this time.
    pub created_at_lt: Option<DateTime<Utc>>,
}

fn filter_size(filter: &Filters) -> Result<(), ValidationError> {
    let is_long = |text: &String| text.chars().count() > 8000 || text.contains('\0');
    if filter.len() > 50 || filter.iter().any(|(name, value)| is_long(name) || is_long(value)) {
        let expected = "takes up to 50 filters of up to 8000 characters";
        return Err(ValidationError::new("invalid_filter").with_message(expected.into()));
    }
    Ok(())
}

/// A link to the file of an export. Whoever has it may have the file.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportLink {
    /// The address, which needs no credential.
    #[schema(example = "https://crm.example.com/exports/ecrm_ex_4Vx…")]
    pub url: String,
    /// Until when it works.
    pub expires_at: DateTime<Utc>,
}

impl Export {
    fn of(row: Row) -> Result<Self> {
        let settings: ExportSettings = row.settings.parse()?;
        let columns = match row.format {
            BulkFormat::Csv => export_run::columns(row.resource, &settings.columns),
            BulkFormat::Ndjson => Vec::new(),
        };
        Ok(Self {
            columns,
            progress: progress(&row),
            counts: JobCounts::of(&row),
            result_url: result_url(&row),
            id: row.id,
            resource: row.resource,
            format: row.format,
            status: row.status,
            file_bytes: row.file_bytes,
            failure: row.failure,
            expires_at: row.expires_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

impl NewExport {
    fn insert(&self, tx: &mut Tx) -> Result<Export> {
        if let Some(condition) = &self.r#where {
            if self.resource != BulkResource::Customers {
                let detail = "`where` asks about customers; use `filter` for other records";
                return Err(Error::field("#/where", "not_for_this_resource", detail));
            }
            customers::check_predicate(tx, condition)?;
        }
        let settings = ExportSettings {
            r#where: self.r#where.clone(),
            filter: self.filter.clone(),
            columns: self.columns.clone(),
            created_at_gte: self.created_at_gte,
            // Records that are made while the export runs are not part of it.
            created_at_lt: Some(self.created_at_lt.unwrap_or(tx.now).min(tx.now)),
        };
        Question::of(self.resource, &settings)?;
        export_run::check_columns(self.resource, &self.columns)?;
        let what = (JobKind::Export, self.resource, self.format);
        let row = Row::insert(tx, what, JobStatus::Queued, &settings)?;
        diesel::update(of(tx.workspace).filter(bulk_jobs::id.eq(row.id)))
            .set(bulk_jobs::file_id.eq(Uuid::now_v7()))
            .execute(tx.pg)?;
        row.enqueue(tx, "exports.run")?;
        audit::done(tx, "export.created", row.id)?;
        Export::of(row)
    }
}

/// List exports
#[utoipa::path(tag = "jobs", security(("bearer" = ["jobs:read"])), params(Page), responses((status = 200, body = List<Export>)))]
#[get("/exports")]
pub async fn list_exports(caller: Caller, page: Query<Page>) -> Result<Reply> {
    let grant = caller.must(Scope::JobsRead)?;
    let slice = page.slice(&grant, "exports", SORT, &())?;
    grant
        .list(move |conn| {
            let matching = || of(conn.workspace).filter(bulk_jobs::kind.eq(JobKind::Export));
            let total = slice.total(|| matching().count().get_result(conn.pg))?;
            let rows: Vec<Row> = matching()
                .filter(slice.after.clone())
                .order(slice.order.clone())
                .limit(slice.fetch())
                .select(Row::as_select())
                .load(conn.pg)?;
            slice.list(rows.into_iter().map(Export::of).collect::<Result<_>>()?, total)
        })
        .await
}

/// Export records into a file
///
/// In the background: `GET /v1/exports/{id}` says when the file is there. It holds what there is now,
/// the oldest first: what the list of the resource shows with the same filters. Needs the right to read the resource as well.
#[utoipa::path(tag = "jobs", security(("bearer" = ["jobs:write"])), responses((status = 201, body = Export)))]
#[post("/exports")]
pub async fn create_export(caller: Caller, new: Json<NewExport>) -> Result<Reply> {
    let grant = caller.must(Scope::JobsWrite)?;
    must_read(grant.identity().scopes, new.resource)?;
    grant.write(move |tx| new.insert(tx).map(Created)).await
}

/// Get an export
#[utoipa::path(tag = "jobs", security(("bearer" = ["jobs:read"])), responses((status = 200, body = Export)))]
#[get("/exports/{id}")]
pub async fn get_export(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::JobsRead)?;
    grant.read(move |conn| Export::of(find(conn, *id)?).map(Found)).await
}

/// Download the file of an export
///
/// 409 before it is there. Needs the right to read the resource as well.
#[utoipa::path(tag = "jobs", security(("bearer" = ["jobs:read"])), responses((status = 200, body = String, content_type = "application/octet-stream", description = "The file."), (status = 409)))]
#[get("/exports/{id}/file")]
pub async fn get_export_file(caller: Caller, id: Path<Uuid>) -> Result<HttpResponse> {
    let grant = caller.must(Scope::JobsRead)?;
    let scopes = grant.identity().scopes;
    let (app, session) = grant.steps();
    let (db, asking, id) = (app.db.clone(), session.clone(), *id);
    let row = blocking(move || {
        db.read(Server::Primary, &asking, &|conn| {
            let row = find(conn, id)?;
            must_read(scopes, row.resource)?;
            must_be_there(row)
        })
    })
    .await?;
    Ok(send(app, session, &row))
}

/// Make a link to the file of an export
///
/// It works for 24 hours without a credential, and a new one ends the one before. 409 before the file
/// is there. Needs the right to read the resource as well.
#[utoipa::path(tag = "jobs", security(("bearer" = ["jobs:write"])), responses((status = 201, body = ExportLink)))]
#[post("/exports/{id}/links")]
pub async fn create_export_link(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::JobsWrite)?;
    let (scopes, app) = (grant.identity().scopes, grant.app().clone());
    grant
        .write(move |tx| {
            let row = Row::lock(tx, Some(JobKind::Export), *id)?;
            must_read(scopes, row.resource)?;
            issue(tx, &app.config.public_url, &must_be_there(row)?)
        })
        .await
}

fn issue(tx: &mut Tx, public_url: &str, row: &Row) -> Result<Reply> {
    use bulk_jobs as b;
    let expires_at = row.expires_at.min(tx.now + WORKS_FOR);
    let link = SecretText::generate(PREFIX, tx.workspace.uuid());
    diesel::update(of(tx.workspace).filter(b::id.eq(row.id)))
        .set((b::link_hash.eq(link.hash().to_vec()), b::link_expires_at.eq(expires_at)))
        .execute(tx.pg)?;
    audit::done(tx, "export.link_created", row.id)?;
    let url = format!("{public_url}/exports/{}", link.reveal());
    let made = Reply::json(StatusCode::CREATED, &ExportLink { url: url.clone(), expires_at })?;
    Ok(made.with("Location", url))
}

/// Download an export by its link
#[utoipa::path(tag = "jobs", security(()), params(("token" = String, Path, description = "The token of a link", example = "ecrm_ex_4Vx")), responses((status = 200, body = String, content_type = "application/octet-stream", description = "The file.")))]
#[get("/exports/{token}")]
pub async fn get_exported_file(req: HttpRequest, token: Path<String>) -> Result<HttpResponse> {
    let app = App::of(&req);
    app.limits.charge_address(&req)?;
    let link = SecretText::parse(PREFIX, &token).ok_or_else(Error::not_found)?;
    let (db, via) = (app.db.clone(), Via::of(&req));
    let (session, row) = blocking(move || {
        let session = workspaces::session_of_link(&db, link.workspace(), via)?;
        let row = db.read(Server::Primary, &session, &|conn| by_link(conn, &link))?;
        Ok((session, row))
    })
    .await?;
    Ok(send(app, session, &row))
}

/// The export that a link leads to; 404 for one that is forged or over.
fn by_link(conn: &mut Conn, link: &SecretText) -> Result<Row> {
    use bulk_jobs as b;
    let row: Row = of(conn.workspace)
        .filter(b::link_hash.eq(link.hash().to_vec()))
        .filter(b::link_expires_at.gt(conn.now))
        .filter(b::file_id.is_not_null())
        .select(Row::as_select())
        .first(conn.pg)?;
    Ok(row)
}

fn find(conn: &mut Conn, id: Uuid) -> Result<Row> {
    Row::find(conn, Some(JobKind::Export), id)
}

fn must_be_there(row: Row) -> Result<Row> {
    match result_url(&row) {
        Some(_) => Ok(row),
        None => Err(Error::transition("the export has no file: not yet, or no more", &[])),
    }
}

fn send(app: App, session: Session, row: &Row) -> HttpResponse {
    let file = row.file_id.unwrap_or_default();
    let name = format!("{}-{}.{}", row.resource, row.id, row.format);
    let about = File { content_type: "application/octet-stream", name };
    stream::answer(app, session, about, 0, move |conn, position: i32| {
        Ok(pieces::load(conn, file, position)?.map(|piece| (piece, position + 1)))
    })
}
