//! A customer as it was: at any time, what the API said at that time.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use crate::dice::Dice;
use crate::harness::{Answer, Client, workspace};

const PATH: &str = "/v1/customers";
const PEOPLE: usize = 4;
const STEPS: usize = 40;
const SEQUENCES: u64 = 12;

fn text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

fn then(client: &Client, id: &str, time: &str) -> Answer {
    client.get(&format!("{PATH}/{id}?as_of={time}"))
}

/// What can be compared: everything but the figures, and what the moment itself says.
fn fields(answer: &Answer) -> (u16, Value) {
    let mut shown = answer.json.clone();
    if answer.status != 200 {
        return (answer.status, Value::Null);
    }
    let map = shown.as_object_mut().expect("a customer");
    for silent in ["version", "stats", "as_of"] {
        map.remove(silent).expect(silent);
    }
    (200, shown)
}

/// A patch of a few fields, each to one of a few values.
fn patch(dice: &mut Dice, n: usize) -> Value {
    let address =
        json!([{ "type": "home", "is_default": true, "line1": "Seestraße 4", "city": "Graz" }]);
    let fields: [(&str, Vec<Value>); 13] = [
        ("first_name", vec![json!("Ada"), json!("Eva"), Value::Null]),
        ("title", vec![json!("Dr"), Value::Null]),
        (
            "email",
            vec![
                json!(format!("{n}a@x.example.com")),
                json!(format!("{n}b@x.example.com")),
                Value::Null,
            ],
        ),
        ("phone", vec![json!(format!("+43664123450{n}")), Value::Null]),
        ("addresses", vec![address, json!([])]),
        (
            "attributes",
            vec![
                json!({ "shoe": 42 }),
                json!({ "shoe": null, "hat": "M" }),
                json!({ "deep": { "a": [1.5, 2] } }),
            ],
        ),
        ("tags", vec![json!(["club"]), json!(["club", "vip"]), json!([])]),
        (
            "preferences",
            vec![json!({ "channels": ["email"], "topics": [], "language": "de" }), Value::Null],
        ),
        ("acquisition", vec![json!({ "utm_source": "newsletter" }), Value::Null]),
        ("score", vec![json!(1), json!(2), Value::Null]),
        ("birth_date", vec![json!("1990-02-28"), Value::Null]),
        ("external_ids", vec![json!([{ "source": "shop", "id": format!("s{n}") }]), json!([])]),
        ("status", vec![json!("active"), json!("inactive"), json!("blocked")]),
    ];
    let mut patch = serde_json::Map::new();
    for _ in 0..=dice.roll(3) {
        let (name, values) = &fields[dice.roll(fields.len())];
        patch.insert((*name).to_owned(), dice.one_of(values));
    }
    Value::Object(patch)
}

/// Something that may happen to a customer, or be refused.
fn step(client: &Client, ids: &[String], merges: &mut Vec<String>, dice: &mut Dice) -> Answer {
    let n = dice.roll(ids.len());
    let at = format!("{PATH}/{}", ids[n]);
    match dice.roll(12) {
        0 => {
            let stage = dice.one_of(&[json!("visitor"), json!("lead"), json!("customer")]);
            client.put(&format!("{at}/lifecycle_stage"), json!({ "lifecycle_stage": stage }))
        }
        1 => {
            let kind = dice.roll(3);
            let identity = match kind {
                0 => {
                    json!({ "type": "email", "value": format!("{n}-{}@y.example.com", dice.roll(3)) })
                }
                1 => json!({ "type": "phone", "value": format!("+4366412346{n}{}", dice.roll(3)) }),
                _ => json!({ "type": "external", "source": "erp", "value": format!("e{n}") }),
            };
            client.post(&format!("{at}/identities"), identity)
        }
        2 => {
            let list = client.get(&format!("{at}/identities")).json;
            let all = list["data"].as_array().cloned().unwrap_or_default();
            if all.is_empty() {
                return client.get(&at);
            }
            let identity = dice.one_of(&all)["id"].as_str().expect("an id").to_owned();
            client.delete(&format!("{at}/identities/{identity}"))
        }
        3 | 4 => {
            let answer = client
                .post(&format!("{at}/merge"), json!({ "source_id": ids[dice.roll(ids.len())] }));
            merges.extend(answer.json["merge_id"].as_str().map(String::from));
            answer
        }
        5 | 6 if !merges.is_empty() => {
            let merge = merges[dice.roll(merges.len())].clone();
            client.send("POST", &format!("/v1/merges/{merge}/revert"), &[], None)
        }
        7 => client.delete(&at),
        8 => client.send("POST", &format!("{at}/restore"), &[], None),
        9 => client.put(&format!("{PATH}/external/shop/u{n}"), patch(dice, n)),
        10 => {
            // A mark that comes with a touchpoint, and an order that moves the stage.
            let marks = json!({ "identities": [{ "type": "cookie", "value": format!("c{n}") }],
                                "email": format!("{n}-met@z.example.com") });
            client.post("/v1/touchpoints", json!({ "type": "order.placed", "customer": marks }))
        }
        _ => client.patch(&at, patch(dice, n)),
    }
}

#[test]
fn any_moment_shows_what_was_shown_then() {
    let mut compared = 0;
    for seed in 0..SEQUENCES {
        let client = workspace();
        let (mut dice, mut merges) = (Dice(seed), Vec::new());
        let before = text(Utc::now());
        let ids: Vec<String> = (0..PEOPLE)
            .map(|n| {
                let cookie = json!([{ "type": "cookie", "value": format!("c{n}") }]);
                client
                    .post(PATH, json!({ "first_name": format!("P{n}"), "identities": cookie }))
                    .expect(201)
                    .id()
            })
            .collect();
        let look = |at: Option<&str>| -> Vec<(u16, Value)> {
            let path = |id: &String| {
                format!("{PATH}/{id}{}", at.map(|at| format!("?as_of={at}")).unwrap_or_default())
            };
            ids.iter().map(|id| fields(&client.get(&path(id)))).collect()
        };
        let mut seen = Vec::new();
        for number in 0..STEPS {
            let done = step(&client, &ids, &mut merges, &mut dice);
            assert!(done.status < 500, "{}", done.text);
            seen.push((number, done, text(Utc::now()), look(None)));
        }
        for (number, done, time, shown) in &seen {
            for (now, then) in shown.iter().zip(look(Some(time))) {
                assert_eq!(&then, now, "seed {seed}, step {number}, which answered {}", done.text);
                compared += usize::from(now.0 == 200);
            }
        }
        assert!(look(Some(&before)).iter().all(|(status, _)| *status == 404));
    }
    assert!(compared > 1000, "{compared} were there");
}

#[test]
fn an_answer_about_then_is_no_answer_about_now() {
    let client = workspace();
    let ada = client.post(PATH, json!({ "first_name": "Ada" })).expect(201);
    let made = ada.json["created_at"].as_str().expect("a time").to_owned();
    client.patch(&format!("{PATH}/{}", ada.id()), json!({ "first_name": "Eva" })).expect(200);
    let answer = then(&client, &ada.id(), &made).expect(200);
    assert_eq!(
        (&answer.json["first_name"], &answer.json["updated_at"]),
        (&json!("Ada"), &json!(made))
    );
    assert_eq!((&answer.json["stats"], &answer.json["version"]), (&Value::Null, &json!(0)));
    assert_eq!(answer.json["as_of"], json!(made));
    assert!(!answer.headers.contains_key("etag"), "{:?}", answer.headers);
    let path = format!("{PATH}/{}", ada.id());
    let body = json!({ "score": 1 }).to_string();
    client.send("PATCH", &path, &[("If-Match", "\"0\"")], Some(&body)).expect(412);
    assert_eq!(client.get(&path).expect(200).json["as_of"], Value::Null);
}

#[test]
fn a_moment_is_a_time_that_has_been() {
    let client = workspace();
    let id = client.post(PATH, json!({ "first_name": "Ada" })).expect(201).id();
    for wrong in ["2199-01-01T00:00:00Z", "yesterday", "2026-03-14"] {
        let refused = then(&client, &id, wrong).expect(400);
        assert_eq!(refused.code(), "invalid_parameter", "{wrong}");
        assert_eq!(refused.json["errors"][0]["parameter"], "as_of");
    }
    then(&client, &id, "1999-01-01T00:00:00Z").expect(404);
    then(&workspace(), &id, &text(Utc::now())).expect(404);
}

#[test]
fn the_history_of_a_mirrored_field_is_whole() {
    let client = workspace();
    let id = client.post(PATH, json!({ "first_name": "Ada" })).expect(201).id();
    let at = format!("{PATH}/{id}/identities");
    let added =
        client.post(&at, json!({ "type": "email", "value": "ada@x.example.com" })).expect(200);
    client.delete(&format!("{at}/{}", added.id())).expect(204);
    let history = client.get(&format!("{PATH}/{id}/history?field=email")).expect(200).json;
    let told: Vec<_> = history["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| (one["from"].clone(), one["to"].clone()))
        .collect();
    let email = json!("ada@x.example.com");
    assert_eq!(told, [(email.clone(), Value::Null), (Value::Null, email)]);
}

/// Not a test of time: it prints what `docs/performance.md` says.
#[test]
#[ignore = "measures"]
fn a_thousand_changes_are_undone() {
    let client = workspace();
    let ada = client.post(PATH, json!({ "first_name": "Ada" })).expect(201);
    let made = ada.json["created_at"].as_str().expect("a time").to_owned();
    for n in 0..1000 {
        client.patch(&format!("{PATH}/{}", ada.id()), json!({ "score": n })).expect(200);
    }
    for _ in 0..3 {
        let begun = std::time::Instant::now();
        then(&client, &ada.id(), &made).expect(200);
        println!("a thousand changes undone in {:?}", begun.elapsed());
        let begun = std::time::Instant::now();
        then(&client, &ada.id(), &text(Utc::now())).expect(200);
        println!("none undone in {:?}", begun.elapsed());
    }
}
