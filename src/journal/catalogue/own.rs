//! The types of touchpoints that we write: each tells of a change to something that we keep.

use super::Kind::{Boolean, Changes, Id, Integer, Objects, Of, Text, Texts, Time};
use super::Presence::{Always, Nullable, Sometimes};
use super::Told::{Both, Channel, Customer, CustomerIfKnown, Nothing, Organization, Sale};
use super::{EventType, Kind, Presence, Property, Told};

const fn event(
    kind: &'static str,
    about: &'static str,
    subject: &'static str,
    told: Told,
    properties: &'static [Property],
) -> EventType {
    EventType { kind, about, subject, told, properties }
}

const fn property(
    name: &'static str,
    value: Kind,
    presence: Presence,
    about: &'static str,
    example: &'static str,
) -> Property {
    Property { name, value, presence, about, example }
}

/// Which fields changed, shown with this example.
const fn changes(example: &'static str) -> Property {
    property(
        "changes",
        Changes,
        Always,
        "The fields that changed: what they were and are.",
        example,
    )
}

const fn cart(kind: &'static str, about: &'static str) -> EventType {
    event(kind, about, "cart", Sale, &[])
}

const fn cart_item(kind: &'static str, about: &'static str) -> EventType {
    event(kind, about, "cart", Sale, CART_ITEM)
}

const CART_ITEM: &[Property] = &[
    property("product_id", Id, Nullable, "The product, where it is known.", PRODUCT),
    property("sku", Text, Nullable, "Its SKU.", r#""ROPE-60-BLUE""#),
    property("name", Text, Nullable, "What it is called.", r#""Rope 60 m""#),
    property("variant", Text, Nullable, "Which variant.", r#""blue""#),
    property("quantity", Integer, Always, "How many.", "1"),
];

const fn consent(kind: &'static str, about: &'static str) -> EventType {
    event(kind, about, "consent", Customer, CONSENT)
}

const CONSENT: &[Property] = &[
    property(
        "channel_type",
        Of("Channel", "type"),
        Always,
        "By which type of channel.",
        r#""email""#,
    ),
    property("purpose", Of("Consent", "purpose"), Always, "What for.", r#""marketing""#),
    property("topic", Text, Nullable, "About what; null is everything.", r#""newsletter""#),
    property("from", Of("Consent", "state"), Always, "The state before.", r#""pending""#),
    property("to", Of("Consent", "state"), Always, "The state from now on.", r#""granted""#),
    property("method", Of("Consent", "method"), Always, "How it was said.", r#""double_opt_in""#),
    property(
        "lawful_basis",
        Of("Consent", "lawful_basis"),
        Always,
        "By what right (GDPR, article 6).",
        r#""consent""#,
    ),
    property("consented_at", Time, Always, "When it was said.", r#""2026-03-14T08:59:30Z""#),
];

const fn request(kind: &'static str, about: &'static str) -> EventType {
    event(kind, about, "data_request", Customer, DATA_REQUEST)
}

const DATA_REQUEST: &[Property] =
    &[property("kind", Of("DataRequest", "kind"), Always, "What is asked for.", r#""access""#)];

const fn suppression(kind: &'static str, about: &'static str) -> EventType {
    event(kind, about, "suppression", CustomerIfKnown, SUPPRESSION)
}

const SUPPRESSION: &[Property] = &[
    property("channel_type", Of("Channel", "type"), Always, "The type of channel.", r#""email""#),
    property("reason", Of("Suppression", "reason"), Always, "Why.", r#""hard_bounce""#),
    property("until", Time, Nullable, "Until when; null is for ever.", "null"),
];

const MERGE: &[Property] = &[
    property("source_id", Id, Always, "The record that became part of the other.", OTHER),
    property("merge_id", Id, Always, "The merge, by which it can be undone.", MERGE_ID),
    changes(r#"{"phone": {"from": null, "to": "+4989123456"}}"#),
];

const IDENTITY: &[Property] = &[
    property("type", Of("Identity", "type"), Always, "What kind of identity.", r#""email""#),
    property("source", Text, Nullable, "Where it comes from.", r#""api""#),
    property(
        "changes",
        Changes,
        Sometimes,
        "The customer's own fields that changed with it.",
        r#"{"email": {"from": null, "to": "ada@example.com"}}"#,
    ),
];

const REFUND: &[Property] = &[
    property("refund_id", Id, Always, "The refund.", OTHER),
    property("reason", Text, Nullable, "Why.", r#""too small""#),
    property("is_return", Boolean, Always, "Whether goods came back.", "true"),
    property(
        "line_items",
        Objects,
        Always,
        "What it is about, at most 50 lines.",
        r#"[{"line_item_id": "019a9c3e-4b7a-7c1e-9d0f-000000000001", "quantity": 1}]"#,
    ),
];

const PRODUCT: &str = r#""019a9c3e-4b7a-7c1e-9d0f-0000000000a1""#;
const OTHER: &str = r#""019a9c3e-4b7a-7c1e-9d0f-0000000000b2""#;
const MERGE_ID: &str = r#""019a9c3e-4b7a-7c1e-9d0f-0000000000c3""#;
const STAGE: &str = r#"{"lifecycle_stage": {"from": "lead", "to": "customer"}}"#;
const NAME: &str = r#"{"name": {"from": "Boots", "to": "Mountain boots"}}"#;

/// In the order of their names.
pub const OWN: &[EventType] = &[
    event(
        "api_key.created",
        "An API key was made.",
        "api_key",
        Nothing,
        &[
            property("kind", Of("ApiKey", "kind"), Always, "What it is for.", r#""secret""#),
            property("scopes", Texts, Always, "What it may do.", r#"["customers:read"]"#),
            property("livemode", Boolean, Always, "Whether it works on real data.", "true"),
        ],
    ),
    event("api_key.revoked", "An API key was revoked.", "api_key", Nothing, &[]),
    event(
        "api_key.rotated",
        "An API key got a successor.",
        "api_key",
        Nothing,
        &[
            property("replaced_by", Id, Always, "The new key.", OTHER),
            property(
                "expires_at",
                Time,
                Always,
                "Until when the old one works.",
                r#""2026-03-21T09:00:00Z""#,
            ),
        ],
    ),
    event("api_key.updated", "An API key was changed.", "api_key", Nothing, &[changes(NAME)]),
    cart("cart.abandoned", "Nobody has touched a cart for an hour."),
    cart("cart.converted", "A cart became an order."),
    cart("cart.created", "A customer began a cart."),
    cart("cart.expired", "A cart was given up: nobody came back to it for 30 days."),
    cart_item("cart.item_added", "A customer put something into a cart."),
    cart_item("cart.item_removed", "A customer took something out of a cart."),
    cart("cart.recovered", "A customer came back to an abandoned cart."),
    cart("cart.updated", "Something else of a cart changed."),
    event("channel.created", "A channel was made.", "channel", Channel, &[]),
    event("channel.deleted", "A channel was deleted.", "channel", Channel, &[]),
    event("channel.paused", "A channel was paused.", "channel", Channel, CHANNEL_STATUS),
    event("channel.restored", "A deleted channel was brought back.", "channel", Channel, &[]),
    event("channel.resumed", "A paused channel was resumed.", "channel", Channel, CHANNEL_STATUS),
    event("channel.updated", "A channel was changed.", "channel", Channel, &[changes(NAME)]),
    cart("checkout.started", "A customer began to check out."),
    consent("consent.denied", "A customer refused."),
    consent("consent.expired", "A consent ran out."),
    consent("consent.granted", "A customer consented."),
    consent("consent.recorded", "Something was said that changes nothing."),
    consent("consent.requested", "A customer was asked to confirm a consent."),
    consent("consent.withdrawn", "A customer withdrew a consent."),
    event(
        "customer.created",
        "A customer became known.",
        "customer",
        Customer,
        &[property(
            "lifecycle_stage",
            Of("Customer", "lifecycle_stage"),
            Always,
            "How far the relationship has come.",
            r#""lead""#,
        )],
    ),
    event("customer.deleted", "A customer was deleted.", "customer", Customer, &[]),
    event(
        "customer.erased",
        "All that was personal about a customer was erased.",
        "customer",
        Customer,
        &[],
    ),
    event(
        "customer.lifecycle_stage_changed",
        "The relationship with a customer came to another stage.",
        "customer",
        Customer,
        &[changes(STAGE), property("cause", Text, Always, "Why.", r#""order.paid""#)],
    ),
    event(
        "customer.merge_reverted",
        "A merge was undone; both records are told of.",
        "customer",
        Customer,
        MERGE,
    ),
    event(
        "customer.merged",
        "Another record of the same person became part of this one.",
        "customer",
        Customer,
        MERGE,
    ),
    event("customer.restored", "A deleted customer was brought back.", "customer", Customer, &[]),
    event(
        "customer.restricted",
        "A customer's data is kept and not used (GDPR, article 18).",
        "customer",
        Customer,
        &[changes(r#"{"restricted_at": {"from": null, "to": "2026-03-14T09:00:00.000Z"}}"#)],
    ),
    event(
        "customer.restriction_lifted",
        "A customer's data may be used again.",
        "customer",
        Customer,
        &[changes(r#"{"restricted_at": {"from": "2026-03-14T09:00:00.000Z", "to": null}}"#)],
    ),
    event(
        "customer.updated",
        "A customer was changed.",
        "customer",
        Customer,
        &[changes(r#"{"first_name": {"from": null, "to": "Ada"}}"#)],
    ),
    request("data_request.completed", "A data request was carried out."),
    request("data_request.extended", "A data request may take longer."),
    request("data_request.lifted", "A restriction that a data request asked for was lifted."),
    request("data_request.processing", "A data request is being carried out."),
    request("data_request.received", "A customer asked for their data or their erasure."),
    request("data_request.rejected", "A data request was turned down."),
    request("data_request.verifying", "Who made a data request is being asked who they are."),
    event("identity.added", "An identity was added to a customer.", "identity", Customer, IDENTITY),
    event(
        "identity.removed",
        "An identity was taken from a customer.",
        "identity",
        Customer,
        IDENTITY,
    ),
    event("membership.created", "A customer joined an organization.", "organization", Both, &[]),
    event("membership.deleted", "A customer left an organization.", "organization", Both, &[]),
    event(
        "membership.updated",
        "What a customer is in an organization changed.",
        "organization",
        Both,
        &[changes(r#"{"role": {"from": null, "to": "buyer"}}"#)],
    ),
    event(
        "order.cancelled",
        "An order was cancelled.",
        "order",
        Sale,
        &[property("cancel_reason", Text, Nullable, "Why.", r#""out of stock""#)],
    ),
    event("order.deleted", "An order was deleted.", "order", Sale, &[]),
    event("order.fulfilled", "All of an order was sent.", "order", Sale, &[]),
    event("order.paid", "An order was paid; `value` is what was paid.", "order", Sale, &[]),
    event(
        "order.placed",
        "An order was placed; `value` is its total.",
        "order",
        Sale,
        &[
            property("source", Text, Always, "The shop.", r#""shopify""#),
            property("number", Text, Nullable, "What the shop calls it.", r##""#1001""##),
            property("items_count", Integer, Always, "How many pieces.", "2"),
            property(
                "line_items",
                Objects,
                Always,
                "Its lines, at most 50.",
                r#"[{"product_id": null, "sku": "ROPE-60-BLUE", "name": "Rope 60 m", "quantity": 2, "total": 19998}]"#,
            ),
            property("discount_codes", Texts, Always, "Codes that were used.", r#"["SPRING"]"#),
        ],
    ),
    event(
        "order.refunded",
        "Money of an order was given back; `value` is how much.",
        "order",
        Sale,
        REFUND,
    ),
    event("order.restored", "A deleted order was brought back.", "order", Sale, &[]),
    event("order.returned", "Goods of an order came back.", "order", Sale, REFUND),
    event(
        "order.updated",
        "Something else of an order changed.",
        "order",
        Sale,
        &[changes(r#"{"note": {"from": null, "to": "ring twice"}}"#)],
    ),
    event("organization.created", "An organization was made.", "organization", Organization, &[]),
    event(
        "organization.deleted",
        "An organization was deleted.",
        "organization",
        Organization,
        &[],
    ),
    event(
        "organization.restored",
        "A deleted organization was brought back.",
        "organization",
        Organization,
        &[],
    ),
    event(
        "organization.updated",
        "An organization was changed.",
        "organization",
        Organization,
        &[changes(NAME)],
    ),
    event("product.created", "A product was made.", "product", Nothing, &[]),
    event("product.deleted", "A product was deleted.", "product", Nothing, &[]),
    event("product.restored", "A deleted product was brought back.", "product", Nothing, &[]),
    event("product.updated", "A product was changed.", "product", Nothing, &[changes(NAME)]),
    suppression("suppression.created", "An address is not written to any more."),
    suppression("suppression.deleted", "An address may be written to again."),
    event(
        "tag.created",
        "A tag was made.",
        "tag",
        Nothing,
        &[property("name", Text, Always, "What it is called.", r#""vip""#)],
    ),
    event("tag.deleted", "A tag was deleted.", "tag", Nothing, &[]),
    event(
        "tag.updated",
        "A tag was changed.",
        "tag",
        Nothing,
        &[changes(r#"{"name": {"from": "vip", "to": "regulars"}}"#)],
    ),
    event(
        "trusted_issuer.created",
        "Tokens of another issuer are believed.",
        "trusted_issuer",
        Nothing,
        ISSUER,
    ),
    event(
        "trusted_issuer.deleted",
        "Tokens of another issuer are not believed any more.",
        "trusted_issuer",
        Nothing,
        ISSUER,
    ),
    event(
        "trusted_issuer.updated",
        "How tokens of another issuer are believed changed.",
        "trusted_issuer",
        Nothing,
        &[changes(r#"{"is_enabled": {"from": true, "to": false}}"#)],
    ),
    event(
        "user.created",
        "A user was made.",
        "user",
        Nothing,
        &[property("role", Of("User", "role"), Always, "What they may do.", r#""agent""#)],
    ),
    event("user.deleted", "A user was deleted.", "user", Nothing, &[]),
    event("user.signed_in", "A user signed in.", "user", Nothing, &[]),
    event(
        "user.signed_out",
        "A user's session ended.",
        "user",
        Nothing,
        &[property("reason", Text, Always, "Why.", r#""signed_out""#)],
    ),
    event(
        "user.updated",
        "A user was changed.",
        "user",
        Nothing,
        &[changes(r#"{"role": {"from": "agent", "to": "admin"}}"#)],
    ),
    event(
        "webhook_endpoint.created",
        "A webhook endpoint was made.",
        "webhook_endpoint",
        Nothing,
        ENDPOINT,
    ),
    event(
        "webhook_endpoint.deleted",
        "A webhook endpoint was deleted.",
        "webhook_endpoint",
        Nothing,
        ENDPOINT,
    ),
    event(
        "webhook_endpoint.disabled",
        "Nothing is sent to a webhook endpoint any more.",
        "webhook_endpoint",
        Nothing,
        &[
            property("url", Text, Always, "Its address.", URL),
            property(
                "reason",
                Of("WebhookEndpoint", "disabled_reason"),
                Always,
                "Why.",
                r#""failing""#,
            ),
            property(
                "failing_since",
                Time,
                Nullable,
                "Since when nothing reached it.",
                r#""2026-03-09T09:00:00Z""#,
            ),
        ],
    ),
    event(
        "webhook_endpoint.enabled",
        "A webhook endpoint is sent events again.",
        "webhook_endpoint",
        Nothing,
        ENDPOINT,
    ),
    event(
        "webhook_endpoint.secret_rotated",
        "A webhook endpoint got a new secret.",
        "webhook_endpoint",
        Nothing,
        &[],
    ),
    event(
        "webhook_endpoint.tested",
        "A webhook endpoint is being tried out. Stands in no log.",
        "webhook_endpoint",
        Nothing,
        &[],
    ),
    event(
        "webhook_endpoint.updated",
        "A webhook endpoint was changed.",
        "webhook_endpoint",
        Nothing,
        &[changes(r#"{"description": {"from": null, "to": "ERP"}}"#)],
    ),
    event(
        "workspace.updated",
        "The settings of the workspace were changed.",
        "workspace",
        Nothing,
        &[changes(r#"{"timezone": {"from": "UTC", "to": "Europe/Berlin"}}"#)],
    ),
];

const CHANNEL_STATUS: &[Property] = &[
    property("from", Of("Channel", "status"), Always, "The state before.", r#""active""#),
    property("to", Of("Channel", "status"), Always, "The state from now on.", r#""paused""#),
];
const ISSUER: &[Property] =
    &[property("issuer", Text, Always, "Its name (`iss`).", r#""https://login.example.com""#)];
const URL: &str = r#""https://erp.example.com/hooks/ecrm""#;
const ENDPOINT: &[Property] = &[property("url", Text, Always, "Its address.", URL)];
