//! Who is calling and what they may do: [`Caller`] → [`Grant`] → `read` or `write`.

pub mod authenticate;
mod base62;
pub mod jwks;
pub mod key;
mod me;
mod opaque;
pub mod operator;
pub mod password;
pub mod refresh;
pub mod scope;
pub mod secret_text;
pub mod token;

use std::future::{Ready, ready};
use std::hash::Hash;
use std::sync::Arc;

pub use crate::db::blocking::blocking;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::app::App;
use crate::db::group::Group;
use crate::db::{Actor, Conn, Outcome, Server, Session, Tx, Via, WorkspaceId};
use crate::error::{Code, Error, Result};
use crate::http::cors::AllowedOrigins;
use crate::http::idempotency::Idempotency;
use crate::http::observe::LogFields;
use crate::http::rate_limit::Bucket;
use crate::http::reply::{IntoReply, Reply};

pub use authenticate::CredentialKind;
pub use me::Me;
pub use scope::{Role, Scope, Scopes};

/// What a verified credential says, shared by all its requests for a few seconds.
#[derive(Debug)]
pub struct Identity {
    pub credential_id: Uuid,
    pub kind: CredentialKind,
    pub home: WorkspaceId,
    /// The workspace of the data: `home`, or its test twin.
    pub workspace: WorkspaceId,
    pub livemode: bool,
    pub scopes: Scopes,
    pub role: Option<Role>,
    pub actor: Actor,
    pub expires_at: Option<DateTime<Utc>>,
    /// Browser origins the workspace allows.
    pub origins: Arc<[String]>,
}

/// A request with a valid credential of somebody who works here, or of a program; it may do nothing
/// until [`Caller::must`] says so.
pub struct Caller {
    pub identity: Arc<Identity>,
    req: HttpRequest,
}

/// The right to do one thing in one workspace. The only way from a handler to the database.
pub struct Grant {
    app: App,
    identity: Arc<Identity>,
    session: Session,
    idempotency: Option<Idempotency>,
    is_dry_run: bool,
}

impl FromRequest for Caller {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let identity = req.extensions().get::<Arc<Identity>>().cloned();
        let identity = identity.ok_or_else(Error::unauthorized);
        ready(identity.and_then(|identity| match identity.kind {
            CredentialKind::Customer => Err(Error::new(
                Code::FORBIDDEN,
                "a customer's token reaches `/v1/me` and nothing else",
            )),
            _ => Ok(Self { identity, req: req.clone() }),
        }))
    }
}

/// Middleware of `/v1`: checks the credential before anything else of the request is looked at, for
/// every operation that the document does not call public.
pub async fn identify<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let routes = &crate::api::spec().routes;
    let pattern = req.match_pattern();
    let is_secured = pattern.is_some_and(|it| routes.is_secured(req.method().as_str(), &it));
    if is_secured && let Err(error) = admit(req.request()).await {
        return Ok(req.error_response(error).map_into_right_body());
    }
    Ok(next.call(req).await?.map_into_left_body())
}

async fn admit(req: &HttpRequest) -> Result<()> {
    App::of(req).limits.charge_address(req)?;
    let is_tracking = crate::api::spec().routes.takes_write_keys(req.path());
    let token = bearer(req).or_else(|| basic(req).filter(|_| is_tracking));
    let token = token.or_else(|| in_address(req));
    match token {
        Some(token) => authenticate(req, token).await,
        // A write key may stand in the body: whoever reads that goes on here, or has no `Caller`.
        None if is_tracking && !req.headers().contains_key(header::AUTHORIZATION) => Ok(()),
        None => Err(Error::unauthorized()),
    }
}

/// Leaves the identity of a credential for [`Caller`], the log and the CORS layer.
pub async fn authenticate(req: &HttpRequest, token: String) -> Result<()> {
    let app = App::of(req);
    let identity = app.credentials.identify(&app, token).await?;
    let mut extensions = req.extensions_mut();
    extensions.insert(AllowedOrigins(identity.origins.clone()));
    extensions.insert(LogFields {
        workspace_id: Some(identity.workspace.uuid()),
        credential_id: Some(identity.credential_id),
    });
    extensions.insert(identity.clone());
    drop(extensions);
    app.limits.charge(req, Bucket::Key(identity.credential_id), 1)
}

/// The credential of a request, as RFC 6750 sends it.
pub fn bearer(req: &HttpRequest) -> Option<String> {
    let value = req.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| token.to_owned())
}

/// How a browser shows its token where it can set no header: for a stream of events, for an image.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TokenInAddress {
    /// A token of `POST /v1/auth/token` or of a trusted issuer, in place of the header (RFC 6750, 2.3).
    /// API keys are refused here: they live too long for an address.
    #[allow(dead_code, reason = "read by the layer that checks credentials")]
    pub access_token: Option<String>,
}

/// The token in the address, of operations that document one. A key is none: addresses are kept in too
/// many places.
fn in_address(req: &HttpRequest) -> Option<String> {
    let routes = &crate::api::spec().routes;
    let known = routes.query_parameters(req.method().as_str(), &req.match_pattern()?)?;
    if !known.contains_key("access_token") {
        return None;
    }
    let mut pairs = url::form_urlencoded::parse(req.query_string().as_bytes());
    let token = pairs.find(|(name, _)| name == "access_token")?.1.into_owned();
    key::KeyText::parse(&token).is_none().then_some(token)
}

/// The user name of a request with Basic credentials (RFC 7617), where tracking libraries put their
/// write key.
fn basic(req: &HttpRequest) -> Option<String> {
    let value = req.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    let pair =
        STANDARD.decode(encoded.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let pair = String::from_utf8(pair).ok()?;
    let (name, _) = pair.split_once(':')?;
    (!name.is_empty()).then(|| name.to_owned())
}

impl Caller {
    /// The grant to do what `scope` stands for; 403 names the scope that is missing.
    pub fn must(&self, scope: Scope) -> Result<Grant> {
        if !self.identity.scopes.contains(scope) {
            return Err(Error::insufficient_scope(scope.as_str()));
        }
        self.grant()
    }

    /// The grant that needs no more than a valid credential.
    pub fn grant(&self) -> Result<Grant> {
        let identity = self.identity.clone();
        Ok(Grant {
            app: App::of(&self.req),
            session: Session {
                workspace: identity.workspace,
                home: identity.home,
                livemode: identity.livemode,
                actor: identity.actor.clone(),
                via: Via::of(&self.req),
                lease: None,
            },
            idempotency: Idempotency::of(&self.req, identity.credential_id)?,
            is_dry_run: crate::http::boundary::is_dry_run(&self.req)?,
            identity,
        })
    }
}

impl Grant {
    pub fn app(&self) -> &App {
        &self.app
    }

    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    pub fn workspace(&self) -> WorkspaceId {
        self.session.workspace
    }

    /// For what is too long for one transaction: a file that is stored or read piece by piece.
    pub fn steps(&self) -> (App, Session) {
        (self.app.clone(), self.session.clone())
    }

    /// Charges the caller's rate limit for `items` more than the request itself.
    pub fn charge(&self, items: usize) -> Result<()> {
        let items = u32::try_from(items.saturating_sub(1)).unwrap_or(u32::MAX);
        if items > 0 {
            self.app.limits.admit(Bucket::Key(self.identity.credential_id), items)?;
        }
        Ok(())
    }

    /// Reads from the primary: one hop, one connection, no transaction.
    pub async fn read<R: IntoReply>(
        self,
        work: impl Fn(&mut Conn) -> Result<R> + Send + 'static,
    ) -> Result<Reply> {
        self.read_from(Server::Primary, work).await
    }

    /// Reads from the replica where there is one: for lists and searches.
    pub async fn list<R: IntoReply>(
        self,
        work: impl Fn(&mut Conn) -> Result<R> + Send + 'static,
    ) -> Result<Reply> {
        self.read_from(Server::Replica, work).await
    }

    async fn read_from<R: IntoReply>(
        self,
        server: Server,
        work: impl Fn(&mut Conn) -> Result<R> + Send + 'static,
    ) -> Result<Reply> {
        blocking(move || self.app.db.read(server, &self.session, &|conn| work(conn)?.into_reply()))
            .await
    }

    /// Writes: one hop, one connection, one transaction. With an `Idempotency-Key` the answer is
    /// stored by that same transaction; a dry run is undone after its answer is made.
    ///
    /// `work` may run several times (deadlocks), so it must have no effect but through `tx`.
    pub async fn write<R: IntoReply>(
        self,
        work: impl Fn(&mut Tx) -> Result<R> + Send + 'static,
    ) -> Result<Reply> {
        blocking(move || {
            let answer = |tx: &mut Tx<'_>| work(tx)?.into_reply();
            self.app.db.write(&self.session, &|tx| match (&self.idempotency, self.is_dry_run) {
                (_, true) => answer(tx).map(Outcome::Rollback),
                (None, false) => answer(tx).map(Outcome::Commit),
                (Some(key), false) => key.once(tx, &answer).map(Outcome::Commit),
            })
        })
        .await
    }

    /// Writes part after part, each in a transaction of its own: one for all would hold its locks too
    /// long, and take so long that nobody waits for it. What is written stays when a later part fails,
    /// so repeats must be harmless. What has an `Idempotency-Key`, or is a dry run, is one transaction.
    pub async fn write_in_parts<P, T, R>(
        self,
        parts: Vec<P>,
        work: fn(&mut Tx, &P) -> Result<Vec<T>>,
        answer: fn(Vec<T>) -> R,
    ) -> Result<Reply>
    where
        P: Send + Sync + 'static,
        T: Send + 'static,
        R: IntoReply + 'static,
    {
        if self.idempotency.is_some() || self.is_dry_run {
            let all = move |tx: &mut Tx| -> Result<Vec<T>> {
                let done: Result<Vec<Vec<T>>> = parts.iter().map(|part| work(tx, part)).collect();
                Ok(done?.into_iter().flatten().collect())
            };
            return self.write(move |tx| all(tx).map(answer)).await;
        }
        let mut done = Vec::new();
        for part in parts {
            let (db, session) = (self.app.db.clone(), self.session.clone());
            let once = move || db.write(&session, &|tx| work(tx, &part).map(Outcome::Commit));
            done.append(&mut blocking(once).await?);
        }
        answer(done).into_reply()
    }

    /// Writes together with others of the same workspace: one transaction and one commit for all
    /// that wait. What has an `Idempotency-Key`, or is a dry run, stays alone.
    pub async fn write_with_others<K, T>(
        self,
        group: &'static Group<K, T, Reply>,
        kind: K,
        item: T,
    ) -> Result<Reply>
    where
        K: Clone + Eq + Hash + Send + 'static,
        T: Send + 'static,
    {
        if self.idempotency.is_some() || self.is_dry_run {
            return self.write(move |tx| group.alone(tx, &kind, &item)).await;
        }
        group.write(self.app.db.clone(), self.session, kind, item).await
    }
}
