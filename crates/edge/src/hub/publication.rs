//! What a hub hands on to its isolates: the texts as the origin signed them, with the origin's times in them.

use crate::follow::Listener;
use keyward_core::{FeedReply, Position, SnapshotReply};
use std::collections::VecDeque;

/// Bytes of deltas that are kept. An isolate that is further behind takes a snapshot.
const MAX_LOG_BYTES: usize = 2 * 1024 * 1024;
/// Deltas that are kept.
const MAX_LOG_LEN: usize = 4096;

/// The latest of everything.
#[derive(Debug, Default)]
pub struct Publication {
    manifest: String,
    snapshot: String,
    snapshot_at: Position,
    /// Where the state stood when the snapshot came.
    snapshot_taken_at: Position,
    heartbeat: String,
    heartbeat_at: Position,
    log: VecDeque<Entry>,
    log_bytes: usize,
    position: Position,
    /// Whether the key set has changed since the snapshot came: what was signed before may count no more, and nobody who
    /// refuses it must be given it again and again.
    outdated: bool,
    /// Deltas whose announcements have not been looked at yet.
    unread: Vec<String>,
}

#[derive(Debug)]
struct Entry {
    from: Position,
    text: String,
}

impl Listener for Publication {
    fn keys(&mut self, text: &str) {
        self.manifest = text.to_owned();
        self.log.clear();
        self.log_bytes = 0;
        self.outdated = true;
    }

    fn snapshot(&mut self, text: &str, position: Position) {
        self.snapshot = text.to_owned();
        self.outdated = false;
        self.snapshot_at = position;
        if self.position < position {
            self.position = position;
            self.log.clear();
            self.log_bytes = 0;
        }
        self.snapshot_taken_at = self.position;
    }

    fn delta(&mut self, text: &str, from: Position, to: Position) {
        self.position = to;
        self.log_bytes += text.len();
        self.log.push_back(Entry { from, text: text.to_owned() });
        self.unread.push(text.to_owned());
        while self.log.len() > MAX_LOG_LEN || self.log_bytes > MAX_LOG_BYTES {
            let Some(oldest) = self.log.pop_front() else { break };
            self.log_bytes -= oldest.text.len();
        }
    }

    fn heartbeat(&mut self, text: &str) {
        self.heartbeat = text.to_owned();
        self.heartbeat_at = self.position;
    }
}

impl Publication {
    /// Where it stands.
    pub const fn position(&self) -> Position {
        self.position
    }

    /// The manifest in force.
    pub fn manifest(&self) -> &str {
        &self.manifest
    }

    /// Whether there is anything to hand on.
    pub const fn is_ready(&self) -> bool {
        !self.snapshot.is_empty() && !self.heartbeat.is_empty()
    }

    /// Whether the log no longer reaches back to the snapshot, so that a new one is due. Not where there has just been
    /// one: the origin has no newer then.
    pub fn is_torn(&self) -> bool {
        self.outdated || self.position != self.snapshot_taken_at && self.log.front().is_none_or(|entry| entry.from > self.snapshot_at)
    }

    /// The answer to `GET /edge/v1/snapshot`.
    pub fn snapshot_reply(&self) -> Option<SnapshotReply> {
        self.is_ready().then(|| SnapshotReply {
            manifest: self.manifest.clone(),
            snapshot: self.snapshot.clone(),
            heartbeat: self.heartbeat.clone(),
        })
    }

    /// The answer to `GET /edge/v1/feed` for somebody at `after`, who may know the manifest already. `None` where
    /// there is nothing sound to say: no state yet, or no heartbeat for it.
    pub fn feed_reply(&self, after: Position, knows_manifest: bool) -> Option<FeedReply> {
        if !self.is_ready() || (after == self.position && self.heartbeat_at < self.position) {
            return None;
        }
        let covered =
            after == self.position || self.log.front().is_some_and(|entry| entry.from <= after && after.epoch == self.position.epoch);
        // Each delta takes any state from its `from` on; those that end at or before `after` are followed by one that
        // begins there.
        let first = self.log.partition_point(|entry| entry.from <= after).saturating_sub(1);
        let deltas =
            if covered && after < self.position { self.log.range(first..).map(|entry| entry.text.clone()).collect() } else { Vec::new() };
        Some(FeedReply {
            heartbeat: self.heartbeat.clone(),
            deltas,
            gap: !covered,
            manifest: (!knows_manifest).then(|| self.manifest.clone()),
        })
    }

    /// The deltas that came since the last call.
    pub fn take_unread(&mut self) -> Vec<String> {
        std::mem::take(&mut self.unread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seq: u64) -> Position {
        Position { epoch: 1, seq }
    }

    #[test]
    fn everyone_gets_the_deltas_that_they_need() {
        let mut publication = Publication::default();
        assert!(publication.feed_reply(at(0), true).is_none());
        publication.snapshot("snapshot", at(10));
        publication.heartbeat("heartbeat");
        publication.delta("10-13", at(10), at(13));
        publication.delta("13-14", at(13), at(14));
        assert!(publication.feed_reply(at(14), true).is_none(), "no heartbeat for it yet");
        publication.heartbeat("heartbeat");
        for (after, expected) in [
            (at(10), Some(vec!["10-13", "13-14"])),
            (at(12), Some(vec!["10-13", "13-14"])),
            (at(13), Some(vec!["13-14"])),
            (at(14), Some(vec![])),
            (at(9), None),
            (Position { epoch: 0, seq: 12 }, None),
        ] {
            let reply = publication.feed_reply(after, true).unwrap();
            assert_eq!(
                (!reply.gap).then_some(reply.deltas),
                expected.map(|list| list.into_iter().map(String::from).collect()),
                "{after:?}"
            );
        }
    }

    #[test]
    fn nothing_signed_under_another_key_set_is_handed_on() {
        let mut publication = Publication::default();
        publication.keys("first");
        publication.snapshot("snapshot", at(10));
        publication.delta("10-11", at(10), at(11));
        publication.heartbeat("heartbeat");
        assert!(!publication.is_torn());
        publication.keys("second");
        assert!(publication.is_torn());
        publication.heartbeat("heartbeat");
        assert!(publication.feed_reply(at(10), false).unwrap().gap);
        assert!(!publication.feed_reply(at(11), false).unwrap().gap, "whoever is there needs nothing more");
        publication.snapshot("resigned", at(10));
        assert!(!publication.is_torn());
    }

    #[test]
    fn a_log_that_was_cut_asks_for_a_new_snapshot() {
        let mut publication = Publication::default();
        publication.snapshot("snapshot", at(0));
        publication.heartbeat("heartbeat");
        let text = "x".repeat(MAX_LOG_BYTES / 2);
        for seq in 0..3 {
            assert!(!publication.is_torn());
            publication.delta(&text, at(seq), at(seq + 1));
            publication.heartbeat("heartbeat");
        }
        assert!(publication.is_torn());
        assert!(publication.feed_reply(at(0), true).unwrap().gap);
        publication.snapshot("snapshot", at(2));
        assert!(!publication.is_torn());
        assert_eq!(publication.feed_reply(at(2), true).unwrap().deltas.len(), 1, "the state had passed it already");
    }
}
