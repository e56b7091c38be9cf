//! Which origin to ask, and with which key. Decision 0053.

use std::net::IpAddr;

use clap::Args;
use keyward_core::{ParsedKey, TenantId};
use ureq::http::{HeaderValue, Uri};
use zeroize::Zeroizing;

use super::{
    client::Client,
    failure::Failure,
    profile::{self, Profile},
};

/// Where an origin listens unless told otherwise.
const DEFAULT_URL: &str = "http://127.0.0.1:8080";
const HEADING: &str = "Connection and output";

/// What `--help` says of it.
pub const CONNECTION_HELP: &str = "\
The origin and the key come from one place, the first that is there:
  --profile NAME               a profile in the file of profiles
  --url or KEYWARD_URL         with the key in KEYWARD_KEY (alone: http://127.0.0.1:8080)
  KEYWARD_PROFILE, `default`   a profile in the file of profiles

Profiles stand in $KEYWARD_CONFIG, or in keyward/profiles.toml of $XDG_CONFIG_HOME (~/.config), mode 0600:
  [default]
  url = \"https://keys.example.com\"
  key_file = \"ops.key\"         # or key = \"kwd_live_…\"";

/// Arguments of every command that asks an origin.
#[derive(Args)]
pub struct Connection {
    /// The origin; with the key in KEYWARD_KEY.
    #[arg(long, global = true, conflicts_with = "profile", help_heading = HEADING)]
    url: Option<String>,
    /// The profile that names the origin and the key.
    #[arg(long, global = true, help_heading = HEADING)]
    profile: Option<String>,
    /// Send the key over plain HTTP also to another machine: whoever is on the way can read it.
    #[arg(long, global = true, help_heading = HEADING)]
    insecure_http: bool,
    /// Print the API's answers as they are, and its problems likewise on standard error.
    #[arg(long, global = true, help_heading = HEADING)]
    json: bool,
}

/// The tenant of a command.
#[derive(Args)]
pub struct InTenant {
    /// The tenant to act in, where it isn't the key's own; for keys of admin scope.
    #[arg(long, global = true, value_name = "ID", value_parser = super::parse::tenant_id, help_heading = HEADING)]
    tenant: Option<TenantId>,
}

impl InTenant {
    /// As a member of a query.
    pub fn query(&self) -> Vec<(&'static str, String)> {
        self.tenant.iter().map(|tenant| ("tenant", tenant.to_string())).collect()
    }
}

impl Connection {
    /// What asks.
    ///
    /// # Errors
    /// Where it isn't said whom to ask or with which key, or the key isn't to be sent there.
    pub fn client(&self) -> anyhow::Result<Client> {
        let (url, key) = self.find()?;
        Client::new(checked(&url, self.insecure_http)?, bearer(&key)?, &key, self.json)
    }

    fn find(&self) -> anyhow::Result<(String, Zeroizing<String>)> {
        let told = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        if let Some(name) = &self.profile {
            return named(name);
        }
        let (url, key) = (self.url.clone().or_else(|| told("KEYWARD_URL")), told("KEYWARD_KEY").map(Zeroizing::new));
        match (url, key) {
            (url, Some(key)) => Ok((url.unwrap_or_else(|| DEFAULT_URL.to_owned()), key)),
            // Never a profile's key: it was made for the profile's origin.
            (Some(_), None) => Err(Failure::Usage("KEYWARD_KEY holds no key for that origin".to_owned()).into()),
            (None, None) => named(&told("KEYWARD_PROFILE").unwrap_or_else(|| profile::DEFAULT.to_owned())),
        }
    }
}

fn named(name: &str) -> anyhow::Result<(String, Zeroizing<String>)> {
    let path = profile::file_of_profiles()?;
    if !path.exists() {
        let words = format!("no KEYWARD_KEY, and no profiles in {}: `keyward keys --help` says how", path.display());
        return Err(Failure::Usage(words).into());
    }
    let mut profiles = profile::all()?;
    let unknown = || Failure::Usage(format!("no profile `{name}` in {}", path.display()));
    let found: Profile = profiles.remove(name).ok_or_else(unknown)?;
    Ok((found.url.clone(), found.key()?))
}

/// The key as a header, which says of itself that it is secret. Refused here, and without being repeated, where it is no key.
fn bearer(key: &str) -> Result<HeaderValue, Failure> {
    let wrong = |why: String| Failure::Usage(format!("what was given as the key isn't one: {why}"));
    ParsedKey::parse(key.trim()).map_err(|reason| wrong(reason.to_string()))?;
    let text = Zeroizing::new(format!("Bearer {}", key.trim()));
    let mut value = HeaderValue::from_str(&text).map_err(|_| wrong("it has other characters".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The URL without a slash at its end, where a key may be sent there.
fn checked(url: &str, insecure: bool) -> Result<String, Failure> {
    let wrong = |why: &str| Failure::Usage(format!("not the URL of an origin: {why}"));
    let url = url.trim_end_matches('/');
    let uri: Uri = url.parse().map_err(|_| wrong("it can't be read"))?;
    let authority = uri.authority().ok_or_else(|| wrong("it has no host"))?;
    if authority.as_str().contains('@') {
        return Err(wrong("it holds a user or password"));
    }
    if uri.query().is_some() || url.contains('#') {
        return Err(wrong("it has a query or fragment"));
    }
    match uri.scheme_str() {
        Some("https") => Ok(url.to_owned()),
        Some("http") if insecure || is_loopback(authority.host()) => Ok(url.to_owned()),
        Some("http") => Err(Failure::Usage(
            "plain HTTP would show the key to whoever is on the way: use https, or --insecure-http where nobody is".to_owned(),
        )),
        _ => Err(wrong("it begins with neither https:// nor http://")),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_over_tls_or_to_this_machine() {
        for url in ["https://keys.example.com/", "http://127.0.0.1:8080", "http://[::1]:8080", "http://localhost:1/base"] {
            assert!(checked(url, false).is_ok(), "{url}");
        }
        for url in [
            "http://keys.example.com",
            "http://127.0.0.1.example.com",
            "http://localhost.example.com",
            "https://user:password@keys.example.com",
            "https://keys.example.com/?x=1",
            "https://keys.example.com/#x",
            "ftp://127.0.0.1",
            "127.0.0.1:8080",
            "",
        ] {
            assert!(checked(url, false).is_err(), "{url}");
        }
        assert!(checked("http://keys.example.com", true).is_ok());
    }
}
