//! First slices and limits: what is held back, what releases it, what pauses a run; each decided once.

use std::time::Duration;

use herald::{
    domain::{
        canary::{CanarySize, CanaryState, Guard},
        contact::ChannelType,
        fairness::Priority,
        id::{ConversationId, ReplyId},
        id::{MessageId, OrgId, RunId},
        limits::{Limit, Limits, Share},
        message::Status,
        run::{Pinned, RunStatus},
        time::Span,
    },
    store::{
        callbacks::Effects,
        canary::Decided,
        consents::{Consent, ConsentChange},
        replies::NewReply,
        requests::Claimed,
        runs::NewRun,
        settle::{Fence, Finish, Word},
    },
};

use crate::bench::{Bench, Dice, LEASE, answer, at, intent, new_messages, new_run, patiently, seqs, state};

const BULK: Priority = Priority::Bulk;
/// How long a slice waits here, in milliseconds.
const WAIT: i64 = 600_000;

/// At most ten percent may fail; a share means something from a hundred on.
fn strict() -> Limits {
    Limits { failed: Limit::At(Share::percent(10)), opted_out: Limit::At(Share::percent(2)), after: 100 }
}

fn guarded(guard: Guard) -> NewRun {
    let new = new_run(BULK);
    NewRun { pinned: Pinned { guard, ..new.pinned.clone() }, ..new }
}

fn canary(size: u32) -> Guard {
    let wait = Duration::from_millis(WAIT.unsigned_abs());
    Guard { canary: Some(CanarySize::Messages(size)), canary_wait: Some(Span(wait)), limits: strict() }
}

impl Bench {
    async fn open_guarded(&self, org: &OrgId, guard: Guard, messages: i64) -> RunId {
        let run = self.store.begin_run(org, &guarded(guard), at(0)).await.unwrap();
        self.store.add_chunk(org, run, 0, &new_messages(1, messages), &[], at(0)).await.unwrap();
        self.store.open_run(org, run, at(0)).await.unwrap();
        run
    }

    /// Ends a request, the first `failed` of its messages badly.
    async fn end(&self, request: &Claimed, failed: i64, now: i64) -> Fence {
        let status = |seq: i64| if seq < request.first_seq + failed { Status::Failed } else { Status::Sent };
        let states = seqs(request).map(|seq| answer(request, seq, status(seq), at(now))).collect();
        let finish = Some(Finish::Done { poll_at: None });
        self.say(request, &Word { intent: None, states, finish }, at(now)).await
    }

    async fn canary_of(&self, org: &OrgId, run: RunId) -> (CanaryState, i64) {
        let canary = self.run(org, run).await.canary.unwrap();
        (canary.state, canary.messages)
    }

    async fn look(&self, org: &OrgId, now: i64) -> Vec<(RunId, Decided)> {
        self.store.look_at_canaries(org, at(now)).await.unwrap()
    }

    /// The sizes of a run's requests that may be claimed, and of those held back.
    async fn sizes(&self, run: RunId) -> [Vec<String>; 2] {
        let sizes = async |state: &str| {
            let sql = format!(
                "SELECT CAST(size AS TEXT) FROM requests WHERE run_id = '{run}' AND state = '{state}' ORDER BY first_seq"
            );
            self.ask(&sql).await.into_iter().flatten().collect()
        };
        [sizes("ready").await, sizes("importing").await]
    }
}

pub async fn only_the_first_slice_is_released(bench: Bench) {
    let org = bench.acme().await;
    let share = |percent| Guard { canary: Some(CanarySize::Share(Share::percent(percent))), ..Guard::none() };
    for (guard, messages, ready, held) in [
        (canary(20), 250, vec!["20"], vec!["80", "100", "50"]),
        (canary(100), 250, vec!["100"], vec!["100", "50"]),
        (canary(150), 250, vec!["100", "50"], vec!["50", "50"]),
        (canary(249), 250, vec!["100", "100", "49"], vec!["1"]),
        (canary(250), 250, vec!["100", "100", "50"], vec![]),
        (share(1), 1_050, vec!["11"], vec!["89", "100", "100", "100", "100", "100", "100", "100", "100", "100", "50"]),
        (Guard::none(), 250, vec!["100", "100", "50"], vec![]),
    ] {
        let run = bench.open_guarded(&org, guard, messages).await;
        assert_eq!(bench.sizes(run).await, [ready.clone(), held.clone()], "{guard:?} of {messages}");
        let found = bench.run(&org, run).await;
        assert_eq!(usize::try_from(found.requests), Ok(ready.len() + held.len()));
        assert_eq!(found.canary.is_some(), !held.is_empty());
        bench.adds_up(&org, run).await;
        let mut all = bench.claim(&org, BULK, 99, at(1)).await;
        assert_eq!(all.len(), ready.len(), "nothing of what is held back is claimed");
        all.sort_by_key(|request| request.first_seq);
        assert_eq!(
            all.iter().flat_map(seqs).collect::<Vec<_>>(),
            (1..=all.iter().map(|r| r.size).sum()).collect::<Vec<_>>()
        );
        bench.cancel(&org, run, at(2)).await;
        assert_eq!(bench.store.sums(&org, run).await.unwrap().of(Status::Cancelled), messages);
        assert_eq!(bench.status(&org, run).await, RunStatus::Cancelled, "cancelled with all that was held back");
        bench.adds_up(&org, run).await;
    }
}

pub async fn a_good_slice_releases_the_rest_once_it_was_waited_for(bench: Bench) {
    let org = bench.acme().await;
    let run = bench.open_guarded(&org, canary(100), 300).await;
    assert_eq!(bench.due(at(0)).await, [("acme".to_owned(), "bulk"), ("acme".to_owned(), "upkeep")]);
    let request = bench.claim(&org, BULK, 9, at(0)).await.remove(0);
    bench.say(&request, &intent(100), at(10)).await;
    assert_eq!(bench.look(&org, 20).await, []);
    assert_eq!(bench.canary_of(&org, run).await, (CanaryState::Sending, 100));
    bench.end(&request, 10, 5_000).await;
    assert_eq!(bench.look(&org, 5_500).await, []);
    let canary = bench.run(&org, run).await.canary.unwrap();
    assert_eq!((canary.state, canary.decided_at), (CanaryState::Waiting, Some(at(5_000 + WAIT))));
    assert_eq!(bench.look(&org, 5_000 + WAIT - 1).await, [], "receipts may still come");
    assert_eq!(bench.claim(&org, BULK, 9, at(5_000 + WAIT - 1)).await.len(), 0);
    let racing = [0; 4].map(|_| {
        let (bench, org) = (bench.clone(), org.clone());
        tokio::spawn(async move { patiently(|| bench.store.look_at_canaries(&org, at(5_000 + WAIT))).await })
    });
    let mut decided = Vec::new();
    for looked in racing {
        decided.extend(looked.await.unwrap());
    }
    assert_eq!(decided, [(run, Decided::Released)], "by one of several workers");
    assert_eq!(bench.canary_of(&org, run).await, (CanaryState::Passed, 100));
    for request in bench.claim(&org, BULK, 9, at(6_000 + WAIT)).await {
        bench.send(&request, at(6_000 + WAIT)).await;
    }
    assert_eq!(bench.status(&org, run).await, RunStatus::Completed);
    bench.adds_up(&org, run).await;
    assert_eq!(bench.look(&org, 99 * WAIT).await, []);
}

pub async fn a_bad_slice_pauses_and_an_operator_decides(bench: Bench) {
    let org = bench.acme().await;
    // Smaller than what a running run is judged from.
    let run = bench.open_guarded(&org, canary(50), 300).await;
    let request = bench.claim(&org, BULK, 9, at(0)).await.remove(0);
    bench.end(&request, 3, 10).await;
    assert_eq!(bench.look(&org, 20).await, []);
    // Receipts come while it is waited for.
    let failed = |seq| (MessageId { run, seq }, state(Status::Undelivered, at(30)));
    bench.store.apply_receipts(&org, &[failed(50), failed(49), failed(48)]).await.unwrap();
    assert_eq!(bench.status(&org, run).await, RunStatus::Running, "fifty are too few to stop a run that goes");
    let decided = bench.look(&org, 10 + WAIT).await;
    let why = "canary: 6 of 50 failed (12 %), more than 10 % (mostly invalid_number, not_delivered): nothing more is sent until the run is resumed";
    assert_eq!(decided, [(run, Decided::Paused(why.to_owned()))]);
    let found = bench.run(&org, run).await;
    assert_eq!((found.status, found.why.as_str()), (RunStatus::Paused, why));
    assert_eq!(bench.canary_of(&org, run).await, (CanaryState::Over, 50));
    assert_eq!(bench.claim(&org, BULK, 9, at(20 + WAIT)).await.len(), 0);
    assert!(bench.store.resume_run(&org, run, at(30 + WAIT)).await.unwrap());
    assert_eq!(bench.canary_of(&org, run).await, (CanaryState::Released, 50));
    assert_eq!(bench.look(&org, 99 * WAIT).await, [], "it is not decided again");
    let rest = bench.claim(&org, BULK, 9, at(40 + WAIT)).await;
    assert_eq!(rest.iter().map(|request| request.size).sum::<i64>(), 250);
    for request in rest {
        bench.send(&request, at(50 + WAIT)).await;
    }
    assert_eq!(bench.status(&org, run).await, RunStatus::Completed);
    bench.adds_up(&org, run).await;
}

pub async fn pausing_by_hand_neither_releases_nor_forgets_a_slice(bench: Bench) {
    let org = bench.acme().await;
    let run = bench.open_guarded(&org, canary(40), 300).await;
    bench.store.stop_run(&org, run, "paused", "").await.unwrap();
    assert_eq!(bench.look(&org, 50).await, []);
    assert!(bench.store.resume_run(&org, run, at(60)).await.unwrap());
    assert_eq!(bench.sizes(run).await[0], ["40"], "the rest is still held back");
    let request = bench.claim(&org, BULK, 9, at(70)).await.remove(0);
    bench.send(&request, at(80)).await;
    bench.store.stop_run(&org, run, "paused", "").await.unwrap();
    assert_eq!(bench.look(&org, 2 * WAIT).await, [], "nobody decides on a run that is stopped");
    bench.store.tidy(&org, Duration::from_secs(60), "", crate::canary::today(), at(2 * WAIT)).await.unwrap();
    assert!(!bench.due(at(3 * WAIT)).await.contains(&("acme".to_owned(), "upkeep")), "nor looks for it");
    assert!(bench.store.resume_run(&org, run, at(3 * WAIT)).await.unwrap());
    assert!(bench.due(at(3 * WAIT)).await.contains(&("acme".to_owned(), "upkeep")));
    assert_eq!(bench.look(&org, 3 * WAIT).await, [(run, Decided::Released)], "receipts were waited for meanwhile");
    assert_eq!(bench.canary_of(&org, run).await.0, CanaryState::Passed);
    bench.cancel(&org, run, at(4 * WAIT)).await;
    assert_eq!(bench.store.sums(&org, run).await.unwrap().buckets(), [("sent", 40), ("cancelled", 260)]);
    bench.adds_up(&org, run).await;
}

pub(crate) fn today() -> herald::store::imports::Day {
    herald::store::imports::Day { began: at(0), ends: at(1_000_000_000) }
}

pub async fn a_run_that_was_cancelled_in_its_slice_ends_without_its_operator(bench: Bench) {
    let org = bench.acme().await;
    let run = bench.open_guarded(&org, canary(40), 300).await;
    let in_flight = bench.claim(&org, BULK, 9, at(0)).await.remove(0);
    bench.say(&in_flight, &intent(10), at(1)).await;
    assert!(bench.store.begin_cancel(&org, run).await.unwrap());
    // Whoever ordered it has vanished: what was held back is claimed like the rest, by whoever cancels it.
    let left = bench.claim(&org, BULK, 9, at(2)).await;
    assert_eq!(left.iter().map(|request| request.size).sum::<i64>(), 260);
    assert_eq!(bench.look(&org, 9 * WAIT).await, []);
    for request in left.iter().chain([&in_flight]) {
        let states = seqs(request).map(|seq| answer(request, seq, Status::Cancelled, at(3))).collect();
        bench.say(request, &Word { intent: None, states, finish: Some(Finish::Done { poll_at: None }) }, at(3)).await;
    }
    assert_eq!(bench.status(&org, run).await, RunStatus::Cancelled);
    bench.adds_up(&org, run).await;
}

pub async fn a_run_that_fails_in_bulk_is_paused_in_the_same_breath(bench: Bench) {
    let org = bench.acme().await;
    let run = bench.open_guarded(&org, Guard { limits: strict(), ..Guard::default() }, 1_000).await;
    let held = bench.claim(&org, BULK, 4, at(0)).await;
    bench.say(&held[3], &intent(10), at(1)).await;
    bench.end(&held[0], 10, 2).await;
    assert_eq!(bench.status(&org, run).await, RunStatus::Running, "ten percent are not more than ten percent");
    bench.end(&held[1], 11, 3).await;
    let found = bench.run(&org, run).await;
    let why = "21 of 200 failed (10.5 %), more than 10 % (mostly invalid_number): nothing more is sent until the run is resumed";
    assert_eq!((found.status, found.why.as_str()), (RunStatus::Paused, why));
    assert_eq!(bench.claim(&org, BULK, 9, at(4)).await.len(), 0);
    assert_eq!(
        bench.say(&held[2], &intent(10), at(5)).await,
        Fence::Held(RunStatus::Paused),
        "who is in flight is told"
    );
    bench.end(&held[3], 100, 6).await;
    assert_eq!(bench.status(&org, run).await, RunStatus::Paused);
    assert!(bench.store.resume_run(&org, run, at(7)).await.unwrap());
    // What has failed so far does not pause it again; what fails from now on does.
    bench.end(&held[2], 1, 8).await;
    let next = bench.claim(&org, BULK, 2, at(9)).await;
    assert_eq!(next.len(), 2);
    bench.end(&next[0], 10, 10).await;
    assert_eq!(bench.status(&org, run).await, RunStatus::Running);
    bench.end(&next[1], 50, 11).await;
    let found = bench.run(&org, run).await;
    assert_eq!(found.status, RunStatus::Paused);
    assert!(found.why.starts_with("61 of 300 failed (20.33 %)"), "{}", found.why);
    // Nor do those that are tried again.
    let retried = bench.store.retry_failed(&org, run, at(12)).await.unwrap();
    assert_eq!(retried, 10 + 11 + 100 + 61);
    assert_eq!(bench.status(&org, run).await, RunStatus::Paused, "a run that is stopped stays so");
    assert!(bench.store.resume_run(&org, run, at(13)).await.unwrap());
    for request in bench.claim(&org, BULK, 99, at(14)).await {
        let queued = bench.store.messages_of(&request).await.unwrap();
        let queued = queued.iter().filter(|message| message.status() == Status::Queued).map(|message| message.id.seq);
        let states = queued.map(|seq| answer(&request, seq, Status::Sent, at(15))).collect();
        bench.say(&request, &Word { intent: None, states, finish: Some(Finish::Done { poll_at: None }) }, at(15)).await;
    }
    assert_eq!(bench.status(&org, run).await, RunStatus::Completed);
    assert_eq!(bench.store.sums(&org, run).await.unwrap().buckets(), [("sent", 1_000)]);
    bench.adds_up(&org, run).await;
    // A run that is over is not stopped by late reports.
    let failed = (1..=900).map(|seq| (MessageId { run, seq }, state(Status::Undelivered, at(16)))).collect::<Vec<_>>();
    bench.store.apply_receipts(&org, &failed).await.unwrap();
    assert_eq!(bench.status(&org, run).await, RunStatus::Completed);
    bench.adds_up(&org, run).await;
}

/// Failures that are written at the same moment by several workers are added up: one of them sees that it is too much.
pub async fn failures_side_by_side_are_seen_together(bench: Bench) {
    let org = bench.acme().await;
    for round in 0..6 {
        let run = bench.open_guarded(&org, Guard { limits: strict(), ..Guard::default() }, 900).await;
        let held = bench.claim(&org, BULK, 8, at(round)).await;
        let racing: Vec<_> = held
            .into_iter()
            .map(|request| {
                let bench = bench.clone();
                // Each in a line of the sums of its own, so that nothing but the run makes one wait for the other.
                tokio::spawn(async move {
                    let ends = |seq: i64| if seq < request.first_seq + 11 { Status::Failed } else { Status::Sent };
                    let states = seqs(&request)
                        .map(|seq| {
                            let (seq, mut said) = answer(&request, seq, ends(seq), at(1));
                            said.locale = format!("x{}", request.id.number);
                            (seq, said)
                        })
                        .collect();
                    let word = Word { intent: None, states, finish: Some(Finish::Done { poll_at: None }) };
                    patiently(|| async { bench.store.settle(&[(&request, &word)], at(1)).await }).await;
                })
            })
            .collect();
        for task in racing {
            task.await.unwrap();
        }
        assert_eq!(bench.status(&org, run).await, RunStatus::Paused);
        bench.adds_up(&org, run).await;
        bench.cancel(&org, run, at(2)).await;
        assert_eq!(bench.status(&org, run).await, RunStatus::Cancelled);
        bench.adds_up(&org, run).await;
    }
}

/// Several workers and operators, some of whom vanish: however it goes, nothing is counted twice, nothing is held back for ever,
/// and nothing is sent while the slice is undecided.
pub async fn slices_and_orders_at_once_end_with_exact_sums(bench: Bench) {
    let org = bench.acme().await;
    for seed in 0..6 {
        let mut dice = Dice(seed);
        let slice = 1 + dice.roll(180);
        let guard = Guard { canary_wait: Some(Span(Duration::ZERO)), ..canary(u32::try_from(slice).unwrap()) };
        let run = bench.open_guarded(&org, guard, 400).await;
        for round in 1..60 {
            let now = round * (LEASE + 1);
            let racing = [dice.roll(8), dice.roll(8), dice.roll(8)].map(|what| {
                let (bench, org, share) = (bench.clone(), org.clone(), dice.roll(30));
                tokio::spawn(async move { bench.something(&org, run, what, share, now).await })
            });
            for task in racing {
                task.await.unwrap();
            }
            bench.adds_up(&org, run).await;
            let (found, sums) = (bench.run(&org, run).await, bench.store.sums(&org, run).await.unwrap());
            let undecided =
                found.canary.is_some_and(|one| matches!(one.state, CanaryState::Sending | CanaryState::Waiting));
            if undecided && matches!(found.status, RunStatus::Running | RunStatus::Paused) {
                assert!(sums.messages - sums.untouched() <= i64::try_from(slice).unwrap(), "{seed}: {found:?}");
            }
        }
        // Whoever is left brings it to its end.
        for round in 60..80 {
            let now = round * (LEASE + 1);
            bench.store.resume_run(&org, run, at(now)).await.unwrap();
            bench.something(&org, run, 0, 0, now).await;
            bench.something(&org, run, 1, 0, now).await;
        }
        let found = bench.run(&org, run).await;
        assert!(found.status.is_over(), "{seed}: {found:?}");
        assert_eq!(bench.store.sums(&org, run).await.unwrap().waiting(), 0);
        bench.adds_up(&org, run).await;
    }
}

impl Bench {
    async fn something(&self, org: &OrgId, run: RunId, what: u64, percent: u64, now: i64) {
        match what {
            0 => drop(patiently(|| self.store.look_at_canaries(org, at(now))).await),
            1..=3 => {
                let lease_until = at(now + LEASE);
                let order =
                    herald::store::requests::ClaimOrder { org, priority: BULK, want: 2, now: at(now), lease_until };
                for request in patiently(|| self.store.claim(order)).await.requests {
                    self.finish_some(&request, percent, now).await;
                }
            }
            4 => drop(patiently(|| self.store.stop_run(org, run, "paused", "by hand")).await),
            5 => drop(patiently(|| self.store.resume_run(org, run, at(now))).await),
            6 => drop(patiently(|| self.store.retry_failed(org, run, at(now))).await),
            _ if percent == 0 => drop(patiently(|| self.store.begin_cancel(org, run)).await),
            _ => {
                // Claimed, begun, and vanished.
                let lease_until = at(now + LEASE);
                let order =
                    herald::store::requests::ClaimOrder { org, priority: BULK, want: 1, now: at(now), lease_until };
                drop(patiently(|| self.store.claim(order)).await);
            }
        }
    }

    /// Brings what is queued of a request to its end, as a worker does.
    async fn finish_some(&self, request: &Claimed, percent: u64, now: i64) {
        let fence = patiently(|| async { self.store.settle(&[(request, &intent(request.size))], at(now)).await }).await;
        let status = match fence[0] {
            Fence::Lost => return,
            Fence::Held(RunStatus::Paused | RunStatus::Held) => None,
            Fence::Held(RunStatus::Cancelling | RunStatus::Cancelled) => Some(Status::Cancelled),
            Fence::Held(_) => Some(Status::Sent),
        };
        let queued = self.store.messages_of(request).await.unwrap();
        let queued = queued.iter().filter(|message| message.status() == Status::Queued).map(|message| message.id.seq);
        let fails = |seq: i64, status| status == Status::Sent && seq.unsigned_abs() % 100 < percent;
        let end = |seq: i64, status| if fails(seq, status) { Status::Failed } else { status };
        let word = match status {
            None => Word { finish: Some(Finish::RetryAt(at(now))), ..Word::default() },
            Some(status) => {
                let states = queued.map(|seq| answer(request, seq, end(seq, status), at(now))).collect();
                Word { intent: None, states, finish: Some(Finish::Done { poll_at: None }) }
            }
        };
        patiently(|| async { self.store.settle(&[(request, &word)], at(now)).await }).await;
    }
}

/// Replies that opted out are counted on the run that they answer: each person once.
pub async fn opt_outs_are_counted_on_the_run_that_they_answer(bench: Bench) {
    let org = bench.acme().await;
    let run = bench.open_guarded(&org, canary(40), 300).await;
    let request = bench.claim(&org, BULK, 9, at(0)).await.remove(0);
    bench.send(&request, at(1)).await;
    for (id, person, keyword) in
        [("SM1", 1, "stop"), ("SM1", 1, "stop"), ("SM2", 1, "stop"), ("SM3", 2, ""), ("SM4", 3, "stop")]
    {
        let effects = said(run, id, person, keyword);
        bench.store.apply_callbacks(&org, &[], &effects).await.unwrap();
    }
    assert_eq!(bench.run(&org, run).await.opted_out, 2, "twice by one person is once");
    let decided = bench.look(&org, 1 + WAIT).await;
    let why = "canary: 2 of 40 opted out (5 %), more than 2 %: nothing more is sent until the run is resumed";
    assert_eq!(decided, [(run, Decided::Paused(why.to_owned()))]);
    // And a run that goes is paused by the reply that is one too many.
    assert!(bench.store.resume_run(&org, run, at(2 + WAIT)).await.unwrap());
    let next = bench.claim(&org, BULK, 2, at(3 + WAIT)).await;
    for request in &next {
        bench.send(request, at(4 + WAIT)).await;
    }
    assert_eq!(next.iter().map(|request| request.size).sum::<i64>(), 200);
    for person in 50..55 {
        assert_eq!(bench.status(&org, run).await, RunStatus::Running);
        bench.store.apply_callbacks(&org, &[], &said(run, &format!("SM{person}"), person, "stop")).await.unwrap();
    }
    let found = bench.run(&org, run).await;
    assert_eq!((found.status, found.opted_out), (RunStatus::Paused, 7));
    assert!(found.why.starts_with("5 of 200 opted out (2.5 %)"), "{}", found.why);
    bench.adds_up(&org, run).await;
}

fn said(run: RunId, provider_id: &str, person: i64, keyword: &'static str) -> Effects {
    let now = at(10);
    let from = crate::bench::number(person);
    let reply = NewReply {
        id: ReplyId::new(now, rand::random()),
        channel: "main".into(),
        channel_type: ChannelType::Sms,
        provider_id: provider_id.into(),
        from,
        text: keyword.into(),
        media: vec![],
        media_refused: 0,
        keyword,
        answers: Some(MessageId { run, seq: person }),
        opens: ConversationId::new(now, rand::random()),
        locale: String::new(),
        received_at: now,
    };
    let id = herald::domain::id::ConsentChangeId::new(now, rand::random());
    let (source, actor) = (format!("reply {keyword}"), "contact".to_owned());
    let change =
        ConsentChange { id, channel_type: ChannelType::Sms, of: from, consent: Consent::Out, source, actor, at: now };
    let consents = if keyword.is_empty() { vec![] } else { vec![change] };
    Effects { receipts: vec![], replies: vec![reply], consents }
}
