//! How a call arrives: as whatever content type, packed or not, with the write key where the sender's
//! library puts it, and within the limits of the protocol.

use actix_web::dev::Payload;
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;
use serde_json::{Map, Value};

use crate::app::App;
use crate::auth::{Caller, authenticate};
use crate::error::{Code, Error, Result};
use crate::http::body;
use crate::http::idempotency::BodyDigest;
use crate::http::json::in_turn;
use crate::values::json::{Limits, check_json, written_bytes};
use crate::values::scan::scan;

/// Bytes of one call, and of one item of a batch.
pub const CALL_BYTES: usize = 32 * 1024;
/// Bytes of a batch.
pub const BATCH_BYTES: usize = 500 * 1024;
/// Items of a batch.
pub const BATCH_ITEMS: usize = 2500;

/// What a message may look like; its properties and traits are held to less later.
const MESSAGE: Limits = Limits { depth: 16, keys: 1000, bytes: CALL_BYTES };

/// The body of a call, and who sent it.
pub struct Call {
    pub caller: Caller,
    pub body: Map<String, Value>,
}

impl FromRequest for Call {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (req, mut payload) = (req.clone(), payload.take());
        Box::pin(async move {
            let deadline = App::of(&req).config.body_timeout;
            let bytes = body::read(&mut payload, &req, BATCH_BYTES, deadline).await;
            let bytes = bytes.map_err(too_large)?;
            BodyDigest::remember(&req, &bytes);
            let body = in_turn(&req, bytes, parse).await;
            let caller = match (Caller::extract(&req).await, &body) {
                (Ok(caller), _) => caller,
                (Err(_), Ok(body)) => by_body(&req, body).await?,
                (Err(nobody), Err(_)) => return Err(nobody),
            };
            Ok(Self { caller, body: body? })
        })
    }
}

/// Whoever the write key in the body is.
async fn by_body(req: &HttpRequest, body: &Map<String, Value>) -> Result<Caller> {
    let key = body.get("writeKey").and_then(Value::as_str).filter(|key| !key.is_empty());
    authenticate(req, key.ok_or_else(Error::unauthorized)?.to_owned()).await?;
    Caller::extract(req).await
}

fn parse(bytes: &Bytes) -> Result<Map<String, Value>> {
    match scan(bytes) {
        // Which item of a batch has a NUL character, that item is told.
        Err(error) if error.status() == 422 => {}
        done => done?,
    }
    let read = serde_json::from_slice(bytes);
    read.map_err(|_error| Error::new(Code::INVALID_JSON, "the body must be a JSON object"))
}

/// Libraries drop what is answered 400 and so they should: it would never pass.
fn too_large(error: Error) -> Error {
    match error.status() {
        413 => refused(&format!("a batch may have up to {} KiB", BATCH_BYTES / 1024)),
        _ => error,
    }
}

fn refused(detail: &str) -> Error {
    Error::new(Code::CALL_TOO_LARGE, detail)
}

/// Refuses a message that is larger than the protocol allows, too deep, or has what cannot be stored.
pub fn check_message(message: &Value) -> Result<()> {
    if written_bytes(message) > CALL_BYTES {
        return Err(refused(&format!("a call may have up to {} KiB", CALL_BYTES / 1024)));
    }
    let faults = check_json("#", message, &MESSAGE);
    if faults.is_empty() { Ok(()) } else { Err(Error::invalid(faults)) }
}

/// Refuses a batch of too many items.
pub fn check_batch(items: &[Value]) -> Result<()> {
    match items.len() {
        0..=BATCH_ITEMS => Ok(()),
        _ => Err(refused(&format!("a batch may have up to {BATCH_ITEMS} items"))),
    }
}
