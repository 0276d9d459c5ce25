//! Rows and predicates by chance, the same ones for the same seed.

pub mod predicates;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

pub const NOW: &str = "2024-05-01T12:00:00.123456Z";
pub const WORKSPACES: [&str; 2] =
    ["018f0000-0000-7000-8000-000000000001", "018f0000-0000-7000-8000-000000000002"];
pub const CUSTOMERS: usize = 60;
pub const STAGES: &[&str] = &["lead", "customer", "other"];

const TEXTS: &[&str] = &["Ann", "ann", "José", "50%_off\\", "a_b", "", "Ünal", "漢字", "Annabel"];
const TIMES: &[&str] = &[
    "2024-04-30T12:00:00.123456Z",
    "2024-04-01T00:00:00Z",
    "2024-04-01T00:00:00.500Z",
    "1969-07-20T20:17:40Z",
    "1950-01-01T00:00:00.000001Z",
    "2024-05-01T12:00:00.123Z",
];
const DATES: &[&str] = &["2024-04-30", "2024-02-29", "1968-01-01", "2024-05-01", "2024-04-01"];
const TYPES: &[&str] = &["order.placed", "page.viewed", "form.submitted"];
const COLOURS: &[&str] = &["red", "green", "blue"];

/// A small generator of random numbers (`SplitMix64`).
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    fn text(&mut self, of: &[&str]) -> Value {
        json!(self.one(of))
    }

    /// The value, or now and then nothing.
    fn maybe(&mut self, value: Value) -> Value {
        if self.below(5) == 0 { Value::Null } else { value }
    }

    fn some(&mut self, of: &[&str]) -> Value {
        of.iter().filter(|_| self.below(3) == 0).copied().collect()
    }

    fn number(&mut self) -> Value {
        self.one(&[
            json!(0),
            json!(-0.0),
            json!(1),
            json!(1.0),
            json!(1.5),
            json!(2),
            json!(-3),
            json!(0.1),
            json!(9_007_199_254_740_992_i64),
            json!(1e-300),
            json!(2.5e10),
            json!(100),
        ])
    }

    fn time(&mut self) -> Value {
        if self.below(3) > 0 {
            return self.text(TIMES);
        }
        let now: DateTime<Utc> = NOW.parse().unwrap();
        json!(now - TimeDelta::hours(self.below(2000) as i64))
    }

    fn id(&mut self) -> Value {
        json!(Uuid::from_u128(0x018f_0000_0000_7000_8000_0000_0000_0100 + self.below(4) as u128))
    }

    /// Anything that may be in free JSON.
    fn odd(&mut self) -> Value {
        match self.below(9) {
            0 => Value::Null,
            1 => json!(self.below(2) == 0),
            2 => self.number(),
            3 => self.text(TEXTS),
            4 => self.time(),
            5 => self.text(DATES),
            6 => self.some(COLOURS),
            7 => json!({"a": self.number(), "0": "zero", "red": 1}),
            _ => self.misleading(),
        }
    }

    /// What looks like a date, a time or a list, and is none.
    fn misleading(&mut self) -> Value {
        self.one(&[
            json!("2024-04-01T00:00:00+02:00"),
            json!("2024-13-99"),
            json!("next-we-ek"),
            json!("2024-04-01T00:00:00ZZ"),
            json!("1e999"),
            json!(["xx-yy-"]),
            json!([]),
            json!({}),
            json!(""),
            json!([[1]]),
            json!("red"),
            json!("2024-04-01T00:00:00Z"),
        ])
    }

    fn odd_object(&mut self) -> Value {
        let keys = ["renewal", "visit", "colours", "level", "plan", "x", "y"];
        let mut object = json!({});
        for key in keys {
            let fitting = match key {
                "renewal" => self.text(DATES),
                "visit" => self.time(),
                "colours" => self.some(COLOURS),
                "level" => self.number(),
                "plan" => self.text(TEXTS),
                _ => self.odd(),
            };
            match self.below(4) {
                0 => {}
                1 if key == "renewal" => object[key] = json!(["xx-yy-"]),
                1 if self.below(2) == 0 => object[key] = self.misleading(),
                1 => object[key] = self.odd(),
                _ => object[key] = fitting,
            }
        }
        object
    }
}

/// The same ids in both workspaces, so that whoever forgets the workspace is found out.
pub fn customers(chance: &mut Chance) -> Vec<Value> {
    let row = |chance: &mut Chance, workspace_id: &str, i: usize| {
        let email = chance.one(&["Ann@Example.com", "bob@example.com", "ÜNAL@example.com"]);
        let (email, first_name) = (json!(email), chance.text(TEXTS));
        let (stage, score) = (chance.text(STAGES), json!(chance.below(5) as i64 - 2));
        let (rating, vip) = (chance.number(), json!(chance.below(2) == 0));
        let (created_at, birth_date) = (chance.time(), chance.text(DATES));
        let (owner_id, tags, free) = (chance.id(), chance.some(COLOURS), chance.odd_object());
        json!({
            "workspace_id": workspace_id,
            "id": Uuid::from_u128(0x018f_1000_0000_7000_8000_0000_0000_0000 + i as u128),
            "email": chance.maybe(email), "first_name": chance.maybe(first_name),
            "lifecycle_stage": chance.maybe(stage), "score": chance.maybe(score),
            "rating": chance.maybe(rating), "vip": chance.maybe(vip),
            "created_at": chance.maybe(created_at), "birth_date": chance.maybe(birth_date),
            "owner_id": chance.maybe(owner_id), "tags": chance.maybe(tags),
            "attributes": chance.maybe(free),
        })
    };
    let mut rows = Vec::new();
    for workspace_id in WORKSPACES {
        rows.extend((0..CUSTOMERS).map(|i| row(chance, workspace_id, i)));
    }
    rows
}

pub fn touchpoints(chance: &mut Chance, customers: &[Value]) -> Vec<Value> {
    let now: DateTime<Utc> = NOW.parse().unwrap();
    let mut rows = Vec::new();
    for customer in customers {
        for _ in 0..chance.below(8) {
            let ago = chance.below(100) as i64 * 86_400_000 + chance.below(3) as i64;
            let ms = now.timestamp_millis() - ago;
            let (source, name) = (chance.text(TEXTS), chance.text(TEXTS));
            let (channel_id, organization_id) = (chance.id(), chance.id());
            let money = json!({"amount": chance.below(3) * 1000, "currency": "EUR"});
            rows.push(json!({
                "workspace_id": customer["workspace_id"], "customer_id": customer["id"],
                "id": Uuid::from_u128((ms as u128) << 80 | 7 << 76 | chance.next() as u128),
                "occurred_at": DateTime::from_timestamp_millis(ms), "type": chance.text(TYPES),
                "channel_id": chance.maybe(channel_id), "direction": "inbound",
                "name": chance.maybe(name), "source": chance.maybe(source),
                "organization_id": chance.maybe(organization_id), "value": chance.maybe(money),
                "properties": chance.odd_object(),
            }));
        }
    }
    rows
}
