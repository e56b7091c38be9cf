//! The secret of a session: what its cookie holds, and what is made of it.

use hmac::{Hmac, KeyInit, Mac};
use keyward_core::{
    Digest,
    codec::{base64url, decode_base64url_exact},
};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::sealing::random;

/// What the CSRF token is the authentication code of.
const CSRF: &[u8] = b"keyward/csrf/v1";

/// 32 random bytes that a browser has and that nothing else keeps.
pub struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    /// A new one.
    ///
    /// # Errors
    /// Where the system gives no randomness.
    pub fn generate() -> anyhow::Result<Self> {
        Ok(Self(Zeroizing::new(random()?)))
    }

    /// The secret in a cookie; `None` where it has another shape.
    pub fn parse(text: &str) -> Option<Self> {
        decode_base64url_exact(text).map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// As the cookie has it.
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(base64url(&*self.0))
    }

    /// What the database knows it by: nothing can be presented by it. (A fast hash will do: nobody guesses 32 bytes.)
    pub fn digest(&self) -> Digest {
        Digest::of(*self.0)
    }

    /// What the session's own page says beside the cookie. Whoever has it learns nothing of the secret, and pages of other
    /// sites can't have it: they can't read our answers.
    pub fn csrf(&self) -> String {
        base64url(&self.mac().finalize().into_bytes())
    }

    /// Whether that is what a page says. Takes as long whatever of it is wrong.
    pub fn has_csrf(&self, said: &str) -> bool {
        decode_base64url_exact::<32>(said).is_some_and(|said| self.mac().verify_slice(&said).is_ok())
    }

    fn mac(&self) -> Hmac<Sha256> {
        // A key that is shorter than a block is filled up with zeros (RFC 2104 section 2).
        let mut key = Zeroizing::new([0; 64]);
        key[..32].copy_from_slice(&*self.0);
        let mut mac = Hmac::<Sha256>::new((&*key).into());
        mac.update(CSRF);
        mac
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(redacted)")
    }
}
