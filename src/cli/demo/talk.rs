//! The demo's second half: people write back, and are answered. All of it goes through the HTTP API, as a contact centre would
//! do it.

use serde_json::{Value, json};

use super::{super::Failure, story::Story};
use crate::domain::phone::E164;

/// People who are reminded of an appointment.
const APPOINTMENTS: usize = 12;
/// What one of them writes, and what they are told.
const QUESTION: &str = "Could I come an hour later?";
const ANSWER: &str = "Of course: we expect you at 11:30.";
/// The case that the last event is about.
const CASE: &str = "CAS-5";

impl Story<'_> {
    pub async fn whatsapp(&mut self) -> Result<(), Failure> {
        self.heading("WhatsApp: appointment reminders, as approved content, each in the contact's language");
        let people: Vec<E164> = self.plain_numbers()?.into_iter().skip(20).take(APPOINTMENTS).collect();
        let languages = ["en", "fr", "ja", "id", "el", "de"];
        let mut csv = "to,optin,locale,CustomerName,AppointmentTime\n".to_owned();
        for (place, number) in people.iter().enumerate() {
            csv.push_str(&format!("{number},yes,{},Customer {},10:30\n", languages[place % 6], place + 1));
        }
        let path = self.stage.file("appointments.csv", csv.as_bytes()).await?;
        let upload = self.upload("appointment-reminder", path).await?;
        self.send(&upload).await?;
        let (Some(writes), Some(silent)) = (people.first(), people.get(1)) else { return Ok(()) };

        self.heading(
            "Conversations: one of them writes back, and is answered within the 24 hours that WhatsApp allows",
        );
        let number = self.stage.set.channels.get("whatsapp").map(|channel| channel.number.clone()).unwrap_or_default();
        let said =
            json!({ "from": format!("whatsapp:{writes}"), "to": format!("whatsapp:{number}"), "body": QUESTION });
        let sandbox = self.stage.sandbox.base_url();
        self.post(&format!("{sandbox}/sandbox/reply"), &[], said.to_string(), reqwest::Method::POST).await?;
        self.quiet().await?;
        let found = self.get(&format!("/v1/conversations?contact=%2B{}", writes.digits())).await?;
        let Some(id) = found["conversations"][0]["id"].as_str().map(str::to_owned) else {
            return Err(anyhow::anyhow!("no conversation was opened: {found}").into());
        };
        self.out.line(format!("   {} wrote \"{QUESTION}\": {id} is open", writes.masked()));
        self.api("POST", &format!("/v1/conversations/{id}/messages"), &json!({ "text": ANSWER })).await?;
        let run = self.settled_run("answers", 1).await?;
        self.runs.push(run);
        self.quiet().await?;
        let thread = self.get(&format!("/v1/conversations/{id}")).await?;
        let last = thread["messages"].as_array().and_then(|said| said.last()).cloned().unwrap_or_default();
        let status = last["status"].as_str().unwrap_or_default();
        self.out.line(format!("   answered by API: \"{ANSWER}\" ({status})"));
        let told = self.refused_text(*silent).await?;
        self.out.line(format!("   free text to {}, who has not written: {told}", silent.masked()));
        Ok(())
    }

    /// What an operator reads when free text is sent to somebody who has not written.
    async fn refused_text(&mut self, to: E164) -> Result<String, Failure> {
        let csv =
            format!("to,optin,locale,CustomerName,AppointmentTime,sendastemplate\n{to},yes,en,Customer,11:30,no\n");
        let path = self.stage.file("free-text.csv", csv.as_bytes()).await?;
        let upload = self.upload("appointment-reminder", path).await?;
        let run = self.send_quietly(&upload).await?;
        let found = self.get(&format!("/v1/messages?run={run}")).await?;
        Ok(found["messages"][0]["reason"].as_str().unwrap_or_default().to_owned())
    }

    pub async fn timeline(&mut self) -> Result<(), Failure> {
        self.heading("Timeline: what happened about that case, and to that customer");
        let found = self.get(&format!("/v1/timeline?regarding={CASE}")).await?;
        let items = found["timeline"].as_array().cloned().unwrap_or_default();
        if items.is_empty() {
            return Err(anyhow::anyhow!("nothing is on the timeline of {CASE}").into());
        }
        items.iter().for_each(|item| self.out.line(format!("   {}", entry(item))));
        Ok(())
    }

    /// Waits until the organization's own endpoint has heard of it all.
    pub async fn webhooks(&mut self) -> Result<(), Failure> {
        self.heading("Webhooks: what the organization's contact centre was told, each event signed and verified");
        let completed = 5;
        let watch = crate::clock::Stopwatch::start();
        loop {
            let (counts, refused) = self.stage.receiver.counts();
            let heard = counts.get("run.completed").copied().unwrap_or(0) >= completed
                && counts.contains_key("reply.received")
                && counts.contains_key("consent.changed");
            if heard {
                let counts: Vec<String> = counts.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
                self.out.line(format!("   {}; {refused} refused", counts.join(", ")));
                return Ok(());
            }
            if watch.elapsed() > super::story::DEADLINE {
                return Err(anyhow::anyhow!("webhooks are missing: {counts:?} have come").into());
            }
            self.pause().await?;
        }
    }

    async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.api("GET", path, &Value::Null).await
    }

    async fn api(&self, method: &str, path: &str, body: &Value) -> Result<Value, Failure> {
        let method: reqwest::Method = method.parse().map_err(|_| anyhow::anyhow!("no method"))?;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let key = [("authorization", format!("Bearer {}", self.stage.key.expose()))];
        let answer = self.post(&format!("{}{path}", self.stage.base_url), &key, body, method).await?;
        Ok(serde_json::from_str(&answer).map_err(anyhow::Error::from)?)
    }
}

/// A line about something on a timeline.
fn entry(item: &Value) -> String {
    let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
    let receiver = E164::parse(&text("receiver"), None).map(E164::masked).unwrap_or_default();
    let at = text("created_at");
    let at = at.get(11..19).unwrap_or(&at);
    format!("{at} {} to {receiver} ({}): \"{}\"", text("subject"), text("state"), text("text"))
}
