//! Which headers go on to the upstream.

use crate::decide::{Passage, TokenPassage};
use keyward_core::Position;
use std::fmt;

/// What the identity headers begin with. Nothing that a client sends under such a name reaches the upstream.
const PREFIX: &str = "x-keyward-";

/// The names of the identity headers.
pub const IDENTITY: [&str; 5] = ["x-keyward-key-id", "x-keyward-tenant", "x-keyward-scope", "x-keyward-policy", "x-keyward-constraints"];
/// The name of the header that says on what state it was decided: `{epoch}.{seq}.{age}`.
pub const DECISION: &str = "x-keyward-decision";

/// The upstream says in this header how many cents a request has cost; to the edge alone. js/gate.js has the same.
pub const COST: &str = "x-keyward-cost-cents";

/// Headers that are taken out, beside the identity headers: the credentials; what makes an upstream read another method or
/// path than those that were decided on (decision 0115); and a connection's own, by which a client could have the next hop drop
/// what the edge adds (RFC 9110 section 7.6.1). `upgrade` stays where [`upgrades`] says so. `expect` asks for an interim answer,
/// which the runtime would take for the final one: the body is sent on unasked.
const STRIPPED: [&str; 20] = [
    "authorization",
    "x-api-key",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-method",
    "x-forwarded-method",
    "x-original-url",
    "x-original-uri",
    "x-rewrite-url",
    "x-forwarded-uri",
    "x-forwarded-prefix",
    "x-envoy-original-path",
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "expect",
    "http2-settings",
];

/// Whether a header of this name (lower case) is kept from the upstream. Whatever is no letter or digit counts as a hyphen: to CGI's
/// children all of them are an underscore, or some. A name that is none (RFC 9110 section 5.6.2) the runtime takes in and can't send on.
pub fn is_stripped(name: &str) -> bool {
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)) {
        return true;
    }
    let same = |a: u8, b: u8| a == b || (b == b'-' && !a.is_ascii_alphanumeric());
    let begins = |with: &str| name.len() >= with.len() && name.bytes().zip(with.bytes()).all(|(a, b)| same(a, b));
    begins(PREFIX) || STRIPPED.iter().any(|stripped| name.len() == stripped.len() && begins(stripped))
}

/// Whether an `Upgrade` to this goes on: to WebSockets alone, which the edge can join. js/gate.js has the same.
pub fn upgrades(to: &str) -> bool {
    to.eq_ignore_ascii_case("websocket")
}

/// What the identity headers tell the upstream, as whom the request passes: a value for each of [`IDENTITY`], each
/// written by `value`.
pub fn identity(passage: &Passage, mut value: impl FnMut(fmt::Arguments<'_>)) {
    let Passage { key, index: _, tenant, scope, policy, constraints, position: _, age_ms: _, limits: _, token: _ } = passage;
    value(format_args!("{key}"));
    value(format_args!("{tenant}"));
    value(format_args!("{}", scope.as_str()));
    value(format_args!("{policy}"));
    value(format_args!("{constraints}"));
}

/// The value of [`DECISION`]; js/gate.js writes the same.
pub fn decision(passage: &Passage) -> String {
    let Position { epoch, seq } = passage.position;
    format!("{epoch}.{seq}.{}", passage.age_ms)
}

/// The headers that tell it of the token that was presented in the key's place.
pub fn token(passage: &Passage) -> impl Iterator<Item = (&'static str, String)> {
    let told = |token: &TokenPassage| [("x-keyward-token", token.id.clone()), ("x-keyward-token-scope", token.scope.clone())];
    passage.token.iter().flat_map(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_the_edge_may_say_is_stripped_in_every_spelling() {
        for name in [
            "authorization",
            "x-api-key",
            "x_api_key",
            "x-keyward-tenant",
            "x_keyward_tenant",
            "x-keyward.tenant",
            "x!keyward~scope",
            "x-keyward-anything",
            "x-http-method-override",
            "x_http_method_override",
            "x-original-url",
            "x.rewrite.url",
            "x-forwarded-prefix",
            "connection",
            "x-keyward\u{ad}tenant",
            "caf\u{e9}",
        ] {
            assert!(is_stripped(name), "{name}");
        }
        for name in ["accept", "cookie", "x-keywards", "x-api-keys", "x0api0key", "x-forwarded-host", "upgrade", "content-length", "te-x"] {
            assert!(!is_stripped(name), "{name}");
        }
    }
}
