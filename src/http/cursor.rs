//! Where a page ends, in a text that nobody can forge, stretch or carry to another list.

use aws_lc_rs::{constant_time, digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::Value;

use crate::db::keyset::{Bound, Order, SortKey, SortKind};
use crate::error::{Code, Error, Result};

/// Signs the cursors of one list and opens no others.
#[derive(Debug, Clone)]
pub struct CursorSeal {
    key: hmac::Key,
    context: Vec<u8>,
}

const TAG_BYTES: usize = 16;

impl CursorSeal {
    /// Bound to a place: workspace, list, sort and filters.
    pub fn new(key: hmac::Key, place: &impl Serialize) -> Result<Self> {
        let place = serde_json::to_vec(place).map_err(broken)?;
        Ok(Self { key, context: digest::digest(&digest::SHA256, &place).as_ref().to_vec() })
    }

    /// The cursor that goes on after `last`, a row as it is answered.
    pub fn close<T: Serialize>(&self, last: &T, order: &Order) -> Result<String> {
        let row = serde_json::to_value(last).map_err(broken)?;
        let values: Vec<&Value> = order.0.iter().map(|term| field(&row, &term.key)).collect();
        let mut bytes = serde_json::to_vec(&values).map_err(broken)?;
        let tag = self.tag(&bytes);
        bytes.extend_from_slice(&tag.as_ref()[..TAG_BYTES]);
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The position in a cursor of ours; 400 for any other text.
    pub fn open(&self, cursor: &str, order: &Order) -> Result<Vec<Bound>> {
        let opened = self.try_open(cursor, order);
        opened.ok_or_else(|| Error::new(Code::INVALID_CURSOR, "start again without `cursor`"))
    }

    fn try_open(&self, cursor: &str, order: &Order) -> Option<Vec<Bound>> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (payload, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG_BYTES)?)?;
        let expected = self.tag(payload);
        constant_time::verify_slices_are_equal(tag, &expected.as_ref()[..TAG_BYTES]).ok()?;
        let values: Vec<Value> = serde_json::from_slice(payload).ok()?;
        let terms = order.0.iter().zip(&values);
        let bounds: Vec<Bound> =
            terms.map(|(term, value)| Bound::parse(term.key.kind, value)).collect::<Option<_>>()?;
        (bounds.len() == order.0.len()).then_some(bounds)
    }

    fn tag(&self, payload: &[u8]) -> hmac::Tag {
        let mut signed = self.context.clone();
        signed.extend_from_slice(payload);
        hmac::sign(&self.key, &signed)
    }
}

fn broken(error: serde_json::Error) -> Error {
    Error::internal(error.to_string())
}

/// The value a row shows for a sort key. `created_at` sorts by id: ids are made in that order. A row
/// that is about another record has that one's id, under the key's own name.
fn field<'r>(row: &'r Value, key: &SortKey) -> &'r Value {
    let name = match key.kind {
        SortKind::Id if !row["id"].is_null() => "id",
        SortKind::Id | SortKind::Text | SortKind::Time | SortKind::Number => key.name,
    };
    &row[name]
}

#[cfg(test)]
mod tests;
