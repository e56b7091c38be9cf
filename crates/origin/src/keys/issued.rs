//! Which raw keys were issued: asked where a signing key is frozen, since a signature by it proves nothing by itself.

use keyward_api::Code;
use keyward_core::{Digest, Issued, Role, StatusIndex};

use crate::{
    db::{Db, again},
    error::{Error, Result},
    state::App,
};

/// Whether the raw key with this digest was issued with this status index. A yes stays true for ever, whatever became of
/// the key.
///
/// # Errors
/// As any read.
pub async fn is_issued(db: &Db, index: StatusIndex, digest: &Digest) -> Result<bool> {
    let found = again!(
        sqlx::query_scalar!("SELECT index FROM credentials WHERE index = $1 AND digest = $2", i64::from(index.0), &digest.as_bytes()[..],)
            .fetch_optional(db.system())
    )?;
    Ok(found.is_some())
}

/// That it was issued, signed: an edge believes no less, since whoever stands between would have stolen the other key.
///
/// # Errors
/// `not_found` where it wasn't.
pub async fn statement(app: &App, index: StatusIndex, digest: Digest) -> Result<String> {
    if !is_issued(&app.db, index, &digest).await? {
        return Err(Code::NotFound.into());
    }
    let statement = Issued { index, digest, iat_ms: app.clock.now().millis() };
    app.keyrings.current().signer(Role::Feed)?.sign(&statement).map_err(Error::internal)
}
