//! The hour.

use std::time::Duration;

use herald::{
    definitions,
    domain::{id::RunId, message::Status, quota, rate::Rate, run::RunStatus},
    sandbox::Settings,
};

use crate::{
    automatic::case,
    operator::buckets,
    support::{Database, Setup, Stage, phone, shipping},
};

/// Sends for another organization through the same herald, and sees it delivered: nothing of this one's trouble is felt there.
async fn somebody_else(stage: &Stage, from: u32) {
    let globex = "globex".parse().unwrap();
    let mut upload = stage.upload("shipping-delay", &shipping((from..from + 5).map(phone))).await;
    upload.book = stage.app.organization(Some(&globex)).await.unwrap();
    upload.configuration = upload.book.configuration("shipping-delay").unwrap().clone();
    let run = stage.begin(&upload).await.unwrap();
    stage
        .until("the other organization's run is over", async || {
            let run = stage.app.store.run(&globex, run).await.unwrap().unwrap();
            (run.status == RunStatus::Completed).then_some(())
        })
        .await;
}

async fn dispatched(stage: &Stage, run: RunId) -> (i64, i64) {
    let run = stage.run(run).await;
    (run.dispatched, run.open_requests)
}

/// Five requests an hour, one of them kept for automatic messages.
pub async fn an_hour_holds_what_it_holds(database: Database) {
    let mut setup = Setup::new(database);
    setup.set.organization.quota = Rate { count: 5, per: Duration::from_secs(3_600) };
    let mut stage = Stage::set(setup).await;
    let mut other = stage.set.clone();
    other.organization.id = "globex".parse().unwrap();
    definitions::apply(&stage.app.store, &other, stage.app.clock.now(), rand::random).await.unwrap();

    let run = stage.send("shipping-delay", &shipping((0..600).map(phone))).await;
    stage.until("four requests are sent", async || (dispatched(&stage, run).await == (4, 2)).then_some(())).await;
    somebody_else(&stage, 10_000).await;
    assert_eq!(dispatched(&stage, run).await, (4, 2));
    assert_eq!(stage.accepted().len(), 405);

    // The reserve is for automatic messages, and for no more of them than it holds.
    assert!(stage.event("evt_1", &case(20_001, "en", "Door", "high")).await);
    let day = stage.day("case-created", 1).await;
    assert_eq!(buckets(&stage.sums(day).await), [("delivered", 1)].into());
    assert!(stage.event("evt_2", &case(20_002, "en", "Roof", "high")).await);
    stage.until("the second event has its request", async || (stage.run(day).await.requests == 2).then_some(())).await;
    somebody_else(&stage, 10_100).await;
    assert_eq!(dispatched(&stage, day).await, (1, 1));

    // What was used stays used, whoever works.
    stage.restart(Settings::DEFAULT_AUTH_TOKEN).await;
    somebody_else(&stage, 10_200).await;
    assert_eq!((dispatched(&stage, run).await, dispatched(&stage, day).await), ((4, 2), (1, 1)));
    let used: quota::Usage = stage
        .app
        .store
        .usage(&stage.org, stage.app.clock.now())
        .await
        .unwrap()
        .into_iter()
        .map(|(_, usage)| usage)
        .sum();
    assert_eq!((used.total, used.bulk), (5, 4));

    let reach = u64::try_from(quota::REACH_MS + quota::BUCKET_MS).unwrap();
    stage.hand.advance(Duration::from_millis(reach));
    let sums = stage.over(run).await;
    assert_eq!(buckets(&sums), [("delivered", 600)].into());
    stage.assert_adds_up(run, 600).await;
    assert_eq!(dispatched(&stage, run).await, (6, 0));
    stage.day("case-created", 2).await;
    assert_eq!(stage.sums(day).await.of(Status::Delivered), 2);
    assert!(stage.accepted().len() == 617 && stage.accepted().values().all(|times| *times == 1));
    stage.strike().await;
}
