//! Noticing that the database went back in time, and standing still until somebody has run `keyward recover`.
//!
//! A restored database would give numbers a second meaning and let revoked keys pass. So from the moment that it shows
//! (in the journal, in the feed, by an edge that has seen more, or by what counts again), nothing is changed, and no heartbeat is signed.

use std::{collections::BTreeSet, sync::Arc};

use arc_swap::ArcSwapOption;
use keyward_api::Code;
use keyward_core::{Kid, Position};

use crate::{
    error::{Error, Result},
    state::App,
};

/// Status indices that are looked up by one statement.
const AT_A_TIME: usize = 50_000;

/// Whether all stands still, and why.
#[derive(Default)]
pub struct Recovery {
    reason: ArcSwapOption<String>,
}

impl Recovery {
    /// Passes where all is well.
    ///
    /// # Errors
    /// `recovery_required`.
    pub fn guard(&self) -> Result<()> {
        match &*self.reason.load() {
            None => Ok(()),
            Some(reason) => Err(Error::new(Code::RecoveryRequired).detail(&**reason)),
        }
    }

    /// Whether all stands still.
    pub fn is_required(&self) -> bool {
        self.guard().is_err()
    }

    /// Stands still.
    pub fn stop(&self, reason: &str) {
        // The first reason stands.
        let first = Arc::new(reason.to_owned());
        let before = self.reason.rcu(|current| Some(current.clone().unwrap_or_else(|| Arc::clone(&first))));
        if before.is_none() {
            tracing::error!(reason, "nothing changes until `keyward recover` has been run");
        }
    }

    /// Goes on.
    pub fn resume(&self) {
        self.reason.store(None);
    }

    /// Stands still, and has the other servers on this database do so too.
    pub async fn require(&self, app: &App, reason: &str) -> Error {
        self.stop(reason);
        let mark = sqlx::query!("UPDATE feed_state SET recovery = $1 WHERE recovery IS NULL", reason).execute(app.db.system()).await;
        if let Err(error) = mark {
            tracing::error!(%error, "can't mark the database for recovery");
        }
        Error::new(Code::RecoveryRequired).detail(reason)
    }

    /// Checks a position of the feed that somebody has seen against the database's.
    ///
    /// # Errors
    /// `recovery_required` where more was seen than the database knows of.
    pub async fn check_seen(&self, app: &App, seen: Position, ours: Position) -> Result<()> {
        if seen <= ours {
            return Ok(());
        }
        let reason = format!(
            "the database stands at epoch {}, sequence number {}; epoch {}, sequence number {} has been published",
            ours.epoch, ours.seq, seen.epoch, seen.seq
        );
        Err(self.require(app, &reason).await)
    }

    /// Checks the version of a manifest that somebody has seen against the database's.
    ///
    /// # Errors
    /// As [`Recovery::check_seen`].
    pub async fn check_manifest(&self, app: &App, seen: u64, ours: u64) -> Result<()> {
        if seen <= ours {
            return Ok(());
        }
        Err(self.require(app, &format!("the database's manifest is version {ours}; version {seen} has been published")).await)
    }

    /// Checks that what this server knows to have ended has ended in the database too: it may have been recovered without the journal
    /// that says so.
    ///
    /// # Errors
    /// `recovery_required` where something counts again.
    pub async fn check_ended(&self, app: &App) -> Result<()> {
        let (invalid, frozen, retired) = app.remembered(|memory| {
            let names = |kids: &BTreeSet<Kid>| kids.iter().map(Kid::to_string).collect::<Vec<_>>();
            let invalid: Vec<i64> = memory.invalid.iter().map(|index| i64::from(*index)).collect();
            (invalid, names(&memory.frozen), names(&memory.retired))
        });
        for some in invalid.chunks(AT_A_TIME) {
            let found = sqlx::query_scalar!("SELECT index FROM credentials WHERE index = ANY($1) AND status <> 1 LIMIT 1", some)
                .fetch_optional(app.db.system())
                .await?;
            if let Some(index) = found {
                let reason =
                    format!("the credential of status index {index} was revoked, as the journal knows, and counts again in the database");
                return Err(self.require(app, &reason).await);
            }
        }
        let found = sqlx::query_scalar!(
            "SELECT kid FROM signing_keys
             WHERE kid = ANY($1) AND state NOT IN ('frozen', 'retired') OR kid = ANY($2) AND state <> 'retired' LIMIT 1",
            &frozen,
            &retired,
        )
        .fetch_optional(app.db.system())
        .await?;
        match found {
            Some(kid) => {
                let reason = format!("the signing key {kid} was frozen or retired, as the journal knows, and counts again in the database");
                Err(self.require(app, &reason).await)
            }
            None => Ok(()),
        }
    }

    /// Checks a block of positions that the database gave.
    ///
    /// # Errors
    /// `recovery_required` where it had given it before.
    pub async fn check_block(&self, app: &App, first: u32) -> Result<()> {
        if app.remembered(|memory| memory.taken).is_none_or(|taken| taken < first) {
            return Ok(());
        }
        Err(self.require(app, "the database gives out status positions a second time").await)
    }
}
