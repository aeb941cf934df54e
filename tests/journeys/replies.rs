//! What people write back.

use herald::{
    domain::{contact::ChannelType, message::Status, phone::E164, time::Timestamp},
    store::{consents::Consent, replies::StoredReply},
};
use serde_json::json;

use crate::{
    operator::buckets,
    support::{Database, SENDER, Setup, Stage, bucket, phone, shipping},
};

/// Answers STOP to whatever reaches it.
const STOPS: u32 = 97_867;
/// Answers "Thank you".
const THANKS: u32 = 98_468;

impl Stage {
    /// Lets the sandbox know where people's messages go.
    pub async fn listen(&self) {
        let url = format!("{}/callbacks/{}", self.base_url, self.applied.callback_tokens["twilio"]);
        let sandbox = format!("{}/sandbox/inbound", self.sandbox().base_url());
        let answer = self.client.put(sandbox).body(json!({ "url": url }).to_string()).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 204);
    }

    /// What the store has of a person's consent.
    async fn consent(&self, nth: u32) -> Option<Consent> {
        let person = E164::parse(&phone(nth), None).unwrap();
        self.app.store.consents(&self.org, ChannelType::Sms, &[person]).await.unwrap().remove(&person)
    }

    /// The replies, oldest first.
    async fn replies(&self) -> Vec<StoredReply> {
        let mut replies = self.app.store.replies(&self.org, Timestamp::from_millis(0), 100).await.unwrap();
        replies.reverse();
        replies
    }
}

pub async fn stop_is_heeded_until_start(database: Database) {
    let mut setup = Setup::new(database);
    setup.sandbox.accounts[0].numbers = vec![SENDER.to_owned()];
    let stage = Stage::set(setup).await;
    stage.listen().await;
    let people = || shipping([phone(STOPS), phone(THANKS), phone(1)]);
    let first = stage.send("shipping-delay", &people()).await;
    assert_eq!(buckets(&stage.over(first).await), [("delivered", 3)].into());
    let replies = stage.replies().await;
    let mut told: Vec<(String, &str, &str, &str)> = replies
        .iter()
        .map(|reply| (reply.from.to_string(), reply.text.as_str(), reply.keyword.as_str(), reply.channel.as_str()))
        .collect();
    told.sort();
    let expected = [(phone(STOPS), "STOP", "stop", "support-sms"), (phone(THANKS), "Thank you", "", "support-sms")];
    assert_eq!(told, expected);
    for reply in &replies {
        let message = stage.app.store.message(&stage.org, reply.answers.parse().unwrap()).await.unwrap().unwrap();
        assert_eq!((message.to, message.id.run), (reply.from, first), "a reply is linked to what it answers");
    }
    assert_eq!((stage.consent(STOPS).await, stage.consent(THANKS).await), (Some(Consent::Out), None));

    // Other bytes: the same file would be refused as already sent.
    let second = stage.send("shipping-delay", &format!("{}\n", people())).await;
    let sums = stage.over(second).await;
    assert_eq!(buckets(&sums), [("suppressed", 1), ("delivered", 2)].into());
    assert_eq!(bucket(&sums, Status::Suppressed, Some("opted_out")), 1);
    assert_eq!(stage.texts_to(&phone(STOPS)).len(), 1, "the next run leaves them out");

    let start = json!({ "from": phone(STOPS), "to": SENDER, "body": "START" }).to_string();
    let (status, _) = stage.post(&format!("{}/sandbox/reply", stage.sandbox().base_url()), &[], start).await;
    assert_eq!(status, 202);
    stage.until("START is heeded", async || (stage.consent(STOPS).await == Some(Consent::In)).then_some(())).await;
    let third = stage.send("shipping-delay", &shipping([phone(STOPS)])).await;
    assert_eq!(buckets(&stage.over(third).await), [("delivered", 1)].into());
    stage.strike().await;
}

pub async fn the_same_reply_twice_is_one(database: Database) {
    let stage = Stage::set(Setup::new(database)).await;
    let run = stage.send("shipping-delay", &shipping([phone(1)])).await;
    stage.over(run).await;
    let (person, stranger) = (phone(1), phone(2));
    for (sid, from, to) in [
        ("SM1", &person, SENDER),
        ("SM1", &person, SENDER),
        ("SM2", &person, SENDER),
        ("SM3", &stranger, SENDER),
        ("SM4", &person, "+14250000000"),
    ] {
        stage.posts(&[("MessageSid", sid), ("From", from), ("To", to), ("Body", "Where is it?")]).await;
    }
    let replies = stage.replies().await;
    let mut told: Vec<(String, bool)> =
        replies.iter().map(|reply| (reply.from.to_string(), reply.answers.is_empty())).collect();
    told.sort();
    assert_eq!(told, [(person.clone(), false), (person, false), (stranger, true)], "SM1 twice is one; SM4 is not ours");
    stage.strike().await;
}
