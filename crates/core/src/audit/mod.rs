//! The audit trail: one hash chain for each tenant, and the signed checkpoints that say how far it had got.
//!
//! A record's hash covers the record and the hash before it, so that the last hash covers all. Whoever keeps a
//! checkpoint can tell, from the records alone and without asking anybody, whether one of them was changed, removed or
//! moved since ([`AuditVerifier`]).

mod record;
mod verifier;

pub use record::{AuditActor, AuditRecord, AuditSaid, AuditTarget, Checkpoint, Members};
pub use verifier::{AuditFault, AuditProof, AuditVerifier};
