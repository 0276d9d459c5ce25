//! Refresh tokens: what keeps a person signed in after the short token has run out.

use uuid::Uuid;

use super::secret_text::SecretText;

const PREFIX: &str = "ecrm_rt_";

/// A new token for a session in a workspace.
pub fn generate(workspace: Uuid) -> SecretText {
    SecretText::generate(PREFIX, workspace)
}

/// Reads a token that we could have made.
pub fn parse(text: &str) -> Option<SecretText> {
    SecretText::parse(PREFIX, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::key::{KeyKind, KeyText};

    #[test]
    fn a_refresh_token_tells_its_workspace_and_nothing_when_printed() {
        let token = generate(Uuid::now_v7());
        let read = parse(token.reveal()).expect("our own token");
        assert_eq!(read.workspace(), token.workspace());
        assert_eq!(read.hash(), token.hash());
        assert_eq!(format!("{token:?}").chars().count(), PREFIX.len() + 5);
        assert_eq!(token.reveal().len(), 79);
    }

    #[test]
    fn a_changed_refresh_token_or_a_key_is_refused() {
        let token = generate(Uuid::now_v7());
        let swapped = token.reveal().replacen("ecrm_rt_", "ecrm_sk_", 1);
        assert!(parse(&swapped).is_none());
        assert!(KeyText::parse(token.reveal()).is_none());
        assert!(parse(&token.reveal()[..78]).is_none());
        let key = KeyText::generate(KeyKind::Secret, true, Uuid::now_v7());
        assert!(parse(key.reveal()).is_none());
    }
}
