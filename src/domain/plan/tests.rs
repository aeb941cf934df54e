//! Forecasts against what can be worked out by hand, and what must hold for all of them.

use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn part(requests: u64, units: u64, rate: &str) -> Part {
    Part {
        whose: Whose::Own,
        channel: 0,
        rate: rate.parse().unwrap(),
        ask: Ask::Bulk,
        requests,
        claimed: 0,
        messages: requests * 100,
        units,
        closed: vec![],
    }
}

fn situation(parts: Vec<Part>) -> Situation {
    Situation { now: NOW, allowance: Allowance::default(), used: vec![], slots: 13, expires_at: None, parts }
}

fn seconds(told: &Forecast) -> f64 {
    told.ends_at.unwrap().since(NOW).as_secs_f64()
}

fn after(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

#[test]
fn the_pace_alone() {
    for (requests, units, rate, expected) in [
        (10, 1_000, "1/s", 999.0),
        (1, 1, "1/s", 0.0),
        (2_000, 200_000, "100/s", 1_999.95),
        (10_000, 1_000_000, "1/s", 999_999.0),
        (2_000_000, 2_000_000, "1000/s", 1_999.95),
    ] {
        let mut situation = situation(vec![part(requests, units, rate)]);
        situation.allowance.limit = u64::MAX;
        let told = forecast(&situation);
        assert!((seconds(&told) - expected).abs() < 0.01, "{units} at {rate}: {told:?}");
        let bound = if expected > 1.0 { Bound::Pace } else { Bound::Nothing };
        assert_eq!((told.bound_by, told.starts_at, told.expiring), (bound, Some(NOW), 0));
        assert_eq!(told.steps, [Step { at: NOW, requests }]);
    }
}

#[test]
fn the_hour_alone() {
    let mut situation = situation(vec![part(60_000, 6_000_000, "1_000_000/s")]);
    let told = forecast(&situation);
    // 28,500 now, as many an hour later, and the rest two hours later; each hour is counted for up to 3,630 s.
    assert_eq!(told.bound_by, Bound::Quota);
    assert_eq!(told.steps.iter().map(|step| step.requests).collect::<Vec<_>>(), [28_500, 28_500, 3_000]);
    assert_eq!(told.steps.first().unwrap().at, NOW);
    assert!((7_200.0..=7_270.0).contains(&seconds(&told)), "{told:?}");
    // What was used before is waited for.
    situation.used = vec![(quota::bucket(NOW) - 180, Usage { total: 28_500, bulk: 28_500 })];
    situation.parts = vec![part(1, 100, "1000/s")];
    let told = forecast(&situation);
    assert!((1_800.0..=1_840.0).contains(&seconds(&told)), "{told:?}");
    assert!(told.spent.quota > Duration::from_secs(1_790) && told.starts_at > Some(after(1_790)), "{told:?}");
    // An automatic message has the reserve.
    situation.parts[0].ask = Ask::Automatic;
    assert_eq!(forecast(&situation).bound_by, Bound::Nothing);
    // Of what has been claimed already nothing more is asked.
    (situation.parts[0].ask, situation.parts[0].claimed) = (Ask::Bulk, 1);
    assert!(seconds(&forecast(&situation)) < 1.0);
}

#[test]
fn the_hour_and_the_pace_together() {
    // 20 requests an hour, each 100 s of the channel: busy for 2,000 s of each hour.
    let mut situation = situation(vec![part(100, 10_000, "1/s")]);
    situation.allowance = Allowance { limit: 20, reserved_percent: 0 };
    let told = forecast(&situation);
    assert_eq!(told.bound_by, Bound::Quota);
    // The last twenty go after four hours.
    assert!((4.0 * 3_600.0 + 1_990.0..=4.0 * 3_640.0 + 2_100.0).contains(&seconds(&told)), "{told:?}");
    assert!(told.spent.quota > told.spent.pace, "{told:?}");
}

#[test]
fn quiet_hours_are_waited_for() {
    let mut early = part(10, 1_000, "10/s");
    early.closed = vec![Closed { from: NOW, until: after(3_600) }];
    let mut both = situation(vec![early.clone(), part(10, 1_000, "10/s")]);
    let told = forecast(&both);
    assert_eq!((told.bound_by, told.starts_at), (Bound::QuietHours, Some(NOW)));
    assert!((seconds(&told) - 3_700.0).abs() < 1.0, "{told:?}");
    assert_eq!(told.steps, [Step { at: NOW, requests: 10 }, Step { at: after(3_600), requests: 10 }]);
    // What is claimed as they begin is sent; the rest goes on in the morning.
    early.closed =
        vec![Closed { from: after(50), until: after(200) }, Closed { from: after(100), until: after(3_600) }];
    both.slots = 1;
    both.parts = vec![early];
    let told = forecast(&both);
    assert!((seconds(&told) - 3_650.0).abs() < 11.0, "{told:?}");
}

#[test]
fn others_go_first() {
    let others = |channel, rate| Part { whose: Whose::Others, channel, ..part(50, 5_000, rate) };
    let same = forecast(&situation(vec![others(0, "10/s"), part(10, 1_000, "10/s")]));
    assert!((seconds(&same) - 600.0).abs() < 1.0 && (same.spent.others.as_secs_f64() - 500.0).abs() < 1.0, "{same:?}");
    // Through another channel they are waited for until a slot is free.
    let other = forecast(&situation(vec![others(1, "10/s"), part(10, 1_000, "10/s")]));
    assert!(other.starts_at > Some(after(300)) && seconds(&other) < 600.0, "{other:?}");
    assert_eq!((same.bound_by, other.bound_by), (Bound::Pace, Bound::Pace));
}

#[test]
fn what_is_too_old_expires() {
    let mut long = situation(vec![part(2_000, 200_000, "1/s")]);
    long.expires_at = Some(after(86_400));
    let told = forecast(&long);
    let sent = 200_000 - told.expiring;
    assert!((86_400..90_000).contains(&sent), "{told:?}");
    assert!((86_400.0..90_000.0).contains(&seconds(&told)), "{told:?}");
}

#[test]
fn without_an_hour_nothing_ever_goes() {
    let mut stopped = situation(vec![part(1, 100, "1/s")]);
    stopped.allowance.limit = 0;
    let told = forecast(&stopped);
    assert_eq!((told.starts_at, told.ends_at, told.bound_by), (None, None, Bound::Quota));
}

#[test]
fn no_work_is_over_now() {
    for parts in [vec![], vec![part(0, 0, "1/s")], vec![Part { whose: Whose::Others, ..part(5, 500, "1/s") }]] {
        let told = forecast(&situation(parts));
        assert_eq!((told.ends_at, told.bound_by, told.spent), (Some(NOW), Bound::Nothing, Spent::default()));
    }
}

fn any_part() -> impl Strategy<Value = Part> {
    let rates = prop::sample::select(vec!["1/s", "7/s", "100/s", "200/min", "1_000_000/s"]);
    let closed = prop::collection::vec((0u64..9_000, 0u64..9_000), 0..3);
    (0u64..300, 0u64..300, rates, prop::bool::weighted(0.3), closed).prop_map(
        |(requests, each, rate, others, closed)| {
            let closed =
                closed.into_iter().map(|(from, length)| Closed { from: after(from), until: after(from + length) });
            let whose = if others { Whose::Others } else { Whose::Own };
            Part { whose, closed: closed.collect(), ..part(requests, requests * each, rate) }
        },
    )
}

proptest! {
    #[test]
    fn no_forecast_is_earlier_than_its_bounds(parts in prop::collection::vec(any_part(), 1..4), limit in 1u64..200, slots in 1usize..20) {
        let rate = parts[0].rate;
        let parts: Vec<Part> = parts.into_iter().map(|part| Part { rate, ..part }).collect();
        let own = || parts.iter().filter(|part| part.whose == Whose::Own);
        let (units, requests): (u64, u64) = (own().map(|part| part.units).sum(), own().map(|part| part.requests).sum());
        let allowance = Allowance { limit, reserved_percent: 0 };
        let told = forecast(&Situation { allowance, slots, ..situation(parts.clone()) });
        let least = (units as f64 - f64::from(pace::burst(rate))) / rate.per_second();
        prop_assert!(seconds(&told) >= least - 0.01, "{told:?}, by its pace alone {least}");
        let windows = requests.saturating_sub(1) / limit;
        prop_assert!(seconds(&told) >= windows as f64 * 3_600.0, "{told:?}, {windows} hours before the last");
        prop_assert!(told.starts_at.is_none_or(|starts| starts >= NOW && Some(starts) <= told.ends_at));
        prop_assert_eq!(told.steps.iter().map(|step| step.requests).sum::<u64>(), requests);
    }

    #[test]
    fn more_work_never_ends_earlier(parts in prop::collection::vec(any_part(), 1..4), limit in 1u64..200, slots in 1usize..20,
                                    which in 0usize..4, requests in 0u64..50, units in 0u64..5_000) {
        let allowance = Allowance { limit, reserved_percent: 5 };
        let parts: Vec<Part> = parts.into_iter().map(|part| Part { closed: vec![], rate: "10/s".parse().unwrap(), ..part }).collect();
        let less = Situation { allowance: Allowance { limit: limit + 2, ..allowance }, slots, ..situation(parts) };
        let mut more = less.clone();
        let which = which % more.parts.len();
        more.parts[which].units += units;
        more.parts.push(Part { rate: "10/s".parse().unwrap(), ..part(requests, 0, "10/s") });
        prop_assert!(forecast(&more).ends_at >= forecast(&less).ends_at);
    }
}
