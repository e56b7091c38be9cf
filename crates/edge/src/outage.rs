//! How old the state may be for a key to pass.

use crate::config::SCOPES;
use keyward_core::{Reason, ScopeClass};

/// The longest that any scope may be left open, in seconds past the hard age.
const MAX_OPEN_SECS: u64 = 7 * 24 * 60 * 60;

/// What holds past the hard age, for each scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outage {
    modes: [Mode; 3],
}

/// What holds past the hard age.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Nothing passes.
    #[default]
    Closed,
    /// What would pass by the last state passes, for so many seconds more.
    Open(u64),
}

/// The ages that bound a decision, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Ages {
    /// From here on a request first waits for a newer state.
    pub soft_ms: u64,
    /// From here on the outage mode decides.
    pub hard_ms: u64,
}

impl Outage {
    /// Reads `user=open:3600,tenant=closed`; a scope that isn't named is closed, and one that is named twice, or of
    /// another name, makes the text unreadable.
    pub fn parse(text: &str) -> Option<Self> {
        let mode = |text: &str| match text.split_once(':') {
            None if text == "closed" => Some(Mode::Closed),
            Some(("open", secs)) => Some(Mode::Open(secs.parse().ok().filter(|secs| *secs <= MAX_OPEN_SECS)?)),
            _ => None,
        };
        Some(Self { modes: by_scope(text, mode)? })
    }

    /// Whether a key of this scope may be decided on at this age of the state; the reason where it may not.
    ///
    /// `proven` says whether this isolate has ever held a state younger than the soft age. One that has not can't know
    /// whether it was started beside a hub that has been cut off for long, and so trusts nothing past the soft age
    /// unless the mode says so.
    pub fn admits(&self, scope: ScopeClass, age_ms: u64, ages: Ages, proven: bool) -> Result<(), Reason> {
        let limit = match self.modes[scope as usize] {
            Mode::Open(secs) => ages.hard_ms.saturating_add(secs.saturating_mul(1000)),
            Mode::Closed if proven => ages.hard_ms,
            Mode::Closed => ages.soft_ms,
        };
        match (age_ms <= limit, proven) {
            (true, _) => Ok(()),
            (false, true) => Err(Reason::StateStale),
            (false, false) => Err(Reason::StateUnavailable),
        }
    }
}

/// Reads `user=…,tenant=…`; a scope that isn't named has its default, and one that is named twice, or of another name, makes
/// the text unreadable.
pub(crate) fn by_scope<M: Copy + Default>(text: &str, read: impl Fn(&str) -> Option<M>) -> Option<[M; 3]> {
    let mut modes = [None; 3];
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (scope, mode) = part.split_once('=')?;
        let scope = SCOPES.into_iter().find(|known| known.as_str() == scope)?;
        if modes[scope as usize].replace(read(mode)?).is_some() {
            return None;
        }
    }
    Some(modes.map(Option::unwrap_or_default))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGES: Ages = Ages { soft_ms: 5_000, hard_ms: 60_000 };

    #[test]
    fn each_scope_has_its_own_limit() {
        let outage = Outage::parse("user=open:10, admin=closed").unwrap();
        for (scope, age, proven, expected) in [
            (ScopeClass::User, 70_000, true, Ok(())),
            (ScopeClass::User, 70_001, true, Err(Reason::StateStale)),
            (ScopeClass::User, 70_000, false, Ok(())),
            (ScopeClass::Tenant, 60_000, true, Ok(())),
            (ScopeClass::Tenant, 60_001, true, Err(Reason::StateStale)),
            (ScopeClass::Admin, 5_000, false, Ok(())),
            (ScopeClass::Admin, 5_001, false, Err(Reason::StateUnavailable)),
        ] {
            assert_eq!(outage.admits(scope, age, AGES, proven), expected, "{scope:?} at {age}");
        }
    }

    #[test]
    fn what_is_not_understood_is_not_read() {
        assert_eq!(Outage::parse(""), Some(Outage::default()));
        for text in ["user", "user=open", "user=open:x", "user=open:9999999", "root=closed", "user=closed,user=closed", "user=closed:1"] {
            assert_eq!(Outage::parse(text), None, "{text}");
        }
    }
}
