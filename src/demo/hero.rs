//! The day of Ada Lindqvist: twelve touchpoints on seven channels, online and offline.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::diary::{Diary, Event, letter, subject, text};
use super::goods::{CHALK_BAG, GRANITE_EDGE, Line, describe, total};
use super::people::Person;
use super::setup::ChannelType;
use super::words::{NEWSLETTER_SUBJECT, NEWSLETTER_TEXT};

/// Writes her day: a newsletter wakes a wish, the shop calls her back, she comes by and buys.
pub fn tell(diary: &mut Diary) {
    let ada = &diary.people[0];
    breakfast(diary, ada);
    temptation(diary, ada);
    morning(diary, ada);
    afternoon(diary, ada);
    evening(diary, ada);
}

fn at(diary: &Diary, ada: &Person, hour: u32, minute: u32, second: u32) -> DateTime<Utc> {
    diary.clock(ada.place.zone, hour, minute, second)
}

fn campaign() -> Value {
    json!({"source": "newsletter", "medium": "email", "name": "spring"})
}

const PAGE: &str = "https://alpenglow.example.com/en/p/granite-edge";

/// The newsletter arrives, and she opens it over coffee.
fn breakfast(diary: &mut Diary, ada: &Person) {
    let email = ChannelType::Email;
    let newsletter = |event: Event| Event {
        customer: json!({"email": ada.email}),
        subject: subject("campaign", "spring"),
        context: Some(json!({"campaign": campaign()})),
        ..event
    };
    let sent = Event::outbound(at(diary, ada, 7, 30, 0), Value::Null, email, "message.sent");
    let words = letter(&ada.hears(&NEWSLETTER_SUBJECT), &ada.hears(&NEWSLETTER_TEXT));
    diary.write(Event { content: words, ..newsletter(sent.clone()) });
    let delivered = Event { at: at(diary, ada, 7, 30, 4), kind: "message.delivered", ..sent };
    diary.write(newsletter(delivered));
    let opened = at(diary, ada, 7, 41, 20);
    diary.write(newsletter(Event::inbound(opened, Value::Null, email, "message.opened")));
    let clicked = at(diary, ada, 7, 41, 52);
    let clicked = Event::inbound(clicked, Value::Null, email, "message.clicked");
    diary.write(Event { properties: json!({"url": PAGE}), ..newsletter(clicked) });
}

/// The link leads her to the shoe.
fn temptation(diary: &mut Diary, ada: &Person) {
    let page = json!({
        "url": PAGE,
        "path": "/en/p/granite-edge",
        "title": format!("{} | Alpenglow", GRANITE_EDGE.name),
    });
    let looked = at(diary, ada, 7, 41, 55);
    diary.write(Event {
        name: Some("Product Viewed"),
        subject: subject("product", &GRANITE_EDGE.sku()),
        context: Some(json!({"page": page, "campaign": campaign(), "locale": ada.place.locale})),
        properties: json!({"price": GRANITE_EDGE.price(ada.currency()), "category": "climbing"}),
        ..Event::inbound(looked, ada.by_id(), ChannelType::Web, "product.viewed")
    });
}

/// She writes to ask whether the shop has her size, and the shop calls her back.
fn morning(diary: &mut Diary, ada: &Person) {
    let asked = at(diary, ada, 8, 12, 3);
    diary.write(Event {
        content: text("Hi! Do you have the Granite Edge in 42 in Munich? Can I try it today?"),
        subject: subject("product", &GRANITE_EDGE.sku()),
        ..Event::inbound(asked, ada.by_id(), ChannelType::Whatsapp, "message.received")
    });
    let called = at(diary, ada, 9, 6, 40);
    diary.write(Event {
        subject: subject("product", &GRANITE_EDGE.sku()),
        content: letter(
            "Granite Edge in 42",
            "Jonas: One pair left in 42, and one in 42.5. I can keep both for you until six.\n\
             Ada: Lovely, I'll come by after the gym, around four.",
        ),
        properties: json!({"duration_seconds": 94, "agent": "Jonas", "outcome": "reserved"}),
        ..Event::outbound(called, ada.by_id(), ChannelType::Phone, "call.made")
    });
}

/// She comes by, tries both sizes and buys.
fn afternoon(diary: &mut Diary, ada: &Person) {
    let till = ChannelType::Pos;
    diary.write(Event {
        content: text("Tried the Granite Edge in 42 and 42.5 on the wall; 42.5 fits."),
        properties: json!({"store": "München", "staff": "Jonas"}),
        ..Event::inbound(at(diary, ada, 16, 4, 10), ada.by_id(), till, "visit.made")
    });
    let currency = ada.currency();
    let lines =
        [Line { product: GRANITE_EDGE, quantity: 1 }, Line { product: CHALK_BAG, quantity: 1 }];
    let number = diary.order_number();
    let order = Event {
        subject: subject("order", &number),
        value: Some(total(&lines, currency)),
        ..Event::inbound(at(diary, ada, 16, 31, 27), ada.by_id(), till, "order.placed")
    };
    diary.write(Event {
        kind: "order.paid",
        at: at(diary, ada, 16, 31, 58),
        properties: json!({"store": "München", "payment_method": "card"}),
        ..order.clone()
    });
    diary.write(Event {
        properties: json!({"store": "München", "items": describe(&lines, currency)}),
        ..order
    });
}

/// The shop thanks her with a card, and she answers what it was like.
fn evening(diary: &mut Diary, ada: &Person) {
    diary.write(Event {
        content: letter(
            "A day at the wall",
            "Enjoy the new shoes! The voucher is good for one day at Kletterhalle Nordwand. Jonas",
        ),
        properties: json!({"kind": "handwritten_card"}),
        ..Event::outbound(at(diary, ada, 17, 45, 0), ada.by_id(), ChannelType::Post, "mail.sent")
    });
    diary.write(Event {
        subject: subject("survey", "shop-visit"),
        content: text("10. Jonas let me try both sizes on the wall. That is why I come to you."),
        properties: json!({"kind": "nps", "score": 10}),
        ..Event::inbound(
            at(diary, ada, 19, 22, 36),
            ada.by_id(),
            ChannelType::Sms,
            "survey.answered",
        )
    });
}
