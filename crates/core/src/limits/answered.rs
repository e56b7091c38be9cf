use crate::Timestamp;
use alloc::vec::Vec;
use uuid::Uuid;

/// For how long a question or a return is taken after its id was made, milliseconds. Its answer is remembered until then.
pub const ID_AGE_MS: u64 = 120_000;
/// How far an id may be from the future, milliseconds: by a clock that is ahead.
const ID_AHEAD_MS: u64 = 60_000;

/// When an id, a UUIDv7, was made.
fn made(id: Uuid) -> Option<u64> {
    (id.get_version_num() == 7).then(|| (id.as_u128() >> 80) as u64)
}

/// Whether what comes under this id can be taken: later nobody could tell any more whether it was.
pub fn is_fresh(id: Uuid, now: Timestamp) -> bool {
    made(id).is_some_and(|made| made <= now.millis().saturating_add(ID_AHEAD_MS) && now.millis().saturating_sub(made) < ID_AGE_MS)
}

/// An authority's memory of what it has answered, for authorities that live in memory.
#[derive(Clone, Debug, Default)]
pub struct Answered<T> {
    /// In the order of ids, which is that of time. A list: it grows and shrinks at its ends, and maps are large in WebAssembly.
    answers: Vec<(Uuid, T)>,
}

impl<T: Copy> Answered<T> {
    /// The answer under an id: the one that was given before, or else that of `act`, remembered from now on. `None` where
    /// the id isn't [fresh](is_fresh): nothing was done.
    pub fn once(&mut self, id: Uuid, now: Timestamp, act: impl FnOnce() -> T) -> Option<T> {
        if !is_fresh(id, now) {
            return None;
        }
        let oldest = now.millis().saturating_sub(ID_AGE_MS);
        let old = self.answers.partition_point(|(id, _)| made(*id).is_none_or(|made| made < oldest));
        self.answers.drain(..old);
        match self.find(id) {
            Ok(at) => Some(self.answers[at].1),
            Err(at) => {
                let answer = act();
                self.answers.insert(at, (id, answer));
                Some(answer)
            }
        }
    }

    /// Forgets an answer that was none: the question is new when it comes again.
    pub fn forget(&mut self, id: Uuid) {
        if let Ok(at) = self.find(id) {
            self.answers.remove(at);
        }
    }

    fn find(&self, id: Uuid) -> Result<usize, usize> {
        self.answers.binary_search_by_key(&id, |(id, _)| *id)
    }
}
