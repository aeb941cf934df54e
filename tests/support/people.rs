//! People who write, and programs that ask: what a provider posts when somebody writes to a channel, and calls of the API with a
//! key of a scope.

use herald::{
    domain::{definition::Channel, id::OrgId},
    http::keys::{Scope, mint},
    sandbox::{Settings, twilio::sign},
};
use serde_json::Value;

use super::{SENDER, Setup, Stage};

/// The sender of the WhatsApp channel.
pub const WHATSAPP: &str = "+14155238886";

/// An answer of the API.
pub struct Called {
    pub status: u16,
    pub replayed: bool,
    pub etag: Option<String>,
    pub body: Value,
}

impl Called {
    /// The answer is a problem with this code, and says each of these in words.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str, words: &[&str]) {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{}", self.body);
        for word in words {
            assert!(self.body["detail"].as_str().unwrap().contains(word), "{word:?} is not in {}", self.body);
        }
    }

    /// The answer is good.
    #[track_caller]
    pub fn good(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }
}

impl Setup {
    /// With a WhatsApp channel beside the SMS one, and nothing that fires by itself when the clock is moved.
    pub fn with_whatsapp(mut self) -> Self {
        let channel: Channel = serde_json::from_value(serde_json::json!({
            "type": "whatsapp", "account": "twilio", "number": WHATSAPP, "locale": "de",
            "attachments": { "from_organization": true },
        }))
        .unwrap();
        self.set.channels.insert("support-whatsapp".to_owned(), channel);
        self.set.configurations.remove("monthly-reminder");
        self
    }
}

impl Stage {
    /// A new key of an organization.
    pub async fn key_for(&self, org: &OrgId, scope: Scope) -> String {
        let (stored, text) = mint(org, scope.as_str(), scope, self.app.clock.now()).unwrap();
        self.app.store.add_key(org, &stored).await.unwrap();
        text.expose().to_owned()
    }

    /// Calls the API.
    pub async fn call(
        &self,
        key: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Called {
        let url = format!("{}{path}", self.base_url);
        let mut request =
            self.client.request(method.parse().unwrap(), url).header("authorization", format!("Bearer {key}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.body(body).send().await.unwrap();
        let replayed = answer.headers().get("idempotent-replayed").is_some_and(|value| value == "true");
        let etag = answer.headers().get("etag").map(|value| value.to_str().unwrap().to_owned());
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        Called { status, replayed, etag, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
    }

    /// Calls the API with JSON, or with nothing.
    pub async fn json(&self, key: &str, method: &str, path: &str, body: Value) -> Called {
        if body.is_null() {
            return self.call(key, method, path, &[], "").await;
        }
        self.call(key, method, path, &[("content-type", "application/json")], body.to_string()).await
    }

    /// Somebody writes to the SMS channel.
    pub async fn writes(&self, id: &str, from: &str, text: &str) {
        self.posts(&[("MessageSid", id), ("From", from), ("To", SENDER), ("Body", text)]).await;
    }

    /// Somebody writes to the WhatsApp channel.
    pub async fn writes_on_whatsapp(&self, id: &str, from: &str, text: &str) {
        let (from, to) = (format!("whatsapp:{from}"), format!("whatsapp:{WHATSAPP}"));
        self.posts(&[("MessageSid", id), ("From", &from), ("To", &to), ("Body", text)]).await;
    }

    /// The provider posts that somebody wrote; returns when that is applied.
    pub async fn posts(&self, fields: &[(&str, &str)]) {
        let url = format!("{}/callbacks/{}", self.base_url, self.applied.callback_tokens["twilio"]);
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let posted = self
            .client
            .post(&url)
            .header("x-twilio-signature", sign(Settings::DEFAULT_AUTH_TOKEN, &url, fields))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(posted.status().as_u16() / 100, 2, "{fields:?}");
        self.quiet().await;
    }
}
