//! How a customer is recognised: addresses, logins, browsers and outside ids, each belonging to
//! one customer at a time.

use std::collections::HashMap;

use actix_web::{delete, get, post};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

pub use super::marks::{IdentityType, Mark, MarkKey, NewIdentity, marks, slot};
use super::{Customer, erased};
use crate::auth::{Caller, Scope};
use crate::db::pairs::any_pair;
use crate::db::{Conn, Tx, WorkspaceId};
use crate::error::{Error, OnConstraint, Result};
use crate::external_ids::ExternalId;
use crate::http::reply::{IntoReply, Plain};
use crate::http::{Json, List, NoContent, Path, Reply};
use crate::journal::{Change, record};
use crate::schema::identities;

/// A mark by which a customer is recognised.
#[derive(Debug, Clone, Queryable, Selectable, Serialize, ToSchema)]
#[diesel(table_name = identities)]
pub struct Identity {
    /// Unique id, a UUIDv7.
    pub id: Uuid,
    /// The customer it belongs to now.
    pub customer_id: Uuid,
    /// The customer it first came with; a merge never changes it.
    pub origin_customer_id: Uuid,
    /// What kind of mark it is.
    #[diesel(column_name = type_)]
    pub r#type: IdentityType,
    /// The outside system or social network; null for other types.
    pub source: Option<String>,
    /// The mark as it was given.
    #[schema(example = "Ada@Shop.example.com")]
    pub value: String,
    /// The mark as it is compared.
    #[diesel(column_name = value_norm)]
    #[schema(example = "ada@shop.example.com")]
    pub value_norm: String,
    /// When somebody proved that it is theirs.
    pub verified_at: Option<DateTime<Utc>>,
    /// Whether it is the customer's main one of its type.
    pub is_primary: bool,
    /// When it was attached.
    pub created_at: DateTime<Utc>,
}

#[diesel::dsl::auto_type(no_type_alias)]
fn of(workspace: WorkspaceId) -> _ {
    identities::table
        .filter(identities::workspace_id.eq(workspace))
        .filter(identities::released_at.is_null())
}

/// Who holds a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub customer_id: Uuid,
    /// Whom it first came with.
    pub origin_customer_id: Uuid,
    /// Whether somebody proved that it is theirs.
    pub is_verified: bool,
}

/// The customer who holds a mark, or 404.
pub fn holder(conn: &mut Conn, mark: &Mark) -> Result<Uuid> {
    let held = holders(conn, &[mark.key()])?.into_values().next();
    held.map(|held| held.customer_id).ok_or_else(Error::not_found)
}

/// Who holds each of these marks.
pub fn holders(conn: &mut Conn, keys: &[MarkKey]) -> Result<HashMap<MarkKey, Held>> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let pairs = keys.iter().map(|(kind, norm)| (kind.as_str(), norm.as_str()));
    type Row = (IdentityType, String, Uuid, Uuid, Option<DateTime<Utc>>);
    let rows: Vec<Row> = of(conn.workspace)
        .filter(any_pair("identities.type, identities.value_norm", pairs))
        .select((
            identities::type_,
            identities::value_norm,
            identities::customer_id,
            identities::origin_customer_id,
            identities::verified_at,
        ))
        .load(conn.pg)?;
    let held =
        rows.into_iter().map(|(kind, norm, customer_id, origin_customer_id, verified_at)| {
            let held = Held { customer_id, origin_customer_id, is_verified: verified_at.is_some() };
            ((kind, norm), held)
        });
    Ok(held.collect())
}

/// By what several customers are known.
pub fn of_customers(conn: &mut Conn, ids: &[Uuid]) -> Result<Vec<(Uuid, IdentityType, String)>> {
    use identities as i;
    Ok(of(conn.workspace)
        .filter(i::customer_id.eq_any(ids))
        .select((i::customer_id, i::type_, i::value_norm))
        .load(conn.pg)?)
}

/// The logins and outside ids of customers.
pub fn exclusive(conn: &mut Conn, ids: &[Uuid]) -> Result<Vec<(Uuid, MarkKey)>> {
    use identities as i;
    let rows: Vec<(Uuid, IdentityType, String)> = of(conn.workspace)
        .filter(i::customer_id.eq_any(ids))
        .filter(i::type_.eq_any([IdentityType::UserId, IdentityType::External]))
        .select((i::customer_id, i::type_, i::value_norm))
        .load(conn.pg)?;
    Ok(rows.into_iter().map(|(customer, kind, norm)| (customer, (kind, norm))).collect())
}

/// The handles and devices of customers by which something can be sent to them, the main ones first.
pub fn handles(conn: &mut Conn, customers: &[Uuid]) -> Result<Vec<(Uuid, IdentityType, String)>> {
    use identities as i;
    Ok(of(conn.workspace)
        .filter(i::customer_id.eq_any(customers))
        .filter(i::type_.eq_any([IdentityType::DeviceId, IdentityType::Social]))
        .order((i::is_primary.desc(), i::id))
        .select((i::customer_id, i::type_, i::value_norm))
        .load(conn.pg)?)
}

/// Attaches marks to customers, in one statement. A mark that somebody else took in the meantime
/// makes the transaction run again, which then sees who.
pub fn attach(tx: &mut Tx, marks: &[(Uuid, &Mark)]) -> Result<()> {
    use identities as i;
    let (workspace, now) = (tx.workspace, tx.now);
    let rows: Vec<_> = marks
        .iter()
        .map(|(customer, mark)| {
            (
                i::workspace_id.eq(workspace),
                i::id.eq(tx.new_id()),
                i::customer_id.eq(*customer),
                i::origin_customer_id.eq(*customer),
                i::type_.eq(mark.kind),
                i::source.eq(mark.source.as_deref()),
                i::value.eq(&mark.value),
                i::value_norm.eq(&mark.norm),
                i::verified_at.eq(mark.is_verified.then_some(now)),
                i::is_primary.eq(mark.is_primary),
                i::created_at.eq(now),
            )
        })
        .collect();
    if !rows.is_empty() {
        diesel::insert_into(i::table)
            .values(rows)
            .execute(tx.pg)
            .on_constraint("identities_value_taken", || Error::Retry("identity race".into()))
            .on_constraint("identities_customer_exists", Error::not_found)?;
    }
    Ok(())
}

/// 409 that names the customer who holds a mark.
pub fn taken(mark: &Mark, holder: Uuid) -> Error {
    let detail = format!("another customer has this `{}`", mark.kind);
    let taken = Error::conflict("identities_value_taken", detail, Some(holder));
    taken.at(&mark.pointer, "already_exists")
}

/// Attaches marks to one customer; 409 where another one holds any of them, or was erased.
pub fn claim(tx: &mut Tx, customer: Uuid, marks: &[Mark]) -> Result<()> {
    let keys: Vec<MarkKey> = marks.iter().map(Mark::key).collect();
    let found = erased::look_up(tx, &keys)?;
    let mut missing = Vec::new();
    for mark in marks {
        found.refuse_erased(mark)?;
        match found.held.get(&mark.key()) {
            Some(held) if held.customer_id != customer => {
                return Err(taken(mark, held.customer_id));
            }
            Some(_) => promote(tx, customer, mark)?,
            None => missing.push((customer, mark)),
        }
    }
    attach(tx, &missing)
}

/// Whether a source has told nothing newer of the customer whom it calls so; notes that it told now.
pub fn is_news(tx: &mut Tx, reference: &ExternalId, at: DateTime<Utc>) -> Result<bool> {
    use identities as i;
    let mark = Mark::external(reference);
    let known =
        of(tx.workspace).filter(i::type_.eq(mark.kind)).filter(i::value_norm.eq(&mark.norm));
    let is_older = i::source_updated_at.is_null().or(i::source_updated_at.le(at));
    let noted = diesel::update(known.filter(is_older)).set(i::source_updated_at.eq(at));
    Ok(noted.execute(tx.pg)? > 0)
}

/// A mark the customer has already may become the primary one, or verified.
fn promote(tx: &mut Tx, customer: Uuid, mark: &Mark) -> Result<()> {
    if mark.is_primary || mark.is_verified {
        let now = tx.now;
        let target = of(tx.workspace)
            .filter(identities::customer_id.eq(customer))
            .filter(identities::type_.eq(mark.kind))
            .filter(identities::value_norm.eq(&mark.norm));
        if mark.is_primary {
            diesel::update(target).set(identities::is_primary.eq(true)).execute(tx.pg)?;
        }
        if mark.is_verified {
            let unproven = target.filter(identities::verified_at.is_null());
            diesel::update(unproven).set(identities::verified_at.eq(now)).execute(tx.pg)?;
        }
    }
    Ok(())
}

/// Makes marks that a customer has the main ones of their types, and tells the log.
pub fn prefer(tx: &mut Tx, customer: Uuid, marks: &[Mark]) -> Result<()> {
    let before = Customer::lock_fields(tx, customer)?;
    let is_meant = |one: &&Identity| {
        !one.is_primary
            && marks.iter().any(|mark| mark.key() == (one.r#type, one.value_norm.clone()))
    };
    let all = of_customer(tx, customer)?;
    let preferred: Vec<&Identity> = all.iter().filter(is_meant).collect();
    for one in &preferred {
        let of_type = of(tx.workspace)
            .filter(identities::customer_id.eq(customer))
            .filter(identities::type_.eq(one.r#type));
        diesel::update(of_type)
            .set(identities::is_primary.eq(identities::id.eq(one.id)))
            .execute(tx.pg)?;
    }
    if preferred.is_empty() {
        return Ok(());
    }
    let changes = json!({ "changes": super::update::mirror(tx, &before)? });
    record(tx, super::customer_change("customer.updated", customer, changes))
}

/// Gives up a customer's primary mark of a type, unless it is the one that shall be primary.
pub fn give_up_primary(
    tx: &mut Tx,
    customer: Uuid,
    kind: IdentityType,
    next: Option<&Mark>,
) -> Result<()> {
    diesel::delete(identities::table)
        .filter(identities::workspace_id.eq(tx.workspace))
        .filter(identities::customer_id.eq(customer))
        .filter(identities::type_.eq(kind))
        .filter(identities::is_primary.eq(true))
        .filter(identities::value_norm.ne(next.map_or("", |mark| &mark.norm)))
        .execute(tx.pg)?;
    Ok(())
}

/// Gives up a customer's marks of a type, except these.
pub fn keep_only(tx: &mut Tx, customer: Uuid, kind: IdentityType, kept: &[Mark]) -> Result<()> {
    let norms: Vec<&str> = kept.iter().map(|mark| mark.norm.as_str()).collect();
    diesel::delete(identities::table)
        .filter(identities::workspace_id.eq(tx.workspace))
        .filter(identities::customer_id.eq(customer))
        .filter(identities::type_.eq(kind))
        .filter(identities::value_norm.ne_all(norms))
        .execute(tx.pg)?;
    Ok(())
}

/// Frees a deleted customer's marks for others.
pub fn release(tx: &mut Tx, customer: Uuid) -> Result<()> {
    diesel::update(of(tx.workspace).filter(identities::customer_id.eq(customer)))
        .set(identities::released_at.eq(tx.now))
        .execute(tx.pg)?;
    Ok(())
}

/// Takes a restored customer's marks back; 409 where somebody else has one by now.
pub fn reclaim(tx: &mut Tx, customer: Uuid) -> Result<()> {
    let released = identities::table
        .filter(identities::workspace_id.eq(tx.workspace))
        .filter(identities::customer_id.eq(customer))
        .filter(identities::released_at.is_not_null());
    let rows: Vec<Identity> = released.select(Identity::as_select()).load(tx.pg)?;
    let keys: Vec<MarkKey> = rows.iter().map(|row| (row.r#type, row.value_norm.clone())).collect();
    if let Some(((kind, _), holder)) = holders(tx, &keys)?.into_iter().next() {
        let detail = format!("another customer has this customer's `{kind}` by now");
        return Err(Error::conflict("identities_value_taken", detail, Some(holder.customer_id)));
    }
    diesel::update(released)
        .set(identities::released_at.eq(None::<DateTime<Utc>>))
        .execute(tx.pg)
        .on_constraint("identities_value_taken", || Error::Retry("identity race".into()))?;
    Ok(())
}

/// List a customer's identities
#[utoipa::path(tag = "customers", security(("bearer" = ["customers:read"])), responses((status = 200, body = List<Identity>)))]
#[get("/customers/{id}/identities")]
pub async fn list_customer_identities(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::CustomersRead)?;
    grant
        .read(move |conn| {
            let customer = Customer::current_id(conn, *id)?;
            Ok(List::whole(of_customer(conn, customer)?))
        })
        .await
}

/// The identities of a customer, oldest first.
pub fn of_customer(conn: &mut Conn, customer: Uuid) -> Result<Vec<Identity>> {
    Ok(of(conn.workspace)
        .filter(identities::customer_id.eq(customer))
        .order(identities::id)
        .select(Identity::as_select())
        .load(conn.pg)?)
}

/// Attach an identity to a customer
///
/// Attaching what the customer has already changes nothing and answers the identity.
#[utoipa::path(tag = "customers", security(("bearer" = ["customers:write"])), responses((status = 200, body = Identity)))]
#[post("/customers/{id}/identities")]
pub async fn add_customer_identity(
    caller: Caller,
    id: Path<Uuid>,
    new: Json<NewIdentity>,
) -> Result<Reply> {
    let mark = new.mark().map_err(|fault| Error::invalid(vec![fault]))?;
    let grant = caller.must(Scope::CustomersWrite)?;
    grant
        .write(move |tx| {
            let before = Customer::lock(tx, *id)?;
            let mut mark = mark.clone();
            mark.is_primary = match mark.kind {
                IdentityType::Email => before.email.is_none(),
                IdentityType::Phone => before.phone.is_none(),
                _ => false,
            };
            let known = held_by(tx, *id, &mark)?.is_some();
            claim(tx, *id, std::slice::from_ref(&mark))?;
            let identity = held_by(tx, *id, &mark)?.ok_or_else(Error::not_found)?;
            if !known {
                let changes = super::update::mirror(tx, &before)?;
                note(tx, "identity.added", &identity, &changes)?;
            }
            Plain(identity).into_reply()
        })
        .await
}

fn held_by(conn: &mut Conn, customer: Uuid, mark: &Mark) -> Result<Option<Identity>> {
    Ok(of(conn.workspace)
        .filter(identities::customer_id.eq(customer))
        .filter(identities::type_.eq(mark.kind))
        .filter(identities::value_norm.eq(&mark.norm))
        .select(Identity::as_select())
        .first(conn.pg)
        .optional()?)
}

/// Detach an identity from a customer
#[utoipa::path(tag = "customers", security(("bearer" = ["customers:write"])), params(("id" = Uuid, Path, description = "Id of the customer."), ("identity_id" = Uuid, Path, description = "Id of the identity.")), responses((status = 204)))]
#[delete("/customers/{id}/identities/{identity_id}")]
pub async fn remove_customer_identity(caller: Caller, ids: Path<(Uuid, Uuid)>) -> Result<Reply> {
    let grant = caller.must(Scope::CustomersWrite)?;
    grant
        .write(move |tx| {
            let (customer, identity) = *ids;
            let before = Customer::lock(tx, customer)?;
            let target = of(tx.workspace)
                .filter(identities::customer_id.eq(customer))
                .filter(identities::id.eq(identity));
            let gone: Identity = target.select(Identity::as_select()).first(tx.pg)?;
            diesel::delete(
                identities::table
                    .filter(identities::workspace_id.eq(tx.workspace))
                    .filter(identities::id.eq(identity)),
            )
            .execute(tx.pg)?;
            let changes = super::update::mirror(tx, &before)?;
            note(tx, "identity.removed", &gone, &changes)?;
            Ok(NoContent)
        })
        .await
}

/// Attaches marks to customers who had others, and tells the log. A customer without an email or
/// phone number has one from then on. Marks whose owner was erased are left out.
pub fn adopt(tx: &mut Tx, marks: &[(Uuid, &Mark)]) -> Result<()> {
    if marks.is_empty() {
        return Ok(());
    }
    let keys: Vec<MarkKey> = marks.iter().map(|(_, mark)| mark.key()).collect();
    let found = erased::look_up(tx, &keys)?;
    let marks: Vec<(Uuid, &Mark)> =
        marks.iter().copied().filter(|(_, mark)| !found.is_erased(mark)).collect();
    attach(tx, &marks)?;
    let mut customers: Vec<Uuid> = marks.iter().map(|(customer, _)| *customer).collect();
    customers.sort_unstable();
    customers.dedup();
    for customer in customers {
        let before = Customer::lock_fields(tx, customer)?;
        let mut all = of_customer(tx, customer)?;
        for kind in [IdentityType::Email, IdentityType::Phone] {
            let own = |identity: &Identity| identity.r#type == kind;
            if all.iter().any(|identity| own(identity) && identity.is_primary) {
                continue;
            }
            if let Some(first) = all.iter_mut().find(|identity| own(identity)) {
                let target = of(tx.workspace).filter(identities::id.eq(first.id));
                diesel::update(target).set(identities::is_primary.eq(true)).execute(tx.pg)?;
                first.is_primary = true;
            }
        }
        let mut changes = super::update::mirror_all(tx, &before, all.clone())?;
        let is_new = |identity: &&Identity| {
            marks
                .iter()
                .any(|(_, mark)| mark.key() == (identity.r#type, identity.value_norm.clone()))
        };
        for identity in all.iter().filter(is_new) {
            // The first one tells what they changed together.
            note(tx, "identity.added", identity, &std::mem::take(&mut changes))?;
        }
    }
    Ok(())
}

fn note(
    tx: &mut Tx,
    kind: &'static str,
    identity: &Identity,
    changes: &Map<String, Value>,
) -> Result<()> {
    let mut properties = json!({ "type": identity.r#type, "source": identity.source });
    if !changes.is_empty() {
        properties["changes"] = json!(changes);
    }
    record(
        tx,
        Change {
            kind,
            customer_id: Some(identity.customer_id),
            organization_id: None,
            channel_id: None,
            subject: ("identity", identity.id),
            properties,
        },
    )
}
