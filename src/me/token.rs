//! The token with which a customer comes in.

use actix_web::http::StatusCode;
use actix_web::post;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use validator::Validate;

use crate::audit;
use crate::auth::scope::Scopes;
use crate::auth::token::{Claims, Subject};
use crate::auth::{Caller, Scope};
use crate::customers::Customer;
use crate::error::Result;
use crate::http::{Json, Path, Reply};

/// How long a token works where nobody says otherwise.
const USUAL_SECONDS: i32 = 3600;

/// A token to be made for a customer.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCustomerToken {
    /// How long it works, at most a day; an hour where absent.
    #[validate(range(min = 60, max = 86400))]
    #[schema(example = 3600, minimum = 60, maximum = 86400)]
    pub expires_in_seconds: Option<i32>,
}

/// A token that opens a customer's own data, and nothing else.
#[derive(Debug, Serialize, ToSchema)]
pub struct CustomerToken {
    /// What the customer's browser or app sends as `Authorization: Bearer …`, to `/v1/me` only.
    #[schema(example = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9…")]
    pub token: String,
    /// Until when it works; it ends before where the customer is deleted or erased.
    pub expires_at: DateTime<Utc>,
}

/// Let a customer in
///
/// For the server of a shop or portal, which knows who has signed in there: the token goes to that
/// customer's browser. Whoever has it sees and changes what is this customer's own at `/v1/me`.
#[utoipa::path(tag = "me", security(("bearer" = ["customer_tokens:write"])), responses((status = 201, body = CustomerToken)))]
#[post("/customers/{id}/tokens")]
pub async fn create_customer_token(
    caller: Caller,
    id: Path<Uuid>,
    new: Json<NewCustomerToken>,
) -> Result<Reply> {
    let grant = caller.must(Scope::CustomerTokensWrite)?;
    let app = grant.app().clone();
    grant
        .write(move |tx| {
            let customer = Customer::current_id(tx, *id)?;
            let seconds = i64::from(new.expires_in_seconds.unwrap_or(USUAL_SECONDS));
            let expires_at = tx.now + TimeDelta::seconds(seconds);
            let claims = Claims {
                sub: customer,
                jti: tx.new_id(),
                iat: tx.now.timestamp(),
                exp: tx.now.timestamp() + seconds,
                nbf: None,
                wid: tx.home.uuid(),
                livemode: tx.livemode,
                typ: Subject::Customer,
                scope: Scopes::NONE,
                sid: None,
                ver: None,
            };
            audit::done(tx, "customer_token.created", customer)?;
            let token = CustomerToken { token: app.tokens.issue(&claims)?, expires_at };
            Ok(Reply::json(StatusCode::CREATED, &token)?.with("Location", "/v1/me".into()))
        })
        .await
}
