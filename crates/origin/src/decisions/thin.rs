//! Fewer samples that stand for as many requests.

/// Picks `most` of these, evenly, each of them to stand for its neighbours too. Pure, so that it can be held against a model.
///
/// `turn` is another number each time: it says which of some neighbours is picked.
pub fn thin<T>(items: Vec<T>, most: usize, turn: u64, weight: impl Fn(&mut T) -> &mut u64) -> Vec<T> {
    let len = items.len();
    if len <= most {
        return items;
    }
    let mut picked: Vec<T> = Vec::with_capacity(most);
    let mut items = items.into_iter();
    for group in 0..most {
        let size = (group + 1) * len / most - group * len / most;
        // Fractional parts of multiples of the golden ratio go round evenly, whatever else does in step.
        let spun = turn.wrapping_add(group as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let chosen = ((u128::from(spun) * size as u128) >> 64) as usize;
        let (mut sum, mut kept) = (0u64, None);
        for (at, mut item) in items.by_ref().take(size).enumerate() {
            sum = sum.saturating_add(*weight(&mut item));
            if at == chosen {
                kept = Some(item);
            }
        }
        if let Some(mut kept) = kept {
            *weight(&mut kept) = sum;
            picked.push(kept);
        }
    }
    picked
}

/// How many more samples a tenant may keep: refilled with time, so that a burst is kept whole and a flood is thinned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Room {
    /// Samples.
    pub left: f64,
    /// Requests that no sample stands for yet.
    pub owed: u64,
}

/// Samples of a tenant in an hour, and at once: of some hundred bytes each.
pub const AN_HOUR: f64 = 10_000.0;
pub const AT_ONCE: f64 = 2_000.0;

impl Room {
    /// Of a tenant that has kept nothing.
    pub const WHOLE: Self = Self { left: AT_ONCE, owed: 0 };

    /// After so many milliseconds in which nothing was kept.
    #[must_use]
    pub fn after(self, millis: u64) -> Self {
        Self { left: (self.left + millis as f64 * (AN_HOUR / 3_600_000.0)).min(AT_ONCE), ..self }
    }

    /// Takes what fits. What is kept stands for all.
    pub fn take<T>(&mut self, items: Vec<T>, turn: u64, weight: impl Fn(&mut T) -> &mut u64) -> Vec<T> {
        let most = self.left.max(0.0) as usize;
        if most == 0 {
            self.owed = items.into_iter().fold(self.owed, |owed, mut item| owed.saturating_add(*weight(&mut item)));
            return Vec::new();
        }
        let mut kept = thin(items, most, turn, &weight);
        self.left -= kept.len() as f64;
        let len = kept.len() as u64;
        for (at, item) in kept.iter_mut().enumerate() {
            *weight(item) = weight(item).saturating_add(self.owed / len + u64::from((at as u64) < self.owed % len));
        }
        if len > 0 {
            self.owed = 0;
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(items: &[u64]) -> u64 {
        items.iter().sum()
    }

    #[test]
    fn whatever_is_left_out_is_stood_for() {
        for len in [0, 1, 7, 100, 1001] {
            for most in [1, 2, 3, 50, 1000, 2000] {
                let items: Vec<u64> = (0..len).map(|n| n % 5 + 1).collect();
                let all = weights(&items);
                let kept = thin(items, most, len, |weight| weight);
                assert_eq!((kept.len() as u64, weights(&kept)), (len.min(most as u64), all));
            }
        }
    }

    #[test]
    fn which_of_neighbours_is_kept_depends_on_no_rhythm() {
        // Every other one is odd: half of what is kept has to be, too.
        let odd: usize = (0..100)
            .map(|turn| {
                let items: Vec<(u64, u64)> = (0..1000).map(|n| (n, 1)).collect();
                thin(items, 10, turn * 10, |item| &mut item.1).iter().filter(|(n, _)| n % 2 == 1).count()
            })
            .sum();
        assert!((400..600).contains(&odd), "{odd}");
    }

    #[test]
    fn a_flood_keeps_what_there_is_room_for_and_stands_for_all_of_it() {
        let (mut room, mut kept, mut sent) = (Room::WHOLE, Vec::new(), 0);
        for turn in 0..3600 {
            room = room.after(1000);
            kept.extend(room.take(vec![3; 50], turn, |weight| weight));
            sent += 150;
        }
        assert_eq!(weights(&kept) + room.owed, sent);
        assert!(kept.len() as f64 <= AN_HOUR + AT_ONCE, "{}", kept.len());
        assert!(kept.len() as f64 >= AN_HOUR, "{}", kept.len());
        // Nothing is kept in none.
        let mut room = Room { left: 0.5, owed: 0 };
        assert!(room.take(vec![1, 2], 0, |weight| weight).is_empty());
        assert_eq!(room.after(3_600_000).take(vec![1, 2], 0, |weight| weight), [3, 3]);
    }
}
