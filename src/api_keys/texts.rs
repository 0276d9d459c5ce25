//! The texts of new keys, on their short way to whoever asked for one.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::auth::key::{KeyKind, KeyText};
use crate::db::WorkspaceId;
use crate::error::{Error, Result};
use crate::http::Reply;

/// New texts, one for every kind and mode. Which one a key gets is decided in its transaction, and
/// none may get into the answer that is kept for replays.
#[derive(Clone)]
pub struct Texts(Arc<Vec<KeyText>>);

impl Texts {
    pub fn generate(home: WorkspaceId) -> Self {
        let kinds = [KeyKind::Secret, KeyKind::Write, KeyKind::Portal];
        let sorts = kinds.into_iter().flat_map(|kind| [(kind, true), (kind, false)]);
        let home = home.uuid();
        Self(Arc::new(sorts.map(|(kind, mode)| KeyText::generate(kind, mode, home)).collect()))
    }

    pub fn of(&self, kind: KeyKind, livemode: bool) -> &KeyText {
        let mut texts = self.0.iter();
        texts
            .find(|text| text.kind() == kind && text.livemode() == livemode)
            .expect("BUG: there is a text of every kind and mode")
    }

    pub fn take(self, kind: KeyKind, livemode: bool) -> Option<KeyText> {
        KeyText::parse(self.of(kind, livemode).reveal())
    }

    /// Puts the text into the answer that made its key; replays and refusals stay as they are.
    pub fn show(&self, mut reply: Reply) -> Result<Reply> {
        let is_replay = reply.headers.iter().any(|(name, _)| name == "Idempotent-Replayed");
        if is_replay || reply.status != 201 {
            return Ok(reply);
        }
        let broken = |error: serde_json::Error| Error::internal(error.to_string());
        let mut body: Value = serde_json::from_slice(&reply.body).map_err(broken)?;
        let Sort { kind, livemode } = Sort::deserialize(&body).map_err(broken)?;
        body["key"] = json!(self.of(kind, livemode).reveal());
        reply.body = serde_json::to_vec(&body).map_err(broken)?;
        Ok(reply)
    }
}

#[derive(Deserialize)]
struct Sort {
    kind: KeyKind,
    livemode: bool,
}
