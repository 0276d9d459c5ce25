//! A withdrawal against a sender: whoever has withdrawn is sent nothing any more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ecrm::channels::ChannelType;
use ecrm::consents::{ConsentPurpose, Question, SendReason, Verdict, can_send, can_send_many};
use ecrm::db::{Outcome, Session, Tx};
use ecrm::error::Result;
use ecrm::suppressions::AddressHasher;
use serde_json::json;
use uuid::Uuid;

use super::{ada, email, link, one_click};
use crate::customers::create;
use crate::harness::{App, Client, workspace};

const NEWSLETTER: Question<'_> =
    Question { channel_type: ChannelType::Email, purpose: ConsentPurpose::Marketing, topic: None };

fn session(client: &Client) -> Session {
    App::shared().session(client, true)
}

fn ask(tx: &mut Tx, customer: &str) -> Result<Verdict> {
    let hasher = AddressHasher::load(tx)?;
    can_send(tx, &hasher, customer.parse().expect("an id"), NEWSLETTER)
}

/// A transaction that sends, as messages do: asks, then takes its time, then commits.
fn send(client: &Client, customer: &str, meanwhile: &dyn Fn()) -> Verdict {
    let done = App::shared().state.db.write(&session(client), &|tx| {
        let verdict = ask(tx, customer)?;
        meanwhile();
        Ok(Outcome::Commit(verdict))
    });
    done.expect("an answer")
}

#[test]
fn a_sender_is_told_what_reachability_says() {
    let client = workspace();
    let ada = ada(&client);
    assert_eq!(send(&client, &ada, &|| {}).reason, SendReason::NoConsent);
    email(&client, &ada, "granted");
    let verdict = send(&client, &ada, &|| {});
    assert!(verdict.is_allowed() && verdict.suppression.is_none());
    let nobody = App::shared()
        .state
        .db
        .write(&session(&client), &|tx| ask(tx, &Uuid::now_v7().to_string()).map(Outcome::Commit));
    assert_eq!(nobody.expect_err("nobody").status(), 404);
}

#[test]
fn many_are_asked_about_at_once() {
    let client = workspace();
    let people: Vec<Uuid> = (0..5)
        .map(|n| {
            let id = create(&client, json!({ "email": format!("{n}@shop.example.com") })).id();
            email(&client, &id, if n % 2 == 0 { "granted" } else { "denied" });
            id.parse().expect("an id")
        })
        .collect();
    let asked = App::shared().state.db.write(&session(&client), &|tx| {
        let hasher = AddressHasher::load(tx)?;
        can_send_many(tx, &hasher, &people, NEWSLETTER).map(Outcome::Commit)
    });
    let asked = asked.expect("answers");
    let allowed = people.iter().map(|person| asked[person].is_allowed());
    assert_eq!(allowed.collect::<Vec<_>>(), [true, false, true, false, true]);
}

/// Who was told yes may finish; the withdrawal waits for that, and holds from then on.
#[test]
fn a_withdrawal_waits_for_a_sender_that_was_told_yes() {
    let client = workspace();
    let ada = ada(&client);
    email(&client, &ada, "granted");
    let token = link(&client, &ada, None);
    let (has_asked, is_withdrawn) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !has_asked.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            one_click(&client, &token).expect(200);
            is_withdrawn.store(true, Ordering::SeqCst);
        });
        let verdict = send(&client, &ada, &|| {
            has_asked.store(true, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(300));
            let is_early = is_withdrawn.load(Ordering::SeqCst);
            assert!(!is_early, "withdrawn while something is being sent");
        });
        assert!(verdict.is_allowed());
    });
    assert!(is_withdrawn.load(Ordering::SeqCst));
    assert_eq!(send(&client, &ada, &|| {}).reason, SendReason::Withdrawn);
}

/// Whatever the timing: a sender that begins after the withdrawal was answered is told no.
#[test]
fn nobody_is_told_yes_after_a_withdrawal_was_answered() {
    let client = workspace();
    for round in 0..15 {
        let ada = create(&client, json!({ "email": format!("{round}@shop.example.com") })).id();
        email(&client, &ada, "granted");
        let token = link(&client, &ada, None);
        let withdrawn_at = std::sync::Mutex::new(None);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(round));
                one_click(&client, &token).expect(200);
                *withdrawn_at.lock().expect("a lock") = Some(Instant::now());
            });
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..8 {
                        let asked_at = Instant::now();
                        let verdict = send(&client, &ada, &|| {});
                        let answered = *withdrawn_at.lock().expect("a lock");
                        let is_too_late = answered.is_some_and(|answered| asked_at > answered);
                        assert!(!(is_too_late && verdict.is_allowed()), "round {round}");
                    }
                });
            }
        });
        assert_eq!(send(&client, &ada, &|| {}).reason, SendReason::Withdrawn);
    }
}

#[test]
fn a_yes_and_a_no_at_once_leave_one_of_them_and_both_in_the_ledger() {
    let client = workspace();
    for _ in 0..10 {
        let ada = create(&client, json!({})).id();
        let token = link(&client, &ada, None);
        std::thread::scope(|scope| {
            scope.spawn(|| one_click(&client, &token).expect(200));
            let said = super::says("email", "marketing", "granted");
            let answer = super::put(&client, &ada, &[said]);
            // A program that comes after the person's no is refused.
            assert!([200, 409].contains(&answer.status), "{}", answer.text);
        });
        assert_eq!(super::state(&client, &ada, None), "withdrawn");
    }
}
