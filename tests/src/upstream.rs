//! The service behind the edge.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::Result;
use serde_json::json;

use crate::http::{Reply, Request, Response, Server};

/// Remembered requests; a load test sends more than anyone will look at.
const KEPT: usize = 10_000;

/// A server that answers every request with a description of it, and remembers it.
#[derive(Debug)]
pub struct Upstream {
    server: Server,
    seen: Arc<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    count: AtomicU64,
    requests: Mutex<Vec<Request>>,
}

impl Upstream {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> Result<Self> {
        let seen = Arc::new(Seen::default());
        let theirs = seen.clone();
        let server = Server::start(move |request| {
            let response = describe(&request);
            theirs.count.fetch_add(1, Ordering::Relaxed);
            let mut requests = theirs.requests.lock().unwrap_or_else(PoisonError::into_inner);
            if requests.len() < KEPT {
                requests.push(request);
            }
            std::future::ready(Reply::Response(response))
        })
        .await?;
        Ok(Self { server, seen })
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

    /// How many requests have come.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.seen.count.load(Ordering::Relaxed)
    }

    /// Takes what it remembers: the first ten thousand requests since the last call, in the order of their coming.
    #[must_use]
    pub fn take(&self) -> Vec<Request> {
        std::mem::take(&mut *self.seen.requests.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn describe(request: &Request) -> Response {
    let headers: Vec<_> = request.headers.0.iter().map(|(name, value)| json!([name, value])).collect();
    let body = json!({
        "method": request.method,
        "target": request.target_text(),
        "headers": headers,
        "body_bytes": request.body.len(),
    });
    Response::new(200, "application/json", body.to_string())
}
