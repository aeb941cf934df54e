//! A provider of your own, in about sixty lines: `cargo run --example own_provider`. No network is used.
//!
//! A [`Provider`] is pure: messages in, HTTP requests out; HTTP replies in, judgements out. It opens no socket and knows
//! neither time nor chance, so all of it can be shown as data, as `main` does here, and tested as tables.
//!
//! To send through it, herald itself has to know its name: what a definition file may say is a closed list, so that a
//! mistake in one is found when it is read. That is one variant of `domain::account::Account` (its settings) and one arm of
//! `book::connect` (settings to adapter); the compiler names the few other places. Nothing else in herald changes.

use std::time::Duration;

use bytes::Bytes;
use herald::{
    domain::{
        id::{MessageId, RunId},
        outcome::Outcome,
        phone::E164,
        purpose::Purpose,
        reason::{Reason, Why},
        time::Timestamp,
    },
    provider::{
        Acknowledgement, Call, Credentials, Found, Hook, HttpReply, HttpRequest, InDoubt, Inbound, Method, NotGenuine,
        Outgoing, Provider, Sender, SenderKind, Stamp, Unreadable,
    },
};
use serde_json::{Value, json};

/// An imaginary gateway: `POST /messages` takes JSON and answers 202 with an id. One with credentials would hold them here, and
/// write its own `Debug` that leaves them out.
#[derive(Debug)]
struct Pigeon {
    base_url: String,
}

impl Pigeon {
    fn request(&self, method: Method, path: &str, body: &Value) -> HttpRequest {
        let body = if method == Method::Post { Bytes::from(body.to_string()) } else { Bytes::new() };
        let headers = vec![("content-type", "application/json".to_owned())];
        HttpRequest { method, url: format!("{}{path}", self.base_url), headers, body }
    }
}

impl Provider for Pigeon {
    /// One call a message. A gateway that takes many in one call would make fewer, each carrying more.
    fn calls(&self, _stamp: Stamp, sender: &Sender, messages: &[Outgoing]) -> Vec<Call> {
        let call = |message: &Outgoing| {
            let body = json!({ "from": sender.address, "to": message.to.to_string(), "text": message.text });
            Call { request: self.request(Method::Post, "/messages", &body), carries: vec![(message.id, message.to)] }
        };
        messages.iter().map(call).collect()
    }

    /// The one question that matters: was it certainly taken, certainly not, or perhaps?
    fn outcomes(&self, call: &Call, reply: &HttpReply) -> Vec<Outcome> {
        let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let outcome = match (reply.status, answer["id"].as_str()) {
            (202, Some(id)) => Outcome::Accepted { provider_id: id.to_owned() },
            (429, _) => Outcome::Deferred { why: Reason::Throttled.into(), after: reply.retry_after },
            (400, _) => Outcome::Rejected { why: Reason::InvalidNumber.into() },
            // Anything else may have been taken: it is asked about, and never simply sent again.
            (status, _) => Outcome::InDoubt { why: Why::detailed(Reason::ProviderFault, format!("HTTP {status}")) },
        };
        vec![outcome; call.carries.len()]
    }

    /// The gateway keeps no list that could be asked: a doubt stays one, `uncertain`, until a receipt comes.
    fn lookup(&self, _stamp: Stamp, _doubt: &InDoubt) -> Option<HttpRequest> {
        None
    }

    fn found(&self, _doubt: &InDoubt, _reply: &HttpReply) -> Found {
        Found::Unknown(Reason::NoAnswer.into())
    }

    fn credential_check(&self, _stamp: Stamp) -> HttpRequest {
        self.request(Method::Get, "/account", &Value::Null)
    }

    fn credentials(&self, reply: &HttpReply) -> Credentials {
        match reply.status {
            200 => Credentials::Good,
            401 | 403 => Credentials::Bad(Reason::AccountRefused.into()),
            _ => Credentials::Unknown(Reason::ProviderFault.into()),
        }
    }

    /// It posts no receipts, so whatever claims to be one is not genuine.
    fn verify(&self, _hook: &Hook) -> Result<(), NotGenuine> {
        Err(NotGenuine::NoKey)
    }

    fn inbound(&self, _hook: &Hook) -> Result<Vec<Inbound>, Unreadable> {
        Ok(vec![Inbound::Ignored])
    }

    fn acknowledgement(&self, _hook: &Hook) -> Acknowledgement {
        Acknowledgement::new(204, "text/plain", "")
    }
}

#[expect(clippy::print_stdout, reason = "an example shows what it does")]
fn main() {
    let pigeon = Pigeon { base_url: "https://pigeon.example/v1".to_owned() };
    let now = Timestamp::from_millis(1_795_000_000_000);
    let sender = Sender { address: "14252306549".to_owned(), kind: SenderKind::Geographic };
    let message = Outgoing {
        id: MessageId { run: RunId::new(now, 7), seq: 1 },
        among: (1, 1),
        to: E164::from_digits(4_915_112_345_678),
        text: "Hello Ana".to_owned(),
        approved: None,
        media: Vec::new(),
        purpose: Purpose::Transactional,
        first_sent: now,
        valid_at_first: Duration::from_hours(24),
        callback_url: None,
        valid_for: Duration::from_hours(24),
    };
    let answers = [(202, r#"{"id":"p-1"}"#), (400, "{}"), (503, "")];
    for call in pigeon.calls(Stamp { now, nonce: 0 }, &sender, &[message]) {
        println!("{:?} {}", call.request.method, call.request.url);
        println!("{}", String::from_utf8_lossy(&call.request.body));
        for (status, body) in answers {
            let reply = HttpReply { status, retry_after: None, body: Bytes::from_static(body.as_bytes()) };
            println!("{status} {body:13} {:?}", pigeon.outcomes(&call, &reply));
        }
    }
}
