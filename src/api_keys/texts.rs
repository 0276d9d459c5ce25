//! The texts of new keys, on their short way to whoever asked for one.

use std::sync::Arc;

use serde::Deserialize;

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

    /// Puts the text into the answer that made its key.
    pub fn show(&self, reply: Reply) -> Result<Reply> {
        reply.showing("key", |body| {
            let sort = Sort::deserialize(body);
            let Sort { kind, livemode } =
                sort.map_err(|error| Error::internal(error.to_string()))?;
            Ok(self.of(kind, livemode).reveal().to_owned())
        })
    }
}

#[derive(Deserialize)]
struct Sort {
    kind: KeyKind,
    livemode: bool,
}
