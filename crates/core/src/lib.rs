//! Keyward's validation core: what an edge worker, a browser or any service needs to decide on an API key.
//!
//! *A key is a signed statement; a status list says which statements still hold; a policy says what a statement
//! permits.* This crate reads all three and decides, without a clock, randomness or I/O: the time is an argument and
//! whatever is missing is named in the answer ([`Missing`]), so that the host can fetch it and ask again.
//!
//! There is one way through:
//!
//! ```
//! # use keyward_core::*;
//! # fn example(keys: &KeySet, replica: &Replica, policy: &Policy, request: &Request<'_>, presented: &str, now: Timestamp) -> Result<(), Refusal> {
//! let parsed = ParsedKey::parse(presented)?;                    // shape, checksum: no cryptography, no allocation
//! let verifier = Verifier::new(keys, replica, Environment::Live);
//! let verified = verifier.verify(&parsed, now)?;                // signature -> status and amendment -> time window
//! let decision = policy.decide(&verified, request);             // Permit(Grant) | Deny(Reason)
//! # Ok(()) }
//! ```
//!
//! The formats stand in `docs/formats.md`.
// What is derived for descriptions of the API takes `std`, and only the origin has them.
#![cfg_attr(not(feature = "openapi"), no_std)]

extern crate alloc;

pub mod bounds;
pub mod explain;
pub mod limits;

mod accelerator;
mod audit;
mod base62;
mod capability;
mod cidr;
mod constraint;
mod crc32;
mod credential;
mod digest;
mod ed25519;
mod encoding;
mod feed;
mod ids;
pub mod json;
mod jws;
mod key;
mod keyset;
mod manifest;
mod path;
mod pattern;
mod policy;
mod reason;
mod replica;
mod route;
#[cfg(feature = "openapi")]
mod schema;
mod status;
mod status_list;
mod time;
mod token;
mod verify;
mod warm;

pub use accelerator::{Accelerator, AcceleratorCounters, AcceleratorSettings, Width};
pub use audit::{
    AuditActor, AuditFault, AuditProof, AuditRecord, AuditSaid, AuditTarget, AuditVerifier, Checkpoint, Members as AuditMembers,
};
pub use capability::{Capability, CapabilityError};
pub use cidr::{Network, NetworkError, canonical_address};
pub use constraint::{ConstraintError, ConstraintKind};
pub use credential::find_credential;
pub use digest::Digest;
pub use ed25519::{Kid, PublicKey, PublicKeyError, Reference, Signature, VerifySignature};
pub use feed::{Amendment, AmendmentPage, Delta, FeedReply, Heartbeat, Issued, PageRef, ShardRef, Snapshot, SnapshotReply};
pub use ids::{Environment, KeyId, KeyPrefix, PolicyNumber, ScopeClass, StatusIndex, TenantId};
pub use jws::{JwsError, Signed};
pub use key::{ApiKeyClaims, ParsedKey, signed_message};
pub use keyset::{KeySet, OpenError};
pub use manifest::{KeyState, Manifest, ManifestError, ManifestKey, Role};
pub use path::{NormalPath, PathError};
pub use pattern::{EndpointPattern, PatternError};
pub use policy::{
    AnyOr, Decision, DomainPattern, Exceeds, Grant, Limits, Policy, PolicyCache, PolicyClaims, PolicyError, PolicyTerms, Request, host,
    origin_host,
};
pub use reason::{Class, Reason};
pub use replica::{FeedError, Position, Progress, Replica};
pub use route::{Requirement, RouteError, RouteTable};
pub use status::{Missing, Standing, Status, Statuses};
pub use status_list::{StatusList, StatusListBody, StatusListClaims, StatusListError};
pub use time::Timestamp;
pub use token::{AccessTokenClaims, AuthenticToken, SignedKey, StatusRef, StatusReference, TokenError, VerifiedToken};
pub use verify::{AuthenticKey, Refusal, VerifiedKey, Verifier};
pub use warm::WarmKeys;

/// Encoding and decoding of base62 groups and base64url, for the issuer and for tests.
pub mod codec {
    pub use crate::base62::{GROUP_DIGITS, decode_group, encode_group};
    pub use crate::encoding::{base64url, decode_base64url, decode_base64url_exact};
    pub use crate::key::write as write_key;
}
