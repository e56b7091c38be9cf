//! Limits that hold everywhere, by escrow: an authority gives blocks of permits, holders spend them without asking.
//!
//! A permit belongs to a key, a [`Meter`] and a [`Window`]. The [`Account`] at the authority deducts permits when it gives
//! them, so that the sum of what is admitted never exceeds the limit, whatever crashes, repeats or is delayed; what is lost
//! with a [`Holder`] is lost to the key's owner until the window ends. `docs/limits.md` has the protocol.
//!
//! Requests at one time have slots instead: a [`Leases`] at the authority lends them to [`Slots`], each for so long; whoever goes
//! on using them says so again.
//!
//! All of it is plain data: time and ids are arguments, and what has to be sent is returned.

/// The limits of a policy, in the order in which it has them: the member's name, and the stable code of refusals for it.
pub const CODES: [(&str, &str); 6] = [
    ("rate_per_hour", "rate_limit_exceeded"),
    ("daily_quota", "daily_quota_exceeded"),
    ("monthly_quota", "monthly_quota_exceeded"),
    ("cost_cents", "cost_limit_exceeded"),
    ("tokens_per_request", "tokens_limit_exceeded"),
    ("concurrent", "concurrency_limit_exceeded"),
];

mod account;
mod answered;
mod holder;
mod leases;
mod meter;
mod pool;
mod slots;
mod sublease;
mod window;

pub use account::{Account, Granted, SHARE, block};
pub use answered::{Answered, ID_AGE_MS, is_fresh};
pub use holder::{Charge, Holder, Lent, Taken};
pub use leases::{Lease, Leases};
pub use meter::Meter;
pub use pool::{Ask, GiveBack, Pace};
pub use slots::{LEASE_MARGIN_MS, Leased, Renewal, Seat, Slots};
pub use sublease::{ISOLATE_LEASE_MS, OBJECT_LEASE_MS};
pub use window::{EDGE_MS, Period, Window, Windows};
