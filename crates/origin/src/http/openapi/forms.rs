//! What is read or written without a type of its own, as it is described.
#![expect(dead_code, reason = "only described: nothing of these is ever made")]

use keyward_api::audit::ExportHead;
use keyward_core::AuditRecord;
use serde::Deserialize;
use utoipa::ToSchema;

/// A token exchange (RFC 8693 section 2.1). All that narrows what is granted has to be within what the key permits.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenExchange {
    /// `urn:ietf:params:oauth:grant-type:token-exchange`.
    grant_type: String,
    /// The raw key.
    subject_token: String,
    /// `urn:keyward:token-type:api-key`.
    subject_token_type: String,
    /// `urn:ietf:params:oauth:token-type:access_token`.
    #[schema(nullable = false)]
    requested_token_type: Option<String>,
    /// For whom the token is; the origin unless named.
    #[schema(nullable = false, max_length = 256)]
    audience: Option<String>,
    /// Capabilities, spaces between them; all of the key's unless named.
    #[schema(nullable = false)]
    scope: Option<String>,
    /// `[METHOD ]/path` patterns; may stand more than once.
    #[schema(nullable = false)]
    endpoint: Option<Vec<String>>,
    /// Addresses and CIDR blocks; may stand more than once.
    #[schema(nullable = false)]
    ip: Option<Vec<String>>,
    /// Seconds; 300 unless named.
    #[schema(nullable = false, minimum = 1, maximum = 300)]
    expires_in: Option<u32>,
}

/// A token or raw key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenPresented {
    /// The token or raw key.
    token: String,
    /// Not needed: dots tell tokens from keys.
    #[schema(nullable = false)]
    token_type_hint: Option<String>,
}

/// One line of an export: the first says what follows, each other one is a record.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub enum ExportLine {
    Head(ExportHead),
    Record(Box<AuditRecord>),
}

/// Public keys (RFC 7517).
#[derive(ToSchema)]
pub struct Jwks {
    /// The keys.
    keys: Vec<Jwk>,
}

/// A public key (RFC 8037 section 2).
#[derive(ToSchema)]
struct Jwk {
    /// `OKP`.
    kty: String,
    /// `Ed25519`.
    crv: String,
    /// `sig`.
    r#use: String,
    /// `EdDSA`.
    alg: String,
    /// Its name.
    kid: String,
    /// Its bytes, base64url.
    x: String,
}
