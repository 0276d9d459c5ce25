//! Events on their way.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

use super::sink::{Message, Mode, Sink};
use super::{
    SENDING, at, customer, deliveries, delivery_in, endpoint, happen, hurry, send, sending,
    wait_for,
};
use crate::harness::{App, Client};

const VISITS: &str = "visit.*";

/// An endpoint that is told of visits.
fn told_of_visits(client: &Client, sink: &Sink) -> String {
    endpoint(client, json!({ "url": sink.url, "event_types": [VISITS] })).id()
}

fn detail(client: &Client, delivery: &Value) -> Value {
    let id = delivery["id"].as_str().expect("an id");
    client.get(&format!("/v1/webhook_deliveries/{id}")).expect(200).json
}

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no time: {value}"))
}

/// History that moves in has its place in the feed, and nobody is called about it.
#[test]
fn what_is_told_to_be_complete_is_sent_to_nobody() {
    let client = sending();
    let sink = Sink::new(Mode::Status(204));
    told_of_visits(&client, &sink);
    let visit = json!({ "type": "visit.made", "customer": { "id": customer(&client) } });
    let now = client.get("/v1/changes?from=now").expect(200).json["next_cursor"].clone();
    client.post("/v1/touchpoints?backfill=true", visit.clone()).expect(201);
    let batch = json!({ "items": [visit, visit] });
    client.post("/v1/touchpoints/batch?backfill=true", batch).expect(207);
    let last = client.post("/v1/touchpoints?backfill=false", visit).expect(201).id();
    // Of one customer they would come one after the other.
    let came = wait_for("the one of now", || Some(sink.came()).filter(|came| !came.is_empty()));
    assert_eq!(came.iter().map(Message::id).collect::<Vec<_>>(), [&last]);
    let path = format!("/v1/changes?types=visit.made&cursor={}", now.as_str().expect("a cursor"));
    assert_eq!(client.get(&path).expect(200).json["data"].as_array().map(Vec::len), Some(4));
}

#[test]
fn an_event_arrives_signed_at_every_endpoint_that_wants_it() {
    let client = sending();
    let sinks: Vec<Sink> = (0..4).map(|_| Sink::new(Mode::Status(204))).collect();
    let made = endpoint(&client, json!({ "url": sinks[0].url, "event_types": [VISITS] }));
    let paid = json!({ "field": "properties.shop", "op": "eq", "value": "Oslo" });
    endpoint(&client, json!({ "url": sinks[1].url, "where": paid }));
    endpoint(&client, json!({ "url": sinks[2].url, "event_types": ["order.*"] }));
    let elsewhere = sending();
    endpoint(&elsewhere, json!({ "url": sinks[3].url }));
    let ada = customer(&client);
    let visit = |shop: &str| {
        let body = json!({ "type": "visit.made", "customer": { "id": ada },
                           "properties": { "shop": shop } });
        client.post("/v1/touchpoints", body).expect(201).id()
    };
    let (oslo, bergen) = (visit("Oslo"), visit("Bergen"));
    let all = wait_for("both", || Some(sinks[0].came()).filter(|came| came.len() == 2));
    let ids: Vec<&str> = all.iter().map(Message::id).collect();
    assert_eq!(ids, [&oslo, &bergen], "of one customer, one after the other");
    let first = &all[0];
    assert_eq!(first.signatures_by(made.json["secret"].as_str().expect("a secret")), 1);
    assert_eq!(first.headers["content-type"], "application/json");
    let sent_at: i64 = first.headers["webhook-timestamp"].parse().expect("seconds");
    assert!((Utc::now().timestamp() - sent_at).abs() < 60);
    let touchpoint = client.get(&format!("/v1/touchpoints/{oslo}")).expect(200).json;
    assert_eq!(first.json["data"], touchpoint);
    assert_eq!(first.json["type"], "visit.made");
    assert_eq!(first.json["timestamp"], touchpoint["occurred_at"]);
    assert_eq!((&first.json["omitted"], &first.json["livemode"]), (&json!([]), &json!(true)));
    wait_for("the one in Oslo", || sinks[1].came().pop().filter(|one| one.id() == oslo));
    assert!(sinks[1].came().iter().all(|message| message.id() == oslo));
    assert!(sinks[2].came().is_empty());
    // It is told of itself, for it wants to know everything, and of nobody else.
    let foreign = sinks[3].came();
    assert!(
        foreign.iter().all(|one| one.json["type"] == "webhook_endpoint.created"),
        "{foreign:?}"
    );
    let delivered = wait_for("the log", || {
        let all = deliveries(&client, &made.id());
        (all.iter().filter(|one| one["status"] == "delivered").count() == 2).then_some(all)
    });
    assert!(delivered[0]["sequence"].as_i64() < delivered[1]["sequence"].as_i64());
    let detail = detail(&client, &delivered[0]);
    assert_eq!((&detail["attempts"], &detail["last_status_code"]), (&json!(1), &json!(204)));
    assert_eq!(detail["attempts_made"][0]["request_headers"]["webhook-id"], oslo.as_str());
    assert_eq!(detail["customer_id"], ada.as_str());
    let found = client.get(&at(&made.id())).expect(200).json;
    assert!(found["last_success_at"].is_string() && found["failing_since"].is_null());
}

#[test]
fn what_fails_is_sent_again_with_its_id_until_it_arrives() {
    let client = sending();
    let sink = Sink::new(Mode::Status(500));
    let id = told_of_visits(&client, &sink);
    let visit = happen(&client, &customer(&client), "first");
    let failed = wait_for("a failure", || {
        deliveries(&client, &id)
            .pop()
            .filter(|one| one["attempts"] == 1 && one["status"] == "pending")
    });
    assert_eq!(failed["last_status_code"], 500);
    let wait = time(&failed["next_attempt_at"]) - Utc::now();
    assert!(wait > TimeDelta::seconds(2) && wait < TimeDelta::milliseconds(5600), "{wait}");
    let health = client.get(&at(&id)).expect(200).json;
    assert_eq!(health["failures"], 1);
    assert!(health["failing_since"].is_string());
    sink.answer(Mode::Status(200));
    let arrived = detail(&client, &delivery_in(&client, &id, "delivered"));
    let came = sink.came();
    assert_eq!((came.len(), &arrived["attempts"]), (2, &json!(2)));
    assert!(came[1].at - came[0].at > Duration::from_secs(4), "not before its time");
    assert!(came.iter().all(|message| message.id() == visit));
    let numbers: Vec<&Value> = arrived["attempts_made"]
        .as_array()
        .expect("both")
        .iter()
        .map(|one| &one["number"])
        .collect();
    assert_eq!(numbers, [&json!(2), &json!(1)]);
    assert_eq!(arrived["attempts_made"][1]["response_body"], "ok");
    assert_eq!(client.get(&at(&id)).expect(200).json["failures"], 0);
}

#[test]
fn after_ten_attempts_nobody_tries_again_until_somebody_says_so() {
    let client = sending();
    let sink = Sink::new(Mode::Status(500));
    let id = told_of_visits(&client, &sink);
    happen(&client, &customer(&client), "poison");
    let mut waits = Vec::new();
    for attempt in 1..=10 {
        let after = wait_for("the next attempt", || {
            let found = deliveries(&client, &id).pop()?;
            (found["attempts"] == attempt && found["status"] != "delivering").then_some(found)
        });
        waits.push((time(&after["next_attempt_at"]) - Utc::now()).num_minutes());
        assert_eq!(after["status"] == "failed", attempt == 10, "{after}");
        if attempt == 5 {
            let paused = client.get(&at(&id)).expect(200).json;
            assert!(time(&paused["paused_until"]) > Utc::now() - TimeDelta::seconds(3));
        }
        hurry(&client, &id);
    }
    assert_eq!(sink.came().len(), 10);
    assert!((25..=33).contains(&waits[2]) && (1180..=1590).contains(&waits[8]), "{waits:?}");
    let delivery = deliveries(&client, &id).pop().expect("a delivery");
    let again =
        format!("/v1/webhook_deliveries/{}/redeliver", delivery["id"].as_str().expect("an id"));
    sink.answer(Mode::Status(200));
    client.send("POST", &again, &[], None).expect(202);
    let arrived = delivery_in(&client, &id, "delivered");
    assert_eq!((&arrived["attempts"], sink.came().len()), (&json!(11), 11));
    client.send("PATCH", &at(&id), &[], Some(r#"{"status": "disabled"}"#)).expect(200);
    client.send("POST", &again, &[], None).expect_code(409, "conflict");
}

#[test]
fn an_endpoint_that_is_gone_is_told_nothing_more_and_others_are_told_that() {
    let client = sending();
    let (sink, other) = (Sink::new(Mode::Status(410)), Sink::new(Mode::Status(200)));
    let id = told_of_visits(&client, &sink);
    endpoint(&client, json!({ "url": other.url, "event_types": ["webhook_endpoint.disabled"] }));
    let ada = customer(&client);
    happen(&client, &ada, "first");
    delivery_in(&client, &id, "failed");
    let found = client.get(&at(&id)).expect(200).json;
    assert_eq!((&found["status"], &found["disabled_reason"]), (&json!("disabled"), &json!("gone")));
    let notice = wait_for("the notice", || other.came().pop());
    assert_eq!(notice.json["data"]["subject"]["id"], id.as_str());
    assert_eq!(notice.json["data"]["properties"]["reason"], "gone");
    let events = client.get("/v1/audit_events?action=webhook_endpoint.disabled").expect(200).json;
    assert_eq!(events["data"].as_array().map(Vec::len), Some(1));
    let missed = happen(&client, &ada, "missed");
    sink.answer(Mode::Status(200));
    client.send("POST", &format!("{}/enable", at(&id)), &[], None).expect(200);
    let seen = happen(&client, &ada, "seen");
    wait_for("what happens from now on", || sink.came().pop().filter(|one| one.id() == seen));
    assert!(sink.came().iter().all(|message| message.id() != missed));
}

#[test]
fn an_endpoint_that_nothing_reaches_for_five_days_is_disabled() {
    let client = sending();
    let sink = Sink::new(Mode::Status(500));
    let id = told_of_visits(&client, &sink);
    happen(&client, &customer(&client), "first");
    wait_for("a failure", || deliveries(&client, &id).pop().filter(|one| one["attempts"] == 1));
    wait_for("its record", || client.get(&at(&id)).json["failing_since"].is_string().then_some(()));
    let later = format!(
        "update webhook_endpoints set failing_since = failing_since - interval '5 days' where id = '{id}'"
    );
    client.owner().batch_execute(&later).expect("five days later");
    hurry(&client, &id);
    let found = wait_for("the end", || {
        Some(client.get(&at(&id)).expect(200).json).filter(|found| found["status"] == "disabled")
    });
    assert_eq!(found["disabled_reason"], "failing");
}

#[test]
fn an_endpoint_that_asks_for_a_pause_gets_it_whatever_it_refuses_with() {
    let client = sending();
    let ask = |status| {
        let sink = Sink::new(Mode::Head(status, "retry-after: 3600\r\n"));
        let id = told_of_visits(&client, &sink);
        (status, sink, id)
    };
    let asked = [301, 404, 429, 500, 503].map(ask);
    happen(&client, &customer(&client), "first");
    let hour = Utc::now() + TimeDelta::minutes(55);
    for (status, _, id) in &asked {
        let refused = wait_for("a refusal", || {
            deliveries(&client, id).pop().filter(|one| one["last_status_code"] == *status)
        });
        assert!(time(&refused["next_attempt_at"]) > hour, "{refused}");
        let paused = client.get(&at(id)).expect(200).json;
        assert!(time(&paused["paused_until"]) > hour, "{paused}");
    }
    happen(&client, &customer(&client), "second");
    let (_, _, last) = &asked[4];
    wait_for("the second", || (deliveries(&client, last).len() == 2).then_some(()));
    std::thread::sleep(Duration::from_millis(1500));
    let came = asked.iter().map(|(_, sink, _)| sink.came().len());
    assert_eq!(came.collect::<Vec<_>>(), [1; 5], "nothing is sent meanwhile");
}

/// A message is under way to the old address while the endpoint is given another.
#[test]
fn what_a_former_address_says_ends_nothing() {
    let client = sending();
    let (former, sink) = (Sink::new(Mode::Slow(5000, 410)), Sink::new(Mode::Status(200)));
    let id = told_of_visits(&client, &former);
    happen(&client, &customer(&client), "first");
    wait_for("it to be under way", || former.came().pop());
    client.patch(&at(&id), json!({ "url": sink.url })).expect(200);
    let noted = wait_for("the answer", || {
        deliveries(&client, &id).pop().filter(|one| one["last_status_code"] == 410)
    });
    assert_eq!(noted["status"], "pending", "it is sent to the new address");
    let found = client.get(&at(&id)).expect(200).json;
    assert_eq!((&found["status"], &found["failures"]), (&json!("enabled"), &json!(0)));
    hurry(&client, &id);
    let arrived = delivery_in(&client, &id, "delivered");
    assert_eq!((&arrived["attempts"], sink.came().len()), (&json!(2), 1));
}

#[test]
fn a_new_address_does_not_pay_for_the_old_one() {
    let client = sending();
    let (former, sink) =
        (Sink::new(Mode::Head(503, "retry-after: 3600\r\n")), Sink::new(Mode::Status(200)));
    let id = told_of_visits(&client, &former);
    happen(&client, &customer(&client), "first");
    wait_for("a pause", || client.get(&at(&id)).json["paused_until"].is_string().then_some(()));
    let moved = client.patch(&at(&id), json!({ "url": sink.url })).expect(200).json;
    for field in ["paused_until", "failing_since"] {
        assert_eq!(moved[field], Value::Null, "{field}");
    }
    assert_eq!(moved["failures"], 0);
    happen(&client, &customer(&client), "second");
    wait_for("the second", || sink.came().pop());
}

#[test]
fn a_hostile_receiver_costs_one_attempt_and_no_more() {
    let client = sending();
    let metadata = Mode::Head(301, "location: http://169.254.169.254/latest/meta-data/\r\n");
    let modes = [
        (Mode::Hang, "pending", json!(null), json!("timeout")),
        (Mode::Drip, "pending", json!(null), json!("timeout")),
        (metadata, "pending", json!(301), json!(null)),
        (Mode::Huge, "delivered", json!(200), json!(null)),
        (Mode::Reset, "pending", json!(null), json!("connection_failed")),
        (Mode::Gibberish, "pending", json!(null), json!("invalid_answer")),
    ];
    let sinks: Vec<(Sink, String)> = modes
        .iter()
        .map(|(mode, ..)| {
            let sink = Sink::new(mode.clone());
            let id = told_of_visits(&client, &sink);
            (sink, id)
        })
        .collect();
    let good = Sink::new(Mode::Status(200));
    told_of_visits(&client, &good);
    let begun = Instant::now();
    for name in ["one", "two", "three", "four", "five", "six"] {
        happen(&client, &customer(&client), name);
    }
    wait_for("the good one", || (good.came().len() == 6).then_some(()));
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    for ((mode, status, code, error), (_, id)) in modes.iter().zip(&sinks) {
        let first = wait_for("an attempt", || {
            let all = deliveries(&client, id);
            all.into_iter().find(|one| one["attempts"] != 0 && one["status"] != "delivering")
        });
        let shown = (&first["last_status_code"], &first["last_error"], &first["status"]);
        assert_eq!(shown, (code, error, &json!(status)), "{mode:?}");
        let attempts = detail(&client, &first)["attempts_made"].clone();
        let latency = attempts[0]["latency_ms"].as_i64().expect("a time");
        assert!(latency < 11_000, "{mode:?}: {latency}");
        let kept = attempts[0]["response_body"].as_str().map_or(0, str::len);
        assert!(kept <= 1024, "{mode:?}");
        assert_eq!(kept == 1024, matches!(mode, Mode::Huge), "{mode:?}");
    }
}

#[test]
fn events_of_one_customer_wait_for_each_other_and_for_three_failures_at_most() {
    let client = sending();
    let sink = Sink::new(Mode::Status(500));
    let id = told_of_visits(&client, &sink);
    let (ada, bob) = (customer(&client), customer(&client));
    let first = happen(&client, &ada, "first");
    let second = happen(&client, &ada, "second");
    let other = happen(&client, &bob, "other");
    let tried = || -> Vec<String> { sink.came().iter().map(|one| one.id().to_owned()).collect() };
    wait_for("the first and the other", || {
        let tried = tried();
        (tried.contains(&first) && tried.contains(&other)).then_some(())
    });
    for attempts in 2..=3 {
        assert!(!tried().contains(&second), "{:?}", tried());
        wait_for("it to be noted", || {
            let all = deliveries(&client, &id);
            all.iter().all(|one| one["status"] == "pending").then_some(())
        });
        hurry(&client, &id);
        wait_for("another attempt", || {
            (tried().iter().filter(|one| **one == first).count() >= attempts).then_some(())
        });
    }
    wait_for("three failures", || {
        let first = deliveries(&client, &id).swap_remove(0);
        (first["attempts"] == 3 && first["status"] == "pending").then_some(())
    });
    assert!(!tried().contains(&second), "{:?}", tried());
    sink.answer(Mode::Status(200));
    let go_on = format!("update webhook_endpoints set paused_until = null where id = '{id}'");
    client.owner().batch_execute(&go_on).expect("no pause");
    wait_for("the second", || tried().contains(&second).then_some(()));
    assert_eq!(deliveries(&client, &id)[0]["status"], "pending", "the first waits for its time");
    hurry(&client, &id);
    wait_for("all", || {
        let all = deliveries(&client, &id);
        all.iter().all(|one| one["status"] == "delivered").then_some(())
    });
}

#[test]
fn no_more_is_under_way_to_an_endpoint_than_it_wants() {
    let client = sending();
    let sink = Sink::new(Mode::Slow(150, 200));
    let body = json!({ "url": sink.url, "event_types": [VISITS], "max_concurrency": 2 });
    endpoint(&client, body);
    for n in 0..12 {
        happen(&client, &customer(&client), &n.to_string());
    }
    wait_for("all", || (sink.came().len() == 12).then_some(()));
    assert_eq!(sink.most(), 2);
}

#[test]
fn a_failing_endpoint_is_tried_one_by_one_with_pauses() {
    let client = sending();
    let sink = Sink::new(Mode::Status(503));
    let id = told_of_visits(&client, &sink);
    for n in 0..20 {
        happen(&client, &customer(&client), &n.to_string());
    }
    wait_for("five failures", || {
        (client.get(&at(&id)).json["failures"].as_i64() >= Some(5)).then_some(())
    });
    std::thread::sleep(Duration::from_secs(2));
    let before = sink.came().len();
    assert!((5..=8).contains(&before), "{before}");
    let untouched = deliveries(&client, &id).iter().filter(|one| one["attempts"] == 0).count();
    assert!(untouched >= 12, "{untouched} wait as they were");
    sink.answer(Mode::Status(200));
    wait_for("all", || {
        // Its pause has grown longer than a test waits.
        hurry(&client, &id);
        let all = deliveries(&client, &id);
        (all.iter().filter(|one| one["status"] == "delivered").count() >= 12).then_some(())
    });
}

#[test]
fn a_range_is_sent_again() {
    let client = sending();
    let sink = Sink::new(Mode::Status(200));
    let id = told_of_visits(&client, &sink);
    let ada = customer(&client);
    let visits: Vec<String> = ["a", "b", "c"].map(|name| happen(&client, &ada, name)).into();
    wait_for("all", || {
        let all = deliveries(&client, &id);
        (all.iter().filter(|one| one["status"] == "delivered").count() == 3).then_some(())
    });
    let rows = deliveries(&client, &id);
    let replay = |body: Value| client.post(&format!("{}/replay", at(&id)), body);
    let (from, to) = (rows[0]["created_at"].clone(), time(&rows[2]["created_at"]));
    let to = json!(to + TimeDelta::seconds(1));
    let failed = json!({ "from": from, "to": to, "status": ["failed"] });
    assert_eq!(replay(failed).expect(202).json["queued"], 0);
    let others = json!({ "from": from, "to": to, "types": ["order.placed"] });
    assert_eq!(replay(others).expect(202).json["queued"], 0);
    let wrong = json!({ "from": from, "to": to, "types": ["visit*"] });
    assert_eq!(replay(wrong).expect(422).fault(), ("invalid_event_types", "#/types"));
    for (types, found) in [("visit.*,order.*", 3), ("visit.made", 3), ("vis_t.*", 0), ("*", 3)] {
        let list = format!("{}/deliveries?include_total=true&type={types}", at(&id));
        assert_eq!(client.get(&list).expect(200).json["total"], found, "{types}");
    }
    let wrong = client.get(&format!("{}/deliveries?type=visit*", at(&id)));
    wrong.expect_code(400, "invalid_parameter");
    let all = json!({ "from": from, "to": to, "types": ["visit.*", "order.*"] });
    let all = replay(all).expect(202).json;
    assert_eq!((&all["queued"], &all["is_complete"]), (&json!(3), &json!(true)));
    let came = wait_for("all again", || Some(sink.came()).filter(|came| came.len() == 6));
    let again: Vec<&str> = came[3..].iter().map(Message::id).collect();
    assert_eq!(again, visits);
    let backwards = json!({ "from": to, "to": from });
    assert_eq!(replay(backwards).expect(422).fault(), ("invalid_range", "#/to"));
}

#[test]
fn what_makes_a_message_too_large_is_left_out_and_named() {
    let client = sending();
    let sink = Sink::new(Mode::Status(200));
    told_of_visits(&client, &sink);
    let body = json!({ "type": "visit.made", "customer": { "id": customer(&client) },
                       "content": { "text": "x".repeat(19_000) },
                       "context": { "user_agent": "y".repeat(900) },
                       "properties": { "shop": "Oslo" } });
    client.post("/v1/touchpoints", body).expect(201);
    let message = wait_for("it", || sink.came().pop());
    assert!(message.body.len() < 20_000);
    assert_eq!(message.json["omitted"], json!(["content"]));
    assert_eq!(message.json["data"]["content"], Value::Null);
    assert_eq!(message.json["data"]["properties"]["shop"], "Oslo");
    assert!(message.json["data"]["context"]["user_agent"].is_string());
}

#[test]
fn what_a_dead_sender_took_is_sent_by_another() {
    let client = sending();
    let sink = Sink::new(Mode::Status(200));
    let id = told_of_visits(&client, &sink);
    happen(&client, &customer(&client), "first");
    delivery_in(&client, &id, "delivered");
    let dead = format!(
        "update webhook_deliveries set status = 'delivering', locked_by = id,
                locked_until = created_at, delivered_at = null
          where endpoint_id = '{id}'"
    );
    client.owner().batch_execute(&dead).expect("a dead sender");
    wait_for("it again", || (sink.came().len() == 2).then_some(()));
    assert_eq!(delivery_in(&client, &id, "delivered")["attempts"], 2);
}

#[test]
fn an_event_whose_touchpoint_is_gone_is_skipped() {
    let client = sending();
    let sink = Sink::new(Mode::Status(500));
    let id = told_of_visits(&client, &sink);
    let visit = happen(&client, &customer(&client), "first");
    wait_for("a failure", || {
        deliveries(&client, &id).pop().filter(|one| one["last_status_code"] == 500)
    });
    let gone = format!("delete from touchpoints where id = '{visit}'");
    client.owner().batch_execute(&gone).expect("retention");
    hurry(&client, &id);
    assert_eq!(delivery_in(&client, &id, "skipped")["attempts"], 1);
    assert_eq!(sink.came().len(), 1);
}

#[test]
fn stopping_waits_for_what_is_under_way_and_takes_nothing_new() {
    let app = App::alone(&[("ECRM_WEBHOOK_ALLOW_PRIVATE", "1")]);
    let thread = send(&app);
    let client = app.workspace(&["*"]);
    let sink = Sink::new(Mode::Slow(1500, 200));
    let body = json!({ "url": sink.url, "event_types": [VISITS], "max_concurrency": 1 });
    let id = endpoint(&client, body).id();
    for name in ["first", "second"] {
        happen(&client, &customer(&client), name);
    }
    wait_for("the first to be under way", || (!sink.came().is_empty()).then_some(()));
    let begun = Instant::now();
    app.state.drain();
    thread.join().expect("no panic");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let states: Vec<Value> =
        deliveries(&client, &id).iter().map(|one| one["status"].clone()).collect();
    assert_eq!(states, [json!("delivered"), json!("pending")]);
    assert_eq!(sink.came().len(), 1);
}

#[test]
fn what_was_sent_is_counted() {
    let client = sending();
    let sink = Sink::new(Mode::Status(200));
    let id = told_of_visits(&client, &sink);
    happen(&client, &customer(&client), "first");
    delivery_in(&client, &id, "delivered");
    let figures = wait_for("the figures", || {
        Some(SENDING.state.metrics.render()).filter(|text| text.contains("outcome=\"delivered\""))
    });
    assert!(figures.contains("ecrm_webhook_pending "), "{figures}");
    assert!(figures.contains("ecrm_webhook_oldest_pending_seconds "));
}

#[test]
fn of_who_is_erased_nothing_more_is_sent_and_no_answer_is_kept() {
    let client = sending();
    let sink = Sink::new(Mode::Status(500));
    let id = told_of_visits(&client, &sink);
    let (ada, bob) = (customer(&client), customer(&client));
    let (visit, other) = (happen(&client, &ada, "first"), happen(&client, &bob, "other"));
    let both = || -> Vec<Value> {
        let all = deliveries(&client, &id).into_iter();
        all.filter(|one| one["last_status_code"] == 500 && one["status"] == "pending").collect()
    };
    let both = wait_for("two failures", || Some(both()).filter(|both| both.len() == 2));
    crate::privacy::answered(&SENDING, &client, &ada, "erasure");
    sink.answer(Mode::Status(200));
    hurry(&client, &id);
    wait_for("the other", || {
        let again = sink.came().into_iter().filter(|one| one.id() == other).count();
        (again == 2).then_some(())
    });
    assert_eq!(sink.came().iter().filter(|one| one.id() == visit).count(), 1);
    for delivery in both {
        let is_erased = delivery["touchpoint_id"] == visit.as_str();
        let found = detail(&client, &delivery);
        assert_eq!(found["status"] == "skipped", is_erased, "{found}");
        assert_eq!(found["attempts_made"] == json!([]), is_erased, "{found}");
    }
}
