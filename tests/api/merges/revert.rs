//! Undoing: everything goes back to whom it first belonged, also what came later.

use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

use super::{
    CUSTOMERS, activity, ada_and_twin, belongings, create, get, merge, merged, seen, timeline,
    undo, work_until,
};
use crate::consents::email;
use crate::harness::{App, workspace};

#[test]
fn undoing_puts_everything_back() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let (ada, twin) = ada_and_twin(&client);
    let club = client.post("/v1/organizations", json!({ "name": "Club" })).expect(201).id();
    let firm = client.post("/v1/organizations", json!({ "name": "Firm" })).expect(201).id();
    for (organization, customer, is_primary) in
        [(&club, &ada, true), (&club, &twin, false), (&firm, &twin, true)]
    {
        let path = format!("/v1/organizations/{organization}/members/{customer}");
        client.put(&path, json!({ "is_primary": is_primary })).expect(200);
    }
    for customer in [&ada, &twin, &twin] {
        seen(&client, json!({ "id": customer }));
    }
    email(&client, &ada, "granted");
    email(&client, &twin, "denied");
    let all = || [&ada, &twin].map(|id| (belongings(&client, id), activity(&app, id)));
    let before = all();
    let id = merged(&client, &ada, &twin);
    let memberships = client.get(&format!("{CUSTOMERS}/{ada}/organizations")).expect(200).json;
    let primary: Vec<&Value> = memberships["data"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|one| one["is_primary"] == true)
        .collect();
    assert_eq!((memberships["data"].as_array().map(Vec::len), primary.len()), (Some(2), 1));
    // The latest word holds for both.
    let path = format!("{CUSTOMERS}/{ada}/reachability?purpose=marketing");
    let channels = client.get(&path).expect(200).json["channels"].clone();
    let by_email = channels.as_array().expect("a list").iter();
    let by_email = by_email.clone().find(|one| one["channel_type"] == "email").expect("email");
    assert_eq!(by_email["is_allowed"], false, "{by_email}");
    let undone = undo(&client, &id).expect(200).json;
    assert_eq!(undone["status"], "reverted");
    assert!(!undone["reverted_at"].is_null());
    assert_eq!(all(), before);
    assert_eq!(get(&client, &twin).json["status"], "active");
    // A second time changes nothing.
    let again = undo(&client, &id).expect(200).json;
    assert_eq!(again["version"], undone["version"]);
}

#[test]
fn what_came_later_goes_to_whom_it_was_meant_for() {
    let client = workspace();
    let (ada, twin) = ada_and_twin(&client);
    let id = merged(&client, &ada, &twin);
    let by_mark = seen(&client, json!({ "email": "ada@work.example.com" }));
    let by_id = seen(&client, json!({ "id": twin }));
    let hers = seen(&client, json!({ "email": "ada@shop.example.com" }));
    assert_eq!(timeline(&client, &ada)[..3], [hers.clone(), by_id.clone(), by_mark.clone()]);
    undo(&client, &id).expect(200);
    let (of_ada, of_twin) = (timeline(&client, &ada), timeline(&client, &twin));
    assert!(of_twin.contains(&by_mark) && of_twin.contains(&by_id), "{of_twin:?}");
    assert!(of_ada.contains(&hers) && !of_ada.contains(&by_mark), "{of_ada:?}");
    assert_eq!(get(&client, &twin).json["stats"]["touchpoints_count"], 2);
    assert_eq!(get(&client, &ada).json["stats"]["touchpoints_count"], 1);
}

#[test]
fn a_field_that_was_changed_since_stays() {
    let client = workspace();
    let (ada, twin) = ada_and_twin(&client);
    let id = merged(&client, &ada, &twin);
    client.patch(&format!("{CUSTOMERS}/{ada}"), json!({ "last_name": "Berg" })).expect(200);
    undo(&client, &id).expect(200);
    let ada = get(&client, &ada).json;
    assert_eq!(
        (ada["last_name"].clone(), ada["lifecycle_stage"].clone()),
        (json!("Berg"), json!("lead"))
    );
}

#[test]
fn nested_merges_are_undone_exactly() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let names = ["a", "b", "c"];
    let ids = names.map(|name| {
        let body = json!({ "first_name": name, "email": format!("{name}@x.example.com") });
        let id = create(&client, body);
        seen(&client, json!({ "id": id }));
        id
    });
    let [a, b, c] = &ids;
    let all = || ids.clone().map(|id| (belongings(&client, &id), activity(&app, &id)));
    let separate = all();
    let inner = merged(&client, b, c);
    let with_inner = [a, b].map(|id| belongings(&client, id));
    let outer = merged(&client, a, b);
    assert_eq!(get(&client, c).json["id"], json!(a));
    let late = seen(&client, json!({ "email": "c@x.example.com" }));
    undo(&client, &outer).expect(200);
    assert!(timeline(&client, b).contains(&late));
    assert_eq!(belongings(&client, a), with_inner[0]);
    assert_eq!(get(&client, c).json["id"], json!(b));
    undo(&client, &inner).expect(200);
    assert!(timeline(&client, c).contains(&late));
    let now = all();
    assert_eq!((&now[0], &now[1]), (&separate[0], &separate[1]));
}

#[test]
fn unique_values_follow_and_come_back() {
    let client = workspace();
    let definition = json!({ "resource": "customer", "key": "card", "name": "Card", "type": "string",
                             "unique": true });
    client.post("/v1/attribute_definitions", definition).expect(201);
    let ada = create(&client, json!({ "first_name": "Ada" }));
    let twin = create(&client, json!({ "first_name": "A.", "attributes": { "card": "K1" } }));
    let id = merged(&client, &ada, &twin);
    // The survivor holds it now, and nobody else can have it.
    client
        .patch(&format!("{CUSTOMERS}/{ada}"), json!({ "attributes": { "hat": "M" } }))
        .expect(200);
    client.post(CUSTOMERS, json!({ "attributes": { "card": "K1" } })).expect(409);
    undo(&client, &id).expect(200);
    client.post(CUSTOMERS, json!({ "attributes": { "card": "K1" } })).expect(409);
    assert_eq!(get(&client, &twin).json["attributes"]["card"], "K1");
}

/// Long timelines move in the background, a portion at a time, and come back the same way.
#[test]
fn twelve_thousand_touchpoints_move_in_the_background() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let (ada, twin) = ada_and_twin(&client);
    seen(&client, json!({ "id": ada }));
    let items: Vec<Value> =
        (0..1000).map(|_| json!({ "type": "page.viewed", "customer": { "id": twin } })).collect();
    for _ in 0..12 {
        let body = json!({ "items": items });
        assert_eq!(client.post("/v1/touchpoints/batch", body).expect(207).json["failed"], 0);
    }
    let all = || [&ada, &twin].map(|id| activity(&app, id));
    let before = all();
    let done = merge(&client, &ada, &twin).expect(200).json;
    assert_eq!(done["merge"]["status"], "running");
    assert_eq!(done["merge"]["moved"]["touchpoints_total"], 12_001);
    let id = done["merge_id"].as_str().expect("an id").to_owned();
    let refused = undo(&client, &id).expect(409);
    assert_eq!(refused.code(), "invalid_transition");
    // What comes meanwhile is counted once.
    seen(&client, json!({ "email": "ada@work.example.com" }));
    work_until(&app, &client, &id, "completed");
    let moved = client.get(&format!("/v1/merges/{id}")).expect(200).json["moved"].clone();
    assert_eq!(moved["touchpoints"], 12_001);
    assert_eq!(get(&client, &ada).json["stats"]["touchpoints_count"], 12_002);
    undo(&client, &id).expect(200);
    work_until(&app, &client, &id, "reverted");
    assert_eq!(get(&client, &ada).json["stats"]["touchpoints_count"], 1);
    assert_eq!(get(&client, &twin).json["stats"]["touchpoints_count"], 12_001);
    assert_eq!(all()[0], before[0]);
}

/// A transaction that had found the source before it was merged may write to it after.
#[test]
fn stragglers_follow() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let (ada, twin) = ada_and_twin(&client);
    let touchpoint = seen(&client, json!({ "id": twin }));
    let id = merged(&client, &ada, &twin);
    let late = format!(
        "update touchpoints set customer_id = '{twin}' where id = '{touchpoint}';
         update customer_activity set n = n - 1 where customer_id = '{ada}' and type = 'page.viewed';
         insert into customer_activity select workspace_id, '{twin}', type, 1, first_at, last_at
           from customer_activity where customer_id = '{ada}' and type = 'page.viewed';
         update jobs set run_at = now() where kind = 'customers.merge'"
    );
    app.owner().batch_execute(&late).expect("a straggler");
    while ecrm::worker::round(&app.state, uuid::Uuid::now_v7()).expect("a round") > 0 {}
    assert!(timeline(&client, &ada).contains(&touchpoint));
    assert_eq!(activity(&app, &twin), Vec::<String>::new());
    undo(&client, &id).expect(200);
    assert!(timeline(&client, &twin).contains(&touchpoint));
}
