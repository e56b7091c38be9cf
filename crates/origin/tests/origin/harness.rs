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

use keyward_core::Timestamp;
use keyward_origin::{clock::Clock, config::Config, sealing::SealingKey, server::Server};
use keyward_postgres::{AlreadyRunning, Options, PrivatePostgres};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::described::{Description, Exchange};

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
    /// By which the world knows it.
    issuer: &'static str,
    /// Milliseconds that the server's clock is ahead of the system's.
    ahead: Arc<AtomicU64>,
    running: Option<(oneshot::Sender<()>, JoinHandle<anyhow::Result<()>>)>,
}

impl Origin {
    pub async fn start() -> Self {
        Self::known_as("http://origin.test").await
    }

    /// One that the world knows by this URL.
    pub async fn known_as(issuer: &'static str) -> Self {
        let mut origin = Self {
            issuer,
            database: Database::create().await,
            data: tempfile::tempdir().expect("a directory"),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            failures_per_minute: 0,
            decision_hours: keyward_origin::config::DEFAULT_DECISION_HOURS,
            ahead: Arc::default(),
            running: None,
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
            issuer: self.issuer,
            ahead: Arc::clone(&self.ahead),
            running: None,
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
            data_dir: self.data.path().to_owned(),
            durable: false,
            www: None,
            trusted_proxies: vec![],
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
        let listener = TcpListener::bind(self.address).await.expect("a port");
        self.address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let serving = server.serve(listener, async {
            let _ = stopped.await;
        });
        self.running = Some((stop, tokio::spawn(serving)));
    }

    pub async fn stop(&mut self) {
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
        Client { base: format!("http://{}", self.address), key: key.to_owned(), session: None, http: reqwest::Client::new() }
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

/// A key that was created.
#[derive(Debug)]
pub struct Created {
    pub id: String,
    pub raw: String,
    pub body: Value,
}

/// Somebody who calls with a key.
#[derive(Clone)]
pub struct Client {
    base: String,
    pub key: String,
    pub session: Option<Session>,
    http: reqwest::Client,
}

/// What a browser has of a session.
#[derive(Clone, Debug)]
pub struct Session {
    /// `name=value`.
    pub cookie: String,
    pub csrf: String,
}

/// What the server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// The problem's code, and the first field at fault.
    pub fn problem(&self) -> (u16, String, String) {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        let body = self.json();
        assert_eq!(body["status"], self.status);
        let field = body["errors"][0]["field"].as_str().unwrap_or_default();
        (self.status, body["code"].as_str().unwrap_or_default().to_owned(), field.to_owned())
    }

    #[track_caller]
    pub fn ok(self) -> Value {
        assert!(self.status < 300, "{self:?}");
        self.json()
    }

    /// The error's code in OAuth's words.
    pub fn oauth(&self) -> (u16, String) {
        assert_eq!(self.headers["content-type"], "application/json", "{self:?}");
        assert_eq!(self.headers["cache-control"], "no-store");
        (self.status, self.json()["error"].as_str().expect("an error").to_owned())
    }

    #[track_caller]
    pub fn refused(self, status: u16, code: &str) {
        let (found, name, _) = self.problem();
        assert_eq!((found, name.as_str()), (status, code), "{self:?}");
    }
}

impl Client {
    pub async fn send(&self, method: &str, path: &str, body: Option<&Value>, headers: &[(&str, &str)]) -> Answer {
        let mut request = self.request(method, path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        self.answer(request, body).await
    }

    /// A form, as OAuth has it.
    pub async fn form(&self, path: &str, parameters: &[(&str, &str)]) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        self.answer(self.request("POST", path).header("content-type", "application/x-www-form-urlencoded").body(body), None).await
    }

    /// Begins to read a stream of events; the answer where it is none.
    pub async fn watch(&self, path: &str, headers: &[(&str, &str)]) -> Result<Events, u16> {
        let request = headers.iter().fold(self.request("GET", path), |request, (name, value)| request.header(*name, *value));
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        if status == 200 { Ok(Events { response, rest: String::new() }) } else { Err(status) }
    }

    /// With the key, where there is one, and the session.
    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let mut request = self.http.request(method.parse().expect("a method"), format!("{}{path}", self.base));
        if !self.key.is_empty() {
            request = request.bearer_auth(&self.key);
        }
        if let Some(session) = &self.session {
            request = request.header("cookie", &session.cookie);
            if !matches!(method, "GET" | "HEAD") {
                request = request.header("x-keyward-csrf", &session.csrf);
            }
        }
        request
    }

    /// The same with a session, beside the key if there is one.
    pub fn with_session(&self, session: Session) -> Self {
        Self { session: Some(session), ..self.clone() }
    }

    /// Who has started a session with the key, and holds that alone.
    pub async fn sign_in(&self) -> Self {
        let answer = self.send("POST", "/session", None, &[]).await;
        let cookie = answer.headers["set-cookie"].to_str().expect("a text").split(';').next().expect("a cookie").to_owned();
        let csrf = answer.ok()["csrf"].as_str().expect("a text").to_owned();
        Self { key: String::new(), ..self.with_session(Session { cookie, csrf }) }
    }

    /// What comes back, which has to be as the server's own description says.
    async fn answer(&self, request: reqwest::RequestBuilder, asked: Option<&Value>) -> Answer {
        let request = request.build().expect("a request");
        let (method, url) = (request.method().to_string(), request.url().clone());
        let response = self.http.execute(request).await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        // A stream of events has no end.
        let endless = headers.get("content-type").is_some_and(|kind| kind == "text/event-stream");
        let text = if endless { String::new() } else { response.text().await.expect("a text") };
        let path = &url.as_str()[url.origin().ascii_serialization().len()..];
        let exchange = Exchange { method: &method, path, asked, status, headers: &headers, text: &text };
        if let Err(fault) = Description::get(&self.base).await.check(&exchange) {
            panic!("{method} {path}: {status}: {fault}: {text}");
        }
        Answer { status, headers, text }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None, &[]).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, Some(&body), &[]).await
    }

    /// What is done to a key: its path's last part, and the body.
    pub async fn act(&self, id: &str, action: &str, body: Option<Value>) -> Answer {
        let (method, path) = match action {
            "revoke" => ("DELETE", format!("{KEYS}/{id}/revoke")),
            "patch" => ("PATCH", format!("{KEYS}/{id}")),
            other => ("POST", format!("{KEYS}/{id}/{other}")),
        };
        self.send(method, &path, body.as_ref(), &[]).await
    }

    pub async fn try_create(&self, mut members: Value) -> Answer {
        if members.get("name").is_none() {
            members["name"] = json!("a test's key");
        }
        self.post(KEYS, members).await
    }

    pub async fn create(&self, members: Value) -> Created {
        let body = self.try_create(members).await.ok();
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        Created { id: text(&body["api_key"]["id"]), raw: text(&body["raw_key"]), body: body["api_key"].clone() }
    }

    /// What `validate` says of a raw key: `None` for a valid one.
    pub async fn verdict(&self, raw: &str) -> Option<String> {
        let answer =
            self.post(&format!("{KEYS}/validate"), json!({"api_key": raw, "endpoint": "/v1/x", "client_ip": "192.0.2.1"})).await.ok();
        assert_eq!(answer["valid"], answer["error_message"].is_null(), "{answer}");
        answer["error_message"].as_str().map(str::to_owned)
    }
}

/// A stream of events.
pub struct Events {
    response: reqwest::Response,
    rest: String,
}

impl Events {
    /// The id and data of the next event, signs of life left out; `None` at the end.
    pub async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            while let Some((event, rest)) = self.rest.split_once("\n\n") {
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::to_owned);
                let found = field("data").map(|data| (field("id").expect("an id"), serde_json::from_str(&data).expect("JSON")));
                self.rest = rest.to_owned();
                if found.is_some() {
                    return found;
                }
            }
            let chunk = tokio::time::timeout(Duration::from_secs(20), self.response.chunk()).await.expect("a sign of life");
            self.rest += std::str::from_utf8(&chunk.ok()??).expect("text");
        }
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
