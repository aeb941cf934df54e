//! What keeps a run from going wrong in bulk: a first slice, limits, and an operator who orders this and that.

use std::time::Duration;

use herald::{
    domain::{
        canary::{CanarySize, CanaryState},
        id::RunId,
        limits::{Limit, Limits, Share},
        message::Status,
        rate::Rate,
        run::RunStatus,
    },
    engine::{self, Order, Refused},
    sandbox::Settings,
};

use crate::{
    operator::buckets,
    support::{Database, SENDER, Setup, Stage, phone, shipping},
};

const NAME: &str = "shipping-delay";
/// Refused by the provider, or taken and not delivered.
const BAD: [u32; 12] = [91_211, 91_408, 91_608, 91_612, 91_614, 91_635, 90_003, 90_004, 90_005, 90_006, 90_007, 90_450];
/// Answers STOP to whatever reaches it.
const STOPS: u32 = 97_867;

/// The example, at most ten percent of whose messages may fail, and two percent be answered with STOP.
fn limited(database: Database, canary: Option<u32>) -> Setup {
    let mut setup = Setup::new(database);
    let configuration = setup.set.configurations.get_mut(NAME).unwrap();
    configuration.canary = canary.map(CanarySize::Messages);
    configuration.limits =
        Limits { failed: Limit::At(Share::percent(10)), opted_out: Limit::At(Share::percent(2)), after: 100 };
    setup
}

impl Stage {
    async fn comes_to(&self, run: RunId, status: RunStatus) -> herald::domain::run::Run {
        let what = format!("{run} is {status}");
        self.until(&what, async || Some(self.run(run).await).filter(|run| run.status == status)).await
    }

    async fn canary(&self, run: RunId, state: CanaryState) {
        let what = format!("the canary of {run} is {state:?}");
        self.until(&what, async || {
            self.run(run).await.canary.is_some_and(|canary| canary.state == state).then_some(())
        })
        .await;
    }

    async fn order(&self, run: RunId, order: Order) -> Result<engine::Obeyed, Refused> {
        engine::control(&self.app.store, &self.app.books, &self.app.clock, &self.org, run, order).await
    }
}

pub async fn a_slice_that_fails_pauses_its_run(database: Database) {
    let stage = Stage::set(limited(database, Some(100))).await;
    let people = BAD.into_iter().chain(0..138).map(phone);
    let run = stage.send(NAME, &shipping(people)).await;
    // At the latest when receipts and replies have been waited for.
    stage
        .until("the slice has its ends", async || {
            let state = stage.run(run).await.canary.unwrap().state;
            (state == CanaryState::Waiting).then_some(())
        })
        .await;
    stage.quiet().await;
    stage.hand.advance(Duration::from_secs(601));
    let found = stage.comes_to(run, RunStatus::Paused).await;
    assert!(found.why.starts_with("canary: 12 of 100 failed (12 %), more than 10 % (mostly "), "{}", found.why);
    assert_eq!((found.canary.unwrap().state, found.canary.unwrap().messages), (CanaryState::Over, 100));
    stage.quiet().await;
    assert_eq!(buckets(&stage.sums(run).await).get("queued"), Some(&50), "the rest is held back");
    stage.assert_adds_up(run, 150).await;
    let (told, code) = stage.herald(&["run", "show", &run.to_string()]).await;
    let words = told["run"]["canary"]["in_words"].as_str().unwrap();
    assert!(code == 0 && words.starts_with("canary: 100 of 150 sent, over its limits"), "{told}");

    let (told, code) = stage.herald(&["run", "resume", &run.to_string()]).await;
    assert_eq!((told["run"]["status"].as_str(), code), (Some("running"), 0), "{told}");
    let sums = stage.over(run).await;
    assert_eq!(sums.of(Status::Delivered), 138);
    assert_eq!(sums.of(Status::Failed) + sums.of(Status::Undelivered), 12);
    stage.assert_adds_up(run, 150).await;
    assert!(stage.accepted().values().all(|times| *times == 1));
    stage.strike().await;
}

pub async fn a_good_slice_waits_and_releases_the_rest(database: Database) {
    let mut stage = Stage::set(limited(database, Some(20))).await;
    let run = stage.send(NAME, &shipping((0..150).map(phone))).await;
    stage.canary(run, CanaryState::Waiting).await;
    stage.quiet().await;
    assert_eq!((stage.accepted().len(), stage.run(run).await.status), (20, RunStatus::Running));
    let decides = stage.run(run).await.canary.unwrap().decided_at.unwrap();
    // Whoever was to decide is gone; somebody else does.
    stage.restart(Settings::DEFAULT_AUTH_TOKEN).await;
    stage.hand.advance(decides.since(stage.app.clock.now()).saturating_sub(Duration::from_secs(30)));
    assert_eq!((stage.accepted().len(), stage.run(run).await.canary.unwrap().state), (20, CanaryState::Waiting));
    stage.hand.advance(Duration::from_secs(31));
    stage.canary(run, CanaryState::Passed).await;
    assert_eq!(buckets(&stage.over(run).await), [("delivered", 150)].into());
    stage.assert_adds_up(run, 150).await;
    assert!(stage.accepted().len() == 150 && stage.accepted().values().all(|times| *times == 1));
    stage.strike().await;
}

pub async fn people_who_say_stop_speak_against_the_rest(database: Database) {
    let mut setup = limited(database, Some(20));
    setup.sandbox.accounts[0].numbers = vec![SENDER.to_owned()];
    let stage = Stage::set(setup).await;
    stage.listen().await;
    let run = stage.send(NAME, &shipping([STOPS].into_iter().chain(0..49).map(phone))).await;
    stage.canary(run, CanaryState::Waiting).await;
    stage.until("STOP is counted", async || (stage.run(run).await.opted_out == 1).then_some(())).await;
    assert_eq!(stage.run(run).await.status, RunStatus::Running);
    stage.hand.advance(Duration::from_secs(601));
    let found = stage.comes_to(run, RunStatus::Paused).await;
    assert!(found.why.starts_with("canary: 1 of 20 opted out (5 %), more than 2 %"), "{}", found.why);
    let (told, code) = stage.herald(&["run", "cancel", &run.to_string()]).await;
    assert_eq!((told["cancelled"].as_i64(), told["with_provider"].as_i64(), code), (Some(30), Some(20), 0), "{told}");
    let sums = stage.over(run).await;
    assert_eq!(buckets(&sums), [("delivered", 20), ("cancelled", 30)].into());
    stage.assert_adds_up(run, 50).await;
    assert_eq!(stage.accepted().len(), 20);
    stage.strike().await;
}

pub async fn a_run_that_begins_to_fail_stops_itself(database: Database) {
    let mut setup = limited(database, None);
    setup.config.worker.slots = 1;
    setup.set.channels.get_mut("support-sms").unwrap().pace = Some(Rate { count: 100, per: Duration::from_secs(1) });
    setup.set.configurations.get_mut(NAME).unwrap().limits.failed = Limit::At(Share::percent(4));
    let stage = Stage::set(setup).await;
    // The failures lie behind enough good ones to mean something.
    let people = (0..88).chain(BAD).chain(100..300).map(phone);
    let run = stage.send(NAME, &shipping(people)).await;
    let found = stage.comes_to(run, RunStatus::Paused).await;
    assert!(found.why.contains(" failed (") && found.why.contains("more than 4 %"), "{}", found.why);
    let in_hand = format!("SELECT COUNT(*) FROM requests WHERE run_id = '{run}' AND begun > 0");
    stage.until("nobody has a request in hand", async || (stage.number(&in_hand).await == 0).then_some(())).await;
    stage.quiet().await;
    let handed_over = stage.sums(run).await;
    assert!(handed_over.waiting() >= 100, "{:?}", handed_over.buckets());
    stage.assert_adds_up(run, 300).await;
    let (told, code) = stage.herald(&["run", "resume", &run.to_string()]).await;
    assert_eq!(code, 0, "{told}");
    let sums = stage.over(run).await;
    assert_eq!((sums.of(Status::Delivered), stage.run(run).await.status), (288, RunStatus::Completed));
    stage.assert_adds_up(run, 300).await;
    stage.strike().await;
}

/// Whatever is ordered while a run goes, and in whatever order: every row has one end, and nobody has a text twice.
pub async fn orders_at_random_keep_every_run_exact(database: Database) {
    let mut setup = limited(database, Some(30));
    setup.set.configurations.get_mut(NAME).unwrap().canary_wait = Some("1s".parse().unwrap());
    setup.set.channels.get_mut("support-sms").unwrap().pace = Some(Rate { count: 200, per: Duration::from_secs(1) });
    let stage = Stage::set(setup).await;
    let mut chance = 7u64;
    for round in 0..3u32 {
        let people: Vec<String> = (0..240).map(|nth| phone(round * 1_000 + nth)).chain(BAD.map(phone)).collect();
        let run = stage.send(NAME, &shipping(people.clone())).await;
        for _ in 0..14 {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let order = match (chance >> 33) % 8 {
                0..=2 => Order::Pause,
                3..=5 => Order::Resume,
                6 => Order::RetryFailed,
                _ if round == 2 => Order::Cancel,
                _ => Order::RetryFailed,
            };
            match stage.order(run, order).await {
                Ok(obeyed) => assert_eq!(obeyed.run.id, run),
                Err(Refused::Unfit { .. }) => {}
                Err(other) => panic!("{order:?}: {other:?}"),
            }
            let sums = stage.sums(run).await;
            assert!(sums.untouched() >= 0 && sums.rows() == 252, "{:?}", sums.buckets());
            stage.hand.advance(Duration::from_millis((chance >> 40) % 400));
        }
        stage
            .until("the run is over", async || {
                if matches!(stage.run(run).await.status, RunStatus::Paused | RunStatus::Held) {
                    drop(stage.order(run, Order::Resume).await);
                }
                stage.run(run).await.status.is_over().then_some(())
            })
            .await;
        let sums = stage.over(run).await;
        assert_eq!(sums.waiting(), 0, "{:?}", sums.buckets());
        stage.assert_adds_up(run, 252).await;
        let accepted = stage.accepted();
        let good = people.iter().take(240);
        let times: Vec<usize> = good.map(|number| accepted.get(number).copied().unwrap_or(0)).collect();
        assert!(times.iter().all(|times| *times <= 1), "nobody has a text twice");
        let reached = i64::try_from(times.iter().sum::<usize>()).unwrap();
        assert_eq!(reached, sums.of(Status::Delivered), "what the provider has is what is counted");
        assert_eq!(reached + sums.of(Status::Cancelled) + sums.of(Status::Failed) + sums.of(Status::Undelivered), 252);
    }
    stage.strike().await;
}
