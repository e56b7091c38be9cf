//! `keyward policies`: another policy in the place of one, for all keys that have it; and what it would have decided.

use clap::{Args, Subcommand};
use keyward_api::keys::{PolicySuperseded, UpdateKey};

use super::{
    client::Call,
    confirm::Confirm,
    connection::{CONNECTION_HELP, Connection, InTenant},
    failure::EXIT_CODES,
    key_terms::NewTerms,
    parse::request,
    replay::Replay,
    show::line,
};

const EXAMPLES: &str = "\
Examples:
  keyward policies supersede 17 --daily-quota 20000      # all keys with policy 17 have a new one from then on
  keyward policies replay --of-policy 17 --allow-ip 192.0.2.0/24 --since 24h     # before that: who would feel it?
  keyward policies replay --key 0197… --block-endpoint 'DELETE /**' --json
  keyward policies replay --policy draft.json --since 7d --fail-on-change";

/// Policies: what a whole plan of keys permits.
#[derive(Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{CONNECTION_HELP}\n\n{EXIT_CODES}"))]
pub struct Policies {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    tenant: InTenant,
    #[command(subcommand)]
    command: PoliciesCommand,
}

#[derive(Subcommand)]
enum PoliciesCommand {
    /// Gives all keys that have this policy one with other terms. What isn't named stays.
    Supersede {
        /// The policy's number, as keys show it.
        policy: u32,
        #[command(flatten)]
        terms: Box<NewTerms>,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Says what a draft would have decided on recent requests, and of whom. Nothing is changed; limits aren't replayed.
    Replay(Box<Replay>),
}

impl Policies {
    /// Does it.
    ///
    /// # Errors
    /// With what came in between.
    pub fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let (policy, terms, confirm) = match self.command {
            PoliciesCommand::Supersede { policy, terms, confirm } => (policy, terms, confirm),
            PoliciesCommand::Replay(replay) => return replay.run(&client, &self.tenant),
        };
        let body = request::<UpdateKey>(&terms)?;
        confirm.ask(|| Ok((format!("This changes all keys with policy {policy}."), policy.to_string())))?;
        // Sent again after it was done, it would be refused: the policy has been superseded.
        let call = Call::post(format!("/api/v1/policies/{policy}/supersede")).query(self.tenant.query()).json(&body).unrepeatable();
        client.show(call, |done: PolicySuperseded| line(&format!("policy {} is in the place of {}", done.policy, done.superseded)))
    }
}
