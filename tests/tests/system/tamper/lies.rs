//! The lies that can be told of any signed object.

use anyhow::Result;
use keyward_issuer::SigningKey;
use serde::Serialize;

use crate::support::publisher::Published;

/// What is wrong with each, and the text.
pub(super) type Lies = Vec<(&'static str, String)>;

/// A JWS with one character of a part changed to another of the alphabet.
fn flipped(jws: &str, part: usize) -> String {
    let mut parts: Vec<String> = jws.split('.').map(str::to_owned).collect();
    let old = parts[part].as_bytes()[10];
    let new = if old == b'A' { "B" } else { "A" };
    parts[part].replace_range(10..=10, new);
    parts.join(".")
}

/// The lies that can be told of any signed object.
pub(super) fn about_any<T: keyward_core::Signed + Serialize>(
    published: &Published,
    honest: &T,
    right: &SigningKey,
    wrong: [&SigningKey; 3],
) -> Result<Lies> {
    let jws = right.sign(honest)?;
    let payload = serde_json::to_vec(honest)?;
    let swapped = |typ: &str| right.sign_as(typ, &payload);
    let with_more = {
        let mut value = serde_json::to_value(honest)?;
        value["more"] = serde_json::json!(1);
        right.sign_as(T::TYP, value.to_string().as_bytes())
    };
    let twice = {
        let text = String::from_utf8(payload.clone())?;
        let member = r#"{"epoch":1,"iat":1,"sub":"x","iss":"x","#;
        right.sign_as(T::TYP, text.replacen('{', member, 1).as_bytes())
    };
    Ok(vec![
        ("nothing", String::new()),
        ("not a signed object", "e30.e30.e30".to_owned()),
        ("cut short", jws[..jws.len() - 1].to_owned()),
        ("header changed", flipped(&jws, 0)),
        ("payload changed", flipped(&jws, 1)),
        ("signature changed", flipped(&jws, 2)),
        ("padded", format!("{jws}=")),
        ("another type", swapped("keyward-other+jwt")),
        ("a token's type", swapped("at+jwt")),
        ("a member more", with_more),
        ("a member twice", twice),
        ("signed by a stranger", published.keys.stranger.sign(honest)?),
        ("signed in the role of another (1)", wrong[0].sign(honest)?),
        ("signed in the role of another (2)", wrong[1].sign(honest)?),
        ("signed in the role of another (3)", wrong[2].sign(honest)?),
    ])
}
