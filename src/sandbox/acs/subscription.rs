//! A subscription: where a resource's events are posted, in which form, and the handshake that comes before the first.
//!
//! There is no signature. Whoever receives events protects itself with a secret in the URL or in a header.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use reqwest::{
    Method,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::events;
use crate::sandbox::{
    callbacks::{Callback, Followup, Gate, Kind, Terms, backoff},
    log::Provider,
    settings::{AcsEvents, Casing, EventSchema, callback_url},
    state::State,
    time,
};

const ORIGIN: &str = "eventgrid.azure.net";
const WITHIN_MS: u64 = 30_000;

/// What Event Grid takes for received; what it takes for a receiver that will never want the event is given up at once.
const TERMS: Terms = Terms { taken: 200..=204, again: |status| !matches!(status, 400 | 413), within_ms: WITHIN_MS };

/// A subscription to a resource's events.
pub(in crate::sandbox) struct Subscription {
    pub name: String,
    pub topic: String,
    pub schema: EventSchema,
    pub casing: Casing,
    pub batch: usize,
    url: url::Url,
    headers: Vec<(HeaderName, HeaderValue)>,
    confirmed: OnceCell<bool>,
    outbox: Mutex<Vec<(Kind, Value)>>,
}

/// How a receiver answered the handshake.
enum Answer {
    Right,
    Wrong(String),
    /// Not at all, or with a server error: worth another attempt.
    None(String),
}

impl Subscription {
    /// Nothing if the settings are not usable, which they were checked to be.
    pub(super) fn new(resource: &str, events: &AcsEvents) -> Option<Arc<Subscription>> {
        let header = |(name, value): (&String, &String)| {
            Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
        };
        Some(Arc::new(Subscription {
            name: format!("{resource}-sms").to_uppercase(),
            topic: format!(
                "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/sandbox/providers/\
                 microsoft.communication/communicationservices/{resource}"
            ),
            schema: events.schema,
            casing: events.casing,
            batch: events.batch,
            url: callback_url(&events.callback_url).ok()?,
            headers: events.headers.iter().map(header).collect::<Option<_>>()?,
            confirmed: OnceCell::new(),
            outbox: Mutex::default(),
        }))
    }

    /// One event, or several, on their way.
    pub(super) fn post(&self, kind: Kind, mut events: Vec<Value>, then: Option<Followup>) -> Callback {
        let (content, body) = match (self.schema, events.len()) {
            (EventSchema::EventGrid, _) => ("application/json; charset=utf-8", Value::Array(events)),
            (EventSchema::CloudEvents, 1) => ("application/cloudevents+json; charset=utf-8", events.remove(0)),
            (EventSchema::CloudEvents, _) => {
                ("application/cloudevents-batch+json; charset=utf-8", Value::Array(events))
            }
        };
        let mut headers = self.envelope_headers("Notification");
        headers.push((CONTENT_TYPE, HeaderValue::from_static(content)));
        if self.schema == EventSchema::CloudEvents {
            headers.push((HeaderName::from_static("webhook-request-origin"), HeaderValue::from_static(ORIGIN)));
        }
        Callback {
            provider: Provider::Acs,
            kind,
            terms: &TERMS,
            url: self.url.clone(),
            headers,
            body: body.to_string().into(),
            attempts: 0,
            then,
        }
    }

    fn envelope_headers(&self, event_type: &'static str) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = self.headers.clone();
        for (name, value) in [
            ("aeg-event-type", event_type),
            ("aeg-subscription-name", &self.name),
            ("aeg-data-version", "1.0"),
            ("aeg-metadata-version", "1"),
        ] {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.push((HeaderName::from_static(name), value));
            }
        }
        headers
    }

    /// Puts an event aside, for those that come soon to go with it. Returns whether it is the first of its kind, and
    /// somebody must look after it.
    pub(super) fn put_aside(&self, kind: Kind, event: Value) -> bool {
        let mut outbox = self.outbox.lock().unwrap_or_else(PoisonError::into_inner);
        outbox.push((kind, event));
        outbox.iter().filter(|waiting| waiting.0 == kind).count() == 1
    }

    /// What was put aside, each a post's worth.
    pub(super) fn take(&self, kind: Kind) -> Vec<Vec<Value>> {
        let mut outbox = self.outbox.lock().unwrap_or_else(PoisonError::into_inner);
        let (taken, left): (Vec<_>, Vec<_>) = outbox.drain(..).partition(|waiting| waiting.0 == kind);
        *outbox = left;
        let taken: Vec<Value> = taken.into_iter().map(|(_, event)| event).collect();
        taken.chunks(self.batch).map(<[Value]>::to_vec).collect()
    }

    /// Whether its receiver does not want its events.
    pub(super) fn has_failed(&self) -> bool {
        self.confirmed.get() == Some(&false)
    }

    pub(super) fn clear(&self) {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Does the handshake, with a few attempts if nobody is there yet.
    async fn confirm(&self, state: &State) -> bool {
        let callbacks = &state.settings.callbacks;
        let mut attempts = 0;
        let why = loop {
            attempts += 1;
            match self.shake_hands(state).await {
                Answer::Right => return true,
                Answer::Wrong(why) => break why,
                Answer::None(_) if attempts < callbacks.attempts => {
                    tokio::time::sleep(backoff(callbacks, attempts)).await;
                }
                Answer::None(why) => break why,
            }
        };
        tracing::warn!(
            subscription = self.name,
            why,
            "sandbox: the subscription handshake failed, no events are posted"
        );
        false
    }

    async fn shake_hands(&self, state: &State) -> Answer {
        let within = Duration::from_millis(state.settings.callbacks.timeout_ms.min(WITHIN_MS));
        let answer = match self.schema {
            EventSchema::EventGrid => self.send_validation(state, within).await,
            EventSchema::CloudEvents => self.ask_for_leave(state, within).await,
        };
        answer.unwrap_or_else(|error| Answer::None(error.without_url().to_string()))
    }

    async fn send_validation(&self, state: &State, within: Duration) -> reqwest::Result<Answer> {
        let code = super::guid();
        let body = events::validation(self, &code, time::now_ms()).to_string();
        let headers = self.envelope_headers("SubscriptionValidation");
        let request = state.client.post(self.url.clone()).timeout(within);
        let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let request = request.header(CONTENT_TYPE, "application/json; charset=utf-8").body(body);
        let response = request.send().await?;
        if let Some(answer) = unless_ok(&response) {
            return Ok(answer);
        }
        let given = serde_json::from_slice::<Value>(&response.bytes().await?).unwrap_or_default();
        Ok(match given.get("validationResponse").and_then(Value::as_str) == Some(&code) {
            true => Answer::Right,
            false => Answer::Wrong("the answer has not the validation code as its validationResponse".into()),
        })
    }

    async fn ask_for_leave(&self, state: &State, within: Duration) -> reqwest::Result<Answer> {
        let request = state.client.request(Method::OPTIONS, self.url.clone()).timeout(within);
        let request = self.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        let request = request.header("webhook-request-origin", ORIGIN).header("webhook-request-rate", "120");
        let response = request.send().await?;
        if let Some(answer) = unless_ok(&response) {
            return Ok(answer);
        }
        let allowed = response.headers().get("webhook-allowed-origin").and_then(|value| value.to_str().ok());
        Ok(match allowed {
            Some("*" | ORIGIN) => Answer::Right,
            Some(_) | None => Answer::Wrong(format!("the answer's WebHook-Allowed-Origin is neither {ORIGIN} nor *")),
        })
    }
}

impl Gate for Subscription {
    fn open<'a>(&'a self, state: &'a State) -> BoxFuture<'a, bool> {
        Box::pin(async move { *self.confirmed.get_or_init(|| self.confirm(state)).await })
    }
}

/// Only 200 says yes to a handshake.
fn unless_ok(response: &reqwest::Response) -> Option<Answer> {
    let status = response.status();
    match status.as_u16() {
        200 => None,
        500..=599 => Some(Answer::None(format!("the answer's status is {}", status.as_u16()))),
        other => Some(Answer::Wrong(format!("the answer's status is {other}, and not 200"))),
    }
}
