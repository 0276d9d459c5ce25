use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;

use super::{Day, ndjson, shops_day};

fn date() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 3, 14).unwrap()
}

fn day() -> Day {
    shops_day(42, date())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a string"))
}

fn external_ids(bodies: &[Value]) -> BTreeSet<&str> {
    bodies.iter().map(|body| text(&body["external_ids"][0]["id"])).collect()
}

/// The customer bodies by everything a touchpoint may call them.
fn customers_by_reference(day: &Day) -> BTreeMap<&str, &Value> {
    let mut known = BTreeMap::new();
    for customer in &day.customers {
        known.insert(text(&customer["external_ids"][0]["id"]), customer);
        if let Some(email) = customer["email"].as_str() {
            known.insert(email, customer);
        }
    }
    known
}

/// What the touchpoint calls its customer; `None` for strangers.
fn reference(touchpoint: &Value) -> Option<&str> {
    let customer = &touchpoint["customer"];
    customer["external_id"]["id"].as_str().or_else(|| customer["email"].as_str())
}

fn heros(day: &Day) -> Vec<&Value> {
    let names = [Some("c-1001"), Some("ada.lindqvist@mail.example.com")];
    day.touchpoints.iter().filter(|t| names.contains(&reference(t))).collect()
}

#[test]
fn the_same_seed_and_date_give_the_same_bytes() {
    let (one, two) = (day(), day());
    assert_eq!(ndjson(&one.touchpoints), ndjson(&two.touchpoints));
    assert_eq!(ndjson(&one.customers), ndjson(&two.customers));
    assert_ne!(one.touchpoints, shops_day(43, date()).touchpoints);
}

#[test]
fn the_same_seed_has_the_same_customers_and_new_message_ids_every_day() {
    let next = shops_day(42, date().succ_opt().unwrap());
    assert_eq!(day().customers, next.customers);
    let ids = |day: &Day| -> BTreeSet<String> {
        day.touchpoints.iter().map(|t| text(&t["message_id"]).to_owned()).collect()
    };
    assert!(ids(&day()).is_disjoint(&ids(&next)));
}

#[test]
fn the_day_has_the_promised_size_whatever_the_seed() {
    for seed in [0, 1, 42, u64::MAX] {
        let day = shops_day(seed, date());
        assert_eq!(day.customers.len(), 200);
        assert_eq!(day.organizations.len(), 8);
        assert_eq!(day.products.len(), 24);
        assert!((280..=520).contains(&day.orders.len()), "{} orders", day.orders.len());
        let touchpoints = day.touchpoints.len();
        assert!((2_700..=3_300).contains(&touchpoints), "seed {seed} has {touchpoints}");
    }
}

#[test]
fn days_on_which_clocks_change_can_be_told() {
    for (month, day) in [(3, 8), (3, 29), (10, 25), (11, 1)] {
        let date = NaiveDate::from_ymd_opt(2026, month, day).unwrap();
        assert_eq!(heros(&shops_day(42, date)).len(), 12, "on {date}");
    }
}

#[test]
fn every_message_id_and_every_external_id_is_unique() {
    let day = day();
    let ids: BTreeSet<&str> = day.touchpoints.iter().map(|t| text(&t["message_id"])).collect();
    assert_eq!(ids.len(), day.touchpoints.len());
    for bodies in [&day.customers, &day.organizations, &day.channels] {
        assert_eq!(external_ids(bodies).len(), bodies.len());
    }
}

#[test]
fn no_two_customers_share_an_email_or_a_phone() {
    let day = day();
    for field in ["email", "phone"] {
        let all: Vec<&str> = day.customers.iter().filter_map(|c| c[field].as_str()).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{field}");
        assert!((120..200).contains(&all.len()), "{} with {field}", all.len());
    }
    assert!(day.customers.iter().all(|c| c["email"].is_string() || c["phone"].is_string()));
}

#[test]
fn phones_are_valid_for_their_country_and_emails_go_nowhere() {
    let reserved = [".example.com", ".example.org", ".example.net"];
    for customer in &day().customers {
        if let Some(phone) = customer["phone"].as_str() {
            let parsed = phonenumber::parse(None, phone).unwrap();
            assert!(parsed.is_valid(), "{phone}");
            assert_eq!(parsed.format().mode(phonenumber::Mode::E164).to_string(), phone);
            let country = parsed.country().id().map(|id| id.as_ref().to_owned());
            assert_eq!(country.as_deref(), text(&customer["locale"]).get(3..), "{phone}");
        }
        if let Some(email) = customer["email"].as_str() {
            assert!(email_address::EmailAddress::is_valid(email), "{email}");
            assert!(reserved.iter().any(|end| email.ends_with(end)), "{email}");
        }
    }
}

#[test]
fn there_is_one_channel_of_every_type_and_something_happens_on_each() {
    let day = day();
    let types: BTreeSet<&str> = day.channels.iter().map(|c| text(&c["type"])).collect();
    let all = [
        "email",
        "sms",
        "whatsapp",
        "chat",
        "chatbot",
        "push",
        "web",
        "mobile_app",
        "social",
        "phone",
        "meeting",
        "post",
        "pos",
        "webhook",
    ];
    assert_eq!(types, BTreeSet::from(all));
    assert_eq!(day.channels.len(), all.len());
    let id = |t| text(&Value::as_object(t).unwrap()["channel"]["external_id"]["id"]);
    let used: BTreeSet<&str> = day.touchpoints.iter().map(id).collect();
    assert_eq!(used, external_ids(&day.channels));
}

#[test]
fn every_touchpoint_is_about_someone_in_the_file_or_a_stranger() {
    let day = day();
    let known = customers_by_reference(&day);
    for touchpoint in &day.touchpoints {
        let customer = touchpoint["customer"].as_object().unwrap();
        assert_eq!(customer.len(), 1, "{touchpoint}");
        match reference(touchpoint) {
            Some(name) => assert!(known.contains_key(name), "{name}"),
            None => assert!(customer["anonymous_id"].is_string(), "{touchpoint}"),
        }
    }
}

#[test]
fn customers_pay_in_the_money_of_their_country() {
    let day = day();
    let known = customers_by_reference(&day);
    for touchpoint in day.touchpoints.iter().filter(|t| t["value"].is_object()) {
        assert!(touchpoint["value"]["amount"].as_i64().unwrap() > 0);
        if let Some(customer) = reference(touchpoint).map(|name| known[name]) {
            assert_eq!(touchpoint["value"]["currency"], customer["currency"]);
        }
    }
}

#[test]
fn the_day_is_in_order_and_lasts_from_midnight_to_midnight() {
    let day = day();
    let times: Vec<&str> = day.touchpoints.iter().map(|t| text(&t["occurred_at"])).collect();
    assert!(times.is_sorted());
    for time in times {
        assert_eq!(time.len(), "2026-03-14T08:12:03.120Z".len(), "{time}");
        assert_eq!(time.parse::<DateTime<Utc>>().unwrap().date_naive(), date());
    }
}

#[test]
fn orders_are_placed_before_they_are_paid_for_the_same_amount() {
    let day = day();
    let mut placed = BTreeMap::new();
    let mut paid = 0;
    for touchpoint in &day.touchpoints {
        let order = (&touchpoint["subject"]["id"], &touchpoint["value"]);
        match text(&touchpoint["type"]) {
            "order.placed" => {
                assert!(placed.insert(order.0.to_string(), order.1).is_none(), "{}", order.0);
            }
            "order.paid" => {
                assert_eq!(placed.get(&order.0.to_string()), Some(&order.1));
                paid += 1;
            }
            _ => {}
        }
    }
    assert!(paid >= 50, "{paid} paid orders");
}

#[test]
fn the_heros_day_tells_its_story_in_order() {
    let day = day();
    let story: Vec<(&str, &str)> = heros(&day)
        .into_iter()
        .map(|t| (text(&t["channel"]["external_id"]["id"]), text(&t["type"])))
        .collect();
    let expected = [
        ("ch-email", "message.sent"),
        ("ch-email", "message.delivered"),
        ("ch-email", "message.opened"),
        ("ch-email", "message.clicked"),
        ("ch-web", "product.viewed"),
        ("ch-whatsapp", "message.received"),
        ("ch-phone", "call.made"),
        ("ch-pos", "visit.made"),
        ("ch-pos", "order.placed"),
        ("ch-pos", "order.paid"),
        ("ch-post", "mail.sent"),
        ("ch-sms", "survey.answered"),
    ];
    assert_eq!(story, expected);
}

#[test]
fn attributes_are_of_the_type_their_definition_says() {
    let day = day();
    let types: BTreeMap<&str, &Value> =
        day.attribute_definitions.iter().map(|d| (text(&d["key"]), d)).collect();
    for body in day.customers.iter().chain(&day.organizations) {
        for (key, value) in body["attributes"].as_object().unwrap() {
            let definition = types[key.as_str()];
            let fits = match text(&definition["type"]) {
                "number" => value.is_number(),
                "boolean" => value.is_boolean(),
                "date" => text(value).parse::<NaiveDate>().is_ok(),
                "enum" => definition["options"].as_array().unwrap().contains(value),
                other => panic!("no customer has a {other}"),
            };
            assert!(fits, "{key}: {value}");
        }
    }
}

#[test]
fn the_committed_examples_are_what_the_generator_writes() {
    let day = day();
    let files = [
        ("attribute_definitions", &day.attribute_definitions),
        ("organizations", &day.organizations),
        ("channels", &day.channels),
        ("customers", &day.customers),
        ("touchpoints", &day.touchpoints),
    ];
    for (name, values) in files {
        let path = format!("{}/examples/{name}.ndjson", env!("CARGO_MANIFEST_DIR"));
        let stored = std::fs::read_to_string(path).unwrap();
        assert!(stored == ndjson(values), "{name}: run `ecrm seed --examples examples`");
    }
}
