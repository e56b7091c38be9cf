//! For JavaScript: `js/slots.js` calls each of these once for each verification.

use keyward_core::Width;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::{Bare, Samples, Whole};

/// Samples, and ours to verify them.
#[wasm_bindgen]
pub struct Ours {
    samples: Samples,
    bare: Bare,
    whole_w6: Whole,
    whole_w8: Whole,
}

#[wasm_bindgen]
impl Ours {
    /// Prepared at this time, in milliseconds.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(now_ms: f64) -> Self {
        let now = now_ms as u64 / 1000;
        let samples = Samples::at(now);
        let whole = |width| Whole::new(&samples, width, now);
        Self { bare: Bare::new(&samples.public), whole_w6: whole(Width::W6), whole_w8: whole(Width::W8), samples }
    }

    /// How many samples there are.
    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn length(&self) -> usize {
        self.samples.keys.len()
    }

    /// The public key that verifies them.
    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn public(&self) -> Vec<u8> {
        self.samples.public.into()
    }

    /// The root that has signed the manifest, in base64url.
    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn root(&self) -> String {
        self.samples.root.clone()
    }

    /// The manifest.
    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn manifest(&self) -> String {
        self.samples.manifest.clone()
    }

    /// Status list 0.
    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn statuses(&self) -> String {
        self.samples.statuses.clone()
    }

    /// The text of a sample.
    #[must_use]
    pub fn text(&self, at: usize) -> String {
        self.samples.keys[at].clone()
    }

    /// What the signature of a sample covers.
    #[must_use]
    pub fn message(&self, at: usize) -> Vec<u8> {
        self.samples.signed[at].0.into()
    }

    /// The signature of a sample.
    #[must_use]
    pub fn signature(&self, at: usize) -> Vec<u8> {
        self.samples.signed[at].1.into()
    }

    /// Verifies a sample's signature by tables of six bits.
    #[must_use]
    pub fn w6(&self, at: usize) -> bool {
        self.bare.w6(&self.samples.signed[at])
    }

    /// Verifies a sample's signature by tables of eight bits.
    #[must_use]
    pub fn w8(&self, at: usize) -> bool {
        self.bare.w8(&self.samples.signed[at])
    }

    /// Verifies a sample's signature by ed25519-dalek.
    #[must_use]
    pub fn dalek(&self, at: usize) -> bool {
        self.bare.dalek(&self.samples.signed[at])
    }

    /// Takes a text the whole way, with tables of six bits.
    #[wasm_bindgen(js_name = wholeW6)]
    #[must_use]
    pub fn whole_w6(&self, text: &str, now_ms: f64) -> bool {
        self.whole_w6.authenticates(text, now_ms as u64)
    }

    /// Takes a text the whole way, with tables of eight bits.
    #[wasm_bindgen(js_name = wholeW8)]
    #[must_use]
    pub fn whole_w8(&self, text: &str, now_ms: f64) -> bool {
        self.whole_w8.authenticates(text, now_ms as u64)
    }
}
