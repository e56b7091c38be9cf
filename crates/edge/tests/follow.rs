//! Following a feed that is signed for the purpose: what an edge asks, takes and refuses.

use keyward_core::{
    Delta, Digest, FeedReply, Heartbeat, KeyState, Manifest, Position, Role, Snapshot, SnapshotReply, Status, StatusIndex, Timestamp,
};
use keyward_edge::{
    follow::{Ask, Follower, Listener, Next, Rejected},
    hub::publication::Publication,
    metrics::Counters,
};
use keyward_issuer::SigningKey;

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

struct Origin {
    root: SigningKey,
    feed: SigningKey,
}

impl Origin {
    fn new() -> Self {
        Self { root: SigningKey::from_seed([1; 32]), feed: SigningKey::from_seed([2; 32]) }
    }

    fn follower(&self) -> Follower {
        Follower::new(vec![self.root.public_key()])
    }

    fn manifest(&self, version: u64, epoch: u32) -> String {
        let keys = vec![self.feed.manifest_key(Role::Feed, KeyState::Active, None)];
        let manifest = Manifest {
            iss: "https://keys.example.com".to_owned(),
            version,
            epoch,
            first_policy: 1,
            first_index: 0,
            iat: NOW.secs(),
            exp: NOW.secs() + 1000,
            keys,
        };
        self.root.sign(&manifest).unwrap()
    }

    fn heartbeat(&self, version: u64, at: Position) -> String {
        let digest = Digest::of(self.manifest(version, at.epoch));
        let heartbeat = Heartbeat { epoch: at.epoch, seq: at.seq, iat_ms: NOW.millis(), manifest: version, digest };
        self.feed.sign(&heartbeat).unwrap()
    }

    fn snapshot(&self, version: u64, at: Position) -> SnapshotReply {
        let snapshot =
            Snapshot { epoch: at.epoch, seq: at.seq, iat_ms: NOW.millis(), shards: vec![], amendments: vec![], supersessions: vec![] };
        SnapshotReply {
            manifest: self.manifest(version, at.epoch),
            snapshot: self.feed.sign(&snapshot).unwrap(),
            heartbeat: self.heartbeat(version, at),
        }
    }

    fn delta(&self, from: Position, to: u64) -> String {
        let changes = vec![(StatusIndex(7), Status::Invalid)];
        let delta = Delta { epoch: from.epoch, from: from.seq, to, iat_ms: NOW.millis(), opened: vec![0], changes, ..Delta::default() };
        self.feed.sign(&delta).unwrap()
    }
}

const fn at(epoch: u32, seq: u64) -> Position {
    Position { epoch, seq }
}

fn reply(heartbeat: String, deltas: Vec<String>) -> FeedReply {
    FeedReply { heartbeat, deltas, gap: false, manifest: None }
}

#[test]
fn an_edge_takes_a_snapshot_then_deltas_and_then_hears_that_it_is_up_to_date() {
    let (origin, mut counters, mut heard) = (Origin::new(), Counters::default(), Publication::default());
    let mut follower = origin.follower();
    assert_eq!(follower.ask(), Ask::Snapshot);
    assert_eq!(follower.take_snapshot(&origin.snapshot(1, at(1, 10)), NOW, &mut heard, &mut counters), Ok(Next::Done));
    assert_eq!(follower.ask(), Ask::Feed { after: at(1, 10), manifest: 1 });
    assert_eq!(follower.age_ms(NOW), Some(0));

    let answer = reply(origin.heartbeat(1, at(1, 12)), vec![origin.delta(at(1, 10), 12)]);
    assert_eq!(follower.take_feed((at(1, 10), 1), &answer, NOW, &mut heard, &mut counters), Ok(Next::Done));
    assert_eq!(heard.position(), at(1, 12));

    // A heartbeat that knows of more leads to the next question, not to a younger state.
    let later = Timestamp::from_secs(NOW.secs() + 5);
    let answer = reply(origin.heartbeat(1, at(1, 13)), vec![]);
    assert_eq!(follower.take_feed((at(1, 12), 1), &answer, later, &mut heard, &mut counters), Ok(Next::Again));
    assert_eq!(follower.age_ms(later), Some(5_000));
}

#[test]
fn a_state_from_the_future_has_no_age() {
    let (origin, mut counters, mut heard) = (Origin::new(), Counters::default(), Publication::default());
    let mut follower = origin.follower();
    // A clock that is behind hears what it hears at its own time.
    for behind in [0, 10, 1_500] {
        let now = Timestamp::from_millis(NOW.millis() - behind);
        follower.take_snapshot(&origin.snapshot(1, at(1, 10)), now, &mut heard, &mut counters).unwrap();
        assert_eq!(follower.age_ms(now).unwrap_or_default(), 0);
    }
    for back in (0..5_000).chain((0..40).map(|power| 1 << power)) {
        let age = follower.age_ms(Timestamp::from_millis(NOW.millis() - back));
        assert_eq!(age, (back <= 1_000).then_some(0), "set back by {back} ms");
    }
    for after in [1, 1_000, 600_000] {
        assert_eq!(follower.age_ms(Timestamp::from_millis(NOW.millis() + after)), Some(after));
    }
}

#[test]
fn an_answer_that_was_overtaken_is_no_rollback_and_one_that_was_not_is() {
    let (origin, mut counters, mut heard) = (Origin::new(), Counters::default(), Publication::default());
    let mut follower = origin.follower();
    follower.take_snapshot(&origin.snapshot(1, at(1, 10)), NOW, &mut heard, &mut counters).unwrap();
    let first = reply(origin.heartbeat(1, at(1, 11)), vec![origin.delta(at(1, 10), 11)]);
    let second = reply(origin.heartbeat(1, at(1, 12)), vec![origin.delta(at(1, 10), 12)]);
    assert_eq!(follower.take_feed((at(1, 10), 1), &second, NOW, &mut heard, &mut counters), Ok(Next::Done));
    assert_eq!(follower.take_feed((at(1, 10), 1), &first, NOW, &mut heard, &mut counters), Ok(Next::Done));
    let counted = |counters: &Counters| {
        let mut text = String::new();
        counters.write_hub(&mut text);
        text.contains("fault=\"rollback\"")
    };
    assert!(!counted(&counters));
    assert_eq!(follower.take_feed((at(1, 12), 1), &first, NOW, &mut heard, &mut counters), Err(Rejected));
    assert!(counted(&counters));
    assert_eq!(follower.replica().position(), Some(at(1, 12)));
}

#[test]
fn a_gap_and_another_epoch_lead_to_a_snapshot() {
    let (origin, mut counters, mut heard) = (Origin::new(), Counters::default(), Publication::default());
    let mut follower = origin.follower();
    follower.take_snapshot(&origin.snapshot(1, at(1, 10)), NOW, &mut heard, &mut counters).unwrap();
    let answer = reply(origin.heartbeat(1, at(1, 16)), vec![origin.delta(at(1, 15), 16)]);
    assert_eq!(follower.take_feed((at(1, 10), 1), &answer, NOW, &mut heard, &mut counters), Ok(Next::Again));
    assert_eq!(follower.ask(), Ask::Snapshot);
    follower.take_snapshot(&origin.snapshot(1, at(1, 16)), NOW, &mut heard, &mut counters).unwrap();

    let recovered =
        FeedReply { heartbeat: origin.heartbeat(2, at(2, 3)), deltas: vec![], gap: true, manifest: Some(origin.manifest(2, 2)) };
    assert_eq!(follower.take_feed((at(1, 16), 1), &recovered, NOW, &mut heard, &mut counters), Ok(Next::Again));
    assert_eq!(follower.ask(), Ask::Snapshot);
    assert_eq!(follower.take_snapshot(&origin.snapshot(2, at(2, 3)), NOW, &mut heard, &mut counters), Ok(Next::Done));
    assert_eq!(follower.ask(), Ask::Feed { after: at(2, 3), manifest: 2 });
    assert!(follower.take_snapshot(&origin.snapshot(1, at(1, 16)), NOW, &mut heard, &mut counters).is_err());
}

#[test]
fn what_a_hub_hands_on_brings_another_edge_to_the_same_state() {
    let (origin, mut counters, mut hub) = (Origin::new(), Counters::default(), Publication::default());
    let mut first = origin.follower();
    first.take_snapshot(&origin.snapshot(1, at(1, 10)), NOW, &mut hub, &mut counters).unwrap();
    for seq in 10..13 {
        let answer = reply(origin.heartbeat(1, at(1, seq + 1)), vec![origin.delta(at(1, seq), seq + 1)]);
        first.take_feed((at(1, seq), 1), &answer, NOW, &mut hub, &mut counters).unwrap();
    }

    struct Deaf;
    impl Listener for Deaf {
        fn keys(&mut self, _: &str) {}
        fn snapshot(&mut self, _: &str, _: Position) {}
        fn delta(&mut self, _: &str, _: Position, _: Position) {}
        fn heartbeat(&mut self, _: &str) {}
    }
    let mut second = origin.follower();
    let next = second.take_snapshot(&hub.snapshot_reply().unwrap(), NOW, &mut Deaf, &mut counters);
    assert_eq!(next, Ok(Next::Again), "the snapshot is older than the heartbeat");
    let answer = hub.feed_reply(at(1, 10), true).unwrap();
    assert_eq!(second.take_feed((at(1, 10), 1), &answer, NOW, &mut Deaf, &mut counters), Ok(Next::Done));
    assert_eq!(second.replica().position(), first.replica().position());
}
