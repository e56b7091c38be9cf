//! Whether records are those that a checkpoint vouches for.

use super::{AuditRecord, Checkpoint};
use crate::{Digest, TenantId};
use alloc::collections::BTreeMap;

/// What is wrong with a trail, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditFault {
    /// A record of another tenant.
    #[error("record {seq} is of another tenant")]
    Tenant {
        /// The record.
        seq: u64,
    },
    /// Records are missing.
    #[error("records {expected} to {} are missing", .found - 1)]
    Missing {
        /// The first one.
        expected: u64,
        /// The one that stands in its place.
        found: u64,
    },
    /// A record that comes too late, or twice.
    #[error("record {found} stands where record {expected} should")]
    Moved {
        /// The one that should be there.
        expected: u64,
        /// The one that is.
        found: u64,
    },
    /// A record whose hash is not its own.
    #[error("record {seq} was changed: its hash is another")]
    Changed {
        /// The record.
        seq: u64,
    },
    /// A record that doesn't follow from the one before it.
    #[error("record {seq} does not follow from the record before it: one of them was changed")]
    Unlinked {
        /// The record.
        seq: u64,
    },
    /// A record that is earlier than the one before it.
    #[error("record {seq} is earlier than the record before it")]
    Time {
        /// The record.
        seq: u64,
    },
    /// The chain holds and is not the one that was signed: records were changed and all hashes after them made anew.
    #[error("the checkpoint at {seq} was signed over another record {seq}: something after record {good} was changed")]
    Forged {
        /// The checkpoint.
        seq: u64,
        /// The last record that an earlier checkpoint vouches for; 0: none.
        good: u64,
    },
    /// The trail ends before the last checkpoint.
    #[error("records {} to {checkpoint} are missing at the end", .last + 1)]
    Truncated {
        /// The last record that is there; 0: none.
        last: u64,
        /// The checkpoint.
        checkpoint: u64,
    },
    /// Two checkpoints contradict each other: the origin signed two pasts.
    #[error("two checkpoints at {seq} name different hashes: the trail was forked")]
    Forked {
        /// Where.
        seq: u64,
    },
}

/// What was found to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditProof {
    /// The first record that was read; 0: there was none.
    pub first: u64,
    /// The last record that was read.
    pub last: u64,
    /// Up to here a checkpoint vouches for every record; 0: for none.
    pub proved: u64,
}

/// Reads a trail from its beginning, or from a record that it is told, and holds it against checkpoints.
#[derive(Clone, Debug)]
pub struct AuditVerifier {
    tenant: Option<TenantId>,
    checkpoints: BTreeMap<u64, Digest>,
    first: u64,
    /// The sequence number and hash of the last record, once there is one.
    last: Option<(u64, Digest)>,
    at_ms: u64,
    proved: u64,
}

impl AuditVerifier {
    /// A verifier of one tenant's trail from record `first` on, against all of these checkpoints. Whether they are
    /// signed is for the caller to have checked ([`crate::KeySet::open`]).
    ///
    /// # Errors
    /// [`AuditFault::Tenant`] where they are of several tenants; [`AuditFault::Forked`] where they contradict each other.
    pub fn new(checkpoints: &[Checkpoint], first: u64) -> Result<Self, AuditFault> {
        let tenant = checkpoints.first().map(|checkpoint| checkpoint.tenant);
        let mut by_seq = BTreeMap::new();
        for Checkpoint { tenant: theirs, seq, hash, .. } in checkpoints {
            if tenant != Some(*theirs) {
                return Err(AuditFault::Tenant { seq: *seq });
            }
            if by_seq.insert(*seq, *hash).is_some_and(|other| other != *hash) {
                return Err(AuditFault::Forked { seq: *seq });
            }
        }
        // A checkpoint of before the first record says nothing of what is read.
        by_seq.retain(|seq, _| *seq >= first);
        Ok(Self { tenant, checkpoints: by_seq, first, last: None, at_ms: 0, proved: 0 })
    }

    /// Reads the next record.
    ///
    /// # Errors
    /// What is wrong with it. Then nothing after it can be told.
    pub fn read(&mut self, record: &AuditRecord) -> Result<(), AuditFault> {
        let (seq, expected) = (record.seq, self.last.map_or(self.first, |(seq, _)| seq + 1));
        if *self.tenant.get_or_insert(record.tenant) != record.tenant {
            return Err(AuditFault::Tenant { seq });
        }
        if seq != expected {
            return Err(if seq > expected {
                AuditFault::Missing { expected, found: seq }
            } else {
                AuditFault::Moved { expected, found: seq }
            });
        }
        if record.digest() != record.hash {
            return Err(AuditFault::Changed { seq });
        }
        // In a trail that is read from its middle the first record's word is taken: a later checkpoint vouches for it.
        let follows = match self.last {
            Some((_, hash)) => record.prev == hash,
            None => seq > 1 || record.prev == AuditRecord::GENESIS,
        };
        if !follows {
            return Err(AuditFault::Unlinked { seq });
        }
        if record.at_ms < self.at_ms {
            return Err(AuditFault::Time { seq });
        }
        if let Some(signed) = self.checkpoints.get(&seq) {
            if *signed != record.hash {
                return Err(AuditFault::Forged { seq, good: self.proved });
            }
            self.proved = seq;
        }
        (self.last, self.at_ms) = (Some((seq, record.hash)), record.at_ms);
        Ok(())
    }

    /// Says what was found, at the end of the trail.
    ///
    /// # Errors
    /// [`AuditFault::Truncated`] where a checkpoint names a record beyond.
    pub fn finish(&self) -> Result<AuditProof, AuditFault> {
        let last = self.last.map_or(self.first - 1, |(seq, _)| seq);
        match self.checkpoints.keys().next_back() {
            Some(checkpoint) if *checkpoint > last => Err(AuditFault::Truncated { last, checkpoint: *checkpoint }),
            _ => Ok(AuditProof { first: if self.last.is_some() { self.first } else { 0 }, last, proved: self.proved }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AuditActor, AuditTarget, KeyId, json};
    use alloc::{format, vec::Vec};
    use uuid::Uuid;

    const TENANT: TenantId = TenantId(Uuid::from_u128(7));

    fn chain(len: u64) -> Vec<AuditRecord> {
        let mut records: Vec<AuditRecord> = Vec::new();
        for seq in 1..=len {
            let mut record = AuditRecord {
                tenant: TENANT,
                seq,
                at_ms: 1_790_000_000_000 + seq / 2,
                action: "api_key_created".into(),
                actor: Some(AuditActor { tenant: TENANT, key: KeyId(Uuid::from_u128(9)), owner: "ann".into() }),
                address: Some("192.0.2.1".into()),
                user_agent: None,
                request_id: None,
                target: Some(AuditTarget { kind: "api_key".into(), id: alloc::format!("{seq}") }),
                before: None,
                after: serde_json::from_str(r#"{"name":"x","limit":0.5}"#).unwrap(),
                details: None,
                prev: records.last().map_or(AuditRecord::GENESIS, |last| last.hash),
                hash: AuditRecord::GENESIS,
            };
            record.hash = record.digest();
            records.push(record);
        }
        records
    }

    fn checkpoint(record: &AuditRecord) -> Checkpoint {
        Checkpoint { iss: "http://origin.test".into(), tenant: TENANT, seq: record.seq, hash: record.hash, iat_ms: 0 }
    }

    fn verify(records: &[AuditRecord], checkpoints: &[Checkpoint]) -> Result<AuditProof, AuditFault> {
        let mut verifier = AuditVerifier::new(checkpoints, 1)?;
        records.iter().try_for_each(|record| verifier.read(record))?;
        verifier.finish()
    }

    /// Makes all hashes anew, as somebody does who can write to the database.
    fn relink(records: &mut [AuditRecord]) {
        let mut prev = AuditRecord::GENESIS;
        for (at, record) in records.iter_mut().enumerate() {
            (record.seq, record.prev) = (at as u64 + 1, prev);
            record.hash = record.digest();
            prev = record.hash;
        }
    }

    #[test]
    fn a_trail_holds_as_it_was_written_and_survives_being_written_as_json() {
        let records = chain(6);
        let lines: Vec<_> = records.iter().map(|record| serde_json::to_string(record).unwrap()).collect();
        let read: Vec<_> = lines.iter().map(|line| AuditRecord::parse(line).unwrap()).collect();
        assert_eq!(read, records);
        let signed = [checkpoint(&records[3])];
        assert_eq!(verify(&read, &signed), Ok(AuditProof { first: 1, last: 6, proved: 4 }));
        // From its middle.
        let mut middle = AuditVerifier::new(&signed, 3).unwrap();
        read[2..].iter().for_each(|record| middle.read(record).unwrap());
        assert_eq!(middle.finish(), Ok(AuditProof { first: 3, last: 6, proved: 4 }));
        assert!(AuditRecord::parse(&lines[0].replace("\"name\":\"x\"", "\"name\":\"x\",\"name\":\"x\"")).is_err());
        assert!(AuditRecord::parse(&lines[0].replace("\"user_agent\":null,", "")).is_err());
    }

    #[test]
    fn a_record_of_what_was_nested_as_deep_as_a_request_could_be_is_read_and_no_deeper_one() {
        let nested = |levels: usize| {
            let text = format!("{}{}", r#"{"a":"#.repeat(levels - 1) + "{", "}".repeat(levels));
            json::read_within(&text, levels).unwrap()
        };
        let line = |levels: usize| {
            let mut records = chain(1);
            records[0].after = Some(nested(levels));
            relink(&mut records);
            serde_json::to_string(&records[0]).unwrap()
        };
        // 127 levels are what serde_json takes, in a request too.
        for levels in [1, 126, 127, 159] {
            let record = AuditRecord::parse(&line(levels)).unwrap();
            assert_eq!(record.hash, record.digest());
        }
        assert!(AuditRecord::parse(&line(160)).is_err());
        // Brackets in texts are none, and what is no JSON is read no deeper either.
        let quoted = line(1).replace("{}", &format!(r#"{{"a":"\\\"{}"}}"#, "[".repeat(1000)));
        assert!(AuditRecord::parse(&quoted).is_ok(), "{quoted}");
        for text in ["[".repeat(100_000), format!("\\\"{}", "[".repeat(100_000)), format!("]]]{}", "{".repeat(100_000))] {
            assert!(AuditRecord::parse(&text).is_err());
        }
    }

    #[test]
    fn every_edit_removal_reordering_and_truncation_is_found_also_when_all_hashes_are_made_anew() {
        let records = chain(6);
        let signed = [checkpoint(&records[1]), checkpoint(&records[5])];
        type Tamper = fn(&mut Vec<AuditRecord>);
        let cases: [(Tamper, AuditFault, AuditFault); 7] = [
            (|all| all[2].action.push('x'), AuditFault::Changed { seq: 3 }, AuditFault::Forged { seq: 6, good: 2 }),
            (|all| all[0].at_ms -= 1, AuditFault::Changed { seq: 1 }, AuditFault::Forged { seq: 2, good: 0 }),
            (|all| all[2].actor = None, AuditFault::Changed { seq: 3 }, AuditFault::Forged { seq: 6, good: 2 }),
            (|all| drop(all.remove(3)), AuditFault::Missing { expected: 4, found: 5 }, AuditFault::Truncated { last: 5, checkpoint: 6 }),
            (|all| drop(all.remove(0)), AuditFault::Missing { expected: 1, found: 2 }, AuditFault::Forged { seq: 2, good: 0 }),
            (|all| all.swap(3, 4), AuditFault::Missing { expected: 4, found: 5 }, AuditFault::Forged { seq: 6, good: 2 }),
            (|all| all.truncate(4), AuditFault::Truncated { last: 4, checkpoint: 6 }, AuditFault::Truncated { last: 4, checkpoint: 6 }),
        ];
        for (at, (tamper, as_it_is, relinked)) in cases.into_iter().enumerate() {
            let mut tampered = records.clone();
            tamper(&mut tampered);
            assert_eq!(verify(&tampered, &signed), Err(as_it_is), "{at}");
            relink(&mut tampered);
            assert_eq!(verify(&tampered, &signed), Err(relinked), "{at} relinked");
        }
        let mut doubled = records.clone();
        doubled.insert(2, records[1].clone());
        assert_eq!(verify(&doubled, &signed), Err(AuditFault::Moved { expected: 3, found: 2 }));
        // After the last checkpoint only the chain itself tells.
        assert_eq!(verify(&records[..2], &signed[..1]), Ok(AuditProof { first: 1, last: 2, proved: 2 }));
        let forked = Checkpoint { hash: records[0].hash, ..signed[1].clone() };
        assert_eq!(verify(&records, &[signed[1].clone(), forked]), Err(AuditFault::Forked { seq: 6 }));
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        let record = chain(1).remove(0);
        let moved = AuditRecord { address: Some("192.0.2.".into()), user_agent: Some("1".into()), ..record.clone() };
        assert_ne!(moved.digest(), record.digest());
        assert_ne!(AuditRecord { user_agent: Some("".into()), ..record.clone() }.digest(), record.digest());
    }
}
