//! Taking back a token, or a key for ever (RFC 7009). What nobody knows, or has ended already, is as good as taken back.

use std::sync::Arc;

use keyward_api::{Code, keys::RevokeKey};
use keyward_core::{Capability, Class, KeyId, ParsedKey, Reason, Refusal};

use super::Result;
use crate::{
    auth::{self, Asked, Caller, Credential, Freshness},
    error::Error,
    keys::{precondition::IfMatch, revoke},
    state::App,
    tokens,
};

/// Takes back a token or a key. Whoever presents it may: that it is used no more is nothing that its holder couldn't see
/// to anyway, and whoever finds a leaked key should. A client that says who it is has to be the key itself, or have
/// `keys:revoke` in its tenant.
///
/// # Errors
/// Where the client's own credential doesn't hold, or may not do this; where it can't be done now.
pub async fn revoke(app: &App, asked: &Asked<'_>, text: &str) -> Result<()> {
    let client = match asked.credential(app)? {
        Some(Credential::Key(key)) if key == text => None,
        client => client,
    };
    if text.contains('.') { token(app, asked, client, text).await } else { key(app, asked, client, text).await }
}

async fn token(app: &App, asked: &Asked<'_>, client: Option<Credential<'_>>, text: &str) -> Result<()> {
    let now = app.clock.now();
    let token = app.keyrings.current().authenticate_token(text, now);
    let mut by = None;
    if let Some(client) = client {
        let own = auth::client(app, asked, client, Freshness::Committed).await?;
        let its = token.as_ref().is_ok_and(|token| token.claims().sub == own.id());
        let theirs = token.as_ref().is_ok_and(|token| token.claims().tenant == own.tenant());
        if !its {
            revoker(app, asked).await?;
            if !theirs {
                return Ok(());
            }
        }
        by = Some(Arc::clone(own.actor()));
    }
    match token {
        Ok(token) if now.secs() < token.claims().exp => Ok(tokens::revoke(app, by.as_ref(), token.claims(), token.index()).await?),
        Ok(_) => Ok(()),
        Err(error) => match Refusal::from(error).reason() {
            reason if reason.class() == Class::Unavailable => Err(reason.into()),
            _ => Ok(()),
        },
    }
}

async fn key(app: &App, asked: &Asked<'_>, client: Option<Credential<'_>>, text: &str) -> Result<()> {
    if client.is_some() {
        let revoker = revoker(app, asked).await?;
        let Ok(parsed) = ParsedKey::parse(text) else { return Ok(()) };
        let authentic = match auth::authentic(app, &parsed).await {
            Ok(authentic) => authentic,
            Err(error) => match error.code() {
                Code::Refused(reason) if reason.class() != Class::Unavailable => return Ok(()),
                _ => return Err(error.into()),
            },
        };
        let row = auth::row(app, &authentic, Freshness::Committed).await?;
        return match row.filter(|row| row.tenant == revoker.tenant()) {
            Some(row) => end(app, &revoker, row.key).await,
            None => Ok(()),
        };
    }
    let Ok(parsed) = ParsedKey::parse(text) else { return Ok(()) };
    match auth::identify(app, asked, &parsed, parsed.environment(), Freshness::Committed).await {
        Ok(holder) => end(app, &holder, holder.id()).await,
        Err(error) => match error.code() {
            // A suspended key may be resumed, so that it isn't as good as taken back.
            Code::Refused(reason) if reason.class() == Class::Unauthenticated && reason != Reason::Suspended => Ok(()),
            _ => Err(error.into()),
        },
    }
}

/// A client that may revoke other keys.
async fn revoker(app: &App, asked: &Asked<'_>) -> Result<Caller> {
    let revoke = Capability::parse("keys:revoke").map_err(Error::internal)?;
    Ok(auth::authenticate(app, asked, &revoke, Freshness::Committed).await?)
}

/// Revokes the key, with all of its credentials.
async fn end(app: &App, by: &Caller, id: KeyId) -> Result<()> {
    match revoke::revoke(app, by, by.tenant(), id, IfMatch::Any, RevokeKey::default()).await {
        Err(error) if error.code() != Code::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
