/// Of what is left no holder gets more than one part in so many: so blocks halve towards the end, down to one permit, and
/// what is lost with a holder is little.
pub const SHARE: u64 = 8;

/// How many permits to give of those that are left: at least `least`, or none; more up to `wanted`, within [`SHARE`].
///
/// ```
/// use keyward_core::limits::block;
/// assert_eq!(block(1000, 1, 50), 50);
/// assert_eq!(block(1000, 1, 500), 125);
/// assert_eq!((block(3, 1, 500), block(0, 1, 500)), (1, 0));
/// assert_eq!((block(100, 60, 60), block(50, 60, 60)), (60, 0));
/// ```
pub const fn block(left: u64, least: u64, wanted: u64) -> u64 {
    let least = if least == 0 { 1 } else { least };
    if left < least {
        return 0;
    }
    let share = left / SHARE;
    let most = if wanted < share { wanted } else { share };
    if most < least { least } else { most }
}

/// What an authority answers to who wants permits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Granted {
    /// Permits given; they are deducted.
    pub amount: u64,
    /// Permits left after that; `None`: there is no limit.
    pub left: Option<u64>,
}

/// What of a key's limit is given out, at its authority: two windows, since at an edge both are in use. A window takes the
/// place of the one before the last, for which nothing is given or taken back from then on.
///
/// Nothing here asks for the time: which windows are given for is the authority's to say, and no answer to that lets more
/// than a limit be given in one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// By the parity of windows' numbers: the number, and the permits that were given and not taken back.
    pub slots: [(u32, u64); 2],
}

impl Account {
    fn slot(&mut self, window: u32) -> Option<&mut (u32, u64)> {
        let slot = &mut self.slots[(window & 1) as usize];
        if slot.0 < window {
            *slot = (window, 0);
        }
        (slot.0 == window).then_some(slot)
    }

    /// Gives permits of a window, as [`block`] says; `None` for a window whose place another has taken.
    ///
    /// Where there is no limit any more all that is wanted is given, and counts. (Whoever knows that there is none doesn't ask:
    /// a limit that is set later counts from then on.)
    pub fn grant(&mut self, window: u32, limit: Option<u64>, least: u64, wanted: u64) -> Option<Granted> {
        let (_, given) = self.slot(window)?;
        let left = limit.map(|limit| limit.saturating_sub(*given));
        let amount = left.map_or(wanted.max(least), |left| block(left, least, wanted));
        *given = given.saturating_add(amount);
        Some(Granted { amount, left: left.map(|left| left - amount) })
    }

    /// Deducts what was used without having been given: a debt. The window it is of has that much less, perhaps nothing; what of a
    /// debt is more than its limit ends with it.
    pub fn owe(&mut self, window: u32, amount: u64) {
        if let Some((_, given)) = self.slot(window) {
            *given = given.saturating_add(amount);
        }
    }

    /// Takes permits back; `false` for a window whose place another has taken. Whoever calls this sees to it that the same
    /// permits come back once.
    pub fn take_back(&mut self, window: u32, amount: u64) -> bool {
        let slot = &mut self.slots[(window & 1) as usize];
        let there = slot.0 == window;
        if there {
            slot.1 = slot.1.saturating_sub(amount);
        }
        there
    }
}
