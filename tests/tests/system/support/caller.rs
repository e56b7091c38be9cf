//! Clients that note when they were answered what.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use keyward_tests::http::{Connection, Request, Response};
use tokio::{task::JoinHandle, time::timeout};

/// No answer at all is a fault of its own kind; nothing here may take so long.
const LOST: Duration = Duration::from_secs(15);

/// An answer and when it was.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) sent: Instant,
    pub(crate) answered: Instant,
    pub(crate) response: Response,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.response.status
    }

    pub(crate) fn took(&self) -> Duration {
        self.answered - self.sent
    }
}

/// A client that sends one request again and again over one connection.
pub(crate) struct Caller {
    server: SocketAddr,
    request: Request,
    connection: Option<Connection>,
}

impl Caller {
    pub(crate) fn new(server: SocketAddr, request: Request) -> Self {
        Self { server, request, connection: None }
    }

    /// Sends the request once. A connection that breaks is an error here, and made anew for the next call.
    pub(crate) async fn call(&mut self) -> Result<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(self.server).await?,
        };
        let sent = Instant::now();
        let response = timeout(LOST, connection.send(&self.request)).await.with_context(|| format!("no answer in {LOST:?}"))??;
        let answered = Instant::now();
        self.connection = Some(connection);
        Ok(Answer { sent, answered, response })
    }
}

/// A client that calls without a pause in the background, until it is told to stop.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Result<Vec<Answer>>>,
}

impl Load {
    /// Begins; `pause` lies between an answer and the next request.
    pub(crate) fn begin(mut caller: Caller, pause: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let theirs = stop.clone();
        let task = tokio::spawn(async move {
            let mut answers = Vec::new();
            while !theirs.load(Ordering::Relaxed) {
                let mut answer = caller.call().await?;
                // Only refusals are worth the memory.
                if answer.status() == 200 {
                    answer.response.body = Vec::new();
                }
                answers.push(answer);
                tokio::time::sleep(pause).await;
            }
            Ok(answers)
        });
        Self { stop, task }
    }

    /// Stops, and returns all answers in their order.
    pub(crate) async fn end(self) -> Result<Vec<Answer>> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await?
    }
}
