//! The API's description: OpenAPI 3.1, made of the handlers themselves (`#[utoipa::path]`), at `/openapi.json`.

use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

/// What is true of the whole API; the paths come from the routes.
#[derive(OpenApi)]
#[openapi(
    info(title = "herald", description = "Outbound bulk messaging: SMS and WhatsApp, from events, files and the clock."),
    security(("key" = [])),
    modifiers(&Keys)
)]
pub(super) struct Document;

struct Keys;

impl Modify for Keys {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("An API key, made by `herald key create` or `POST /v1/keys`"))
            .build();
        document.components.get_or_insert_default().add_security_scheme("key", SecurityScheme::Http(bearer));
    }
}
