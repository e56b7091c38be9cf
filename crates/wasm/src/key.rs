//! A key as it was presented, and one that was verified.

use keyward_core::{ApiKeyClaims, ParsedKey, codec::base64url};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use zeroize::Zeroizing;

use crate::error::refused;

/// A key of the right shape and checksum. Nothing that it says of itself is proved: anybody can compute a checksum.
#[wasm_bindgen]
pub struct ApiKey {
    text: Zeroizing<String>,
    claims: ApiKeyClaims,
    prefix: String,
    environment: &'static str,
}

#[wasm_bindgen]
impl ApiKey {
    /// Reads a key. Costs no cryptography.
    ///
    /// @throws {KeywardError} `malformed` or `checksum_mismatch`
    pub fn parse(text: String) -> Result<ApiKey, JsValue> {
        let text = Zeroizing::new(text);
        let parsed = ParsedKey::parse(&text).map_err(refused)?;
        let claims = *parsed.unverified_claims();
        let (prefix, environment) = (parsed.prefix().as_str().to_owned(), parsed.environment().as_str());
        Ok(Self { text, claims, prefix, environment })
    }

    /// The first part of the key: whose secret scanners and people take it to be.
    #[wasm_bindgen(getter)]
    pub fn prefix(&self) -> String {
        self.prefix.clone()
    }

    /// `live` or `test`.
    #[wasm_bindgen(getter, unchecked_return_type = "\"live\" | \"test\"")]
    pub fn environment(&self) -> String {
        self.environment.to_owned()
    }

    /// The id that the REST API shows, a UUID.
    #[wasm_bindgen(getter)]
    pub fn id(&self) -> String {
        self.claims.id.to_string()
    }

    /// How far the key reaches at most.
    #[wasm_bindgen(getter, unchecked_return_type = "\"user\" | \"tenant\" | \"admin\"")]
    pub fn scope(&self) -> String {
        self.claims.scope.as_str().to_owned()
    }

    /// Whether it may be exchanged for capability tokens.
    #[wasm_bindgen(getter)]
    pub fn exchange(&self) -> bool {
        self.claims.exchange
    }

    /// Unix seconds from which it is no longer valid; `undefined` for one that doesn't expire.
    #[wasm_bindgen(getter)]
    pub fn expires(&self) -> Option<u32> {
        self.claims.expires
    }

    /// Where its status stands, over all lists.
    #[wasm_bindgen(getter, js_name = statusIndex)]
    pub fn status_index(&self) -> u32 {
        self.claims.index.0
    }

    /// The number of the status list that its status stands in.
    #[wasm_bindgen(getter, js_name = statusList)]
    pub fn status_list(&self) -> u32 {
        self.claims.index.shard()
    }

    /// The policy that it was made with; the one in force may be another.
    #[wasm_bindgen(getter)]
    pub fn policy(&self) -> u32 {
        self.claims.policy.0
    }

    /// How the thumbprint of its signing key begins, in base64url.
    #[wasm_bindgen(getter, js_name = signingKey)]
    pub fn signing_key(&self) -> String {
        base64url(&self.claims.signing_key)
    }
}

impl ApiKey {
    /// The parsed key. Parsed again, because it borrows its text; that costs a checksum.
    pub(crate) fn parsed(&self) -> Result<ParsedKey<'_>, JsValue> {
        ParsedKey::parse(&self.text).map_err(refused)
    }
}

/// A key that holds: genuine, of the right environment, neither revoked nor suspended nor expired at the time given.
#[wasm_bindgen]
pub struct VerifiedKey(pub(crate) keyward_core::VerifiedKey);

#[wasm_bindgen]
impl VerifiedKey {
    /// The id that the REST API shows, a UUID.
    #[wasm_bindgen(getter)]
    pub fn id(&self) -> String {
        self.0.id().to_string()
    }

    /// The number of the policy in force.
    #[wasm_bindgen(getter)]
    pub fn policy(&self) -> u32 {
        self.0.policy().0
    }

    /// Unix seconds from which it is no longer valid; `undefined` for one that doesn't expire.
    #[wasm_bindgen(getter)]
    pub fn expires(&self) -> Option<f64> {
        self.0.expires().map(|seconds| seconds as f64)
    }
}
