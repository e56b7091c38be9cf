//! API keys: what can be done to them, apart from HTTP.

pub mod bulk;
pub mod create;
pub mod cursor;
pub mod decided_by;
pub mod events;
pub mod filter;
pub mod find;
pub mod grant;
pub mod idempotency;
pub mod issue;
pub mod issued;
pub mod list;
pub mod overlap;
pub mod precondition;
pub mod prepare;
pub mod release;
pub mod renew;
pub mod revoke;
pub mod rotate;
pub mod row;
pub mod standing;
pub mod supersede;
pub mod sweep;
pub mod terms;
pub mod update;
pub mod validate;

/// What goes with a raw key in an answer.
const WARNING: &str = "Store this key securely. It will not be shown again.";
