//! Trouble between herald and the provider: nothing is lost, nothing is sent twice.

use std::time::Duration;

use herald::{
    domain::{id::MessageId, message::Status, run::RunStatus},
    sandbox::Sandbox,
};

use crate::{
    operator::buckets,
    support::{Database, Setup, Stage, bucket, listener, phone, shipping},
};

impl Stage {
    /// Waits until a run is over, letting the time pass ten times as fast.
    pub async fn over_soon(&self, run: herald::domain::id::RunId) {
        self.until(&format!("{run} is over"), async || {
            self.hand.advance(Duration::from_millis(100));
            self.run(run).await.status.is_over().then_some(())
        })
        .await;
        self.quiet().await;
    }

    /// Takes the provider away; its place is kept.
    async fn provider_leaves(&mut self) -> String {
        let sandbox = self.sandbox.take().unwrap();
        let address = sandbox.local_addr().to_string();
        sandbox.stop().await.unwrap();
        address
    }

    async fn provider_comes_back(&mut self, address: &str) {
        let settings = self.sandbox_settings.clone();
        self.sandbox = Some(Sandbox::start(listener(address).await, settings).await.unwrap());
    }
}

pub async fn passing_troubles_lose_nothing_and_double_nothing(database: Database) {
    let mut setup = Setup::new(database);
    setup.config.worker.answer_timeout = Duration::from_millis(500);
    let stage = Stage::set(setup).await;
    let troubles = [
        (90_429, "a 429", 2),
        (90_500, "a 500 before it was accepted", 2),
        (90_997, "the connection cut before it was accepted", 2),
        (90_998, "no answer once", 1),
        (90_999, "no answer ever", 1),
        (90_996, "the connection cut after it was accepted", 1),
        (95_005, "a 500 after it was accepted", 1),
        (90_991, "an answer that comes too late", 1),
    ];
    let numbers = troubles.iter().map(|(suffix, ..)| *suffix).chain(0..20).map(phone);
    let run = stage.send("shipping-delay", &shipping(numbers)).await;
    stage.over_soon(run).await;
    let sums = stage.sums(run).await;
    assert_eq!(buckets(&sums), [("delivered", 28)].into(), "{:?}", sums.tallies);
    stage.assert_adds_up(run, 28).await;
    let accepted = stage.accepted();
    assert!(accepted.len() == 28 && accepted.values().all(|times| *times == 1), "{accepted:?}");
    for (suffix, what, calls) in troubles {
        let made = stage.calls().iter().filter(|call| *call.to == *phone(suffix)).count();
        assert_eq!(made, calls, "{what}");
    }
    stage.strike().await;
}

pub async fn a_provider_that_is_away_loses_nothing(database: Database) {
    let mut stage = Stage::set(Setup::new(database)).await;
    let address = stage.provider_leaves().await;
    let run = stage.send("shipping-delay", &shipping((0..150).map(phone))).await;
    stage
        .until("every message knows that the provider is away", async || {
            (bucket(&stage.sums(run).await, Status::Queued, Some("no_connection")) == 150).then_some(())
        })
        .await;
    assert_eq!(stage.run(run).await.status, RunStatus::Running);
    stage.assert_adds_up(run, 150).await;
    stage.provider_comes_back(&address).await;
    stage.over_soon(run).await;
    assert_eq!(buckets(&stage.sums(run).await), [("delivered", 150)].into());
    stage.assert_adds_up(run, 150).await;
    let accepted = stage.accepted();
    assert!(accepted.len() == 150 && accepted.values().all(|times| *times == 1));
    stage.strike().await;
}

pub async fn tries_are_bounded(database: Database) {
    let stage = Stage::set(Setup::new(database)).await;
    let run = stage.send("shipping-delay", &shipping([phone(99_429)])).await;
    let message = MessageId { run, seq: 1 };
    for tries in 1..=8 {
        let state = stage
            .until(&format!("try {tries} was made"), async || {
                let state = stage.app.store.message(&stage.org, message).await.unwrap().unwrap().state?;
                (state.token == tries).then_some(state)
            })
            .await;
        assert_eq!(stage.calls().len(), usize::try_from(tries).unwrap());
        let expected = if tries < 8 { (Status::Queued, "throttled") } else { (Status::Failed, "attempts_spent") };
        assert_eq!((state.status, state.why.as_ref().unwrap().reason.code()), expected, "{state:?}");
        if tries < 8 {
            let given_back = format!("SELECT COUNT(*) FROM requests WHERE run_id = '{run}' AND begun = 0");
            stage
                .until("the request is given back", async || (stage.number(&given_back).await == 1).then_some(()))
                .await;
            // Longer than the longest wait.
            stage.hand.advance(Duration::from_secs(3_600));
        }
    }
    stage.over(run).await;
    stage.assert_adds_up(run, 1).await;
    assert_eq!((stage.calls().len(), stage.run(run).await.dispatched), (8, 8));
    stage.strike().await;
}

pub async fn what_has_become_too_old_is_not_sent(database: Database) {
    let mut stage = Stage::set(Setup::new(database)).await;
    let address = stage.provider_leaves().await;
    let run = stage.send("shipping-delay", &shipping((0..5).map(phone))).await;
    stage
        .until("the provider was tried", async || {
            (bucket(&stage.sums(run).await, Status::Queued, Some("no_connection")) == 5).then_some(())
        })
        .await;
    stage.provider_comes_back(&address).await;
    // The configuration's valid_for is twelve hours.
    stage.hand.advance(Duration::from_secs(12 * 3_600 + 1));
    let sums = stage.over(run).await;
    assert_eq!(buckets(&sums), [("expired", 5)].into());
    assert_eq!(bucket(&sums, Status::Expired, Some("expired")), 5);
    stage.assert_adds_up(run, 5).await;
    assert_eq!(stage.sandbox().summary().calls, 0);
    stage.strike().await;
}
