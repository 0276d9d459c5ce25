//! `Idempotency-Key`: a write that is sent twice happens once and is answered twice.
//!
//! The answer is stored by the transaction that has the effect, so after a cut connection the
//! retry finds either both or neither.

use actix_web::http::Method;
use actix_web::{HttpMessage, HttpRequest};
use aws_lc_rs::digest::{Context, SHA256};
use chrono::TimeDelta;
use diesel::prelude::*;
use diesel::sql_types::{
    BigInt, Binary, Bool, Jsonb, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid,
};
use uuid::Uuid;

use super::reply::{PROBLEM_JSON, Reply};
use super::request_id;
use crate::db::Tx;
use crate::error::{Code, Error, OnConstraint, Result};
use crate::schema::idempotency_keys;

/// How long an answer can be replayed.
pub const KEPT_FOR: TimeDelta = TimeDelta::hours(24);

/// The digest of a request body, left by the body's extractor.
pub struct BodyDigest([u8; 32]);

impl BodyDigest {
    /// Keeps the digest of `body` where the request carries a key.
    pub fn remember(req: &HttpRequest, body: &[u8]) {
        if req.headers().contains_key("idempotency-key") {
            let digest = aws_lc_rs::digest::digest(&SHA256, body);
            let bytes = digest.as_ref().try_into().expect("BUG: SHA-256 has 32 bytes");
            req.extensions_mut().insert(Self(bytes));
        }
    }
}

/// One key of one credential, bound to the request it came with.
pub struct Idempotency {
    credential_id: Uuid,
    key: String,
    fingerprint: Vec<u8>,
    path: String,
    request_id: String,
}

#[derive(QueryableByName)]
struct Lookup {
    #[diesel(sql_type = Bool)]
    is_mine: bool,
    #[diesel(sql_type = Nullable<Binary>)]
    fingerprint: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<SmallInt>)]
    status: Option<i16>,
    #[diesel(sql_type = Nullable<Jsonb>)]
    headers: Option<serde_json::Value>,
    #[diesel(sql_type = Nullable<Binary>)]
    body: Option<Vec<u8>>,
}

/// Takes the key's lock without waiting and reads the stored answer, in one round trip.
const LOOKUP: &str = "
    select mine.ok as is_mine, k.fingerprint, k.status, k.headers, k.body
      from (select pg_try_advisory_xact_lock($1) as ok) mine
      left join idempotency_keys k
        on k.workspace_id = $2 and k.credential_id = $3 and k.key = $4 and k.created_at > $5";

impl Idempotency {
    /// The key of a request, where it has one.
    pub fn of(req: &HttpRequest, credential_id: Uuid) -> Result<Option<Self>> {
        let Some(value) = req.headers().get("idempotency-key") else { return Ok(None) };
        if matches!(*req.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
            return Ok(None);
        }
        let text = value.to_str().unwrap_or_default().trim();
        // The draft quotes the value, most clients do not.
        let key = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
        let is_text = key.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if key.is_empty() || key.len() > 255 || !is_text {
            let detail = "`Idempotency-Key` takes 1 to 255 visible ASCII characters";
            return Err(Error::parameter("Idempotency-Key", detail));
        }
        Ok(Some(Self {
            credential_id,
            key: key.to_owned(),
            fingerprint: fingerprint(req),
            path: req.path().to_owned(),
            request_id: request_id::of(req),
        }))
    }

    /// Runs `work` unless this key has an answer already; stores what it answers.
    pub fn once(&self, tx: &mut Tx, work: &dyn Fn(&mut Tx) -> Result<Reply>) -> Result<Reply> {
        if let Some(reply) = self.stored(tx)? {
            return Ok(reply);
        }
        let reply = match tx.savepoint(|tx| work(tx)) {
            Err(error) if error.is_rejection() => {
                Reply::problem(&error, &self.path, &self.request_id)?
            }
            done => done?,
        };
        self.store(tx, &reply)?;
        Ok(reply)
    }

    fn stored(&self, tx: &mut Tx) -> Result<Option<Reply>> {
        let (workspace, cutoff) = (tx.workspace, tx.now - KEPT_FOR);
        let found: Lookup = diesel::sql_query(LOOKUP)
            .bind::<BigInt, _>(self.lock_number(workspace.uuid()))
            .bind::<SqlUuid, _>(workspace)
            .bind::<SqlUuid, _>(self.credential_id)
            .bind::<Text, _>(&self.key)
            .bind::<Timestamptz, _>(cutoff)
            .get_result(tx.pg)?;
        match found.fingerprint {
            Some(fingerprint) if fingerprint != self.fingerprint => Err(Error::new(
                Code::IDEMPOTENCY_KEY_REUSED,
                "this `Idempotency-Key` came with a different request before; use a new one",
            )),
            Some(_) => replay(found).map(Some),
            None if found.is_mine => Ok(None),
            None => Err(Error::new(
                Code::IDEMPOTENCY_IN_PROGRESS,
                "the first request with this `Idempotency-Key` is still running",
            )),
        }
    }

    fn store(&self, tx: &mut Tx, reply: &Reply) -> Result<()> {
        use idempotency_keys as k;
        let headers = serde_json::to_value(&reply.headers)
            .map_err(|error| Error::internal(error.to_string()))?;
        let (workspace, now) = (tx.workspace, tx.now);
        // An expired answer may still stand here until the pruning job has passed.
        diesel::delete(
            k::table
                .filter(k::workspace_id.eq(workspace))
                .filter(k::credential_id.eq(self.credential_id))
                .filter(k::key.eq(&self.key))
                .filter(k::created_at.le(now - KEPT_FOR)),
        )
        .execute(tx.pg)?;
        diesel::insert_into(k::table)
            .values((
                k::workspace_id.eq(workspace),
                k::credential_id.eq(self.credential_id),
                k::key.eq(&self.key),
                k::fingerprint.eq(&self.fingerprint),
                k::status.eq(i16::try_from(reply.status).unwrap_or(500)),
                k::headers.eq(headers),
                k::body.eq(&reply.body),
                k::created_at.eq(now),
            ))
            .execute(tx.pg)
            // Another node stored it first: run again and replay.
            .on_constraint("idempotency_keys_pkey", || Error::Retry("idempotency race".into()))?;
        Ok(())
    }

    fn lock_number(&self, workspace: Uuid) -> i64 {
        let mut context = Context::new(&SHA256);
        for part in [workspace.as_bytes(), self.credential_id.as_bytes(), self.key.as_bytes()] {
            context.update(part);
        }
        let digest = context.finish();
        let first = digest.as_ref().first_chunk().expect("BUG: SHA-256 has 32 bytes");
        i64::from_be_bytes(*first)
    }
}

fn fingerprint(req: &HttpRequest) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    for part in [req.method().as_str(), req.path(), req.query_string()] {
        context.update(part.as_bytes());
        context.update(b"\n");
    }
    for name in ["if-match", "if-none-match"] {
        context.update(req.headers().get(name).map_or(&b""[..], |value| value.as_bytes()));
        context.update(b"\n");
    }
    if let Some(BodyDigest(body)) = req.extensions().get::<BodyDigest>() {
        context.update(body);
    }
    context.finish().as_ref().to_vec()
}

fn replay(found: Lookup) -> Result<Reply> {
    let status = found.status.and_then(|status| u16::try_from(status).ok()).unwrap_or(500);
    let headers = serde_json::from_value(found.headers.unwrap_or_default())
        .map_err(|error| Error::internal(format!("stored headers: {error}")))?;
    let content_type = if status >= 400 { PROBLEM_JSON } else { "application/json" };
    let body = found.body.unwrap_or_default();
    let reply = Reply { status, content_type, headers, body, next_cursor: None };
    Ok(reply.with("Idempotent-Replayed", "true".into()))
}
