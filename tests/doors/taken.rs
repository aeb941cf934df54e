//! What is genuine is taken, whatever it is about, and what it is about nothing of ours is counted and does nothing.

use herald::domain::{id::MessageId, message::Status};

use serde_json::json;

use crate::{
    house::{House, Knock},
    support::{Database, SENDER, phone, shipping},
};

impl House {
    /// Knocks with a signed form at the example's account; nothing but these figures change, each by one.
    async fn takes(&self, what: &str, query: &str, fields: &[(&str, &str)], counted: &[&str]) {
        self.takes_of("twilio", what, self.form(&format!("{}{query}", self.callbacks()), fields), counted).await;
    }

    async fn takes_of(&self, provider: &str, what: &str, knock: Knock, counted: &[&str]) {
        let before = self.counts();
        let answer = self.answer(&knock).await;
        assert_eq!(answer.status / 100, 2, "{what}: {answer:?}");
        self.stage.quiet().await;
        let expected: Vec<String> = counted
            .iter()
            .map(|result| format!("herald_callbacks_total{{provider=\"{provider}\",result=\"{result}\"}}"))
            .collect();
        let more = async || {
            let after = self.counts();
            let more = after.into_iter().filter(|(name, count)| before.get(name) != Some(count));
            let more: Vec<(String, u64)> =
                more.map(|(name, count)| (name.clone(), count - before.get(&name).unwrap_or(&0))).collect();
            (more.len() == expected.len()).then_some(more)
        };
        let more = self.stage.until(&format!("{what} is counted"), more).await;
        assert!(more.iter().all(|(name, by)| expected.contains(name) && *by == 1), "{what}: {more:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_about_nobody_is_taken_and_does_nothing() {
    let house = House::open(Database::Sqlite).await;
    let stage = &house.stage;
    // A message of another organization.
    let mut upload = stage.upload("shipping-delay", &shipping([phone(90_992)])).await;
    upload.book = stage.app.organization(Some(&house.globex.0)).await.unwrap();
    upload.configuration = upload.book.configuration("shipping-delay").unwrap().clone();
    let theirs = MessageId { run: stage.begin(&upload).await.unwrap(), seq: 1 };
    let sent = async || {
        let message = stage.app.store.message(&house.globex.0, theirs).await.unwrap().unwrap();
        (message.status() == Status::Sent).then_some(())
    };
    stage.until("it is sent", sent).await;
    stage.quiet().await;
    house.rests().await;

    let before = house.rows().await;
    let delivered = [("MessageSid", "SM1"), ("MessageStatus", "delivered")];
    let nobody = "?message=msg_06F3XN6B5W7V0J8Q2K4M9T1C3D_1";
    house.takes("a message that nobody has", nobody, &delivered, &["recorded", "unknown_message"]).await;
    let last = "?message=msg_06F3XN6B5W7V0J8Q2K4M9T1C3D_9223372036854775807";
    house.takes("the last message that there can be", last, &delivered, &["recorded", "unknown_message"]).await;
    let theirs = format!("?message={theirs}");
    house.takes("another organization's message", &theirs, &delivered, &["recorded", "unknown_message"]).await;
    let opted_out = [("MessageSid", "SM1"), ("MessageStatus", "failed"), ("ErrorCode", "21610")];
    house.takes("an opt-out of another's message", &theirs, &opted_out, &["recorded", "unknown_message"]).await;
    house.takes("no message", "", &delivered, &["recorded", "unknown_message"]).await;
    house.takes("garbage for a message", "?message=%FF%00", &delivered, &["recorded", "unknown_message"]).await;
    let news = [("MessageSid", "SM1"), ("MessageStatus", "levitating")];
    house.takes("a word that means nothing", nobody, &news, &["ignored"]).await;
    let person = phone(1);
    let elsewhere = [("MessageSid", "SM1"), ("From", person.as_str()), ("To", "+14250000000"), ("Body", "Hello")];
    house.takes("a reply to a number that is no channel", "", &elsewhere, &["recorded", "unknown_channel"]).await;
    let name = [("MessageSid", "SM1"), ("From", "ACME"), ("To", SENDER), ("Body", "STOP")];
    house.takes("a reply from a name", "", &name, &["ignored"]).await;
    // The other providers.
    let about_nobody = house
        .telesign(r#"{"reference_id":"B5","external_id":"msg_06F3XN6B5W7V0J8Q2K4M9T1C3D_1","status":{"code":200}}"#);
    house.takes_of("telesign", "TeleSign: nobody's", about_nobody, &["recorded", "unknown_message"]).await;
    let no_news = house.telesign(r#"{"reference_id":"B5","status":{"code":999999}}"#);
    house.takes_of("telesign", "TeleSign: no news", no_news, &["ignored"]).await;
    let report = |id: &str| {
        let data = json!({ "messageId": id, "to": "+4915155500001", "deliveryStatus": "Delivered", "tag": "" });
        json!({ "eventType": "Microsoft.Communication.SMSDeliveryReportReceived", "data": data })
    };
    let events = json!([report("a"), report(&"i".repeat(300)), 7]).to_string();
    let events = house.event_grid("POST", &events);
    house
        .takes_of("acs", "Azure: nobody's, beside what makes no sense", events, &["recorded", "unknown_message"])
        .await;
    let handshake = house.event_grid("OPTIONS", "").header("webhook-request-origin", "eventgrid.azure.net");
    house.takes_of("acs", "Azure: may we send?", handshake, &["ignored"]).await;
    assert_eq!(house.rows().await, before);
    house.close().await;
}
