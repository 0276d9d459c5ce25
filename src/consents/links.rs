//! Links by which a person, who has no credential, can speak for one customer: signed, with an end,
//! and naming the workspace whose key signed them.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, post};
use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use validator::Validate;

use super::standing::ConsentKey;
use super::types::ConsentPurpose;
use crate::app::App;
use crate::auth::{Caller, Scope, blocking};
use crate::channels::ChannelType;
use crate::customers::Customer;
use crate::db::{Actor, ActorKind, Conn, Outcome, Server, Session, Tx, Via};
use crate::error::{Error, Result};
use crate::http::cors::allow_listed_origin;
use crate::http::reply::IntoReply;
use crate::http::{Json, Path, Reply};
use crate::workspaces;

/// Bytes of the signature: 128 bits, as NIST SP 800-107 allows.
const TAG_BYTES: usize = 16;
/// Longer texts are none of ours.
const MAX_CHARS: usize = 1500;
/// What a link lives where nobody says otherwise: mail is kept, and so is its link.
const USUAL_DAYS: i32 = 730;

/// Where a link leads. Its text is part of an address: short names keep that short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Destination {
    /// To what a customer says to everything, and out of one thing with one click.
    #[serde(rename = "p")]
    Preferences {
        #[serde(rename = "u")]
        customer: Uuid,
        #[serde(rename = "o")]
        out_of: ConsentKey,
    },
    /// To a consent that waits to be confirmed, as long as this event is its last.
    #[serde(rename = "c")]
    Confirmation {
        #[serde(rename = "u")]
        customer: Uuid,
        #[serde(rename = "c")]
        consent: Uuid,
        #[serde(rename = "e")]
        event: Uuid,
    },
}

/// Workspace, live or test data, end in Unix seconds, destination.
#[derive(Serialize, Deserialize)]
struct Payload(Uuid, bool, i64, Destination);

/// The key of one workspace that signs its links.
pub struct LinkKey(hmac::Key);

/// What a token says, before anybody has looked at its signature.
pub struct Unproved {
    payload: Payload,
    signed: Vec<u8>,
    tag: Vec<u8>,
}

impl LinkKey {
    pub fn load(conn: &mut Conn) -> Result<Self> {
        Ok(Self(conn.data_key()?.signing_key("consent_links")))
    }

    /// The text of a link.
    pub fn sign(&self, conn: &Conn, expires_at: DateTime<Utc>, to: Destination) -> String {
        let payload = Payload(conn.home.uuid(), conn.livemode, expires_at.timestamp(), to);
        let mut bytes = serde_json::to_vec(&payload).expect("BUG: ids and words are JSON");
        let tag = hmac::sign(&self.0, &bytes);
        bytes.extend_from_slice(&tag.as_ref()[..TAG_BYTES]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Where a link leads; 404 for one that is forged or over, which is all that is said.
    fn prove<'a>(&self, link: &'a Unproved, now: DateTime<Utc>) -> Result<&'a Destination> {
        let expected = hmac::sign(&self.0, &link.signed);
        let expected = &expected.as_ref()[..TAG_BYTES];
        let is_ours = constant_time::verify_slices_are_equal(&link.tag, expected).is_ok();
        let Payload(_, _, end, to) = &link.payload;
        if is_ours && now.timestamp() < *end { Ok(to) } else { Err(Error::not_found()) }
    }
}

impl Unproved {
    fn parse(token: &str) -> Option<Self> {
        let bytes = (token.len() <= MAX_CHARS).then(|| URL_SAFE_NO_PAD.decode(token))?.ok()?;
        let (signed, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG_BYTES)?)?;
        let payload = serde_json::from_slice(signed).ok()?;
        Some(Self { payload, signed: signed.to_vec(), tag: tag.to_vec() })
    }

    fn customer(&self) -> Uuid {
        match &self.payload.3 {
            Destination::Preferences { customer, .. }
            | Destination::Confirmation { customer, .. } => *customer,
        }
    }
}

/// A request that carries a link, and what is needed to follow it.
pub struct Visit {
    app: App,
    token: String,
    via: Via,
}

impl Visit {
    /// Charges the caller's address, and lets web pages that a workspace has named read the answer.
    pub fn of(req: &HttpRequest, token: &str) -> Result<Self> {
        let app = App::of(req);
        app.limits.charge_address(req)?;
        allow_listed_origin(req);
        Ok(Self { app, token: token.to_owned(), via: Via::of(req) })
    }

    /// Looks at something in the name of the person, outside any transaction.
    pub async fn read<R: IntoReply>(
        self,
        work: impl Fn(&mut Conn, &Destination) -> Result<R> + Send + 'static,
    ) -> Result<Reply> {
        blocking(move || {
            let (link, session) = self.open()?;
            self.app.db.read(Server::Primary, &session, &|conn| {
                let key = LinkKey::load(conn)?;
                work(conn, key.prove(&link, conn.now)?)?.into_reply()
            })
        })
        .await
    }

    /// Changes something in the name of the person, in one transaction.
    pub async fn write<R: IntoReply>(
        self,
        work: impl Fn(&mut Tx, &Destination) -> Result<R> + Send + 'static,
    ) -> Result<Reply> {
        blocking(move || {
            let (link, session) = self.open()?;
            self.app.db.write(&session, &|tx| {
                let key = LinkKey::load(tx)?;
                work(tx, key.prove(&link, tx.now)?)?.into_reply().map(Outcome::Commit)
            })
        })
        .await
    }

    /// The workspace that the link names. Until the link is proved nothing but the key is read.
    fn open(&self) -> Result<(Unproved, Session)> {
        let link = Unproved::parse(&self.token).ok_or_else(Error::not_found)?;
        let workspace = workspaces::named_by_link(&self.app.db, link.payload.0)?;
        let workspace = workspace.ok_or_else(Error::not_found)?;
        let person = Actor { kind: ActorKind::Customer, id: Some(link.customer()) };
        let session = workspace.session(link.payload.1, person, self.via.clone());
        Ok((link, session))
    }
}

/// A link to be made for a customer.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPreferenceLink {
    /// What one click unsubscribes from: this type of channel …
    pub channel_type: ChannelType,
    /// … this purpose, `marketing` unless said otherwise …
    pub purpose: Option<ConsentPurpose>,
    /// … and this topic; absent is everything.
    #[validate(length(min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100)]
    pub topic: Option<String>,
    /// How many days the link works, 730 unless said otherwise.
    #[validate(range(min = 1, max = 3650))]
    #[schema(example = 730, minimum = 1, maximum = 3650)]
    pub expires_in_days: Option<i32>,
}

/// A link by which a customer manages what they agreed to. Whoever has it may: it belongs into
/// messages to this customer alone.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreferenceLink {
    /// The token in the addresses.
    #[schema(example = "WyIwMTkyZjBjMS0yYTNi…")]
    pub token: String,
    /// For people and for mail programs, which unsubscribe there with one click (RFC 8058).
    #[schema(example = "https://crm.example.com/u/WyIwMTkyZjBjMS0yYTNi…")]
    pub unsubscribe_url: String,
    /// For the company's own preference centre: `GET` and `PUT`, in JSON.
    #[schema(example = "https://crm.example.com/preferences/WyIwMTkyZjBjMS0yYTNi…")]
    pub preferences_url: String,
    /// The header `List-Unsubscribe` for the mail.
    #[schema(example = "<https://crm.example.com/u/WyIwMTkyZjBjMS0yYTNi…>")]
    pub list_unsubscribe: String,
    /// The header `List-Unsubscribe-Post` for the mail.
    #[schema(example = "List-Unsubscribe=One-Click")]
    pub list_unsubscribe_post: String,
    /// Until when the link works.
    pub expires_at: DateTime<Utc>,
}

/// Make a link to a customer's preferences
///
/// For messages to this customer: the page and header to unsubscribe with one click, and the
/// address of the preference centre. Nothing is stored; a link cannot be taken back before its end.
#[utoipa::path(tag = "consents", security(("bearer" = ["consents:write"])), responses((status = 201, body = PreferenceLink)))]
#[post("/customers/{id}/preference_links")]
pub async fn create_preference_link(
    caller: Caller,
    id: Path<Uuid>,
    new: Json<NewPreferenceLink>,
) -> Result<Reply> {
    let grant = caller.must(Scope::ConsentsWrite)?;
    let app = grant.app().clone();
    grant
        .write(move |tx| {
            let customer = Customer::current_id(tx, *id)?;
            let link = new.sign(tx, &app.config.public_url, customer)?;
            let location = format!("/preferences/{}", link.token);
            Ok(Reply::json(StatusCode::CREATED, &link)?.with("Location", location))
        })
        .await
}

impl NewPreferenceLink {
    fn sign(&self, tx: &mut Tx, public_url: &str, customer: Uuid) -> Result<PreferenceLink> {
        let key = LinkKey::load(tx)?;
        let purpose = self.purpose.unwrap_or(ConsentPurpose::Marketing);
        let out_of = super::key(self.channel_type, purpose, self.topic.as_deref());
        let days = self.expires_in_days.unwrap_or(USUAL_DAYS);
        let expires_at = tx.now + TimeDelta::days(days.into());
        let token = key.sign(tx, expires_at, Destination::Preferences { customer, out_of });
        Ok(PreferenceLink::of(public_url, token, expires_at))
    }
}

impl PreferenceLink {
    /// The addresses of a token, where callers reach the service.
    pub fn of(public_url: &str, token: String, expires_at: DateTime<Utc>) -> Self {
        let unsubscribe_url = format!("{public_url}/u/{token}");
        Self {
            list_unsubscribe: format!("<{unsubscribe_url}>"),
            unsubscribe_url,
            preferences_url: format!("{public_url}/preferences/{token}"),
            list_unsubscribe_post: "List-Unsubscribe=One-Click".into(),
            token,
            expires_at,
        }
    }
}
