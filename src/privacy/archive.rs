//! Everything about one customer in one ZIP file: each kind of records as JSON and as CSV, and a
//! manifest that says what they are and what they add up to.

use std::io::{BufRead, BufReader, Cursor, Write};

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, Text, Uuid as SqlUuid};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::columns;
use super::registry::{PARTS, Part};
use super::requests;
use super::subject::{PORTION, Subject};
use crate::app::App;
use crate::crypto::{hex, sha256};
use crate::db::{Conn, Outcome, Server, Session, Tx, WorkspaceId};
use crate::error::{Error, Result};
use crate::jobs::Job;
use crate::schema::data_request_pieces;
use crate::seal::{self, Context};
use crate::values::spreadsheet;

/// How long an archive can be had.
pub const KEPT_FOR: TimeDelta = TimeDelta::days(7);
/// Bytes of one stored piece, before it is sealed.
const PIECE: usize = 512 * 1024;
/// Bytes that an archive has at most: it is made in memory.
const MAX_BYTES: usize = 256 * 1024 * 1024;

/// One file of the archive, as its manifest names it.
#[derive(Debug, Serialize)]
struct File {
    name: String,
    bytes: u64,
    sha256: String,
}

/// One kind of records.
#[derive(Debug, Serialize)]
struct Section {
    kind: &'static str,
    about: &'static str,
    records: u64,
    files: Vec<File>,
}

/// Records of one kind, a line each, compressed: they are written twice.
struct Records {
    lines: DeflateEncoder<Vec<u8>>,
    count: u64,
}

#[derive(QueryableByName)]
struct Record {
    #[diesel(sql_type = Text)]
    record: String,
}

/// Carries out the job that answers an access request. Whoever finishes first has answered it; another
/// attempt leaves nothing behind.
pub fn work(app: &App, session: &Session, job: &Job) -> Result<()> {
    let id = job.id_of("data_request_id")?;
    let asked =
        app.db.read(Server::Primary, session, &|conn| requests::subject_in_process(conn, id))?;
    let Some(subject) = asked else { return Ok(()) };
    let archive = Archive::make(app, session, id, &subject)?;
    let attempt = Uuid::now_v7();
    for (position, piece) in archive.chunks(PIECE).enumerate() {
        let position = i32::try_from(position).unwrap_or(i32::MAX);
        app.db
            .write(session, &|tx| store(tx, (id, attempt, position), piece).map(Outcome::Commit))?;
    }
    let (bytes, hash) = (archive.len(), sha256(&archive));
    app.db.write(session, &|tx| {
        requests::answer(tx, id, attempt, i64::try_from(bytes).unwrap_or(i64::MAX), &hash)
            .map(Outcome::Commit)
    })
}

fn store(tx: &mut Tx, (id, attempt, position): (Uuid, Uuid, i32), piece: &[u8]) -> Result<()> {
    use data_request_pieces as p;
    let sealed = seal::seal(&*tx.data_key()?, &place(tx, id, position), piece);
    diesel::insert_into(p::table)
        .values((
            p::workspace_id.eq(tx.workspace),
            p::data_request_id.eq(id),
            p::attempt_id.eq(attempt),
            p::position.eq(position),
            p::sealed.eq(sealed),
        ))
        .execute(tx.pg)?;
    Ok(())
}

/// A piece opens only where it was, in its order.
fn place(conn: &Conn, id: Uuid, position: i32) -> Context {
    let workspace = conn.workspace.uuid();
    let (table, column) = ("data_request_pieces", "sealed");
    Context { workspace, table, column, row: id, version: position }
}

/// The stored archive of a request.
pub fn load(conn: &mut Conn, id: Uuid) -> Result<Vec<u8>> {
    use data_request_pieces as p;
    let key = conn.data_key()?;
    let pieces: Vec<(i32, Vec<u8>)> = of(conn.workspace)
        .filter(p::data_request_id.eq(id))
        .order(p::position)
        .select((p::position, p::sealed))
        .load(conn.pg)?;
    let mut archive = Vec::new();
    for (position, sealed) in pieces {
        archive.extend(seal::open(&key, &place(conn, id, position), &sealed)?);
    }
    Ok(archive)
}

#[diesel::dsl::auto_type(no_type_alias)]
fn of(workspace: WorkspaceId) -> _ {
    data_request_pieces::table.filter(data_request_pieces::workspace_id.eq(workspace))
}

/// Takes away what other attempts at the archive of a request have left.
pub fn keep_attempt(tx: &mut Tx, request: Uuid, attempt: Uuid) -> Result<()> {
    use data_request_pieces as p;
    let others = of(tx.workspace).filter(p::data_request_id.eq(request));
    diesel::delete(others.filter(p::attempt_id.ne(attempt))).execute(tx.pg)?;
    Ok(())
}

/// Takes away what one attempt has made.
pub fn discard_attempt(tx: &mut Tx, request: Uuid, attempt: Uuid) -> Result<()> {
    use data_request_pieces as p;
    let own = of(tx.workspace).filter(p::data_request_id.eq(request));
    diesel::delete(own.filter(p::attempt_id.eq(attempt))).execute(tx.pg)?;
    Ok(())
}

/// Takes away the archives of these requests.
pub fn discard(tx: &mut Tx, requests: &[Uuid]) -> Result<()> {
    use data_request_pieces as p;
    let all = of(tx.workspace).filter(p::data_request_id.eq_any(requests));
    diesel::delete(all).execute(tx.pg)?;
    Ok(())
}

/// An archive while it is made.
struct Archive {
    zip: ZipWriter<Cursor<Vec<u8>>>,
    sections: Vec<Section>,
}

impl Archive {
    fn make(app: &App, session: &Session, request: Uuid, subject: &Subject) -> Result<Vec<u8>> {
        let zip = ZipWriter::new(Cursor::new(Vec::new()));
        let mut archive = Self { zip, sections: Vec::new() };
        for part in PARTS {
            let records = Records::read(app, session, part, subject)?;
            archive.add(part, records)?;
        }
        archive.finish(request, subject, Utc::now())
    }

    fn add(&mut self, part: &Part, records: Records) -> Result<()> {
        let Part { table, about, .. } = part;
        let (count, lines) = (records.count, records.lines.finish().map_err(broken)?);
        let json = self.file(format!("json/{table}.json"), |out| write_json(&lines, out))?;
        let csv = self.file(format!("csv/{table}.csv"), |out| write_csv(&lines, out))?;
        let section = Section { kind: table, about, records: count, files: vec![json, csv] };
        self.sections.push(section);
        let so_far = self.zip.get_ref().map_or(0, |cursor| cursor.get_ref().len());
        let detail = format!("an archive of more than {MAX_BYTES} bytes cannot be made");
        if so_far > MAX_BYTES { Err(Error::internal(detail)) } else { Ok(()) }
    }

    fn file(
        &mut self,
        name: String,
        write: impl FnOnce(&mut dyn Write) -> Result<()>,
    ) -> Result<File> {
        let options = SimpleFileOptions::default().unix_permissions(0o600);
        self.zip.start_file(name.as_str(), options).map_err(broken)?;
        let mut out = Digested::new(&mut self.zip);
        write(&mut out)?;
        let (bytes, sha256) = out.finish();
        Ok(File { name, bytes, sha256 })
    }

    fn finish(mut self, request: Uuid, subject: &Subject, now: DateTime<Utc>) -> Result<Vec<u8>> {
        let manifest = json!({
            "data_request_id": request,
            "customer_id": subject.customers.first(),
            "merged_customer_ids": subject.customers.get(1..),
            "made_at": crate::values::time::format(now),
            "sections": self.sections,
        });
        let text = serde_json::to_vec_pretty(&manifest).map_err(broken)?;
        self.file("manifest.json".into(), |out| out.write_all(&text).map_err(broken))?;
        Ok(self.zip.finish().map_err(broken)?.into_inner())
    }
}

/// Counts and hashes what passes through.
struct Digested<'a, W> {
    inner: &'a mut W,
    context: aws_lc_rs::digest::Context,
    bytes: u64,
}

impl<'a, W: Write> Digested<'a, W> {
    fn new(inner: &'a mut W) -> Self {
        let context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        Self { inner, context, bytes: 0 }
    }

    fn finish(self) -> (u64, String) {
        (self.bytes, hex(self.context.finish().as_ref()))
    }
}

impl<W: Write> Write for Digested<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.context.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

impl Records {
    fn read(app: &App, session: &Session, part: &Part, subject: &Subject) -> Result<Self> {
        let mut records = Self::new();
        let (db, server) = (&app.db, Server::Primary);
        if let Some(of) = part.of {
            let read = |conn: &mut Conn| whole(conn, part, of, &subject.customers);
            records.add(db.read(server, session, &read)?)?;
            return Ok(records);
        }
        for ids in db.read(server, session, &|conn| subject.touchpoints(conn))?.chunks(PORTION) {
            records.add(db.read(server, session, &|conn| touchpoints(conn, part, ids))?)?;
        }
        Ok(records)
    }

    fn new() -> Self {
        Self { lines: DeflateEncoder::new(Vec::new(), Compression::fast()), count: 0 }
    }

    fn add(&mut self, rows: Vec<Record>) -> Result<()> {
        for Record { record } in rows {
            self.count += 1;
            self.lines.write_all(record.as_bytes()).map_err(broken)?;
            self.lines.write_all(b"\n").map_err(broken)?;
        }
        let so_far = self.lines.get_ref().len();
        let detail = format!("more than {MAX_BYTES} bytes of records");
        if so_far > MAX_BYTES { Err(Error::internal(detail)) } else { Ok(()) }
    }
}

/// Columns that nobody is shown.
fn hidden(part: &Part) -> Vec<&'static str> {
    columns::of(part.table).map(|columns| columns.secret.to_vec()).unwrap_or_default()
}

fn whole(conn: &mut Conn, part: &Part, of: &str, customers: &[Uuid]) -> Result<Vec<Record>> {
    let table = part.table;
    let question = format!(
        "select (to_jsonb(t) - $3)::text as record from {table} t
          where t.workspace_id = $1 and ({of}) order by 1"
    );
    Ok(diesel::sql_query(question)
        .bind::<SqlUuid, _>(conn.workspace)
        .bind::<Array<SqlUuid>, _>(customers)
        .bind::<Array<Text>, _>(hidden(part))
        .load(conn.pg)?)
}

fn touchpoints(conn: &mut Conn, part: &Part, ids: &[Uuid]) -> Result<Vec<Record>> {
    let (first, last) = (ids.first().copied(), ids.last().copied());
    Ok(diesel::sql_query(
        "select (to_jsonb(t) - $5
                 || jsonb_build_object('occurred_at', uuid_v7_time(t.id)))::text as record
           from touchpoints t
          where t.workspace_id = $1 and t.id = any($2) and t.id between $3 and $4
          order by t.id",
    )
    .bind::<SqlUuid, _>(conn.workspace)
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<SqlUuid, _>(first.unwrap_or_default())
    .bind::<SqlUuid, _>(last.unwrap_or_default())
    .bind::<Array<Text>, _>(hidden(part))
    .load(conn.pg)?)
}

fn each_line(lines: &[u8], mut each: impl FnMut(&str) -> Result<()>) -> Result<()> {
    let mut reader = BufReader::new(DeflateDecoder::new(lines));
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line).map_err(broken)? == 0 {
            return Ok(());
        }
        each(line.trim_end_matches('\n'))?;
    }
}

fn write_json(lines: &[u8], out: &mut dyn Write) -> Result<()> {
    let mut separator = "[\n";
    each_line(lines, |line| {
        out.write_all(separator.as_bytes()).map_err(broken)?;
        separator = ",\n";
        out.write_all(line.as_bytes()).map_err(broken)
    })?;
    let end = if separator == "[\n" { "[]\n" } else { "\n]\n" };
    out.write_all(end.as_bytes()).map_err(broken)
}

fn write_csv(lines: &[u8], out: &mut dyn Write) -> Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    let mut is_first = true;
    each_line(lines, |line| {
        let record: Map<String, Value> = serde_json::from_str(line).map_err(broken)?;
        if std::mem::take(&mut is_first) {
            csv.write_record(record.keys()).map_err(broken)?;
        }
        csv.write_record(record.values().map(cell)).map_err(broken)
    })?;
    csv.flush().map_err(broken)
}

/// A value as a spreadsheet shows it.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => spreadsheet::cell(text),
        other => other.to_string(),
    }
}

fn broken(error: impl std::fmt::Display) -> Error {
    Error::internal(format!("archive: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(records: &[&str]) -> Vec<u8> {
        let mut packed = Records::new();
        let rows = records.iter().map(|record| Record { record: (*record).to_owned() });
        packed.add(rows.collect()).expect("room");
        packed.lines.finish().expect("deflate")
    }

    #[test]
    fn no_records_are_an_empty_list() {
        let (mut json, mut csv) = (Vec::new(), Vec::new());
        write_json(&lines(&[]), &mut json).expect("json");
        write_csv(&lines(&[]), &mut csv).expect("csv");
        assert_eq!((json.as_slice(), csv.len()), (&b"[]\n"[..], 0));
    }

    #[test]
    fn records_are_the_same_in_both_forms() {
        let packed = lines(&[r#"{"a": "x,\"y\"\nz", "b": null}"#, r#"{"a": 1, "b": {"c": [2]}}"#]);
        let (mut json, mut csv) = (Vec::new(), Vec::new());
        write_json(&packed, &mut json).expect("json");
        write_csv(&packed, &mut csv).expect("csv");
        let read: Vec<Value> = serde_json::from_slice(&json).expect("a list");
        assert_eq!(read[1]["b"]["c"][0], 2);
        let mut table = csv::Reader::from_reader(csv.as_slice());
        let rows: Vec<_> = table.records().map(|row| row.expect("a row")).collect();
        assert_eq!(rows[0], vec!["x,\"y\"\nz", ""]);
        assert_eq!(rows[1], vec!["1", r#"{"c":[2]}"#]);
    }
}
