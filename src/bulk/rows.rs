//! Taking in rows: the same checks, the same look-ups and the same log as one by one over the API.

use diesel::prelude::*;
use serde_json::{Map, Value};
use uuid::Uuid;
use validator::Validate;

use super::imports::{ImportSettings, OnDuplicate};
use super::row::BulkResource;
use crate::customers::references::OnUnknownCustomer;
use crate::customers::{self, Customer, CustomerPatch, NewCustomer};
use crate::db::Tx;
use crate::db::json::Jsonb;
use crate::error::{Error, Result};
use crate::external_ids::ExternalId;
use crate::http::IfMatch;
use crate::http::json::{field_errors, from_value};
use crate::journal::differences;
use crate::organizations::{self, NewOrganization, Organization, OrganizationPatch};
use crate::schema::import_changes;
use crate::touchpoints::{self, NewTouchpoint};

/// What became of a row.
pub enum Fate {
    Created(Uuid),
    Updated { id: Uuid, version: i64, former: Map<String, Value> },
    Skipped,
    Refused(Error),
}

/// Whether a value is a record of the resource, as far as that can be told without the database.
pub fn check(resource: BulkResource, value: &Value) -> Result<()> {
    match resource {
        BulkResource::Customers => parse::<NewCustomer>(value).map(drop),
        BulkResource::Organizations => parse::<NewOrganization>(value).map(drop),
        BulkResource::Touchpoints => parse::<NewTouchpoint>(value).map(drop),
    }
}

fn parse<T: serde::de::DeserializeOwned + Validate>(value: &Value) -> Result<T> {
    let parsed: T = from_value(value.clone())?;
    parsed.validate().map_err(|errors| Error::invalid(field_errors(&errors)))?;
    Ok(parsed)
}

/// Takes in values; the fates are in their order.
pub fn take_in(
    tx: &mut Tx,
    resource: BulkResource,
    values: &[Value],
    settings: &ImportSettings,
) -> Result<Vec<Fate>> {
    match resource {
        BulkResource::Customers => customers(tx, values, settings),
        BulkResource::Organizations => organizations(tx, values, settings),
        BulkResource::Touchpoints => touchpoints(tx, values, settings),
    }
}

/// The values that are records, with their places, and the fates of the others.
fn sorted<T: serde::de::DeserializeOwned + Validate>(
    values: &[Value],
) -> (Vec<usize>, Vec<T>, Vec<Option<Fate>>) {
    let (mut places, mut records, mut fates) = (Vec::new(), Vec::new(), Vec::new());
    for (place, value) in values.iter().enumerate() {
        fates.push(match parse(value) {
            Ok(record) => {
                places.push(place);
                records.push(record);
                None
            }
            Err(error) => Some(Fate::Refused(error)),
        });
    }
    (places, records, fates)
}

fn all(fates: Vec<Option<Fate>>) -> Vec<Fate> {
    fates.into_iter().map(|fate| fate.expect("BUG: every row has a fate")).collect()
}

/// What a refused row means: that the record is there already, or that the row is wrong.
fn refused(error: Error, policy: OnDuplicate) -> std::result::Result<Fate, Uuid> {
    let existing = error.rejection().existing_id.filter(|_| error.status() == 409);
    match (existing, policy) {
        (Some(_), OnDuplicate::Skip) => Ok(Fate::Skipped),
        (Some(id), OnDuplicate::Update) => Err(id),
        _ => Ok(Fate::Refused(error)),
    }
}

/// Changes what is there, in a savepoint: a refusal undoes that row alone.
fn updated(tx: &mut Tx, change: impl FnOnce(&mut Tx<'_>) -> Result<Fate>) -> Result<Fate> {
    match tx.savepoint(change) {
        Err(error) if error.is_rejection() => Ok(Fate::Refused(error)),
        done => done,
    }
}

fn customers(tx: &mut Tx, values: &[Value], settings: &ImportSettings) -> Result<Vec<Fate>> {
    let (places, mut records, mut fates) = sorted::<NewCustomer>(values);
    for record in &mut records {
        record.source = record.source.take().or_else(|| settings.source.clone());
    }
    let made = customers::create_many(tx, &records)?;
    for (place, made) in places.into_iter().zip(made) {
        fates[place] = Some(match made {
            Ok(made) => Fate::Created(made.id),
            Err(error) => match refused(error, settings.on_duplicate) {
                Ok(fate) => fate,
                Err(id) => updated(tx, |tx| change_customer(tx, id, &values[place]))?,
            },
        });
    }
    Ok(all(fates))
}

fn change_customer(tx: &mut Tx, id: Uuid, value: &Value) -> Result<Fate> {
    let mut fields = value.clone();
    if let Some(fields) = fields.as_object_mut() {
        // Further identities are added one by one; a patch has none.
        fields.remove("identities");
        fields.retain(|_, value| !value.is_null());
    }
    let mut patch: CustomerPatch = from_value(fields)?;
    let before = Customer::lock(tx, id)?;
    let known: Vec<ExternalId> = before.external_ids.parse()?;
    patch.external_ids = patch.external_ids.map(|Jsonb(given)| Jsonb(joined(known, given)));
    patch.tags = patch.tags.map(|given| added(&before.tags, given));
    let after = patch.apply(tx, id, IfMatch(None))?;
    let former = former(&before, &after.fields)?;
    Ok(Fate::Updated { id, version: after.fields.version, former })
}

fn organizations(tx: &mut Tx, values: &[Value], settings: &ImportSettings) -> Result<Vec<Fate>> {
    let (places, records, mut fates) = sorted::<NewOrganization>(values);
    let made = organizations::create_each(tx, &records)?;
    for (place, made) in places.into_iter().zip(made) {
        fates[place] = Some(match made {
            Ok(id) => Fate::Created(id),
            Err(error) => match refused(error, settings.on_duplicate) {
                Ok(fate) => fate,
                Err(id) => updated(tx, |tx| change_organization(tx, id, &values[place]))?,
            },
        });
    }
    Ok(all(fates))
}

fn change_organization(tx: &mut Tx, id: Uuid, value: &Value) -> Result<Fate> {
    let mut patch: OrganizationPatch = from_value(value.clone())?;
    let before = Organization::lock(tx, id)?;
    let known: Vec<ExternalId> = before.external_ids.parse()?;
    patch.external_ids = patch.external_ids.map(|Jsonb(given)| Jsonb(joined(known, given)));
    patch.tags = patch.tags.map(|given| added(&before.tags, given));
    let after = patch.apply(tx, id, IfMatch(None))?;
    let former = former(&before, &after)?;
    Ok(Fate::Updated { id, version: after.version, former })
}

fn touchpoints(tx: &mut Tx, values: &[Value], settings: &ImportSettings) -> Result<Vec<Fate>> {
    let (places, mut records, mut fates) = sorted::<NewTouchpoint>(values);
    for record in &mut records {
        let given = record.source.take().or_else(|| settings.source.clone());
        record.source = given.or_else(|| Some("import".into()));
    }
    let unknown = match settings.create_customers {
        true => OnUnknownCustomer::Create,
        false => OnUnknownCustomer::Reject,
    };
    let stored = touchpoints::ingest(tx, &records, unknown)?;
    for (place, stored) in places.into_iter().zip(stored) {
        fates[place] = Some(match stored {
            Ok((201, id)) => Fate::Created(id),
            Ok(_) if settings.on_duplicate == OnDuplicate::Fail => {
                let detail = "a touchpoint with this `source` and `message_id` is there already";
                Fate::Refused(Error::field("#/message_id", "already_exists", detail))
            }
            Ok(_) => Fate::Skipped,
            Err(error) => Fate::Refused(error),
        });
    }
    Ok(all(fates))
}

/// Outside ids that a record has, and those given, which win.
fn joined(known: Vec<ExternalId>, given: Vec<ExternalId>) -> Vec<ExternalId> {
    given.into_iter().fold(known, |all, one| one.joined_to(all))
}

fn added(known: &[String], given: Vec<String>) -> Vec<String> {
    let mut all = known.to_vec();
    all.extend(given.into_iter().filter(|tag| !known.contains(tag)));
    all
}

/// The former values of the fields that differ.
fn former<T: serde::Serialize>(before: &T, after: &T) -> Result<Map<String, Value>> {
    let json =
        |it: &T| serde_json::to_value(it).map_err(|error| Error::internal(error.to_string()));
    let changes = differences(&json(before)?, &json(after)?).into_iter();
    Ok(changes.map(|(field, mut change)| (field, change["from"].take())).collect())
}

/// Notes what rows made and changed, so that it can be undone. Touchpoints cannot be.
pub fn note(
    tx: &mut Tx,
    import: Uuid,
    resource: BulkResource,
    fates: &[(i64, Fate)],
) -> Result<()> {
    use import_changes as c;
    if resource == BulkResource::Touchpoints {
        return Ok(());
    }
    let mut rows = Vec::new();
    for (number, fate) in fates {
        let (resource_id, version, former) = match fate {
            Fate::Created(id) => (*id, 1, None),
            Fate::Updated { id, version, former } if !former.is_empty() => {
                (*id, *version, Some(Value::Object(former.clone())))
            }
            _ => continue,
        };
        rows.push((
            c::workspace_id.eq(tx.workspace),
            c::import_id.eq(import),
            c::row_number.eq(*number),
            c::id.eq(tx.new_id()),
            c::resource_id.eq(resource_id),
            c::resource_version.eq(version),
            c::former.eq(former),
            c::created_at.eq(tx.now),
        ));
    }
    for chunk in rows.chunks(1000) {
        diesel::insert_into(c::table).values(chunk.to_vec()).execute(tx.pg)?;
    }
    Ok(())
}
