//! Changing a customer: a merge patch, its identities and its place in the log, in one transaction.

use diesel::prelude::*;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::identities::{self, Identity, IdentityType, Mark};
use super::requests::CustomerPatch;
use super::types::{Customer, CustomerFields};
use super::{customer_change, of};
use crate::attributes::{self, AttributeResource, Attributes, Definitions};
use crate::db::Tx;
use crate::db::json::Jsonb;
use crate::error::{Error, Result};
use crate::external_ids::ExternalId;
use crate::http::IfMatch;
use crate::journal::{differences, record_all};
use crate::schema::customers;
use crate::values::text::search_key;

impl CustomerPatch {
    /// Applies the patch to a customer that is not deleted.
    pub fn apply(&self, tx: &mut Tx, id: Uuid, if_match: IfMatch) -> Result<Customer> {
        let before = Customer::lock(tx, id)?;
        if_match.check(before.version)?;
        let definitions = Definitions::load(tx, AttributeResource::Customer)?;
        let attributes = self.merged_attributes(&before, &definitions)?;
        if self.changes_nothing(&before, &attributes)? {
            return Customer::find(tx, id);
        }
        self.check_owner(tx)?;
        self.change_identities(tx, id)?;
        if self.attributes.is_some() {
            definitions.claim(tx, id, &attributes)?;
        }
        let after = self.store(tx, &before, &attributes, &definitions)?;
        self.note(tx, &before, &after)?;
        Customer::find(tx, id)
    }

    /// Whether it would change anything of a customer.
    pub fn changes(&self, before: &CustomerFields, definitions: &Definitions) -> Result<bool> {
        let attributes = self.merged_attributes(before, definitions)?;
        Ok(!self.changes_nothing(before, &attributes)?)
    }

    fn merged_attributes(
        &self,
        before: &CustomerFields,
        known: &Definitions,
    ) -> Result<Attributes> {
        let mut attributes: Map<String, Value> = before.attributes.parse()?;
        if let Some(Jsonb(Attributes(patch))) = &self.attributes {
            attributes::merge(&mut attributes, patch);
            let merged = Attributes(attributes);
            known.check(&merged)?;
            crate::attributes::check_size(&merged)?;
            return Ok(merged);
        }
        Ok(Attributes(attributes))
    }

    /// Whether every field given has its value already: such a patch leaves no trace.
    fn changes_nothing(&self, before: &CustomerFields, attributes: &Attributes) -> Result<bool> {
        let broken = |error: serde_json::Error| Error::internal(error.to_string());
        let (before, mut given) = (to_json(before)?, serde_json::to_value(self).map_err(broken)?);
        for (field, kind) in [("email", IdentityType::Email), ("phone", IdentityType::Phone)] {
            if let Some(Ok(mark)) =
                given[field].as_str().map(|value| Mark::parse(kind, None, value))
            {
                given[field] = mark.norm.into();
            }
        }
        if given.get("attributes").is_some_and(|attributes| !attributes.is_null()) {
            given["attributes"] = serde_json::to_value(attributes).map_err(broken)?;
        }
        let given = given.as_object().into_iter().flatten();
        Ok(given
            .filter(|(field, _)| before.get(*field).is_some())
            .all(|(f, value)| before[f] == *value))
    }

    fn check_owner(&self, tx: &mut Tx) -> Result<()> {
        match self.owner_id {
            Some(Some(owner)) if !crate::users::exists(tx, owner)? => Err(super::unknown_owner()),
            _ => Ok(()),
        }
    }

    fn change_identities(&self, tx: &mut Tx, id: Uuid) -> Result<()> {
        for (change, kind) in
            [(&self.email, IdentityType::Email), (&self.phone, IdentityType::Phone)]
        {
            if let Some(value) = change {
                replace_primary(tx, id, kind, value.as_deref())?;
            }
        }
        if let Some(Jsonb(references)) = &self.external_ids {
            crate::external_ids::check_sources(references)?;
            replace_external(tx, id, references)?;
        }
        Ok(())
    }

    fn store(
        &self,
        tx: &mut Tx,
        before: &CustomerFields,
        attributes: &Attributes,
        definitions: &Definitions,
    ) -> Result<CustomerFields> {
        use customers as c;
        let email = mirrored(IdentityType::Email, self.email.as_ref(), &before.email)?;
        let phone = mirrored(IdentityType::Phone, self.phone.as_ref(), &before.phone)?;
        let references = match &self.external_ids {
            Some(references) => references.0.clone(),
            None => before.external_ids.parse()?,
        };
        let texts = [
            self.first_name.as_ref().unwrap_or(&before.first_name),
            self.last_name.as_ref().unwrap_or(&before.last_name),
            self.display_name.as_ref().unwrap_or(&before.display_name),
            &email,
            &phone,
        ];
        let searched = search_text(texts, &references, &definitions.search_text(attributes));
        Ok(diesel::update(of(tx.workspace).filter(c::id.eq(before.id)))
            .set((
                self,
                c::email.eq(&email),
                c::phone.eq(&phone),
                c::attributes.eq(Jsonb(attributes.clone())),
                c::search_key.eq(searched),
                c::version.eq(c::version + 1),
                c::updated_at.eq(tx.now),
            ))
            .returning(CustomerFields::as_returning())
            .get_result(tx.pg)?)
    }

    fn note(&self, tx: &mut Tx, before: &CustomerFields, after: &CustomerFields) -> Result<()> {
        let mut changes = differences(&to_json(before)?, &to_json(after)?);
        let moved = changes.remove("lifecycle_stage");
        let updated = (!changes.is_empty())
            .then(|| customer_change("customer.updated", after.id, json!({ "changes": changes })));
        // A move is a change of state and has an entry of its own.
        let moved = moved.map(|moved| {
            let properties = json!({ "changes": { "lifecycle_stage": moved }, "cause": "manual" });
            customer_change("customer.lifecycle_stage_changed", after.id, properties)
        });
        record_all(tx, updated.into_iter().chain(moved))
    }
}

pub(super) fn to_json(fields: &CustomerFields) -> Result<Value> {
    serde_json::to_value(fields).map_err(|error| Error::internal(error.to_string()))
}

/// What `q=` searches of a customer: names, addresses, outside ids and searchable attributes.
pub(super) fn search_text(
    texts: [&Option<String>; 5],
    references: &[ExternalId],
    attributes: &str,
) -> String {
    let mut parts: Vec<&str> = texts.into_iter().filter_map(|text| text.as_deref()).collect();
    parts.extend(references.iter().map(|reference| reference.id.as_str()));
    parts.push(attributes);
    search_key(parts.join(" ").trim_end())
}

fn replace_primary(tx: &mut Tx, id: Uuid, kind: IdentityType, value: Option<&str>) -> Result<()> {
    let pointer = format!("#/{kind}");
    let mark = match value {
        None => None,
        Some(value) => Some(Mark::parse(kind, None, value).map_err(|fault| {
            Error::invalid(vec![crate::error::FieldError { pointer: Some(pointer), ..fault }])
        })?),
    };
    identities::give_up_primary(tx, id, kind, mark.as_ref())?;
    match mark {
        Some(mark) => identities::claim(tx, id, &[mark.primary().from(&format!("#/{kind}"))]),
        None => Ok(()),
    }
}

fn replace_external(tx: &mut Tx, id: Uuid, references: &[ExternalId]) -> Result<()> {
    let place = |position: usize| format!("#/external_ids/{position}");
    let placed = references.iter().enumerate();
    let marks: Vec<Mark> =
        placed.map(|(position, one)| Mark::external(one).from(&place(position))).collect();
    identities::keep_only(tx, id, IdentityType::External, &marks)?;
    identities::claim(tx, id, &marks)
}

/// A primary email or phone after a patch, as the row mirrors it.
fn mirrored(
    kind: IdentityType,
    given: Option<&Option<String>>,
    before: &Option<String>,
) -> Result<Option<String>> {
    match given {
        None => Ok(before.clone()),
        Some(None) => Ok(None),
        Some(Some(value)) => {
            let mark = Mark::parse(kind, None, value);
            mark.map(|mark| Some(mark.norm)).map_err(|fault| Error::invalid(vec![fault]))
        }
    }
}

/// The primary email and phone of a customer, which its row mirrors.
struct Primaries {
    email: Option<String>,
    phone: Option<String>,
}

impl Primaries {
    fn of(identities: &[Identity]) -> Self {
        let find = |kind| {
            let mut matching = identities.iter().filter(|identity| identity.r#type == kind);
            matching
                .find(|identity| identity.is_primary)
                .map(|identity| identity.value_norm.clone())
        };
        Self { email: find(IdentityType::Email), phone: find(IdentityType::Phone) }
    }
}

/// Brings the mirrored email, phone and outside ids of a customer in line with its identities.
/// Returns what that changed.
pub fn mirror(tx: &mut Tx, before: &CustomerFields) -> Result<Map<String, Value>> {
    let all = identities::of_customer(tx, before.id)?;
    mirror_all(tx, before, all)
}

/// The same where the identities are known.
pub fn mirror_all(
    tx: &mut Tx,
    before: &CustomerFields,
    all: Vec<Identity>,
) -> Result<Map<String, Value>> {
    use customers as c;
    let primaries = Primaries::of(&all);
    let definitions = Definitions::load(tx, AttributeResource::Customer)?;
    let references: Vec<ExternalId> = all
        .into_iter()
        .filter(|identity| identity.r#type == IdentityType::External)
        .map(|identity| ExternalId {
            source: identity.source.unwrap_or_default(),
            id: identity.value,
        })
        .collect();
    let stored: CustomerFields = diesel::update(of(tx.workspace).filter(c::id.eq(before.id)))
        .set((
            c::email.eq(&primaries.email),
            c::phone.eq(&primaries.phone),
            c::external_ids.eq(Jsonb(references)),
            c::version.eq(c::version + 1),
            c::updated_at.eq(tx.now),
        ))
        .returning(CustomerFields::as_returning())
        .get_result(tx.pg)?;
    index(tx, &stored, &stored.attributes.parse()?, &definitions)?;
    let mut changes = differences(&to_json(before)?, &to_json(&stored)?);
    changes.retain(|field, _| ["email", "phone", "external_ids"].contains(&field.as_str()));
    Ok(changes)
}

/// Brings what `q=` searches in line with a customer's fields.
fn index(
    tx: &mut Tx,
    stored: &CustomerFields,
    attributes: &Attributes,
    definitions: &Definitions,
) -> Result<()> {
    let CustomerFields { first_name, last_name, display_name, email, phone, .. } = stored;
    let references: Vec<ExternalId> = stored.external_ids.parse()?;
    let text = search_text(
        [first_name, last_name, display_name, email, phone],
        &references,
        &definitions.search_text(attributes),
    );
    let outdated = of(tx.workspace)
        .filter(customers::id.eq(stored.id))
        .filter(customers::search_key.ne(text.clone()));
    diesel::update(outdated).set(customers::search_key.eq(text)).execute(tx.pg)?;
    Ok(())
}
