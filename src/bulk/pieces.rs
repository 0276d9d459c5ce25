//! Files in the database: compressed, sealed and in pieces, so that any replica can go on where another
//! stopped and none holds more than a piece in memory.

use std::io::{Read, Write};

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use uuid::Uuid;

use crate::db::{Conn, Server, Session, Tx, WorkspaceId};
use crate::error::{Error, Result};
use crate::schema::bulk_pieces;
use crate::seal::{self, Context};

/// Bytes of every piece but the last of an upload, before it is compressed.
pub const PIECE: usize = 512 * 1024;

#[diesel::dsl::auto_type(no_type_alias)]
fn of(workspace: WorkspaceId) -> _ {
    bulk_pieces::table.filter(bulk_pieces::workspace_id.eq(workspace))
}

/// A piece opens only where it was, in its order.
fn place(conn: &Conn, file: Uuid, position: i32) -> Context {
    let (workspace, table) = (conn.workspace.uuid(), "bulk_pieces");
    Context { workspace, table, column: "sealed", row: file, version: position }
}

/// Adds a piece to a file.
pub fn store(tx: &mut Tx, file: Uuid, position: i32, bytes: &[u8]) -> Result<()> {
    use bulk_pieces as p;
    let mut packed = DeflateEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).map_err(broken)?;
    let packed = packed.finish().map_err(broken)?;
    let sealed = seal::seal(&*tx.data_key()?, &place(tx, file, position), &packed);
    diesel::insert_into(p::table)
        .values((
            p::workspace_id.eq(tx.workspace),
            p::file_id.eq(file),
            p::position.eq(position),
            p::sealed.eq(sealed),
            p::created_at.eq(tx.now),
        ))
        .execute(tx.pg)?;
    Ok(())
}

/// One piece of a file; `None` after the last.
pub fn load(conn: &mut Conn, file: Uuid, position: i32) -> Result<Option<Vec<u8>>> {
    let sealed: Option<Vec<u8>> = of(conn.workspace)
        .filter(bulk_pieces::file_id.eq(file))
        .filter(bulk_pieces::position.eq(position))
        .select(bulk_pieces::sealed)
        .first(conn.pg)
        .optional()?;
    let Some(sealed) = sealed else { return Ok(None) };
    let packed = seal::open(&*conn.data_key()?, &place(conn, file, position), &sealed)?;
    let mut bytes = Vec::new();
    DeflateDecoder::new(packed.as_slice()).read_to_end(&mut bytes).map_err(broken)?;
    Ok(Some(bytes))
}

/// Takes files away.
pub fn discard(tx: &mut Tx, files: &[Uuid]) -> Result<()> {
    let pieces = of(tx.workspace).filter(bulk_pieces::file_id.eq_any(files));
    diesel::delete(pieces).execute(tx.pg)?;
    Ok(())
}

/// Takes away what is older than `before`.
pub fn prune(pg: &mut PgConnection, before: DateTime<Utc>) -> Result<()> {
    diesel::delete(bulk_pieces::table.filter(bulk_pieces::created_at.lt(before))).execute(pg)?;
    Ok(())
}

fn broken(error: std::io::Error) -> Error {
    Error::internal(format!("a piece of a file: {error}"))
}

/// Reads an uploaded file from any byte on.
pub struct Reader<'a> {
    db: &'a crate::db::Db,
    session: &'a Session,
    file: Uuid,
    next: i32,
    piece: Vec<u8>,
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn at(
        db: &'a crate::db::Db,
        session: &'a Session,
        file: Uuid,
        position: i64,
    ) -> Result<Self> {
        let position = usize::try_from(position).unwrap_or_default();
        let next = i32::try_from(position / PIECE).unwrap_or(i32::MAX);
        let mut reader = Self { db, session, file, next, piece: Vec::new(), at: 0 };
        reader.fill()?;
        reader.at = (position % PIECE).min(reader.piece.len());
        Ok(reader)
    }

    /// What is left of the present piece; the next one where nothing is. Empty at the end.
    pub fn rest(&mut self) -> Result<&[u8]> {
        if self.at == self.piece.len() {
            self.fill()?;
        }
        Ok(&self.piece[self.at..])
    }

    pub fn consume(&mut self, bytes: usize) {
        self.at += bytes;
    }

    fn fill(&mut self) -> Result<()> {
        let (file, position) = (self.file, self.next);
        let read = |conn: &mut Conn| load(conn, file, position);
        self.piece = self.db.read(Server::Primary, self.session, &read)?.unwrap_or_default();
        self.at = 0;
        if !self.piece.is_empty() {
            self.next += 1;
        }
        Ok(())
    }
}
