//! What a policy permits.

use std::net::IpAddr;

use keyward_core::{Capability, NormalPath, PolicyClaims, PolicyNumber, Reason, Request, Requirement, canonical_address};
use serde::Deserialize;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use crate::{
    KeySet, VerifiedKey,
    error::{error, moment},
};

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = "
/** The facts of a request that a policy looks at. What is left out denies where the policy asks for it. */
export interface PolicyRequest {
  /** In capital letters. */
  method: string;
  /** The path as it was sent; decided on in its normal form. */
  path: string;
  /** The caller's IP address. */
  address?: string;
  /** The host of the Origin header. */
  domain?: string;
  /** Whether it came over TLS. */
  tls?: boolean;
  /** What the route asks for: a capability, or `authenticated`. Without it there is no route. */
  requirement?: string;
}
";

/// See `PolicyRequest` in the types.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Facts {
    method: String,
    path: String,
    address: Option<IpAddr>,
    domain: Option<String>,
    #[serde(default)]
    tls: bool,
    requirement: Option<String>,
}

/// A policy: what a key that holds may do.
#[wasm_bindgen]
pub struct Policy(keyward_core::Policy);

#[wasm_bindgen]
impl Policy {
    /// Reads the signed policy of that number.
    ///
    /// @throws {KeywardError} `policy` where it isn't genuine, or is another one
    pub fn open(text: &str, number: u32, keys: &KeySet, now: f64) -> Result<Policy, JsValue> {
        let policy = keyward_core::Policy::open(text, PolicyNumber(number), &keys.set, moment(now)?);
        policy.map(Self).map_err(|cause| error("policy", &cause))
    }

    /// Reads a policy's payload that is trusted already: to try one out, say.
    ///
    /// @throws {KeywardError} `policy` where it isn't one
    #[wasm_bindgen(js_name = fromJson)]
    pub fn from_json(text: &str) -> Result<Policy, JsValue> {
        let claims: PolicyClaims = serde_json::from_str(text).map_err(|cause| error("policy", &cause))?;
        keyward_core::Policy::compile(claims).map(Self).map_err(|cause| error("policy", &cause))
    }

    /// Its number.
    #[wasm_bindgen(getter)]
    pub fn number(&self) -> u32 {
        self.0.claims().number.0
    }

    /// Whether the key may do this. A denial is an answer and not an error.
    ///
    /// @throws {KeywardError} `policy` where the key is under another policy, `request` where the facts can't be read
    pub fn decide(
        &self,
        key: &VerifiedKey,
        #[wasm_bindgen(unchecked_param_type = "PolicyRequest")] request: JsValue,
    ) -> Result<Decision, JsValue> {
        if key.0.policy() != self.0.claims().number {
            return Err(error("policy", &"the key is under another policy"));
        }
        asked(request, |request| self.0.decide(&key.0, request).reason())
    }

    /// Whether a key under this policy might do this: for trying a policy out before there is a key.
    ///
    /// @throws {KeywardError} `request` where the facts can't be read
    #[wasm_bindgen(js_name = tryOut)]
    pub fn try_out(&self, #[wasm_bindgen(unchecked_param_type = "PolicyRequest")] request: JsValue) -> Result<Decision, JsValue> {
        asked(request, |request| self.0.refuses(request))
    }
}

/// Reads the facts of a request and asks about them.
fn asked(request: JsValue, refusal: impl FnOnce(&Request<'_>) -> Option<Reason>) -> Result<Decision, JsValue> {
    let facts: Facts = serde_wasm_bindgen::from_value(request).map_err(|cause| error("request", &cause))?;
    let Ok(path) = NormalPath::parse(&facts.path) else {
        return Ok(Decision(Some(Reason::PathRefused)));
    };
    let requirement = facts.requirement.as_deref().map(requirement).transpose()?;
    let domain = facts.domain.map(|domain| domain.to_ascii_lowercase());
    Ok(Decision(refusal(&Request {
        method: &facts.method,
        path: &path,
        address: facts.address.map(canonical_address),
        domain: domain.as_deref(),
        tls: facts.tls,
        requirement: requirement.as_ref(),
    })))
}

fn requirement(text: &str) -> Result<Requirement, JsValue> {
    match text {
        "authenticated" => Ok(Requirement::Authenticated),
        text => Capability::parse(text).map(Requirement::Capability).map_err(|cause| error("request", &cause)),
    }
}

/// Yes, or no with the reason.
#[wasm_bindgen]
pub struct Decision(Option<Reason>);

#[wasm_bindgen]
impl Decision {
    /// Whether the request may pass.
    #[wasm_bindgen(getter)]
    pub fn permitted(&self) -> bool {
        self.0.is_none()
    }

    /// The stable code of the reason why not; `undefined` where it may.
    #[wasm_bindgen(getter)]
    pub fn reason(&self) -> Option<String> {
        self.0.map(|reason| reason.code().to_owned())
    }
}
