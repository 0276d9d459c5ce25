//! The spring newsletter: sent at half past seven on every reader's own clock, read over coffee.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::browsing::{Visit, browse};
use super::diary::{Diary, Event, letter, subject};
use super::people::Person;
use super::setup::ChannelType;
use super::words::{NEWSLETTER_SUBJECT, NEWSLETTER_TEXT};

/// Sends the newsletter to everyone who likes email.
pub fn tell(diary: &mut Diary) {
    diary.begin("newsletter");
    for person in diary.everyone(|person| person.likes("email")) {
        send(diary, person);
    }
}

/// What links in the newsletter say about where the click came from.
fn campaign() -> Value {
    json!({"source": "newsletter", "medium": "email", "name": "spring"})
}

/// The mail provider knows addresses, not customer numbers.
fn event(event: Event, person: &Person) -> Event {
    Event {
        customer: json!({"email": person.email}),
        subject: subject("campaign", "spring"),
        context: Some(json!({"campaign": campaign()})),
        ..event
    }
}

fn send<'a>(diary: &mut Diary<'a>, person: &'a Person) {
    let mail = ChannelType::Email;
    let half_past_seven = diary.clock(person.place.zone, 7, 30, 0);
    let sent = diary.later(half_past_seven, 0, 45);
    let mut happened = Event {
        content: letter(&person.hears(&NEWSLETTER_SUBJECT), &person.hears(&NEWSLETTER_TEXT)),
        ..event(Event::outbound(sent, Value::Null, mail, "message.sent"), person)
    };
    diary.write(happened);
    let arrived = diary.later(sent, 1, 20);
    if diary.random.chance(2) {
        happened = event(Event::outbound(arrived, Value::Null, mail, "message.bounced"), person);
        happened.properties = json!({"bounce": "soft", "reason": "mailbox full"});
        return diary.write(happened);
    }
    diary.write(event(Event::outbound(arrived, Value::Null, mail, "message.delivered"), person));
    if diary.random.chance(46) {
        read(diary, person, arrived);
    }
}

/// Most read it within the hour, some in the evening; a third of them click.
fn read<'a>(diary: &mut Diary<'a>, person: &'a Person, arrived: DateTime<Utc>) {
    let mail = ChannelType::Email;
    let patience = diary.random.pick(&[900, 900, 3_600, 3_600, 14_400, 43_200]);
    let opened = diary.later(arrived, 20, patience);
    diary.write(event(Event::inbound(opened, Value::Null, mail, "message.opened"), person));
    if diary.random.chance(35) {
        let clicked = diary.later(opened, 4, 60);
        let url = format!("https://alpenglow.example.com/{}", person.place.language.tag());
        diary.write(Event {
            properties: json!({"url": url}),
            ..event(Event::inbound(clicked, Value::Null, mail, "message.clicked"), person)
        });
        let start = diary.later(clicked, 1, 4);
        let mut visit = Visit::known(diary, person, start);
        visit.campaign = Some(campaign());
        browse(diary, visit);
    }
}
