//! Who is forgotten is gone, and stays so.

use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

use super::{act, answered, ask, count, customer, get, hurry, run, somebody, work};
use crate::harness::{App, Client};

fn certificate(client: &Client, request: &Value) -> Value {
    let path = request["certificate_url"].as_str().expect("a certificate");
    client.get(path).expect(200).json
}

#[test]
fn who_is_erased_is_gone_with_a_certificate() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let (ada, _) = somebody(&client);
    let seen = json!({ "type": "page.viewed", "customer": { "id": ada } });
    client.post("/v1/touchpoints", seen).expect(201);
    let request = answered(&app, &client, &ada, "erasure");
    let certificate = certificate(&client, &request);
    assert_eq!(certificate["customer_ids"], json!([ada]));
    assert_eq!(certificate["addresses_suppressed"], 1);
    assert_eq!(certificate["identities_blocked"], 1);
    let of = |kind: &str| {
        let all = certificate["records"].as_array().expect("records").iter();
        let one = all.clone().find(|one| one["kind"] == kind).expect("the kind");
        (one["count"].as_i64().expect("a count"), one["treatment"].as_str().expect("a word"))
    };
    assert_eq!(of("customers"), (1, "cleared"));
    assert_eq!(of("customer_stats").1, "kept");
    assert!(of("touchpoints").0 >= 3, "{certificate}");
    for path in ["", "/timeline", "/consents", "/identities", "/history?field=email"] {
        client.get(&format!("/v1/customers/{ada}{path}")).expect(404);
    }
    let restore = format!("/v1/customers/{ada}/restore");
    client.send("POST", &restore, &[], None).expect_code(409, "customer_erased");
    ask(&client, &ada, "access").expect(422);
    let list = client.get("/v1/customers?include_total=true").expect(200).json;
    assert_eq!(list["data"], json!([]));
}

#[test]
fn whoever_was_merged_goes_along_and_so_does_a_deleted_customer() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let (ada, _) = somebody(&client);
    let (double, email) = somebody(&client);
    let merge = json!({ "source_id": double });
    let merge = client.post(&format!("/v1/customers/{ada}/merge"), merge).expect(200).json;
    let request = answered(&app, &client, &ada, "erasure");
    let ids = &certificate(&client, &request)["customer_ids"];
    assert_eq!(ids, &json!([ada, double]));
    client.get(&format!("/v1/customers/{double}")).expect(404);
    let undo = format!("/v1/merges/{}/revert", merge["merge_id"].as_str().expect("a merge"));
    client.send("POST", &undo, &[], None).expect(404);
    let again = client.post("/v1/customers", json!({ "email": email }));
    again.expect_code(409, "identity_erased");

    let (deleted, _) = somebody(&client);
    client.delete(&format!("/v1/customers/{deleted}")).expect(204);
    answered(&app, &client, &deleted, "erasure");
}

#[test]
fn an_erased_identity_comes_back_in_no_way_until_it_is_readmitted() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let external = json!([{ "source": "shop", "id": "4711" }]);
    let (email, phone) = ("ada@shop.example.com", "+436641234567");
    let ada = customer(
        &client,
        json!({ "email": email, "phone": phone, "external_ids": external,
                "identities": [{ "type": "anonymous_id", "value": "b-1" }] }),
    );
    answered(&app, &client, &ada, "erasure");
    let other = customer(&client, json!({ "first_name": "Other" }));
    let refused = [
        client.post("/v1/customers", json!({ "email": "ADA@shop.example.com" })),
        client.post("/v1/customers", json!({ "phone": "+43 664 1234567" })),
        client.put("/v1/customers/external/shop/4711", json!({ "first_name": "Ada" })),
        client.patch(&format!("/v1/customers/{other}"), json!({ "email": email })),
        client.post(
            &format!("/v1/customers/{other}/identities"),
            json!({ "type": "phone", "value": phone }),
        ),
        client.post(
            "/v1/touchpoints?on_unknown_customer=create",
            json!({ "type": "page.viewed", "customer": { "email": email } }),
        ),
        client.post(
            "/v1/touchpoints?on_unknown_customer=keep_anonymous",
            json!({ "type": "page.viewed", "customer": { "email": email } }),
        ),
    ];
    for answer in refused {
        answer.expect_code(409, "identity_erased");
    }
    let batch = json!({ "items": [{ "email": email }, { "email": "bea@shop.example.com" }] });
    let done = client.post("/v1/customers/batch", batch).expect(207).json;
    assert_eq!((&done["results"][0]["status"], &done["failed"]), (&json!(409), &json!(1)));
    // A touchpoint of somebody else that names it is kept, without it.
    let both = json!({ "id": other, "email": email });
    client.post("/v1/touchpoints", json!({ "type": "call.made", "customer": both })).expect(201);
    let still = client.get(&format!("/v1/customers/{other}")).expect(200).json;
    assert_eq!(still["email"], Value::Null);
    // A browser says nothing of a person: it may look at the shop like any other.
    // And nobody is told who was erased where strangers are refused anyway.
    let known = json!({ "type": "page.viewed", "customer": { "email": email } });
    client.post("/v1/touchpoints", known).expect_code(422, "validation_failed");
    let looks = json!({ "type": "page.viewed", "customer": { "anonymous_id": "b-1" } });
    client.post("/v1/touchpoints", looks).expect(201);

    let suppressed = client.get("/v1/suppressions?reason=erased").expect(200).json;
    assert_eq!(suppressed["data"].as_array().expect("a list").len(), 4, "{suppressed}");
    let back = json!({ "identities": [{ "type": "email", "value": email },
                                      { "type": "email", "value": "nobody@shop.example.com" }] });
    let freed = client.post("/v1/readmissions", back.clone()).expect(200).json;
    assert_eq!(freed["readmitted"], 1);
    assert_eq!(client.post("/v1/readmissions", back).expect(200).json["readmitted"], 0);
    let anew = customer(&client, json!({ "email": email }));
    assert_ne!(anew, ada);
    let path = format!("/v1/customers/{anew}/reachability?purpose=transactional");
    let reach = client.get(&path).expect(200).json;
    let email = reach["channels"].as_array().expect("channels").iter();
    let email = email.clone().find(|one| one["channel_type"] == "email").expect("email");
    assert_eq!(email["is_allowed"], true, "{email}");
}

/// What somebody else has come to since is theirs.
#[test]
fn a_mark_that_passed_to_somebody_else_stays_theirs() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let (ada, email) = somebody(&client);
    client.delete(&format!("/v1/customers/{ada}")).expect(204);
    let heir = customer(&client, json!({ "email": email }));
    let request = answered(&app, &client, &ada, "erasure");
    assert_eq!(certificate(&client, &request)["identities_blocked"], 0);
    let seen = json!({ "type": "page.viewed", "customer": { "email": email } });
    let seen = client.post("/v1/touchpoints", seen).expect(201).json;
    assert_eq!(seen["customer_id"], heir.as_str());
}

#[test]
fn an_erasure_that_broke_off_goes_on_where_it_was() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let (ada, _) = somebody(&client);
    let seen = json!({ "type": "page.viewed", "name": "Boots", "customer": { "id": ada } });
    client.post("/v1/touchpoints", seen).expect(201);
    let id = ask(&client, &ada, "erasure").expect(201).id();
    let fails = "alter function erase_touchpoints(uuid, uuid[]) rename to erase_touchpoints_away";
    let heals = "alter function erase_touchpoints_away(uuid, uuid[]) rename to erase_touchpoints";
    run(&app, fails);
    work(&app);
    client.get(&format!("/v1/customers/{ada}")).expect(404);
    assert_eq!(get(&client, &id)["status"], "processing");
    run(&app, heals);
    hurry(&app);
    let request = get(&client, &id);
    assert_eq!(request["status"], "completed");
    assert_eq!(certificate(&client, &request)["identities_blocked"], 1);
}

/// A transaction that knew the customer before may end after.
#[test]
fn what_comes_in_while_somebody_is_forgotten_is_forgotten_too() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let (ada, _) = somebody(&client);
    let seen = json!({ "type": "page.viewed", "name": "Late", "customer": { "id": ada } });
    client.post("/v1/touchpoints", seen).expect(201);
    answered(&app, &client, &ada, "erasure");
    run(&app, "update touchpoints set name = 'Late' where type = 'page.viewed'");
    hurry(&app);
    assert_eq!(count(&app, "touchpoints", "name = 'Late'"), 0);
}

/// The log of everybody else stays as it is, also for the role that the service runs as.
#[test]
fn the_log_of_the_living_cannot_be_emptied() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let (ada, _) = somebody(&client);
    let seen = json!({ "type": "page.viewed", "name": "Boots", "customer": { "id": ada } });
    let touchpoint = client.post("/v1/touchpoints", seen).expect(201).id();
    let sql =
        format!("select erase_touchpoints('{}', array['{touchpoint}'::uuid])", client.workspace_id);
    app.state.db.system(|pg| Ok(pg.batch_execute(&sql)?)).expect("an answer");
    let kept = client.get(&format!("/v1/touchpoints/{touchpoint}")).expect(200).json;
    assert_eq!(kept["name"], "Boots");
}

#[test]
fn a_long_timeline_is_emptied_in_portions() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let (ada, _) = somebody(&client);
    for round in 0..3 {
        let items: Vec<Value> = (0..800)
            .map(|n| {
                json!({ "type": "page.viewed", "name": format!("{round}-{n}"),
                                 "message_id": format!("m-{round}-{n}"), "source": "shop",
                                 "customer": { "id": ada } })
            })
            .collect();
        client.post("/v1/touchpoints/batch", json!({ "items": items })).expect(207);
    }
    let request = answered(&app, &client, &ada, "erasure");
    let records = certificate(&client, &request)["records"].clone();
    let touchpoints = records.as_array().expect("records").iter();
    let touchpoints = touchpoints.clone().find(|one| one["kind"] == "touchpoints").expect("it");
    assert!(touchpoints["count"].as_i64().expect("a count") >= 2400, "{touchpoints}");
    assert_eq!(count(&app, "touchpoints", "name is not null"), 0);
    assert_eq!(count(&app, "touchpoint_keys", "true"), 0);
    act(&client, request["id"].as_str().expect("an id"), "process")
        .expect_code(409, "invalid_transition");
}
