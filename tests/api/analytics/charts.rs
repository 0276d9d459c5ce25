//! What charts say of themselves.

use serde_json::json;

use super::shop::Shop;
use crate::harness::{Client, workspace};

const PERIOD: &str = "from=2026-03-01&to=2026-03-31";

fn drawn(client: &Client, path: &str) -> String {
    client.get(&format!("/v1/analytics/{path}")).expect(200).text
}

/// A touchpoint of this type on a channel.
fn happen(client: &Client, kind: &str, channel: Option<&str>) {
    let mut body = json!({ "type": kind, "occurred_at": "2026-03-10T12:00:00Z",
                           "customer": { "anonymous_id": "a" } });
    if let Some(channel) = channel {
        body["channel"] = json!({ "id": channel });
    }
    client.post("/v1/touchpoints", body).expect(201);
}

#[test]
fn a_chart_says_of_what_it_is() {
    let client = workspace();
    let channel = json!({ "type": "web", "name": "Online shop" });
    let channel = client.post("/v1/channels", channel).expect(201).id();
    happen(&client, "page.viewed", Some(&channel));
    let query = format!("query/chart.svg?metric=touchpoints&theme=light&{PERIOD}");
    assert!(drawn(&client, &format!("{query}&types=page.viewed")).contains(" · page.viewed · "));
    let types = drawn(&client, &format!("{query}&types=page.viewed,a.b,c.d,e.f"));
    assert!(types.contains(" · page.viewed, a.b and 2 more · "), "{types}");
    let on_channel = drawn(&client, &format!("{query}&channel_ids={channel}"));
    assert!(on_channel.contains(" · Online shop · "), "{on_channel}");
    // A single series is named too, and what it is named after is not said twice.
    let grouped = drawn(&client, &format!("{query}&types=page.viewed&group_by=type"));
    assert!(grouped.contains(">page.viewed</text>"), "{grouped}");
    assert!(!grouped.contains(" · page.viewed · "), "{grouped}");
    for number in 0..7 {
        happen(&client, &format!("thing.done_{number}"), None);
    }
    let many = drawn(
        &client,
        &format!("{query}&group_by=type&types={}", {
            let types: Vec<String> = (0..7).map(|number| format!("thing.done_{number}")).collect();
            types.join(",")
        }),
    );
    assert!(many.contains(" · the largest 6 of 7 · "), "{many}");
    let nowhere = drawn(&client, &format!("{query}&group_by=channel&types=thing.done_1"));
    assert!(nowhere.contains(">no channel</text>"), "{nowhere}");
}

#[test]
fn several_series_of_one_step_are_seen() {
    let client = workspace();
    for kind in ["page.viewed", "call.made"] {
        happen(&client, kind, None);
    }
    let query = "query/chart.svg?metric=touchpoints&group_by=type&types=page.viewed,call.made";
    let image = drawn(&client, &format!("{query}&interval=month&{PERIOD}"));
    for series in ["page.viewed", "call.made"] {
        assert!(image.contains(&format!("<title>{series}: 1 touchpoint</title>")), "{image}");
    }
}

#[test]
fn an_axis_over_several_years_shows_them() {
    let shop = Shop::open(21, 10);
    let image = drawn(&shop.client, &format!("orders/chart.svg?interval=week&{}", shop.always()));
    let year = format!(" {}</text>", shop.now.format("%Y"));
    assert!(image.contains(&year), "{image}");
}

#[test]
fn orders_and_cohorts_are_drawn_by_each_of_their_measures() {
    let shop = Shop::open(22, 10);
    let orders = |measure: &str| {
        drawn(&shop.client, &format!("orders/chart.svg?measure={measure}&{}", shop.always()))
    };
    assert!(orders("revenue").contains(">Revenue by month</text>"));
    assert!(orders("orders").contains(">Orders by month</text>"));
    assert!(orders("orders").contains(" · orders</text>"));
    assert!(orders("average_order_value").contains(">Average order value by month</text>"));
    let cohorts = |query: &str| drawn(&shop.client, &format!("cohorts/chart.svg?months=15{query}"));
    assert_eq!(cohorts(""), cohorts("&measure=retention"));
    let revenue = cohorts("&measure=revenue");
    assert!(revenue.contains(">Revenue by month of first order</text>"), "{revenue}");
    assert!(revenue.contains(" EUR</title>") && !revenue.contains(" %</title>"), "{revenue}");
}
