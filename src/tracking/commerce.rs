//! What shops report of orders and carts, in the words of Segment's e-commerce specification or of
//! GA4.

use super::amounts::{Kept, Sums};
use super::lines::{self, Mark};
use super::report::{ProductSaid, Report, no_product, word};
use crate::carts::CartReference;
use crate::carts::types::{CartPatch, CartProgress, NewCartLineItem};
use crate::error::FieldError;
use crate::external_ids::ExternalId;
use crate::orders::types::{FinancialStatus, OrderStatus};
use crate::orders::{Order, OrderPatch};
use crate::values::money::Money;

/// Products that an order can have, and a cart.
const OF_ORDER: usize = 500;
pub(super) const OF_CART: usize = 200;

/// What happened to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaleStep {
    Placed,
    Changed,
    Cancelled,
    Refunded,
}

impl SaleStep {
    /// What a type of events says of an order.
    pub fn of(kind: &str) -> Option<Self> {
        match kind {
            "order.placed" => Some(Self::Placed),
            "order.updated" => Some(Self::Changed),
            "order.cancelled" => Some(Self::Cancelled),
            "order.refunded" => Some(Self::Refunded),
            _ => None,
        }
    }
}

/// That something happened to an order.
#[derive(Debug, Clone)]
pub struct Sale {
    /// The order's id in the shop.
    pub id: String,
    pub step: SaleStep,
}

/// What was said of an order.
#[derive(Debug, Clone)]
pub struct OrderSaid {
    pub patch: OrderPatch,
    /// Whether anything of it tells what the order costs.
    pub is_priced: bool,
}

/// How much of an order was paid back.
#[derive(Debug, Clone)]
pub enum Returned {
    /// What had been paid.
    All,
    Amount(Money),
    /// What these cost; a price that nobody says is that of the order.
    Products(Vec<ProductSaid>),
}

/// What happened to a cart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CartStep {
    Viewed,
    CheckoutStarted,
    Added,
    Removed,
}

/// That something happened to a cart.
#[derive(Debug, Clone)]
pub struct CartReport {
    /// The cart's id in the shop.
    pub id: String,
    pub step: CartStep,
}

/// What is in the cart.
#[derive(Debug, Clone)]
pub enum CartLines {
    /// All of it.
    Whole(Vec<NewCartLineItem>),
    /// Things more, or less.
    More(Vec<NewCartLineItem>),
    Less(Vec<NewCartLineItem>),
    Unsaid,
}

impl Report<'_> {
    /// The order, where the event names one and says something of it.
    pub fn sale(&self, kind: &str) -> Option<Sale> {
        let id = word(self.properties, &["order_id", "transaction_id"], 255)?;
        Some(Sale { id, step: SaleStep::of(kind)? })
    }

    /// What the event says of an order, of which `kept` is known.
    pub fn order(
        &self,
        sale: &Sale,
        kept: Option<&Order>,
        ignored: &mut Vec<FieldError>,
    ) -> OrderSaid {
        let mut said = self.amounts(kept, ignored);
        let patch = &mut said.patch;
        match sale.step {
            SaleStep::Placed => {
                patch.financial_status = Some(FinancialStatus::Paid);
                patch.number = Some(Some(sale.id.chars().take(100).collect()));
                patch.cart = self.cart_id().map(|id| {
                    let external_id = Some(ExternalId { source: self.source.to_owned(), id });
                    CartReference { id: None, external_id }
                });
            }
            SaleStep::Cancelled => patch.status = Some(OrderStatus::Cancelled),
            SaleStep::Changed | SaleStep::Refunded => {}
        }
        said
    }

    /// How much came back; `None` where what is said of that cannot be read. Without an amount or
    /// products an order comes back whole, as Segment's specification has it.
    pub fn returned(&self, ignored: &mut Vec<FieldError>) -> Option<Returned> {
        let known = ignored.len();
        if let Some(amount) = self.money(self.own(), &["total", "revenue", "value"], ignored) {
            return Some(Returned::Amount(amount));
        }
        match self.products(OF_ORDER, ignored) {
            some if !some.is_empty() => Some(Returned::Products(some)),
            _ => (ignored.len() == known).then_some(Returned::All),
        }
    }

    fn amounts(&self, kept: Option<&Order>, ignored: &mut Vec<FieldError>) -> OrderSaid {
        let currency = self.currency();
        let mut products = self.products(OF_ORDER, ignored);
        if let Some(order) = kept {
            take_prices(&mut products, order);
        }
        let sums = self.sums(&products, kept, ignored);
        let is_priced = sums.total.is_some() || is_priced(&products);
        let lines: Vec<_> = products.into_iter().map(|one| one.in_order(&currency)).collect();
        let money = |amount| Some(Money { amount, currency: currency.clone() });
        let coupon = word(self.properties, &["coupon"], 100);
        let patch = OrderPatch {
            discount_total: sums.discount.and_then(money),
            shipping_total: sums.shipping.and_then(money),
            tax_total: sums.tax.and_then(money),
            fee_total: sums.fees.and_then(money),
            total: sums.total.and_then(money),
            is_tax_included: sums.is_tax_included,
            line_items: (!lines.is_empty()).then_some(lines),
            discount_codes: coupon.map(|code| vec![code]),
            currency: Some(currency),
            ..OrderPatch::default()
        };
        OrderSaid { patch, is_priced }
    }

    /// The amounts besides the lines, which are those of the event or of the order.
    fn sums(
        &self,
        products: &[ProductSaid],
        kept: Option<&Order>,
        ignored: &mut Vec<FieldError>,
    ) -> Sums {
        let others = kept.map(others).unwrap_or_default();
        let mut amount = |names: &[&str]| Some(self.amount(self.own(), names, ignored)?.amount);
        let mut sums = Sums {
            discount: amount(&["discount"]),
            shipping: amount(&["shipping"]),
            tax: amount(&["tax"]),
            total: amount(&["total"]),
            ..Sums::default()
        };
        if sums.total.is_none() && !is_priced(products) {
            let net = amount(&["revenue", "value"]);
            let (shipping, tax) = (sums.shipping, sums.tax);
            let more = shipping.unwrap_or(others.shipping) + tax.unwrap_or(others.tax);
            sums.total = net.map(|net| net + more);
        }
        match kept {
            _ if !products.is_empty() => {
                sums.balanced(products.iter().map(ProductSaid::worth).sum(), &others)
            }
            Some(order) if !order.line_items.is_empty() => {
                sums.balanced(order.subtotal.amount.into(), &others)
            }
            // An order without lines costs what is said.
            _ => Sums { total: sums.total, ..Sums::default() },
        }
    }

    /// The cart, where the event names one and says something of it.
    pub fn cart(&self, kind: &str, ignored: &mut Vec<FieldError>) -> Option<CartReport> {
        let step = match kind {
            "cart.viewed" => CartStep::Viewed,
            "checkout.started" => CartStep::CheckoutStarted,
            "cart.item_added" => CartStep::Added,
            "cart.item_removed" => CartStep::Removed,
            _ => return None,
        };
        let report = CartReport { id: self.cart_id()?, step };
        let mut faults = Vec::new();
        match self.cart_lines(step, &mut faults) {
            CartLines::More(none) | CartLines::Less(none) if none.is_empty() => {
                ignored.append(&mut faults);
                None
            }
            _ => Some(report),
        }
    }

    /// What the event says of what is in the cart: Segment names the one product, GA4 lists it.
    pub fn cart_lines(&self, step: CartStep, ignored: &mut Vec<FieldError>) -> CartLines {
        let currency = self.currency();
        let is_whole = matches!(step, CartStep::Viewed | CartStep::CheckoutStarted);
        let faults = ignored.len();
        let mut products = self.products(OF_CART, ignored);
        if !is_whole && products.is_empty() && ignored.len() == faults {
            match self.product(self.own(), ignored) {
                Some(one) => products.push(one),
                None => ignored.push(no_product("#/properties".into())),
            }
        }
        let lines: Vec<_> = products.into_iter().map(|one| one.in_cart(&currency)).collect();
        match step {
            CartStep::Added => CartLines::More(lines),
            CartStep::Removed => CartLines::Less(lines),
            CartStep::Viewed | CartStep::CheckoutStarted if lines.is_empty() => CartLines::Unsaid,
            CartStep::Viewed | CartStep::CheckoutStarted => CartLines::Whole(lines),
        }
    }

    /// What the event says of the cart besides.
    pub fn cart_patch(&self, step: CartStep) -> CartPatch {
        let status = (step == CartStep::CheckoutStarted).then_some(CartProgress::Checkout);
        CartPatch { currency: Some(self.currency()), status, ..CartPatch::default() }
    }
}

fn is_priced(products: &[ProductSaid]) -> bool {
    products.iter().any(|product| product.price.is_some())
}

/// A price that nobody says is that of the order.
fn take_prices(products: &mut [ProductSaid], order: &Order) {
    let kept: Vec<Mark> = order.line_items.iter().map(Mark::from).collect();
    for product in products.iter_mut().filter(|product| product.price.is_none()) {
        let found = lines::find(&kept, (&*product).into());
        product.price = found.map(|at| order.line_items[at].unit_price.clone());
    }
}

/// What an order has besides its lines.
fn others(order: &Order) -> Kept {
    Kept {
        discount: order.discount_total.amount,
        shipping: order.shipping_total.amount,
        tax: order.tax_total.amount,
        fees: order.fee_total.amount,
        is_tax_included: order.is_tax_included,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::values::money::MOST;

    fn report(properties: &Value) -> Report<'_> {
        let properties = properties.as_object().expect("an object");
        Report { properties, currency: "EUR", source: "segment" }
    }

    /// What an event says of an order that nobody knows, and where it could not be read.
    fn order_of(properties: Value) -> (OrderSaid, Vec<String>) {
        let mut ignored = Vec::new();
        let report = report(&properties);
        let sale = report.sale("order.placed").expect("an order");
        let said = report.order(&sale, None, &mut ignored);
        (said, ignored.into_iter().filter_map(|fault| fault.pointer).collect())
    }

    fn returned(properties: Value) -> (Option<Returned>, usize) {
        let mut ignored = Vec::new();
        let returned = report(&properties).returned(&mut ignored);
        (returned, ignored.len())
    }

    fn amount(money: &Option<Money>) -> Option<i64> {
        money.as_ref().map(|money| money.amount)
    }

    #[test]
    fn an_order_of_segment_becomes_one_of_ours() {
        let properties = json!({
            "order_id": "50314b8e", "checkout_id": "fksdjfsdjfisjf", "affiliation": "Store",
            "total": 27.5, "revenue": 25, "shipping": 3, "tax": 2, "discount": 2.5,
            "coupon": "hasbros", "currency": "usd",
            "products": [
                { "product_id": "507f", "sku": "45790-32", "name": "Monopoly", "price": 19, "quantity": 1 },
                { "product_id": "505b", "sku": "46493-32", "name": "Uno", "price": "3", "quantity": 2.0 },
            ],
        });
        let sale = report(&properties).sale("order.placed").expect("an order");
        assert_eq!((sale.id.as_str(), sale.step), ("50314b8e", SaleStep::Placed));
        let (said, ignored) = order_of(properties);
        assert!(said.is_priced && ignored.is_empty());
        let patch = said.patch;
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
        let (said, _) = order_of(json!({
            "transaction_id": "T-1", "value": 72.05, "tax": 3.6, "shipping": 5.99, "currency": "EUR",
            "items": [{ "item_id": "SKU_1", "item_name": "Tee", "item_variant": "green",
                        "price": 10.01, "quantity": 3 }],
        }));
        let patch = said.patch;
        assert_eq!(amount(&patch.total), None, "it follows from the lines");
        assert_eq!(amount(&patch.tax_total), Some(360));
        let line = &patch.line_items.expect("lines")[0];
        assert_eq!((line.name.as_str(), line.variant.as_deref()), ("Tee", Some("green")));
        assert_eq!(line.unit_price.amount, 1001);
    }

    #[test]
    fn sums_that_do_not_add_up_are_made_to() {
        let sums = |total: f64, tax: f64| {
            let (said, _) = order_of(json!({
                "order_id": 7, "total": total, "tax": tax, "shipping": 5,
                "products": [{ "name": "Rope", "price": 100, "quantity": 1 }],
            }));
            let patch = said.patch;
            (amount(&patch.fee_total), amount(&patch.discount_total), patch.is_tax_included)
        };
        assert_eq!(sums(115.0, 10.0), (None, None, None));
        assert_eq!(sums(105.0, 10.0), (None, None, Some(true)));
        assert_eq!(sums(120.0, 10.0), (Some(500), None, None));
        assert_eq!(sums(90.0, 10.0), (None, Some(2500), None));
    }

    #[test]
    fn sums_beyond_all_numbers_are_left_to_be_refused() {
        let (said, _) = order_of(json!({
            "order_id": 7, "total": 1, "discount": 1e13,
            "products": [{ "name": "Rope", "price": 1e13, "quantity": 1_000_000 }],
        }));
        let discount = amount(&said.patch.discount_total);
        assert!(discount.is_some_and(|discount| discount > MOST), "{discount:?}");
    }

    #[test]
    fn amounts_are_in_the_units_of_their_currency_and_rounded() {
        let total = |total: Value, currency: &str| {
            let (said, ignored) =
                order_of(json!({ "order_id": "1", "total": total, "currency": currency }));
            assert_eq!(said.is_priced, ignored.is_empty(), "{ignored:?}");
            said.patch.total.map(|money| (money.amount, money.currency))
        };
        assert_eq!(total(json!(0.1 + 0.2), "EUR"), Some((30, "EUR".into())));
        assert_eq!(total(json!(1200), "JPY"), Some((1200, "JPY".into())));
        assert_eq!(total(json!("1.0005"), "KWD"), Some((1001, "KWD".into())));
        assert_eq!(total(json!(5), "moon rocks"), Some((500, "EUR".into())));
        for unread in [json!("a lot"), json!(-5), json!(1e20), json!({ "amount": 5 })] {
            assert_eq!(total(unread.clone(), "EUR"), None, "{unread}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_noted_and_tells_no_price() {
        let products = json!([{ "sku": "a", "price": "$ 5" }, { "sku": "b", "price": "gratis" },
                              { "sku": "c" }]);
        let (said, ignored) =
            order_of(json!({ "order_id": "1", "total": "?", "products": products }));
        let lines = said.patch.line_items.expect("lines");
        let prices: Vec<_> = lines.iter().map(|line| line.unit_price.amount).collect();
        assert_eq!((prices, said.is_priced), (vec![500, 0, 0], true));
        assert_eq!(ignored, ["#/properties/products/1/price", "#/properties/total"]);
        let unpriced = json!({ "order_id": "1", "products": [{ "sku": "c" }] });
        assert!(!order_of(unpriced.clone()).0.is_priced);
        // What was taken in is known, if not for what.
        let mut revenue = unpriced;
        (revenue["revenue"], revenue["tax"]) = (json!(10), json!(2));
        let patch = order_of(revenue).0.patch;
        assert_eq!((amount(&patch.total), amount(&patch.fee_total)), (Some(1200), Some(1000)));
    }

    #[test]
    fn more_products_than_an_order_can_have_are_noted() {
        let products = vec![json!({ "sku": "a", "price": 1 }); OF_ORDER + 1];
        let (said, ignored) = order_of(json!({ "order_id": "1", "products": products }));
        assert_eq!(said.patch.line_items.map(|lines| lines.len()), Some(OF_ORDER));
        assert_eq!(ignored, [format!("#/properties/products/{OF_ORDER}")]);
    }

    #[test]
    fn what_names_no_order_is_none_and_odd_products_are_noted() {
        assert!(report(&json!({ "total": 5 })).sale("order.placed").is_none());
        assert!(report(&json!({ "order_id": "1" })).sale("product.viewed").is_none());
        let products = json!([7, {}, { "name": "Rope", "quantity": 0 }, { "sku": "R-1" }]);
        let (said, ignored) = order_of(json!({ "order_id": "1", "products": products }));
        let lines = said.patch.line_items.expect("lines");
        assert_eq!((lines.len(), lines[0].name.as_str(), ignored.len()), (1, "R-1", 3));
    }

    #[test]
    fn an_order_comes_back_by_an_amount_by_products_or_whole() {
        let three = Money::parse_decimal("3", "EUR").expect("three euros");
        let (amount, _) = returned(json!({ "order_id": "1", "total": 3 }));
        assert!(matches!(amount, Some(Returned::Amount(it)) if it == three));
        let (all, _) = returned(json!({ "order_id": "1" }));
        assert!(matches!(all, Some(Returned::All)));
        let (some, _) = returned(json!({ "order_id": "1", "items": [{ "item_id": "a" }] }));
        assert!(matches!(some, Some(Returned::Products(products)) if products.len() == 1));
        // What cannot be read is not everything.
        let (unread, ignored) = returned(json!({ "order_id": "1", "total": "some" }));
        assert!(unread.is_none() && ignored == 1);
    }

    #[test]
    fn a_cart_is_told_whole_or_by_some_things() {
        let cart_of = |kind: &str, properties: Value| {
            let report = report(&properties);
            let mut ignored = Vec::new();
            let step = report.cart(kind, &mut ignored)?.step;
            Some((report.cart_patch(step), report.cart_lines(step, &mut ignored)))
        };
        let products = json!([{ "name": "Rope", "price": 100 }]);
        let started = json!({ "cart_id": "c", "products": products });
        let (patch, lines) = cart_of("checkout.started", started).expect("a cart");
        assert_eq!(patch.status, Some(CartProgress::Checkout));
        assert!(matches!(lines, CartLines::Whole(lines) if lines.len() == 1));
        let one = json!({ "cart_id": "c", "name": "Rope", "price": 100, "quantity": 2 });
        let (_, added) = cart_of("cart.item_added", one).expect("a cart");
        assert!(matches!(added, CartLines::More(lines) if lines[0].quantity == 2));
        let items = json!({ "cart_id": "c", "value": 7, "items": [{ "item_id": "1" }, { "item_id": "2" }] });
        let (_, removed) = cart_of("cart.item_removed", items).expect("a cart");
        assert!(matches!(removed, CartLines::Less(lines) if lines.len() == 2));
        assert!(cart_of("cart.item_added", json!({ "name": "Rope" })).is_none());
        assert!(cart_of("cart.item_added", json!({ "cart_id": "c" })).is_none());
        assert!(cart_of("cart.viewed", json!({ "cart_id": "c" })).is_some());
    }
}
