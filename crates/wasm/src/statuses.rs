//! What is published of the status of keys.

use std::collections::BTreeMap;

use keyward_core::{Amendment, Digest, Missing, PolicyNumber, Standing, Status, StatusIndex, StatusList, StatusListClaims, Statuses};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use crate::{
    KeySet,
    error::{error, moment},
};

/// Published status lists (IETF Token Status List).
///
/// They tell valid, revoked and suspended keys apart. A key whose terms have been changed is marked AMENDED, and with
/// what is not published: verifying it ends in `amendment_unavailable` and never in the terms that were signed, unless somebody
/// who knows says what it was amended with.
#[wasm_bindgen]
#[derive(Default)]
pub struct StatusLists {
    lists: BTreeMap<u32, StatusList>,
    amendments: BTreeMap<StatusIndex, Amendment>,
    supersessions: BTreeMap<PolicyNumber, PolicyNumber>,
}

#[wasm_bindgen]
impl StatusLists {
    /// None yet.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the list of that number, in the place of an older one.
    ///
    /// @throws {KeywardError} `status_list` where it isn't genuine, has expired, or is another list
    pub fn add(&mut self, number: u32, text: &str, keys: &KeySet, now: f64) -> Result<(), JsValue> {
        let fault = |message: &dyn std::fmt::Display| error("status_list", message);
        let now = moment(now)?;
        let claims: StatusListClaims = keys.set.open(text, now).map_err(|cause| fault(&cause))?;
        if claims.sub != format!("{}/status-lists/{number}", keys.issuer()) {
            return Err(fault(&"another list than the one asked for"));
        }
        if claims.exp.is_some_and(|expires| now.secs() >= expires) {
            return Err(fault(&"the list has expired"));
        }
        let list = claims.status_list.decode().map_err(|cause| fault(&cause))?;
        if list.bits() != 2 {
            return Err(fault(&"not a list of two bits"));
        }
        self.lists.insert(number, list);
        Ok(())
    }

    /// Says with what the key at an index was amended, where the lists mark it so: as the origin tells those who may see the
    /// key. `expires` in unix seconds; left out: never.
    pub fn amended(&mut self, index: u32, policy: u32, expires: Option<u32>) {
        let index = StatusIndex(index);
        self.amendments.insert(index, Amendment { index, policy: PolicyNumber(policy), expires });
    }

    /// Says that a policy has taken the place of another, as the origin tells those who may see a key of it. Nothing of that is
    /// published either.
    pub fn superseded(&mut self, old: u32, successor: u32) {
        self.supersessions.insert(PolicyNumber(old), PolicyNumber(successor));
    }

    /// What the lists say of an index; `undefined` where its list isn't there.
    #[wasm_bindgen(unchecked_return_type = "\"valid\" | \"revoked\" | \"suspended\" | \"amended\" | undefined")]
    pub fn status(&self, index: u32) -> Option<String> {
        let name = match self.published(StatusIndex(index)).ok()? {
            Status::Valid => "valid",
            Status::Invalid => "revoked",
            Status::Suspended => "suspended",
            Status::Amended => "amended",
        };
        Some(name.to_owned())
    }
}

impl StatusLists {
    fn published(&self, index: StatusIndex) -> Result<Status, Missing> {
        let list = self.lists.get(&index.shard()).ok_or(Missing::Shard(index.shard()))?;
        list.status(index.offset()).ok_or(Missing::UnknownShard(index.shard()))
    }
}

impl Statuses for StatusLists {
    fn standing(&self, index: StatusIndex) -> Result<Standing, Missing> {
        match self.published(index)? {
            Status::Valid => Ok(Standing::Valid),
            Status::Invalid => Ok(Standing::Invalid),
            Status::Suspended => Ok(Standing::Suspended),
            Status::Amended => self.amendments.get(&index).copied().map(Standing::Amended).ok_or(Missing::Amendment(index)),
        }
    }

    /// Nor is which keys were issued: of a key whose signing key is frozen, nothing can be told here.
    fn issued(&self, index: StatusIndex, digest: &Digest) -> Result<bool, Missing> {
        Err(Missing::Issued(index, *digest))
    }

    fn policy_in_force(&self, policy: PolicyNumber) -> PolicyNumber {
        self.supersessions.get(&policy).copied().unwrap_or(policy)
    }
}
