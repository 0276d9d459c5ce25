//! Refresh tokens: what keeps a person signed in after the short token has run out.

use std::fmt;

use uuid::Uuid;

use super::opaque;
use crate::crypto::sha256;

const PREFIX: &str = "ecrm_rt_";
/// Random bytes in a refresh token: 256 bits.
const RANDOM: usize = 32;

/// The full text of a refresh token. Printing it shows its kind and last four characters only.
pub struct RefreshText {
    text: String,
    workspace: Uuid,
}

impl RefreshText {
    /// A new token for a session in a workspace.
    pub fn generate(workspace: Uuid) -> Self {
        Self { text: opaque::compose::<RANDOM>(PREFIX, workspace), workspace }
    }

    /// Reads a token that we could have made. Whether we did, only the stored hash knows.
    pub fn parse(text: &str) -> Option<Self> {
        let workspace = opaque::workspace_of::<RANDOM>(PREFIX, text)?;
        Some(Self { text: text.into(), workspace })
    }

    /// The workspace in which the session lives.
    pub fn workspace(&self) -> Uuid {
        self.workspace
    }

    /// What we store and look up: SHA-256 of the whole text.
    pub fn hash(&self) -> [u8; 32] {
        sha256(self.text.as_bytes())
    }

    /// The text itself, for the answer that hands it out.
    pub fn reveal(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for RefreshText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}…{}", opaque::tail(&self.text, 4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::key::{KeyKind, KeyText};

    #[test]
    fn a_refresh_token_tells_its_workspace_and_nothing_when_printed() {
        let token = RefreshText::generate(Uuid::now_v7());
        let read = RefreshText::parse(token.reveal()).expect("our own token");
        assert_eq!(read.workspace(), token.workspace());
        assert_eq!(read.hash(), token.hash());
        assert_eq!(format!("{token:?}").chars().count(), PREFIX.len() + 5);
        assert_eq!(token.reveal().len(), 79);
    }

    #[test]
    fn a_changed_refresh_token_or_a_key_is_refused() {
        let token = RefreshText::generate(Uuid::now_v7());
        let swapped = token.reveal().replacen("ecrm_rt_", "ecrm_sk_", 1);
        assert!(RefreshText::parse(&swapped).is_none());
        assert!(KeyText::parse(token.reveal()).is_none());
        assert!(RefreshText::parse(&token.reveal()[..78]).is_none());
        let key = KeyText::generate(KeyKind::Secret, true, Uuid::now_v7());
        assert!(RefreshText::parse(key.reveal()).is_none());
    }
}
