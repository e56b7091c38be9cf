//! Profiles: where an origin is and with which key to ask it, in a file that only its owner can read.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    failure::Failure,
    show::{line, table},
};
use crate::sealing::read_secret;

/// The profile that is taken where none is named.
pub const DEFAULT: &str = "default";

/// `keyward profiles`: which there are; their keys are not shown.
///
/// # Errors
/// Where the file can't be read, or nobody reads what is printed.
pub fn list(json: bool) -> anyhow::Result<()> {
    if json {
        let profiles: Vec<_> = all()?.into_iter().map(|(name, profile)| json!({"name": name, "url": profile.url})).collect();
        return line(&json!(profiles).to_string());
    }
    table(&["profile", "url"], all()?.into_iter().map(|(name, profile)| vec![name, profile.url]))
}

/// One profile.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Where the origin is.
    pub url: String,
    /// The key itself; this or the next.
    key: Option<Zeroizing<String>>,
    /// A file that holds the key, from the file of profiles on.
    key_file: Option<PathBuf>,
}

impl Profile {
    /// Its key as text.
    ///
    /// # Errors
    /// Where it names none, or two, or its file can't be read or is others' too.
    pub fn key(&self) -> anyhow::Result<Zeroizing<String>> {
        match (&self.key, &self.key_file) {
            (Some(key), None) => Ok(key.clone()),
            (None, Some(file)) => Ok(private(&file_of_profiles()?.parent().unwrap_or(Path::new("")).join(file))?),
            _ => Err(Failure::Usage("a profile has either `key` or `key_file`".to_owned()).into()),
        }
    }
}

/// Where profiles are: `$KEYWARD_CONFIG`, else `keyward/profiles.toml` in the user's configuration (XDG).
///
/// # Errors
/// Where there is no telling.
pub fn file_of_profiles() -> anyhow::Result<PathBuf> {
    let told = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = told("KEYWARD_CONFIG") {
        return Ok(path);
    }
    // A relative one is to be ignored, says the XDG Base Directory Specification.
    let config = told("XDG_CONFIG_HOME").filter(|path| path.is_absolute()).or_else(|| Some(told("HOME")?.join(".config")));
    let config = config.ok_or_else(|| Failure::Usage("no HOME: name the file of profiles in KEYWARD_CONFIG".to_owned()))?;
    Ok(config.join("keyward/profiles.toml"))
}

/// All profiles.
///
/// # Errors
/// Where the file can't be read, is others' too, or is not well-formed.
pub fn all() -> anyhow::Result<BTreeMap<String, Profile>> {
    let path = file_of_profiles()?;
    let text = private(&path)?;
    // The parser's words would show the line at fault, and a key may stand in it.
    toml::from_str(&text).map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let place = format!("{}:{}", path.display(), before.lines().count().max(1));
        let known = "a profile is `[name]` with `url` and either `key` or `key_file`";
        Failure::Usage(format!("{place}: not well-formed: {known}")).into()
    })
}

fn private(path: &Path) -> Result<Zeroizing<String>, Failure> {
    read_secret(path).map_err(|error| Failure::Usage(format!("can't read {}: {error}", path.display())))
}
