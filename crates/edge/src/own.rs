//! What the edge answers itself: `/.keyward/health`, and `/.keyward/metrics` for the holder of a token.

use crate::{
    isolate::Isolate,
    metrics::{self, gauge},
    node::Background,
    refuse::{Answer, problem, refusal},
    source::{Source, now},
};
use keyward_api::Code;
use keyward_core::{Reason, find_credential};
use serde::Serialize;
use std::rc::Rc;
use worker::web_sys;

const MAX_HUB_METRICS: usize = 64 * 1024;
const HUB_METRICS_MS: u64 = 500;

/// How an isolate is.
#[derive(Debug, Serialize)]
struct Health {
    /// The epoch of its state.
    epoch: Option<u32>,
    /// The sequence number of its state.
    seq: Option<u64>,
    /// How old its state is, in milliseconds.
    age_ms: Option<u64>,
    /// The version of its manifest.
    manifest: Option<u64>,
    /// Whether it decides on keys of every scope.
    ready: bool,
}

/// The answer to a request below `/.keyward`.
pub(crate) async fn answer(
    isolate: &Rc<Isolate>,
    source: &Source,
    context: &impl Background,
    path: &str,
    headers: &web_sys::Headers,
) -> Answer {
    match path {
        "/.keyward/health" => {
            // Starts an isolate that nobody has asked anything yet, and doesn't wait for it: health is how it is now.
            isolate.tend(source, context);
            health(isolate)
        }
        "/.keyward/metrics" => metrics(isolate, source, headers).await,
        _ => problem(Code::NotFound),
    }
}

fn health(isolate: &Isolate) -> Answer {
    let now = now();
    let health = isolate.with(|state| {
        let replica = state.follower.replica();
        let position = replica.position();
        let limit = if state.pulse.proven() { isolate.config.hard_age_ms } else { isolate.config.soft_age_ms };
        let age_ms = state.follower.age_ms(now);
        Health {
            epoch: position.map(|position| position.epoch),
            seq: position.map(|position| position.seq),
            age_ms,
            manifest: replica.keys().map(|keys| keys.manifest().version),
            ready: age_ms.is_some_and(|age| age <= limit),
        }
    });
    Answer {
        status: if health.ready { 200 } else { 503 },
        headers: vec![("content-type", "application/json".into()), ("cache-control", "no-store".into())],
        body: serde_json::to_string(&health).unwrap_or_default(),
    }
}

async fn metrics(isolate: &Rc<Isolate>, source: &Source, headers: &web_sys::Headers) -> Answer {
    let Some(token) = &isolate.config.metrics_token else { return problem(Code::NotFound) };
    let authorization = headers.get("authorization").ok().flatten();
    match find_credential(authorization.as_deref(), None) {
        Ok(Some(given)) if token.matches(given) => {}
        Ok(None) => return refusal(Reason::CredentialMissing),
        Ok(_) => return refusal(Reason::Malformed),
        Err(reason) => return refusal(reason),
    }
    let hub = source.hub_text(isolate, "/metrics", MAX_HUB_METRICS, HUB_METRICS_MS).await.unwrap_or_default();
    let mut body = String::new();
    let now = now();
    isolate.with(|state| {
        state.counters.write_isolate(&mut body);
        metrics::signatures(&mut body, state.keeper.signatures.counters(), state.keeper.warm.hits());
        metrics::usage(&mut body, state.keeper.usage.unreported(), state.keeper.usage.lost());
        let replica = state.follower.replica();
        let position = replica.position().unwrap_or_default();
        for (name, help, value) in [
            ("keyward_state_epoch", "The epoch of the state.", Some(u64::from(position.epoch))),
            ("keyward_state_seq", "The sequence number of the state.", Some(position.seq)),
            ("keyward_state_age_ms", "The age of the state; absent without one.", state.follower.age_ms(now)),
            ("keyward_manifest_version", "The version of the manifest.", replica.keys().map(|keys| keys.manifest().version)),
            ("keyward_policies", "Policies held.", Some(state.keeper.policies.len() as u64)),
        ] {
            if let Some(value) = value {
                gauge(&mut body, name, help, value);
            }
        }
    });
    body.push_str(&hub);
    Answer { status: 200, headers: vec![("content-type", metrics::MEDIA_TYPE.into()), ("cache-control", "no-store".into())], body }
}
