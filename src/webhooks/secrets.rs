//! The secrets of an endpoint: sealed in the database, told once, two at a time while one replaces the
//! other.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::sign::{self, Signer, WebhookSignature};
use crate::crypto::random;
use crate::db::{Conn, WorkspaceId};
use crate::error::{Error, Result};
use crate::http::Reply;
use crate::seal::{self, Context};

/// What an endpoint's messages are signed with.
#[derive(Clone, Serialize, Deserialize)]
pub struct Secrets {
    current: [u8; 32],
    /// The one before the last rotation.
    previous: Option<[u8; 32]>,
    /// Of the key pair, which stays for the endpoint's life.
    seed: [u8; 32],
}

impl Secrets {
    pub fn generate() -> Self {
        Self { current: random(), previous: None, seed: random() }
    }

    /// The same with a new secret before the old one.
    pub fn rotated(&self, new: &NewSecret) -> Self {
        Self { current: new.0, previous: Some(self.current), seed: self.seed }
    }

    /// The secret that is told once.
    pub fn newest(&self) -> NewSecret {
        NewSecret(self.current)
    }

    pub fn public_key(&self) -> Result<String> {
        sign::public_key_text(&self.seed)
    }

    /// Signs with all that is valid now.
    pub fn signer(
        &self,
        kinds: &[WebhookSignature],
        previous_expires_at: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<Signer> {
        let is_valid = previous_expires_at.is_some_and(|at| at > now);
        let previous = self.previous.iter().filter(|_| is_valid);
        let secrets: Vec<&[u8]> =
            std::iter::once(&self.current).chain(previous).map(<[u8; 32]>::as_slice).collect();
        Signer::new(kinds, &secrets, &self.seed)
    }

    pub fn seal(&self, conn: &mut Conn, endpoint: Uuid) -> Result<Vec<u8>> {
        let bytes = serde_json::to_vec(self).map_err(|error| Error::internal(error.to_string()))?;
        Ok(seal::seal(&*conn.data_key()?, &place(conn.workspace, endpoint), &bytes))
    }

    pub fn open(conn: &mut Conn, endpoint: Uuid, sealed: &[u8]) -> Result<Self> {
        let bytes = seal::open(&*conn.data_key()?, &place(conn.workspace, endpoint), sealed)?;
        // The parser's own words may quote what it read.
        serde_json::from_slice(&bytes)
            .map_err(|_quoting| Error::internal("the sealed secrets of a webhook are not JSON"))
    }
}

fn place(workspace: WorkspaceId, endpoint: Uuid) -> Context {
    Context {
        workspace: workspace.uuid(),
        table: "webhook_endpoints",
        column: "sealed",
        row: endpoint,
        version: 1,
    }
}

/// A secret on its short way to whoever asked for one; it never gets into the answer that is kept for
/// replays.
#[derive(Clone)]
pub struct NewSecret([u8; 32]);

impl NewSecret {
    pub fn generate() -> Self {
        Self(random())
    }

    /// Puts the secret into the answer that made it.
    pub fn show(&self, reply: Reply) -> Result<Reply> {
        reply.showing("secret", |_| Ok(sign::secret_text(&self.0)))
    }
}
