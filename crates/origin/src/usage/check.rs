//! What of a batch is taken.

use keyward_api::{
    FieldError,
    limits::MAX_AMOUNT,
    usage::{LATENCIES, MAX_BATCH_AGE_DAYS, MAX_BATCH_ENTRIES, MAX_ENDPOINT_LEN, UsageBatch},
};
use keyward_core::Timestamp;

use crate::error::{Error, Result};

/// Requests of one entry: a second of an isolate has some thousands.
const MAX_REQUESTS: u64 = 1_000_000_000;
/// Bytes of one entry, and its cost in cents: so that no sum overflows, whatever is sent.
const MAX_SUM: u64 = 1 << 44;
/// Characters of an outcome's name.
const MAX_OUTCOME: usize = 64;

/// Passes a batch that can be added.
///
/// # Errors
/// `validation_failed`, with the first members that are wrong. A batch is refused as a whole: a sender that counts
/// wrongly counts wrongly.
pub fn check(batch: &UsageBatch, now: Timestamp) -> Result<()> {
    let mut errors = Vec::new();
    let mut refuse = |field: String, message: String| errors.push(FieldError { field, message });
    match made(batch) {
        None => refuse("id".into(), "a UUIDv7".into()),
        // Whether it was added before can't be told any more.
        Some(made) if now.since(made) > MAX_BATCH_AGE_DAYS * 24 * 3600 * 1000 => {
            refuse("id".into(), format!("of a batch that was made within {MAX_BATCH_AGE_DAYS} days"));
        }
        Some(_) => {}
    }
    for (name, len) in [("entries", batch.entries.len()), ("callers", batch.callers.len()), ("debts", batch.debts.len())] {
        if len > MAX_BATCH_ENTRIES {
            refuse(name.into(), format!("at most {MAX_BATCH_ENTRIES}"));
        }
    }
    let requests = |requests: u64| (1..=MAX_REQUESTS).contains(&requests);
    for (at, entry) in batch.entries.iter().enumerate() {
        let outcome = &entry.outcome;
        let named = (1..=MAX_OUTCOME).contains(&outcome.len()) && outcome.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        // Each may be as large as all, so that the sum can't overflow before it is compared.
        let timed = entry.latency.iter().try_fold(0u64, |sum, count| sum.checked_add(*count)).is_some_and(|sum| sum <= entry.requests);
        let rules = [
            ("requests", requests(entry.requests), "1 to 1000000000"),
            (
                "endpoint",
                entry.endpoint.len() <= MAX_ENDPOINT_LEN && !entry.endpoint.chars().any(char::is_control),
                "too long, or not a text",
            ),
            ("outcome", named || entry.outcome == keyward_api::usage::OTHER, "`passed` or the code of a reason"),
            ("status", entry.status <= 5, "the first digit of a status, or 0"),
            ("bytes_in", entry.bytes_in <= MAX_SUM, "too many"),
            ("bytes_out", entry.bytes_out <= MAX_SUM, "too many"),
            ("cost", entry.cost <= MAX_SUM, "too much"),
            ("latency", timed, "no more than there are requests"),
        ];
        for (field, _, message) in rules.into_iter().filter(|(_, holds, _)| !holds) {
            refuse(format!("entries[{at}].{field}"), message.into());
        }
    }
    for (at, _) in batch.callers.iter().enumerate().filter(|(_, caller)| !requests(caller.requests)) {
        refuse(format!("callers[{at}].requests"), format!("1 to {MAX_REQUESTS}"));
    }
    for (at, _) in batch.debts.iter().enumerate().filter(|(_, debt)| !(1..=MAX_AMOUNT).contains(&debt.cents)) {
        refuse(format!("debts[{at}].cents"), format!("1 to {MAX_AMOUNT}"));
    }
    const { assert!(LATENCIES == 8, "the columns of the tables") };
    errors.truncate(32);
    if errors.is_empty() { Ok(()) } else { Err(Error::invalid(errors)) }
}

/// When a batch was made, by its id.
fn made(batch: &UsageBatch) -> Option<Timestamp> {
    let id = Some(batch.id).filter(|id| id.get_version_num() == 7)?;
    Some(Timestamp::from_millis((id.as_u128() >> 80) as u64))
}
