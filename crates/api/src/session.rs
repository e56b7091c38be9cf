//! The answers of `/session`: who is signed in, in a browser.

use keyward_core::{KeyId, ScopeClass, TenantId};
use serde::{Deserialize, Serialize};

/// The header in which a page says the session's `csrf` again.
pub const CSRF_HEADER: &str = "x-keyward-csrf";

/// A session, and what its key may do now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Session {
    /// The key that it was started with.
    pub key: KeyId,
    /// The key's name.
    pub name: String,
    /// The last characters of the key.
    pub hint: String,
    /// Whose key it is.
    pub owner: String,
    /// The key's tenant.
    pub tenant: TenantId,
    /// The tenant's name.
    pub tenant_name: String,
    /// Whether the tenant is that of the deployment's operator.
    pub operator: bool,
    /// How far the key reaches.
    pub scope: ScopeClass,
    /// What the key may do.
    pub capabilities: Vec<String>,
    /// What to send in `X-Keyward-CSRF` with each request that changes something.
    pub csrf: String,
    /// When it was started, RFC 3339.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub created: String,
    /// From when it counts no longer, whatever is done, RFC 3339.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub expires: String,
    /// Seconds without a request after which it ends before.
    pub idle_seconds: u64,
}
