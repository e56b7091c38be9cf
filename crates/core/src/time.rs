use crate::bounds::MAX_CLOCK_SKEW_MS;
use core::fmt;

/// A moment, in milliseconds since the unix epoch (UTC, leap seconds not counted).
///
/// ```
/// use keyward_core::Timestamp;
/// assert_eq!(Timestamp::from_secs(2).millis(), 2000);
/// assert_eq!(Timestamp::from_millis(1999).secs(), 1);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// A moment from milliseconds since the unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// A moment from seconds since the unix epoch; saturates.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since the unix epoch.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the unix epoch, rounded down.
    pub const fn secs(self) -> u64 {
        self.0 / 1000
    }

    /// The latest `iat`, in milliseconds, that a reader with this clock takes for one of now ([`MAX_CLOCK_SKEW_MS`]).
    pub(crate) const fn latest_iat(self) -> u64 {
        self.0.saturating_add(MAX_CLOCK_SKEW_MS)
    }

    /// Milliseconds from `earlier` to this moment; zero where `earlier` is later.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}
