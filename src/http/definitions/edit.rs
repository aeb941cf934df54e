//! What every kind of definition has in common: how it is shown, looked for, made, changed and removed.

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::Response,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::{
    Api,
    auth::Admin,
    body::Body,
    once::once,
    problem::{FieldError, Problem},
    query, refused,
};
use crate::{
    definitions::{Editor, IfMatch, Write, Written, without_secrets},
    domain::{id::OrgId, time::Timestamp},
    store::definitions::{Definition, Kind},
};

/// The most that one page holds.
const PAGE: usize = 100;

/// A JSON object.
pub(in super::super) type Object = Map<String, Value>;

/// A definition, without its secrets.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in super::super) struct Shown {
    /// Made by herald.
    pub id: String,
    pub name: String,
    /// Raised by every change; the same as the `ETag`.
    pub version: i64,
    pub changed_at: Timestamp,
    /// What it says, in the form in which it is written. Of a secret, only that there is one and where it comes from.
    #[schema(value_type = Object)]
    pub definition: Object,
}

impl From<&Definition> for Shown {
    fn from(definition: &Definition) -> Self {
        let mut body = without_secrets(definition.kind, &definition.body);
        body.remove("name");
        Self {
            id: definition.id.clone(),
            name: definition.name.clone(),
            version: definition.version,
            changed_at: definition.changed_at,
            definition: body,
        }
    }
}

/// Where a page begins.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    /// The last name of the page before.
    after: Option<String>,
}

/// The header `If-Match`: what the caller has seen of what it changes.
#[derive(Debug)]
pub(super) struct Seen(pub IfMatch);

impl<S: Send + Sync> FromRequestParts<S> for Seen {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let texts = parts.headers.get_all(header::IF_MATCH).iter().map(|value| value.to_str().unwrap_or_default());
        // A weak tag is never what is meant here, and is left as it is written: it fits nothing.
        let tags = texts.flat_map(|text| text.split(',')).map(|tag| {
            let tag = tag.trim();
            tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(tag).to_owned()
        });
        let tags: Vec<String> = tags.collect();
        let anything = tags.is_empty() || tags.iter().any(|tag| tag == "*");
        Ok(Self(if anything { IfMatch::Anything } else { IfMatch::OneOf(tags) }))
    }
}

/// Something with a version as its `ETag`.
pub(in super::super) fn tagged<T>(tag: impl std::fmt::Display, answer: T) -> ([(header::HeaderName, String); 1], T) {
    ([(header::ETAG, format!("\"{tag}\""))], answer)
}

/// One definition, by its name or id.
pub(in super::super) async fn found(api: &Api, org: &OrgId, kind: Kind, name: &str) -> Result<Definition, Problem> {
    let all = api.store.definitions(org).await?;
    let mut named: Vec<Definition> =
        all.into_iter().filter(|one| one.kind == kind && (one.name == name || one.id == name)).collect();
    // A name that looks like another's id is a name first.
    named.sort_by_key(|one| one.name != name);
    let missing = || Problem::not_found(format!("there is no {} \"{name}\"", refused::word(kind)));
    named.into_iter().next().ok_or_else(missing)
}

/// A page of a kind's definitions, by name, and where the next begins.
pub(super) async fn page(
    api: &Api,
    org: &OrgId,
    kind: Kind,
    PageQuery { after }: PageQuery,
) -> Result<(Vec<Definition>, Option<String>), Problem> {
    let after = after.unwrap_or_default();
    let mut all = api.store.definitions(org).await?;
    all.retain(|one| one.kind == kind && one.name > after);
    all.sort_by(|one, other| one.name.cmp(&other.name));
    let more = all.len() > PAGE;
    all.truncate(PAGE);
    let next = all.last().filter(|_| more).map(|one| one.name.clone());
    Ok((all, next))
}

fn editor<'a>(api: &'a Api, org: &'a OrgId) -> Editor<'a> {
    Editor { store: &api.store, secrets: api.books.secrets(), org, now: api.clock.now() }
}

/// A definition that is to be made: 201 with what `view` makes of it, once for each idempotency key.
pub(super) async fn create<T: Serialize>(
    api: &Arc<Api>,
    admin: &Admin,
    kind: Kind,
    headers: &HeaderMap,
    body: Body<Object>,
    view: impl AsyncFnOnce(&Definition, &Written) -> Result<T, Problem>,
) -> Result<Response, Problem> {
    let key = query::idempotency_key(headers)?;
    let Body { value, digest } = body;
    let mut response = once(api, &admin.org, key, &digest, async |_| {
        let name = name_in(&value)?;
        let written = editor(api, &admin.org).write(kind, name, &value, &Write::Create).await;
        let written = written.map_err(|problem| refused::answer(problem, refused::word(kind), name))?;
        let definition = written.definition.as_ref().ok_or_else(Problem::unwritable)?;
        Ok((StatusCode::CREATED, view(definition, &written).await?))
    })
    .await?;
    if response.status() == StatusCode::CREATED {
        response.headers_mut().insert(header::ETAG, HeaderValue::from_static("\"1\""));
    }
    Ok(response)
}

/// The name in the body of what is to be made.
fn name_in(body: &Object) -> Result<&str, Problem> {
    body.get("name").and_then(Value::as_str).ok_or_else(|| {
        let detail = "missing; expected a name: 1 to 60 of a-z, A-Z, 0-9, -, _ and ., beginning with a letter or digit";
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_definition", "the body has no name")
            .with_errors([FieldError { pointer: "/name".to_owned(), detail: detail.to_owned() }])
    })
}

/// Says something else of a definition.
pub(super) async fn replace(
    api: &Api,
    admin: &Admin,
    kind: Kind,
    name: &str,
    seen: Seen,
    body: &Object,
) -> Result<(Definition, Written), Problem> {
    let written = editor(api, &admin.org).write(kind, name, body, &Write::Replace(seen.0)).await;
    let mut written = written.map_err(|problem| refused::answer(problem, refused::word(kind), name))?;
    let definition = written.definition.take().ok_or_else(Problem::unwritable)?;
    Ok((definition, written))
}

/// Removes a definition: 204.
pub(super) async fn remove(
    api: &Api,
    admin: &Admin,
    kind: Kind,
    name: &str,
    seen: Seen,
) -> Result<StatusCode, Problem> {
    let removed = editor(api, &admin.org).remove(kind, name, &seen.0).await;
    removed.map_err(|problem| refused::answer(problem, refused::word(kind), name))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Says something else of the organization itself.
pub(super) async fn write_organization(
    api: &Api,
    admin: &Admin,
    seen: Seen,
    body: &Object,
) -> Result<Written, Problem> {
    let written = editor(api, &admin.org).write_organization(body, &seen.0).await;
    written.map_err(|problem| refused::answer(problem, "organization", admin.org.as_str()))
}

/// What is worth knowing of what was written, in words.
pub(super) fn notices(written: &Written) -> Vec<String> {
    written.notices.iter().map(|notice| notice.message.clone()).collect()
}
