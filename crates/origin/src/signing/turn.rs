//! A turn of a signing key: one transaction for its state, the manifest, the record and the word to all servers.

use keyward_api::Code;
use keyward_core::{KeyState, Kid, TenantId, Timestamp};
use sqlx::{Postgres, Transaction};

use super::{
    listing::{Row, operator, rows},
    manifest::{self, publish_next},
    store::state_name,
};
use crate::{
    audit::{Action, Event, append},
    auth::Caller,
    clock::datetime,
    db::begin,
    error::{Error, Result},
    state::App,
};

/// The operator's hold on the signing keys: others wait for its end.
pub(super) struct Turn<'a> {
    pub(super) app: &'a App,
    pub(super) caller: &'a Caller,
    pub(super) operator: TenantId,
    pub(super) now: Timestamp,
    pub(super) tx: Transaction<'static, Postgres>,
}

impl<'a> Turn<'a> {
    /// Passes for the operator alone: an admin in the tenant that the deployment began with.
    pub(super) async fn begin(app: &'a App, caller: &'a Caller) -> Result<Self> {
        let operator = operator(app, caller).await?;
        let mut tx = begin(app.db.system(), "BEGIN").await?;
        manifest::hold(&mut tx).await?;
        Ok(Self { app, caller, operator, now: app.clock.now(), tx })
    }

    /// The key of that name, as nobody else changes it.
    pub(super) async fn key(&mut self, kid: Kid) -> Result<Row> {
        rows!("WHERE kid = $1", kid.to_string()).fetch_optional(&mut *self.tx).await?.ok_or(Code::NotFound.into())
    }

    /// Refuses to end the caller's own key, forced or not: nobody would be left to undo it.
    pub(super) async fn spare_caller(&mut self, kid: Kid) -> Result<()> {
        let index = i64::from(self.caller.key().index().0);
        let signer = sqlx::query_scalar!("SELECT signing_key FROM credentials WHERE index = $1", index).fetch_one(&mut *self.tx).await?;
        if signer[..] == kid.short()[..] {
            return Err(Error::from(Code::SigningKeyInUse).detail("It has signed the key that you call with: rotate that first."));
        }
        Ok(())
    }

    pub(super) async fn set(&mut self, kid: &str, state: KeyState) -> Result<()> {
        sqlx::query!(
            "UPDATE signing_keys
             SET state = $2, state_since = $3, activated_at = CASE WHEN $2 = 'active' THEN $3 ELSE activated_at END,
                 sealed = CASE WHEN $2 = 'retired' THEN NULL ELSE sealed END
             WHERE kid = $1",
            kid,
            state_name(state),
            datetime(self.now),
        )
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    pub(super) fn event(&self, action: Action, key: &str) -> Event {
        Event::by(self.caller.actor(), action, self.now).on("signing_key", key)
    }

    /// Tells the world, records, commits; and waits until this server has taken it over.
    pub(super) async fn end(mut self, event: Event) -> Result<()> {
        publish_next(&mut self.tx, self.app.keyrings.data_key(), self.now).await?;
        self.commit(event).await
    }

    pub(super) async fn commit(mut self, event: Event) -> Result<()> {
        append(&mut self.tx, self.operator, &[event], 0).await?;
        self.tx.commit().await?;
        // It is done; a server that can't read the database now will take it over when it can.
        let _ = self.app.feed.check(self.app).await;
        Ok(())
    }
}
