//! From the names of events to types of touchpoints: the shop's own language to ours.
//!
//! Names of Segment's e-commerce specification and of GA4 have their type. Any other name becomes
//! `noun.verb`: its last word is the verb, so `Video Played` is `video.played`; a particle belongs to
//! its verb, so `Signed Up` is `user.signed_up`; a single word is an event, so `Login` is `login.tracked`.

use unicode_normalization::UnicodeNormalization;

use crate::touchpoints::is_own;

/// Names in small letters with one blank between words, and their types.
const KNOWN: &[(&str, &str)] = &[
    // Segment's e-commerce specification, version 2.
    ("products searched", "product.searched"),
    ("product list viewed", "product_list.viewed"),
    ("product list filtered", "product_list.filtered"),
    ("promotion viewed", "promotion.viewed"),
    ("promotion clicked", "promotion.clicked"),
    ("product clicked", "product.clicked"),
    ("product viewed", "product.viewed"),
    ("product added", "cart.item_added"),
    ("product removed", "cart.item_removed"),
    ("cart viewed", "cart.viewed"),
    ("checkout started", "checkout.started"),
    ("checkout step viewed", "checkout.step_viewed"),
    ("checkout step completed", "checkout.step_completed"),
    ("payment info entered", "checkout.payment_entered"),
    ("order completed", "order.placed"),
    ("order updated", "order.updated"),
    ("order refunded", "order.refunded"),
    ("order cancelled", "order.cancelled"),
    ("coupon entered", "coupon.entered"),
    ("coupon applied", "coupon.applied"),
    ("coupon denied", "coupon.denied"),
    ("coupon removed", "coupon.removed"),
    ("product added to wishlist", "wishlist.item_added"),
    ("product removed from wishlist", "wishlist.item_removed"),
    ("wishlist product added to cart", "cart.item_added"),
    ("product shared", "product.shared"),
    ("cart shared", "cart.shared"),
    ("product reviewed", "product.reviewed"),
    // GA4.
    ("search", "product.searched"),
    ("view search results", "product.searched"),
    ("view item", "product.viewed"),
    ("view item list", "product_list.viewed"),
    ("select item", "product.clicked"),
    ("view promotion", "promotion.viewed"),
    ("select promotion", "promotion.clicked"),
    ("add to cart", "cart.item_added"),
    ("remove from cart", "cart.item_removed"),
    ("view cart", "cart.viewed"),
    ("add to wishlist", "wishlist.item_added"),
    ("begin checkout", "checkout.started"),
    ("add shipping info", "checkout.shipping_entered"),
    ("add payment info", "checkout.payment_entered"),
    ("purchase", "order.placed"),
    ("refund", "order.refunded"),
    ("sign up", "user.signed_up"),
    ("login", "user.signed_in"),
    ("generate lead", "lead.generated"),
    // Segment's specifications of mails, mobile apps and B2B.
    ("email delivered", "message.delivered"),
    ("email opened", "message.opened"),
    ("email link clicked", "message.clicked"),
    ("email bounced", "message.bounced"),
    ("email marked as spam", "message.complained"),
    ("unsubscribed", "message.unsubscribed"),
];

/// Words that say the direction of the verb before them.
const PARTICLES: [&str; 8] = ["up", "in", "out", "on", "off", "down", "back", "again"];

/// Longest type, in characters.
const MOST: usize = 100;

/// The types that known names have.
pub fn known_types() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().map(|(_, kind)| *kind)
}

/// The type of a touchpoint for an event of this name.
pub fn type_of(name: &str) -> String {
    let words = words(name);
    let plain = words.join(" ");
    if let Some((_, known)) = KNOWN.iter().find(|(name, _)| *name == plain) {
        return (*known).to_owned();
    }
    let derived = derive(&words);
    if is_own(&derived) { format!("event_{derived}") } else { derived }
}

fn derive(words: &[String]) -> String {
    let (noun, verb) = match words {
        [] => return "event.tracked".into(),
        [word] => (word.clone(), "tracked".into()),
        [verb, particle] if is_particle(particle) => ("user".into(), format!("{verb}_{particle}")),
        [noun @ .., verb, particle] if is_particle(particle) => {
            (noun.join("_"), format!("{verb}_{particle}"))
        }
        [noun @ .., verb] => (noun.join("_"), verb.clone()),
    };
    let (noun, verb) = (begun(noun), begun(verb));
    let (noun, verb) = (cut(&noun, MOST / 2), cut(&verb, MOST / 2 - 1));
    format!("{noun}.{verb}")
}

fn is_particle(word: &str) -> bool {
    PARTICLES.contains(&word)
}

/// A word of a type begins with a letter.
fn begun(word: String) -> String {
    if word.starts_with(|c: char| c.is_ascii_lowercase()) { word } else { format!("event_{word}") }
}

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect::<String>().trim_end_matches('_').to_owned()
}

/// The words of a name in small letters without accents, however they are held together: by blanks,
/// signs, or `camelCase`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_small = false;
    for c in name.nfkd().filter(|c| !('\u{300}'..='\u{36f}').contains(c)) {
        let is_inside = c.is_ascii_alphanumeric();
        if !is_inside || was_small && c.is_ascii_uppercase() {
            words.push(String::new());
        }
        if is_inside && let Some(last) = words.last_mut() {
            last.push(c.to_ascii_lowercase());
        }
        was_small = c.is_ascii_lowercase() || c.is_ascii_digit();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_specifications_have_their_type_in_any_spelling() {
        for (name, kind) in [
            ("Order Completed", "order.placed"),
            ("order_completed", "order.placed"),
            ("orderCompleted", "order.placed"),
            ("ORDER COMPLETED", "order.placed"),
            ("  Order   Completed ", "order.placed"),
            ("purchase", "order.placed"),
            ("Product Added", "cart.item_added"),
            ("add_to_cart", "cart.item_added"),
            ("Email Opened", "message.opened"),
        ] {
            assert_eq!(type_of(name), kind, "{name}");
        }
    }

    #[test]
    fn any_other_name_is_a_noun_and_a_verb() {
        for (name, kind) in [
            ("Video Playback Started", "video_playback.started"),
            ("button_clicked", "button.clicked"),
            ("buttonClicked", "button.clicked"),
            ("form.submitted", "form.submitted"),
            ("Signed Up", "user.signed_up"),
            ("Account Signed Out", "account.signed_out"),
            ("Newsletter", "newsletter.tracked"),
            ("Größe gewählt", "gro_e.gewahlt"),
            ("404 Seen", "event_404.seen"),
            ("Level 42", "level.event_42"),
            ("Customer Updated", "event_customer.updated"),
            ("購入", "event.tracked"),
            ("", "event.tracked"),
        ] {
            assert_eq!(type_of(name), kind, "{name}");
        }
    }

    #[test]
    fn every_type_is_one_that_can_be_stored() {
        let long = "Word ".repeat(60);
        let odd = ["a", "_", "9", "a.b.c", "-- x --", "é", "a\u{0}b", &long];
        for name in odd.into_iter().chain(KNOWN.iter().map(|(name, _)| *name)) {
            let kind = type_of(name);
            assert!(crate::touchpoints::touchpoint_type(&kind).is_ok(), "{name}: {kind}");
        }
    }
}
