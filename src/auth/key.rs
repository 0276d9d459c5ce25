//! API keys as text: what a shop's server, web page or portal shows us to say who it is.
//!
//! The text is shown once, when the key is made; we keep its SHA-256, its beginning and its last
//! four characters. A hash without salt or stretching is enough for 160 random bits.

use std::fmt;

use uuid::Uuid;

use super::opaque;
use crate::crypto::sha256;

/// What secret scanners look for (gitleaks, GitHub custom patterns): every key and refresh token.
///
/// Hits can be confirmed without asking us: the last 6 characters are the base62 CRC32 of all
/// before them. Write keys (`ecrm_wk_`) are made to be public and may be exempted.
pub const SCAN_PATTERN: &str =
    r"\becrm_(?:(?:sk|wk|pk)_(?:test_)?[0-9A-Za-z]{55}|rt_[0-9A-Za-z]{71})\b";

/// Random bytes in a key: 160 bits.
const RANDOM: usize = 20;

crate::text_enum! {
    /// Who is meant to hold a key.
    pub enum KeyKind {
        /// A server: whatever its scopes allow.
        Secret = "secret",
        /// A web page or app: may only report touchpoints, so it may be public.
        Write = "write",
        /// The server of a customer portal: it lets customers in, and reads nothing itself.
        Portal = "portal",
    }
}

impl KeyKind {
    const EVERY: [Self; 3] = [Self::Secret, Self::Write, Self::Portal];

    fn text_prefix(self, livemode: bool) -> &'static str {
        match (self, livemode) {
            (Self::Secret, true) => "ecrm_sk_",
            (Self::Secret, false) => "ecrm_sk_test_",
            (Self::Write, true) => "ecrm_wk_",
            (Self::Write, false) => "ecrm_wk_test_",
            (Self::Portal, true) => "ecrm_pk_",
            (Self::Portal, false) => "ecrm_pk_test_",
        }
    }
}

/// The full text of a key. Printing it shows the beginning and the last four characters only.
pub struct KeyText {
    text: String,
    kind: KeyKind,
    livemode: bool,
    workspace: Uuid,
}

impl KeyText {
    /// A new key for a workspace; a test key (`livemode` false) never touches live data.
    pub fn generate(kind: KeyKind, livemode: bool, workspace: Uuid) -> Self {
        let text = opaque::compose::<RANDOM>(kind.text_prefix(livemode), workspace);
        Self { text, kind, livemode, workspace }
    }

    /// Reads a key that we could have made. Whether we did make it, only the stored hash knows.
    pub fn parse(text: &str) -> Option<Self> {
        KeyKind::EVERY.into_iter().flat_map(|kind| [(kind, true), (kind, false)]).find_map(
            |(kind, livemode)| {
                let prefix = kind.text_prefix(livemode);
                let workspace = opaque::workspace_of::<RANDOM>(prefix, text)?;
                Some(Self { text: text.into(), kind, livemode, workspace })
            },
        )
    }

    /// The workspace the key was made for.
    pub fn workspace(&self) -> Uuid {
        self.workspace
    }

    /// Who is meant to hold the key.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Whether the key sees live data; its test twin sees test data only.
    pub fn livemode(&self) -> bool {
        self.livemode
    }

    /// What we store and look up: SHA-256 of the whole text.
    pub fn hash(&self) -> [u8; 32] {
        sha256(self.text.as_bytes())
    }

    /// The first 16 characters: kind, mode and the first of the workspace, nothing secret.
    pub fn prefix(&self) -> String {
        self.text[..16].into()
    }

    /// The last four characters, by which people tell keys apart: check digits, nothing secret.
    pub fn last4(&self) -> String {
        opaque::tail(&self.text, 4).into()
    }

    /// The text itself, to be shown once.
    pub fn reveal(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…{}", self.prefix(), self.last4())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::refresh;
    use super::*;

    fn every_sort() -> impl Iterator<Item = KeyText> {
        KeyKind::EVERY.into_iter().flat_map(|kind| {
            [true, false].map(|livemode| KeyText::generate(kind, livemode, Uuid::now_v7()))
        })
    }

    #[test]
    fn a_key_tells_its_kind_mode_and_workspace() {
        for key in every_sort() {
            let read = KeyText::parse(key.reveal()).expect("our own key");
            assert_eq!(read.kind(), key.kind());
            assert_eq!(read.livemode(), key.livemode());
            assert_eq!(read.workspace(), key.workspace());
            assert_eq!(read.hash(), key.hash());
            assert_eq!(key.kind().as_str().parse(), Ok(key.kind()));
        }
        let key = KeyText::generate(KeyKind::Secret, false, Uuid::nil());
        assert!(key.reveal().starts_with("ecrm_sk_test_0000000000000000000000"));
        assert_eq!(key.reveal().len(), 68);
    }

    #[test]
    fn two_keys_of_one_workspace_differ() {
        let [a, b] = [0; 2].map(|_| KeyText::generate(KeyKind::Secret, true, Uuid::nil()));
        assert_ne!(a.reveal(), b.reveal());
        assert_ne!(a.hash(), b.hash());
    }

    #[test]
    fn a_key_with_any_one_character_changed_is_refused() {
        let key = KeyText::generate(KeyKind::Secret, true, Uuid::now_v7());
        for at in 0..key.reveal().len() {
            let mut bytes = key.reveal().as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
            let text = String::from_utf8(bytes).expect("ASCII");
            assert!(KeyText::parse(&text).is_none(), "character {at} changed");
        }
    }

    #[test]
    fn a_text_that_is_no_key_is_refused() {
        let key = KeyText::generate(KeyKind::Write, true, Uuid::now_v7());
        let text = key.reveal();
        let moved = text.replacen("ecrm_wk_", "ecrm_sk_", 1);
        let tested = text.replacen("ecrm_wk_", "ecrm_wk_test_", 1);
        let wide = "ecrm_sk_".to_owned() + &"é".repeat(27) + "0";
        let odd = ["", "ecrm_sk_", "ecrm_sk_test_", "Bearer", &moved, &tested, &wide];
        for text in odd.into_iter().map(ToOwned::to_owned).chain([
            format!("{text}0"),
            format!("{text} "),
            format!(" {text}"),
            text[1..].to_owned(),
            text[..text.len() - 1].to_owned(),
            text.to_uppercase(),
        ]) {
            assert!(KeyText::parse(&text).is_none(), "{text}");
        }
    }

    #[test]
    fn printing_a_key_does_not_show_it() {
        let key = KeyText::generate(KeyKind::Secret, true, Uuid::now_v7());
        let shown = format!("{key:?}");
        assert_eq!(shown, format!("{}…{}", &key.reveal()[..16], &key.reveal()[59..]));
        assert!(!key.reveal().contains(&shown));
    }

    #[test]
    fn scanners_find_every_key_in_other_text_and_nothing_else() {
        let schema = json!({ "type": "string", "pattern": SCAN_PATTERN });
        let found = |text: &str| jsonschema::is_valid(&schema, &json!(text));
        for key in every_sort() {
            assert!(found(&format!("curl -H \"Authorization: Bearer {}\"", key.reveal())));
            assert!(found(&format!("ECRM_KEY={}\n", key.reveal())));
            assert!(!found(&key.reveal()[..key.reveal().len() - 1]));
            assert!(!found(&format!("{}0", key.reveal())));
        }
        assert!(found(refresh::generate(Uuid::now_v7()).reveal()));
        assert!(!found("ecrm_sk_…") && !found("ecrm_sk_test_"));
    }
}
