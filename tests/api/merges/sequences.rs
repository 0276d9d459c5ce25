//! Any sequence of merges and undoings that the API allows ends where it began.

use serde_json::{Value, json};

use super::{belongings, create, merge, seen, undo};
use crate::dice::Dice;
use crate::harness::{Client, workspace};

const PEOPLE: usize = 6;
const STEPS: usize = 14;
const SEQUENCES: u64 = 25;

fn people(client: &Client, dice: &mut Dice) -> Vec<String> {
    (0..PEOPLE)
        .map(|n| {
            let name = |field: &str| dice.0.is_multiple_of(2).then(|| format!("{field}{n}"));
            let body = json!({
                "first_name": name("f"), "title": (n % 3 == 0).then(|| format!("t{n}")),
                "email": (n % 2 == 0).then(|| format!("{n}@x.example.com")),
                "phone": (n % 3 == 1).then(|| format!("+43664123456{n}")),
                "tags": [format!("tag{n}")], "attributes": { format!("a{n}"): n },
                "identities": [{ "type": "cookie", "value": format!("c{n}") }],
            });
            dice.roll(2);
            create(client, body)
        })
        .collect()
}

/// Merges, undoings and touchpoints by chance. Returns what came to whom, by the mark that was used.
fn play(client: &Client, ids: &[String], dice: &mut Dice) -> Vec<(usize, String)> {
    let (mut merges, mut came): (Vec<String>, Vec<(usize, String)>) = (Vec::new(), Vec::new());
    for _ in 0..STEPS {
        match dice.roll(4) {
            0 | 1 => {
                let answer = merge(client, &ids[dice.roll(PEOPLE)], &ids[dice.roll(PEOPLE)]);
                if answer.status == 200 {
                    merges.push(answer.json["merge_id"].as_str().expect("an id").to_owned());
                }
                assert!([200, 409, 422].contains(&answer.status), "{}", answer.text);
            }
            2 if !merges.is_empty() => {
                let at = dice.roll(merges.len());
                let answer = undo(client, &merges[at]);
                assert!([200, 409].contains(&answer.status), "{}", answer.text);
                if answer.status == 200 {
                    merges.remove(at);
                }
            }
            _ => {
                let who = dice.roll(PEOPLE);
                let touchpoint = seen(
                    client,
                    json!({ "identities": [{ "type": "cookie", "value": format!("c{who}") }] }),
                );
                came.push((who, touchpoint));
            }
        }
    }
    // What is left, the last first: no survivor of one of these is itself merged later.
    for id in merges.iter().rev() {
        undo(client, id).expect(200);
    }
    came
}

#[test]
fn any_sequence_of_merges_and_undoings_restores_everybody() {
    for seed in 0..SEQUENCES {
        let client = workspace();
        let mut dice = Dice(seed);
        let ids = people(&client, &mut dice);
        let mut before: Vec<Value> = ids.iter().map(|id| belongings(&client, id)).collect();
        for (who, touchpoint) in play(&client, &ids, &mut dice) {
            let timeline = before[who]["timeline"].as_array_mut().expect("a list");
            timeline.insert(0, json!(touchpoint));
            let stats = &mut before[who]["customer"]["stats"];
            stats["touchpoints_count"] =
                json!(stats["touchpoints_count"].as_i64().unwrap_or(0) + 1);
        }
        for (id, before) in ids.iter().zip(&mut before) {
            let mut after = belongings(&client, id);
            for times in ["first_seen_at", "last_seen_at"] {
                after["customer"]["stats"][times] = Value::Null;
                before["customer"]["stats"][times] = Value::Null;
            }
            assert_eq!(&after, before, "seed {seed}, customer {id}");
        }
    }
}
