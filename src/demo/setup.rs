//! What stands before the shop opens: its own fields, its channels and its business partners.

use serde::Serialize;
use serde_json::{Value, json};

use super::goods::SPORTS;
use super::places::Country;

/// The outside system that all external ids of the demo belong to.
pub const SOURCE: &str = "alpenglow";

/// The fields Alpenglow keeps about customers and organizations beyond the standard ones.
pub fn attribute_definitions() -> Vec<Value> {
    let plain = [
        ("customer", "shoe_size", "Shoe size (EU)", "number"),
        ("customer", "loyalty_points", "Loyalty points", "number"),
        ("customer", "newsletter_since", "Newsletter since", "date"),
        ("customer", "club_member", "Member of an alpine club", "boolean"),
        ("organization", "payment_terms_days", "Payment terms in days", "number"),
    ];
    let mut definitions = vec![json!({
        "resource": "customer",
        "key": "favorite_sport",
        "name": "Favourite sport",
        "type": "enum",
        "options": SPORTS,
    })];
    for (resource, key, name, kind) in plain {
        definitions.push(json!({"resource": resource, "key": key, "name": name, "type": kind}));
    }
    definitions
}

/// A way the shop and its customers meet; there is one channel of each type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelType {
    Email,
    Sms,
    Whatsapp,
    Chat,
    Chatbot,
    Push,
    Web,
    MobileApp,
    Social,
    Phone,
    Meeting,
    Post,
    Pos,
    Webhook,
}

impl ChannelType {
    /// Every type the API knows.
    pub const ALL: [ChannelType; 14] = [
        ChannelType::Email,
        ChannelType::Sms,
        ChannelType::Whatsapp,
        ChannelType::Chat,
        ChannelType::Chatbot,
        ChannelType::Push,
        ChannelType::Web,
        ChannelType::MobileApp,
        ChannelType::Social,
        ChannelType::Phone,
        ChannelType::Meeting,
        ChannelType::Post,
        ChannelType::Pos,
        ChannelType::Webhook,
    ];

    /// The id Alpenglow's own systems use for the channel.
    pub fn external_id(self) -> &'static str {
        match self {
            ChannelType::Email => "ch-email",
            ChannelType::Sms => "ch-sms",
            ChannelType::Whatsapp => "ch-whatsapp",
            ChannelType::Chat => "ch-chat",
            ChannelType::Chatbot => "ch-chatbot",
            ChannelType::Push => "ch-push",
            ChannelType::Web => "ch-web",
            ChannelType::MobileApp => "ch-app",
            ChannelType::Social => "ch-social",
            ChannelType::Phone => "ch-phone",
            ChannelType::Meeting => "ch-meeting",
            ChannelType::Post => "ch-post",
            ChannelType::Pos => "ch-pos",
            ChannelType::Webhook => "ch-webhook",
        }
    }

    fn name(self) -> &'static str {
        match self {
            ChannelType::Email => "Newsletter and order mail",
            ChannelType::Sms => "Parcel texts",
            ChannelType::Whatsapp => "WhatsApp advice",
            ChannelType::Chat => "Chat with the shop team",
            ChannelType::Chatbot => "Murmel, the chatbot",
            ChannelType::Push => "App notifications",
            ChannelType::Web => "Online shop",
            ChannelType::MobileApp => "Alpenglow app",
            ChannelType::Social => "Social networks",
            ChannelType::Phone => "Shop telephone",
            ChannelType::Meeting => "Fittings and meetings",
            ChannelType::Post => "Letters",
            ChannelType::Pos => "Shop tills",
            ChannelType::Webhook => "Warehouse and carrier events",
        }
    }

    fn direction(self) -> &'static str {
        match self {
            ChannelType::Push => "outbound",
            ChannelType::Web | ChannelType::MobileApp | ChannelType::Pos | ChannelType::Webhook => {
                "inbound"
            }
            ChannelType::Email
            | ChannelType::Sms
            | ChannelType::Whatsapp
            | ChannelType::Chat
            | ChannelType::Chatbot
            | ChannelType::Social
            | ChannelType::Phone
            | ChannelType::Meeting
            | ChannelType::Post => "both",
        }
    }

    fn sender_address(self) -> Option<&'static str> {
        match self {
            ChannelType::Email => Some("hello@alpenglow.example.com"),
            ChannelType::Sms => Some("+491713920097"),
            ChannelType::Whatsapp => Some("+491713920098"),
            ChannelType::Phone => Some("+491713920099"),
            ChannelType::Chat
            | ChannelType::Chatbot
            | ChannelType::Push
            | ChannelType::Web
            | ChannelType::MobileApp
            | ChannelType::Social
            | ChannelType::Meeting
            | ChannelType::Post
            | ChannelType::Pos
            | ChannelType::Webhook => None,
        }
    }

    fn config(self) -> Value {
        match self {
            ChannelType::Web => json!({"site": "https://alpenglow.example.com"}),
            ChannelType::MobileApp => json!({"platforms": ["ios", "android"]}),
            ChannelType::Social => json!({"networks": ["instagram", "facebook"]}),
            ChannelType::Pos => json!({"stores": ["München", "Innsbruck", "Bern"]}),
            ChannelType::Phone => json!({"opening_hours": "Mo-Sa 09:00-18:00"}),
            ChannelType::Post => json!({"return_address": "Alpenglow, Isarweg 7, 80469 München"}),
            ChannelType::Email
            | ChannelType::Sms
            | ChannelType::Whatsapp
            | ChannelType::Chat
            | ChannelType::Chatbot
            | ChannelType::Push
            | ChannelType::Meeting
            | ChannelType::Webhook => json!({}),
        }
    }

    fn is_offline(self) -> bool {
        matches!(
            self,
            ChannelType::Phone | ChannelType::Meeting | ChannelType::Post | ChannelType::Pos
        )
    }

    /// The body that creates the channel.
    pub fn body(self) -> Value {
        let mut body = json!({
            "external_ids": [{"source": SOURCE, "id": self.external_id()}],
            "type": self,
            "name": self.name(),
            "provider": "manual",
            "direction": self.direction(),
            "config": self.config(),
            "tags": [if self.is_offline() { "offline" } else { "online" }],
            "attributes": {},
        });
        if let Some(address) = self.sender_address() {
            body["sender"] = json!({"name": "Alpenglow", "address": address});
        }
        body
    }
}

/// A club, school or reseller that buys for others.
#[derive(Debug)]
pub struct Organization {
    pub id: &'static str,
    pub name: &'static str,
    pub domain: &'static str,
    pub industry: &'static str,
    pub employees: u32,
    pub payment_terms_days: u32,
    pub country: Country,
}

impl Organization {
    /// The body that creates the organization.
    pub fn body(&self) -> Value {
        json!({
            "external_ids": [{"source": SOURCE, "id": self.id}],
            "name": self.name,
            "domains": [self.domain],
            "industry": self.industry,
            "employees_count": self.employees,
            "attributes": {"payment_terms_days": self.payment_terms_days},
        })
    }
}

/// Alpenglow's business partners; each has one contact among the customers.
pub static ORGANIZATIONS: [Organization; 8] = [
    Organization {
        id: "o-01",
        name: "Alpinclub Isartal e. V.",
        domain: "alpinclub-isartal.example.org",
        industry: "Sports club",
        employees: 12,
        payment_terms_days: 30,
        country: Country::DE,
    },
    Organization {
        id: "o-02",
        name: "Kletterhalle Nordwand GmbH",
        domain: "nordwand.example.com",
        industry: "Climbing gym",
        employees: 38,
        payment_terms_days: 14,
        country: Country::DE,
    },
    Organization {
        id: "o-03",
        name: "Bergschule Karwendel",
        domain: "bergschule-karwendel.example.com",
        industry: "Mountain guides",
        employees: 21,
        payment_terms_days: 30,
        country: Country::AT,
    },
    Organization {
        id: "o-04",
        name: "Sport Firn AG",
        domain: "sportfirn.example.net",
        industry: "Sports retail",
        employees: 64,
        payment_terms_days: 45,
        country: Country::CH,
    },
    Organization {
        id: "o-05",
        name: "École de ski des Aravis",
        domain: "ski-aravis.example.org",
        industry: "Ski school",
        employees: 55,
        payment_terms_days: 30,
        country: Country::FR,
    },
    Organization {
        id: "o-06",
        name: "Borrowdale Mountain Rescue Friends",
        domain: "borrowdale-friends.example.org",
        industry: "Charity",
        employees: 6,
        payment_terms_days: 30,
        country: Country::GB,
    },
    Organization {
        id: "o-07",
        name: "Flatiron Outfitters LLC",
        domain: "flatiron-outfitters.example.com",
        industry: "Sports retail",
        employees: 27,
        payment_terms_days: 30,
        country: Country::US,
    },
    Organization {
        id: "o-08",
        name: "Gymnasium am Kofel",
        domain: "gymnasium-kofel.example.org",
        industry: "School",
        employees: 90,
        payment_terms_days: 60,
        country: Country::DE,
    },
];
