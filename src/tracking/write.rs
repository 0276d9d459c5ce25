//! Calls written down: each becomes a touchpoint, and what it says of a customer, an organization, an
//! order or a cart goes there, in the same transaction.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::commerce::{CartReport, Sale, SaleStep};
use super::message::{CallType, Message};
use super::names::type_of;
use super::report::Report;
use super::traits::{self, Profile};
use super::{context, groups, people, shop};
use crate::attributes::{AttributeResource, Definitions};
use crate::customers::identities::{self, IdentityType, MarkKey, NewIdentity};
use crate::customers::references::{Acquaintance, CustomerReference, OnUnknownCustomer};
use crate::db::{Actor, Tx};
use crate::error::{Error, FieldError, Result};
use crate::external_ids::{self, Owner};
use crate::journal::TouchpointActor;
use crate::journal::touchpoint::TouchpointSubject;
use crate::organizations::OrganizationPatch;
use crate::touchpoints::{
    ChannelReference, NewTouchpoint, OrganizationReference, Stored, ingest_with_customers,
};
use crate::values::free::FreeObject;
use crate::workspaces::Workspace;

/// The system of everything that is tracked: message ids, groups, orders and carts are its.
pub const SOURCE: &str = "segment";

/// The channel whose outside id in this system is the id of a key is where the key's calls happen.
const OF_KEY: &str = "api_key";

/// Calls that may each join two customers and are looked at together: no more than are joined at once.
const JOINING: usize = 20;

/// With which key calls came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sender {
    pub key: Uuid,
    /// Whether it may put a new address in place of an old one. A write key is public: it adds.
    pub may_change_customers: bool,
    /// Whether it may change orders. A write key records new ones.
    pub may_change_orders: bool,
}

/// What became of a call that was not refused.
#[derive(Debug)]
pub struct Taken {
    pub status: u16,
    pub id: Uuid,
    /// What of it could not be used, and why.
    pub ignored: Vec<FieldError>,
}

/// What a call does besides being remembered.
enum Effect {
    Nothing,
    Profile(Box<Profile>),
    Member(Box<OrganizationPatch>, Uuid),
    Sale(Sale),
    Cart(CartReport),
}

struct Translated {
    new: NewTouchpoint,
    effect: Effect,
    ignored: Vec<FieldError>,
}

/// What calls are read against.
pub struct Surroundings {
    pub sender: Sender,
    pub channel: Option<Uuid>,
    pub currency: String,
    pub definitions: Definitions,
    /// Former ids in `alias` calls that are logins.
    logins: Vec<String>,
    /// Organizations by the id that `group` calls give them.
    organizations: HashMap<String, Uuid>,
}

/// Writes calls in their order; each is taken in or refused on its own.
pub fn take_in(tx: &mut Tx, sender: Sender, calls: &[Message]) -> Result<Vec<Result<Taken>>> {
    let mut around = Surroundings::load(tx, sender, calls)?;
    let mut results = Vec::with_capacity(calls.len());
    let mut rest = calls;
    while !rest.is_empty() {
        let (run, later) = rest.split_at(run_of(rest).max(1));
        results.append(&mut take_run(tx, &mut around, run)?);
        rest = later;
    }
    Ok(results)
}

/// How many of the next calls are looked at together: until one may join two customers of whom earlier
/// ones have just told, for those have to be there first; and no more than are joined at once.
fn run_of(calls: &[Message]) -> usize {
    let mut people: HashMap<String, usize> = HashMap::new();
    let mut joining = 0;
    for (at, call) in calls.iter().enumerate() {
        let marks = marks(call);
        let mut known = marks.iter().filter_map(|mark| people.get(mark).copied());
        let person = known.next();
        joining += usize::from(marks.len() > 1 && is_joining(call));
        if known.any(|other| Some(other) != person) || joining > JOINING {
            return at;
        }
        people.extend(marks.into_iter().map(|mark| (mark, person.unwrap_or(at))));
    }
    calls.len()
}

fn is_joining(call: &Message) -> bool {
    matches!(call.kind, CallType::Identify | CallType::Alias)
}

/// By what a call names the customer.
fn marks(call: &Message) -> Vec<String> {
    let text = |name| call.details.get(name).and_then(Value::as_str).filter(|_| is_joining(call));
    let former = call.other_id.as_deref().filter(|_| call.kind == CallType::Alias);
    let marks = [
        ("user", call.user_id.as_deref()),
        ("browser", call.anonymous_id.as_deref()),
        ("user", former),
        ("browser", former),
        ("email", text("email")),
        ("phone", text("phone")),
    ];
    let said = marks.into_iter().filter_map(|(kind, mark)| Some((kind, mark?.trim())));
    said.map(|(kind, mark)| format!("{kind}:{}", mark.to_lowercase())).collect()
}

fn take_run(
    tx: &mut Tx,
    around: &mut Surroundings,
    calls: &[Message],
) -> Result<Vec<Result<Taken>>> {
    let mut translated = Vec::with_capacity(calls.len());
    for call in calls {
        translated.push(translate(tx, around, call)?);
    }
    let new: Vec<NewTouchpoint> = translated.iter().map(|one| one.new.clone()).collect();
    let stored = ingest_with_customers(tx, &new, OnUnknownCustomer::Create)?;
    let mut people = people::People::load(tx, &profiled(&translated, &stored))?;
    let mut results = Vec::with_capacity(calls.len());
    for ((call, one), stored) in calls.iter().zip(translated).zip(stored) {
        results.push(match stored {
            Err(error) => Err(error),
            Ok(stored) => Ok(finish(tx, around, &mut people, call, one, stored)?),
        });
    }
    people.greet(tx)?;
    Ok(results)
}

/// The customers of whom something is said.
fn profiled(translated: &[Translated], stored: &[Result<Stored>]) -> Vec<Uuid> {
    let both = translated.iter().zip(stored);
    let said = both.filter(|(one, _)| matches!(one.effect, Effect::Profile(_)));
    said.filter_map(|(_, stored)| stored.as_ref().ok()?.customer_id).collect()
}

fn finish(
    tx: &mut Tx,
    around: &Surroundings,
    people: &mut people::People,
    call: &Message,
    one: Translated,
    stored: Stored,
) -> Result<Taken> {
    let Translated { new, effect, mut ignored } = one;
    // What was told before has had its effect.
    if stored.status == 201 {
        match (&effect, stored.customer_id) {
            (Effect::Profile(profile), Some(customer)) => {
                let is_known = call.user_id.is_some() || profile.email.is_some();
                people.tell(tx, around, customer, profile, is_known, &mut ignored)?;
            }
            (Effect::Member(patch, organization), customer) => {
                groups::tell(tx, *organization, patch, customer, &mut ignored)?;
            }
            (Effect::Sale(sale), customer) => {
                let event = shop::Event { said: &new, id: stored.id, customer };
                shop::sell(tx, around, sale, &event, &mut ignored)?;
            }
            (Effect::Cart(cart), customer) => {
                let event = shop::Event { said: &new, id: stored.id, customer };
                shop::fill(tx, around, cart, &event, &mut ignored)?;
            }
            (Effect::Nothing | Effect::Profile(_), _) => {}
        }
    }
    Ok(Taken { status: stored.status, id: stored.id, ignored })
}

impl Surroundings {
    fn load(tx: &mut Tx, sender: Sender, calls: &[Message]) -> Result<Self> {
        let key = sender.key.to_string();
        let of_kind = |kind| calls.iter().filter(move |call| call.kind == kind);
        let former = of_kind(CallType::Alias).filter_map(|call| call.other_id.clone());
        let former: Vec<MarkKey> = former.map(|id| (IdentityType::UserId, id)).collect();
        let logins = identities::holders(tx, &former)?.into_keys().map(|(_, id)| id).collect();
        Ok(Self {
            sender,
            channel: external_ids::find(tx, Owner::Channel, OF_KEY, &key)?,
            currency: Workspace::current(tx)?.default_currency,
            definitions: Definitions::load(tx, AttributeResource::Customer)?,
            logins,
            organizations: groups::known(tx, of_kind(CallType::Group))?,
        })
    }
}

/// A call as a touchpoint, and what it does besides.
fn translate(tx: &mut Tx, around: &mut Surroundings, call: &Message) -> Result<Translated> {
    let mut ignored = call.ignored.clone();
    let at = call.happened_at(tx.now);
    let mut new = NewTouchpoint {
        customer: None,
        channel: around.channel.map(|id| ChannelReference { id: Some(id), external_id: None }),
        organization: None,
        r#type: own_type(call),
        name: call.name.clone(),
        direction: None,
        occurred_at: Some(at.max(crate::journal::earliest())),
        source: Some(SOURCE.into()),
        message_id: call.message_id.clone(),
        subject: None,
        actor: None,
        value: None,
        content: None,
        context: circumstances(call).map(|told| context::read(&told, &mut ignored)),
        properties: FreeObject(call.details.clone()),
    };
    let effect = match call.kind {
        CallType::Identify => {
            let profile = profile(around, call, &mut ignored);
            Effect::Profile(Box::new(profile))
        }
        CallType::Group => group(tx, around, call, &mut new, &mut ignored)?,
        CallType::Track => commerce(tx, around, call, &mut new, &mut ignored),
        CallType::Alias => {
            new.properties =
                FreeObject(Map::from_iter([("previousId".into(), json!(call.other_id))]));
            Effect::Nothing
        }
        CallType::Page | CallType::Screen => Effect::Nothing,
    };
    new.customer = Some(reference(around, call, &effect));
    Ok(Translated { new, effect, ignored })
}

fn own_type(call: &Message) -> String {
    match call.kind {
        CallType::Identify => "user.identified".into(),
        CallType::Alias => "user.aliased".into(),
        CallType::Group => "group.joined".into(),
        CallType::Page => "page.viewed".into(),
        CallType::Screen => "screen.viewed".into(),
        CallType::Track => type_of(call.name.as_deref().unwrap_or_default()),
    }
}

/// Servers say of a page in its properties what browsers say in the context.
fn circumstances(call: &Message) -> Option<Map<String, Value>> {
    let mut context = call.context.clone();
    if call.kind == CallType::Page && !context.contains_key("page") {
        context.insert("page".into(), Value::Object(call.details.clone()));
    }
    (!context.is_empty()).then_some(context)
}

fn profile(around: &Surroundings, call: &Message, ignored: &mut Vec<FieldError>) -> Profile {
    let mut profile = traits::customer(&call.details, ignored);
    if let Some(attributes) = &mut profile.patch.attributes {
        let unfit = around.definitions.sift(&mut attributes.0);
        ignored.extend(unfit.into_iter().map(people::as_trait));
    }
    profile
}

fn group(
    tx: &mut Tx,
    around: &mut Surroundings,
    call: &Message,
    new: &mut NewTouchpoint,
    ignored: &mut Vec<FieldError>,
) -> Result<Effect> {
    let id = call.other_id.clone().unwrap_or_default();
    let patch = traits::organization(&call.details, ignored);
    new.subject = Some(TouchpointSubject { r#type: "group".into(), id: id.clone() });
    let known = around.organizations.get(&id).copied();
    let organization = match known {
        Some(organization) => Some(organization),
        None => groups::make(tx, &id, &patch, ignored)?,
    };
    let Some(organization) = organization else { return Ok(Effect::Nothing) };
    around.organizations.insert(id, organization);
    new.organization = Some(OrganizationReference { id: Some(organization), external_id: None });
    Ok(Effect::Member(Box::new(patch), organization))
}

/// An event that records an order or a cart is a report: what follows from it, the order or cart tells
/// itself, and it counts once.
fn commerce(
    tx: &Tx,
    around: &Surroundings,
    call: &Message,
    new: &mut NewTouchpoint,
    ignored: &mut Vec<FieldError>,
) -> Effect {
    let report = Report { properties: &call.details, currency: &around.currency, source: SOURCE };
    new.value = report.value(ignored);
    let mut report_on = |noun: &str, id: &str| {
        new.r#type = format!("{noun}.reported");
        new.subject = Some(TouchpointSubject { r#type: noun.into(), id: id.into() });
    };
    let kind = own_type(call);
    if let Some(sale) = report.sale(&kind) {
        report_on("order", &sale.id);
        if sale.step == SaleStep::Refunded && around.sender.may_change_orders {
            // The shop's doing; and what is believed of an order that is told only later.
            let Actor { kind, id } = tx.session.actor;
            new.actor = Some(TouchpointActor { r#type: kind, id });
        }
        return Effect::Sale(sale);
    }
    if let Some(cart) = report.cart(&kind, ignored) {
        report_on("cart", &cart.id);
        return Effect::Cart(cart);
    }
    Effect::Nothing
}

/// Whom a call is about.
fn reference(around: &Surroundings, call: &Message, effect: &Effect) -> CustomerReference {
    let mut reference = CustomerReference {
        user_id: call.user_id.clone(),
        anonymous_id: call.anonymous_id.clone(),
        ..CustomerReference::default()
    };
    let mut known = None;
    if let Effect::Profile(profile) = effect {
        (reference.email, reference.phone) = (profile.email.clone(), profile.phone.clone());
        known = Some(people::begun(around, profile));
    }
    if let (CallType::Alias, Some(former)) = (call.kind, &call.other_id) {
        let is_login = around.logins.contains(former);
        let kind = if is_login { IdentityType::UserId } else { IdentityType::AnonymousId };
        let value = former.clone();
        let former = NewIdentity { r#type: kind, source: None, value, is_verified: false };
        reference.identities = vec![former];
    }
    if reference.is_anonymous() {
        known.get_or_insert_default().lifecycle_stage = traits::visitor().lifecycle_stage;
    }
    let source = Some(SOURCE.to_owned());
    let profile = known.map(Box::new);
    reference.acquaintance = Acquaintance { source, profile, ..Acquaintance::default() };
    reference
}

/// Does something that must not keep a call from being remembered; whether it was done.
pub fn attempt(
    tx: &mut Tx,
    ignored: &mut Vec<FieldError>,
    at: &str,
    work: impl FnOnce(&mut Tx) -> Result<()>,
) -> Result<bool> {
    match tx.savepoint(work) {
        Ok(()) => Ok(true),
        Err(error) if error.is_rejection() => {
            ignored.extend(faults(&error, at));
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// What a refusal says, seen from the part of the call at `at`.
pub fn faults(error: &Error, at: &str) -> Vec<FieldError> {
    let rejection = error.rejection();
    if rejection.errors.is_empty() {
        let (code, detail) = (rejection.code.clone(), rejection.detail.clone());
        return vec![FieldError { pointer: Some(at.into()), parameter: None, code, detail }];
    }
    rejection.errors.iter().cloned().map(|fault| fault.under(at)).collect()
}
