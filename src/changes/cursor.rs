//! A place in the feed, in a text that callers keep and give back.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::crypto::sha256;
use crate::db::WorkspaceId;
use crate::error::{Code, Error, Result};

/// Where a reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the feed, after this sequence.
    Feed(i64),
    /// In the log as it was when the feed was at `head`, after this id.
    Snapshot { head: i64, after: Uuid },
}

const FEED: u8 = b'f';
const SNAPSHOT: u8 = b's';

impl Place {
    /// The text of a place in a workspace. It is no secret: who may read the feed may begin anywhere.
    pub fn close(self, workspace: WorkspaceId) -> String {
        let (kind, sequence, id) = match self {
            Self::Feed(after) => (FEED, after, None),
            Self::Snapshot { head, after } => (SNAPSHOT, head, Some(after)),
        };
        let mut bytes = vec![kind];
        bytes.extend(mark(workspace));
        bytes.extend(sequence.to_be_bytes());
        bytes.extend(id.iter().flat_map(Uuid::as_bytes));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The place of a text of ours for this workspace; 400 for any other.
    pub fn open(cursor: &str, workspace: WorkspaceId) -> Result<Self> {
        let place = Self::try_open(cursor, workspace);
        place.ok_or_else(|| Error::new(Code::INVALID_CURSOR, "it is not a cursor of this feed"))
    }

    fn try_open(cursor: &str, workspace: WorkspaceId) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let rest = bytes.get(1..)?.strip_prefix(&mark(workspace))?;
        let (sequence, id) = rest.split_first_chunk::<8>()?;
        let sequence = Some(i64::from_be_bytes(*sequence)).filter(|it| *it >= 0)?;
        match bytes[0] {
            FEED if id.is_empty() => Some(Self::Feed(sequence)),
            SNAPSHOT => Some(Self::Snapshot { head: sequence, after: Uuid::from_slice(id).ok()? }),
            _ => None,
        }
    }
}

/// What tells the feed of one workspace from that of another.
fn mark(workspace: WorkspaceId) -> [u8; 4] {
    let [a, b, c, d, ..] = sha256(workspace.uuid().as_bytes());
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_opens_in_its_own_workspace_alone() {
        let (ours, theirs) = [1, 2].map(|n| WorkspaceId::trusted(Uuid::from_u128(n))).into();
        let places = [
            Place::Feed(0),
            Place::Feed(i64::MAX),
            Place::Snapshot { head: 7, after: Uuid::max() },
        ];
        for place in places {
            let cursor = place.close(ours);
            assert_eq!(Place::open(&cursor, ours).unwrap(), place);
            assert!(Place::open(&cursor, theirs).is_err());
            assert!(Place::open(&cursor[1..], ours).is_err());
            assert!(Place::open(&format!("{cursor}AA"), ours).is_err());
        }
        for text in ["", "f", "Zg", "not a cursor", "ZgAAAAAAAAAAAAAAAAAAAAA"] {
            assert!(Place::open(text, ours).is_err(), "{text}");
        }
    }
}
