//! A server whose answers a test decides.

use std::{
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
};

use anyhow::Result;
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};

use super::{Request, Response, wire::Wire};

/// What a server does with a request.
#[derive(Debug)]
pub enum Reply {
    /// Answers.
    Response(Response),
    /// Answers 200 with these pieces as they come, until their sender is gone; its receiver is when the client is. With this length
    /// for all of them, or else in chunks.
    Stream(Option<usize>, mpsc::Receiver<Vec<u8>>),
    /// Never answers, and leaves the connection open.
    Hang,
    /// Resets the connection.
    Reset,
}

type Handler = dyn Fn(Request) -> Pin<Box<dyn Future<Output = Reply> + Send>> + Send + Sync;

/// A listening server; dropping it closes the listener and every connection.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// Listens on a free port of 127.0.0.1 and answers with `handler`.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start<F>(handler: impl Fn(Request) -> F + Send + Sync + 'static) -> Result<Self>
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        Self::start_on((Ipv4Addr::LOCALHOST, 0).into(), handler).await
    }

    /// As [`Server::start`]; work for a client that has gone is dropped.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn attentive<F>(handler: impl Fn(Request) -> F + Send + Sync + 'static) -> Result<Self>
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        Self::listen((Ipv4Addr::LOCALHOST, 0).into(), true, handler).await
    }

    /// As [`Server::start`], at an address of the caller's.
    ///
    /// # Errors
    /// When the address is taken.
    pub async fn start_on<F>(address: SocketAddr, handler: impl Fn(Request) -> F + Send + Sync + 'static) -> Result<Self>
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        Self::listen(address, false, handler).await
    }

    async fn listen<F>(address: SocketAddr, attentive: bool, handler: impl Fn(Request) -> F + Send + Sync + 'static) -> Result<Self>
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let handler: Arc<Handler> = Arc::new(move |request| Box::pin(handler(request)));
        let task = tokio::spawn(async move {
            // Owned by this task, so that ending it ends them all.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(Wire::new(stream), attentive, handler.clone()));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers what comes on one connection, until either side is through with it.
async fn serve(mut wire: Wire, attentive: bool, handler: Arc<Handler>) {
    while let Ok(Some(request)) = wire.read_request().await {
        let (head, close) = (request.method == "HEAD", request.headers.first("connection") == Some("close"));
        let reply = tokio::select! {
            reply = handler(request) => reply,
            () = wire.is_left(), if attentive => return,
        };
        match reply {
            Reply::Stream(length, pieces) => {
                if wire.write_stream(length, pieces).await.is_err() || close {
                    return;
                }
            }
            Reply::Response(response) => {
                if wire.write_response(&response, head).await.is_err() || close {
                    return;
                }
            }
            Reply::Hang => std::future::pending().await,
            Reply::Reset => {
                let _ = wire.stream.set_zero_linger();
                return;
            }
        }
    }
}
