//! Making and changing products: one transaction for the record, its outside ids, its unique
//! attributes and its place in the log.

use diesel::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::types::{NewProduct, Product, ProductPatch, ProductStatus};
use super::{of, with_deleted};
use crate::attributes::{self, AttributeResource, Attributes, Definitions};
use crate::db::Tx;
use crate::db::json::Jsonb;
use crate::error::{Code, Error, OnConstraint, Result};
use crate::external_ids::{self, ExternalId, Owner};
use crate::http::batch::one_by_one;
use crate::http::{Batch, IfMatch, IfNoneMatch, Items, Upserted};
use crate::journal::{Change, differences, record};
use crate::schema::products;
use crate::sources::is_older;
use crate::values::text::search_key;

/// Makes one product or says why not.
pub fn create(tx: &mut Tx, new: &NewProduct) -> Result<Product> {
    let definitions = Definitions::load(tx, AttributeResource::Product)?;
    new.insert(tx, &definitions)
}

/// Records products, each in its own savepoint: what an outside id is known of already is changed.
pub fn record_many(tx: &mut Tx, items: &Items<NewProduct>, is_atomic: bool) -> Result<Batch> {
    let definitions = Definitions::load(tx, AttributeResource::Product)?;
    one_by_one(tx, items, is_atomic, |tx, new| {
        let references: Vec<&ExternalId> = new.external_ids.iter().collect();
        match external_ids::find_many(tx, Owner::Product, &references)?.first() {
            None => Ok((201, new.insert(tx, &definitions)?.id)),
            Some((.., id)) => {
                external_ids::check_sources(&new.external_ids)?;
                // Ids in systems that the item does not name stay.
                let known: Vec<ExternalId> = Product::lock(tx, *id)?.external_ids.parse()?;
                let joined = new.external_ids.iter().fold(known, |ids, one| one.joined_to(ids));
                let mut patch = ProductPatch::from(new.clone());
                patch.external_ids = Some(Jsonb(joined));
                Ok((200, patch.apply(tx, *id, IfMatch(None))?.id))
            }
        }
    })
}

/// Makes valid products, each in its own savepoint or not at all; the results are in the order of `new`.
pub fn create_each(tx: &mut Tx, new: &[NewProduct]) -> Result<Vec<Result<Uuid>>> {
    let definitions = Definitions::load(tx, AttributeResource::Product)?;
    let mut results = Vec::with_capacity(new.len());
    for new in new {
        match tx.savepoint(|tx| Ok(new.insert(tx, &definitions)?.id)) {
            Err(error) if !error.is_rejection() => return Err(error),
            result => results.push(result),
        }
    }
    Ok(results)
}

/// Makes the product that an outside system calls `reference`, or changes it.
pub fn upsert(
    tx: &mut Tx,
    patch: &ProductPatch,
    reference: &ExternalId,
    (if_match, if_none_match): (IfMatch, IfNoneMatch),
) -> Result<Upserted<Product>> {
    let mut patch = patch.clone();
    match external_ids::find(tx, Owner::Product, &reference.source, &reference.id)? {
        Some(_) if if_none_match.create_only => Err(Error::new(
            Code::PRECONDITION_FAILED,
            "a product with this outside id exists already",
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
                Err(external_ids::unless_raced(tx, Owner::Product, error, reference)?)
            })?;
            Ok(Upserted { resource: made, is_new: true })
        }
    }
}

impl NewProduct {
    fn insert(&self, tx: &mut Tx, definitions: &Definitions) -> Result<Product> {
        use products as p;
        external_ids::check_sources(&self.external_ids)?;
        definitions.check(&self.attributes)?;
        let (id, now) = (tx.new_id(), tx.now);
        let attributes_text = definitions.search_text(&self.attributes);
        let text = search_text(
            [Some(&self.name), self.sku.as_ref(), self.brand.as_ref(), Some(&attributes_text)],
            &self.external_ids,
        );
        let made: Option<Product> = diesel::insert_into(p::table)
            .values((
                self,
                p::status.eq(self.status.unwrap_or(ProductStatus::Active)),
                p::workspace_id.eq(tx.workspace),
                p::id.eq(id),
                p::search_key.eq(text),
                p::version.eq(1_i64),
                p::created_at.eq(now),
                p::updated_at.eq(now),
            ))
            .on_conflict((p::workspace_id, p::sku))
            .filter_target(p::deleted_at.is_null())
            .do_nothing()
            .returning(Product::as_returning())
            .get_result(tx.pg)
            .optional()?;
        let Some(made) = made else { return Err(sku_taken(tx, self.sku.as_deref())?) };
        external_ids::claim(tx, Owner::Product, id, &self.external_ids)?;
        definitions.claim(tx, id, &self.attributes)?;
        note(tx, "product.created", id, json!({}))?;
        Ok(made)
    }
}

impl ProductPatch {
    /// Applies the patch to a product that is not deleted. What is older than what is known changes nothing.
    pub fn apply(&self, tx: &mut Tx, id: Uuid, if_match: IfMatch) -> Result<Product> {
        let before = Product::lock(tx, id)?;
        if_match.check(before.version)?;
        if is_older(self.source_updated_at, before.source_updated_at) {
            return Ok(before);
        }
        let definitions = Definitions::load(tx, AttributeResource::Product)?;
        let attributes = self.merged_attributes(&before, &definitions)?;
        self.check_sku(tx, &before)?;
        if let Some(Jsonb(references)) = &self.external_ids {
            external_ids::check_sources(references)?;
            external_ids::replace(tx, Owner::Product, id, references)?;
        }
        if self.attributes.is_some() {
            definitions.claim(tx, id, &attributes)?;
        }
        let after = self.store(tx, &before, attributes, &definitions)?;
        let changes = differences(&to_json(&before)?, &to_json(&after)?);
        if !changes.is_empty() {
            note(tx, "product.updated", id, json!({ "changes": changes }))?;
        }
        Ok(after)
    }

    fn merged_attributes(&self, before: &Product, known: &Definitions) -> Result<Attributes> {
        let mut attributes: Attributes = before.attributes.parse()?;
        if let Some(Jsonb(patch)) = &self.attributes {
            attributes::merge(&mut attributes.0, &patch.0);
            known.check(&attributes)?;
            attributes::check_size(&attributes)?;
        }
        Ok(attributes)
    }

    fn check_sku(&self, tx: &mut Tx, before: &Product) -> Result<()> {
        match self.sku.as_ref().and_then(Option::as_deref) {
            Some(sku) if before.sku.as_deref() != Some(sku) && holder(tx, sku)?.is_some() => {
                Err(sku_taken(tx, Some(sku))?)
            }
            _ => Ok(()),
        }
    }

    fn store(
        &self,
        tx: &mut Tx,
        before: &Product,
        attributes: Attributes,
        definitions: &Definitions,
    ) -> Result<Product> {
        use products as p;
        let references = match &self.external_ids {
            Some(Jsonb(references)) => references.clone(),
            None => before.external_ids.parse()?,
        };
        let name = self.name.as_ref().unwrap_or(&before.name);
        let sku = self.sku.as_ref().unwrap_or(&before.sku).as_ref();
        let brand = self.brand.as_ref().unwrap_or(&before.brand).as_ref();
        let attributes_text = definitions.search_text(&attributes);
        let text = search_text([Some(name), sku, brand, Some(&attributes_text)], &references);
        diesel::update(of(tx.workspace).filter(p::id.eq(before.id)))
            .set((
                self,
                p::attributes.eq(Jsonb(attributes)),
                p::search_key.eq(text),
                p::version.eq(p::version + 1),
                p::updated_at.eq(tx.now),
            ))
            .returning(Product::as_returning())
            .get_result(tx.pg)
            // Somebody took the SKU just now: run again and say who.
            .on_constraint("products_sku_taken", || Error::Retry("SKU race".into()))
    }
}

/// Hides a product and frees its SKU, outside ids and unique attributes. Orders go on naming it.
pub fn delete(tx: &mut Tx, id: Uuid, if_match: IfMatch) -> Result<()> {
    let before = Product::lock(tx, id)?;
    if_match.check(before.version)?;
    external_ids::release(tx, Owner::Product, id)?;
    attributes::release(tx, id)?;
    mark_deleted(tx, id, true)?;
    note(tx, "product.deleted", id, json!({}))
}

/// Brings a deleted product back with all it held; 409 where somebody else holds it by now.
pub fn restore(tx: &mut Tx, id: Uuid) -> Result<Product> {
    let stored: Product = with_deleted(tx.workspace)
        .filter(products::id.eq(id))
        .select(Product::as_select())
        .for_no_key_update()
        .first(tx.pg)?;
    if stored.deleted_at.is_none() {
        return Ok(stored);
    }
    if let Some(sku) = stored.sku.as_deref()
        && holder(tx, sku)?.is_some()
    {
        return Err(sku_taken(tx, Some(sku))?);
    }
    let references: Vec<ExternalId> = stored.external_ids.parse()?;
    external_ids::claim(tx, Owner::Product, id, &references)?;
    let definitions = Definitions::load(tx, AttributeResource::Product)?;
    definitions.claim(tx, id, &stored.attributes.parse()?)?;
    let restored = mark_deleted(tx, id, false)?;
    note(tx, "product.restored", id, json!({}))?;
    Ok(restored)
}

fn mark_deleted(tx: &mut Tx, id: Uuid, is_deleted: bool) -> Result<Product> {
    use products as p;
    diesel::update(with_deleted(tx.workspace).filter(p::id.eq(id)))
        .set((
            p::deleted_at.eq(is_deleted.then_some(tx.now)),
            p::version.eq(p::version + 1),
            p::updated_at.eq(tx.now),
        ))
        .returning(Product::as_returning())
        .get_result(tx.pg)
        .on_constraint("products_sku_taken", || Error::Retry("SKU race".into()))
}

fn holder(tx: &mut Tx, sku: &str) -> Result<Option<Uuid>> {
    let found = of(tx.workspace).filter(products::sku.eq(sku)).select(products::id);
    Ok(found.first(tx.pg).optional()?)
}

fn sku_taken(tx: &mut Tx, sku: Option<&str>) -> Result<Error> {
    let existing = sku.map(|sku| holder(tx, sku)).transpose()?.flatten();
    let taken = Error::conflict("products_sku_taken", "another product has this SKU", existing);
    Ok(taken.at("#/sku", "already_exists"))
}

fn search_text(parts: [Option<&String>; 4], references: &[ExternalId]) -> String {
    let parts = parts.into_iter().flatten().map(String::as_str);
    let parts: Vec<&str> = parts.chain(references.iter().map(|one| one.id.as_str())).collect();
    search_key(parts.join(" ").trim_end())
}

/// What changes are looked for in; when the source said so is none.
fn to_json(product: &Product) -> Result<Value> {
    let shown = serde_json::to_value(product);
    let mut shown = shown.map_err(|error| Error::internal(error.to_string()))?;
    shown["source_updated_at"] = Value::Null;
    Ok(shown)
}

fn note(tx: &mut Tx, kind: &'static str, id: Uuid, properties: Value) -> Result<()> {
    record(
        tx,
        Change {
            kind,
            customer_id: None,
            organization_id: None,
            channel_id: None,
            subject: ("product", id),
            properties,
        },
    )
}
