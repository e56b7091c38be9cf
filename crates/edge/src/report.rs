//! Handing on what was counted: to the hub, at most every half second, in the background of a request.

use crate::{
    isolate::Isolate,
    node::Background,
    sealed::Sealed,
    source::{Source, fresh_id, now},
    usage::REPORT_MS,
};
use keyward_core::Timestamp;
use std::{rc::Rc, time::Duration};
use worker::Delay;

/// How long the hub may take.
const HAND_OVER_MS: u64 = 2_000;
/// How long one background may go on: the runtime cuts it 30 s after its response.
const LOOP_MS: u64 = 25_000;
/// What is added to a wait's own deadline before its lease lapses.
const SLACK_MS: u64 = 500;

/// Sees to it that what was counted is reported.
pub(crate) fn tend(isolate: &Rc<Isolate>, source: &Source, background: &impl Background) {
    let began = now();
    if isolate.with(|state| state.keeper.usage.is_due(began)) {
        lease(isolate, began, REPORT_MS);
        background.run(report(isolate.clone(), source.clone(), began));
    }
}

/// Until nothing is left, or its time is over: then the next request goes on. It may be cut off at any await, without a
/// word, so that nothing depends on its end.
async fn report(isolate: Rc<Isolate>, source: Source, began: Timestamp) {
    while now().since(began) < LOOP_MS {
        lease(&isolate, now(), REPORT_MS);
        Delay::from(Duration::from_millis(REPORT_MS)).await;
        isolate.with(|state| {
            state.keeper.usage.seal(&isolate.config.routes, now(), || fresh_id(now()));
            state.keeper.decisions.seal(&isolate.config.routes, now(), || fresh_id(now()));
        });
        while let Some(Sealed { id, body, .. }) = isolate.with(|state| state.keeper.usage.unsent().cloned()) {
            lease(&isolate, now(), HAND_OVER_MS);
            if source.hand_over(&isolate, &format!("/edge/v1/usage?id={id}"), &body, HAND_OVER_MS).await.is_err() {
                break;
            }
            isolate.with(|state| state.keeper.usage.sent(&id));
        }
        // What nobody counts on comes last.
        while let Some(Sealed { id, body, .. }) = isolate.with(|state| state.keeper.decisions.unsent().cloned()) {
            lease(&isolate, now(), HAND_OVER_MS);
            if source.hand_over(&isolate, &format!("/edge/v1/decisions?id={id}"), &body, HAND_OVER_MS).await.is_err() {
                break;
            }
            isolate.with(|state| state.keeper.decisions.sent(&id));
        }
        if isolate.with(|state| state.keeper.usage.is_reported()) {
            break;
        }
    }
    isolate.with(|state| state.keeper.usage.reports(Timestamp::default()));
}

fn lease(isolate: &Isolate, now: Timestamp, wait_ms: u64) {
    let until = Timestamp::from_millis(now.millis() + wait_ms + SLACK_MS);
    isolate.with(|state| state.keeper.usage.reports(until));
}
