//! `GET /v1/accounts`, `GET /v1/accounts/{name}`, `POST /v1/accounts/{name}/validate`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use serde_json::{Value, json};

use super::{Api, Shared, auth::Admin, problem::Problem};
use crate::{
    book::{Book, ReadyAccount},
    domain::id::OrgId,
    engine,
    store::{StoreError, accounts::AccountState},
};

async fn book(api: &Api, org: &OrgId) -> Result<Arc<Book>, Problem> {
    api.books.current(org).await?.ok_or_else(|| Problem::not_found("the organization defines nothing yet"))
}

/// An account as programs see it. No secret is part of it; the callback address is one, and is shown to whoever may change
/// what it leads to.
fn view(api: &Api, book: &Book, account: &ReadyAccount, state: &AccountState) -> Value {
    let token = book.callback_token(&account.name);
    let base = api.reader.public_url.as_deref().unwrap_or_default().trim_end_matches('/');
    json!({
        "name": account.name, "provider": account.kind.as_str(),
        "usable": account.provider.is_ok(), "problem": account.provider.as_ref().err().map(ToString::to_string),
        "stopped": Some(&state.stopped).filter(|why| !why.is_empty()),
        "checked_at": state.checked_at, "checked": Some(&state.checked).filter(|text| !text.is_empty()),
        "callback_url": token.map(|token| format!("{base}/callbacks/{token}")),
    })
}

async fn shown(api: &Api, book: &Book, account: &ReadyAccount) -> Result<Value, StoreError> {
    let state = api.store.account_state(&book.organization.id, &account.name).await?.unwrap_or_default();
    Ok(view(api, book, account, &state))
}

/// Every account.
pub(super) async fn list(State(api): Shared, admin: Admin) -> Result<Json<Value>, Problem> {
    let book = book(&api, &admin.org).await?;
    let mut accounts = Vec::new();
    for account in book.accounts() {
        accounts.push(shown(&api, &book, account).await?);
    }
    Ok(Json(json!({ "accounts": accounts })))
}

/// One account.
pub(super) async fn show(State(api): Shared, admin: Admin, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    let book = book(&api, &admin.org).await?;
    let account = book.account(&name).map_err(|problem| Problem::not_found(problem.to_string()))?;
    Ok(Json(json!({ "account": shown(&api, &book, account).await? })))
}

/// Proves its credentials; nobody is messaged.
pub(super) async fn validate(
    State(api): Shared,
    admin: Admin,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let book = book(&api, &admin.org).await?;
    let account = book.account(&name).map_err(|problem| Problem::not_found(problem.to_string()))?;
    let validated = engine::validate(&api.store, &api.transport, &api.clock, &book, account).await?;
    let good = validated.found == crate::provider::Credentials::Good;
    Ok(Json(json!({
        "account": view(&api, &book, account, &validated.state), "good": good, "released_runs": validated.released,
    })))
}
