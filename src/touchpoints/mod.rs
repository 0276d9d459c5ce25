//! Touchpoints: everything that happens between the company and its customers, online or offline.

mod ingest;
mod timeline;

use std::sync::LazyLock;

use actix_web::{get, post};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use validator::{Validate, ValidationError};

pub use ingest::{Stored, many as ingest, with_customers as ingest_with_customers};
pub use timeline::{TimelineFilter, TouchpointFilter};

use crate::auth::{Caller, Scope};
use crate::customers::references::{CustomerReference, OnUnknownCustomer};
use crate::db::Tx;
use crate::db::group::Group;
use crate::error::Result;
use crate::external_ids::ExternalId;
use crate::http::reply::{IntoReply, Plain};
use crate::http::{Batch, Items, Json, NewBatch, Path, Query, Reply, ServiceConfig};
use crate::journal::touchpoint::{TouchpointContent, TouchpointContext, TouchpointSubject};
use crate::journal::{self, Direction, OWN_SOURCE, Touchpoint, TouchpointActor};
use crate::values::free::FreeObject;
use crate::values::money::{MOST, Money};
use crate::values::valid;

pub fn routes(api: &mut ServiceConfig) {
    api.service(timeline::list_touchpoints)
        .service(create_touchpoint)
        .service(batch_create_touchpoints)
        .service(get_touchpoint)
        .service(timeline::list_customer_timeline)
        .service(timeline::list_organization_timeline);
}

/// The channel something happened on, by one of these.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChannelReference {
    /// The channel's id.
    pub id: Option<Uuid>,
    /// Its id in an outside system.
    #[validate(nested)]
    pub external_id: Option<ExternalId>,
}

/// The organization something concerns, by one of these.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OrganizationReference {
    /// The organization's id.
    pub id: Option<Uuid>,
    /// Its id in an outside system.
    #[validate(nested)]
    pub external_id: Option<ExternalId>,
}

/// Something that happened, to be remembered.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTouchpoint {
    /// Who it was; absent where nobody can be named.
    #[validate(nested)]
    pub customer: Option<CustomerReference>,
    /// The channel it happened on.
    #[validate(nested)]
    pub channel: Option<ChannelReference>,
    /// The organization it concerns; absent means the customer's primary one.
    #[validate(nested)]
    pub organization: Option<OrganizationReference>,
    /// What happened, as `noun.past_verb`: a reserved type or one of your own. Those of our own
    /// resources (`customer.*`, `identity.*`, `channel.*` …) are ours to write.
    #[validate(custom(function = "touchpoint_type"))]
    #[schema(
        example = "product.viewed",
        min_length = 3,
        max_length = 100,
        pattern = "^[a-z][a-z0-9_]*([.][a-z][a-z0-9_]*)+$"
    )]
    pub r#type: String,
    /// What your system calls it.
    #[validate(length(max = 200))]
    #[schema(example = "Product Viewed", max_length = 200)]
    pub name: Option<String>,
    /// Which way it went; `inbound` unless said otherwise.
    pub direction: Option<Direction>,
    /// When it happened, from 1970 to tomorrow; now unless said otherwise.
    pub occurred_at: Option<DateTime<Utc>>,
    /// Your system; `api` unless said otherwise. `ecrm` is ours.
    #[validate(length(min = 1, max = 100), custom(function = "touchpoint_source"))]
    #[schema(example = "shop", min_length = 1, max_length = 100)]
    pub source: Option<String>,
    /// Your id of it: a repeat from the same source changes nothing.
    #[validate(length(min = 1, max = 255))]
    #[schema(example = "evt-20260314-000017", min_length = 1, max_length = 255)]
    pub message_id: Option<String>,
    /// What it is about.
    #[validate(nested)]
    pub subject: Option<TouchpointSubject>,
    /// Who did it; the customer where it is inbound, else the caller.
    pub actor: Option<TouchpointActor>,
    /// What it was worth: at most 1 000 000 000 000 000 minor units, or as much below zero.
    #[validate(custom(function = "touchpoint_value"))]
    pub value: Option<Money>,
    /// What was said or sent.
    #[validate(nested)]
    pub content: Option<TouchpointContent>,
    /// The circumstances.
    #[validate(nested)]
    pub context: Option<TouchpointContext>,
    /// Anything else.
    #[serde(default)]
    #[validate(custom(function = "crate::values::free::valid"))]
    pub properties: FreeObject,
}

/// The types that only we write: each tells of a change to one of our own resources.
const OWN_NOUNS: [&str; 9] = [
    "customer",
    "identity",
    "channel",
    "organization",
    "membership",
    "consent",
    "suppression",
    "tag",
    "webhook_endpoint",
];

/// Whether a type is one that only we write.
pub fn is_own(kind: &str) -> bool {
    OWN_NOUNS.iter().any(|noun| kind.split('.').next() == Some(noun))
}

/// Whether a text can be a part of a type, between its points.
pub fn is_word(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase())
        && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// For `#[validate]`: words with points between them, none of them ours.
pub fn touchpoint_type(kind: &str) -> Result<(), ValidationError> {
    let words: Vec<&str> = kind.split('.').collect();
    if kind.len() > 100 || words.len() < 2 || !words.iter().all(|word| is_word(word)) {
        let expected = "must be `noun.past_verb` in lower case, such as `product.viewed`";
        return Err(ValidationError::new("invalid_type").with_message(expected.into()));
    }
    if is_own(kind) {
        let reason = "types of our own resources are written by those resources alone";
        return Err(ValidationError::new("reserved_type").with_message(reason.into()));
    }
    Ok(())
}

/// For `#[validate]`: what we tell ourselves is known by its source.
pub fn touchpoint_source(source: &str) -> Result<(), ValidationError> {
    if source != OWN_SOURCE {
        return Ok(());
    }
    let reason = "is the source of what this service writes itself";
    Err(ValidationError::new("reserved_source").with_message(reason.into()))
}

/// For `#[validate]`: an amount that sums can be made of, in a currency that there is.
fn touchpoint_value(value: &Money) -> Result<(), ValidationError> {
    let at = |mut error: ValidationError, pointer: &'static str| {
        error.add_param("pointer".into(), &pointer);
        error
    };
    valid::currency(&value.currency).map_err(|error| at(error, "/currency"))?;
    if value.fits() {
        return Ok(());
    }
    let expected = format!("must be from -{MOST} to {MOST} minor units");
    Err(at(ValidationError::new("out_of_range").with_message(expected.into()), "/amount"))
}

/// How touchpoints are taken in.
#[derive(Debug, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct IngestOptions {
    /// What to do when nobody has the identities a touchpoint names; `reject` unless said otherwise.
    #[param(inline)]
    pub on_unknown_customer: Option<OnUnknownCustomer>,
    /// Whether this is told to be complete, as history is that moves in: no webhooks are sent for it.
    pub backfill: Option<bool>,
}

/// How touchpoints are taken in together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Manner {
    unknown: OnUnknownCustomer,
    is_backfill: bool,
}

impl IngestOptions {
    fn manner(&self) -> Manner {
        let unknown = self.on_unknown_customer.unwrap_or(OnUnknownCustomer::Reject);
        Manner { unknown, is_backfill: self.backfill.unwrap_or(false) }
    }
}

impl Manner {
    fn begin(self, tx: &mut Tx) -> OnUnknownCustomer {
        if self.is_backfill {
            journal::backfill(tx);
        }
        self.unknown
    }
}

/// Touchpoints reported one by one, those of a manner together.
static SINGLE: LazyLock<Group<Manner, NewTouchpoint, Reply>> = LazyLock::new(|| {
    Group::new(|tx, manner, new| {
        let unknown = manner.begin(tx);
        ingest::each(tx, new, unknown)
    })
});

/// Report a touchpoint
///
/// A repeat of the same `source` and `message_id` changes nothing and answers what is stored, with
/// `Idempotent-Replayed: true`.
#[utoipa::path(tag = "touchpoints", security(("bearer" = ["touchpoints:ingest"])), params(IngestOptions), responses((status = 201, body = Touchpoint)))]
#[post("/touchpoints")]
async fn create_touchpoint(
    caller: Caller,
    options: Query<IngestOptions>,
    new: Json<NewTouchpoint>,
) -> Result<Reply> {
    let grant = caller.must(Scope::TouchpointsIngest)?;
    grant.write_with_others(&SINGLE, options.manner(), new.into_inner()).await
}

/// Report up to 1000 touchpoints
///
/// Each item is stored, recognised as a repeat (status 200) or refused on its own.
#[utoipa::path(tag = "touchpoints", security(("bearer" = ["touchpoints:ingest"])), params(IngestOptions), request_body = NewBatch<NewTouchpoint>, responses((status = 207, body = Batch)))]
#[post("/touchpoints/batch")]
async fn batch_create_touchpoints(
    caller: Caller,
    options: Query<IngestOptions>,
    batch: Items<NewTouchpoint>,
) -> Result<Reply> {
    let grant = caller.must(Scope::TouchpointsIngest)?;
    grant.charge(batch.count())?;
    let manner = options.manner();
    grant
        .write(move |tx| {
            let unknown = manner.begin(tx);
            let taken = ingest::many(tx, batch.read(), unknown)?;
            Ok(Batch::of(batch.results(taken)))
        })
        .await
}

/// Get a touchpoint
#[utoipa::path(tag = "touchpoints", security(("bearer" = ["touchpoints:read"])), responses((status = 200, body = Touchpoint)))]
#[get("/touchpoints/{id}")]
async fn get_touchpoint(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::TouchpointsRead)?;
    grant.read(move |conn| Plain(journal::read::find(conn, *id)?).into_reply()).await
}
