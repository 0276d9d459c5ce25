//! Reads email addresses so that the same mailbox is recognised however it was typed.

use email_address::{EmailAddress, Options};
use unicode_normalization::UnicodeNormalization;

use super::text::{is_invisible, search_key};

/// Longest address, in characters (RFC 5321 section 4.5.3.1.3, less the angle brackets).
pub const MAX_CHARS: usize = 254;

/// An address that mail can be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    /// As it was given, without blanks around it; this is what mail is sent to.
    pub raw: String,
    /// For recognising: composed (NFKC) and lower case.
    pub norm: String,
}

impl Email {
    /// Reads one bare address with a dotted domain; `None` when it is not one.
    ///
    /// Refused: display names, domain literals, blanks, control and zero-width characters, a
    /// domain that ends in a dot. Kept apart: `ı` and `i`, `ß` and `ss`, a domain and its
    /// punycode, for a wrong match merges two people and a missed one does not.
    pub fn parse(raw: &str) -> Option<Self> {
        let raw = raw.trim();
        let norm = search_key(raw);
        // The syntax crate knows letters with accents, but not accents on their own: compose first.
        let composed: String = raw.nfc().collect();
        (is_address(&composed) && is_address(&norm)).then(|| Self { raw: raw.into(), norm })
    }
}

fn is_address(text: &str) -> bool {
    let options = Options::default().with_required_tld().without_domain_literal();
    text.chars().count() <= MAX_CHARS
        && !text.chars().any(|c| c.is_control() || c.is_whitespace() || is_invisible(c))
        && EmailAddress::parse_with_options(text, options.without_display_text()).is_ok()
        && text.rsplit_once('@').is_some_and(|(_, domain)| is_domain(domain))
}

/// Of ASCII only letters, digits, `-` and `.`; the syntax crate lets `!#$%&*` through.
fn is_domain(domain: &str) -> bool {
    domain.chars().all(|c| !c.is_ascii() || c.is_ascii_alphanumeric() || matches!(c, '-' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn norm(raw: &str) -> Option<String> {
        Email::parse(raw).map(|email| email.norm)
    }

    #[test]
    fn an_email_is_lowercased_and_composed_and_its_raw_form_kept() {
        let email = Email::parse("  Ann.JOSE\u{301}+x@Example.COM ").unwrap();
        assert_eq!(email.raw, "Ann.JOSE\u{301}+x@Example.COM");
        assert_eq!(email.norm, "ann.josé+x@example.com");
        assert_eq!(norm(&email.norm), Some(email.norm));
    }

    #[test]
    fn lookalikes_stay_different_people() {
        assert_ne!(norm("adm\u{131}n@example.com"), norm("admin@example.com"));
        assert_ne!(norm("straße@example.com"), norm("strasse@example.com"));
        assert_eq!(norm("straße@example.com"), norm("STRAẞE@example.com"));
        assert!(norm("a@münchen.de").is_some());
        assert_ne!(norm("a@münchen.de"), norm("a@xn--mnchen-3ya.de"));
        assert_eq!(norm("a@XN--MNCHEN-3YA.de").as_deref(), Some("a@xn--mnchen-3ya.de"));
    }

    #[test]
    fn what_mail_cannot_reach_is_refused() {
        let refused = [
            "",
            "ann",
            "ann@",
            "@example.com",
            "ann@example",
            "ann@example.com.",
            "a@.example.com",
            "ann@@example.com",
            "Ann <ann@example.com>",
            "ann@[127.0.0.1]",
            "a b@example.com",
            "\"a b\"@example.com",
            "ann@exa_mple.com",
            "ann@ex%61mple.com",
            "ann@-example.com",
            "ann\u{0}@example.com",
            "ann@example.com\n.x",
            "ann\u{200b}@example.com",
            "\u{feff}ann@example.com",
            "ann＠example.com",
            "ann@example．com",
            ".ann@example.com",
        ];
        for raw in refused {
            assert_eq!(Email::parse(raw), None, "{raw:?}");
        }
    }

    #[test]
    fn an_email_has_254_characters_at_most() {
        let domain =
            |n: usize| format!("{}.{}.{}.de", "a".repeat(63), "b".repeat(63), "c".repeat(n));
        let longest = format!("{}@{}", "x".repeat(64), domain(254 - 64 - 1 - 131));
        assert_eq!(longest.len(), 254);
        assert!(Email::parse(&longest).is_some());
        assert!(Email::parse(&format!("{}@{}", "x".repeat(64), domain(59))).is_none());
        assert!(Email::parse(&format!("{}@example.com", "\u{fdfa}".repeat(20))).is_none());
    }
}
