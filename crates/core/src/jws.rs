//! The one strict reader of signed objects (compact JWS, RFC 7515 section 7.1).

use crate::{
    Kid, PublicKey, Role, VerifySignature,
    encoding::{decode_base64url, decode_base64url_exact},
    json,
};
use serde::{Deserialize, de::DeserializeOwned};

/// A kind of signed object: its payload type, and what its header and signer have to be.
pub trait Signed: DeserializeOwned {
    /// The exact `typ`.
    const TYP: &'static str;
    /// The role of the keys that may sign it; `None` for the pinned roots.
    const ROLE: Option<Role>;
    /// The longest text that is read, in bytes.
    const MAX_LEN: usize;
}

/// Why a text is not a signed object of the kind asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Longer than its kind may be.
    #[error("longer than an object of this kind may be")]
    TooLong,
    /// Not three parts of canonical base64url.
    #[error("not a compact JWS in canonical base64url")]
    Encoding,
    /// A header with anything but `alg`, `typ` and `kid`, or with one of them twice or missing.
    #[error("a header other than alg, typ and kid")]
    Header,
    /// An algorithm other than EdDSA or Ed25519.
    #[error("an algorithm other than EdDSA and Ed25519")]
    Algorithm,
    /// Another `typ`.
    #[error("another type of object")]
    Type,
    /// The signature doesn't hold.
    #[error("the signature does not hold")]
    Signature,
    /// Signed, but the payload has unknown, missing, duplicate or ill-typed members.
    #[error("a payload of another shape")]
    Payload,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<'a> {
    // Borrowed: an escaped character can't be borrowed, so that the members have one spelling only.
    alg: &'a str,
    typ: &'a str,
    kid: &'a str,
}

/// A signed object whose signature has not been looked at. Exposes the name of its key and nothing else.
pub(crate) struct UnverifiedJws<'a> {
    kid: Kid,
    signing_input: &'a str,
    payload: &'a str,
    signature: [u8; 64],
}

impl<'a> UnverifiedJws<'a> {
    pub(crate) fn parse<T: Signed>(text: &'a str) -> Result<Self, JwsError> {
        if text.len() > T::MAX_LEN {
            return Err(JwsError::TooLong);
        }
        let (signing_input, signature) = text.rsplit_once('.').ok_or(JwsError::Encoding)?;
        let (header, payload) = signing_input.split_once('.').ok_or(JwsError::Encoding)?;
        let signature = decode_base64url_exact(signature).ok_or(JwsError::Encoding)?;
        let header = decode_base64url(header).ok_or(JwsError::Encoding)?;
        let header: Header<'_> = json::read(&header).map_err(|_| JwsError::Header)?;
        if !matches!(header.alg, "EdDSA" | "Ed25519") {
            return Err(JwsError::Algorithm);
        }
        if header.typ != T::TYP {
            return Err(JwsError::Type);
        }
        let kid = Kid::parse(header.kid).ok_or(JwsError::Header)?;
        Ok(Self { kid, signing_input, payload, signature })
    }

    pub(crate) const fn kid(&self) -> &Kid {
        &self.kid
    }

    /// The payload, after the signature has been found to hold.
    pub(crate) fn verify<T: Signed>(self, key: &PublicKey, signatures: &dyn VerifySignature) -> Result<T, JwsError> {
        if !signatures.verifies(key, self.signing_input.as_bytes(), &self.signature) {
            return Err(JwsError::Signature);
        }
        let payload = decode_base64url(self.payload).ok_or(JwsError::Encoding)?;
        json::read(&payload).map_err(|_| JwsError::Payload)
    }
}
