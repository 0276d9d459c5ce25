//! What happens face to face: visits to the three shops, boot fittings, talks with partners.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::diary::{Diary, Event, STORE, letter, subject};
use super::goods::{Line, PRODUCTS, Product, describe, total};
use super::people::Person;
use super::places::{Country, Place};
use super::setup::ChannelType;
use super::words::{ASSORTMENT_SUBJECT, ASSORTMENT_TEXT, FITTING_SUBJECT, FITTING_TEXTS};

const VISITS: usize = 48;
const FITTINGS: usize = 12;

/// Tills, fitting rooms and meeting tables.
pub fn tell(diary: &mut Diary) {
    diary.begin("shops");
    for _ in 0..VISITS {
        if let Some(person) = diary.someone(|person| person.place.has_store) {
            visit(diary, person);
        }
    }
    diary.begin("fittings");
    for _ in 0..FITTINGS {
        if let Some(person) = diary.someone(|person| person.place.has_store) {
            fit(diary, person);
        }
    }
    diary.begin("partners");
    for contact in diary.everyone(|person| person.organization.is_some()) {
        meet(diary, contact);
    }
}

/// Regulars show their club card; three of four leave with a bag.
fn visit(diary: &mut Diary, person: &Person) {
    let till = ChannelType::Pos;
    let came = diary.moment(person.place.zone, &STORE);
    let store = person.place.city;
    let staff = staff(diary, person.place);
    diary.write(Event {
        properties: json!({"store": store, "staff": staff}),
        ..Event::inbound(came, person.by_id(), till, "visit.made")
    });
    if !diary.random.chance(75) {
        return;
    }
    let lines = bag(diary);
    let currency = person.currency();
    let placed = diary.later(came, 300, 2_400);
    let order = Event {
        subject: subject("order", &diary.order_number()),
        value: Some(total(&lines, currency)),
        ..Event::inbound(placed, person.by_id(), till, "order.placed")
    };
    let method = diary.random.pick(&["card", "card", "cash", "voucher"]);
    let paid = diary.later(placed, 15, 60);
    diary.write(Event {
        kind: "order.paid",
        at: paid,
        properties: json!({"store": store, "payment_method": method}),
        ..order.clone()
    });
    let properties = json!({"store": store, "items": describe(&lines, currency)});
    diary.write(Event { properties, ..order });
}

/// Who works there; whoever comes from afar is looked after by Munich.
fn staff(diary: &mut Diary, place: &Place) -> &'static str {
    match place.country {
        Country::AT => "Theresa",
        Country::CH => "Reto",
        Country::DE | Country::FR | Country::GB | Country::US => {
            diary.random.pick(&["Jonas", "Miriam"])
        }
    }
}

/// One to three different things.
fn bag(diary: &mut Diary) -> Vec<Line> {
    let mut products: Vec<&'static Product> = Vec::new();
    for _ in 0..diary.random.pick(&[1, 1, 2, 3]) {
        let product = diary.random.pick(&PRODUCTS.each_ref());
        if !products.contains(&product) {
            products.push(product);
        }
    }
    products.into_iter().map(|product| Line { product, quantity: 1 }).collect()
}

/// What a meeting is about, in the words of the one who comes.
struct Meeting<'a> {
    person: &'a Person,
    about: Option<Value>,
    headline: String,
    notes: String,
}

/// A boot fitting, agreed in the morning and held in the afternoon; some forget to come.
fn fit(diary: &mut Diary, person: &Person) {
    let meeting = Meeting {
        person,
        about: subject("appointment", "boot-fitting"),
        headline: person.hears(&FITTING_SUBJECT),
        notes: person.hears(&diary.random.pick(&FITTING_TEXTS)),
    };
    let opening = diary.clock(person.place.zone, 8, 30, 0);
    let agreed = diary.later(opening, 0, 10_800);
    let half_hours = diary.random.between(0, 9);
    let starts = diary.clock(person.place.zone, 13, 0, 0) + TimeDelta::minutes(30 * half_hours);
    meeting.agree(diary, agreed, starts);
    meeting.hold(diary, starts);
}

/// Partners buy for their members; some come to talk about it, some agree to do so next week.
fn meet(diary: &mut Diary, contact: &Person) {
    let Some(organization) = contact.organization else { return };
    let meeting = Meeting {
        person: contact,
        about: subject("organization", organization.id),
        headline: contact.hears(&ASSORTMENT_SUBJECT),
        notes: contact.hears(&ASSORTMENT_TEXT),
    };
    let hour = diary.random.between(9, 16) as u32;
    let today = diary.clock(contact.place.zone, hour, 0, 0);
    if diary.random.chance(60) {
        meeting.hold(diary, today);
    } else {
        let next_week = today + TimeDelta::days(diary.random.between(5, 9));
        meeting.agree(diary, today, next_week);
    }
}

impl Meeting<'_> {
    fn agree(&self, diary: &mut Diary, agreed: DateTime<Utc>, starts: DateTime<Utc>) {
        let who = self.person.by_id();
        diary.write(Event {
            subject: self.about.clone(),
            content: Some(json!({"subject": self.headline})),
            properties: json!({"starts_at": starts}),
            ..Event::outbound(agreed, who, ChannelType::Meeting, "meeting.scheduled")
        });
    }

    /// One of eight is waited for in vain.
    fn hold(&self, diary: &mut Diary, starts: DateTime<Utc>) {
        let (kind, content) = if diary.random.chance(88) {
            ("meeting.held", letter(&self.headline, &self.notes))
        } else {
            ("meeting.missed", Some(json!({"subject": self.headline})))
        };
        let staff = staff(diary, self.person.place);
        diary.write(Event {
            subject: self.about.clone(),
            content,
            properties: json!({"staff": staff}),
            ..Event::inbound(starts, self.person.by_id(), ChannelType::Meeting, kind)
        });
    }
}
