//! `keyward signing`: the keys that sign everything, for the operator of a deployment.

use std::{
    path::PathBuf,
    thread::sleep,
    time::{Duration, Instant},
};

use clap::{Args, Subcommand};
use keyward_api::{
    Code,
    signing::{CreateSigningKey, ManifestInForce, Proposal, PublishManifest, SigningKey, SigningKeyTurned, SigningKeys, TurnSigningKey},
};
use keyward_core::{KeyState, Kid, bounds::MAX_MANIFEST_LEN};
use serde::Serialize;
use serde_json::json;

use super::{
    client::{Call, Client},
    confirm::Confirm,
    connection::{CONNECTION_HELP, Connection},
    failure::{EXIT_CODES, Failure},
    parse::{self, request},
    root::read,
    show::{line, moment, note, record, table},
};

const SIGNING_KEYS: &str = "/api/v1/signing-keys";
const MANIFEST: &str = "/api/v1/manifest";
/// Until every edge can know of a new key, with time to spare.
const KNOWN_WITHIN: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_secs(2);

const EXAMPLES: &str = "\
Examples:
  keyward signing list
  keyward signing rotate token               # makes the next one, waits until every edge knows it, and activates it
  keyward signing freeze KID                 # it was stolen: its successor signs from the same manifest on
  keyward signing retire KID                 # once nothing needs it any more
  keyward signing proposal > proposal.json   # where the root is kept elsewhere: see `keyward root sign`
  keyward signing publish manifest.jwt";

/// Signing keys: what they sign, rotate, freeze and retire them.
#[derive(Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{CONNECTION_HELP}\n\n{EXIT_CODES}"))]
pub struct Signing {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: SigningCommand,
}

#[derive(Subcommand)]
enum SigningCommand {
    /// All signing keys with their states, and the manifest in force.
    List,
    /// Makes and announces the next key of a role.
    Create(New),
    /// Makes the next key of a role where there is none yet, waits until every edge can know of it, and activates it.
    Rotate {
        #[command(flatten)]
        new: New,
    },
    /// Lets a key sign that was announced.
    Activate(Turn),
    /// Ends a key that nothing needs any more: its private half is erased.
    Retire {
        #[command(flatten)]
        turn: Turn,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Ends at once what a stolen key signs.
    Freeze {
        #[command(flatten)]
        turn: Turn,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// The next manifest, unsigned: what `keyward root sign` reads.
    Proposal {
        /// For how many days it is to count; unset: 180.
        #[arg(long)]
        days: Option<u64>,
    },
    /// The manifest in force, as it was signed.
    Manifest,
    /// Puts a manifest into force that `keyward root sign` has written.
    Publish {
        /// The manifest, or `-` for standard input.
        manifest: PathBuf,
    },
}

#[derive(Args, Serialize)]
struct New {
    /// What it is to sign.
    #[arg(value_parser = ["api-key", "token", "policy", "feed", "audit", "root"])]
    role: String,
    /// Of a root alone, whose private half is kept elsewhere: its public half.
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<String>,
}

#[derive(Args)]
struct Turn {
    /// The signing key's name, as the list shows it.
    #[arg(value_parser = parse::kid, allow_hyphen_values = true)]
    kid: Kid,
    /// Also where that ends what is in use, or comes before every edge can know of it.
    #[arg(long)]
    force: bool,
}

impl Turn {
    fn call(&self, action: &str) -> anyhow::Result<Call> {
        let body = request::<TurnSigningKey>(&json!({"force": self.force}))?;
        Ok(Call::post(format!("{SIGNING_KEYS}/{}/{action}", self.kid)).json(&body))
    }

    /// Asks, with the role as the name to type.
    fn confirm(&self, client: &Client, confirm: &Confirm, what: &str) -> anyhow::Result<()> {
        confirm.ask(|| {
            let found: SigningKeys = client.ask(&Call::get(SIGNING_KEYS))?.read()?;
            let key = found.signing_keys.into_iter().find(|key| key.kid == self.kid);
            let key = key.ok_or_else(|| Failure::Usage("there is no such signing key".to_owned()))?;
            let live = key.live_keys.map_or_else(String::new, |live| format!(" {live} live raw keys are by it."));
            Ok((format!("{what} {} ({}, {}).{live}", key.kid, role(&key), state(&key)), role(&key)))
        })
    }
}

impl Signing {
    /// Does it.
    ///
    /// # Errors
    /// With what came in between.
    pub fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        match self.command {
            SigningCommand::List => client.show(Call::get(SIGNING_KEYS), |keys| listed(&keys)),
            SigningCommand::Create(new) => client.show(create(&new)?, |turned| shown(&turned)),
            SigningCommand::Rotate { new } => rotate(&client, &new),
            SigningCommand::Activate(turn) => client.show(turn.call("activate")?, |turned| shown(&turned)),
            SigningCommand::Retire { turn, confirm } => {
                turn.confirm(&client, &confirm, "This erases")?;
                client.show(turn.call("retire")?, |turned| shown(&turned))
            }
            SigningCommand::Freeze { turn, confirm } => {
                turn.confirm(&client, &confirm, "This freezes")?;
                client.show(turn.call("freeze")?, |turned| shown(&turned))
            }
            SigningCommand::Proposal { days } => {
                let call = Call::get(format!("{MANIFEST}/proposal")).query(days.map(|days| ("days", days.to_string())));
                let answer = client.ask(&call)?;
                answer.read::<Proposal>()?;
                line(&answer.text)
            }
            SigningCommand::Manifest => {
                client.copy(&Call::get("/.well-known/keyward-manifest"), "application/jwt", &mut std::io::stdout().lock())
            }
            SigningCommand::Publish { manifest } => {
                let jws = read(&manifest, MAX_MANIFEST_LEN as u64 + 2)?;
                let body = request::<PublishManifest>(&json!({"manifest": jws.trim()}))?;
                client.show(Call::post(MANIFEST).json(&body).unrepeatable(), |keys| listed(&keys))
            }
        }
    }
}

fn create(new: &New) -> anyhow::Result<Call> {
    Ok(Call::post(SIGNING_KEYS).json(&request::<CreateSigningKey>(new)?).unrepeatable())
}

fn rotate(client: &Client, new: &New) -> anyhow::Result<()> {
    let kid = match client.ask(&create(new)?) {
        Ok(answer) => answer.read::<SigningKeyTurned>()?.signing_key.kid,
        // An earlier run was cut off, or somebody else has made it.
        Err(error) if refused_with(&error, Code::AlreadyExists) => {
            let found: SigningKeys = client.ask(&Call::get(SIGNING_KEYS))?.read()?;
            let next = found.signing_keys.iter().find(|key| role(key) == new.role && key.state == KeyState::PrePublished);
            next.ok_or(error)?.kid
        }
        Err(error) => return Err(error),
    };
    note(&format!("{kid} is announced; waiting until every edge can know of it"));
    let began = Instant::now();
    loop {
        let turn = Turn { kid, force: false };
        match client.show(turn.call("activate")?, |turned| shown(&turned)) {
            Err(error) if refused_with(&error, Code::SigningKeyUnseen) && began.elapsed() < KNOWN_WITHIN => sleep(LOOK_EVERY),
            done => return done,
        }
    }
}

fn refused_with(error: &anyhow::Error, code: Code) -> bool {
    let Some(Failure::Refused { text, .. }) = error.downcast_ref() else { return false };
    serde_json::from_str::<serde_json::Value>(text).is_ok_and(|problem| problem["code"] == code.as_str())
}

fn word(value: impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn role(key: &SigningKey) -> String {
    word(key.role)
}

fn state(key: &SigningKey) -> String {
    word(key.state)
}

fn listed(keys: &SigningKeys) -> anyhow::Result<()> {
    let row = |key: &SigningKey| {
        vec![
            key.kid.to_string(),
            role(key),
            state(key),
            moment(Some(&key.state_since)),
            key.live_keys.map_or_else(|| "-".to_owned(), |live| live.to_string()),
            if key.is_here { "here" } else { "elsewhere" }.to_owned(),
        ]
    };
    table(&["kid", "role", "state", "since", "live keys", "private half"], keys.signing_keys.iter().map(row))?;
    line("")?;
    manifest(&keys.manifest)
}

fn manifest(manifest: &ManifestInForce) -> anyhow::Result<()> {
    record([
        ("manifest", format!("version {}, epoch {}, to {}", manifest.version, manifest.epoch, moment(Some(&manifest.expires_at)))),
        ("root", if manifest.root_is_elsewhere { "kept elsewhere" } else { "" }.to_owned()),
        ("next", if manifest.outdated { "to be signed: `keyward signing proposal`" } else { "" }.to_owned()),
    ])
}

fn shown(turned: &SigningKeyTurned) -> anyhow::Result<()> {
    let key = &turned.signing_key;
    record([
        ("kid", key.kid.to_string()),
        ("role", role(key)),
        ("state", state(key)),
        ("to be activated from", key.activatable_at.as_deref().map_or_else(String::new, |at| moment(Some(at)))),
        ("successor", turned.successor.map_or_else(String::new, |kid| kid.to_string())),
    ])?;
    manifest(&turned.manifest)
}
