//! The properties of an event that reports something of a shop: amounts, words and products.

use serde_json::{Map, Value};

use super::amounts;
use crate::carts::types::NewCartLineItem;
use crate::error::FieldError;
use crate::orders::NewLineItem;
use crate::values::currency::is_currency;
use crate::values::money::{MOST, Money};

/// Some fields of an event, and where they stand.
type Place<'a> = (&'a Map<String, Value>, &'a str);

/// Reads the properties of one event.
pub struct Report<'a> {
    pub properties: &'a Map<String, Value>,
    /// The currency where the event names none.
    pub currency: &'a str,
    /// The system that the ids are from.
    pub source: &'a str,
}

impl Report<'_> {
    pub(super) fn currency(&self) -> String {
        let said = self.properties.get("currency").and_then(Value::as_str).map(str::to_uppercase);
        said.filter(|code| is_currency(code)).unwrap_or_else(|| self.currency.to_owned())
    }

    /// The first of these that is said; what cannot be read is noted.
    pub(super) fn money(
        &self,
        (of, at): Place,
        names: &[&str],
        ignored: &mut Vec<FieldError>,
    ) -> Option<Money> {
        let (name, value) = said(of, names)?;
        let money = amounts::read(value, &self.currency());
        if money.is_none() {
            let detail = format!("`{name}` is no amount such as 12.30");
            ignored.push(FieldError::at(format!("{at}/{name}"), "invalid_amount", detail));
        }
        money
    }

    /// An amount that an order or cart can have.
    pub(super) fn amount(
        &self,
        at: Place,
        names: &[&str],
        ignored: &mut Vec<FieldError>,
    ) -> Option<Money> {
        let money = self.money(at, names, ignored)?;
        if (0..=MOST).contains(&money.amount) {
            return Some(money);
        }
        let name = said(at.0, names).map(|(name, _)| name).unwrap_or_default();
        let detail = format!("`{name}` is not from 0 to {MOST} minor units");
        ignored.push(FieldError::at(format!("{}/{name}", at.1), "invalid_amount", detail));
        None
    }

    pub(super) fn own(&self) -> Place<'_> {
        (self.properties, "#/properties")
    }

    /// What the event was worth.
    pub fn value(&self, ignored: &mut Vec<FieldError>) -> Option<Money> {
        // Events of any kind have a `value`, which need not be money.
        let mut unread = Vec::new();
        let said = self.money(self.own(), &["total", "revenue", "value"], &mut unread);
        let value = said.or_else(|| {
            let price = self.money(self.own(), &["price"], &mut unread)?;
            price.checked_mul(quantity(self.properties)?.into()).ok()
        })?;
        if value.fits() {
            return Some(value);
        }
        let detail = format!("an event is worth at most {MOST} minor units");
        ignored.push(FieldError::at("#/properties", "out_of_range", detail));
        None
    }

    /// The products that are listed, as many as there can be.
    pub(super) fn products(&self, most: usize, ignored: &mut Vec<FieldError>) -> Vec<ProductSaid> {
        let listed = ["products", "items"]
            .iter()
            .find_map(|name| Some((*name, self.properties.get(*name)?.as_array()?)));
        let Some((name, list)) = listed else { return Vec::new() };
        let at = |at: usize| format!("#/properties/{name}/{at}");
        let mut products = Vec::new();
        for (n, product) in list.iter().take(most).enumerate() {
            let product = product.as_object();
            let product = product.and_then(|product| self.product((product, &at(n)), ignored));
            match product {
                Some(product) => products.push(product),
                None => ignored.push(no_product(at(n))),
            }
        }
        if list.len() > most {
            let detail = format!("only the first {most} products are read");
            ignored.push(FieldError::at(at(most), "too_many_products", detail));
        }
        products
    }

    pub(super) fn product(
        &self,
        whose: Place,
        ignored: &mut Vec<FieldError>,
    ) -> Option<ProductSaid> {
        let of = whose.0;
        let id = word(of, &["product_id", "item_id", "id"], 255);
        let sku = word(of, &["sku"], 100);
        let name = word(of, &["name", "item_name", "title"], 500);
        Some(ProductSaid {
            name: name.or_else(|| sku.clone()).or_else(|| id.clone())?,
            id,
            sku,
            variant: word(of, &["variant", "item_variant"], 200),
            quantity: quantity(of)?,
            price: self.amount(whose, &["price"], ignored),
            pointer: whose.1.to_owned(),
        })
    }

    pub(super) fn cart_id(&self) -> Option<String> {
        word(self.properties, &["cart_id", "checkout_id"], 255)
    }
}

/// The first of these that is said.
fn said<'a>(of: &'a Map<String, Value>, names: &[&'a str]) -> Option<(&'a str, &'a Value)> {
    let is_said = |value: &&Value| !value.is_null() && value.as_str() != Some("");
    names.iter().find_map(|name| Some((*name, of.get(*name).filter(is_said)?)))
}

pub fn no_product(pointer: String) -> FieldError {
    let detail = "a product needs a name or an id, and a quantity of at least 1";
    FieldError::at(pointer, "invalid_product", detail)
}

/// One product of an order or cart.
#[derive(Debug, Clone)]
pub struct ProductSaid {
    pub id: Option<String>,
    pub sku: Option<String>,
    pub name: String,
    pub variant: Option<String>,
    pub quantity: i32,
    pub price: Option<Money>,
    /// Where the event names it.
    pub pointer: String,
}

impl ProductSaid {
    pub fn worth(&self) -> i128 {
        let price = self.price.as_ref().map_or(0, |price| price.amount);
        i128::from(price) * i128::from(self.quantity)
    }

    pub fn in_order(self, currency: &str) -> NewLineItem {
        NewLineItem {
            external_id: None,
            product_id: None,
            product_external_id: self.id,
            sku: self.sku,
            name: self.name,
            variant: self.variant,
            quantity: self.quantity,
            unit_price: self.price.unwrap_or_else(|| free(currency)),
            discount_total: None,
            tax_total: None,
            total: None,
        }
    }

    pub fn in_cart(self, currency: &str) -> NewCartLineItem {
        NewCartLineItem {
            external_id: None,
            product_id: None,
            product_external_id: self.id,
            sku: self.sku,
            name: self.name,
            variant: self.variant,
            quantity: self.quantity,
            unit_price: self.price.unwrap_or_else(|| free(currency)),
        }
    }
}

fn free(currency: &str) -> Money {
    Money { amount: 0, currency: currency.to_owned() }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The first of these that is a text, or a number, and not too long.
pub fn word(of: &Map<String, Value>, names: &[&str], most: usize) -> Option<String> {
    let words = names.iter().filter_map(|name| of.get(*name).and_then(text));
    let fits = |word: &String| (1..=most).contains(&word.chars().count());
    words.into_iter().find(fits)
}

/// How many; one unless said otherwise, and whole.
fn quantity(of: &Map<String, Value>) -> Option<i32> {
    let Some(said) = of.get("quantity").filter(|value| !value.is_null()) else { return Some(1) };
    let text = text(said)?;
    let whole = text.strip_suffix(".0").unwrap_or(&text);
    whole.parse().ok().filter(|quantity| (1..=1_000_000).contains(quantity))
}
