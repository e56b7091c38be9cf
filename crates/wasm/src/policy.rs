//! What a policy permits.

use std::net::IpAddr;

use keyward_core::{Capability, NormalPath, PolicyClaims, PolicyNumber, PolicyTerms, Reason, Request, Requirement, canonical_address};
use serde::Deserialize;
use serde_json::json;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use crate::{
    KeySet, VerifiedKey,
    error::{error, moment},
    explain::plain,
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

/** A dimension of two policies. */
export interface Dimension {
  readonly dimension:
    | \"tenant\" | \"scope\" | \"capabilities\" | \"endpoints\" | \"blocked_endpoints\" | \"ips\" | \"domains\" | \"require_tls\" | \"limits\"
    | \"constraints\";
  /** Whether the other goes no further than the one. */
  readonly within: boolean;
}
";

#[wasm_bindgen]
extern "C" {
    /// See `Dimension` in the types.
    #[wasm_bindgen(typescript_type = "readonly Dimension[]")]
    pub type Comparison;
}

/// See `PolicyRequest` in the types.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Facts {
    method: String,
    pub(crate) path: String,
    address: Option<IpAddr>,
    domain: Option<String>,
    #[serde(default)]
    tls: bool,
    requirement: Option<String>,
}

/// A policy: what a key that holds may do.
#[wasm_bindgen]
pub struct Policy(pub(crate) keyward_core::Policy);

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
        Self::compiled(serde_json::from_str(text).map_err(|cause| error("policy", &cause))?)
    }

    /// Its payload.
    #[wasm_bindgen(js_name = toJson)]
    pub fn to_json(&self) -> String {
        // It was read from JSON.
        serde_json::to_string(self.0.claims()).unwrap_or_default()
    }

    /// In each dimension (a member of the payload), whether another policy goes no further than this one.
    pub fn compare(&self, other: &Policy) -> Comparison {
        let [held, wanted]: [PolicyTerms; 2] = [self, other].map(|policy| policy.0.claims().clone().into());
        let told = held.compare(&wanted).map(|(dimension, within)| json!({"dimension": dimension.member(), "within": within}));
        plain(&told).into()
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

impl Policy {
    pub(crate) fn compiled(claims: PolicyClaims) -> Result<Self, JsValue> {
        keyward_core::Policy::compile(claims).map(Self).map_err(|cause| error("policy", &cause))
    }
}

/// Reads the facts of a request and asks about them.
fn asked(request: JsValue, refusal: impl FnOnce(&Request<'_>) -> Option<Reason>) -> Result<Decision, JsValue> {
    let facts = read_request(request)?;
    let Ok(path) = NormalPath::parse(&facts.path) else {
        return Ok(Decision(Some(Reason::PathRefused)));
    };
    facts.ask(&path, refusal).map(Decision)
}

/// Reads the facts of a request.
pub(crate) fn read_request(request: JsValue) -> Result<Facts, JsValue> {
    serde_wasm_bindgen::from_value(request).map_err(|cause| error("request", &cause))
}

impl Facts {
    /// Asks about the request.
    pub(crate) fn ask<T>(&self, path: &NormalPath, ask: impl FnOnce(&Request<'_>) -> T) -> Result<T, JsValue> {
        let requirement = self.requirement.as_deref().map(requirement).transpose()?;
        let domain = self.domain.as_deref().map(str::to_ascii_lowercase);
        Ok(ask(&Request {
            method: &self.method,
            path,
            address: self.address.map(canonical_address),
            domain: domain.as_deref(),
            tls: self.tls,
            requirement: requirement.as_ref(),
        }))
    }
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
