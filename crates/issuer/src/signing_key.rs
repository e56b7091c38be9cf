use ed25519_dalek::{
    Signer, VerifyingKey,
    hazmat::{ExpandedSecretKey, raw_sign},
};
use keyward_core::{
    KeyState, Kid, ManifestKey, PublicKey, Role, Signature, Signed,
    codec::{base64url, decode_base64url_exact},
};
use serde::Serialize;
use sha2::{Digest, Sha512};
use zeroize::{Zeroize, Zeroizing};

/// An Ed25519 signing key (RFC 8032). Its secret is wiped when dropped and never shown by `Debug`.
pub struct SigningKey {
    dalek: ed25519_dalek::SigningKey,
    public: PublicKey,
    kid: Kid,
}

/// Why something is not signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignError {
    /// The payload has no JSON form.
    Payload,
    /// It would be longer than a reader takes.
    TooLong,
}

impl core::fmt::Display for SignError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Payload => "the payload has no JSON form",
            Self::TooLong => "the signed object would be longer than a reader takes",
        })
    }
}

impl core::error::Error for SignError {}

impl SigningKey {
    /// The key of a seed of 32 random bytes (RFC 8032 section 5.1.5).
    pub fn from_seed(mut seed: [u8; 32]) -> Self {
        let dalek = ed25519_dalek::SigningKey::from_bytes(&seed);
        seed.zeroize();
        let public = match PublicKey::from_bytes(dalek.verifying_key().as_bytes()) {
            Ok(public) => public,
            // A clamped scalar is a multiple of 8 below the group order times 8 and not zero: its point is canonical
            // and of large order.
            Err(_) => unreachable!("a derived public key is canonical and of large order"),
        };
        let kid = public.kid();
        Self { dalek, public, kid }
    }

    /// The key of a seed in base64url; `None` where it is not 32 bytes of it.
    pub fn from_text(text: &str) -> Option<Self> {
        decode_base64url_exact(text.trim()).map(Self::from_seed)
    }

    /// The seed, to be sealed.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.dalek.to_bytes())
    }

    /// Its public half.
    pub fn public_key(&self) -> PublicKey {
        self.public.clone()
    }

    /// Its name.
    pub const fn kid(&self) -> Kid {
        self.kid
    }

    /// As it stands in a manifest.
    pub fn manifest_key(&self, role: Role, state: KeyState, exp: Option<u64>) -> ManifestKey {
        ManifestKey { kid: self.kid, x: self.public.clone(), role, state, exp }
    }

    /// A payload as a signed object of its kind (compact JWS, RFC 7515 section 7.1). Whether this key's role fits the
    /// kind is for the reader to judge and for the caller to know.
    pub fn sign<T: Signed + Serialize>(&self, payload: &T) -> Result<String, SignError> {
        let text = self.sign_as(T::TYP, &serde_json::to_vec(payload).map_err(|_| SignError::Payload)?);
        if text.len() > T::MAX_LEN { Err(SignError::TooLong) } else { Ok(text) }
    }

    /// Any bytes under any `typ`: for tests of what readers refuse.
    pub fn sign_as(&self, typ: &str, payload: &[u8]) -> String {
        let header = format!(r#"{{"alg":"EdDSA","typ":"{typ}","kid":"{}"}}"#, self.kid);
        let mut text = base64url(header.as_bytes());
        text.push('.');
        text.push_str(&base64url(payload));
        let signature = self.dalek.sign(text.as_bytes()).to_bytes();
        text.push('.');
        text.push_str(&base64url(&signature));
        text
    }

    /// A signature whose nonce depends on `entropy` too: without it, not even this key and the message give the same
    /// signature again. With the same entropy they do.
    ///
    /// RFC 8032 section 5.1.6 derives the nonce from half of the hashed seed and the message; here that half is
    /// replaced by a hash of itself and the entropy, which keeps its two properties: unknown to others, and another
    /// for each message.
    pub(crate) fn sign_with_entropy(&self, message: &[u8], entropy: &[u8; 16]) -> Signature {
        let mut expanded = ExpandedSecretKey::from(&*self.seed());
        let mut mixed =
            Sha512::new().chain_update(b"keyward/nonce/v1\0").chain_update(expanded.hash_prefix).chain_update(entropy).finalize();
        expanded.hash_prefix.copy_from_slice(&mixed[..32]);
        mixed.as_mut_slice().zeroize();
        let verifying: VerifyingKey = self.dalek.verifying_key();
        raw_sign::<Sha512>(&expanded, message, &verifying).to_bytes()
    }
}

impl core::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "SigningKey({})", self.kid)
    }
}
