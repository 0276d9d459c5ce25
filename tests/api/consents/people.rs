//! What people do themselves, with nothing but the link that was sent to them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{
    about, ada, email, link, one_click, path, person, put, reach, says, state, told, with,
};
use crate::customers::{at, rows, unchanged};
use crate::harness::{Answer, App, Client, workspace};

fn preferences(client: &Client, token: &str) -> Answer {
    person(client).get(&format!("/preferences/{token}"))
}

fn choose(client: &Client, token: &str, items: Value) -> Answer {
    person(client).put(&format!("/preferences/{token}"), json!({ "items": items }))
}

fn choice(is_granted: bool) -> Value {
    json!({ "channel_type": "email", "purpose": "marketing", "is_granted": is_granted })
}

fn confirm(client: &Client, token: &str) -> Answer {
    person(client).post("/v1/consents/confirm", json!({ "token": token }))
}

/// Asks a customer to confirm, and the token of the message.
#[track_caller]
fn ask(client: &Client, customer: &str, item: Value) -> String {
    let answer = put(client, customer, &[item]).expect(200);
    answer.json["confirmations"][0]["token"].as_str().expect("a token").to_owned()
}

#[test]
fn a_link_names_full_addresses_and_the_headers_of_a_mail() {
    let app = App::alone(&[("ECRM_PUBLIC_URL", "https://crm.example.com")]);
    let client = app.workspace(&["*"]);
    let ada = ada(&client);
    let path = format!("{}/preference_links", at(&ada));
    let made = client.post(&path, json!({ "channel_type": "email" })).expect(201);
    let token = made.json["token"].as_str().expect("a token");
    let page = format!("https://crm.example.com/u/{token}");
    assert_eq!(made.json["unsubscribe_url"], page.as_str());
    assert_eq!(made.json["list_unsubscribe"], format!("<{page}>"));
    assert_eq!(made.json["list_unsubscribe_post"], "List-Unsubscribe=One-Click");
    assert_eq!(
        made.json["preferences_url"],
        format!("https://crm.example.com/preferences/{token}")
    );
    assert_eq!(made.headers["location"], format!("/preferences/{token}"));
    for (days, status) in [(0, 422), (3651, 422), (1, 201)] {
        let body = json!({ "channel_type": "email", "expires_in_days": days });
        client.post(&path, body).expect(status);
    }
}

#[test]
fn the_page_to_unsubscribe_shows_a_form_and_changes_nothing() {
    let client = workspace();
    let ada = ada(&client);
    email(&client, &ada, "granted");
    let token = link(&client, &ada, Some("<script>"));
    let page = unchanged(&client, || person(&client).get(&format!("/u/{token}"))).expect(200);
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert!(page.headers["content-security-policy"].contains("default-src 'none'"));
    assert_eq!(page.headers["referrer-policy"], "no-referrer");
    assert_eq!(page.headers["cache-control"], "no-store");
    assert!(page.text.contains(&format!("<form method=\"post\" action=\"/u/{token}\">")));
    assert!(page.text.contains("name=\"List-Unsubscribe\" value=\"One-Click\""));
    assert!(
        page.text.contains("&lt;script&gt;") && !page.text.contains("<script"),
        "{}",
        page.text
    );
    assert!(!page.text.contains("ada@"), "nobody is named: {}", page.text);
    assert_eq!(state(&client, &ada, None), "granted");
}

/// RFC 8058: a POST without cookies, answered without a redirect.
#[test]
fn one_click_withdraws_at_once_and_once() {
    let client = workspace();
    let ada = ada(&client);
    email(&client, &ada, "granted");
    let token = link(&client, &ada, None);
    let done = one_click(&client, &token).expect(200);
    assert!(!done.headers.contains_key("set-cookie") && !done.headers.contains_key("location"));
    assert_eq!(state(&client, &ada, None), "withdrawn");
    unchanged(&client, || one_click(&client, &token)).expect(200);
    assert_eq!(told(&client, &ada), ["consent.granted", "consent.withdrawn"]);
    let history = client.get(&format!("{}/history", path(&ada))).expect(200);
    let last = &rows(&history)[0];
    assert_eq!(last["method"], "one_click");
    assert_eq!(last["actor"], json!({ "type": "customer", "id": ada }));
    assert_eq!(last["evidence"]["ip"], "127.0.0.1");
}

#[test]
fn one_click_is_understood_in_both_encodings_and_nothing_else_is() {
    let client = workspace();
    let ada = ada(&client);
    email(&client, &ada, "granted");
    let path = format!("/u/{}", link(&client, &ada, None));
    let form = "application/x-www-form-urlencoded";
    let multipart = "multipart/form-data; boundary=x";
    let part =
        "--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nNo\r\n--x--\r\n";
    let send = |kind: &str, body: &str| {
        person(&client).send("POST", &path, &[("Content-Type", kind)], Some(body))
    };
    unchanged(&client, || {
        for (kind, body, status) in [
            (form, "", 422),
            (form, "List-Unsubscribe=No", 422),
            (form, "other=One-Click", 422),
            (multipart, part, 422),
            (multipart, "List-Unsubscribe=One-Click", 422),
            ("text/plain", "List-Unsubscribe=One-Click", 415),
        ] {
            send(kind, body).expect(status);
        }
        send(form, &"x".repeat(20_000)).expect(413);
    });
    send(multipart, &part.replace("No", "One-Click")).expect(200);
    assert_eq!(state(&client, &ada, None), "withdrawn");
}

/// Also from a mail that was sent on a soft opt-in, about which nothing was ever said.
#[test]
fn one_click_works_for_who_never_agreed() {
    let client = workspace();
    let ada = ada(&client);
    one_click(&client, &link(&client, &ada, None)).expect(200);
    assert_eq!(state(&client, &ada, None), "withdrawn");
    let sms = says("sms", "marketing", "granted");
    put(&client, &ada, &[sms]).expect(200);
    assert_eq!(reach(&client, &ada, "sms", "purpose=marketing"), (true, "granted".into()));
}

#[test]
fn a_link_about_a_topic_leads_out_of_this_topic_and_a_general_one_out_of_all() {
    let client = workspace();
    let ada = ada(&client);
    let items =
        [says("email", "marketing", "granted"), about("news", "granted"), about("sale", "granted")];
    put(&client, &ada, &items).expect(200);
    one_click(&client, &link(&client, &ada, Some("news"))).expect(200);
    assert_eq!(state(&client, &ada, Some("news")), "withdrawn");
    assert_eq!(state(&client, &ada, Some("sale")), "granted");
    let all = link(&client, &ada, None);
    one_click(&client, &all).expect(200);
    assert_eq!(state(&client, &ada, Some("sale")), "withdrawn");
    // A topic chosen afterwards is left by the same click again.
    let news = json!([with(choice(true), json!({ "topic": "news" }))]);
    choose(&client, &all, news).expect(200);
    assert_eq!(state(&client, &ada, Some("news")), "granted");
    one_click(&client, &all).expect(200);
    assert_eq!(state(&client, &ada, Some("news")), "withdrawn");
}

#[test]
fn a_preference_centre_shows_and_changes_what_the_person_says() {
    let client = workspace();
    let ada = ada(&client);
    let shown = json!({ "evidence": { "form_id": "footer", "ip": "203.0.113.7" } });
    put(&client, &ada, &[with(says("email", "marketing", "granted"), shown)]).expect(200);
    let token = link(&client, &ada, None);
    let before = preferences(&client, &token).expect(200);
    let row = &before.json["preferences"][0];
    assert_eq!(row["state"], "granted");
    assert!(!before.text.contains("footer") && !before.text.contains(&ada), "{}", before.text);
    let items = json!([
        choice(false),
        { "channel_type": "sms", "purpose": "marketing", "topic": "sale", "is_granted": true },
    ]);
    let after = choose(&client, &token, items.clone()).expect(200);
    assert_eq!(after.json["preferences"].as_array().map(Vec::len), Some(2));
    assert_eq!(preferences(&client, &token).expect(200).json, after.json);
    assert_eq!(state(&client, &ada, None), "withdrawn");
    let again = unchanged(&client, || choose(&client, &token, items)).expect(200);
    assert_eq!(again.json, after.json);
    let history = client.get(&format!("{}/history", path(&ada))).expect(200);
    assert!(rows(&history)[..2].iter().all(|row| row["method"] == "preference_center"));
}

#[test]
fn the_person_alone_needs_no_evidence_to_come_back() {
    let client = workspace();
    let ada = ada(&client);
    let token = link(&client, &ada, None);
    one_click(&client, &token).expect(200);
    let back = put(&client, &ada, &[says("email", "marketing", "granted")]);
    assert_eq!(back.expect(409).json["allowed"], json!([]));
    choose(&client, &token, json!([choice(true)])).expect(200);
    assert_eq!(state(&client, &ada, None), "granted");
    let row = client.get(&path(&ada)).expect(200).json["data"][0].clone();
    assert_eq!(
        (&row["lawful_basis"], &row["method"]),
        (&json!("consent"), &json!("preference_center"))
    );
}

#[test]
fn wrong_choices_are_refused_at_their_place() {
    let client = workspace();
    let token = link(&client, &ada(&client), None);
    let wrong = [
        (json!([]), "#/items"),
        (json!([{}]), "#/items/0/channel_type"),
        (json!([with(choice(true), json!({ "topic": "" }))]), "#/items/0/topic"),
        (json!([with(choice(true), json!({ "state": "granted" }))]), "#/items/0/state"),
    ];
    for (items, pointer) in wrong {
        let refused = unchanged(&client, || choose(&client, &token, items.clone())).expect(422);
        assert_eq!(refused.fault().1, pointer, "{items}");
    }
}

#[test]
fn a_double_opt_in_is_confirmed_by_its_token_once() {
    let client = workspace();
    let ada = ada(&client);
    let asked = with(
        says("email", "marketing", "pending"),
        json!({ "source": "shop", "evidence": { "form_id": "footer", "ip": "203.0.113.7" } }),
    );
    let token = ask(&client, &ada, asked);
    assert_eq!(reach(&client, &ada, "email", "purpose=marketing"), (false, "pending".into()));
    let confirmed = confirm(&client, &token).expect(200);
    assert_eq!(confirmed.json["state"], "granted");
    let row = client.get(&path(&ada)).expect(200).json["data"][0].clone();
    assert_eq!(row["method"], "double_opt_in");
    assert_eq!(row["source"], "shop");
    assert_eq!(row["evidence"]["form_id"], "footer");
    assert_eq!(row["evidence"]["ip"], "127.0.0.1", "who confirmed, not who asked");
    assert_eq!(row["double_opt_in"]["confirmed_at"], row["granted_at"]);
    assert!(row["double_opt_in"]["sent_at"].as_str() < row["granted_at"].as_str());
    assert_eq!(unchanged(&client, || confirm(&client, &token)).expect(404).code(), "not_found");
    assert_eq!(told(&client, &ada), ["consent.requested", "consent.granted"]);
}

#[test]
fn of_many_who_confirm_at_once_one_has_the_effect() {
    let client = workspace();
    let ada = ada(&client);
    let token = ask(&client, &ada, about("news", "pending"));
    let answers: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..6).map(|_| scope.spawn(|| confirm(&client, &token).status)).collect();
        threads.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    });
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{answers:?}");
    assert!(answers.iter().all(|status| [200, 404].contains(status)), "{answers:?}");
    assert_eq!(told(&client, &ada), ["consent.requested", "consent.granted"]);
}

#[test]
fn a_token_confirms_nothing_that_was_decided_since() {
    let client = workspace();
    let ada = ada(&client);
    let token = ask(&client, &ada, says("email", "marketing", "pending"));
    email(&client, &ada, "withdrawn");
    unchanged(&client, || confirm(&client, &token)).expect(404);
    // Asking again makes the token of before worthless.
    let first = ask(&client, &ada, says("sms", "marketing", "pending"));
    let renewed = with(says("sms", "marketing", "pending"), json!({ "source": "checkout" }));
    let second = ask(&client, &ada, renewed);
    confirm(&client, &first).expect(404);
    confirm(&client, &second).expect(200);
}

/// The last six bits of a text in base64.
fn bent(token: &str, at: usize) -> String {
    let mut bytes = URL_SAFE_NO_PAD.decode(token).expect("base64");
    bytes[at] ^= 1;
    URL_SAFE_NO_PAD.encode(bytes)
}

/// One answer to all of them, so that nobody learns what was wrong.
#[test]
fn forged_outdated_and_foreign_tokens_open_nothing() {
    let client = workspace();
    let ada = ada(&client);
    email(&client, &ada, "granted");
    let token = link(&client, &ada, None);
    let waiting = ask(&client, &ada, about("news", "pending"));
    let length = URL_SAFE_NO_PAD.decode(&token).expect("base64").len();
    let mut wrong: Vec<String> = (0..length).step_by(5).map(|at| bent(&token, at)).collect();
    wrong.extend((length - 16..length).map(|at| bent(&token, at)));
    wrong.extend([
        token[..token.len() - 2].to_owned(),
        format!("{token}AA"),
        "x".into(),
        "!".into(),
        "A".repeat(2000),
        // Signed, but for something else.
        waiting.clone(),
    ]);
    let outdated = outdated(&token);
    wrong.push(outdated);
    let mut problems = std::collections::BTreeSet::new();
    unchanged(&client, || {
        for token in &wrong {
            for answer in [
                preferences(&client, token),
                choose(&client, token, json!([choice(false)])),
                person(&client).get(&format!("/u/{token}")),
                one_click(&client, token),
            ] {
                assert_eq!((answer.status, answer.code()), (404, "not_found"), "{token}");
                assert_eq!(answer.headers["content-type"], "application/problem+json");
                problems.insert(answer.json["detail"].to_string());
            }
            if *token != waiting && !token.is_empty() && token.len() < 1500 {
                confirm(&client, token).expect(404);
            }
        }
        confirm(&client, &token).expect(404);
    });
    assert_eq!(problems.len(), 1, "{problems:?}");
}

/// The same link with an end that is over; its signature no longer fits, which nobody is told.
fn outdated(token: &str) -> String {
    let bytes = URL_SAFE_NO_PAD.decode(token).expect("base64");
    let (payload, tag) = bytes.split_at(bytes.len() - 16);
    let mut parts: Value = serde_json::from_slice(payload).expect("JSON");
    parts[2] = json!(1_000_000_000);
    let mut changed = serde_json::to_vec(&parts).expect("JSON");
    changed.extend_from_slice(tag);
    URL_SAFE_NO_PAD.encode(changed)
}

/// Each workspace, and its test twin, signs with a key of its own.
#[test]
fn a_link_of_one_workspace_opens_no_other() {
    let (client, other) = (workspace(), workspace());
    let test = client.test_mode();
    let (live, twin) = (ada(&client), ada(&test));
    let (a, b) = (link(&client, &live, None), link(&test, &twin, None));
    one_click(&client, &b).expect(200);
    assert_eq!(state(&test, &twin, None), "withdrawn");
    assert_eq!(super::states(&client, &live), []);
    let swapped = |from: &str, to: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(from).expect("base64");
        let (payload, tag) = bytes.split_at(bytes.len() - 16);
        let mut parts: Value = serde_json::from_slice(payload).expect("JSON");
        parts[0] = json!(to);
        let mut changed = serde_json::to_vec(&parts).expect("JSON");
        changed.extend_from_slice(tag);
        URL_SAFE_NO_PAD.encode(changed)
    };
    one_click(&client, &swapped(&a, &other.workspace_id.to_string())).expect(404);
    one_click(&client, &swapped(&a, &uuid::Uuid::now_v7().to_string())).expect(404);
    assert_eq!(super::states(&client, &live), []);
}

#[test]
fn a_page_that_the_workspace_named_may_read_the_answers() {
    let app = App::alone(&[("ECRM_CORS_ORIGINS", "https://shop.example.com")]);
    let client = app.workspace(&["*"]);
    let token = link(&client, &ada(&client), None);
    let asked = |origin| {
        let path = format!("/preferences/{token}");
        let answer = person(&client).send("GET", &path, &[("Origin", origin)], None).expect(200);
        answer.headers.get("access-control-allow-origin").cloned()
    };
    assert_eq!(asked("https://shop.example.com").as_deref(), Some("https://shop.example.com"));
    assert_eq!(asked("https://evil.example.com"), None);
}
