use super::Period;
use crate::Limits;
use serde::{Deserialize, Serialize};

/// What is counted by window: the limits of a policy that have an authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Meter {
    /// Requests in an hour.
    RatePerHour = 0,
    /// Requests in a day.
    DailyQuota = 1,
    /// Requests in a month.
    MonthlyQuota = 2,
    /// Cents in a month.
    CostCents = 3,
}

impl Meter {
    /// All, in the order in which they refuse.
    pub const ALL: [Self; 4] = [Self::RatePerHour, Self::DailyQuota, Self::MonthlyQuota, Self::CostCents];

    /// How long its windows are.
    pub const fn period(self) -> Period {
        match self {
            Self::RatePerHour => Period::Hour,
            Self::DailyQuota => Period::Day,
            Self::MonthlyQuota | Self::CostCents => Period::Month,
        }
    }

    /// Its limit in a policy; `None`: there is none.
    pub const fn limit(self, limits: &Limits) -> Option<u64> {
        match self {
            Self::RatePerHour => limits.rate_per_hour,
            Self::DailyQuota => limits.daily_quota,
            Self::MonthlyQuota => limits.monthly_quota,
            Self::CostCents => limits.cost_cents,
        }
    }

    /// The meter of that number: its place in [`Self::ALL`].
    pub fn from_number(number: usize) -> Option<Self> {
        Self::ALL.get(number).copied()
    }
}
