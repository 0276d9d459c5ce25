//! Suppressions: addresses that are not to be used, known by their hash alone.

use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Text};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::consents::{ada, email, person, reach};
use crate::customers::{at, create, rows, texts, unchanged};
use crate::harness::{Answer, App, Client, workspace};

const PATH: &str = "/v1/suppressions";

fn new(address: &str, reason: &str) -> Value {
    json!({ "channel_type": "email", "address": address, "reason": reason })
}

fn suppress(client: &Client, address: &str, reason: &str) -> Answer {
    client.post(PATH, new(address, reason)).expect(201)
}

#[test]
fn a_suppressed_address_is_sent_nothing_whatever_was_agreed() {
    let client = workspace();
    let ada = ada(&client);
    email(&client, &ada, "granted");
    let marketing = || reach(&client, &ada, "email", "purpose=marketing");
    let made = suppress(&client, "  Ada@Shop.Example.com ", "complaint");
    assert_eq!(marketing(), (false, "suppressed".into()));
    assert_eq!(
        reach(&client, &ada, "email", "purpose=transactional"),
        (false, "suppressed".into())
    );
    assert_eq!(
        reach(&client, &ada, "sms", "purpose=service"),
        (true, "legitimate_interests".into())
    );
    let path = format!("{}/reachability?purpose=marketing", at(&ada));
    assert_eq!(
        client.get(&path).expect(200).json["channels"][0]["suppression_reason"],
        "complaint"
    );
    client.delete(&format!("{PATH}/{}", made.id())).expect(204);
    assert_eq!(marketing(), (true, "granted".into()));
}

#[test]
fn every_type_of_channel_has_its_own_list() {
    let client = workspace();
    let ada = ada(&client);
    for channel in ["sms", "whatsapp", "phone"] {
        let body =
            json!({ "channel_type": channel, "address": "+43 664 1234567", "reason": "manual" });
        client.post(PATH, body).expect(201);
        let path = format!("{}/reachability?purpose=service", at(&ada));
        let answer = client.get(&path).expect(200);
        let suppressed = answer.json["channels"].as_array().expect("channels").iter();
        let suppressed = suppressed.filter(|one| one["reason"] == "suppressed");
        assert!(suppressed.clone().any(|one| one["channel_type"] == channel));
    }
    assert!(reach(&client, &ada, "email", "purpose=service").0);
}

#[test]
fn a_suppression_has_a_reason_and_may_have_an_end() {
    let client = workspace();
    let ada = ada(&client);
    let made = client
        .post(
            PATH,
            json!({ "channel_type": "email", "address": "ada@shop.example.com",
                            "reason": "hard_bounce", "until": "2199-01-01T00:00:00Z" }),
        )
        .expect(201);
    assert_eq!(made.json["reason"], "hard_bounce");
    assert_eq!(made.json["until"], "2199-01-01T00:00:00Z");
    assert_eq!(made.headers["location"], format!("{PATH}/{}", made.id()));
    assert_eq!(client.get(&format!("{PATH}/{}", made.id())).expect(200).json, made.json);
    assert_eq!(reach(&client, &ada, "email", "purpose=service"), (false, "suppressed".into()));
    // Time passes, behind the API.
    let sql = "update suppressions set until = created_at where until is not null
                and workspace_id = $1";
    let query = diesel::sql_query(sql).bind::<diesel::sql_types::Uuid, _>(client.workspace_id);
    query.execute(&mut App::shared().owner()).expect("over");
    assert!(reach(&client, &ada, "email", "purpose=service").0);
    // One that is over does not stand in the way of a new one.
    suppress(&client, "ada@shop.example.com", "hard_bounce");
    assert_eq!(client.get(PATH).expect(200).json["data"].as_array().map(Vec::len), Some(1));
}

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// No table and no answer holds the address; each workspace has other hashes for it.
#[test]
fn a_suppressed_address_is_kept_as_a_keyed_hash_alone() {
    let (client, other) = (workspace(), workspace());
    let address = format!("{}@gone.example.com", Uuid::new_v4().simple());
    let made = suppress(&client, &address, "manual");
    let theirs = suppress(&other, &address, "manual");
    let hash = made.json["address_hash"].as_str().expect("a hash");
    assert_eq!(hash.len(), 64);
    assert_ne!(theirs.json["address_hash"], hash);
    let plain: String = ecrm::crypto::hex(&ecrm::crypto::sha256(address.as_bytes()));
    assert_ne!(hash, plain);
    assert!(!made.text.contains(&address) && !client.get(PATH).expect(200).text.contains(&address));
    for table in ["suppressions", "touchpoints", "idempotency_keys"] {
        let sql =
            format!("select count(*) as count from {table} t where t::text like '%' || $1 || '%'");
        let query = diesel::sql_query(sql).bind::<Text, _>(&address);
        let found: Count = query.get_result(&mut App::shared().owner()).expect("a count");
        assert_eq!(found.count, 0, "{table}");
    }
}

#[test]
fn a_suppression_survives_its_customer_and_meets_the_next_one() {
    let client = workspace();
    let first = ada(&client);
    suppress(&client, "ada@shop.example.com", "erased");
    client.delete(&at(&first)).expect(204);
    let again = create(&client, json!({ "email": "ADA@shop.example.com" })).id();
    email(&client, &again, "granted");
    assert_eq!(reach(&client, &again, "email", "purpose=marketing"), (false, "suppressed".into()));
}

#[test]
fn an_address_is_suppressed_once_for_each_reason() {
    let client = workspace();
    let first = suppress(&client, "ada@shop.example.com", "manual").id();
    let again = || client.post(PATH, new("ADA@shop.example.com", "manual"));
    let refused = unchanged(&client, again).expect(409);
    assert_eq!(refused.code(), "suppressions_address_taken");
    assert_eq!(refused.json["existing_id"], first.as_str());
    assert_eq!(refused.fault(), ("already_exists", "#/address"));
    suppress(&client, "ada@shop.example.com", "complaint");
    suppress(&workspace(), "ada@shop.example.com", "manual");
    // Freed from one reason it is not freed from the other.
    client.delete(&format!("{PATH}/{first}")).expect(204);
    let ada = ada(&client);
    assert!(!reach(&client, &ada, "email", "purpose=service").0);
}

#[test]
fn a_request_that_is_repeated_with_its_key_has_one_effect() {
    let client = workspace();
    let body = new("ada@shop.example.com", "manual").to_string();
    let key = [("Idempotency-Key", "suppression-1")];
    let first = client.send("POST", PATH, &key, Some(&body)).expect(201);
    let again = client.send("POST", PATH, &key, Some(&body)).expect(201);
    assert_eq!(
        (again.id(), &again.headers["idempotent-replayed"]),
        (first.id(), &"true".to_owned())
    );
    let dry =
        || client.post(&format!("{PATH}?dry_run=true"), new("eva@shop.example.com", "manual"));
    unchanged(&client, dry).expect(201);
}

#[test]
fn suppressions_are_listed_newest_first_by_channel_and_reason() {
    let client = workspace();
    for (address, reason) in [("a@x.example.com", "manual"), ("b@x.example.com", "complaint")] {
        suppress(&client, address, reason);
    }
    let sms = json!({ "channel_type": "sms", "address": "+436641234567", "reason": "invalid" });
    client.post(PATH, sms).expect(201);
    let reasons =
        |query: &str| texts(&client.get(&format!("{PATH}?{query}")).expect(200), "reason");
    assert_eq!(reasons(""), ["invalid", "complaint", "manual"]);
    assert_eq!(reasons("channel_type=email"), ["complaint", "manual"]);
    assert_eq!(reasons("reason=manual,invalid&sort=created_at"), ["manual", "invalid"]);
    let page = client.get(&format!("{PATH}?limit=2&include_total=true")).expect(200);
    assert_eq!(page.json["total"], 3);
    let cursor = page.json["next_cursor"].as_str().expect("a cursor").to_owned();
    assert_eq!(reasons(&format!("limit=2&cursor={cursor}")), ["manual"]);
    for query in ["channel_type=meeting", "reason=mood", "address=x"] {
        client.get(&format!("{PATH}?{query}")).expect(400);
    }
}

#[test]
fn what_is_no_address_is_refused() {
    let client = workspace();
    let on = |channel: &str, address: &str| json!({ "channel_type": channel, "address": address, "reason": "manual" });
    let until = |until: &str| {
        let mut body = new("ada@shop.example.com", "manual");
        body["until"] = json!(until);
        body
    };
    let wrong = [
        (json!({ "channel_type": "email", "reason": "manual" }), ("required", "#/address")),
        (on("email", "ada at home"), ("invalid_address", "#/address")),
        (on("sms", "ada@shop.example.com"), ("invalid_address", "#/address")),
        (on("push", "  "), ("invalid_address", "#/address")),
        (on("email", ""), ("invalid_length", "#/address")),
        (on("meeting", "x"), ("invalid_type", "#/channel_type")),
        (new("ada@shop.example.com", "mood"), ("invalid_type", "#/reason")),
        (until("2020-01-01T00:00:00Z"), ("in_the_past", "#/until")),
        (until("2200-01-01T00:00:00Z"), ("invalid_time", "#/until")),
    ];
    for (body, fault) in wrong {
        let answer = unchanged(&client, || client.post(PATH, body.clone())).expect(422);
        assert_eq!(answer.fault(), fault, "{body}");
    }
}

#[test]
fn suppressing_is_told_to_the_timeline_of_who_has_the_address() {
    let client = workspace();
    let ada = ada(&client);
    let made = suppress(&client, "ada@shop.example.com", "hard_bounce").id();
    client.delete(&format!("{PATH}/{made}")).expect(204);
    let timeline =
        client.get(&format!("{}/timeline?type=suppression.created", at(&ada))).expect(200);
    let entry = &rows(&timeline)[0];
    assert_eq!(entry["properties"]["reason"], "hard_bounce");
    assert_eq!(entry["subject"], json!({ "type": "suppression", "id": made }));
    let gone = client.get("/v1/touchpoints?type=suppression.deleted").expect(200);
    assert_eq!(rows(&gone).len(), 1);
}

#[test]
fn suppressions_of_others_are_not_found_and_need_their_own_scopes() {
    let client = workspace();
    let made = suppress(&client, "ada@shop.example.com", "manual").id();
    let path = format!("{PATH}/{made}");
    let reader = client.with_scopes(&["suppressions:read"]);
    let other = client.with_scopes(&["consents:write"]);
    let test = client.test_mode();
    unchanged(&client, || {
        workspace().get(&path).expect(404);
        workspace().delete(&path).expect(404);
        test.get(&path).expect(404);
        person(&client).get(PATH).expect(401);
        reader.get(&path).expect(200);
        reader.delete(&path).expect(403);
        other.post(PATH, new("a@x.example.com", "manual")).expect(403);
    });
}
