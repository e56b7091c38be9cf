use crate::{
    Case, File, error,
    mangle::{Sound, jws},
    ok,
    world::{self, EPOCH, NOW, NOW_MS, VERSION, manifest, roots, signer},
};
use keyward_core::{Digest, KeyState, Manifest, Role};
use serde_json::{Value, json};

pub(crate) fn file() -> File {
    let sound = Sound {
        typ: "keyward-manifest+jwt",
        signer: "root",
        payload: serde_json::to_value(manifest()).expect("a manifest"),
        number: "version",
        max_len: 64 * 1024,
    };
    let at = |text: String, now_ms: u64| json!({ "text": text, "now_ms": now_ms });
    let now = |text: String| at(text, NOW_MS);
    let taken = |name: &str, text: String, now_ms: u64| {
        let digest = Digest::of(&text);
        ok(name, at(text, now_ms), json!({ "version": VERSION, "epoch": EPOCH, "digest": digest }))
    };
    let text = world::manifest_text();
    let mut cases = vec![
        taken("the manifest", text.clone(), NOW_MS),
        taken("of the next root", sound.signed_by("next root"), NOW_MS),
        taken("with the newer name of the algorithm", sound.with_new_alg(), NOW_MS),
        taken("in its last millisecond", text.clone(), (NOW + 1_000_000) * 1000 - 1),
        error("from the moment that exp names", at(text.clone(), (NOW + 1_000_000) * 1000), "Expired"),
        taken("a minute ahead of our clock", text.clone(), (NOW - 160) * 1000),
        error("more than a minute ahead of our clock", at(text, (NOW - 160) * 1000 - 1), "Future"),
    ];
    cases.extend(sound.spoiled().into_iter().map(|spoiled| error(spoiled.name, now(spoiled.text), format!("Jws({})", spoiled.error))));
    cases.extend(sound.by_others().into_iter().map(|(name, text)| error(name, now(text), "UnknownRoot")));
    cases.extend(contradictions());
    cases.push(key_of_small_order());
    File {
        name: "manifests.json",
        about: "Manifests, read with the two pinned roots of `given`.",
        operation: "manifest",
        given: json!({ "roots": roots() }),
        cases,
    }
}

/// Manifests whose keys can't be told apart, or aren't what they are called.
fn contradictions() -> Vec<Case> {
    let with = |name: &str, change: &dyn Fn(&mut Manifest)| {
        let mut manifest = manifest();
        change(&mut manifest);
        error(name, json!({ "text": signer("root").sign(&manifest).expect("a manifest"), "now_ms": NOW_MS }), "Keys")
    };
    let mut cases = vec![
        with("a kid that is another key's", &|manifest| manifest.keys[0].kid = signer("nobody").kid()),
        with("a key twice", &|manifest| manifest.keys.push(manifest.keys[0].clone())),
        with("a key in two roles", &|manifest| {
            manifest.keys.push(signer("feed").manifest_key(Role::Policy, KeyState::Active, None));
        }),
    ];
    let many = |manifest: &mut Manifest| {
        manifest.keys = (0..257).map(|n| signer(&format!("key {n}")).manifest_key(Role::Audit, KeyState::Active, None)).collect();
    };
    cases.push(with("more keys than are read", &many));
    let (one, other) = colliding();
    cases.push(with("two API signing keys with the same first three bytes", &|manifest| {
        for name in [&one, &other] {
            manifest.keys.push(signer(name).manifest_key(Role::ApiKey, KeyState::Active, None));
        }
    }));
    cases
}

/// Two names whose keys' thumbprints begin with the same three bytes: one pair is found among a few thousand.
fn colliding() -> (String, String) {
    let mut seen = std::collections::BTreeMap::new();
    for n in 0.. {
        let name = format!("collision {n}");
        if let Some(other) = seen.insert(signer(&name).kid().short(), name.clone()) {
            return (other, name);
        }
    }
    unreachable!("there are fewer than 2^24 short names")
}

/// A key under which signatures prove nothing (RFC 8032 section 5.1.7 doesn't refuse it; we do).
fn key_of_small_order() -> Case {
    let mut payload: Value = serde_json::to_value(manifest()).expect("a manifest");
    payload["keys"][0]["x"] = keyward_core::codec::base64url(&[0; 32]).into();
    let header = format!(r#"{{"alg":"EdDSA","typ":"keyward-manifest+jwt","kid":"{}"}}"#, signer("root").kid());
    let text = jws("root", &header, payload.to_string().as_bytes());
    error("a key of small order", json!({ "text": text, "now_ms": NOW_MS }), "Jws(Payload)")
}
