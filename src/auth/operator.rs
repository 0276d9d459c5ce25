//! The operator of the installation: whoever holds `ECRM_OPERATOR_TOKEN`.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use crate::app::App;
use crate::db::Via;
use crate::error::{Error, Result};
use crate::http::client_ip::client_ip;
use crate::http::rate_limit::Bucket;

/// A request that carries the operator's token.
pub struct Operator {
    pub app: App,
    pub via: Via,
}

impl FromRequest for Operator {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let app = App::of(req);
        let ip = client_ip(req, app.config.trusted_proxies);
        if let Err(error) = app.limits.charge(req, Bucket::AuthIp(ip), 1) {
            return ready(Err(error));
        }
        let is_operator = match (super::bearer(req), &app.config.operator_token) {
            (Some(given), Some(token)) => {
                let (given, token) = (given.as_bytes(), token.as_bytes());
                aws_lc_rs::constant_time::verify_slices_are_equal(given, token).is_ok()
            }
            _ => false,
        };
        ready(if is_operator {
            Ok(Self { app, via: Via::of(req) })
        } else {
            Err(Error::unauthorized())
        })
    }
}
