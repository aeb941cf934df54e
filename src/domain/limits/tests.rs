//! What a limit is, when it is exceeded, and what is forgotten.

use proptest::prelude::*;

use super::*;

fn counts(ended: i64, failed: i64) -> Counts {
    Counts { ended, failed, opted_out: 0 }
}

fn at(failed: &str, after: u32) -> Limits {
    Limits { failed: Limit::At(failed.parse().unwrap()), opted_out: Limit::Off, after }
}

#[test]
fn shares_are_read_and_shown() {
    for (text, shown, of_350) in
        [("10%", "10%", 35), ("0.5%", "0.5%", 2), ("100 %", "100%", 350), ("12.25%", "12.25%", 43), ("0%", "0%", 0)]
    {
        let share: Share = text.parse().unwrap();
        assert_eq!((share.to_string().as_str(), share.of(350)), (shown, of_350), "{text}");
        assert_eq!(serde_json::from_str::<Share>(&serde_json::to_string(&share).unwrap()).unwrap(), share);
    }
    for text in ["", "10", "%", "101%", "-1%", "1.234%", "1.%", ".5%", "ten%", "99999999999%", "1,5%"] {
        assert_eq!(text.parse::<Share>(), Err(NotAShare(text.to_owned())));
    }
}

#[test]
fn limits_are_what_was_said_and_the_rest_is_usual() {
    let limits: Limits = toml::from_str("failed = \"off\"\nopted_out = \"2%\"").unwrap();
    assert_eq!(limits, Limits { failed: Limit::Off, opted_out: Limit::At(Share::percent(2)), after: 100 });
    assert!(toml::from_str::<Limits>("delivered = \"2%\"").is_err());
    let kept = serde_json::to_string(&limits).unwrap();
    assert_eq!(kept, r#"{"failed":"off","opted_out":"2%","after":100}"#);
}

#[test]
fn more_than_the_limit_is_too_much_once_enough_have_ended() {
    let watch = Watch::default();
    for (limits, ended, failed, expected) in [
        (at("10%", 100), 100, 12, Some("12 of 100 failed (12 %), more than 10 %")),
        (at("10%", 100), 100, 10, None),
        (at("10%", 100), 99, 99, None),
        (at("30%", 100), 133, 41, Some("41 of 133 failed (30.82 %), more than 30 %")),
        (at("0%", 1), 1_000, 1, Some("1 of 1000 failed (0.1 %), more than 0 %")),
        (at("100%", 1), 5, 5, None),
        (Limits { failed: Limit::Off, ..at("0%", 0) }, 500, 500, None),
    ] {
        let found = limits.judge(counts(ended, failed), watch).map(|excess| excess.to_string());
        assert_eq!(found.as_deref(), expected, "{limits:?}");
    }
    let stops = Limits { opted_out: Limit::At(Share::percent(2)), ..Limits::default() };
    let found = stops.judge(Counts { ended: 100, failed: 30, opted_out: 3 }, watch).unwrap();
    assert_eq!(found.to_string(), "3 of 100 opted out (3 %), more than 2 %");
}

#[test]
fn a_slice_is_judged_however_small_it_is() {
    let limits = at("10%", 100);
    assert_eq!(limits.judge_slice(counts(20, 2)), None);
    assert!(limits.judge_slice(counts(20, 3)).is_some());
    assert_eq!(limits.judge_slice(counts(0, 0)), None, "nothing was sent: nothing speaks against the rest");
}

#[test]
fn what_an_operator_has_seen_counts_no_more() {
    let limits = at("30%", 100);
    let seen = counts(100, 100);
    assert!(limits.judge(seen, Watch::default()).is_some());
    let watch = Watch::anew(seen);
    assert_eq!(limits.judge(seen, watch), None);
    assert_eq!(limits.judge(counts(199, 199), watch), None, "not enough since");
    assert!(limits.judge(counts(200, 131), watch).is_some());
    // Tried again, failures are none any more.
    assert_eq!(limits.judge(counts(100, 0), watch), None);
}

#[test]
fn half_a_million_good_ones_do_not_hide_what_begins_to_fail() {
    let limits = Limits::default();
    let (mut watch, mut now) = (Watch::default(), Counts::default());
    for round in 0.. {
        now.ended += 100;
        // Some fail always; from the middle on, all do.
        now.failed += if now.ended <= 500_000 { 2 } else { 100 };
        if limits.judge(now, watch).is_some() {
            assert!((500_000..502_500).contains(&now.ended), "after {}", now.ended);
            break;
        }
        watch = watch.moved_on(now, &limits);
        assert!(round < 10_000);
    }
}

proptest! {
    /// A share that stays under the limit never pauses, however the marks move.
    #[test]
    fn a_steady_share_under_the_limit_is_let_go(percent in 0i64..30, steps in proptest::collection::vec(1i64..700, 1..200)) {
        let limits = Limits::default();
        let (mut watch, mut ended) = (Watch::default(), 0);
        for step in steps {
            ended += step;
            // Evenly: rounding makes at most one more in any stretch.
            let now = counts(ended, ended * percent / 100);
            prop_assert_eq!(limits.judge(now, watch), None, "{} {:?}", ended, watch);
            watch = watch.moved_on(now, &limits);
        }
    }
}
