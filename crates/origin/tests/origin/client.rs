//! A client of the server, which holds each answer against the server's own description.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    described::{Description, Exchange},
    harness::KEYS,
};

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
    /// Of a server there, with this key; with none where that is empty.
    pub fn new(base: String, key: &str) -> Self {
        Self { base, key: key.to_owned(), session: None, http: reqwest::Client::new() }
    }

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
