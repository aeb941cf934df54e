//! Every provider, both ways; and what becomes of messages whose provider refuses, is silent, or never reports.

use std::{collections::BTreeMap, time::Duration};

use herald::{
    definitions,
    domain::{
        account::{Account, TeleSignAuth},
        definition::NumberType,
        message::Status,
        run::RunStatus,
    },
    sandbox::{Call, Provider, Settings},
    store::messages::{MessageSearch, StoredMessage},
};
use serde_json::json;

use crate::{
    operator::buckets,
    support::{CHANNEL, Database, Setup, Stage, bucket, phone, shipping},
};

/// The channels of the example that send SMS, with what stands behind each.
const CHANNELS: [(&str, &str, Provider); 3] = [
    (CHANNEL, "twilio", Provider::Twilio),
    ("resolved-telesign", "telesign", Provider::TeleSign),
    ("reminders-acs", "acs", Provider::Acs),
];

impl Setup {
    /// Files for `shipping-delay` leave through this channel.
    fn through(mut self, channel: &str) -> Self {
        channel.clone_into(&mut self.set.configurations.get_mut("shipping-delay").unwrap().channel);
        self
    }
}

impl Stage {
    /// What the sandbox has taken from one provider's customers, by recipient.
    fn taken(&self, provider: Provider) -> BTreeMap<String, usize> {
        let calls = self.calls();
        let taken = calls.iter().filter(|call| call.provider == provider && call.accepted && !call.repeat);
        taken.fold(BTreeMap::new(), |mut all, call: &Call| {
            *all.entry(format!("+{}", call.to.trim_start_matches("whatsapp:").trim_start_matches('+'))).or_default() +=
                1;
            all
        })
    }

    async fn messages(&self, run: herald::domain::id::RunId) -> Vec<StoredMessage> {
        let search = MessageSearch { run: Some(run), ..MessageSearch::default() };
        self.app.store.search_messages(&self.org, &search, 1_000).await.unwrap()
    }

    /// The address that an account's provider calls back.
    fn callback(&self, account: &str) -> String {
        format!("{}/callbacks/{}", self.base_url, self.applied.callback_tokens[account])
    }

    /// Lets the provider know where messages to a number are posted.
    async fn listens(&self, to: &str, account: &str) {
        let body = json!({ "number": to, "url": self.callback(account) }).to_string();
        let put = self.client.put(format!("{}/sandbox/inbound", self.sandbox().base_url())).body(body);
        assert!(put.send().await.unwrap().status().is_success());
    }

    /// Somebody writes to a number.
    async fn texts(&self, from: &str, to: &str, account: &str, text: &str) {
        let place = self.sandbox().base_url();
        let said = self
            .client
            .post(format!("{place}/sandbox/reply"))
            .body(json!({ "from": from, "to": to, "body": text, "provider": account }).to_string());
        let answer = said.send().await.unwrap();
        let status = answer.status();
        assert!(status.is_success(), "{to}: {status} {}", answer.text().await.unwrap());
    }
}

pub async fn every_provider_sends_reports_and_passes_replies_on(database: Database) {
    for (channel, account, provider) in CHANNELS {
        let stage = Stage::set(Setup::new(database).through(channel)).await;
        let number = stage.set.channels[channel].number.clone();
        let number = if provider == Provider::TeleSign { number } else { format!("+{number}") };
        stage.listens(&number, account).await;
        let troubles: &[(u32, Status, &str)] = match provider {
            Provider::Twilio => {
                &[(91_211, Status::Failed, "invalid_number"), (90_003, Status::Undelivered, "unreachable")]
            }
            Provider::TeleSign => &[
                (91_000, Status::Failed, "invalid_number"),
                (95_510, Status::Undelivered, "opted_out"),
                (95_503, Status::Undelivered, "carrier_fault"),
            ],
            Provider::Acs => &[
                (90_400, Status::Failed, "invalid_number"),
                (94_006, Status::Undelivered, "unreachable"),
                (94_007, Status::Undelivered, "opted_out"),
            ],
        };
        let same: [u32; 5] = [90_429, 90_993, 90_994, 98_468, 97_867];
        let numbers = troubles.iter().map(|(suffix, ..)| *suffix).chain(same).chain(0..120).map(phone);
        let run = stage.send("shipping-delay", &shipping(numbers)).await;
        stage.over_soon(run).await;
        let sums = stage.sums(run).await;
        let delivered = i64::try_from(120 + same.len()).unwrap();
        assert_eq!(bucket(&sums, Status::Delivered, None), delivered, "{account}: {:?}", sums.tallies);
        stage.assert_adds_up(run, delivered + i64::try_from(troubles.len()).unwrap()).await;
        let messages = stage.messages(run).await;
        for (suffix, status, code) in troubles {
            let message = messages.iter().find(|message| message.to.to_string() == phone(*suffix)).unwrap();
            let why = message.state.as_ref().unwrap().why.as_ref();
            assert_eq!(
                (message.status(), why.map(|why| why.reason.code())),
                (*status, Some(*code)),
                "{account} {suffix}"
            );
        }
        let taken = stage.taken(provider);
        assert!(taken.values().all(|times| *times == 1), "{account}: {taken:?}");

        stage.texts(&phone(7), &number, account, "When will it come?").await;
        stage.quiet().await;
        let replies = stage.app.store.replies(&stage.org, herald::domain::time::Timestamp::default(), 9).await.unwrap();
        let texts: Vec<(String, &str)> =
            replies.iter().map(|reply| (reply.from.to_string(), reply.text.as_str())).collect();
        assert!(texts.contains(&(phone(7), "When will it come?")), "{account}: {texts:?}");
        assert!(replies.iter().all(|reply| reply.channel == channel), "{account}");
        // Those who said STOP, and those of whom the provider says that they have opted out, are left alone from now on.
        let opted_out = troubles.iter().filter(|(_, _, code)| *code == "opted_out").map(|(suffix, ..)| *suffix);
        let again: Vec<String> = opted_out.chain([97_867]).map(phone).collect();
        let expected = i64::try_from(again.len()).unwrap();
        let run = stage.send("shipping-delay", &shipping(again)).await;
        let sums = stage.over(run).await;
        assert_eq!(bucket(&sums, Status::Suppressed, Some("opted_out")), expected, "{account}: {:?}", sums.tallies);
        stage.strike().await;
    }
}

pub async fn a_doubt_is_settled_by_the_same_try_again(database: Database) {
    let mut setup = Setup::new(database).through("reminders-acs");
    setup.config.worker.answer_timeout = Duration::from_millis(500);
    // A report would settle them as well.
    setup.sandbox.receipts.enabled = false;
    let stage = Stage::set(setup).await;
    // Taken, and not answered the first time.
    let doubtful = ["+4915155590998", "+4915155690998", "+4915155790998"].map(str::to_owned);
    let run = stage.send("shipping-delay", &shipping(doubtful.clone().into_iter().chain((0..30).map(phone)))).await;
    stage.over_soon(run).await;
    assert_eq!(buckets(&stage.sums(run).await), [("sent", 33)].into(), "{:?}", stage.sums(run).await.tallies);
    stage.assert_adds_up(run, 33).await;
    let taken = stage.taken(Provider::Acs);
    assert!(taken.len() == 33 && taken.values().all(|times| *times == 1), "{taken:?}");
    let calls = stage.calls();
    for number in doubtful {
        let ids: Vec<_> = calls.iter().filter(|call| *call.to == *number).map(|call| call.request_id.clone()).collect();
        assert!(ids.len() > 1 && ids.iter().all(|id| *id == ids[0] && id.is_some()), "{number}: {ids:?}");
    }
    stage.strike().await;
}

/// TeleSign can neither be asked nor handed the same again: what it may have taken is not sent twice, and only its own report
/// settles it.
pub async fn a_doubt_that_nobody_can_settle_waits_for_a_report(database: Database) {
    for (reports, ends) in [(false, [("sent", 30), ("uncertain", 1)].into()), (true, [("delivered", 31)].into())] {
        let mut setup = Setup::new(database).through("resolved-telesign");
        setup.config.worker.answer_timeout = Duration::from_millis(500);
        setup.sandbox.receipts.enabled = reports;
        let stage = Stage::set(setup).await;
        let run = stage.send("shipping-delay", &shipping([90_998].into_iter().chain(0..30).map(phone))).await;
        stage.over_soon(run).await;
        assert_eq!(buckets(&stage.sums(run).await), ends, "reports: {reports}");
        stage.assert_adds_up(run, 31).await;
        let calls = stage.calls().iter().filter(|call| *call.to == phone(90_998)[1..]).count();
        assert_eq!((calls, stage.taken(Provider::TeleSign).len()), (1, 31), "it was called once and never again");
        stage.strike().await;
    }
}

pub async fn a_stopped_account_is_stood_in_for(database: Database) {
    let mut setup = Setup::new(database);
    setup.set.channels.get_mut(CHANNEL).unwrap().fallback = Some("resolved-telesign".to_owned());
    setup.token = "0000000000000000000000000000bad0".to_owned();
    let stage = Stage::set(setup).await;
    let run = stage.send("shipping-delay", &shipping((0..150).map(phone))).await;
    stage.over_soon(run).await;
    assert_eq!(buckets(&stage.sums(run).await), [("delivered", 150)].into());
    stage.assert_adds_up(run, 150).await;
    assert_eq!((stage.taken(Provider::Twilio).len(), stage.taken(Provider::TeleSign).len()), (0, 150));
    let messages = stage.messages(run).await;
    assert!(messages.iter().all(|message| message.state.as_ref().unwrap().via == "resolved-telesign"));
    let state = stage.app.store.account_state(&stage.org, "twilio").await.unwrap().unwrap();
    assert!(state.stopped.contains("credentials"), "{state:?}");
    // The next run does not even try the stopped one.
    let calls = stage.calls().iter().filter(|call| call.provider == Provider::Twilio).count();
    let next = stage.send("shipping-delay", &shipping((200..210).map(phone))).await;
    stage.over(next).await;
    assert_eq!(stage.calls().iter().filter(|call| call.provider == Provider::Twilio).count(), calls);
    stage.strike().await;
}

pub async fn a_silent_account_is_stood_in_for_until_it_answers(database: Database) {
    let mut setup = Setup::new(database);
    setup.set.channels.get_mut(CHANNEL).unwrap().fallback = Some("resolved-telesign".to_owned());
    let mut stage = Stage::set(setup).await;
    // Nobody listens where Twilio should be.
    stage.set.accounts.get_mut("twilio").unwrap().redirect("http://127.0.0.1:9".to_owned());
    definitions::apply(&stage.app.store, &stage.set, stage.app.clock.now(), rand::random).await.unwrap();
    let run = stage.send("shipping-delay", &shipping((0..150).map(phone))).await;
    stage.over_soon(run).await;
    assert_eq!(buckets(&stage.sums(run).await), [("delivered", 150)].into());
    stage.assert_adds_up(run, 150).await;
    assert_eq!(stage.taken(Provider::TeleSign).len(), 150);

    let place = stage.sandbox().base_url();
    stage.set.accounts.get_mut("twilio").unwrap().redirect(place);
    definitions::apply(&stage.app.store, &stage.set, stage.app.clock.now(), rand::random).await.unwrap();
    stage.hand.advance(Duration::from_mins(10));
    let next = stage.send("shipping-delay", &shipping((200..210).map(phone))).await;
    stage.over(next).await;
    assert_eq!(stage.taken(Provider::Twilio).len(), 10, "its own channel again, once it may be tried");
    stage.strike().await;
}

/// Without a fallback, requests wait for the trial: they are not held, and they do not use up the hour.
pub async fn a_silent_account_uses_up_neither_tries_nor_the_hour(database: Database) {
    let mut stage = Stage::set(Setup::new(database)).await;
    stage.set.accounts.get_mut("twilio").unwrap().redirect("http://127.0.0.1:9".to_owned());
    definitions::apply(&stage.app.store, &stage.set, stage.app.clock.now(), rand::random).await.unwrap();
    let run = stage.send("shipping-delay", &shipping((0..1_500).map(phone))).await;
    stage
        .until("the provider is known to be silent, and every request waits", async || {
            stage.hand.advance(Duration::from_millis(50));
            let waiting = format!(
                "SELECT COUNT(*) FROM requests WHERE run_id = '{run}' AND due_at > {}",
                stage.app.clock.now().millis() + 2_000
            );
            (stage.number(&waiting).await == 15).then_some(())
        })
        .await;
    assert_eq!(stage.run(run).await.status, RunStatus::Running);
    let before = stage.run(run).await.dispatched;
    for _ in 0..20 {
        stage.hand.advance(Duration::from_secs(30));
        tokio::task::yield_now().await;
    }
    stage
        .until("a trial was made", async || {
            stage.hand.advance(Duration::from_secs(1));
            (stage.run(run).await.dispatched > before).then_some(())
        })
        .await;
    let dispatched = stage.run(run).await.dispatched;
    assert!(dispatched < 45, "{dispatched} of 15 requests were counted in ten minutes");
    let place = stage.sandbox().base_url();
    stage.set.accounts.get_mut("twilio").unwrap().redirect(place);
    definitions::apply(&stage.app.store, &stage.set, stage.app.clock.now(), rand::random).await.unwrap();
    stage.over_soon(run).await;
    assert_eq!(buckets(&stage.sums(run).await), [("delivered", 1_500)].into());
    stage.assert_adds_up(run, 1_500).await;
    stage.strike().await;
}

pub async fn messages_without_receipts_are_asked_about(database: Database) {
    for (channel, account, provider) in CHANNELS {
        let mut setup = Setup::new(database).through(channel);
        if let Some(Account::TeleSign(settings)) = setup.set.accounts.get_mut(account) {
            // A signed call from a quarter of an hour ahead would be refused.
            settings.auth = TeleSignAuth::Basic;
        }
        let stage = Stage::set(setup).await;
        let run = stage.send("shipping-delay", &shipping([90_995, 1, 2].map(phone))).await;
        let sums = stage.over(run).await;
        assert_eq!(buckets(&sums), [("sent", 1), ("delivered", 2)].into(), "{account}");
        stage.hand.advance(Duration::from_mins(16));
        let expected: BTreeMap<_, _> = match provider {
            Provider::Twilio | Provider::TeleSign => [("delivered", 3)].into(),
            // It has nothing to ask.
            Provider::Acs => [("sent", 1), ("delivered", 2)].into(),
        };
        stage
            .until(&format!("{account} was asked"), async || {
                (buckets(&stage.sums(run).await) == expected).then_some(())
            })
            .await;
        stage.assert_adds_up(run, 3).await;
        stage.strike().await;
    }
}

/// The whole of WhatsApp: approved content opens the conversation, what the contact writes opens the window for free text.
pub async fn whatsapp_goes_by_approved_content_and_its_window(database: Database) {
    let mut setup = Setup::new(database);
    setup.sandbox =
        Settings { replies: herald::sandbox::Replies { share: 0.0, ..setup.sandbox.replies }, ..setup.sandbox };
    let channel = setup.set.channels.get_mut("whatsapp").unwrap();
    channel.number_type = NumberType::Geographic;
    let stage = Stage::set(setup).await;
    let row = |number: String, locale: &str, extra: &str| format!("{number},yes,{locale},Ana,Monday 10:00,{extra}\n");
    let head = "to,optin,locale,CustomerName,AppointmentTime,sendastemplate\n";
    let csv = format!("{head}{}{}{}", row(phone(1), "fr", ""), row(phone(2), "xx", ""), row(phone(3), "en", "false"));
    let run = stage.send("appointment-reminder", &csv).await;
    let sums = stage.over(run).await;
    assert_eq!(buckets(&sums), [("delivered", 2), ("failed", 1)].into(), "{:?}", sums.tallies);
    assert_eq!(bucket(&sums, Status::Failed, Some("session_closed")), 1);
    let messages = stage.messages(run).await;
    let why = messages[2].state.as_ref().unwrap().why.as_ref().unwrap().to_string();
    assert!(why.contains("24 hours") && why.contains("has never written"), "{why}");
    let locales: Vec<_> = messages[..2].iter().map(|message| message.state.as_ref().unwrap().locale.clone()).collect();
    assert_eq!(locales, ["fr", "en"]);

    stage.listens("whatsapp:+14252306550", "twilio").await;
    stage.texts(&format!("whatsapp:{}", phone(3)), "whatsapp:+14252306550", "twilio", "May I come later?").await;
    stage.quiet().await;
    let csv = format!("{head}{}", row(phone(3), "en", "false").replace("Monday", "Tuesday"));
    let run = stage.send("appointment-reminder", &csv).await;
    assert_eq!(buckets(&stage.over(run).await), [("delivered", 1)].into(), "the window is open");
    stage.hand.advance(Duration::from_hours(24));
    let csv = format!("{head}{}", row(phone(3), "en", "false").replace("Monday", "Friday"));
    let run = stage.send("appointment-reminder", &csv).await;
    let sums = stage.over(run).await;
    assert_eq!(bucket(&sums, Status::Failed, Some("session_closed")), 1, "an outgoing message has extended nothing");
    stage.strike().await;
}
