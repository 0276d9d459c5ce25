//! What shops report: orders and carts are recorded, once each.

use serde_json::{Value, json};

use super::{count, customer, ignored, public, sent, touchpoint};
use crate::harness::{Client, workspace};

fn completed() -> Value {
    json!({
        "order_id": "1001", "total": 27.5, "revenue": 25, "shipping": 3, "tax": 2, "discount": 2.5,
        "coupon": "SPRING10", "currency": "EUR", "cart_id": "c-1",
        "products": [
            { "product_id": "507f", "sku": "R-60", "name": "Rope", "price": 19, "quantity": 1 },
            { "product_id": "505b", "sku": "C-1", "name": "Chalk", "price": 3, "quantity": 2 },
        ],
    })
}

fn track(client: &Client, event: &str, properties: Value) -> Value {
    sent(client, "/v1/track", json!({ "userId": "u1", "event": event, "properties": properties }))
}

/// The one order there is.
fn order(client: &Client) -> Value {
    let found = client.get("/v1/orders").expect(200).json["data"].clone();
    assert_eq!(found.as_array().expect("a list").len(), 1, "{found}");
    found[0].clone()
}

fn cart(client: &Client) -> Value {
    let found = client.get("/v1/carts").expect(200).json["data"].clone();
    assert_eq!(found.as_array().expect("a list").len(), 1, "{found}");
    found[0].clone()
}

#[test]
fn an_order_that_is_completed_is_recorded() {
    let client = workspace();
    let result = track(&public(&client), "Order Completed", completed());
    assert_eq!(ignored(&result), []);
    let order = order(&client);
    assert_eq!(order["total"], json!({ "amount": 2750, "currency": "EUR" }));
    assert_eq!((&order["financial_status"], &order["number"]), (&json!("paid"), &json!("1001")));
    assert_eq!(order["external_ids"], json!([{ "source": "segment", "id": "1001" }]));
    assert_eq!(order["line_items"][1]["quantity"], 2);
    assert_eq!(order["discount_codes"], json!(["SPRING10"]));
    let buyer = customer(&client, "user_id", "u1");
    assert_eq!(order["customer_id"], buyer["id"]);
    assert_eq!(buyer["lifecycle_stage"], "customer");
    assert_eq!(buyer["stats"]["orders_count"], 1);
    // What was reported is kept as it came; the order itself tells that it was placed, once.
    let told = touchpoint(&client, &result);
    assert_eq!(
        (&told["type"], &told["name"]),
        (&json!("order.reported"), &json!("Order Completed"))
    );
    assert_eq!(told["properties"], completed());
    assert_eq!(count(&client, "order.placed"), 1);
}

#[test]
fn a_purchase_of_ga4_is_an_order_too() {
    let client = workspace();
    let items = json!([{ "item_id": "S-1", "item_name": "Tee", "price": 10.01, "quantity": 3 }]);
    track(
        &public(&client),
        "purchase",
        json!({
        "transaction_id": "T-1", "value": 30.03, "currency": "EUR", "shipping": 5.99, "items": items }),
    );
    let order = order(&client);
    assert_eq!(order["total"]["amount"], 3602);
    assert_eq!(order["line_items"][0]["name"], "Tee");
}

#[test]
fn a_write_key_records_an_order_and_changes_none() {
    let client = workspace();
    let sender = public(&client);
    track(&sender, "Order Completed", completed());
    let mut cheaper = completed();
    cheaper["total"] = json!(1);
    for (event, properties) in [
        ("Order Updated", cheaper.clone()),
        ("Order Completed", cheaper),
        ("Order Cancelled", completed()),
        ("Order Refunded", json!({ "order_id": "1001" })),
    ] {
        let result = track(&sender, event, properties);
        assert_eq!(ignored(&result), [("#/properties/order_id", "not_replaced")], "{event}");
    }
    let order = order(&client);
    assert_eq!((&order["version"], &order["total"]["amount"]), (&json!(1), &json!(2750)));
    // Nor does it bring back what somebody deleted.
    let path = format!("/v1/orders/{}", order["id"].as_str().expect("an id"));
    client.delete(&path).expect(204);
    let result = track(&sender, "Order Completed", completed());
    assert_eq!(ignored(&result), [("#/properties/order_id", "not_replaced")]);
    client.get(&path).expect(404);
}

#[test]
fn a_secret_key_tells_what_becomes_of_an_order() {
    let client = workspace();
    track(&client, "Order Completed", completed());
    let refund = json!({ "order_id": "1001", "total": 7.5, "currency": "EUR" });
    let body = json!({ "userId": "u1", "event": "Order Refunded", "messageId": "r1", "properties": refund });
    assert_eq!(ignored(&sent(&client, "/v1/track", body.clone())), []);
    assert_eq!(sent(&client, "/v1/track", body)["status"], 200);
    let partly = order(&client);
    assert_eq!(partly["refunded_total"]["amount"], 750);
    assert_eq!(partly["financial_status"], "partially_refunded");
    assert_eq!(count(&client, "order.refunded"), 1);
    track(&client, "refund", json!({ "transaction_id": "1001" }));
    assert_eq!(order(&client)["financial_status"], "refunded");
    track(&client, "Order Cancelled", json!({ "order_id": "1001" }));
    assert_eq!(order(&client)["status"], "cancelled");
    let unknown = track(&client, "Order Refunded", json!({ "order_id": "x" }));
    assert_eq!(ignored(&unknown), [("#/properties/order_id", "not_found")]);
}

#[test]
fn events_may_come_in_any_order() {
    let client = workspace();
    let at = |event: &str, time: &str, total: f64| {
        let products = json!([{ "name": "Rope", "price": total, "quantity": 1 }]);
        let properties = json!({ "order_id": "1", "currency": "EUR", "products": products,
                                 "cart_id": "c-9" });
        let body =
            json!({ "userId": "u1", "event": event, "timestamp": time, "properties": properties });
        sent(&client, "/v1/track", body);
    };
    let viewed = json!({ "cart_id": "c-9", "currency": "EUR" });
    track(&client, "Checkout Started", viewed);
    at("Order Updated", "2026-03-14T09:00:00Z", 20.0);
    at("Order Completed", "2026-03-14T08:00:00Z", 10.0);
    let order = order(&client);
    assert_eq!(order["total"]["amount"], 2000, "the older one came later");
    // That it was paid, the newer one had not told.
    assert_eq!(
        (&order["financial_status"], &order["paid_at"], &order["placed_at"]),
        (&json!("paid"), &json!("2026-03-14T08:00:00Z"), &json!("2026-03-14T08:00:00Z"))
    );
    assert_eq!(order["number"], "1");
    assert_eq!(customer(&client, "user_id", "u1")["lifecycle_stage"], "customer");
    assert_eq!(cart(&client)["status"], "converted");
}

#[test]
fn products_that_come_back_are_what_they_cost() {
    let client = workspace();
    track(&client, "Order Completed", completed());
    let back = json!([{ "sku": "C-1", "name": "Chalk", "quantity": 2 }]);
    track(&client, "Order Refunded", json!({ "order_id": "1001", "products": back }));
    let partly = order(&client);
    assert_eq!(
        (&partly["financial_status"], &partly["refunded_total"]["amount"]),
        (&json!("partially_refunded"), &json!(600))
    );
}

#[test]
fn sums_beyond_all_numbers_are_told_and_kept_as_an_event() {
    let client = workspace();
    let products = json!([{ "name": "Rope", "price": 1e13, "quantity": 1_000_000 }]);
    let properties = json!({ "order_id": "1", "total": 27.5, "products": products });
    let result = track(&public(&client), "Order Completed", properties);
    assert!(!ignored(&result).is_empty(), "{result}");
    assert_eq!(client.get("/v1/orders").expect(200).json["data"], json!([]));
    assert_eq!(touchpoint(&client, &result)["type"], "order.reported");
}

#[test]
fn what_is_told_late_of_a_cart_is_not_put_in_twice() {
    let client = workspace();
    let at = |event: &str, time: &str, properties: Value| {
        let body =
            json!({ "userId": "u1", "event": event, "timestamp": time, "properties": properties });
        assert_eq!(ignored(&sent(&client, "/v1/track", body)), [], "{event}");
        cart(&client)["line_items"][0]["quantity"].clone()
    };
    let rope =
        |quantity: i32| json!({ "sku": "R-60", "name": "Rope", "price": 19, "quantity": quantity });
    let one = |quantity: i32| {
        let mut one = rope(quantity);
        (one["cart_id"], one["currency"]) = (json!("c-1"), json!("EUR"));
        one
    };
    let whole = |quantity: i32| json!({ "cart_id": "c-1", "currency": "EUR", "products": [rope(quantity)] });
    assert_eq!(at("Cart Viewed", "2026-03-14T09:00:00Z", whole(2)), 2);
    // It was in what was seen.
    assert_eq!(at("Product Added", "2026-03-14T08:00:00Z", one(1)), 2);
    assert_eq!(at("Product Added", "2026-03-14T10:00:00Z", one(1)), 3);
    // It was seen before that was put in.
    assert_eq!(at("Cart Viewed", "2026-03-14T09:30:00Z", whole(2)), 3);
    // What was not seen with the whole cart counts, however late.
    assert_eq!(at("Product Added", "2026-03-14T09:10:00Z", one(1)), 4);
    assert_eq!(at("Checkout Started", "2026-03-14T08:30:00Z", whole(9)), 4);
    assert_eq!(cart(&client)["status"], "checkout");
}

#[test]
fn an_event_without_an_order_is_an_event() {
    let client = workspace();
    let result =
        track(&public(&client), "Order Completed", json!({ "total": 5, "currency": "EUR" }));
    let told = touchpoint(&client, &result);
    assert_eq!((&told["type"], &told["value"]["amount"]), (&json!("order.placed"), &json!(500)));
    assert_eq!(client.get("/v1/orders").expect(200).json["data"], json!([]));
}

#[test]
fn what_is_put_into_a_cart_is_in_it_until_it_is_bought() {
    let client = workspace();
    let sender = public(&client);
    let rope = |quantity: i32| {
        json!({ "cart_id": "c-1", "sku": "R-60", "name": "Rope", "price": 19, "quantity": quantity,
                "currency": "EUR" })
    };
    for (event, properties, quantity) in [
        ("Product Added", rope(1), 1),
        ("add_to_cart", rope(2), 3),
        ("Product Removed", rope(1), 2),
    ] {
        let result = track(&sender, event, properties);
        assert_eq!(ignored(&result), [], "{event}");
        assert_eq!(touchpoint(&client, &result)["type"], "cart.reported");
        let cart = cart(&client);
        assert_eq!(cart["line_items"][0]["quantity"], quantity, "{event}");
        assert_eq!(cart["total"]["amount"], 1900 * quantity);
    }
    assert_eq!((count(&client, "cart.item_added"), count(&client, "cart.item_removed")), (2, 1));
    track(&sender, "Checkout Started", json!({ "cart_id": "c-1", "currency": "EUR" }));
    assert_eq!(cart(&client)["status"], "checkout");
    track(&sender, "Order Completed", completed());
    assert_eq!(cart(&client)["status"], "converted");
    // Whatever comes late finds it closed.
    assert_eq!(ignored(&track(&sender, "Product Added", rope(5))), []);
    assert_eq!(cart(&client)["line_items"][0]["quantity"], 2);
    // Without a cart's id it is an event and nothing else.
    let result = track(&sender, "Product Added", json!({ "name": "Rope", "price": 1 }));
    assert_eq!(touchpoint(&client, &result)["type"], "cart.item_added");
}

#[test]
fn what_ga4_lists_is_put_into_a_cart_and_taken_out() {
    let client = workspace();
    let sender = public(&client);
    let items =
        |items: Value| json!({ "cart_id": "c-1", "currency": "EUR", "value": 7, "items": items });
    let chalk = json!({ "item_id": "C-1", "item_name": "Chalk", "price": 7, "quantity": 2 });
    let rope = json!({ "item_id": "R-60", "item_name": "Rope", "price": 19 });
    let added = track(&sender, "add_to_cart", items(json!([chalk, rope])));
    assert_eq!(ignored(&added), []);
    assert_eq!(cart(&client)["total"]["amount"], 3300);
    track(&sender, "add_to_cart", items(json!([rope])));
    let less = json!([{ "item_id": "R-60", "quantity": 2 }, { "item_id": "C-1" }]);
    assert_eq!(ignored(&track(&sender, "remove_from_cart", items(less))), []);
    let left = cart(&client);
    assert_eq!(left["line_items"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&left["line_items"][0]["name"], &left["total"]["amount"]),
        (&json!("Chalk"), &json!(700))
    );
    // Nothing that can be put in is an event and nothing else.
    let result = track(&sender, "add_to_cart", items(json!([{ "quantity": 0 }])));
    assert_eq!(ignored(&result), [("#/properties/items/0", "invalid_product")]);
    assert_eq!(touchpoint(&client, &result)["type"], "cart.item_added");
}

#[test]
fn a_product_is_taken_out_by_its_id_alone() {
    let client = workspace();
    let sender = public(&client);
    let product = |more: Value| {
        let mut product = json!({ "cart_id": "c-1", "product_id": "507f", "currency": "EUR" });
        product.as_object_mut().expect("an object").extend(more.as_object().expect("more").clone());
        product
    };
    let of = |variant: &str| {
        product(
            json!({ "sku": format!("R-{variant}"), "name": "Rope", "variant": variant, "price": 19 }),
        )
    };
    track(&sender, "Product Added", of("blue"));
    track(&sender, "Product Added", of("red"));
    assert_eq!(cart(&client)["line_items"].as_array().map(Vec::len), Some(2));
    assert_eq!(cart(&client)["line_items"][0]["product_external_id"], "507f");
    track(&sender, "Product Removed", product(json!({ "variant": "red" })));
    assert_eq!(cart(&client)["line_items"][0]["variant"], "blue");
    // Without a currency it is in that of the cart.
    let mut last = product(json!({}));
    last.as_object_mut().expect("an object").remove("currency");
    assert_eq!(ignored(&track(&sender, "Product Removed", last)), []);
    assert_eq!(cart(&client)["line_items"], json!([]));
}

#[test]
fn a_product_comes_back_by_its_id_alone() {
    let client = workspace();
    let tees = json!([{ "item_id": "SKU_1", "item_name": "Tee", "price": 10, "quantity": 3 }]);
    let bought = json!({ "transaction_id": "T-1", "value": 30, "currency": "USD", "items": tees });
    track(&client, "purchase", bought);
    let refund =
        |items: Value| track(&client, "refund", json!({ "transaction_id": "T-1", "items": items }));
    assert_eq!(ignored(&refund(json!([{ "item_id": "SKU_1", "quantity": 1 }]))), []);
    assert_eq!(order(&client)["refunded_total"], json!({ "amount": 1000, "currency": "USD" }));
    // What has no price is told, and is no refund of nothing.
    let unknown = refund(json!([{ "item_id": "SKU_9" }]));
    assert_eq!(ignored(&unknown), [("#/properties/items/0", "not_found")]);
    assert_eq!((count(&client, "order.refunded"), count(&client, "order.returned")), (1, 0));
    let unread = track(&client, "refund", json!({ "transaction_id": "T-1", "value": "some" }));
    assert_eq!(ignored(&unread), [("#/properties/value", "invalid_amount")]);
    assert_eq!(order(&client)["refunded_total"]["amount"], 1000);
}

#[test]
fn an_order_is_cancelled_whatever_is_said_of_its_money() {
    let client = workspace();
    let mut placed = completed();
    placed["currency"] = json!("USD");
    track(&client, "Order Completed", placed);
    let products = completed()["products"].clone();
    let cancelled = json!({ "order_id": "1001", "total": 27.5, "products": products });
    assert_eq!(ignored(&track(&client, "Order Cancelled", cancelled)), []);
    let order = order(&client);
    assert_eq!((&order["status"], &order["total"]["amount"]), (&json!("cancelled"), &json!(2750)));
    assert_eq!(order["line_items"].as_array().map(Vec::len), Some(2));
    assert_eq!(customer(&client, "user_id", "u1")["stats"]["orders_count"], 0);
}

#[test]
fn a_cancellation_that_comes_late_is_one() {
    let client = workspace();
    let at = |event: &str, time: &str, properties: Value| {
        let body =
            json!({ "userId": "u1", "event": event, "timestamp": time, "properties": properties });
        assert_eq!(ignored(&sent(&client, "/v1/track", body)), [], "{event}");
    };
    at("Order Completed", "2026-03-14T10:00:00Z", completed());
    at("Order Updated", "2026-03-14T12:00:00Z", completed());
    at("Order Cancelled", "2026-03-14T11:00:00Z", json!({ "order_id": "1001" }));
    let order = order(&client);
    assert_eq!(
        (&order["status"], &order["cancelled_at"]),
        (&json!("cancelled"), &json!("2026-03-14T11:00:00Z"))
    );
}

#[test]
fn a_change_says_what_it_names_and_the_rest_stays() {
    let client = workspace();
    track(&client, "Order Completed", completed());
    let total = |total: f64| {
        let told = json!({ "order_id": "1001", "total": total });
        assert_eq!(ignored(&track(&client, "Order Updated", told)), []);
        let order = order(&client);
        assert_eq!(order["total"]["amount"], json!((total * 100.0).round() as i64));
        (order["fee_total"]["amount"].clone(), order["discount_total"]["amount"].clone())
    };
    assert_eq!(total(30.0), (json!(250), json!(250)));
    assert_eq!(total(27.5), (json!(0), json!(250)));
    assert_eq!(total(20.0), (json!(0), json!(1000)));
    // Products without prices cost what they did.
    let one = json!({ "order_id": "1001", "discount": 0, "products": [{ "product_id": "507f", "quantity": 2 }] });
    assert_eq!(ignored(&track(&client, "Order Updated", one)), []);
    let order = order(&client);
    assert_eq!(
        (&order["subtotal"]["amount"], &order["shipping_total"]["amount"]),
        (&json!(3800), &json!(300))
    );
    assert_eq!(order["total"]["amount"], 4300);
}

#[test]
fn a_refund_may_come_before_its_order() {
    let client = workspace();
    let at = |client: &Client, id: &str, event: &str, time: &str, more: Value| {
        let mut properties = completed();
        properties["order_id"] = json!(id);
        if event == "Order Refunded" {
            properties = json!({ "order_id": id, "total": more });
        }
        let body =
            json!({ "userId": "u1", "event": event, "timestamp": time, "properties": properties });
        sent(client, "/v1/track", body)
    };
    let (early, late) = ("2026-03-14T10:00:00Z", "2026-03-14T12:00:00Z");
    let refund = at(&client, "1", "Order Refunded", late, json!(7.5));
    assert_eq!(ignored(&refund), [("#/properties/order_id", "not_found")]);
    // A write key refunds nothing, neither now nor later; nor does what was before the order.
    at(&public(&client), "1", "Order Refunded", late, json!(1));
    at(&client, "1", "Order Refunded", "2026-03-14T09:00:00Z", json!(2));
    at(&client, "2", "Order Refunded", late, json!(3));
    assert_eq!(ignored(&at(&client, "1", "Order Completed", early, Value::Null)), []);
    let partly = order(&client);
    assert_eq!(
        (&partly["financial_status"], &partly["refunded_total"]["amount"]),
        (&json!("partially_refunded"), &json!(750))
    );
    let id = partly["id"].as_str().expect("an id");
    let refunds = client.get(&format!("/v1/orders/{id}/refunds")).expect(200).json["data"].clone();
    assert_eq!(
        (refunds.as_array().map(Vec::len), &refunds[0]["refunded_at"]),
        (Some(1), &json!(late))
    );
    at(&client, "1", "Order Completed", early, Value::Null);
    assert_eq!(order(&client)["refunded_total"]["amount"], 750, "it counts once");
}

#[test]
fn an_order_and_its_refund_in_one_batch_count_once_in_either_order() {
    let client = workspace();
    let call = |event: &str, id: &str, time: &str, more: Value| {
        let mut properties = more;
        properties["order_id"] = json!(id);
        json!({ "type": "track", "userId": "u1", "event": event, "timestamp": time, "properties": properties })
    };
    let placed = |id: &str| call("Order Completed", id, "2026-03-14T10:00:00Z", completed());
    let refund =
        |id: &str| call("Order Refunded", id, "2026-03-14T12:00:00Z", json!({ "total": 7.5 }));
    let calls = json!([placed("1"), refund("1"), refund("2"), placed("2")]);
    let answer = client.post("/v1/batch", json!({ "batch": calls })).expect(200);
    assert_eq!(ignored(&answer.json["results"][1]), []);
    let orders = client.get("/v1/orders").expect(200).json["data"].clone();
    for order in orders.as_array().expect("a list") {
        assert_eq!(order["refunded_total"]["amount"], 750);
    }
    assert_eq!(count(&client, "order.refunded"), 2);
}

#[test]
fn a_cancellation_that_comes_first_waits_for_what_the_order_costs() {
    let client = workspace();
    let at = |event: &str, time: &str, properties: Value| {
        sent(
            &client,
            "/v1/track",
            json!({ "userId": "u1", "event": event, "timestamp": time, "properties": properties }),
        )
    };
    at("Order Cancelled", "2026-03-14T12:00:00Z", json!({ "order_id": "1001" }));
    assert_eq!(order(&client)["financial_status"], "voided");
    assert_eq!(count(&client, "order.paid"), 0);
    assert_eq!(ignored(&at("Order Completed", "2026-03-14T10:00:00Z", completed())), []);
    let order = order(&client);
    assert_eq!((&order["status"], &order["total"]["amount"]), (&json!("cancelled"), &json!(2750)));
    assert_eq!(order["placed_at"], "2026-03-14T10:00:00Z");
}

#[test]
fn prices_are_read_as_people_write_them_or_told() {
    let client = workspace();
    let sender = public(&client);
    let products = json!([{ "sku": "a", "price": "19,99" }, { "sku": "b", "price": "$5" }]);
    let bought =
        json!({ "order_id": "1", "currency": "EUR", "total": "€ 24,99", "products": products });
    assert_eq!(ignored(&track(&sender, "Order Completed", bought)), []);
    assert_eq!(order(&client)["total"]["amount"], 2499);
    assert_eq!(order(&client)["fee_total"]["amount"], 0);
    for event in ["Order Completed", "Order Updated"] {
        let unread =
            json!({ "order_id": "2", "total": "much", "products": [{ "sku": "a", "price": "?" }] });
        let result = track(&sender, event, unread);
        assert_eq!(
            ignored(&result),
            [
                ("#/properties/products/0/price", "invalid_amount"),
                ("#/properties/total", "invalid_amount"),
                ("#/properties/total", "required"),
            ]
        );
        assert_eq!(touchpoint(&client, &result)["type"], "order.reported");
    }
    assert_eq!(order(&client)["external_ids"][0]["id"], "1", "no order of nothing");
    // What is free is free.
    let gift = json!({ "order_id": "3", "total": 0, "currency": "EUR" });
    assert_eq!(ignored(&track(&sender, "Order Completed", gift)), []);
    assert_eq!(client.get("/v1/orders").expect(200).json["data"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_refund_beyond_what_was_paid_is_cut_and_told() {
    let client = workspace();
    track(&client, "Order Completed", completed());
    let refund = |total: i64| {
        track(&client, "Order Refunded", json!({ "order_id": "1001", "total": total }))
    };
    assert_eq!(ignored(&refund(10)), []);
    assert_eq!(ignored(&refund(100)), [("#/properties", "refund_exceeds_payment")]);
    let order = order(&client);
    assert_eq!(
        (&order["paid_total"]["amount"], &order["refunded_total"]["amount"]),
        (&json!(2750), &json!(2750))
    );
    let nothing = refund(1);
    assert_eq!(ignored(&nothing)[0].1, "refund_exceeds_payment");
    assert_eq!(count(&client, "order.refunded"), 2);
}

#[test]
fn what_was_said_to_be_refunded_is_not_counted_again() {
    let client = workspace();
    track(&client, "Order Completed", completed());
    track(&client, "Order Refunded", json!({ "order_id": "1001" }));
    let told = track(&client, "Order Refunded", json!({ "order_id": "1001", "total": 7.5 }));
    assert_eq!(ignored(&told), []);
    assert_eq!(order(&client)["refunded_total"]["amount"], 2750);
}
