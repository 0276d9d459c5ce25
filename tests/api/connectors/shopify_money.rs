//! What Shopify's orders cost, what was paid for them, and what went back.

use serde_json::{Value, json};

use super::shopify::changed;
use super::{Shop, eur, work};
use crate::harness::{App, workspace};

fn line(id: i64, price: &str) -> Value {
    json!({ "id": id, "title": format!("Line {id}"), "sku": format!("L{id}"), "quantity": 1,
            "current_quantity": 1, "price": price })
}

/// 50.00 and 100.00 and 4.90 for shipping.
fn order(more: &Value) -> Value {
    let order = json!({ "id": 1, "name": "#1", "currency": "EUR", "taxes_included": true,
        "total_price": "154.90", "current_total_price": "154.90", "total_outstanding": "0.00",
        "total_tax": "24.73", "current_total_tax": "24.73", "total_discounts": "0.00",
        "current_total_discounts": "0.00", "financial_status": "paid",
        "email": "ada@shop.example.com", "shipping_lines": [{ "price": "4.90" }],
        "created_at": "2026-03-01T10:00:00Z", "updated_at": "2026-03-01T10:00:00Z",
        "line_items": [line(1, "50.00"), line(2, "100.00")], "refunds": [] });
    changed(order, more)
}

/// Of line 2, with a transaction of this state and amount.
fn refund(restock: &str, transactions: &Value) -> Value {
    json!({ "id": 60, "order_id": 1, "created_at": "2026-03-05T10:00:00Z",
            "transactions": transactions, "order_adjustments": [],
            "refund_line_items": [{ "line_item_id": 2, "quantity": 1, "restock_type": restock }] })
}

fn money(amount: &str, currency: &str, status: &str) -> Value {
    json!({ "kind": "refund", "status": status, "amount": amount, "currency": currency })
}

fn set(amount: &str) -> Value {
    json!({ "shop_money": { "amount": amount, "currency_code": "EUR" },
            "presentment_money": { "amount": "1", "currency_code": "JPY" } })
}

struct Told {
    app: App,
    shop: Shop,
    number: u32,
}

impl Told {
    fn new() -> Self {
        let app = App::alone(&[]);
        let shop = Shop::of(&app.workspace(&["*"]), "shopify");
        Self { app, shop, number: 0 }
    }

    fn tell(&mut self, topic: &str, body: &Value) {
        self.number += 1;
        let mut body = body.clone();
        if topic.starts_with("orders/") {
            body["updated_at"] = json!(format!("2026-03-10T10:00:{:02}Z", self.number));
        }
        self.shop.shopify(topic, &format!("d-{}", self.number), &body).expect(200);
        work(&self.app);
    }

    fn made(&self) -> Value {
        let failed = self.shop.events("status=failed");
        assert_eq!(failed, Vec::<Value>::new());
        self.shop.orders().pop().unwrap_or_else(|| panic!("{:?}", self.shop.events("")))
    }

    /// Total, paid and paid back, and the word for it.
    fn state(&self) -> (i64, i64, i64, String) {
        let made = self.made();
        let amount = |field: &str| made[field]["amount"].as_i64().expect("an amount");
        let word = made["financial_status"].as_str().expect("a word").to_owned();
        (amount("total"), amount("paid_total"), amount("refunded_total"), word)
    }

    fn log(&self) -> Vec<(String, Option<i64>)> {
        let path = "/v1/touchpoints?type=order.paid,order.refunded,order.returned&sort=occurred_at";
        let list = self.shop.client.get(path).expect(200).json;
        let rows = list["data"].as_array().expect("a list").clone();
        let shown = |row: &Value| {
            (row["type"].as_str().expect("a type").to_owned(), row["value"]["amount"].as_i64())
        };
        rows.iter().map(shown).collect()
    }
}

fn state(total: i64, paid: i64, refunded: i64, word: &str) -> (i64, i64, i64, String) {
    (total, paid, refunded, word.to_owned())
}

#[test]
fn a_refund_in_the_customers_currency_counts_in_the_shops() {
    let yen = |amount: &str, status: &str| money(amount, "JPY", status);
    let goods = |mut refund: Value, adjustments: Value| {
        refund["refund_line_items"][0]["subtotal_set"] = set("100.00");
        refund["refund_line_items"][0]["total_tax_set"] = set("15.97");
        refund["order_adjustments"] = adjustments;
        refund
    };
    let shipping = json!([{ "kind": "shipping_refund", "amount_set": set("-4.12"),
                            "tax_amount_set": set("-0.78") }]);
    let agreed = json!([{ "kind": "refund_discrepancy", "amount_set": set("30.00"),
                          "tax_amount_set": set("0.00") }]);
    let said = |more: Value| changed(yen("8000", "success"), &more);
    let adjusted = json!({ "currency_exchange_adjustment":
        { "original_amount": "-50.00", "final_amount": "-50.31", "currency": "EUR" } });
    let cases = [
        (goods(refund("return", &json!([yen("16000", "success")])), json!([])), 10_000),
        (goods(refund("return", &json!([yen("16800", "success")])), shipping), 10_490),
        (goods(refund("return", &json!([yen("11000", "success")])), agreed), 7000),
        // A part of it is on its way.
        (
            goods(
                refund("return", &json!([yen("4000", "success"), yen("12000", "pending")])),
                json!([]),
            ),
            2500,
        ),
        (refund("return", &json!([said(json!({ "amount_set": set("50.00") }))])), 5000),
        (refund("return", &json!([said(adjusted)])), 5000),
        (refund("return", &json!([money("50.00", "EUR", "success")])), 5000),
    ];
    for (at, (refund, worth)) in cases.iter().enumerate() {
        let mut told = Told::new();
        told.tell("orders/create", &order(&json!({})));
        match at % 2 {
            0 => told.tell("refunds/create", refund),
            _ => {
                let more = json!({ "refunds": [refund], "financial_status": "partially_refunded" });
                told.tell("orders/updated", &order(&more));
            }
        }
        let (total, paid, refunded, word) = told.state();
        assert_eq!((total, paid, refunded), (15_490, 15_490, *worth), "{at}: {refund}");
        assert_eq!(word, "partially_refunded");
    }
    // Nobody says what it is in the shop's.
    let mut told = Told::new();
    told.tell("orders/create", &order(&json!({})));
    told.tell("refunds/create", &refund("return", &json!([yen("8000", "success")])));
    let failed = told.shop.events("status=failed");
    assert_eq!(failed[0]["error"]["errors"][0]["code"], "currency_mismatch", "{failed:?}");
}

#[test]
fn what_is_taken_off_before_it_is_paid_for_costs_nothing() {
    let mut told = Told::new();
    let pending = json!({ "financial_status": "pending", "total_outstanding": "154.90" });
    told.tell("orders/create", &order(&pending));
    let mut removed = line(2, "100.00");
    removed["current_quantity"] = json!(0);
    let edit = json!({ "line_items": [line(1, "50.00"), removed], "current_total_price": "54.90",
                       "current_total_tax": "8.77", "refunds": [refund("cancel", &json!([]))] });
    let edited = changed(order(&pending), &edit);
    told.tell("orders/updated", &changed(edited.clone(), &json!({ "total_outstanding": "54.90" })));
    assert_eq!(told.state(), state(5490, 0, 0, "pending"));
    told.tell("refunds/create", &refund("cancel", &json!([])));
    let paid = json!({ "financial_status": "paid", "total_outstanding": "0.00" });
    let paid = changed(edited, &paid);
    told.tell("orders/paid", &paid);
    assert_eq!(told.state(), state(5490, 5490, 0, "paid"));
    let made = told.made();
    assert_eq!(made["line_items"].as_array().map(Vec::len), Some(1));
    assert_eq!((&made["discount_total"], &made["fee_total"]), (&eur(0), &eur(0)));
    assert_eq!(made["tax_total"], eur(877));
    assert_eq!(told.log(), [("order.paid".to_owned(), Some(5490))], "nothing came back");
    // All of that is paid back.
    let mut all = refund("return", &json!([money("54.90", "EUR", "success")]));
    (all["id"], all["refund_line_items"][0]["line_item_id"]) = (json!(61), json!(1));
    let more = json!({ "financial_status": "refunded", "current_total_price": "0.00",
                       "refunds": [refund("cancel", &json!([])), all] });
    told.tell("orders/updated", &changed(paid, &more));
    assert_eq!(told.state(), state(5490, 5490, 5490, "refunded"));
}

#[test]
fn what_was_paid_for_stays_what_was_ordered() {
    let mut told = Told::new();
    told.tell("orders/create", &order(&json!({})));
    // Taken off, and to be paid back some day.
    let owed = json!({ "current_total_price": "54.90", "total_outstanding": "-100.00",
                       "refunds": [refund("cancel", &json!([]))] });
    told.tell("orders/updated", &order(&owed));
    assert_eq!(told.state(), state(15_490, 15_490, 0, "paid"));
    assert_eq!(told.made()["line_items"].as_array().map(Vec::len), Some(2));
    let back = refund("cancel", &json!([money("100.00", "EUR", "success")]));
    let more = json!({ "current_total_price": "54.90", "refunds": [back],
                       "financial_status": "partially_refunded" });
    told.tell("orders/updated", &order(&more));
    assert_eq!(told.state(), state(15_490, 15_490, 10_000, "partially_refunded"));
}

#[test]
fn of_a_deposit_no_more_than_that_was_paid() {
    let mut told = Told::new();
    let deposit = json!({ "financial_status": "partially_paid", "total_outstanding": "114.90" });
    told.tell("orders/create", &order(&deposit));
    assert_eq!(told.state(), state(15_490, 4000, 0, "partially_paid"));
    let back = refund("no_restock", &json!([money("10.00", "EUR", "success")]));
    let more = json!({ "financial_status": "partially_refunded", "current_total_price": "144.90",
                       "total_outstanding": "114.90", "refunds": [back] });
    told.tell("orders/updated", &order(&more));
    assert_eq!(told.state(), state(15_490, 4000, 1000, "partially_refunded"));
}

#[test]
fn an_order_that_is_cancelled_unpaid_stays_what_was_ordered_and_nothing_comes_back() {
    let mut told = Told::new();
    let pending = json!({ "financial_status": "pending", "total_outstanding": "154.90" });
    told.tell("orders/create", &order(&pending));
    let cancel = json!({ "financial_status": "voided", "cancelled_at": "2026-03-05T10:00:00Z",
                         "current_total_price": "0.00", "refunds": [refund("cancel", &json!([]))] });
    told.tell("orders/cancelled", &order(&cancel));
    assert_eq!(told.state(), state(15_490, 0, 0, "voided"));
    assert_eq!(told.made()["line_items"].as_array().map(Vec::len), Some(2));
    assert_eq!(told.log(), []);
}

#[test]
fn a_refund_counts_when_a_bank_has_paid_it_back() {
    let mut told = Told::new();
    told.tell("orders/create", &order(&json!({})));
    let back =
        |restock: &str, status: &str| refund(restock, &json!([money("30.00", "EUR", status)]));
    told.tell("refunds/create", &back("no_restock", "pending"));
    assert_eq!(told.shop.events("status=ignored").len(), 1);
    assert_eq!(told.state(), state(15_490, 15_490, 0, "paid"));
    let done = json!({ "financial_status": "partially_refunded", "current_total_price": "124.90",
                       "refunds": [back("no_restock", "success")] });
    told.tell("orders/updated", &order(&done));
    assert_eq!(told.state(), state(15_490, 15_490, 3000, "partially_refunded"));
    let refunded = ("order.refunded".to_owned(), Some(3000));
    let paid = ("order.paid".to_owned(), Some(15_490));
    assert_eq!(told.log(), [paid.clone(), refunded.clone()]);
    // The goods come back first.
    let mut told = Told::new();
    told.tell("orders/create", &order(&json!({})));
    told.tell("refunds/create", &back("return", "pending"));
    assert_eq!(told.state(), state(15_490, 15_490, 0, "paid"));
    let returned = ("order.returned".to_owned(), None);
    assert_eq!(told.log(), [paid.clone(), returned.clone()]);
    told.tell("refunds/create", &back("return", "success"));
    told.tell("refunds/create", &back("return", "success"));
    told.tell("refunds/create", &back("return", "pending"));
    assert_eq!(told.state(), state(15_490, 15_490, 3000, "partially_refunded"));
    let mut log = told.log();
    log.sort();
    assert_eq!(log, [paid, refunded, returned]);
    assert_eq!(told.made()["line_items"][1]["returned_quantity"], 1);
}

#[test]
fn of_a_refund_of_several_lines_only_those_came_back_that_did() {
    let mut told = Told::new();
    told.tell("orders/create", &order(&json!({})));
    let mut mixed = refund("return", &json!([money("60.00", "EUR", "success")]));
    let kept = json!({ "line_item_id": 1, "quantity": 1, "restock_type": "no_restock" });
    mixed["refund_line_items"].as_array_mut().expect("a list").push(kept);
    told.tell("refunds/create", &mixed);
    let made = told.made();
    let returned: Vec<&Value> =
        (0..2).map(|at| &made["line_items"][at]["returned_quantity"]).collect();
    assert_eq!(returned, [&json!(0), &json!(1)]);
}

#[test]
fn the_test_of_a_shop_makes_nothing() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "shopify");
    let test = order(&json!({ "test": true }));
    shop.shopify("orders/create", "d-1", &test).expect(200);
    // What has no such field is told by its header.
    let bob = json!({ "id": 9, "email": "john@mail.example.com" }).to_string();
    let tag = super::base64_mac(&bob);
    let headers = [
        ("X-Shopify-Topic", "customers/create"),
        ("X-Shopify-Hmac-Sha256", &*tag),
        ("X-Shopify-Test", "true"),
    ];
    shop.send(&headers, &bob).expect(200);
    work(&app);
    let ignored = shop.events("status=ignored");
    assert_eq!(ignored.len(), 2, "{:?}", shop.events(""));
    assert_eq!(ignored[0]["error"]["detail"], "a test of the shop");
    assert_eq!(shop.orders().len(), 0);
    assert_eq!(client.get("/v1/customers").expect(200).json["data"], json!([]));
    let twin = Shop::of(&workspace().test_mode(), "shopify");
    twin.shopify("orders/create", "d-1", &test).expect(200);
    work(App::shared());
    assert_eq!(twin.orders().len(), 1);
}
