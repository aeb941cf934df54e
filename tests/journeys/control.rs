//! What an operator does to runs, and what stops them without one.

use std::time::Duration;

use herald::{
    app::{App, Running},
    definitions,
    domain::{
        id::RunId,
        message::Status,
        rate::Rate,
        run::{RunStatus, Sums},
    },
    sandbox::Settings,
};

use crate::{
    operator::{buckets, handed_over},
    support::{Database, Setup, Stage, everything, listener, phone, secrets, shipping},
};

/// The example, with a sender that is slow enough to be interrupted.
fn slow(database: Database) -> Setup {
    let mut setup = Setup::new(database);
    setup.set.channels.get_mut("support-sms").unwrap().pace = Some(Rate { count: 20, per: Duration::from_secs(1) });
    setup
}

impl Stage {
    /// Waits until so many messages of a run are with the provider.
    async fn under_way(&self, run: RunId, messages: i64) {
        let what = format!("{messages} messages of {run} are with the provider");
        self.until(&what, async || (handed_over(&self.sums(run).await) >= messages).then_some(())).await;
    }

    /// Waits until nobody has a request of the run in hand.
    async fn given_back(&self, run: RunId) -> Sums {
        let in_hand = format!("SELECT COUNT(*) FROM requests WHERE run_id = '{run}' AND begun > 0");
        self.until(&format!("{run} is given back"), async || (self.number(&in_hand).await == 0).then_some(())).await;
        self.sums(run).await
    }

    /// Ends herald and starts it anew on the same database and address, with another auth token.
    pub async fn restart(&mut self, token: &str) {
        self.running.take().unwrap().stop().await.unwrap();
        let clock = self.app.clock.clone();
        let config = self.app.config.clone();
        self.app.store.clone().close().await;
        self.app = App::open(config, secrets(token), clock).await.unwrap();
        let listener = listener(self.base_url.trim_start_matches("http://")).await;
        self.running = Some(Running::start(&self.app, &everything(), Some(listener)).unwrap());
    }

    /// A run that is held because the account's token is wrong.
    async fn held(&self) -> RunId {
        let run = self.send("shipping-delay", &shipping((0..120).map(phone))).await;
        self.until("the run is held", async || (self.run(run).await.status == RunStatus::Held).then_some(())).await;
        let sums = self.given_back(run).await;
        assert_eq!(buckets(&sums), [("queued", 120)].into(), "{:?}", sums.tallies);
        self.assert_adds_up(run, 120).await;
        let why = self.run(run).await.why;
        assert!(why.contains("does not accept the account's credentials"), "{why}");
        assert_eq!(self.sandbox().summary().accepted, 0);
        let account = self.app.store.account_state(&self.org, "twilio").await.unwrap().unwrap();
        assert!(account.stopped.contains("credentials"), "{account:?}");
        // One that comes later waits from the start, and costs no call.
        let calls = self.sandbox().summary().calls;
        assert!((1..=120).contains(&calls), "{calls}");
        let later = self.send("shipping-delay", &shipping((500..510).map(phone))).await;
        assert_eq!(self.run(later).await.status, RunStatus::Held);
        assert_eq!(self.sandbox().summary().calls, calls);
        run
    }

    async fn all_sent_once(&self, run: RunId) {
        assert_eq!(buckets(&self.over(run).await), [("delivered", 120)].into());
        self.assert_adds_up(run, 120).await;
        assert!(self.accepted().values().all(|times| *times == 1));
    }
}

pub async fn a_refused_account_holds_its_messages_until_it_is_in_order(database: Database) {
    let mut setup = Setup::new(database);
    setup.token = "ffffffffffffffffffffffffffffffff".to_owned();
    let mut stage = Stage::set(setup).await;
    let run = stage.held().await;
    stage.restart(Settings::DEFAULT_AUTH_TOKEN).await;
    assert_eq!(stage.run(run).await.status, RunStatus::Held, "a restart proves nothing");

    let (told, code) = stage.herald(&["check", "--providers"]).await;
    assert_eq!((told["good"].as_bool(), code), (Some(true), 0), "{told}");
    stage.all_sent_once(run).await;
    let account = stage.app.store.account_state(&stage.org, "twilio").await.unwrap().unwrap();
    assert!(account.stopped.is_empty() && account.checked_at.is_some(), "{account:?}");
    for run in stage.app.store.runs(&stage.org, None, 10).await.unwrap() {
        stage.over(run.id).await;
    }
    assert_eq!(stage.accepted().len(), 130, "both of them were let go");
    stage.strike().await;
}

pub async fn resuming_says_that_the_account_is_in_order(database: Database) {
    let mut setup = Setup::new(database);
    setup.token = "ffffffffffffffffffffffffffffffff".to_owned();
    let mut stage = Stage::set(setup).await;
    let run = stage.held().await;
    stage.restart(Settings::DEFAULT_AUTH_TOKEN).await;
    let (told, code) = stage.herald(&["run", "resume", &run.to_string()]).await;
    assert_eq!((told["run"]["status"].as_str(), code), (Some("running"), 0), "{told}");
    stage.all_sent_once(run).await;
    assert_eq!(stage.accepted().len(), 120, "the other one was not asked for");
    stage.strike().await;
}

pub async fn a_paused_run_rests_and_goes_on(database: Database) {
    let stage = Stage::set(slow(database)).await;
    let run = stage.send("shipping-delay", &shipping((0..60).map(phone))).await;
    stage.under_way(run, 3).await;
    let (told, code) = stage.herald(&["run", "pause", &run.to_string()]).await;
    assert_eq!((told["run"]["status"].as_str(), code), (Some("paused"), 0), "{told}");
    let rests = stage.given_back(run).await;
    assert!((3..60).contains(&handed_over(&rests)), "{:?}", rests.buckets());
    assert_eq!(handed_over(&rests) + rests.waiting(), 60);
    stage.assert_adds_up(run, 60).await;

    // Another run goes through the same sender meanwhile, and nothing more of this one.
    let other = stage.send("shipping-delay", &shipping((100..110).map(phone))).await;
    assert_eq!(stage.over(other).await.of(Status::Delivered), 10);
    assert_eq!(handed_over(&stage.sums(run).await), handed_over(&rests));
    assert_eq!(i64::try_from(stage.accepted().len()), Ok(10 + handed_over(&rests)));

    let (told, code) = stage.herald(&["run", "pause", &run.to_string()]).await;
    assert_eq!((told["note"].as_str(), code), (Some("it was paused already"), 0), "{told}");
    let (told, code) = stage.herald(&["run", "resume", &run.to_string()]).await;
    assert_eq!((told["run"]["status"].as_str(), code), (Some("running"), 0), "{told}");
    assert_eq!(buckets(&stage.over(run).await), [("delivered", 60)].into());
    stage.assert_adds_up(run, 60).await;
    assert!(stage.accepted().len() == 70 && stage.accepted().values().all(|times| *times == 1));
    stage.strike().await;
}

pub async fn a_cancelled_run_sends_nothing_more(database: Database) {
    let mut setup = slow(database);
    setup.config.worker.slots = 1;
    let stage = Stage::set(setup).await;
    let run = stage.send("shipping-delay", &shipping((0..250).map(phone))).await;
    stage.under_way(run, 3).await;
    let (told, code) = stage.herald(&["run", "cancel", &run.to_string()]).await;
    assert_eq!(code, 0, "{told}");
    let sums = stage.over(run).await;
    let (delivered, cancelled) = (sums.of(Status::Delivered), sums.of(Status::Cancelled));
    assert_eq!(buckets(&sums), [("cancelled", cancelled), ("delivered", delivered)].into());
    assert!((3..100).contains(&delivered), "{delivered}");
    assert_eq!(delivered + cancelled, 250);
    stage.assert_adds_up(run, 250).await;
    assert_eq!(stage.run(run).await.status, RunStatus::Cancelled);
    assert!(stage.accepted().values().all(|times| *times == 1));
    assert_eq!(i64::try_from(stage.accepted().len()), Ok(delivered));
    let (told, code) = stage.herald(&["run", "resume", &run.to_string()]).await;
    assert!(code == 2 && told["error"].as_str().unwrap().contains("is cancelled"), "{told}");
    stage.strike().await;
}

pub async fn a_run_keeps_the_text_that_it_began_with(database: Database) {
    let mut stage = Stage::set(slow(database)).await;
    let run = stage.send("shipping-delay", &shipping((0..40).map(phone))).await;
    stage.under_way(run, 3).await;
    let english = "en".parse().unwrap();
    let texts = &mut stage.set.templates.get_mut("shipping-delay").unwrap().texts;
    assert!(texts.insert(english, "Another text for {{CustomerName}}.".to_owned()).is_some());
    let applied = definitions::apply(&stage.app.store, &stage.set, stage.app.clock.now(), rand::random).await.unwrap();
    assert!(!applied.is_unchanged());
    let later = stage.send("shipping-delay", &shipping((100..105).map(phone))).await;
    assert!(handed_over(&stage.sums(run).await) < 40, "the run was over before its template changed");

    assert_eq!(buckets(&stage.over(run).await), [("delivered", 40)].into());
    assert_eq!(buckets(&stage.over(later).await), [("delivered", 5)].into());
    let texts: Vec<_> = stage.calls().into_iter().map(|call| (call.to.to_string(), call.body.to_string())).collect();
    for (number, text) in &texts {
        let beginning = if *number < phone(100) { "Hello Ana, your order AC-1" } else { "Another text for Ana." };
        assert!(text.starts_with(beginning), "{number}: {text}");
    }
    assert_eq!(texts.len(), 45);
    let (first, second) = (stage.run(run).await.pinned, stage.run(later).await.pinned);
    assert_eq!((second.template, second.version), (first.template, first.version + 1));
    stage.strike().await;
}
