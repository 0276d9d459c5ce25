//! Addresses that are not to be used any more, whoever they belong to.
//!
//! Only a keyed hash of the address is kept. So the list holds nobody's address, stays when a
//! customer is erased, and still knows the address when it comes back.

mod addresses;

use std::collections::HashMap;
use std::str::FromStr;

use actix_web::http::StatusCode;
use actix_web::{delete, get, post};
use chrono::{DateTime, Utc};
use diesel::helper_types::IntoBoxed;
use diesel::pg::Pg;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use validator::Validate;

pub use addresses::{AddressHasher, address_kind};

use crate::audit;
use crate::auth::{Caller, Scope};
use crate::channels::ChannelType;
use crate::crypto::hex;
use crate::customers::identities::{self, MarkKey};
use crate::db::keyset::{SortKey, SortKind};
use crate::db::{Conn, Tx, WorkspaceId};
use crate::error::{Error, Result};
use crate::http::reply::Plain;
use crate::http::{AnyOf, Json, List, NoContent, Page, Path, Query, Reply, ServiceConfig};
use crate::journal::{Change, record};
use crate::schema::suppressions;
use crate::values::time::truncate;
use addresses::normal;

crate::text_enum! {
    /// Why an address is not to be used.
    pub enum SuppressionReason {
        /// The mailbox does not exist.
        HardBounce = "hard_bounce",
        /// Somebody called it spam.
        Complaint = "complaint",
        /// It cannot be an address.
        Invalid = "invalid",
        /// Somebody wants nothing at all any more.
        UnsubscribeAll = "unsubscribe_all",
        /// Somebody here decided it.
        Manual = "manual",
        /// Its owner was erased.
        Erased = "erased",
    }
}

crate::text_enum! {
    /// The types of channel that have an address.
    pub enum SuppressibleChannelType {
        Email = "email",
        Sms = "sms",
        Whatsapp = "whatsapp",
        Phone = "phone",
        Push = "push",
        Social = "social",
    }
}

impl From<SuppressibleChannelType> for ChannelType {
    fn from(channel: SuppressibleChannelType) -> Self {
        match channel {
            SuppressibleChannelType::Email => Self::Email,
            SuppressibleChannelType::Sms => Self::Sms,
            SuppressibleChannelType::Whatsapp => Self::Whatsapp,
            SuppressibleChannelType::Phone => Self::Phone,
            SuppressibleChannelType::Push => Self::Push,
            SuppressibleChannelType::Social => Self::Social,
        }
    }
}

#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = suppressions)]
struct Row {
    id: Uuid,
    channel_type: SuppressibleChannelType,
    address_hash: Vec<u8>,
    reason: SuppressionReason,
    until: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

/// An address that is not to be used.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Suppression {
    /// Unique id, a UUIDv7.
    pub id: Uuid,
    /// Where it is not to be used.
    pub channel_type: SuppressibleChannelType,
    /// HMAC-SHA-256 of the address with a key of the workspace, in hexadecimal.
    #[schema(example = "6f2c7a1d0b3e4f5861728394a5b6c7d8e9fa0b1c2d3e4f5061728394a5b6c7d8")]
    pub address_hash: String,
    /// Why.
    pub reason: SuppressionReason,
    /// Until when; null is for ever.
    pub until: Option<DateTime<Utc>>,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

impl From<Row> for Suppression {
    fn from(row: Row) -> Self {
        let Row { id, channel_type, address_hash, reason, until, created_at } = row;
        let address_hash = hex(&address_hash);
        Self { id, channel_type, address_hash, reason, until, created_at }
    }
}

/// An address that shall not be used.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSuppression {
    /// Where it shall not be used.
    pub channel_type: SuppressibleChannelType,
    /// The address: an email address, a phone number, a device id, or `network:handle`. Only its
    /// hash is kept.
    #[validate(length(min = 1, max = 512))]
    #[schema(example = "ada@shop.example.com", min_length = 1, max_length = 512)]
    pub address: String,
    /// Why.
    pub reason: SuppressionReason,
    /// Until when; absent is for ever.
    #[serde(default, deserialize_with = "crate::http::json::time")]
    #[validate(custom(function = "crate::values::valid::time"))]
    pub until: Option<DateTime<Utc>>,
}

pub fn routes(api: &mut ServiceConfig) {
    api.service(list_suppressions)
        .service(create_suppression)
        .service(get_suppression)
        .service(delete_suppression);
}

const SORT: &[SortKey] =
    &[SortKey { name: "created_at", column: "suppressions.id", kind: SortKind::Id }];

/// Which suppressions to list; filters are combined with and.
#[derive(Debug, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SuppressionFilter {
    /// On any of these types of channel.
    #[serde(default)]
    #[param(value_type = Option<Vec<SuppressibleChannelType>>, style = Form, explode = false)]
    pub channel_type: AnyOf<SuppressibleChannelType>,
    /// For any of these reasons.
    #[serde(default)]
    #[param(value_type = Option<Vec<SuppressionReason>>, style = Form, explode = false)]
    pub reason: AnyOf<SuppressionReason>,
}

/// List suppressions
///
/// Newest first. Whether one address is among them says `POST /v1/suppressions`, as a dry run.
#[utoipa::path(tag = "suppressions", security(("bearer" = ["suppressions:read"])), params(Page, SuppressionFilter), responses((status = 200, body = List<Suppression>)))]
#[get("/suppressions")]
async fn list_suppressions(
    caller: Caller,
    page: Query<Page>,
    filter: Query<SuppressionFilter>,
) -> Result<Reply> {
    let grant = caller.must(Scope::SuppressionsRead)?;
    let slice = page.slice(&grant, "suppressions", SORT, &filter.0)?;
    grant
        .list(move |conn| {
            let matching = || filter.apply(conn.workspace);
            let total = slice.total(|| matching().count().get_result(conn.pg))?;
            let rows: Vec<Row> = matching()
                .filter(slice.after.clone())
                .order(slice.order.clone())
                .limit(slice.fetch())
                .select(Row::as_select())
                .load(conn.pg)?;
            slice.list(rows.into_iter().map(Suppression::from).collect(), total)
        })
        .await
}

/// Suppress an address
///
/// Nothing is sent to it any more, whatever anybody agrees to. 409 where it is suppressed for the
/// same reason already.
#[utoipa::path(tag = "suppressions", security(("bearer" = ["suppressions:write"])), responses((status = 201, body = Suppression)))]
#[post("/suppressions")]
async fn create_suppression(caller: Caller, new: Json<NewSuppression>) -> Result<Reply> {
    let norm = normal(new.channel_type.into(), &new.address)?;
    let grant = caller.must(Scope::SuppressionsWrite)?;
    grant
        .write(move |tx| {
            let hasher = AddressHasher::load(tx)?;
            let made = new.insert(tx, &hasher, &norm)?;
            let location = format!("/v1/suppressions/{}", made.id);
            Ok(Reply::json(StatusCode::CREATED, &made)?.with("Location", location))
        })
        .await
}

/// Get a suppression
#[utoipa::path(tag = "suppressions", security(("bearer" = ["suppressions:read"])), responses((status = 200, body = Suppression)))]
#[get("/suppressions/{id}")]
async fn get_suppression(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::SuppressionsRead)?;
    grant
        .read(move |conn| {
            let query = of(conn.workspace).filter(suppressions::id.eq(*id));
            let row: Row = query.select(Row::as_select()).first(conn.pg)?;
            Ok(Plain(Suppression::from(row)))
        })
        .await
}

/// Free a suppressed address
///
/// What its owner agreed to holds again.
#[utoipa::path(tag = "suppressions", security(("bearer" = ["suppressions:write"])), responses((status = 204)))]
#[delete("/suppressions/{id}")]
async fn delete_suppression(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::SuppressionsWrite)?;
    grant
        .write(move |tx| {
            let target = of(tx.workspace).filter(suppressions::id.eq(*id));
            let gone: Row =
                diesel::delete(target).returning(Row::as_returning()).get_result(tx.pg)?;
            let gone = Suppression::from(gone);
            record(tx, change("suppression.deleted", &gone, None))?;
            audit::deleted(tx, "suppression.deleted", gone.id, &gone)?;
            Ok(NoContent)
        })
        .await
}

#[diesel::dsl::auto_type]
fn of(workspace: WorkspaceId) -> _ {
    suppressions::table.filter(suppressions::workspace_id.eq(workspace))
}

type Matching = IntoBoxed<'static, of, Pg>;

impl SuppressionFilter {
    fn apply(&self, workspace: WorkspaceId) -> Matching {
        let mut found = of(workspace).into_boxed();
        if let Some(channels) = self.channel_type.given() {
            found = found.filter(suppressions::channel_type.eq_any(channels.clone()));
        }
        if let Some(reasons) = self.reason.given() {
            found = found.filter(suppressions::reason.eq_any(reasons.clone()));
        }
        found
    }
}

/// Which of these addresses are suppressed now, each with one reason: of several the first of
/// [`SuppressionReason`].
pub fn in_force(conn: &mut Conn, hashes: &[&[u8]]) -> Result<HashMap<Vec<u8>, SuppressionReason>> {
    use suppressions as s;
    if hashes.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(Vec<u8>, SuppressionReason)> = of(conn.workspace)
        .filter(s::address_hash.eq_any(hashes))
        .filter(s::until.is_null().or(s::until.gt(conn.now)))
        .select((s::address_hash, s::reason))
        .load(conn.pg)?;
    let mut found: HashMap<Vec<u8>, SuppressionReason> = HashMap::new();
    for (hash, reason) in rows {
        let first = found.entry(hash).or_insert(reason);
        *first = reason.min(*first);
    }
    Ok(found)
}

impl NewSuppression {
    fn insert(&self, tx: &mut Tx, hasher: &AddressHasher, norm: &str) -> Result<Suppression> {
        let until = self.until.map(truncate);
        if until.is_some_and(|until| until <= tx.now) {
            let detail = "`until` must be in the future";
            return Err(Error::field("#/until", "in_the_past", detail));
        }
        let channel = ChannelType::from(self.channel_type);
        let hash = hasher.hash(channel, norm);
        let Some(made) = suppress(tx, self.channel_type, &hash, self.reason, until)? else {
            return Err(taken(tx, &hash, self.reason)?);
        };
        let holder = holder(tx, channel, norm)?;
        record(tx, change("suppression.created", &made, holder))?;
        audit::created(tx, "suppression.created", made.id, &made)?;
        Ok(made)
    }
}

/// Suppresses the addresses of somebody who was erased, wherever they could be used; returns how many.
pub fn suppress_erased(tx: &mut Tx, marks: &[MarkKey]) -> Result<i64> {
    let mut suppressed = 0;
    for (channel_type, hash) in places(tx, marks)? {
        let made = suppress(tx, channel_type, &hash, SuppressionReason::Erased, None)?;
        suppressed += i64::from(made.is_some());
    }
    Ok(suppressed)
}

/// Frees the addresses of somebody who was erased and comes back.
pub fn readmit(tx: &mut Tx, marks: &[MarkKey]) -> Result<()> {
    let hashes: Vec<Vec<u8>> = places(tx, marks)?.into_iter().map(|(_, hash)| hash).collect();
    let freed = of(tx.workspace)
        .filter(suppressions::address_hash.eq_any(hashes))
        .filter(suppressions::reason.eq(SuppressionReason::Erased));
    diesel::delete(freed).execute(tx.pg)?;
    Ok(())
}

/// Where each of these marks could be used as an address, and its hash there.
fn places(tx: &mut Tx, marks: &[MarkKey]) -> Result<Vec<(SuppressibleChannelType, Vec<u8>)>> {
    let hasher = AddressHasher::load(tx)?;
    let mut places = Vec::new();
    for word in SuppressibleChannelType::ALL {
        let Ok(channel_type) = SuppressibleChannelType::from_str(word) else { continue };
        let channel = ChannelType::from(channel_type);
        let used = marks.iter().filter(|(kind, _)| address_kind(channel) == Some(*kind));
        places.extend(used.map(|(_, norm)| (channel_type, hasher.hash(channel, norm))));
    }
    Ok(places)
}

/// Puts a hash on the list; `None` where it is there for the same reason.
fn suppress(
    tx: &mut Tx,
    channel_type: SuppressibleChannelType,
    hash: &[u8],
    reason: SuppressionReason,
    until: Option<DateTime<Utc>>,
) -> Result<Option<Suppression>> {
    use suppressions as s;
    // One that is over is none.
    let over = same(tx.workspace, hash, reason).filter(s::until.le(tx.now));
    diesel::delete(over).execute(tx.pg)?;
    let id = tx.new_id();
    let made: Option<Row> = diesel::insert_into(s::table)
        .values((
            s::workspace_id.eq(tx.workspace),
            s::id.eq(id),
            s::channel_type.eq(channel_type),
            s::address_hash.eq(hash),
            s::reason.eq(reason),
            s::until.eq(until),
            s::created_at.eq(tx.now),
        ))
        .on_conflict((s::workspace_id, s::address_hash, s::reason))
        .do_nothing()
        .returning(Row::as_returning())
        .get_result(tx.pg)
        .optional()?;
    Ok(made.map(Suppression::from))
}

#[diesel::dsl::auto_type(no_type_alias)]
fn same<'a>(workspace: WorkspaceId, hash: &'a [u8], reason: SuppressionReason) -> _ {
    suppressions::table
        .filter(suppressions::workspace_id.eq(workspace))
        .filter(suppressions::address_hash.eq(hash))
        .filter(suppressions::reason.eq(reason))
}

fn taken(tx: &mut Tx, hash: &[u8], reason: SuppressionReason) -> Result<Error> {
    let existing = same(tx.workspace, hash, reason).select(suppressions::id);
    let existing: Option<Uuid> = existing.first(tx.pg).optional()?;
    let detail = format!("this address is suppressed for `{reason}` already");
    let taken = Error::conflict("suppressions_address_taken", detail, existing);
    Ok(taken.at("#/address", "already_exists"))
}

/// The customer who has the address, for the timeline.
fn holder(tx: &mut Tx, channel: ChannelType, norm: &str) -> Result<Option<Uuid>> {
    let Some(kind) = address_kind(channel) else { return Ok(None) };
    let holders = identities::holders(tx, &[(kind, norm.to_owned())])?;
    Ok(holders.into_values().next().map(|held| held.customer_id))
}

fn change(kind: &'static str, of: &Suppression, customer: Option<Uuid>) -> Change<'static> {
    let properties: Value =
        json!({ "channel_type": of.channel_type, "reason": of.reason, "until": of.until });
    Change {
        kind,
        customer_id: customer,
        organization_id: None,
        channel_id: None,
        subject: ("suppression", of.id),
        properties,
    }
}
