//! What of an edge's request for permits is taken.

use keyward_api::{
    FieldError,
    limits::{MAX_AMOUNT, MAX_PERMITS, PermitsRequest},
};

use crate::error::{Error, Result};

/// Milliseconds until the year 287,396; what every reader of JSON reads exactly.
const MAX_SERIAL: u64 = (1 << 53) - 1;

/// Passes a request that can be answered entry by entry.
///
/// # Errors
/// `validation_failed`, with the first members that are wrong.
pub fn check(request: &PermitsRequest) -> Result<()> {
    let mut errors = Vec::new();
    let mut refuse = |field: String, message: String| errors.push(FieldError { field, message });
    for (name, len) in [("wanted", request.wanted.len()), ("returned", request.returned.len()), ("slots", request.slots.len())] {
        if len > MAX_PERMITS {
            refuse(name.into(), format!("at most {MAX_PERMITS}"));
        }
    }
    let some = |amount: u64| (1..=MAX_AMOUNT).contains(&amount);
    for (at, entry) in request.wanted.iter().enumerate() {
        if !some(entry.least) {
            refuse(format!("wanted[{at}].least"), format!("1 to {MAX_AMOUNT}"));
        }
        if entry.wanted > MAX_AMOUNT {
            refuse(format!("wanted[{at}].wanted"), format!("at most {MAX_AMOUNT}"));
        }
    }
    for (at, _) in request.returned.iter().enumerate().filter(|(_, entry)| !some(entry.amount)) {
        refuse(format!("returned[{at}].amount"), format!("1 to {MAX_AMOUNT}"));
    }
    for (at, entry) in request.slots.iter().enumerate() {
        for (name, number, most) in
            [("serial", entry.serial, MAX_SERIAL), ("leased", entry.leased, MAX_AMOUNT), ("wanted", entry.wanted, MAX_AMOUNT)]
        {
            if number > most {
                refuse(format!("slots[{at}].{name}"), format!("at most {most}"));
            }
        }
    }
    errors.truncate(32);
    if errors.is_empty() { Ok(()) } else { Err(Error::invalid(errors)) }
}
