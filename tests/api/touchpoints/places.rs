//! Where it happened and which organization it concerns.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{fault, send, send_batch, statuses};
use crate::customers::{create, unchanged};
use crate::harness::{Client, workspace};

fn channel(client: &Client, reference: &str) -> String {
    let body = json!({
        "type": "web", "name": "Shop", "external_ids": [{ "source": "shop", "id": reference }],
    });
    client.post("/v1/channels", body).expect(201).id()
}

fn organization(client: &Client, reference: &str) -> String {
    let body =
        json!({ "name": "Bergsport", "external_ids": [{ "source": "erp", "id": reference }] });
    client.post("/v1/organizations", body).expect(201).id()
}

fn seen(name: &str, value: &Value) -> Value {
    json!({ "type": "page.viewed", name: value })
}

#[test]
fn channel_and_organization_are_named_by_id_or_outside_id() {
    let client = workspace();
    let (web, shop) = (channel(&client, "w-1"), organization(&client, "o-1"));
    for reference in
        [json!({ "id": web }), json!({ "external_id": { "source": "shop", "id": "w-1" } })]
    {
        let made = send(&client, seen("channel", &reference)).expect(201);
        assert_eq!(made.json["channel_id"], web, "{reference}");
    }
    for reference in
        [json!({ "id": shop }), json!({ "external_id": { "source": "erp", "id": "o-1" } })]
    {
        let made = send(&client, seen("organization", &reference)).expect(201);
        assert_eq!(made.json["organization_id"], shop, "{reference}");
    }
}

#[test]
fn what_is_not_there_is_refused_for_that_item_alone() {
    let client = workspace();
    let theirs = workspace();
    let (web, gone) = (channel(&client, "w-1"), organization(&client, "o-1"));
    client.delete(&format!("/v1/organizations/{gone}")).expect(204);
    channel(&theirs, "w-2");
    let items = [
        seen("channel", &json!({ "id": web })),
        seen("channel", &json!({ "id": Uuid::now_v7() })),
        seen("channel", &json!({ "external_id": { "source": "shop", "id": "w-2" } })),
        seen("channel", &json!({ "external_id": { "source": "erp", "id": "w-1" } })),
        seen("channel", &json!({})),
        seen("organization", &json!({ "id": web })),
        seen("organization", &json!({ "id": gone })),
        seen("organization", &json!({ "external_id": { "source": "erp", "id": "o-1" } })),
    ];
    let done = send_batch(&client, &items).expect(207);
    assert_eq!(statuses(&done), [201, 422, 422, 422, 422, 422, 422, 422]);
    for item in 1..=4 {
        assert_eq!(fault(&done, item), ("not_found", "#/channel"), "{item}");
    }
    for item in 5..=7 {
        assert_eq!(fault(&done, item), ("not_found", "#/organization"), "{item}");
    }
    for item in &items[1..] {
        unchanged(&client, || send(&client, item.clone()).expect(422));
    }
}

#[test]
fn a_deleted_channel_takes_nothing_in() {
    let client = workspace();
    let web = channel(&client, "w-1");
    client.delete(&format!("/v1/channels/{web}")).expect(204);
    let refused = send(&client, seen("channel", &json!({ "id": web }))).expect(422);
    assert_eq!(refused.fault(), ("not_found", "#/channel"));
}

#[test]
fn a_member_brings_the_primary_organization_along() {
    let client = workspace();
    let (first, second) = (organization(&client, "o-1"), organization(&client, "o-2"));
    let (ada, eve) = (create(&client, json!({})).id(), create(&client, json!({})).id());
    let join = |organization: &str, customer: &str, is_primary: bool, until: Value| {
        let path = format!("/v1/organizations/{organization}/members/{customer}");
        client.put(&path, json!({ "is_primary": is_primary, "until": until })).expect(200);
    };
    join(&first, &ada, true, Value::Null);
    join(&second, &ada, false, Value::Null);
    join(&first, &eve, true, json!("2020-12-31"));
    let of = |customer: &str, more: Value| {
        let mut body = json!({ "type": "page.viewed", "customer": { "id": customer } });
        if !more.is_null() {
            body["organization"] = more;
        }
        send(&client, body).expect(201).json["organization_id"].clone()
    };
    assert_eq!(of(&ada, Value::Null), first);
    assert_eq!(of(&ada, json!({ "id": second })), second);
    assert_eq!(of(&eve, Value::Null), Value::Null);
    join(&second, &ada, true, Value::Null);
    assert_eq!(of(&ada, Value::Null), second);
}
