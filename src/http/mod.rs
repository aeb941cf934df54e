//! The HTTP API, the webhooks and the callbacks, as axum routes.
