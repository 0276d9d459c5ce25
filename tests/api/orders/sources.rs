//! Orders as outside systems tell of them: once more, together, and in any order.

use serde_json::{Value, json};

use super::{PATH, at, eur, kinds, line, ropes};
use crate::dice::Dice;
use crate::harness::{App, workspace};

const OUTSIDE: &str = "/v1/orders/external/shop/450789469";

#[test]
fn an_order_is_recorded_or_changed_by_its_outside_id() {
    let client = workspace();
    let made = client.put(OUTSIDE, ropes("ada@shop.example.com")).expect(201);
    assert_eq!(made.json["source"], "shop");
    assert_eq!(made.json["external_ids"], json!([{ "source": "shop", "id": "450789469" }]));
    let more = json!({ "external_ids": [{ "source": "erp", "id": "9" }], "note": "Ring" });
    let changed = client.put(OUTSIDE, more).expect(200);
    assert_eq!(changed.id(), made.id());
    assert_eq!(changed.json["external_ids"].as_array().map(Vec::len), Some(2));
    let only_new = [("If-None-Match", "*")];
    client.send("PUT", OUTSIDE, &only_new, Some("{}")).expect_code(412, "precondition_failed");
    let taken = json!({ "currency": "EUR", "external_ids": [{ "source": "erp", "id": "9" }] });
    let taken = client.post(PATH, taken).expect_code(409, "external_ids_taken");
    assert_eq!(taken.json["existing_id"], made.id());
    client.put("/v1/orders/external/shop/new", json!({ "note": "x" })).expect(422);
}

#[test]
fn the_same_news_twice_change_nothing() {
    let client = workspace();
    let mut body = ropes("ada@shop.example.com");
    body["financial_status"] = json!("paid");
    body["source_updated_at"] = json!("2026-03-14T08:00:00Z");
    let first = client.put(OUTSIDE, body.clone()).expect(201);
    body["source_updated_at"] = json!("2026-03-14T09:00:00Z");
    let again = client.put(OUTSIDE, body).expect(200);
    assert_eq!(again.json["version"], first.json["version"]);
    assert_eq!(again.json["source_updated_at"], "2026-03-14T09:00:00Z");
    assert_eq!(kinds(&client, &first.id()), ["order.paid", "order.placed"]);
}

#[test]
fn older_news_change_nothing_also_what_made_the_order() {
    let client = workspace();
    let updated = json!({ "currency": "EUR", "total": eur(100), "financial_status": "paid",
                          "note": "new", "source_updated_at": "2026-03-14T09:00:00Z" });
    let created = json!({ "currency": "EUR", "total": eur(100), "financial_status": "pending",
                          "note": "old", "source_updated_at": "2026-03-14T08:00:00Z" });
    let first = client.put(OUTSIDE, updated).expect(201);
    let late = client.put(OUTSIDE, created).expect(200);
    assert_eq!(late.json, first.json);
}

/// Whatever the order in which the same news arrive, the end is the same.
#[test]
fn news_may_come_in_any_order() {
    let client = workspace();
    let at_hour = |hour: usize, status: &str, note: &str| {
        json!({ "currency": "EUR", "email": "ada@shop.example.com", "note": note,
                "line_items": [line("rope", 2, 5000)], "financial_status": status,
                "source_updated_at": format!("2026-03-14T{hour:02}:00:00Z") })
    };
    let news = [
        at_hour(8, "pending", "a"),
        at_hour(9, "authorized", "b"),
        at_hour(10, "paid", "c"),
        at_hour(11, "refunded", "d"),
    ];
    let mut dice = Dice(7);
    for round in 0..12 {
        let mut left: Vec<&Value> = news.iter().collect();
        let path = format!("/v1/orders/external/shop/{round}");
        while !left.is_empty() {
            let one = left.remove(dice.roll(left.len()));
            let answer = client.put(&path, one.clone());
            assert!(matches!(answer.status, 200 | 201), "{}", answer.text);
        }
        let end = client.put(&path, news[0].clone()).expect(200).json;
        assert_eq!((&end["note"], &end["financial_status"]), (&json!("d"), &json!("refunded")));
        assert_eq!((&end["paid_total"], &end["refunded_total"]), (&eur(10_000), &eur(10_000)));
    }
}

#[test]
fn a_batch_records_what_is_new_and_changes_what_is_known() {
    let client = workspace();
    let known = client.put(OUTSIDE, ropes("ada@shop.example.com")).expect(201).id();
    let item = |id: &str, note: &str| {
        let mut body = ropes("ada@shop.example.com");
        body["external_ids"] = json!([{ "source": "shop", "id": id }]);
        body["note"] = json!(note);
        body
    };
    let mut wrong = item("3", "c");
    wrong["total"] = eur(1);
    let items = json!({ "items": [item("450789469", "a"), item("2", "b"), wrong, item("2", "d")] });
    let answer = client.post(&format!("{PATH}/batch"), items).expect(207).json;
    let statuses: Vec<_> = (0..4).map(|n| answer["results"][n]["status"].as_i64()).collect();
    assert_eq!(statuses, [Some(200), Some(201), Some(422), Some(200)]);
    assert_eq!(answer["results"][0]["id"], known);
    assert_eq!(answer["results"][2]["error"]["errors"][0]["pointer"], "#/total");
    assert_eq!(answer["results"][1]["id"], answer["results"][3]["id"]);
    assert_eq!(client.get(&at(&known)).expect(200).json["note"], "a");
    let all = json!({ "items": [item("4", "x"), { "currency": "EUR", "total": eur(-1) }] });
    let refused = client.post(&format!("{PATH}/batch?atomic=true"), all).expect(422);
    assert_eq!(refused.fault().1, "#/items/1/total/amount");
    assert_eq!(client.get(PATH).expect(200).json["data"].as_array().map(Vec::len), Some(2));
}

#[test]
fn many_who_tell_of_a_new_order_at_once_make_one() {
    let client = workspace();
    for round in 0..10 {
        let path = format!("/v1/orders/external/shop/r{round}");
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let (client, path) = (&client, &path);
                scope.spawn(move || {
                    let mut body = ropes("ada@shop.example.com");
                    body["note"] = json!(writer.to_string());
                    let answer = client.put(path, body);
                    assert!(matches!(answer.status, 200 | 201), "{}", answer.text);
                });
            }
        });
    }
    let list = client.get(&format!("{PATH}?limit=200")).expect(200).json;
    assert_eq!(list["data"].as_array().map(Vec::len), Some(10));
    assert_eq!(list["data"][0]["version"], 4);
}

#[test]
fn a_batch_may_reach_back_over_more_months_than_there_are_attempts() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let order = |month: i32| {
        let mut body = ropes("ada@shop.example.com");
        body["placed_at"] =
            json!(format!("{}-{:02}-15T00:00:00Z", 1981 + month / 12, month % 12 + 1));
        body["external_ids"] = json!([{ "source": "shop", "id": month.to_string() }]);
        body
    };
    let items: Vec<Value> = (0..30).map(order).collect();
    let answer = client.post("/v1/orders/batch", json!({ "items": items })).expect(207);
    assert_eq!(answer.json["failed"], 0, "{}", answer.text);
    assert_eq!(
        client.get("/v1/orders?limit=200").expect(200).json["data"].as_array().map(Vec::len),
        Some(30)
    );
}
