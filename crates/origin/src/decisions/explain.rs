//! How a decision came about, from what was kept of it: policies never change, so that their rules can be asked again.

use keyward_api::{
    Code,
    decisions::{DecisionExplained, DecisionStep, Verdict, is_limit},
};
use keyward_core::{
    Capability, NormalPath, Reason, Request, Requirement,
    explain::{Rule, Source, Step, of_key, of_token},
};

use super::read::{Row, policy, show};
use crate::{error::Result, state::App};

/// A decision with its steps.
///
/// # Errors
/// As any read.
pub async fn explained(app: &App, row: &Row) -> Result<DecisionExplained> {
    let steps = steps(app, row).await?.unwrap_or_default();
    Ok(DecisionExplained { decision: show(row), steps: steps.into_iter().map(shown).collect() })
}

/// The request as a policy looks at it; `None`: not enough of it was kept.
pub fn asked<T>(row: &Row, look: impl FnOnce(&Request<'_>) -> T) -> Option<T> {
    let path = NormalPath::parse(&row.path).ok().filter(|_| !row.path_cut)?;
    let requirement = match (&row.route, &row.capability) {
        (None, _) => None,
        (Some(_), None) => Some(Requirement::Authenticated),
        (Some(_), Some(capability)) => Some(Requirement::Capability(Capability::parse(capability).ok()?)),
    };
    Some(look(&Request {
        method: &row.method,
        path: &path,
        address: row.address.as_deref().and_then(|address| address.parse().ok()),
        domain: row.domain.as_deref(),
        tls: row.tls,
        requirement: requirement.as_ref(),
    }))
}

async fn steps(app: &App, row: &Row) -> Result<Option<Vec<Step>>> {
    let reason = Reason::ALL.into_iter().find(|reason| reason.code() == row.outcome);
    let of_credential = |refusal: Option<Reason>| {
        let refusal = refusal.map(Into::into);
        if row.token { of_token(refusal, false) } else { of_key(refusal) }
    };
    let Some(number) = policy(row) else {
        // It was refused before any policy was looked at.
        return Ok(reason.map(|reason| of_credential(Some(reason))));
    };
    // In another epoch the number means something else.
    if i64::from(app.keyrings.current().keys.manifest().epoch) != row.epoch {
        return Ok(None);
    }
    let policy = match app.policies.lookup(app, number).await {
        Ok(stored) => stored,
        Err(error) if error.code() == Code::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let of_policy = asked(row, |request| policy.policy.explain(None, request));
    Ok(of_policy.map(|of_policy| {
        let mut steps: Vec<Step> = of_credential(None).into_iter().chain(of_policy).collect();
        settle(&mut steps, row, reason);
        steps
    }))
}

/// Lets the steps say what was decided: what the edge knew beyond the policy's rules decides here, too.
fn settle(steps: &mut Vec<Step>, row: &Row, reason: Option<Reason>) {
    let limit = is_limit(&row.outcome) || reason == Some(Reason::LimitUnavailable);
    let broken = steps.iter().find_map(|step| step.code);
    let code = match reason {
        Some(reason) => reason.code(),
        None if limit => keyward_api::usage::outcome(&row.outcome),
        None => return,
    };
    if Verdict::of(&row.outcome) == Verdict::Passed || broken == Some(code) {
        return;
    }
    let rule = if limit { Rule::Limits } else { reason.map_or(Rule::Limits, Rule::of) };
    if !limit && row.token && broken.is_none() {
        // The policy permits it: it was the token that didn't.
        steps.push(Step { rule, source: Source::Token, passed: Some(false), code: Some(code), by: None });
    } else if let Some(step) = steps.iter_mut().rev().find(|step| step.rule == rule) {
        (step.passed, step.code) = (Some(false), Some(code));
    }
}

fn shown(step: Step) -> DecisionStep {
    let Step { rule, source, passed, code, by } = step;
    DecisionStep { rule: rule.as_str().to_owned(), source: source.as_str().to_owned(), passed, code: code.map(str::to_owned), by }
}
