//! People who talk to the shop: on the phone, in chats and messengers, and in forms.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use serde_json::{Value, json};

use super::diary::{Diary, Event, ONLINE, TELEPHONE, subject, text};
use super::outreach::answer;
use super::people::Person;
use super::places::Country;
use super::setup::ChannelType;
use super::words::{QUESTIONS, Question};

const CALLS: usize = 38;
const CHATS: usize = 36;
const BOT_CHATS: usize = 34;
const MESSENGER_CHATS: usize = 26;
const SOCIAL_MESSAGES: usize = 18;
const MENTIONS: usize = 9;
const FORMS: usize = 22;
const AGENTS: [&str; 4] = ["Jonas", "Miriam", "Reto", "Theresa"];

/// Writes one conversation down.
type Story = fn(&mut Diary);

/// A day's worth of conversations.
pub fn tell(diary: &mut Diary) {
    let stories: [(&str, usize, Story); 7] = [
        ("calls", CALLS, call),
        ("chats", CHATS, chat),
        ("chatbot", BOT_CHATS, ask_bot),
        ("whatsapp", MESSENGER_CHATS, write_whatsapp),
        ("social", SOCIAL_MESSAGES, write_on_social_network),
        ("mentions", MENTIONS, mention),
        ("forms", FORMS, fill_in_form),
    ];
    for (story, times, tell_once) in stories {
        diary.begin(story);
        for _ in 0..times {
            tell_once(diary);
        }
    }
}

fn question(diary: &mut Diary) -> Question {
    diary.random.pick(&QUESTIONS)
}

/// One in eight calls is missed and called back.
fn call(diary: &mut Diary) {
    let Some(person) = diary.someone(|person| person.phone.is_some()) else { return };
    let phone = ChannelType::Phone;
    let rang = diary.moment(person.place.zone, &TELEPHONE);
    if diary.random.chance(12) {
        let seconds = diary.random.between(20, 45);
        diary.write(Event {
            properties: json!({"rang_seconds": seconds}),
            ..Event::inbound(rang, person.by_id(), phone, "call.missed")
        });
        let called_back = diary.later(rang, 900, 5_400);
        talk(diary, person, Event::outbound(called_back, person.by_id(), phone, "call.made"));
    } else {
        talk(diary, person, Event::inbound(rang, person.by_id(), phone, "call.received"));
    }
}

/// Who said what on the phone; some are asked afterwards how it was.
fn talk(diary: &mut Diary, person: &Person, call: Event) {
    let question = question(diary);
    let agent = diary.random.pick(&AGENTS);
    let (asked, answered) = (person.hears(&question.asked), person.hears(&question.answer));
    let transcript = format!("{}: {asked}\n{agent}: {answered}", person.first_name);
    let seconds = diary.random.between(45, 420);
    let hung_up = diary.later(call.at, seconds, seconds);
    diary.write(Event {
        content: text(&transcript),
        properties: json!({"duration_seconds": seconds, "agent": agent, "topic": question.topic}),
        ..call
    });
    if diary.random.chance(25) {
        let answered = diary.later(hung_up, 300, 7_200);
        answer(diary, person, answered, "call");
    }
}

/// A question and its answer: two events with the same topic, which is returned.
fn exchange(
    diary: &mut Diary,
    person: &Person,
    mut asked: Event,
    mut answered: Event,
) -> &'static str {
    let question = question(diary);
    asked.content = text(&person.hears(&question.asked));
    asked.properties["topic"] = json!(question.topic);
    answered.content = text(&person.hears(&question.answer));
    answered.properties["topic"] = json!(question.topic);
    diary.write(asked);
    diary.write(answered);
    question.topic
}

/// A chat with a person, who is there as long as the telephone is staffed.
fn chat(diary: &mut Diary) {
    let Some(person) = diary.someone(|_| true) else { return };
    let started = diary.moment(person.place.zone, &TELEPHONE);
    let picked_up = diary.later(started, 15, 120);
    let chat = ChannelType::Chat;
    let asked = Event::inbound(started, person.by_id(), chat, "chat.started");
    let mut answered = Event::outbound(picked_up, person.by_id(), chat, "chat.answered");
    answered.properties = json!({"agent": diary.random.pick(&AGENTS)});
    let topic = exchange(diary, person, asked, answered);
    let ended = diary.later(picked_up, 20, 400);
    diary.write(Event {
        properties: json!({"topic": topic, "duration_seconds": (ended - started).num_seconds()}),
        ..Event::internal(ended, person.by_id(), chat, "chat.ended")
    });
}

/// The bot answers day and night, and knows when to fetch a person.
fn ask_bot(diary: &mut Diary) {
    let Some(person) = diary.someone(|_| true) else { return };
    let started = diary.moment(person.place.zone, &ONLINE);
    let replied = diary.later(started, 1, 3);
    let bot = ChannelType::Chatbot;
    let confidence = diary.random.between(55, 99);
    let asked = Event::inbound(started, person.by_id(), bot, "chat.started");
    let mut answered = Event::outbound(replied, person.by_id(), bot, "chat.answered");
    answered.properties = json!({"bot": "Murmel", "confidence_percent": confidence});
    let topic = exchange(diary, person, asked, answered);
    if confidence < 65 {
        let handed_over = diary.later(replied, 5, 60);
        diary.write(Event {
            properties: json!({"bot": "Murmel", "topic": topic}),
            ..Event::internal(handed_over, person.by_id(), bot, "chat.handed_over")
        });
    }
}

fn write_whatsapp(diary: &mut Diary) {
    let Some(person) = diary.someone(|person| person.likes("whatsapp")) else { return };
    write_message(diary, person, ChannelType::Whatsapp, json!({}));
}

fn write_on_social_network(diary: &mut Diary) {
    let Some(person) = diary.someone(|_| true) else { return };
    let network = diary.random.pick(&["instagram", "instagram", "facebook"]);
    write_message(diary, person, ChannelType::Social, json!({"network": network}));
}

/// A message that the shop answers when it has time.
fn write_message(diary: &mut Diary, person: &Person, channel: ChannelType, properties: Value) {
    let wrote = diary.moment(person.place.zone, &ONLINE);
    let replied = reply_time(diary, wrote);
    let asked = Event::inbound(wrote, person.by_id(), channel, "message.received");
    let answered = Event::outbound(replied, person.by_id(), channel, "message.sent");
    exchange(
        diary,
        person,
        Event { properties: properties.clone(), ..asked },
        Event { properties, ..answered },
    );
}

/// The team in Munich answers from eight to eight; what comes later waits for tomorrow.
fn reply_time(diary: &mut Diary, wrote: DateTime<Utc>) -> DateTime<Utc> {
    let opens = diary.clock(Tz::Europe__Berlin, 8, 0, 0);
    let closes = diary.clock(Tz::Europe__Berlin, 20, 0, 0);
    let seen = if wrote < closes { wrote.max(opens) } else { opens + TimeDelta::days(1) };
    diary.later(seen, 90, 2_700)
}

/// Someone shows off their gear in public.
fn mention(diary: &mut Diary) {
    let Some(person) = diary.someone(|_| true) else { return };
    let at = diary.moment(person.place.zone, &ONLINE);
    let place = match person.place.country {
        Country::DE | Country::AT => "Kaisergebirge",
        Country::CH => "Alpstein",
        Country::FR => "Aravis",
        Country::GB => "Stanage",
        Country::US => "Eldorado Canyon",
    };
    let likes = diary.random.between(3, 240);
    diary.write(Event {
        content: text(&format!("{place} ❤ @alpenglow #alpenglow")),
        properties: json!({"network": "instagram", "likes": likes}),
        ..Event::inbound(at, person.by_id(), ChannelType::Social, "brand.mentioned")
    });
}

/// Half of the forms are about the newsletter, half ask for advice.
fn fill_in_form(diary: &mut Diary) {
    let Some(person) = diary.someone(|person| person.email.is_some()) else { return };
    let at = diary.moment(person.place.zone, &ONLINE);
    let form = diary.random.pick(&["newsletter-topics", "boot-fitting", "contact"]);
    let mut sent = Event {
        name: Some("Form Submitted"),
        subject: subject("form", form),
        properties: json!({"form": form}),
        ..Event::inbound(at, json!({"email": person.email}), ChannelType::Web, "form.submitted")
    };
    match form {
        "contact" => sent.content = text(&person.hears(&question(diary).asked)),
        "newsletter-topics" => sent.properties["topics"] = json!([person.sport]),
        _ => sent.properties["wish"] = json!("Saturday morning"),
    }
    diary.write(sent);
}
