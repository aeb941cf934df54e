//! Settling: the fence, the merging of what is heard, and sums that are exact after every step.

use std::collections::BTreeMap;

use herald::{
    domain::{
        fairness::Priority,
        id::{MessageId, OrgId, RunId},
        message::Status,
        run::RunStatus,
        state::MessageState,
        time::Timestamp,
    },
    store::{
        requests::Claimed,
        settle::{Fence, Finish, Word},
    },
};

use crate::bench::{Bench, Dice, LEASE, all_sent, answer, at, intent, patiently, retry_at, seqs, state};

const BULK: Priority = Priority::Bulk;

pub async fn an_old_token_changes_nothing(bench: Bench) {
    let org = bench.acme().await;
    let run = bench.open(&org, BULK, 100).await;
    let slept = bench.claim(&org, BULK, 1, at(0)).await.remove(0);
    bench.say(&slept, &intent(40), at(1)).await;
    let awake = bench.claim(&org, BULK, 1, at(LEASE)).await.remove(0);
    let everything = Word { intent: intent(100).intent, ..all_sent(&slept, at(LEASE)) };
    assert_eq!(bench.say(&slept, &everything, at(LEASE)).await, Fence::Lost);
    assert!(bench.store.messages_of(&awake).await.unwrap().iter().all(|message| message.state.is_none()));
    assert_eq!((awake.begun, bench.run(&org, run).await.open_requests), (40, 1));
    // One word of two is old: the other one is written all the same, and the answers are in order.
    let fences = bench.store.settle(&[(&slept, &everything), (&awake, &intent(50))], at(LEASE)).await.unwrap();
    assert_eq!(fences, [Fence::Lost, Fence::Held(RunStatus::Running)]);
    assert_eq!(bench.send(&awake, at(LEASE + 1)).await, Fence::Held(RunStatus::Running));
    assert_eq!(bench.send(&awake, at(LEASE + 2)).await, Fence::Lost, "what is done is done");
    bench.adds_up(&org, run).await;
}

pub async fn an_intent_is_seen_by_the_next_holder(bench: Bench) {
    let org = bench.acme().await;
    bench.open(&org, BULK, 100).await;
    let first = bench.claim(&org, BULK, 1, at(0)).await.remove(0);
    assert_eq!(first.begun, 0);
    for begun in [20, 60] {
        bench.say(&first, &intent(begun), at(1)).await;
    }
    let second = bench.claim(&org, BULK, 1, at(LEASE)).await.remove(0);
    assert_eq!(second.begun, 60, "what may have been handed over is in doubt");
    bench.say(&second, &retry_at(at(LEASE)), at(LEASE)).await;
    let third = bench.claim(&org, BULK, 1, at(LEASE)).await.remove(0);
    assert_eq!(third.begun, 0, "given back in good order");
}

pub async fn a_request_is_given_back_or_done(bench: Bench) {
    let org = bench.acme().await;
    let run = bench.open(&org, BULK, 200).await;
    let held = bench.claim(&org, BULK, 2, at(0)).await;
    let mut word = retry_at(at(9_000));
    word.states = seqs(&held[0]).map(|seq| answer(&held[0], seq, Status::Queued, at(1))).collect();
    assert_eq!(bench.say(&held[0], &word, at(1)).await, Fence::Held(RunStatus::Running));
    bench.send(&held[1], at(1)).await;
    bench.adds_up(&org, run).await;
    assert_eq!(bench.claim(&org, BULK, 9, at(8_999)).await.len(), 0);
    let again = bench.claim(&org, BULK, 9, at(9_000)).await.remove(0);
    assert_eq!((again.id, again.attempts), (held[0].id, 2));
    assert_eq!(bench.store.messages_of(&again).await.unwrap()[0].status(), Status::Queued);
    assert_eq!(bench.status(&org, run).await, RunStatus::Running);
    bench.send(&again, at(9_500)).await;
    let found = bench.run(&org, run).await;
    assert_eq!((found.status, found.open_requests, found.finished_at), (RunStatus::Completed, 0, Some(at(9_500))));
    assert_eq!(bench.store.sums(&org, run).await.unwrap().of(Status::Sent), 200);
    bench.adds_up(&org, run).await;
}

pub async fn reports_merge_in_any_order(bench: Bench) {
    let org = bench.acme().await;
    let run = bench.open(&org, BULK, 6).await;
    let request = bench.claim(&org, BULK, 1, at(0)).await.remove(0);
    let receipt = |seq, status| {
        (MessageId { run, seq }, MessageState { provider_id: format!("SM{seq}"), ..state(status, at(50)) })
    };
    // 1: before the answer. 2: after it, twice. 3: reversed. 4: side by side. 5: an answer only. 6: failed, then delivered.
    let early = [receipt(1, Status::Delivered)];
    assert_eq!(bench.store.apply_receipts(&org, &early).await.unwrap(), 0);
    assert_eq!(bench.message(run, 1, &org).await.locale, "");
    bench.adds_up(&org, run).await;
    bench.send(&request, at(10)).await;
    bench.adds_up(&org, run).await;
    let strange = (MessageId { run, seq: 7 }, state(Status::Read, at(50)));
    for batch in [
        vec![
            receipt(2, Status::Delivered),
            receipt(3, Status::Read),
            receipt(4, Status::Sent),
            receipt(4, Status::Delivered),
            receipt(6, Status::Undelivered),
        ],
        vec![
            receipt(2, Status::Delivered),
            receipt(3, Status::Delivered),
            receipt(6, Status::Delivered),
            strange.clone(),
            strange,
        ],
    ] {
        let unknown = bench.store.apply_receipts(&org, &batch).await.unwrap();
        assert_eq!(unknown, batch.iter().filter(|(id, _)| id.seq == 7).count());
        bench.adds_up(&org, run).await;
    }
    let expected =
        [Status::Delivered, Status::Delivered, Status::Read, Status::Delivered, Status::Sent, Status::Delivered];
    for (seq, status) in (1..).zip(expected) {
        let found = bench.message(run, seq, &org).await;
        assert_eq!((found.status, found.why), (status, None), "message {seq}");
        assert_eq!((found.locale.as_str(), found.segments, found.sent_at, found.token), ("fr", 2, Some(at(10)), 1));
        assert_eq!(found.provider_id, format!("SM{seq}"));
    }
    let sums = bench.store.sums(&org, run).await.unwrap();
    assert_eq!(sums.buckets(), [("sent", 1), ("delivered", 4), ("read", 1)]);
    assert_eq!(bench.status(&org, run).await, RunStatus::Completed);
}

/// What a sequence of random steps needs to know.
struct Play {
    bench: Bench,
    org: OrgId,
    run: RunId,
    dice: Dice,
    now: i64,
    held: Vec<Claimed>,
}

const ANSWERS: [Status; 7] = [
    Status::Queued,
    Status::Sent,
    Status::Sent,
    Status::Failed,
    Status::Suppressed,
    Status::Expired,
    Status::Uncertain,
];
const RECEIPTS: [Status; 5] = [Status::Sent, Status::Failed, Status::Undelivered, Status::Delivered, Status::Read];
const MESSAGES: i64 = 430;

impl Play {
    fn now(&self) -> Timestamp {
        at(self.now)
    }

    async fn step(&mut self) {
        self.now += i64::try_from(self.dice.roll(9_000)).unwrap();
        let (store, org, run, now) = (self.bench.store.clone(), self.org.clone(), self.run, self.now());
        match self.dice.roll(16) {
            0..3 => self.held.extend(self.bench.claim(&org, BULK, 2, now).await),
            3..9 => self.speak().await,
            9..13 => {
                let receipts: Vec<_> = (0..self.dice.roll(40))
                    .map(|_| {
                        let seq = 1 + i64::try_from(self.dice.roll(MESSAGES.unsigned_abs() + 3)).unwrap();
                        (MessageId { run, seq }, state(*self.dice.pick(&RECEIPTS), now))
                    })
                    .collect();
                let unknown = receipts.iter().filter(|(id, _)| id.seq > MESSAGES).count();
                assert_eq!(store.apply_receipts(&org, &receipts).await.unwrap(), unknown);
            }
            13 => drop(store.stop_run(&org, run, "paused", "for a while").await.unwrap()),
            14 => drop(store.resume_run(&org, run, now).await.unwrap()),
            _ => drop(store.retry_failed(&org, run, now).await.unwrap()),
        }
    }

    /// Some words of some holders, old ones among them, in one group.
    async fn speak(&mut self) {
        let now = self.now();
        let mut said: Vec<(Claimed, Word)> = Vec::new();
        for _ in 0..=self.dice.roll(3) {
            if self.held.is_empty() {
                return;
            }
            let place = usize::try_from(self.dice.roll(self.held.len() as u64)).unwrap();
            let request = self.held[place].clone();
            let mut word = if self.dice.roll(3) == 0 { intent(request.size) } else { Word::default() };
            let finish = [None, Some(Finish::Done { poll_at: None }), Some(Finish::RetryAt(now))]
                [usize::try_from(self.dice.roll(3)).unwrap()];
            for seq in seqs(&request) {
                if finish == Some(Finish::Done { poll_at: None }) {
                    // Everything has its end, whatever was said before.
                    word.states.push(answer(&request, seq, *self.dice.pick(&ANSWERS[1..6]), now));
                } else if self.dice.roll(3) == 0 {
                    word.states.push(answer(&request, seq, *self.dice.pick(&ANSWERS), now));
                }
            }
            word.finish = finish;
            if finish.is_some() {
                self.held.remove(place);
            }
            said.push((request, word));
        }
        let words: Vec<_> = said.iter().map(|(request, word)| (request, word)).collect();
        self.bench.store.settle(&words, now).await.unwrap();
    }

    /// Everything that is open is sent.
    async fn finish(&mut self) {
        self.bench.store.resume_run(&self.org, self.run, self.now()).await.unwrap();
        for _ in 0..40 {
            self.now += LEASE;
            for request in self.bench.claim(&self.org, BULK, 9, self.now()).await {
                self.bench.send(&request, self.now()).await;
            }
        }
    }
}

pub async fn sums_equal_a_recount_after_every_step(bench: Bench) {
    for seed in 0..3 {
        let org = bench.organization(&format!("org-{seed}"), crate::bench::PLENTY, 0).await;
        let run = bench.open(&org, BULK, MESSAGES).await;
        let mut play = Play { bench: bench.clone(), org: org.clone(), run, dice: Dice(seed), now: 0, held: vec![] };
        for _ in 0..60 {
            play.step().await;
            bench.adds_up(&org, run).await;
        }
        if seed == 1 {
            bench.cancel(&org, run, play.now()).await;
            bench.adds_up(&org, run).await;
        }
        play.finish().await;
        bench.adds_up(&org, run).await;
        let sums = bench.store.sums(&org, run).await.unwrap();
        assert_eq!((sums.waiting(), sums.untouched()), (0, 0), "seed {seed}");
        let expected = if seed == 1 && bench.status(&org, run).await != RunStatus::Completed {
            RunStatus::Cancelled
        } else {
            RunStatus::Completed
        };
        assert_eq!(bench.status(&org, run).await, expected, "seed {seed}");
    }
}

pub async fn racing_answers_and_receipts_keep_the_sums(bench: Bench) {
    let org = bench.acme().await;
    for round in 0..4 {
        let run = bench.open(&org, BULK, 300).await;
        let held = bench.claim(&org, BULK, 3, at(round)).await;
        let mut racing = Vec::new();
        for request in held {
            let bench = bench.clone();
            racing.push(tokio::spawn(async move {
                let mut word = all_sent(&request, at(round));
                word.states.reverse();
                for (_, state) in word.states.iter_mut().step_by(7) {
                    *state = MessageState { token: request.token, ..crate::bench::state(Status::Failed, at(round)) };
                }
                let words = [(&request, &word)];
                patiently(|| bench.store.settle(&words, at(round))).await;
            }));
        }
        for (n, status) in RECEIPTS.into_iter().enumerate() {
            let (bench, org) = (bench.clone(), org.clone());
            racing.push(tokio::spawn(async move {
                let mut receipts: Vec<_> = (1..=300)
                    .filter(|seq| seq % 5 != i64::try_from(n).unwrap())
                    .map(|seq| (MessageId { run, seq }, state(status, at(round))))
                    .collect();
                if n % 2 == 0 {
                    receipts.reverse();
                }
                for chunk in receipts.chunks(60) {
                    patiently(|| bench.store.apply_receipts(&org, chunk)).await;
                }
            }));
        }
        for task in racing {
            task.await.unwrap();
        }
        bench.adds_up(&org, run).await;
        let sums = bench.store.sums(&org, run).await.unwrap();
        assert_eq!(
            sums.of(Status::Read) + sums.of(Status::Delivered),
            300,
            "every message was read, or at least delivered"
        );
        assert_eq!(bench.status(&org, run).await, RunStatus::Completed);
    }
}

pub async fn a_run_ends_only_when_its_sums_hold(bench: Bench) {
    let org = bench.acme().await;
    let run = bench.open(&org, BULK, 100).await;
    let request = bench.claim(&org, BULK, 1, at(0)).await.remove(0);
    let mut word = all_sent(&request, at(1));
    word.states.pop();
    bench.say(&request, &word, at(1)).await;
    let found = bench.run(&org, run).await;
    assert_eq!((found.status, found.open_requests), (RunStatus::Running, 0), "a message is missing");
    let mut counts = BTreeMap::new();
    for (status, count) in bench.store.sums(&org, run).await.unwrap().buckets() {
        counts.insert(status, count);
    }
    assert_eq!(counts, BTreeMap::from([("queued", 1), ("sent", 99)]));
}
