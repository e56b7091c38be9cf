//! The wire types of Keyward's REST API, shared by the origin, the command line and the edge.
//!
//! * [`Problem`] is the body of every error (RFC 9457), its [`Code`] the stable name of what went wrong;
//! * [`keys`] has the requests and answers of `/api/v1/api-keys`;
//! * [`lists`] has what lists of them can be asked for, [`bulk`] what can be done to many at once, [`events`] what time
//!   alone does to them;
//! * [`audit`] has the answers of `/api/v1/audit`;
//! * [`tenants`] has those of `/api/v1/tenants` and `/api/v1/owners`;
//! * [`session`] has who is signed in;
//! * [`deployment`] has how a deployment runs, and what edges decide on a key by;
//! * [`signing`] has those about signing keys;
//! * [`oauth`] has the answers of `/oauth`;
//! * [`usage`] has what edges report of the use of keys, and the answers about it;
//! * [`decisions`] has samples of what edges decided, the answers about them, and what another policy would have decided;
//! * [`limits`] has the code of each limit, and the permits that edges ask for;
//! * [`catalogue`] has the capabilities and scopes that ship with Keyward.
//!
//! Requests refuse members that they don't know: a misspelt restriction must not be a missing one.

pub mod audit;
pub mod bulk;
pub mod catalogue;
pub mod decisions;
pub mod deployment;
pub mod events;
pub mod keys;
pub mod limits;
pub mod lists;
pub mod oauth;
pub mod session;
pub mod signing;
pub mod tenants;
pub mod usage;

mod given;
mod given_limits;
mod problem;
mod restriction;
#[cfg(feature = "openapi")]
mod schema;

pub use given::Given;
pub use problem::{Code, FieldError, MEDIA_TYPE, Problem, challenge};
