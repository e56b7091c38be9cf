//! Requests and answers of `/api/v1/tenants`, `/api/v1/owners` and a tenant's own catalogue.

use keyward_core::TenantId;
use serde::{Deserialize, Serialize};

use crate::{Given, keys::KeyCreated};

/// What a tenant may use up of what all tenants share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Ceilings {
    /// Keys that are neither revoked nor expired.
    pub live_keys: u64,
    /// Keys created in each UTC hour.
    pub creates_per_hour: u64,
    /// Policies, the superseded ones among them.
    pub policies: u64,
    /// Changes of keys and policies in each UTC hour. Revoking and suspending are counted and never refused.
    pub changes_per_hour: u64,
}

/// The ceilings of a request; what is left out takes its default in a new tenant, and stays in a change.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct GivenCeilings {
    /// See [`Ceilings::live_keys`].
    #[cfg_attr(feature = "openapi", schema(maximum = 9_007_199_254_740_992_u64))]
    pub live_keys: Option<u64>,
    /// See [`Ceilings::creates_per_hour`].
    #[cfg_attr(feature = "openapi", schema(maximum = 9_007_199_254_740_992_u64))]
    pub creates_per_hour: Option<u64>,
    /// See [`Ceilings::policies`].
    #[cfg_attr(feature = "openapi", schema(maximum = 9_007_199_254_740_992_u64))]
    pub policies: Option<u64>,
    /// See [`Ceilings::changes_per_hour`].
    #[cfg_attr(feature = "openapi", schema(maximum = 9_007_199_254_740_992_u64))]
    pub changes_per_hour: Option<u64>,
}

/// `POST /api/v1/tenants`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateTenant {
    /// Names it in URLs and configurations: `[a-z0-9][a-z0-9-]{0,62}`, no other tenant's.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[a-z0-9][a-z0-9-]{0,62}$"))]
    pub slug: String,
    /// For people; 1 to 128 characters.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 128))]
    pub name: String,
    /// With what its keys begin: `[a-z][a-z0-9]{1,11}`; `kwd` unless named.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[a-z][a-z0-9]{1,11}$"))]
    pub key_prefix: Option<String>,
    /// See [`GivenCeilings`].
    #[serde(default, deserialize_with = "keyward_core::json::object")]
    pub ceilings: GivenCeilings,
    /// Whether to make a first management key of tenant scope, which the answer shows.
    #[serde(default)]
    pub first_key: bool,
}

/// `PATCH /api/v1/tenants/{id}`. What is left out stays.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct UpdateTenant {
    /// See [`CreateTenant::name`].
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 128))]
    pub name: Option<String>,
    /// See [`CreateTenant::key_prefix`]. Keys that are there keep theirs.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[a-z][a-z0-9]{1,11}$"))]
    pub key_prefix: Option<String>,
    /// See [`GivenCeilings`].
    #[serde(default, deserialize_with = "keyward_core::json::object")]
    pub ceilings: GivenCeilings,
}

/// A tenant as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Tenant {
    /// What `?tenant=` names.
    pub id: TenantId,
    /// See [`CreateTenant::slug`].
    pub slug: String,
    /// See [`CreateTenant::name`].
    pub name: String,
    /// See [`CreateTenant::key_prefix`].
    pub key_prefix: String,
    /// What it may use up.
    pub ceilings: Ceilings,
    /// What it has used up of that, the creates and changes of this hour; where one tenant is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub used: Option<Ceilings>,
    /// When it was made.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub created_at: String,
    /// When anything of it last changed.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub updated_at: String,
}

/// The answer to a create.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TenantCreated {
    /// The tenant.
    pub tenant: Tenant,
    /// Its first management key, where one was asked for. The only time that it is shown.
    pub first_key: Option<KeyCreated>,
}

/// Whether an owner is somebody or something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum OwnerKind {
    /// Somebody.
    Person,
    /// Something that acts by itself.
    Service,
}

impl OwnerKind {
    /// Its name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Service => "service",
        }
    }
}

/// `POST /api/v1/owners`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateOwner {
    /// What keys name as `owner_id`; 1 to 128 characters.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 128))]
    pub id: String,
    /// `person` unless named.
    pub kind: Option<OwnerKind>,
    /// For people; the id unless named.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 128))]
    pub name: Option<String>,
    /// Where to reach them; at most 254 characters.
    #[cfg_attr(feature = "openapi", schema(max_length = 254))]
    pub email: Option<String>,
}

/// `PATCH /api/v1/owners/{id}`. What is left out stays.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct UpdateOwner {
    /// See [`CreateOwner::kind`].
    pub kind: Option<OwnerKind>,
    /// See [`CreateOwner::name`].
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 128))]
    pub name: Option<String>,
    /// See [`CreateOwner::email`].
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, max_length = 254))]
    pub email: Given<String>,
    /// `true` suspends all keys of the owner, and no key can be made for it or resumed. `false` lets keys be made and
    /// resumed again; those that were suspended stay so.
    pub disabled: Option<bool>,
}

/// An owner as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Owner {
    /// See [`CreateOwner::id`].
    pub id: String,
    /// See [`CreateOwner::kind`].
    pub kind: OwnerKind,
    /// See [`CreateOwner::name`].
    pub name: String,
    /// See [`CreateOwner::email`].
    pub email: Option<String>,
    /// See [`UpdateOwner::disabled`].
    pub disabled: bool,
    /// When it was made, or first named by a key.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub created_at: String,
    /// When anything of it last changed.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub updated_at: String,
}

/// `POST /api/v1/api-keys/catalog/capabilities`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AddCapability {
    /// `resource:name`, of no reserved resource.
    pub value: String,
    /// For people; 1 to 128 characters.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 128))]
    pub label: String,
    /// The heading that it stands under; 1 to 128 characters.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 128))]
    pub category: String,
}
