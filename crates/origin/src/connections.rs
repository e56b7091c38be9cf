//! Connections: taken, kept for as long as requests come, and ended in order.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
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
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use crate::http::Door;

/// How often it is looked whether a connection waits for the head of a request in vain: one that is looked at twice meanwhile is
/// closed. A timer for each request would cost more than the look at it, and who drips heads in gets no further by it.
const LOOK: Duration = Duration::from_secs(5);
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
pub async fn serve(listener: TcpListener, door: Arc<Door>, stop: impl Future<Output = ()>) -> bool {
    let (phase, told) = watch::channel(Phase::Serving);
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => drop(tokio::spawn(keep(stream, peer, Arc::clone(&door), told.clone()))),
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
async fn keep(stream: TcpStream, peer: SocketAddr, door: Arc<Door>, mut told: watch::Receiver<Phase>) {
    // An answer of a long poll must not wait for a full packet.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let pace = Arc::new(Pace::default());
    let service = service_fn(|request: Request<Incoming>| {
        let (door, pace) = (&door, &pace);
        async move {
            let turn = pace.begin();
            let answer = door.answer(peer, request).await;
            Ok::<_, Infallible>(answer.map(|body| Answer { body, _turn: turn }))
        }
    });
    let mut connection = pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = None;
    {
        let mut ending = pin!(told.wait_for(|phase| *phase != Phase::Serving));
        loop {
            tokio::select! {
                biased;
                _ = connection.as_mut() => return,
                _ = ending.as_mut() => break,
                _ = look.tick() => {
                    let waits = pace.waits();
                    if waits.is_some() && waits == seen {
                        return;
                    }
                    seen = waits;
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

/// How many requests of a connection have begun, and how many have been answered to their end.
#[derive(Default)]
struct Pace {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Pace {
    fn begin(self: &Arc<Self>) -> Turn {
        self.begun.fetch_add(1, Ordering::Relaxed);
        Turn(Arc::clone(self))
    }

    /// How many requests there were, where the next one is waited for.
    fn waits(&self) -> Option<u64> {
        let begun = self.begun.load(Ordering::Relaxed);
        (begun == self.ended.load(Ordering::Relaxed)).then_some(begun)
    }
}

/// A request that isn't answered to its end.
struct Turn(Arc<Pace>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
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
