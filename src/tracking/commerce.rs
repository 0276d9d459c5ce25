//! What shops report of orders and carts, in the words of Segment's e-commerce specification or of
//! GA4: decimals become whole minor units, and sums that do not add up are made to.

use serde_json::{Map, Value};

use crate::carts::CartReference;
use crate::carts::types::{CartPatch, CartProgress, NewCartLineItem};
use crate::error::FieldError;
use crate::external_ids::ExternalId;
use crate::orders::types::{FinancialStatus, OrderStatus};
use crate::orders::{NewLineItem, OrderPatch};
use crate::values::currency::is_currency;
use crate::values::money::{MOST, Money};

/// Lines that are read of an order or cart.
const LINES: usize = 200;

/// What was reported of an order.
#[derive(Debug, Clone)]
pub struct Sale {
    /// The order's id in the shop.
    pub id: String,
    pub patch: OrderPatch,
    pub step: SaleStep,
}

/// What happened to the order.
#[derive(Debug, Clone)]
pub enum SaleStep {
    Placed,
    Changed,
    Refunded(Returned),
}

/// How much of an order was paid back.
#[derive(Debug, Clone)]
pub enum Returned {
    /// What had been paid.
    All,
    Amount(Money),
    /// What these lines cost; a price that nobody says is that of the order.
    Lines(Vec<NewLineItem>),
}

/// What was reported of a cart.
#[derive(Debug, Clone)]
pub struct CartReport {
    /// The cart's id in the shop.
    pub id: String,
    pub patch: CartPatch,
    pub lines: CartLines,
}

/// What is in the cart.
#[derive(Debug, Clone)]
pub enum CartLines {
    /// All of it.
    Whole(Vec<NewCartLineItem>),
    /// One thing more, or less.
    More(Box<NewCartLineItem>),
    Less(Box<NewCartLineItem>),
    Unsaid,
}

/// Reads the properties of one event.
pub struct Report<'a> {
    pub properties: &'a Map<String, Value>,
    /// The currency where the event names none.
    pub currency: &'a str,
    /// The system that the ids are from.
    pub source: &'a str,
}

impl Report<'_> {
    fn currency(&self) -> String {
        let said = self.properties.get("currency").and_then(Value::as_str).map(str::to_uppercase);
        said.filter(|code| is_currency(code)).unwrap_or_else(|| self.currency.to_owned())
    }

    fn money(&self, of: &Map<String, Value>, names: &[&str]) -> Option<Money> {
        let value = names.iter().find_map(|name| of.get(*name).filter(|value| !value.is_null()))?;
        let text = text(value)?;
        Money::parse_rounded(&text, &self.currency()).ok()
    }

    /// An amount that an order or cart can have.
    fn amount(&self, names: &[&str]) -> Option<i64> {
        let money = self.money(self.properties, names)?;
        (0..=MOST).contains(&money.amount).then_some(money.amount)
    }

    /// What the event was worth.
    pub fn value(&self, ignored: &mut Vec<FieldError>) -> Option<Money> {
        let said = self.money(self.properties, &["total", "revenue", "value"]);
        let value = said.or_else(|| {
            let price = self.money(self.properties, &["price"])?;
            price.checked_mul(quantity(self.properties)?.into()).ok()
        })?;
        if value.fits() {
            return Some(value);
        }
        let detail = format!("an event is worth at most {MOST} minor units");
        ignored.push(FieldError::at("#/properties", "out_of_range", detail));
        None
    }

    /// The order, where the event names one and says something of it.
    pub fn sale(&self, kind: &str, ignored: &mut Vec<FieldError>) -> Option<Sale> {
        let id = word(self.properties, &["order_id", "transaction_id"], 255)?;
        let step = match kind {
            "order.placed" => SaleStep::Placed,
            "order.updated" | "order.cancelled" => SaleStep::Changed,
            "order.refunded" => SaleStep::Refunded(self.returned(ignored)),
            _ => return None,
        };
        let mut patch = match &step {
            SaleStep::Placed | SaleStep::Changed => self.order(ignored),
            SaleStep::Refunded(_) => OrderPatch::default(),
        };
        match kind {
            "order.placed" => {
                patch.financial_status = Some(FinancialStatus::Paid);
                patch.number = Some(Some(id.chars().take(100).collect()));
                patch.cart = self.cart_id().map(|id| {
                    let external_id = Some(ExternalId { source: self.source.to_owned(), id });
                    CartReference { id: None, external_id }
                });
            }
            "order.cancelled" => patch.status = Some(OrderStatus::Cancelled),
            _ => {}
        }
        Some(Sale { id, patch, step })
    }

    /// Without an amount or products an order comes back whole, as Segment's specification has it.
    fn returned(&self, ignored: &mut Vec<FieldError>) -> Returned {
        match self.money(self.properties, &["total", "revenue", "value"]) {
            Some(amount) => Returned::Amount(amount),
            None => match self.lines(ignored) {
                lines if lines.is_empty() => Returned::All,
                lines => Returned::Lines(lines),
            },
        }
    }

    fn order(&self, ignored: &mut Vec<FieldError>) -> OrderPatch {
        let currency = self.currency();
        let lines = self.lines(ignored);
        let sums = self.sums(&lines);
        let money = |amount| Some(Money { amount, currency: currency.clone() });
        let coupon = word(self.properties, &["coupon"], 100);
        OrderPatch {
            discount_total: sums.discount.and_then(money),
            shipping_total: sums.shipping.and_then(money),
            tax_total: sums.tax.and_then(money),
            fee_total: sums.fees.and_then(money),
            total: sums.total.and_then(money),
            is_tax_included: sums.is_tax_included.then_some(true),
            line_items: (!lines.is_empty()).then_some(lines),
            discount_codes: coupon.map(|code| vec![code]),
            currency: Some(currency),
            ..OrderPatch::default()
        }
    }

    /// The amounts besides the lines. Shops say totals that no sum makes; what is missing is a fee,
    /// what is too much a discount, or the tax that is in the prices.
    fn sums(&self, lines: &[NewLineItem]) -> Sums {
        let mut sums = Sums {
            discount: self.amount(&["discount"]),
            shipping: self.amount(&["shipping"]),
            tax: self.amount(&["tax"]),
            total: self.amount(&["total"]),
            ..Sums::default()
        };
        if lines.is_empty() {
            let net = self.amount(&["revenue", "value"]);
            let whole = net.map(|net| net + sums.shipping.unwrap_or(0) + sums.tax.unwrap_or(0));
            let total = sums.total.or(whole);
            return Sums { total, ..Sums::default() };
        }
        let Some(total) = sums.total else { return sums };
        let of_line =
            |line: &NewLineItem| i128::from(line.unit_price.amount) * i128::from(line.quantity);
        let gross: i128 = lines.iter().map(of_line).sum();
        let [discount, shipping, tax] =
            [sums.discount, sums.shipping, sums.tax].map(|part| i128::from(part.unwrap_or(0)));
        // What is more than an order can have is refused with it.
        let said = |amount: i128| Some(i64::try_from(amount).unwrap_or(i64::MAX));
        match i128::from(total) - (gross - discount + shipping + tax) {
            0 => {}
            less if less == -tax => sums.is_tax_included = true,
            more if more > 0 => sums.fees = said(more),
            less => sums.discount = said(discount - less),
        }
        sums
    }

    fn lines(&self, ignored: &mut Vec<FieldError>) -> Vec<NewLineItem> {
        let lines = self.products(ignored).into_iter().map(|product| NewLineItem {
            external_id: None,
            product_id: None,
            product_external_id: product.id,
            sku: product.sku,
            name: product.name,
            variant: product.variant,
            quantity: product.quantity,
            unit_price: product.price,
            discount_total: None,
            tax_total: None,
            total: None,
        });
        lines.collect()
    }

    fn products(&self, ignored: &mut Vec<FieldError>) -> Vec<ProductSaid> {
        let listed = ["products", "items"]
            .iter()
            .find_map(|name| Some((*name, self.properties.get(*name)?.as_array()?)));
        let Some((name, list)) = listed else { return Vec::new() };
        let mut products = Vec::new();
        for (at, product) in list.iter().take(LINES).enumerate() {
            match product.as_object().and_then(|product| self.product(product)) {
                Some(product) => products.push(product),
                None => {
                    let detail = "a product needs a name or an id, and a quantity of at least 1";
                    let pointer = format!("#/properties/{name}/{at}");
                    ignored.push(FieldError::at(pointer, "invalid_product", detail));
                }
            }
        }
        products
    }

    fn product(&self, of: &Map<String, Value>) -> Option<ProductSaid> {
        let id = word(of, &["product_id", "item_id", "id"], 255);
        let sku = word(of, &["sku"], 100);
        let name = word(of, &["name", "item_name", "title"], 500);
        let price = self.money(of, &["price"]).filter(|price| (0..=MOST).contains(&price.amount));
        Some(ProductSaid {
            name: name.or_else(|| sku.clone()).or_else(|| id.clone())?,
            id,
            sku,
            variant: word(of, &["variant", "item_variant"], 200),
            quantity: quantity(of)?,
            price: price.unwrap_or_else(|| Money { amount: 0, currency: self.currency() }),
        })
    }

    fn cart_id(&self) -> Option<String> {
        word(self.properties, &["cart_id", "checkout_id"], 255)
    }

    /// The cart, where the event names one and says something of it.
    pub fn cart(&self, kind: &str, ignored: &mut Vec<FieldError>) -> Option<CartReport> {
        let id = self.cart_id()?;
        let whole = |ignored: &mut Vec<FieldError>| match self.products(ignored) {
            none if none.is_empty() => CartLines::Unsaid,
            some => CartLines::Whole(some.into_iter().map(ProductSaid::in_cart).collect()),
        };
        let one = || self.product(self.properties).map(|product| Box::new(product.in_cart()));
        let lines = match kind {
            "cart.viewed" | "checkout.started" => whole(ignored),
            "cart.item_added" => CartLines::More(one()?),
            "cart.item_removed" => CartLines::Less(one()?),
            _ => return None,
        };
        let status = (kind == "checkout.started").then_some(CartProgress::Checkout);
        let patch = CartPatch { currency: Some(self.currency()), status, ..CartPatch::default() };
        Some(CartReport { id, patch, lines })
    }
}

#[derive(Default)]
struct Sums {
    discount: Option<i64>,
    shipping: Option<i64>,
    tax: Option<i64>,
    fees: Option<i64>,
    total: Option<i64>,
    is_tax_included: bool,
}

/// One product of an order or cart.
struct ProductSaid {
    id: Option<String>,
    sku: Option<String>,
    name: String,
    variant: Option<String>,
    quantity: i32,
    price: Money,
}

impl ProductSaid {
    fn in_cart(self) -> NewCartLineItem {
        NewCartLineItem {
            external_id: None,
            product_id: None,
            product_external_id: self.id,
            sku: self.sku,
            name: self.name,
            variant: self.variant,
            quantity: self.quantity,
            unit_price: self.price,
        }
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The first of these that is a text, or a number, and not too long.
fn word(of: &Map<String, Value>, names: &[&str], most: usize) -> Option<String> {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sale_of(kind: &str, properties: Value) -> (Option<Sale>, usize) {
        let mut ignored = Vec::new();
        let properties = properties.as_object().expect("an object");
        let report = Report { properties, currency: "EUR", source: "segment" };
        let sale = report.sale(kind, &mut ignored);
        (sale, ignored.len())
    }

    fn amount(money: &Option<Money>) -> Option<i64> {
        money.as_ref().map(|money| money.amount)
    }

    #[test]
    fn an_order_of_segment_becomes_one_of_ours() {
        let (sale, ignored) = sale_of(
            "order.placed",
            json!({
                "order_id": "50314b8e", "checkout_id": "fksdjfsdjfisjf", "affiliation": "Store",
                "total": 27.5, "revenue": 25, "shipping": 3, "tax": 2, "discount": 2.5,
                "coupon": "hasbros", "currency": "usd",
                "products": [
                    { "product_id": "507f", "sku": "45790-32", "name": "Monopoly", "price": 19, "quantity": 1 },
                    { "product_id": "505b", "sku": "46493-32", "name": "Uno", "price": "3", "quantity": 2.0 },
                ],
            }),
        );
        let sale = sale.expect("an order");
        assert_eq!((sale.id.as_str(), ignored), ("50314b8e", 0));
        assert!(matches!(sale.step, SaleStep::Placed));
        let patch = sale.patch;
        assert_eq!(patch.currency.as_deref(), Some("USD"));
        assert_eq!(amount(&patch.total), Some(2750));
        assert_eq!(amount(&patch.discount_total), Some(250));
        assert_eq!(amount(&patch.fee_total), None, "25 - 2.5 + 3 + 2 is 27.5");
        let lines = patch.line_items.expect("lines");
        assert_eq!((lines[1].quantity, lines[1].unit_price.amount), (2, 300));
        assert_eq!(patch.discount_codes, Some(vec!["hasbros".to_owned()]));
        let cart = patch.cart.and_then(|cart| cart.external_id).expect("a cart");
        assert_eq!((cart.source.as_str(), cart.id.as_str()), ("segment", "fksdjfsdjfisjf"));
    }

    #[test]
    fn an_order_of_ga4_becomes_one_of_ours() {
        let (sale, _) = sale_of(
            "order.placed",
            json!({
                "transaction_id": "T-1", "value": 72.05, "tax": 3.6, "shipping": 5.99, "currency": "EUR",
                "items": [{ "item_id": "SKU_1", "item_name": "Tee", "item_variant": "green",
                            "price": 10.01, "quantity": 3 }],
            }),
        );
        let patch = sale.expect("an order").patch;
        assert_eq!(amount(&patch.total), None, "it follows from the lines");
        assert_eq!(amount(&patch.tax_total), Some(360));
        let line = &patch.line_items.expect("lines")[0];
        assert_eq!((line.name.as_str(), line.variant.as_deref()), ("Tee", Some("green")));
        assert_eq!(line.unit_price.amount, 1001);
    }

    #[test]
    fn sums_that_do_not_add_up_are_made_to() {
        let sums = |total: f64, tax: f64| {
            let (sale, _) = sale_of(
                "order.placed",
                json!({
                    "order_id": 7, "total": total, "tax": tax, "shipping": 5,
                    "products": [{ "name": "Rope", "price": 100, "quantity": 1 }],
                }),
            );
            let patch = sale.expect("an order").patch;
            (amount(&patch.fee_total), amount(&patch.discount_total), patch.is_tax_included)
        };
        assert_eq!(sums(115.0, 10.0), (None, None, None));
        assert_eq!(sums(105.0, 10.0), (None, None, Some(true)));
        assert_eq!(sums(120.0, 10.0), (Some(500), None, None));
        assert_eq!(sums(90.0, 10.0), (None, Some(2500), None));
    }

    #[test]
    fn sums_beyond_all_numbers_are_left_to_be_refused() {
        let (sale, _) = sale_of(
            "order.placed",
            json!({ "order_id": 7, "total": 1, "discount": 1e13,
                    "products": [{ "name": "Rope", "price": 1e13, "quantity": 1_000_000 }] }),
        );
        let discount = amount(&sale.expect("an order").patch.discount_total);
        assert!(discount.is_some_and(|discount| discount > MOST), "{discount:?}");
    }

    #[test]
    fn amounts_are_in_the_units_of_their_currency_and_rounded() {
        let total = |total: Value, currency: &str| {
            let (sale, _) = sale_of(
                "order.placed",
                json!({
                "order_id": "1", "total": total, "currency": currency }),
            );
            let total = sale.expect("an order").patch.total;
            total.map(|money| (money.amount, money.currency))
        };
        assert_eq!(total(json!(0.1 + 0.2), "EUR"), Some((30, "EUR".into())));
        assert_eq!(total(json!(1200), "JPY"), Some((1200, "JPY".into())));
        assert_eq!(total(json!("1.0005"), "KWD"), Some((1001, "KWD".into())));
        assert_eq!(total(json!(5), "moon rocks"), Some((500, "EUR".into())));
        assert_eq!(total(json!("a lot"), "EUR"), None);
        assert_eq!(total(json!(-5), "EUR"), None);
        assert_eq!(total(json!(1e20), "EUR"), None);
    }

    #[test]
    fn what_names_no_order_is_none_and_odd_products_are_noted() {
        assert!(sale_of("order.placed", json!({ "total": 5 })).0.is_none());
        assert!(sale_of("product.viewed", json!({ "order_id": "1" })).0.is_none());
        let products = json!([7, {}, { "name": "Rope", "quantity": 0 }, { "sku": "R-1" }]);
        let (sale, ignored) =
            sale_of("order.placed", json!({ "order_id": "1", "products": products }));
        let lines = sale.expect("an order").patch.line_items.expect("lines");
        assert_eq!((lines.len(), lines[0].name.as_str(), ignored), (1, "R-1", 3));
        let (sale, _) = sale_of("order.refunded", json!({ "order_id": "1", "total": 3 }));
        let step = sale.expect("a refund").step;
        let three = Money::parse_decimal("3", "EUR").expect("three euros");
        assert!(matches!(step, SaleStep::Refunded(Returned::Amount(it)) if it == three));
        let (sale, _) = sale_of("order.refunded", json!({ "order_id": "1" }));
        let step = sale.expect("a refund").step;
        assert!(matches!(step, SaleStep::Refunded(Returned::All)));
    }

    #[test]
    fn a_cart_is_told_whole_or_by_one_thing() {
        let cart_of = |kind: &str, properties: Value| {
            let properties = properties.as_object().expect("an object").clone();
            let report = Report { properties: &properties, currency: "EUR", source: "segment" };
            report.cart(kind, &mut Vec::new())
        };
        let products = json!([{ "name": "Rope", "price": 100 }]);
        let started = cart_of("checkout.started", json!({ "cart_id": "c", "products": products }));
        let started = started.expect("a cart");
        assert_eq!(started.patch.status, Some(CartProgress::Checkout));
        assert!(matches!(started.lines, CartLines::Whole(lines) if lines.len() == 1));
        let one = json!({ "cart_id": "c", "name": "Rope", "price": 100, "quantity": 2 });
        let added = cart_of("cart.item_added", one).expect("a cart");
        assert!(matches!(added.lines, CartLines::More(line) if line.quantity == 2));
        assert!(cart_of("cart.item_added", json!({ "name": "Rope" })).is_none());
        assert!(cart_of("cart.viewed", json!({ "cart_id": "c" })).is_some());
    }
}
