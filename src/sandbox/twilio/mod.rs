//! Twilio, SMS and WhatsApp: its paths, its state, and what happens to a message after it was accepted.
//!
//! Test credentials, link shortening and pricing are deliberately left out.

mod create;

mod rules;

mod accounts;
mod content;
mod errors;
mod inbound;
mod magic;
mod messages;
mod plan;
mod read;
mod receipts;
mod signature;
mod whatsapp;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::{
    Router,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};

pub use magic::{MAGIC, WHATSAPP};
pub(super) use plan::Event;
pub use signature::sign;

use self::{accounts::Accounts, errors::ApiError, messages::Messages};
use super::{settings::Settings, state::State};

/// Twilio's part of the state.
pub(super) struct Twilio {
    accounts: Accounts,
    messages: Mutex<Messages>,
}

impl Twilio {
    pub(super) fn new(settings: &Settings) -> Self {
        Twilio {
            accounts: Accounts::new(&settings.accounts),
            messages: Mutex::new(Messages::new(settings.message_limit)),
        }
    }

    pub(super) fn clear(&self) {
        self.messages().clear();
    }

    /// Held for a moment only: nothing is awaited, built or posted under it.
    fn messages(&self) -> MutexGuard<'_, Messages> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route(
            "/2010-04-01/Accounts/{account}/Messages.json",
            post(create::create).get(read::list).fallback(wrong_method),
        )
        .route(
            "/2010-04-01/Accounts/{account}/Messages/{message}",
            get(read::fetch).post(read::update).delete(read::remove).fallback(wrong_method),
        )
        .route("/2010-04-01/Accounts/{account}", get(read::account).fallback(wrong_method))
        .route("/v1/Content/{content}/ApprovalRequests", get(content::approval).fallback(wrong_method))
}

async fn wrong_method() -> Response {
    ApiError::of(20004).into_response()
}

/// The answer to a path of Twilio's that the sandbox does not serve.
pub(super) fn not_found() -> Response {
    ApiError::of(20404).into_response()
}

/// A new sid: unguessable, and not from the seeded dice, so that a restarted sandbox gives out no sid twice.
fn new_sid(prefix: &str) -> Arc<str> {
    format!("{prefix}{:032x}", rand::random::<u128>()).into()
}
