//! The time, as an argument: the system's clock in production, any other in tests.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use keyward_core::Timestamp;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Tells the time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock that says what `now` says.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The system's clock.
    pub fn system() -> Self {
        Self::new(|| {
            // A clock before 1970 is broken beyond repair; at zero every manifest is from the future, so nothing passes.
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Timestamp::from_millis(since.as_millis().try_into().unwrap_or(u64::MAX))
        })
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

/// A moment as the database has it.
pub fn datetime(moment: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(moment.millis()) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// An expiry as the database has it.
pub fn expiry(seconds: Option<u32>) -> Option<OffsetDateTime> {
    seconds.map(|seconds| datetime(Timestamp::from_secs(seconds.into())))
}

/// An expiry from the database: unix seconds.
pub fn expiry_seconds(expiry: Option<OffsetDateTime>) -> Option<u32> {
    // Written from a u32, so that it is one.
    expiry.map(|moment| moment.unix_timestamp().try_into().unwrap_or(0))
}

/// A moment as the API shows it: RFC 3339, whole milliseconds at most.
pub fn rfc3339(moment: OffsetDateTime) -> String {
    let millis = moment.nanosecond() / 1_000_000 * 1_000_000;
    moment.replace_nanosecond(millis).unwrap_or(moment).format(&Rfc3339).unwrap_or_default()
}
