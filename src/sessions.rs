//! Signing in and out: passwords, keys and refresh tokens against short-lived access tokens.
//!
//! The public operations of this file are the way in, so they have no [`Grant`](crate::auth::Grant)
//! and find the workspace themselves. Every way to fail at the password costs the same time and
//! gets the same answer.

mod oauth;
mod whoami;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, post, web};
use chrono::{DateTime, TimeDelta, Utc};
use diesel::PgConnection;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use validator::Validate;

use crate::app::App;
use crate::auth::key::KeyText;
use crate::auth::refresh;
use crate::auth::secret_text::SecretText;
use crate::auth::token::{Claims, Subject};
use crate::auth::{Scopes, blocking, password};
use crate::db::{Actor, ActorKind, Outcome, Via};
use crate::error::Result;
use crate::http::Reply;
use crate::http::ServiceConfig;
use crate::http::rate_limit::Bucket;
use crate::seal::Secret;
use crate::users::logins::{self, Account};
use crate::users::signed_in::{self, Opened};
use crate::values::email::Email;
use crate::values::text::search_key;
use crate::workspaces::Workspace;
use oauth::{Answer, OAuthError, Refusal};

/// How long an access token lives.
const LIFETIME: TimeDelta = TimeDelta::minutes(15);

crate::text_enum! {
    /// What is offered in exchange for a token.
    pub enum GrantType {
        /// `username` and `password` of a user.
        Password = "password",
        /// An API key, as `client_secret` or by HTTP Basic.
        ClientCredentials = "client_credentials",
        /// The `refresh_token` of an earlier answer; it works once.
        RefreshToken = "refresh_token",
    }
}

/// A request for a token; which fields it needs depends on the `grant_type`.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct TokenRequest {
    /// What is offered in exchange.
    #[schema(value_type = GrantType, example = "password")]
    grant_type: String,
    /// `password`: the user's email.
    #[validate(length(max = 1000))]
    #[schema(example = "mira@shop.example.com", max_length = 1000)]
    username: Option<String>,
    /// `password`: the user's password.
    #[schema(value_type = Option<String>, format = Password, write_only, example = "granite skis at dawn")]
    password: Option<Secret>,
    /// `password`: slug of the workspace; needed where the email works in several.
    #[validate(length(max = 100))]
    #[schema(max_length = 100)]
    workspace: Option<String>,
    /// `password`: false for a token that sees test data instead of live data.
    livemode: Option<bool>,
    /// `client_credentials`: any name; the key says whose it is.
    #[validate(length(max = 1000))]
    #[schema(max_length = 1000)]
    client_id: Option<String>,
    /// `client_credentials`: the text of an API key, unless it comes by HTTP Basic.
    #[schema(value_type = Option<String>, format = Password, write_only)]
    client_secret: Option<Secret>,
    /// `refresh_token`: the token of the last answer.
    #[schema(value_type = Option<String>, format = Password, write_only)]
    refresh_token: Option<Secret>,
    /// Scopes to ask for, separated by spaces; all there are where absent. A sign-in with fewer
    /// gets no refresh token.
    #[validate(length(max = 4000))]
    #[schema(max_length = 4000)]
    scope: Option<String>,
}

/// A token to be given up.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct TokenRevocation {
    /// A refresh token, or the access token of a user.
    #[schema(value_type = String, format = Password, write_only, example = "ecrm_rt_…")]
    token: Secret,
    /// What it is; tokens say so themselves.
    #[validate(length(max = 100))]
    #[schema(max_length = 100)]
    token_type_hint: Option<String>,
}

/// A token to send as `Authorization: Bearer …` (RFC 6749, 5.1).
#[derive(Debug, Serialize, ToSchema)]
pub struct AccessToken {
    /// The token, a JWT.
    #[schema(example = "eyJhbGciOiJIUzI1NiIs…")]
    access_token: String,
    /// Always `Bearer`.
    #[schema(example = "Bearer")]
    token_type: String,
    /// Seconds that it lives, 900 or less.
    #[schema(example = 900)]
    expires_in: i32,
    /// For the next token, once; absent where the session ends with this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "ecrm_rt_…")]
    refresh_token: Option<String>,
    /// What it may do.
    #[schema(example = "customers:read customers:write")]
    scope: String,
}

pub fn routes(api: &mut ServiceConfig) {
    api.service(create_token).service(revoke_token).service(whoami::get_whoami);
}

/// Get an access token
///
/// OAuth 2.0 (RFC 6749): a user's password, an API key or a refresh token against a token of 15
/// minutes. A refresh token works once and comes with its successor; used twice, it ends the
/// session. Errors have OAuth's own shape.
#[utoipa::path(
    tag = "auth",
    security(()),
    request_body(content = TokenRequest, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, body = AccessToken),
        (status = 400, body = OAuthError, description = "Why there is no token, in OAuth's own shape."),
        (status = 401, body = OAuthError, description = "The client is not who it says, in OAuth's own shape."),
    )
)]
#[post("/auth/token")]
async fn create_token(req: HttpRequest, payload: web::Payload) -> Result<Reply> {
    oauth::reply(token(&req, payload).await)
}

/// Give a token up
///
/// RFC 7009: ends the session that a user's refresh or access token belongs to, and with it the
/// user's present access tokens. The answer is the same whether there was such a token or not. API
/// keys are revoked at `/api_keys`; their tokens run out by themselves.
#[utoipa::path(
    tag = "auth",
    security(()),
    request_body(content = TokenRevocation, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The token is worth nothing now."),
        (status = 400, body = OAuthError, description = "The request cannot be read."),
    )
)]
#[post("/auth/revoke")]
async fn revoke_token(req: HttpRequest, payload: web::Payload) -> Result<Reply> {
    oauth::reply(revoke(&req, payload).await)
}

async fn token(req: &HttpRequest, payload: web::Payload) -> Answer<Reply> {
    let asked: TokenRequest = oauth::form(req, payload).await?;
    let kind: GrantType = asked.grant_type.parse().map_err(|expected| {
        Refusal::new("unsupported_grant_type", format!("`grant_type` {expected}"))
    })?;
    let (app, via) = (App::of(req), Via::of(req));
    let token = match kind {
        GrantType::Password => away(move || sign_in(&app, &asked, via)).await?,
        GrantType::RefreshToken => away(move || renew(&app, &asked, via)).await?,
        GrantType::ClientCredentials => exchange_key(&app, req, asked).await?,
    };
    Ok(Reply::json(StatusCode::OK, &token)?)
}

/// Runs `work` on a blocking thread.
async fn away<T: Send + 'static>(work: impl FnOnce() -> Answer<T> + Send + 'static) -> Answer<T> {
    blocking(move || Ok(work())).await?
}

fn sign_in(app: &App, asked: &TokenRequest, via: Via) -> Answer<AccessToken> {
    let username = required(asked.username.as_deref(), "username")?;
    let password = required(asked.password.as_ref(), "password")?;
    // Guessing one account's password from many addresses is limited too.
    let name = crate::crypto::sha256(search_key(username).as_bytes());
    app.limits.admit(Bucket::Login(name), 1)?;
    let found = app.db.system(|pg| find(pg, username, asked.workspace.as_deref()))?;
    let hash = found.as_ref().and_then(|(_, account)| account.password_hash.as_deref());
    // As many at once as there are blocking threads: that bounds the memory this takes.
    let is_right = password::verify(password.reveal(), hash);
    let found = found.filter(|(_, account)| is_right && account.is_active());
    let (workspace, account) = found.ok_or_else(wrong)?;
    let all = account.role.scopes();
    let scopes = narrowed(asked.scope.as_deref(), all)?;
    let actor = Actor { kind: ActorKind::User, id: Some(account.id) };
    let session = workspace.session(asked.livemode.unwrap_or(true), actor, via);
    let opened = app.db.write(&session, &|tx| {
        signed_in::begin(tx, account.clone(), scopes == all).map(Outcome::Commit)
    })?;
    for_user(app, &workspace, opened.ok_or_else(wrong)?, scopes)
}

/// One answer to everything that can be wrong with a sign-in.
fn wrong() -> Refusal {
    Refusal::new(
        "invalid_grant",
        "user name, password or workspace is wrong; `workspace` is needed where the same email \
         works in several",
    )
}

/// The account that signs in with an email: the one in the workspace named, or the only one.
fn find(
    pg: &mut PgConnection,
    username: &str,
    slug: Option<&str>,
) -> Result<Option<(Workspace, Account)>> {
    let Some(email) = Email::parse(username) else { return Ok(None) };
    for (home, user) in candidates(logins::with_email(pg, &email.norm)?, slug) {
        let workspace = Workspace::get(pg, home)?;
        if slug.is_none_or(|slug| slug == workspace.slug) {
            let account = Account::find(pg, home, user)?;
            return Ok(account.map(|account| (workspace, account)));
        }
    }
    Ok(None)
}

/// Nobody guesses in which of several workspaces somebody means to work.
fn candidates<T>(all: Vec<T>, slug: Option<&str>) -> Vec<T> {
    if slug.is_none() && all.len() > 1 { Vec::new() } else { all }
}

fn renew(app: &App, asked: &TokenRequest, via: Via) -> Answer<AccessToken> {
    let invalid = || Refusal::new("invalid_grant", "the refresh token is not valid; sign in again");
    let text = required(asked.refresh_token.as_ref(), "refresh_token")?;
    let presented = refresh::parse(text.reveal()).ok_or_else(invalid)?;
    let home = app.db.system(|pg| Workspace::named_by_credential(pg, presented.workspace()))?;
    let workspace = home.ok_or_else(invalid)?;
    let session = workspace.session(true, Actor::SYSTEM, via);
    let renewed = app.db.write(&session, &|tx| {
        let Some(opened) = signed_in::renew(tx, &presented)? else {
            return Ok(Outcome::Commit(Err(invalid())));
        };
        Ok(match narrowed(asked.scope.as_deref(), opened.account.role.scopes()) {
            Ok(scopes) => Outcome::Commit(Ok((opened, scopes))),
            // Asking for too much does not use the token up.
            Err(refusal) => Outcome::Rollback(Err(refusal)),
        })
    })?;
    if renewed.is_err() {
        // The session may have ended just now.
        app.credentials.forget();
    }
    let (opened, scopes) = renewed?;
    for_user(app, &workspace, opened, scopes)
}

async fn exchange_key(app: &App, req: &HttpRequest, asked: TokenRequest) -> Answer<AccessToken> {
    let refused = || Refusal::new("invalid_client", "send a valid API key as the client's secret");
    let secret = oauth::basic_secret(req).or(asked.client_secret).ok_or_else(refused)?;
    // Nothing but a key: a token would be exchanged for itself for ever.
    let key = KeyText::parse(secret.reveal()).ok_or_else(refused)?;
    let identity = app.credentials.identify(app, key.reveal().to_owned()).await;
    let identity = match identity {
        Err(error) if error.status() == 401 => return Err(refused()),
        done => done?,
    };
    let now = Utc::now();
    let scopes = narrowed(asked.scope.as_deref(), identity.scopes)?;
    let claims = Claims {
        sub: identity.credential_id,
        typ: Subject::Key,
        wid: identity.home.uuid(),
        livemode: identity.livemode,
        exp: identity.expires_at.map_or(now + LIFETIME, |end| end.min(now + LIFETIME)).timestamp(),
        ..claims(now, scopes)
    };
    issue(app, &claims, None)
}

fn for_user(
    app: &App,
    workspace: &Workspace,
    opened: Opened,
    scopes: Scopes,
) -> Answer<AccessToken> {
    let (family, text) = opened.refresh.unzip();
    let claims = Claims {
        sub: opened.account.id,
        typ: Subject::User,
        wid: workspace.id,
        livemode: opened.livemode,
        sid: family,
        ver: Some(opened.account.token_version),
        ..claims(Utc::now(), scopes)
    };
    issue(app, &claims, text)
}

/// What all access tokens have in common.
fn claims(now: DateTime<Utc>, scope: Scopes) -> Claims {
    Claims {
        sub: Uuid::nil(),
        jti: Uuid::now_v7(),
        iat: now.timestamp(),
        exp: (now + LIFETIME).timestamp(),
        nbf: None,
        wid: Uuid::nil(),
        livemode: true,
        typ: Subject::Key,
        scope,
        sid: None,
        ver: None,
    }
}

fn issue(app: &App, claims: &Claims, refresh: Option<SecretText>) -> Answer<AccessToken> {
    Ok(AccessToken {
        access_token: app.tokens.issue(claims)?,
        token_type: "Bearer".into(),
        expires_in: i32::try_from(claims.exp - claims.iat).unwrap_or_default(),
        refresh_token: refresh.map(|text| text.reveal().to_owned()),
        scope: claims.scope.to_string(),
    })
}

/// The scopes asked for, which must be among those there are (RFC 6749, 3.3).
fn narrowed(asked: Option<&str>, own: Scopes) -> Answer<Scopes> {
    let Some(text) = asked.filter(|text| !text.trim().is_empty()) else { return Ok(own) };
    let refused = |why: String| Refusal::new("invalid_scope", why);
    let scopes = Scopes::parse(text).map_err(|unknown| refused(unknown.to_string()))?;
    if own.covers(scopes) {
        return Ok(scopes);
    }
    Err(refused(format!("more was asked for than there is: `{}`", scopes.minus(own))))
}

fn required<T>(value: Option<T>, name: &str) -> Answer<T> {
    value.ok_or_else(|| Refusal::new("invalid_request", format!("`{name}` is required")))
}

async fn revoke(req: &HttpRequest, payload: web::Payload) -> Answer<Reply> {
    let asked: TokenRevocation = oauth::form(req, payload).await?;
    let (app, via) = (App::of(req), Via::of(req));
    away(move || Ok(give_up(&app, asked.token.reveal(), via)?)).await?;
    Ok(Reply::empty(200))
}

fn give_up(app: &App, text: &str, via: Via) -> Result<()> {
    let refresh = refresh::parse(text);
    let access = app.tokens.verify(text).filter(|claims| claims.typ == Subject::User);
    let named = match (&refresh, &access) {
        (Some(refresh), _) => refresh.workspace(),
        (None, Some(claims)) => claims.wid,
        (None, None) => return Ok(()),
    };
    let home = app.db.system(|pg| Workspace::named_by_credential(pg, named))?;
    let Some(workspace) = home else { return Ok(()) };
    let session = workspace.session(true, Actor::SYSTEM, via);
    app.db.write(&session, &|tx| {
        if let Some(refresh) = &refresh {
            signed_in::end_by_token(tx, refresh)?;
        } else if let Some(Claims { sub, ver: Some(version), sid, .. }) = &access {
            signed_in::end_by_claims(tx, *sub, *version, *sid)?;
        }
        Ok(Outcome::Commit(()))
    })?;
    app.credentials.forget();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Scope;

    #[test]
    fn a_scope_can_be_asked_for_if_there_is_one() {
        let own = Scopes::of([Scope::CustomersRead, Scope::ChannelsRead]);
        let asked = |text| narrowed(text, own).ok();
        assert_eq!(asked(None), Some(own));
        assert_eq!(asked(Some(" ")), Some(own));
        assert_eq!(asked(Some("channels:read")), Some(Scopes::of([Scope::ChannelsRead])));
        assert_eq!(asked(Some("channels:read customers:write")), None);
        assert_eq!(asked(Some("openid")), None);
        assert_eq!(asked(Some("*")), None);
    }

    #[test]
    fn nobody_guesses_between_workspaces() {
        assert_eq!(candidates(vec![1, 2], None), Vec::<i32>::new());
        assert_eq!(candidates(vec![1, 2], Some("shop")), [1, 2]);
        assert_eq!(candidates(vec![1], None), [1]);
    }
}
