//! A record, its canonical form and its hash.

use crate::{
    Digest, KeyId, Role, Signed, TenantId,
    bounds::{MAX_CHECKPOINT_LEN, MAX_RECORD_LEVELS},
    json::{self, Object},
};
use alloc::{collections::BTreeMap, string::String, vec::Vec};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// What every hashed form begins with.
const CONTEXT: &[u8] = b"keyward/audit/v1\0";
/// In place of a length: there is no such field.
const ABSENT: u32 = u32::MAX;

/// The members of an object, in the order of their names.
pub type Members = BTreeMap<String, Value>;

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AuditActor {
    /// The tenant of the key: another one where an admin crosses tenants.
    pub tenant: TenantId,
    /// The key.
    pub key: KeyId,
    /// Whose key it is.
    pub owner: String,
}

/// What it was done to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AuditTarget {
    /// What kind of thing: `api_key`, `policy`, `tenant` ...
    pub kind: String,
    /// Which one.
    pub id: String,
}

/// One record of a tenant's trail, as it is exported. Every member is stated, `null` where there is nothing to say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AuditRecord {
    /// Whose trail it stands in.
    pub tenant: TenantId,
    /// Its place there: from 1, without gaps, in the order of commits.
    pub seq: u64,
    /// When, unix milliseconds; never earlier than the record before.
    pub at_ms: u64,
    /// What was done: `api_key_created` ...
    pub action: String,
    /// Who did it; `null`: the server itself.
    #[serde(deserialize_with = "json::stated")]
    pub actor: Option<AuditActor>,
    /// The address that the request came from.
    #[serde(deserialize_with = "json::stated")]
    pub address: Option<String>,
    /// As the client named itself.
    #[serde(deserialize_with = "json::stated")]
    pub user_agent: Option<String>,
    /// The request, as its answer named it.
    #[serde(deserialize_with = "json::stated")]
    pub request_id: Option<Uuid>,
    /// What it was done to.
    #[serde(deserialize_with = "json::stated")]
    pub target: Option<AuditTarget>,
    /// What the target was before: the members that changed.
    #[serde(deserialize_with = "json::unique_members_or_null")]
    pub before: Option<BTreeMap<String, Value>>,
    /// What the target was afterwards.
    #[serde(deserialize_with = "json::unique_members_or_null")]
    pub after: Option<BTreeMap<String, Value>>,
    /// What else there is to say.
    #[serde(deserialize_with = "json::unique_members_or_null")]
    pub details: Option<BTreeMap<String, Value>>,
    /// The hash of the record before; of the first record, 32 zero bytes.
    pub prev: Digest,
    /// The hash of this record, over the canonical form of its other members.
    pub hash: Digest,
}

impl AuditRecord {
    /// What stands before the first record.
    pub const GENESIS: Digest = Digest::from_bytes([0; 32]);

    /// Reads one line of an export.
    ///
    /// # Errors
    /// Where it is no record: members missing, unknown or stated twice; or deeper than any that was written.
    pub fn parse(line: &str) -> Result<Self, serde_json::Error> {
        json::read_within(line, MAX_RECORD_LEVELS).map(|Object(record)| record)
    }

    /// The SHA-256 of the canonical form (docs/formats.md, Audit record): what `hash` has to be.
    ///
    /// Every field has its length before it, so that no two records have the same form: moving a character from one
    /// field to the next changes the hash.
    pub fn digest(&self) -> Digest {
        let texts = [&self.before, &self.after, &self.details].map(|members| members.as_ref().map(text));
        let [before, after, details] = texts.each_ref().map(Option::as_deref);
        let said = AuditSaid {
            action: &self.action,
            actor: self.actor.as_ref(),
            address: self.address.as_deref(),
            user_agent: self.user_agent.as_deref(),
            request_id: self.request_id,
            target: self.target.as_ref(),
            before,
            after,
            details,
        };
        let mut form = Vec::with_capacity(512);
        form.extend_from_slice(CONTEXT);
        form.extend_from_slice(self.prev.as_bytes());
        form.extend_from_slice(self.tenant.0.as_bytes());
        form.extend_from_slice(&self.seq.to_be_bytes());
        form.extend_from_slice(&self.at_ms.to_be_bytes());
        form.extend_from_slice(&said.form());
        Digest::of(form)
    }
}

/// What a record says, wherever it comes to stand in its trail.
#[derive(Clone, Copy, Debug)]
pub struct AuditSaid<'a> {
    /// What was done.
    pub action: &'a str,
    /// Who did it.
    pub actor: Option<&'a AuditActor>,
    /// The address that the request came from.
    pub address: Option<&'a str>,
    /// As the client named itself.
    pub user_agent: Option<&'a str>,
    /// The request.
    pub request_id: Option<Uuid>,
    /// What it was done to.
    pub target: Option<&'a AuditTarget>,
    /// What the target was before: JSON without spaces, members in the order of their names.
    pub before: Option<&'a str>,
    /// What it was afterwards, likewise.
    pub after: Option<&'a str>,
    /// What else there is to say, likewise.
    pub details: Option<&'a str>,
}

impl AuditSaid<'_> {
    /// The end of the canonical form: all of it that doesn't depend on the record's place.
    pub fn form(&self) -> Vec<u8> {
        let mut form = Vec::with_capacity(512);
        field(&mut form, Some(self.action.as_bytes()));
        field(&mut form, self.actor.map(|actor| actor.tenant.0.as_bytes().as_slice()));
        field(&mut form, self.actor.map(|actor| actor.key.0.as_bytes().as_slice()));
        field(&mut form, self.actor.map(|actor| actor.owner.as_bytes()));
        field(&mut form, self.address.map(str::as_bytes));
        field(&mut form, self.user_agent.map(str::as_bytes));
        field(&mut form, self.request_id.as_ref().map(|id| id.as_bytes().as_slice()));
        field(&mut form, self.target.map(|target| target.kind.as_bytes()));
        field(&mut form, self.target.map(|target| target.id.as_bytes()));
        for text in [self.before, self.after, self.details] {
            field(&mut form, text.map(str::as_bytes));
        }
        form
    }
}

/// Members as they are hashed: JSON without spaces, the members of every object in the order of their names.
fn text(members: &Members) -> String {
    // Names are strings and values are JSON already, so that there is always a text.
    serde_json::to_string(members).unwrap_or_default()
}

fn field(form: &mut Vec<u8>, bytes: Option<&[u8]>) {
    let Some(bytes) = bytes else { return form.extend_from_slice(&ABSENT.to_be_bytes()) };
    // A field of 4 GiB is not a thing that anybody stores.
    form.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(ABSENT - 1).to_be_bytes());
    form.extend_from_slice(bytes);
}

/// A signed statement of how far a tenant's trail had got, and with what hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// The origin's URL.
    pub iss: String,
    /// Whose trail.
    pub tenant: TenantId,
    /// The last record.
    pub seq: u64,
    /// Its hash.
    pub hash: Digest,
    /// When it was signed, unix milliseconds.
    pub iat_ms: u64,
}

impl Signed for Checkpoint {
    const TYP: &'static str = "keyward-checkpoint+jwt";
    const ROLE: Option<Role> = Some(Role::Audit);
    const MAX_LEN: usize = MAX_CHECKPOINT_LEN;
}
