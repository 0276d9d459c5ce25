//! Texts that open one thing: what they carry is chance, and what is stored is its hash.

use std::fmt;

use uuid::Uuid;

use super::opaque;
use crate::crypto::sha256;

/// Random bytes in a text: 256 bits.
const RANDOM: usize = 32;

/// The full text. Printing it shows its kind and last four characters only.
pub struct SecretText {
    prefix: &'static str,
    text: String,
    workspace: Uuid,
}

impl SecretText {
    /// A new text of the kind that `prefix` says, for a workspace.
    pub fn generate(prefix: &'static str, workspace: Uuid) -> Self {
        Self { prefix, text: opaque::compose::<RANDOM>(prefix, workspace), workspace }
    }

    /// Reads a text that we could have made. Whether we did, only the stored hash knows.
    pub fn parse(prefix: &'static str, text: &str) -> Option<Self> {
        let workspace = opaque::workspace_of::<RANDOM>(prefix, text)?;
        Some(Self { prefix, text: text.into(), workspace })
    }

    /// The workspace that it leads into.
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

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…{}", self.prefix, opaque::tail(&self.text, 4))
    }
}
