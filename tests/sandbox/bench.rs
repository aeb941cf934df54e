//! A sandbox, and a client that calls it.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use herald::sandbox::{Callbacks, Receipts, Replies, Sandbox, Settings, Summary};
use reqwest::Method;
use serde_json::Value;
use tokio::net::TcpListener;

pub const AC: &str = Settings::DEFAULT_ACCOUNT_SID;

pub const TOKEN: &str = Settings::DEFAULT_AUTH_TOKEN;

pub const FROM: &str = "+15005550006";

pub const MG: &str = "MG00000000000000000000000000000001";

pub const HX: &str = "HX00000000000000000000000000000001";

pub const DEADLINE: Duration = Duration::from_secs(5);

/// A sandbox, and a client that calls it.
pub struct Bench {
    pub sandbox: Sandbox,
    pub client: reqwest::Client,
}

pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub json: Value,
}

impl Answer {
    pub async fn read(response: reqwest::Response) -> Result<Answer, reqwest::Error> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await?;
        Ok(Answer { status, headers, json: serde_json::from_slice(&bytes).unwrap_or(Value::Null) })
    }
}

impl Bench {
    pub async fn new(settings: Settings) -> Bench {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sandbox = Sandbox::start(listener, settings).await.unwrap();
        Bench { sandbox, client: reqwest::Client::builder().timeout(DEADLINE).no_proxy().build().unwrap() }
    }

    pub async fn call(
        &self,
        method: Method,
        path: &str,
        user: &str,
        kind: &str,
        body: String,
    ) -> Result<Answer, reqwest::Error> {
        let request = self
            .client
            .request(method, format!("{}{path}", self.sandbox.base_url()))
            .header("authorization", format!("Basic {}", STANDARD.encode(user)))
            .header("content-type", kind)
            .body(body);
        Answer::read(request.send().await?).await
    }

    pub async fn try_send(&self, params: &[(&str, &str)]) -> Result<Answer, reqwest::Error> {
        let path = format!("/2010-04-01/Accounts/{AC}/Messages.json");
        let kind = "application/x-www-form-urlencoded";
        self.call(Method::POST, &path, &format!("{AC}:{TOKEN}"), kind, form(params)).await
    }

    pub async fn send(&self, params: &[(&str, &str)]) -> Answer {
        self.try_send(params).await.unwrap()
    }

    pub async fn send_to(&self, to: &str) -> Answer {
        self.send(&[("To", to), ("From", FROM), ("Body", "Hello")]).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, &format!("{AC}:{TOKEN}"), "", String::new()).await.unwrap()
    }

    pub async fn control(&self, method: Method, path: &str, body: Value) -> Answer {
        self.call(method, path, "", "application/json", body.to_string()).await.unwrap()
    }

    /// Waits until the summary is as wanted.
    pub async fn until(&self, wanted: impl Fn(&Summary) -> bool) {
        let mut again = tokio::time::interval(Duration::from_millis(2));
        let poll = async {
            while !wanted(&self.sandbox.summary()) {
                again.tick().await;
            }
        };
        let in_time = tokio::time::timeout(DEADLINE, poll).await.is_ok();
        assert!(in_time, "still {:?}", self.sandbox.summary());
    }
}

pub fn form(params: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish()
}

pub fn settings() -> Settings {
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    Settings {
        receipts: Receipts { enabled: true, min_delay_ms: 0, max_delay_ms: 1 },
        replies: Replies { min_delay_ms: 0, max_delay_ms: 1, ..Replies::default() },
        callbacks: Callbacks { retry_ms: 1, ..Callbacks::default() },
        ..Settings::default()
    }
}
