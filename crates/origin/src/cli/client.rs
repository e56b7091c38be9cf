//! Asks an origin over HTTP: one key to one place, bounded in time and size, and again where an answer was lost.

use std::{
    io::{ErrorKind, Read, Write},
    thread::sleep,
    time::Duration,
};

use keyward_api::MEDIA_TYPE;
use keyward_core::{bounds::MAX_RECORD_LEVELS, json::read_within};
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::{
    Agent, Body, Timeout,
    http::{HeaderName, HeaderValue, Method, Request, Response, header},
    tls::{RootCerts, TlsConfig},
};
use zeroize::Zeroizing;

use super::{
    failure::Failure,
    show::{line, note, plain},
};
use crate::sealing::random;

/// Until a connection stands.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Until an answer is there; longer than an origin takes for any.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Bytes of an answer: a thousand keys with all that they may have.
const MOST: u64 = 64 * 1024 * 1024;
/// Before each further try.
const WAITS: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(400), Duration::from_millis(1600)];
/// However long the origin would have us wait.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A request. Twice is as good as once, unless it says otherwise.
pub struct Call {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
    body: Option<(&'static str, Zeroizing<String>)>,
    repeatable: bool,
}

impl Call {
    fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), query: Vec::new(), headers: Vec::new(), body: None, repeatable: true }
    }

    /// `GET`
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// `POST`
    pub fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    /// `PATCH`
    pub fn patch(path: impl Into<String>) -> Self {
        Self::new(Method::PATCH, path)
    }

    /// `DELETE`
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// With these members in the query.
    pub fn query(mut self, members: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        self.query.extend(members);
        self
    }

    /// With a body.
    pub fn json(mut self, body: &Value) -> Self {
        self.body = Some(("application/json", Zeroizing::new(body.to_string())));
        self
    }

    /// With a form.
    pub fn form<'a>(mut self, members: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(members).finish();
        self.body = Some(("application/x-www-form-urlencoded", Zeroizing::new(form)));
        self
    }

    /// In the state that an entity tag names alone.
    pub fn if_match(mut self, etag: Option<&str>) -> Self {
        self.headers.extend(etag.map(|etag| ("if-match", etag.to_owned())));
        self
    }

    /// Done once under a name, its own or a fresh one, however often it is sent.
    ///
    /// # Errors
    /// Where there is no randomness.
    pub fn once(mut self, name: Option<&str>) -> anyhow::Result<Self> {
        let name = match name {
            Some(name) => name.to_owned(),
            None => keyward_core::codec::base64url(&random::<16>()?),
        };
        self.headers.push((IDEMPOTENCY_KEY, name));
        Ok(self)
    }

    /// Not to be sent again where the first one may have arrived.
    pub fn unrepeatable(mut self) -> Self {
        self.repeatable = false;
        self
    }
}

/// What was answered, where it was no problem.
pub struct Answer {
    /// As it was sent.
    pub text: Zeroizing<String>,
    /// The query of the next page (RFC 8288).
    pub next: Option<String>,
}

impl Answer {
    /// What it says.
    ///
    /// # Errors
    /// Where it says something that this version doesn't know.
    pub fn read<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        let failed = |error| Failure::Unreachable(format!("an answer that this version of the command can't read (see --json): {error}"));
        // Deep enough for any record of a trail.
        Ok(read_within(&self.text, MAX_RECORD_LEVELS).map_err(failed)?)
    }
}

/// Asks.
pub struct Client {
    agent: Agent,
    base: String,
    bearer: HeaderValue,
    key: Zeroizing<String>,
    json: bool,
}

impl Client {
    /// Asks at this URL (without a slash at its end) with this key.
    ///
    /// # Errors
    /// Where TLS can't be set up.
    pub fn new(base: String, bearer: HeaderValue, key: &str, json: bool) -> anyhow::Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = Agent::config_builder()
            .user_agent(concat!("keyward/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            // The key is for this origin alone.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_resolve(Some(CONNECT_WITHIN))
            .timeout_connect(Some(CONNECT_WITHIN))
            .timeout_recv_response(Some(ANSWER_WITHIN))
            .timeout_per_read(Some(ANSWER_WITHIN))
            .timeout_per_write(Some(ANSWER_WITHIN))
            .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build());
        // A proxy would read what isn't encrypted; through TLS it may be named in the environment as usual.
        let config = if base.starts_with("https://") { config } else { config.proxy(None) };
        Ok(Self { agent: config.build().into(), base, bearer, key: Zeroizing::new(key.trim().to_owned()), json })
    }

    /// The key with which it asks.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether answers are to be printed as they are.
    pub fn json(&self) -> bool {
        self.json
    }

    /// Asks, and prints the answer: as it is, or as `people` have it.
    ///
    /// # Errors
    /// As of [`Self::ask`], and where nobody reads it.
    pub fn show<T: DeserializeOwned>(&self, call: Call, people: impl FnOnce(T) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let answer = self.ask(&call)?;
        if self.json { line(&answer.text) } else { people(answer.read()?) }
    }

    /// Asks, and asks again where the answer was lost or is to come later.
    ///
    /// # Errors
    /// A [`Failure`].
    pub fn ask(&self, call: &Call) -> anyhow::Result<Answer> {
        let (mut waits, mut uncertain) = (WAITS.into_iter(), false);
        loop {
            let outcome = self.attempt(call);
            uncertain |= match &outcome {
                Ok(received) => received.status >= 500,
                Err(error) => !unsent(error),
            };
            if let Some(wait) = again(call, &outcome).and_then(|least| Some(waits.next()?.max(least))) {
                sleep(wait);
                continue;
            }
            let answer = outcome.map_err(|error| self.lost(&error).into()).and_then(|received| self.judged(received));
            if uncertain && answer.is_err() {
                self.warn(call);
            }
            return answer;
        }
    }

    /// What to do where the last word isn't the origin's on what was asked.
    fn warn(&self, call: &Call) {
        let name = call.headers.iter().find(|(name, _)| *name == IDEMPOTENCY_KEY).map(|(_, value)| value);
        match name {
            Some(name) => note(&format!(
                "Whether it was done isn't known. The same command with --idempotency-key {name} has its answer, or does it now."
            )),
            None if !call.repeatable => note("Whether it was done isn't known: look before you try again."),
            None => {}
        }
    }

    /// Asks once, and writes the answer of this media type as it comes, however long it is.
    ///
    /// # Errors
    /// A [`Failure`], or where it can't be written.
    pub fn copy(&self, call: &Call, kind: &str, to: &mut impl Write) -> anyhow::Result<()> {
        let mut response = self.send(call).map_err(|error| self.lost(&error))?;
        if !response.status().is_success() || media_type(&response) != kind {
            let received = Received::from(response).map_err(|error| self.lost(&error))?;
            return Err(self.judged(received).err().unwrap_or_else(|| self.foreign("another kind of answer").into()));
        }
        let mut body = response.body_mut().with_config().reader();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match body.read(&mut buffer).map_err(|error| self.lost(&error.into()))? {
                0 => return Ok(to.flush()?),
                length => to.write_all(&buffer[..length])?,
            }
        }
    }

    fn attempt(&self, call: &Call) -> Result<Received, ureq::Error> {
        Received::from(self.send(call)?)
    }

    fn send(&self, call: &Call) -> Result<Response<Body>, ureq::Error> {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&call.query).finish();
        let separator = if query.is_empty() { "" } else { "?" };
        let mut request = Request::builder().method(&call.method).uri(format!("{}{}{separator}{query}", self.base, call.path));
        request = request.header(header::AUTHORIZATION, &self.bearer);
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        match &call.body {
            None => self.agent.run(request.body(())?),
            Some((kind, text)) => self.agent.run(request.header(header::CONTENT_TYPE, *kind).body(text.as_bytes())?),
        }
    }

    /// An answer, or the refusal that it is.
    fn judged(&self, received: Received) -> anyhow::Result<Answer> {
        let Received { status, kind, text, next, .. } = received;
        // OAuth's errors are plain JSON (RFC 6749 section 5.2).
        let is_problem = kind == MEDIA_TYPE || kind == "application/json";
        match status {
            200..=299 if text.is_empty() || kind == "application/json" => Ok(Answer { text, next }),
            400.. if is_problem => Err(Failure::Refused { status, text: text.to_string(), json: self.json }.into()),
            _ => Err(self.foreign(&format!("{status} {kind}")).into()),
        }
    }

    fn foreign(&self, what: &str) -> Failure {
        Failure::Unreachable(format!("{} doesn't answer as Keyward does: {}", self.base, plain(what)))
    }

    fn lost(&self, error: &ureq::Error) -> Failure {
        Failure::Unreachable(format!("no answer from {}: {error}", self.base))
    }
}

/// What came back.
struct Received {
    status: u16,
    kind: String,
    retry_after: Option<Duration>,
    next: Option<String>,
    text: Zeroizing<String>,
}

impl Received {
    fn from(mut response: Response<Body>) -> Result<Self, ureq::Error> {
        let kind = media_type(&response);
        let retry_after = header_text(&response, header::RETRY_AFTER).parse().ok().map(Duration::from_secs);
        let next = next_query(header_text(&response, header::LINK));
        let text = response.body_mut().with_config().limit(MOST).read_to_string()?;
        Ok(Self { status: response.status().as_u16(), kind, retry_after, next, text: Zeroizing::new(text) })
    }
}

fn header_text(response: &Response<Body>, name: HeaderName) -> &str {
    response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Without its parameters.
fn media_type(response: &Response<Body>) -> String {
    header_text(response, header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// After how long to ask again at the least, where that makes sense.
fn again(call: &Call, outcome: &Result<Received, ureq::Error>) -> Option<Duration> {
    match outcome {
        Ok(received) if received.status == 503 && call.repeatable => received.retry_after.filter(|wait| *wait <= LONGEST_WAIT),
        Ok(_) | Err(ureq::Error::HostNotFound) => None,
        Err(error @ (ureq::Error::Io(_) | ureq::Error::Timeout(_) | ureq::Error::ConnectionFailed | ureq::Error::Protocol(_))) => {
            (call.repeatable || unsent(error)).then_some(Duration::ZERO)
        }
        Err(_) => None,
    }
}

/// Whether the request can't have arrived.
fn unsent(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Io(error) => error.kind() == ErrorKind::ConnectionRefused,
        ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) | ureq::Error::ConnectionFailed | ureq::Error::HostNotFound => true,
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::Http(_) | ureq::Error::BadUri(_) => true,
        _ => false,
    }
}

/// The query of the next page. Only the query: the key goes nowhere that an answer names.
fn next_query(link: &str) -> Option<String> {
    let (target, parameters) = link.strip_prefix('<')?.split_once('>')?;
    (parameters.trim() == r#"; rel="next""#).then_some(())?;
    target.split_once('?').map(|(_, query)| query.to_owned())
}
