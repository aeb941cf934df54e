//! What the rules about people count, and how messages are held.

use std::{collections::BTreeMap, time::Duration};

use herald::{
    domain::{
        contact::ChannelType,
        fairness::Priority,
        frequency::{LATE, LOOP, LOOP_CROWD, LOOP_SPAN},
        id::{MessageId, OrgId, RunId},
        message::Status,
        purpose::Purpose,
        rate::Rate,
        reason::{Reason, Why},
        run::{Pinned, RunStatus},
        state::MessageState,
        time::Timestamp,
    },
    store::{
        held::HeldUntil,
        requests::Claimed,
        runs::{NewMessage, NewRun, Repeat},
        settle::{Finish, Word},
    },
};

use crate::bench::{Bench, answer, at, contact, intent, new_messages, new_run, number, seqs, state};

const BULK: Priority = Priority::Bulk;
const SMS: ChannelType = ChannelType::Sms;
const DAY: i64 = 86_400_000;

/// A week's cap.
fn week() -> Rate {
    "3/7day".parse().unwrap()
}

impl Bench {
    /// A run for a purpose on a type of channel, open, to these people.
    async fn run_for(&self, org: &OrgId, pinned: Pinned, people: &[i64], now: Timestamp) -> RunId {
        let new = NewRun { pinned, id: RunId::new(now, rand::random()), ..new_run(BULK) };
        let run = self.store.begin_run(org, &new, now).await.unwrap();
        let messages = people.iter().map(|n| NewMessage { row: 1, contact: contact(*n), repeat: Repeat::First });
        self.store.add_chunk(org, run, 0, &messages.collect::<Vec<_>>(), &[], now).await.unwrap();
        self.store.open_run(org, run, now).await.unwrap();
        run
    }

    /// The first request of a run, as whoever claims it has it. Nothing is claimed.
    async fn first(&self, org: &OrgId, run: RunId) -> Claimed {
        let size = self.run(org, run).await.messages.min(100);
        Claimed {
            org: org.clone(),
            id: herald::domain::id::RequestId { run, number: 1 },
            priority: BULK,
            first_seq: 1,
            size,
            token: 1,
            attempts: 1,
            begun: 0,
            accepted_at: at(0),
            via: String::new(),
            first_sent: None,
        }
    }

    /// How much marketing counts against each message of a run's first request.
    async fn counts(&self, org: &OrgId, run: RunId, now: Timestamp) -> BTreeMap<i64, u64> {
        let request = self.first(org, run).await;
        let seqs: Vec<i64> = seqs(&request).collect();
        self.store.marketing_before(&request, &seqs, (SMS, week()), now).await.unwrap().into_iter().collect()
    }

    /// Writes what became of a run's first message.
    async fn became(&self, org: &OrgId, run: RunId, status: Status, now: Timestamp) {
        let sent_at = matches!(status, Status::Sent | Status::Undelivered).then_some(now);
        let state = MessageState { sent_at, ..state(status, now) };
        self.store.apply_receipts(org, &[(MessageId { run, seq: 1 }, state)]).await.unwrap();
    }
}

fn marketing() -> Pinned {
    Pinned { purpose: Purpose::Marketing, ..new_run(BULK).pinned }
}

/// What it shows; how many days ago it was accepted; what became of it, and how many days ago; how often it counts.
type Told = (&'static str, i64, Option<(Status, i64)>, u64);

pub async fn marketing_counts_what_was_handed_over_or_came_before(bench: Bench) {
    let org = bench.acme().await;
    let now = at(30 * DAY);
    let ago = |days: i64| at((30 - days) * DAY);
    // Each of these is a run to one person, who is asked about below: when it was accepted, what became of it, and when.
    let table: &[Told] = &[
        ("sent within the week", 2, Some((Status::Sent, 2)), 1),
        ("accepted before it, sent within it", 9, Some((Status::Sent, 6)), 1),
        ("sent before it", 8, Some((Status::Sent, 8)), 0),
        ("sent, and not delivered", 2, Some((Status::Undelivered, 2)), 1),
        ("perhaps sent", 2, Some((Status::Uncertain, 2)), 1),
        ("refused", 2, Some((Status::Failed, 2)), 0),
        ("suppressed", 2, Some((Status::Suppressed, 2)), 0),
        ("expired", 2, Some((Status::Expired, 2)), 0),
        ("cancelled", 2, Some((Status::Cancelled, 2)), 0),
        ("waiting for another try", 2, Some((Status::Queued, 2)), 1),
        ("waiting", 2, None, 1),
        ("accepted so long ago that nobody looks", 8 + i64::try_from(LATE.as_millis()).unwrap() / DAY, None, 0),
    ];
    for (person, (_, accepted, became, _)) in (1..).zip(table) {
        let run = bench.run_for(&org, marketing(), &[person], ago(*accepted)).await;
        if let Some((status, when)) = became {
            bench.became(&org, run, *status, ago(*when)).await;
        }
    }
    let people: Vec<i64> = (1..=table.len() as i64).collect();
    let asked = bench.run_for(&org, marketing(), &people, now).await;
    let counted = bench.counts(&org, asked, now).await;
    for (seq, (what, .., expected)) in (1..).zip(table) {
        assert_eq!(counted.get(&seq).copied().unwrap_or(0), *expected, "{what}");
    }

    // Of two that wait, the later one counts the earlier one; once that is sent, so does the earlier one the later one.
    let later = bench.run_for(&org, marketing(), &people, at(30 * DAY + 1)).await;
    assert_eq!(bench.counts(&org, asked, now).await, counted, "those that came later wait still");
    let with_asked = bench.counts(&org, later, now).await;
    assert_eq!(with_asked.len(), people.len());
    assert!(people.iter().all(|seq| with_asked[seq] == counted.get(seq).copied().unwrap_or(0) + 1), "{with_asked:?}");
    bench.became(&org, later, Status::Sent, now).await;
    assert_eq!(bench.counts(&org, asked, now).await[&1], counted[&1] + 1);

    // What is no marketing, or goes out on another type of channel, or of another organization, or came to nothing.
    let none = bench.run_for(&org, marketing(), &[500], now).await;
    let other = bench.organization("globex", 1, 0).await;
    bench.run_for(&other, marketing(), &[500], ago(1)).await;
    bench.run_for(&org, new_run(BULK).pinned, &[500], ago(1)).await;
    let whatsapp = Pinned { channel_type: ChannelType::WhatsApp, ..marketing() };
    bench.run_for(&org, whatsapp, &[500], ago(1)).await;
    let cancelled = bench.run_for(&org, marketing(), &[500], ago(1)).await;
    bench.cancel(&org, cancelled, now).await;
    let repeated = NewMessage { repeat: Repeat::Again, ..new_messages(500, 1).remove(0) };
    let run = bench.store.begin_run(&org, &NewRun { pinned: marketing(), ..new_run(BULK) }, ago(1)).await.unwrap();
    bench.store.add_chunk(&org, run, 0, &[repeated], &[], ago(1)).await.unwrap();
    assert_eq!(bench.counts(&org, none, now).await, BTreeMap::new());
}

/// Several workers judge at once; what the rule lets go is handed over some time after. Never more than the cap.
pub async fn a_cap_holds_whoever_is_first(bench: Bench) {
    let org = bench.acme().await;
    let mut runs = Vec::new();
    for nth in 0..6 {
        runs.push(bench.run_for(&org, marketing(), &[7], at(nth / 2)).await);
    }
    let now = at(1_000);
    let mut dice = crate::bench::Dice(7);
    for _ in 0..20 {
        let (mut open, mut judged, mut sent) = (runs.clone(), Vec::new(), 0);
        while !open.is_empty() || !judged.is_empty() {
            if !open.is_empty() && (judged.is_empty() || dice.roll(2) == 0) {
                let next = usize::try_from(dice.roll(open.len() as u64)).unwrap();
                let run = open.swap_remove(next);
                let had = bench.counts(&org, run, now).await.get(&1).copied().unwrap_or(0);
                judged.push((run, if had < week().count { Status::Sent } else { Status::Suppressed }));
            } else {
                let (run, status) = judged.swap_remove(0);
                sent += i32::from(status == Status::Sent);
                bench.became(&org, run, status, now).await;
            }
        }
        assert!((1..=3).contains(&sent), "{sent}");
        bench.ask("DELETE FROM message_states").await;
        bench.ask("DELETE FROM tallies").await;
    }
}

pub async fn a_crowd_is_found_by_acceptance(bench: Bench) {
    let org = bench.acme().await;
    let span = i64::try_from(LOOP_SPAN.as_millis()).unwrap();
    let loops = LOOP as i64;
    // Person 1 has had nineteen within the hour, person 2 twenty; of person 3's twenty the first is too old.
    for (person, count, oldest) in [(1, loops - 1, span - 1), (2, loops, span - 1), (3, loops, span)] {
        for nth in 0..count {
            let accepted = at(span - if nth == 0 { oldest } else { 10 });
            bench.run_for(&org, new_run(BULK).pinned, &[person], accepted).await;
        }
    }
    let run = bench.run_for(&org, new_run(BULK).pinned, &[1, 2, 3, 4], at(span)).await;
    let request = bench.first(&org, run).await;
    let crowds = bench.store.crowds(&request, SMS).await.unwrap();
    assert!(crowds.iter().all(|one| one.to == number(2) && one.slugs.contains("person 2")), "{crowds:?}");
    assert_eq!(crowds.len(), LOOP + 1, "the request's own as well");
    assert!(crowds.iter().any(|one| one.id == MessageId { run, seq: 2 } && one.accepted_at == at(span)));
    assert!(bench.store.crowds(&request, ChannelType::WhatsApp).await.unwrap().is_empty());

    // All at once in one request: each has those before it.
    let people = [5; 25];
    let run = bench.run_for(&org, new_run(BULK).pinned, &people, at(span)).await;
    let crowds = bench.store.crowds(&bench.first(&org, run).await, SMS).await.unwrap();
    assert_eq!(crowds.len(), 25);

    // However many there are, no more than so many are looked at.
    for _ in 0..3 {
        bench.run_for(&org, new_run(BULK).pinned, &[6; 90], at(span - 5)).await;
    }
    for nth in 0..LOOP_CROWD as i64 - 10 {
        bench.run_for(&org, new_run(BULK).pinned, &[6], at(span + nth)).await;
    }
    let run = bench.run_for(&org, new_run(BULK).pinned, &[6], at(span + 1_000)).await;
    let crowds = bench.store.crowds(&bench.first(&org, run).await, SMS).await.unwrap();
    assert!((LOOP_CROWD..LOOP_CROWD + 270).contains(&crowds.len()), "{}", crowds.len());
}

fn held(seq: i64, until: Timestamp, request: &Claimed) -> (i64, MessageState) {
    let why = Why::detailed(Reason::QuietHours, "quiet hours");
    let state = MessageState { held_until: Some(until), ..MessageState::new(Status::Queued, Some(why), at(0)) };
    (seq, MessageState { token: request.token, ..state })
}

pub async fn what_is_held_waits_and_is_no_try(bench: Bench) {
    let org = bench.organization("acme", 2, 0).await;
    let run = bench.open(&org, BULK, 3).await;
    let (morning, noon) = (at(40_000), at(80_000));
    let used = async |now| bench.store.usage(&org, now).await.unwrap().iter().map(|(_, used)| used.total).sum::<u64>();

    // All of it is held: nothing was dispatched.
    let request = bench.claim(&org, BULK, 9, at(0)).await.remove(0);
    let states = vec![held(1, morning, &request), held(2, morning, &request), held(3, noon, &request)];
    let finish = Some(Finish::PutOff { until: morning, claimed_at: at(0) });
    bench.say(&request, &Word { states, finish, intent: None }, at(1)).await;
    assert_eq!((used(at(1)).await, bench.run(&org, run).await.dispatched), (0, 0));
    assert_eq!(bench.store.held_until(&org, run).await.unwrap(), Some(HeldUntil { first: morning, last: noon }));
    assert_eq!(bench.store.sums(&org, run).await.unwrap().buckets(), [("held", 3)]);
    assert_eq!(bench.message(run, 3, &org).await.held_until, Some(noon));
    bench.adds_up(&org, run).await;
    let before = Timestamp::from_millis(morning.millis() - 1);
    assert!(bench.claim(&org, BULK, 9, at(10)).await.is_empty(), "the lane is put to rest");
    assert!(!bench.due(before).await.iter().any(|(_, lane)| *lane == "bulk"), "until the morning");
    assert!(bench.due(morning).await.contains(&("acme".to_owned(), "bulk")));

    // Some go, some wait on: what was handed over is counted against the hour, and is no try all the same.
    let request = bench.claim(&org, BULK, 9, morning).await.remove(0);
    assert_eq!((request.token, request.attempts), (2, 1));
    assert_eq!(bench.say(&request, &intent(2), morning).await, herald::store::settle::Fence::Held(RunStatus::Running));
    let sent = [1, 2].map(|seq| answer(&request, seq, Status::Sent, morning));
    let states = sent.into_iter().chain([held(3, noon, &request)]).collect();
    bench.say(&request, &Word { states, finish: Some(Finish::Hold { until: noon }), intent: None }, morning).await;
    assert_eq!((used(morning).await, bench.run(&org, run).await.dispatched), (1, 1));
    assert_eq!(bench.store.sums(&org, run).await.unwrap().buckets(), [("sent", 2), ("held", 1)]);
    assert_eq!(bench.message(run, 1, &org).await.held_until, None);
    assert_eq!(bench.store.held_until(&org, run).await.unwrap(), Some(HeldUntil { first: noon, last: noon }));
    bench.adds_up(&org, run).await;

    // Stopped and resumed, it waits on; a lane that is woken finds nothing before its time.
    assert!(bench.store.stop_run(&org, run, "paused", "").await.unwrap());
    assert!(bench.store.resume_run(&org, run, at(50_000)).await.unwrap());
    assert!(bench.claim(&org, BULK, 9, at(50_000)).await.is_empty());
    let request = bench.claim(&org, BULK, 9, noon).await.remove(0);
    assert_eq!((request.attempts, request.begun), (1, 0));
    let word = Word {
        states: vec![answer(&request, 3, Status::Sent, noon)],
        finish: Some(Finish::Done { poll_at: None }),
        ..intent(3)
    };
    bench.say(&request, &word, noon).await;
    assert_eq!((bench.status(&org, run).await, used(noon).await), (RunStatus::Completed, 2));
    assert_eq!(bench.store.held_until(&org, run).await.unwrap(), None);
    bench.adds_up(&org, run).await;
}

pub async fn what_is_held_can_be_cancelled(bench: Bench) {
    let org = bench.acme().await;
    let run = bench.open(&org, BULK, 2).await;
    let request = bench.claim(&org, BULK, 9, at(0)).await.remove(0);
    let night = at(Duration::from_hours(9).as_millis() as i64);
    let states = vec![answer(&request, 1, Status::Sent, at(0)), held(2, night, &request)];
    bench.say(&request, &Word { states, finish: Some(Finish::Hold { until: night }), ..intent(1) }, at(0)).await;
    bench.cancel(&org, run, at(5)).await;
    assert_eq!(bench.status(&org, run).await, RunStatus::Cancelled);
    assert_eq!(bench.store.sums(&org, run).await.unwrap().buckets(), [("sent", 1), ("cancelled", 1)]);
    assert_eq!(bench.store.held_until(&org, run).await.unwrap(), None);
    bench.adds_up(&org, run).await;
}
