//! The types of touchpoints that others report and everybody names alike. Any other type is as good;
//! these have a meaning that segments, scores and charts know.
//!
//! The e-commerce types are those that names of Segment and of GA4 become (`docs/tracking.md`).

/// A type of touchpoint that callers report, with properties of their own.
#[derive(Debug)]
pub struct ReportedType {
    /// `noun.past_verb`.
    pub kind: &'static str,
    /// What happened, as a sentence.
    pub about: &'static str,
    /// Typical `properties`, as JSON.
    pub example: &'static str,
}

const fn told(kind: &'static str, about: &'static str, example: &'static str) -> ReportedType {
    ReportedType { kind, about, example }
}

const ITEM: &str = r#"{"sku": "ROPE-60-BLUE", "name": "Rope 60 m", "price": 99.99, "quantity": 1}"#;
const COUPON: &str = r#"{"coupon": "SPRING"}"#;
const PROMOTION: &str = r#"{"promotion_id": "spring", "name": "Spring sale"}"#;
const STEP: &str = r#"{"checkout_id": "c-4711", "step": 2}"#;
const LIST: &str = r#"{"list_id": "climbing", "category": "Ropes"}"#;
const MAIL: &str = r#"{"mailing": "spring"}"#;

/// In the order of their names.
pub const REPORTED: &[ReportedType] = &[
    told("call.made", "Somebody called a customer.", r#"{"duration_seconds": 94}"#),
    told("call.missed", "A customer called and nobody answered.", r#"{"rang_seconds": 30}"#),
    told("call.received", "A customer called.", r#"{"duration_seconds": 94}"#),
    told("cart.item_added", "A customer put something into a cart.", ITEM),
    told("cart.item_removed", "A customer took something out of a cart.", ITEM),
    told(
        "cart.reported",
        "A tracker told of a cart, which it makes or changes.",
        r#"{"cart_id": "c-4711", "sku": "ROPE-60-BLUE", "price": 99.99, "quantity": 1}"#,
    ),
    told("cart.shared", "A customer shared a cart.", r#"{"share_via": "email"}"#),
    told("cart.viewed", "A customer looked at a cart.", r#"{"cart_id": "c-4711"}"#),
    told("chat.ended", "A chat ended.", r#"{"duration_seconds": 312}"#),
    told("chat.started", "A customer began a chat.", r#"{"topic": "sizes"}"#),
    told(
        "checkout.payment_entered",
        "A customer said how to pay.",
        r#"{"payment_method": "card"}"#,
    ),
    told(
        "checkout.shipping_entered",
        "A customer said where to send it.",
        r#"{"shipping_method": "express"}"#,
    ),
    told(
        "checkout.started",
        "A customer began to check out.",
        r#"{"checkout_id": "c-4711", "value": 199.98}"#,
    ),
    told("checkout.step_completed", "A customer finished a step of the checkout.", STEP),
    told("checkout.step_viewed", "A customer came to a step of the checkout.", STEP),
    told("coupon.applied", "A coupon was accepted.", COUPON),
    told("coupon.denied", "A coupon was refused.", COUPON),
    told("coupon.entered", "A customer entered a coupon.", COUPON),
    told("coupon.removed", "A customer took a coupon away.", COUPON),
    told(
        "event.tracked",
        "A tracker told of something by a name that no type can be made of.",
        r#"{"value": 50}"#,
    ),
    told("form.submitted", "A customer filled in a form.", r#"{"form": "contact"}"#),
    told(
        "group.joined",
        "A customer came to belong to a group (Segment's `group`).",
        r#"{"groupId": "acme"}"#,
    ),
    told("lead.generated", "Somebody showed interest.", r#"{"value": 50}"#),
    told("mail.received", "A letter came from a customer.", r#"{"kind": "complaint"}"#),
    told("mail.sent", "A letter went to a customer.", r#"{"kind": "handwritten_card"}"#),
    told("meeting.held", "Somebody met a customer.", r#"{"duration_minutes": 45}"#),
    told("meeting.missed", "A customer did not come to a meeting.", "{}"),
    told(
        "meeting.scheduled",
        "A meeting was agreed upon.",
        r#"{"starts_at": "2026-03-20T14:00:00Z"}"#,
    ),
    told(
        "message.bounced",
        "A message could not be delivered.",
        r#"{"bounce": "hard", "reason": "no such mailbox"}"#,
    ),
    told(
        "message.clicked",
        "A customer followed a link of a message.",
        r#"{"url": "https://shop.example.com/spring"}"#,
    ),
    told("message.complained", "A customer marked a message as spam.", MAIL),
    told("message.delivered", "A message was delivered.", MAIL),
    told("message.failed", "A message could not be sent.", r#"{"reason": "timeout"}"#),
    told("message.opened", "A customer opened a message.", MAIL),
    told("message.queued", "A message waits to be sent.", MAIL),
    told("message.received", "A customer wrote.", "{}"),
    told("message.sent", "A message was sent to a customer.", MAIL),
    told(
        "message.skipped",
        "A message was not sent, because it must not be.",
        r#"{"reason": "no consent"}"#,
    ),
    told("message.unsubscribed", "A customer asked for no more messages.", MAIL),
    told("order.cancelled", "An order was cancelled.", r#"{"order_id": "1001"}"#),
    told(
        "order.fulfilled",
        "All of an order was sent.",
        r#"{"order_id": "1001", "carrier": "Gamsbote"}"#,
    ),
    told("order.paid", "An order was paid.", r#"{"order_id": "1001"}"#),
    told("order.placed", "An order was placed.", r#"{"order_id": "1001", "total": 199.98}"#),
    told(
        "order.refunded",
        "Money of an order was given back.",
        r#"{"order_id": "1001", "total": 99.99}"#,
    ),
    told(
        "order.reported",
        "A tracker told of an order, which it makes or changes.",
        r#"{"order_id": "1001", "total": 199.98, "currency": "EUR"}"#,
    ),
    told("order.returned", "Goods of an order came back.", r#"{"order_id": "1001"}"#),
    told("order.updated", "Something else of an order changed.", r#"{"order_id": "1001"}"#),
    told("page.viewed", "A customer looked at a page.", r#"{"path": "/boots", "title": "Boots"}"#),
    told("product.clicked", "A customer chose a product from a list.", ITEM),
    told(
        "product.reviewed",
        "A customer wrote about a product.",
        r#"{"sku": "ROPE-60-BLUE", "rating": 5}"#,
    ),
    told("product.searched", "A customer searched.", r#"{"query": "rope"}"#),
    told(
        "product.shared",
        "A customer shared a product.",
        r#"{"sku": "ROPE-60-BLUE", "share_via": "email"}"#,
    ),
    told("product.viewed", "A customer looked at a product.", ITEM),
    told("product_list.filtered", "A customer filtered a list of products.", LIST),
    told("product_list.viewed", "A customer looked at a list of products.", LIST),
    told("promotion.clicked", "A customer followed a promotion.", PROMOTION),
    told("promotion.viewed", "A customer saw a promotion.", PROMOTION),
    told("screen.viewed", "A customer looked at a screen of an app.", r#"{"name": "Home"}"#),
    told("survey.answered", "A customer answered a survey.", r#"{"kind": "nps", "score": 10}"#),
    told(
        "user.aliased",
        "Two ids turned out to be one person's (Segment's `alias`).",
        r#"{"previousId": "a-1"}"#,
    ),
    told(
        "user.identified",
        "A tracker learned who somebody is (Segment's `identify`).",
        r#"{"plan": "gold"}"#,
    ),
    told("user.signed_in", "A customer signed in.", r#"{"method": "password"}"#),
    told("user.signed_up", "A customer made an account.", r#"{"method": "password"}"#),
    told("visit.made", "A customer came to a shop.", r#"{"store": "München"}"#),
    told("wishlist.item_added", "A customer wished for something.", ITEM),
    told("wishlist.item_removed", "A customer no longer wished for something.", ITEM),
];
