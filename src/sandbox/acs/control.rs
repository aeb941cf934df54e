//! `PUT /sandbox/acs/events`: subscribes to a resource's events while the sandbox runs.

use std::sync::Arc;

use axum::{
    Json,
    extract::State as Shared,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::settings::AcsEvents;
use crate::sandbox::state::State;

/// The subscription, and the resource that it is to; the first one if none is named.
#[derive(Deserialize)]
struct Subscribe {
    resource: Option<String>,
    #[serde(flatten)]
    events: AcsEvents,
}
