//! What a credential is and what it may do, for whoever holds it.

use actix_web::get;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::{Caller, CredentialKind, Identity, Role};
use crate::db::Conn;
use crate::error::Result;
use crate::http::Reply;
use crate::http::reply::Plain;
use crate::users::User;
use crate::workspaces::Workspace;

crate::text_enum! {
    /// What a credential stands for.
    pub enum CredentialType {
        ApiKey = "api_key",
        User = "user",
        Customer = "customer",
        Issuer = "issuer",
    }
}

/// What a credential is and what it may do.
#[derive(Debug, Serialize, ToSchema)]
pub struct Whoami {
    /// Id of the API key, user or trusted issuer.
    pub credential_id: Uuid,
    /// What the credential stands for.
    pub kind: CredentialType,
    /// The workspace that it opens.
    pub workspace: WhoamiWorkspace,
    /// Whether it sees live data or test data.
    pub livemode: bool,
    /// What it may do; `*` is everything.
    #[schema(example = json!(["customers:read", "customers:write"]))]
    pub scopes: Vec<String>,
    /// The user's role.
    pub role: Option<Role>,
    /// The user.
    pub user: Option<WhoamiUser>,
    /// When the credential stops working; null never.
    pub expires_at: Option<DateTime<Utc>>,
}

/// The workspace of a credential.
#[derive(Debug, Serialize, ToSchema)]
pub struct WhoamiWorkspace {
    /// Its id.
    pub id: Uuid,
    /// Its short name.
    #[schema(example = "alpenglow")]
    pub slug: String,
    /// Name of the company or brand.
    #[schema(example = "Alpenglow")]
    pub name: String,
}

/// The user of a credential.
#[derive(Debug, Serialize, ToSchema)]
pub struct WhoamiUser {
    /// The user's id.
    pub id: Uuid,
    /// The address to sign in with.
    #[schema(example = "mira@shop.example.com")]
    pub email: String,
    /// The user's name.
    #[schema(example = "Mira Berg")]
    pub name: String,
}

/// See what a credential may do
#[utoipa::path(tag = "auth", security(("bearer" = [])), responses((status = 200, body = Whoami)))]
#[get("/auth/whoami")]
pub async fn get_whoami(caller: Caller) -> Result<Reply> {
    let identity = caller.identity.clone();
    caller.grant()?.read(move |conn| Whoami::of(conn, &identity).map(Plain)).await
}

impl Whoami {
    fn of(conn: &mut Conn, identity: &Identity) -> Result<Self> {
        let Workspace { id, slug, name, .. } = Workspace::current(conn)?;
        Ok(Self {
            credential_id: identity.credential_id,
            kind: identity.kind.into(),
            workspace: WhoamiWorkspace { id, slug, name },
            livemode: identity.livemode,
            scopes: identity.scopes.to_list(),
            role: identity.role,
            user: WhoamiUser::of(conn, identity)?,
            expires_at: identity.expires_at,
        })
    }
}

impl WhoamiUser {
    fn of(conn: &mut Conn, identity: &Identity) -> Result<Option<Self>> {
        if identity.kind != CredentialKind::User {
            return Ok(None);
        }
        let User { id, email, name, .. } = User::find(conn, identity.credential_id)?;
        Ok(Some(Self { id, email, name }))
    }
}

impl From<CredentialKind> for CredentialType {
    fn from(kind: CredentialKind) -> Self {
        match kind {
            CredentialKind::ApiKey(_) => Self::ApiKey,
            CredentialKind::User => Self::User,
            CredentialKind::Customer => Self::Customer,
            CredentialKind::Issuer => Self::Issuer,
        }
    }
}
