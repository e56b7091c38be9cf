//! Capability tokens.

use keyward_core::codec::decode_base64url;
use serde_json::{Value, json};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use crate::{Policy, error::error, explain::plain};

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = "
/** A signed object as it was written. Nothing that it says is proved. */
export interface DecodedJws {
  readonly header: Record<string, unknown>;
  readonly payload: Record<string, unknown>;
}
";

/// Bytes of what is decoded.
const MAX_LEN: usize = 64 * 1024;

#[wasm_bindgen]
extern "C" {
    /// See `DecodedJws` in the types.
    #[wasm_bindgen(typescript_type = "DecodedJws")]
    pub type Decoded;
}

/// Reads a token, or any other signed object (a compact JWS), as it was written. Nothing that it says is proved.
///
/// @throws {KeywardError} `malformed`
#[wasm_bindgen(js_name = decodeJws)]
pub fn decode_jws(text: &str) -> Result<Decoded, JsValue> {
    let object = |part: &str| {
        let value: Value = serde_json::from_slice(&decode_base64url(part)?).ok()?;
        value.is_object().then_some(value)
    };
    let mut parts = text.split('.');
    let decoded = match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(header), Some(payload), Some(_), None) if text.len() <= MAX_LEN => object(header).zip(object(payload)),
        _ => None,
    };
    let (header, payload) = decoded.ok_or_else(|| error("malformed", &"not a compact JWS with JSON in it"))?;
    Ok(plain(&json!({"header": header, "payload": payload})).into())
}

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
