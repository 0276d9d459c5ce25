//! What cannot be merged or undone, and that a refusal changes nothing.

use serde_json::json;
use uuid::Uuid;

use super::{CUSTOMERS, ada_and_twin, create, get, merge, merged, undo};
use crate::harness::workspace;

#[test]
fn a_customer_is_not_merged_into_itself() {
    let client = workspace();
    let (ada, _) = ada_and_twin(&client);
    let refused = merge(&client, &ada, &ada).expect(422);
    assert_eq!(refused.fault(), ("same_customer", "#/source_id"));
}

#[test]
fn who_is_not_there_is_not_merged() {
    let client = workspace();
    let (ada, twin) = ada_and_twin(&client);
    let nobody = Uuid::now_v7().to_string();
    let foreign = create(&workspace(), json!({ "first_name": "Eva" }));
    let deleted = create(&client, json!({ "first_name": "Eva" }));
    client.delete(&format!("{CUSTOMERS}/{deleted}")).expect(204);
    for source in [&nobody, &foreign, &deleted] {
        let refused = merge(&client, &ada, source).expect(422);
        assert_eq!(refused.fault(), ("not_found", "#/source_id"));
        merge(&client, source, &ada).expect(404);
    }
    assert_eq!(get(&client, &ada).json["version"], 1);
    assert_eq!(get(&client, &twin).json["version"], 1);
}

#[test]
fn a_merged_customer_is_not_merged_again() {
    let client = workspace();
    let (ada, twin) = ada_and_twin(&client);
    let eva = create(&client, json!({ "first_name": "Eva" }));
    merged(&client, &ada, &twin);
    for (survivor, source) in [(&eva, &twin), (&twin, &eva), (&ada, &twin)] {
        let refused = merge(&client, survivor, source).expect(409);
        assert_eq!(refused.code(), "customer_merged");
        assert_eq!(refused.json["existing_id"], json!(ada));
    }
}

#[test]
fn an_inner_merge_is_undone_after_the_outer_one() {
    let client = workspace();
    let (ada, twin) = ada_and_twin(&client);
    let eva = create(&client, json!({ "first_name": "Eva" }));
    let inner = merged(&client, &ada, &twin);
    let outer = merged(&client, &eva, &ada);
    let refused = undo(&client, &inner).expect(409);
    assert_eq!(refused.code(), "customer_merged");
    assert_eq!(refused.json["existing_id"], json!(eva));
    undo(&client, &outer).expect(200);
    undo(&client, &inner).expect(200);
}

#[test]
fn a_merge_is_undone_in_the_version_the_caller_saw() {
    let client = workspace();
    let (ada, twin) = ada_and_twin(&client);
    let id = merged(&client, &ada, &twin);
    let path = format!("/v1/merges/{id}/revert");
    let refused = client.send("POST", &path, &[("If-Match", "\"99\"")], None).expect(412);
    assert_eq!(refused.code(), "version_mismatch");
    let shown = client.get(&format!("/v1/merges/{id}")).expect(200);
    let tag = shown.headers["etag"].clone();
    client.send("POST", &path, &[("If-Match", &tag)], None).expect(200);
    undo(&client, &Uuid::now_v7().to_string()).expect(404);
}

#[test]
fn unknown_fields_and_sides_are_refused_by_name() {
    let client = workspace();
    let (ada, twin) = ada_and_twin(&client);
    let path = format!("{CUSTOMERS}/{ada}/merge");
    let body = json!({ "source_id": twin, "fields": { "email": "source" } });
    let refused = client.post(&path, body).expect(422);
    assert_eq!(refused.fault(), ("unknown_field", "#/fields/email"));
    let body = json!({ "source_id": twin, "fields": { "title": "theirs" } });
    client.post(&path, body).expect(422);
    client.post(&path, json!({})).expect(422);
}
