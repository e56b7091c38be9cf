use crate::Timestamp;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// How far a holder's clock may be off, milliseconds: a request that comes within this of the edge between two windows may
/// belong to either, and takes a permit of both.
pub const EDGE_MS: u64 = 1000;
/// How long before a window begins its first permits are asked for, milliseconds: else all keys would wait at once.
const AHEAD_MS: u64 = 5000;

/// How long windows are. They begin with the UTC hour, day and month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// Hours since 1970.
    Hour,
    /// Days since 1970.
    Day,
    /// Months since January 1970.
    Month,
}

/// One hour, day or month.
///
/// ```
/// use keyward_core::{Timestamp, limits::{Period, Window}};
/// let leap = Window::at(Period::Month, Timestamp::from_secs(1_709_164_800)); // 2024-02-29
/// assert_eq!(leap.number(), 54 * 12 + 1);
/// assert_eq!(leap.begin(), Timestamp::from_secs(1_706_745_600)); // 2024-02-01
/// assert_eq!(leap.end(), Timestamp::from_secs(1_709_251_200)); // 2024-03-01
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    period: Period,
    number: u32,
}

impl Window {
    /// The window of that number.
    pub const fn new(period: Period, number: u32) -> Self {
        Self { period, number }
    }

    /// The window in which a moment is.
    pub const fn at(period: Period, moment: Timestamp) -> Self {
        let millis = moment.millis();
        let number = match period {
            Period::Hour => millis / HOUR_MS,
            Period::Day => millis / DAY_MS,
            Period::Month => month_of_day(millis / DAY_MS),
        };
        // Times beyond the year 400,000 are no times; they all are the last window.
        Self { period, number: if number > u32::MAX as u64 { u32::MAX } else { number as u32 } }
    }

    /// Counts windows of its period, from the one in which 1970 began.
    pub const fn number(self) -> u32 {
        self.number
    }

    /// How long it is.
    pub const fn period(self) -> Period {
        self.period
    }

    /// Its first moment.
    pub const fn begin(self) -> Timestamp {
        begin(self.period, self.number as u64)
    }

    /// The first moment after it.
    pub const fn end(self) -> Timestamp {
        begin(self.period, self.number as u64 + 1)
    }

    /// The one after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self { period: self.period, number: self.number.saturating_add(1) }
    }
}

const fn begin(period: Period, number: u64) -> Timestamp {
    Timestamp::from_millis(match period {
        Period::Hour => number * HOUR_MS,
        Period::Day => number * DAY_MS,
        Period::Month => first_day(number) * DAY_MS,
    })
}

// Years that begin in March end with the leap day, so that a day's place in its year says its month without a table
// (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", whose names these are).

const ERA_DAYS: u64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const TO_1970: u64 = 719_468;
/// Months likewise.
const MONTHS_TO_1970: u64 = 1970 * 12 - 2;

/// The month, since January 1970, of a day since 1970.
const fn month_of_day(day: u64) -> u64 {
    let day = day + TO_1970;
    let (era, of_era) = (day / ERA_DAYS, day % ERA_DAYS);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    (era * 400 + year) * 12 + (5 * of_year + 2) / 153 - MONTHS_TO_1970
}

/// The first day, since 1970, of a month since January 1970.
const fn first_day(month: u64) -> u64 {
    let month = month + MONTHS_TO_1970;
    let (year, month) = (month / 12, month % 12);
    let (era, year) = (year / 400, year % 400);
    era * ERA_DAYS + 365 * year + year / 4 - year / 100 + (153 * month + 2) / 5 - TO_1970
}

/// The windows in which a request may be that comes now, for as long as they stay the same.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    /// By hour, day and month: the earliest, and how many there are (1 or 2).
    earliest: [(Window, u8); 3],
    /// Whether the next ones begin within seconds.
    ahead: bool,
    from: u64,
    until: u64,
}

impl Windows {
    /// Those at a moment.
    pub fn at(now: Timestamp) -> Self {
        let now = now.millis();
        let around = |period| {
            let earliest = Window::at(period, Timestamp::from_millis(now.saturating_sub(EDGE_MS)));
            let latest = Window::at(period, Timestamp::from_millis(now.saturating_add(EDGE_MS)));
            (earliest, if earliest.number == latest.number { 1 } else { 2 })
        };
        // Days and months begin with hours.
        let hour = Window::at(Period::Hour, Timestamp::from_millis(now));
        let (begin, end) = (hour.begin().millis(), hour.end().millis());
        let steps = [begin, begin + EDGE_MS, end - AHEAD_MS, end - EDGE_MS, end];
        let at = steps.iter().rposition(|step| *step <= now).unwrap_or(0);
        Self {
            earliest: [around(Period::Hour), around(Period::Day), around(Period::Month)],
            ahead: at == 2,
            from: steps[at],
            until: steps.get(at + 1).copied().unwrap_or(end),
        }
    }

    /// Whether they still are the same.
    pub const fn hold(&self, now: Timestamp) -> bool {
        self.from <= now.millis() && now.millis() < self.until
    }

    /// Those of a period: one, and close to an edge two.
    pub fn of(&self, period: Period) -> impl Iterator<Item = Window> + Clone + use<> {
        let (first, count) = self.earliest[period as usize];
        core::iter::once(first).chain((count > 1).then(|| first.next()))
    }

    /// Those of a period that permits are asked for: as above, and the next one where it begins soon.
    pub fn wanted(&self, period: Period) -> impl Iterator<Item = Window> + use<> {
        let (first, count) = self.earliest[period as usize];
        let ahead = self.ahead && first.end().millis() <= self.until + EDGE_MS && count == 1;
        self.of(period).chain(ahead.then(|| first.next()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_those_of_the_calendar() {
        let mut day = 0;
        for month in 0..1200u32 {
            let (year, of_year) = (1970 + month / 12, month % 12);
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let days = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][of_year as usize];
            let window = Window::new(Period::Month, month);
            assert_eq!((window.begin().millis(), window.end().millis()), (day * DAY_MS, (day + days) * DAY_MS));
            for within in [day, day + days - 1] {
                assert_eq!(Window::at(Period::Month, Timestamp::from_millis(within * DAY_MS)).number(), month);
            }
            day += days;
        }
    }

    #[test]
    fn within_a_second_of_an_edge_a_request_may_be_in_either_window() {
        let midnight = 20_000 * DAY_MS;
        let count = |now, period| Windows::at(Timestamp::from_millis(now)).of(period).count();
        for (now, expected) in [(midnight - 1001, 1), (midnight - 1000, 2), (midnight, 2), (midnight + 999, 2), (midnight + 1000, 1)] {
            assert_eq!((count(now, Period::Hour), count(now, Period::Day), count(now, Period::Month)), (expected, expected, 1), "{now}");
        }
        for now in (midnight - 7000..midnight + 3000).step_by(100) {
            let windows = Windows::at(Timestamp::from_millis(now));
            assert!(windows.hold(Timestamp::from_millis(now)));
            // For as long as they say that they hold, they are what they would be anew.
            for later in (windows.from.max(now - 3000)..windows.until.min(now + 3000)).step_by(50) {
                let anew = Windows::at(Timestamp::from_millis(later));
                assert!(anew.of(Period::Day).eq(windows.of(Period::Day)) && anew.wanted(Period::Hour).eq(windows.wanted(Period::Hour)));
            }
            let ahead = windows.wanted(Period::Day).last().unwrap().number() == 20_000;
            assert_eq!(ahead, now >= midnight - AHEAD_MS, "{now}");
        }
    }
}
