//! Sequences of what is told to a replica, and what it answers to each step.

mod deltas;
mod epochs;
mod heartbeats;
mod parts;
mod snapshots;

pub(crate) use {deltas::deltas, epochs::epochs, heartbeats::heartbeats, parts::shards, snapshots::snapshots};

use crate::{
    Case,
    mangle::Sound,
    world::{self, EPOCH, NOW_MS, SEQ, VERSION, step},
};
use keyward_core::{Amendment, Delta, Digest, Heartbeat, PolicyNumber, Status, StatusIndex};
use serde_json::{Value, json};

/// A step and what it gives.
type Told = (Value, Value);

fn case(name: impl Into<String>, steps: Vec<Told>) -> Case {
    let (steps, expected): (Vec<Value>, Vec<Value>) = steps.into_iter().unzip();
    Case { name: name.into(), input: json!({ "steps": steps }), expected: expected.into() }
}

fn ok(value: impl Into<Value>) -> Value {
    json!({ "ok": value.into() })
}

fn done() -> Value {
    ok(Value::Null)
}

fn error(code: impl Into<String>) -> Value {
    json!({ "error": code.into() })
}

fn at(now_ms: u64, kind: &str, value: impl Into<Value>) -> Value {
    json!({ "now_ms": now_ms, kind: value.into() })
}

fn standing(index: u32, expected: Value) -> Told {
    (step("standing", index), expected)
}

fn position(epoch: u32, seq: u64) -> Told {
    (step("position", Value::Null), ok(json!({ "epoch": epoch, "seq": seq })))
}

/// The state is still the one that was given.
fn untouched() -> Vec<Told> {
    vec![position(EPOCH, SEQ), standing(world::VALID, ok("valid")), standing(world::REVOKED, ok("invalid"))]
}

fn refused(name: impl Into<String>, kind: &str, text: String, code: impl Into<String>) -> Case {
    let mut steps = vec![(step(kind, text), error(code))];
    steps.extend(untouched());
    case(name, steps)
}

fn spoiled(kind: &str, sound: &Sound) -> Vec<Case> {
    let mut cases: Vec<Case> = sound
        .spoiled()
        .into_iter()
        .map(|spoiled| refused(spoiled.name, kind, spoiled.text, format!("Open(Jws({}))", spoiled.error)))
        .collect();
    cases.extend(sound.by_others().into_iter().map(|(name, text)| refused(name, kind, text, "Open(UnknownKey)")));
    cases.push(refused("by a key that doesn't count yet", kind, sound.signed_by("feed pre-published"), "Open(KeyState)"));
    cases
}

fn delta() -> Delta {
    Delta { epoch: EPOCH, from: SEQ, to: SEQ + 2, iat_ms: NOW_MS, ..Delta::default() }
}

fn changed(changes: &[(u32, Status)]) -> Delta {
    Delta { changes: changes.iter().map(|(index, status)| (StatusIndex(*index), *status)).collect(), ..delta() }
}

fn amendment(index: u32, policy: u32, expires: Option<u32>) -> Amendment {
    Amendment { index: StatusIndex(index), policy: PolicyNumber(policy), expires }
}

/// A megabyte of text has no place in a file; where a kind may be so long, the native tests have the case.
const TOO_LONG: &str = "longer than its kind may be";

fn heartbeat() -> Heartbeat {
    Heartbeat { epoch: EPOCH, seq: SEQ, iat_ms: NOW_MS + 1000, manifest: VERSION, digest: Digest::of(world::manifest_text()) }
}
