//! The limits that a request can name, and requests that have them among their members.

use crate::restriction::Limit;

/// The limits of a request; what is left out (or null) takes its default in a new key, and stays in a change.
///
/// They stand beside the other members in JSON. (Not `#[serde(flatten)]`: it and refusing unknown members exclude each
/// other.)
#[derive(Clone, Copy, Debug, Default)]
pub struct GivenLimits {
    /// Requests in each UTC hour.
    pub rate_limit_per_hour: Option<Limit>,
    /// Requests in each UTC day.
    pub daily_quota: Option<Limit>,
    /// Requests in each UTC month.
    pub monthly_quota: Option<Limit>,
    /// Cost in cents in each UTC month.
    pub cost_limit_cents: Option<Limit>,
    /// Tokens in one request.
    pub max_tokens_per_request: Option<Limit>,
    /// Requests at one time.
    pub max_concurrent_requests: Option<Limit>,
}

/// Declares a request with the limits' members written out, and the method that gathers them.
macro_rules! with_limits {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
            /// Requests in each UTC hour.
            pub rate_limit_per_hour: Option<$crate::keys::Limit>,
            /// Requests in each UTC day.
            pub daily_quota: Option<$crate::keys::Limit>,
            /// Requests in each UTC month.
            pub monthly_quota: Option<$crate::keys::Limit>,
            /// Cost in cents in each UTC month.
            pub cost_limit_cents: Option<$crate::keys::Limit>,
            /// Tokens in one request.
            pub max_tokens_per_request: Option<$crate::keys::Limit>,
            /// Requests at one time.
            pub max_concurrent_requests: Option<$crate::keys::Limit>,
        }

        impl $name {
            /// The limits that it names.
            pub const fn limits(&self) -> $crate::keys::GivenLimits {
                $crate::keys::GivenLimits {
                    rate_limit_per_hour: self.rate_limit_per_hour,
                    daily_quota: self.daily_quota,
                    monthly_quota: self.monthly_quota,
                    cost_limit_cents: self.cost_limit_cents,
                    max_tokens_per_request: self.max_tokens_per_request,
                    max_concurrent_requests: self.max_concurrent_requests,
                }
            }
        }
    };
}

pub(crate) use with_limits;
