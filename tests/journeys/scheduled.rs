//! What the clock fires.

use std::{collections::BTreeMap, task::Poll, time::Duration};

use herald::{
    app::{App, Roles, Running},
    definitions,
    domain::{
        definition::Trigger,
        fairness::Priority,
        id::ConfigurationId,
        message::Status,
        run::{Run, RunStatus},
        schedule,
        time::Timestamp,
    },
    intake::{begin, schedule::Scheduler},
    store::{
        lanes::LaneKind,
        runs::{NewMessage, Repeat},
    },
};

use crate::support::{DEADLINE, Database, Setup, Stage, everything, secrets};

const NAME: &str = "monthly-reminder";
/// The people on the example's list, all of them good rows.
const PEOPLE: i64 = 120;

impl Stage {
    /// The scheduled configuration, and when it fires next.
    async fn next(&self) -> (ConfigurationId, Timestamp) {
        let (id, next) = self.maybe_next().await;
        (id, next.unwrap())
    }

    async fn maybe_next(&self) -> (ConfigurationId, Option<Timestamp>) {
        let book = self.app.organization(Some(&self.org)).await.unwrap();
        let id = book.configuration(NAME).unwrap().id;
        (id, self.app.store.next_firing(&self.org, id).await.unwrap())
    }

    /// Goes on after everything that runs was stopped, but for the API.
    async fn restart_after_stop(&mut self) {
        let roles = Roles { api: false, ..everything() };
        self.running = Some(Running::start(&self.app, &roles, None).unwrap());
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
    assert_eq!(stage.sandbox().summary().calls, 0);
    // It is there to be read, once.
    let runs = stage.app.store.runs(&stage.org, None, 10).await.unwrap();
    assert_eq!(runs.len(), 1, "{runs:?}");
    let at = schedule::local(due, chrono_tz::Europe::Berlin);
    let why = format!("missed: due at {at} (Europe/Berlin), herald was not running; grace 2h");
    assert_eq!((runs[0].status, runs[0].why.as_str(), runs[0].messages), (RunStatus::Failed, why.as_str(), 0));
    let (listed, code) = stage.herald(&["run", "list"]).await;
    assert_eq!((listed["runs"][0]["why"].as_str(), code), (Some(why.as_str()), 0), "{listed}");
    stage.strike().await;
}

/// The example, its schedule fired by this trigger.
fn fired_by(database: Database, trigger: &str) -> Setup {
    let mut setup = Setup::new(database);
    setup.set.configurations.get_mut(NAME).unwrap().trigger = trigger_of(trigger);
    setup
}

fn trigger_of(text: &str) -> Trigger {
    toml::from_str(&format!("kind = \"scheduled\"\ntimezone = \"Europe/Berlin\"\n{text}")).unwrap()
}

fn utc(text: &str) -> Timestamp {
    text.parse::<chrono::DateTime<chrono::Utc>>().unwrap().into()
}

impl Stage {
    /// Every run, oldest first.
    async fn all(&self) -> Vec<Run> {
        let mut runs = self.app.store.runs(&self.org, None, 100).await.unwrap();
        runs.reverse();
        runs
    }

    fn go_to(&self, instant: Timestamp) {
        self.hand.advance(instant.since(self.app.clock.now()));
    }

    /// Brings every scheduler to look at what is due now, and waits until none finds anything.
    async fn looked(&self) {
        let due = async || {
            let due = self.app.store.due_work(self.app.clock.now(), 100).await.unwrap();
            due.iter().any(|work| work.kind == LaneKind::Schedules)
        };
        self.until("nothing is due", async || (!due().await).then_some(())).await;
    }

    /// The one run that fired at this instant, once it is over.
    async fn fired_once_at(&self, instant: Timestamp) {
        self.until("it has fired", async || (!self.all().await.is_empty()).then_some(())).await;
        self.the_run_of_the_list().await;
        let firing = format!("SELECT COUNT(*) FROM runs WHERE firing = '{instant}'");
        assert_eq!(self.number(&firing).await, 1, "{:?}", self.all().await);
    }
}

pub async fn ten_thousand_missed_minutes_are_one_row(database: Database) {
    let stage = Stage::set(fired_by(database, "cron = \"*/5 * * 1,2 *\"\ngrace = \"1m\"")).await;
    let (_, first) = stage.next().await;
    // Nobody looks for ten thousand times five minutes, and a while.
    let last = first.plus(Duration::from_secs(9_999 * 300));
    stage.go_to(last.plus(Duration::from_secs(150)));
    stage.moved_on(last).await;
    let runs = stage.all().await;
    assert_eq!(runs.len(), 1, "{runs:?}");
    let zone = chrono_tz::Europe::Berlin;
    let (from, to) = (schedule::local(first, zone), schedule::local(last, zone));
    let why =
        format!("missed: 10,000 due times, from {from} to {to} (Europe/Berlin), herald was not running; grace 1m");
    assert_eq!((runs[0].status, runs[0].why.as_str()), (RunStatus::Failed, why.as_str()));
    assert_eq!(stage.sandbox().summary().calls, 0);
    stage.strike().await;
}

pub async fn what_could_not_fire_says_so(database: Database) {
    let stage = Stage::set(Setup::new(database)).await;
    let (_, due) = stage.next().await;
    // Its template is there no longer, which nobody could have said through herald.
    let gone =
        "UPDATE definitions SET name = 'another' WHERE kind = 'template' AND name = 'case-resolved' RETURNING version";
    stage.number(gone).await;
    stage.number("UPDATE organizations SET revision = revision + 1 RETURNING revision").await;
    stage.go_to(due);
    stage.moved_on(due).await;
    let runs = stage.all().await;
    assert_eq!((runs.len(), runs[0].status), (1, RunStatus::Failed), "{runs:?}");
    assert!(runs[0].why.contains("could not fire") && runs[0].why.contains("case-resolved"), "{}", runs[0].why);
    stage.strike().await;
}

pub async fn a_time_that_does_not_exist_fires_at_the_next_that_does(database: Database) {
    let stage = Stage::set(fired_by(database, "cron = \"30 2 28 3 *\"")).await;
    let told = stage.applied.firings.iter().find(|one| one.configuration == NAME).unwrap();
    assert_eq!(told.next[0].local, "2027-03-28 03:00:00 +02:00");
    assert!(told.next[0].note.as_ref().unwrap().starts_with("02:30:00 does not exist there"), "{told:?}");
    let gap = utc("2027-03-28T01:00:00Z");
    assert_eq!(stage.next().await.1, gap);
    stage.go_to(gap.minus(Duration::from_secs(20)));
    stage.looked().await;
    assert_eq!(stage.all().await.len(), 0, "half past two has not come");
    stage.go_to(gap);
    stage.fired_once_at(gap).await;
    // When half past two would have been, had the clocks not been put forward.
    stage.go_to(gap.plus(Duration::from_secs(1_900)));
    stage.looked().await;
    assert_eq!((stage.all().await.len(), stage.next().await.1), (1, utc("2028-03-28T00:30:00Z")));
    stage.strike().await;
}

pub async fn a_time_that_occurs_twice_fires_once(database: Database) {
    let stage = Stage::set(fired_by(database, "cron = \"30 2 31 10 *\"")).await;
    let told = stage.applied.firings.iter().find(|one| one.configuration == NAME).unwrap();
    assert_eq!(told.next[0].local, "2027-10-31 02:30:00 +02:00");
    assert!(told.next[0].note.as_ref().unwrap().contains("occurs twice"), "{told:?}");
    let first = utc("2027-10-31T00:30:00Z");
    stage.go_to(first);
    stage.fired_once_at(first).await;
    let second = first.plus(Duration::from_secs(3_600));
    stage.go_to(second.plus(Duration::from_secs(60)));
    stage.looked().await;
    assert_eq!((stage.all().await.len(), stage.next().await.1), (1, utc("2028-10-31T01:30:00Z")));
    stage.strike().await;
}

pub async fn so_long_after_it_was_said_it_fires_once(database: Database) {
    let mut stage = Stage::set(fired_by(database, "after = \"2h\"")).await;
    let said = stage.next().await.1.minus(Duration::from_secs(7_200));
    assert!(stage.app.clock.now().since(said) < DEADLINE, "{said}");
    let told = stage.applied.firings.iter().find(|one| one.configuration == NAME).unwrap();
    assert_eq!((told.next.len(), told.next[0].at), (1, said.plus(Duration::from_secs(7_200))));
    let apply = async |stage: &Stage| {
        definitions::apply(&stage.app.store, &stage.set, stage.app.clock.now(), rand::random).await.unwrap()
    };
    // Said again, or with something else changed, it is the same; and it is fired once.
    stage.hand.advance(Duration::from_secs(3_600));
    apply(&stage).await;
    stage.set.configurations.get_mut(NAME).unwrap().show_in_timeline = false;
    stage.set.configurations.get_mut(NAME).unwrap().valid_for = "5h".parse().unwrap();
    apply(&stage).await;
    assert_eq!(stage.next().await.1, said.plus(Duration::from_secs(7_200)));
    stage.go_to(said.plus(Duration::from_secs(7_200)));
    stage.fired_once_at(said.plus(Duration::from_secs(7_200))).await;
    let again = apply(&stage).await;
    assert!(again.is_unchanged());
    stage.set.configurations.get_mut(NAME).unwrap().valid_for = "6h".parse().unwrap();
    apply(&stage).await;
    let (id, none) = stage.maybe_next().await;
    assert_eq!(none, None, "it has fired");
    // Switched off and on, it is said anew.
    stage.set.configurations.get_mut(NAME).unwrap().active = false;
    apply(&stage).await;
    stage.set.configurations.get_mut(NAME).unwrap().active = true;
    let before = stage.app.clock.now();
    apply(&stage).await;
    let next = stage.app.store.next_firing(&stage.org, id).await.unwrap().unwrap();
    assert!(next >= before.plus(Duration::from_secs(7_200)), "{next}");
    // So is another length of time.
    stage.set.configurations.get_mut(NAME).unwrap().trigger = trigger_of("after = \"3h\"");
    apply(&stage).await;
    assert!(stage.next().await.1 >= before.plus(Duration::from_secs(10_800)));
    assert_eq!(stage.all().await.len(), 1);
    stage.strike().await;
}

/// Polls a future so many times, and drops it if it is not done by then: what a crash at that point leaves.
async fn cut<T>(future: impl Future<Output = T>, polls: usize) -> Option<T> {
    let mut future = std::pin::pin!(future);
    let mut left = polls;
    std::future::poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

/// Four schedulers race for each due time, and most of them break off somewhere: before the decision, in the middle of the list,
/// between the last chunk and the end. Each time fires once all the same, with everybody on the list.
pub async fn four_schedulers_fire_each_time_once_whatever_breaks_off(database: Database) {
    const TIMES: usize = 8;
    let times: Vec<Timestamp> = (0..TIMES).map(|n| utc(&format!("2027-02-01T{:02}:00:00Z", n + 8))).collect();
    let listed: Vec<String> = (0..TIMES).map(|n| format!("\"2027-02-01T{:02}:00\"", n + 9)).collect();
    let mut stage = Stage::set(fired_by(database, &format!("at = [{}]", listed.join(", ")))).await;
    stage.running.take().unwrap().stop().await.unwrap();
    let mut round = 0;
    for due in &times {
        stage.go_to(*due);
        // Until the schedule has moved on: a lease that was broken off runs out meanwhile.
        while stage.maybe_next().await.1 == Some(*due) {
            let racing: Vec<_> = (0..4)
                .map(|_| {
                    round += 1;
                    let (store, books, clock) =
                        (stage.app.store.clone(), stage.app.books.clone(), stage.app.clock.clone());
                    let now = clock.now();
                    tokio::spawn(cut(
                        async move { Scheduler { store, books, clock }.tick(now).await.unwrap() },
                        1 + round * 7 % 160,
                    ))
                })
                .collect();
            for task in racing {
                task.await.unwrap();
            }
            stage.hand.advance(Duration::from_secs(121));
            assert!(round < 4_000, "{due} never fires");
        }
    }
    let runs = stage.all().await;
    let firings: Vec<String> = runs.iter().map(|run| format!("{} {} {}", run.status, run.messages, run.why)).collect();
    assert_eq!(firings, vec![format!("running {PEOPLE} "); TIMES]);
    for due in &times {
        assert_eq!(stage.number(&format!("SELECT COUNT(*) FROM runs WHERE firing = '{due}'")).await, 1, "{due}");
    }
    stage.restart_after_stop().await;
    for run in &runs {
        stage.over(run.id).await;
        stage.assert_adds_up(run.id, PEOPLE).await;
    }
    assert!(stage.accepted().values().all(|times| *times == TIMES), "everybody has each text once");
    stage.strike().await;
}
