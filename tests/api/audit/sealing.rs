//! Seals: what they hold, that there is one chain, and that `ecrm verify` sees every change.

use aws_lc_rs::digest::{SHA256, digest};
use ecrm::audit::seal::seal;
use ecrm::db::Outcome;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{at, events, newest};
use crate::harness::{App, Client, workspace};

/// Seals what a workspace has.
pub fn seal_all(app: &App, client: &Client, livemode: bool) {
    let session = app.session(client, livemode);
    while app.state.db.write(&session, &|tx| seal(tx).map(Outcome::Commit)).expect("sealed") {}
}

fn seals(client: &Client) -> Vec<Value> {
    let list = client.get("/v1/audit_seals?sort=sequence").expect(200).json;
    list["data"].as_array().expect("a list").clone()
}

fn tag(client: &Client, name: &str) {
    client.post("/v1/tags", json!({ "name": name })).expect(201);
}

fn bytes(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().expect("a hash");
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// RFC 6962, written again from the words in the documentation.
fn climbed(event: &Value) -> Vec<u8> {
    let sha = |parts: &[&[u8]]| digest(&SHA256, &parts.concat()).as_ref().to_vec();
    let leaf = sha(&[&[0], &bytes(&event["hash"])]);
    event["proof"].as_array().expect("a proof").iter().fold(leaf, |so_far, step| {
        let other = bytes(&step["hash"]);
        match step["side"].as_str() {
            Some("left") => sha(&[&[1], &other, &so_far]),
            _ => sha(&[&[1], &so_far, &other]),
        }
    })
}

#[test]
fn every_event_can_be_proved_to_stand_under_its_seal() {
    let client = workspace();
    (0..11).for_each(|n| tag(&client, &format!("t{n}")));
    let waiting = client.get(&at(&newest(&client, "tag.created"))).expect(200).json;
    assert_eq!((&waiting["seal"], &waiting["proof"]), (&Value::Null, &json!([])));
    seal_all(App::shared(), &client, true);
    let all = events(&client, "");
    assert_eq!(all.len(), 13);
    for event in all {
        let shown = client.get(&at(&event)).expect(200).json;
        assert_eq!(climbed(&shown), bytes(&shown["seal"]["root"]), "{shown}");
        assert_eq!(shown["seal"]["events_count"], 13);
    }
}

#[test]
fn seals_are_one_chain_in_live_and_in_test_data() {
    let client = workspace();
    let test = client.test_mode();
    for name in ["one", "two", "three"] {
        for (caller, livemode) in [(&client, true), (&test, false)] {
            tag(caller, name);
            seal_all(App::shared(), &client, livemode);
            // Nothing new, no seal.
            seal_all(App::shared(), &client, livemode);
        }
    }
    for caller in [&client, &test] {
        let chain = seals(caller);
        assert_eq!(chain.len(), 3);
        assert_eq!((&chain[0]["sequence"], &chain[0]["previous_hash"]), (&json!(1), &Value::Null));
        for pair in chain.windows(2) {
            assert_eq!(pair[1]["previous_hash"], pair[0]["hash"]);
            assert_eq!(pair[1]["sequence"], json!(pair[0]["sequence"].as_i64().unwrap() + 1));
        }
    }
}

#[test]
fn sealers_that_meet_make_one_chain() {
    let client = workspace();
    let app = App::shared();
    for round in 0..5 {
        (0..6).for_each(|n| tag(&client, &format!("t{round}-{n}")));
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| seal_all(app, &client, true));
            }
            // Writers do not wait for any of them.
            threads.spawn(|| tag(&client, &format!("meanwhile-{round}")));
        });
    }
    seal_all(app, &client, true);
    let chain = seals(&client);
    let numbers: Vec<i64> = chain.iter().map(|seal| seal["sequence"].as_i64().unwrap()).collect();
    assert_eq!(numbers, (1..=i64::try_from(chain.len()).unwrap()).collect::<Vec<_>>());
    let sealed: i64 = chain.iter().map(|seal| seal["events_count"].as_i64().unwrap()).sum();
    assert_eq!(sealed, i64::try_from(events(&client, "").len()).unwrap());
    assert!(events(&client, "").iter().all(|event| !event["seal_id"].is_null()));
}

#[test]
fn the_worker_seals() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    tag(&client, "vip");
    ecrm::worker::round(&app.state, Uuid::now_v7()).expect("a round");
    assert_eq!(seals(&client).len(), 1);
    assert_eq!(seals(&client)[0]["events_count"], 3);
}

/// Not a test of time: it prints what `docs/performance.md` says.
#[test]
#[ignore = "measures"]
fn ten_thousand_events_are_sealed_and_verified() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let session = app.session(&client, true);
    let write = |tx: &mut ecrm::db::Tx| {
        for n in 0..10_000 {
            let tag = json!({ "name": format!("t{n}"), "color": "#2e7d32", "description": null });
            let id = tx.new_id();
            ecrm::audit::created(tx, "tag.created", id, &tag)?;
        }
        Ok(Outcome::Commit(()))
    };
    let begun = std::time::Instant::now();
    app.state.db.write(&session, &write).expect("written");
    println!("written in {:?}", begun.elapsed());
    let begun = std::time::Instant::now();
    seal_all(&app, &client, true);
    println!("sealed in {:?}", begun.elapsed());
    let begun = std::time::Instant::now();
    client.get(&at(&newest(&client, "tag.created"))).expect(200);
    println!("proved in {:?}", begun.elapsed());
    let begun = std::time::Instant::now();
    let found = app.state.db.system(ecrm::audit::verify::events).expect("verified");
    assert_eq!((found.checked, found.faults), (10_002, 0));
    let found = app.state.db.system(ecrm::audit::verify::seals).expect("verified");
    assert_eq!((found.checked, found.faults), (2, 0));
    println!("verified in {:?}", begun.elapsed());
}
