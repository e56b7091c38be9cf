//! `keyward tokens`: capability tokens, as OAuth has them (RFC 8693, 7662, 7009).

use clap::{Args, Subcommand};
use keyward_api::oauth::{ACCESS_TOKEN, API_KEY, Introspection, TOKEN_EXCHANGE, TokenIssued};
use keyward_core::ParsedKey;

use super::{
    client::{Call, Client},
    confirm::Confirm,
    connection::{CONNECTION_HELP, Connection, InTenant},
    failure::{EXIT_CODES, Failure},
    secret,
    show::{line, note, record, seconds},
};

const EXAMPLES: &str = "\
Examples:
  keyward tokens exchange --capability llm:gpt-4 --expires-in 60   # for the asking key, unless it can't be exchanged
  keyward tokens exchange --stdin < raw.key                        # for another key
  keyward tokens introspect < token
  keyward tokens revoke < token";

/// Capability tokens: short-lived, for what a key permits or for less.
#[derive(Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{CONNECTION_HELP}\n\n{EXIT_CODES}"))]
pub struct Tokens {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: TokensCommand,
}

#[derive(Subcommand)]
enum TokensCommand {
    /// A token for a key. It is alone on standard output.
    Exchange(Exchange),
    /// Whether a token or raw key, read from standard input, holds now, and what it permits. Exit code 1: it doesn't hold.
    Introspect {
        #[command(flatten)]
        tenant: InTenant,
    },
    /// Takes back a token, read from standard input; or, for ever, the key of a raw key.
    Revoke {
        #[command(flatten)]
        confirm: Confirm,
    },
}

#[derive(Args)]
struct Exchange {
    /// Read the raw key from standard input: for another key than the asking one, which then has to have `keys:validate`.
    #[arg(long)]
    stdin: bool,
    /// Only these of the key's capabilities.
    #[arg(long = "capability", value_delimiter = ',')]
    capabilities: Vec<String>,
    /// For whom it is; unset: for services behind the edge.
    #[arg(long, value_name = "URL")]
    audience: Option<String>,
    /// Only for these of the key's endpoints.
    #[arg(long = "endpoint", value_name = "PATTERN")]
    endpoints: Vec<String>,
    /// Only from these of the key's addresses.
    #[arg(long = "ip", value_name = "CIDR", value_delimiter = ',')]
    ips: Vec<String>,
    /// For how many seconds; unset: 300.
    #[arg(long, value_name = "SECONDS")]
    expires_in: Option<u64>,
}

impl Tokens {
    /// Does it.
    ///
    /// # Errors
    /// With what came in between.
    pub fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        match self.command {
            TokensCommand::Exchange(exchange) => exchange.run(&client),
            TokensCommand::Introspect { tenant } => introspect(&client, &tenant),
            TokensCommand::Revoke { confirm } => {
                let text = secret::read("token")?;
                if let Ok(key) = ParsedKey::parse(&text) {
                    let id = key.unverified_claims().id;
                    confirm.ask(|| Ok((format!("This is no token but a raw key: it revokes the key {id} for ever."), id.to_string())))?;
                }
                client.ask(&Call::post("/oauth/revoke").form([("token", text.as_str())]))?;
                note("taken back");
                Ok(())
            }
        }
    }
}

impl Exchange {
    fn run(self, client: &Client) -> anyhow::Result<()> {
        let other = if self.stdin { Some(secret::read("key")?) } else { None };
        let (scope, seconds) = (self.capabilities.join(" "), self.expires_in.map(|seconds| seconds.to_string()));
        let mut form = vec![
            ("grant_type", TOKEN_EXCHANGE),
            ("subject_token", other.as_ref().map_or_else(|| client.key(), |key| key.as_str())),
            ("subject_token_type", API_KEY),
            ("requested_token_type", ACCESS_TOKEN),
        ];
        form.extend((!scope.is_empty()).then_some(("scope", scope.as_str())));
        form.extend(self.audience.as_deref().map(|audience| ("audience", audience)));
        form.extend(self.endpoints.iter().map(|endpoint| ("endpoint", endpoint.as_str())));
        form.extend(self.ips.iter().map(|ip| ("ip", ip.as_str())));
        form.extend(seconds.as_deref().map(|seconds| ("expires_in", seconds)));
        client.show(Call::post("/oauth/token").form(form), |issued: TokenIssued| {
            note(&format!("A token for {} seconds: {}", issued.expires_in, issued.scope));
            line(&issued.access_token)
        })
    }
}

fn introspect(client: &Client, tenant: &InTenant) -> anyhow::Result<()> {
    let text = secret::read("token or key")?;
    let answer = client.ask(&Call::post("/oauth/introspect").query(tenant.query()).form([("token", text.as_str())]))?;
    let found: Introspection = answer.read()?;
    if client.json() {
        line(&answer.text)?;
    } else {
        let text = |value: Option<String>| value.unwrap_or_default();
        record([
            ("active", if found.active { "yes" } else { "no" }.to_owned()),
            ("key", text(found.client_id.map(|id| id.to_string()))),
            ("tenant", text(found.tenant.map(|id| id.to_string()))),
            ("permits", text(found.scope)),
            ("audience", text(found.aud)),
            ("made", text(found.iat.map(seconds))),
            ("expires", text(found.exp.map(seconds))),
        ])?;
    }
    if found.active { Ok(()) } else { Err(Failure::NotValid.into()) }
}
