//! Passwords of the people who work with the system: which are good enough, and proving them.
//!
//! [`hash`] and [`verify`] take 20 to 40 ms of one core and 19 MiB by design (release build):
//! call them from a blocking thread, never inside a transaction, and limit how many run at once.

use std::collections::HashSet;

use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use unicode_normalization::UnicodeNormalization;

use crate::crypto::random;
use crate::error::{Error, FieldError, Result};

/// Characters that a password has at least and at most.
pub const LENGTH: std::ops::RangeInclusive<usize> = 12..=128;

/// Different characters that a password has at least: `abababababab` is as good as nothing.
const DISTINCT: usize = 4;

/// The hash of no password, so that an unknown user costs as much time as a known one.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$\
                      AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Whether a new password may be set; else `weak_password` at `#/password`.
///
/// Length matters, mixtures of character classes do not (NIST SP 800-63B, 5.1.1.2).
pub fn check(password: &str) -> Result<(), FieldError> {
    let characters: Vec<char> = normal(password).chars().collect();
    if !LENGTH.contains(&characters.len()) {
        return weak("`password` must have 12 to 128 characters");
    }
    if characters.iter().collect::<HashSet<_>>().len() < DISTINCT {
        return weak("`password` must have at least 4 different characters");
    }
    Ok(())
}

/// What we store of a password: argon2id in PHC form, with a salt of its own.
pub fn hash(password: &str) -> Result<String> {
    hasher()
        .hash_password_with_salt(normal(password).as_bytes(), &random::<16>())
        .map(|hash| hash.to_string())
        .map_err(|error| Error::internal(format!("argon2: {error}")))
}

/// Whether the password is the one stored. Without a stored hash it takes as long and says no,
/// so that the time does not tell who has an account.
pub fn verify(password: &str, stored: Option<&str>) -> bool {
    let matches =
        hasher().verify_password(normal(password).as_bytes(), stored.unwrap_or(NOBODY)).is_ok();
    matches && stored.is_some()
}

/// argon2id with 19 MiB, 2 passes, 1 lane: the OWASP Password Storage Cheat Sheet's choice and
/// the library's default; a test holds both together.
fn hasher() -> Argon2<'static> {
    Argon2::default()
}

/// One spelling for characters that keyboards compose differently (NIST SP 800-63B: NFKC).
fn normal(password: &str) -> String {
    password.nfkc().collect()
}

fn weak(detail: &str) -> Result<(), FieldError> {
    Err(FieldError::at("#/password", "weak_password", detail))
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::Error;
    use argon2::password_hash::phc::PasswordHash;

    use super::*;

    const GOOD: &str = "correct horse battery";

    #[test]
    fn a_password_is_hashed_with_the_parameters_of_owasp() {
        let stored = hash(GOOD).expect("hash");
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert_eq!(stored.len(), NOBODY.len());
        assert_ne!(stored, hash(GOOD).expect("hash"), "every hash has its own salt");
    }

    #[test]
    fn only_the_right_password_is_accepted() {
        let stored = hash(GOOD).expect("hash");
        assert!(verify(GOOD, Some(&stored)));
        assert!(!verify("correct horse batterz", Some(&stored)));
        assert!(!verify("", Some(&stored)));
        assert!(!verify(GOOD, Some("not a hash")));
        assert!(!verify("", None));
    }

    #[test]
    fn an_accent_typed_as_one_key_or_two_is_the_same_password() {
        let stored = hash("caf\u{e9} au lait").expect("hash");
        assert!(verify("cafe\u{301} au lait", Some(&stored)));
    }

    /// Compared by what is computed, not by the clock: a busy machine tells nothing about time.
    #[test]
    fn an_unknown_user_costs_as_much_as_a_wrong_password() {
        let stored = hash(GOOD).expect("hash");
        let stored = PasswordHash::new(&stored).expect("a hash");
        let nobody = PasswordHash::new(NOBODY).expect("a hash");
        assert_eq!((nobody.algorithm, nobody.version), (stored.algorithm, stored.version));
        assert_eq!(nobody.params, stored.params);
        let size = |hash: &PasswordHash| hash.hash.map(|output| output.len());
        assert_eq!(size(&nobody), size(&stored));
        // Refused after the whole computation, not for being no hash.
        let refused = hasher().verify_password(GOOD.as_bytes(), NOBODY);
        assert_eq!(refused, Err(Error::PasswordInvalid));
    }

    #[test]
    fn a_weak_password_is_refused() {
        let long = "abcd".repeat(33);
        for weak in ["", "short", "elevenchars", "aaaaaaaaaaaa", "abababababab", &long] {
            let error = check(weak).expect_err(weak);
            assert_eq!((error.code.as_ref(), error.pointer.as_deref()), {
                ("weak_password", Some("#/password"))
            });
        }
        for good in [GOOD, "twelve chars", "пароль-пароль", &"abcd".repeat(32)] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }
}
