//! What a record says before it has its place in the chain.

use std::{net::IpAddr, sync::Arc};

use keyward_core::{AuditActor, AuditTarget, KeyId, Timestamp};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

pub use keyward_core::AuditMembers as Members;

macro_rules! actions {
    ($($(#[$meta:meta])* $name:ident = $text:literal;)*) => {
        /// What can be done. The names are part of the interface: they may be added to, never changed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action {
            $($(#[$meta])* $name,)*
        }

        impl Action {
            /// Its stable name.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

actions! {
    /// A key was made.
    ApiKeyCreated = "api_key_created";
    /// A key got a new credential.
    ApiKeyRotated = "api_key_rotated";
    /// A key was revoked.
    ApiKeyRevoked = "api_key_revoked";
    /// A key was taken out of use.
    ApiKeySuspended = "api_key_suspended";
    /// A key was taken into use again.
    ApiKeyResumed = "api_key_resumed";
    /// A key's name, description, owner or constraints were changed.
    ApiKeyUpdated = "api_key_updated";
    /// A key got another expiry.
    ApiKeyRenewed = "api_key_renewed";
    /// A rotation's overlap was ended early.
    ApiKeyRotationFinished = "api_key_rotation_finished";
    /// A rotation was undone.
    ApiKeyRotationCancelled = "api_key_rotation_cancelled";
    /// Tokens were made.
    TokenIssued = "token_issued";
    /// A token was taken back before its time.
    TokenRevoked = "token_revoked";
    /// A policy took the place of another.
    PolicySuperseded = "policy_superseded";
    /// A tenant was made.
    TenantCreated = "tenant_created";
    /// A tenant's name, prefix or ceilings were changed.
    TenantUpdated = "tenant_updated";
    /// A tenant's catalogue got a capability.
    CapabilityAdded = "capability_added";
    /// An owner was made.
    OwnerCreated = "owner_created";
    /// An owner's name, kind or address were changed.
    OwnerUpdated = "owner_updated";
    /// An owner was disabled, and its keys suspended.
    OwnerDisabled = "owner_disabled";
    /// An owner was enabled again.
    OwnerEnabled = "owner_enabled";
    /// Calls of somebody with a genuine key were refused.
    ManagementDenied = "management_denied";
    /// The trail was read.
    AuditRead = "audit_read";
    /// The database went back in time and was put into use again: records may be lost.
    DatabaseRecovered = "database_recovered";
    /// A signing key was made and announced; or the next root was named.
    SigningKeyCreated = "signing_key_created";
    /// A signing key began to sign.
    SigningKeyActivated = "signing_key_activated";
    /// What a signing key signed ended to count.
    SigningKeyRetired = "signing_key_retired";
    /// A signing key was compromised: what it signed proves nothing by itself any more.
    SigningKeyFrozen = "signing_key_frozen";
    /// A manifest that was signed elsewhere was put into force.
    ManifestPublished = "manifest_published";
    /// All secrets were sealed under another master key.
    MasterKeyRotated = "master_key_rotated";
    /// Somebody signed in: a key was exchanged for a session.
    SessionStarted = "session_started";
    /// A session was ended before its time.
    SessionEnded = "session_ended";
    /// The trail was exported.
    AuditExported = "audit_exported";
}

/// Who calls, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The key.
    pub who: AuditActor,
    /// Where the request comes from.
    pub address: Option<IpAddr>,
    /// As the client names itself.
    pub user_agent: Option<String>,
    /// The request.
    pub request: Uuid,
}

/// Something that was done.
#[derive(Clone, Debug)]
pub struct Event {
    /// What.
    pub action: Action,
    /// By whom; `None`: by the server itself.
    pub actor: Option<Arc<Actor>>,
    /// When.
    pub at: Timestamp,
    /// To what.
    pub target: Option<AuditTarget>,
    /// The owner for whom a key comes into use: one that may not be disabled.
    pub made_for: Option<String>,
    /// Whether the key had expired: it isn't among its tenant's live keys, or wasn't until this.
    pub of_expired: bool,
    /// What of the target changed, as it was: JSON, as it is hashed.
    pub before: Option<String>,
    /// As it is now, likewise.
    pub after: Option<String>,
    /// What else there is to say, likewise.
    pub details: Option<String>,
}

impl Event {
    /// Somebody did something.
    pub fn by(actor: &Arc<Actor>, action: Action, at: Timestamp) -> Self {
        Self { actor: Some(Arc::clone(actor)), ..Self::by_itself(action, at) }
    }

    /// The server did something.
    pub fn by_itself(action: Action, at: Timestamp) -> Self {
        Self { action, actor: None, at, target: None, made_for: None, of_expired: false, before: None, after: None, details: None }
    }

    /// To something.
    #[must_use]
    pub fn on(self, kind: &str, id: impl ToString) -> Self {
        Self { target: Some(AuditTarget { kind: kind.to_owned(), id: id.to_string() }), ..self }
    }

    /// To a key.
    #[must_use]
    pub fn on_key(self, id: KeyId) -> Self {
        self.on("api_key", id)
    }

    /// For an owner, who must not be disabled.
    #[must_use]
    pub fn made_for(self, owner: impl Into<String>) -> Self {
        Self { made_for: Some(owner.into()), ..self }
    }

    /// To a key that had expired, or hadn't.
    #[must_use]
    pub fn of_expired(self, of_expired: bool) -> Self {
        Self { of_expired, ..self }
    }

    /// As it was: an object, without secrets.
    #[must_use]
    pub fn before(self, before: impl Into<Option<Members>>) -> Self {
        Self { before: before.into().map(|members| text(&members)), ..self }
    }

    /// As it is now: an object, without secrets.
    #[must_use]
    pub fn after(self, after: impl Into<Option<Members>>) -> Self {
        Self { after: after.into().map(|members| text(&members)), ..self }
    }

    /// What else there is to say.
    #[must_use]
    pub fn details(self, details: impl Into<Option<Members>>) -> Self {
        Self { details: details.into().map(|members| text(&members)), ..self }
    }
}

/// What is said of the target as it is now, for what is done all the time: by a type with its members in the order of
/// their names, as [`Members`] have them.
pub fn in_order(said: &impl Serialize) -> Option<String> {
    let said = text(said);
    debug_assert_eq!(serde_json::from_str::<Members>(&said).ok().map(|members| text(&members)).as_ref(), Some(&said));
    Some(said)
}

/// Names are strings and values are JSON already, so that there is always a text.
fn text(said: &impl Serialize) -> String {
    serde_json::to_string(said).unwrap_or_default()
}

/// The members of a JSON object; nothing for any other value.
pub fn members(value: Value) -> Option<Members> {
    match value {
        Value::Object(members) => Some(members.into_iter().collect()),
        _ => None,
    }
}

/// Of two states of one thing the members that differ, before and after.
pub fn changed(before: &impl Serialize, after: &impl Serialize) -> (Option<Members>, Option<Members>) {
    let read = |value: Result<Value, _>| value.ok().and_then(members).unwrap_or_default();
    let (mut before, mut after) = (read(serde_json::to_value(before)), read(serde_json::to_value(after)));
    let same: Vec<String> = before.iter().filter(|(name, value)| after.get(*name) == Some(value)).map(|(name, _)| name.clone()).collect();
    for name in same {
        before.remove(&name);
        after.remove(&name);
    }
    (Some(before), Some(after))
}
