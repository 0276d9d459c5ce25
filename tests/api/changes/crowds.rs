//! Many who follow one feed, and feeds in which very much happens.

use std::collections::HashSet;
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::{QueryableByName, RunQueryDsl};
use ecrm::db::WorkspaceId;
use ecrm::journal::{feed, live};
use serde_json::json;

use super::streams::Stream;
use super::{PATH, create, followed, now, report, report_many, types};
use crate::harness::{App, Client};
use crate::statements;

#[test]
fn a_thousand_listeners_cost_as_much_as_one() {
    const LISTENERS: usize = 1000;
    let client = followed();
    let mut streams: Vec<Stream> = (0..LISTENERS).map(|_| Stream::open(&client, "", "")).collect();
    let feeds = &App::shared().state.feeds;
    assert!(feeds.listeners() >= LISTENERS, "{}", feeds.listeners());
    // One feed has begun before anybody is told something.
    create(&client, "Ada");
    streams.iter_mut().for_each(|stream| drop(stream.next().expect("Ada")));

    let begun = Instant::now();
    let asked = statements::during(&client, || {
        let bob = create(&client, "Bob");
        for stream in &mut streams {
            assert_eq!(stream.next().expect("Bob").data["customer_id"], json!(bob));
        }
    });
    assert!(asked < 40, "{asked} statements for one event");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn what_happens_at_once_costs_as_much_for_many_listeners_as_for_one() {
    const LISTENERS: usize = 16;
    const BATCHES: usize = 2;
    let app = App::alone(&[]);
    live::start(app.state.clone()).expect("a thread");
    let client = app.workspace(&["*"]);
    let mut streams: Vec<Stream> = (0..LISTENERS).map(|_| Stream::open(&client, "", "")).collect();
    create(&client, "Ada");
    streams.iter_mut().for_each(|stream| drop(stream.next().expect("Ada")));

    let asked = statements::during(&client, || {
        let mut holder = app.owner();
        let lock = "begin; select 1 from feed_heads for update";
        holder.batch_execute(lock).expect("the feed stands still");
        (0..BATCHES).for_each(|_| report_many(&client, 1000));
        holder.batch_execute("commit").expect("it goes on");
        thread::scope(|scope| {
            for stream in &mut streams {
                scope.spawn(|| {
                    for _ in 0..BATCHES * 1000 {
                        assert_eq!(stream.next().expect("an event").data["type"], "page.viewed");
                    }
                });
            }
        });
    });
    assert!(asked < 150, "{asked} statements");
}

/// Waits until so many listen.
fn wait_for_listeners(app: &App, count: usize) {
    let begun = Instant::now();
    while app.state.feeds.listeners() < count {
        assert!(begun.elapsed() < Duration::from_secs(30), "{}", app.state.feeds.listeners());
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_a_poll_does_not_show_costs_it_nothing() {
    const POLLS: usize = 10;
    const HIDDEN: usize = 10;
    let app = App::alone(&[]);
    live::start(app.state.clone()).expect("a thread");
    let client = app.workspace(&["*"]);
    create(&client, "Ada");
    let begin = now(&client);
    let mut stream = Stream::open(&client, "", "");
    let poll = || {
        let client = client.clone();
        let path = format!("{PATH}?cursor={begin}&wait=30&types=cart.*");
        thread::spawn(move || client.get(&path).expect(200))
    };
    let polls: Vec<_> = (0..POLLS).map(|_| poll()).collect();
    wait_for_listeners(&app, POLLS + 1);
    let asked = statements::during(&client, || {
        for _ in 0..HIDDEN {
            report(&client, "page.viewed", "2026-03-14T08:00:00Z");
            // Each comes by itself.
            stream.next().expect("it");
        }
        report(&client, "cart.updated", "2026-03-14T08:00:00Z");
        for poll in polls {
            let answer = poll.join().expect("an answer");
            assert_eq!(types(answer.json["data"].as_array().expect("events")), ["cart.updated"]);
        }
    });
    // Each of those that are reported, and each answer, costs a few.
    assert!(asked < 8 * (HIDDEN + 1 + POLLS), "{asked} statements");
}

#[test]
fn no_more_may_follow_a_feed_than_are_allowed() {
    let app = App::alone(&[("ECRM_STREAMS_PER_WORKSPACE", "2")]);
    live::start(app.state.clone()).expect("a thread");
    let client = app.workspace(&["*"]);
    let (first, _second) = (Stream::open(&client, "", ""), Stream::open(&client, "", ""));
    let path = format!("{PATH}/stream");
    for path in [&path, &format!("{PATH}?wait=1")] {
        let refused = client.get(path).expect_code(429, "too_many_listeners");
        assert_eq!(refused.headers["retry-after"], "30");
    }
    // A browser would give up for good.
    let mut waiting = Stream::open(&client, "", "Accept: text/event-stream\r\n");
    assert!(waiting.head.starts_with("http/1.1 200"), "{}", waiting.head);
    assert_eq!((waiting.line().as_deref(), waiting.next().is_none()), (Some("retry: 30000"), true));
    // Who does not wait needs no place; others have their own.
    client.get(PATH).expect(200);
    app.workspace(&["*"]).get(&path).expect(200);

    drop(first);
    let begun = Instant::now();
    while client.get(&path).status == 429 {
        // That the connection is gone is noticed with the next piece that is sent.
        create(&client, "Ada");
        assert!(begun.elapsed() < Duration::from_secs(60), "the place is not free again");
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_browser_that_comes_too_often_is_told_when_to_come_again() {
    const SHOP: &str = "https://shop.example.com";
    let app = App::alone(&[("ECRM_RATE_LIMIT_PER_IP", "1")]);
    app.state.origins.replace(HashSet::from([SHOP.to_owned()]));
    let client = app.workspace(&["*"]);
    client.get(PATH).expect(200);
    let headers = [("Accept", "text/event-stream"), ("Origin", SHOP)];
    let told = client.send("GET", &format!("{PATH}/stream"), &headers, None).expect(200);
    let wait = told.text.trim().strip_prefix("retry: ").and_then(|wait| wait.parse().ok());
    assert!(wait.is_some_and(|wait: u64| (5000..=60_000).contains(&wait)), "{}", told.text);
    // Nobody is known yet, so it is read by the pages of any workspace.
    assert_eq!(told.headers["access-control-allow-origin"], SHOP);
    client.send("GET", PATH, &headers, None).expect_code(429, "too_many_requests");
}

#[test]
fn a_feed_in_which_something_happens_all_the_time_is_read() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    create(&client, "Ada");
    // Something more happens whenever something got its place.
    let restless = "
        create function restless() returns trigger language plpgsql security definer as $$ begin
          insert into outbox select workspace_id, gen_random_uuid(), touchpoint_ids, clock_timestamp()
            from fresh limit 1;
          return null;
        end $$;
        create trigger restless after insert on changes
          referencing new table as fresh for each statement execute function restless()";
    app.owner().batch_execute(restless).expect("a busy workspace");
    let answer = client.get(&format!("{PATH}?from=oldest&types=customer.*")).expect(200);
    assert_eq!(types(answer.json["data"].as_array().expect("events")), ["customer.created"]);
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    count: i64,
}

fn left(app: &App, client: &Client) -> i64 {
    let sql = "select count(*) from outbox where workspace_id = $1";
    let asked = diesel::sql_query(sql).bind::<diesel::sql_types::Uuid, _>(client.workspace_id);
    asked.get_result::<Count>(&mut app.owner()).expect("a number").count
}

#[test]
fn a_workspace_whose_feed_cannot_go_on_does_not_stop_the_others() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    create(&client, "Ada");
    // More of them than are looked after in one round, and all before ours.
    let broken = "
        insert into outbox select lpad(n::text, 32, '0')::uuid, gen_random_uuid(), '{}', now()
          from generate_series(1, 120) n;
        alter table changes add check (workspace_id > '00000000-0000-0000-0001-000000000000')";
    app.owner().batch_execute(broken).expect("feeds that cannot go on");
    let db = &app.state.db;
    let next = feed::advance_all(db, WorkspaceId::FIRST).expect("a round");
    assert_ne!(left(&app, &client), 0);
    let next = feed::advance_all(db, next).expect("another");
    assert_eq!((left(&app, &client), next), (0, WorkspaceId::FIRST));
}
