//! A request's hold on a slot of its key, from its permission to the end of its answer; `js/hold.js` has it, since an answer's body is
//! the runtime's.

use crate::{isolate::current, limits::hold::Slot};
use keyward_core::Timestamp;
use worker::{
    wasm_bindgen,
    wasm_bindgen::{JsValue, prelude::wasm_bindgen},
    web_sys,
};

/// It goes on.
const HELD: u32 = 1;
/// Beside that: there is something to see to in the background.
const DUE: u32 = 2;

#[wasm_bindgen]
extern "C" {
    /// The hold.
    pub(crate) type Hold;

    #[wasm_bindgen(js_name = keywardHold)]
    fn hold(slot: f64, request: &web_sys::Request) -> Hold;

    /// Tells when the request has to end.
    #[wasm_bindgen(method, getter)]
    pub(crate) fn signal(this: &Hold) -> web_sys::AbortSignal;

    /// Whether it has to, because its slot may be another's.
    #[wasm_bindgen(method, getter, js_name = lost)]
    pub(crate) fn is_lost(this: &Hold) -> bool;

    /// Whether the client has gone.
    #[wasm_bindgen(method, getter, js_name = left)]
    pub(crate) fn is_left(this: &Hold) -> bool;

    /// The response at whose end the hold ends.
    #[wasm_bindgen(method, catch)]
    pub(crate) fn follow(this: &Hold, response: &web_sys::Response, method: &str) -> Result<web_sys::Response, JsValue>;

    /// Ends it.
    #[wasm_bindgen(method)]
    pub(crate) fn end(this: &Hold);
}

impl Hold {
    /// That of a request on the long way.
    pub(crate) fn of(slot: u64, request: &web_sys::Request) -> Self {
        hold(slot as f64, request)
    }
}

/// A request says that it is under way, with its slot: whether it may go on. A slot of another instance is nobody's.
#[wasm_bindgen(js_name = slotHeld)]
pub fn held(slot: f64, now: f64) -> u32 {
    let now = Timestamp::from_millis(now as u64);
    current().map_or(0, |isolate| {
        isolate.with(|state| {
            let permits = &mut state.keeper.permits;
            let held = match permits.is_there(slot as u64, now) {
                Slot::Held => HELD,
                Slot::Lost => {
                    state.counters.cut += 1;
                    0
                }
            };
            held | if permits.is_due(now) { DUE } else { 0 }
        })
    })
}

/// A request has ended, and its slot is free.
#[wasm_bindgen(js_name = slotFree)]
pub fn free(slot: f64) {
    if let Some(isolate) = current() {
        isolate.with(|state| state.keeper.permits.ends(slot as u64));
    }
}
