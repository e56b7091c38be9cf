//! The audit trail, verified where it is read.

use keyward_core::{AuditRecord, AuditVerifier, Checkpoint};
use serde_json::json;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use crate::{
    KeySet,
    error::{error, moment},
    explain::plain,
};

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = "
/** What was found to hold. */
export interface AuditProof {
  /** The first record that was read; 0: there was none. */
  readonly first: number;
  /** The last record that was read. */
  readonly last: number;
  /** Up to here a checkpoint vouches for every record; 0: for none. */
  readonly proved: number;
}
";

#[wasm_bindgen]
extern "C" {
    /// See `AuditProof` in the types.
    #[wasm_bindgen(typescript_type = "AuditProof")]
    pub type Proof;
}

/// Reads records of a tenant's trail one after the other, and holds them against checkpoints: by the code of
/// `keyward audit verify`.
#[wasm_bindgen]
pub struct AuditChain(AuditVerifier);

#[wasm_bindgen]
impl AuditChain {
    /// A chain that is read from record `first` on, against these signed checkpoints.
    ///
    /// @throws {KeywardError} `audit` where a checkpoint isn't genuine, or two contradict each other
    pub fn begin(keys: &KeySet, checkpoints: Vec<String>, first: f64, now: f64) -> Result<AuditChain, JsValue> {
        let now = moment(now)?;
        let opened: Result<Vec<Checkpoint>, _> = checkpoints.iter().map(|text| keys.set.open::<Checkpoint>(text, now)).collect();
        let opened = opened.map_err(|cause| error("audit", &cause))?;
        if let Some(foreign) = opened.iter().find(|checkpoint| checkpoint.iss != keys.set.manifest().iss) {
            return Err(error("audit", &format_args!("the checkpoint at {} is another origin's", foreign.seq)));
        }
        AuditVerifier::new(&opened, (first as u64).max(1)).map(Self).map_err(|fault| error("audit", &fault))
    }

    /// Reads records, a line each, as they are exported or listed.
    ///
    /// @throws {KeywardError} `audit`: what is wrong, and where. Then nothing after it can be told.
    pub fn read(&mut self, lines: &str) -> Result<(), JsValue> {
        for line in lines.lines().filter(|line| !line.is_empty()) {
            let record = AuditRecord::parse(line).map_err(|cause| error("audit", &format_args!("not a record: {cause}")))?;
            self.0.read(&record).map_err(|fault| error("audit", &fault))?;
        }
        Ok(())
    }

    /// Says what was found, at the end.
    ///
    /// @throws {KeywardError} `audit` where a checkpoint names a record beyond
    pub fn finish(&self) -> Result<Proof, JsValue> {
        let proof = self.0.finish().map_err(|fault| error("audit", &fault))?;
        Ok(plain(&json!({"first": proof.first, "last": proof.last, "proved": proof.proved})).into())
    }
}
