//! The edge: a Cloudflare Worker that decides on every request before the upstream or the origin hears of it.
//!
//! A request goes through [`target`] and [`credential`] (junk is refused with no state and no I/O), waits for a fresh
//! state where [`pulse`] says so, is decided on in [`decide`], and ends in [`refuse`] or at the upstream. The state is
//! kept by [`follow`], from the [`hub`] of the region or, where that can't be reached, from the origin.
//!
//! What needs the runtime is compiled for WebAssembly only; all else is plain data and pure functions, and tested
//! natively. `docs/edge.md` tells what a deployment sets and what each setting admits.

pub mod config;
pub mod credential;
pub mod decide;
pub mod flight;
pub mod follow;
pub mod headers;
pub mod hub;
pub mod metrics;
pub mod outage;
pub mod pulse;
pub mod refuse;
pub mod target;
pub mod warm;

#[cfg(target_arch = "wasm32")]
mod forward;
#[cfg(target_arch = "wasm32")]
mod isolate;
#[cfg(target_arch = "wasm32")]
mod node;
#[cfg(target_arch = "wasm32")]
mod own;
#[cfg(target_arch = "wasm32")]
mod source;

#[cfg(target_arch = "wasm32")]
mod shell {
    use crate::{isolate, refuse::Answer};
    use worker::{Context, Env, Result, event, web_sys};

    /// The worker's one handler.
    #[event(fetch)]
    async fn fetch(request: web_sys::Request, env: Env, context: Context) -> Result<web_sys::Response> {
        match isolate::handle(request, env, &context).await {
            Ok(response) => Ok(response),
            Err(Answer { status, headers, body }) => {
                let init = web_sys::ResponseInit::new();
                init.set_status(status);
                let response = web_sys::Response::new_with_opt_str_and_init(Some(&body), &init)?;
                for (name, value) in headers {
                    response.headers().set(name, value)?;
                }
                Ok(response)
            }
        }
    }
}
