//! Signing keys in the database: sealed, each with its role and state.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context, ensure};
use keyward_core::{KeyState, Kid, ManifestKey, PublicKey, Role, Timestamp};
use keyward_issuer::SigningKey;
use sqlx::PgConnection;
use zeroize::Zeroizing;

use crate::{
    clock::datetime,
    sealing::{SealingKey, random},
};

/// The name of the root's role in the database; in a manifest it has none.
pub const ROOT: &str = "root";
/// Retired keys that a manifest still tells of, the newest: more would fill it in the end, and say nothing new.
const RETIRED: usize = 32;

/// All signing keys.
pub struct Stored {
    /// The root that signs manifests.
    pub root: Root,
    /// The one that will.
    pub next_root: Option<Root>,
    /// The others, as a manifest tells of them.
    pub keys: Vec<ManifestKey>,
    /// Those whose private halves are here.
    pub signers: BTreeMap<Kid, Arc<SigningKey>>,
}

/// A root.
pub struct Root {
    /// What edges pin.
    pub public: PublicKey,
    /// `None` where it is kept elsewhere.
    pub signer: Option<SigningKey>,
}

impl Stored {
    /// The keys that may sign a manifest.
    pub fn roots(&self) -> Vec<PublicKey> {
        [Some(&self.root), self.next_root.as_ref()].into_iter().flatten().map(|root| root.public.clone()).collect()
    }
}

/// All signing keys in the database.
///
/// # Errors
/// Where a seal doesn't open, or holds another key than the one that stands beside it.
pub async fn stored_keys(connection: &mut PgConnection, data_key: &SealingKey) -> anyhow::Result<Stored> {
    let rows =
        sqlx::query!("SELECT role, state, x, sealed, expires_at FROM signing_keys ORDER BY created_at, kid").fetch_all(connection).await?;
    let (mut root, mut next_root, mut keys, mut signers) = (None, None, Vec::new(), BTreeMap::new());
    for row in rows {
        let public = PublicKey::from_bytes(row.x.as_slice().try_into()?)?;
        let signer = row.sealed.map(|sealed| unseal(data_key, &row.role, &public, &sealed)).transpose()?;
        if row.role == ROOT {
            match row.state.as_str() {
                "active" => root = Some(Root { public, signer }),
                "pre-published" => next_root = Some(Root { public, signer }),
                _ => {}
            }
            continue;
        }
        keys.push(ManifestKey {
            kid: public.kid(),
            x: public,
            // The database checks these words; the core's serde names are the same.
            role: serde_json::from_value(row.role.into())?,
            state: serde_json::from_value(row.state.into())?,
            exp: row.expires_at.map(|expiry| expiry.unix_timestamp().try_into()).transpose()?,
        });
        signers.extend(signer.map(|key| (key.kid(), Arc::new(key))));
    }
    let retired = keys.iter().filter(|key| key.state == KeyState::Retired).count();
    let mut superfluous = retired.saturating_sub(RETIRED);
    keys.retain(|key| {
        let goes = superfluous > 0 && key.state == KeyState::Retired;
        superfluous -= usize::from(goes);
        !goes
    });
    Ok(Stored { root: root.context("the database has no root key")?, next_root, keys, signers })
}

/// Makes and stores a signing key for a role; `None` is the root's.
///
/// # Errors
/// Where it can't be stored: there is one in that state already.
pub async fn generate(
    connection: &mut PgConnection,
    data_key: &SealingKey,
    role: Option<Role>,
    state: KeyState,
    now: Timestamp,
) -> anyhow::Result<SigningKey> {
    let taken = sqlx::query_scalar!("SELECT kid FROM signing_keys").fetch_all(&mut *connection).await?;
    let taken: Vec<[u8; 3]> = taken.iter().filter_map(|kid| Kid::parse(kid)).map(|kid| kid.short()).collect();
    let key = draw(&taken, random)?;
    let role = role.map_or(ROOT, role_name);
    let public = key.public_key();
    sqlx::query!(
        "INSERT INTO signing_keys (kid, role, state, x, sealed, created_at, activated_at, state_since)
         VALUES ($1, $2, $3::text, $4, $5, $6::timestamptz, CASE WHEN $3 = 'active' THEN $6 END, $6)",
        key.kid().to_string(),
        role,
        state_name(state),
        &public.as_bytes()[..],
        data_key.seal(&purpose(role, &key.kid()), &*key.seed())?,
        datetime(now),
    )
    .execute(connection)
    .await?;
    Ok(key)
}

/// Freezes or retires a key that the database takes to count; has the next one sign, or a new one, where it did. What this
/// changed; nothing where it is over already, or isn't there.
///
/// # Errors
/// As any write.
pub async fn end(
    connection: &mut PgConnection,
    data_key: &SealingKey,
    kid: Kid,
    state: KeyState,
    now: Timestamp,
) -> anyhow::Result<Vec<Kid>> {
    let found = sqlx::query!(
        "SELECT role, state FROM signing_keys
         WHERE kid = $1 AND role <> $2 AND state <> 'retired' AND state <> $3",
        kid.to_string(),
        ROOT,
        state_name(state),
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(found) = found else { return Ok(Vec::new()) };
    let set = async |connection: &mut PgConnection, kid: &str, state: KeyState| {
        sqlx::query!(
            "UPDATE signing_keys
             SET state = $2, state_since = $3, activated_at = CASE WHEN $2 = 'active' THEN $3 ELSE activated_at END,
                 sealed = CASE WHEN $2 = 'retired' THEN NULL ELSE sealed END
             WHERE kid = $1",
            kid,
            state_name(state),
            datetime(now),
        )
        .execute(connection)
        .await
    };
    set(connection, &kid.to_string(), state).await?;
    let mut changed = vec![kid];
    if found.state == "active" {
        let next = sqlx::query_scalar!("SELECT kid FROM signing_keys WHERE role = $1 AND state = 'pre-published'", found.role)
            .fetch_optional(&mut *connection)
            .await?;
        changed.push(match next {
            Some(next) => {
                set(connection, &next, KeyState::Active).await?;
                Kid::parse(&next).context("a kid that is none")?
            }
            None => generate(connection, data_key, Some(serde_json::from_value(found.role.into())?), KeyState::Active, now).await?.kid(),
        });
    }
    Ok(changed)
}

/// A key that the first three bytes of its name tell from all others: an API key names its signer by no more.
fn draw(taken: &[[u8; 3]], mut seed: impl FnMut() -> anyhow::Result<[u8; 32]>) -> anyhow::Result<SigningKey> {
    loop {
        let seed = Zeroizing::new(seed()?);
        let key = SigningKey::from_seed(*seed);
        if !taken.contains(&key.kid().short()) {
            return Ok(key);
        }
    }
}

fn unseal(data_key: &SealingKey, role: &str, public: &PublicKey, sealed: &[u8]) -> anyhow::Result<SigningKey> {
    let seed = data_key.open(&purpose(role, &public.kid()), sealed)?;
    let key = SigningKey::from_seed(seed.as_slice().try_into()?);
    ensure!(key.public_key() == *public, "a sealed signing key is not the one that stands beside it");
    Ok(key)
}

fn purpose(role: &str, kid: &Kid) -> String {
    format!("signing key {role} {kid}")
}

/// The name of a role in the database and in manifests.
pub const fn role_name(role: Role) -> &'static str {
    match role {
        Role::ApiKey => "api-key",
        Role::Token => "token",
        Role::Policy => "policy",
        Role::Feed => "feed",
        Role::Audit => "audit",
    }
}

/// The name of a state, likewise.
pub const fn state_name(state: KeyState) -> &'static str {
    match state {
        KeyState::PrePublished => "pre-published",
        KeyState::Active => "active",
        KeyState::VerifyOnly => "verify-only",
        KeyState::Retired => "retired",
        KeyState::Frozen => "frozen",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_whose_short_name_is_taken_is_thrown_away() {
        let taken = [1, 2].map(|seed| SigningKey::from_seed([seed; 32]).kid().short());
        let mut seeds = [1, 2, 1, 3].into_iter();
        let key = draw(&taken, || Ok([seeds.next().unwrap(); 32])).unwrap();
        assert_eq!(key.kid(), SigningKey::from_seed([3; 32]).kid());
    }
}
