//! Channels, their secrets and their figures.

use diesel::prelude::*;
use ecrm::db::Server;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{App, Client, workspace};

const PATH: &str = "/v1/channels";

fn create(client: &Client, body: Value) -> String {
    client.post(PATH, body).expect(201).id()
}

fn named(client: &Client, name: &str) -> String {
    create(client, json!({ "type": "email", "name": name }))
}

fn at(id: &str) -> String {
    format!("{PATH}/{id}")
}

fn names(client: &Client, query: &str) -> Vec<String> {
    let list = client.get(&format!("{PATH}?{query}")).expect(200).json;
    let rows = list["data"].as_array().expect("a list").iter();
    rows.map(|row| row["name"].as_str().expect("a name").to_owned()).collect()
}

/// The touchpoints about a channel, oldest first.
fn log(client: &Client, id: &str) -> Vec<Value> {
    let list = client.get(&format!("/v1/touchpoints?channel_id={id}")).expect(200).json;
    let mut rows = list["data"].as_array().expect("a list").clone();
    rows.reverse();
    rows
}

fn kinds(client: &Client, id: &str) -> Vec<String> {
    let rows = log(client, id).into_iter();
    rows.map(|row| row["type"].as_str().expect("a type").to_owned()).collect()
}

/// The secrets of a channel, as a sender would open them.
fn secrets(client: &Client, id: &str) -> Vec<(String, String)> {
    let app = App::shared();
    let session = app.session(client, true);
    let id = id.parse().expect("an id");
    let open = |conn: &mut ecrm::db::Conn| ecrm::channels::open_secrets(conn, id);
    let opened = app.state.db.read(Server::Primary, &session, &open).expect("secrets");
    let mut secrets: Vec<_> = opened.into_iter().collect();
    secrets.sort();
    secrets
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn a_channel_keeps_every_field_it_was_given() {
    let client = workspace();
    let body = json!({
        "external_ids": [{ "source": "shop", "id": "ch-1" }],
        "type": "email",
        "name": "Newsletter",
        "provider": "smtp",
        "direction": "outbound",
        "config": { "host": "smtp.example.com", "port": 587 },
        "sender": { "name": "Bergsport", "address": "hello@bergsport.example.com" },
        "capabilities": ["html"],
        "rate_limit": { "per_second": 10, "per_day": null },
        "quiet_hours": { "from": "22:00", "to": "07:00", "timezone": "Europe/Vienna" },
        "attributes": { "cost_center": 7 },
        "tags": ["marketing"],
    });
    let made = client.post(PATH, body.clone()).expect(201);
    for (name, value) in body.as_object().expect("an object") {
        assert_eq!(&made.json[name], value, "{name}");
    }
    assert_eq!(made.json["status"], "active");
    assert_eq!(made.headers["location"], at(&made.id()));
    assert_eq!(client.get(&at(&made.id())).expect(200).json, made.json);
    assert_eq!(kinds(&client, &made.id()), ["channel.created"]);
}

#[test]
fn a_channel_is_manual_and_goes_both_ways_unless_said_otherwise() {
    let client = workspace();
    for kind in ["phone", "meeting", "post", "pos", "web"] {
        let made = client.post(PATH, json!({ "type": kind, "name": kind })).expect(201).json;
        assert_eq!((&made["provider"], &made["direction"]), (&json!("manual"), &json!("both")));
    }
}

#[test]
fn a_field_that_is_not_valid_is_named() {
    let client = workspace();
    let with = |name: &str, value: Value| {
        let mut body = json!({ "type": "email", "name": "a" });
        body[name] = value;
        body
    };
    let deep = (0..9).fold(json!(1), |inner, _| json!({ "a": inner }));
    let quiet = |from: &str| json!({ "from": from, "to": "07:00" });
    let cases = [
        (json!({ "name": "a" }), "required", "#/type"),
        (with("type", json!("fax")), "invalid_type", "#/type"),
        (with("name", json!("")), "invalid_length", "#/name"),
        (with("provider", json!("SMTP")), "invalid_key", "#/provider"),
        (with("provider", json!("x".repeat(64))), "invalid_length", "#/provider"),
        (with("config", json!({ "password": 7 })), "invalid_secret", "#/config/password"),
        (with("config", json!({ "a": "x".repeat(33_000) })), "too_large", "#/config"),
        (with("config", deep), "too_deep", "#/config"),
        (with("rate_limit", json!({ "per_second": 0 })), "out_of_range", "#/rate_limit/per_second"),
        (with("quiet_hours", quiet("25:00")), "invalid_clock", "#/quiet_hours/from"),
        (with("tags", json!([""])), "invalid_tags", "#/tags"),
        (with("status", json!("paused")), "unknown_field", "#/status"),
    ];
    for (body, code, pointer) in cases {
        let refused = client.post(PATH, body).expect(422);
        assert_eq!(refused.fault().0, code, "{}", refused.text);
        assert!(refused.fault().1.starts_with(pointer), "{}", refused.text);
    }
}

#[test]
fn a_secret_is_sealed_and_never_shown_again() {
    let client = workspace();
    let config = json!({
        "host": "smtp.example.com", "password": "correct horse battery", "api_key": "short",
    });
    let made =
        client.post(PATH, json!({ "type": "email", "name": "a", "config": config })).expect(201);
    assert_eq!(
        made.json["config"],
        json!({
            "host": "smtp.example.com",
            "password": { "has_secret": true, "last4": "tery" },
            "api_key": { "has_secret": true, "last4": null },
        })
    );
    let id = made.id();
    let told = [made.text, client.get(&at(&id)).text, format!("{:?}", log(&client, &id))].concat();
    assert!(!told.contains("correct horse") && !told.contains("\"short\""), "{told}");
    assert_eq!(
        secrets(&client, &id),
        pairs(&[("api_key", "short"), ("password", "correct horse battery")])
    );

    let mut pg = App::shared().owner();
    let stored: Vec<u8> = ecrm::schema::channels::table
        .filter(ecrm::schema::channels::id.eq(id.parse::<Uuid>().expect("an id")))
        .select(ecrm::schema::channels::sealed_secrets)
        .first::<Option<Vec<u8>>>(&mut pg)
        .expect("a row")
        .expect("sealed secrets");
    assert!(!String::from_utf8_lossy(&stored).contains("horse"));
}

#[test]
fn a_patch_keeps_replaces_and_removes_secrets() {
    let client = workspace();
    let config =
        json!({ "host": "a", "port": 1, "password": "first password", "token": "first token 12" });
    let made =
        client.post(PATH, json!({ "type": "email", "name": "a", "config": config })).expect(201);
    let id = made.id();
    let shown = made.json["config"].clone();

    let after = client.patch(&at(&id), json!({ "name": "b" })).expect(200);
    assert_eq!(after.json["config"], shown);
    let after = client.patch(&at(&id), json!({ "config": shown })).expect(200);
    assert_eq!(after.json["config"], shown);
    assert_eq!(
        secrets(&client, &id),
        pairs(&[("password", "first password"), ("token", "first token 12")])
    );

    let patch = json!({ "config": { "host": "b", "port": null, "password": "second passwort", "token": null } });
    let after = client.patch(&at(&id), patch).expect(200);
    assert_eq!(
        after.json["config"],
        json!({ "host": "b", "password": { "has_secret": true, "last4": "wort" } })
    );
    assert_eq!(secrets(&client, &id), pairs(&[("password", "second passwort")]));
    let told = format!("{:?}", log(&client, &id));
    assert!(!told.contains("first pass") && !told.contains("second pass"), "{told}");

    client.patch(&at(&id), json!({ "config": { "password": null } })).expect(200);
    assert_eq!(secrets(&client, &id), []);
    let mark = json!({ "has_secret": true, "last4": "wort" });
    let refused = client.patch(&at(&id), json!({ "config": { "password": mark } })).expect(422);
    assert_eq!(refused.fault(), ("invalid_secret", "#/config/password"));
}

#[test]
fn a_new_secret_is_in_the_log_even_where_it_looks_the_same() {
    let client = workspace();
    let config = |secret: &str| json!({ "config": { "password": secret } });
    let id = named(&client, "a");
    client.patch(&at(&id), config("one and the same")).expect(200);
    client.patch(&at(&id), config("another the same")).expect(200);
    assert_eq!(kinds(&client, &id), ["channel.created", "channel.updated", "channel.updated"]);
    assert_eq!(log(&client, &id)[2]["properties"], json!({ "changes": {} }));
}

#[test]
fn settings_stay_within_their_limits_when_they_are_merged() {
    let client = workspace();
    let half = |name: &str| json!({ "config": { name: "x".repeat(20_000) } });
    let id = named(&client, "a");
    client.patch(&at(&id), half("a")).expect(200);
    let refused = client.patch(&at(&id), half("b")).expect(422);
    assert_eq!(refused.fault(), ("too_large", "#/config"));
}

#[test]
fn a_patch_changes_what_it_names() {
    let client = workspace();
    let body = json!({
        "type": "email", "name": "Old", "sender": { "name": "x" }, "attributes": { "a": 1 },
        "quiet_hours": { "from": "22:00", "to": "07:00" },
    });
    let id = create(&client, body);
    let patch = json!({
        "name": "New", "type": "email", "sender": { "address": "y" }, "quiet_hours": null,
        "attributes": { "b": 2 },
    });
    let after = client.patch(&at(&id), patch).expect(200);
    assert_eq!(after.json["name"], "New");
    assert_eq!(after.json["sender"], json!({ "name": null, "address": "y" }));
    assert_eq!(after.json["quiet_hours"], Value::Null);
    assert_eq!(after.json["attributes"], json!({ "a": 1, "b": 2 }));
    assert_eq!(after.headers["etag"], "\"2\"");
    let changes = &log(&client, &id)[1]["properties"]["changes"];
    assert_eq!(changes["name"], json!({ "from": "Old", "to": "New" }));
    let refused = client.patch(&at(&id), json!({ "type": "sms" })).expect(422);
    assert_eq!(refused.fault(), ("immutable", "#/type"));
    let body = json!({ "name": "x" }).to_string();
    client.send("PATCH", &at(&id), &[("If-Match", "\"1\"")], Some(&body)).expect(412);
    client.send("DELETE", &at(&id), &[("If-Match", "\"1\"")], None).expect(412);
}

#[test]
fn a_channel_is_paused_and_resumed_but_not_twice() {
    let client = workspace();
    let id = named(&client, "a");
    let act = |verb: &str| client.post(&format!("{}/{verb}", at(&id)), json!(null));
    let refused = act("resume").expect(409);
    assert_eq!(refused.code(), "invalid_transition");
    assert_eq!(refused.json["allowed"], json!(["paused"]));
    assert_eq!(act("pause").expect(200).json["status"], "paused");
    assert_eq!(act("pause").expect(409).json["allowed"], json!(["active"]));
    assert_eq!(act("resume").expect(200).json["status"], "active");
    assert_eq!(kinds(&client, &id), ["channel.created", "channel.paused", "channel.resumed"]);
    assert_eq!(log(&client, &id)[1]["properties"], json!({ "from": "active", "to": "paused" }));
}

#[test]
fn a_deleted_channel_is_gone_until_it_is_restored() {
    let client = workspace();
    let body = json!({
        "type": "email", "name": "a", "external_ids": [{ "source": "shop", "id": "1" }],
        "config": { "password": "a long password" },
    });
    let id = create(&client, body.clone());
    client.delete(&at(&id)).expect(204);
    for path in [at(&id), format!("{}/stats", at(&id))] {
        client.get(&path).expect(404);
    }
    client.patch(&at(&id), json!({ "name": "b" })).expect(404);
    client.post(&format!("{}/pause", at(&id)), json!(null)).expect(404);
    client.delete(&at(&id)).expect(404);
    assert!(names(&client, "").is_empty());

    let other = create(&client, body);
    let restore = || client.post(&format!("{}/restore", at(&id)), json!(null));
    let refused = restore().expect(409);
    assert_eq!(
        (refused.code(), &refused.json["existing_id"]),
        ("external_ids_taken", &json!(other))
    );
    client.delete(&at(&other)).expect(204);
    let restored = restore().expect(200);
    assert_eq!(restore().expect(200).json, restored.json);
    assert_eq!(secrets(&client, &id), pairs(&[("password", "a long password")]));
    assert_eq!(kinds(&client, &id), ["channel.created", "channel.deleted", "channel.restored"]);
}

#[test]
fn an_upsert_makes_a_channel_once_and_changes_it_afterwards() {
    let client = workspace();
    let path = format!("{PATH}/external/shop/ch-1");
    let refused = client.put(&path, json!({ "provider": "smtp" })).expect(422);
    assert_eq!(refused.fault(), ("required", "#/name"));
    let body = json!({ "type": "sms", "name": "a", "config": { "token": "a long token" } });
    let made = client.put(&path, body.clone()).expect(201);
    assert_eq!(made.json["external_ids"], json!([{ "source": "shop", "id": "ch-1" }]));
    let after = client.put(&path, body.clone()).expect(200);
    assert_eq!(after.id(), made.id());
    assert_eq!(secrets(&client, &made.id()), pairs(&[("token", "a long token")]));
    let text = body.to_string();
    client.send("PUT", &path, &[("If-None-Match", "*")], Some(&text)).expect(412);
    client.send("PUT", &path, &[("If-Match", "\"9\"")], Some(&text)).expect(412);
}

#[test]
fn a_batch_refuses_bad_items_alone_unless_it_is_atomic() {
    let client = workspace();
    let items = json!({ "items": [
        { "type": "email", "name": "a" },
        { "type": "email", "name": "b", "config": { "token": 1 } },
        { "type": "email", "name": "c", "provider": "" },
        { "type": "phone", "name": "d" },
    ] });
    let path = format!("{PATH}/batch");
    let refused = client.post(&format!("{path}?atomic=true"), items.clone()).expect(422);
    assert_eq!(refused.fault(), ("invalid_secret", "#/items/1/config/token"));
    assert!(names(&client, "").is_empty());
    let done = client.post(&path, items).expect(207).json;
    let statuses: Vec<_> =
        done["results"].as_array().expect("results").iter().map(|r| r["status"].clone()).collect();
    assert_eq!(
        (statuses, &done["failed"]),
        (vec![json!(201), json!(422), json!(422), json!(201)], &json!(2))
    );
    assert_eq!(names(&client, "sort=name"), ["a", "d"]);
}

#[test]
fn lists_are_filtered_sorted_and_paged() {
    let client = workspace();
    create(
        &client,
        json!({
            "type": "email", "name": "Newsletter 10%", "provider": "smtp", "direction": "outbound",
            "tags": ["online"],
        }),
    );
    create(&client, json!({ "type": "phone", "name": "Hotline", "tags": ["voice"] }));
    let shop = create(&client, json!({ "type": "pos", "name": "Laden", "direction": "inbound" }));
    client.post(&format!("{}/pause", at(&shop)), json!(null)).expect(200);
    for (query, expected) in [
        ("sort=name", vec!["Hotline", "Laden", "Newsletter 10%"]),
        ("", vec!["Laden", "Hotline", "Newsletter 10%"]),
        ("type=email,phone&sort=name", vec!["Hotline", "Newsletter 10%"]),
        ("status=paused", vec!["Laden"]),
        ("provider=smtp", vec!["Newsletter 10%"]),
        ("direction=both", vec!["Hotline"]),
        ("tags=voice,none", vec!["Hotline"]),
        ("q=LETTER", vec!["Newsletter 10%"]),
        ("q=%25", vec!["Newsletter 10%"]),
    ] {
        assert_eq!(names(&client, query), expected, "{query}");
    }
    let first =
        client.get(&format!("{PATH}?sort=name&limit=2&include_total=true")).expect(200).json;
    assert_eq!(first["total"], 3);
    let cursor = first["next_cursor"].as_str().expect("a cursor");
    assert_eq!(names(&client, &format!("sort=name&limit=2&cursor={cursor}")), ["Newsletter 10%"]);
    client.get(&format!("{PATH}?type=fax")).expect(400);
    client.get(&format!("{PATH}?kind=email")).expect(400);
}

#[test]
fn figures_count_what_happened_on_a_channel_day_by_day() {
    let client = workspace();
    let (id, other) = (named(&client, "a"), named(&client, "b"));
    let today = chrono::Utc::now().date_naive();
    let report = |channel: &str, kind: &str, days_ago: u64| {
        let day = today - chrono::Days::new(days_ago);
        let body = json!({
            "customer": { "anonymous_id": "browser-1" }, "channel": { "id": channel }, "type": kind,
            "direction": "inbound", "occurred_at": format!("{day}T00:00:00Z"),
        });
        client.post("/v1/touchpoints", body).expect(201);
    };
    report(&id, "page.viewed", 2);
    report(&id, "page.viewed", 2);
    report(&id, "form.submitted", 5);
    report(&id, "page.viewed", 40);
    report(&other, "page.viewed", 2);

    let stats = client.get(&format!("{}/stats", at(&id))).expect(200).json;
    assert_eq!(stats["total"], 4);
    assert_eq!(stats["by_day"].as_array().map(Vec::len), Some(30));
    assert_eq!(stats["by_type"][0], json!({ "type": "page.viewed", "count": 2 }));
    let types: Vec<_> =
        stats["by_type"].as_array().expect("types").iter().map(|row| row["type"].clone()).collect();
    assert_eq!(types, ["page.viewed", "channel.created", "form.submitted"]);

    let (from, to) = (today - chrono::Days::new(45), today - chrono::Days::new(2));
    let stats = client.get(&format!("{}/stats?from={from}&to={to}", at(&id))).expect(200).json;
    assert_eq!((&stats["total"], &stats["from"]), (&json!(4), &json!(from)));
    let days = stats["by_day"].as_array().expect("days");
    assert_eq!(days.last(), Some(&json!({ "day": to, "count": 2 })));

    for query in
        ["from=2020-01-01&to=2019-01-01", "from=2019-01-01&to=2021-01-01", "from=yesterday"]
    {
        client.get(&format!("{}/stats?{query}", at(&id))).expect(400);
    }
}

#[test]
fn another_workspace_sees_nothing_and_changes_nothing() {
    let (ours, theirs) = (workspace(), workspace());
    let id = named(&ours, "a");
    theirs.get(&at(&id)).expect(404);
    theirs.get(&format!("{}/stats", at(&id))).expect(404);
    theirs.patch(&at(&id), json!({ "name": "b" })).expect(404);
    theirs.delete(&at(&id)).expect(404);
    for verb in ["pause", "resume", "restore"] {
        theirs.post(&format!("{}/{verb}", at(&id)), json!(null)).expect(404);
    }
    assert!(names(&theirs, "").is_empty());
    ours.test_mode().get(&at(&id)).expect(404);
    assert_eq!(ours.get(&at(&id)).expect(200).json["version"], 1);
}

#[test]
fn the_test_twin_keeps_secrets_of_its_own() {
    let twin = workspace().test_mode();
    let body = json!({ "type": "email", "name": "a", "config": { "password": "a long password" } });
    let made = twin.post(PATH, body).expect(201);
    assert_eq!(made.json["config"]["password"]["last4"], "word");
    twin.patch(&at(&made.id()), json!({ "config": { "password": null } })).expect(200);
}

#[test]
fn a_key_without_the_scope_is_told_which_one() {
    let client = workspace();
    let id = named(&client, "a");
    let reader = client.with_scopes(&["channels:read"]);
    reader.get(&format!("{}/stats", at(&id))).expect(200);
    let refused = reader.post(&format!("{}/pause", at(&id)), json!(null)).expect(403);
    assert!(refused.json["detail"].as_str().expect("a detail").contains("channels:write"));
}

#[test]
fn a_repeated_request_is_answered_from_memory_without_its_secrets() {
    let client = workspace();
    let key = [("Idempotency-Key", "once")];
    let body = json!({ "type": "email", "name": "a", "config": { "password": "a long password" } });
    let first = client.send("POST", PATH, &key, Some(&body.to_string())).expect(201);
    let again = client.send("POST", PATH, &key, Some(&body.to_string())).expect(201);
    assert_eq!((again.id(), again.json.clone()), (first.id(), first.json));
    assert!(!again.text.contains("a long password"));
}
