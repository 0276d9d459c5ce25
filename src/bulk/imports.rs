//! Imports: what is to be taken in from a file, how, and what became of it.

use actix_web::{get, patch, post};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use validator::{Validate, ValidationError};

use super::head::{FileHead, head_of};
use super::job::{JobCounts, progress};
use super::mapping::{self, Mapping, Plan};
use super::records;
use super::row::{BulkFormat, BulkResource, ImportResource, JobKind, JobStatus, Row, of};
use super::{SORT, must_write};
use crate::audit;
use crate::auth::{Caller, Scope};
use crate::db::json::{Jsonb, RawJson};
use crate::db::{Conn, Tx};
use crate::error::{Error, Result};
use crate::http::json::never_null;
use crate::http::{Created, Found, IfMatch, Json, List, Page, Path, Query, Reply, Versioned};
use crate::schema::bulk_jobs;

crate::text_enum! {
    /// What to do with a row whose record is there already, by an email, phone number, SKU or outside id.
    pub enum OnDuplicate {
        /// Leave the record as it is.
        Skip = "skip",
        /// Change what the row says; empty cells change nothing, null clears. Tags, outside ids and
        /// addresses are added, an address to the one of its type. What says nothing new is skipped.
        Update = "update",
        /// Refuse the row.
        Fail = "fail",
    }
}

/// How an import goes about its rows; stored with it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImportSettings {
    pub mapping: Option<Mapping>,
    pub on_duplicate: OnDuplicate,
    pub create_customers: bool,
    #[serde(default)]
    pub backfill: bool,
    pub dry_run: bool,
    pub source: Option<String>,
}

/// Records to be taken in from a file.
#[derive(Debug, Serialize, ToSchema)]
pub struct Import {
    /// Unique id, a UUIDv7.
    pub id: Uuid,
    /// What the rows are.
    #[schema(value_type = String, extensions(("x-extensible-enum" = json!(BulkResource::ALL))), example = "customers")]
    pub resource: BulkResource,
    /// How the file is written.
    #[schema(value_type = String, extensions(("x-extensible-enum" = json!(BulkFormat::ALL))), example = "csv")]
    pub format: BulkFormat,
    /// How far it is.
    #[schema(value_type = String, extensions(("x-extensible-enum" = json!(JobStatus::ALL))), example = "ready")]
    pub status: JobStatus,
    /// Which column fills which field: as given, else as suggested.
    #[schema(value_type = BTreeMap<String, String>, example = json!({"E-Mail": "email"}))]
    pub mapping: Mapping,
    /// The columns of the file, empty before it is uploaded.
    #[schema(example = json!(["E-Mail", "Shoe size"]))]
    pub columns: Vec<String>,
    /// Columns that fill nothing.
    #[schema(example = json!(["Shoe size"]))]
    pub ignored_columns: Vec<String>,
    /// What happens to rows whose record is there already.
    #[schema(value_type = String, extensions(("x-extensible-enum" = json!(OnDuplicate::ALL))), example = "skip")]
    pub on_duplicate: OnDuplicate,
    /// Of touchpoints: whether unknown people become customers.
    pub create_customers: bool,
    /// Whether no webhooks are sent for it.
    pub backfill: bool,
    /// Whether it only tries.
    pub dry_run: bool,
    /// The `source` of records whose row has none.
    #[schema(example = "old_crm")]
    pub source: Option<String>,
    /// Bytes of the file, unpacked.
    pub file_bytes: i64,
    /// From 0 to 1.
    #[schema(example = 0.5)]
    pub progress: f64,
    /// What became of the rows so far.
    pub counts: JobCounts,
    /// Why it failed.
    pub failure: Option<String>,
    /// Where the refused rows are, as CSV; null where there are none.
    #[schema(example = "/v1/imports/019a9c3e-4b7a-7c1e-9d0f-2a5b8c7d6e4f/errors")]
    pub errors_url: Option<String>,
    /// When file, refused rows and the way back are removed.
    pub expires_at: DateTime<Utc>,
    /// When the first row was looked at.
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

impl Versioned for Import {
    const COLLECTION: &'static str = "/v1/imports";

    fn id(&self) -> Uuid {
        self.id
    }

    fn version(&self) -> i64 {
        self.version
    }
}

/// An import to be prepared.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewImport {
    /// What the rows are.
    pub resource: ImportResource,
    /// How the file is written.
    pub format: BulkFormat,
    /// Which column fills which field (a column that the file has not got is 422), such as `email`, `attributes.size`, `external_ids.shop`,
    /// `address.city` or `line_item.sku`; absent means what the names suggest. Amounts of products and
    /// orders are decimals in a CSV file (`19.90`), in the currency of the row's `currency`, else in the
    /// workspace's. Rows that follow each other and have the same `number` and outside ids are the lines
    /// of one order.
    #[validate(custom(function = "mapping_size"))]
    #[schema(value_type = Option<BTreeMap<String, String>>, example = json!({"E-Mail": "email", "Size": "attributes.size"}))]
    pub mapping: Option<Mapping>,
    /// What to do with rows whose record is there already; `skip` unless said otherwise. It is known by
    /// its outside ids, else by its email address, else by its phone number, or by its SKU. A row whose
    /// record, found by the weaker of these, has another of the stronger is refused. Rows of our own
    /// exports are known by their `id` as well, where they came from; what is read only there is ignored. Of
    /// touchpoints, those with a known `message_id` are always skipped. Orders are recognised by their
    /// outside ids only, and one that is older than what is known (`source_updated_at`) is skipped.
    pub on_duplicate: Option<OnDuplicate>,
    /// Of touchpoints: whether unknown people become customers; otherwise their rows are refused. Whoever
    /// placed an order always becomes one.
    #[serde(default)]
    pub create_customers: bool,
    /// Whether the rows are history that moves in, of which no webhooks are sent. The change feed has them.
    #[serde(default)]
    pub backfill: bool,
    /// Whether only to try: every row is checked against what is stored, and nothing stays. Rows are tried
    /// 500 at a time, so of doubles in the file only those are seen that are so close together.
    #[serde(default)]
    pub dry_run: bool,
    /// The `source` of records whose row has none.
    #[validate(
        length(min = 1, max = 100),
        custom(function = "crate::touchpoints::touchpoint_source")
    )]
    #[schema(example = "old_crm", min_length = 1, max_length = 100)]
    pub source: Option<String>,
}

/// Changes to an import that is not started, or was a dry run.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportPatch {
    /// Which column fills which field; replaces all.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(custom(function = "mapping_size"))]
    #[schema(value_type = Option<BTreeMap<String, String>>, nullable = false, example = json!({"E-Mail": "email"}))]
    pub mapping: Option<Mapping>,
    /// What to do with rows whose record is there already.
    #[serde(default, deserialize_with = "never_null")]
    #[schema(nullable = false)]
    pub on_duplicate: Option<OnDuplicate>,
    /// Whether only to try.
    #[serde(default, deserialize_with = "never_null")]
    #[schema(nullable = false)]
    pub dry_run: Option<bool>,
}

fn mapping_size(mapping: &Mapping) -> Result<(), ValidationError> {
    let is_long = |text: &String| text.chars().count() > 200 || text.contains('\0');
    if mapping.len() > records::MAX_COLUMNS || mapping.iter().any(|(c, f)| is_long(c) || is_long(f))
    {
        let expected = "takes up to 500 columns with names of up to 200 characters";
        return Err(ValidationError::new("invalid_mapping").with_message(expected.into()));
    }
    Ok(())
}

impl Import {
    pub fn of(row: Row) -> Result<Self> {
        let settings: ImportSettings = row.settings.parse()?;
        let head: Option<FileHead> = row.found.as_ref().map(RawJson::parse).transpose()?;
        let (columns, suggested) =
            head.map(|head| (head.columns, head.suggested)).unwrap_or_default();
        let mapping = settings.mapping.unwrap_or(suggested);
        let is_ignored =
            |column: &&String| row.format == BulkFormat::Csv && !mapping.contains_key(*column);
        let has_errors = row.failed_count > 0;
        Ok(Self {
            ignored_columns: columns.iter().filter(is_ignored).cloned().collect(),
            errors_url: has_errors.then(|| format!("/v1/imports/{}/errors", row.id)),
            progress: progress(&row),
            counts: JobCounts::of(&row),
            id: row.id,
            resource: row.resource,
            format: row.format,
            status: row.status,
            mapping,
            columns,
            on_duplicate: settings.on_duplicate,
            create_customers: settings.create_customers,
            backfill: settings.backfill,
            dry_run: settings.dry_run,
            source: settings.source,
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

/// List imports
#[utoipa::path(tag = "jobs", security(("bearer" = ["jobs:read"])), params(Page), responses((status = 200, body = List<Import>)))]
#[get("/imports")]
pub async fn list_imports(caller: Caller, page: Query<Page>) -> Result<Reply> {
    let grant = caller.must(Scope::JobsRead)?;
    let slice = page.slice(&grant, "imports", SORT, &())?;
    grant
        .list(move |conn| {
            let matching = || of(conn.workspace).filter(bulk_jobs::kind.eq(JobKind::Import));
            let total = slice.total(|| matching().count().get_result(conn.pg))?;
            let rows: Vec<Row> = matching()
                .filter(slice.after.clone())
                .order(slice.order.clone())
                .limit(slice.fetch())
                .select(Row::as_select())
                .load(conn.pg)?;
            slice.list(rows.into_iter().map(Import::of).collect::<Result<_>>()?, total)
        })
        .await
}

/// Prepare an import
///
/// Then `PUT …/file` uploads the file, `GET …/preview` shows how its first rows are understood, and
/// `POST …/start` begins. Needs the right to write the resource as well.
#[utoipa::path(tag = "jobs", security(("bearer" = ["jobs:write"])), responses((status = 201, body = Import)))]
#[post("/imports")]
pub async fn create_import(caller: Caller, new: Json<NewImport>) -> Result<Reply> {
    let grant = caller.must(Scope::JobsWrite)?;
    must_write(&grant, new.resource.into())?;
    grant.write(move |tx| new.insert(tx).map(Created)).await
}

/// Get an import
#[utoipa::path(tag = "jobs", security(("bearer" = ["jobs:read"])), responses((status = 200, body = Import)))]
#[get("/imports/{id}")]
pub async fn get_import(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::JobsRead)?;
    grant.read(move |conn| Import::of(find(conn, *id)?).map(Found)).await
}

/// Change how an import goes about its rows
///
/// Before it is started. After a dry run as well: then it can be started again.
#[utoipa::path(tag = "jobs", security(("bearer" = ["jobs:write"])), responses((status = 200, body = Import)))]
#[patch("/imports/{id}")]
pub async fn update_import(
    caller: Caller,
    id: Path<Uuid>,
    if_match: IfMatch,
    patch: Json<ImportPatch>,
) -> Result<Reply> {
    let grant = caller.must(Scope::JobsWrite)?;
    grant.write(move |tx| patch.apply(tx, *id, if_match).and_then(Import::of).map(Found)).await
}

/// Start an import
///
/// It goes on in the background; `GET /v1/imports/{id}` says how far it is. A crash of the service
/// neither loses nor doubles a row.
#[utoipa::path(tag = "jobs", security(("bearer" = ["jobs:write"])), responses((status = 200, body = Import)))]
#[post("/imports/{id}/start")]
pub async fn start_import(caller: Caller, id: Path<Uuid>, if_match: IfMatch) -> Result<Reply> {
    let grant = caller.must(Scope::JobsWrite)?;
    let scopes = grant.identity().scopes;
    grant
        .write(move |tx| {
            let row = lock(tx, *id)?;
            super::may_write(scopes, row.resource)?;
            if_match.check(row.version)?;
            start(tx, &row).and_then(Import::of).map(Found)
        })
        .await
}

/// Revert an import
///
/// Deletes what it made and gives what it changed its former values, in the background. What somebody
/// has changed since stays as it is, and stands among the errors with the code `changed_since`; orders
/// that it changed stay as well (`cannot_be_undone`), for payments and states only go forward, and so do
/// customers whom orders made. Touchpoints cannot be reverted: the log only grows.
#[utoipa::path(tag = "jobs", security(("bearer" = ["jobs:write"])), responses((status = 200, body = Import)))]
#[post("/imports/{id}/revert")]
pub async fn revert_import(caller: Caller, id: Path<Uuid>, if_match: IfMatch) -> Result<Reply> {
    let grant = caller.must(Scope::JobsWrite)?;
    let scopes = grant.identity().scopes;
    grant
        .write(move |tx| {
            let row = lock(tx, *id)?;
            super::may_write(scopes, row.resource)?;
            if_match.check(row.version)?;
            super::revert::begin(tx, &row).and_then(Import::of).map(Found)
        })
        .await
}

pub fn find(conn: &mut Conn, id: Uuid) -> Result<Row> {
    Row::find(conn, Some(JobKind::Import), id)
}

pub fn lock(tx: &mut Tx, id: Uuid) -> Result<Row> {
    Row::lock(tx, Some(JobKind::Import), id)
}

impl NewImport {
    fn insert(&self, tx: &mut Tx) -> Result<Import> {
        if let Some(mapping) = &self.mapping {
            mapping::check(self.resource.into(), mapping)?;
        }
        let settings = ImportSettings {
            mapping: self.mapping.clone(),
            on_duplicate: self.on_duplicate.unwrap_or(OnDuplicate::Skip),
            create_customers: self.create_customers,
            backfill: self.backfill,
            dry_run: self.dry_run,
            source: self.source.clone(),
        };
        let what = (JobKind::Import, self.resource.into(), self.format);
        let row = Row::insert(tx, what, JobStatus::WaitingForFile, &settings)?;
        audit::done(tx, "import.created", row.id)?;
        Import::of(row)
    }
}

impl ImportPatch {
    fn apply(&self, tx: &mut Tx, id: Uuid, if_match: IfMatch) -> Result<Row> {
        let row = lock(tx, id)?;
        if_match.check(row.version)?;
        let mut settings: ImportSettings = row.settings.parse()?;
        must_be_open(&row, &settings)?;
        if let Some(mapping) = &self.mapping {
            mapping::check(row.resource, mapping)?;
            check_columns(&row, mapping)?;
            settings.mapping = Some(mapping.clone());
        }
        settings.on_duplicate = self.on_duplicate.unwrap_or(settings.on_duplicate);
        settings.dry_run = self.dry_run.unwrap_or(settings.dry_run);
        let status = match row.status {
            JobStatus::WaitingForFile => JobStatus::WaitingForFile,
            _ => JobStatus::Ready,
        };
        diesel::update(of(tx.workspace).filter(bulk_jobs::id.eq(id)))
            .set(bulk_jobs::settings.eq(Jsonb(settings)))
            .execute(tx.pg)?;
        audit::done(tx, "import.updated", id)?;
        row.advance(tx, status)
    }
}

/// Whether nothing has come of the import yet that a new start could double.
fn must_be_open(row: &Row, settings: &ImportSettings) -> Result<()> {
    use JobStatus::{Completed, CompletedWithErrors, Ready, WaitingForFile};
    let open: &[JobStatus] = match settings.dry_run {
        true => &[WaitingForFile, Ready, Completed, CompletedWithErrors],
        false => &[WaitingForFile, Ready],
    };
    row.must_be(open, &[])
}

/// 422 for columns that the file does not have, where it is there and has a head line.
fn check_columns(row: &Row, mapping: &Mapping) -> Result<()> {
    match row.format {
        BulkFormat::Csv if row.file_id.is_some() => {
            mapping::check_columns(&head_of(row)?.columns, mapping)
        }
        _ => Ok(()),
    }
}

fn start(tx: &mut Tx, row: &Row) -> Result<Row> {
    use bulk_jobs as b;
    row.must_be(&[JobStatus::Ready], &[])?;
    let head = head_of(row)?;
    let settings: ImportSettings = row.settings.parse()?;
    let mapping = settings.mapping.unwrap_or(head.suggested);
    check_columns(row, &mapping)?;
    if row.format == BulkFormat::Csv && mapping.is_empty() {
        let detail = "no column of the file fills a field; name some in `mapping`";
        return Err(Error::field("#/mapping", "nothing_mapped", detail));
    }
    super::errors::discard(tx, &[row.id])?;
    diesel::update(of(tx.workspace).filter(b::id.eq(row.id)))
        .set((
            b::position.eq(head.bytes),
            b::total.eq(None::<i64>),
            b::row_count.eq(0_i64),
            b::created_count.eq(0_i64),
            b::updated_count.eq(0_i64),
            b::skipped_count.eq(0_i64),
            b::failed_count.eq(0_i64),
            b::started_at.eq(None::<DateTime<Utc>>),
        ))
        .execute(tx.pg)?;
    row.enqueue(tx, "imports.run")?;
    audit::done(tx, "import.started", row.id)?;
    row.advance(tx, JobStatus::Queued)
}

/// How the records of an import become values.
pub fn plan(conn: &mut Conn, row: &Row, settings: &ImportSettings) -> Result<Plan> {
    let head = head_of(row)?;
    let mapping = settings.mapping.clone().unwrap_or(head.suggested);
    Plan::new(conn, (row.resource, row.format), (head.columns, head.delimiter), mapping)
}
