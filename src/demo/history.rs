//! What people bought before the day: more than a year of orders, so that there is something to add up.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::diary::milliseconds;
use super::goods::{Line, PRODUCTS, Product, total};
use super::people::Person;
use super::random::Random;
use super::setup::SOURCE;

/// How far it goes back, in days.
const REACH: i64 = 420;
/// How often somebody bought: most once or twice, a few whenever there is snow.
const ORDERS: [i64; 12] = [0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 4, 8];
/// Cents of a parcel, for orders below a hundred of the currency.
const PARCEL: i64 = 490;

/// The range as products.
pub fn products() -> Vec<Value> {
    let body = |product: &Product| {
        json!({
            "name": product.name, "sku": product.sku(), "category": product.category,
            "price": product.price("EUR"),
            "external_ids": [{"source": SOURCE, "id": product.slug}],
        })
    };
    PRODUCTS.iter().map(body).collect()
}

/// The orders, in the order in which they were placed. The same seed makes the same orders, so many days
/// before the date. The hero buys on the day itself.
pub fn orders(seed: u64, date: NaiveDate, people: &[Person]) -> Vec<Value> {
    let mut random = Random::new(seed, "history");
    let mut orders: Vec<(DateTime<Utc>, Value)> = Vec::new();
    for person in &people[1..] {
        for _ in 0..random.pick(&ORDERS) {
            let number = format!("AG-{}", 20_001 + orders.len());
            let placed_at = moment(&mut random, date);
            orders.push((placed_at, order(&mut random, person, &number, placed_at)));
        }
    }
    orders.sort_by_key(|(placed_at, _)| *placed_at);
    orders.into_iter().map(|(_, body)| body).collect()
}

fn moment(random: &mut Random, date: NaiveDate) -> DateTime<Utc> {
    let back = Days::new(random.between(2, REACH).unsigned_abs());
    let day = date.checked_sub_days(back).unwrap_or(date).and_time(NaiveTime::MIN).and_utc();
    day + TimeDelta::seconds(random.between(7 * 3600, 22 * 3600))
}

fn order(random: &mut Random, person: &Person, number: &str, placed_at: DateTime<Utc>) -> Value {
    let currency = person.currency();
    let lines = lines(random, person);
    let sum = total(&lines, currency);
    let body = |line: &Line| {
        json!({
            "external_id": line.product.slug, "sku": line.product.sku(), "name": line.product.name,
            "quantity": line.quantity, "unit_price": line.product.price(currency),
        })
    };
    let mut order = json!({
        "source": SOURCE, "external_ids": [{"source": SOURCE, "id": number}], "number": number,
        "customer": person.by_id(), "currency": currency,
        "line_items": lines.iter().map(body).collect::<Vec<_>>(),
        "financial_status": "paid", "fulfillment_status": "fulfilled",
        "placed_at": milliseconds(placed_at), "paid_at": milliseconds(placed_at + TimeDelta::seconds(40)),
        "fulfilled_at": milliseconds(placed_at + TimeDelta::hours(20)),
    });
    if sum.amount < 10_000 {
        order["shipping_total"] = json!({"amount": PARCEL, "currency": currency});
    }
    if random.chance(15) {
        order["discount_codes"] = json!(["SUMMIT10"]);
        order["discount_total"] = json!({"amount": sum.amount / 10, "currency": currency});
    } else if random.chance(8) {
        order["refunds"] = json!([{
            "external_id": format!("{number}-R"), "amount": lines[0].total(currency), "is_return": true,
            "reason": random.pick(&["too small", "too large", "changed mind", "damaged"]),
            "line_items": [{"external_id": lines[0].product.slug, "quantity": lines[0].quantity}],
            "refunded_at": milliseconds(placed_at + TimeDelta::hours(40)),
        }]);
    }
    order
}

/// One to three different things, more likely for their own sport.
fn lines(random: &mut Random, person: &Person) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for _ in 0..random.between(1, 3) {
        let product = loop {
            let product = random.pick(&PRODUCTS.each_ref());
            if product.category == person.sport || random.chance(35) {
                break product;
            }
        };
        if lines.iter().all(|line| line.product != product) {
            let quantity = if product.euros < 40 { random.between(1, 2) } else { 1 };
            lines.push(Line { product, quantity });
        }
    }
    lines
}
