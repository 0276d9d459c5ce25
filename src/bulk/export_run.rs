//! Carrying out an export: page after page by id, each piece of the file with the place to go on from.

use std::time::Instant;

use diesel::prelude::*;
use serde_json::Value;
use uuid::Uuid;

use super::exports::ExportSettings;
use super::pieces;
use super::question::Question;
use super::row::{BulkFormat, BulkResource, JobKind, JobStatus, Row, of};
use super::run::STRETCH;
use crate::app::App;
use crate::audit;
use crate::db::ids::IdRange;
use crate::db::{Conn, Outcome, Server, Session, Tx, id};
use crate::error::{Error, FieldError, Result};
use crate::jobs::Job;
use crate::schema::bulk_jobs;
use crate::values::money::Money;
use crate::values::spreadsheet;

/// Records of one page.
const RECORDS: i64 = 500;

const CUSTOMERS: &[&str] = &[
    "id",
    "external_ids",
    "first_name",
    "last_name",
    "display_name",
    "email",
    "phone",
    "title",
    "birth_date",
    "gender",
    "locale",
    "timezone",
    "currency",
    "addresses",
    "lifecycle_stage",
    "status",
    "owner_id",
    "source",
    "acquisition",
    "preferences",
    "score",
    "attributes",
    "tags",
    "stats",
    "version",
    "created_at",
    "updated_at",
    "restricted_at",
];
const ORGANIZATIONS: &[&str] = &[
    "id",
    "external_ids",
    "name",
    "domains",
    "industry",
    "employees_count",
    "annual_revenue",
    "annual_revenue.currency",
    "parent_id",
    "owner_id",
    "attributes",
    "tags",
    "version",
    "created_at",
    "updated_at",
];
const TOUCHPOINTS: &[&str] = &[
    "id",
    "customer_id",
    "anonymous_id",
    "organization_id",
    "channel_id",
    "direction",
    "type",
    "name",
    "occurred_at",
    "received_at",
    "source",
    "message_id",
    "subject",
    "actor",
    "value",
    "value.currency",
    "content",
    "context",
    "properties",
];

const PRODUCTS: &[&str] = &[
    "id",
    "external_ids",
    "sku",
    "name",
    "description",
    "brand",
    "category",
    "price",
    "price.currency",
    "url",
    "image_url",
    "status",
    "attributes",
    "tags",
    "source_updated_at",
    "version",
    "created_at",
    "updated_at",
];
const ORDERS: &[&str] = &[
    "id",
    "external_ids",
    "source",
    "number",
    "customer_id",
    "email",
    "phone",
    "status",
    "financial_status",
    "fulfillment_status",
    "currency",
    "line_items",
    "subtotal",
    "discount_total",
    "tax_total",
    "shipping_total",
    "fee_total",
    "total",
    "paid_total",
    "refunded_total",
    "is_tax_included",
    "channel_id",
    "cart_id",
    "billing_address",
    "shipping_address",
    "discount_codes",
    "utm",
    "note",
    "cancel_reason",
    "placed_at",
    "paid_at",
    "fulfilled_at",
    "cancelled_at",
    "source_updated_at",
    "attributes",
    "tags",
    "version",
    "created_at",
    "updated_at",
];
const CARTS: &[&str] = &[
    "id",
    "external_ids",
    "source",
    "customer_id",
    "anonymous_id",
    "email",
    "status",
    "currency",
    "total",
    "line_items",
    "channel_id",
    "recovery_url",
    "order_id",
    "active_at",
    "checkout_at",
    "abandoned_at",
    "recovered_at",
    "converted_at",
    "source_updated_at",
    "version",
    "created_at",
    "updated_at",
];

/// The columns of a CSV file: those asked for, or all.
pub fn columns(resource: BulkResource, asked: &[String]) -> Vec<String> {
    match asked {
        [] => every(resource).0.iter().map(ToString::to_string).collect(),
        asked => asked.to_vec(),
    }
}

/// The columns of a file of which nothing else is said, and fields that a file may have besides.
fn every(resource: BulkResource) -> (&'static [&'static str], &'static [&'static str]) {
    match resource {
        BulkResource::Customers => {
            (CUSTOMERS, &["merged_into_id", "merged_from", "as_of", "deleted_at"])
        }
        BulkResource::Organizations => (ORGANIZATIONS, &["deleted_at"]),
        BulkResource::Touchpoints => {
            (TOUCHPOINTS, &["origin_customer_id", "conversation_id", "campaign_id"])
        }
        BulkResource::Products => (PRODUCTS, &["deleted_at"]),
        BulkResource::Orders => (ORDERS, &["deleted_at"]),
        BulkResource::Carts => (CARTS, &["deleted_at"]),
    }
}

/// 422 for columns that no record of the resource has.
pub fn check_columns(resource: BulkResource, asked: &[String]) -> Result<()> {
    let (usual, more) = every(resource);
    let is_field = |name: &str| usual.contains(&name) || more.contains(&name);
    let is_unknown = |path: &str| !is_field(path.split('.').next().unwrap_or(path));
    let faults = asked.iter().enumerate().filter(|(_, path)| is_unknown(path)).map(|(at, path)| {
        let detail = format!("`{path}` is no field of {resource}; there are {}", usual.join(", "));
        FieldError::at(format!("#/columns/{at}"), "unknown_field", detail)
    });
    let faults: Vec<FieldError> = faults.collect();
    if faults.is_empty() { Ok(()) } else { Err(Error::invalid(faults)) }
}

/// Carries out a stretch of an export, and queues the next.
pub fn work(app: &App, session: &Session, job: &Job) -> Result<()> {
    let id = job.id_of("bulk_job_id")?;
    let begun = app.db.write(session, &|tx| begin(tx, id).map(Outcome::Commit))?;
    let Some(row) = begun else { return Ok(()) };
    match stretch(app, session, row) {
        Err(error) if error.is_fault() || error.is_rejection() || job.is_last_attempt() => {
            log::error!("export {id}: {error}");
            app.db.write(session, &|tx| give_up(tx, id).map(Outcome::Commit))
        }
        done => done,
    }
}

fn lock(tx: &mut Tx, id: Uuid) -> Result<Row> {
    Row::lock(tx, Some(JobKind::Export), id)
}

/// Counts what there is when the work begins.
fn begin(tx: &mut Tx, id: Uuid) -> Result<Option<Row>> {
    let row = lock(tx, id)?;
    match row.status {
        JobStatus::Running => Ok(Some(row)),
        JobStatus::Queued => row.advance(tx, JobStatus::Running).map(Some),
        _ => Ok(None),
    }
}

fn give_up(tx: &mut Tx, id: Uuid) -> Result<()> {
    let row = lock(tx, id)?;
    if row.status == JobStatus::Running {
        row.fail(tx, "something broke on our side")?;
        audit::done(tx, "export.failed", id)?;
    }
    Ok(())
}

fn stretch(app: &App, session: &Session, mut row: Row) -> Result<()> {
    let until = Instant::now() + STRETCH;
    let settings: ExportSettings = row.settings.parse()?;
    let question = Question::of(row.resource, &settings)?;
    if row.total.is_none() {
        let all = IdRange { after: None, ..left(&row, &settings) };
        let read = |conn: &mut Conn| question.count(conn, all);
        row.total = Some(app.db.read(Server::Replica, session, &read)?);
    }
    while Instant::now() < until {
        let left = left(&row, &settings);
        let read = |conn: &mut Conn| question.page(conn, left, RECORDS);
        let records = app.db.read(Server::Replica, session, &read)?;
        let written = written(&row, &settings, &records)?;
        let stored = app.db.write(session, &|tx| store(tx, &row, &records, &written))?;
        match stored {
            Some(next) if next.status == JobStatus::Running => row = next,
            _ => return Ok(()),
        }
    }
    app.db.write(session, &|tx| lock(tx, row.id)?.enqueue(tx, "exports.run").map(Outcome::Commit))
}

/// Which records are left to export.
fn left(row: &Row, settings: &ExportSettings) -> IdRange {
    IdRange {
        from: settings.created_at_gte.map(id::floor),
        until: settings.created_at_lt.map(id::floor),
        after: row.after_id,
    }
}

/// The page as the file has it; the first begins with the head line.
fn written(row: &Row, settings: &ExportSettings, records: &[Value]) -> Result<Vec<u8>> {
    if row.format == BulkFormat::Ndjson {
        let lines = records.iter().map(|record| format!("{record}\n"));
        return Ok(lines.collect::<String>().into_bytes());
    }
    let columns = columns(row.resource, &settings.columns);
    let mut out = spreadsheet::writer();
    if row.position == 0 {
        spreadsheet::write(&mut out, columns.iter().map(String::as_str))?;
    }
    for record in records {
        let cells = columns.iter().map(|column| cell(at(record, column)));
        out.write_record(cells).map_err(|error| Error::internal(error.to_string()))?;
    }
    spreadsheet::finish(out)
}

/// Money as a decimal, with which a spreadsheet can count; everything else as it is written there.
fn cell(value: &Value) -> String {
    let is_money = value.as_object().is_some_and(|fields| fields.len() == 2);
    let money = is_money.then(|| serde_json::from_value::<Money>(value.clone()).ok()).flatten();
    match money {
        Some(money) => money.decimal(),
        None => spreadsheet::value(value),
    }
}

/// The value at a path such as `attributes.size` or `external_ids.shop`.
fn at<'a>(record: &'a Value, path: &str) -> &'a Value {
    const NOTHING: &Value = &Value::Null;
    let Some((parent, rest)) = path.split_once('.') else { return &record[path] };
    match &record[parent] {
        Value::Array(all) => {
            all.iter().find(|one| one["source"] == rest).map_or(NOTHING, |one| &one["id"])
        }
        // The keys of attributes may have dots themselves.
        inner => inner.get(rest).unwrap_or_else(|| match rest.contains('.') {
            true => at(inner, rest),
            false => NOTHING,
        }),
    }
}

/// Adds a page to the file and moves the place; the last ends the export. `None` where it is elsewhere
/// by now.
fn store(tx: &mut Tx, row: &Row, records: &[Value], bytes: &[u8]) -> Result<Outcome<Option<Row>>> {
    use bulk_jobs as b;
    let count = i64::try_from(records.len()).unwrap_or(i64::MAX);
    let last = records.last().and_then(|record| record["id"].as_str()?.parse::<Uuid>().ok());
    let still_ours = of(tx.workspace)
        .filter(b::id.eq(row.id))
        .filter(b::position.eq(row.position))
        .filter(b::status.eq(JobStatus::Running));
    let moved: Option<Row> = diesel::update(still_ours)
        .set((
            b::position.eq(b::position + 1),
            b::after_id.eq(last.or(row.after_id)),
            b::row_count.eq(b::row_count + count),
            b::total.eq(row.total),
            b::file_bytes.eq(b::file_bytes + i64::try_from(bytes.len()).unwrap_or(i64::MAX)),
            b::updated_at.eq(tx.now),
        ))
        .returning(Row::as_returning())
        .get_result(tx.pg)
        .optional()?;
    let Some(moved) = moved else { return Ok(Outcome::Rollback(None)) };
    let position = i32::try_from(row.position).unwrap_or(i32::MAX);
    pieces::store(tx, row.file_id.unwrap_or_default(), position, bytes)?;
    if count == RECORDS {
        return Ok(Outcome::Commit(Some(moved)));
    }
    audit::done(tx, "export.completed", row.id)?;
    moved.advance(tx, JobStatus::Completed).map(Some).map(Outcome::Commit)
}
