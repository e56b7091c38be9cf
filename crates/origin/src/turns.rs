//! Turns: of those who want the same thing so many at a time, and the others wait in memory, in order (decision 0121).

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use keyward_api::Code;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::error::{Error, Result};

/// How long somebody waits for a turn.
const PATIENCE: Duration = Duration::from_secs(3);

/// So many at a time of each, and so many who wait.
pub struct Turns<K> {
    at_once: usize,
    waiting: usize,
    places: Places<K>,
}

type Places<K> = Arc<Mutex<HashMap<K, Place>>>;

/// Those who want the same thing. It is there for as long as they are.
#[derive(Debug)]
struct Place {
    turns: Arc<Semaphore>,
    /// Who waits, and who has a turn.
    here: usize,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub struct Turn<K: Hash + Eq> {
    // Given on before the place is left: fields are dropped in their order.
    _turn: OwnedSemaphorePermit,
    _here: Here<K>,
}

/// Somebody's presence at a place.
#[derive(Debug)]
struct Here<K: Hash + Eq> {
    places: Places<K>,
    what: Option<K>,
}

impl<K: Hash + Eq + Clone> Turns<K> {
    /// So many at a time of each, and so many who wait.
    pub fn new(at_once: usize, waiting: usize) -> Self {
        Self { at_once, waiting, places: Arc::default() }
    }

    /// A turn at it.
    ///
    /// # Errors
    /// `rate_limited` where too many wait already, or it takes too long.
    pub async fn take(&self, what: K) -> Result<Turn<K>> {
        let (turns, here) = self.enter(what).ok_or_else(busy)?;
        match timeout(PATIENCE, turns.acquire_owned()).await {
            Ok(Ok(turn)) => Ok(Turn { _turn: turn, _here: here }),
            _ => Err(busy()),
        }
    }

    fn enter(&self, what: K) -> Option<(Arc<Semaphore>, Here<K>)> {
        let mut places = lock(&self.places);
        let place = match places.entry(what.clone()) {
            Entry::Occupied(place) => place.into_mut(),
            Entry::Vacant(none) => none.insert(Place { turns: Arc::new(Semaphore::new(self.at_once)), here: 0 }),
        };
        if place.here >= self.at_once + self.waiting {
            return None;
        }
        place.here += 1;
        let turns = Arc::clone(&place.turns);
        drop(places);
        Some((turns, Here { places: Arc::clone(&self.places), what: Some(what) }))
    }
}

impl<K: Hash + Eq> Drop for Here<K> {
    fn drop(&mut self) {
        let Some(what) = self.what.take() else { return };
        if let Entry::Occupied(mut place) = lock(&self.places).entry(what) {
            place.get_mut().here -= 1;
            if place.get().here == 0 {
                place.remove();
            }
        }
    }
}

fn busy() -> Error {
    Error::from(Code::RateLimited).detail("Too many requests are about the same at this moment.").retry_after(1)
}

fn lock<K>(places: &Mutex<HashMap<K, Place>>) -> MutexGuard<'_, HashMap<K, Place>> {
    places.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::future::poll_immediate;

    use super::*;

    #[tokio::test]
    async fn turns_go_round_in_order_and_nothing_is_kept_of_what_nobody_wants() {
        let turns = Arc::new(Turns::new(1, 2));
        let first = turns.take("key").await.unwrap();
        let _other = turns.take("another").await.unwrap();
        let [mut second, mut third] = [(); 2].map(|()| Box::pin(turns.take("key")));
        assert!(poll_immediate(&mut second).await.is_none() && poll_immediate(&mut third).await.is_none());
        assert_eq!(turns.take("key").await.unwrap_err().code(), Code::RateLimited, "two wait already");
        drop(first);
        assert!(poll_immediate(&mut third).await.is_none());
        let second = second.await.unwrap();
        // Who gives up leaves room.
        drop(third);
        let mut third = Box::pin(turns.take("key"));
        assert!(poll_immediate(&mut third).await.is_none());
        drop(second);
        drop(third.await.unwrap());
        assert_eq!(lock(&turns.places).keys().copied().collect::<Vec<_>>(), ["another"]);
    }
}
