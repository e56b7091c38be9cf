//! `keyward root`: the root that signs manifests, kept where the server isn't. Its first three commands need neither a
//! server nor a database, and belong on the machine that holds the root.

use std::{
    fs::File,
    io::{IsTerminal, Read, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use clap::Subcommand;
use keyward_api::signing::Proposal;
use keyward_core::{Manifest, ManifestKey, PublicKey, Timestamp, bounds::MAX_MANIFEST_LEN, codec::base64url};
use keyward_issuer::SigningKey;
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    database::{Database, MASTER_KEY_HELP},
    failure::Failure,
    runtime,
    show::line,
};
use crate::{
    audit::{Action, Event, append, members},
    clock::Clock,
    db::begin,
    sealing::{random, read_secret, secret_file},
    signing::{MAX_MANIFEST_SECONDS, NotAccepted, accept, adopt_root, hold, propose},
};

/// Bytes of a proposal: two manifests, one of them as plain JSON.
const MAX_PROPOSAL: u64 = 4 * MAX_MANIFEST_LEN as u64;
/// Bytes of a root's file.
const MAX_ROOT: u64 = 256;
const DAY: u64 = 24 * 3600;

/// What can be done with a root.
#[derive(Subcommand)]
pub enum RootCommand {
    /// Make a root in a new file that only its owner can read, and print its public key. On the machine that is to hold it.
    New {
        /// The file.
        file: PathBuf,
    },
    /// Print the public key of a root's file: what edges pin (KEYWARD_ROOTS).
    Show {
        /// The file.
        file: PathBuf,
    },
    /// Say in words what a proposal changes, and sign it. On the machine that holds the root.
    ///
    ///   keyward root sign --key root.key --pinned "$(cat root.pub)" proposal.json > manifest.jwt
    #[command(verbatim_doc_comment)]
    Sign {
        /// The root's file.
        #[arg(long)]
        key: PathBuf,
        /// A root that has signed the manifest in force, where it is not this one: its public key.
        #[arg(long, allow_hyphen_values = true)]
        pinned: Option<String>,
        /// Sign without asking.
        #[arg(long)]
        yes: bool,
        /// The proposal, or `-` for standard input (then with --yes).
        proposal: PathBuf,
    },
    /// Name the next root by its public key: the first manifest that it signs makes it the root. Edges have to pin it before.
    #[command(after_help = MASTER_KEY_HELP)]
    Adopt {
        /// What `keyward root new` has printed.
        #[arg(allow_hyphen_values = true)]
        public_key: String,
        #[command(flatten)]
        database: Database,
    },
    /// Print the next manifest, unsigned, for `keyward root sign`.
    #[command(after_help = MASTER_KEY_HELP)]
    Propose {
        /// For how many days it is to count.
        #[arg(long, default_value_t = 180)]
        days: u64,
        /// The URL by which the world knows the origin, where it is to be another from now on.
        #[arg(long)]
        issuer: Option<String>,
        #[command(flatten)]
        database: Database,
    },
    /// Put a manifest into force that `keyward root sign` has written. Servers and edges follow by themselves.
    #[command(after_help = MASTER_KEY_HELP)]
    Publish {
        /// The manifest, or `-` for standard input.
        manifest: PathBuf,
        /// As for `propose`.
        #[arg(long)]
        issuer: Option<String>,
        #[command(flatten)]
        database: Database,
    },
}

impl RootCommand {
    /// Does it.
    ///
    /// # Errors
    /// With what hindered, for the person at the terminal.
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Self::New { file } => new(&file),
            Self::Show { file } => show(&read_root(&file)?),
            Self::Sign { key, pinned, yes, proposal } => sign(&read_root(&key)?, pinned.as_deref(), yes, &proposal),
            Self::Adopt { public_key, database } => runtime()?.block_on(adopt(&public_key, &database)),
            Self::Propose { days, issuer, database } => runtime()?.block_on(print_proposal(days, issuer.as_deref(), &database)),
            Self::Publish { manifest, issuer, database } => runtime()?.block_on(publish(&manifest, issuer.as_deref(), &database)),
        }
    }
}

fn new(file: &Path) -> anyhow::Result<()> {
    let key = SigningKey::from_seed(random()?);
    // Never over another: a root that is lost takes all edges' trust with it.
    let mut out = secret_file(File::options().create_new(true), file)?;
    let text = Zeroizing::new(base64url(&*key.seed()));
    writeln!(out, "{}", *text)?;
    out.sync_all()?;
    show(&key)
}

fn show(key: &SigningKey) -> anyhow::Result<()> {
    line(&base64url(key.public_key().as_bytes()))
}

/// The root in a file.
///
/// # Errors
/// Where it can't be read, or holds none.
pub fn read_root(file: &Path) -> anyhow::Result<SigningKey> {
    let text = if file == Path::new("-") {
        Zeroizing::new(read(file, MAX_ROOT)?)
    } else {
        read_secret(file).map_err(|error| Failure::Usage(format!("can't read {}: {error}", file.display())))?
    };
    SigningKey::from_text(&text).with_context(|| format!("{} holds no root", file.display()))
}

/// What a file says, or standard input where it is `-`; bounded.
///
/// # Errors
/// Where it can't be read, or is longer.
pub fn read(path: &Path, most: u64) -> anyhow::Result<String> {
    let mut text = String::new();
    let reader: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(path).map_err(|error| Failure::Usage(format!("can't read {}: {error}", path.display())))?)
    };
    reader.take(most + 1).read_to_string(&mut text)?;
    ensure!(text.len() as u64 <= most, "{} is longer than such a thing can be", path.display());
    Ok(text)
}

fn sign(root: &SigningKey, pinned: Option<&str>, yes: bool, path: &Path) -> anyhow::Result<()> {
    let Proposal { current, proposed } = serde_json::from_str(&read(path, MAX_PROPOSAL)?).context("not a proposal")?;
    let mut roots = vec![root.public_key()];
    roots.extend(pinned.map(PublicKey::parse).transpose().context("--pinned is not a public key")?);
    // As of when it was made: it may have expired since.
    let made = Timestamp::from_secs(proposed.iat);
    let keys = Manifest::open(&current, &roots, Timestamp::from_secs(unproved_iat(&current)?))
        .context("the manifest in force is not by this root; name the one that signed it (--pinned)")?;
    let current = keys.manifest();
    ensure!(
        proposed.version > current.version,
        "the proposal is version {}, and version {} is in force",
        proposed.version,
        current.version
    );
    ensure!(proposed.exp.saturating_sub(proposed.iat) <= MAX_MANIFEST_SECONDS, "the proposal counts for too long");
    eprintln!("{}", changes(current, &proposed).join("\n"));
    if !yes {
        ensure!(path != Path::new("-") && std::io::stdin().is_terminal(), "nobody to ask: read it, and sign with --yes");
        eprint!("Sign it as {}? [y/N] ", root.kid());
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        ensure!(answer.trim().eq_ignore_ascii_case("y"), "not signed");
    }
    let jws = root.sign(&proposed)?;
    Manifest::open(&jws, &[root.public_key()], made).context("the proposal contradicts itself")?;
    line(&jws)
}

/// When a manifest says it was signed: to read it as of then.
fn unproved_iat(jws: &str) -> anyhow::Result<u64> {
    let payload = jws.split('.').nth(1).and_then(keyward_core::codec::decode_base64url).context("no manifest in the proposal")?;
    let manifest: Manifest = serde_json::from_slice(&payload).context("no manifest in the proposal")?;
    Ok(manifest.iat)
}

/// What a manifest changes, a line each, for whoever is to sign it.
fn changes(before: &Manifest, after: &Manifest) -> Vec<String> {
    let days = after.exp.saturating_sub(after.iat) / DAY;
    let mut lines =
        vec![format!("Manifest {} of {}, in place of {}; it counts for {days} days.", after.version, after.iss, before.version)];
    if before.iss != after.iss {
        lines.push(format!("  ISSUER: {} becomes {}", before.iss, after.iss));
    }
    if (before.epoch, before.first_policy, before.first_index) != (after.epoch, after.first_policy, after.first_index) {
        lines.push(format!("  EPOCH: {} becomes {}: a recovery of the database", before.epoch, after.epoch));
    }
    let name = |key: &ManifestKey| format!("{:?} {}", key.role, key.kid);
    for key in &after.keys {
        match before.keys.iter().find(|old| old.kid == key.kid) {
            None => lines.push(format!("  new: {} is {:?}", name(key), key.state)),
            Some(old) if (old.role, old.state, old.exp) != (key.role, key.state, key.exp) => {
                lines.push(format!("  {}: {:?} becomes {:?}", name(key), old.state, key.state));
            }
            Some(_) => {}
        }
    }
    for key in before.keys.iter().filter(|old| after.keys.iter().all(|key| key.kid != old.kid)) {
        lines.push(format!("  gone: {} was {:?}", name(key), key.state));
    }
    if lines.len() == 1 {
        lines.push("  The same keys, for longer.".to_owned());
    }
    lines
}

async fn adopt(public_key: &str, database: &Database) -> anyhow::Result<()> {
    let public = PublicKey::parse(public_key.trim()).context("not a public key")?;
    let opened = database.open().await?;
    let now = Clock::system().now();
    let mut tx = begin(opened.db.system(), "BEGIN").await?;
    hold(&mut tx).await?;
    let kid = adopt_root(&mut tx, &public, now).await.context("it is known already, or another next root is")?;
    let event = Event::by_itself(Action::SigningKeyCreated, now)
        .on("signing_key", kid)
        .after(members(json!({"role": "root", "state": "pre-published"})));
    append(&mut tx, opened.foundation.operator, &[event], 0).await?;
    tx.commit().await?;
    line(&json!({"next_root": kid}).to_string())?;
    opened.close().await
}

async fn print_proposal(days: u64, issuer: Option<&str>, database: &Database) -> anyhow::Result<()> {
    ensure!((1..=MAX_MANIFEST_SECONDS / DAY).contains(&days), "--days: 1 to {}", MAX_MANIFEST_SECONDS / DAY);
    let opened = database.open().await?;
    let mut connection = opened.db.system().acquire().await?;
    let (current, proposed) = propose(&mut connection, &opened.foundation.data_key, issuer, days * DAY, Clock::system().now()).await?;
    drop(connection);
    line(&serde_json::to_string_pretty(&Proposal { current, proposed })?)?;
    opened.close().await
}

async fn publish(path: &Path, issuer: Option<&str>, database: &Database) -> anyhow::Result<()> {
    let jws = read(path, MAX_MANIFEST_LEN as u64 + 2)?;
    let opened = database.open().await?;
    let now = Clock::system().now();
    let mut tx = begin(opened.db.system(), "BEGIN").await?;
    hold(&mut tx).await?;
    let version = match accept(&mut tx, &opened.foundation.data_key, jws.trim(), issuer, now).await {
        Ok(version) => version,
        Err(NotAccepted::Stale(words)) => bail!("not the manifest that is due: {words}"),
        Err(NotAccepted::Invalid(words)) => bail!("not a manifest of ours: {words}"),
        Err(NotAccepted::Fault(fault)) => return Err(fault),
    };
    let event = Event::by_itself(Action::ManifestPublished, now).details(members(json!({"version": version})));
    append(&mut tx, opened.foundation.operator, &[event], 0).await?;
    tx.commit().await?;
    line(&json!({"version": version}).to_string())?;
    opened.close().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyward_core::{KeyState, Role};

    #[test]
    fn what_is_about_to_be_signed_is_said_in_words() {
        let key = |seed: u8, role, state| SigningKey::from_seed([seed; 32]).manifest_key(role, state, None);
        let manifest = |version, keys| Manifest {
            iss: "https://keys.example.com".into(),
            version,
            epoch: 1,
            first_policy: 1,
            first_index: 0,
            iat: 0,
            exp: 10 * DAY,
            keys,
        };
        let before = manifest(1, vec![key(1, Role::ApiKey, KeyState::Active), key(2, Role::Token, KeyState::Active)]);
        let after = manifest(2, vec![key(1, Role::ApiKey, KeyState::Frozen), key(3, Role::ApiKey, KeyState::Active)]);
        let said = changes(&before, &after).join("\n");
        for part in ["Manifest 2", "10 days", "Active becomes Frozen", "new: ApiKey", "gone: Token"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(changes(&before, &manifest(2, before.keys.clone())).join("\n").contains("The same keys"));
    }
}
