//! Rows that were refused, and why: kept sealed, given out as CSV so that they can be put right.

use actix_web::{HttpResponse, get};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::imports;
use super::stream::{self, File};
use crate::auth::{Caller, Scope};
use crate::db::{Conn, Tx, WorkspaceId};
use crate::error::{Error, Result};
use crate::http::Path;
use crate::schema::import_errors;
use crate::seal::{self, Context};
use crate::values::spreadsheet;

/// Refused rows that are kept of one import; more are only counted.
pub const MOST: i64 = 10_000;
/// Characters of a refused row that are kept.
const ROW_CHARS: usize = 4_000;
const PAGE: i64 = 500;

/// Why one row was refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RowError {
    pub row: i64,
    /// Where in the record, as a JSON Pointer.
    pub pointer: String,
    pub code: String,
    pub detail: String,
    /// The row itself.
    pub text: String,
}

impl RowError {
    /// The errors of one row.
    pub fn of(row: i64, text: &[u8], error: &Error) -> Vec<Self> {
        let rejection = error.rejection().into_owned();
        let text: String = String::from_utf8_lossy(text).chars().take(ROW_CHARS).collect();
        let one = |pointer: String, code: String, detail: String| Self {
            row,
            pointer,
            code,
            detail,
            text: text.clone(),
        };
        if rejection.errors.is_empty() {
            return vec![one(String::new(), rejection.code.into_owned(), rejection.detail)];
        }
        let faults = rejection.errors.into_iter();
        faults
            .map(|fault| {
                one(fault.pointer.unwrap_or_default(), fault.code.into_owned(), fault.detail)
            })
            .collect()
    }
}

#[diesel::dsl::auto_type(no_type_alias)]
fn of(workspace: WorkspaceId) -> _ {
    import_errors::table.filter(import_errors::workspace_id.eq(workspace))
}

fn place(conn: &Conn, row: Uuid) -> Context {
    let (workspace, table) = (conn.workspace.uuid(), "import_errors");
    Context { workspace, table, column: "sealed", row, version: 1 }
}

/// Keeps the errors of rows.
pub fn keep(tx: &mut Tx, import: Uuid, errors: &[RowError]) -> Result<()> {
    use import_errors as e;
    let key = tx.data_key()?;
    let mut rows = Vec::with_capacity(errors.len());
    for error in errors {
        let id = tx.new_id();
        let text = serde_json::to_vec(error).map_err(|error| Error::internal(error.to_string()))?;
        rows.push((
            e::workspace_id.eq(tx.workspace),
            e::import_id.eq(import),
            e::row_number.eq(error.row),
            e::id.eq(id),
            e::sealed.eq(seal::seal(&key, &place(tx, id), &text)),
            e::created_at.eq(tx.now),
        ));
    }
    for chunk in rows.chunks(1000) {
        diesel::insert_into(e::table).values(chunk.to_vec()).execute(tx.pg)?;
    }
    Ok(())
}

/// Takes away all errors of these imports.
pub fn discard(tx: &mut Tx, imports: &[Uuid]) -> Result<()> {
    let all = of(tx.workspace).filter(import_errors::import_id.eq_any(imports));
    diesel::delete(all).execute(tx.pg)?;
    Ok(())
}

pub fn prune(pg: &mut PgConnection, before: DateTime<Utc>) -> Result<()> {
    diesel::delete(import_errors::table.filter(import_errors::created_at.lt(before)))
        .execute(pg)?;
    Ok(())
}

/// Get the refused rows of an import
///
/// A CSV file with `row`, `field`, `code`, `detail` and the row itself; up to 10,000 rows are kept.
/// Formulas are marked as text. Needs the right to read the resource as well.
#[utoipa::path(tag = "jobs", security(("bearer" = ["jobs:read"])), responses((status = 200, body = String, content_type = "text/csv", description = "The refused rows.")))]
#[get("/imports/{id}/errors")]
pub async fn get_import_errors(caller: Caller, id: Path<Uuid>) -> Result<HttpResponse> {
    let grant = caller.must(Scope::JobsRead)?;
    let scopes = grant.identity().scopes;
    let (app, session) = grant.steps();
    let import = *id;
    let name = format!("errors-{import}.csv");
    let (db, asking) = (app.db.clone(), session.clone());
    crate::auth::blocking(move || {
        db.read(crate::db::Server::Primary, &asking, &|conn| {
            super::must_read(scopes, imports::find(conn, import)?.resource)
        })
    })
    .await?;
    let file = File { content_type: "text/csv; charset=utf-8", name };
    // The place is the row after which to go on; -1 is the head line.
    Ok(stream::answer(app, session, file, (-1, Uuid::nil()), move |conn, place| {
        if place.0 == -1 {
            return Ok(Some((b"row,field,code,detail,text\r\n".to_vec(), (0, Uuid::nil()))));
        }
        page(conn, import, place)
    }))
}

type Place = (i64, Uuid);

fn page(conn: &mut Conn, import: Uuid, (row, after): Place) -> Result<Option<(Vec<u8>, Place)>> {
    use import_errors as e;
    let key = conn.data_key()?;
    let beyond = e::row_number.gt(row).or(e::row_number.eq(row).and(e::id.gt(after)));
    let rows: Vec<(i64, Uuid, Vec<u8>)> = of(conn.workspace)
        .filter(e::import_id.eq(import))
        .filter(beyond)
        .order((e::row_number, e::id))
        .limit(PAGE)
        .select((e::row_number, e::id, e::sealed))
        .load(conn.pg)?;
    let Some(last) = rows.last().map(|(row, id, _)| (*row, *id)) else { return Ok(None) };
    let mut out = spreadsheet::writer();
    for (_, id, sealed) in rows {
        let text = seal::open(&key, &place(conn, id), &sealed)?;
        let error: RowError =
            serde_json::from_slice(&text).map_err(|error| Error::internal(error.to_string()))?;
        let field = error.pointer.trim_start_matches(['#', '/']).to_owned();
        let cells = [error.row.to_string(), field, error.code, error.detail, error.text];
        spreadsheet::write(&mut out, cells.iter().map(String::as_str))?;
    }
    Ok(Some((spreadsheet::finish(out)?, last)))
}
