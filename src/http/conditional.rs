//! `If-Match` and `If-None-Match`: no lost updates, no accidental overwrites (RFC 9110, 13.1).

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{FromRequest, HttpRequest};

use crate::error::{Code, Error, Result};

/// The version the caller believes to change; absent or `*` means any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IfMatch(pub Option<i64>);

/// Whether the caller wants to create only (`If-None-Match: *`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IfNoneMatch {
    pub create_only: bool,
}

/// What our own upserts ask: nothing.
pub const UNCONDITIONAL: (IfMatch, IfNoneMatch) =
    (IfMatch(None), IfNoneMatch { create_only: false });

impl IfMatch {
    /// 412 unless `version` is what the caller named.
    pub fn check(self, version: i64) -> Result<()> {
        match self.0 {
            Some(named) if named != version => Err(Error::new(
                Code::VERSION_MISMATCH,
                format!("the resource is at version {version}; read it again and retry"),
            )),
            _ => Ok(()),
        }
    }
}

/// Characters that a condition has at most, as the document says.
const MAX_CHARS: usize = 255;

/// The header as text; what cannot be one of ours is unreadable to all.
fn text(req: &HttpRequest, name: HeaderName) -> Option<String> {
    let text = |value: &HeaderValue| value.to_str().ok().map(|text| text.trim().to_owned());
    let read = req.headers().get(name).map(text)?;
    Some(read.filter(|text| text.len() <= MAX_CHARS).unwrap_or_else(|| "\u{fffd}".into()))
}

impl FromRequest for IfMatch {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(match text(req, header::IF_MATCH).as_deref() {
            None | Some("*") => Ok(Self(None)),
            Some(tag) => tag.trim_matches('"').parse().map(|version| Self(Some(version))).map_err(
                |_unread| {
                    Error::parameter("If-Match", "send the `ETag` of the resource, such as \"3\"")
                },
            ),
        })
    }
}

impl FromRequest for IfNoneMatch {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(match text(req, header::IF_NONE_MATCH).as_deref() {
            None => Ok(Self { create_only: false }),
            Some("*") => Ok(Self { create_only: true }),
            Some(_) => Err(Error::parameter("If-None-Match", "on PUT only `*` has a meaning")),
        })
    }
}
