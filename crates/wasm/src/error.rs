//! Errors as JavaScript sees them.

use std::fmt::Display;

use keyward_core::{Reason, Refusal, Timestamp};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = "
/** What every function of this package throws. */
export interface KeywardError extends Error {
  /** Stable: a reason of the core, as in a problem's `code`, or `manifest`, `status_list`, `policy`, `request`, `argument`. */
  readonly code: string;
}
";

/// An `Error` with a code.
pub(crate) fn error(code: &str, message: &dyn Display) -> JsValue {
    let error = js_sys::Error::new(&message.to_string());
    error.set_name("KeywardError");
    // Fails on a frozen object alone, and this one is new.
    let _ = js_sys::Reflect::set(&error, &"code".into(), &code.into());
    error.into()
}

/// The error for a rule of the core.
pub(crate) fn refused(reason: Reason) -> JsValue {
    error(reason.code(), &reason)
}

/// The error for a key that is not verified.
pub(crate) fn refusal(refusal: Refusal) -> JsValue {
    match refusal {
        Refusal::Denied(reason) => refused(reason),
        Refusal::Undecided(missing) => error(refusal.reason().code(), &missing),
    }
}

/// A moment from `Date.now()`.
pub(crate) fn moment(millis: f64) -> Result<Timestamp, JsValue> {
    // Beyond 2^53 a number no longer tells milliseconds apart; a date never comes near.
    if (0.0..9_007_199_254_740_992.0).contains(&millis) {
        Ok(Timestamp::from_millis(millis as u64))
    } else {
        Err(error("argument", &"a time has to be milliseconds since 1970"))
    }
}
