//! `/v1/cases`: what events of types `case.*` have said of cases.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api, Shared,
    auth::Reader,
    problem::Problem,
    query::{self, Path, Query},
};
use crate::{
    domain::{contact::OptIn, locale::Locale, phone::E164, time::Timestamp},
    store::cases::{Case, CaseContact},
};

/// The most that one page holds.
const PAGE: i64 = 100;

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Only cases with this status.
    status: Option<String>,
    /// The last case of the page before.
    after: Option<String>,
}

/// A page of cases.
#[derive(Serialize, ToSchema)]
struct CasePage {
    cases: Vec<CaseView>,
    /// The `after` of the next page, if there may be one.
    next: Option<String>,
}

/// A case, as events have told of it.
#[derive(Serialize, ToSchema)]
struct CaseView {
    /// The sender's id.
    id: String,
    title: String,
    /// In lower case.
    #[schema(example = "resolved")]
    status: String,
    /// Whose it is, if any event said so.
    contact: Option<ContactView>,
    /// When the earliest event about it was.
    opened_at: Timestamp,
    /// When the latest event about it was.
    event_at: Timestamp,
    /// When herald last wrote it.
    changed_at: Timestamp,
}

/// Whose case it is.
#[derive(Serialize, ToSchema)]
#[schema(as = CaseContact)]
struct ContactView {
    to: E164,
    /// Whether they agreed; none: nothing was said of it.
    optin: Option<bool>,
    /// `sms` or `whatsapp`, if only that is meant.
    channelid: Option<&'static str>,
    locale: Option<Locale>,
    contextitems: BTreeMap<String, String>,
}

/// Lists the cases, in the order of their ids, a page at a time
#[utoipa::path(get, path = "/v1/cases", tag = "cases", params(ListQuery), security(("key" = ["read"])), responses((status = 200, body = CasePage)))]
async fn list(State(api): Shared, reader: Reader, Query(asked): Query<ListQuery>) -> Result<Json<CasePage>, Problem> {
    let status = asked.status.map(|status| status.trim().to_lowercase());
    let after = asked.after.unwrap_or_default();
    let found = api.store.cases(&reader.org, status.as_deref(), &after, PAGE).await?;
    let next = query::next(&found, PAGE, |case| case.id.clone());
    Ok(Json(CasePage { cases: found.into_iter().map(view).collect(), next }))
}

/// Shows a case
#[utoipa::path(
    get, path = "/v1/cases/{id}", tag = "cases", params(("id" = String, Path, description = "The sender's id of it")), security(("key" = ["read"])),
    responses((status = 200, body = CaseView), (status = 404, description = "No event has told of such a case"))
)]
async fn show(State(api): Shared, reader: Reader, Path(id): Path<String>) -> Result<Json<CaseView>, Problem> {
    let found = api.store.case(&reader.org, &id).await?;
    let found = found.ok_or_else(|| Problem::not_found(format!("no event has told of a case \"{id}\"")))?;
    Ok(Json(view(found)))
}

fn view(case: Case) -> CaseView {
    let Case { id, status, title, contact, opened_at, event_at, changed_at } = case;
    let contact = contact.map(|CaseContact { to, opted_in, channel_type, locale, slugs }| ContactView {
        to,
        optin: opted_in.map(|said| said == OptIn::Yes),
        channelid: channel_type.map(|only| only.as_str()),
        locale,
        contextitems: slugs.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    });
    CaseView { id, title, status, contact, opened_at, event_at, changed_at }
}
