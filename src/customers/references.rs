//! From what a sender knows of somebody to the customer it is: by id, outside id or any identity.
//!
//! Where the marks of one person lead to several customers, the workspace's policy decides whether
//! they become one now (`joins.rs`). A login or outside id that nobody has, beside an address or a
//! browser of somebody who has another one, is somebody new.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use validator::Validate;

use super::erased::{self, Found};
use super::identities::{self, Held, IdentityType, Mark, MarkKey, NewIdentity, slot};
use super::joins::Meeting;
use super::requests::NewCustomer;
use super::{Customer, create_many, joins};
use crate::db::Tx;
use crate::db::json::Jsonb;
use crate::error::{Code, Error, FieldError, Result};
use crate::external_ids::ExternalId;

crate::text_enum! {
    /// What to do when nobody has the identities a touchpoint names.
    pub enum OnUnknownCustomer {
        /// Make a customer of them.
        Create = "create",
        /// Refuse the touchpoint. One that names an `anonymous_id` alone is kept all the same.
        Reject = "reject",
        /// Keep the touchpoint without a customer.
        KeepAnonymous = "keep_anonymous",
    }
}

/// Who it was: one or more of these. The strongest one that is known decides; the others are
/// attached to the same customer. Nobody gets a second login, or a second id in one outside system,
/// by an address or browser they share: that is another customer.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(min_properties = 1)]
pub struct CustomerReference {
    /// The customer's id.
    pub id: Option<Uuid>,
    /// Its id in an outside system.
    #[validate(nested)]
    pub external_id: Option<ExternalId>,
    /// An email address.
    #[validate(custom(function = "crate::values::valid::email"))]
    #[schema(example = "ada@shop.example.com", max_length = 254)]
    pub email: Option<String>,
    /// A phone number with country code.
    #[validate(custom(function = "crate::values::valid::phone"))]
    #[schema(example = "+436641234567", max_length = 40)]
    pub phone: Option<String>,
    /// The id of a login in the company's own shop or app.
    #[validate(length(min = 1, max = 255))]
    #[schema(min_length = 1, max_length = 255)]
    pub user_id: Option<String>,
    /// The id of a browser or app.
    #[validate(length(min = 1, max = 255))]
    #[schema(min_length = 1, max_length = 255)]
    pub anonymous_id: Option<String>,
    /// Any other identities.
    #[validate(length(max = 10), nested)]
    #[schema(max_items = 10)]
    pub identities: Vec<NewIdentity>,
    /// What else is known of somebody who has to be made.
    #[serde(skip)]
    pub acquaintance: Acquaintance,
}

/// What a customer who is made from a reference begins with.
#[derive(Debug, Clone, Default)]
pub struct Acquaintance {
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub source: Option<String>,
    /// Everything else but identities.
    pub profile: Option<Box<NewCustomer>>,
}

impl Acquaintance {
    /// Whether nobody has said a name.
    pub fn is_nameless(&self) -> bool {
        self.first_name.is_none() && self.last_name.is_none()
    }
}

/// Whom a reference means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referenced {
    pub customer_id: Option<Uuid>,
    /// Whom the id or mark that led there first belonged to.
    pub origin_customer_id: Option<Uuid>,
    pub anonymous_id: Option<String>,
}

impl CustomerReference {
    /// How many things it names the customer by.
    pub fn marks_count(&self) -> usize {
        let named = [
            self.id.is_some(),
            self.external_id.is_some(),
            self.email.is_some(),
            self.phone.is_some(),
            self.user_id.is_some(),
            self.anonymous_id.is_some(),
        ];
        named.into_iter().filter(|is_named| *is_named).count() + self.identities.len()
    }

    /// The identities beside email, phone and outside id.
    fn others(&self) -> Vec<NewIdentity> {
        let named = [
            (IdentityType::UserId, &self.user_id),
            (IdentityType::AnonymousId, &self.anonymous_id),
        ];
        let named = named.into_iter().filter_map(|(kind, value)| {
            let value = value.clone()?;
            Some(NewIdentity { r#type: kind, source: None, value, is_verified: false })
        });
        self.identities.iter().cloned().chain(named).collect()
    }

    fn external_ids(&self) -> Vec<ExternalId> {
        self.external_id.iter().cloned().collect()
    }

    fn marks(&self) -> Result<Vec<Mark>> {
        let (email, phone) = (self.email.as_deref(), self.phone.as_deref());
        let marks = identities::marks(email, phone, &self.external_ids(), &self.others());
        marks.map_err(|error| error.under("#/customer"))
    }

    fn new_customer(&self) -> NewCustomer {
        let known = self.acquaintance.profile.as_deref().cloned().unwrap_or_default();
        let Acquaintance { first_name, last_name, source, .. } = self.acquaintance.clone();
        NewCustomer {
            external_ids: Jsonb(self.external_ids()),
            email: self.email.clone(),
            phone: self.phone.clone(),
            identities: self.others(),
            first_name: first_name.or(known.first_name),
            last_name: last_name.or(known.last_name),
            source: source.or(known.source),
            ..known
        }
    }

    /// The same without marks that others have.
    fn new_customer_without(&self, taken: &[MarkKey]) -> NewCustomer {
        let mut new = self.new_customer();
        let is_taken = |mark: &Mark| taken.contains(&mark.key());
        let is_free = |kind, value: &String| {
            Mark::parse(kind, None, value).map_or(true, |mark| !is_taken(&mark))
        };
        new.email = new.email.filter(|email| is_free(IdentityType::Email, email));
        new.phone = new.phone.filter(|phone| is_free(IdentityType::Phone, phone));
        new.external_ids.0.retain(|reference| !is_taken(&Mark::external(reference)));
        new.identities.retain(|one| one.mark().map_or(true, |mark| !is_taken(&mark)));
        new
    }

    /// Whether it names a browser and nothing that could be a customer.
    pub fn is_anonymous(&self) -> bool {
        self.id.is_none()
            && self.external_id.is_none()
            && self.email.is_none()
            && self.phone.is_none()
            && self.user_id.is_none()
            && self.identities.is_empty()
    }
}

/// A customer that exists, or the position of one that is about to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    Known(Held),
    New(usize),
}

/// Which one a holder is, however it was come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Who {
    Known(Uuid),
    New(usize),
}

impl Holder {
    fn who(&self) -> Who {
        match self {
            Self::Known(held) => Who::Known(held.customer_id),
            Self::New(position) => Who::New(*position),
        }
    }

    /// Whether somebody proved that what led there is theirs.
    fn is_verified(&self) -> bool {
        matches!(self, Self::Known(held) if held.is_verified)
    }
}

impl Who {
    /// The customer, where it could be made.
    fn customer(self, made: &[Result<Uuid>]) -> Option<Uuid> {
        match self {
            Self::Known(id) => Some(id),
            Self::New(position) => made[position].as_ref().ok().copied(),
        }
    }
}

/// Resolves many references with a fixed number of statements; the results are in their order.
pub fn resolve_many(
    tx: &mut Tx,
    references: &[Option<&CustomerReference>],
    unknown: OnUnknownCustomer,
) -> Result<Vec<Result<Referenced>>> {
    let marks: Vec<Result<Vec<Mark>>> = references
        .iter()
        .map(|reference| reference.map_or(Ok(Vec::new()), CustomerReference::marks))
        .collect();
    let mut resolution = Resolution::load(tx, references, &marks, unknown)?;
    let decided: Vec<Result<Option<Holder>>> = references
        .iter()
        .zip(marks)
        .map(|(reference, marks)| match reference {
            Some(reference) => resolution.decide(reference, marks?),
            None => Ok(None),
        })
        .collect();
    let meetings = std::mem::take(&mut resolution.meetings);
    let made = resolution.carry_out(tx)?;
    let meetings = meetings.into_iter().filter_map(|(one, other, is_verified)| {
        let (customer, other) = (one.customer(&made)?, other.customer(&made)?);
        Some(Meeting { customer, other, is_verified })
    });
    let joined = joins::settle(tx, meetings.collect())?;
    Ok(references
        .iter()
        .zip(decided)
        .map(|(reference, decided)| {
            let now = |id: Uuid| Some(joined.get(&id).copied().unwrap_or(id));
            let (customer, origin) = match decided? {
                None => (None, None),
                Some(Holder::Known(held)) => (now(held.customer_id), Some(held.origin_customer_id)),
                Some(Holder::New(position)) => {
                    let id = made[position].as_ref().copied().map_err(Error::clone)?;
                    (now(id), Some(id))
                }
            };
            let anonymous_id = reference.and_then(|reference| reference.anonymous_id.clone());
            Ok(Referenced { customer_id: customer, origin_customer_id: origin, anonymous_id })
        })
        .collect())
}

/// The same for one: whom it means, or why it is refused.
pub fn resolve(
    tx: &mut Tx,
    reference: &CustomerReference,
    unknown: OnUnknownCustomer,
) -> Result<Result<Referenced>> {
    Ok(resolve_many(tx, &[Some(reference)], unknown)?.pop().expect("BUG: one in, one out"))
}

/// Makes the email address and phone number of a reference the main ones of a customer who has them.
pub fn prefer(tx: &mut Tx, customer: Uuid, reference: &CustomerReference) -> Result<()> {
    let (email, phone) = (reference.email.as_deref(), reference.phone.as_deref());
    let marks = identities::marks(email, phone, &[], &[])?;
    identities::prefer(tx, customer, &marks)
}

/// Whether somebody is refused because they were erased.
pub fn is_erased(error: &Error) -> bool {
    matches!(error, Error::Problem(rejection) if rejection.code == Code::IDENTITY_ERASED.name)
}

/// Somebody made the same person a moment before: run again, which then finds them.
fn unless_raced(error: Error) -> Result<Error> {
    match &error {
        Error::Problem(rejection) if rejection.code == "identities_value_taken" => {
            Err(Error::Retry("the same person was made at the same time".into()))
        }
        _ => Ok(error),
    }
}

/// The logins and outside ids of holders. They matter where one that nobody has comes with something
/// that somebody has.
fn exclusive(
    tx: &mut Tx,
    keys: &[MarkKey],
    held: &HashMap<MarkKey, Holder>,
) -> Result<HashMap<Who, Vec<MarkKey>>> {
    let mut found: HashMap<Who, Vec<MarkKey>> = HashMap::new();
    let is_new = |key: &MarkKey| slot(key).is_some() && !held.contains_key(key);
    if held.is_empty() || !keys.iter().any(is_new) {
        return Ok(found);
    }
    let holders: HashSet<Uuid> = held
        .values()
        .filter_map(|holder| match holder {
            Holder::Known(held) => Some(held.customer_id),
            Holder::New(_) => None,
        })
        .collect();
    for (customer, key) in identities::exclusive(tx, &holders.into_iter().collect::<Vec<_>>())? {
        found.entry(Who::Known(customer)).or_default().push(key);
    }
    Ok(found)
}

struct Resolution {
    unknown: OnUnknownCustomer,
    /// Customers named by id, and who they are now.
    existing: HashMap<Uuid, Uuid>,
    held: HashMap<MarkKey, Holder>,
    /// The logins and outside ids of holders, as far as they matter.
    exclusive: HashMap<Who, Vec<MarkKey>>,
    /// Whose owner was erased, where that is not looked at later.
    found: Found,
    new: Vec<NewCustomer>,
    extra: Vec<(Holder, Mark)>,
    meetings: Vec<(Who, Who, bool)>,
}

impl Resolution {
    fn load(
        tx: &mut Tx,
        references: &[Option<&CustomerReference>],
        marks: &[Result<Vec<Mark>>],
        unknown: OnUnknownCustomer,
    ) -> Result<Self> {
        let ids: Vec<Uuid> =
            references.iter().flatten().filter_map(|reference| reference.id).collect();
        let existing = Customer::current_ids(tx, &ids)?;
        let keys: Vec<MarkKey> = marks.iter().flatten().flatten().map(Mark::key).collect();
        // Who is made is looked at when they are made; here it matters where nobody is.
        let mut found = match unknown {
            OnUnknownCustomer::KeepAnonymous => erased::look_up(tx, &keys)?,
            _ => Found::of(identities::holders(tx, &keys)?),
        };
        let held: HashMap<MarkKey, Holder> = std::mem::take(&mut found.held)
            .into_iter()
            .map(|(key, held)| (key, Holder::Known(held)))
            .collect();
        let exclusive = exclusive(tx, &keys, &held)?;
        let (new, extra, meetings) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { unknown, existing, held, exclusive, found, new, extra, meetings })
    }

    fn decide(
        &mut self,
        reference: &CustomerReference,
        mut marks: Vec<Mark>,
    ) -> Result<Option<Holder>> {
        if let Some(id) = reference.id {
            return self.by_id(id, marks).map(Some);
        }
        if marks.is_empty() {
            let detail = "`customer` must name an `id`, an `external_id` or an identity";
            return Err(Error::field("#/customer", "empty_reference", detail));
        }
        marks.sort_by_key(|mark| std::cmp::Reverse(mark.kind.strength()));
        let means = |mark: &Mark| {
            let holder = self.held.get(&mark.key())?;
            let is_theirs = slot(&mark.key()).is_some() || self.may_have(*holder, &marks);
            is_theirs.then_some(*holder)
        };
        match marks.iter().find_map(means) {
            Some(holder) => {
                self.attach(holder, marks);
                Ok(Some(holder))
            }
            None => self.nobody(reference, marks),
        }
    }

    fn by_id(&mut self, id: Uuid, marks: Vec<Mark>) -> Result<Holder> {
        let Some(customer_id) = self.existing.get(&id).copied() else {
            let detail = "there is no such customer in this workspace";
            return Err(Error::field("#/customer/id", "not_found", detail));
        };
        let holder =
            Holder::Known(Held { customer_id, origin_customer_id: id, is_verified: false });
        self.attach(holder, marks);
        Ok(holder)
    }

    /// Whether somebody may have all these marks: nobody has two logins, or two ids in one outside
    /// system, unless the sender names both.
    fn may_have(&self, holder: Holder, marks: &[Mark]) -> bool {
        marks.iter().all(|mark| self.may_get(holder, &mark.key(), marks))
    }

    fn may_get(&self, holder: Holder, key: &MarkKey, beside: &[Mark]) -> bool {
        let Some(slot_of_it) = slot(key) else { return true };
        let theirs = self.exclusive.get(&holder.who()).into_iter().flatten();
        let mut same = theirs.filter(|known| slot(known) == Some(slot_of_it)).peekable();
        same.peek().is_none() || same.any(|known| beside.iter().any(|mark| mark.key() == *known))
    }

    /// The marks nobody holds yet go to the one whom the others mean. A mark that somebody else holds
    /// says that the two may be one.
    fn attach(&mut self, holder: Holder, mut marks: Vec<Mark>) {
        let taken = self.meet(holder, &marks);
        let is_free = |mark: &Mark| !taken.contains(&mark.key());
        let theirs: Vec<bool> = marks
            .iter()
            .map(|mark| is_free(mark) && self.may_get(holder, &mark.key(), &marks))
            .collect();
        for (mark, _) in marks.drain(..).zip(theirs).filter(|(_, is_theirs)| *is_theirs) {
            self.hold(holder, mark.key());
            self.extra.push((holder, Mark { is_primary: false, ..mark }));
        }
    }

    fn hold(&mut self, holder: Holder, key: MarkKey) {
        if slot(&key).is_some() {
            self.exclusive.entry(holder.who()).or_default().push(key.clone());
        }
        self.held.insert(key, holder);
    }

    /// Notes whom somebody meets by these marks; returns those that are held already.
    fn meet(&mut self, holder: Holder, marks: &[Mark]) -> Vec<MarkKey> {
        let mut taken = Vec::new();
        for mark in marks {
            let Some(other) = self.held.get(&mark.key()) else { continue };
            if other.who() != holder.who() {
                let is_verified = other.is_verified() || mark.is_verified;
                self.meetings.push((holder.who(), other.who(), is_verified));
            }
            taken.push(mark.key());
        }
        taken
    }

    fn nobody(
        &mut self,
        reference: &CustomerReference,
        marks: Vec<Mark>,
    ) -> Result<Option<Holder>> {
        match self.unknown {
            OnUnknownCustomer::KeepAnonymous => {
                marks.iter().try_for_each(|mark| self.found.refuse_erased(mark))?;
                Ok(None)
            }
            OnUnknownCustomer::Reject if reference.is_anonymous() => Ok(None),
            OnUnknownCustomer::Reject => {
                let detail = "no customer has these identities; `on_unknown_customer` decides \
                              whether to make one";
                Err(Error::invalid(vec![FieldError::at(
                    "#/customer",
                    "customer_not_found",
                    detail,
                )]))
            }
            OnUnknownCustomer::Create => {
                let holder = Holder::New(self.new.len());
                let taken = self.meet(holder, &marks);
                self.new.push(reference.new_customer_without(&taken));
                for mark in marks.iter().filter(|mark| !taken.contains(&mark.key())) {
                    self.hold(holder, mark.key());
                }
                Ok(Some(holder))
            }
        }
    }

    fn carry_out(self, tx: &mut Tx) -> Result<Vec<Result<Uuid>>> {
        let made: Vec<Result<Uuid>> = match self.new.is_empty() {
            true => Vec::new(),
            false => create_many(tx, &self.new)?
                .into_iter()
                .map(|made| match made {
                    Ok(customer) => Ok(Ok(customer.id)),
                    Err(error) => unless_raced(error.under("#/customer")).map(Err),
                })
                .collect::<Result<_>>()?,
        };
        let extra: Vec<(Uuid, &Mark)> = self
            .extra
            .iter()
            .filter_map(|(holder, mark)| Some((holder.who().customer(&made)?, mark)))
            .collect();
        identities::adopt(tx, &extra)?;
        Ok(made)
    }
}
