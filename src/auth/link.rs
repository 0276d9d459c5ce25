//! Links that work once: what they carry is chance, and what is stored is its hash.

use uuid::Uuid;

use super::opaque;
use crate::crypto::sha256;

/// Random bytes in a link: 256 bits.
const RANDOM: usize = 32;

/// The text of a link, whose kind its prefix says.
pub struct LinkText {
    text: String,
    workspace: Uuid,
}

impl LinkText {
    /// A new link into a workspace.
    pub fn generate(prefix: &str, workspace: Uuid) -> Self {
        Self { text: opaque::compose::<RANDOM>(prefix, workspace), workspace }
    }

    /// Reads a link that we could have made. Whether we did, only the stored hash knows.
    pub fn parse(prefix: &str, text: &str) -> Option<Self> {
        let workspace = opaque::workspace_of::<RANDOM>(prefix, text)?;
        Some(Self { text: text.into(), workspace })
    }

    /// The workspace that it leads into.
    pub fn workspace(&self) -> Uuid {
        self.workspace
    }

    /// What is stored and looked up: SHA-256 of the whole text.
    pub fn hash(&self) -> [u8; 32] {
        sha256(self.text.as_bytes())
    }

    /// The text itself, for the answer that hands it out.
    pub fn reveal(&self) -> &str {
        &self.text
    }
}
