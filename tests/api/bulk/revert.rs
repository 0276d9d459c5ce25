//! Undoing an import: exact, and never over what somebody did since.

use serde_json::{Value, json};

use super::{act, counts, customers, ended, import, path_of, refusals, workspace};

fn without_times(mut records: Vec<Value>) -> Vec<Value> {
    for record in &mut records {
        for name in ["version", "updated_at", "stats"] {
            record[name] = Value::Null;
        }
    }
    records
}

#[test]
fn a_reverted_import_leaves_everything_as_it_was() {
    let client = workspace();
    let ada = json!({ "email": "ada@shop.example.com", "first_name": "Ada", "tags": ["a"],
                      "attributes": { "kept": 1, "changed": "before" } });
    client.post("/v1/customers", ada).expect(201);
    let before = without_times(customers(&client));
    let new = json!({ "resource": "customers", "format": "csv", "on_duplicate": "update" });
    let file = "email,first_name,tags,attributes.changed,attributes.new,external_ids.shop\n\
                ada@shop.example.com,Adele,b,after,x,17\nnew@shop.example.com,,,,,\n\
                ada@shop.example.com,Adelheid,c,later,y,17\n";
    let done = import(&client, new, file);
    assert_eq!(counts(&done), [1, 2, 0, 0]);
    assert_eq!(customers(&client)[0]["attributes"]["changed"], "later");
    let id = done["id"].as_str().expect("an id");
    act(&client, id, "revert").expect(200);
    let reverted = ended(&client, &path_of(&done, "imports"));
    assert_eq!(
        (&reverted["status"], &reverted["counts"]["reverted"]),
        (&json!("reverted"), &json!(3))
    );
    assert_eq!(without_times(customers(&client)), before);
    act(&client, id, "revert").expect_code(409, "invalid_transition");
}

/// More changes of one record than are undone with one transaction.
#[test]
fn a_record_that_was_changed_many_times_is_as_before() {
    let client = workspace();
    client.post("/v1/customers", json!({ "email": "a@shop.example.com" })).expect(201);
    let new = json!({ "resource": "customers", "format": "csv", "on_duplicate": "update" });
    let rows: String = (0..450).map(|n| format!("a@shop.example.com,{n}\n")).collect();
    let done = import(&client, new, &format!("email,score\n{rows}"));
    assert_eq!(counts(&done), [0, 450, 0, 0]);
    act(&client, done["id"].as_str().expect("an id"), "revert").expect(200);
    assert_eq!(ended(&client, &path_of(&done, "imports"))["counts"]["reverted"], 450);
    assert_eq!(customers(&client)[0]["score"], Value::Null);
}

#[test]
fn what_was_changed_since_stays_and_is_named() {
    let client = workspace();
    let new = json!({ "resource": "customers", "format": "csv" });
    let done = import(&client, new, "email\na@shop.example.com\nb@shop.example.com\n");
    let a = customers(&client)[0]["id"].as_str().expect("an id").to_owned();
    client.patch(&format!("/v1/customers/{a}"), json!({ "first_name": "Ann" })).expect(200);
    act(&client, done["id"].as_str().expect("an id"), "revert").expect(200);
    let reverted = ended(&client, &path_of(&done, "imports"));
    assert_eq!(reverted["counts"]["reverted"], 1, "{reverted}");
    let left = customers(&client);
    assert_eq!((left.len(), &left[0]["first_name"]), (1, &json!("Ann")));
    let kept = refusals(&client, &reverted);
    assert_eq!((kept[0][0].as_str(), kept[0][2].as_str()), ("1", "changed_since"));
}

#[test]
fn organizations_are_reverted_as_well() {
    let client = workspace();
    let new = json!({ "resource": "organizations", "format": "csv", "on_duplicate": "update" });
    let file = "name,external_ids.erp,industry\nAlpen,17,retail\nAlpen,17,sports\n";
    let done = import(&client, new, file);
    assert_eq!(counts(&done), [1, 1, 0, 0]);
    act(&client, done["id"].as_str().expect("an id"), "revert").expect(200);
    assert_eq!(ended(&client, &path_of(&done, "imports"))["counts"]["reverted"], 2);
    let list = client.get("/v1/organizations").expect(200).json;
    assert_eq!(list["data"], json!([]));
}
