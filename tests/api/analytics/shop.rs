//! A shop with customers, orders and visits that are known to the last cent.

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use serde_json::{Value, json};

use crate::dice::Dice;
use crate::harness::{Client, workspace};

pub const ZONE: chrono_tz::Tz = chrono_tz::Europe::Vienna;
const CAMPAIGNS: [Option<&str>; 3] = [None, Some("spring"), Some("autumn")];
const GOODS: [(&str, i64); 4] =
    [("rope", 14_990), ("helmet", 7_450), ("chalk", 590), ("tape", 295)];

/// An order as it was sent.
pub struct Bought {
    pub customer: usize,
    pub at: DateTime<Utc>,
    pub amount: i64,
    pub good: &'static str,
    pub quantity: i64,
}

/// A visit as it was sent.
pub struct Visit {
    pub customer: usize,
    pub at: DateTime<Utc>,
    pub kind: &'static str,
    pub channel: Option<usize>,
    pub campaign: Option<&'static str>,
}

pub struct Shop {
    pub client: Client,
    pub now: DateTime<Utc>,
    /// Ids, as everything below counts them.
    pub customers: Vec<String>,
    pub channels: Vec<String>,
    pub orders: Vec<Bought>,
    pub visits: Vec<Visit>,
}

impl Shop {
    /// The same shop for the same `seed`; all in the last 400 days.
    pub fn open(seed: u64, customers: usize) -> Self {
        let client = workspace();
        client.patch("/v1/workspace", json!({ "timezone": ZONE.name() })).expect(200);
        let channel = |kind: &str| {
            let body = json!({ "type": kind, "name": format!("The {kind}") });
            client.post("/v1/channels", body).expect(201).id()
        };
        let channels = ["web", "email", "pos"].map(channel).to_vec();
        let customer = |number: usize| {
            let body = json!({ "email": format!("c{number}@shop.example.com") });
            client.post("/v1/customers", body).expect(201).id()
        };
        let customers: Vec<String> = (0..customers).map(customer).collect();
        // Whole seconds: what is sent is what is kept.
        let now = Utc.timestamp_opt(Utc::now().timestamp(), 0).single().expect("a time");
        let mut shop = Self { client, now, customers, channels, orders: vec![], visits: vec![] };
        let mut dice = Dice(seed);
        for customer in 0..shop.customers.len() {
            shop.live(&mut dice, customer);
        }
        shop.send_orders();
        shop.send_visits();
        shop
    }

    fn live(&mut self, dice: &mut Dice, customer: usize) {
        let ago = |dice: &mut Dice| {
            let minutes = i64::try_from(dice.roll(400 * 24 * 60)).expect("small") + 60;
            self.now - TimeDelta::minutes(minutes)
        };
        for _ in 0..=dice.roll(4) * dice.roll(3) {
            let (good, price) = dice.one_of(&GOODS);
            let quantity = 1 + i64::try_from(dice.roll(3)).expect("small");
            let at = ago(dice);
            self.orders.push(Bought { customer, at, amount: price * quantity, good, quantity });
        }
        for _ in 0..dice.roll(12) {
            let kind = dice.one_of(&["page.viewed", "newsletter.clicked", "call.made"]);
            let channel = dice.one_of(&[None, Some(0), Some(1), Some(2)]);
            let (at, campaign) = (ago(dice), dice.one_of(&CAMPAIGNS));
            self.visits.push(Visit { customer, at, kind, channel, campaign });
        }
    }

    fn send_orders(&self) {
        let item = |(number, order): (usize, &Bought)| {
            let unit = json!({ "amount": order.amount / order.quantity, "currency": "EUR" });
            json!({ "currency": "EUR", "email": format!("c{}@shop.example.com", order.customer),
                    "source": "shop", "external_ids": [{ "source": "shop", "id": number.to_string() }],
                    "financial_status": "paid", "placed_at": order.at,
                    "line_items": [{ "name": order.good, "sku": order.good,
                                     "quantity": order.quantity, "unit_price": unit }] })
        };
        self.send("/v1/orders/batch", self.orders.iter().enumerate().map(item).collect());
    }

    fn send_visits(&self) {
        let item = |visit: &Visit| {
            let mut body = json!({ "type": visit.kind, "direction": "inbound",
                                   "customer": { "id": self.customers[visit.customer] },
                                   "occurred_at": visit.at });
            if let Some(channel) = visit.channel {
                body["channel"] = json!({ "id": self.channels[channel] });
            }
            if let Some(campaign) = visit.campaign {
                body["context"] = json!({ "campaign": { "name": campaign } });
            }
            body
        };
        self.send("/v1/touchpoints/batch", self.visits.iter().map(item).collect());
    }

    fn send(&self, path: &str, items: Vec<Value>) {
        for part in items.chunks(1000) {
            let answer = self.client.post(path, json!({ "items": part })).expect(207);
            assert_eq!(answer.json["failed"], 0, "{}", answer.text);
        }
    }

    /// The orders of a customer, the oldest first.
    pub fn of(&self, customer: usize) -> Vec<&Bought> {
        let mut orders: Vec<_> =
            self.orders.iter().filter(|order| order.customer == customer).collect();
        orders.sort_by_key(|order| order.at);
        orders
    }

    /// From the first day to the last, `from=…&to=…`.
    pub fn always(&self) -> String {
        let day = |at: DateTime<Utc>| at.with_timezone(&ZONE).date_naive();
        format!("from={}&to={}", day(self.now - TimeDelta::days(402)), day(self.now))
    }
}
