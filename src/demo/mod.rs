//! A shop's day to try the product with, at Alpenglow, an outdoor shop that never was.
//!
//! Everything follows from a seed and a date; nobody in it exists. Email addresses end in names
//! reserved by RFC 2606, phone numbers come from ranges kept for fiction where a country has one.

mod browsing;
mod diary;
mod goods;
mod hero;
mod history;
mod mailing;
mod names;
mod outreach;
mod people;
mod places;
mod random;
mod setup;
mod shops;
mod talking;
#[cfg(test)]
mod tests;
mod words;

use std::path::Path;
use std::{fs, io};

use chrono::NaiveDate;
use serde_json::Value;

use diary::Diary;
use people::Person;
use setup::{ChannelType, ORGANIZATIONS, Organization};

/// The bodies of the create requests that load the day, in the order they have to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Day {
    pub attribute_definitions: Vec<Value>,
    pub organizations: Vec<Value>,
    pub channels: Vec<Value>,
    pub customers: Vec<Value>,
    pub products: Vec<Value>,
    /// What was bought in the 14 months before the day.
    pub orders: Vec<Value>,
    /// In the order they happened; `message_id` tells days apart, so several can be loaded.
    pub touchpoints: Vec<Value>,
}

/// Makes up the day (UTC): 200 customers, some 400 orders before it and about 3,000 touchpoints. The same seed and date give
/// the same bytes; the same seed gives the same customers on every date.
pub fn shops_day(seed: u64, date: NaiveDate) -> Day {
    let people = people::people(seed);
    let mut diary = Diary::new(seed, date, &people);
    hero::tell(&mut diary);
    mailing::tell(&mut diary);
    browsing::tell(&mut diary);
    outreach::tell(&mut diary);
    talking::tell(&mut diary);
    shops::tell(&mut diary);
    Day {
        attribute_definitions: setup::attribute_definitions(),
        organizations: ORGANIZATIONS.iter().map(Organization::body).collect(),
        channels: ChannelType::ALL.into_iter().map(ChannelType::body).collect(),
        touchpoints: diary.close(),
        products: history::products(),
        orders: history::orders(seed, date, &people),
        customers: people.iter().map(Person::body).collect(),
    }
}

/// One JSON document a line, each line ended by a line feed.
pub fn ndjson(values: &[Value]) -> String {
    values.iter().map(|value| format!("{value}\n")).collect()
}

/// Writes the day into `dir`, one NDJSON file for each kind of resource; makes `dir` if need be.
pub fn write_examples(dir: &Path, seed: u64, date: NaiveDate) -> io::Result<()> {
    let day = shops_day(seed, date);
    fs::create_dir_all(dir)?;
    let files = [
        ("attribute_definitions.ndjson", &day.attribute_definitions),
        ("organizations.ndjson", &day.organizations),
        ("channels.ndjson", &day.channels),
        ("customers.ndjson", &day.customers),
        ("products.ndjson", &day.products),
        ("orders.ndjson", &day.orders),
        ("touchpoints.ndjson", &day.touchpoints),
    ];
    for (name, values) in files {
        fs::write(dir.join(name), ndjson(values))?;
    }
    Ok(())
}
