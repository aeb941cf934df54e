//! `GET /v1/accounts`, `GET /v1/accounts/{name}`, `POST /v1/accounts/{name}/validate`.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Api, Shared, auth::Admin, problem::Problem, query::Path, views::filled};
use crate::{
    book::{Book, ReadyAccount},
    domain::{
        account::ProviderKind,
        id::{OrgId, RunId},
        time::Timestamp,
    },
    engine,
    provider::Credentials,
    store::{StoreError, accounts::AccountState},
};

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show)).routes(routes!(validate))
}

/// An account as programs see it. No secret is part of it; the callback address is one, and is shown to whoever may change
/// what it leads to.
#[derive(Serialize, ToSchema)]
struct AccountView {
    name: String,
    #[schema(value_type = ProviderKind)]
    provider: &'static str,
    /// Whether it can be put together: its secrets are there.
    usable: bool,
    /// Why it cannot.
    problem: Option<String>,
    /// Why it may not send; null: it may.
    stopped: Option<String>,
    /// When its credentials were last proven or refused.
    checked_at: Option<Timestamp>,
    /// What was found then.
    checked: Option<String>,
    /// Where its provider is to post receipts and replies.
    callback_url: Option<String>,
}

/// The organization's accounts.
#[derive(Serialize, ToSchema)]
struct Accounts {
    accounts: Vec<AccountView>,
}

/// An account.
#[derive(Serialize, ToSchema)]
struct OneAccount {
    account: AccountView,
}

/// What the provider says of an account's credentials.
#[derive(Serialize, ToSchema)]
struct ValidatedAccount {
    account: AccountView,
    /// Whether they hold.
    good: bool,
    /// The runs that waited for it, and go on.
    released_runs: Vec<RunId>,
}

async fn book(api: &Api, org: &OrgId) -> Result<Arc<Book>, Problem> {
    api.books.current(org).await?.ok_or_else(|| Problem::not_found("the organization defines nothing yet"))
}

fn view(api: &Api, book: &Book, account: &ReadyAccount, state: &AccountState) -> AccountView {
    let token = book.callback_token(&account.name);
    let base = api.reader.public_url.as_deref().unwrap_or_default().trim_end_matches('/');
    AccountView {
        name: account.name.clone(),
        provider: account.kind.as_str(),
        usable: account.provider.is_ok(),
        problem: account.provider.as_ref().err().map(ToString::to_string),
        stopped: filled(&state.stopped),
        checked_at: state.checked_at,
        checked: filled(&state.checked),
        callback_url: token.map(|token| format!("{base}/callbacks/{token}")),
    }
}

async fn shown(api: &Api, book: &Book, account: &ReadyAccount) -> Result<AccountView, StoreError> {
    let state = api.store.account_state(&book.organization.id, &account.name).await?.unwrap_or_default();
    Ok(view(api, book, account, &state))
}

/// Lists the accounts
#[utoipa::path(get, path = "/v1/accounts", tag = "accounts", security(("key" = ["admin"])), responses((status = 200, body = Accounts)))]
async fn list(State(api): Shared, admin: Admin) -> Result<Json<Accounts>, Problem> {
    let book = book(&api, &admin.org).await?;
    let mut accounts = Vec::new();
    for account in book.accounts() {
        accounts.push(shown(&api, &book, account).await?);
    }
    Ok(Json(Accounts { accounts }))
}

/// Shows an account
#[utoipa::path(get, path = "/v1/accounts/{name}", tag = "accounts", params(("name" = String, Path, description = "The account's name")), security(("key" = ["admin"])), responses((status = 200, body = OneAccount)))]
async fn show(State(api): Shared, admin: Admin, Path(name): Path<String>) -> Result<Json<OneAccount>, Problem> {
    let book = book(&api, &admin.org).await?;
    let account = book.account(&name).map_err(|problem| Problem::not_found(problem.to_string()))?;
    Ok(Json(OneAccount { account: shown(&api, &book, account).await? }))
}

/// Proves an account's credentials
///
/// The provider is asked; nobody is messaged. Runs that waited for the account go on if it is in order.
#[utoipa::path(post, path = "/v1/accounts/{name}/validate", tag = "accounts", params(("name" = String, Path, description = "The account's name")), security(("key" = ["admin"])), responses((status = 200, body = ValidatedAccount)))]
async fn validate(
    State(api): Shared,
    admin: Admin,
    Path(name): Path<String>,
) -> Result<Json<ValidatedAccount>, Problem> {
    let book = book(&api, &admin.org).await?;
    let account = book.account(&name).map_err(|problem| Problem::not_found(problem.to_string()))?;
    let validated = engine::validate(&api.store, &api.transport, &api.clock, &book, account).await?;
    Ok(Json(ValidatedAccount {
        account: view(&api, &book, account, &validated.state),
        good: validated.found == Credentials::Good,
        released_runs: validated.released,
    }))
}
