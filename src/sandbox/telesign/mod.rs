//! TeleSign's SMS side: its paths, its state, and what happens to a message after it was accepted.
//!
//! Bulk calls, other channels, prices and carriers are deliberately left out. TeleSign keeps no list of who opted out, so
//! the sandbox keeps none: who answered STOP is sent to again, if asked.

mod create;

mod rules;

mod auth;
mod errors;
mod magic;
mod messages;
mod plan;
mod read;
mod reports;
mod signature;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::{
    Router,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};

pub use magic::MAGIC;
pub(super) use plan::Event;
pub use signature::{Signed, sign};

use self::{auth::Accounts, errors::ApiError, messages::Message};
use super::{kept::Kept, settings::Settings, state::State};

/// Where messages are created; a message is below it.
const PATH: &str = "/v1/messaging";

/// TeleSign's part of the state.
pub(super) struct TeleSign {
    accounts: Accounts,
    path: Arc<str>,
    messages: Mutex<Kept<Message>>,
}

impl TeleSign {
    pub(super) fn new(settings: &Settings) -> Self {
        TeleSign {
            accounts: Accounts::new(&settings.telesign),
            path: PATH.into(),
            messages: Mutex::new(Kept::new(settings.message_limit)),
        }
    }

    pub(super) fn clear(&self) {
        self.messages().clear();
    }

    /// Held for a moment only: nothing is awaited, built or posted under it.
    fn messages(&self) -> MutexGuard<'_, Kept<Message>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route(PATH, post(create::create).fallback(wrong_method))
        .route("/v1/messaging/{reference}", get(read::fetch).fallback(wrong_method))
}

async fn wrong_method() -> Response {
    ApiError::of(10000).with_status(405).into_response()
}

/// The answer to a path of TeleSign's that the sandbox does not serve.
pub(super) fn not_found() -> Response {
    ApiError::of(10017).into_response()
}

/// A new reference id: unguessable, and not from the seeded dice, so that a restarted sandbox gives out none twice.
fn new_reference() -> Arc<str> {
    format!("{:032X}", rand::random::<u128>()).into()
}
