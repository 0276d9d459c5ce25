//! What `group` calls say of organizations, and who belongs to them.

use std::collections::HashMap;

use uuid::Uuid;

use super::message::Message;
use super::write::{SOURCE, attempt};
use crate::attributes::{self, Attributes};
use crate::db::Tx;
use crate::error::{FieldError, Result};
use crate::external_ids::{self, ExternalId, Owner};
use crate::http::IfMatch;
use crate::http::conditional::UNCONDITIONAL;
use crate::organizations::{self, Organization, OrganizationPatch};

fn reference(id: &str) -> ExternalId {
    ExternalId { source: SOURCE.into(), id: id.into() }
}

/// The organizations that these calls mean, by the ids they give them.
pub fn known<'a>(
    tx: &mut Tx,
    calls: impl Iterator<Item = &'a Message>,
) -> Result<HashMap<String, Uuid>> {
    let named: Vec<ExternalId> =
        calls.filter_map(|call| call.other_id.as_deref()).map(reference).collect();
    let found =
        external_ids::find_many(tx, Owner::Organization, &named.iter().collect::<Vec<_>>())?;
    Ok(found.into_iter().map(|(_, id, organization)| (id, organization)).collect())
}

/// Makes the organization that nobody knew; `None` where it cannot be made.
pub fn make(
    tx: &mut Tx,
    id: &str,
    patch: &OrganizationPatch,
    ignored: &mut Vec<FieldError>,
) -> Result<Option<Uuid>> {
    let name = patch.name.clone().unwrap_or_else(|| id.chars().take(200).collect());
    let patch = OrganizationPatch { name: Some(name), ..patch.clone() };
    let mut made = None;
    attempt(tx, ignored, "#/traits", |tx| {
        let upserted = organizations::upsert(tx, &patch, &reference(id), UNCONDITIONAL)?;
        made = Some(upserted.resource.id);
        Ok(())
    })?;
    Ok(made)
}

/// Tells an organization what a call says of it, and that a customer belongs to it.
pub fn tell(
    tx: &mut Tx,
    id: Uuid,
    patch: &OrganizationPatch,
    customer: Option<Uuid>,
    ignored: &mut Vec<FieldError>,
) -> Result<()> {
    if changes(&Organization::find(tx, id)?, patch)? {
        attempt(tx, ignored, "#/traits", |tx| patch.apply(tx, id, IfMatch(None)).map(drop))?;
    }
    if let Some(customer) = customer {
        attempt(tx, ignored, "#/groupId", |tx| organizations::join(tx, id, customer))?;
    }
    Ok(())
}

/// Whether a call says anything new: most of them repeat what is known.
fn changes(before: &Organization, patch: &OrganizationPatch) -> Result<bool> {
    fn differs<T: PartialEq>(new: Option<&T>, old: &T) -> bool {
        new.is_some_and(|new| new != old)
    }
    let old: Attributes = before.attributes.parse()?;
    let mut attributes = old.clone();
    if let Some(new) = &patch.attributes {
        attributes::merge(&mut attributes.0, &new.0.0);
    }
    Ok(differs(patch.name.as_ref(), &before.name)
        || differs(patch.industry.as_ref(), &before.industry)
        || differs(patch.employees_count.as_ref(), &before.employees_count)
        || differs(patch.domains.as_ref(), &before.domains)
        || attributes != old)
}
