//! Whose touchpoint it is: by id, outside id or any identity; known, new or nobody.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{PATH, fault, results, send_batch, statuses};
use crate::customers::{PATH as CUSTOMERS, at, create, holder, kinds, rows, unchanged, with_email};
use crate::harness::{Answer, Client, workspace};

/// Sends a touchpoint of somebody under a policy.
fn of(client: &Client, customer: Value, unknown: &str) -> Answer {
    let path = format!("{PATH}?on_unknown_customer={unknown}");
    client.post(&path, json!({ "type": "page.viewed", "customer": customer }))
}

fn look_up(client: &Client, query: &str) -> Answer {
    client.get(&format!("{CUSTOMERS}/lookup?{query}"))
}

/// One reference per way to name somebody.
fn references() -> [Value; 7] {
    [
        json!({ "external_id": { "source": "shop", "id": "7" } }),
        json!({ "email": "Ada@shop.example.com" }),
        json!({ "phone": "+43 664 1234567" }),
        json!({ "user_id": "u-1" }),
        json!({ "anonymous_id": "a-1" }),
        json!({ "identities": [{ "type": "device_id", "value": "d-1" }] }),
        json!({ "identities": [{ "type": "social", "source": "mastodon", "value": "@ada" }] }),
    ]
}

#[test]
fn a_customer_is_recognised_by_any_identity() {
    let client = workspace();
    let body = json!({
        "email": "ada@shop.example.com", "phone": "+436641234567",
        "external_ids": [{ "source": "shop", "id": "7" }],
        "identities": [
            { "type": "user_id", "value": "u-1" }, { "type": "anonymous_id", "value": "a-1" },
            { "type": "device_id", "value": "d-1" },
            { "type": "social", "source": "mastodon", "value": "@ada" },
        ],
    });
    let ada = create(&client, body).id();
    for reference in references().into_iter().chain([json!({ "id": ada })]) {
        for unknown in ["create", "reject", "keep_anonymous"] {
            let made = of(&client, reference.clone(), unknown).expect(201);
            assert_eq!(made.json["customer_id"], ada, "{reference} {unknown}");
            assert_eq!(made.json["anonymous_id"], reference["anonymous_id"]);
        }
    }
    let all = client.get(CUSTOMERS).expect(200);
    assert_eq!(rows(&all).len(), 1);
    assert_eq!(all.json["data"][0]["version"], 1);
    assert_eq!(all.json["data"][0]["stats"]["touchpoints_count"], 24);
}

#[test]
fn somebody_unknown_becomes_a_customer_where_that_is_asked_for() {
    for reference in references() {
        let client = workspace();
        let made = of(&client, reference.clone(), "create").expect(201);
        let ada = made.json["customer_id"].as_str().expect("a customer").to_owned();
        let again = of(&client, reference.clone(), "reject").expect(201);
        assert_eq!(again.json["customer_id"], ada, "{reference}");
        assert_eq!(kinds(&client, &ada), ["customer.created", "page.viewed", "page.viewed"]);
        let customer = client.get(&at(&ada)).expect(200).json;
        if reference["email"].is_string() {
            assert_eq!(customer["email"], "ada@shop.example.com");
        }
        if reference["phone"].is_string() {
            assert_eq!(customer["phone"], "+436641234567");
        }
    }
}

#[test]
fn somebody_unknown_is_refused_unless_something_else_is_said() {
    let client = workspace();
    for reference in references() {
        let body = json!({ "type": "page.viewed", "customer": reference });
        if reference["anonymous_id"].is_string() {
            let kept = client.post(PATH, body).expect(201).json;
            assert_eq!(
                (&kept["customer_id"], &kept["anonymous_id"]),
                (&Value::Null, &json!("a-1"))
            );
            continue;
        }
        let refused = unchanged(&client, || client.post(PATH, body)).expect(422);
        assert_eq!(refused.fault(), ("customer_not_found", "#/customer"), "{reference}");
    }
    assert!(rows(&client.get(CUSTOMERS).expect(200)).is_empty());
}

#[test]
fn somebody_unknown_can_stay_unknown() {
    let client = workspace();
    for reference in references() {
        let kept = of(&client, reference.clone(), "keep_anonymous").expect(201).json;
        assert_eq!(kept["customer_id"], Value::Null, "{reference}");
        assert_eq!(kept["anonymous_id"], reference["anonymous_id"]);
    }
    assert!(rows(&client.get(CUSTOMERS).expect(200)).is_empty());
}

#[test]
fn an_id_that_nobody_has_is_refused_under_every_policy() {
    let client = workspace();
    let theirs = create(&workspace(), json!({})).id();
    for id in [Uuid::now_v7().to_string(), theirs] {
        for unknown in ["create", "reject", "keep_anonymous"] {
            let refused = unchanged(&client, || of(&client, json!({ "id": id }), unknown));
            assert_eq!(refused.expect(422).fault(), ("not_found", "#/customer/id"));
        }
    }
    let refused = of(&client, json!({ "id": "ada" }), "create").expect(422);
    assert_eq!(refused.fault(), ("invalid_type", "#/customer/id"));
}

#[test]
fn a_new_person_of_several_items_is_one_customer() {
    let client = workspace();
    let customers = [
        json!({ "email": "ada@shop.example.com", "anonymous_id": "a-1" }),
        json!({ "email": "ADA@shop.example.com", "user_id": "u-1" }),
        json!({ "user_id": "u-1", "phone": "+436641234567" }),
        json!({ "phone": "+43 664 1234567" }),
        json!({ "anonymous_id": "a-1" }),
        json!({ "email": "eve@shop.example.com" }),
    ];
    let items = customers.map(|customer| json!({ "type": "page.viewed", "customer": customer }));
    let done = send_batch(&client, &items).expect(207);
    assert_eq!(statuses(&done), [201; 6]);
    let ada = holder(&client, "ada@shop.example.com").expect(200).id();
    for query in [
        "type=user_id&value=u-1",
        "type=anonymous_id&value=a-1",
        "type=phone&value=%2B436641234567",
    ] {
        assert_eq!(look_up(&client, query).expect(200).id(), ada, "{query}");
    }
    assert_eq!(rows(&client.get(CUSTOMERS).expect(200)).len(), 2);
    let path = format!("{}/timeline?type=page.viewed&include_total=true", at(&ada));
    assert_eq!(client.get(&path).expect(200).json["total"], 5);
}

#[test]
fn a_new_person_of_several_senders_is_one_customer() {
    let client = workspace();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let client = &client;
            scope.spawn(move || {
                let customer = json!({ "email": "ada@shop.example.com", "user_id": "u-1" });
                let item = json!({
                    "type": "page.viewed", "customer": customer, "message_id": n.to_string(),
                });
                assert_eq!(statuses(&send_batch(client, &[item])), [201]);
            });
        }
    });
    assert_eq!(rows(&client.get(CUSTOMERS).expect(200)).len(), 1);
    let ada = holder(&client, "ada@shop.example.com").expect(200);
    assert_eq!(ada.json["stats"]["touchpoints_count"], 8);
}

#[test]
fn what_else_is_known_of_a_customer_is_attached() {
    let client = workspace();
    let ada = with_email(&client, "ada@shop.example.com");
    let reference = json!({
        "email": "ada@shop.example.com", "anonymous_id": "a-1", "user_id": "u-1",
        "external_id": { "source": "shop", "id": "7" },
    });
    let made = of(&client, reference.clone(), "reject").expect(201);
    assert_eq!(made.json["customer_id"], ada);
    let all = [
        "type=anonymous_id&value=a-1",
        "type=user_id&value=u-1",
        "type=external&source=shop&value=7",
    ];
    for query in all {
        assert_eq!(look_up(&client, query).expect(200).id(), ada, "{query}");
    }
    let added = kinds(&client, &ada).iter().filter(|kind| *kind == "identity.added").count();
    assert_eq!(added, 3);
    let after = client.get(&at(&ada)).expect(200).json;
    assert_eq!(after["external_ids"], json!([{ "source": "shop", "id": "7" }]));
    let again = of(&client, reference, "reject").expect(201);
    assert_eq!(again.json["customer_id"], ada);
    assert_eq!(client.get(&at(&ada)).expect(200).json["version"], after["version"]);
}

#[test]
fn a_visitor_who_gives_an_email_has_one_from_then_on() {
    let client = workspace();
    let first = of(&client, json!({ "anonymous_id": "a-1" }), "create").expect(201);
    let ada = first.json["customer_id"].as_str().expect("a customer").to_owned();
    let known =
        json!({ "anonymous_id": "a-1", "email": "Ada@Shop.example.com", "phone": "+436641234567" });
    assert_eq!(of(&client, known, "create").expect(201).json["customer_id"], ada);
    let after = client.get(&at(&ada)).expect(200).json;
    assert_eq!(after["email"], "ada@shop.example.com");
    assert_eq!(after["phone"], "+436641234567");
    let found = client.get(&format!("{CUSTOMERS}?q=ada@shop")).expect(200);
    assert_eq!(rows(&found).len(), 1);
}

#[test]
fn several_logins_of_one_browser_are_several_customers() {
    let client = workspace();
    let item = |user: &str| json!({ "type": "page.viewed", "customer": { "anonymous_id": "a", "user_id": user } });
    let answer = send_batch(&client, &[item("u1"), item("u2"), item("u1"), item("u2")]);
    assert_eq!(statuses(&answer), [201; 4]);
    let whose = |mark: &str| look_up(&client, mark).expect(200).id();
    let (one, other) = (whose("type=user_id&value=u1"), whose("type=user_id&value=u2"));
    assert_ne!(one, other);
    assert_eq!(whose("type=anonymous_id&value=a"), one);
    for id in [&one, &other] {
        let seen = client.get(&format!("{PATH}?type=page.viewed&customer_id={id}")).expect(200);
        assert_eq!(rows(&seen).len(), 2);
    }
    // An outside id says who it is, and their login stays theirs.
    let shop = json!({ "source": "shop", "id": "7" });
    let login = json!({ "type": "user_id", "value": "u7" });
    let made = create(&client, json!({ "external_ids": [shop], "identities": [login] })).id();
    let both = json!({ "external_id": shop, "user_id": "u8" });
    assert_eq!(of(&client, both, "create").expect(201).json["customer_id"], made);
    look_up(&client, "type=user_id&value=u8").expect(404);
}

#[test]
fn the_strongest_identity_decides_and_nobody_loses_one() {
    let client = workspace();
    let ada =
        create(&client, json!({ "identities": [{ "type": "user_id", "value": "u-1" }] })).id();
    let eve = with_email(&client, "eve@shop.example.com");
    let both = json!({ "email": "eve@shop.example.com", "user_id": "u-1", "anonymous_id": "a-1" });
    let made = of(&client, both, "create").expect(201);
    assert_eq!(made.json["customer_id"], ada);
    assert_eq!(holder(&client, "eve@shop.example.com").expect(200).id(), eve);
    assert_eq!(look_up(&client, "type=anonymous_id&value=a-1").expect(200).id(), ada);
    let by_id = json!({ "id": eve, "user_id": "u-1", "phone": "+436641234567" });
    assert_eq!(of(&client, by_id, "create").expect(201).json["customer_id"], eve);
    assert_eq!(look_up(&client, "type=user_id&value=u-1").expect(200).id(), ada);
    assert_eq!(look_up(&client, "type=phone&value=%2B436641234567").expect(200).id(), eve);
}

#[test]
fn a_person_who_cannot_be_made_is_refused_with_every_item() {
    let client = workspace();
    let required = json!({
        "resource": "customer", "key": "size", "name": "Size", "type": "number", "required": true,
    });
    client.post("/v1/attribute_definitions", required).expect(201);
    let ada = json!({ "type": "page.viewed", "customer": { "email": "ada@shop.example.com" } });
    let items = [ada.clone(), json!({ "type": "page.viewed" }), ada];
    let done = send_batch(&client, &items).expect(207);
    assert_eq!(statuses(&done), [422, 201, 422]);
    for item in [0, 2] {
        assert_eq!(fault(&done, item).0, "required");
    }
    assert_eq!(results(&done)[0].1, None);
    assert!(rows(&client.get(CUSTOMERS).expect(200)).is_empty());
}
