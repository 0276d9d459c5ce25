//! Taking touchpoints in: a fixed number of statements, however many there are.

use std::collections::{HashMap, HashSet};

use actix_web::http::StatusCode;
use diesel::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;
use validator::Validate;

use super::{ChannelReference, NewTouchpoint, OrganizationReference};
use crate::customers::references::{self, OnUnknownCustomer, Referenced};
use crate::db::Tx;
use crate::db::json::compact;
use crate::db::pairs::any_pair;
use crate::error::{Code, Error, FieldError, Result};
use crate::external_ids::{self, ExternalId, Owner};
use crate::http::Reply;
use crate::http::json::field_errors;
use crate::journal::{self, Direction, Entry, Touchpoint};
use crate::schema::touchpoint_keys;

/// Stores touchpoints that arrived one by one; each is answered as if it had been alone.
pub fn each(
    tx: &mut Tx,
    new: &[NewTouchpoint],
    unknown: OnUnknownCustomer,
) -> Result<Vec<Result<Reply>>> {
    let (results, entries) = take_in(tx, new, unknown)?;
    let mut stored: HashMap<Uuid, Touchpoint> = HashMap::with_capacity(entries.len());
    for entry in entries {
        stored.insert(entry.id, entry.stored(tx.now)?);
    }
    let is_known = |id: &Uuid| stored.contains_key(id);
    let repeated: Vec<Uuid> =
        results.iter().flatten().map(|(_, id)| *id).filter(|id| !is_known(id)).collect();
    stored.extend(journal::read::find_many(tx, &repeated)?);
    Ok(results.into_iter().map(|result| reply(&stored, result?)).collect())
}

fn reply(stored: &HashMap<Uuid, Touchpoint>, (status, id): (u16, Uuid)) -> Result<Reply> {
    let touchpoint = stored.get(&id).ok_or_else(Error::not_found)?;
    let location = format!("/v1/touchpoints/{id}");
    let reply = Reply::json(StatusCode::CREATED, touchpoint)?.with("Location", location);
    Ok(match status {
        201 => reply,
        _ => reply.with("Idempotent-Replayed", "true".into()),
    })
}

/// Stores touchpoints, each on its own: 201 with its id, 200 with the id of what it repeats, or why
/// it was refused. What is refused or a repeat makes no customer.
pub fn many(
    tx: &mut Tx,
    new: &[NewTouchpoint],
    unknown: OnUnknownCustomer,
) -> Result<Vec<Result<(u16, Uuid)>>> {
    take_in(tx, new, unknown).map(|(results, _)| results)
}

/// A touchpoint that is stored: now (201) or before (200), and whom it turned out to be about, which
/// is not looked up for one that was stored before.
#[derive(Debug, Clone, Copy)]
pub struct Stored {
    pub status: u16,
    pub id: Uuid,
    pub customer_id: Option<Uuid>,
}

/// The same for a sender who has more to do with the customers.
pub fn with_customers(
    tx: &mut Tx,
    new: &[NewTouchpoint],
    unknown: OnUnknownCustomer,
) -> Result<Vec<Result<Stored>>> {
    let (results, entries) = take_in(tx, new, unknown)?;
    let customers: HashMap<Uuid, Option<Uuid>> =
        entries.iter().map(|entry| (entry.id, entry.customer_id)).collect();
    let stored =
        |(status, id)| Stored { status, id, customer_id: customers.get(&id).copied().flatten() };
    Ok(results.into_iter().map(|result| result.map(stored)).collect())
}

type Taken = (Vec<Result<(u16, Uuid)>>, Vec<Entry>);

fn take_in(tx: &mut Tx, new: &[NewTouchpoint], unknown: OnUnknownCustomer) -> Result<Taken> {
    let mut intake = Intake::sort(tx, new)?;
    let fresh: Vec<usize> = intake.fresh();
    let people: Vec<_> = fresh.iter().map(|at| new[*at].customer.as_ref()).collect();
    let people = references::resolve_many(tx, &people, unknown)?;
    let memberships = memberships(tx, &people)?;
    let (mut positions, mut entries) = (Vec::new(), Vec::with_capacity(fresh.len()));
    for (at, person) in fresh.into_iter().zip(people) {
        match person {
            Err(error) => intake.fates[at] = Fate::Refused(error),
            Ok(person) => {
                positions.push(at);
                entries.push(intake.entry(tx, &new[at], at, person, &memberships)?);
            }
        }
    }
    store(tx, &mut intake, &positions, &entries)?;
    Ok((intake.results()?, entries))
}

/// What becomes of one touchpoint of a batch.
enum Fate {
    Fresh(Place),
    Refused(Error),
    /// Stored before, or now.
    Stored(u16, Uuid),
    /// The same as an earlier one of the batch.
    RepeatOf(usize),
}

/// A batch, and what becomes of each of its touchpoints.
struct Intake {
    fates: Vec<Fate>,
}

type MessageKey<'a> = (&'a str, &'a str);

fn message_key(new: &NewTouchpoint) -> Option<MessageKey<'_>> {
    Some((source(new), new.message_id.as_deref()?))
}

fn source(new: &NewTouchpoint) -> &str {
    new.source.as_deref().unwrap_or("api")
}

impl Intake {
    /// Refuses what is not valid or happened nowhere, and finds the repeats.
    fn sort(tx: &mut Tx, new: &[NewTouchpoint]) -> Result<Self> {
        let valid: Vec<Result<()>> = new.iter().map(|new| check(tx, new)).collect();
        let accepted = || new.iter().zip(&valid).filter(|(_, valid)| valid.is_ok()).map(|(n, _)| n);
        let places = Places::load(tx, &accepted().collect::<Vec<_>>())?;
        let keys: Vec<MessageKey> = accepted().filter_map(message_key).collect();
        let known = originals(tx, &keys)?;
        let mut first: HashMap<MessageKey, usize> = HashMap::new();
        let mut fates = Vec::with_capacity(new.len());
        for (at, (new, valid)) in new.iter().zip(valid).enumerate() {
            let key = message_key(new);
            let stored = key.and_then(|(s, m)| known.get(&(s.to_owned(), m.to_owned())));
            fates.push(match (valid.and_then(|()| places.of(new)), stored, key) {
                (Err(error), _, _) => Fate::Refused(error),
                (Ok(_), Some(id), _) => Fate::Stored(200, *id),
                (Ok(place), None, None) => Fate::Fresh(place),
                (Ok(place), None, Some(key)) => match first.get(&key) {
                    Some(original) => Fate::RepeatOf(*original),
                    None => {
                        first.insert(key, at);
                        Fate::Fresh(place)
                    }
                },
            });
        }
        Ok(Self { fates })
    }

    fn fresh(&self) -> Vec<usize> {
        let is_fresh = |(_, fate): &(usize, &Fate)| matches!(fate, Fate::Fresh(_));
        self.fates.iter().enumerate().filter(is_fresh).map(|(at, _)| at).collect()
    }

    fn entry(
        &self,
        tx: &mut Tx,
        new: &NewTouchpoint,
        at: usize,
        person: Referenced,
        memberships: &HashMap<Uuid, Uuid>,
    ) -> Result<Entry> {
        let Fate::Fresh(place) = &self.fates[at] else {
            return Err(Error::internal("only a fresh touchpoint has an entry"));
        };
        entry(tx, new, person, place, memberships)
    }

    fn results(self) -> Result<Vec<Result<(u16, Uuid)>>> {
        let stored: Vec<Option<Uuid>> = self
            .fates
            .iter()
            .map(|fate| match fate {
                Fate::Stored(_, id) => Some(*id),
                Fate::Fresh(_) | Fate::Refused(_) | Fate::RepeatOf(_) => None,
            })
            .collect();
        let results = self.fates.into_iter().map(|fate| match fate {
            Fate::Stored(status, id) => Ok((status, id)),
            Fate::Refused(error) => Err(error),
            Fate::RepeatOf(original) => stored[original].map(|id| (200, id)).ok_or_else(|| {
                let detail = "it repeats an earlier item of this batch, which was refused";
                Error::new(Code::CONFLICT, detail)
            }),
            Fate::Fresh(_) => Err(Error::internal("a fresh touchpoint was not stored")),
        });
        Ok(results.collect())
    }
}

fn check(tx: &Tx, new: &NewTouchpoint) -> Result<()> {
    new.validate().map_err(|errors| Error::invalid(field_errors(&errors)))?;
    let checked = new.occurred_at.map(|at| journal::check_occurred_at(at, tx.now));
    checked.unwrap_or(Ok(())).map_err(|fault| Error::invalid(vec![fault]))
}

/// Stores the fresh ones. One that somebody else stored in the meantime makes the transaction run
/// again, which then sees a repeat.
fn store(tx: &mut Tx, intake: &mut Intake, positions: &[usize], entries: &[Entry]) -> Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let stored = journal::append(tx, entries)?;
    for (at, entry) in positions.iter().zip(entries) {
        if !stored.contains(&entry.id) {
            return Err(Error::Retry("the same touchpoint was stored at the same time".into()));
        }
        intake.fates[*at] = Fate::Stored(201, entry.id);
    }
    Ok(())
}

/// The touchpoints that are stored under these sources and message ids.
fn originals(tx: &mut Tx, keys: &[MessageKey]) -> Result<HashMap<(String, String), Uuid>> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(String, String, Uuid)> = touchpoint_keys::table
        .filter(touchpoint_keys::workspace_id.eq(tx.workspace))
        .filter(any_pair("touchpoint_keys.source, touchpoint_keys.message_id", keys.to_vec()))
        .select((
            touchpoint_keys::source,
            touchpoint_keys::message_id,
            touchpoint_keys::touchpoint_id,
        ))
        .load(tx.pg)?;
    Ok(rows.into_iter().map(|(source, message, id)| ((source, message), id)).collect())
}

fn memberships(tx: &mut Tx, people: &[Result<Referenced>]) -> Result<HashMap<Uuid, Uuid>> {
    let mut customers: Vec<Uuid> =
        people.iter().flatten().filter_map(|person| person.customer_id).collect();
    if customers.is_empty() {
        return Ok(HashMap::new());
    }
    customers.sort_unstable();
    customers.dedup();
    crate::organizations::primary_organizations(tx, &customers)
}

/// Where a touchpoint happened and whom it concerns besides the customer.
struct Place {
    channel: Option<Uuid>,
    organization: Option<Uuid>,
}

/// Every channel and organization that a batch refers to.
struct Places {
    channels: HashSet<Uuid>,
    organizations: HashSet<Uuid>,
    channels_outside: HashMap<(String, String), Uuid>,
    organizations_outside: HashMap<(String, String), Uuid>,
}

impl Places {
    fn load(tx: &mut Tx, new: &[&NewTouchpoint]) -> Result<Self> {
        let outside = |tx: &mut Tx, owner, references: Vec<&ExternalId>| -> Result<_> {
            let rows = external_ids::find_many(tx, owner, &references)?;
            Ok(rows
                .into_iter()
                .map(|(source, id, at)| ((source, id), at))
                .collect::<HashMap<_, _>>())
        };
        let channels = || new.iter().filter_map(|new| new.channel.as_ref());
        let organizations = || new.iter().filter_map(|new| new.organization.as_ref());
        let references = channels().filter_map(|channel| channel.external_id.as_ref()).collect();
        let channels_outside = outside(tx, Owner::Channel, references)?;
        let references = organizations().filter_map(|one| one.external_id.as_ref()).collect();
        let organizations_outside = outside(tx, Owner::Organization, references)?;
        let mut ids: Vec<Uuid> = channels().filter_map(|channel| channel.id).collect();
        ids.extend(channels_outside.values());
        let channels = crate::channels::exists_many(tx, &ids)?;
        let mut ids: Vec<Uuid> = organizations().filter_map(|one| one.id).collect();
        ids.extend(organizations_outside.values());
        let organizations = crate::organizations::exists_many(tx, &ids)?;
        Ok(Self { channels, organizations, channels_outside, organizations_outside })
    }

    fn of(&self, new: &NewTouchpoint) -> Result<Place> {
        let channel = new.channel.as_ref().map(|ChannelReference { id, external_id }| {
            let found = find(*id, external_id.as_ref(), &self.channels_outside, &self.channels);
            found.ok_or_else(|| unknown("channel"))
        });
        let organization =
            new.organization.as_ref().map(|OrganizationReference { id, external_id }| {
                let (outside, known) = (&self.organizations_outside, &self.organizations);
                find(*id, external_id.as_ref(), outside, known)
                    .ok_or_else(|| unknown("organization"))
            });
        Ok(Place { channel: channel.transpose()?, organization: organization.transpose()? })
    }
}

fn find(
    id: Option<Uuid>,
    reference: Option<&ExternalId>,
    outside: &HashMap<(String, String), Uuid>,
    known: &HashSet<Uuid>,
) -> Option<Uuid> {
    let by_reference = || outside.get(&(reference?.source.clone(), reference?.id.clone())).copied();
    id.or_else(by_reference).filter(|id| known.contains(id))
}

fn unknown(what: &str) -> Error {
    let detail = format!("there is no such {what} in this workspace");
    Error::invalid(vec![FieldError::at(format!("#/{what}"), "not_found", detail)])
}

fn entry(
    tx: &mut Tx,
    new: &NewTouchpoint,
    person: Referenced,
    place: &Place,
    memberships: &HashMap<Uuid, Uuid>,
) -> Result<Entry> {
    let direction = new.direction.unwrap_or(Direction::Inbound);
    let member_of = || memberships.get(&person.customer_id?).copied();
    Ok(Entry {
        id: tx.new_id_at(new.occurred_at.unwrap_or(tx.now)),
        customer_id: person.customer_id,
        origin_customer_id: person.origin_customer_id,
        organization_id: place.organization.or_else(member_of),
        channel_id: place.channel,
        direction,
        kind: new.r#type.clone(),
        name: new.name.clone(),
        source: source(new).to_owned(),
        message_id: new.message_id.clone(),
        subject: new.subject.as_ref().map(compact).transpose()?,
        actor: actor(tx, new, direction, person.customer_id)?,
        value: new.value.clone(),
        content: new.content.as_ref().map(compact).transpose()?,
        context: new.context.as_ref().map(compact).transpose()?,
        properties: Value::Object(new.properties.0.clone()),
        anonymous_id: person.anonymous_id,
    })
}

fn actor(
    tx: &Tx,
    new: &NewTouchpoint,
    direction: Direction,
    customer: Option<Uuid>,
) -> Result<Value> {
    match (&new.actor, direction) {
        (Some(actor), _) => {
            serde_json::to_value(actor).map_err(|error| Error::internal(error.to_string()))
        }
        (None, Direction::Inbound) => Ok(json!({ "type": "customer", "id": customer })),
        (None, Direction::Outbound | Direction::Internal) => Ok(journal::actor(tx)),
    }
}
