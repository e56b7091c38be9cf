use crate::{Amendment, Digest, PolicyNumber, StatusIndex};
use core::fmt;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The status of a credential (draft-ietf-oauth-status-list section 7; 3 is application-specific).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Holds as it was signed.
    Valid = 0,
    /// Revoked, for ever.
    Invalid = 1,
    /// Out of force for now.
    Suspended = 2,
    /// Holds with another policy or expiry than was signed: see its [`Amendment`].
    Amended = 3,
}

impl Status {
    /// The status with that value in a list.
    pub const fn from_value(value: u8) -> Option<Self> {
        match value {
            0 => Some(Self::Valid),
            1 => Some(Self::Invalid),
            2 => Some(Self::Suspended),
            3 => Some(Self::Amended),
            _ => None,
        }
    }

    /// Its value in a list.
    pub const fn value(self) -> u8 {
        self as u8
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.value())
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_value(u8::deserialize(deserializer)?).ok_or_else(|| de::Error::custom("a status is 0, 1, 2 or 3"))
    }
}

/// What the world says now of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As signed.
    Valid,
    /// Revoked.
    Invalid,
    /// Suspended.
    Suspended,
    /// With this amendment.
    Amended(Amendment),
}

/// What is missing to decide. "Cannot decide" is neither yes nor no; the host may fetch it and ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// No state at all: a snapshot.
    State,
    /// A shard that the snapshot lists and that isn't loaded.
    Shard(u32),
    /// A shard that neither the snapshot nor a delta since has opened.
    UnknownShard(u32),
    /// The page of amendments that begins at this index.
    AmendmentPage(StatusIndex),
    /// The status says AMENDED and no amendment is there, nor in any page.
    Amendment(StatusIndex),
    /// A policy.
    Policy(PolicyNumber),
    /// Whether the key with this digest was issued at this index: its signing key is frozen, so that the signature
    /// alone proves nothing.
    Issued(StatusIndex, Digest),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State => f.write_str("no snapshot"),
            Self::Shard(shard) => write!(f, "shard {shard} is not loaded"),
            Self::UnknownShard(shard) => write!(f, "shard {shard} is not known"),
            Self::AmendmentPage(first) => write!(f, "the amendments from {first} are not loaded"),
            Self::Amendment(index) => write!(f, "the amendment of {index} is not known"),
            Self::Policy(number) => write!(f, "policy {number} is not loaded"),
            Self::Issued(index, _) => write!(f, "whether the key at {index} was issued is not known"),
        }
    }
}

/// Where the status of credentials comes from: a [`crate::Replica`] at the edge, the database at the origin.
pub trait Statuses {
    /// What holds for the credential at `index`.
    fn standing(&self, index: StatusIndex) -> Result<Standing, Missing>;

    /// Whether the key whose whole text has this digest was issued at `index`. Asked where the signing key is frozen:
    /// whoever has stolen it makes signatures that hold, but not the texts that were issued. A yes stays true for ever.
    fn issued(&self, index: StatusIndex, digest: &Digest) -> Result<bool, Missing>;

    /// The policy that has taken the place of `policy`; itself where none has.
    fn policy_in_force(&self, policy: PolicyNumber) -> PolicyNumber;
}
