//! What shops tell of customers beside their orders.

use serde_json::{Value, json};

use super::shopify::{changed, order};
use super::{Shop, work};
use crate::harness::App;

#[test]
fn a_customer_has_the_language_the_address_and_the_consents_that_shopify_tells() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "shopify");
    let bob = |at: &str, street: &str| {
        json!({ "id": 1, "email": "bob@mail.example.com", "phone": "+43664555123", "locale": "de-at",
            "updated_at": at, "email_marketing_consent": { "state": "not_subscribed" },
            "sms_marketing_consent": { "state": "subscribed",
                                       "consent_updated_at": "2026-02-01T00:00:00Z" },
            "default_address": { "first_name": "Bob", "last_name": "Norman", "address1": street,
                "city": "Graz", "zip": "8010", "country_code": "AT", "province_code": null } })
    };
    let tell = |delivery: &str, body: &Value| -> Value {
        shop.shopify("customers/update", delivery, body).expect(200);
        work(&app);
        client.get("/v1/customers").expect(200).json["data"][0].clone()
    };
    let made = tell("d-1", &bob("2026-02-01T00:00:00Z", "Market 1"));
    assert_eq!((&made["first_name"], &made["locale"]), (&json!("Bob"), &json!("de-AT")));
    let at = |street: &str, is_default: bool| {
        json!({ "type": "shipping", "is_default": is_default, "line1": street, "line2": null,
                "city": "Graz", "region": null, "postal_code": "8010", "country": "AT" })
    };
    assert_eq!(made["addresses"], json!([at("Market 1", true)]));
    let path = format!("/v1/customers/{}", made["id"].as_str().expect("an id"));
    let consents = client.get(&format!("{path}/consents")).expect(200).json;
    let shown = consents["data"].as_array().expect("a list").iter();
    let shown: Vec<_> = shown.map(|one| (&one["channel_type"], &one["state"])).collect();
    assert_eq!(shown, [(&json!("sms"), &json!("granted"))]);
    // Who moves lives elsewhere; the company's own addresses stay.
    let moved = tell("d-2", &bob("2026-02-02T00:00:00Z", "Market 2"));
    assert_eq!(moved["addresses"], json!([at("Market 2", true), at("Market 1", false)]));
    let again = tell("d-3", &bob("2026-02-03T00:00:00Z", "Market 2"));
    assert_eq!(again["version"], moved["version"]);
}

#[test]
fn an_order_tells_what_nobody_knew_of_its_customer() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "shopify");
    let email = "bob.norman@mail.example.com";
    let known = client.post("/v1/customers", json!({ "email": email })).expect(201).id();
    let path = format!("/v1/customers/{known}");
    let body = changed(order(), &json!({ "customer_locale": "de-AT" }));
    shop.shopify("orders/create", "d-1", &body).expect(200);
    work(&app);
    let bob = client.get(&path).expect(200).json;
    assert_eq!(
        (&bob["first_name"], &bob["last_name"], &bob["locale"]),
        (&json!("Bob"), &json!("Norman"), &json!("de-AT"))
    );
    assert_eq!(bob["addresses"][0]["type"], "billing");
    assert_eq!(bob["addresses"][0]["line1"], "Chestnut Street 92");
    // What is known stays.
    let own = json!({ "first_name": "Robert", "last_name": null, "locale": "en",
                      "addresses": [{ "type": "home", "city": "Wien" }] });
    let own = client.patch(&path, own).expect(200).json;
    let later = changed(body, &json!({ "note": "x", "updated_at": "2026-05-01T00:00:00Z" }));
    shop.shopify("orders/updated", "d-2", &later).expect(200);
    work(&app);
    let bob = client.get(&path).expect(200).json;
    for field in ["first_name", "last_name", "locale", "addresses"] {
        assert_eq!(bob[field], own[field], "{field}");
    }
    // Who is new has it from the beginning.
    let other = json!({ "id": 2, "email": "eve@mail.example.com", "phone": null,
                        "customer": { "id": 5, "first_name": "Eve" }, "customer_locale": "fr" });
    shop.shopify("orders/create", "d-3", &changed(order(), &other)).expect(200);
    work(&app);
    let eve =
        client.get("/v1/customers?q=eve@mail.example.com").expect(200).json["data"][0].clone();
    assert_eq!((&eve["first_name"], &eve["locale"]), (&json!("Eve"), &json!("fr")));
    assert_eq!(eve["addresses"].as_array().map(Vec::len), Some(1));
    let path = format!("/v1/customers/{}/timeline", eve["id"].as_str().expect("an id"));
    let log = client.get(&format!("{path}?type=customer.updated")).expect(200).json;
    assert_eq!(log["data"], json!([]), "nothing changed after that");
}
