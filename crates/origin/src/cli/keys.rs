//! `keyward keys`: API keys over REST.

use clap::{Args, Subcommand};
use keyward_api::keys::{CreateKey, Key, KeyCreated, KeyRevoked, KeyValidated, RenewKey, UpdateKey, ValidateKey};
use keyward_core::KeyId;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    bulk::BulkCommand,
    client::{Call, Client},
    confirm::Confirm,
    connection::{CONNECTION_HELP, Connection, InTenant},
    failure::{EXIT_CODES, Failure},
    filter::Filter,
    key_terms::{KeyChange, NewKey},
    list::{Listed, Paging},
    parse::{self, Days, request},
    rotate::Rotate,
    secret,
    show::{joined, limit, line, moment, note, record},
};

/// Where keys are.
pub const KEYS: &str = "/api/v1/api-keys";

const EXAMPLES: &str = "\
Examples:
  keyward keys create 'billing exporter' --capability rag:search --expires-in-days 30
  keyward keys list --status active --expiring-within-days 14
  keyward keys update 0197… --rate-limit-per-hour 100 --allow-ip 10.0.0.0/8
  keyward keys rotate 0197… --overlap-seconds 86400      # the new raw key is on standard output
  keyward keys rotate finish 0197…
  keyward keys validate --endpoint 'POST /v1/chat' < raw.key
  keyward keys bulk revoke --owner ann --reason 'has left' --dry-run

A raw key is shown once, alone on standard output: keep it, or hand it on through a pipe.";

/// API keys.
#[derive(Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{CONNECTION_HELP}\n\n{EXIT_CODES}"))]
pub struct Keys {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    tenant: InTenant,
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Subcommand)]
enum KeysCommand {
    /// The keys that the asking key may see.
    List {
        #[command(flatten)]
        filter: Box<Filter>,
        /// By what they are ordered.
        #[arg(long, value_parser = ["created", "name", "expires"])]
        sort: Option<String>,
        /// In which direction; unset: `desc`.
        #[arg(long, value_parser = ["asc", "desc"])]
        order: Option<String>,
        /// Leave out what they were used for: a quicker answer.
        #[arg(long)]
        without_usage: bool,
        #[command(flatten)]
        paging: Paging,
    },
    /// One key.
    Get {
        #[command(flatten)]
        which: Which,
    },
    /// A new key. Its raw key is alone on standard output, once.
    Create {
        #[command(flatten)]
        new: Box<NewKey>,
        #[command(flatten)]
        once: Once,
    },
    /// Another name, owner or other terms. What isn't named stays.
    Update {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        change: Box<KeyChange>,
        #[command(flatten)]
        state: State,
    },
    /// A new raw key for the same key; the old one goes on for the overlap.
    Rotate(Rotate),
    /// Another expiry for the same raw key.
    Renew {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        end: End,
        #[command(flatten)]
        state: State,
    },
    /// Out of use until resumed.
    Suspend {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        state: State,
    },
    /// In use again, as it was.
    Resume {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        state: State,
    },
    /// Out of use for ever.
    Revoke {
        #[command(flatten)]
        which: Which,
        /// Why; kept, and shown with the key.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        #[command(flatten)]
        state: State,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Whether a raw key, read from standard input, would pass. Exit code 1: it wouldn't.
    Validate {
        #[command(flatten)]
        asserted: Asserted,
    },
    /// One action on many keys.
    #[command(subcommand)]
    Bulk(BulkCommand),
}

/// The key that a command is about.
#[derive(Args)]
pub struct Which {
    /// Its id.
    #[arg(value_parser = parse::key_id)]
    id: KeyId,
}

/// Only in a certain state.
#[derive(Args)]
pub struct State {
    /// Only if the key is as it was shown with this `etag`.
    #[arg(long, value_name = "ETAG")]
    pub if_match: Option<String>,
}

/// A name under which something is done once.
#[derive(Args)]
pub struct Once {
    /// A name for this run: with the same one within 24 hours, the answer is the same and nothing is made twice.
    #[arg(long, value_name = "NAME")]
    pub idempotency_key: Option<String>,
}

/// When a key is to end.
#[derive(Args, Serialize)]
#[group(required = true, multiple = false)]
struct End {
    /// Days from now, or `never`.
    #[arg(long, value_name = "DAYS", value_parser = parse::days)]
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in_days: Option<Days>,
    /// A moment: 2027-06-30T00:00:00Z.
    #[arg(long, value_name = "MOMENT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

/// What is said of the request that a key came with.
#[derive(Args, Serialize)]
struct Asserted {
    /// `[METHOD ]/path`.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
    /// Where it came from.
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    client_ip: Option<String>,
    /// The host of its Origin header.
    #[arg(long, value_name = "HOST")]
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<String>,
    /// Whether it came over TLS.
    #[arg(long, value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<bool>,
    /// What it needs.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    capability: Option<String>,
    /// What it costs; charged to the key's cost limit, as at the edge.
    #[arg(long, value_name = "CENTS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_cents: Option<u64>,
    /// Its tokens, for the limit on tokens of a request.
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<u64>,
}

impl Keys {
    /// Does it.
    ///
    /// # Errors
    /// With what came in between.
    pub fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let tenant = self.tenant.query();
        let act = |which: &Which, action: &str, state: &State| {
            Call::post(format!("{KEYS}/{}/{action}", which.id)).query(tenant.clone()).if_match(state.if_match.as_deref())
        };
        match self.command {
            KeysCommand::List { filter, sort, order, without_usage, paging } => {
                let usage = without_usage.then(|| "false".to_owned());
                let members = [("sort", sort), ("order", order), ("include_usage", usage)]
                    .into_iter()
                    .filter_map(|(name, value)| Some((name, value?)));
                let query = tenant.into_iter().chain(filter.query()?).chain(members).collect();
                Listed { path: KEYS, query, cursor: "cursor", head: &HEAD, row }.show(&client, &paging)
            }
            KeysCommand::Get { which } => client.show(Call::get(format!("{KEYS}/{}", which.id)).query(tenant), |key| shown(&key)),
            KeysCommand::Create { new, once } => {
                let body = request::<CreateKey>(&new)?;
                let call = Call::post(KEYS).query(tenant).json(&body).once(once.idempotency_key.as_deref())?;
                client.show(call, |created: KeyCreated| {
                    let key = &created.api_key;
                    note(&format!("Key {} (`{}`) until {}. {}", key.id, key.name, moment(key.expires_at.as_deref()), created.warning));
                    line(&created.raw_key)
                })
            }
            KeysCommand::Update { which, change, state } => {
                let body = request::<UpdateKey>(&change)?;
                let call = Call::patch(format!("{KEYS}/{}", which.id)).query(tenant).json(&body).if_match(state.if_match.as_deref());
                client.show(call, |key| shown(&key))
            }
            KeysCommand::Rotate(rotate) => rotate.run(&client, tenant),
            KeysCommand::Renew { which, end, state } => {
                let body = request::<RenewKey>(&end)?;
                client.show(act(&which, "renew", &state).json(&body), |key| shown(&key))
            }
            KeysCommand::Suspend { which, state } => client.show(act(&which, "suspend", &state), |key| shown(&key)),
            KeysCommand::Resume { which, state } => client.show(act(&which, "resume", &state), |key| shown(&key)),
            KeysCommand::Revoke { which, reason, state, confirm } => {
                confirm.ask(|| {
                    let key: Key = client.ask(&Call::get(format!("{KEYS}/{}", which.id)).query(tenant.clone()))?.read()?;
                    Ok((format!("This revokes {} of {} for ever.", key.id, key.owner_id), key.name))
                })?;
                let call = Call::delete(format!("{KEYS}/{}/revoke", which.id)).query(tenant).if_match(state.if_match.as_deref());
                let call = call.query(reason.map(|reason| ("reason", reason)));
                client.show(call, |done: KeyRevoked| line(&format!("{} is revoked", done.key_id)))
            }
            KeysCommand::Validate { asserted } => validate(&client, tenant, &asserted),
            KeysCommand::Bulk(command) => command.run(&client, tenant),
        }
    }
}

fn validate(client: &Client, tenant: Vec<(&'static str, String)>, asserted: &Asserted) -> anyhow::Result<()> {
    let raw = secret::read("key")?;
    let mut body = serde_json::to_value(asserted)?;
    body["api_key"] = json!(*raw);
    let body: Value = request::<ValidateKey>(&body)?;
    let answer = client.ask(&Call::post(format!("{KEYS}/validate")).query(tenant).json(&body))?;
    let verdict: KeyValidated = answer.read()?;
    if client.json() {
        line(&answer.text)?;
    } else {
        let left = |left: Option<u64>| left.map_or_else(String::new, |left| left.to_string());
        record([
            ("valid", if verdict.valid { "yes" } else { "no" }.to_owned()),
            ("because", verdict.error_message.unwrap_or_default()),
            ("left this hour", left(verdict.rate_limit_remaining)),
            ("left today", left(verdict.quota_remaining)),
        ])?;
    }
    if verdict.valid { Ok(()) } else { Err(Failure::NotValid.into()) }
}

const HEAD: [&str; 8] = ["id", "name", "owner", "status", "scope", "expires", "key hint", "last used"];

fn row(key: &Key) -> Vec<String> {
    let used = key.usage.as_ref().and_then(|usage| usage.last_used.as_deref());
    vec![
        key.id.to_string(),
        key.name.clone(),
        key.owner_id.clone(),
        key.status.as_str().to_owned(),
        key.scope.as_str().to_owned(),
        moment(key.expires_at.as_deref()),
        key.key_hint.clone(),
        moment(used),
    ]
}

/// One key for people.
///
/// # Errors
/// Where nobody reads it.
pub fn shown(key: &Key) -> anyhow::Result<()> {
    let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let some = |text: &Option<String>| text.clone().unwrap_or_default();
    let raw = |one: &keyward_api::keys::Credential| {
        let which = if one.current { "current" } else { "until the overlap's end" };
        format!("{} {which}, to {}", some(&one.key_hint), moment(one.expires_at.as_deref()))
    };
    let constraints: Vec<_> = key.tenant_constraints.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let used = key.usage.as_ref().map_or_else(String::new, |usage| {
        format!("{} requests, {} errors, last {}", usage.requests_count, usage.errors_count, moment(usage.last_used.as_deref()))
    });
    record([
        ("id", key.id.to_string()),
        ("name", key.name.clone()),
        ("description", some(&key.description)),
        ("owner", key.owner_id.clone()),
        ("tenant", key.tenant_id.to_string()),
        ("status", key.status.as_str().to_owned()),
        ("scope", key.scope.as_str().to_owned()),
        ("environment", key.environment.as_str().to_owned()),
        ("expires", moment(key.expires_at.as_deref())),
        ("raw keys", key.credentials.iter().map(raw).collect::<Vec<_>>().join("; ")),
        ("rotation due", key.rotation_due_at.as_deref().map_or_else(String::new, |due| moment(Some(due)))),
        ("capabilities", joined(&key.capabilities, "none")),
        ("endpoints", joined(&key.allowed_endpoints, "any")),
        ("blocked endpoints", joined(&key.blocked_endpoints, "none")),
        ("addresses", joined(&key.allowed_ips, "any")),
        ("domains", joined(&key.allowed_domains, "any")),
        ("requires TLS", yes(key.require_tls)),
        ("token exchange", yes(key.token_exchange)),
        ("requests an hour", limit(key.rate_limit_per_hour)),
        ("requests a day", limit(key.daily_quota)),
        ("requests a month", limit(key.monthly_quota)),
        ("cents a month", limit(key.cost_limit_cents)),
        ("tokens a request", limit(key.max_tokens_per_request)),
        ("requests at a time", limit(key.max_concurrent_requests)),
        ("constraints", joined(&constraints, "none")),
        ("policy", key.policy.to_string()),
        (
            "revoked",
            key.revoked_at.as_deref().map_or_else(String::new, |at| format!("{} {}", moment(Some(at)), some(&key.revocation_reason))),
        ),
        ("used", used),
        (
            "created",
            key.created_by.map_or_else(|| moment(Some(&key.created_at)), |by| format!("{} by {by}", moment(Some(&key.created_at)))),
        ),
        ("updated", moment(Some(&key.updated_at))),
        ("etag", key.etag.clone()),
    ])
}
