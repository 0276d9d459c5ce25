//! The book in which everything that happens during the day is written down.

use chrono::{
    DateTime, Days, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, TimeZone, Timelike, Utc,
};
use chrono_tz::Tz;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::goods::Money;
use super::people::Person;
use super::random::Random;
use super::setup::{ChannelType, SOURCE};

/// How busy each hour of the day is, in percent of the busiest, on the customer's own clock.
pub type Curve = [usize; 24];

/// People at their screens: a little before work, some at noon, most on the sofa.
pub const ONLINE: Curve =
    [8, 4, 2, 1, 1, 4, 14, 38, 46, 40, 42, 46, 62, 52, 42, 42, 46, 54, 66, 86, 100, 94, 60, 26];
/// The telephone is staffed from nine to six.
pub const TELEPHONE: Curve =
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 90, 100, 80, 30, 50, 70, 80, 90, 70, 0, 0, 0, 0, 0, 0];
/// The shops are open from ten to seven; Saturday afternoon is full.
pub const STORE: Curve =
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 50, 80, 60, 70, 100, 100, 90, 70, 40, 0, 0, 0, 0, 0];
/// Parcel vans leave early.
pub const DELIVERY: Curve =
    [0, 0, 0, 0, 0, 10, 80, 100, 70, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Who acts on whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Inbound,
    Outbound,
    Internal,
}

/// One thing that happened; serialized, it is the body that creates the touchpoint.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    /// Whom it is about: one of `external_id`, `email` and `anonymous_id`.
    pub customer: Value,
    #[serde(serialize_with = "as_reference")]
    pub channel: ChannelType,
    /// `noun.past_verb`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What the tracker in the browser calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'static str>,
    pub direction: Direction,
    #[serde(rename = "occurred_at", serialize_with = "as_milliseconds")]
    pub at: DateTime<Utc>,
    pub source: &'static str,
    /// Given when the day is closed.
    pub message_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<Value>,
    pub properties: Value,
}

fn as_reference<S: Serializer>(channel: &ChannelType, serializer: S) -> Result<S::Ok, S::Error> {
    json!({"external_id": {"source": SOURCE, "id": channel.external_id()}}).serialize(serializer)
}

fn as_milliseconds<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&milliseconds(*at))
}

/// A time as the demo's files write it.
pub fn milliseconds(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

impl Event {
    /// The customer did something.
    pub fn inbound(
        at: DateTime<Utc>,
        customer: Value,
        channel: ChannelType,
        kind: &'static str,
    ) -> Self {
        Self {
            customer,
            channel,
            kind,
            name: None,
            direction: Direction::Inbound,
            at,
            source: "alpenglow-shop",
            message_id: String::new(),
            subject: None,
            value: None,
            content: None,
            context: None,
            properties: json!({}),
        }
    }

    /// The shop did something to the customer.
    pub fn outbound(
        at: DateTime<Utc>,
        customer: Value,
        channel: ChannelType,
        kind: &'static str,
    ) -> Self {
        Self { direction: Direction::Outbound, ..Self::inbound(at, customer, channel, kind) }
    }

    /// Something happened behind the scenes.
    pub fn internal(
        at: DateTime<Utc>,
        customer: Value,
        channel: ChannelType,
        kind: &'static str,
    ) -> Self {
        Self { direction: Direction::Internal, ..Self::inbound(at, customer, channel, kind) }
    }
}

/// What an event is about.
pub fn subject(kind: &str, id: &str) -> Option<Value> {
    Some(json!({"type": kind, "id": id}))
}

/// Words that were spoken or written.
pub fn text(text: &str) -> Option<Value> {
    Some(json!({"text": text}))
}

/// Words with a headline.
pub fn letter(subject: &str, text: &str) -> Option<Value> {
    Some(json!({"subject": subject, "text": text}))
}

/// The day being told: who may appear, what chance decides, and what has happened so far.
#[derive(Debug)]
pub struct Diary<'a> {
    pub date: NaiveDate,
    pub random: Random,
    pub people: &'a [Person],
    seed: u64,
    events: Vec<Event>,
    orders: u32,
}

impl<'a> Diary<'a> {
    /// An empty day. The first of the people is the hero, whose day chance does not decide.
    pub fn new(seed: u64, date: NaiveDate, people: &'a [Person]) -> Self {
        let random = Random::new(seed, "day");
        Self { date, random, people, seed, events: Vec::new(), orders: 0 }
    }

    /// Begins a story with a stream of chance of its own.
    pub fn begin(&mut self, story: &str) {
        self.random = Random::new(self.seed, &format!("{story} {}", self.date));
    }

    /// Writes an event down, in any order.
    pub fn write(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Someone of whom the claim is true; never the hero.
    pub fn someone(&mut self, claim: impl Fn(&Person) -> bool) -> Option<&'a Person> {
        let fitting: Vec<&'a Person> = self.people[1..].iter().filter(|p| claim(p)).collect();
        (!fitting.is_empty()).then(|| self.random.pick(&fitting))
    }

    /// Everyone of whom the claim is true, but the hero.
    pub fn everyone(&self, claim: impl Fn(&Person) -> bool) -> Vec<&'a Person> {
        self.people[1..].iter().filter(|p| claim(p)).collect()
    }

    /// A new order number. Scrambled, so that it does not tell how many orders there were.
    pub fn order_number(&mut self) -> String {
        self.orders += 1;
        // 7919 and 9000 share no factor, so 9000 orders in a row get different numbers.
        format!("AG-{}-{}", self.date.format("%y%m%d"), 1000 + self.orders * 7919 % 9000)
    }

    /// The number of an order of the day before.
    pub fn past_order_number(&mut self) -> String {
        let day_before = self.date.checked_sub_days(Days::new(1)).unwrap_or(self.date);
        self.orders += 1;
        format!("AG-{}-{}", day_before.format("%y%m%d"), 1000 + self.orders * 7919 % 9000)
    }

    /// When the clock on the wall there shows this; in the gap of a summer-time change, UTC.
    pub fn clock(&self, zone: Tz, hour: u32, minute: u32, second: u32) -> DateTime<Utc> {
        let time = NaiveTime::from_hms_opt(hour, minute, second).unwrap_or_default();
        let local = self.date.and_time(time);
        let there = zone.from_local_datetime(&local).earliest();
        there.map_or_else(|| local.and_utc(), |there| there.to_utc())
    }

    /// Some moment of the day, more likely in the busy hours there.
    pub fn moment(&mut self, zone: Tz, curve: &Curve) -> DateTime<Utc> {
        let midnight = self.date.and_time(NaiveTime::MIN).and_utc();
        loop {
            let at = midnight + TimeDelta::milliseconds(self.random.between(0, 86_399_999));
            let hour = at.with_timezone(&zone).hour() as usize;
            if self.random.chance(curve[hour]) {
                return at;
            }
        }
    }

    /// Between `low` and `high` seconds after `at`.
    pub fn later(&mut self, at: DateTime<Utc>, low: i64, high: i64) -> DateTime<Utc> {
        at + TimeDelta::milliseconds(self.random.between(low * 1000, high * 1000))
    }

    /// Closes the day: what happened on it (UTC), in order, each with its message id.
    pub fn close(mut self) -> Vec<Value> {
        let date = self.date;
        self.events.retain(|event| event.at.date_naive() == date);
        self.events.sort_by_key(|event| event.at);
        let number = |(index, mut event): (usize, Event)| {
            event.message_id = format!("m-{}-{:06}", date.format("%y%m%d"), index + 1);
            serde_json::to_value(event).expect("BUG: an event is plain data")
        };
        self.events.into_iter().enumerate().map(number).collect()
    }
}
