//! The organization's own end of the outgoing webhooks, as a contact centre would have it: it takes what is posted, if its
//! signature holds.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    inbound::webhook::{self, Signed},
    secret::Secret,
};

/// What has come so far.
#[derive(Debug)]
struct Taken {
    secret: Secret,
    events: Mutex<Vec<Value>>,
    refused: Mutex<usize>,
}

/// A place that takes webhooks. It ends when it is dropped.
#[derive(Debug)]
pub struct Receiver {
    taken: Arc<Taken>,
    /// Where it is.
    pub url: String,
    task: JoinHandle<std::io::Result<()>>,
}

impl Receiver {
    /// Listens on loopback.
    pub async fn start(secret: &str) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/events", listener.local_addr()?);
        let taken =
            Arc::new(Taken { secret: Secret::new(secret), events: Mutex::default(), refused: Mutex::default() });
        let router = Router::new().route("/events", post(take)).with_state(taken.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { taken, url, task })
    }

    /// How many events of each type have come, and how many were refused.
    pub fn counts(&self) -> (BTreeMap<String, usize>, usize) {
        let events = self.taken.events.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts = BTreeMap::new();
        for event in events.iter() {
            *counts.entry(event["type"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
        (counts, *self.taken.refused.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(State(taken): State<Arc<Taken>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let now = crate::clock::Clock::system().now();
    let signed = Signed {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
    };
    match (webhook::verify(&taken.secret, signed, &body, now), serde_json::from_slice(&body)) {
        (Ok(()), Ok(event)) => {
            taken.events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
            StatusCode::NO_CONTENT
        }
        _ => {
            *taken.refused.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            StatusCode::UNAUTHORIZED
        }
    }
}
