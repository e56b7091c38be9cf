//! A server in this process, with a database of its own and a clock that tests can turn.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use keyward_core::{Network, Timestamp};
use keyward_origin::{
    clock::Clock,
    config::{Config, Connections},
    sealing::SealingKey,
    server::{Door, Server},
};
use keyward_postgres::{AlreadyRunning, Options, PrivatePostgres};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

pub use crate::client::{Answer, Client, Created, Session};

pub const MASTER_KEY: [u8; 32] = [7; 32];
pub const KEYS: &str = "/api/v1/api-keys";

/// One Postgres for all tests of this process.
static POSTGRES: LazyLock<PrivatePostgres> = LazyLock::new(|| {
    let options = Options { dir: Path::new(env!("CARGO_TARGET_TMPDIR")).join("origin-postgres"), durable: false, binaries: pg_bin() };
    // A run that is still ending has it for a moment.
    let began = Instant::now();
    loop {
        match PrivatePostgres::start(&options) {
            Err(error) if error.is::<AlreadyRunning>() && began.elapsed() < Duration::from_secs(60) => {
                std::thread::sleep(Duration::from_millis(20));
            }
            started => return started.expect("a Postgres for the tests"),
        }
    }
});
static DATABASES: AtomicU64 = AtomicU64::new(0);

pub fn pg_bin() -> Option<PathBuf> {
    std::env::var_os("KEYWARD_PG_BIN").map(Into::into)
}

/// A database that nobody else uses, empty.
#[derive(Clone)]
pub struct Database {
    name: String,
}

impl Database {
    pub async fn create() -> Self {
        let name = format!("t_{}_{}", std::process::id(), DATABASES.fetch_add(1, Ordering::Relaxed));
        let database = Self { name };
        database.drop().await;
        administer(&format!("CREATE DATABASE {}", database.name)).await;
        database
    }

    /// A copy of this one as it is now, as a backup would be. Nobody may be connected.
    pub async fn copy(&self) -> Self {
        let copy = Self { name: format!("{}_copy_{}", self.name, DATABASES.fetch_add(1, Ordering::Relaxed)) };
        administer(&format!("CREATE DATABASE {} TEMPLATE {}", copy.name, self.name)).await;
        copy
    }

    pub async fn drop(&self) {
        administer(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name)).await;
    }

    pub fn url(&self) -> String {
        POSTGRES.url().replace("/postgres?", &format!("/{}?", self.name))
    }

    /// Statements as the owner.
    pub async fn execute(&self, sql: &str) {
        self.connect().await.execute(AssertSqlSafe(sql.to_owned())).await.expect(sql);
    }

    /// The one number that a query gives, as the owner.
    pub async fn count(&self, sql: &str) -> i64 {
        let row = self.connect().await.fetch_one(AssertSqlSafe(sql.to_owned())).await.expect(sql);
        sqlx::Row::get(&row, 0)
    }

    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url()).await.expect("the test's database")
    }
}

async fn administer(sql: &str) {
    let mut connection = PgConnection::connect(POSTGRES.url()).await.expect("the tests' Postgres");
    connection.execute(AssertSqlSafe(sql.to_owned())).await.expect(sql);
}

/// A running server.
pub struct Origin {
    pub database: Database,
    pub data: TempDir,
    pub address: SocketAddr,
    /// What the next start is told. Without a bound unless a test is about it: tests are full of junk.
    pub failures_per_minute: u32,
    /// What the next start is told.
    pub decision_hours: u32,
    /// What the next start is told.
    pub trusted_proxies: Vec<Network>,
    /// What the next start is told.
    pub connections: Connections,
    /// By which the world knows it.
    pub issuer: &'static str,
    /// What the next start is told.
    pub change_issuer_from: Option<String>,
    /// Milliseconds that the server's clock is ahead of the system's.
    ahead: Arc<AtomicU64>,
    running: Option<(oneshot::Sender<()>, JoinHandle<anyhow::Result<()>>)>,
    /// What answers the running server's requests.
    pub door: Option<Arc<Door>>,
}

impl Origin {
    pub async fn start() -> Self {
        Self::known_as("http://origin.test").await
    }

    /// One that the world knows by this URL.
    pub async fn known_as(issuer: &'static str) -> Self {
        let mut origin = Self {
            issuer,
            change_issuer_from: None,
            database: Database::create().await,
            data: tempfile::tempdir().expect("a directory"),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            failures_per_minute: 0,
            decision_hours: keyward_origin::config::DEFAULT_DECISION_HOURS,
            trusted_proxies: vec![],
            connections: Connections::default(),
            ahead: Arc::default(),
            running: None,
            door: None,
        };
        origin.restart().await;
        origin
    }

    /// Another server on the same database, with a data directory of its own.
    pub async fn beside(&self) -> Self {
        let mut other = Self {
            database: self.database.clone(),
            data: tempfile::tempdir().expect("a directory"),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            failures_per_minute: 0,
            decision_hours: keyward_origin::config::DEFAULT_DECISION_HOURS,
            trusted_proxies: vec![],
            connections: Connections::default(),
            issuer: self.issuer,
            change_issuer_from: None,
            ahead: Arc::clone(&self.ahead),
            running: None,
            door: None,
        };
        other.restart().await;
        // Only the one that founded the deployment has the first keys.
        for name in ["admin.key", "edge.key"] {
            std::fs::copy(self.data.path().join(name), other.data.path().join(name)).expect(name);
        }
        other
    }

    /// Starts the server (again) on the database and directory that it has.
    pub async fn restart(&mut self) {
        self.restart_on(&self.database.url()).await;
    }

    pub async fn restart_on(&mut self, url: &str) {
        self.stop().await;
        let config = Config {
            listen: self.address,
            issuer: self.issuer.to_owned(),
            change_issuer_from: self.change_issuer_from.clone(),
            data_dir: self.data.path().to_owned(),
            durable: false,
            www: None,
            trusted_proxies: self.trusted_proxies.clone(),
            connections: self.connections,
            failures_per_minute: self.failures_per_minute,
            token_reuse_seconds: keyward_origin::config::DEFAULT_TOKEN_REUSE,
            usage_days: keyward_origin::config::DEFAULT_USAGE_DAYS,
            decision_hours: self.decision_hours,
        };
        let ahead = Arc::clone(&self.ahead);
        let clock = Clock::new(move || {
            let system = Clock::system().now().millis();
            Timestamp::from_millis(system + ahead.load(Ordering::Relaxed))
        });
        let server = Server::start(config, url, &SealingKey::new(MASTER_KEY), clock).await.expect("a server");
        self.door = Some(Arc::clone(server.door()));
        let listener = TcpListener::bind(self.address).await.expect("a port");
        self.address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let serving = server.serve(listener, async {
            let _ = stopped.await;
            Ok(())
        });
        self.running = Some((stop, tokio::spawn(serving)));
    }

    pub async fn stop(&mut self) {
        self.door = None;
        if let Some((stop, serving)) = self.running.take() {
            let _ = stop.send(());
            serving.await.expect("no panic").expect("an orderly end");
        }
    }

    /// Turns the server's clock on.
    pub fn advance(&self, by: Duration) {
        self.ahead.fetch_add(by.as_millis() as u64, Ordering::Relaxed);
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(Clock::system().now().millis() + self.ahead.load(Ordering::Relaxed))
    }

    /// A file that the server wrote.
    pub fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.data.path().join(name)).expect(name).trim().to_owned()
    }

    /// The first admin.
    pub fn admin(&self) -> Client {
        self.client(&self.file("admin.key"))
    }

    /// An edge.
    pub fn edge(&self) -> Client {
        self.client(&self.file("edge.key"))
    }

    pub fn client(&self, key: &str) -> Client {
        Client::new(format!("http://{}", self.address), key)
    }

    /// Somebody without a key.
    pub fn anyone(&self) -> Client {
        self.client("")
    }

    /// A key with these members beside its name, made by the admin.
    pub async fn key(&self, members: Value) -> Created {
        self.admin().create(members).await
    }

    /// A caller whose key has these members.
    pub async fn caller(&self, members: Value) -> Client {
        self.client(&self.key(members).await.raw)
    }
}

/// Waits for a condition, looking again and again.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{what}: not within 20 s");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
