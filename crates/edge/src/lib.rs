//! The edge: a Cloudflare Worker that decides on every request before the upstream or the origin hears of it.
//!
//! A request that can be decided at once goes through the gate (`gate.rs`, `js/gate.js`) in one call; every other one
//! through `isolate.rs`. Either way it goes through [`target`] and `find_credential` of the core (junk is refused with no state and no I/O), waits for a fresh
//! state where [`pulse`] says so, is decided on in [`decide`], and ends in [`refuse`] or at the upstream. The state is
//! kept by [`follow`], from the [`hub`] of the region or, where that can't be reached, from the origin.
//!
//! What needs the runtime is compiled for WebAssembly only; all else is plain data and pure functions, and tested
//! natively. `docs/edge.md` tells what a deployment sets and what each setting admits.

pub mod config;
pub mod decide;
pub mod decisions;
pub mod denial;
pub mod flight;
pub mod follow;
#[cfg(target_arch = "wasm32")]
pub mod gate;
pub mod headers;
#[cfg(target_arch = "wasm32")]
pub mod hold;
pub mod hub;
pub mod limits;
pub mod metrics;
pub mod outage;
pub mod pulse;
pub mod refuse;
pub mod sealed;
pub mod target;
pub mod usage;

#[cfg(target_arch = "wasm32")]
mod forward;
#[cfg(target_arch = "wasm32")]
mod isolate;
#[cfg(target_arch = "wasm32")]
mod node;
#[cfg(target_arch = "wasm32")]
mod own;
#[cfg(target_arch = "wasm32")]
mod record;
#[cfg(target_arch = "wasm32")]
mod report;
#[cfg(target_arch = "wasm32")]
mod sent;
#[cfg(target_arch = "wasm32")]
mod source;

#[cfg(target_arch = "wasm32")]
mod shell {
    use crate::isolate;
    use worker::{Context, Env, Result, event, web_sys};

    /// The worker's one handler: the long way of a request ([`crate::gate`] is the short one).
    #[event(fetch)]
    async fn fetch(request: web_sys::Request, env: Env, context: Context) -> Result<web_sys::Response> {
        match isolate::handle(request, env, &context).await {
            Ok(response) => Ok(response),
            Err(answer) => Ok(answer.into_response()?),
        }
    }
}
