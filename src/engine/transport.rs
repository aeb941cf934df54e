//! The only place that talks to providers, and the only one that knows *certainly not sent* from *perhaps sent*.
//!
//! It never retries: that is the queue's business.

use std::{error::Error as _, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use reqwest::{Client, redirect};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    config::WorkerConfig,
    provider::{HttpReply, HttpRequest, Method},
};

/// The most of an answer that is read.
const ANSWER_LIMIT: usize = 256 * 1024;
/// TeleSign closes idle connections after 499 s (PROVIDERS B.4); others later.
const IDLE: Duration = Duration::from_secs(90);

/// What became of a call.
#[derive(Debug)]
pub enum Answer {
    /// The provider answered.
    Reply(HttpReply),
    /// The call never reached it.
    NotSent(String),
    /// The call may have reached it, and no answer came back.
    PerhapsSent(String),
}

/// The HTTP client could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be made")]
pub struct NoClient(#[from] reqwest::Error);

/// The client that all calls share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Transport {
    client: Client,
    places: Arc<Semaphore>,
}

impl Transport {
    /// With the worker's limits.
    pub fn new(config: &WorkerConfig) -> Result<Self, NoClient> {
        // Another part of the process may have chosen the provider of ciphers already: it is the same one.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = Client::builder()
            .connect_timeout(config.connect_timeout)
            .timeout(config.answer_timeout)
            .pool_max_idle_per_host(config.concurrency)
            .pool_idle_timeout(IDLE)
            .tcp_nodelay(true)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("herald/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, places: Arc::new(Semaphore::new(config.concurrency)) })
    }

    /// Waits for one of the places that bound how many calls are made at once; whoever calls holds one.
    pub async fn place(&self) -> Option<SemaphorePermit<'_>> {
        self.places.acquire().await.ok()
    }

    /// Makes a call.
    pub async fn call(&self, request: &HttpRequest) -> Answer {
        let mut call = match request.method {
            Method::Get => self.client.get(&request.url),
            Method::Post => self.client.post(&request.url).body(request.body.clone()),
            Method::Options => self.client.request(reqwest::Method::OPTIONS, &request.url),
        };
        for (name, value) in &request.headers {
            call = call.header(*name, value);
        }
        match call.send().await {
            Ok(response) => read(response).await,
            Err(problem) if problem.is_connect() || problem.is_builder() => Answer::NotSent(in_words(&problem)),
            Err(problem) => Answer::PerhapsSent(in_words(&problem)),
        }
    }
}

async fn read(mut response: reqwest::Response) -> Answer {
    let status = response.status().as_u16();
    let retry_after = response
        .headers()
        .get("retry-after")
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .map(Duration::from_secs);
    let mut body = BytesMut::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= ANSWER_LIMIT => body.extend_from_slice(&chunk),
            // Whatever comes after the limit says nothing that an adapter reads.
            Ok(Some(_) | None) => return Answer::Reply(HttpReply { status, retry_after, body: body.freeze() }),
            Err(_) if status >= 400 => return Answer::Reply(HttpReply { status, retry_after, body: Bytes::new() }),
            Err(problem) => return Answer::PerhapsSent(in_words(&problem)),
        }
    }
}

/// The innermost cause, without the URL: it may carry an account's name.
fn in_words(problem: &reqwest::Error) -> String {
    let mut cause = problem.source();
    let mut text =
        if problem.is_timeout() { "no answer in time".to_owned() } else { "the connection failed".to_owned() };
    while let Some(inner) = cause {
        if inner.source().is_none() {
            text = format!("{text}: {inner}");
        }
        cause = inner.source();
    }
    text
}
