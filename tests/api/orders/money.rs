//! What an order costs: computed, and compared with what the sender says.

use serde_json::json;

use super::{PATH, at, create, eur, line, refused};
use crate::harness::workspace;

#[test]
fn totals_are_computed_where_nobody_says_them() {
    let client = workspace();
    let body = json!({ "currency": "EUR", "line_items": [line("a", 3, 1000), line("b", 1, 50)],
                       "discount_total": eur(300), "shipping_total": eur(490), "fee_total": eur(10),
                       "tax_total": eur(600) });
    let made = create(&client, body.clone()).json;
    assert_eq!((&made["subtotal"], &made["total"]), (&eur(3050), &eur(3850)));
    // Tax that is in the prices is not added to them.
    let mut included = body;
    included["is_tax_included"] = json!(true);
    assert_eq!(create(&client, included).json["total"], eur(3250));
    // What changes changes the sum.
    let id = made["id"].as_str().expect("an id");
    let after = client.patch(&at(id), json!({ "shipping_total": eur(0) })).expect(200).json;
    assert_eq!(after["total"], eur(3360));
}

#[test]
fn an_order_without_lines_costs_what_is_said() {
    let client = workspace();
    let made =
        create(&client, json!({ "currency": "EUR", "total": eur(1200), "tax_total": eur(200) }));
    assert_eq!((&made.json["subtotal"], &made.json["total"]), (&eur(1000), &eur(1200)));
    let made = create(&client, json!({ "currency": "EUR", "subtotal": eur(1200) }));
    assert_eq!(made.json["total"], eur(1200));
    let made = create(&client, json!({ "currency": "EUR" }));
    assert_eq!((&made.json["total"], &made.json["financial_status"]), (&eur(0), &json!("paid")));
}

#[test]
fn totals_that_do_not_add_up_are_refused() {
    let client = workspace();
    let lines = json!([line("a", 2, 1000)]);
    let with = |field: &str, amount: i64| {
        let mut body =
            json!({ "currency": "EUR", "line_items": lines, "shipping_total": eur(100) });
        body[field] = eur(amount);
        client.post(PATH, body)
    };
    refused(with("total", 2099), "totals_mismatch", "#/total");
    refused(with("subtotal", 2100), "totals_mismatch", "#/subtotal");
    refused(with("discount_total", 2101), "out_of_range", "#/total");
    with("total", 2100).expect(201);
    let mut off = line("a", 2, 1000);
    off["total"] = eur(1999);
    let body = json!({ "currency": "EUR", "line_items": [line("b", 1, 1), off] });
    let answer = client.post(PATH, body);
    assert!(answer.text.contains("20.00 EUR") && answer.text.contains("19.99 EUR"));
    refused(answer, "totals_mismatch", "#/line_items/1/total");
}

#[test]
fn amounts_are_in_the_currency_of_the_order_and_no_less_than_nothing() {
    let client = workspace();
    let usd = json!({ "amount": 1, "currency": "USD" });
    let body = json!({ "currency": "EUR", "total": usd });
    refused(client.post(PATH, body), "currency_mismatch", "#/total/currency");
    let body = json!({ "currency": "EUR", "shipping_total": eur(-1) });
    refused(client.post(PATH, body), "out_of_range", "#/shipping_total/amount");
    let mut off = line("a", 1, 1);
    off["discount_total"] = usd;
    let body = json!({ "currency": "EUR", "line_items": [off] });
    refused(client.post(PATH, body), "currency_mismatch", "#/line_items/0/discount_total/currency");
    let most = line("a", 1_000_000, 1_000_000_000_000_000);
    let body = json!({ "currency": "EUR", "line_items": [most] });
    refused(client.post(PATH, body), "out_of_range", "#/line_items/0/total");
}
