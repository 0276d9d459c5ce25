//! What Alpenglow sells and what it costs in each country.

use serde::Serialize;
use serde_json::{Value, json};

/// An amount in minor units (cents, rappen, pence).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Money {
    pub amount: i64,
    pub currency: &'static str,
}

/// What people do outdoors: the options of `favorite_sport` and the departments of the shop.
pub const SPORTS: [&str; 4] = ["hiking", "climbing", "skiing", "running"];

/// An article of the shop.
#[derive(Debug, PartialEq, Eq)]
pub struct Product {
    /// Part of the SKU and of the page's address.
    pub slug: &'static str,
    pub name: &'static str,
    /// One of [`SPORTS`].
    pub category: &'static str,
    /// Whole euros; the price tag says one cent less.
    pub euros: i64,
}

const fn product(
    slug: &'static str,
    name: &'static str,
    category: &'static str,
    euros: i64,
) -> Product {
    Product { slug, name, category, euros }
}

/// The shoe the hero tries on.
pub static GRANITE_EDGE: &Product = &PRODUCTS[0];
/// The chalk bag she adds at the till.
pub static CHALK_BAG: &Product = &PRODUCTS[1];

/// The whole range.
pub static PRODUCTS: [Product; 24] = [
    product("granite-edge", "Granite Edge climbing shoe", "climbing", 130),
    product("pinch-chalk-bag", "Pinch chalk bag", "climbing", 20),
    product("kaiser-60-rope", "Kaiser rope 9.5 mm, 60 m", "climbing", 190),
    product("dolomit-harness", "Dolomit harness", "climbing", 75),
    product("crux-helmet", "Crux helmet", "climbing", 65),
    product("six-draws", "Quickdraw set of six", "climbing", 90),
    product("karwendel-boot", "Karwendel trekking boot", "hiking", 220),
    product("drizzle-jacket", "Drizzle rain jacket", "hiking", 180),
    product("switchback-28", "Switchback 28 l backpack", "hiking", 120),
    product("carbon-poles", "Fold carbon poles", "hiking", 110),
    product("merino-tee", "Merino tee 150", "hiking", 70),
    product("hut-sleeping-liner", "Hut sleeping liner, silk", "hiking", 60),
    product("summit-flask", "Summit flask 0.75 l", "hiking", 35),
    product("firn-95-ski", "Firn 95 touring ski", "skiing", 620),
    product("uptrack-skins", "Uptrack climbing skins", "skiing", 170),
    product("couloir-boot", "Couloir touring boot", "skiing", 540),
    product("beacon-3", "Beacon 3 avalanche transceiver", "skiing", 330),
    product("glacier-goggles", "Glacier sunglasses cat. 4", "skiing", 90),
    product("loft-mitts", "Loft mitts", "skiing", 80),
    product("ridge-runner", "Ridge Runner trail shoe", "running", 150),
    product("vest-8", "Vest 8 l running pack", "running", 100),
    product("featherwind", "Featherwind wind jacket", "running", 95),
    product("dawn-headlamp", "Dawn 400 headlamp", "running", 55),
    product("trail-socks", "Trail socks, two pairs", "running", 25),
];

impl Product {
    /// The stock-keeping unit, which is how touchpoints name the product.
    pub fn sku(&self) -> String {
        format!("sku-{}", self.slug)
    }

    /// The price tag: 129.99 EUR, 139.90 CHF (no coins below five rappen), 112.99 GBP, 143.95 USD.
    pub fn price(&self, currency: &'static str) -> Money {
        let (percent, tag_end) = match currency {
            "CHF" => (108, 10),
            "GBP" => (87, 1),
            "USD" => (111, 5),
            _ => (100, 1),
        };
        Money { amount: (self.euros * percent + 50) / 100 * 100 - tag_end, currency }
    }
}

/// So many pieces of one product.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    pub product: &'static Product,
    pub quantity: i64,
}

impl Line {
    /// Price times quantity.
    pub fn total(&self, currency: &'static str) -> Money {
        Money { amount: self.product.price(currency).amount * self.quantity, currency }
    }

    /// The line as it appears in the properties of a touchpoint.
    pub fn describe(&self, currency: &'static str) -> Value {
        json!({
            "sku": self.product.sku(),
            "name": self.product.name,
            "category": self.product.category,
            "quantity": self.quantity,
            "unit_price": self.product.price(currency),
        })
    }
}

/// What all the lines cost together.
pub fn total(lines: &[Line], currency: &'static str) -> Money {
    Money { amount: lines.iter().map(|line| line.total(currency).amount).sum(), currency }
}

/// All the lines as properties.
pub fn describe(lines: &[Line], currency: &'static str) -> Value {
    lines.iter().map(|line| line.describe(currency)).collect()
}
