//! Numbers, times and texts at the ends of their ranges.

use serde_json::json;

use crate::harness::{Answer, Client, workspace};

const CUSTOMERS: &str = "/v1/customers";
const TOUCHPOINTS: &str = "/v1/touchpoints";

fn noted(client: &Client, number: &str) -> Answer {
    let body = format!("{{\"attributes\": {{\"n\": {number}}}}}");
    client.send("POST", CUSTOMERS, &[], Some(&body))
}

/// A3: what a client in another language could not read back exactly is not taken.
#[test]
fn integers_in_free_json_stay_within_what_every_client_can_read() {
    let client = workspace();
    for number in ["0", "-0", "9007199254740992", "-9007199254740992", "0.1", "1e10", "-1.5e-300"] {
        let made = noted(&client, number).expect(201);
        let expected: f64 = number.parse().expect("a number");
        assert_eq!(made.json["attributes"]["n"].as_f64(), Some(expected), "{number}");
    }
    for number in [
        "9007199254740993",
        "-9007199254740993",
        "9223372036854775807",
        "18446744073709551616",
        "123456789012345678901234567890",
        "1e300",
    ] {
        let refused = noted(&client, number).expect(422);
        assert_eq!(refused.fault(), ("number_out_of_range", "#/attributes/n"), "{number}");
    }
}

fn report(client: &Client, more: &str) -> Answer {
    let body =
        format!("{{\"type\": \"page.viewed\", \"customer\": {{\"anonymous_id\": \"a\"}}, {more}}}");
    let path = format!("{TOUCHPOINTS}?on_unknown_customer=keep_anonymous");
    client.send("POST", &path, &[], Some(&body))
}

/// A3
#[test]
fn an_amount_of_money_is_a_whole_number_that_sums_can_hold() {
    let client = workspace();
    let money =
        |amount: &str| format!("\"value\": {{\"amount\": {amount}, \"currency\": \"EUR\"}}");
    for amount in ["0", "1", "-1", "1000000000000000", "-1000000000000000"] {
        let made = report(&client, &money(amount)).expect(201);
        assert_eq!(made.json["value"]["amount"].to_string(), amount);
    }
    for amount in ["1e2", "100.0"] {
        let made = report(&client, &money(amount)).expect(201);
        assert_eq!(made.json["value"]["amount"].to_string(), "100");
    }
    for amount in ["1000000000000001", "-1000000000000001", "9223372036854775807"] {
        let refused = report(&client, &money(amount)).expect(422);
        assert_eq!(refused.fault(), ("out_of_range", "#/value/amount"));
    }
    for amount in ["9223372036854775808", "-9223372036854775809", "1.5", "\"1\"", "\"NaN\"", "null"]
    {
        let refused = report(&client, &money(amount));
        assert_eq!(refused.status, 422, "{amount}: {}", refused.text);
        assert_eq!(refused.fault().1, "#/value/amount", "{amount}");
    }
}

/// A3
#[test]
fn a_count_has_32_bits() {
    let client = workspace();
    let path = "/v1/organizations";
    let body = |count: &str| format!("{{\"name\": \"x\", \"employees_count\": {count}}}");
    client.send("POST", path, &[], Some(&body("2147483647"))).expect(201);
    for count in ["2147483648", "-1", "-2147483649", "1.5", "99999999999999999999"] {
        let refused = client.send("POST", path, &[], Some(&body(count)));
        assert_eq!(refused.status, 422, "{count}: {}", refused.text);
        assert_eq!(refused.fault().1, "#/employees_count", "{count}");
    }
}

/// A4: the id of a touchpoint holds its time, so it cannot be before 1970.
#[test]
fn a_touchpoint_happened_since_1970_and_its_time_comes_back_in_utc() {
    let client = workspace();
    for (given, expected) in [
        ("1970-01-02T00:00:00Z", "1970-01-02T00:00:00Z"),
        ("2026-03-14T08:00:00+02:00", "2026-03-14T06:00:00Z"),
        ("2026-03-14t08:00:00z", "2026-03-14T08:00:00Z"),
    ] {
        let made = report(&client, &format!("\"occurred_at\": \"{given}\"")).expect(201);
        assert_eq!(made.json["occurred_at"], expected, "{given}");
    }
    for wrong in [
        "-10000-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "1899-12-31T23:59:59Z",
        "1969-12-31T23:59:59Z",
        "2200-01-01T00:00:01Z",
        "9999-12-31T23:59:59Z",
        "262000-01-01T00:00:00Z",
        "+262000-01-01T00:00:00Z",
        "infinity",
        "-infinity",
        "now",
        "epoch",
        "2023-02-30T00:00:00Z",
        "2023-13-01T00:00:00Z",
        "2023-01-01T24:00:01Z",
        "2023-01-01T00:00:00+99:00",
        "2023-01-01T00:00:00",
        "2023-01-01",
        "1673000000",
        "",
    ] {
        let refused = report(&client, &format!("\"occurred_at\": \"{wrong}\""));
        assert_eq!(refused.status, 422, "{wrong}: {}", refused.text);
        assert_eq!(refused.fault().1, "#/occurred_at", "{wrong}");
    }
    for wrong in ["1673000000", "true", "{}"] {
        let refused = report(&client, &format!("\"occurred_at\": {wrong}")).expect(422);
        assert_eq!(refused.fault(), ("invalid_type", "#/occurred_at"), "{wrong}");
    }
}

/// A4
#[test]
fn a_day_exists_and_is_within_the_same_years() {
    let client = workspace();
    for day in ["1900-01-01", "2000-02-29", "2026-12-31"] {
        let made = client.post(CUSTOMERS, json!({ "birth_date": day })).expect(201);
        assert_eq!(made.json["birth_date"], day);
    }
    for day in ["1899-12-31", "2201-01-01", "2023-02-29", "0000-01-01", "14.03.2026", "infinity"] {
        let refused = client.post(CUSTOMERS, json!({ "birth_date": day })).expect(422);
        assert_eq!(refused.fault().1, "#/birth_date", "{day}");
    }
}

/// A21: the limit counts characters, whatever their bytes; nothing is cut off.
#[test]
fn a_text_fills_its_column_with_characters_of_any_size() {
    let client = workspace();
    for letter in ["x", "ß", "e\u{301}", "\u{1f9d7}"] {
        let most = 200 / letter.chars().count();
        let longest = letter.repeat(most);
        let made = client.post(CUSTOMERS, json!({ "first_name": longest })).expect(201);
        assert_eq!(made.json["first_name"], longest);
        let refused = client.post(CUSTOMERS, json!({ "first_name": format!("{longest}x") }));
        assert_eq!(refused.expect(422).fault(), ("invalid_length", "#/first_name"));
    }
    let blanks = format!("{}  ", "x".repeat(198));
    let made = client.post(CUSTOMERS, json!({ "first_name": blanks })).expect(201);
    assert_eq!(made.json["first_name"].as_str().map(|text| text.chars().count()), Some(200));
}

/// B12
#[test]
fn a_limit_is_written_as_a_plain_integer() {
    let client = workspace();
    for limit in ["1.0", "1e1", "0x1", "+1", "%201", "%EF%BC%91"] {
        let answer = client.get(&format!("{CUSTOMERS}?limit={limit}"));
        assert_eq!((answer.status, answer.code()), (400, "invalid_parameter"), "{limit}");
    }
}

/// B11: text that could end a header or a log line comes back as data only.
#[test]
fn line_breaks_in_data_reach_no_header() {
    let client = workspace();
    let path = format!("{CUSTOMERS}/external/shop/a%0d%0aX-Evil%3A%201");
    let made = client.send("PUT", &path, &[], Some("{}"));
    assert!(made.status < 500, "{}", made.text);
    assert!(!made.headers.contains_key("x-evil"));
    let unknown = client.get(&format!("{CUSTOMERS}?a%0d%0aX-Evil%3A%201=1")).expect(400);
    assert!(!unknown.headers.contains_key("x-evil"));
    let name = json!({ "first_name": "Ada\r\nX-Evil: 1" });
    let made = client.post(CUSTOMERS, name.clone()).expect(201);
    assert_eq!(made.json["first_name"], name["first_name"]);
}
