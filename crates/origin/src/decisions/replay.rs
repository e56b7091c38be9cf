//! What if: recent decisions held against a draft of a policy. Nothing is changed, and nothing decided.

use std::collections::{BTreeMap, HashMap};

use keyward_api::{
    Code,
    decisions::{Replay, ReplayChange, Replayed, Verdict, is_limit},
};
use keyward_core::{Class, KeyId, Policy, PolicyNumber, PolicyTerms, Reason, TenantId, Timestamp};
use sqlx::types::Uuid;

use super::{
    explain::asked,
    read::{Filter, Row, View},
};
use crate::{
    auth::Caller,
    db::Tx,
    error::{Error, Result},
    keys::{
        row::KeyRow,
        terms::{Checks, changed_terms, new_terms},
    },
    policies::policy_number,
    state::App,
};

/// Decisions that are looked at: the newest.
const MOST: usize = 50_000;
/// Decisions that are read at a time.
const PAGE: i64 = 2_000;
/// Lines of an answer.
const MOST_LINES: usize = 200;
/// Hours back.
const HOURS: std::ops::RangeInclusive<u32> = 1..=168;
const DEFAULT_HOURS: u32 = 1;

/// What is known of a key whose requests are replayed.
struct Subject {
    name: String,
    scope: i16,
    policy: PolicyNumber,
}

/// What a draft would make of a decision.
#[derive(Debug, PartialEq, Eq)]
enum Effect {
    Same,
    /// It would come to this.
    Other(&'static str),
    Unknown,
}

/// Holds a draft against the decisions that the caller sees.
///
/// # Errors
/// `validation_failed`; `not_found` where there is no such key or policy; else as any read.
pub async fn replay(app: &App, caller: &Caller, tenant: TenantId, asked: Replay) -> Result<Replayed> {
    let hours = asked.hours.unwrap_or(DEFAULT_HOURS);
    if !HOURS.contains(&hours) {
        return Err(Error::field("hours", format!("{} to {}", HOURS.start(), HOURS.end())));
    }
    let (key, policy) = (asked.key_id, asked.policy);
    let draft = draft(app, caller, tenant, asked).await?;
    let draft = Policy::compile(draft.numbered(PolicyNumber(0), 0, 0)).map_err(Error::internal)?;
    let begin = app.clock.now().millis().saturating_sub(u64::from(hours) * 3_600_000);
    let view = View::of(app, caller, tenant).since(Timestamp::from_millis(begin));

    let mut tx = app.db.tenant(tenant).await?;
    let filter = Filter { key, ..Filter::default() };
    let (mut subjects, mut sums) = (HashMap::new(), Sums::default());
    let mut before = view.newest(&mut tx).await? + 1;
    let mut looked_at = 0;
    loop {
        let rows = view.between(&mut tx, &filter, (0, before), PAGE).await?;
        learn(&mut tx, tenant, &rows, &mut subjects).await?;
        looked_at += rows.len();
        let last = rows.last().map(|row| row.seq);
        let end = rows.len() < PAGE as usize;
        for row in rows {
            // The key may be gone from what is seen, and what was late is of before.
            let Some(subject) = subjects.get(&row.api_key).filter(|subject| policy.is_none_or(|policy| policy == subject.policy)) else {
                continue;
            };
            sums.add(&row, effect(&draft, &row, subject.scope));
        }
        match last {
            Some(last) if !end && looked_at < MOST => before = last,
            _ => break,
        }
    }
    tx.commit().await?;
    Ok(sums.answer(view.begin(), looked_at >= MOST, &subjects))
}

/// The terms of the draft.
async fn draft(app: &App, caller: &Caller, tenant: TenantId, asked: Replay) -> Result<PolicyTerms> {
    let named = asked.terms.as_ref().and_then(|terms| terms.capabilities.as_deref());
    let named = named.or_else(|| asked.change.as_ref().and_then(|change| change.capabilities.as_deref()));
    let settings = app.tenants.settings(app, tenant, named.unwrap_or_default()).await?;
    let checks = Checks::of(settings);
    match (asked.terms, asked.change) {
        (Some(terms), None) => new_terms(checks, &terms.into(), tenant, &caller.terms()).map_err(|error| error.within("terms")),
        (None, Some(change)) => {
            let present = present(app, caller, tenant, (asked.key_id, asked.policy)).await?;
            changed_terms(checks, &change, present).map_err(|error| error.within("change"))
        }
        _ => Err(Error::field("terms", "either these, or a change")),
    }
}

/// The terms that a change is about.
async fn present(app: &App, caller: &Caller, tenant: TenantId, of: (Option<KeyId>, Option<PolicyNumber>)) -> Result<PolicyTerms> {
    match of {
        (Some(key), _) => {
            let mut tx = app.db.tenant(tenant).await?;
            let row = KeyRow::find(&mut tx, caller, tenant, key).await?;
            tx.commit().await?;
            Ok(row.terms.0)
        }
        (None, Some(policy)) => {
            let stored = app.policies.lookup(app, policy).await?;
            if stored.policy.claims().tenant == tenant { Ok(stored.terms()) } else { Err(Code::NotFound.into()) }
        }
        (None, None) => Err(Error::field("change", "of a key or of a policy")),
    }
}

/// Asks for what isn't known yet of these rows' keys.
async fn learn(tx: &mut Tx, tenant: TenantId, rows: &[Row], subjects: &mut HashMap<Uuid, Subject>) -> Result<()> {
    let mut unknown: Vec<Uuid> = rows.iter().map(|row| row.api_key).filter(|key| !subjects.contains_key(key)).collect();
    unknown.sort_unstable();
    unknown.dedup();
    if unknown.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query!(
        r#"SELECT k.id, k.name, k.scope, CASE WHEN p.superseded_by IS NULL THEN p.number ELSE p.superseded_by END AS "policy!"
           FROM api_keys k JOIN policies p ON p.number = k.policy WHERE k.tenant = $1 AND k.id = ANY($2)"#,
        tenant.0,
        &unknown,
    )
    .fetch_all(tx.connection())
    .await?;
    subjects.extend(rows.into_iter().map(|row| {
        let subject = Subject { name: row.name, scope: row.scope, policy: policy_number(row.policy) };
        (row.id, subject)
    }));
    Ok(())
}

/// What a draft would make of a decision on a key of this scope. Limits stay as they are: how much is left of them isn't
/// known any more.
fn effect(draft: &Policy, row: &Row, scope: i16) -> Effect {
    let was = row.outcome.as_str();
    let permitted = Verdict::of(was) == Verdict::Passed || is_limit(was);
    let by_policy = Reason::ALL.into_iter().any(|reason| reason.code() == was && reason.class() == Class::Forbidden);
    if !permitted && !by_policy {
        return Effect::Same;
    }
    let would = match draft.claims().scope as i16 > scope {
        true => Some(Reason::ScopeExceeded),
        false => match asked(row, |request| draft.refuses(request)) {
            Some(would) => would,
            None => return Effect::Unknown,
        },
    };
    match (permitted, would) {
        (true, None) => Effect::Same,
        (true, Some(reason)) => Effect::Other(reason.code()),
        (false, Some(reason)) if reason.code() == was => Effect::Same,
        // It may have been the token that said no, and would go on to.
        (false, _) if row.token => Effect::Unknown,
        (false, Some(reason)) => Effect::Other(reason.code()),
        (false, None) => Effect::Other(keyward_api::usage::PASSED),
    }
}

/// What is the same of requests that would change together.
type Line = (Uuid, Option<String>, String, &'static str);

#[derive(Default)]
struct Sums {
    decisions: u64,
    requests: u64,
    newly_refused: u64,
    newly_permitted: u64,
    refused_otherwise: u64,
    undecided: u64,
    /// Requests, and one of the decisions.
    lines: BTreeMap<Line, (u64, u64)>,
}

impl Sums {
    fn add(&mut self, row: &Row, effect: Effect) {
        let weight = row.weight.unsigned_abs();
        self.decisions += 1;
        self.requests += weight;
        match effect {
            Effect::Same => {}
            Effect::Unknown => self.undecided += weight,
            Effect::Other(to) => {
                *match (Verdict::of(&row.outcome), Verdict::of(to)) {
                    (Verdict::Passed, _) => &mut self.newly_refused,
                    (Verdict::Refused, Verdict::Passed) => &mut self.newly_permitted,
                    (Verdict::Refused, Verdict::Refused) => &mut self.refused_otherwise,
                } += weight;
                let line = (row.api_key, row.route.clone(), row.outcome.clone(), to);
                let (requests, _) = self.lines.entry(line).or_insert((0, row.seq.unsigned_abs()));
                *requests += weight;
            }
        }
    }

    fn answer(self, since: String, cut: bool, subjects: &HashMap<Uuid, Subject>) -> Replayed {
        let Self { decisions, requests, newly_refused, newly_permitted, refused_otherwise, undecided, lines } = self;
        let more = lines.len() > MOST_LINES;
        let mut changes: Vec<_> = lines
            .into_iter()
            .map(|((key, route, from, to), (requests, example))| ReplayChange {
                key_id: KeyId(key),
                key_name: subjects.get(&key).map(|subject| subject.name.clone()).unwrap_or_default(),
                route,
                from,
                to: to.to_owned(),
                requests,
                example,
            })
            .collect();
        changes.sort_by_key(|change| std::cmp::Reverse(change.requests));
        changes.truncate(MOST_LINES);
        let changed = newly_refused + newly_permitted + refused_otherwise;
        Replayed { since, cut, decisions, requests, changed, newly_refused, newly_permitted, refused_otherwise, undecided, changes, more }
    }
}
