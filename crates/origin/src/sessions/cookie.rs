//! The cookie of a session (RFC 6265, with the prefix of draft-ietf-httpbis-rfc6265bis section 4.1.3.2).

use axum::http::{HeaderMap, HeaderValue, header};
use keyward_core::Reason;

use super::Secret;
use crate::{config::Config, error::Result};

/// With TLS: a browser takes it from this host alone, and sends it to no other.
const SECURE: &str = "__Host-keyward";
/// Without, on a developer's machine, where no browser would take the other.
const PLAIN: &str = "keyward";

/// What a request has in the cookie; `None` where it has none.
///
/// # Errors
/// `credentials_conflict` where it has two of the name.
pub fn find<'a>(headers: &'a HeaderMap, config: &Config) -> Result<Option<&'a str>, Reason> {
    let name = name(config);
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut ours = pairs.filter(|(other, _)| *other == name).map(|(_, value)| value);
    let first = ours.next();
    if ours.next().is_some() { Err(Reason::CredentialsConflict) } else { Ok(first) }
}

/// Has the browser keep a secret until it is closed.
///
/// # Errors
/// Never: it is all visible ASCII.
pub fn keep(secret: &Secret, config: &Config) -> Result<HeaderValue> {
    written(&secret.expose(), "", config)
}

/// Has the browser forget it.
///
/// # Errors
/// As [`keep`].
pub fn forget(config: &Config) -> Result<HeaderValue> {
    written("", "; Max-Age=0", config)
}

fn written(value: &str, age: &str, config: &Config) -> Result<HeaderValue> {
    let secure = if config.is_secure() { "; Secure" } else { "" };
    let text = format!("{}={value}; HttpOnly; SameSite=Strict; Path=/{age}{secure}", name(config));
    let mut value = HeaderValue::from_str(&text).map_err(crate::error::Error::internal)?;
    value.set_sensitive(true);
    Ok(value)
}

fn name(config: &Config) -> &'static str {
    if config.is_secure() { SECURE } else { PLAIN }
}
