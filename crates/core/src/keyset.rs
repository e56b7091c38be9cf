use crate::{
    Digest, JwsError, KeyState, Manifest, ManifestKey, Reason, Reference, Role, Signed, Timestamp, VerifySignature, jws::UnverifiedJws,
};

/// The signing keys of a verified manifest. What [`Manifest::open`] returns; there is no other way to make one.
#[derive(Clone, Debug)]
pub struct KeySet {
    manifest: Manifest,
    digest: Digest,
}

/// Why a signed object is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not an object of this kind, or its signature doesn't hold.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// No key of that name has the role that signs this kind.
    #[error("signed by no key of the right role")]
    UnknownKey,
    /// The key is not (or no more) allowed to sign.
    #[error("the key that signed it does not count now")]
    KeyState,
    /// The manifest has expired, and with it all that it vouches for.
    #[error("the manifest has expired")]
    ManifestExpired,
}

impl KeySet {
    pub(crate) const fn new(manifest: Manifest, digest: Digest) -> Self {
        Self { manifest, digest }
    }

    /// The manifest that it was made from.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The digest of the manifest's text.
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Whether the manifest counts at `now`.
    pub const fn is_current(&self, now: Timestamp) -> bool {
        now.secs() < self.manifest.exp
    }

    /// The payload of a signed object, whose key has the right role and counts at `now`.
    pub fn open<T: Signed>(&self, text: &str, now: Timestamp) -> Result<T, OpenError> {
        self.open_with(text, &Reference, now)
    }

    /// The same, with another way to verify signatures.
    pub(crate) fn open_with<T: Signed>(&self, text: &str, signatures: &dyn VerifySignature, now: Timestamp) -> Result<T, OpenError> {
        if !self.is_current(now) {
            return Err(OpenError::ManifestExpired);
        }
        let jws = UnverifiedJws::parse::<T>(text)?;
        let key = self.manifest.keys.iter().find(|key| Some(key.role) == T::ROLE && key.kid == *jws.kid()).ok_or(OpenError::UnknownKey)?;
        if !key.state.verifies() || key.exp.is_some_and(|exp| now.secs() >= exp) {
            return Err(OpenError::KeyState);
        }
        Ok(jws.verify(&key.x, signatures)?)
    }

    /// The key that an API key names by three bytes, where its signatures count, be it with a condition: whether it is
    /// frozen is for the caller to look at.
    pub(crate) fn api_key_signer(&self, short: [u8; 3]) -> Result<&ManifestKey, Reason> {
        self.manifest
            .keys
            .iter()
            .find(|key| key.role == Role::ApiKey && key.kid.short() == short && (key.state.verifies() || key.state == KeyState::Frozen))
            .ok_or(Reason::UnknownSigningKey)
    }
}
