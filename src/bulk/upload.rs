//! Taking in the file of an import: streamed into pieces, so that its size does not matter.

use std::io::Write;

use actix_web::http::header;
use actix_web::mime;
use actix_web::{HttpMessage, HttpRequest, put, rt::time::timeout, web};
use diesel::prelude::*;
use flate2::write::MultiGzDecoder;
use futures_util::StreamExt;
use uuid::Uuid;

use super::head::{FileHead, read_head};
use super::imports::{self, Import};
use super::pieces::{self, PIECE};
use super::row::{BulkFormat, JobStatus, Row, of};
use crate::app::App;
use crate::audit;
use crate::auth::{Caller, Scope, blocking};
use crate::db::json::Jsonb;
use crate::db::{Outcome, Server, Session, Tx};
use crate::error::{Code, Error, Result};
use crate::http::{Found, IfMatch, Path, Reply};
use crate::schema::bulk_jobs;

/// With these two bytes a packed file begins, and no text.
const GZIP: &[u8] = b"\x1f\x8b";

/// Upload the file of an import
///
/// The bytes of the file as the body, whatever their `Content-Type` (but no form, 415), plain or packed with
/// gzip (whether `Content-Encoding` says so or not), in UTF-8. A second upload replaces the first. Then the columns and the suggested mapping are
/// known. At most 2 GiB unless the service is set otherwise (`ECRM_IMPORT_LIMIT_BYTES`).
#[utoipa::path(tag = "jobs", security(("bearer" = ["jobs:write"])), request_body(content = String, content_type = "application/octet-stream", description = "The file.", example = "E-Mail,First name\nada@shop.example.com,Ada\n"), responses((status = 200, body = Import)))]
#[put("/imports/{id}/file")]
pub async fn put_import_file(
    caller: Caller,
    req: HttpRequest,
    id: Path<Uuid>,
    if_match: IfMatch,
    payload: web::Payload,
) -> Result<Reply> {
    let grant = caller.must(Scope::JobsWrite)?;
    let scopes = grant.identity().scopes;
    let (app, session) = grant.steps();
    let import = *id;
    let (asking, db) = (session.clone(), app.db.clone());
    let row =
        blocking(move || db.read(Server::Primary, &asking, &|conn| imports::find(conn, import)))
            .await?;
    super::may_write(scopes, row.resource)?;
    if_match.check(row.version)?;
    must_take_a_file(&row)?;
    must_be_a_file(&req, &row)?;
    let upload = Upload::new(&app, session, &req)?;
    let (file, bytes, start) = upload.receive(payload).await?;
    let head = read_head(&row, &start)?;
    grant.write(move |tx| attach(tx, import, if_match, (file, bytes, &head)).map(Found)).await
}

fn must_take_a_file(row: &Row) -> Result<()> {
    row.must_be(&[JobStatus::WaitingForFile, JobStatus::Ready], &[])
}

/// 415 for what cannot be the file itself: a form around it, or JSON where CSV is expected.
fn must_be_a_file(req: &HttpRequest, row: &Row) -> Result<()> {
    let Ok(Some(kind)) = req.mime_type() else { return Ok(()) };
    let is_form = kind.type_() == mime::MULTIPART;
    let is_json = kind.essence_str() == "application/json" && row.format != BulkFormat::Ndjson;
    if !is_form && !is_json {
        return Ok(());
    }
    let detail = "send the bytes of the file as the body, as `curl --data-binary @file` does";
    Err(Error::new(Code::UNSUPPORTED_MEDIA_TYPE, detail))
}

/// Gives the import its file; the one before goes.
fn attach(
    tx: &mut Tx,
    import: Uuid,
    if_match: IfMatch,
    (file, bytes, head): (Uuid, i64, &FileHead),
) -> Result<Import> {
    use bulk_jobs as b;
    let row = imports::lock(tx, import)?;
    if_match.check(row.version)?;
    must_take_a_file(&row)?;
    if let Some(former) = row.file_id {
        pieces::discard(tx, &[former])?;
    }
    diesel::update(of(tx.workspace).filter(b::id.eq(import)))
        .set((b::file_id.eq(file), b::file_bytes.eq(bytes), b::found.eq(Jsonb(head.clone()))))
        .execute(tx.pg)?;
    audit::done(tx, "import.file_uploaded", import)?;
    Import::of(row.advance(tx, JobStatus::Ready)?)
}

/// A file on its way in.
struct Upload {
    app: App,
    session: Session,
    is_packed: bool,
}

/// What has arrived and is not stored yet.
struct Intake {
    unpacker: Option<MultiGzDecoder<Vec<u8>>>,
    plain: Vec<u8>,
    start: Vec<u8>,
    pieces: i32,
    bytes: u64,
    limit: u64,
    checked: Utf8,
}

impl Upload {
    fn new(app: &App, session: Session, req: &HttpRequest) -> Result<Self> {
        let encoding = req.headers().get(header::CONTENT_ENCODING);
        let encoding = encoding.map(|value| value.to_str().unwrap_or_default().to_lowercase());
        let is_packed = match encoding.as_deref() {
            None | Some("identity") => false,
            Some("gzip") => true,
            Some(_) => {
                let detail = "the only `Content-Encoding` known here is `gzip`";
                return Err(Error::new(Code::UNSUPPORTED_MEDIA_TYPE, detail));
            }
        };
        Ok(Self { app: app.clone(), session, is_packed })
    }

    /// Stores the body piece by piece; the file, its bytes and its first piece.
    async fn receive(self, mut body: web::Payload) -> Result<(Uuid, i64, Vec<u8>)> {
        let file = Uuid::now_v7();
        let patience = self.app.config.body_timeout;
        let mut intake = Intake {
            unpacker: self.is_packed.then(|| MultiGzDecoder::new(Vec::new())),
            plain: Vec::new(),
            start: Vec::new(),
            pieces: 0,
            bytes: 0,
            limit: self.app.config.import_limit_bytes,
            checked: Utf8::default(),
        };
        loop {
            let arrived = timeout(patience, body.next()).await.map_err(|_elapsed| {
                let detail = "the body did not go on arriving";
                Error::new(Code::REQUEST_TIMEOUT, detail)
            })?;
            let Some(chunk) = arrived else { break };
            let chunk = chunk.map_err(|_cut_off| {
                Error::new(Code::BAD_REQUEST, "the body ended before it was complete")
            })?;
            let (app, session) = (self.app.clone(), self.session.clone());
            intake = blocking(move || intake.take(&app, &session, file, &chunk)).await?;
        }
        let (app, session) = (self.app.clone(), self.session.clone());
        let intake = blocking(move || intake.finish(&app, &session, file)).await?;
        let bytes = i64::try_from(intake.bytes).unwrap_or(i64::MAX);
        Ok((file, bytes, intake.start))
    }
}

impl Intake {
    fn take(mut self, app: &App, session: &Session, file: Uuid, chunk: &[u8]) -> Result<Self> {
        let is_first = self.unpacker.is_none() && self.pieces == 0 && self.plain.is_empty();
        if is_first && chunk.starts_with(GZIP) {
            self.unpacker = Some(MultiGzDecoder::new(Vec::new()));
        }
        // A few bytes at a time: what is packed may grow a thousandfold.
        for part in chunk.chunks(4096) {
            match &mut self.unpacker {
                None => self.plain.extend_from_slice(part),
                Some(unpacker) => {
                    unpacker.write_all(part).map_err(not_gzip)?;
                    self.plain.append(unpacker.get_mut());
                }
            }
            self.store_whole_pieces(app, session, file)?;
        }
        Ok(self)
    }

    fn finish(mut self, app: &App, session: &Session, file: Uuid) -> Result<Self> {
        if let Some(unpacker) = self.unpacker.take() {
            self.plain.extend(unpacker.finish().map_err(not_gzip)?);
        }
        self.store_whole_pieces(app, session, file)?;
        if !self.plain.is_empty() {
            let rest = std::mem::take(&mut self.plain);
            self.store(app, session, file, &rest)?;
        }
        self.checked.finish()?;
        Ok(self)
    }

    fn store_whole_pieces(&mut self, app: &App, session: &Session, file: Uuid) -> Result<()> {
        while self.plain.len() >= PIECE {
            let rest = self.plain.split_off(PIECE);
            let piece = std::mem::replace(&mut self.plain, rest);
            self.store(app, session, file, &piece)?;
        }
        Ok(())
    }

    fn store(&mut self, app: &App, session: &Session, file: Uuid, piece: &[u8]) -> Result<()> {
        self.bytes += piece.len() as u64;
        if self.bytes > self.limit {
            let detail = format!("the file may have {} bytes, unpacked too", self.limit);
            return Err(Error::new(Code::PAYLOAD_TOO_LARGE, detail));
        }
        self.checked.check(piece)?;
        let position = self.pieces;
        app.db
            .write(session, &|tx| pieces::store(tx, file, position, piece).map(Outcome::Commit))?;
        if self.pieces == 0 {
            self.start = piece.to_vec();
        }
        self.pieces += 1;
        Ok(())
    }
}

fn not_gzip(_corrupt: std::io::Error) -> Error {
    Error::new(Code::INVALID_ENCODING, "the body is not complete and valid gzip")
}

/// Whether what passes is text in UTF-8; a character may be cut by the end of a piece.
#[derive(Default)]
struct Utf8 {
    cut: Vec<u8>,
    line: u64,
}

impl Utf8 {
    fn check(&mut self, piece: &[u8]) -> Result<()> {
        let mut bytes = std::mem::take(&mut self.cut);
        bytes.extend_from_slice(piece);
        let valid = match std::str::from_utf8(&bytes) {
            Ok(text) => text.len(),
            Err(error) if error.error_len().is_none() => {
                self.cut = bytes[error.valid_up_to()..].to_vec();
                error.valid_up_to()
            }
            Err(error) => return Err(self.refuse(&bytes[..error.valid_up_to()])),
        };
        if let Some(at) = bytes[..valid].iter().position(|byte| *byte == 0) {
            let detail = format!(
                "line {} has a NUL character, which no text has; the file may be UTF-16 or damaged: \
                 save it as `CSV UTF-8`",
                self.line_after(&bytes[..at])
            );
            return Err(Error::field("#", "nul_character", detail));
        }
        self.line += lines(&bytes[..valid]);
        Ok(())
    }

    fn finish(&self) -> Result<()> {
        if self.cut.is_empty() { Ok(()) } else { Err(self.refuse(&[])) }
    }

    fn line_after(&self, before: &[u8]) -> u64 {
        self.line + lines(before) + 1
    }

    fn refuse(&self, before: &[u8]) -> Error {
        let line = self.line_after(before);
        let detail = format!(
            "line {line} is not UTF-8, it may be Latin-1 or UTF-16; save the file as `CSV UTF-8`"
        );
        Error::field("#", "not_utf8", detail)
    }
}

fn lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}
