//! Signatures as Standard Webhooks 1.0.0 wants them, and the keys that make them.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::{Error, Result};

crate::text_enum! {
    /// How a message is signed: `v1` with the shared secret (HMAC-SHA256), `v1a` with the endpoint's
    /// own key pair (Ed25519).
    pub enum WebhookSignature {
        V1 = "v1",
        V1a = "v1a",
    }
}

/// Signs what an endpoint is sent. The content is the id, the time in Unix seconds and the body, with
/// points between.
pub struct Signer {
    secrets: Vec<hmac::Key>,
    pair: Option<Ed25519KeyPair>,
}

impl Signer {
    /// With every secret that is valid now, the newest first, and the key pair where it is asked for.
    pub fn new(kinds: &[WebhookSignature], secrets: &[&[u8]], seed: &[u8]) -> Result<Self> {
        let secrets = if kinds.contains(&WebhookSignature::V1) { secrets } else { &[] };
        let key = |secret: &&[u8]| hmac::Key::new(hmac::HMAC_SHA256, secret);
        let pair = kinds.contains(&WebhookSignature::V1a).then(|| pair(seed)).transpose()?;
        Ok(Self { secrets: secrets.iter().map(key).collect(), pair })
    }

    /// The value of `webhook-signature`.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let content = [id.as_bytes(), format!(".{timestamp}.").as_bytes(), body].concat();
        let shared = self
            .secrets
            .iter()
            .map(|key| format!("v1,{}", STANDARD.encode(hmac::sign(key, &content))));
        let own =
            self.pair.iter().map(|pair| format!("v1a,{}", STANDARD.encode(pair.sign(&content))));
        shared.chain(own).collect::<Vec<_>>().join(" ")
    }
}

fn pair(seed: &[u8]) -> Result<Ed25519KeyPair> {
    Ed25519KeyPair::from_seed_unchecked(seed)
        .map_err(|_rejected| Error::internal("the private key of a webhook endpoint is broken"))
}

/// A secret as receivers write it down.
pub fn secret_text(secret: &[u8]) -> String {
    format!("whsec_{}", STANDARD.encode(secret))
}

/// The public key that belongs to a seed, as receivers write it down.
pub fn public_key_text(seed: &[u8]) -> Result<String> {
    Ok(format!("whpk_{}", STANDARD.encode(pair(seed)?.public_key())))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

    use super::*;

    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const TIMESTAMP: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    fn secret() -> Vec<u8> {
        STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()
    }

    #[test]
    fn the_test_vector_of_standard_webhooks_is_met() {
        let signer = Signer::new(&[WebhookSignature::V1], &[&secret()], &[]).unwrap();
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signer.sign(ID, TIMESTAMP, BODY), expected);
        assert_eq!(secret_text(&secret()), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    }

    #[test]
    fn all_valid_secrets_sign_the_newest_first_and_then_the_key_pair() {
        let seed = [7; 32];
        let kinds = [WebhookSignature::V1, WebhookSignature::V1a];
        let signer = Signer::new(&kinds, &[&[1; 32], &secret()], &seed).unwrap();
        let all = signer.sign(ID, TIMESTAMP, BODY);
        let [newest, older, own] = all.split(' ').collect::<Vec<_>>().try_into().unwrap();
        assert!(newest.starts_with("v1,") && newest != older);
        assert_eq!(older, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let public = public_key_text(&seed).unwrap();
        let public = STANDARD.decode(public.strip_prefix("whpk_").unwrap()).unwrap();
        let signature = STANDARD.decode(own.strip_prefix("v1a,").unwrap()).unwrap();
        let content = [ID.as_bytes(), b".1614265330.", BODY].concat();
        UnparsedPublicKey::new(&ED25519, public).verify(&content, &signature).unwrap();
    }

    /// RFC 8032, 7.1, test 1.
    #[test]
    fn a_seed_gives_its_published_public_key() {
        let hex = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let seed: Vec<u8> = (0..64).step_by(2).map(byte).collect();
        let expected = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
        assert_eq!(public_key_text(&seed).unwrap(), expected);
    }

    #[test]
    fn what_is_not_asked_for_does_not_sign() {
        let signer = Signer::new(&[WebhookSignature::V1a], &[&secret()], &[7; 32]).unwrap();
        assert!(signer.sign(ID, TIMESTAMP, BODY).starts_with("v1a,"));
        assert!(Signer::new(&[WebhookSignature::V1a], &[], &[7; 3]).is_err());
    }
}
