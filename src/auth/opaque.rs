//! The shape that all our credential texts share: what it is, whose it is, chance, a check.
//!
//! `<prefix><workspace, 22 characters><random><CRC32 of all before, 6 characters>`, base62. The
//! workspace leads to the right rows; the check weeds out typing errors and scanners' false
//! alarms before anything is looked up. It is no protection: the random part is.

use uuid::Uuid;

use super::base62;
use crate::crypto::random;

const WORKSPACE: usize = base62::width(16);
const CHECK: usize = base62::width(4);

/// Characters after the prefix, with `random_bytes` of chance.
pub const fn length(random_bytes: usize) -> usize {
    WORKSPACE + base62::width(random_bytes) + CHECK
}

/// A new text with `N` random bytes.
pub fn compose<const N: usize>(prefix: &str, workspace: Uuid) -> String {
    let home = base62::encode(workspace.as_bytes());
    let body = format!("{prefix}{home}{}", base62::encode(&random::<N>()));
    format!("{body}{}", check(&body))
}

/// The workspace of a text that [`compose`] could have written with this prefix and `N`.
pub fn workspace_of<const N: usize>(prefix: &str, text: &str) -> Option<Uuid> {
    let body = text.strip_prefix(prefix)?;
    if body.len() != length(N) {
        return None;
    }
    let (home, rest) = body.split_at_checked(WORKSPACE)?;
    let (chance, tail) = rest.split_at_checked(base62::width(N))?;
    base62::decode::<N>(chance)?;
    let home = Uuid::from_bytes(base62::decode(home)?);
    (check(&text[..text.len() - tail.len()]) == tail).then_some(home)
}

/// The last `count` characters, which are all check digits for `count` up to 6.
pub fn tail(text: &str, count: usize) -> &str {
    &text[text.len() - count..]
}

fn check(body: &str) -> String {
    base62::encode(&crc32fast::hash(body.as_bytes()).to_be_bytes())
}
