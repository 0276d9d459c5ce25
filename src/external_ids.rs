//! What our records are called in other systems: one id per system, each pointing to one record.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use validator::Validate;

use crate::db::json::Jsonb;
use crate::db::pairs::any_pair;
use crate::db::{Conn, Tx};
use crate::error::{Error, Result};
use crate::schema::external_ids;

/// The id of a record in an outside system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExternalId {
    /// The outside system, as the company calls it.
    #[validate(length(min = 1, max = 100))]
    #[schema(example = "shopify", min_length = 1, max_length = 100)]
    pub source: String,
    /// The record's id there.
    #[validate(length(min = 1, max = 255))]
    #[schema(example = "7310211", min_length = 1, max_length = 255)]
    pub id: String,
}

impl ExternalId {
    /// The reference in a path such as `/customers/external/{source}/{external_id}`.
    pub fn from_path((source, id): (String, String)) -> Result<Self> {
        for (name, text, most) in [("source", &source, 100), ("external_id", &id, 255)] {
            if !(1..=most).contains(&text.chars().count()) {
                let detail = format!("`{name}` takes 1 to {most} characters");
                return Err(Error::parameter(name, detail));
            }
        }
        Ok(Self { source, id })
    }

    /// The reference in the path of an upsert whose body says what else the record is called: 422
    /// where that is another id in the same system.
    pub fn from_upsert(path: (String, String), body: Option<&Jsonb<Vec<Self>>>) -> Result<Self> {
        let reference = Self::from_path(path)?;
        let others = body.into_iter().flat_map(|Jsonb(ids)| ids).enumerate();
        let contradicts = |one: &Self| one.source == reference.source && one.id != reference.id;
        if let Some((position, _)) = others.into_iter().find(|(_, one)| contradicts(one)) {
            let pointer = format!("#/external_ids/{position}/id");
            let detail = "the path has another id in this system";
            return Err(Error::field(pointer, "contradicts_path", detail));
        }
        Ok(reference)
    }

    /// The references given and this one, which wins over another of its system.
    pub fn joined_to(&self, mut given: Vec<Self>) -> Vec<Self> {
        given.retain(|other| other.source != self.source);
        given.push(self.clone());
        given
    }
}

/// The resources whose references live in `external_ids`; those of customers are identities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    Organization,
    Channel,
    Product,
    Order,
    Cart,
    /// The order that a payment provider's payment is for.
    Payment,
}

impl Owner {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Channel => "channel",
            Self::Product => "product",
            Self::Order => "order",
            Self::Cart => "cart",
            Self::Payment => "payment",
        }
    }
}

/// The record that `source` calls `id`.
pub fn find(conn: &mut Conn, owner: Owner, source: &str, id: &str) -> Result<Option<Uuid>> {
    Ok(external_ids::table
        .filter(external_ids::workspace_id.eq(conn.workspace))
        .filter(external_ids::resource.eq(owner.as_str()))
        .filter(external_ids::source.eq(source))
        .filter(external_ids::external_id.eq(id))
        .select(external_ids::resource_id)
        .first(conn.pg)
        .optional()?)
}

/// The record that an outside system calls so, or 404.
pub fn resolve(conn: &mut Conn, owner: Owner, reference: &ExternalId) -> Result<Uuid> {
    find(conn, owner, &reference.source, &reference.id)?.ok_or_else(Error::not_found)
}

/// The records behind several references, as (source, id, record).
pub fn find_many(
    conn: &mut Conn,
    owner: Owner,
    references: &[&ExternalId],
) -> Result<Vec<(String, String, Uuid)>> {
    if references.is_empty() {
        return Ok(Vec::new());
    }
    let pairs = references.iter().map(|one| (one.source.as_str(), one.id.as_str()));
    Ok(external_ids::table
        .filter(external_ids::workspace_id.eq(conn.workspace))
        .filter(external_ids::resource.eq(owner.as_str()))
        .filter(any_pair("external_ids.source, external_ids.external_id", pairs))
        .select((external_ids::source, external_ids::external_id, external_ids::resource_id))
        .load(conn.pg)?)
}

/// Replaces the references of a record; 409 names the record that holds one already.
pub fn replace(tx: &mut Tx, owner: Owner, record: Uuid, references: &[ExternalId]) -> Result<()> {
    release(tx, owner, record)?;
    claim(tx, owner, record, references)
}

/// Stores the references of a record that has none, being new or restored; 409 names the record that
/// holds one already.
pub fn claim(tx: &mut Tx, owner: Owner, record: Uuid, references: &[ExternalId]) -> Result<()> {
    let rows: Vec<_> = references
        .iter()
        .map(|reference| {
            (
                external_ids::workspace_id.eq(tx.workspace),
                external_ids::resource.eq(owner.as_str()),
                external_ids::source.eq(&reference.source),
                external_ids::external_id.eq(&reference.id),
                external_ids::resource_id.eq(record),
            )
        })
        .collect();
    let inserted = diesel::insert_into(external_ids::table)
        .values(rows)
        .on_conflict_do_nothing()
        .execute(tx.pg)?;
    if inserted == references.len() { Ok(()) } else { Err(taken(tx, owner, record, references)?) }
}

/// Lets a reference lead to a record, wherever it led before.
pub fn point(tx: &mut Tx, owner: Owner, reference: &ExternalId, record: Uuid) -> Result<()> {
    diesel::insert_into(external_ids::table)
        .values((
            external_ids::workspace_id.eq(tx.workspace),
            external_ids::resource.eq(owner.as_str()),
            external_ids::source.eq(&reference.source),
            external_ids::external_id.eq(&reference.id),
            external_ids::resource_id.eq(record),
        ))
        .on_conflict((
            external_ids::workspace_id,
            external_ids::resource,
            external_ids::source,
            external_ids::external_id,
        ))
        .do_update()
        .set(external_ids::resource_id.eq(record))
        .execute(tx.pg)?;
    Ok(())
}

/// What an upsert by `reference` does about a refusal to create: where somebody made the record a
/// moment before, run again, which then changes it.
pub fn unless_raced(
    tx: &mut Tx,
    owner: Owner,
    error: Error,
    reference: &ExternalId,
) -> Result<Error> {
    let Error::Problem(rejection) = &error else { return Ok(error) };
    if rejection.code != "external_ids_taken" {
        return Ok(error);
    }
    let holder = find(tx, owner, &reference.source, &reference.id)?;
    let is_race = holder.is_some() && holder == rejection.existing_id;
    Ok(if is_race { Error::Retry("upsert race".into()) } else { error })
}

/// Gives the references of a record up.
pub fn release(tx: &mut Tx, owner: Owner, record: Uuid) -> Result<()> {
    diesel::delete(external_ids::table)
        .filter(external_ids::workspace_id.eq(tx.workspace))
        .filter(external_ids::resource.eq(owner.as_str()))
        .filter(external_ids::resource_id.eq(record))
        .execute(tx.pg)?;
    Ok(())
}

/// The refusal of a record one of whose references another record has.
pub fn taken_by(holder: Uuid) -> Error {
    let detail = "another record has one of these `external_ids`";
    let taken = Error::conflict("external_ids_taken", detail, Some(holder));
    taken.at("#/external_ids", "external_ids_taken")
}

fn taken(tx: &mut Tx, owner: Owner, record: Uuid, references: &[ExternalId]) -> Result<Error> {
    let wanted: Vec<&ExternalId> = references.iter().collect();
    let holders = find_many(tx, owner, &wanted)?;
    let others = references.iter().enumerate().find_map(|(position, reference)| {
        let holder = holders.iter().find(|(source, id, holder)| {
            *holder != record && *source == reference.source && *id == reference.id
        })?;
        Some((position, holder.2))
    });
    let (position, holder) = others.map_or((0, None), |(position, id)| (position, Some(id)));
    let detail = format!("`external_ids/{position}` belongs to another record");
    let pointer = format!("#/external_ids/{position}");
    Ok(Error::conflict("external_ids_taken", detail, holder).at(&pointer, "external_ids_taken"))
}

/// 422 where two references name the same system: which one would an upsert mean?
pub fn check_sources(references: &[ExternalId]) -> Result<()> {
    for (position, reference) in references.iter().enumerate() {
        if references[..position].iter().any(|other| other.source == reference.source) {
            let pointer = format!("#/external_ids/{position}/source");
            let detail = "a record has one id per system, this `source` stands here twice";
            return Err(Error::field(pointer, "duplicate_source", detail));
        }
    }
    Ok(())
}
