//! Up to a thousand touchpoints in one call, each stored once.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::{PATH, fault, results, send, send_batch, statuses};
use crate::customers::{touchpoints, unchanged};
use crate::harness::workspace;

fn named(message: &str) -> Value {
    json!({ "type": "page.viewed", "source": "shop", "message_id": message })
}

#[test]
fn a_repeat_within_a_batch_is_stored_once() {
    let client = workspace();
    let items = [named("1"), named("2"), named("1"), json!({ "type": "page.viewed" }), named("1")];
    let done = send_batch(&client, &items).expect(207);
    let results = results(&done);
    assert_eq!(statuses(&done), [201, 201, 200, 201, 200]);
    assert_eq!(results[2].1, results[0].1);
    assert_eq!(results[4].1, results[0].1);
    assert_eq!(touchpoints(&client), 3);
}

#[test]
fn a_repeat_of_another_request_is_stored_once() {
    let client = workspace();
    let first = send(&client, named("1")).expect(201).id();
    let done = send_batch(&client, &[named("2"), named("1")]).expect(207);
    assert_eq!(statuses(&done), [201, 200]);
    assert_eq!(results(&done)[1].1, Some(first.as_str()));
    let again = unchanged(&client, || send_batch(&client, &[named("1"), named("2")])).expect(207);
    assert_eq!(results(&again)[0], (200, Some(first.as_str())));
    assert_eq!(results(&again)[1].1, results(&done)[0].1);
}

#[test]
fn of_many_repeats_in_a_large_batch_the_first_is_stored() {
    let client = workspace();
    let message = |position: usize| (position * 7919) % 400;
    let items: Vec<Value> = (0..1000)
        .map(|position| {
            let mut item = named(&message(position).to_string());
            item["properties"] = json!({ "position": position });
            item
        })
        .collect();
    let done = send_batch(&client, &items).expect(207);
    let mut first: HashMap<usize, &str> = HashMap::new();
    for (position, (status, id)) in results(&done).into_iter().enumerate() {
        let id = id.expect("an id");
        let is_first = !first.contains_key(&message(position));
        assert_eq!(status, if is_first { 201 } else { 200 }, "{position}");
        assert_eq!(*first.entry(message(position)).or_insert(id), id);
    }
    let sample = client.get(&format!("{PATH}/{}", first[&message(3)])).expect(200);
    assert_eq!(sample.json["properties"]["position"], 3);
    assert_eq!(touchpoints(&client), 400);
}

#[test]
fn the_same_message_sent_by_many_at_once_is_stored_once() {
    let client = workspace();
    let items: Vec<Value> = (0..50).map(|n| named(&n.to_string())).collect();
    let answers: Vec<Vec<(i64, String)>> = std::thread::scope(|scope| {
        let send = || {
            let done = send_batch(&client, &items).expect(207);
            results(&done).into_iter().map(|(s, id)| (s, id.expect("an id").to_owned())).collect()
        };
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(send)).collect();
        threads.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    });
    for position in 0..50 {
        let made = answers.iter().filter(|answer| answer[position].0 == 201).count();
        let ids: HashSet<&str> = answers.iter().map(|answer| answer[position].1.as_str()).collect();
        assert_eq!((made, ids.len()), (1, 1), "{position}");
    }
    assert_eq!(touchpoints(&client), 50);
}

#[test]
fn a_refused_item_leaves_nothing_behind() {
    let client = workspace();
    let nowhere = json!({ "id": "01890000-0000-7000-8000-000000000000" });
    let items = [
        json!({
            "type": "page.viewed", "customer": { "email": "ada@shop.example.com" },
            "channel": nowhere,
        }),
        json!({
            "type": "page.viewed", "customer": { "email": "eve@shop.example.com" },
            "organization": nowhere, "message_id": "1",
        }),
        json!({ "type": "viewed", "customer": { "email": "kim@shop.example.com" } }),
    ];
    let done = unchanged(&client, || send_batch(&client, &items)).expect(207);
    assert_eq!(statuses(&done), [422, 422, 422]);
    assert_eq!(fault(&done, 0), ("not_found", "#/channel"));
    assert_eq!(fault(&done, 1), ("not_found", "#/organization"));
    assert_eq!(fault(&done, 2), ("invalid_type", "#/type"));
    let later = send_batch(&client, &[json!({ "type": "page.viewed", "message_id": "1" })]);
    assert_eq!(statuses(&later), [201]);
}

#[test]
fn the_order_of_a_batch_is_kept_on_the_timeline() {
    let client = workspace();
    let items: Vec<Value> =
        (0..150).map(|n| json!({ "type": "page.viewed", "name": n.to_string() })).collect();
    let done = send_batch(&client, &items).expect(207);
    let ids: Vec<&str> = results(&done).into_iter().filter_map(|(_, id)| id).collect();
    let list =
        client.get(&format!("{PATH}?sort=occurred_at&limit=200&type=page.viewed")).expect(200);
    assert_eq!(crate::customers::texts(&list, "id"), ids);
}
