//! The answers of `/oauth` (RFC 6749, 7009, 7662, 8414, 8693).

use keyward_core::{KeyId, TenantId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The `grant_type` of a token exchange (RFC 8693 section 2.1).
pub const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// The type of all tokens that are issued (RFC 8693 section 3).
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// The same, named by its format.
pub const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
/// The type of an API key as a `subject_token`.
pub const API_KEY: &str = "urn:keyward:token-type:api-key";

/// The answer to a token exchange (RFC 8693 section 2.2.1).
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenIssued {
    /// The token.
    pub access_token: String,
    /// `urn:ietf:params:oauth:token-type:access_token`.
    pub issued_token_type: String,
    /// `Bearer`.
    pub token_type: String,
    /// For how many seconds it counts.
    pub expires_in: u64,
    /// What it permits: capabilities, spaces between them.
    pub scope: String,
}

/// The answer to an introspection (RFC 7662 section 2.2). Of what isn't active nothing else is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Introspection {
    /// Whether it holds now.
    pub active: bool,
    /// What it permits now: the capabilities that both the token and its key's policy have.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub scope: Option<String>,
    /// The key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub client_id: Option<KeyId>,
    /// `Bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub token_type: Option<String>,
    /// Unix seconds from which it doesn't; none: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub exp: Option<u64>,
    /// When it was made, unix seconds; of tokens alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub iat: Option<u64>,
    /// The key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub sub: Option<KeyId>,
    /// For whom it is; of tokens alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub aud: Option<String>,
    /// The origin.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub iss: Option<String>,
    /// Its own id; of tokens alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub jti: Option<Uuid>,
    /// The tenant of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub tenant: Option<TenantId>,
}

/// The body of an error (RFC 6749 section 5.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OauthProblem {
    /// The standard's code.
    pub error: String,
    /// More on it, for the developer of the client.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error_description: String,
}

/// Where everything is (RFC 8414 section 2).
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Metadata {
    /// The origin's URL: the `iss` of its tokens.
    pub issuer: String,
    /// RFC 8693.
    pub token_endpoint: String,
    /// RFC 7662.
    pub introspection_endpoint: String,
    /// RFC 7009.
    pub revocation_endpoint: String,
    /// RFC 7517.
    pub jwks_uri: String,
    /// Token exchange alone.
    pub grant_types_supported: [&'static str; 1],
    /// None: there is no authorization endpoint.
    pub response_types_supported: [&'static str; 0],
    /// `none`: the subject token says who asks. `Bearer`: another key asks for it.
    pub token_endpoint_auth_methods_supported: [&'static str; 2],
    /// `Bearer`.
    pub introspection_endpoint_auth_methods_supported: [&'static str; 1],
    /// As of the token endpoint.
    pub revocation_endpoint_auth_methods_supported: [&'static str; 2],
}

impl Metadata {
    /// The metadata of an origin.
    pub fn of(issuer: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            token_endpoint: format!("{issuer}/oauth/token"),
            introspection_endpoint: format!("{issuer}/oauth/introspect"),
            revocation_endpoint: format!("{issuer}/oauth/revoke"),
            jwks_uri: format!("{issuer}/.well-known/jwks.json"),
            grant_types_supported: [TOKEN_EXCHANGE],
            response_types_supported: [],
            token_endpoint_auth_methods_supported: ["none", "Bearer"],
            introspection_endpoint_auth_methods_supported: ["Bearer"],
            revocation_endpoint_auth_methods_supported: ["none", "Bearer"],
        }
    }
}
