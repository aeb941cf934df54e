//! `GET /openapi`: a page to read the API's description and to try it. It is compiled in, and contacts nobody but this herald.

use std::sync::Arc;

use axum::{
    Router,
    http::{HeaderName, header},
    response::IntoResponse,
    routing::get,
};

use super::Api;

const PAGE: &str = include_str!("try_it/page.html");
const STYLE: &str = include_str!("try_it/page.css");
const SCRIPT: &str = include_str!("try_it/page.js");

/// Nothing but the page's own two files, and calls of this herald.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/openapi", get(async || file("text/html; charset=utf-8", PAGE)))
        .route("/openapi/page.css", get(async || file("text/css; charset=utf-8", STYLE)))
        .route("/openapi/page.js", get(async || file("text/javascript; charset=utf-8", SCRIPT)))
}

fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let headers: [(HeaderName, &str); 5] = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text)
}
