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
use crate::orders::{self, NewOrder, Order, OrderPatch};
use crate::organizations::{self, NewOrganization, Organization, OrganizationPatch};
use crate::products::{self, NewProduct, Product, ProductPatch};
use crate::schema::import_changes;
use crate::sources::Told;
use crate::touchpoints::{self, NewTouchpoint};
use crate::values::text::added;

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
        BulkResource::Products => parse::<NewProduct>(value).map(drop),
        BulkResource::Orders => parse::<NewOrder>(value).map(drop),
        BulkResource::Carts => Err(no_import()),
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
    values: &[&Value],
    settings: &ImportSettings,
) -> Result<Vec<Fate>> {
    match resource {
        BulkResource::Customers => customers(tx, values, settings),
        BulkResource::Organizations => organizations(tx, values, settings),
        BulkResource::Touchpoints => touchpoints(tx, values, settings),
        BulkResource::Products => products(tx, values, settings),
        BulkResource::Orders => orders(tx, values, settings),
        BulkResource::Carts => Err(no_import()),
    }
}

fn no_import() -> Error {
    Error::internal("carts are not imported")
}

/// The values that are records, with their places, and the fates of the others.
struct Sorted<'a, T> {
    values: &'a [&'a Value],
    places: Vec<usize>,
    records: Vec<T>,
    fates: Vec<Option<Fate>>,
}

/// Changes the record that is there by what a row says.
type Change = fn(&mut Tx, Uuid, Map<String, Value>) -> Result<Fate>;

impl<'a, T: serde::de::DeserializeOwned + Validate> Sorted<'a, T> {
    fn of(values: &'a [&'a Value]) -> Self {
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
        Self { values, places, records, fates }
    }

    /// The fates of all, after those that are records were made, or not: what is there already is left,
    /// changed or refused, as the policy says.
    fn settle(
        mut self,
        tx: &mut Tx,
        made: Vec<Result<Uuid>>,
        policy: OnDuplicate,
        change: Change,
    ) -> Result<Vec<Fate>> {
        for (place, made) in self.places.iter().zip(made) {
            self.fates[*place] = Some(match made {
                Ok(id) => Fate::Created(id),
                Err(error) => match refused(error, policy) {
                    Ok(fate) => fate,
                    Err(id) => changed(tx, id, self.values[*place], change)?,
                },
            });
        }
        Ok(all(self.fates))
    }
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

/// Changes what is there, in a savepoint: a refusal undoes that row alone. Null says nothing.
fn changed(tx: &mut Tx, id: Uuid, value: &Value, change: Change) -> Result<Fate> {
    let mut fields = value.as_object().cloned().unwrap_or_default();
    fields.retain(|_, value| !value.is_null());
    match tx.savepoint(|tx| change(tx, id, fields)) {
        Err(error) if error.is_rejection() => Ok(Fate::Refused(error)),
        done => done,
    }
}

fn customers(tx: &mut Tx, values: &[&Value], settings: &ImportSettings) -> Result<Vec<Fate>> {
    let mut rows = Sorted::<NewCustomer>::of(values);
    for record in &mut rows.records {
        record.source = record.source.take().or_else(|| settings.source.clone());
    }
    let made = customers::create_many(tx, &rows.records)?;
    let made = made.into_iter().map(|made| made.map(|made| made.id)).collect();
    rows.settle(tx, made, settings.on_duplicate, change_customer)
}

fn change_customer(tx: &mut Tx, id: Uuid, mut fields: Map<String, Value>) -> Result<Fate> {
    // Further identities are added one by one; a patch has none.
    fields.remove("identities");
    let mut patch: CustomerPatch = from_value(Value::Object(fields))?;
    let before = Customer::lock(tx, id)?;
    keep(&mut patch.external_ids, before.external_ids.parse()?, &mut patch.tags, &before.tags);
    let after = patch.apply(tx, id, IfMatch(None))?;
    let former = former(&before, &after.fields)?;
    Ok(Fate::Updated { id, version: after.fields.version, former })
}

fn organizations(tx: &mut Tx, values: &[&Value], settings: &ImportSettings) -> Result<Vec<Fate>> {
    let rows = Sorted::<NewOrganization>::of(values);
    let made = organizations::create_each(tx, &rows.records)?;
    rows.settle(tx, made, settings.on_duplicate, change_organization)
}

fn change_organization(tx: &mut Tx, id: Uuid, fields: Map<String, Value>) -> Result<Fate> {
    let mut patch: OrganizationPatch = from_value(Value::Object(fields))?;
    let before = Organization::lock(tx, id)?;
    keep(&mut patch.external_ids, before.external_ids.parse()?, &mut patch.tags, &before.tags);
    let after = patch.apply(tx, id, IfMatch(None))?;
    let former = former(&before, &after)?;
    Ok(Fate::Updated { id, version: after.version, former })
}

fn products(tx: &mut Tx, values: &[&Value], settings: &ImportSettings) -> Result<Vec<Fate>> {
    let rows = Sorted::<NewProduct>::of(values);
    let made = products::create_each(tx, &rows.records)?;
    rows.settle(tx, made, settings.on_duplicate, change_product)
}

fn change_product(tx: &mut Tx, id: Uuid, fields: Map<String, Value>) -> Result<Fate> {
    let mut patch: ProductPatch = from_value(Value::Object(fields))?;
    let before = Product::lock(tx, id)?;
    keep(&mut patch.external_ids, before.external_ids.parse()?, &mut patch.tags, &before.tags);
    let after = patch.apply(tx, id, IfMatch(None))?;
    let former = former(&before, &after)?;
    Ok(Fate::Updated { id, version: after.version, former })
}

fn orders(tx: &mut Tx, values: &[&Value], settings: &ImportSettings) -> Result<Vec<Fate>> {
    let mut rows = Sorted::<NewOrder>::of(values);
    for record in &mut rows.records {
        record.source = source(record.source.take(), settings);
    }
    let made = orders::create_each(tx, &rows.records)?;
    rows.settle(tx, made, settings.on_duplicate, change_order)
}

/// What is older than what is known of an order, or nothing new, leaves it as it is.
fn change_order(tx: &mut Tx, id: Uuid, mut fields: Map<String, Value>) -> Result<Fate> {
    // Where an order comes from stays.
    fields.remove("source");
    let mut patch: OrderPatch = from_value(Value::Object(fields))?;
    let before = Order::lock(tx, id)?;
    keep(&mut patch.external_ids, before.external_ids, &mut patch.tags, &before.tags);
    let after = orders::change(tx, id, IfMatch(None), &patch, Told::ByCaller)?;
    if after.version == before.version {
        return Ok(Fate::Skipped);
    }
    // Its payments, refunds and states go forward only: noted is that there is no way back.
    let former = Map::from_iter([("version".to_owned(), before.version.into())]);
    Ok(Fate::Updated { id, version: after.version, former })
}

fn touchpoints(tx: &mut Tx, values: &[&Value], settings: &ImportSettings) -> Result<Vec<Fate>> {
    let Sorted { places, mut records, mut fates, .. } = Sorted::<NewTouchpoint>::of(values);
    for record in &mut records {
        record.source = source(record.source.take(), settings);
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

/// Lets a record keep the outside ids and tags that it has beside those that a row gives, which win.
fn keep(
    ids: &mut Option<Jsonb<Vec<ExternalId>>>,
    known_ids: Vec<ExternalId>,
    tags: &mut Option<Vec<String>>,
    known_tags: &[String],
) {
    if let Some(Jsonb(given)) = ids {
        let given = std::mem::take(given).into_iter();
        *ids = Some(Jsonb(given.fold(known_ids, |all, one| one.joined_to(all))));
    }
    if let Some(given) = tags {
        *given = added(known_tags, std::mem::take(given));
    }
}

/// Where a record comes from that has to say so.
fn source(given: Option<String>, settings: &ImportSettings) -> Option<String> {
    given.or_else(|| settings.source.clone()).or_else(|| Some("import".into()))
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
