//! The capabilities and scopes that ship with Keyward.

use std::borrow::Cow;

use keyward_core::ScopeClass;
use serde::{Deserialize, Serialize};

/// A capability that keys can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CapabilityEntry {
    /// `resource:name`.
    pub value: &'static str,
    /// For people.
    pub label: &'static str,
    /// The heading that it stands under.
    pub category: &'static str,
}

const fn entry(value: &'static str, label: &'static str, category: &'static str) -> CapabilityEntry {
    CapabilityEntry { value, label, category }
}

/// Every capability that ships with Keyward; the last category manages Keyward itself.
pub const CAPABILITIES: &[CapabilityEntry] = &[
    entry("llm:gpt-4", "GPT-4 Language Model", "AI/ML"),
    entry("llm:claude-sonnet", "Claude Sonnet", "AI/ML"),
    entry("llm:groq", "Groq Models", "AI/ML"),
    entry("embedding:openai", "OpenAI Embeddings", "AI/ML"),
    entry("image:dall-e", "DALL-E Image Generation", "AI/ML"),
    entry("rag:search", "RAG Search", "Knowledge"),
    entry("rag:upload", "Document Upload", "Knowledge"),
    entry("rag:dataset_management", "Dataset Management", "Knowledge"),
    entry("automation:create", "Create Automations", "Automation"),
    entry("automation:execute", "Execute Automations", "Automation"),
    entry("automation:api_calls", "API Call Actions", "Automation"),
    entry("automation:webhooks", "Webhook Actions", "Automation"),
    entry("external:github", "GitHub Integration", "External"),
    entry("external:slack", "Slack Integration", "External"),
    entry("admin:user_management", "User Management", "Admin"),
    entry("admin:tenant_settings", "Tenant Settings", "Admin"),
    entry("keys:read", "See API Keys", "Keyward"),
    entry("keys:create", "Create API Keys", "Keyward"),
    entry("keys:update", "Change, Suspend and Resume API Keys", "Keyward"),
    entry("keys:rotate", "Rotate API Keys", "Keyward"),
    entry("keys:revoke", "Revoke API Keys", "Keyward"),
    entry("keys:validate", "Validate API Keys", "Keyward"),
    entry("edge:sync", "Follow the Feed as an Edge", "Keyward"),
    entry("audit:read", "Read the Audit Trail", "Keyward"),
    entry("tenants:read", "See Tenants", "Keyward"),
    entry("tenants:create", "Create Tenants", "Keyward"),
    entry("tenants:update", "Change Tenants and Their Ceilings", "Keyward"),
    entry("tenants:owners", "Manage Owners of API Keys", "Keyward"),
    entry("signing:read", "See Signing Keys", "Keyward"),
    entry("signing:rotate", "Create, Activate and Retire Signing Keys", "Keyward"),
    entry("signing:freeze", "Freeze Signing Keys", "Keyward"),
    entry("signing:publish", "Publish Manifests Signed Elsewhere", "Keyward"),
    entry("tenants:catalog", "Add to the Catalogue of Capabilities", "Keyward"),
];

/// The resources that are Keyward's own: a tenant's catalogue can't add to them.
pub const RESERVED_RESOURCES: &[&str] = &["keys", "edge", "tenants", "audit", "signing"];

/// Whether a capability can be given at all: it stands in the catalogue, or is `resource:*` of a resource in it or of a
/// reserved one.
///
/// ```
/// use keyward_api::catalogue::is_known;
/// assert!(is_known("llm:gpt-4") && is_known("rag:*") && is_known("audit:*"));
/// assert!(!is_known("llm:gpt-5") && !is_known("nothing:*") && !is_known("*"));
/// ```
pub fn is_known(capability: &str) -> bool {
    match capability.strip_suffix(":*") {
        Some(resource) => {
            RESERVED_RESOURCES.contains(&resource)
                || CAPABILITIES.iter().any(|entry| entry.value.split_once(':').is_some_and(|(of, _)| of == resource))
        }
        None => CAPABILITIES.iter().any(|entry| entry.value == capability),
    }
}

/// Every resource of the catalogue and every reserved one, once.
pub fn resources() -> impl Iterator<Item = &'static str> {
    let catalogued = CAPABILITIES.iter().filter_map(|entry| entry.value.split_once(':').map(|(resource, _)| resource));
    let mut resources: Vec<_> = catalogued.chain(RESERVED_RESOURCES.iter().copied()).collect();
    resources.sort_unstable();
    resources.dedup();
    resources.into_iter()
}

/// The limits that a key of a scope gets where its creator names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DefaultLimits {
    /// Requests in an hour.
    pub rate_limit_per_hour: u64,
    /// Requests in a day.
    pub daily_quota: u64,
    /// Requests in a month.
    pub monthly_quota: u64,
    /// Cost in cents.
    pub cost_limit_cents: u64,
    /// Tokens in one request.
    pub max_tokens_per_request: u64,
    /// Requests at the same time.
    pub max_concurrent_requests: u64,
}

/// The limits of [`DefaultLimits`] for a scope.
pub const fn default_limits(scope: ScopeClass) -> DefaultLimits {
    let (rate_limit_per_hour, daily_quota, cost_limit_cents) = match scope {
        ScopeClass::User => (1000, 10_000, 1000),
        ScopeClass::Tenant => (5000, 50_000, 5000),
        ScopeClass::Admin => (10_000, 100_000, 10_000),
    };
    DefaultLimits {
        rate_limit_per_hour,
        daily_quota,
        cost_limit_cents,
        monthly_quota: 300_000,
        max_tokens_per_request: 4000,
        max_concurrent_requests: 10,
    }
}

/// A capability that a tenant has added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OwnCapability {
    /// `resource:name`.
    pub value: String,
    /// For people.
    pub label: String,
    /// The heading that it stands under.
    pub category: String,
}

/// A line of the catalogue.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = CatalogueLine))]
pub struct Line {
    /// `resource:name`.
    pub value: Cow<'static, str>,
    /// For people.
    pub label: Cow<'static, str>,
    /// The heading that it stands under.
    pub category: Cow<'static, str>,
    /// Whether it is the tenant's own; else it ships with Keyward.
    pub own: bool,
}

impl From<CapabilityEntry> for Line {
    fn from(CapabilityEntry { value, label, category }: CapabilityEntry) -> Self {
        Self { value: value.into(), label: label.into(), category: category.into(), own: false }
    }
}

impl From<OwnCapability> for Line {
    fn from(OwnCapability { value, label, category }: OwnCapability) -> Self {
        Self { value: value.into(), label: label.into(), category: category.into(), own: true }
    }
}

/// The answer to `GET …/catalog/capabilities`.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Capabilities {
    /// All of them: what ships with Keyward, then the tenant's own.
    pub capabilities: Vec<Line>,
}

/// A scope in the catalogue.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScopeEntry {
    /// `user`, `tenant` or `admin`.
    pub value: ScopeClass,
    /// For people.
    pub label: &'static str,
    /// What it reaches.
    pub description: &'static str,
    /// The limits of a key for which none are named.
    pub default_limits: DefaultLimits,
}

/// The answer to `GET …/catalog/scopes`.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Scopes {
    /// All three.
    pub scopes: [ScopeEntry; 3],
}

/// The scopes.
pub const fn scopes() -> Scopes {
    const fn scope(value: ScopeClass, label: &'static str, description: &'static str) -> ScopeEntry {
        ScopeEntry { value, label, description, default_limits: default_limits(value) }
    }
    Scopes {
        scopes: [
            scope(ScopeClass::User, "User", "Access to user-specific operations and data"),
            scope(ScopeClass::Tenant, "Tenant", "Access to tenant-wide operations and data"),
            scope(ScopeClass::Admin, "Admin", "Administrative access with elevated privileges"),
        ],
    }
}

/// The constraints that a key gets where its creator names none: (name, value as JSON).
pub const DEFAULT_CONSTRAINTS: [(&str, &str); 6] = [
    ("max_automation_chain_depth", "5"),
    ("mcp_memory_limit_mb", "512"),
    ("mcp_timeout_seconds", "30"),
    ("max_file_size_bytes", "10485760"),
    ("allowed_file_types", r#"[".pdf",".txt",".md",".json",".csv"]"#),
    ("enable_premium_features", "false"),
];
