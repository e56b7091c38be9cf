//! Why a request is refused here: for a reason of the core's, or because a limit is reached.

use keyward_api::limits::LimitKind;
use keyward_core::{Class, Reason};

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Denial {
    /// It is not permitted, or can't be decided.
    Reason(Reason),
    /// A limit of its key is reached.
    Limit(LimitKind),
}

impl Denial {
    /// All.
    pub fn all() -> impl Iterator<Item = Self> {
        Reason::ALL.into_iter().map(Self::Reason).chain(LimitKind::ALL.into_iter().map(Self::Limit))
    }

    /// Its place among all: cheap to pass between two parts of one build.
    pub const fn number(self) -> usize {
        match self {
            Self::Reason(reason) => reason.number(),
            Self::Limit(kind) => Reason::ALL.len() + kind as usize,
        }
    }

    /// The one with that number.
    pub fn from_number(number: usize) -> Option<Self> {
        Self::all().nth(number)
    }

    /// Its stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Reason(reason) => reason.code(),
            Self::Limit(kind) => kind.code(),
        }
    }

    /// The first digit of the status that it is answered with.
    pub fn status_class(self) -> u8 {
        match self {
            Self::Reason(reason) if reason.class() == Class::Unavailable => 5,
            Self::Reason(_) | Self::Limit(_) => 4,
        }
    }
}

impl From<Reason> for Denial {
    fn from(reason: Reason) -> Self {
        Self::Reason(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_the_place_among_all() {
        for (at, denial) in Denial::all().enumerate() {
            assert_eq!((denial.number(), Denial::from_number(at)), (at, Some(denial)));
        }
    }
}
