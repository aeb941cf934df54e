//! A sandbox, a caller that signs, and a customer's server that takes events.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use herald::sandbox::{
    AcsEvents, AcsResource, Call, Callbacks, EventSchema, Receipts, Replies, Sandbox, Settings, Summary,
    acs::{Signed, authorization, content_hash},
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet};

pub const KEY: &str = Settings::DEFAULT_ACS_ACCESS_KEY;
pub const FROM: &str = "+18001110000";
pub const TO: &str = "+4917012345678";
pub const SEND: &str = "/sms?api-version=2026-01-23";
pub const DEADLINE: Duration = Duration::from_secs(5);

/// A sandbox, and a client that calls it.
pub struct Bench {
    pub sandbox: Sandbox,
    client: reqwest::Client,
}

pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub json: Value,
}

/// A request before it is signed; what is put in as a header stays as it is.
pub struct Draft<'a> {
    pub method: Method,
    pub path: &'a str,
    pub body: String,
    pub key: &'a str,
    pub headers: Vec<(&'a str, String)>,
}

impl<'a> Draft<'a> {
    pub fn post(path: &'a str, body: &Value) -> Draft<'a> {
        Draft { method: Method::POST, path, body: body.to_string(), key: KEY, headers: Vec::new() }
    }

    pub fn with(mut self, name: &'a str, value: impl Into<String>) -> Draft<'a> {
        self.headers.push((name, value.into()));
        self
    }
}

impl Bench {
    pub async fn new(settings: Settings) -> Bench {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sandbox = Sandbox::start(listener, settings).await.unwrap();
        Bench { sandbox, client: reqwest::Client::builder().timeout(DEADLINE).no_proxy().build().unwrap() }
    }

    /// Signs what is not there yet, and sends.
    pub async fn try_call(&self, draft: Draft<'_>) -> Result<Answer, reqwest::Error> {
        let Draft { method, path, body, key, headers } = draft;
        let given = |name: &str| headers.iter().find(|header| header.0 == name).map(|header| header.1.clone());
        let date = given("x-ms-date").unwrap_or_else(|| date(0));
        let hash = given("x-ms-content-sha256").unwrap_or_else(|| content_hash(body.as_bytes()));
        let host = given("host").unwrap_or_else(|| self.sandbox.local_addr().to_string());
        let signed =
            Signed { method: method.as_str(), path_and_query: path, date: &date, host: &host, content_hash: &hash };
        let authorization = given("authorization").unwrap_or_else(|| authorization(key, signed).unwrap());
        let kind = given("content-type").unwrap_or_else(|| "application/json".into());
        let mut request = self.client.request(method, format!("{}{path}", self.sandbox.base_url()));
        for (name, value) in [
            ("x-ms-date", date),
            ("x-ms-content-sha256", hash),
            ("authorization", authorization),
            ("host", host),
            ("content-type", kind),
        ] {
            // An empty value leaves the header out.
            if !value.is_empty() {
                request = request.header(name, value);
            }
        }
        let response = request.body(body).send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await?;
        Ok(Answer { status, headers, json: serde_json::from_slice(&bytes).unwrap_or(Value::Null) })
    }

    pub async fn call(&self, draft: Draft<'_>) -> Answer {
        self.try_call(draft).await.unwrap()
    }

    pub async fn send(&self, body: &Value) -> Answer {
        self.call(Draft::post(SEND, body)).await
    }

    /// Sends one text to one recipient, and returns its item.
    pub async fn send_to(&self, to: &str) -> Value {
        let answer = self.send(&message(&[to])).await;
        assert_eq!(answer.status, 202, "{}", answer.json);
        item(&answer, to)
    }

    pub async fn control(&self, method: Method, path: &str, body: &Value) -> Answer {
        self.call(Draft { method, ..Draft::post(path, body) }).await
    }

    pub fn calls(&self) -> Vec<Call> {
        self.sandbox.calls(0, 10_000, None).calls
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

/// Now, and so many seconds later, as `x-ms-date` has it.
pub fn date(later_s: i64) -> String {
    let at = herald::clock::Clock::system().now().to_utc() + chrono::TimeDelta::seconds(later_s);
    at.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// A request to send, with a report.
pub fn message(to: &[&str]) -> Value {
    let recipients: Vec<Value> = to.iter().map(|to| json!({ "to": to })).collect();
    json!({
        "from": FROM,
        "smsRecipients": recipients,
        "message": "Hello",
        "smsSendOptions": { "enableDeliveryReport": true, "tag": "camp-1" },
    })
}

/// The same for one recipient that is known again.
pub fn repeatable(to: &str, id: &str, first_sent: &str) -> Value {
    let mut body = message(&[to]);
    body["smsRecipients"] = json!([{ "to": to, "repeatabilityRequestId": id, "repeatabilityFirstSent": first_sent }]);
    body
}

/// The item of a recipient, wherever it is.
pub fn item(answer: &Answer, to: &str) -> Value {
    let items = answer.json["value"].as_array().unwrap_or_else(|| panic!("no value in {}", answer.json));
    items.iter().find(|item| item["to"] == to).unwrap_or_else(|| panic!("no {to} in {}", answer.json)).clone()
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

/// The same with a subscription.
pub fn subscribed(events: AcsEvents) -> Settings {
    Settings { acs: vec![AcsResource { events: Some(events), ..AcsResource::new("sandbox", KEY) }], ..settings() }
}

/// How a customer's server answers the handshake.
#[derive(Clone, Copy)]
pub enum Hand {
    /// As it must.
    Shaken,
    /// As it must, but with this status.
    With(u16),
    /// With another code or origin.
    Another,
    /// CloudEvents: with any origin.
    Anybody,
    /// As it must, after so many answers of 503.
    Late(usize),
}

/// A post or an `OPTIONS` that came.
pub struct Came {
    pub method: axum::http::Method,
    pub uri: String,
    pub headers: HeaderMap,
    pub json: Value,
}

impl Came {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The only event in it.
    pub fn event(&self) -> &Value {
        let Some(events) = self.json.as_array() else { return &self.json };
        assert_eq!(events.len(), 1, "{}", self.json);
        &events[0]
    }
}

/// The customer's server.
pub struct Customer {
    pub url: String,
    came: mpsc::UnboundedReceiver<Came>,
    _server: JoinSet<()>,
}

struct Desk {
    came: mpsc::UnboundedSender<Came>,
    hand: Mutex<Hand>,
    /// Statuses of the first answers to events; afterwards 200.
    answers: Mutex<VecDeque<u16>>,
}

async fn receive(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let bytes: Bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let json: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let code = json.pointer("/0/data/validationCode").and_then(Value::as_str).map(str::to_owned);
    let origin = parts.headers.get("webhook-request-origin").map(|origin| origin.to_str().unwrap().to_owned());
    let asks = parts.method == axum::http::Method::OPTIONS;
    desk.came.send(Came { method: parts.method, uri: parts.uri.to_string(), headers: parts.headers, json }).unwrap();
    if !asks && code.is_none() {
        let status = desk.answers.lock().unwrap().pop_front().unwrap_or(200);
        return StatusCode::from_u16(status).unwrap().into_response();
    }
    let mut hand = desk.hand.lock().unwrap();
    let (code, origin) = (code.unwrap_or_default(), origin.unwrap_or_default());
    let shaken = |status: u16, code: &str, origin: &str| {
        let status = StatusCode::from_u16(status).unwrap();
        (status, [("webhook-allowed-origin", origin)], json!({ "validationResponse": code }).to_string())
            .into_response()
    };
    match *hand {
        Hand::Shaken | Hand::Late(0) => shaken(200, &code, &origin),
        Hand::With(status) => shaken(status, &code, &origin),
        Hand::Another => shaken(200, "another", "another.example.com"),
        Hand::Anybody => shaken(200, &code, "*"),
        Hand::Late(left) => {
            *hand = Hand::Late(left - 1);
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

impl Customer {
    pub async fn new(hand: Hand, answers: &[u16]) -> Customer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?secret=s%20t&x=1", listener.local_addr().unwrap());
        let (sender, came) = mpsc::unbounded_channel();
        let answers = Mutex::new(answers.iter().copied().collect());
        let desk = Arc::new(Desk { came: sender, hand: Mutex::new(hand), answers });
        let router = Router::new().fallback(receive).with_state(desk);
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Customer { url, came, _server: server }
    }

    /// A customer who agrees, and a sandbox that posts to it.
    pub async fn and_bench() -> (Customer, Bench) {
        let mut customer = Customer::new(Hand::Shaken, &[]).await;
        let bench = Bench::new(subscribed(customer.events())).await;
        bench.send_to(TO).await;
        assert_eq!(customer.next().await.header("aeg-event-type"), Some("SubscriptionValidation"));
        assert_eq!(customer.next().await.event()["data"]["deliveryStatus"], "Delivered");
        (customer, bench)
    }

    pub fn events(&self) -> AcsEvents {
        AcsEvents::new(&self.url)
    }

    pub fn cloud_events(&self) -> AcsEvents {
        AcsEvents { schema: EventSchema::CloudEvents, ..self.events() }
    }

    pub async fn next(&mut self) -> Came {
        tokio::time::timeout(DEADLINE, self.came.recv()).await.expect("a post in time").unwrap()
    }

    /// What the next report says: status and details.
    pub async fn report(&mut self) -> (String, String) {
        let came = self.next().await;
        let data = &came.event()["data"];
        let text = |name: &str| data[name].as_str().unwrap_or_else(|| panic!("no report: {}", came.json)).to_owned();
        (text("deliveryStatus"), text("deliveryStatusDetails"))
    }

    pub fn is_idle(&mut self) -> bool {
        self.came.try_recv().is_err()
    }
}
