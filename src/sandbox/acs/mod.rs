//! Azure Communication Services' SMS side: sending, opting out, the list of numbers, and the events about messages, which
//! come as Event Grid delivers them.
//!
//! Entra tokens, short code and toll-free verification, MMS and the preview versions are deliberately left out.

mod send;

mod rules;

mod auth;
mod body;
mod control;
mod errors;
mod events;
mod magic;
mod messages;
mod numbers;
mod optouts;
mod repeats;
mod resources;
mod subscription;
mod version;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    http::{HeaderMap, Method, Uri},
    response::{IntoResponse as _, Response},
    routing::{get, post, put},
};
use chrono::DateTime;

pub use auth::{Signed, authorization, content_hash};
pub(super) use magic::MAGIC;
pub(super) use messages::Event;

use self::{errors::ApiError, repeats::Repeats, resources::Resource, rules::Sender};
use super::{settings::Settings, state::State, time};

/// The service's part of the state.
pub(super) struct Acs {
    resources: Vec<Arc<Resource>>,
    message_limit: usize,
    book: Mutex<Book>,
}

/// What changes, behind one lock.
struct Book {
    repeats: Repeats,
    /// (resource, sender, recipient) of those who opted out, with blanks between.
    opted_out: HashSet<String>,
}

impl Acs {
    pub(super) fn new(settings: &Settings) -> Self {
        Acs {
            resources: settings.acs.iter().map(|known| Arc::new(Resource::new(known))).collect(),
            message_limit: settings.message_limit,
            book: Mutex::new(Book::new(settings.message_limit)),
        }
    }

    pub(super) fn clear(&self) {
        *self.book() = Book::new(self.message_limit);
        self.resources.iter().filter_map(|resource| resource.subscription()).for_each(|events| events.clear());
    }

    /// How many subscriptions get no events because their receiver failed the handshake.
    pub(super) fn failed_handshakes(&self) -> u64 {
        let failed = |resource: &Arc<Resource>| resource.subscription().is_some_and(|events| events.has_failed());
        self.resources.iter().filter(|resource| failed(resource)).count() as u64
    }

    fn authorize(
        &self,
        (method, uri): (&Method, &Uri),
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Arc<Resource>, ApiError> {
        auth::authorize(&self.resources, (method, uri), headers, body, time::now_ms())
    }

    /// Held for a moment only: nothing is awaited, built or posted under it.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn new(limit: usize) -> Self {
        Book { repeats: Repeats::new(limit), opted_out: HashSet::new() }
    }

    fn opt_out(&mut self, resource: &str, sender: &str, recipient: &str) {
        self.opted_out.insert(format!("{resource} {sender} {recipient}"));
    }

    fn opt_in(&mut self, resource: &str, sender: &str, recipient: &str) {
        self.opted_out.remove(&format!("{resource} {sender} {recipient}"));
    }

    fn is_opted_out(&self, resource: &str, sender: &str, recipient: &str) -> bool {
        !self.opted_out.is_empty() && self.opted_out.contains(&format!("{resource} {sender} {recipient}"))
    }

    /// Whether an opt-out keeps a message from being delivered: nobody can opt out of a name.
    fn blocks(&self, resource: &str, sender: &str, recipient: &str) -> bool {
        self.is_opted_out(resource, sender, recipient) && Sender::of(sender).is_some_and(|kind| kind != Sender::Name)
    }
}

pub(super) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/sms", post(send::send).fallback(wrong_method))
        .route("/sms/optouts:add", post(optouts::add).fallback(wrong_method))
        .route("/sms/optouts:remove", post(optouts::remove).fallback(wrong_method))
        .route("/sms/optouts:check", post(optouts::check).fallback(wrong_method))
        .route("/phoneNumbers", get(numbers::list).fallback(wrong_method))
        .route("/sandbox/acs/events", put(control::subscribe))
}

async fn wrong_method() -> Response {
    ApiError::new(405, "MethodNotAllowed", "The method is not allowed here.").into_response()
}

/// The answer to a path of the service that the sandbox does not serve.
pub(super) fn not_found() -> Response {
    ApiError::new(404, "NotFound", "There is nothing here.").into_response()
}

/// A message's id: unguessable, and not from the seeded dice, so that a restarted sandbox gives out no id twice.
fn new_id(direction: &str, now_ms: i64) -> String {
    let at = DateTime::from_timestamp_millis(now_ms).unwrap_or_default().format("%Y%m%d%H%M%S");
    format!("{direction}_{at}{}", guid())
}

fn guid() -> String {
    let hex = format!("{:032x}", rand::random::<u128>());
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
