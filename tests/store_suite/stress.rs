//! Everything at once: workers, receipts, an operator and new work on one database. Nothing but passing trouble, and exact sums.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use herald::{
    domain::{
        fairness::Priority,
        id::{MessageId, OrgId, RunId},
        message::Status,
        run::RunStatus,
    },
    store::{
        deliveries::Posted,
        events::{Batch, StoredEvent},
        runs::{Lasting, NewRun},
        settle::{Finish, Word},
    },
};

use serde_json::{Value, json};

use crate::bench::{Bench, Dice, LEASE, answer, at, intent, new_messages, new_run, patiently, seqs, state};
use crate::outbox;

/// What the tasks share.
#[derive(Clone)]
struct Scene {
    bench: Bench,
    org: OrgId,
    runs: Arc<[RunId]>,
    now: Arc<AtomicI64>,
    over: Arc<AtomicBool>,
    /// What has arrived at the endpoint.
    told: Arc<Mutex<Vec<Value>>>,
}

const RUNS: usize = 3;
const MESSAGES: i64 = 900;
const ROUNDS: u64 = 25;

impl Scene {
    /// A moment later than all before it.
    fn tick(&self) -> i64 {
        self.now.fetch_add(LEASE / 40, Ordering::Relaxed)
    }

    async fn work(self, seed: u64, priority: Priority) {
        let mut dice = Dice(seed);
        for _ in 0..ROUNDS {
            let now = at(self.tick());
            let claimed = patiently(|| self.bench.try_claim(&self.org, priority, 4, now)).await.requests;
            let mut said = Vec::new();
            for request in &claimed {
                patiently(|| async { self.bench.store.settle(&[(request, &intent(request.size))], now).await }).await;
                let (finish, ends): (_, &[Status]) = match dice.roll(4) {
                    0 => continue, // vanished
                    1 => (Some(Finish::RetryAt(now)), &[Status::Queued, Status::Sent, Status::Uncertain]),
                    _ => (Some(Finish::Done { poll_at: None }), &[Status::Sent, Status::Failed, Status::Suppressed]),
                };
                let mut states: Vec<_> = seqs(request).map(|seq| answer(request, seq, *dice.pick(ends), now)).collect();
                if dice.roll(2) == 0 {
                    states.reverse();
                }
                said.push((request.clone(), Word { intent: None, states, finish }));
            }
            patiently(|| self.bench.store.renew(&claimed, at(self.now.load(Ordering::Relaxed) + LEASE))).await;
            let words: Vec<_> = said.iter().map(|(request, word)| (request, word)).collect();
            patiently(|| self.bench.store.settle(&words, now)).await;
        }
    }

    async fn receipts(self, seed: u64) {
        let mut dice = Dice(seed);
        let known = [Status::Sent, Status::Delivered, Status::Undelivered, Status::Read];
        while !self.over.load(Ordering::Relaxed) {
            let now = at(self.tick());
            let receipts: Vec<_> = (0..80)
                .map(|_| {
                    let seq = 1 + i64::try_from(dice.roll(MESSAGES.unsigned_abs())).unwrap();
                    (MessageId { run: *dice.pick(&self.runs), seq }, state(*dice.pick(&known), now))
                })
                .collect();
            patiently(|| self.bench.store.apply_receipts(&self.org, &receipts)).await;
        }
    }

    async fn operate(self, seed: u64) {
        let mut dice = Dice(seed);
        while !self.over.load(Ordering::Relaxed) {
            let (run, now) = (*dice.pick(&self.runs), at(self.tick()));
            let store = &self.bench.store;
            match dice.roll(3) {
                0 => drop(patiently(|| store.stop_run(&self.org, run, "paused", "")).await),
                1 => drop(patiently(|| store.retry_failed(&self.org, run, now)).await),
                _ => drop(patiently(|| store.resume_run(&self.org, run, now)).await),
            }
        }
    }

    /// Posts what is due, as far as there is room; what was taken up.
    async fn post(&self, dice: &mut Dice, room: usize) -> usize {
        let now = at(self.tick());
        let taken = outbox::take(&self.bench, &self.org, outbox::CRM, room, now).await.deliveries;
        let mut posted = Vec::new();
        for delivery in &taken {
            match dice.roll(5) {
                0 => {} // vanished between the post and the word
                1 => posted.push((delivery, Posted::RetryAt(now, "HTTP 500".to_owned()))),
                _ => posted.push((delivery, Posted::Arrived)),
            }
            self.told.lock().unwrap().push(serde_json::from_str(&delivery.body).unwrap());
        }
        let words: Vec<_> = posted.iter().map(|(delivery, posted)| (&self.org, *delivery, posted)).collect();
        patiently(|| self.bench.store.settle_deliveries(&words, now)).await;
        taken.len()
    }

    async fn deliver(self, seed: u64) {
        let mut dice = Dice(seed);
        while !self.over.load(Ordering::Relaxed) {
            self.post(&mut dice, 100).await;
        }
    }

    async fn add(self) {
        for n in 0..ROUNDS {
            let now = at(self.tick());
            let event = StoredEvent { id: format!("evt-{n}"), body: "{}".into(), received_at: now };
            patiently(|| async { self.bench.store.record_events(&[(&self.org, event.clone())]).await }).await;
            let batch = Batch {
                run: day(),
                due: now,
                day_ends: at(1_000_000),
                company: None,
                messages: new_messages(1, 3),
                rejected: vec![],
            };
            let results = [(event.id.clone(), "3".to_owned())];
            patiently(|| self.bench.store.finish_events(&self.org, &results, &[], std::slice::from_ref(&batch), now))
                .await;
        }
    }
}

fn day() -> NewRun {
    NewRun { lasting: Lasting::OpenEnded, firing: Some("2027-01-15".into()), ..new_run(Priority::Automatic) }
}

pub async fn everything_at_once_ends_with_exact_sums(bench: Bench) {
    let org = outbox::asking(&bench, &["*"]).await;
    let mut runs = vec![bench.store.begin_run(&org, &day(), at(0)).await.unwrap()];
    for _ in 1..RUNS {
        runs.push(bench.open(&org, Priority::Bulk, MESSAGES).await);
    }
    let scene = Scene {
        bench: bench.clone(),
        org: org.clone(),
        runs: runs.clone().into(),
        now: Arc::default(),
        over: Arc::default(),
        told: Arc::default(),
    };
    let mut bounded = vec![tokio::spawn(scene.clone().add()), tokio::spawn(scene.clone().work(4, Priority::Automatic))];
    bounded.extend((1..4).map(|seed| tokio::spawn(scene.clone().work(seed, Priority::Bulk))));
    let mut endless = vec![tokio::spawn(scene.clone().operate(9))];
    endless.extend((7..9).map(|seed| tokio::spawn(scene.clone().receipts(seed))));
    endless.extend((10..12).map(|seed| tokio::spawn(scene.clone().deliver(seed))));
    let mut broken = Vec::new();
    for task in bounded {
        broken.extend(task.await.err());
    }
    scene.over.store(true, Ordering::Relaxed);
    for task in endless {
        broken.extend(task.await.err());
    }
    assert!(broken.is_empty(), "{broken:?}");

    // One is cancelled, the others are sent to their ends.
    bench.cancel(&org, runs[1], at(scene.tick())).await;
    for run in &runs {
        bench.adds_up(&org, *run).await;
        patiently(|| bench.store.resume_run(&org, *run, at(scene.tick()))).await;
    }
    for priority in [Priority::Automatic, Priority::Bulk] {
        for _ in 0..20 {
            let now = at(scene.now.fetch_add(10 * LEASE, Ordering::Relaxed));
            for request in bench.claim(&org, priority, 50, now).await {
                bench.send(&request, now).await;
            }
        }
    }
    for run in &runs {
        bench.adds_up(&org, *run).await;
        let sums = bench.store.sums(&org, *run).await.unwrap();
        assert_eq!((sums.waiting(), bench.run(&org, *run).await.open_requests), (0, 0));
    }
    assert_eq!(bench.run(&org, runs[0]).await.messages, 3 * i64::try_from(ROUNDS).unwrap());
    assert!(matches!(bench.status(&org, runs[1]).await, RunStatus::Cancelled | RunStatus::Completed));
    assert_eq!(bench.status(&org, runs[2]).await, RunStatus::Completed);
    everything_was_told(&scene).await;
}

/// Every message's end was told of, and every run's; nothing is left to tell.
async fn everything_was_told(scene: &Scene) {
    let (bench, org, mut dice) = (&scene.bench, &scene.org, Dice(20));
    loop {
        scene.now.fetch_add(2 * LEASE, Ordering::Relaxed); // every lease has ended
        let left = bench.store.deliveries(org, outbox::CRM, None, None, 1).await.unwrap();
        if scene.post(&mut dice, 5_000).await == 0 && left.is_empty() {
            break;
        }
    }
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for body in scene.told.lock().unwrap().iter() {
        let (kind, about) = (body["type"].as_str().unwrap(), body["data"]["id"].as_str().unwrap());
        told.entry(about.to_owned()).or_default().insert(kind.to_owned());
    }
    for run in &*scene.runs {
        let ended = json!(bench.status(org, *run).await) == json!("running"); // the day goes on
        assert_eq!(told.contains_key(&run.to_string()), !ended, "{run}");
        for seq in 1..=bench.run(org, *run).await.messages {
            let status = bench.message(*run, seq, org).await.status;
            let kinds = told.get(&MessageId { run: *run, seq }.to_string()).cloned().unwrap_or_default();
            assert!(kinds.contains(&format!("message.{status}")), "{run} {seq} is {status}, told: {kinds:?}");
        }
    }
}
