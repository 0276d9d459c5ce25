//! The two hundred people who shop at Alpenglow.

use std::collections::BTreeSet;

use chrono::{Days, NaiveDate};
use serde_json::{Value, json};

use super::goods::SPORTS;
use super::names::{in_ascii, names_at};
use super::places::{Country, Language, MUNICH, Place, places_in};
use super::random::Random;
use super::setup::{ORGANIZATIONS, Organization, SOURCE};
use super::words::Phrase;

/// How many customers live where; 200 together with the hero.
const CUSTOMERS: [(Country, usize); 6] = [
    (Country::DE, 84),
    (Country::AT, 36),
    (Country::CH, 34),
    (Country::FR, 18),
    (Country::GB, 16),
    (Country::US, 11),
];
/// A stage for each of twenty customers.
const STAGES: [&str; 20] = [
    "customer",
    "customer",
    "customer",
    "customer",
    "customer",
    "customer",
    "customer",
    "customer",
    "customer",
    "customer",
    "customer",
    "evangelist",
    "subscriber",
    "subscriber",
    "subscriber",
    "lead",
    "lead",
    "lead",
    "marketing_qualified_lead",
    "visitor",
];
const MAILBOXES: [&str; 4] =
    ["mail.example.com", "post.example.org", "inbox.example.net", "briefkasten.example.com"];
static HERO_PLACE: Place = Place { locale: "en-DE", language: Language::En, ..MUNICH };

/// A customer as the stories know them.
#[derive(Debug)]
pub struct Person {
    /// Alpenglow's customer number, `c-1001` and up.
    pub id: String,
    pub first_name: &'static str,
    pub last_name: &'static str,
    pub place: &'static Place,
    pub email: Option<String>,
    pub phone: Option<String>,
    /// Channel types they like to be reached on.
    pub channels: Vec<&'static str>,
    pub sport: &'static str,
    pub organization: Option<&'static Organization>,
    body: Value,
}

impl Person {
    /// The body that creates the customer.
    pub fn body(&self) -> Value {
        self.body.clone()
    }

    /// How Alpenglow's own systems name the person in a touchpoint.
    pub fn by_id(&self) -> Value {
        json!({"external_id": {"source": SOURCE, "id": self.id}})
    }

    /// What they pay with.
    pub fn currency(&self) -> &'static str {
        self.place.country.currency()
    }

    /// Whether they want to hear from the shop this way.
    pub fn likes(&self, channel: &str) -> bool {
        self.channels.contains(&channel)
    }

    /// A phrase in their language; the Swiss write no `ß`.
    pub fn hears(&self, phrase: &Phrase) -> String {
        let text = phrase.in_language(self.place.language);
        if self.place.country == Country::CH { text.replace('ß', "ss") } else { text.into() }
    }
}

/// Everyone, the hero first, then the contacts of the organizations. The same seed makes the same
/// people, whatever the day.
pub fn people(seed: u64) -> Vec<Person> {
    let mut random = Random::new(seed, "people");
    let mut taken = BTreeSet::new();
    let mut people = vec![hero()];
    for (country, place, organization) in homes(&mut random) {
        let nth = people.iter().filter(|person| person.place.country == country).count();
        let (first_name, last_name) = new_name(&mut random, place, &mut taken);
        let id = format!("c-{}", 1001 + people.len());
        let mut person = Person {
            id,
            first_name,
            last_name,
            place,
            email: None,
            phone: None,
            channels: Vec::new(),
            sport: random.pick(&SPORTS),
            organization,
            body: Value::Null,
        };
        give_addresses(&mut random, &mut person, nth);
        give_preferences(&mut random, &mut person);
        person.body = describe(&mut random, &person);
        people.push(person);
    }
    people
}

/// Where each customer lives: first the contacts of the organizations, then everyone else mixed.
fn homes(random: &mut Random) -> Vec<(Country, &'static Place, Option<&'static Organization>)> {
    let mut countries = Vec::new();
    for (country, count) in CUSTOMERS {
        let contacts = ORGANIZATIONS.iter().filter(|o| o.country == country).count();
        countries.extend(std::iter::repeat_n(country, count - contacts));
    }
    for last in (1..countries.len()).rev() {
        countries.swap(last, random.below(last + 1));
    }
    let contacts = ORGANIZATIONS.iter().map(|o| (o.country, Some(o)));
    contacts
        .chain(countries.into_iter().map(|country| (country, None)))
        .map(|(country, organization)| (country, random.pick(&places_in(country)), organization))
        .collect()
}

fn new_name(
    random: &mut Random,
    place: &Place,
    taken: &mut BTreeSet<(&'static str, &'static str)>,
) -> (&'static str, &'static str) {
    let names = names_at(place);
    loop {
        let name = (random.pick(names.first), random.pick(names.last));
        if taken.insert(name) {
            return name;
        }
    }
}

/// One in twelve is known by phone only, one in four by email only.
fn give_addresses(random: &mut Random, person: &mut Person, nth: usize) {
    let local = format!("{}.{}", in_ascii(person.first_name), in_ascii(person.last_name));
    let domain = person.organization.map_or_else(|| random.pick(&MAILBOXES), |o| o.domain);
    let fate = if person.organization.is_some() { 12 } else { random.below(12) };
    if fate != 0 {
        person.email = Some(format!("{local}@{domain}"));
    }
    if !(1..=3).contains(&fate) {
        person.phone = Some(person.place.country.phone(nth));
    }
}

/// People only like channels they can be reached on.
fn give_preferences(random: &mut Random, person: &mut Person) {
    let odds = [
        ("email", person.email.is_some(), 78),
        ("sms", person.phone.is_some(), 35),
        ("whatsapp", person.phone.is_some(), 30),
        ("push", true, 40),
        ("phone", person.phone.is_some(), 20),
        ("post", true, 25),
    ];
    for (channel, reachable, percent) in odds {
        if random.chance(percent) && reachable {
            person.channels.push(channel);
        }
    }
}

fn describe(random: &mut Random, person: &Person) -> Value {
    let (source, acquisition) = origin(random);
    let stage = if person.organization.is_some() { "customer" } else { random.pick(&STAGES) };
    let buys = matches!(stage, "customer" | "evangelist");
    let is_club_member = random.chance(30);
    let mut attributes = json!({"favorite_sport": person.sport, "club_member": is_club_member});
    if random.chance(70) {
        attributes["shoe_size"] = json!(random.between(36, 46));
    }
    if buys {
        attributes["loyalty_points"] = json!(random.between(0, 180) * 5);
    }
    if person.likes("email") {
        attributes["newsletter_since"] = json!(some_day(random));
    }
    let labels = [("club", is_club_member), ("b2b", person.organization.is_some())];
    let tags: Vec<&str> = labels.into_iter().filter(|(_, wears)| *wears).map(|(t, _)| t).collect();
    let mut body = json!({
        "lifecycle_stage": stage,
        "source": source,
        "tags": tags,
        "attributes": attributes,
    });
    if let Some(acquisition) = acquisition {
        body["acquisition"] = acquisition;
    }
    if buys || random.chance(30) {
        body["addresses"] = json!([address(person.place, &street(random, person.place))]);
    }
    fill_in(&mut body, person);
    body
}

/// Adds what every customer has, whoever wrote the rest.
fn fill_in(body: &mut Value, person: &Person) {
    let place = person.place;
    body["external_ids"] = json!([{"source": SOURCE, "id": person.id}]);
    body["first_name"] = json!(person.first_name);
    body["last_name"] = json!(person.last_name);
    body["locale"] = json!(place.locale);
    body["timezone"] = json!(place.zone.name());
    body["currency"] = json!(person.currency());
    body["preferences"] = json!({
        "channels": person.channels,
        "topics": [person.sport],
        "language": place.language.tag(),
    });
    if let Some(email) = &person.email {
        body["email"] = json!(email);
    }
    if let Some(phone) = &person.phone {
        body["phone"] = json!(phone);
    }
}

fn street(random: &mut Random, place: &Place) -> String {
    random.pick(place.streets).replace('#', &random.between(1, 89).to_string())
}

fn address(place: &Place, line1: &str) -> Value {
    let mut address = json!({
        "type": "shipping",
        "is_default": true,
        "line1": line1,
        "city": place.city,
        "postal_code": place.postal_code,
        "country": place.country,
    });
    if let Some(region) = place.region {
        address["region"] = json!(region);
    }
    address
}

/// A day before the story begins.
fn some_day(random: &mut Random) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(2019, 4, 1)?.checked_add_days(Days::new(random.below(2400) as u64))
}

/// How they found the shop: the source, and for campaigns what the links said.
fn origin(random: &mut Random) -> (&'static str, Option<Value>) {
    match random.below(10) {
        0..=2 => ("shop", None),
        3 => ("referral", None),
        4 => ("event", Some(acquisition("boulder-cup", "flyer", "boulder-cup-2025", "cup"))),
        5 | 6 => ("web", Some(acquisition("search", "cpc", "brand", ""))),
        7 => ("web", Some(acquisition("summit-blog", "referral", "gear-test", "hiking"))),
        _ => ("social", Some(acquisition("instagram", "social", "first-snow", "skiing"))),
    }
}

fn acquisition(source: &str, medium: &str, campaign: &str, page: &str) -> Value {
    let mut acquisition = json!({
        "utm_source": source,
        "utm_medium": medium,
        "utm_campaign": campaign,
        "landing_page": format!("https://alpenglow.example.com/{page}"),
    });
    if medium != "flyer" {
        acquisition["referrer"] = json!(format!("https://{source}.example.net/"));
    }
    acquisition
}

/// Ada Lindqvist, a Swede in Munich, whose day the README tells.
fn hero() -> Person {
    let mut hero = Person {
        id: "c-1001".into(),
        first_name: "Ada",
        last_name: "Lindqvist",
        place: &HERO_PLACE,
        email: Some("ada.lindqvist@mail.example.com".into()),
        phone: Some(Country::DE.phone(0)),
        channels: vec!["email", "whatsapp", "sms", "phone", "post"],
        sport: "climbing",
        organization: None,
        body: json!({
            "lifecycle_stage": "customer",
            "source": "shop",
            "acquisition": acquisition("boulder-cup", "flyer", "boulder-cup-2025", "cup"),
            "addresses": [address(&HERO_PLACE, "Klenzestraße 41")],
            "tags": ["club"],
            "attributes": {"favorite_sport": "climbing", "shoe_size": 42, "loyalty_points": 120,
                "club_member": true, "newsletter_since": "2024-09-02"},
        }),
    };
    let mut body = hero.body.take();
    fill_in(&mut body, &hero);
    hero.body = body;
    hero
}
