//! Locks up the passwords and keys of channels, so that a stolen database does not contain them.
//!
//! Every workspace has a data key that seals its values; the master key, which is not in the
//! database, seals the data keys. Every sealed value is bound to its place (workspace, table,
//! column, row, key version) and opens nowhere else. AES-256-GCM with a random 96-bit nonce: one
//! data key is good for 2^32 values (NIST SP 800-38D, 8.3).

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use uuid::Uuid;

use crate::crypto::{key_id, random, wipe};
use crate::error::{Error, Result};

/// First byte of every sealed value: AES-256-GCM, 12 bytes of nonce, ciphertext, 16 bytes of tag.
const FORMAT: u8 = 1;

/// 256 bits of key that are overwritten when no longer needed.
struct Key([u8; 32]);

impl Drop for Key {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// The key that opens the data keys. It comes from the environment and is never stored.
pub struct MasterKey(Key);

impl MasterKey {
    /// A new key, for development and for `ECRM_MASTER_KEY`.
    pub fn generate() -> Self {
        Self(Key(random()))
    }

    /// Reads 32 bytes in hexadecimal or base64 (either alphabet, padded or not).
    pub fn from_env_text(text: &str) -> Result<Self> {
        let text = text.trim();
        let hex = (text.len() == 64).then(|| from_hex(text)).flatten();
        hex.or_else(|| from_base64(text)).map(|key| Self(Key(key))).ok_or_else(|| {
            Error::internal("the master key must be 32 bytes in base64 or hexadecimal")
        })
    }

    /// The key as base64, to be kept where the next start finds it.
    pub fn reveal(&self) -> String {
        STANDARD.encode(self.0.0)
    }

    /// The name of the key, stored beside every data key that it sealed.
    pub fn id(&self) -> String {
        key_id(&self.0.0)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id())
    }
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut key = [0; 32];
    for (byte, pair) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
    }
    Some(key)
}

fn from_base64(text: &str) -> Option<[u8; 32]> {
    let text = text.trim_end_matches('=');
    let bytes = STANDARD_NO_PAD.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(text)).ok()?;
    bytes.try_into().ok()
}

/// The key that seals the values of one workspace.
pub struct DataKey(Key);

impl DataKey {
    /// A new key for a new workspace, or for the next version of an old one's.
    pub fn generate() -> Self {
        Self(Key(random()))
    }

    /// The key sealed by the master key, for the workspace's row: 61 bytes.
    pub fn wrap(&self, master: &MasterKey, workspace: Uuid) -> Vec<u8> {
        encrypt(&master.0, &wrapping(workspace), &self.0.0)
    }

    /// The inverse of [`DataKey::wrap`]; fails for another master key or another workspace.
    pub fn unwrap(wrapped: &[u8], master: &MasterKey, workspace: Uuid) -> Result<Self> {
        let mut bytes = decrypt(&master.0, &wrapping(workspace), wrapped);
        let key = bytes.as_deref().and_then(|bytes| bytes.try_into().ok()).map(Key).map(Self);
        bytes.iter_mut().for_each(|bytes| wipe(bytes));
        key.ok_or_else(|| {
            let id = master.id();
            Error::internal(format!("master key `{id}` does not open the key of `{workspace}`"))
        })
    }

    /// The key with which the workspace signs or hashes for one use. It follows from the data key,
    /// so it needs no place of its own, and tells nothing of it or of the keys for other uses.
    pub fn signing_key(&self, usage: &'static str) -> hmac::Key {
        let own = hmac::Key::new(hmac::HMAC_SHA256, &self.0.0);
        let derived = hmac::sign(&own, format!("ecrm:signing_key|{usage}").as_bytes());
        hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref())
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(***)")
    }
}

/// Where a sealed value belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// The workspace whose data key it is.
    pub workspace: Uuid,
    /// The table of the row.
    pub table: &'static str,
    /// The column of the value.
    pub column: &'static str,
    /// The row.
    pub row: Uuid,
    /// The version of the data key.
    pub version: i32,
}

impl Context {
    /// No part can contain the separator: the names are ours, the rest is hexadecimal or decimal.
    fn aad(&self) -> String {
        let Self { workspace, table, column, row, version } = self;
        format!("ecrm:value|{workspace}|{table}|{column}|{row}|{version}")
    }
}

/// Seals a value for one place; the same value never looks the same twice.
pub fn seal(key: &DataKey, context: &Context, plaintext: &[u8]) -> Vec<u8> {
    encrypt(&key.0, &context.aad(), plaintext)
}

/// Opens a value in the place that it was sealed for.
pub fn open(key: &DataKey, context: &Context, sealed: &[u8]) -> Result<Vec<u8>> {
    decrypt(&key.0, &context.aad(), sealed).ok_or_else(|| {
        let Context { table, column, row, .. } = context;
        Error::internal(format!("`{table}.{column}` of `{row}` is not sealed for this place"))
    })
}

fn wrapping(workspace: Uuid) -> String {
    format!("ecrm:data_key|{workspace}")
}

fn cipher(key: &Key) -> RandomizedNonceKey {
    RandomizedNonceKey::new(&AES_256_GCM, &key.0).expect("BUG: an AES-256 key has 32 bytes")
}

fn encrypt(key: &Key, aad: &str, plaintext: &[u8]) -> Vec<u8> {
    let mut text = plaintext.to_vec();
    let nonce = cipher(key)
        .seal_in_place_append_tag(Aad::from(aad), &mut text)
        .expect("BUG: values are far below the 64 GiB that AES-GCM can seal");
    [&[FORMAT], nonce.as_ref().as_slice(), &text].concat()
}

fn decrypt(key: &Key, aad: &str, sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, text) = sealed.strip_prefix(&[FORMAT])?.split_first_chunk::<NONCE_LEN>()?;
    let mut text = text.to_vec();
    let opened = cipher(key).open_in_place(Nonce::from(nonce), Aad::from(aad), &mut text);
    let length = opened.ok()?.len();
    text.truncate(length);
    Some(text)
}

/// A secret that came in with a request. It can be read and sealed, never printed or sent back.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Secret(String);

/// Serializes as stars: validators and logs that copy a value copy nothing.
impl serde::Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
        target.serialize_str("***")
    }
}

impl Secret {
    /// The secret itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The last four characters to recognise it by, unless it is so short that they give it away.
    pub fn last4(&self) -> Option<String> {
        let from = self.0.chars().count().checked_sub(4).filter(|hidden| *hidden >= 8)?;
        Some(self.0.chars().skip(from).collect())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        wipe(&mut std::mem::take(&mut self.0).into_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Context {
        Context {
            workspace: Uuid::now_v7(),
            table: "channels",
            column: "secret",
            row: Uuid::now_v7(),
            version: 1,
        }
    }

    #[test]
    fn a_sealed_value_opens_in_its_place_and_never_looks_the_same() {
        let (key, place) = (DataKey::generate(), place());
        for value in [b"".as_slice(), b"smtp password", &[7; 10_000]] {
            let sealed = seal(&key, &place, value);
            assert_eq!(sealed.len(), 1 + 12 + value.len() + 16);
            assert_eq!(open(&key, &place, &sealed).expect("ours"), value);
            assert_ne!(sealed, seal(&key, &place, value));
        }
    }

    #[test]
    fn a_sealed_value_moved_elsewhere_does_not_open() {
        let (key, home) = (DataKey::generate(), place());
        let sealed = seal(&key, &home, b"smtp password");
        for away in [
            Context { workspace: Uuid::now_v7(), ..home },
            Context { row: Uuid::now_v7(), ..home },
            Context { table: "webhooks", ..home },
            Context { column: "config", ..home },
            Context { version: 2, ..home },
        ] {
            assert!(open(&key, &away, &sealed).is_err(), "{away:?}");
        }
        assert!(open(&DataKey::generate(), &home, &sealed).is_err());
    }

    #[test]
    fn a_sealed_value_with_any_byte_changed_or_cut_does_not_open() {
        let (key, place) = (DataKey::generate(), place());
        let sealed = seal(&key, &place, b"smtp password");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open(&key, &place, &changed).is_err(), "byte {at} changed");
            assert!(open(&key, &place, &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_data_key_opens_only_with_its_master_key_in_its_workspace() {
        let (master, key, place) = (MasterKey::generate(), DataKey::generate(), place());
        let wrapped = key.wrap(&master, place.workspace);
        assert_eq!(wrapped.len(), 61);
        let again = DataKey::unwrap(&wrapped, &master, place.workspace).expect("ours");
        let sealed = seal(&key, &place, b"smtp password");
        assert_eq!(open(&again, &place, &sealed).expect("same key"), b"smtp password");
        assert!(DataKey::unwrap(&wrapped, &MasterKey::generate(), place.workspace).is_err());
        assert!(DataKey::unwrap(&wrapped, &master, Uuid::now_v7()).is_err());
        assert!(DataKey::unwrap(&wrapped[..60], &master, place.workspace).is_err());
        assert!(DataKey::unwrap(&[], &master, place.workspace).is_err());
    }

    #[test]
    fn a_signing_key_is_the_same_for_the_same_use_alone() {
        let key = DataKey::generate();
        let sign = |key: &DataKey, usage| hmac::sign(&key.signing_key(usage), b"text");
        let first = sign(&key, "links");
        assert_eq!(first.as_ref(), sign(&key, "links").as_ref());
        assert_ne!(first.as_ref(), sign(&key, "addresses").as_ref());
        assert_ne!(first.as_ref(), sign(&DataKey::generate(), "links").as_ref());
    }

    #[test]
    fn a_new_master_key_takes_over_by_rewrapping_without_touching_values() {
        let (old, new, place) = (MasterKey::generate(), MasterKey::generate(), place());
        let wrapped = DataKey::generate().wrap(&old, place.workspace);
        let key = DataKey::unwrap(&wrapped, &old, place.workspace).expect("old key");
        let sealed = seal(&key, &place, b"smtp password");
        let rewrapped = key.wrap(&new, place.workspace);
        let key = DataKey::unwrap(&rewrapped, &new, place.workspace).expect("new key");
        assert_eq!(open(&key, &place, &sealed).expect("untouched"), b"smtp password");
    }

    #[test]
    fn a_master_key_is_read_in_every_usual_spelling() {
        let master = MasterKey::generate();
        let bytes = master.0.0;
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let unpadded = URL_SAFE_NO_PAD.encode(bytes);
        for text in [master.reveal(), hex.to_uppercase(), hex, unpadded, master.reveal() + "\n"] {
            let read = MasterKey::from_env_text(&text).expect("a spelling of the key");
            assert_eq!((read.0.0, read.id()), (bytes, master.id()));
        }
        let short = STANDARD.encode([1; 31]);
        let long = STANDARD.encode([1; 33]);
        for text in ["", "secret", &"g".repeat(64), &"é".repeat(32), &short, &long] {
            assert!(MasterKey::from_env_text(text).is_err(), "{text}");
        }
    }

    #[test]
    fn nothing_prints_a_secret() {
        let master = MasterKey::generate();
        assert_eq!(format!("{master:?}"), format!("MasterKey({})", master.id()));
        assert_eq!(master.id().len(), 8);
        assert_eq!(format!("{:?}", DataKey::generate()), "DataKey(***)");
        let secret: Secret = serde_json::from_str(r#""hunter2hunter2""#).expect("a string");
        assert_eq!(format!("{secret:?}"), "***");
        assert_eq!(secret.reveal(), "hunter2hunter2");
        assert_eq!(secret.last4().as_deref(), Some("ter2"));
        assert_eq!(Secret::from("short-pass".to_owned()).last4(), None);
    }
}
