//! How often and when people are written to: quiet hours by everybody's own clock, the cap on marketing, the guard against loops.

use std::time::Duration;

use chrono_tz::Tz;
use herald::{
    domain::{
        frequency::LOOP_SPAN,
        id::{MessageId, RunId},
        message::Status,
        purpose::Purpose,
        run::RunStatus,
        time::{Span, Timestamp},
    },
    http::keys::Scope,
};

use crate::{
    automatic::case,
    operator::buckets,
    support::{CHANNEL, Database, Setup, Stage, bucket, phone, shipping},
};

const BERLIN: Tz = Tz::Europe__Berlin;

/// The example, whose news of late orders are marketing here, and nothing that fires by itself when the clock is moved.
fn marketing(database: Database) -> Setup {
    let mut setup = Setup::new(database);
    setup.set.configurations.remove("monthly-reminder");
    setup.set.templates.get_mut("shipping-delay").unwrap().purpose = Purpose::Marketing;
    setup
}

/// From nine in the evening to eight in the morning nobody is to be disturbed.
fn with_quiet_hours(database: Database) -> Setup {
    let mut setup = marketing(database);
    let night = serde_json::from_str(r#"{"from":"21:00","to":"08:00"}"#).unwrap();
    setup.set.organization.quiet_hours = Some(night);
    setup
}

impl Stage {
    /// Moves the clock to the next time at which Berlin's clocks show this.
    fn until_berlin_shows(&self, hour: u32, minute: u32) -> Timestamp {
        let now = self.app.clock.now();
        let day = now.to_utc().with_timezone(&BERLIN).date_naive();
        let times = (0..3).filter_map(|days| {
            let wall = (day + chrono::Days::new(days)).and_hms_opt(hour, minute, 0)?;
            let time: Timestamp = wall.and_local_timezone(BERLIN).earliest()?.to_utc().into();
            Some(time).filter(|time| *time > now)
        });
        let time = times.min().unwrap();
        self.hand.advance(time.since(now));
        time
    }

    /// Waits until a run's buckets are these and nothing of it is in anybody's hands, and holds its sums against its rows.
    async fn stands_at(&self, run: RunId, expected: &[(&str, i64)]) {
        let in_hand = format!("SELECT COUNT(*) FROM requests WHERE run_id = '{run}' AND begun > 0");
        self.until(&format!("{run} stands at {expected:?}"), async || {
            let there = buckets(&self.sums(run).await) == expected.iter().copied().collect();
            (there && self.number(&in_hand).await == 0).then_some(())
        })
        .await;
        self.assert_adds_up(run, expected.iter().map(|(_, count)| count).sum()).await;
    }
}

/// Fifty people each in Berlin, in America, and with a German number in Tokyo.
fn around_the_world() -> String {
    let rows = (0..150u32).map(|nth| {
        let american = format!("+1425555{:04}", nth % 10_000);
        let (to, zone) =
            [(phone(nth), ""), (american, ""), (phone(nth), "Asia/Tokyo")].into_iter().nth(nth as usize % 3).unwrap();
        format!("{to},yes,en,Ana,AC-{nth},Monday,{zone}\n")
    });
    let header = "Phone Number,OptIn,Locale,CustomerName,OrderNumber,DeliveryDate,timezone\n";
    format!("{header}{}", rows.collect::<String>())
}

pub async fn an_evening_run_waits_for_everybodys_morning(database: Database) {
    let stage = Stage::set(with_quiet_hours(database)).await;
    stage.until_berlin_shows(21, 30);
    let run = stage.send("shipping-delay", &around_the_world()).await;
    stage.stands_at(run, &[("delivered", 50), ("held", 100)]).await;
    assert!(stage.accepted().keys().all(|number| number.starts_with("+1425555")));
    let stands = stage.run(run).await;
    assert_eq!((stands.status, stands.dispatched, stands.open_requests), (RunStatus::Running, 2, 2));

    // What an operator and a program see of it: first the mornings of Tokyo, then those of Berlin.
    let ends = stage.app.store.held_until(&stage.org, run).await.unwrap().unwrap();
    let clock = |at: Timestamp, zone: Tz| at.to_utc().with_timezone(&zone).format("%H:%M").to_string();
    assert_eq!((clock(ends.first, Tz::Asia__Tokyo), clock(ends.last, BERLIN)), ("08:00".into(), "08:00".into()));
    let message = stage.app.store.message(&stage.org, MessageId { run, seq: 1 }).await.unwrap().unwrap();
    let state = message.state.unwrap();
    assert_eq!((state.status, state.held_until), (Status::Queued, Some(ends.last)));
    let day = ends.last.to_utc().with_timezone(&BERLIN).format("%Y-%m-%d");
    let why = state.why.unwrap().to_string();
    assert!(why.ends_with(&format!("(quiet hours in Europe/Berlin until {day} 08:00)")), "{why}");
    told(&stage, run, &ends.last.to_string()).await;

    // Paused and resumed they wait on.
    for (command, status) in [("pause", "paused"), ("resume", "running")] {
        let (told, code) = stage.herald(&["run", command, &run.to_string()]).await;
        assert_eq!((told["run"]["status"].as_str(), code), (Some(status), 0), "{told}");
        assert_eq!(told["run"]["buckets"]["held"], 100, "{told}");
    }
    stage.hand.advance(ends.first.since(stage.app.clock.now()));
    stage.stands_at(run, &[("delivered", 100), ("held", 50)]).await;
    stage.hand.advance(ends.last.since(stage.app.clock.now()));
    stage.over(run).await;
    stage.stands_at(run, &[("delivered", 150)]).await;
    let done = stage.run(run).await;
    // Both requests had somebody to write to each time: three times each was something dispatched.
    assert_eq!((done.status, done.dispatched), (RunStatus::Completed, 6));
    assert_eq!(stage.number("SELECT MAX(attempts) FROM requests").await, 1, "waiting is no try");
    assert!(stage.accepted().len() == 150 && stage.accepted().values().all(|times| *times == 1));
    stage.strike().await;
}

/// The command line and the API show what waits, and until when.
async fn told(stage: &Stage, run: RunId, until: &str) {
    let (told, code) = stage.herald(&["run", "show", &run.to_string()]).await;
    assert_eq!((told["run"]["buckets"]["held"].as_i64(), code), (Some(100), 0), "{told}");
    assert_eq!((told["run"]["reasons"]["quiet_hours"].as_i64(), &told["run"]["adds_up"]), (Some(100), &true.into()));
    assert_eq!(told["run"]["held"]["last_until"].as_str(), Some(until), "{told}");
    let key = stage.key_for(&stage.org, Scope::Read).await;
    let shown = stage.json(&key, "GET", &format!("/v1/runs/{run}"), serde_json::Value::Null).await.good(200);
    assert_eq!(shown["run"]["held"], told["run"]["held"]);
    assert_eq!(shown["run"]["held"]["messages"], 100, "{shown}");
    let path = format!("/v1/messages/{}", MessageId { run, seq: 1 });
    let message = &stage.json(&key, "GET", &path, serde_json::Value::Null).await.good(200)["message"];
    assert_eq!((message["status"].as_str(), message["code"].as_str()), (Some("queued"), Some("quiet_hours")));
    assert_eq!(message["held_until"].as_str(), Some(until), "{message}");
}

/// The sender is slow, and the evening comes while it sends: whoever has not been written to by then waits for the morning.
pub async fn nobody_is_written_to_after_the_evening_has_come(database: Database) {
    let mut setup = with_quiet_hours(database);
    setup.set.channels.get_mut(CHANNEL).unwrap().pace = Some("20/s".parse().unwrap());
    let stage = Stage::set(setup).await;
    stage.until_berlin_shows(20, 50);
    let run = stage.send("shipping-delay", &shipping((0..80).map(phone))).await;
    stage.until("some have left", async || (stage.accepted().len() >= 3).then_some(())).await;
    stage.hand.advance(Duration::from_mins(15));
    stage.until("the rest is held", async || (stage.sums(run).await.held() > 0).then_some(())).await;
    stage.quiet().await;
    let sums = stage.sums(run).await;
    let (delivered, held) = (sums.of(Status::Delivered), sums.held());
    assert!((3..80).contains(&delivered) && delivered + held == 80, "{:?}", sums.buckets());
    stage.stands_at(run, &[("delivered", delivered), ("held", held)]).await;
    stage.until_berlin_shows(8, 0);
    assert_eq!(buckets(&stage.over(run).await), [("delivered", 80)].into());
    assert!(stage.accepted().len() == 80 && stage.accepted().values().all(|times| *times == 1));
    // A clock that leaps past a lease may cost a try; a night of waiting costs none.
    assert!(stage.number("SELECT MAX(attempts) FROM requests").await <= 2);
    stage.strike().await;
}

pub async fn what_waits_may_be_cancelled_or_grow_too_old(database: Database) {
    let mut setup = with_quiet_hours(database);
    let configuration = setup.set.configurations.get_mut("shipping-delay").unwrap();
    configuration.valid_for = Span(Duration::from_hours(3));
    let stage = Stage::set(setup).await;
    stage.until_berlin_shows(23, 0);
    let run = stage.send("shipping-delay", &shipping((0..120).map(phone))).await;
    let other = stage.send("shipping-delay", &shipping((200..230).map(phone))).await;
    stage.stands_at(run, &[("held", 120)]).await;
    stage.stands_at(other, &[("held", 30)]).await;
    let used = stage.app.store.usage(&stage.org, stage.app.clock.now()).await.unwrap();
    assert_eq!(
        used.iter().map(|(_, used)| used.total).sum::<u64>(),
        0,
        "what waits as a whole costs nothing of the hour"
    );
    assert_eq!(stage.run(run).await.dispatched, 0);

    let (told, code) = stage.herald(&["run", "cancel", &other.to_string()]).await;
    assert_eq!((told["run"]["status"].as_str(), code), (Some("cancelled"), 0), "{told}");
    stage.stands_at(other, &[("cancelled", 30)]).await;

    // It is worth sending for three hours only, and these are over before the night is.
    stage.hand.advance(Duration::from_hours(3));
    stage.over(run).await;
    stage.stands_at(run, &[("expired", 120)]).await;
    assert_eq!(stage.calls().len(), 0);

    // What is about the contact's own business waits for no morning.
    assert!(stage.event("evt_1", &case(300, "en", "Door", "high")).await);
    let day = stage.day("case-created", 1).await;
    assert_eq!(buckets(&stage.sums(day).await), [("delivered", 1)].into());
    stage.strike().await;
}

pub async fn a_cap_counts_over_all_runs(database: Database) {
    let mut setup = marketing(database);
    setup.set.organization.frequency_cap = Some("1/7day".parse().unwrap());
    let stage = Stage::set(setup).await;
    // Of two runs at once nobody gets two messages, whichever is quicker.
    let first = stage.send("shipping-delay", &shipping((0..130).map(phone))).await;
    let second = stage.send("shipping-delay", &shipping((100..230).map(phone))).await;
    let (one, two) = (stage.over(first).await, stage.over(second).await);
    assert_eq!(buckets(&one), [("delivered", 130)].into(), "what was accepted first goes");
    assert_eq!(buckets(&two), [("delivered", 100), ("suppressed", 30)].into());
    assert_eq!(bucket(&two, Status::Suppressed, Some("frequency_capped")), 30);
    stage.assert_adds_up(second, 130).await;
    assert!(stage.accepted().len() == 230 && stage.accepted().values().all(|times| *times == 1));

    // Their own business is no advertising, and after a week there may be some again.
    assert!(stage.event("evt_1", &case(1, "en", "Door", "high")).await);
    let day = stage.day("case-created", 1).await;
    assert_eq!(buckets(&stage.sums(day).await), [("delivered", 1)].into());
    stage.hand.advance(Duration::from_hours(7 * 24));
    let third = stage.send("shipping-delay", &shipping((0..10).map(phone))).await;
    assert_eq!(buckets(&stage.over(third).await), [("delivered", 10)].into());
    stage.strike().await;
}

pub async fn a_loop_is_broken_after_twenty(database: Database) {
    let mut setup = Setup::new(database);
    setup.set.configurations.remove("monthly-reminder");
    let stage = Stage::set(setup).await;
    stage.until_berlin_shows(12, 0); // no midnight lies between
    for nth in 0..25 {
        assert!(stage.event(&format!("evt_{nth}"), &case(1, "en", "Door", "high")).await);
        if nth % 5 == 0 {
            stage.hand.advance(Duration::from_mins(5));
        }
    }
    let run = stage.day("case-created", 25).await;
    let sums = stage.sums(run).await;
    assert_eq!(buckets(&sums), [("delivered", 20), ("suppressed", 5)].into());
    assert_eq!(bucket(&sums, Status::Suppressed, Some("looping")), 5);
    stage.assert_adds_up(run, 25).await;
    assert_eq!(stage.texts_to(&phone(1)).len(), 20);

    // Another text gets through, and so does the same one to somebody else; the same one again when an hour is over.
    assert!(stage.event("evt_100", &case(1, "en", "Roof", "high")).await);
    assert!(stage.event("evt_101", &case(2, "en", "Door", "high")).await);
    stage.day("case-created", 27).await;
    stage.hand.advance(LOOP_SPAN);
    assert!(stage.event("evt_102", &case(1, "en", "Door", "high")).await);
    stage.day("case-created", 28).await;
    assert_eq!(buckets(&stage.sums(run).await), [("delivered", 23), ("suppressed", 5)].into());
    stage.strike().await;
}
