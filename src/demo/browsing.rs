//! Visits to the online shop and the app: look around, fill a cart, buy it or leave it.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::diary::{Diary, Direction, Event, ONLINE, letter, subject, text};
use super::goods::{Line, PRODUCTS, Product, SPORTS, describe, total};
use super::outreach::notify;
use super::people::Person;
use super::places::{Country, PLACES, Place};
use super::setup::ChannelType;
use super::words::{CART_TEXT, HOME_TITLE, ORDER_SUBJECT, ORDER_TEXT, SEARCHES, department};

const WEB_VISITS: usize = 260;
const APP_VISITS: usize = 40;
const BROWSERS: [&str; 4] = [
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_3 like Mac OS X) Version/18.3 Mobile Safari/604.1",
    "Mozilla/5.0 (Linux; Android 15; Pixel 9) Chrome/134.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/134.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:136.0) Gecko/20100101 Firefox/136.0",
];
const APPS: [&str; 2] = ["Alpenglow/4.2 (iOS 18.3)", "Alpenglow/4.2 (Android 15)"];

/// One visit from the first page to the last.
pub struct Visit<'a> {
    /// How the shop knows the visitor so far.
    who: Value,
    /// Who it really is; `None` if the shop never learns.
    person: Option<&'a Person>,
    place: &'static Place,
    channel: ChannelType,
    agent: &'static str,
    id: String,
    /// The campaign that led here.
    pub campaign: Option<Value>,
    now: DateTime<Utc>,
    cart: Vec<Line>,
}

/// Strangers and customers come and go all day.
pub fn tell(diary: &mut Diary) {
    diary.begin("web");
    for _ in 0..WEB_VISITS {
        let place = diary.random.pick(&PLACES.each_ref());
        let start = diary.moment(place.zone, &ONLINE);
        let visitor = diary.someone(|person| person.place.country == place.country);
        let visit = match (diary.random.below(100), visitor) {
            (0..=31, Some(person)) => Visit::known(diary, person, start),
            (32..=43, Some(person)) => Visit::not_yet_known(diary, person, start),
            _ => Visit::stranger(diary, place, start),
        };
        browse(diary, visit);
    }
    diary.begin("app");
    for _ in 0..APP_VISITS {
        if let Some(person) = diary.someone(|person| person.likes("push")) {
            let start = diary.moment(person.place.zone, &ONLINE);
            let visit = Visit::in_app(diary, person, start);
            browse(diary, visit);
        }
    }
}

impl<'a> Visit<'a> {
    /// A customer who is signed in.
    pub fn known(diary: &mut Diary<'a>, person: &'a Person, start: DateTime<Utc>) -> Self {
        Visit {
            who: person.by_id(),
            person: Some(person),
            ..Visit::stranger(diary, person.place, start)
        }
    }

    /// A customer who only signs in to pay.
    fn not_yet_known(diary: &mut Diary<'a>, person: &'a Person, start: DateTime<Utc>) -> Self {
        Visit { person: Some(person), ..Visit::stranger(diary, person.place, start) }
    }

    /// A browser and nothing more.
    fn stranger(diary: &mut Diary<'a>, place: &'static Place, start: DateTime<Utc>) -> Self {
        Visit {
            who: json!({"anonymous_id": format!("anon-{}", diary.random.code())}),
            person: None,
            place,
            channel: ChannelType::Web,
            agent: diary.random.pick(&BROWSERS),
            id: format!("s-{}", diary.random.code()),
            campaign: None,
            now: start,
            cart: Vec::new(),
        }
    }

    /// A customer in the app, where everyone is signed in.
    fn in_app(diary: &mut Diary<'a>, person: &'a Person, start: DateTime<Utc>) -> Self {
        let agent = diary.random.pick(&APPS);
        Visit { channel: ChannelType::MobileApp, agent, ..Visit::known(diary, person, start) }
    }

    fn currency(&self) -> &'static str {
        self.place.country.currency()
    }

    fn event(&self, kind: &'static str, name: &'static str) -> Event {
        Event {
            name: Some(name),
            properties: json!({"session": self.id}),
            context: Some(json!({"user_agent": self.agent, "locale": self.place.locale})),
            ..Event::inbound(self.now, self.who.clone(), self.channel, kind)
        }
    }

    /// An event about the whole cart.
    fn cart_event(&self, kind: &'static str, name: &'static str) -> Event {
        let currency = self.currency();
        Event {
            subject: subject("cart", &format!("cart-{}", &self.id[2..])),
            value: Some(total(&self.cart, currency)),
            properties: json!({"session": self.id, "items": describe(&self.cart, currency)}),
            ..self.event(kind, name)
        }
    }

    /// An event about one line of the cart.
    fn line_event(&self, kind: &'static str, name: &'static str, line: Line) -> Event {
        let mut properties = line.describe(self.currency());
        properties["session"] = json!(self.id);
        Event {
            subject: subject("product", &line.product.sku()),
            value: Some(line.total(self.currency())),
            properties,
            ..self.event(kind, name)
        }
    }

    fn wait(&mut self, diary: &mut Diary<'a>, low: i64, high: i64) {
        self.now = diary.later(self.now, low, high);
    }

    /// Adds what the address bar shows; apps have none.
    fn on_page(&self, mut event: Event, path: &str, title: &str) -> Event {
        if let (ChannelType::Web, Some(context)) = (self.channel, &mut event.context) {
            let path = format!("/{}{path}", self.place.language.tag());
            let url = format!("https://alpenglow.example.com{path}");
            let title = format!("{title} | Alpenglow");
            context["page"] = json!({"url": url, "path": path, "title": title});
        }
        event
    }
}

/// The whole visit.
pub fn browse<'a>(diary: &mut Diary<'a>, mut visit: Visit<'a>) {
    arrive(diary, &visit);
    if diary.random.chance(24) {
        search(diary, &mut visit);
    }
    for _ in 0..diary.random.pick(&[0, 1, 1, 2, 2, 3, 3, 4, 5]) {
        look(diary, &mut visit);
    }
    if !visit.cart.is_empty() && diary.random.chance(14) {
        take_out(diary, &mut visit);
    }
    if visit.cart.is_empty() {
        return;
    }
    if diary.random.chance(66) {
        check_out(diary, visit);
    } else {
        abandon(diary, &visit);
    }
}

/// The first page says where the visitor comes from.
fn arrive(diary: &mut Diary, visit: &Visit) {
    if visit.channel == ChannelType::MobileApp {
        let mut opened = visit.event("screen.viewed", "Screen Viewed");
        opened.properties["screen"] = json!("home");
        return diary.write(opened);
    }
    let home = HOME_TITLE.in_language(visit.place.language);
    let mut landed = visit.on_page(visit.event("page.viewed", "Page Viewed"), "/", home);
    let referrers = [
        "https://search.example.com/",
        "https://social.example.net/",
        "https://summit-blog.example.org/",
    ];
    if let Some(context) = &mut landed.context {
        match &visit.campaign {
            Some(campaign) => context["campaign"] = campaign.clone(),
            None if diary.random.chance(60) => {
                context["page"]["referrer"] = json!(diary.random.pick(&referrers));
            }
            None => {}
        }
    }
    diary.write(landed);
}

fn search(diary: &mut Diary, visit: &mut Visit) {
    visit.now = diary.later(visit.now, 5, 40);
    let query = diary.random.pick(&SEARCHES).in_language(visit.place.language);
    let mut searched = visit.event("product.searched", "Products Searched");
    searched.properties["query"] = json!(query);
    diary.write(searched);
}

/// A product people would look at: mostly from their own sport.
fn product_for(diary: &mut Diary, visit: &Visit) -> &'static Product {
    let sport = match visit.person {
        Some(person) if diary.random.chance(60) => person.sport,
        _ => diary.random.pick(&SPORTS),
    };
    let shelf: Vec<&Product> = PRODUCTS.iter().filter(|p| p.category == sport).collect();
    diary.random.pick(&shelf)
}

/// Looks at a product, perhaps by way of its department, and sometimes puts it into the cart.
fn look<'a>(diary: &mut Diary<'a>, visit: &mut Visit<'a>) {
    let product = product_for(diary, visit);
    visit.wait(diary, 8, 70);
    if visit.channel == ChannelType::Web && diary.random.chance(55) {
        let page = visit.event("page.viewed", "Page Viewed");
        let title = department(product.category).in_language(visit.place.language);
        diary.write(visit.on_page(page, &format!("/{}", product.category), title));
        visit.wait(diary, 6, 50);
    }
    let seen = Event {
        subject: subject("product", &product.sku()),
        properties: json!({
            "session": visit.id,
            "price": product.price(visit.currency()),
            "category": product.category,
        }),
        ..visit.event("product.viewed", "Product Viewed")
    };
    diary.write(visit.on_page(seen, &format!("/p/{}", product.slug), product.name));
    let is_in_cart = visit.cart.iter().any(|line| line.product == product);
    let temptation = if visit.person.is_some() { 16 } else { 7 };
    if !is_in_cart && diary.random.chance(temptation) {
        visit.wait(diary, 15, 150);
        let quantity = if product.euros < 40 { diary.random.between(1, 2) } else { 1 };
        let line = Line { product, quantity };
        visit.cart.push(line);
        diary.write(visit.line_event("cart.item_added", "Product Added", line));
    }
}

fn take_out<'a>(diary: &mut Diary<'a>, visit: &mut Visit<'a>) {
    visit.wait(diary, 20, 120);
    if let Some(line) = visit.cart.pop() {
        diary.write(visit.line_event("cart.item_removed", "Product Removed", line));
    }
}

/// At the checkout customers sign in; strangers turn back there, and so do some customers.
fn check_out<'a>(diary: &mut Diary<'a>, mut visit: Visit<'a>) {
    visit.wait(diary, 10, 90);
    if let Some(person) = visit.person {
        visit.who = person.by_id();
    }
    diary.write(visit.cart_event("checkout.started", "Checkout Started"));
    match visit.person {
        Some(person) if diary.random.chance(74) => buy(diary, visit, person),
        _ => abandon(diary, &visit),
    }
}

fn buy<'a>(diary: &mut Diary<'a>, mut visit: Visit<'a>, person: &'a Person) {
    visit.wait(diary, 40, 240);
    let number = diary.order_number();
    let mut placed = visit.cart_event("order.placed", "Order Completed");
    placed.subject = subject("order", &number);
    diary.write(placed.clone());
    let method = payment_method(diary, person.place.country);
    if method != "invoice" {
        visit.wait(diary, 2, 15);
        diary.write(Event {
            kind: "order.paid",
            name: None,
            at: visit.now,
            properties: json!({"session": visit.id, "payment_method": method}),
            ..placed
        });
    }
    visit.wait(diary, 20, 60);
    confirm(diary, person, &number, visit.now);
}

fn payment_method(diary: &mut Diary, country: Country) -> &'static str {
    match country {
        Country::DE | Country::AT => diary.random.pick(&["card", "wallet", "invoice", "wallet"]),
        Country::CH => diary.random.pick(&["card", "twint", "twint", "invoice"]),
        Country::FR | Country::GB | Country::US => diary.random.pick(&["card", "card", "wallet"]),
    }
}

/// Thanks for the order, by email or else by SMS.
fn confirm(diary: &mut Diary, person: &Person, number: &str, now: DateTime<Utc>) {
    let headline = person.hears(&ORDER_SUBJECT).replace("{}", number);
    let (who, channel, content) = match &person.email {
        Some(email) => {
            let content = letter(&headline, &person.hears(&ORDER_TEXT));
            (json!({"email": email}), ChannelType::Email, content)
        }
        None => (person.by_id(), ChannelType::Sms, text(&headline)),
    };
    let about = subject("order", number);
    let sent = Event::outbound(now, who.clone(), channel, "message.sent");
    diary.write(Event { subject: about.clone(), content, ..sent });
    let arrived = diary.later(now, 1, 12);
    let delivered = Event::outbound(arrived, who, channel, "message.delivered");
    diary.write(Event { subject: about, ..delivered });
}

/// Nothing happens for an hour, so the shop calls the cart abandoned. The app reminds its users.
fn abandon(diary: &mut Diary, visit: &Visit) {
    let silence_ends = visit.now + TimeDelta::minutes(60);
    diary.write(Event {
        at: silence_ends,
        direction: Direction::Internal,
        context: None,
        ..visit.cart_event("cart.abandoned", "Cart Abandoned")
    });
    if let Some(person) = visit.person.filter(|p| p.likes("push") && visit.who == p.by_id()) {
        let reminded = diary.later(silence_ends, 3_000, 4_200);
        notify(diary, person, reminded, text(&person.hears(&CART_TEXT)));
    }
}
