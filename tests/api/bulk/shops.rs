//! Products and orders, as shops write them into files.

use serde_json::{Value, json};

use super::{
    APP, act, counts, csv_of, ended, import, path_of, prepare, refusals, upload, workspace,
};
use crate::harness::Client;

/// As Shopify exports orders: a row for each line, of which only the first says everything.
const ORDERS: &str = "\
Name,Email,Financial Status,Paid at,Fulfillment Status,Currency,Subtotal,Shipping,Taxes,Total,\
Discount Code,Discount Amount,Created at,Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku,\
Billing City,Billing Country,Refunded Amount,Id
#1001,ada@shop.example.com,paid,2026-03-01 10:00:00 +0100,fulfilled,EUR,29.80,4.90,5.00,34.70,\
SPRING,1.00,2026-03-01 09:59:00 +0100,2,Rope,10.90,ROPE,Innsbruck,AT,0.00,501
#1001,ada@shop.example.com,,,,,,,,,,,,1,Chalk,9.00,CHALK,,,,
#1002,bob@shop.example.com,partially_refunded,2026-03-02 10:00:00 +0100,,USD,5.00,0.00,0.00,5.00,\
,0.00,2026-03-02 10:00:00 +0100,1,Sticker,5.00,,,,2.50,502
";

fn of_shop(resource: &str, format: &str, policy: &str) -> Value {
    json!({ "resource": resource, "format": format, "on_duplicate": policy, "source": "shop" })
}

fn list(client: &Client, what: &str) -> Vec<Value> {
    let list = client.get(&format!("/v1/{what}?sort=created_at&limit=200")).expect(200).json;
    list["data"].as_array().expect("a list").clone()
}

fn revert(client: &Client, done: &Value) -> Value {
    act(client, done["id"].as_str().expect("an id"), "revert").expect(200);
    ended(client, &path_of(done, "imports"))
}

#[test]
fn orders_of_a_shop_are_taken_in_by_its_own_names() {
    let client = workspace();
    let rope = json!({ "name": "Rope", "sku": "ROPE" });
    let rope = client.post("/v1/products", rope).expect(201).id();
    let id = prepare(&client, of_shop("orders", "csv", "skip"));
    let known = upload(&client, &id, ORDERS).expect(200).json;
    assert_eq!(known["ignored_columns"], json!(["Subtotal"]));
    let preview = client.get(&format!("/v1/imports/{id}/preview")).expect(200).json;
    let rows: Vec<&Value> = preview["rows"].as_array().expect("rows").iter().collect();
    assert_eq!((rows.len(), &rows[1]["row"]), (2, &json!(3)), "{preview}");
    act(&client, &id, "start").expect(200);
    let done = ended(&client, &format!("/v1/imports/{id}"));
    assert_eq!((&done["status"], counts(&done)), (&json!("completed"), [2, 0, 0, 0]), "{done}");
    assert_eq!(done["counts"]["total"], 3, "rows");
    let orders = list(&client, "orders");
    let first = &orders[0];
    assert_eq!(first["external_ids"], json!([{ "source": "shop", "id": "501" }]));
    assert_eq!((&first["source"], &first["number"]), (&json!("shop"), &json!("#1001")));
    assert_eq!(first["placed_at"], "2026-03-01T08:59:00Z");
    assert_eq!(first["total"], json!({ "amount": 3470, "currency": "EUR" }));
    assert_eq!(first["is_tax_included"], true, "the amounts tell");
    assert_eq!(first["discount_codes"], json!(["SPRING"]));
    let lines = first["line_items"].as_array().expect("lines");
    assert_eq!((lines.len(), &lines[0]["product_id"]), (2, &json!(rope)));
    assert_eq!((&lines[1]["sku"], &lines[1]["total"]["amount"]), (&json!("CHALK"), &json!(900)));
    assert_eq!(first["billing_address"]["city"], "Innsbruck");
    let second = &orders[1];
    assert_eq!(second["refunded_total"], json!({ "amount": 250, "currency": "USD" }));
    assert_eq!(second["is_tax_included"], false);
    let customers = super::customers(&client);
    assert_eq!(customers.len(), 2);
    assert_eq!(customers[0]["stats"]["orders_count"], 1);
    let log = client.get("/v1/touchpoints?type=order.placed").expect(200).json;
    assert_eq!(log["data"].as_array().map(Vec::len), Some(2), "one a change");
}

#[test]
fn whole_orders_come_as_lines_of_json() {
    let client = workspace();
    let line = |name: &str, price: i64| {
        json!({ "name": name, "quantity": 1,
                "unit_price": { "amount": price, "currency": "EUR" } })
    };
    let order = |id: &str, total: i64| {
        json!({ "currency": "EUR", "external_ids": [{ "source": "erp", "id": id }],
                "customer": { "email": "ada@shop.example.com" },
                "line_items": [line("Rope", 1000), line("Chalk", 500)],
                "total": { "amount": total, "currency": "EUR" } })
    };
    let file = format!("{}\n{}\n{{\"number\":1}}\n", order("1", 1500), order("2", 1501));
    let done = import(&client, of_shop("orders", "ndjson", "skip"), &file);
    assert_eq!(counts(&done), [1, 0, 0, 2], "{done}");
    let refused = refusals(&client, &done);
    let place = |n: usize| [&*refused[n][0], &*refused[n][1], &*refused[n][2]];
    assert_eq!(place(0), ["2", "total", "totals_mismatch"]);
    assert_eq!(place(1), ["3", "number", "invalid_type"]);
    assert_eq!(list(&client, "orders")[0]["line_items"].as_array().map(Vec::len), Some(2));
}

#[test]
fn an_order_that_is_there_is_left_changed_or_refused_and_never_by_older_news() {
    let client = workspace();
    let file = |status: &str, at: &str, tag: &str| {
        format!(
            "Id,Financial Status,Updated at,Tags,Total,Email\n\
             7,{status},2026-03-0{at} 10:00:00 UTC,{tag},10.00,ada@shop.example.com\n"
        )
    };
    let made = import(&client, of_shop("orders", "csv", "skip"), &file("pending", "2", "a"));
    assert_eq!(counts(&made), [1, 0, 0, 0], "{made}");
    let again = |policy: &str, text: &str| import(&client, of_shop("orders", "csv", policy), text);
    let paid = file("paid", "3", "b");
    assert_eq!(counts(&again("skip", &paid)), [0, 0, 1, 0]);
    let refused = again("fail", &paid);
    assert_eq!(counts(&refused), [0, 0, 0, 1]);
    assert_eq!(refusals(&client, &refused)[0][2], "external_ids_taken");
    assert_eq!(list(&client, "orders")[0]["financial_status"], "pending");
    assert_eq!(counts(&again("update", &paid)), [0, 1, 0, 0]);
    let order = list(&client, "orders")[0].clone();
    assert_eq!((&order["financial_status"], &order["tags"]), (&json!("paid"), &json!(["a", "b"])));
    let older = again("update", &file("voided", "1", "c"));
    assert_eq!(counts(&older), [0, 0, 1, 0], "what is older changes nothing");
    let back = again("update", &file("pending", "4", ""));
    assert_eq!(counts(&back), [0, 0, 0, 1], "no order goes from paid to pending");
    assert_eq!(refusals(&client, &back)[0][2], "invalid_transition");
    assert_eq!(list(&client, "orders"), [order]);
}

#[test]
fn orders_that_an_import_made_are_deleted_and_those_it_changed_are_named() {
    let client = workspace();
    let old = json!({ "currency": "EUR", "total": { "amount": 100, "currency": "EUR" },
                      "external_ids": [{ "source": "shop", "id": "1" }] });
    client.post("/v1/orders", old).expect(201);
    let file = "Id,Number,Total\n1,A,1.00\n2,B,2.00\n3,C,3.00\n";
    let done = import(&client, of_shop("orders", "csv", "update"), file);
    assert_eq!(counts(&done), [2, 1, 0, 0], "{done}");
    let third = list(&client, "orders")[2]["id"].as_str().expect("an id").to_owned();
    client.patch(&format!("/v1/orders/{third}"), json!({ "note": "mine" })).expect(200);
    let reverted = revert(&client, &done);
    assert_eq!(reverted["counts"]["reverted"], 1, "{reverted}");
    let kept = refusals(&client, &reverted);
    let told: Vec<[&str; 2]> = kept.iter().map(|row| [&*row[0], &*row[2]]).collect();
    assert_eq!(told, [["1", "cannot_be_undone"], ["3", "changed_since"]]);
    let numbers: Vec<Value> =
        list(&client, "orders").iter().map(|order| order["number"].clone()).collect();
    assert_eq!(numbers, ["A", "C"]);
}

#[test]
fn orders_that_one_import_made_and_changed_are_deleted_too() {
    let client = workspace();
    let file = "Id,Number,Total,Note\n1,A,1.00,a\n2,B,2.00,b\n1,A,1.00,c\n2,B,2.00,d\n1,A,1.00,e\n";
    let done = import(&client, of_shop("orders", "csv", "update"), file);
    assert_eq!(counts(&done), [2, 3, 0, 0], "{done}");
    let second = list(&client, "orders")[1]["id"].as_str().expect("an id").to_owned();
    client.patch(&format!("/v1/orders/{second}"), json!({ "note": "mine" })).expect(200);
    let reverted = revert(&client, &done);
    assert_eq!(reverted["counts"]["reverted"], 3, "{reverted}");
    let kept = refusals(&client, &reverted);
    let told: Vec<[&str; 2]> = kept.iter().map(|row| [&*row[0], &*row[2]]).collect();
    assert_eq!(told, [["2", "changed_since"], ["4", "changed_since"]]);
    let left = list(&client, "orders");
    assert_eq!((left.len(), &left[0]["note"]), (1, &json!("mine")));
}

#[test]
fn products_are_taken_in_changed_and_given_back() {
    let client = workspace();
    let rope = json!({ "name": "Rope", "sku": "ROPE", "tags": ["a"],
                       "attributes": { "length": 60 } });
    client.post("/v1/products", rope).expect(201);
    let without = |mut all: Vec<Value>| {
        for one in &mut all {
            (one["version"], one["updated_at"]) = (Value::Null, Value::Null);
        }
        all
    };
    let before = without(list(&client, "products"));
    let file = "Handle,Title,Variant SKU,Variant Price,Vendor,Tags,Currency,attributes.length\n\
                rope,Rope,ROPE,19.90,Alpenglow,b,USD,70\nchalk,Chalk,CHALK,5,,,,\n\
                bad,Bad,BAD,\"5,00\",,,,\n";
    let tried = import(
        &client,
        json!({ "resource": "products", "format": "csv", "dry_run": true, "source": "shop" }),
        file,
    );
    assert_eq!((counts(&tried), list(&client, "products").len()), ([1, 0, 1, 1], 1));
    let done = import(&client, of_shop("products", "csv", "update"), file);
    assert_eq!(counts(&done), [1, 1, 0, 1], "{done}");
    let wrong = &refusals(&client, &done)[0];
    assert_eq!([&*wrong[0], &*wrong[1], &*wrong[2]], ["3", "price", "invalid_amount"]);
    let products = list(&client, "products");
    let (rope, chalk) = (&products[0], &products[1]);
    assert_eq!(rope["price"], json!({ "amount": 1990, "currency": "USD" }));
    assert_eq!((&rope["brand"], &rope["tags"]), (&json!("Alpenglow"), &json!(["a", "b"])));
    assert_eq!(rope["external_ids"], json!([{ "source": "shop", "id": "rope" }]));
    assert_eq!(chalk["price"], json!({ "amount": 500, "currency": "EUR" }), "the workspace's");
    let json = "{\"name\": \"Tape\", \"price\": {\"amount\": 100, \"currency\": \"EUR\"}}\n{\"sku\": \"X\"}\n";
    let other = import(&client, of_shop("products", "ndjson", "fail"), json);
    assert_eq!(counts(&other), [1, 0, 0, 1]);
    assert_eq!(refusals(&client, &other)[0][2], "required");
    assert_eq!(revert(&client, &other)["counts"]["reverted"], 1);
    assert_eq!(revert(&client, &done)["counts"]["reverted"], 2);
    assert_eq!(without(list(&client, "products")), before);
}

/// The rows of an order never end up in two portions: the next begins where an order begins.
#[test]
fn lines_of_one_order_stay_together_over_portions() {
    let client = workspace();
    let mut file = String::from("Id,Lineitem name,Lineitem quantity,Lineitem price,Total\n");
    for order in 0..501 {
        file.push_str(&format!("{order},a,1,1.00,3.00\n{order},b,1,1.00,\n\n{order},c,1,1.00,\n"));
    }
    let done = import(&client, of_shop("orders", "csv", "fail"), &file);
    assert_eq!((counts(&done), &done["counts"]["total"]), ([501, 0, 0, 0], &json!(501 * 3)));
}

#[test]
fn an_order_with_too_many_lines_is_refused_and_the_next_is_not() {
    let client = workspace();
    let mut file = String::from("Id,Lineitem name,Lineitem quantity,Lineitem price\n");
    (0..1200).for_each(|_| file.push_str("1,a,1,1.00\n"));
    file.push_str("2,a,1,1.00\n");
    let done = import(&client, of_shop("orders", "csv", "skip"), &file);
    assert_eq!((counts(&done), &done["counts"]["total"]), ([1, 0, 0, 1], &json!(1201)));
    let refused = &refusals(&client, &done)[0];
    assert_eq!([&*refused[0], &*refused[2]], ["1", "too_many_lines"]);
}

#[test]
fn an_order_of_which_a_row_cannot_be_read_is_refused_whole() {
    let client = workspace();
    let file = "Id,Lineitem name,Lineitem quantity,Lineitem price\n\
                1,a,1,1.00,oops\n1,b,1,1.00\n2,a,1,1.00\n2,b,1\n3,a,1,1.00\n";
    let done = import(&client, of_shop("orders", "csv", "skip"), file);
    assert_eq!(counts(&done), [1, 0, 0, 2]);
    let refused = refusals(&client, &done);
    let told: Vec<_> = refused.iter().map(|row| [&*row[0], &*row[2]]).collect();
    assert_eq!(told, [["1", "wrong_number_of_fields"], ["3", "wrong_number_of_fields"]]);
    assert_eq!(list(&client, "orders").len(), 1);
}

#[test]
fn orders_and_products_need_their_own_scopes() {
    let client = APP.workspace(&["jobs:write", "jobs:read", "customers:write", "orders:read"]);
    for (resource, scope) in [("orders", "orders:write"), ("products", "products:write")] {
        let refused = client.post("/v1/imports", csv_of(resource)).expect(403);
        assert!(refused.text.contains(scope), "{}", refused.text);
    }
    client.post("/v1/exports", csv_of("products")).expect(403);
    let id = client.post("/v1/exports", csv_of("orders")).expect(201).id();
    workspace().get(&format!("/v1/exports/{id}")).expect(404);
    let unknown =
        json!({ "resource": "orders", "format": "csv", "mapping": { "a": "line_item.x" } });
    let refused = workspace().post("/v1/imports", unknown).expect(422);
    assert_eq!(refused.fault(), ("unknown_field", "#/mapping/a"));
}

/// As Shopify exports products: further rows are variants, or only pictures.
#[test]
fn variants_of_a_product_are_products() {
    let client = workspace();
    let file = "Handle,Title,Vendor,Option1 Value,Variant SKU,Variant Price,Image Src,Tags\n\
                rope,Rope,Alpenglow,60 m,'060,19.90,https://x.example.com/1.jpg,a\n\
                rope,,,70 m,R70,24.90,,\nrope,,,,,,https://x.example.com/2.jpg,\n\
                rope,,,80 m,,29.90,,\nchalk,Chalk,,,,5.00,,\nother,,,,O,1.00,,\n";
    let done = import(&client, of_shop("products", "csv", "skip"), file);
    assert_eq!((counts(&done), &done["counts"]["total"]), ([4, 0, 0, 1], &json!(6)), "{done}");
    let refused = &refusals(&client, &done)[0];
    assert_eq!([&*refused[0], &*refused[1], &*refused[2]], ["6", "name", "required"]);
    let products = list(&client, "products");
    let shown = |n: usize| {
        let one = &products[n];
        [&one["name"], &one["brand"], &one["sku"], &one["external_ids"][0]["id"]]
    };
    assert_eq!(shown(0), [&json!("Rope"), &json!("Alpenglow"), &json!("060"), &json!("rope")]);
    assert_eq!(shown(1), [&json!("Rope"), &json!("Alpenglow"), &json!("R70"), &json!("rope/R70")]);
    assert_eq!(shown(2)[3], "rope/80 m");
    assert_eq!(products[1]["price"]["amount"], 2490);
    for policy in ["skip", "update"] {
        let again = import(&client, of_shop("products", "csv", policy), file);
        assert_eq!(counts(&again), [0, 0, 4, 1], "{policy}");
    }
}

/// A product begins in one portion and goes on in the next: it does not.
#[test]
fn variants_stay_with_their_product_over_portions() {
    let client = workspace();
    let mut file = String::from("Handle,Title,Variant SKU\n");
    for product in 0..300 {
        file.push_str(&format!("{product},P{product},{product}a\n"));
        file.push_str(&format!("{product},,{product}b\n{product},,{product}c\n"));
    }
    let done = import(&client, of_shop("products", "csv", "fail"), &file);
    assert_eq!((counts(&done), &done["counts"]["total"]), ([900, 0, 0, 0], &json!(900)), "{done}");
}

#[test]
fn files_of_woocommerce_and_mailchimp_are_understood() {
    let client = workspace();
    let file = "ID,Type,SKU,Name,Categories,Images,Regular price\n\
                7,simple,R,Rope,Ropes,\"https://x.example.com/1.jpg, https://x.example.com/2.jpg\",5\n";
    let done = import(&client, of_shop("products", "csv", "fail"), file);
    assert_eq!(counts(&done), [1, 0, 0, 0], "{done}");
    let rope = &list(&client, "products")[0];
    assert_eq!(
        (&rope["category"], &rope["image_url"]),
        (&json!("Ropes"), &json!("https://x.example.com/1.jpg"))
    );
    let file = "Email Address,First Name,Birthday,TAGS\n\
                ann@shop.example.com,Ann,05/31,\"\"\"VIP\"\",\"\"x, y\"\"\"\n";
    let done = import(&client, of_shop("customers", "csv", "fail"), file);
    assert_eq!(counts(&done), [1, 0, 0, 0], "{done}");
    assert_eq!(done["ignored_columns"], json!(["Birthday"]));
    assert_eq!(super::customers(&client)[0]["tags"], json!(["VIP", "x, y"]));
}
