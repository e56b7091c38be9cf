//! What stands between two systems to count, delay or falsify what they say.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Result;
use tokio::sync::oneshot;

use crate::http::{Reply, Request, Response, Server, send};

/// What a relay does with a request and the response to it.
#[derive(Default)]
pub enum Verdict {
    /// Passes both on.
    #[default]
    Pass,
    /// Answers in the server's place.
    Answer(Response),
    /// Passes the request on and answers with what this makes of the response.
    Change(Box<dyn FnOnce(Response) -> Response + Send>),
    /// Passes both on, once the sender's other half has been used or dropped.
    Hold(oneshot::Receiver<()>),
    /// Never answers.
    Hang,
    /// Resets the connection.
    Reset,
}

type Rule = Box<dyn FnMut(&Request) -> Verdict + Send>;

/// A server that passes requests on to another and remembers them; [`Relay::rule`] changes what it does.
pub struct Relay {
    server: Server,
    inner: Arc<Inner>,
}

struct Inner {
    rule: Mutex<Rule>,
    requests: Mutex<Vec<Request>>,
}

impl Relay {
    /// Starts one in front of `behind`. It passes everything on.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(behind: SocketAddr) -> Result<Self> {
        let inner = Arc::new(Inner { rule: Mutex::new(Box::new(|_| Verdict::Pass)), requests: Mutex::default() });
        let theirs = inner.clone();
        let server = Server::start(move |request| {
            let verdict = (theirs.rule.lock().unwrap_or_else(PoisonError::into_inner))(&request);
            theirs.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
            handle(verdict, request, behind)
        })
        .await?;
        Ok(Self { server, inner })
    }

    /// From now on, `rule` decides about each request.
    pub fn rule(&self, rule: impl FnMut(&Request) -> Verdict + Send + 'static) {
        *self.inner.rule.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(rule);
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Its address as a URL without a path.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// How many requests since the last [`Relay::take`].
    #[must_use]
    pub fn count(&self) -> usize {
        self.inner.requests.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Takes the requests that it remembers.
    #[must_use]
    pub fn take(&self) -> Vec<Request> {
        std::mem::take(&mut *self.inner.requests.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn handle(verdict: Verdict, request: Request, behind: SocketAddr) -> Reply {
    match verdict {
        Verdict::Answer(response) => Reply::Response(response),
        Verdict::Hang => Reply::Hang,
        Verdict::Reset => Reply::Reset,
        Verdict::Pass => forward(request, behind, |response| response).await,
        Verdict::Change(change) => forward(request, behind, change).await,
        Verdict::Hold(release) => {
            let _ = release.await;
            forward(request, behind, |response| response).await
        }
    }
}

async fn forward(mut request: Request, behind: SocketAddr, change: impl FnOnce(Response) -> Response) -> Reply {
    reframe(&mut request.headers);
    match send(behind, &request).await {
        Ok(response) => {
            let mut response = change(response);
            reframe(&mut response.headers);
            Reply::Response(response)
        }
        // The server isn't there or died: so it looks to the client.
        Err(_) => Reply::Reset,
    }
}

/// The body was taken out of its framing, and a connection's options are those of one hop (RFC 9110, section 7.6.1).
fn reframe(headers: &mut crate::http::Headers) {
    for name in ["transfer-encoding", "content-length", "connection", "keep-alive"] {
        headers.remove(name);
    }
}
