//! How the first rows of a file are understood, before any is taken in.

use actix_web::get;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::head::head_of;
use super::imports::{self, Import, ImportSettings};
use super::lines::Lines;
use super::mapping::Mapping;
use super::row::Row;
use super::{must_read, pieces};
use crate::auth::{Caller, Scope};
use crate::db::Conn;
use crate::error::{Error, FieldError, Result};
use crate::http::reply::Plain;
use crate::http::{Path, Reply};

/// The first rows of a file as they would be taken in.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImportPreview {
    /// The columns of the file.
    #[schema(example = json!(["E-Mail"]))]
    pub columns: Vec<String>,
    /// What the names of the columns suggest.
    #[schema(value_type = BTreeMap<String, String>, example = json!({"E-Mail": "email"}))]
    pub suggested_mapping: Mapping,
    /// Columns that fill nothing.
    #[schema(example = json!([]))]
    pub ignored_columns: Vec<String>,
    /// Up to ten rows.
    pub rows: Vec<PreviewRow>,
}

/// One row as it would be taken in.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreviewRow {
    /// Its number, from 1 after the head line.
    #[schema(example = 1)]
    pub row: i64,
    /// What it says, in the fields of the resource; null where it cannot be read.
    #[schema(value_type = Option<crate::values::free::FreeObject>, example = json!({"email": "ada@shop.example.com"}))]
    pub record: Option<Value>,
    /// What is wrong with it.
    pub errors: Vec<FieldError>,
}

/// Preview the first rows of an import
///
/// 409 before the file is uploaded. Needs the right to read the resource as well.
#[utoipa::path(tag = "jobs", security(("bearer" = ["jobs:read"])), responses((status = 200, body = ImportPreview), (status = 409)))]
#[get("/imports/{id}/preview")]
pub async fn get_import_preview(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::JobsRead)?;
    let scopes = grant.identity().scopes;
    grant
        .read(move |conn| {
            let row = imports::find(conn, *id)?;
            must_read(scopes, row.resource)?;
            preview(conn, &row).map(Plain)
        })
        .await
}

const PREVIEWED: usize = 10;

fn preview(conn: &mut Conn, row: &Row) -> Result<ImportPreview> {
    let head = head_of(row)?;
    let settings: ImportSettings = row.settings.parse()?;
    let plan = imports::plan(conn, row, &settings)?;
    let file = row.file_id.unwrap_or_default();
    let piece = pieces::load(conn, file, 0)?.unwrap_or_default();
    let mut rest = &piece[usize::try_from(head.bytes).unwrap_or_default().min(piece.len())..];
    let mut lines = Lines::new(&plan, row.format, &head);
    let (mut rows, mut number) = (Vec::new(), 1);
    while rows.len() < PREVIEWED {
        // The last record of the first piece may go on in the second.
        let Some(record) = lines.next(&mut rest)? else { break };
        let is_cut = rest.is_empty() && i64::try_from(piece.len()).unwrap_or(0) < row.file_bytes;
        if is_cut {
            break;
        }
        let line = match record {
            Ok(line) => line,
            Err(broken) => {
                rows.push(PreviewRow::refused(
                    number,
                    Error::field("#", broken.code(), broken.detail()),
                ));
                break;
            }
        };
        if line.text.trim_ascii().is_empty() {
            continue;
        }
        let checked = line
            .value
            .and_then(|value| super::rows::check(conn, row.resource, &value).map(|()| value));
        rows.push(match checked {
            Ok(value) => PreviewRow { row: number, record: Some(value), errors: vec![] },
            Err(error) => PreviewRow::refused(number, error),
        });
        number += line.rows;
    }
    let shown = Import::of(row.clone())?;
    let (columns, ignored_columns) = (shown.columns, shown.ignored_columns);
    Ok(ImportPreview { columns, suggested_mapping: head.suggested, ignored_columns, rows })
}

impl PreviewRow {
    fn refused(row: i64, error: Error) -> Self {
        let rejection = error.rejection().into_owned();
        let errors = match rejection.errors.is_empty() {
            false => rejection.errors,
            true => vec![FieldError {
                pointer: Some("#".into()),
                parameter: None,
                code: rejection.code,
                detail: rejection.detail,
            }],
        };
        Self { row, record: None, errors }
    }
}
