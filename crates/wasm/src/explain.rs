//! Decisions step by step, for people who ask why.

use keyward_core::{
    NormalPath, ParsedKey, Reason, Refusal, Request, TokenError, Verifier,
    explain::{self, Rule, Source, Step},
};
use serde::Serialize;
use serde_json::{Value, json};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use crate::{
    KeySet, Policy, StatusLists, VerifiedKey, VerifiedToken,
    error::moment,
    keys::environment,
    policy::{Facts, read_request},
};

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = "
/** Why a request is refused: a reason, or a limit. What uses all of them hears of a new one from its compiler. */
export type RefusalCode =
    | \"credential_missing\" | \"credentials_conflict\" | \"path_refused\" | \"malformed\" | \"checksum_mismatch\"
    | \"unknown_signing_key\" | \"signature_invalid\" | \"not_issued\" | \"wrong_environment\" | \"signing_key_expired\"
    | \"key_revoked\" | \"key_suspended\" | \"key_expired\" | \"wrong_audience\" | \"no_route\" | \"endpoint_not_allowed\"
    | \"endpoint_blocked\" | \"address_not_allowed\" | \"domain_not_allowed\" | \"tls_required\" | \"capability_missing\"
    | \"scope_exceeded\" | \"constraint_unknown\" | \"state_unavailable\" | \"state_stale\" | \"status_unavailable\"
    | \"amendment_unavailable\" | \"policy_unavailable\" | \"issuance_unavailable\" | \"limit_unavailable\"
    | \"rate_limit_exceeded\" | \"daily_quota_exceeded\" | \"monthly_quota_exceeded\" | \"cost_limit_exceeded\"
    | \"tokens_limit_exceeded\" | \"concurrency_limit_exceeded\";

/** A rule of a decision, and whether it is kept. */
export interface Step {
  readonly rule:
    | \"path\" | \"shape\" | \"checksum\" | \"key_set\" | \"signature\" | \"audience\" | \"environment\" | \"signing_key\" | \"status\" | \"time\"
    | \"policy\" | \"scope\" | \"constraints\" | \"route\" | \"endpoint\" | \"blocked\" | \"address\" | \"domain\" | \"tls\" | \"capability\" | \"limits\";
  /** Whose rule it is: every key's, the policy's or the token's. */
  readonly source: \"key\" | \"policy\" | \"token\";
  /** `null`: nobody has looked, since an earlier one is broken. */
  readonly passed: boolean | null;
  /** With which code a request is refused for it, where it is broken. */
  readonly code: RefusalCode | null;
  /** What decided, as it is written: the pattern, network, domain or capability. */
  readonly by: string | null;
}

/** All steps of a decision. */
export interface Explanation {
  /** The code of the refusal: that of the first step that is broken; `null`: permitted. */
  readonly code: RefusalCode | null;
  readonly steps: readonly Step[];
}
";

/// What was found of a key: the steps of its verification, and the key where it holds.
#[wasm_bindgen]
pub struct ExaminedKey {
    steps: Vec<Step>,
    key: Option<keyward_core::VerifiedKey>,
}

#[wasm_bindgen]
impl ExaminedKey {
    /// The steps.
    #[wasm_bindgen(getter, unchecked_return_type = "Explanation")]
    pub fn explanation(&self) -> JsValue {
        told(&self.steps)
    }

    /// The key, where it holds.
    #[wasm_bindgen(getter)]
    pub fn key(&self) -> Option<VerifiedKey> {
        self.key.map(VerifiedKey)
    }
}

/// What was found of a token: the steps of its verification, and the token where it holds.
#[wasm_bindgen]
pub struct ExaminedToken {
    steps: Vec<Step>,
    token: Option<keyward_core::VerifiedToken>,
}

#[wasm_bindgen]
impl ExaminedToken {
    /// The steps.
    #[wasm_bindgen(getter, unchecked_return_type = "Explanation")]
    pub fn explanation(&self) -> JsValue {
        told(&self.steps)
    }

    /// The token, where it holds.
    #[wasm_bindgen(getter)]
    pub fn token(&self) -> Option<VerifiedToken> {
        self.token.clone().map(VerifiedToken)
    }
}

#[wasm_bindgen]
impl KeySet {
    /// Verifies a text as a key, as `verify` does, and says of each step whether it was passed.
    ///
    /// @throws {KeywardError} `argument`
    pub fn examine(
        &self,
        text: &str,
        #[wasm_bindgen(unchecked_param_type = "\"live\" | \"test\"")] environment_name: &str,
        statuses: &StatusLists,
        now: f64,
    ) -> Result<ExaminedKey, JsValue> {
        let (environment, now) = (environment(environment_name)?, moment(now)?);
        let verifier = Verifier::new(&self.set, statuses, environment).with_signatures(&self.signatures);
        let verified = ParsedKey::parse(text).map_err(Refusal::from).and_then(|key| verifier.verify(&key, now));
        Ok(ExaminedKey { steps: explain::of_key(verified.err()), key: verified.ok() })
    }

    /// Verifies a text as a capability token for an audience, and says of each step whether it was passed.
    ///
    /// @throws {KeywardError} `argument`
    #[wasm_bindgen(js_name = examineToken)]
    pub fn examine_token(
        &self,
        text: &str,
        audience: &str,
        #[wasm_bindgen(unchecked_param_type = "\"live\" | \"test\"")] environment_name: &str,
        statuses: &StatusLists,
        now: f64,
    ) -> Result<ExaminedToken, JsValue> {
        let (environment, now) = (environment(environment_name)?, moment(now)?);
        let verifier = Verifier::new(&self.set, statuses, environment).with_signatures(&self.signatures);
        let token = verifier.authenticate_token(text, now);
        let over = token.as_ref().is_ok_and(|token| now.secs() >= token.claims().exp);
        let verified = token.and_then(|token| verifier.admit_token(token, audience, now));
        let refusal = verified.as_ref().err().copied().map(|error: TokenError| Refusal::from(error));
        Ok(ExaminedToken { steps: explain::of_token(refusal, over), token: verified.ok() })
    }
}

#[wasm_bindgen]
impl Policy {
    /// Whether a request passes, rule by rule: of a key that was made with this policy.
    ///
    /// @throws {KeywardError} `request` where the facts can't be read
    pub fn explain(&self, #[wasm_bindgen(unchecked_param_type = "PolicyRequest")] request: JsValue) -> Result<Explained, JsValue> {
        explained(request, |request| self.0.explain(None, request))
    }

    /// The same, of this key.
    ///
    /// @throws {KeywardError} `request` where the facts can't be read
    #[wasm_bindgen(js_name = explainFor)]
    pub fn explain_for(
        &self,
        key: &VerifiedKey,
        #[wasm_bindgen(unchecked_param_type = "PolicyRequest")] request: JsValue,
    ) -> Result<Explained, JsValue> {
        explained(request, |request| self.0.explain(Some(&key.0), request))
    }
}

#[wasm_bindgen]
impl VerifiedToken {
    /// Whether a request passes, rule by rule: those of its key's policy in force, and its own.
    ///
    /// @throws {KeywardError} `request` where the facts can't be read
    pub fn explain(
        &self,
        policy: &Policy,
        #[wasm_bindgen(unchecked_param_type = "PolicyRequest")] request: JsValue,
    ) -> Result<Explained, JsValue> {
        explained(request, |request| self.0.explain(&policy.0, request))
    }
}

#[wasm_bindgen]
extern "C" {
    /// See `Explanation` in the types.
    #[wasm_bindgen(typescript_type = "Explanation")]
    pub type Explained;
}

fn explained(request: JsValue, explain: impl FnOnce(&Request<'_>) -> Vec<Step>) -> Result<Explained, JsValue> {
    let facts: Facts = read_request(request)?;
    let path = NormalPath::parse(&facts.path);
    let (code, by) = match &path {
        Ok(path) => (None, Some(path.as_str().to_owned())),
        Err(_) => (Some(Reason::PathRefused.code()), None),
    };
    let mut steps = vec![Step { rule: Rule::Path, source: Source::Key, passed: Some(code.is_none()), code, by }];
    if let Ok(path) = &path {
        steps.extend(facts.ask(path, explain)?);
    }
    Ok(told(&steps).into())
}

fn told(steps: &[Step]) -> JsValue {
    let one = |step: &Step| json!({"rule": step.rule.as_str(), "source": step.source.as_str(), "passed": step.passed, "code": step.code, "by": step.by});
    plain(&json!({"code": explain::refusal(steps), "steps": steps.iter().map(one).collect::<Vec<Value>>()}))
}

/// A value as plain JavaScript.
pub(crate) fn plain(value: &impl Serialize) -> JsValue {
    // Both sides write and read JSON, so that nothing can go wrong between them.
    serde_json::to_string(value).ok().and_then(|text| js_sys::JSON::parse(&text).ok()).unwrap_or(JsValue::UNDEFINED)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use keyward_core::{Reason, limits::CODES};

    #[test]
    fn the_types_name_every_code_of_a_refusal_and_no_other() {
        // The types go into the module and are no constant any more: they are read where they are written.
        let union = include_str!("explain.rs").split_once("RefusalCode =").and_then(|(_, rest)| rest.split_once(';')).expect("the type").0;
        let named: BTreeSet<&str> = union.split('"').skip(1).step_by(2).map(|code| code.trim_end_matches('\\')).collect();
        let codes = Reason::ALL.into_iter().map(Reason::code).chain(CODES.into_iter().map(|(_, code)| code));
        assert_eq!(named, codes.collect());
    }
}
