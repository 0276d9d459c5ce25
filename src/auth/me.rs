//! Customers themselves, in self-service: what they reach is their own, and nothing else.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use uuid::Uuid;

use super::{Caller, CredentialKind, Grant, Identity};
use crate::error::{Error, Result};

/// A request with a customer's own token.
pub struct Me {
    /// The customer as the token names it; since then it may have been merged.
    pub customer: Uuid,
    caller: Caller,
}

impl FromRequest for Me {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let identity = req.extensions().get::<Arc<Identity>>().cloned();
        let me = identity.ok_or_else(Error::unauthorized).and_then(|identity| {
            let customer = identity.actor.id.filter(|_| identity.kind == CredentialKind::Customer);
            let customer = customer.ok_or_else(|| Error::insufficient_scope("me"))?;
            Ok(Self { customer, caller: Caller { identity, req: req.clone() } })
        });
        ready(me)
    }
}

impl Me {
    /// The grant to read and change what is the customer's own.
    pub fn grant(&self) -> Result<Grant> {
        self.caller.grant()
    }
}
