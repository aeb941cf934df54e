//! The HTTP API, the webhooks and the callbacks, as axum routes.
//!
//! A handler reads what was asked, calls one thing below it, and writes the answer: no rule lives here.

mod accounts;
mod auth;
mod body;
mod callbacks;
mod cases;
pub mod codes;
pub mod consents;
mod control;
mod conversations;
mod doors;
mod endpoints;
mod events;
mod hooks;
mod key_routes;
pub mod keys;
mod limit;
mod messages;
mod once;
mod openapi;
mod ops;
pub mod preview;
pub mod problem;
mod query;
mod quota;
mod requests;
mod runs;
mod schemas;
mod spool;
mod stream;
pub mod timeline;
mod try_it;
pub mod views;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, header},
    middleware::{self, Next},
    response::Response,
    routing::{any, get},
};

use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    book::Books,
    clock::Clock,
    domain::id::OrgId,
    engine::{Committer, Transport},
    inbound::callbacks::Reader,
    store::{
        Store,
        callbacks::StoredCallback,
        events::{Recorded, StoredEvent},
    },
    telemetry::Metrics,
};
pub use limit::Doorkeeper;
use problem::Problem;
use tokio::sync::watch;

/// What handlers work with.
#[derive(Debug)]
pub struct Api {
    /// The store.
    pub store: Store,
    /// The organizations' books.
    pub books: Books,
    /// The time.
    pub clock: Clock,
    /// The figures.
    pub metrics: Arc<Metrics>,
    /// Where events are handed in to become durable.
    pub events: Committer<(OrgId, StoredEvent), Recorded>,
    /// Where callbacks are handed in to become durable.
    pub callbacks: Committer<(OrgId, StoredCallback), ()>,
    /// What reads callbacks.
    pub reader: Reader,
    /// How providers are called when an account is to be proven.
    pub transport: Transport,
    /// Who counts requests.
    pub door: Doorkeeper,
    /// Turns true when the process is to end: what would go on for ever ends then.
    pub stopped: watch::Receiver<bool>,
    /// The largest body that is read, in bytes.
    pub max_body_bytes: usize,
}

type Shared = State<Arc<Api>>;

/// Every route that the API's description tells of.
fn described() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::with_openapi(openapi::Document::openapi())
        .merge(runs::routes())
        .merge(control::routes())
        .merge(messages::routes())
        .merge(quota::routes())
        .merge(timeline::routes())
        .merge(conversations::routes())
        .merge(consents::routes())
        .merge(accounts::routes())
        .merge(endpoints::routes())
        .merge(key_routes::routes())
        .merge(stream::routes())
        .merge(preview::routes())
        .merge(requests::routes())
        .merge(events::routes())
        .merge(cases::routes())
        .merge(hooks::routes())
        .merge(ops::routes())
}

/// Every route, and the API's description.
fn routes() -> (Router<Arc<Api>>, utoipa::openapi::OpenApi) {
    let (described, document) = described().split_for_parts();
    let document = openapi::complete(document);
    let shown = document.clone();
    let routes = described
        .route("/openapi.json", get(async || Json(shown)))
        .merge(try_it::routes())
        .route("/callbacks/{token}", any(callbacks::receive))
        .fallback(async || Problem::not_found("there is nothing at this path"))
        .method_not_allowed_fallback(async || Problem::method_not_allowed());
    (routes, document)
}

/// herald's HTTP server.
pub fn router(api: Arc<Api>) -> Router {
    let (routes, _) = routes();
    routes
        .layer(DefaultBodyLimit::max(api.max_body_bytes))
        .layer(middleware::from_fn(limit::told))
        .layer(middleware::from_fn_with_state(api.clone(), measure))
        .with_state(api)
}

async fn measure(State(api): Shared, request: Request, next: Next) -> Response {
    let route =
        request.extensions().get::<MatchedPath>().map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let large = has_large_body(request.headers());
    let mut response = next.run(request).await;
    if large && response.status().is_client_error() {
        // Its body may be unread, and the connection ends with it: a client that is told asks on another one.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    api.metrics.http(&route, response.status().as_u16());
    response
}

/// Whether a request's body may be more than what comes in with its headers.
fn has_large_body(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    length.map_or_else(|| headers.contains_key(header::TRANSFER_ENCODING), |length| length > 16 * 1024)
}
