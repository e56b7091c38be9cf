#![no_main]
use keyward_core::{Delta, Digest, Heartbeat, Issued, Missing, Snapshot, StatusIndex, StatusListClaims, Statuses};
use keyward_fuzz::{NOW, replica, signed};

// Payloads in lines: a snapshot, then whatever follows as a delta, a heartbeat and parts.
libfuzzer_sys::fuzz_target!(|payloads: &[u8]| {
    let mut replica = replica();
    for (number, payload) in payloads.split(|byte| *byte == b'\n').enumerate().take(8) {
        let before = replica.position();
        if number % 4 == 0 {
            let _ = replica.install_snapshot(&signed::<Snapshot>(payload), NOW);
        }
        let _ = replica.apply_delta(&signed::<Delta>(payload), NOW);
        let _ = replica.hear(&signed::<Heartbeat>(payload), NOW);
        let _ = replica.install_part(Missing::Shard(0), &signed::<StatusListClaims>(payload), NOW);
        let _ = replica.install_part(Missing::AmendmentPage(StatusIndex(0)), &String::from_utf8_lossy(payload), NOW);
        let about = (StatusIndex(0), Digest::of(payload));
        let _ = replica.install_issued(about, &signed::<Issued>(payload), NOW);
        assert!(before <= replica.position(), "it never goes back");
        let _ = replica.standing(StatusIndex(0));
    }
});
