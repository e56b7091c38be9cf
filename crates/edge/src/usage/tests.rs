use super::*;
use keyward_core::Reason;

const HOUR: u64 = 3_600_000;

fn sealed(tally: &mut Tally, now: Timestamp) -> Vec<UsageBatch> {
    seal(tally, now);
    tally.sealed.iter().map(|batch| serde_json::from_str(&batch.body).unwrap()).collect()
}

fn seal(tally: &mut Tally, now: Timestamp) {
    let routes = RouteTable::parse("POST /v1/chat/** -> llm:chat\n/v1/me -> authenticated").unwrap();
    let mut ids = 0;
    tally.seal(&routes, now, || {
        ids += 1;
        Uuid::from_u128(ids)
    });
}

#[test]
fn requests_are_counted_by_what_became_of_them_and_when_they_came() {
    let at = |millis| Timestamp::from_millis(7 * HOUR + millis);
    let mut tally = Tally::default();
    let key = KeyId(Uuid::from_u128(1));
    let seen = Seen { key: Some(key), route: Some(0), address: Some(IpAddr::from([192, 0, 2, 1])), ..Seen::default() };
    let tickets =
        [0, 1, 2].map(|n| tally.passed(seen, (10, Cost { cents: 7, lender: Some(Uuid::from_u128(9)).filter(|_| n != 2) }), at(n)));
    assert!(tally.is_reported() && !tally.is_due(at(3)), "nothing has come of them yet");
    let excess = Some(Excess { key, cents: 5, charged: at(0), lender: Uuid::from_u128(9) });
    assert_eq!(tally.answered(tickets[0], 200, (1000, Some(2)), at(5)), excess);
    assert_eq!(tally.answered(tickets[0], 200, (1000, Some(2)), at(6)), None);
    assert_eq!(tally.answered(tickets[1], 0, (0, None), at(3000)), None);
    let dear = tally.passed(seen, (0, Cost { cents: 7, lender: Some(Uuid::from_u128(9)) }), at(4));
    let unlimited = tally.passed(seen, (0, Cost { cents: 7, lender: None }), at(4));
    for ticket in [dear, unlimited] {
        assert_eq!(tally.answered(ticket, 200, (0, Some(12)), at(4)), None);
    }
    tally.refused(seen, Reason::Revoked, at(HOUR));
    tally.refused(Seen::default(), Reason::Malformed, at(9));
    assert!(tally.is_due(at(9)));

    let [batch] = &sealed(&mut tally, at(9))[..] else { panic!() };
    let told = |entry: &UsageEntry| (entry.outcome.clone(), entry.endpoint.clone(), entry.hour, entry.status, entry.requests);
    let (chat, none) = ("POST /v1/chat/**".to_owned(), String::new());
    assert_eq!(
        batch.entries.iter().map(told).collect::<Vec<_>>(),
        [
            ("malformed".into(), none, 7, 4, 1),
            ("passed".into(), chat.clone(), 7, 2, 3),
            ("upstream_unavailable".into(), chat.clone(), 7, 5, 1),
            ("key_revoked".into(), chat.clone(), 8, 4, 1),
        ]
    );
    let passed = &batch.entries[1];
    assert_eq!((passed.bytes_in, passed.bytes_out, passed.latency[latency_bucket(5)], passed.key), (10, 1000, 1, Some(key)));
    assert_eq!(batch.entries.iter().map(|entry| entry.cost).collect::<Vec<_>>(), [0, 26, 7, 0]);
    // What was charged and has cost more is owed; what was never charged isn't.
    assert_eq!(batch.debts, [UsageDebt { key, cents: 5 }]);
    assert_eq!(batch.callers.iter().map(|caller| caller.requests).sum::<u64>(), 5);

    // The one whose client has left counts in the end, and its answer, should it come, doesn't count again.
    tally.sent(&Uuid::from_u128(1).to_string());
    let [batch] = &sealed(&mut tally, at(200_000))[..] else { panic!() };
    assert_eq!(batch.entries.iter().map(told).collect::<Vec<_>>(), [("passed".into(), chat, 7, 0, 1)]);
    assert_eq!(tally.answered(tickets[2], 200, (0, Some(1)), at(200_001)), None);
    tally.sent(&Uuid::from_u128(1).to_string());
    assert!(tally.is_reported());
}

#[test]
fn what_a_key_claims_is_never_more_than_the_origin_takes() {
    let now = Timestamp::from_millis(HOUR);
    let mut tally = Tally::default();
    let seen = Seen { key: Some(KeyId(Uuid::from_u128(1))), ..Seen::default() };
    let lender = Some(Uuid::from_u128(9));
    for _ in 0..20_000 {
        let ticket = tally.passed(seen, (u64::MAX, Cost { cents: 0, lender }), now);
        tally.answered(ticket, 200, (u64::MAX, Some(u64::MAX)), now);
    }
    // Of a body that nobody answered to it isn't known whether it came.
    for late in [0, PENDING_MS + 1] {
        let ticket = tally.passed(Seen::default(), (u64::MAX, Cost::default()), Timestamp::from_millis(HOUR - late));
        if late == 0 {
            tally.answered(ticket, 0, (0, None), now);
        }
    }
    let [batch] = &sealed(&mut tally, now)[..] else { panic!() };
    let sums: Vec<_> = batch.entries.iter().map(|entry| (entry.bytes_in, entry.bytes_out, entry.cost)).collect();
    assert_eq!(sums, [(0, 0, 0), (0, 0, 0), (MAX_AMOUNT, MAX_AMOUNT, MAX_AMOUNT)]);
    assert_eq!(batch.debts, [UsageDebt { key: KeyId(Uuid::from_u128(1)), cents: MAX_AMOUNT }]);
}

#[test]
fn a_sealed_batch_stays_as_it_is_and_what_does_not_fit_is_counted_as_lost() {
    let now = Timestamp::from_millis(HOUR);
    let mut tally = Tally::default();
    for n in 0..MOST_LINES as u128 + 7 {
        tally.refused(Seen { key: Some(KeyId(Uuid::from_u128(n))), ..Seen::default() }, Reason::Revoked, now);
    }
    assert_eq!(tally.lost(), 7);
    let first = sealed(&mut tally, now);
    assert_eq!(first.len(), MOST_LINES / BATCH);
    assert_eq!(sealed(&mut tally, now), first);
    for round in 0..200 {
        tally.refused(Seen::default(), Reason::Revoked, Timestamp::from_millis(round * HOUR));
        seal(&mut tally, now);
    }
    assert_eq!((tally.sealed.len(), tally.lost()), (MOST_SEALED, 7 + 200 - (MOST_SEALED - first.len()) as u64));
    tally.reports(Timestamp::from_millis(HOUR + 5));
    assert!(!tally.is_due(Timestamp::from_millis(HOUR + 4)) && tally.is_due(Timestamp::from_millis(HOUR + 5)));
}

#[test]
fn where_too_many_are_under_way_those_beyond_are_counted_and_their_answers_are_said_to_be_lost() {
    let at = Timestamp::from_millis(7 * HOUR);
    let mut tally = Tally::default();
    let seen = Seen { key: Some(KeyId(Uuid::from_u128(1))), ..Seen::default() };
    let cost = Cost { cents: 7, lender: Some(Uuid::from_u128(9)) };
    let tickets: Vec<_> = (0..MOST_PENDING + 2).map(|_| tally.passed(seen, (0, cost), at)).collect();
    assert_eq!((tally.lost(), tally.unreported()), (2, 2));
    for ticket in tickets {
        tally.answered(ticket, 200, (0, Some(8)), at);
    }
    let batches = sealed(&mut tally, at);
    let requests: u64 = batches.iter().flat_map(|batch| &batch.entries).map(|entry| entry.requests).sum();
    let owed: u64 = batches.iter().flat_map(|batch| &batch.debts).map(|debt| debt.cents).sum();
    assert_eq!((requests, owed), (MOST_PENDING as u64 + 2, MOST_PENDING as u64));
}
