//! One holder and its authority, step by step.

use keyward_core::{
    Limits, Timestamp,
    limits::{Account, Answered, Ask, Charge, GiveBack, Granted, Holder, Meter, Pace, Taken},
};
use uuid::Uuid;

/// In the middle of an hour.
const NOW: u64 = 1_767_225_600_000 + 1_800_000;
const ONE: Charge = Charge::request(0);

/// An authority for all meters, and what it has answered.
#[derive(Default)]
struct Authority {
    accounts: [Account; 4],
    questions: Answered<Granted>,
    returns: Answered<bool>,
}

impl Authority {
    fn ask(&mut self, limits: &Limits, ask: &Ask, now: Timestamp) -> Granted {
        let account = &mut self.accounts[ask.meter as usize];
        let give = || account.grant(ask.window, ask.meter.limit(limits), ask.least, ask.wanted).unwrap_or_default();
        self.questions.once(ask.id, now, give).unwrap_or_default()
    }

    fn take_back(&mut self, back: &GiveBack, now: Timestamp) -> Option<bool> {
        let account = &mut self.accounts[back.meter as usize];
        self.returns.once(back.id, now, || account.take_back(back.window, back.amount))
    }

    fn given(&self, meter: Meter) -> u64 {
        self.accounts[meter as usize].slots.iter().map(|slot| slot.1).max().unwrap_or(0)
    }
}

struct Client {
    holder: Holder,
    limits: Limits,
    now: Timestamp,
    ids: u128,
}

impl Client {
    fn new(limits: Limits) -> Self {
        let now = Timestamp::from_millis(NOW);
        Self { holder: Holder::new(&limits, now), limits, now, ids: 0 }
    }

    fn later(&mut self, millis: u64) {
        self.now = Timestamp::from_millis(self.now.millis() + millis);
    }

    fn fresh(ids: &mut u128, now: Timestamp) -> Uuid {
        *ids += 1;
        Uuid::from_u128(u128::from(now.millis()) << 80 | 7 << 76 | 2 << 62 | *ids)
    }

    fn asks(&mut self) -> Vec<Ask> {
        let (mut asks, now, ids) = (Vec::new(), self.now, &mut self.ids);
        self.holder.ask(&Pace::SERVE, now, || Self::fresh(ids, now), |ask| asks.push(ask));
        asks
    }

    fn settle(&mut self, all: bool) -> Vec<GiveBack> {
        let (mut backs, now, ids) = (Vec::new(), self.now, &mut self.ids);
        self.holder.settle(&Pace::SERVE, now, all, || Self::fresh(ids, now), |back| backs.push(back));
        backs
    }

    fn refill(&mut self, authority: &mut Authority) {
        let asks = self.asks();
        for back in self.settle(false) {
            authority.take_back(&back, self.now);
            self.holder.returned(&back);
        }
        for ask in asks {
            let granted = authority.ask(&self.limits, &ask, self.now);
            assert!(self.holder.answer(&ask, granted.amount, granted.left, self.now));
        }
    }

    /// One request, to its end.
    fn request(&mut self, authority: &mut Authority, charge: Charge) -> Result<(), Meter> {
        self.later(10);
        for _ in 0..100 {
            match self.holder.take(&self.limits, charge, self.now) {
                Taken::All { due } => {
                    if due {
                        self.refill(authority);
                    }
                    return Ok(());
                }
                Taken::Refused(meter) => return Err(meter),
                Taken::Later(moment) => self.now = moment,
                Taken::Short => self.refill(authority),
            }
        }
        panic!("it never ends");
    }
}

fn hourly(limit: u64) -> Limits {
    Limits { rate_per_hour: Some(limit), ..Limits::default() }
}

#[test]
fn a_limit_is_exact_and_a_crash_costs_a_block_at_most() {
    for crash_after in [None, Some(1), Some(300), Some(990)] {
        let (mut authority, mut client, mut admitted) = (Authority::default(), Client::new(hourly(1000)), 0);
        let mut lost = 0;
        while client.request(&mut authority, ONE).is_ok() {
            admitted += 1;
            if Some(admitted) == crash_after {
                lost = authority.given(Meter::RatePerHour) - admitted;
                assert!(lost <= 1000 / 8, "{lost}");
                let (now, ids) = (client.now, client.ids);
                client = Client::new(hourly(1000));
                (client.now, client.ids) = (now, ids);
            }
        }
        assert_eq!(admitted, 1000 - lost, "{crash_after:?}");
    }
}

#[test]
fn a_request_that_one_limit_refuses_is_charged_to_none() {
    let limits = Limits { rate_per_hour: Some(20), daily_quota: Some(100), cost_cents: Some(1000), ..Limits::default() };
    let (mut authority, mut client) = (Authority::default(), Client::new(limits));
    for at in 0..60 {
        let expected = if at < 20 { Ok(()) } else { Err(Meter::RatePerHour) };
        assert_eq!(client.request(&mut authority, Charge::request(7)), expected);
    }
    assert_eq!(client.holder.left(Meter::RatePerHour), Some(0));
    assert_eq!(client.holder.left(Meter::DailyQuota), Some(80));
    assert_eq!(client.holder.left(Meter::CostCents), Some(1000 - 140));
    // What is more than all that is left is refused, and what isn't still passes.
    client.limits = Limits { rate_per_hour: None, ..limits };
    assert_eq!(client.request(&mut authority, Charge::request(861)), Err(Meter::CostCents));
    assert_eq!(client.request(&mut authority, Charge::request(860)), Ok(()));
    assert_eq!(client.request(&mut authority, Charge::request(1)), Err(Meter::CostCents));
    assert_eq!(client.request(&mut authority, ONE), Ok(()));
}

#[test]
fn a_question_repeated_gets_the_same_answer_and_an_answer_repeated_counts_once() {
    let (mut authority, mut client) = (Authority::default(), Client::new(hourly(1000)));
    assert_eq!(client.holder.take(&client.limits, ONE, client.now), Taken::Short);
    let [first] = client.asks()[..] else { panic!() };
    let granted = authority.ask(&client.limits, &first, client.now);
    // The answer is lost, and nobody asks twice at the same time.
    assert_eq!(client.asks(), []);
    client.later(600);
    let [again] = client.asks()[..] else { panic!() };
    assert_eq!((again, authority.ask(&client.limits, &again, client.now)), (first, granted));
    assert_eq!(authority.given(Meter::RatePerHour), granted.amount);
    assert!(client.holder.answer(&again, granted.amount, granted.left, client.now));
    assert!(!client.holder.answer(&again, granted.amount, granted.left, client.now));
    for _ in 0..granted.amount {
        assert!(matches!(client.holder.take(&client.limits, ONE, client.now), Taken::All { .. }));
    }
    assert_eq!(client.holder.take(&client.limits, ONE, client.now), Taken::Short);
    // What is too old to be remembered isn't answered anew.
    client.later(200_000);
    assert_eq!(authority.ask(&client.limits, &again, client.now).amount, 0);
}

#[test]
fn idle_permits_go_back_within_five_seconds_once_and_never_after_their_window() {
    let (mut authority, mut client) = (Authority::default(), Client::new(hourly(1000)));
    for _ in 0..500 {
        client.request(&mut authority, ONE).unwrap();
    }
    assert!(authority.given(Meter::RatePerHour) > 500);
    client.later(2500);
    let mut backs = client.settle(false);
    client.later(2500);
    backs.extend(client.settle(false));
    // But for a 256th of the limit, for who comes now and then; and that for no longer than a minute.
    assert_eq!(client.holder.left(Meter::RatePerHour), Some(500));
    client.later(20_000);
    assert!(client.settle(false).is_empty());
    let mut spare = client.holder.clone();
    let taken: Vec<bool> = (0..4).map(|_| matches!(spare.take(&client.limits, ONE, client.now), Taken::All { .. })).collect();
    assert_eq!(taken, [true, true, true, false]);
    client.later(60_000);
    backs.extend(client.settle(false));
    assert!(client.holder.is_empty());
    for back in backs.iter().chain(&backs) {
        assert_eq!(authority.take_back(back, client.now), Some(true));
        client.holder.returned(back);
    }
    assert_eq!(authority.given(Meter::RatePerHour), 500);
    client.request(&mut authority, ONE).unwrap();
    let [back] = client.settle(true)[..] else { panic!() };
    // Two windows later its place is taken.
    authority.accounts[0].grant(back.window + 2, Some(10), 1, 1);
    assert_eq!(authority.take_back(&back, client.now), Some(false));
}

/// What stays of what isn't used, where so many are left: for who comes now and then.
#[test]
fn what_is_kept_for_later_is_little_and_less_towards_the_end() {
    for (pace, limit, left, kept) in [
        (Pace::SPEND, 1000, 900, 1),
        (Pace::SPEND, 100_000, 90_000, 195),
        // A thirty-second part of what is left at the most,
        (Pace::SPEND, 100_000, 640, 20),
        (Pace::SPEND, 100_000, 31, 0),
        // and of a limit of which a 512th is less than one, nothing; but a server stays, and gives it back.
        (Pace::SPEND, 500, 400, 0),
        (Pace::SERVE, 100, 90, 1),
        (Pace::SERVE, 100, 20, 0),
        (Pace { keep_ms: 0, ..Pace::SERVE }, 1000, 900, 0),
    ] {
        let (mut client, mut backs) = (Client::new(hourly(limit)), Vec::new());
        assert_eq!(client.holder.take(&client.limits, ONE, client.now), Taken::Short);
        let [ask] = client.asks()[..] else { panic!() };
        assert!(client.holder.answer(&ask, 300, Some(left), client.now));
        for _ in 0..2 {
            client.later(2500);
            client.holder.settle(&pace, client.now, false, Uuid::nil, |back| backs.push(back.amount));
        }
        assert_eq!(300 - backs.iter().sum::<u64>(), kept, "{limit} with {left} left");
    }
}

#[test]
fn other_limits_void_what_was_given_under_the_old_ones() {
    let (mut authority, mut client) = (Authority::default(), Client::new(hourly(1000)));
    for _ in 0..100 {
        client.request(&mut authority, ONE).unwrap();
    }
    // Given before the change, and answered after it.
    client.later(1000);
    let Taken::All { .. } = client.holder.take(&client.limits, ONE, client.now) else { panic!() };
    client.limits = hourly(105);
    let mut admitted = 101;
    while client.request(&mut authority, ONE).is_ok() {
        admitted += 1;
    }
    assert_eq!(admitted, 105);
    client.limits = hourly(200);
    while client.request(&mut authority, ONE).is_ok() {
        admitted += 1;
    }
    assert_eq!(admitted, 200, "a limit that is raised is asked for at once");
}

#[test]
fn who_calls_once_an_hour_at_the_hours_first_moment_passes_every_time() {
    let limits = Limits { rate_per_hour: Some(1), daily_quota: Some(24), ..Limits::default() };
    let (mut authority, mut client) = (Authority::default(), Client::new(limits));
    for hour in 0..72 {
        client.now = Timestamp::from_millis(NOW + 1_800_000 + 3_600_000 * hour + 290);
        assert_eq!(client.request(&mut authority, ONE), Ok(()), "hour {hour}");
        assert!(client.now.millis() % 3_600_000 <= 1000);
    }
}
