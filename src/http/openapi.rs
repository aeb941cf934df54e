//! The API's description: OpenAPI 3.1, made of the handlers themselves (`#[utoipa::path]`), at `/openapi.json`. What a handler
//! does not say itself is added here: the problems that any operation can answer with, a name for each operation, its tag.

use serde_json::json;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        ContentBuilder, HeaderBuilder, Object, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder,
        path::{Operation, ParameterIn, PathItem},
        schema::{Schema, SchemaType, Type},
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
        tag::{Tag, TagBuilder},
    },
};

use super::problem::ProblemView;

/// What is true of the whole API; the paths come from the routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "herald",
        description = "Outbound bulk messaging: SMS and WhatsApp, from events, files and the clock.\n\nEverything belongs to one organization, named by the API key; what is another's is not found. What goes wrong is answered as RFC 9457 `application/problem+json` with a stable `code`. Lists come in pages: `next` is the `after` of the next page, and null on the last. Times are in UTC with milliseconds."
    ),
    security(("key" = [])),
    components(schemas(ProblemView<'_>)),
    modifiers(&Keys)
)]
pub(super) struct Document;

struct Keys;

impl Modify for Keys {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "An API key, made by `herald key create` or `POST /v1/keys`. An operation names the scope that it needs: `admin` does everything, `send` reads and sends, `read` reads.",
            ))
            .build();
        document.components.get_or_insert_default().add_security_scheme("key", SecurityScheme::Http(bearer));
    }
}

/// What the API is about, in the order in which it is shown.
const TAGS: &[(&str, &str)] = &[
    ("requests", "Sending to at most 100 contacts in one call"),
    ("runs", "Firings of a configuration over an audience: how they stand, and their control"),
    ("messages", "Single texts to single contacts"),
    ("events", "What happens in other systems, and fires automatic configurations"),
    ("cases", "What events have said of cases"),
    ("quota", "What may still be sent in the rolling hour"),
    ("stream", "What happens, as it happens"),
    ("conversations", "What people write back, and what they are answered"),
    ("consents", "Who may be written to, and who may not"),
    ("timelines", "What happened to a contact, or about a case"),
    ("outbound-configurations", "What is sent, from where, to whom, on what trigger"),
    ("templates", "Texts in several languages, with their preview"),
    ("channels", "Senders: numbers on an account, with their pace"),
    ("accounts", "Credentials at providers, and whether they hold"),
    ("lists", "Stored audiences"),
    ("endpoints", "Where the organization's events are posted"),
    ("hooks", "Where other systems post their events"),
    ("organization", "The organization itself: its time zone, quota, quiet hours"),
    ("keys", "API keys"),
    ("operations", "For those who operate herald"),
];

/// The problems that operations answer with: status, name, what it means.
const PROBLEMS: &[(&str, &str, &str)] = &[
    ("400", "BadRequest", "Something in the path, the query, the headers or the body cannot be read"),
    ("401", "Unauthorized", "No API key, or one that does not hold"),
    ("403", "Forbidden", "The API key's scope does not allow this"),
    ("404", "NotFound", "It is not there, or not this organization's, which is the same"),
    ("409", "Conflict", "It stands in a way that does not allow this now"),
    ("412", "PreconditionFailed", "It is another than the caller has seen"),
    ("413", "TooLarge", "The body is larger than what is read here"),
    ("415", "UnsupportedMediaType", "The body is of a type that is not taken here"),
    ("422", "Unprocessable", "What was sent can be read and is not what it must be"),
    ("429", "TooManyRequests", "The organization asks too often; `Retry-After` says when to ask again"),
    ("500", "Internal", "herald failed, and its log says why"),
    ("503", "Unavailable", "Not now; `Retry-After` says when to ask again"),
];

/// Adds what handlers do not say themselves.
pub(super) fn complete(mut document: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    let components = document.components.get_or_insert_default();
    for (status, name, means) in PROBLEMS {
        components.responses.insert((*name).to_owned(), problem(status, means).into());
    }
    let mut used = Vec::new();
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            describe(path, method, operation);
            used.extend(operation.tags.iter().flatten().cloned());
        }
    }
    document.tags = Some(tags(&used));
    document
}

/// The operations of a path, each with its method.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    let all = [("get", get), ("put", put), ("post", post), ("delete", delete), ("patch", patch)];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// The tags that are in use, those that nobody has described last.
fn tags(used: &[String]) -> Vec<Tag> {
    let known = TAGS.iter().filter(|(name, _)| used.iter().any(|used| used == name));
    let mut tags: Vec<Tag> =
        known.map(|(name, means)| TagBuilder::new().name(*name).description(Some(*means)).build()).collect();
    for name in used {
        if tags.iter().all(|tag| tag.name != *name) {
            tags.push(TagBuilder::new().name(name).build());
        }
    }
    tags
}

/// An answer that is a problem.
fn problem(status: &str, means: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let response = ResponseBuilder::new().description(means).content("application/problem+json", content);
    let header =
        |kind, means| HeaderBuilder::new().schema(Some(Object::with_type(kind))).description(Some(means)).build();
    match status {
        "401" => response.header("WWW-Authenticate", header(Type::String, "`Bearer`")),
        "429" | "503" => response.header("Retry-After", header(Type::Integer, "Seconds to wait")),
        _ => response,
    }
    .build()
}

/// Names an operation by its tag and its handler, and adds the problems that it can answer with.
fn describe(path: &str, method: &str, operation: &mut Operation) {
    if let (Some(tag), Some(name)) = (operation.tags.iter().flatten().next(), &mut operation.operation_id) {
        *name = format!("{tag}_{name}").replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    }
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter {
            parameter.schema = parameter.schema.take().map(without_null);
            if parameter.name == "Idempotency-Key" {
                parameter.description =
                    Some("The caller's name for this request: the same is the same answer".to_owned());
                parameter.schema = Some(visible_ascii());
            }
        }
    }
    for (status, name, means) in PROBLEMS {
        let possible = can_answer(path, method, operation, status);
        let answers = &mut operation.responses.responses;
        match answers.get_mut(*status) {
            Some(RefOr::T(said)) if said.content.is_empty() => {
                let description = std::mem::take(&mut said.description);
                *said = problem(status, if description.is_empty() { means } else { &description });
            }
            Some(_) => {}
            None if possible => {
                answers.insert((*status).to_owned(), Ref::from_response_name(*name).into());
            }
            None => {}
        }
    }
}

/// What can be left out of a query or of the headers is left out: there is no null in them.
/// What an idempotency key may be: 1 to 255 visible characters of ASCII, blanks between them.
fn visible_ascii() -> RefOr<Schema> {
    let text = ObjectBuilder::new().schema_type(SchemaType::new(Type::String));
    text.pattern(Some("^[!-~]([ -~]*[!-~])?$")).min_length(Some(1)).max_length(Some(255)).into()
}

fn without_null(mut schema: RefOr<Schema>) -> RefOr<Schema> {
    if let RefOr::T(Schema::OneOf(forms)) = &mut schema {
        forms.items.retain(|item| json!(item)["type"] != "null");
        if forms.items.len() == 1
            && let Some(only) = forms.items.pop()
        {
            return only;
        }
    }
    if let RefOr::T(Schema::Object(object)) = &mut schema
        && let SchemaType::Array(types) = &mut object.schema_type
    {
        types.retain(|one| *one != Type::Null);
        if types.len() == 1
            && let Some(only) = types.pop()
        {
            object.schema_type = SchemaType::Type(only);
        }
    }
    schema
}

/// Whether an operation can answer with this status, going by its form.
fn can_answer(path: &str, method: &str, operation: &Operation, status: &str) -> bool {
    if !path.starts_with("/v1/") {
        return false;
    }
    let header = operation.parameters.iter().flatten().any(|parameter| match parameter {
        RefOr::T(parameter) => parameter.parameter_in == ParameterIn::Header,
        RefOr::Ref(_) => false,
    });
    let if_match = operation.parameters.iter().flatten().any(|parameter| match parameter {
        RefOr::T(parameter) => parameter.name == "If-Match",
        RefOr::Ref(_) => false,
    });
    let body = operation.request_body.is_some();
    match status {
        "400" | "401" | "403" | "429" | "500" | "503" => true,
        "404" => path.contains('{'),
        "409" => method != "get",
        "412" => if_match,
        "413" | "415" => body,
        "422" => body || header,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
