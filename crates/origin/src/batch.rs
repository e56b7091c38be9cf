//! Many requests of the same moment, one statement.
//!
//! A request that finds nobody waiting goes at once; those that come while it is under way go together next. So an idle
//! server adds no delay, and a busy one makes a few round trips and one write to the disk for many requests.

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use anyhow::anyhow;
use keyward_api::Code;
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
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
    /// What is asked for, for the log.
    name: &'static str,
    queue: mpsc::Sender<Waiting<I, O>>,
}

struct Waiting<I, O> {
    item: I,
    answer: oneshot::Sender<Result<O>>,
}

impl<I: Send + 'static, O: Send + 'static> Batch<I, O> {
    /// Runs `run` for batches, which has to answer each item, in order. One at a time: it is larger than two would be, and costs
    /// less for each request.
    pub fn one_by_one<F, R>(name: &'static str, tasks: &mut JoinSet<()>, run: F) -> Self
    where
        F: Fn(Vec<I>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<O>>> + Send,
    {
        Self::with(name, tasks, 1, run)
    }

    /// As [`Batch::one_by_one`], with so many batches under way at a time: for those that take long, and don't wait for each other.
    pub fn with<F, R>(name: &'static str, tasks: &mut JoinSet<()>, workers: usize, run: F) -> Self
    where
        F: Fn(Vec<I>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<O>>> + Send,
    {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (receiver, run) = (Arc::new(Mutex::new(receiver)), Arc::new(run));
        for _ in 0..workers {
            let (receiver, run) = (Arc::clone(&receiver), Arc::clone(&run));
            tasks.spawn(async move { while work(name, &receiver, &*run).await {} });
        }
        Self { name, queue: sender }
    }

    /// The answer for one item.
    ///
    /// # Errors
    /// That of the batch; `database_unavailable` where there is no answer in time; `internal` where nobody is left to give one.
    pub async fn ask(&self, item: I) -> Result<O> {
        let deadline = Instant::now() + PATIENCE;
        let (answer, answered) = oneshot::channel();
        match timeout_at(deadline, self.queue.send(Waiting { item, answer })).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(self.ended()),
            Err(_) => return Err(self.late("the queue is full")),
        }
        match timeout_at(deadline, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(self.ended()),
            Err(_) => Err(self.late("no answer in time")),
        }
    }

    /// Not the database's fault, and nothing that passes: its operator has another place to look.
    fn ended(&self) -> Error {
        Error::internal(anyhow!("{}: the task that makes batches of them has ended", self.name))
    }

    fn late(&self, why: &'static str) -> Error {
        Error::new(Code::DatabaseUnavailable).because(anyhow!("{}: {why}", self.name))
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
    name: &'static str,
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
    let done = timeout(LONGEST, run(items))
        .await
        .unwrap_or_else(|_| Err(Error::new(Code::DatabaseUnavailable).because(anyhow!("it took too long"))));
    match done {
        Ok(results) => {
            for (answer, result) in answers.into_iter().zip(results) {
                // A client that has left by now isn't told.
                let _ = answer.send(Ok(result));
            }
        }
        Err(error) => {
            let code = error.code();
            tracing::warn!(batch = name, requests = answers.len(), error = %anyhow::Error::from(error), "a batch failed");
            for answer in answers {
                let _ = answer.send(Err(Error::new(code)));
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_batch_whose_task_has_ended_is_not_told_as_a_database_that_is_away() {
        let mut tasks = JoinSet::new();
        let batch: Batch<u8, u8> = Batch::one_by_one("questions", &mut tasks, async |items| match items[..] {
            [0, ..] => panic!("a defect"),
            _ => Ok(items),
        });
        assert_eq!(batch.ask(1).await.unwrap(), 1);
        // Who waits when it ends, and who comes after.
        assert_eq!(batch.ask(0).await.unwrap_err().code(), Code::Internal);
        assert!(tasks.join_next().await.unwrap().unwrap_err().is_panic());
        assert_eq!(batch.ask(1).await.unwrap_err().code(), Code::Internal);
    }
}
