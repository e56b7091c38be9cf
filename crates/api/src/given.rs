use serde::{Deserialize, Deserializer};

/// A member of a request: left out, `null`, or a value. JSON tells the three apart, and so do we: leaving
/// `expires_in_days` out means the default, `null` means never.
///
/// Members of this type need `#[serde(default)]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Given<T> {
    /// Left out.
    #[default]
    Missing,
    /// `null`.
    Null,
    /// A value.
    Value(T),
}

impl<T> Given<T> {
    /// The value, if there is one.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Missing | Self::Null => None,
        }
    }

    /// By reference.
    pub const fn as_ref(&self) -> Given<&T> {
        match self {
            Self::Missing => Given::Missing,
            Self::Null => Given::Null,
            Self::Value(value) => Given::Value(value),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Null, Self::Value))
    }
}
