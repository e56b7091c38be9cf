//! What holds for a key's limits where its authority gives no answer.

use crate::outage::by_scope;
use keyward_core::ScopeClass;

/// The longest that any scope may be left open, seconds.
const MAX_OPEN_SECS: u64 = 24 * 60 * 60;

/// What passes while the authority gives no answer, for each scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitOutage {
    modes: [LimitMode; 3],
}

/// What passes while the authority gives no answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LimitMode {
    /// Nothing.
    Closed,
    /// What there are permits for, and then nothing.
    #[default]
    Leased,
    /// Everything, for so many seconds; what there are no permits for isn't counted.
    Open(u64),
}

impl LimitOutage {
    /// Reads `user=open:60,tenant=leased,admin=closed`; a scope that isn't named is `leased`.
    pub fn parse(text: &str) -> Option<Self> {
        let mode = |text: &str| match text.split_once(':') {
            None if text == "closed" => Some(LimitMode::Closed),
            None if text == "leased" => Some(LimitMode::Leased),
            Some(("open", secs)) => Some(LimitMode::Open(secs.parse().ok().filter(|secs| *secs <= MAX_OPEN_SECS)?)),
            _ => None,
        };
        Some(Self { modes: by_scope(text, mode)? })
    }

    /// That of a scope.
    pub const fn mode(&self, scope: ScopeClass) -> LimitMode {
        self.modes[scope as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_is_not_read() {
        let outage = LimitOutage::parse("user=open:60, admin=closed").unwrap();
        let modes = [ScopeClass::User, ScopeClass::Tenant, ScopeClass::Admin].map(|scope| outage.mode(scope));
        assert_eq!(modes, [LimitMode::Open(60), LimitMode::Leased, LimitMode::Closed]);
        assert_eq!(LimitOutage::parse(""), Some(LimitOutage::default()));
        for text in ["user", "user=open", "user=open:x", "user=open:99999999", "root=closed", "user=closed,user=closed", "user=leased:1"] {
            assert_eq!(LimitOutage::parse(text), None, "{text}");
        }
    }
}
