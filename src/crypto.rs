//! The few building blocks that keep secrets secret, all from one audited library.

use std::hint::black_box;
use std::sync::Arc;

use aws_lc_rs::{digest, rand};

/// `N` unpredictable bytes from the operating system's generator.
///
/// Panics if there is no randomness to be had: nothing that follows would be safe.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("BUG: the random number generator does not work");
    bytes
}

/// What our own requests to others speak TLS with.
pub fn tls() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// SHA-256 (FIPS 180-4).
pub fn sha256(data: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, data).as_ref());
    hash
}

/// Bytes in hexadecimal, two lower-case digits each.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Name of a secret key that may be stored and logged: the first 8 hex digits of its SHA-256.
pub fn key_id(key: &[u8]) -> String {
    hex(&sha256(key)[..4])
}

/// Overwrites a secret that is no longer needed.
///
/// Best effort: copies the compiler or the allocator made are out of reach.
pub fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    // Without a reader the compiler may drop the write to memory about to be freed.
    black_box(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_gives_the_published_test_vector() {
        assert_eq!(sha256(b"abc")[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(key_id(b"abc"), "ba7816bf");
    }

    #[test]
    fn two_random_values_differ() {
        assert_ne!(random::<16>(), random::<16>());
    }

    #[test]
    fn a_wiped_secret_is_gone() {
        let mut secret = *b"secret";
        wipe(&mut secret);
        assert_eq!(secret, [0; 6]);
    }
}
