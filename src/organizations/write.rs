//! Making and changing organizations: one transaction for the record, its outside ids, its unique
//! attributes and its place in the log.

use diesel::prelude::*;
use diesel::sql_types::Uuid as SqlUuid;
use serde_json::{Value, json};
use uuid::Uuid;

use super::types::{NewOrganization, Organization, OrganizationPatch};
use super::{of, with_deleted};
use crate::attributes::{self, AttributeResource, Attributes, Definitions};
use crate::db::Tx;
use crate::db::json::Jsonb;
use crate::error::{Code, Error, OnConstraint, Result};
use crate::external_ids::{self, ExternalId, Owner};
use crate::http::batch::one_by_one;
use crate::http::{Batch, IfMatch, IfNoneMatch, Items, Upserted};
use crate::journal::{Change, differences, record};
use crate::schema::organizations;
use crate::values::text::search_key;

/// Makes one organization or says why not.
pub fn create(tx: &mut Tx, new: &NewOrganization) -> Result<Organization> {
    let definitions = Definitions::load(tx, AttributeResource::Organization)?;
    new.insert(tx, &definitions)
}

/// Makes organizations, each in its own savepoint; the first refusal ends an atomic batch.
pub fn create_many(tx: &mut Tx, items: &Items<NewOrganization>, is_atomic: bool) -> Result<Batch> {
    let definitions = Definitions::load(tx, AttributeResource::Organization)?;
    one_by_one(tx, items, is_atomic, |tx, new| Ok((201, new.insert(tx, &definitions)?.id)))
}

/// Makes valid organizations, each in its own savepoint or not at all; the results are in the order of
/// `new`.
pub fn create_each(tx: &mut Tx, new: &[NewOrganization]) -> Result<Vec<Result<Uuid>>> {
    let definitions = Definitions::load(tx, AttributeResource::Organization)?;
    let mut results = Vec::with_capacity(new.len());
    for new in new {
        match tx.savepoint(|tx| Ok(new.insert(tx, &definitions)?.id)) {
            Err(error) if !error.is_rejection() => return Err(error),
            result => results.push(result),
        }
    }
    Ok(results)
}

/// Makes the organization that an outside system calls `reference`, or changes it.
pub fn upsert(
    tx: &mut Tx,
    patch: &OrganizationPatch,
    reference: &ExternalId,
    (if_match, if_none_match): (IfMatch, IfNoneMatch),
) -> Result<Upserted<Organization>> {
    let mut patch = patch.clone();
    match external_ids::find(tx, Owner::Organization, &reference.source, &reference.id)? {
        Some(_) if if_none_match.create_only => Err(Error::new(
            Code::PRECONDITION_FAILED,
            "an organization with this outside id exists already",
        )),
        Some(id) => {
            patch.external_ids =
                patch.external_ids.map(|Jsonb(ids)| Jsonb(reference.joined_to(ids)));
            Ok(Upserted { resource: patch.apply(tx, id, if_match)?, is_new: false })
        }
        None => {
            if_match.check(0)?;
            let mut new = patch.into_new()?;
            new.external_ids = Jsonb(reference.joined_to(new.external_ids.0));
            let made = create(tx, &new).or_else(|error| {
                Err(external_ids::unless_raced(tx, Owner::Organization, error, reference)?)
            })?;
            Ok(Upserted { resource: made, is_new: true })
        }
    }
}

impl NewOrganization {
    fn insert(&self, tx: &mut Tx, definitions: &Definitions) -> Result<Organization> {
        use organizations as o;
        external_ids::check_sources(&self.external_ids)?;
        definitions.check(&self.attributes)?;
        check_parent(tx, self.parent_id)?;
        check_owner(tx, self.owner_id)?;
        let (id, now) = (tx.new_id(), tx.now);
        let text = search_text(
            &self.name,
            &self.domains,
            &self.external_ids,
            &definitions.search_text(&self.attributes),
        );
        let made = diesel::insert_into(o::table)
            .values((
                self,
                o::workspace_id.eq(tx.workspace),
                o::id.eq(id),
                o::search_key.eq(text),
                o::version.eq(1_i64),
                o::created_at.eq(now),
                o::updated_at.eq(now),
            ))
            .returning(Organization::as_returning())
            .get_result(tx.pg)
            .on_constraint("organizations_parent_exists", unknown_parent)?;
        external_ids::claim(tx, Owner::Organization, id, &self.external_ids)?;
        definitions.claim(tx, id, &self.attributes)?;
        note(tx, "organization.created", id, json!({}))?;
        Ok(made)
    }
}

impl OrganizationPatch {
    /// Applies the patch to an organization that is not deleted.
    pub fn apply(&self, tx: &mut Tx, id: Uuid, if_match: IfMatch) -> Result<Organization> {
        if let Some(parent) = self.parent_id.flatten() {
            check_move(tx, id, parent)?;
        }
        let before = Organization::lock(tx, id)?;
        if_match.check(before.version)?;
        let definitions = Definitions::load(tx, AttributeResource::Organization)?;
        let attributes = self.merged_attributes(&before, &definitions)?;
        check_owner(tx, self.owner_id.flatten())?;
        if let Some(Jsonb(references)) = &self.external_ids {
            external_ids::check_sources(references)?;
            external_ids::replace(tx, Owner::Organization, id, references)?;
        }
        if self.attributes.is_some() {
            definitions.claim(tx, id, &attributes)?;
        }
        let after = self.store(tx, &before, attributes, &definitions)?;
        let changes = differences(&to_json(&before)?, &to_json(&after)?);
        if !changes.is_empty() {
            note(tx, "organization.updated", id, json!({ "changes": changes }))?;
        }
        Ok(after)
    }

    fn merged_attributes(&self, before: &Organization, known: &Definitions) -> Result<Attributes> {
        let mut attributes: Attributes = before.attributes.parse()?;
        if let Some(Jsonb(patch)) = &self.attributes {
            attributes::merge(&mut attributes.0, &patch.0);
            known.check(&attributes)?;
            attributes::check_size(&attributes)?;
        }
        Ok(attributes)
    }

    fn store(
        &self,
        tx: &mut Tx,
        before: &Organization,
        attributes: Attributes,
        definitions: &Definitions,
    ) -> Result<Organization> {
        use organizations as o;
        let text = search_text(
            self.name.as_ref().unwrap_or(&before.name),
            self.domains.as_ref().unwrap_or(&before.domains),
            &match &self.external_ids {
                Some(Jsonb(references)) => references.clone(),
                None => before.external_ids.parse()?,
            },
            &definitions.search_text(&attributes),
        );
        diesel::update(of(tx.workspace).filter(o::id.eq(before.id)))
            .set((
                self,
                o::attributes.eq(Jsonb(attributes)),
                o::search_key.eq(text),
                o::version.eq(o::version + 1),
                o::updated_at.eq(tx.now),
            ))
            .returning(Organization::as_returning())
            .get_result(tx.pg)
            .on_constraint("organizations_parent_exists", unknown_parent)
    }
}

/// Hides an organization and frees its outside ids and unique attributes.
pub fn delete(tx: &mut Tx, id: Uuid, if_match: IfMatch) -> Result<()> {
    let before = Organization::lock(tx, id)?;
    if_match.check(before.version)?;
    external_ids::release(tx, Owner::Organization, id)?;
    attributes::release(tx, id)?;
    mark_deleted(tx, id, true)?;
    note(tx, "organization.deleted", id, json!({}))
}

/// Brings a deleted organization back with all it held; 409 where somebody else holds it by now.
pub fn restore(tx: &mut Tx, id: Uuid) -> Result<Organization> {
    let stored: Organization = with_deleted(tx.workspace)
        .filter(organizations::id.eq(id))
        .select(Organization::as_select())
        .for_no_key_update()
        .first(tx.pg)?;
    if stored.deleted_at.is_none() {
        return Ok(stored);
    }
    let references: Vec<ExternalId> = stored.external_ids.parse()?;
    external_ids::claim(tx, Owner::Organization, id, &references)?;
    let definitions = Definitions::load(tx, AttributeResource::Organization)?;
    definitions.claim(tx, id, &stored.attributes.parse()?)?;
    let restored = mark_deleted(tx, id, false)?;
    note(tx, "organization.restored", id, json!({}))?;
    Ok(restored)
}

fn mark_deleted(tx: &mut Tx, id: Uuid, is_deleted: bool) -> Result<Organization> {
    use organizations as o;
    Ok(diesel::update(with_deleted(tx.workspace).filter(o::id.eq(id)))
        .set((
            o::deleted_at.eq(is_deleted.then_some(tx.now)),
            o::version.eq(o::version + 1),
            o::updated_at.eq(tx.now),
        ))
        .returning(Organization::as_returning())
        .get_result(tx.pg)?)
}

fn check_parent(tx: &mut Tx, parent: Option<Uuid>) -> Result<()> {
    match parent {
        Some(parent) if !Organization::exists(tx, parent)? => Err(unknown_parent()),
        _ => Ok(()),
    }
}

/// 422 where `parent` is not there, or where `id` would become a part of itself. The whole line
/// above is locked, in the order of ids, so that two moves at once neither close a circle together
/// nor wait for each other crosswise.
fn check_move(tx: &mut Tx, id: Uuid, parent: Uuid) -> Result<()> {
    Organization::must_exist(tx, id)?;
    check_parent(tx, Some(parent))?;
    let mut locked = line(tx, parent)?;
    locked.push(id);
    with_deleted(tx.workspace)
        .filter(organizations::id.eq_any(&locked))
        .order(organizations::id)
        .select(organizations::id)
        .for_no_key_update()
        .load::<Uuid>(tx.pg)?;
    let above = line(tx, parent)?;
    if above.contains(&id) {
        let detail = "an organization cannot be a part of itself";
        return Err(Error::field("#/parent_id", "parent_cycle", detail));
    }
    if above.iter().any(|other| !locked.contains(other)) {
        return Err(Error::Retry("organizations moved meanwhile".into()));
    }
    Ok(())
}

/// An organization and all those it is a part of.
fn line(tx: &mut Tx, id: Uuid) -> Result<Vec<Uuid>> {
    let statement = "
        with recursive line (id, parent_id) as (
            select id, parent_id from organizations where workspace_id = $1 and id = $2
            union
            select o.id, o.parent_id from organizations o join line on o.id = line.parent_id
             where o.workspace_id = $1
        )
        select id from line";
    let rows: Vec<Above> = diesel::sql_query(statement)
        .bind::<SqlUuid, _>(tx.workspace)
        .bind::<SqlUuid, _>(id)
        .load(tx.pg)?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

#[derive(QueryableByName)]
struct Above {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

fn unknown_parent() -> Error {
    Error::field(
        "#/parent_id",
        "not_found",
        "`parent_id` must be an organization of this workspace",
    )
}

fn check_owner(tx: &mut Tx, owner: Option<Uuid>) -> Result<()> {
    match owner {
        Some(owner) if !crate::users::exists(tx, owner)? => {
            let detail = "`owner_id` must be a user of this workspace";
            Err(Error::field("#/owner_id", "not_found", detail))
        }
        _ => Ok(()),
    }
}

fn search_text(
    name: &str,
    domains: &[String],
    references: &[ExternalId],
    attributes: &str,
) -> String {
    let mut parts = vec![name];
    parts.extend(domains.iter().map(String::as_str));
    parts.extend(references.iter().map(|reference| reference.id.as_str()));
    parts.push(attributes);
    search_key(parts.join(" ").trim_end())
}

fn to_json(organization: &Organization) -> Result<Value> {
    serde_json::to_value(organization).map_err(|error| Error::internal(error.to_string()))
}

fn note(tx: &mut Tx, kind: &'static str, id: Uuid, properties: Value) -> Result<()> {
    record(
        tx,
        Change {
            kind,
            customer_id: None,
            organization_id: Some(id),
            channel_id: None,
            subject: ("organization", id),
            properties,
        },
    )
}
