//! `PUT /sandbox/acs/events`: subscribes to a resource's events while the sandbox runs.

use std::sync::Arc;

use axum::{
    extract::State as Shared,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use serde::Deserialize;

use crate::sandbox::{
    control::{read, refuse},
    settings::AcsEvents,
    state::State,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Subscribe {
    /// The first one if none is named.
    resource: Option<String>,
    events: AcsEvents,
}

/// Replaces the subscription to a resource's events; the handshake is done anew before the next one.
pub(super) async fn subscribe(Shared(state): Shared<Arc<State>>, body: Bytes) -> Response {
    let wanted: Subscribe = match read(&body) {
        Ok(wanted) => wanted,
        Err(refusal) => return *refusal,
    };
    if let Err(why) = wanted.events.check() {
        return refuse(format!("events.{why}"));
    }
    let named = |name: &str| wanted.resource.as_deref().is_none_or(|wanted| wanted == name);
    match state.acs.resources.iter().find(|resource| named(&resource.name)) {
        Some(resource) => {
            resource.subscribe(&wanted.events);
            StatusCode::NO_CONTENT.into_response()
        }
        None => refuse("resource: no resource has this name".into()),
    }
}
