//! The wire types of Keyward's REST API, shared by the origin, the command line and the edge.
//!
//! * [`Problem`] is the body of every error (RFC 9457), its [`Code`] the stable name of what went wrong;
//! * [`keys`] has the requests and answers of `/api/v1/api-keys`;
//! * [`audit`] has the answers of `/api/v1/audit`;
//! * [`tenants`] has those of `/api/v1/tenants` and `/api/v1/owners`;
//! * [`oauth`] has the answers of `/oauth`;
//! * [`catalogue`] has the capabilities and scopes that ship with Keyward.
//!
//! Requests refuse members that they don't know: a misspelt restriction must not be a missing one.

pub mod audit;
pub mod catalogue;
pub mod keys;
pub mod oauth;
pub mod tenants;

mod given;
mod problem;

pub use given::Given;
pub use problem::{Code, FieldError, MEDIA_TYPE, Problem, challenge};
