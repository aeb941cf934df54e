//! What the clock fires.

use std::{collections::BTreeMap, time::Duration};

use herald::{
    app::{App, Roles, Running},
    domain::{fairness::Priority, id::ConfigurationId, message::Status, run::RunStatus, time::Timestamp},
    intake::begin,
    store::runs::{NewMessage, Repeat},
};

use crate::support::{DEADLINE, Database, Setup, Stage, secrets};

const NAME: &str = "monthly-reminder";
/// The people on the example's list, all of them good rows.
const PEOPLE: i64 = 120;

impl Stage {
    /// The scheduled configuration, and when it fires next.
    async fn next(&self) -> (ConfigurationId, Timestamp) {
        let book = self.app.organization(Some(&self.org)).await.unwrap();
        let id = book.configuration(NAME).unwrap().id;
        (id, self.app.store.next_firing(&self.org, id).await.unwrap().unwrap())
    }

    /// Waits until the schedule has moved on from a due time.
    async fn moved_on(&self, from: Timestamp) -> Timestamp {
        self.until("the schedule has moved on", async || Some(self.next().await.1).filter(|next| *next > from)).await
    }

    /// The one run that was made, once it is over: every person of the list got their text once.
    async fn the_run_of_the_list(&self) {
        let runs = self.app.store.runs(&self.org, None, 10).await.unwrap();
        assert_eq!(runs.len(), 1, "{runs:?}");
        let run = runs[0].id;
        let sums = self.over(run).await;
        assert_eq!((sums.of(Status::Delivered), runs[0].priority), (PEOPLE, Priority::Bulk));
        self.assert_adds_up(run, PEOPLE).await;
        let done = self.run(run).await;
        assert_eq!((done.status, done.requests, done.name.as_str()), (RunStatus::Completed, 2, NAME));
        assert_eq!(done.source, "list customers, version 1");
        let accepted = self.accepted();
        assert_eq!(i64::try_from(accepted.len()), Ok(PEOPLE));
        assert!(accepted.values().all(|times| *times == 1));
        let mut languages: BTreeMap<String, i64> = BTreeMap::new();
        for tally in sums.tallies.iter().filter(|tally| tally.messages != 0) {
            *languages.entry(tally.locale.clone()).or_default() += tally.messages;
        }
        assert_eq!(languages.keys().map(String::as_str).collect::<Vec<_>>(), ["de", "el", "en", "fr", "id", "ja"]);
        let german = self.texts_to("+4915551639551");
        assert!(
            german.len() == 1 && german[0].contains("Jörg") && german[0].contains("Rechnung verspätet"),
            "{german:?}"
        );
    }
}

pub async fn a_schedule_fires_once_for_two_schedulers(database: Database) {
    let stage = Stage::set(Setup::new(database)).await;
    let token = herald::sandbox::Settings::DEFAULT_AUTH_TOKEN;
    let other = App::open(stage.app.config.clone(), secrets(token), stage.app.clock.clone()).await.unwrap();
    let roles = Roles { api: false, scheduler: true, worker: true, only: None };
    let second = Running::start(&other, &roles, None).unwrap();

    let (_, due) = stage.next().await;
    let now = stage.app.clock.now();
    assert!(due > now.plus(DEADLINE), "the first of the month is near enough to come during this test: {due}");
    assert!(stage.app.store.runs(&stage.org, None, 10).await.unwrap().is_empty());
    stage.hand.advance(due.since(now));
    let next = stage.moved_on(due).await;
    assert!(next > due.plus(Duration::from_secs(27 * 86_400)), "{next}");
    stage.the_run_of_the_list().await;
    second.stop().await.unwrap();
    other.store.close().await;
    assert_eq!(stage.app.store.runs(&stage.org, None, 10).await.unwrap().len(), 1);
    stage.strike().await;
}

/// A worker leased the firing, made its run, took in half of the list, and was never seen again.
pub async fn a_firing_that_broke_off_is_taken_up_again(database: Database) {
    let stage = Stage::set(Setup::new(database)).await;
    let (store, org) = (&stage.app.store, &stage.org);
    let (id, due) = stage.next().await;
    let lease = Duration::from_secs(120);
    let leased = store.lease_firings(org, due, due.plus(lease)).await.unwrap();
    assert_eq!(leased.iter().map(|firing| (firing.configuration, firing.at)).collect::<Vec<_>>(), [(id, due)]);
    let book = stage.app.organization(Some(org)).await.unwrap();
    let ready = book.configuration(NAME).unwrap();
    let list = book.list("customers").unwrap();
    let pinned = begin::pin(&book, ready).unwrap();
    let source = format!("list customers, version {}", list.version);
    let mut new = begin::new_run(&stage.app.clock, ready, pinned, Priority::Bulk, source);
    new.firing = Some(due.to_string());
    let run = store.begin_run(org, &new, due).await.unwrap();
    let half = store.list_entries(org, "customers", list.version, 0, 60).await.unwrap();
    let half: Vec<NewMessage> = half
        .into_iter()
        .map(|entry| NewMessage { row: entry.seq, contact: entry.contact, repeat: Repeat::First })
        .collect();
    store.add_chunk(org, run, 0, &half, &[], due).await.unwrap();
    assert_eq!((stage.run(run).await.status, stage.run(run).await.messages), (RunStatus::Importing, 60));

    stage.hand.advance(due.plus(lease).since(stage.app.clock.now()));
    stage.moved_on(due).await;
    assert_eq!(stage.run(run).await.messages, PEOPLE);
    stage.the_run_of_the_list().await;
    stage.strike().await;
}

pub async fn a_due_time_missed_by_more_than_the_grace_does_not_fire(database: Database) {
    let stage = Stage::set(Setup::new(database)).await;
    let (_, due) = stage.next().await;
    // Its grace is two hours.
    stage.hand.advance(due.plus(Duration::from_secs(7_300)).since(stage.app.clock.now()));
    stage.moved_on(due).await;
    assert!(stage.app.store.runs(&stage.org, None, 10).await.unwrap().is_empty());
    assert_eq!(stage.sandbox().summary().calls, 0);
    stage.strike().await;
}
