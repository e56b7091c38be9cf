//! Connections: taken, kept for as long as requests come, and ended in order.

use std::{
    convert::Infallible,
    io::{self, IoSlice},
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, Bytes, HttpBody};
use hyper::{
    Request,
    body::{Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::{Instant, MissedTickBehavior, interval_at, sleep, timeout},
};

use crate::{config::Connections, http::Door};

/// Looks without anything having moved after which a connection is closed: one on which the head of a request is waited for, be it
/// that nothing comes or that it drips in; and one with an answer under way, of which no byte could be written. A timer for each
/// request would cost as much as many a decision.
const PATIENCE: (u32, u32) = (1, 6);
/// Bytes that the system takes of an answer before they can be sent: with more, a slow reader would take minutes between two writes, and
/// look like one that doesn't read.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 128 * 1024;
/// How long requests under way may take to end.
const DRAIN: Duration = Duration::from_secs(8);
/// How long nothing is accepted where nothing can be: there may be no more descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// How far the end of the server has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serving,
    Ending,
    Over,
}

/// Serves all connections until `stop`, and then for as long as their requests take; answers whether all of them ended by themselves.
pub async fn serve(listener: TcpListener, door: Arc<Door>, bounds: Connections, stop: impl Future<Output = ()>) -> bool {
    let (phase, told) = watch::channel(Phase::Serving);
    let seats = Arc::new(Semaphore::new(bounds.most));
    let mut stop = pin!(stop);
    loop {
        let next = async {
            let seat = Arc::clone(&seats).acquire_owned().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((seat, listener.accept().await?))
        };
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = next => accepted,
        };
        match accepted {
            Ok((seat, (stream, peer))) => {
                let kept = keep(stream, peer, Arc::clone(&door), bounds.look, told.clone());
                tokio::spawn(async move {
                    kept.await;
                    drop(seat);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "can't accept a connection");
                sleep(PAUSE).await;
            }
        }
    }
    // From now on nobody is let in, and nobody waits to be.
    drop((listener, told));
    let _ = phase.send(Phase::Ending);
    let ended = timeout(DRAIN, phase.closed()).await.is_ok();
    let _ = phase.send(Phase::Over);
    ended
}

/// Serves one connection.
async fn keep(stream: TcpStream, peer: SocketAddr, door: Arc<Door>, look: Duration, mut told: watch::Receiver<Phase>) {
    // An answer of a long poll must not wait for a full packet.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    // Where the system can't, very slow readers are at a disadvantage.
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT);
    let pace = Arc::new(Pace::default());
    let stream = Watched { stream, pace: Arc::clone(&pace) };
    let service = service_fn(|request: Request<Incoming>| {
        let (door, pace) = (&door, &pace);
        async move {
            let turn = pace.begin();
            let answer = door.answer(peer, request).await;
            Ok::<_, Infallible>(answer.map(|body| Answer { body, _turn: turn }))
        }
    });
    let mut connection = pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    let mut looks = interval_at(Instant::now() + look, look);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut seen, mut still) = (pace.moved(), 0);
    {
        let mut ending = pin!(told.wait_for(|phase| *phase != Phase::Serving));
        loop {
            tokio::select! {
                biased;
                _ = connection.as_mut() => return,
                _ = ending.as_mut() => break,
                _ = looks.tick() => {
                    let moved = pace.moved();
                    still = if moved == seen { still + 1 } else { 0 };
                    if still >= pace.patience() {
                        return;
                    }
                    seen = moved;
                }
            }
        }
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        biased;
        _ = connection => {}
        _ = told.wait_for(|phase| *phase == Phase::Over) => {}
    }
}

/// How many requests of a connection have begun, how many have been answered to their end, and how many bytes were written; and whether
/// some wait to be.
#[derive(Default)]
struct Pace {
    begun: AtomicU64,
    ended: AtomicU64,
    written: AtomicU64,
    blocked: AtomicBool,
}

impl Pace {
    fn begin(self: &Arc<Self>) -> Turn {
        self.begun.fetch_add(1, Ordering::Relaxed);
        Turn(Arc::clone(self))
    }

    /// What is another one where anything has moved.
    fn moved(&self) -> (u64, u64) {
        (self.begun.load(Ordering::Relaxed), self.written.load(Ordering::Relaxed))
    }

    /// How many looks without it are waited for.
    fn patience(&self) -> u32 {
        // An answer that hyper has taken to its end needn't have been written.
        let waits = self.begun.load(Ordering::Relaxed) == self.ended.load(Ordering::Relaxed) && !self.blocked.load(Ordering::Relaxed);
        if waits { PATIENCE.0 } else { PATIENCE.1 }
    }

    /// What came of writing.
    fn note(&self, wrote: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        // One connection's task alone writes: nothing has to be added as one.
        if let Poll::Ready(Ok(bytes)) = wrote {
            self.written.store(self.written.load(Ordering::Relaxed).wrapping_add(bytes as u64), Ordering::Relaxed);
        }
        self.blocked.store(wrote.is_pending(), Ordering::Relaxed);
        wrote
    }
}

/// A request that isn't answered to its end.
struct Turn(Arc<Pace>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// A connection of which it is known how much was written.
struct Watched {
    stream: TcpStream,
    pace: Arc<Pace>,
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.pace.note(wrote)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.pace.note(wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The body of an answer, with the turn that it ends.
struct Answer {
    body: Body,
    _turn: Turn,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        HttpBody::size_hint(&self.body)
    }
}
