//! Capability tokens for those who speak OAuth: exchange (RFC 8693), introspection (RFC 7662), revocation (RFC 7009).

pub mod exchange;
pub mod introspect;
pub mod revoke;

mod error;
mod form;

pub use error::{OauthError, Result};
pub use form::Form;
