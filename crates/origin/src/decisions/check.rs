//! What of a batch is taken.

use keyward_api::{
    FieldError,
    decisions::{DecisionBatch, MAX_DECISIONS, MAX_DECISIONS_AGE_HOURS, MAX_SAMPLED_PATH, MAX_SAMPLED_WORD, Sampled},
    usage::MAX_ENDPOINT_LEN,
};
use keyward_core::Timestamp;

use crate::error::{Error, Result};

/// Requests that one stands for: so that no sum overflows, whatever is sent.
const MAX_WEIGHT: u64 = 1_000_000_000;
/// Cents, likewise.
const MAX_COST: u64 = 1 << 44;
/// Characters of an outcome's name.
const MAX_OUTCOME: usize = 64;

/// Passes a batch that can be added.
///
/// # Errors
/// `validation_failed`, with the first members that are wrong. A batch is refused as a whole, as one of usage.
pub fn check(batch: &DecisionBatch, now: Timestamp) -> Result<()> {
    let mut errors = Vec::new();
    let mut refuse = |field: String, message: String| errors.push(FieldError { field, message });
    match made(batch) {
        None => refuse("id".into(), "a UUIDv7".into()),
        // Whether it was added before can't be told any more.
        Some(made) if now.since(made) > MAX_DECISIONS_AGE_HOURS * 3600 * 1000 => {
            refuse("id".into(), format!("of a batch that was made within {MAX_DECISIONS_AGE_HOURS} hours"));
        }
        Some(_) => {}
    }
    if batch.decisions.len() > MAX_DECISIONS {
        refuse("decisions".into(), format!("at most {MAX_DECISIONS}"));
    }
    for (at, decision) in batch.decisions.iter().take(MAX_DECISIONS).enumerate() {
        for (field, message) in faults(decision) {
            refuse(format!("decisions[{at}].{field}"), message.into());
        }
    }
    errors.truncate(32);
    if errors.is_empty() { Ok(()) } else { Err(Error::invalid(errors)) }
}

fn faults(decision: &Sampled) -> impl Iterator<Item = (&'static str, &'static str)> {
    let text = |text: &str, most: usize| text.len() <= most && !text.chars().any(char::is_control);
    let optional = |value: &Option<String>, most: usize| value.as_deref().is_none_or(|value| text(value, most));
    let outcome = &decision.outcome;
    let named = (1..=MAX_OUTCOME).contains(&outcome.len()) && outcome.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let rules = [
        ("weight", (1..=MAX_WEIGHT).contains(&decision.weight), "1 to 1000000000"),
        ("at_ms", decision.at_ms < 1 << 43, "unix milliseconds"),
        ("seq", i64::try_from(decision.seq).is_ok(), "too large"),
        ("method", text(&decision.method, MAX_SAMPLED_WORD), "too long, or not a text"),
        ("path", decision.path.starts_with('/') && text(&decision.path, MAX_SAMPLED_PATH), "too long, or not a path"),
        ("domain", optional(&decision.domain, MAX_SAMPLED_WORD), "too long, or not a text"),
        ("route", optional(&decision.route, MAX_ENDPOINT_LEN), "too long, or not a text"),
        ("capability", optional(&decision.capability, MAX_SAMPLED_WORD), "too long, or not a text"),
        ("outcome", named, "`passed` or the code of a reason"),
        ("status", decision.status <= 999, "a status, or 0"),
        ("cost", decision.cost <= MAX_COST, "too much"),
    ];
    rules.into_iter().filter(|(_, holds, _)| !holds).map(|(field, _, message)| (field, message))
}

/// When a batch was made, by its id.
fn made(batch: &DecisionBatch) -> Option<Timestamp> {
    let id = Some(batch.id).filter(|id| id.get_version_num() == 7)?;
    Some(Timestamp::from_millis((id.as_u128() >> 80) as u64))
}
