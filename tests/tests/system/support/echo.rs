//! A service that sends back what it gets over WebSockets, and one of their clients.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use anyhow::{Context, Result, ensure};
use futures_util::{SinkExt, StreamExt};
use keyward_tests::eventually;
use tokio::{net::TcpListener, net::TcpStream, task::JoinHandle};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async, client_async,
    tungstenite::{
        self, Message,
        client::IntoClientRequest,
        handshake::server::{ErrorResponse, Request, Response},
        http::{HeaderValue, StatusCode},
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::SOON;

/// The text at which the service closes.
pub(crate) const LEAVE: &str = "leave";
/// What it closes with.
pub(crate) const LEFT: (u16, &str) = (4002, "as asked");
/// The text at which the service sends without end.
const FLOOD: &str = "flood";
/// Bytes of each message of that.
pub(crate) const CHUNK: usize = 500_000;
const PROTOCOL: &str = "sec-websocket-protocol";

/// The service.
pub(crate) struct Echo {
    address: SocketAddr,
    open: Arc<AtomicUsize>,
    closed: Arc<Mutex<Vec<u16>>>,
    sent: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Echo {
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (open, closed) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<Vec<u16>>>::default());
        let (now, codes) = (open.clone(), closed.clone());
        let sent = Arc::<AtomicU64>::default();
        let flooded = sent.clone();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (now, codes, flooded) = (now.clone(), codes.clone(), flooded.clone());
                connections.spawn(async move {
                    let Ok(socket) = accept_hdr_async(stream, first_protocol).await else { return };
                    now.fetch_add(1, Ordering::SeqCst);
                    let code = echo(socket, &flooded).await.unwrap_or(0);
                    codes.lock().unwrap_or_else(PoisonError::into_inner).push(code);
                    now.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Ok(Self { address, open, closed, sent, task })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until so many are open.
    pub(crate) async fn has(&self, count: usize) -> Result<()> {
        let is = || (self.open.load(Ordering::SeqCst) == count).then_some(());
        eventually("so many are open", SOON, || std::future::ready(is())).await
    }

    /// The bytes that were sent of a flood, as the connection took them.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    /// The codes with which clients have closed, 0 where one was gone without a word; since the last call.
    pub(crate) fn closed(&self) -> Vec<u16> {
        std::mem::take(&mut *self.closed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Of the protocols that are offered the first is taken.
#[allow(clippy::result_large_err, reason = "the handshake's own type")]
fn first_protocol(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let offered = request.headers().get(PROTOCOL).and_then(|offered| offered.to_str().ok());
    if let Some(first) = offered.and_then(|offered| offered.split(',').next()) {
        response.headers_mut().insert(PROTOCOL, HeaderValue::from_str(first).map_err(|_| ErrorResponse::new(None))?);
    }
    Ok(response)
}

/// Sends back until the client closes: its code.
async fn echo(mut socket: WebSocketStream<TcpStream>, flooded: &AtomicU64) -> Option<u16> {
    let mut code = None;
    while let Some(Ok(message)) = socket.next().await {
        match message {
            Message::Text(text) if text.as_str() == LEAVE => socket.close(Some(frame(LEFT))).await.ok()?,
            Message::Text(text) if text.as_str() == FLOOD => loop {
                socket.send(Message::binary(vec![1u8; CHUNK])).await.ok()?;
                flooded.fetch_add(CHUNK as u64, Ordering::SeqCst);
            },
            Message::Text(_) | Message::Binary(_) => socket.send(message).await.ok()?,
            Message::Close(said) => code = said.map(|said| said.code.into()),
            _ => {}
        }
    }
    code
}

fn frame((code, reason): (u16, &'static str)) -> CloseFrame {
    CloseFrame { code: CloseCode::from(code), reason: reason.into() }
}

/// A client.
pub(crate) struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// Opens one at a path, with these headers; or the status that refuses it.
    pub(crate) async fn open(server: SocketAddr, path: &str, headers: &[(&'static str, &str)]) -> Result<Result<Self, u16>> {
        let mut request = format!("ws://{server}{path}").into_client_request()?;
        request.headers_mut().insert(PROTOCOL, HeaderValue::from_static("chat, superchat"));
        for (name, value) in headers {
            request.headers_mut().insert(*name, HeaderValue::from_str(value)?);
        }
        match client_async(request, TcpStream::connect(server).await?).await {
            Ok((socket, response)) => {
                ensure!(response.status() == StatusCode::SWITCHING_PROTOCOLS, "{response:?}");
                let protocol = response.headers().get(PROTOCOL).map(HeaderValue::as_bytes);
                ensure!(protocol == Some(b"chat"), "{response:?}");
                Ok(Ok(Self(socket)))
            }
            Err(tungstenite::Error::Http(response)) => Ok(Err(response.status().as_u16())),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends messages of both kinds, and has them back.
    pub(crate) async fn talk(&mut self) -> Result<()> {
        for message in [Message::text("grüezi"), Message::binary(vec![0u8, 255, 7]), Message::binary(vec![1u8; 70_000])] {
            self.0.send(message.clone()).await?;
            let back = self.0.next().await.context("an answer")??;
            ensure!(back == message, "{back:?}");
        }
        Ok(())
    }

    /// Closes it with this code.
    pub(crate) async fn close(mut self, code: u16) -> Result<()> {
        self.0.close(Some(frame((code, "enough")))).await?;
        while self.0.next().await.transpose()?.is_some() {}
        Ok(())
    }

    /// Has it closed from the other side: with this code.
    pub(crate) async fn leave(mut self) -> Result<(u16, String)> {
        self.0.send(Message::text(LEAVE)).await?;
        loop {
            if let Message::Close(said) = self.0.next().await.context("a close")?? {
                let said = said.context("a code")?;
                return Ok((said.code.into(), said.reason.to_string()));
            }
        }
    }

    /// Has it send without end.
    pub(crate) async fn flood(&mut self) -> Result<()> {
        Ok(self.0.send(Message::text(FLOOD)).await?)
    }

    /// Reads so many messages of that.
    pub(crate) async fn read(&mut self, messages: u64) -> Result<()> {
        for _ in 0..messages {
            let message = self.0.next().await.context("a message")??;
            ensure!(message.len() == CHUNK);
        }
        Ok(())
    }
}
