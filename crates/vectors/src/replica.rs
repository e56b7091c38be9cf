//! What a replica takes and answers, step by step.

use crate::{input, outcome};
use keyward_core::{Missing, PolicyNumber, PublicKey, Replica, Standing, StatusIndex, Statuses, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

/// One thing that is told to a replica or asked of it.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Step {
    Manifest(String),
    Snapshot(String),
    Delta(String),
    Heartbeat(String),
    /// A shard's status list token.
    Shard(u32, String),
    /// A page of amendments.
    Page(u32, String),
    /// What holds for the credential at an index.
    Standing(u32),
    /// Which policy has taken the place of one.
    PolicyInForce(u32),
    /// Epoch and sequence number.
    Position(()),
    /// The moment up to which the state is known to be the origin's, unix milliseconds.
    AsOf(()),
}

#[derive(Clone, Deserialize)]
struct Timed {
    now_ms: u64,
    #[serde(flatten)]
    step: Step,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepsCase {
    steps: Vec<Timed>,
}

/// A replica, and what has been told to it before the case begins.
pub(crate) struct World {
    pub(crate) replica: Replica,
}

impl World {
    pub(crate) fn roots(given: &Value) -> Result<Vec<PublicKey>, String> {
        input(given["roots"].clone())
    }

    /// The world of `given`, each of whose steps has to succeed.
    pub(crate) fn load(given: &Value) -> Result<Self, String> {
        let mut world = Self { replica: Replica::new(Self::roots(given)?).with_shard_budget(2) };
        for timed in input::<Vec<Timed>>(given["steps"].clone())? {
            let found = world.take(timed);
            if found.get("ok").is_none() {
                return Err(format!("what is given is refused: {found}"));
            }
        }
        Ok(world)
    }

    fn take(&mut self, Timed { now_ms, step }: Timed) -> Value {
        let now = Timestamp::from_millis(now_ms);
        let replica = &mut self.replica;
        let done = |()| Value::Null;
        match step {
            Step::Manifest(text) => outcome(replica.install_manifest(&text, now)),
            Step::Snapshot(text) => outcome(replica.install_snapshot(&text, now).map(done)),
            Step::Delta(text) => outcome(replica.apply_delta(&text, now).map(done)),
            Step::Heartbeat(text) => outcome(
                replica.hear(&text, now).map(|progress| json!({ "behind": progress.behind, "manifest_behind": progress.manifest_behind })),
            ),
            Step::Shard(shard, text) => outcome(replica.install_part(Missing::Shard(shard), &text, now).map(done)),
            Step::Page(first, text) => outcome(replica.install_part(Missing::AmendmentPage(StatusIndex(first)), &text, now).map(done)),
            Step::Standing(index) => outcome(replica.standing(StatusIndex(index)).map(standing)),
            Step::PolicyInForce(number) => json!({ "ok": replica.policy_in_force(PolicyNumber(number)) }),
            Step::Position(()) => json!({ "ok": replica.position() }),
            Step::AsOf(()) => json!({ "ok": replica.as_of().map(Timestamp::millis) }),
        }
    }
}

fn standing(standing: Standing) -> Value {
    match standing {
        Standing::Valid => json!("valid"),
        Standing::Invalid => json!("invalid"),
        Standing::Suspended => json!("suspended"),
        Standing::Amended(amendment) => json!({ "policy": amendment.policy, "expires": amendment.expires }),
    }
}

/// The outcome of each step, in a list.
pub(crate) fn steps(given: &Value, case: Value) -> Result<Value, String> {
    let StepsCase { steps } = input(case)?;
    let mut world = World::load(given)?;
    Ok(steps.into_iter().map(|timed| world.take(timed)).collect())
}
