//! The demo's story, one step after another; each says what it does and shows what came of it.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde_json::json;

use super::{
    super::{Failure, follow, follow::Followed, out::Out},
    Runs,
    stage::{HOOK_SECRET, Stage},
};
use crate::{
    definitions,
    domain::{
        contact::ChannelType,
        id::{ConsentChangeId, RunId},
        message::Status,
        phone::E164,
        reason::Reason,
        time::Timestamp,
    },
    inbound::webhook,
    intake::{
        audience::{self, Start},
        csv::{CsvAudience, Expect},
        upload::{self, NotSent, OnInvalid, OnSameFile, Upload},
    },
    sandbox::magic,
    secret::Secret,
    store::consents::{Consent, ConsentChange},
};

/// How long the demo waits for anything before it says that it did not come.
pub(super) const DEADLINE: Duration = Duration::from_secs(40);
/// Between two looks at whether something has come.
const LOOK: Duration = Duration::from_millis(50);
/// People who had opted out before the demo begins: so many of the file's first good rows, every fortieth.
const OPTED_OUT: usize = 12;
/// Events that are posted; the last one is posted twice.
const EVENTS: usize = 6;

/// What happens, and what came of it so far.
pub struct Story<'a> {
    pub(super) stage: &'a mut Stage,
    pub(super) out: Out,
    pub(super) runs: Vec<RunId>,
    step: usize,
}

impl<'a> Story<'a> {
    pub fn new(stage: &'a mut Stage, out: Out) -> Self {
        out.line("herald demo: a real database, real HTTP on loopback, and the sandbox in the place of the provider.");
        Self { stage, out, runs: Vec::new(), step: 0 }
    }

    pub(super) fn heading(&mut self, text: &str) {
        self.step += 1;
        self.out.line(format!("\n{}. {text}", self.step));
    }

    pub async fn definitions(&mut self) -> Result<(), Failure> {
        self.heading("Definitions: examples/acme, as `herald apply examples/acme` loads them");
        let applied = self.stage.apply().await?;
        let mut kinds: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (kind, name, _) in &applied.changes {
            kinds.entry(kind.as_str()).or_default().push(name);
        }
        let lines: Vec<String> =
            kinds.iter().map(|(kind, names)| format!("   {kind:14} {}", names.join(", "))).collect();
        lines.into_iter().for_each(|line| self.out.line(line));
        self.stage.let_programs_in().await?;
        self.addresses().await
    }

    /// Tells each provider where to call back, as one does in its console.
    async fn addresses(&self) -> Result<(), Failure> {
        let sandbox = self.stage.sandbox.base_url();
        let telesign = self.stage.set.channels.values().filter(|channel| channel.account == "telesign");
        let numbers = telesign.map(|channel| (Some(channel.number.clone()), "telesign")).chain([(None, "twilio")]);
        for (number, account) in numbers {
            let body = json!({ "number": number, "url": self.stage.callback(account) });
            let place = format!("{sandbox}/sandbox/inbound");
            self.post(&place, &[], body.to_string(), reqwest::Method::PUT).await?;
        }
        let events = json!({ "events": { "callback_url": self.stage.callback("acs") } });
        self.post(&format!("{sandbox}/sandbox/acs/events"), &[], events.to_string(), reqwest::Method::PUT).await?;
        Ok(())
    }

    pub async fn opt_outs(&mut self) -> Result<(), Failure> {
        let people: Vec<E164> = self.good_numbers()?.into_iter().step_by(40).take(OPTED_OUT).collect();
        self.heading("Consent: some people of the file said STOP long ago");
        let at = self.stage.app.clock.now();
        let change = |of: &E164| ConsentChange {
            id: ConsentChangeId::new(at, rand::random()),
            channel_type: ChannelType::Sms,
            of: *of,
            consent: Consent::Out,
            source: "import".into(),
            actor: "operator".into(),
            at,
        };
        let changes: Vec<ConsentChange> = people.iter().map(change).collect();
        self.stage.app.store.set_consents(&self.stage.org, &changes).await?;
        self.out.line(format!("   {} opt-outs stored", changes.len()));
        Ok(())
    }

    /// The numbers of the file's good rows, in order.
    fn good_numbers(&self) -> Result<Vec<E164>, Failure> {
        let nothing = std::collections::BTreeSet::new();
        let expect = Expect {
            channel_type: ChannelType::Sms,
            configuration: None,
            required_slugs: &nothing,
            default_country: None,
            attested: None,
        };
        let mut audience = CsvAudience::open(definitions::acme_customers(), expect)?;
        let mut numbers = Vec::new();
        while let Some(row) = audience.next_row() {
            numbers.extend(row?.contact.ok().map(|contact| contact.to));
        }
        Ok(numbers)
    }

    pub async fn instant(&mut self) -> Result<(), Failure> {
        self.heading("Instant: customers.csv through \"shipping-delay\"");
        let path = self.stage.file("customers.csv", definitions::acme_customers()).await?;
        let mut upload = self.upload("shipping-delay", path).await?;
        match upload::start(&self.stage.app.store, &self.stage.app.clock, &upload, |_| ()).await {
            Err(NotSent::Invalid(preview)) => {
                self.out.line(format!(
                    "   Refused at first: {} of {} rows are bad, and nothing was sent:",
                    preview.checked.invalid, preview.checked.rows
                ));
                self.out.line(format!("     {}", preview.checked.summary));
                for problem in preview.checked.problems.iter().take(3) {
                    self.out.line(format!("     {problem}"));
                }
                self.out.line("     …");
            }
            Err(other) => return Err(other.into()),
            Ok(run) => return Err(anyhow::anyhow!("the bad rows of the file were not noticed: {run} was sent").into()),
        }
        self.out.line("   Again with --skip-invalid: the good rows go, the bad ones are kept and can be corrected.");
        upload.on_invalid = OnInvalid::Skip;
        self.send(&upload).await
    }

    pub(super) async fn upload(&self, configuration: &str, path: PathBuf) -> Result<Upload, Failure> {
        let book = self.stage.app.organization(Some(&self.stage.org)).await?;
        let configuration = book.configuration(configuration)?.clone();
        Ok(Upload {
            book,
            configuration,
            path,
            on_invalid: OnInvalid::Refuse,
            on_same_file: OnSameFile::Refuse,
            attested: None,
        })
    }

    pub(super) async fn send(&mut self, upload: &Upload) -> Result<(), Failure> {
        let run = upload::start(&self.stage.app.store, &self.stage.app.clock, upload, |_| ()).await?;
        self.follow(run).await
    }

    async fn follow(&mut self, run: RunId) -> Result<(), Failure> {
        self.runs.push(run);
        let followed = follow::follow(&self.stage.app, &mut self.stage.running, self.out, &self.stage.org, run).await?;
        self.show(&followed);
        Ok(())
    }

    fn show(&self, followed: &Followed) {
        follow::print(self.out, &self.stage.app, followed);
    }

    pub async fn replies(&mut self) -> Result<(), Failure> {
        self.heading("Receipts and replies come back over HTTP, signed, and are applied");
        self.quiet().await?;
        let Some(run) = self.runs.last().copied() else { return Ok(()) };
        let sums = self.stage.app.store.sums(&self.stage.org, run).await?;
        let told: Vec<String> = sums.buckets().into_iter().map(|(bucket, count)| format!("{bucket} {count}")).collect();
        self.out.line(format!("   {}", told.join(", ")));
        let replies = self.stage.app.store.replies(&self.stage.org, Timestamp::from_millis(0), 50).await?;
        for reply in &replies {
            let meaning = match reply.keyword.as_str() {
                "stop" => "  → opted out",
                "start" => "  → opted in",
                _ => "",
            };
            self.out.line(format!("   {} wrote \"{}\"{meaning}", reply.from.masked(), reply.text));
        }
        Ok(())
    }

    /// Waits until the sandbox has sent all that it has to send, and herald has applied it. A slow machine may take its time,
    /// as long as something moves.
    pub(super) async fn quiet(&mut self) -> Result<(), Failure> {
        let (app, org) = (self.stage.app.clone(), self.stage.org.clone());
        let (mut watch, mut before) = (crate::clock::Stopwatch::start(), None);
        loop {
            let summary = self.stage.sandbox.summary();
            let waiting = app.store.waiting_callbacks(&org, 1).await?.first().map(|callback| callback.id);
            if summary.pending == 0 && waiting.is_none() {
                return Ok(());
            }
            let now = Some((summary.pending, summary.receipts, summary.replies, waiting));
            if now != before {
                (watch, before) = (crate::clock::Stopwatch::start(), now);
            }
            if watch.elapsed() > DEADLINE {
                return Err(anyhow::anyhow!("receipts are still missing, and none has come for {DEADLINE:?}").into());
            }
            self.pause().await?;
        }
    }

    pub(super) async fn pause(&mut self) -> Result<(), Failure> {
        tokio::select! {
            () = self.stage.app.clock.sleep(LOOK) => Ok(()),
            broken = self.stage.running.broken() => Ok(broken?),
        }
    }

    pub async fn next_run(&mut self) -> Result<(), Failure> {
        let replies = self.stage.app.store.replies(&self.stage.org, Timestamp::from_millis(0), 50).await?;
        self.heading("The next run leaves out those who just said STOP");
        let mut csv = "to,optin,locale,CustomerName,OrderNumber,DeliveryDate\n".to_owned();
        for reply in &replies {
            csv.push_str(&format!("{},yes,en,Customer,A-1,Monday\n", reply.from));
        }
        let path = self.stage.file("repliers.csv", csv.as_bytes()).await?;
        let upload = self.upload("shipping-delay", path).await?;
        self.send(&upload).await
    }

    pub async fn automatic(&mut self) -> Result<(), Failure> {
        self.heading("Automatic: the CRM posts signed case-created events to its hook");
        let tokens = self.stage.applied.as_ref().map(|applied| applied.hook_tokens.clone()).unwrap_or_default();
        let Some(token) = tokens.values().next() else {
            return Err(anyhow::anyhow!("examples/acme defines no hook").into());
        };
        let url = format!("{}/hooks/{token}", self.stage.base_url);
        let numbers: Vec<E164> = self.good_numbers()?.into_iter().rev().take(EVENTS).collect();
        let people = ["Ana", "Chloé", "Yuki", "Dewi", "Eleni", "Jonas"];
        let languages = ["en", "fr", "ja", "id", "el", "de"];
        for (place, number) in numbers.iter().enumerate() {
            let data = json!({ "customer": { "mobile": number, "name": people[place % 6], "language": languages[place % 6], "do_not_phone": false },
                "id": format!("CAS-{place}"), "title": "Broken heater", "priority": "high" });
            let event =
                json!({ "type": "case.created", "timestamp": self.stage.app.clock.now(), "data": data }).to_string();
            let id = format!("evt_{place}");
            self.event(&url, &id, &event).await?;
            if place + 1 == numbers.len() {
                let answer = self.event(&url, &id, &event).await?;
                self.out.line(format!("   {EVENTS} events posted; the last one twice, as senders do: the second time the answer is {answer}"));
            }
        }
        let run = self.settled_run("case-created", EVENTS).await?;
        self.runs.push(run);
        self.quiet().await?;
        if let Some(followed) = Followed::look(&self.stage.app, &self.stage.org, run).await? {
            self.show(&followed);
        }
        Ok(())
    }

    async fn event(&self, url: &str, id: &str, body: &str) -> Result<String, Failure> {
        let now = self.stage.app.clock.now().seconds();
        let signature = webhook::sign(&Secret::new(HOOK_SECRET), id, now, body.as_bytes())?;
        let headers =
            [("webhook-id", id.to_owned()), ("webhook-timestamp", now.to_string()), ("webhook-signature", signature)];
        self.post(url, &headers, body.to_owned(), reqwest::Method::POST).await
    }

    pub(super) async fn post(
        &self,
        url: &str,
        headers: &[(&str, String)],
        body: String,
        method: reqwest::Method,
    ) -> Result<String, Failure> {
        let mut request =
            reqwest::Client::new().request(method, url).header("content-type", "application/json").body(body);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let answer = request.send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        if status.is_success() { Ok(text) } else { Err(anyhow::anyhow!("{url} answered {status}: {text}").into()) }
    }

    /// The newest run of a configuration, once it has dealt with so many messages.
    pub(super) async fn settled_run(&mut self, name: &str, messages: usize) -> Result<RunId, Failure> {
        let watch = crate::clock::Stopwatch::start();
        loop {
            for run in
                self.stage.app.store.runs(&self.stage.org, None, 20).await?.into_iter().filter(|run| run.name == name)
            {
                let sums = self.stage.app.store.sums(&self.stage.org, run.id).await?;
                if run.open_requests == 0
                    && usize::try_from(sums.messages - sums.waiting()).is_ok_and(|done| done >= messages)
                {
                    return Ok(run.id);
                }
            }
            if watch.elapsed() > DEADLINE {
                return Err(anyhow::anyhow!("\"{name}\" has not sent its messages after {DEADLINE:?}").into());
            }
            self.pause().await?;
        }
    }

    /// Another provider, on the same story: the cases are resolved, and those who had them are told.
    pub async fn resolved(&mut self) -> Result<(), Failure> {
        self.heading(
            "Instant, through TeleSign: the cases are resolved, and everybody with a resolved case is told, once",
        );
        let now = self.stage.app.clock.now();
        let event = |place| json!({ "id": format!("evt_r{place}"), "type": "case.resolved", "time": now, "data": { "id": format!("CAS-{place}") } });
        let events: Vec<_> = (0..EVENTS).map(event).collect();
        let bearer = [("authorization", format!("Bearer {}", self.stage.key.expose()))];
        let url = format!("{}/v1/events", self.stage.base_url);
        self.post(&url, &bearer, json!(events).to_string(), reqwest::Method::POST).await?;
        self.out.line(format!("   {EVENTS} case.resolved events in one call of POST /v1/events"));
        let watch = crate::clock::Stopwatch::start();
        while self.stage.app.store.cases(&self.stage.org, Some("resolved"), "", 100).await?.len() < EVENTS {
            if watch.elapsed() > DEADLINE {
                return Err(anyhow::anyhow!("the cases are not resolved after {DEADLINE:?}").into());
            }
            self.pause().await?;
        }
        let book = self.stage.app.organization(Some(&self.stage.org)).await?;
        let configuration = book.configuration("case-resolved")?.clone();
        let own = configuration.configuration.audience.clone();
        let audience = own.ok_or_else(|| anyhow::anyhow!("case-resolved has no audience"))?;
        let start = Start { book, configuration, audience, on_invalid: OnInvalid::Refuse, attested: None };
        let run = audience::start(&self.stage.app.store, &self.stage.app.clock, &start, None).await?.id;
        self.follow(run).await
    }

    /// The numbers of the file that no magic ending makes special: they simply receive what is sent.
    pub(super) fn plain_numbers(&self) -> Result<Vec<E164>, Failure> {
        let magic: Vec<&str> = magic::TABLES.iter().flat_map(|table| table.rows.iter().map(|row| row.suffix)).collect();
        let plain = |number: &E164| !magic.iter().any(|suffix| number.to_string().ends_with(suffix));
        Ok(self.good_numbers()?.into_iter().filter(plain).collect())
    }

    /// Sends a file and waits for its end, without a word.
    pub(super) async fn send_quietly(&mut self, upload: &Upload) -> Result<RunId, Failure> {
        let run = upload::start(&self.stage.app.store, &self.stage.app.clock, upload, |_| ()).await?;
        self.runs.push(run);
        loop {
            let found = self.stage.app.store.run(&self.stage.org, run).await?;
            if found.is_none_or(|run| run.status.is_over()) {
                return Ok(run);
            }
            self.pause().await?;
        }
    }

    pub async fn scheduled(&mut self) -> Result<(), Failure> {
        self.heading("Scheduled, through Azure: a cron expression fires over the stored list \"customers\"");
        let expression = self.stage.cron_soon("monthly-reminder").unwrap_or_default();
        self.stage.apply().await?;
        self.out.line(format!("   cron = \"{expression}\""));
        let run = self.settled_run("monthly-reminder", 1).await?;
        self.follow(run).await
    }

    /// Waits for the last receipts and looks at every run once more.
    pub async fn finish(mut self) -> Result<Runs, Failure> {
        self.quiet().await?;
        let mut runs = Vec::new();
        for id in &self.runs {
            if let Some(mut followed) = Followed::look(&self.stage.app, &self.stage.org, *id).await? {
                followed.audit = follow::recount(&self.stage.app, &self.stage.org, *id).await?;
                runs.push(followed);
            }
        }
        Ok(runs)
    }
}

/// Messages that were not attempted because the person has opted out.
pub fn left_out(run: &Followed) -> i64 {
    let tallies = run
        .sums
        .tallies
        .iter()
        .filter(|tally| tally.status == Status::Suppressed && tally.code == Reason::OptedOut.code());
    tallies.map(|tally| tally.messages).sum()
}
