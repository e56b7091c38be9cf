use super::PolicyClaims;
use crate::{NormalPath, Reason, Requirement, VerifiedKey};
use alloc::sync::Arc;
use core::net::IpAddr;

/// What is asked for: the facts of a request that a policy looks at. What is not known is `None`, and denies where the
/// policy asks for it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method, in capital letters.
    pub method: &'a str,
    /// The path in its normal form.
    pub path: &'a NormalPath,
    /// The caller's address.
    pub address: Option<IpAddr>,
    /// The host of the Origin header, lower case.
    pub domain: Option<&'a str>,
    /// Whether it came over TLS.
    pub tls: bool,
    /// What the route table asks for; `None` where it has no entry.
    pub requirement: Option<&'a Requirement>,
}

/// The answer: yes or no, with what goes with it. A denial is an answer and not an error.
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use]
pub enum Decision<'a> {
    /// The request may pass.
    Permit(Grant<'a>),
    /// It may not.
    Deny(Reason),
}

impl Decision<'_> {
    /// The reason of a denial.
    pub const fn reason(&self) -> Option<Reason> {
        match self {
            Self::Permit(_) => None,
            Self::Deny(reason) => Some(*reason),
        }
    }
}

/// As whom a request passes, and with what the upstream has to reckon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grant<'a> {
    /// The key.
    pub key: VerifiedKey,
    /// The policy that permitted it.
    pub policy: &'a PolicyClaims,
    /// The policy's constraints as JSON in ASCII, for the upstream.
    pub constraints_json: &'a Arc<str>,
}
