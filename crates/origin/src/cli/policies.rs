//! `keyward policies`: another policy in the place of one, for all keys that have it.

use clap::{Args, Subcommand};
use keyward_api::keys::{PolicySuperseded, UpdateKey};

use super::{
    client::Call,
    confirm::Confirm,
    connection::{CONNECTION_HELP, Connection, InTenant},
    failure::EXIT_CODES,
    key_terms::NewTerms,
    parse::request,
    show::line,
};

const EXAMPLES: &str = "\
Examples:
  keyward policies supersede 17 --daily-quota 20000      # all keys with policy 17 have a new one from then on";

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
}

impl Policies {
    /// Does it.
    ///
    /// # Errors
    /// With what came in between.
    pub fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let PoliciesCommand::Supersede { policy, terms, confirm } = self.command;
        let body = request::<UpdateKey>(&terms)?;
        confirm.ask(|| Ok((format!("This changes all keys with policy {policy}."), policy.to_string())))?;
        // Sent again after it was done, it would be refused: the policy has been superseded.
        let call = Call::post(format!("/api/v1/policies/{policy}/supersede")).query(self.tenant.query()).json(&body).unrepeatable();
        client.show(call, |done: PolicySuperseded| line(&format!("policy {} is in the place of {}", done.policy, done.superseded)))
    }
}
