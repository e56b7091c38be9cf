//! A service that takes its time, and knows how much it has to do at a time.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, ensure};
use keyward_tests::{
    eventually,
    http::{Reply, Response, Server},
};
use tokio::sync::{Semaphore, mpsc};

use super::SOON;

/// The first piece of a stream, and the last.
pub(crate) const PIECES: [&str; 2] = ["first ", "last"];

/// The service. A GET below `/files` has an answer that begins at once and ends when the test says so, with the length that its query
/// asks for; any other there and below `/v1` has none before that; and what is elsewhere takes some milliseconds.
pub(crate) struct Workshop {
    server: Server,
    gauge: Arc<Gauge>,
    done: Arc<Semaphore>,
}

/// How many requests are under way, and the most that ever were.
#[derive(Default)]
struct Gauge {
    now: AtomicU64,
    most: AtomicU64,
    all: AtomicU64,
}

/// A request under way.
struct Work(Arc<Gauge>);

impl Work {
    fn begin(gauge: &Arc<Gauge>) -> Self {
        let now = gauge.now.fetch_add(1, Ordering::SeqCst) + 1;
        gauge.most.fetch_max(now, Ordering::SeqCst);
        gauge.all.fetch_add(1, Ordering::SeqCst);
        Self(gauge.clone())
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Workshop {
    pub(crate) async fn start() -> Result<Self> {
        let (gauge, done) = (Arc::<Gauge>::default(), Arc::new(Semaphore::new(0)));
        let (theirs, finished) = (gauge.clone(), done.clone());
        let server = Server::attentive(move |request| {
            let (work, done, target) = (Work::begin(&theirs), finished.clone(), request.target_text());
            let streams = request.method == "GET" && target.starts_with("/files/");
            async move {
                if streams {
                    let length = target.split_once("?length=").and_then(|(_, length)| length.parse().ok());
                    return Reply::Stream(length, stream(work, done, length));
                }
                if target.starts_with("/v1/") || target.starts_with("/files/") {
                    if let Ok(one) = done.acquire().await {
                        one.forget();
                    }
                } else {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                drop(work);
                Reply::Response(Response::new(200, "text/plain", PIECES.concat()))
            }
        })
        .await?;
        Ok(Self { server, gauge, done })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Lets so many requests come to their end, now or later.
    pub(crate) fn finish(&self, count: usize) {
        self.done.add_permits(count);
    }

    /// Waits until so many are under way.
    pub(crate) async fn has(&self, count: u64) -> Result<()> {
        let there = || std::future::ready((self.now() == count).then_some(()));
        let waited = eventually("so many requests are under way", SOON, there).await;
        ensure!(waited.is_ok(), "{} are under way, and not {count}", self.now());
        Ok(())
    }

    /// How many are under way.
    pub(crate) fn now(&self) -> u64 {
        self.gauge.now.load(Ordering::SeqCst)
    }

    /// The most that ever were under way.
    pub(crate) fn most(&self) -> u64 {
        self.gauge.most.load(Ordering::SeqCst)
    }

    /// How many have come.
    pub(crate) fn all(&self) -> u64 {
        self.gauge.all.load(Ordering::SeqCst)
    }
}

/// The pieces of an answer, the last when it is done; with more between them for one of this length.
fn stream(work: Work, done: Arc<Semaphore>, length: Option<usize>) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let more = length.map_or(0, |length| length.saturating_sub(PIECES.concat().len()));
        let _ = sender.send([PIECES[0].as_bytes(), &vec![b'.'; more]].concat()).await;
        tokio::select! {
            Ok(one) = done.acquire() => one.forget(),
            () = sender.closed() => {}
        }
        let _ = sender.send(PIECES[1].into()).await;
        drop((work, sender));
    });
    receiver
}
