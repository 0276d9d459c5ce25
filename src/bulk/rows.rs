//! Taking in rows: the same checks, the same look-ups and the same log as one by one over the API.

use diesel::prelude::*;
use serde_json::{Map, Value};
use uuid::Uuid;
use validator::Validate;

use super::again::{self, Entry};
use super::imports::{ImportSettings, OnDuplicate};
use super::known::{self, Fields};
use super::row::BulkResource;
use crate::customers::references::OnUnknownCustomer;
use crate::customers::{self, Customer, CustomerPatch, NewCustomer};
use crate::db::{Conn, Tx};
use crate::error::{Error, Result};
use crate::http::IfMatch;
use crate::http::json::{field_errors, from_value};
use crate::journal::differences;
use crate::orders::{self, NewOrder, Order, OrderPatch};
use crate::organizations::{self, NewOrganization, Organization, OrganizationPatch};
use crate::products::{self, NewProduct, Product, ProductPatch};
use crate::schema::import_changes;
use crate::sources::Told;
use crate::touchpoints::{self, NewTouchpoint};

/// What became of a row.
pub enum Fate {
    Created(Uuid),
    Updated { id: Uuid, version: i64, former: Map<String, Value> },
    Skipped,
    Refused(Error),
}

/// Whether a value is a record of the resource, as far as that can be told before it is taken in.
pub fn check(conn: &mut Conn, resource: BulkResource, value: &Value) -> Result<()> {
    let Some(Entry { known, fields }) = again::entries(conn, resource, &[value])?.pop() else {
        return Ok(());
    };
    match (resource, known) {
        (BulkResource::Customers, None) => parse::<NewCustomer>(fields).map(drop),
        (BulkResource::Customers, Some(_)) => parse::<CustomerPatch>(fields).map(drop),
        (BulkResource::Organizations, None) => parse::<NewOrganization>(fields).map(drop),
        (BulkResource::Organizations, Some(_)) => parse::<OrganizationPatch>(fields).map(drop),
        (BulkResource::Touchpoints, None) => parse::<NewTouchpoint>(fields).map(drop),
        // It is there, and nothing changes it.
        (BulkResource::Touchpoints, Some(_)) => Ok(()),
        (BulkResource::Products, None) => parse::<NewProduct>(fields).map(drop),
        (BulkResource::Products, Some(_)) => parse::<ProductPatch>(fields).map(drop),
        (BulkResource::Orders, None) => parse::<NewOrder>(fields).map(drop),
        // What an order has not got is null in its export, and no patch may clear it.
        (BulkResource::Orders, Some(_)) => Ok(()),
        (BulkResource::Carts, _) => Err(no_import()),
    }
}

fn parse<T: serde::de::DeserializeOwned + Validate>(fields: Fields) -> Result<T> {
    let parsed: T = from_value(Value::Object(fields))?;
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
    let rows = again::entries(tx, resource, values)?;
    match resource {
        BulkResource::Customers => customers(tx, rows, settings),
        BulkResource::Organizations => organizations(tx, rows, settings),
        BulkResource::Touchpoints => touchpoints(tx, rows, settings),
        BulkResource::Products => products(tx, rows, settings),
        BulkResource::Orders => orders(tx, rows, settings),
        BulkResource::Carts => Err(no_import()),
    }
}

fn no_import() -> Error {
    Error::internal("carts are not imported")
}

/// The rows that are new records, as far as they themselves tell, with their places, and the fates of
/// the others.
struct Sorted<T> {
    rows: Vec<Entry>,
    places: Vec<usize>,
    records: Vec<T>,
    fates: Vec<Option<Fate>>,
}

/// What is done about records that are there.
struct Manner {
    policy: OnDuplicate,
    /// The record as it is shown.
    find: fn(&mut Tx, Uuid) -> Result<Value>,
    /// Changes it by what a row says.
    change: fn(&mut Tx, Uuid, Fields) -> Result<Fate>,
}

impl<T: serde::de::DeserializeOwned + Validate> Sorted<T> {
    fn of(rows: Vec<Entry>) -> Self {
        let (mut places, mut records, mut fates) = (Vec::new(), Vec::new(), Vec::new());
        for (place, row) in rows.iter().enumerate() {
            fates.push(None);
            if row.known.is_some() {
                continue;
            }
            match parse(row.fields.clone()) {
                Ok(record) => {
                    places.push(place);
                    records.push(record);
                }
                Err(error) => fates[place] = Some(Fate::Refused(error)),
            }
        }
        Self { rows, places, records, fates }
    }

    /// The fates of all, after those that are records were made, or not: what is there already is left,
    /// changed or refused, as the policy says.
    fn settle(
        mut self,
        tx: &mut Tx,
        made: Vec<Result<Uuid>>,
        manner: &Manner,
    ) -> Result<Vec<Fate>> {
        let mut made: Vec<Option<Result<Uuid>>> = made.into_iter().map(Some).collect();
        let mut turns = self.places.iter().zip(&mut made).peekable();
        for (place, row) in self.rows.iter().enumerate() {
            let made = turns.next_if(|(at, _)| **at == place).and_then(|(_, made)| made.take());
            let fate = match (made, row.known) {
                (Some(Ok(id)), _) => Some(Fate::Created(id)),
                (Some(Err(error)), _) => Some(manner.meet(tx, &row.fields, error)?),
                (None, Some(id)) => {
                    let taken = Error::conflict("already_exists", "the record is there", Some(id));
                    Some(manner.meet(tx, &row.fields, taken.at("#/id", "already_exists"))?)
                }
                (None, None) => None,
            };
            self.fates[place] = self.fates[place].take().or(fate);
        }
        Ok(all(self.fates))
    }
}

fn all(fates: Vec<Option<Fate>>) -> Vec<Fate> {
    fates.into_iter().map(|fate| fate.expect("BUG: every row has a fate")).collect()
}

impl Manner {
    /// What a row means that was refused: that the record is there already, or that the row is wrong. A
    /// refusal to change undoes that row alone.
    fn meet(&self, tx: &mut Tx, row: &Fields, error: Error) -> Result<Fate> {
        let existing = error.rejection().existing_id.filter(|_| error.status() == 409);
        let (Some(id), OnDuplicate::Skip | OnDuplicate::Update) = (existing, self.policy) else {
            return Ok(Fate::Refused(error));
        };
        let found_by = error.rejection().errors.first().and_then(|fault| fault.pointer.clone());
        let found_by = found_by.unwrap_or_else(|| "#/external_ids".into());
        let is_in_doubt = known::is_in_doubt(&found_by, row);
        if self.policy == OnDuplicate::Skip && !is_in_doubt {
            return Ok(Fate::Skipped);
        }
        let met = tx.savepoint(|tx| {
            if is_in_doubt {
                known::must_be_same(id, &found_by, row, &(self.find)(tx, id)?)?;
            }
            match self.policy {
                OnDuplicate::Update => (self.change)(tx, id, row.clone()),
                _ => Ok(Fate::Skipped),
            }
        });
        match met {
            Err(error) if error.is_rejection() => Ok(Fate::Refused(error)),
            met => met,
        }
    }
}

fn customers(tx: &mut Tx, rows: Vec<Entry>, settings: &ImportSettings) -> Result<Vec<Fate>> {
    let mut rows = Sorted::<NewCustomer>::of(rows);
    for record in &mut rows.records {
        record.source = record.source.take().or_else(|| settings.source.clone());
    }
    let made = customers::create_many(tx, &rows.records)?;
    let made = made.into_iter().map(|made| made.map(|made| made.id)).collect();
    let find = |tx: &mut Tx, id| known::json(&Customer::find(tx, id)?);
    rows.settle(tx, made, &Manner { policy: settings.on_duplicate, find, change: change_customer })
}

fn change_customer(tx: &mut Tx, id: Uuid, mut row: Fields) -> Result<Fate> {
    // Further identities are added one by one; a patch has none.
    row.remove("identities");
    let before = Customer::lock(tx, id)?;
    let Some(news) = known::news(&before, row)? else { return Ok(Fate::Skipped) };
    let after = parse::<CustomerPatch>(news)?.apply(tx, id, IfMatch(None))?;
    if after.fields.version == before.version {
        return Ok(Fate::Skipped);
    }
    let former = former(&before, &after.fields)?;
    Ok(Fate::Updated { id, version: after.fields.version, former })
}

fn organizations(tx: &mut Tx, rows: Vec<Entry>, settings: &ImportSettings) -> Result<Vec<Fate>> {
    let rows = Sorted::<NewOrganization>::of(rows);
    let made = organizations::create_each(tx, &rows.records)?;
    let find = |tx: &mut Tx, id| known::json(&Organization::find(tx, id)?);
    rows.settle(
        tx,
        made,
        &Manner { policy: settings.on_duplicate, find, change: change_organization },
    )
}

fn change_organization(tx: &mut Tx, id: Uuid, row: Fields) -> Result<Fate> {
    let before = Organization::lock(tx, id)?;
    let Some(news) = known::news(&before, row)? else { return Ok(Fate::Skipped) };
    let after = parse::<OrganizationPatch>(news)?.apply(tx, id, IfMatch(None))?;
    if after.version == before.version {
        return Ok(Fate::Skipped);
    }
    let former = former(&before, &after)?;
    Ok(Fate::Updated { id, version: after.version, former })
}

fn products(tx: &mut Tx, rows: Vec<Entry>, settings: &ImportSettings) -> Result<Vec<Fate>> {
    let rows = Sorted::<NewProduct>::of(rows);
    let made = products::create_each(tx, &rows.records)?;
    let find = |tx: &mut Tx, id| known::json(&Product::find(tx, id)?);
    rows.settle(tx, made, &Manner { policy: settings.on_duplicate, find, change: change_product })
}

fn change_product(tx: &mut Tx, id: Uuid, row: Fields) -> Result<Fate> {
    let before = Product::lock(tx, id)?;
    let Some(news) = known::news(&before, row)? else { return Ok(Fate::Skipped) };
    let after = parse::<ProductPatch>(news)?.apply(tx, id, IfMatch(None))?;
    if after.version == before.version {
        return Ok(Fate::Skipped);
    }
    let former = former(&before, &after)?;
    Ok(Fate::Updated { id, version: after.version, former })
}

fn orders(tx: &mut Tx, rows: Vec<Entry>, settings: &ImportSettings) -> Result<Vec<Fate>> {
    let mut rows = Sorted::<NewOrder>::of(rows);
    for record in &mut rows.records {
        record.source = source(record.source.take(), settings);
    }
    let made = orders::create_each(tx, &rows.records)?;
    let find = |tx: &mut Tx, id| known::json(&Order::find(tx, id)?);
    rows.settle(tx, made, &Manner { policy: settings.on_duplicate, find, change: change_order })
}

/// What is older than what is known of an order, or nothing new, leaves it as it is.
fn change_order(tx: &mut Tx, id: Uuid, mut row: Fields) -> Result<Fate> {
    // Where an order comes from stays.
    row.remove("source");
    let before = Order::lock(tx, id)?;
    let Some(news) = known::news(&before, row)? else { return Ok(Fate::Skipped) };
    let patch: OrderPatch = parse(news)?;
    let after = orders::change(tx, id, IfMatch(None), &patch, Told::ByCaller)?;
    if after.version == before.version {
        return Ok(Fate::Skipped);
    }
    // Its payments, refunds and states go forward only: noted is that there is no way back.
    let former = Map::from_iter([("version".to_owned(), before.version.into())]);
    Ok(Fate::Updated { id, version: after.version, former })
}

fn touchpoints(tx: &mut Tx, rows: Vec<Entry>, settings: &ImportSettings) -> Result<Vec<Fate>> {
    let Sorted { rows, places, mut records, mut fates } = Sorted::<NewTouchpoint>::of(rows);
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
            Ok(_) => repeated(settings, "#/message_id"),
            Err(error) => Fate::Refused(error),
        });
    }
    for (place, _) in rows.iter().enumerate().filter(|(_, row)| row.known.is_some()) {
        fates[place] = Some(repeated(settings, "#/id"));
    }
    Ok(all(fates))
}

/// A touchpoint that is there already stays as it is.
fn repeated(settings: &ImportSettings, pointer: &str) -> Fate {
    if settings.on_duplicate != OnDuplicate::Fail {
        return Fate::Skipped;
    }
    let detail = "this touchpoint is there already, by its id or its `source` and `message_id`";
    Fate::Refused(Error::field(pointer, "already_exists", detail))
}

/// Where a record comes from that has to say so.
fn source(given: Option<String>, settings: &ImportSettings) -> Option<String> {
    given.or_else(|| settings.source.clone()).or_else(|| Some("import".into()))
}

/// The former values of the fields that differ.
fn former<T: serde::Serialize>(before: &T, after: &T) -> Result<Map<String, Value>> {
    let changes = differences(&known::json(before)?, &known::json(after)?).into_iter();
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
