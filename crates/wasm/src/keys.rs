//! The signing keys of a manifest.

use keyward_core::{Accelerator, Environment, Manifest, PublicKey, Verifier};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use crate::{
    ApiKey, StatusLists, VerifiedKey,
    error::{error, moment, refusal},
};

/// Whose signatures count: the signing keys of a manifest that a pinned root has signed.
#[wasm_bindgen]
pub struct KeySet {
    pub(crate) set: keyward_core::KeySet,
    /// A host that verifies many keys gets faster at it.
    pub(crate) signatures: Accelerator,
}

#[wasm_bindgen]
impl KeySet {
    /// Reads a manifest, which one of the roots (raw Ed25519 keys in base64url) has to have signed.
    ///
    /// @throws {KeywardError} `manifest` where it isn't genuine or has expired; `argument` where a root isn't a key
    pub fn open(manifest: &str, roots: Vec<String>, now: f64) -> Result<KeySet, JsValue> {
        let roots: Result<Vec<PublicKey>, _> = roots.iter().map(|root| PublicKey::parse(root.trim())).collect();
        let roots = roots.map_err(|cause| error("argument", &cause))?;
        let set = Manifest::open(manifest, &roots, moment(now)?).map_err(|cause| error("manifest", &cause))?;
        Ok(Self { set, signatures: Accelerator::default() })
    }

    /// The URL of the origin that issued the keys.
    #[wasm_bindgen(getter)]
    pub fn issuer(&self) -> String {
        self.set.manifest().iss.clone()
    }

    /// The version of the manifest, which only ever grows.
    #[wasm_bindgen(getter)]
    pub fn version(&self) -> f64 {
        self.set.manifest().version as f64
    }

    /// Unix seconds from which the manifest counts no more.
    #[wasm_bindgen(getter)]
    pub fn expires(&self) -> f64 {
        self.set.manifest().exp as f64
    }

    /// Whether the key's signature holds: a genuine key, which may yet be revoked, suspended or expired.
    ///
    /// @throws {KeywardError} `unknown_signing_key`, `signature_invalid`, `issuance_unavailable` (its signing key was
    /// compromised, so that the signature proves nothing here), `state_unavailable` (the manifest has expired)
    pub fn authenticate(&self, key: &ApiKey, now: f64) -> Result<(), JsValue> {
        // The environment and the status are no part of this question.
        let statuses = keyward_core::Replica::new(Vec::new());
        let verifier = Verifier::new(&self.set, &statuses, key.parsed()?.environment()).with_signatures(&self.signatures);
        verifier.authenticate(&key.parsed()?, moment(now)?).map(drop).map_err(refusal)
    }

    /// The key, if it holds now: its signature, environment, status and time.
    ///
    /// @throws {KeywardError} the reason why it doesn't, or what is missing to tell
    pub fn verify(
        &self,
        key: &ApiKey,
        #[wasm_bindgen(unchecked_param_type = "\"live\" | \"test\"")] environment: &str,
        statuses: &StatusLists,
        now: f64,
    ) -> Result<VerifiedKey, JsValue> {
        let environment = self::environment(environment)?;
        let verifier = Verifier::new(&self.set, statuses, environment).with_signatures(&self.signatures);
        verifier.verify(&key.parsed()?, moment(now)?).map(VerifiedKey).map_err(refusal)
    }
}

/// The environment of that name.
pub(crate) fn environment(name: &str) -> Result<Environment, JsValue> {
    Environment::parse(name).ok_or_else(|| error("argument", &"an environment is live or test"))
}
