//! The first start: keys, a tenant, a first admin, a key for edges. Later starts open what the first one made.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{IsTerminal, Write},
    path::Path,
    sync::Arc,
};

use anyhow::{Context, bail, ensure};
use keyward_api::catalogue::resources;
use keyward_core::{
    AnyOr, Capability, Environment, KeyPrefix, KeyState, Limits, PolicyTerms, PublicKey, Role, ScopeClass, TenantId, Timestamp,
    codec::base64url,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    audit::append,
    clock::{Clock, datetime},
    config::Config,
    db::{Db, begin},
    ids::new_id,
    journal::Memory,
    keys::issue::{Draft, NewKey, Profile, store_in},
    policies::find_or_create,
    positions::Place,
    sealing::{SealingKey, random, secret_file},
    signing::{Edition, Keyring, generate, load, publish},
    spread::Spread,
};

/// The file with the first admin's key.
const ADMIN_KEY: &str = "admin.key";
/// The file with the key by which edges follow the feed.
const EDGE_KEY: &str = "edge.key";
/// The file with the root's public key, base64url: what edges pin.
const ROOT_KEY: &str = "root.pub";
const SPREAD: &str = "status index spread";

/// What a start finds or makes.
pub struct Foundation {
    /// Names this deployment for ever.
    pub deployment: Uuid,
    /// Seals all secrets in the database.
    pub data_key: Arc<SealingKey>,
    /// The tenant of whoever runs it.
    pub operator: TenantId,
}

impl Foundation {
    /// The permutation of this deployment's status positions.
    pub fn spread(&self) -> Spread {
        Spread::new(&self.data_key.derive(SPREAD))
    }
}

/// Opens the deployment in the database, making it where there is none. Servers that start together queue for a lock.
///
/// # Errors
/// Where the master key is not this deployment's, or the data directory is another's.
pub async fn bootstrap(db: &Db, config: &Config, master: &SealingKey, clock: &Clock) -> anyhow::Result<Foundation> {
    let mut tx = begin(db.system(), "BEGIN").await?;
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtext('keyward bootstrap'))::text AS lock").fetch_one(&mut *tx).await?;
    if let Some(foundation) = open(&mut tx, master).await? {
        return Ok(foundation);
    }
    if Memory::read(&config.data_dir)?.deployment.is_some() {
        bail!(
            "the database is empty, and {} is the data directory of a deployment: restore its database, or name another directory",
            config.data_dir.display()
        );
    }
    // It stands in all that is signed.
    ensure!(
        !config.is_nowhere(),
        "nobody reaches {}: name the URL by which the world is to know this deployment (KEYWARD_ISSUER)",
        config.issuer
    );
    let now = clock.now();
    let operator = TenantId(new_id(now)?.0);
    let foundation = Foundation { deployment: new_id(now)?.0, data_key: Arc::new(SealingKey::generate()?), operator };
    sqlx::query!(
        "INSERT INTO deployment (id, sealed_data_key, created_at, operator) VALUES ($1, $2, $3, $4)",
        foundation.deployment,
        master.seal(&data_key_purpose(foundation.deployment), foundation.data_key.expose())?,
        datetime(now),
        operator.0,
    )
    .execute(&mut *tx)
    .await?;
    let keyring = found_keys(&mut tx, &foundation, config, now).await?;
    let secrets = found_tenant(&mut tx, &foundation, &keyring, now).await?;
    // The files before the commit: a key whose file is missing would be lost, a file whose key is missing is replaced.
    write_secret(&config.data_dir, ADMIN_KEY, &secrets.admin)?;
    write_secret(&config.data_dir, EDGE_KEY, &secrets.edge)?;
    tx.commit().await?;
    tracing::info!(deployment = %foundation.deployment, admin_key = %config.data_dir.join(ADMIN_KEY).display(), "made a new deployment");
    // A terminal only, so that no log holds it.
    let mut terminal = std::io::stderr();
    if terminal.is_terminal() {
        // One that has gone away meanwhile ends nothing: the file has it.
        let _ = writeln!(terminal, "The first admin's key (also in {}):\n{}", config.data_dir.join(ADMIN_KEY).display(), &*secrets.admin);
    }
    Ok(foundation)
}

/// Whether the database holds a deployment.
///
/// # Errors
/// As any read.
pub async fn is_founded(connection: &mut PgConnection) -> anyhow::Result<bool> {
    Ok(sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM deployment) AS "founded!""#).fetch_one(connection).await?)
}

/// The deployment in the database, if there is one.
///
/// # Errors
/// Where the master key is not this deployment's.
pub async fn open(connection: &mut PgConnection, master: &SealingKey) -> anyhow::Result<Option<Foundation>> {
    let found = sqlx::query!("SELECT id, sealed_data_key, operator FROM deployment").fetch_optional(connection).await?;
    let Some(found) = found else { return Ok(None) };
    let opened = master.open(&data_key_purpose(found.id), &found.sealed_data_key).context("can't open the deployment's data key (where a rotation of the master key was cut off, `keyward master-key rotate` says which one opens it)")?;
    let data_key = Arc::new(SealingKey::new(opened.as_slice().try_into()?));
    let operator = TenantId(found.operator.context("the deployment has no operator")?);
    Ok(Some(Foundation { deployment: found.id, data_key, operator }))
}

/// Seals the data key, and with it all secrets, under another master key.
///
/// # Errors
/// Where `old` is not this deployment's.
pub async fn reseal(connection: &mut PgConnection, old: &SealingKey, new: &SealingKey) -> anyhow::Result<Foundation> {
    // Held: two that do it at once queue, and the second one finds that its old key opens nothing.
    sqlx::query!("SELECT id FROM deployment FOR UPDATE").fetch_optional(&mut *connection).await?;
    let foundation = open(connection, old).await?.context("the database holds no deployment")?;
    let sealed = new.seal(&data_key_purpose(foundation.deployment), foundation.data_key.expose())?;
    sqlx::query!("UPDATE deployment SET sealed_data_key = $1", sealed).execute(connection).await?;
    Ok(foundation)
}

/// Writes the root's public key, for edges to pin.
///
/// # Errors
/// Where the file can't be written.
pub fn write_root(data_dir: &Path, root: &PublicKey) -> anyhow::Result<()> {
    Ok(fs::write(data_dir.join(ROOT_KEY), format!("{}\n", base64url(root.as_bytes())))?)
}

fn data_key_purpose(deployment: Uuid) -> String {
    format!("data key {deployment}")
}

async fn found_keys(tx: &mut PgConnection, foundation: &Foundation, config: &Config, now: Timestamp) -> anyhow::Result<Keyring> {
    for role in [None, Some(Role::ApiKey), Some(Role::Token), Some(Role::Policy), Some(Role::Feed), Some(Role::Audit)] {
        generate(tx, &foundation.data_key, role, KeyState::Active, now).await?;
    }
    sqlx::query!("INSERT INTO feed_state (epoch, seq, first_policy, first_index) VALUES (1, 0, 1, 0)").execute(&mut *tx).await?;
    sqlx::query!("INSERT INTO shards (shard) VALUES (0)").execute(&mut *tx).await?;
    let edition = Edition { issuer: config.issuer.clone(), version: 1, epoch: 1, first_policy: 1, first_index: 0 };
    publish(tx, &foundation.data_key, edition, None, now).await?;
    load(tx, &foundation.data_key, now).await
}

struct Secrets {
    admin: zeroize::Zeroizing<String>,
    edge: zeroize::Zeroizing<String>,
}

async fn found_tenant(tx: &mut PgConnection, foundation: &Foundation, keyring: &Keyring, now: Timestamp) -> anyhow::Result<Secrets> {
    let tenant = foundation.operator;
    sqlx::query!("INSERT INTO tenants (id, slug, name, created_at) VALUES ($1, 'default', 'Default', $2)", tenant.0, datetime(now))
        .execute(&mut *tx)
        .await?;
    let first = sqlx::query_scalar!(r#"SELECT nextval('position_blocks') AS "first!""#).fetch_one(&mut *tx).await?;
    let first = u32::try_from(first)?;
    let all = resources().map(|resource| Capability::parse(&format!("{resource}:*"))).collect::<Result<Vec<_>, _>>()?;
    // Not TLS only: nobody grants more than they hold, so no key could ever be made for use without TLS.
    let admin = PolicyTerms { capabilities: all, ..unrestricted(tenant, ScopeClass::Admin) };
    let edge =
        PolicyTerms { capabilities: vec![Capability::parse("edge:sync")?], require_tls: true, ..unrestricted(tenant, ScopeClass::User) };
    let mut make = async |terms: PolicyTerms, position: u32, owner: &str, name: &str| -> anyhow::Result<_> {
        let terms = terms.canonical();
        let (policy, _) = find_or_create(tx, &terms, now).await?;
        let draft = Draft {
            id: new_id(now)?,
            scope: terms.scope,
            exchange: false,
            prefix: KeyPrefix::default(),
            environment: Environment::Live,
            expires: None,
            place: Place { position, index: foundation.spread().index(position) },
            entropy: random()?,
        };
        let minted = draft.mint(keyring, policy)?;
        let profile = Profile {
            tenant,
            owner: owner.to_owned(),
            name: name.to_owned(),
            description: None,
            rotation_period_days: None,
            by: None,
            created: now,
        };
        let key = NewKey { profile, draft, stamp: minted.stamp, on: None };
        ensure!(store_in(tx, tenant, &[&key]).await?, "a policy vanished");
        append(tx, tenant, &[key.event()], 1).await?;
        Ok(zeroize::Zeroizing::new(minted.raw.expose().to_owned()))
    };
    Ok(Secrets { admin: make(admin, first, "admin", "First admin").await?, edge: make(edge, first + 1, "keyward", "Edge").await? })
}

fn unrestricted(tenant: TenantId, scope: ScopeClass) -> PolicyTerms {
    PolicyTerms {
        tenant,
        scope,
        capabilities: Vec::new(),
        endpoints: AnyOr::Any,
        blocked_endpoints: Vec::new(),
        ips: AnyOr::Any,
        domains: AnyOr::Any,
        require_tls: false,
        limits: Limits::default(),
        constraints: BTreeMap::new(),
    }
}

/// Beside its final place and then renamed, so that a file is whole or not there.
fn write_secret(dir: &Path, name: &str, secret: &str) -> anyhow::Result<()> {
    let fresh = dir.join(format!("{name}.new"));
    let mut file = secret_file(File::options().create(true).truncate(true), &fresh)?;
    writeln!(file, "{secret}")?;
    file.sync_all()?;
    fs::rename(&fresh, dir.join(name))?;
    Ok(File::open(dir)?.sync_all()?)
}
