//! Limits: the code of each, and the permits that edges ask for (`POST /edge/v1/permits`; `docs/limits.md` has the protocol).

use keyward_core::{
    KeyId,
    limits::{CODES, Leased, Meter, Renewal},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A limit of a policy that a request can be refused for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitKind {
    /// Requests in an hour.
    RatePerHour,
    /// Requests in a day.
    DailyQuota,
    /// Requests in a month.
    MonthlyQuota,
    /// Cents in a month.
    Cost,
    /// Tokens in one request.
    TokensPerRequest,
    /// Requests at one time.
    Concurrent,
}

impl LimitKind {
    /// All, in the order in which a policy has them.
    pub const ALL: [Self; 6] =
        [Self::RatePerHour, Self::DailyQuota, Self::MonthlyQuota, Self::Cost, Self::TokensPerRequest, Self::Concurrent];

    /// The stable code of its refusals: in problems, in what is counted, in metrics.
    pub const fn code(self) -> &'static str {
        CODES[self as usize].1
    }

    /// Its refusal in words: `used` of `limit`.
    pub fn message(self, used: u64, limit: u64) -> String {
        let (name, unit) = match self {
            Self::RatePerHour => ("Rate limit", "requests per hour"),
            Self::DailyQuota => ("Daily quota", "requests per day"),
            Self::MonthlyQuota => ("Monthly quota", "requests per month"),
            Self::Cost => ("Cost limit", "cents per month"),
            Self::TokensPerRequest => ("Token limit", "tokens per request"),
            Self::Concurrent => ("Concurrency limit", "requests at a time"),
        };
        format!("{name} exceeded: {used}/{limit} {unit}")
    }
}

impl From<Meter> for LimitKind {
    fn from(meter: Meter) -> Self {
        match meter {
            Meter::RatePerHour => Self::RatePerHour,
            Meter::DailyQuota => Self::DailyQuota,
            Meter::MonthlyQuota => Self::MonthlyQuota,
            Meter::CostCents => Self::Cost,
        }
    }
}

/// Bytes of a [`PermitsRequest`].
pub const MAX_PERMITS_LEN: usize = 128 * 1024;
/// Questions of a [`PermitsRequest`], and likewise returns and holders of slots.
pub const MAX_PERMITS: usize = 256;
/// Permits in one question or return, and slots of a holder.
pub const MAX_AMOUNT: u64 = 1 << 40;

/// What a hub wants of the limits of keys, and what it gives back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PermitsRequest {
    /// Answered in this order; at most 256.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "keyward_core::json::objects")]
    #[cfg_attr(feature = "openapi", schema(max_items = 256))]
    pub wanted: Vec<PermitsWanted>,
    /// Answered in this order, and done before anything is granted; at most 256.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "keyward_core::json::objects")]
    #[cfg_attr(feature = "openapi", schema(max_items = 256))]
    pub returned: Vec<PermitsReturned>,
    /// Slots for requests at one time; answered in this order, at most 256.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "keyward_core::json::objects")]
    #[cfg_attr(feature = "openapi", schema(max_items = 256))]
    pub slots: Vec<SlotsWanted>,
}

/// A question for permits of one limit of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PermitsWanted {
    /// A UUIDv7, made when it was first asked. Asked again under the same id it has the same answer, for two minutes; after
    /// that it is refused.
    pub id: Uuid,
    /// The key.
    pub key: KeyId,
    /// Which limit.
    pub meter: Meter,
    /// The window: hours, days or months since 1970, by the meter.
    pub window: u32,
    /// With fewer than so many nothing can be done.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 1_099_511_627_776_u64))]
    pub least: u64,
    /// So many would be good.
    #[cfg_attr(feature = "openapi", schema(maximum = 1_099_511_627_776_u64))]
    pub wanted: u64,
}

/// Permits that go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PermitsReturned {
    /// A UUIDv7, made when it was first sent: taken back once.
    pub id: Uuid,
    /// The key.
    pub key: KeyId,
    /// Which limit.
    pub meter: Meter,
    /// The window that they are of.
    pub window: u32,
    /// How many.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 1_099_511_627_776_u64))]
    pub amount: u64,
}

/// What a holder of a key's slots has of them, and wants: the newest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SlotsWanted {
    /// The key.
    pub key: KeyId,
    /// Names the holder.
    pub holder: Uuid,
    /// Higher with each of a holder's: unix milliseconds, or more.
    #[cfg_attr(feature = "openapi", schema(maximum = 9_007_199_254_740_991_u64))]
    pub serial: u64,
    /// It uses no more than so many until this is answered.
    #[cfg_attr(feature = "openapi", schema(maximum = 1_099_511_627_776_u64))]
    pub leased: u64,
    /// So many would be good.
    #[cfg_attr(feature = "openapi", schema(maximum = 1_099_511_627_776_u64))]
    pub wanted: u64,
}

impl SlotsWanted {
    /// A holder's renewal of its lease.
    pub const fn of(key: KeyId, renewal: &Renewal) -> Self {
        let &Renewal { holder, serial, leased, wanted } = renewal;
        Self { key, holder, serial, leased, wanted }
    }

    /// As the one that leases takes it.
    pub const fn renewal(&self) -> Renewal {
        let &Self { holder, serial, leased, wanted, .. } = self;
        Renewal { holder, serial, leased, wanted }
    }
}

/// The answer: everything in the order of the request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PermitsReply {
    /// The origin's clock, unix milliseconds: who is more than a second off can't tell which window a request is in.
    pub now_ms: u64,
    /// To each question.
    pub granted: Vec<PermitsGranted>,
    /// To each return.
    pub taken: Vec<PermitsTaken>,
    /// To each holder of slots.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slots: Vec<SlotsGranted>,
}

/// The answer to a holder of slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SlotsGranted {
    /// The holder's,
    pub holder: Uuid,
    /// to what it said under this number.
    pub serial: u64,
    /// It has so many.
    pub slots: u64,
    /// With those that are taken from now on no more than so many may be in use.
    pub target: u64,
    /// For how long it has them, milliseconds from when it asked.
    pub lasts_ms: u64,
    /// Why nothing was done; else `null`.
    #[serde(default)]
    pub fault: Option<PermitsFault>,
}

impl SlotsGranted {
    /// The answer to a holder.
    pub const fn of(asked: &SlotsWanted, leased: Leased, fault: Option<PermitsFault>) -> Self {
        let &SlotsWanted { holder, serial, .. } = asked;
        let Leased { slots, target, lasts_ms } = leased;
        Self { holder, serial, slots, target, lasts_ms, fault }
    }

    /// What was leased; `None`: nothing was done.
    pub fn leased(&self) -> Option<Leased> {
        let &Self { slots, target, lasts_ms, .. } = self;
        matches!(self.fault, None | Some(PermitsFault::Unavailable)).then_some(Leased { slots, target, lasts_ms })
    }
}

/// The answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PermitsGranted {
    /// The question's.
    pub id: Uuid,
    /// Permits given: none, or at least as many as were the least.
    pub amount: u64,
    /// Permits left after that; `null`: the key has no such limit.
    pub left: Option<u64>,
    /// Why none was given, where it isn't that none was left; else `null`.
    #[serde(default)]
    pub fault: Option<PermitsFault>,
}

/// The answer to a return. Whatever it says, it is final: it isn't sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PermitsTaken {
    /// The return's.
    pub id: Uuid,
    /// Why nothing was taken back; `null`: it was.
    #[serde(default)]
    pub fault: Option<PermitsFault>,
}

/// What is wrong with one entry. The others are answered all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PermitsFault {
    /// There is no such key.
    UnknownKey,
    /// The id is no UUIDv7, or was made too long ago or too far ahead.
    IdRefused,
    /// The window has ended, or doesn't begin soon.
    WindowRefused,
    /// The holder has said something newer, or the key has too many holders.
    HolderRefused,
    /// Of a key's object alone: the origin gives no answer, and so the holder goes on with what it has.
    Unavailable,
}
