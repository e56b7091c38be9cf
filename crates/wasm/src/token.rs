//! Capability tokens.

use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use crate::Policy;

/// A token that holds, and whose key does, at the time given.
#[wasm_bindgen]
pub struct VerifiedToken(pub(crate) keyward_core::VerifiedToken);

#[wasm_bindgen]
impl VerifiedToken {
    /// The id of its key.
    #[wasm_bindgen(getter, js_name = keyId)]
    pub fn key_id(&self) -> String {
        self.0.claims().sub.to_string()
    }

    /// The number of its key's policy in force.
    #[wasm_bindgen(getter)]
    pub fn policy(&self) -> u32 {
        self.0.key().policy().0
    }

    /// Unix seconds from which it is no longer valid.
    #[wasm_bindgen(getter)]
    pub fn expires(&self) -> f64 {
        self.0.claims().exp as f64
    }

    /// What is left of its key's policy for whoever has it.
    ///
    /// @throws {KeywardError} `policy` where it is more than a policy can hold
    pub fn narrowed(&self, policy: &Policy) -> Result<Policy, JsValue> {
        let claims = policy.0.claims();
        let terms = self.0.claims().narrowed(&claims.clone().into());
        Policy::compiled(terms.numbered(claims.number, claims.epoch, claims.iat))
    }
}
