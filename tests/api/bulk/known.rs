//! Rows whose record is there already: who it is, and what of it changes.

use serde_json::{Value, json};

use super::{counts, customers, import, refusals, workspace};
use crate::harness::Client;

fn of(resource: &str, format: &str, policy: &str) -> Value {
    json!({ "resource": resource, "format": format, "on_duplicate": policy })
}

fn named(client: &Client) -> Vec<(Value, Value)> {
    let all = customers(client).into_iter();
    all.map(|one| (one["email"].clone(), one["first_name"].clone())).collect()
}

#[test]
fn people_who_share_a_phone_number_stay_as_many_as_they_are() {
    for policy in ["update", "skip", "fail"] {
        let client = workspace();
        let file = "email,first_name,phone\na@shop.example.com,Ann,+436641234567\n\
                    b@shop.example.com,Ben,+436641234567\nc@shop.example.com,Cleo,+436641234567\n";
        let done = import(&client, of("customers", "csv", policy), file);
        assert_eq!(counts(&done), [1, 0, 0, 2], "{policy}: {done}");
        assert_eq!(named(&client), [(json!("a@shop.example.com"), json!("Ann"))], "{policy}");
        let code = if policy == "fail" { "already_exists" } else { "identity_conflict" };
        let refused = refusals(&client, &done);
        assert_eq!([&*refused[0][0], &*refused[0][1], &*refused[0][2]], ["2", "phone", code]);
    }
}

#[test]
fn an_identity_that_a_record_has_not_got_is_filled_in() {
    let client = workspace();
    let ann = json!({ "phone": "+436641234567", "first_name": "Ann" });
    client.post("/v1/customers", ann).expect(201);
    let file = "email,phone,last_name,external_ids.shop\na@shop.example.com,+436641234567,Berg,1\n";
    let done = import(&client, of("customers", "csv", "update"), file);
    assert_eq!(counts(&done), [0, 1, 0, 0], "{done}");
    let ann = &customers(&client)[0];
    assert_eq!((&ann["email"], &ann["last_name"]), (&json!("a@shop.example.com"), &json!("Berg")));
    let other = "email,last_name,external_ids.shop\na@shop.example.com,Wall,2\n";
    let done = import(&client, of("customers", "csv", "update"), other);
    let refused = refusals(&client, &done);
    assert_eq!([&*refused[0][1], &*refused[0][2]], ["email", "identity_conflict"]);
    let moved = "email,external_ids.shop\nann@shop.example.com,1\n";
    assert_eq!(counts(&import(&client, of("customers", "csv", "update"), moved)), [0, 1, 0, 0]);
    assert_eq!(named(&client), [(json!("ann@shop.example.com"), json!("Ann"))]);
}

/// An outside id says more than a SKU or a value that only one may have.
#[test]
fn what_tells_most_says_which_record_it_is() {
    let client = workspace();
    let rope =
        json!({ "name": "Rope", "sku": "R", "external_ids": [{ "source": "shop", "id": "1" }] });
    client.post("/v1/products", rope).expect(201);
    let file = "name,sku,external_ids.shop\nTape,R,2\n";
    for policy in ["update", "skip"] {
        let done = import(&client, of("products", "csv", policy), file);
        let refused = refusals(&client, &done);
        assert_eq!([&*refused[0][1], &*refused[0][2]], ["sku", "identity_conflict"], "{policy}");
    }
    let definition = json!({ "resource": "customer", "key": "member", "name": "Member",
                             "type": "string", "unique": true });
    client.post("/v1/attribute_definitions", definition).expect(201);
    let file = "email,attributes.member\na@shop.example.com,7\nb@shop.example.com,7\n";
    let done = import(&client, of("customers", "csv", "update"), file);
    assert_eq!(counts(&done), [1, 0, 0, 1], "{done}");
    assert_eq!(refusals(&client, &done)[0][2], "identity_conflict");
    let file = "email,phone,external_ids.shop\na@shop.example.com,,A\nb@shop.example.com,+436641234567,B\n";
    let done = import(&client, of("customers", "csv", "update"), file);
    assert_eq!(counts(&done), [1, 1, 0, 0], "{done}");
    // B is known by its outside id, and the address is another's.
    let file = "email,external_ids.shop\na@shop.example.com,B\n";
    let done = import(&client, of("customers", "csv", "update"), file);
    assert_eq!(counts(&done), [0, 0, 0, 1], "{done}");
    assert_eq!(counts(&import(&client, of("customers", "csv", "skip"), file)), [0, 0, 1, 0]);
    let emails: Vec<Value> = named(&client).into_iter().map(|(email, _)| email).collect();
    assert_eq!(emails, ["a@shop.example.com", "b@shop.example.com"]);
}

#[test]
fn a_cell_of_an_address_changes_that_cell() {
    let client = workspace();
    let ann = json!({ "email": "a@shop.example.com", "acquisition": { "utm_medium": "cpc" },
        "addresses": [{ "type": "billing", "city": "Wien", "postal_code": "1010", "is_default": true },
                      { "type": "shipping", "city": "Graz" }] });
    client.post("/v1/customers", ann).expect(201);
    let before = customers(&client)[0].clone();
    let file = "Email,Zip,Address type,utm_source\na@shop.example.com,1020,billing,mail\n";
    let done = import(&client, of("customers", "csv", "update"), file);
    assert_eq!(counts(&done), [0, 1, 0, 0], "{done}");
    let after = customers(&client)[0].clone();
    let mut billing = before["addresses"][0].clone();
    billing["postal_code"] = json!("1020");
    assert_eq!(after["addresses"], json!([billing, before["addresses"][1]]));
    assert_eq!(after["acquisition"]["utm_medium"], "cpc");
    assert_eq!(after["acquisition"]["utm_source"], "mail");
    let home = "Email,Zip\na@shop.example.com,6020\n";
    import(&client, of("customers", "csv", "update"), home);
    let all = customers(&client)[0]["addresses"].clone();
    assert_eq!(all.as_array().map(Vec::len), Some(3), "{all}");
    assert_eq!((&all[2]["type"], &all[2]["postal_code"]), (&json!("home"), &json!("6020")));
    let id = done["id"].as_str().expect("an id");
    super::act(&client, id, "revert").expect(200);
}

#[test]
fn null_clears_in_lines_of_json() {
    let client = workspace();
    let ann = json!({ "email": "a@shop.example.com", "first_name": "Ann", "last_name": "Berg",
                      "attributes": { "a": 1, "b": 2 } });
    client.post("/v1/customers", ann).expect(201);
    let file = "{\"email\":\"a@shop.example.com\",\"first_name\":null,\"attributes\":{\"a\":null}}\n\
                {\"email\":\"a@shop.example.com\",\"lifecycle_stage\":null}\n\
                {\"email\":\"a@shop.example.com\",\"first_name\":null,\"title\":null}\n";
    let done = import(&client, of("customers", "ndjson", "update"), file);
    assert_eq!(counts(&done), [0, 1, 1, 1], "{done}");
    let refused = refusals(&client, &done);
    assert_eq!([&*refused[0][0], &*refused[0][1]], ["2", "lifecycle_stage"]);
    let ann = &customers(&client)[0];
    assert_eq!((&ann["first_name"], &ann["last_name"]), (&Value::Null, &json!("Berg")));
    assert_eq!(ann["attributes"], json!({ "b": 2 }));
}
