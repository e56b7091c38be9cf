//! Many requests of the same moment, one statement.
//!
//! A request that finds nobody waiting goes at once; those that come while it is under way go together next. So an idle
//! server adds no delay, and a busy one makes a few round trips and one write to the disk for many requests.

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use keyward_api::Code;
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};

use crate::error::{Error, Result};

/// Requests in one batch: more would make the first one wait for the last.
const MOST: usize = 64;
/// Requests that may wait.
const QUEUE: usize = 1024;
/// How long a request waits before it is told that the database is unavailable.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long a batch may take. A database that has fallen silent would hold the workers for as long as TCP hopes.
const LONGEST: Duration = Duration::from_secs(10);

/// Asks in batches.
pub struct Batch<I, O> {
    queue: mpsc::Sender<Waiting<I, O>>,
}

struct Waiting<I, O> {
    item: I,
    answer: oneshot::Sender<Result<O>>,
}

impl<I: Send + 'static, O: Send + 'static> Batch<I, O> {
    /// Runs `run` for batches, which has to answer each item, in order. One at a time: it is larger than two would be, and costs
    /// less for each request.
    pub fn one_by_one<F, R>(tasks: &mut JoinSet<()>, run: F) -> Self
    where
        F: Fn(Vec<I>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<O>>> + Send,
    {
        Self::with(tasks, 1, run)
    }

    /// As [`Batch::one_by_one`], with so many batches under way at a time: for those that take long, and don't wait for each other.
    pub fn with<F, R>(tasks: &mut JoinSet<()>, workers: usize, run: F) -> Self
    where
        F: Fn(Vec<I>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<O>>> + Send,
    {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (receiver, run) = (Arc::new(Mutex::new(receiver)), Arc::new(run));
        for _ in 0..workers {
            let (receiver, run) = (Arc::clone(&receiver), Arc::clone(&run));
            tasks.spawn(async move { while work(&receiver, &*run).await {} });
        }
        Self { queue: sender }
    }

    /// The answer for one item.
    ///
    /// # Errors
    /// That of the batch; `database_unavailable` where there is no answer in time.
    pub async fn ask(&self, item: I) -> Result<O> {
        let answered = async {
            let (answer, answered) = oneshot::channel();
            self.queue.send(Waiting { item, answer }).await.ok()?;
            answered.await.ok()
        };
        match timeout(PATIENCE, answered).await {
            Ok(Some(answer)) => answer,
            _ => Err(Code::DatabaseUnavailable.into()),
        }
    }
}

/// Where in a batch the items of each kind are, for what can't be done to all of them at once.
pub fn grouped<I, K: Ord>(items: &[I], kind: impl Fn(&I) -> K) -> BTreeMap<K, Vec<usize>> {
    let mut groups: BTreeMap<K, Vec<usize>> = BTreeMap::new();
    for (at, item) in items.iter().enumerate() {
        groups.entry(kind(item)).or_default().push(at);
    }
    groups
}

/// Takes and answers one batch; false when there will be no more.
async fn work<I, O, R: Future<Output = Result<Vec<O>>>>(
    receiver: &Mutex<mpsc::Receiver<Waiting<I, O>>>,
    run: &impl Fn(Vec<I>) -> R,
) -> bool {
    let mut batch = Vec::new();
    if receiver.lock().await.recv_many(&mut batch, MOST).await == 0 {
        return false;
    }
    // Nobody needs an answer for a client that has left.
    batch.retain(|waiting| !waiting.answer.is_closed());
    let (items, answers): (Vec<_>, Vec<_>) = batch.into_iter().map(|waiting| (waiting.item, waiting.answer)).unzip();
    let done = timeout(LONGEST, run(items)).await.unwrap_or_else(|_| Err(Code::DatabaseUnavailable.into()));
    match done {
        Ok(results) => {
            for (answer, result) in answers.into_iter().zip(results) {
                // A client that has left by now isn't told.
                let _ = answer.send(Ok(result));
            }
        }
        Err(error) => {
            let code = error.code();
            tracing::warn!(requests = answers.len(), error = %anyhow::Error::from(error), "a batch failed");
            for answer in answers {
                let _ = answer.send(Err(Error::new(code)));
            }
        }
    }
    true
}
