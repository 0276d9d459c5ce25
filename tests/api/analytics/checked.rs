//! Each figure against another way to work it out, from what was sent and not from what is stored.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use serde_json::{Value, json};

use super::ask;
use super::shop::{Bought, Shop, Visit, ZONE};

/// The smallest value that at least this part of all is not above.
fn quantile<T: Ord + Copy>(values: &[T], fifths: usize) -> T {
    let mut sorted = values.to_vec();
    sorted.sort();
    sorted[(sorted.len() * fifths).div_ceil(5) - 1]
}

/// Fifths of the buyers that are not more recent, begun ones counted.
fn recency(lasts: &[DateTime<Utc>], last: DateTime<Utc>) -> i64 {
    let as_old = lasts.iter().filter(|other| **other <= last).count();
    i64::try_from((5 * as_old).div_ceil(lasts.len())).expect("small")
}

fn score<T: Ord + Copy>(values: &[T], value: T) -> i64 {
    (1..=4).map(|fifths| i64::from(quantile(values, fifths) < value)).sum::<i64>() + 1
}

/// The names as the books give them, by ranges of scores.
fn named(recency: i64, worth: i64) -> &'static str {
    match (recency, worth) {
        (5, 4..) | (4, 5) => "champions",
        (4, 4) | (3, 4..) => "loyal_customers",
        (4.., 2..=3) => "potential_loyalists",
        (5, 1) => "new_customers",
        (4, 1) => "promising",
        (3, 3) => "need_attention",
        (3, _) => "about_to_sleep",
        (..=2, 5) => "cannot_lose_them",
        (..=2, 3..) => "at_risk",
        (2, _) => "hibernating",
        _ => "lost",
    }
}

#[test]
fn scores_and_segments_are_those_of_another_count() {
    let shop = Shop::open(11, 90);
    let buyers: Vec<(DateTime<Utc>, i64, i64)> = (0..shop.customers.len())
        .map(|customer| {
            let orders = shop.of(customer);
            let spent = orders.iter().map(|order| order.amount).sum();
            (orders[orders.len() - 1].at, i64::try_from(orders.len()).expect("small"), spent)
        })
        .collect();
    let (lasts, counts, sums): (Vec<_>, Vec<_>, Vec<_>) = (
        buyers.iter().map(|buyer| buyer.0).collect(),
        buyers.iter().map(|buyer| buyer.1).collect(),
        buyers.iter().map(|buyer| buyer.2).collect(),
    );
    let page = shop.client.get("/v1/analytics/rfm/customers?limit=200").expect(200).json;
    let found: HashMap<&str, &Value> = page["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| (row["customer_id"].as_str().expect("an id"), row))
        .collect();
    assert_eq!(found.len(), 90);
    let mut segments: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for (id, (last, count, spent)) in shop.customers.iter().zip(&buyers) {
        let scores = (recency(&lasts, *last), score(&counts, *count), score(&sums, *spent));
        let name = named(scores.0, (scores.1 + scores.2 + 1) / 2);
        let row = found[id.as_str()];
        let shown = |field: &str| row[field].as_i64().expect("a score");
        let theirs = (shown("recency_score"), shown("frequency_score"), shown("monetary_score"));
        assert_eq!(theirs, scores, "{row}");
        assert_eq!(row["segment"], name, "{row}");
        let segment = segments.entry(name).or_default();
        (segment.0, segment.1) = (segment.0 + 1, segment.1 + spent);
    }
    let rfm = shop.client.get("/v1/analytics/rfm").expect(200).json;
    assert_eq!(rfm["customers"], 90);
    let fifths = |values: &[i64]| json!((1..=4).map(|f| quantile(values, f)).collect::<Vec<_>>());
    assert_eq!(rfm["thresholds"]["orders_count"], fifths(&counts));
    assert_eq!(rfm["thresholds"]["total_spent"], fifths(&sums));
    for row in rfm["segments"].as_array().expect("a list") {
        let name = row["segment"].as_str().expect("a name");
        let (customers, spent) = segments.get(name).copied().unwrap_or_default();
        let shown = (&row["customers"], &row["total_spent"]["amount"]);
        assert_eq!(shown, (&json!(customers), &json!(spent)), "{name}");
    }
}

/// Months since year 0 in the shop's time zone.
fn month(at: DateTime<Utc>) -> i32 {
    let local = at.with_timezone(&ZONE);
    local.year() * 12 + i32::try_from(local.month0()).expect("small")
}

#[test]
fn cohorts_are_those_of_another_count() {
    let shop = Shop::open(12, 90);
    let mut expected: BTreeMap<(i32, i32), (BTreeSet<usize>, i64, i64)> = BTreeMap::new();
    for customer in 0..shop.customers.len() {
        let orders = shop.of(customer);
        for order in &orders {
            let first = month(orders[0].at);
            let cell = expected.entry((first, month(order.at) - first)).or_default();
            cell.0.insert(customer);
            (cell.1, cell.2) = (cell.1 + 1, cell.2 + order.amount);
        }
    }
    let answer = shop.client.get("/v1/analytics/cohorts?months=15").expect(200).json;
    assert_eq!(answer["timezone"], "Europe/Vienna");
    let mut seen = 0;
    for cohort in answer["cohorts"].as_array().expect("a list") {
        let day: chrono::NaiveDate =
            cohort["month_on"].as_str().expect("a day").parse().expect("a day");
        let first = day.year() * 12 + i32::try_from(day.month0()).expect("small");
        let size = expected.get(&(first, 0)).map_or(0, |cell| cell.0.len());
        assert_eq!(cohort["customers"], size, "{day}");
        let periods = cohort["periods"].as_array().expect("a list");
        assert_eq!(periods.len(), usize::try_from(month(shop.now) - first).expect("small") + 1);
        for period in periods {
            let after = i32::try_from(period["month"].as_i64().expect("a month")).expect("small");
            let (who, orders, revenue) = expected.get(&(first, after)).cloned().unwrap_or_default();
            let shown = [&period["customers"], &period["orders"], &period["revenue"]["amount"]];
            assert_eq!(
                shown,
                [&json!(who.len()), &json!(orders), &json!(revenue)],
                "{day} {period}"
            );
            if size > 0 {
                let part = who.len() as f64 / size as f64;
                let retention = period["retention"].as_f64().expect("a part");
                assert!((retention - part).abs() < 0.0001, "{day} {period}");
            }
            seen += who.len();
        }
    }
    assert_eq!(seen, expected.values().map(|cell| cell.0.len()).sum::<usize>());
}

/// Parts of one order's credit, the textbook's way: one touch after the other.
fn divide(model: &str, ages_days: &[f64]) -> Vec<f64> {
    let n = ages_days.len();
    let raw: Vec<f64> = (0..n)
        .map(|i| match model {
            "first" => {
                if i == 0 {
                    1.0
                } else {
                    0.0
                }
            }
            "last" => {
                if i == n - 1 {
                    1.0
                } else {
                    0.0
                }
            }
            "linear" => 1.0,
            "time_decay" => 0.5_f64.powf(ages_days[i] / 7.0),
            _ if n <= 2 => 1.0,
            _ if i == 0 || i == n - 1 => 0.4,
            _ => 0.2 / (n - 2) as f64,
        })
        .collect();
    let whole: f64 = raw.iter().sum();
    raw.into_iter().map(|part| part / whole).collect()
}

fn credits(
    shop: &Shop,
    model: &str,
    back: i64,
    key: impl Fn(&Visit) -> Option<String>,
) -> BTreeMap<Option<String>, (f64, f64)> {
    let mut credits: BTreeMap<Option<String>, (f64, f64)> = BTreeMap::new();
    for order in &shop.orders {
        let is_near = |visit: &&Visit| {
            visit.customer == order.customer
                && visit.at < order.at
                && visit.at >= order.at - TimeDelta::days(back)
        };
        let mut touches: Vec<(DateTime<Utc>, String)> = shop
            .visits
            .iter()
            .filter(is_near)
            .filter_map(|visit| Some((visit.at, key(visit)?)))
            .collect();
        touches.sort_by_key(|(at, _)| *at);
        let ages: Vec<f64> =
            touches.iter().map(|(at, _)| (order.at - *at).as_seconds_f64() / 86_400.0).collect();
        let mut give = |key: Option<String>, part: f64| {
            let credit = credits.entry(key).or_default();
            credit.0 += part;
            credit.1 += part * order.amount as f64;
        };
        if touches.is_empty() {
            give(None, 1.0);
        }
        for ((_, key), part) in touches.into_iter().zip(divide(model, &ages)) {
            give(Some(key), part);
        }
    }
    credits
}

#[test]
fn attribution_is_that_of_another_count() {
    let shop = Shop::open(13, 60);
    let by_channel = |visit: &Visit| visit.channel.map(|channel| shop.channels[channel].clone());
    let by_campaign = |visit: &Visit| visit.campaign.map(str::to_owned);
    for model in ["first", "last", "linear", "time_decay", "position"] {
        for by in ["channel", "campaign"] {
            let expected = match by {
                "channel" => credits(&shop, model, 60, by_channel),
                _ => credits(&shop, model, 60, by_campaign),
            };
            let path = format!(
                "/v1/analytics/attribution?model={model}&by={by}&lookback_days=60&{}",
                shop.always()
            );
            let answer = shop.client.get(&path).expect(200).json;
            let rows = answer["credits"].as_array().expect("a list");
            // Who got nothing in this model has a row with nothing, or none.
            for row in rows {
                let key = row["key"].as_str().map(str::to_owned);
                let (orders, revenue) = expected.get(&key).copied().unwrap_or_default();
                let off = (row["orders"].as_f64().expect("a number") - orders).abs();
                assert!(off < 0.006, "{model} {by} {row}: {orders}");
                let off = (row["revenue"]["amount"].as_f64().expect("an amount") - revenue).abs();
                assert!(off <= 0.51, "{model} {by} {row}: {revenue}");
            }
            assert_eq!(rows.len(), expected.len(), "{model} {by}");
            assert!(rows.len() >= 3);
        }
    }
    let names =
        shop.client.get(&format!("/v1/analytics/attribution?{}", shop.always())).expect(200).text;
    assert!(names.contains("The email"), "{names}");
}

#[test]
fn lifetime_value_is_that_of_its_formula() {
    let shop = Shop::open(14, 70);
    let year_ago = shop.now - TimeDelta::days(365);
    let customers: Vec<Vec<&Bought>> = (0..shop.customers.len()).map(|c| shop.of(c)).collect();
    let old: Vec<_> = customers.iter().filter(|orders| orders[0].at < year_ago).collect();
    let kept = old.iter().filter(|orders| orders[orders.len() - 1].at >= year_ago).count();
    assert!(kept < old.len() && kept > 0, "{kept} of {}", old.len());
    let retention = kept as f64 / old.len() as f64;
    let spent = |orders: &[&Bought]| orders.iter().map(|order| order.amount).sum::<i64>() as f64;
    let predicted: f64 = customers
        .iter()
        .map(|orders| {
            let years = ((shop.now - orders[0].at).as_seconds_f64() / 86_400.0 / 365.0).max(1.0);
            spent(orders) / years * retention
        })
        .sum();
    let clv = shop.client.get("/v1/analytics/clv").expect(200).json;
    let total: f64 = customers.iter().map(|orders| spent(orders)).sum();
    assert_eq!(clv["historic"]["total"]["amount"], total as i64);
    assert!((clv["retention_rate"].as_f64().expect("a part") - retention).abs() < 0.0001);
    // The service asks a moment later.
    let off = clv["predicted"]["total"]["amount"].as_f64().expect("an amount") / predicted;
    assert!((off - 1.0).abs() < 0.0001, "{off}");
    assert_eq!(
        clv["average_order_value"]["amount"],
        (total / shop.orders.len() as f64).round() as i64
    );
    let deciles = clv["deciles"].as_array().expect("a list");
    assert_eq!(
        deciles.iter().map(|row| row["customers"].as_i64().expect("a number")).sum::<i64>(),
        70
    );
    assert_eq!(deciles.len(), 10);
}

#[test]
fn order_figures_and_products_are_those_of_another_count() {
    let shop = Shop::open(15, 60);
    let figures =
        shop.client.get(&format!("/v1/analytics/orders?{}", shop.always())).expect(200).json;
    let total: i64 = shop.orders.iter().map(|order| order.amount).sum();
    assert_eq!(figures["orders"], shop.orders.len());
    assert_eq!(figures["revenue"]["amount"], total);
    let average = (total as f64 / shop.orders.len() as f64).round() as i64;
    assert_eq!(figures["average_order_value"]["amount"], average);
    let (mut gaps, mut again) = (Vec::new(), 0);
    for customer in 0..shop.customers.len() {
        let orders = shop.of(customer);
        again += usize::from(orders.len() > 1);
        let pairs = orders.windows(2);
        gaps.extend(pairs.map(|pair| (pair[1].at - pair[0].at).as_seconds_f64() / 86_400.0));
    }
    assert_eq!(figures["repeat_customers"], again);
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    assert!((figures["average_days_between_orders"].as_f64().expect("days") - mean).abs() < 0.06);
    let by_month: BTreeMap<i32, i64> =
        shop.orders.iter().fold(BTreeMap::new(), |mut all, order| {
            *all.entry(month(order.at)).or_default() += order.amount;
            all
        });
    for point in figures["points"].as_array().expect("a list") {
        let start: DateTime<Utc> =
            point["start"].as_str().expect("a time").parse().expect("a time");
        let expected = by_month.get(&month(start)).copied().unwrap_or(0);
        assert_eq!(point["revenue"]["amount"], expected, "{point}");
    }
    let mut goods: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for order in &shop.orders {
        let good = goods.entry(order.good).or_default();
        (good.0, good.1) = (good.0 + order.amount, good.1 + order.quantity);
    }
    let best =
        shop.client.get(&format!("/v1/analytics/products?{}", shop.always())).expect(200).json;
    let rows = best["products"].as_array().expect("a list");
    assert_eq!(rows.len(), goods.len());
    for row in rows {
        let (revenue, quantity) = goods[row["sku"].as_str().expect("a SKU")];
        let shown = (&row["revenue"]["amount"], &row["quantity"]);
        assert_eq!(shown, (&json!(revenue), &json!(quantity)), "{row}");
    }
    assert!(rows.is_sorted_by_key(|row| -row["revenue"]["amount"].as_i64().expect("an amount")));
}

#[test]
fn a_funnel_is_that_of_another_count() {
    let shop = Shop::open(16, 80);
    let kinds = ["page.viewed", "newsletter.clicked", "call.made"];
    let within = TimeDelta::days(90);
    let mut expected = [0, 0, 0];
    for customer in 0..shop.customers.len() {
        let first = |kind: &str, after: DateTime<Utc>| {
            let own = shop.visits.iter().filter(|visit| visit.customer == customer);
            own.filter(|visit| visit.kind == kind && visit.at > after).map(|visit| visit.at).min()
        };
        let Some(start) = first(kinds[0], DateTime::UNIX_EPOCH) else { continue };
        expected[0] += 1;
        let mut at = start;
        for step in [1, 2] {
            match first(kinds[step], at).filter(|next| *next < start + within) {
                None => break,
                Some(next) => (at, expected[step]) = (next, expected[step] + 1),
            }
        }
    }
    let path =
        format!("/v1/analytics/funnel?steps={}&within_days=90&{}", kinds.join(","), shop.always());
    let funnel = shop.client.get(&path).expect(200).json;
    let steps = funnel["steps"].as_array().expect("a list");
    let found: Vec<_> =
        steps.iter().map(|step| step["customers"].as_i64().expect("a number")).collect();
    assert_eq!(found, expected);
    assert!(expected[2] > 0, "{expected:?}");
    assert_eq!(steps[1]["drop_off"], expected[0] - expected[1]);
}

#[test]
fn counts_sums_averages_and_customers_over_time_are_those_of_another_count() {
    let shop = Shop::open(17, 50);
    let (from, to) = (shop.now - TimeDelta::days(402), shop.now);
    let question = |metric: &str, measure: &str, group_by: Value| {
        json!({ "metric": metric, "measure": measure, "interval": "month", "group_by": group_by,
                "from": from.with_timezone(&ZONE).date_naive(),
                "to": to.with_timezone(&ZONE).date_naive() })
    };
    let mut by_month: BTreeMap<i32, Vec<&Bought>> = BTreeMap::new();
    shop.orders.iter().for_each(|order| by_month.entry(month(order.at)).or_default().push(order));
    let measured = |measure: &str, orders: &[&Bought]| -> i64 {
        let sum: i64 = orders.iter().map(|order| order.amount).sum();
        let customers: BTreeSet<usize> = orders.iter().map(|order| order.customer).collect();
        match measure {
            "count" => orders.len() as i64,
            "sum" => sum,
            "unique" => customers.len() as i64,
            _ if orders.is_empty() => 0,
            _ => (sum as f64 / orders.len() as f64).round() as i64,
        }
    };
    for measure in ["count", "sum", "avg", "unique"] {
        let series = ask(&shop.client, question("orders", measure, json!([])))["series"][0].clone();
        assert_eq!(series["total"], measured(measure, &shop.orders.iter().collect::<Vec<_>>()));
        for point in series["points"].as_array().expect("a list") {
            let start: DateTime<Utc> =
                point["start"].as_str().expect("a time").parse().expect("a time");
            let orders = by_month.get(&month(start)).cloned().unwrap_or_default();
            assert_eq!(point["value"], measured(measure, &orders), "{measure} {point}");
        }
    }
    let mut visits: BTreeMap<(Option<&str>, &str, i32), i64> = BTreeMap::new();
    for visit in &shop.visits {
        let channel = visit.channel.map(|channel| shop.channels[channel].as_str());
        *visits.entry((channel, visit.kind, month(visit.at))).or_default() += 1;
    }
    let mut body = question("touchpoints", "count", json!(["channel", "type"]));
    body["types"] = json!(["page.viewed", "call.made"]);
    let answer = ask(&shop.client, body);
    let mut counted = 0;
    for series in answer["series"].as_array().expect("a list") {
        let key = (series["channel_id"].as_str(), series["type"].as_str().expect("a type"));
        for point in series["points"].as_array().expect("a list") {
            let start: DateTime<Utc> =
                point["start"].as_str().expect("a time").parse().expect("a time");
            let expected = visits.get(&(key.0, key.1, month(start))).copied().unwrap_or(0);
            assert_eq!(point["value"], expected, "{key:?} {point}");
            counted += expected;
        }
    }
    let asked = |visit: &&Visit| visit.kind != "newsletter.clicked";
    assert_eq!(counted, shop.visits.iter().filter(asked).count() as i64);
    let unique = ask(&shop.client, question("touchpoints", "unique", json!(["type"])));
    for series in unique["series"].as_array().expect("a list") {
        let who: BTreeSet<usize> = shop
            .visits
            .iter()
            .filter(|visit| series["type"] == visit.kind)
            .map(|visit| visit.customer)
            .collect();
        if !who.is_empty() {
            assert_eq!(series["total"], who.len(), "{}", series["type"]);
        }
    }
}
