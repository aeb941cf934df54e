//! What an organization defines, by API: each kind with a file of its own, by the very rules of `herald apply`.
//!
//! `edit` is what they have in common, `refused` how a refusal is answered, `bodies` what may be sent.

mod accounts;
mod bodies;
mod channels;
mod configurations;
pub(super) mod edit;
mod endpoints;
mod hooks;
mod organization;
mod refused;
mod templates;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;

use super::{Api, Shared, auth, body, once, problem, query};

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .merge(organization::routes())
        .merge(configurations::routes())
        .merge(templates::routes())
        .merge(channels::routes())
        .merge(accounts::routes())
        .merge(endpoints::routes())
        .merge(hooks::routes())
}
