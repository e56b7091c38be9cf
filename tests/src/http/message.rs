//! Requests and responses as values.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Header fields in the order in which they stand in the message. Names are compared without case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, String)>);

impl Headers {
    /// The first value of `name`.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Every value of `name`.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Adds a field, beside others of its name.
    pub fn add(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }

    /// Takes every field of `name` away.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    }
}

/// A request; `target` is the request target byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST` …
    pub method: String,
    /// What stands between the method and the version on the request line.
    pub target: Vec<u8>,
    /// The fields; `host` and `content-length` are added on sending where they are missing.
    pub headers: Headers,
    /// The content, with any chunking taken off.
    pub body: Vec<u8>,
}

impl Request {
    /// A request without content.
    #[must_use]
    pub fn new(method: &str, target: impl AsRef<[u8]>) -> Self {
        Self { method: method.to_owned(), target: target.as_ref().to_owned(), headers: Headers::default(), body: Vec::new() }
    }

    /// A GET.
    #[must_use]
    pub fn get(target: impl AsRef<[u8]>) -> Self {
        Self::new("GET", target)
    }

    /// The same with a header field more.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.add(name, value);
        self
    }

    /// The same with `Authorization: Bearer`.
    #[must_use]
    pub fn bearer(self, credential: &str) -> Self {
        self.header("authorization", &format!("Bearer {credential}"))
    }

    /// The same with a JSON body.
    #[must_use]
    pub fn json(mut self, body: &Value) -> Self {
        self.body = body.to_string().into_bytes();
        self.header("content-type", "application/json")
    }

    /// The same with a form for a body.
    #[must_use]
    pub fn form(mut self, parameters: &[(&str, &str)]) -> Self {
        self.body = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish().into_bytes();
        self.header("content-type", "application/x-www-form-urlencoded")
    }

    /// The target as text, for comparisons; bytes that aren't UTF-8 are replaced.
    #[must_use]
    pub fn target_text(&self) -> String {
        String::from_utf8_lossy(&self.target).into_owned()
    }
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The fields; `content-length` is added on sending where it is missing.
    pub headers: Headers,
    /// The content, with any chunking taken off.
    pub body: Vec<u8>,
}

impl Response {
    /// A response with this body of this media type.
    #[must_use]
    pub fn new(status: u16, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let mut headers = Headers::default();
        headers.add("content-type", media_type);
        Self { status, headers, body: body.into() }
    }

    /// The body as text; bytes that aren't UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it isn't JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("no JSON in a {}: {}", self.status, self.text()))
    }

    /// Itself, when it has this status.
    ///
    /// # Errors
    /// When it has another; the message holds the body.
    pub fn expect(self, status: u16) -> Result<Self> {
        ensure!(self.status == status, "expected {status}, got {}: {}", self.status, self.text());
        Ok(self)
    }
}
