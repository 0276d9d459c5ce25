//! What the shop sends out besides the newsletter: notifications, parcels with their news, letters.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::diary::{DELIVERY, Diary, Event, letter, subject, text};
use super::goods::{Line, PRODUCTS, total};
use super::people::Person;
use super::setup::ChannelType;
use super::words::{
    CATALOGUE_SUBJECT, COMMENTS, PARCEL_TEXT, SNOW_SUBJECT, SNOW_TEXT, SURVEY_QUESTION,
    VOUCHER_SUBJECT, WARRANTY_SUBJECT,
};

const PARCELS: usize = 58;
const RETURNS: usize = 7;
const LETTERS: usize = 26;

/// The snow report, the parcels of yesterday's orders, returns, and the mail.
pub fn tell(diary: &mut Diary) {
    diary.begin("snow report");
    for skier in diary.everyone(|person| person.likes("push") && person.sport == "skiing") {
        let noon = diary.clock(skier.place.zone, 12, 15, 0);
        let sent = diary.later(noon, 0, 30);
        let report = letter(&skier.hears(&SNOW_SUBJECT), &skier.hears(&SNOW_TEXT));
        notify(diary, skier, sent, report);
    }
    diary.begin("parcels");
    for _ in 0..PARCELS {
        if let Some(person) = diary.someone(|person| person.organization.is_none()) {
            deliver(diary, person);
        }
    }
    diary.begin("returns");
    for _ in 0..RETURNS {
        if let Some(person) = diary.someone(|_| true) {
            take_back(diary, person);
        }
    }
    diary.begin("letters");
    for _ in 0..LETTERS {
        if let Some(person) = diary.someone(|person| person.likes("post")) {
            post(diary, person);
        }
    }
}

/// A notification on the phone, with what became of it.
pub fn notify(diary: &mut Diary, person: &Person, sent: DateTime<Utc>, content: Option<Value>) {
    let push = ChannelType::Push;
    let message = Event::outbound(sent, person.by_id(), push, "message.sent");
    diary.write(Event { content, ..message });
    let arrived = diary.later(sent, 1, 5);
    diary.write(Event::outbound(arrived, person.by_id(), push, "message.delivered"));
    if diary.random.chance(32) {
        let opened = diary.later(arrived, 5, 5_400);
        diary.write(Event::inbound(opened, person.by_id(), push, "message.opened"));
    }
}

/// Yesterday's order leaves the warehouse, is announced by SMS, arrives, and may be judged.
fn deliver(diary: &mut Diary, person: &Person) {
    let number = diary.past_order_number();
    let parcel = subject("order", &number);
    let tracking = format!("ALP{}", &diary.random.code()[..9].to_uppercase());
    let carrier = ChannelType::Webhook;
    let packed = diary.moment(person.place.zone, &DELIVERY);
    let news = |at, kind| Event {
        subject: parcel.clone(),
        properties: json!({"carrier": "Gamsbote", "tracking_number": tracking}),
        ..Event::internal(at, person.by_id(), carrier, kind)
    };
    diary.write(news(packed, "order.fulfilled"));
    if person.phone.is_some() {
        let announced = diary.later(packed, 600, 1_800);
        let words = person.hears(&PARCEL_TEXT).replace("{}", &number);
        let sms = Event::outbound(announced, person.by_id(), ChannelType::Sms, "message.sent");
        diary.write(Event { subject: parcel.clone(), content: text(&words), ..sms });
        let arrived = diary.later(announced, 1, 9);
        let sms = Event::outbound(arrived, person.by_id(), ChannelType::Sms, "message.delivered");
        diary.write(Event { subject: parcel.clone(), ..sms });
    }
    let rung = diary.later(packed, 10_800, 32_400);
    diary.write(news(rung, "parcel.delivered"));
    if diary.random.chance(40) {
        let answered = diary.later(rung, 1_800, 18_000);
        answer(diary, person, answered, "delivery");
    }
}

/// The score of a survey with a remark that fits it.
pub fn answer(diary: &mut Diary, person: &Person, at: DateTime<Utc>, survey: &str) {
    let score = diary.random.pick(&[3, 6, 7, 8, 8, 9, 9, 10, 10, 10]);
    let mood = match score {
        ..=6 => 0,
        7 | 8 => 1,
        _ => 2,
    };
    let remark = person.hears(&diary.random.pick(&COMMENTS[mood]));
    let channel = if person.email.is_some() { ChannelType::Email } else { ChannelType::Sms };
    diary.write(Event {
        subject: subject("survey", survey),
        content: letter(&person.hears(&SURVEY_QUESTION), &remark),
        properties: json!({"kind": "nps", "score": score}),
        ..Event::inbound(at, person.by_id(), channel, "survey.answered")
    });
}

/// A parcel comes back and the money goes back.
fn take_back(diary: &mut Diary, person: &Person) {
    let number = diary.past_order_number();
    let line = Line { product: diary.random.pick(&PRODUCTS.each_ref()), quantity: 1 };
    let value = Some(total(&[line], person.currency()));
    let returned = diary.moment(person.place.zone, &DELIVERY);
    let refunded = diary.later(returned, 1_200, 14_400);
    let reason = diary.random.pick(&["too_small", "too_large", "changed_mind", "damaged"]);
    for (at, kind) in [(returned, "order.returned"), (refunded, "order.refunded")] {
        diary.write(Event {
            subject: subject("order", &number),
            value,
            properties: json!({"reason": reason, "items": [line.describe(person.currency())]}),
            ..Event::internal(at, person.by_id(), ChannelType::Webhook, kind)
        });
    }
}

/// Catalogues and vouchers go out with the noon collection; warranty cards come in with the mail.
fn post(diary: &mut Diary, person: &Person) {
    let post = ChannelType::Post;
    let mail = diary.random.below(10);
    let (hour, headline, kind) = match mail {
        0..=4 => (11, CATALOGUE_SUBJECT, "catalogue"),
        5..=7 => (11, VOUCHER_SUBJECT, "voucher"),
        _ => (9, WARRANTY_SUBJECT, "warranty_card"),
    };
    let collection = diary.clock(chrono_tz::Tz::Europe__Berlin, hour, 30, 0);
    let at = diary.later(collection, 0, 1_500);
    let event = if hour == 9 {
        Event::inbound(at, person.by_id(), post, "mail.received")
    } else {
        Event::outbound(at, person.by_id(), post, "mail.sent")
    };
    let content = Some(json!({"subject": person.hears(&headline)}));
    diary.write(Event { content, properties: json!({"kind": kind}), ..event });
}
