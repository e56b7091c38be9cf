//! Which keys: of a list, and of a bulk action.

use clap::Args;
use keyward_api::lists::KeyFilter;
use serde::Serialize;
use serde_json::Value;

use super::parse::request;

/// What keys have to meet, all of it.
#[derive(Args, Serialize)]
pub struct Filter {
    /// At this moment.
    #[arg(long, value_parser = ["active", "suspended", "expired", "revoked"])]
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    /// Of this owner.
    #[arg(long = "owner", value_name = "ID")]
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_id: Option<String>,
    /// Of this scope.
    #[arg(long, value_parser = ["user", "tenant", "admin"])]
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    /// That have it, by name or by `resource:*`.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    capability: Option<String>,
    /// With this in name, description, owner or hint.
    #[arg(long, value_name = "TEXT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    search: Option<String>,
    /// That will expire within so many days.
    #[arg(long, value_name = "DAYS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    expiring_within_days: Option<u32>,
    /// Whose current raw key this signing key has signed.
    #[arg(long, value_name = "KID", allow_hyphen_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_key: Option<String>,
    /// Created at this moment or later.
    #[arg(long, value_name = "MOMENT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    created_after: Option<String>,
    /// Created before this moment.
    #[arg(long, value_name = "MOMENT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    created_before: Option<String>,
    /// Not used within so many days, and older than that.
    #[arg(long, value_name = "DAYS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    unused_for_days: Option<u32>,
    /// Never used.
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    never_used: bool,
}

impl Filter {
    /// As the API's own type has it.
    ///
    /// # Errors
    /// Where it has another shape.
    pub fn members(&self) -> anyhow::Result<Value> {
        request::<KeyFilter>(self)
    }

    /// As members of a query.
    ///
    /// # Errors
    /// As of [`Self::members`].
    pub fn query(&self) -> anyhow::Result<Vec<(&'static str, String)>> {
        const NAMES: [&str; 11] = [
            "status",
            "owner_id",
            "scope",
            "capability",
            "search",
            "expiring_within_days",
            "signing_key",
            "created_after",
            "created_before",
            "unused_for_days",
            "never_used",
        ];
        let members = self.members()?;
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Ok(NAMES.into_iter().filter_map(|name| Some((name, text(members.get(name)?)))).collect())
    }
}
