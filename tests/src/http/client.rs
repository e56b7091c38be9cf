//! Sending requests.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result};
use tokio::{net::TcpStream, time::timeout};

use super::{Request, Response, wire::Wire};

/// Nothing that is tested takes so long; what does is stuck, and a test should say so rather than hang.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// A connection on which requests follow each other.
#[derive(Debug)]
pub struct Connection(Wire);

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens at `server`.
    pub async fn open(server: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(server).await.with_context(|| format!("connecting to {server}"))?;
        Ok(Self(Wire::new(stream)))
    }

    /// Sends a request and reads its response.
    ///
    /// # Errors
    /// When the connection breaks, what comes back isn't HTTP, or nothing comes back for a minute.
    pub async fn send(&mut self, request: &Request) -> Result<Response> {
        self.start(request).await?;
        self.receive(request).await
    }

    /// Reads the response to `request`, the oldest that was started and has none yet.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub async fn receive(&mut self, request: &Request) -> Result<Response> {
        timeout(ANSWER_WITHIN, self.0.read_response(&request.method)).await.context("no answer for a minute")?
    }

    /// Sends a request without waiting for its response.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn start(&mut self, request: &Request) -> Result<()> {
        self.0.write_request(request).await
    }

    /// Resets the connection (RST, not FIN): what a client does that vanishes in the middle of a request.
    ///
    /// # Errors
    /// When the system refuses the option.
    pub fn reset(self) -> Result<()> {
        Ok(self.0.stream.set_zero_linger()?)
    }
}

/// Sends one request on a connection of its own.
///
/// # Errors
/// As [`Connection::open`] and [`Connection::send`].
pub async fn send(server: SocketAddr, request: &Request) -> Result<Response> {
    let mut connection = Connection::open(server).await?;
    connection.send(request).await.with_context(|| format!("{} {}", request.method, server))
}
