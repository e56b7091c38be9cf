//! Connections to Postgres, and the transactions that everything else goes through.
//!
//! Two pools with one database role each: `app` sees the one tenant that its transaction names and nothing without
//! one (row-level security); `system` sees all. The role is set when a connection is made and never changed.

use std::{str::FromStr, sync::Arc, time::Duration};

use anyhow::{Context, anyhow, ensure};
use keyward_core::{KeyId, Position, TenantId};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool, Postgres, SqlSafeStr, Transaction,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};

use keyward_api::Code;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, sleep},
};

use crate::{
    audit::{self, Event},
    error::{Error, Result},
    feed::{self, Change},
    turns::{Turn, Turns},
};

/// Awaits what may run twice, anew for as long as it meets connections that a restart of Postgres has left dead in the
/// pool. Cheaper than testing each connection before each use. (A macro, because a future that borrows what it needs
/// anew each time has no nameable type that is known to be `Send`.)
macro_rules! again {
    ($run:expr) => {{
        let mut left = $crate::db::MAX_DEAD;
        loop {
            match $run.await {
                Err(error) if left > 0 && $crate::db::is_dead(&error) => left -= 1,
                result => break result,
            }
        }
    }};
}
pub(crate) use again;

/// How long a request waits for a connection before it is told that the database is unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a start waits for the database to come up, and how often it looks.
const START_TIMEOUT: Duration = Duration::from_secs(30);
const START_RETRY: Duration = Duration::from_millis(200);
/// Connections for tenants' requests. Commits that wait for the disk together share one write, so that more
/// connections than processors pay off.
const APP_CONNECTIONS: u32 = 24;
/// Of these, those that one tenant's requests have at a time: the rest is for all others, whatever it does.
const TENANT_CONNECTIONS: usize = 16;
/// Requests of one tenant that wait for one of its connections.
const TENANT_WAITING: usize = 1024;
/// Requests that wait for others to be done with the same key. Each of them would hold a connection while it waits for the key's row.
const KEY_WAITING: usize = 256;
/// Connections for what goes in one message: few, so that each has what it works with at hand. All but two are also for those who bring
/// many keys at a time: they may wait for the end of their tenant's trail, and others' batches not for them.
const BUSY_CONNECTIONS: u32 = 6;
const FOR_MANY: usize = BUSY_CONNECTIONS as usize - 2;
/// Connections for the feed and the housekeeping.
const SYSTEM_CONNECTIONS: u32 = 8;
/// Connections for what is asked about many keys of whatever tenant: few for the same reason, since it comes in batches.
const ROWS_CONNECTIONS: u32 = 6;

/// How statements are planned for what requests wait for: every one of them takes few rows, in the order of an index. A generic plan can't
/// know that, and would read and sort a whole table to spare some steps in an index that is in memory anyway. (Compiling
/// them is off since what can only be read whole, a table of one row, counts as costly by this.)
const ROW_BY_ROW: [(&str, &str); 4] =
    [("enable_seqscan", "off"), ("enable_bitmapscan", "off"), ("random_page_cost", "1.1"), ("jit", "off")];

/// The SQLSTATE with which the database's functions say no to a whole transaction: nothing of it was done.
pub const REFUSED: &str = "KW001";

/// What is said of a database that a later version has migrated.
const NEWER: &str = "the database is newer than this program: install the newer keyward";

static MIGRATIONS: Migrator = sqlx::migrate!();

/// The database.
#[derive(Clone)]
pub struct Db {
    app: PgPool,
    of_tenants: Arc<Turns<TenantId>>,
    at_keys: Arc<Turns<(TenantId, KeyId)>>,
    busy: PgPool,
    for_many: Arc<Semaphore>,
    system: PgPool,
    rows: PgPool,
    options: PgConnectOptions,
}

impl Db {
    /// Prepares the pools; connects when first needed, and again whenever needed.
    ///
    /// # Errors
    /// Where the URL is not one of Postgres.
    pub fn open(url: &str) -> anyhow::Result<Db> {
        // The parser takes any scheme. The URL itself may hold a password.
        ensure!(
            url.starts_with("postgres://") || url.starts_with("postgresql://"),
            "DATABASE_URL begins with neither postgres:// nor postgresql://"
        );
        let options = PgConnectOptions::from_str(url)
            .context("DATABASE_URL is not a Postgres URL")?
            .application_name("keyward")
            // A slow statement shows in Postgres' own log; here it would repeat the statement for every caller.
            .disable_statement_logging();
        let pool = |role: &str, connections, plans: &[(&str, &str)]| {
            PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                // A ping before each use would be a round trip for each request; a dead connection shows itself.
                .test_before_acquire(false)
                .connect_lazy_with(
                    options
                        .clone()
                        .options([
                            ("role", role),
                            ("statement_timeout", "15s"),
                            // Each statement is written for one plan: planning it anew for each set of arguments costs
                            // more than running it.
                            ("plan_cache_mode", "force_generic_plan"),
                        ])
                        .options(plans.iter().copied()),
                )
        };
        Ok(Db {
            app: pool("keyward_app", APP_CONNECTIONS, &ROW_BY_ROW),
            of_tenants: Arc::new(Turns::new(TENANT_CONNECTIONS, TENANT_WAITING)),
            at_keys: Arc::new(Turns::new(1, KEY_WAITING)),
            for_many: Arc::new(Semaphore::new(FOR_MANY)),
            busy: pool("keyward_app", BUSY_CONNECTIONS, &ROW_BY_ROW),
            system: pool("keyward_system", SYSTEM_CONNECTIONS, &[]),
            rows: pool("keyward_system", ROWS_CONNECTIONS, &ROW_BY_ROW),
            options,
        })
    }

    /// Applies the migrations, as the database's owner. Replicas that start together queue for a lock. Where all of them
    /// have been applied, a login that owns nothing will do: what a server in production has.
    ///
    /// # Errors
    /// Where the database can't be reached, is newer than this program, or isn't the login's to migrate.
    pub async fn migrate(&self) -> anyhow::Result<()> {
        let mut owner = self.owner_when_up().await?;
        if !is_migrated(&mut owner).await? {
            MIGRATIONS.run(&mut owner).await.map_err(|error| match error {
                MigrateError::VersionMissing(_) => anyhow!(NEWER),
                error => anyhow!(error).context("can't migrate the database: `keyward migrate` does it, as its owner"),
            })?;
        }
        Ok(owner.close().await?)
    }

    /// Lets the two roles that servers take on into the schema. A dump has the rights to all tables, and not this one where the schema was
    /// made anew before it was restored.
    ///
    /// # Errors
    /// Where the schema isn't this login's.
    pub async fn admit_roles(&self) -> anyhow::Result<()> {
        let mut owner = self.owner_when_up().await?;
        sqlx::raw_sql("GRANT USAGE ON SCHEMA public TO keyward_app, keyward_system").execute(&mut owner).await?;
        Ok(owner.close().await?)
    }

    /// Makes another login one that `keyward serve` can have: a member of the two roles that it takes on, and of nothing
    /// else that is here.
    ///
    /// # Errors
    /// Where there is no such login, or these roles aren't this login's to give.
    pub async fn admit_login(&self, login: &str) -> anyhow::Result<()> {
        let mut owner = self.owner_when_up().await?;
        // The server quotes the name, since no parameter can stand in its place.
        let grant: String = sqlx::query_scalar("SELECT format('GRANT keyward_app, keyward_system TO %I', $1::text)")
            .bind(login)
            .fetch_one(&mut owner)
            .await?;
        sqlx::raw_sql(AssertSqlSafe(grant)).execute(&mut owner).await.with_context(|| format!("can't admit {login}"))?;
        Ok(owner.close().await?)
    }

    /// A connection with the owner's rights. A database that starts at the same time as we do is waited for.
    async fn owner_when_up(&self) -> anyhow::Result<PgConnection> {
        let began = Instant::now();
        loop {
            match PgConnection::connect_with(&self.options).await {
                Err(error) if began.elapsed() < START_TIMEOUT && Error::from_database(&error) == Code::DatabaseUnavailable => {
                    sleep(START_RETRY).await;
                }
                connected => return connected.context("can't connect to the database"),
            }
        }
    }

    /// Statements that see all tenants: for what isn't done in a tenant's name.
    pub fn system(&self) -> &PgPool {
        &self.system
    }

    /// As [`Self::system`], planned row by row: for what requests wait for, and for many keys at a time.
    pub fn rows(&self) -> &PgPool {
        &self.rows
    }

    /// How many connections each pool has, and how many of them are idle.
    pub fn connections(&self) -> [(&'static str, u32, usize); 4] {
        [("app", &self.app), ("busy", &self.busy), ("system", &self.system), ("rows", &self.rows)]
            .map(|(name, pool)| (name, pool.size(), pool.num_idle()))
    }

    /// A transaction in a tenant's name, for a request: the tenant has so many of them at a time.
    ///
    /// # Errors
    /// `rate_limited` where the tenant asks for too much at a time; where the database can't be reached.
    pub async fn tenant(&self, tenant: TenantId) -> Result<Tx> {
        let share = self.of_tenants.take(tenant).await?;
        Ok(Tx { _share: Some(share), ..self.on_behalf_of(tenant).await? })
    }

    /// As [`Self::tenant`], to change that key: who comes while another does waits in memory, and not on the key's row with a
    /// connection that others need.
    ///
    /// # Errors
    /// As [`Self::tenant`]; `rate_limited` also where too many wait for the key.
    pub async fn tenant_at_key(&self, tenant: TenantId, key: KeyId) -> Result<Tx> {
        let turn = self.at_keys.take((tenant, key)).await?;
        Ok(Tx { _turn: Some(turn), ..self.tenant(tenant).await? })
    }

    /// A transaction in a tenant's name, for what the server itself has to do. There is no other way to a tenant's tables.
    ///
    /// # Errors
    /// Where the database can't be reached.
    pub async fn on_behalf_of(&self, tenant: TenantId) -> Result<Tx> {
        // One round trip for both. A UUID's text holds nothing that could end the literal.
        let statement = format!("BEGIN; SET LOCAL keyward.tenant = '{tenant}'");
        let inner = begin(&self.app, AssertSqlSafe(statement)).await?;
        Ok(Tx { inner, tenant, events: Vec::new(), _share: None, _turn: None })
    }

    /// For a transaction that is one message to one of the database's functions, which names its tenant itself.
    pub fn in_one_message(&self) -> &PgPool {
        &self.busy
    }

    /// A turn at [`Self::in_one_message`] for whoever brings many at a time, until it is dropped.
    ///
    /// # Errors
    /// Never before the end of the server.
    pub async fn turn_for_many(&self) -> Result<SemaphorePermit<'_>> {
        self.for_many.acquire().await.map_err(|_| Code::DatabaseUnavailable.into())
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.busy.close().await;
        self.app.close().await;
        self.rows.close().await;
        self.system.close().await;
    }
}

/// Begins a transaction, by this statement. Nothing else in this program may: dropped on the way, as the work of a client that hangs
/// up is, sqlx gives the connection back to the pool inside the transaction that it has asked for, and whoever is next reads and
/// writes there (sqlx 0.9.0, issue 4385; decision 0117). So it is begun by a task of its own, which nobody drops; what comes of
/// it is a transaction that rolls back when nobody takes it.
///
/// # Errors
/// Where the database can't be reached.
pub async fn begin(pool: &PgPool, statement: impl SqlSafeStr) -> sqlx::Result<Transaction<'static, Postgres>> {
    let (pool, statement) = (pool.clone(), statement.into_sql_str());
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    let begun = tokio::spawn(async move { again!(pool.begin_with(statement.clone())) });
    begun.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
}

/// Whether all migrations of this program, and no others, have been applied.
async fn is_migrated(connection: &mut PgConnection) -> anyhow::Result<bool> {
    const AS_SYSTEM: &str = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'keyward_system' AND pg_has_role(oid, 'MEMBER'))";
    let begun: bool = sqlx::query_scalar(AS_SYSTEM).fetch_one(&mut *connection).await?;
    if !begun {
        return Ok(false);
    }
    sqlx::raw_sql("SET ROLE keyward_system").execute(&mut *connection).await?;
    let applied: Result<Vec<(i64, Vec<u8>)>, _> =
        sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version").fetch_all(&mut *connection).await;
    sqlx::raw_sql("RESET ROLE").execute(connection).await?;
    let applied = match applied {
        // An empty database, one that is older than the migration which lets a server look, or a schema that lets nobody in.
        Err(sqlx::Error::Database(error)) if matches!(error.code().as_deref(), Some("42501" | "42P01")) => return Ok(false),
        applied => applied?,
    };
    ensure!(applied.iter().all(|(version, _)| MIGRATIONS.version_exists(*version)), NEWER);
    Ok(MIGRATIONS.iter().map(|migration| (migration.version, migration.checksum.to_vec())).eq(applied))
}

/// As many dead connections as a pool can hold.
pub(crate) const MAX_DEAD: u32 = if APP_CONNECTIONS > SYSTEM_CONNECTIONS { APP_CONNECTIONS } else { SYSTEM_CONNECTIONS };

/// Whether the connection was found dead.
pub(crate) fn is_dead(error: &sqlx::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    match error {
        sqlx::Error::Io(error) => matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof),
        // What an ending server left unread: it ends on an operator's word, or because another of its processes crashed.
        sqlx::Error::Database(error) => matches!(error.code().as_deref(), Some("57P01" | "57P02")),
        _ => false,
    }
}

/// A transaction in a tenant's name. Dropped, it changes nothing.
pub struct Tx {
    inner: Transaction<'static, Postgres>,
    tenant: TenantId,
    events: Vec<Event>,
    // Given on after the transaction's end: fields are dropped in their order.
    _share: Option<Turn<TenantId>>,
    _turn: Option<Turn<(TenantId, KeyId)>>,
}

impl Tx {
    /// To run statements on.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.inner
    }

    /// Goes on in the name of another tenant, before there is anything to record.
    ///
    /// # Errors
    /// As any statement.
    pub async fn turn_to(&mut self, tenant: TenantId) -> Result<()> {
        debug_assert!(self.events.is_empty(), "what was recorded is the trail's of the tenant before");
        sqlx::raw_sql(AssertSqlSafe(format!("SET LOCAL keyward.tenant = '{tenant}'"))).execute(&mut *self.inner).await?;
        self.tenant = tenant;
        Ok(())
    }

    /// Adds to the tenant's audit trail, when this is committed.
    pub fn record(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Commits what the feed needn't know of.
    ///
    /// # Errors
    /// Where it can't be committed; or where the connection broke, when it may have been.
    pub async fn commit(mut self) -> Result<()> {
        audit::append(&mut self.inner, self.tenant, &self.events, 0).await?;
        Ok(self.inner.commit().await?)
    }

    /// Commits, with a change for the feed: the sequence number is taken by the last statement, so that its lock is
    /// held for the commit alone, and numbers are in the order of commits.
    ///
    /// # Errors
    /// `recovery_required` where nothing may change; else as [`Tx::commit`].
    pub async fn commit_with(mut self, change: &Change) -> Result<Position> {
        audit::append(&mut self.inner, self.tenant, &self.events, change.policies.len()).await?;
        let position = feed::append(&mut self.inner, change).await?;
        self.inner.commit().await?;
        Ok(position)
    }
}
