//! `GET /v1/accounts`, `GET /v1/accounts/{name}`, `POST /v1/accounts/{name}/validate`.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State, response::IntoResponse};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api, Shared,
    auth::Admin,
    definitions::edit::{self, Shown},
    problem::Problem,
    query::Path,
    views::filled,
};
use crate::{
    book::{Book, ReadyAccount},
    domain::{
        account::ProviderKind,
        id::{OrgId, RunId},
        time::Timestamp,
    },
    engine,
    provider::Credentials,
    store::{StoreError, accounts::AccountState, definitions::Kind},
};

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show)).routes(routes!(validate))
}

/// An account as programs see it. No secret is part of it; the callback address is one, and is shown to whoever may change
/// what it leads to.
#[derive(Serialize, ToSchema)]
pub(super) struct AccountView {
    #[serde(flatten)]
    shown: Shown,
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

/// The accounts as they are stored, by name.
async fn stored(api: &Api, org: &OrgId) -> Result<BTreeMap<String, Shown>, StoreError> {
    let all = api.store.definitions(org).await?;
    let accounts = all.iter().filter(|one| one.kind == Kind::Account);
    Ok(accounts.map(|one| (one.name.clone(), one.into())).collect())
}

/// One account, by its name.
pub(super) async fn view_of(api: &Api, org: &OrgId, name: &str) -> Result<AccountView, Problem> {
    let missing = || Problem::not_found(format!("there is no account \"{name}\""));
    let shown = stored(api, org).await?.remove(name).ok_or_else(missing)?;
    let book = book(api, org).await?;
    let account = book.account(name).map_err(|problem| Problem::not_found(problem.to_string()))?;
    let state = api.store.account_state(org, name).await?.unwrap_or_default();
    Ok(view(api, &book, account, shown, &state))
}

fn view(api: &Api, book: &Book, account: &ReadyAccount, shown: Shown, state: &AccountState) -> AccountView {
    let token = book.callback_token(&account.name);
    let base = api.reader.public_url.as_deref().unwrap_or_default().trim_end_matches('/');
    AccountView {
        shown,
        provider: account.kind.as_str(),
        usable: account.provider.is_ok(),
        problem: account.provider.as_ref().err().map(ToString::to_string),
        stopped: filled(&state.stopped),
        checked_at: state.checked_at,
        checked: filled(&state.checked),
        callback_url: token.map(|token| format!("{base}/callbacks/{token}")),
    }
}

/// Lists the accounts
#[utoipa::path(get, path = "/v1/accounts", tag = "accounts", security(("key" = ["admin"])), responses((status = 200, body = Accounts)))]
async fn list(State(api): Shared, admin: Admin) -> Result<Json<Accounts>, Problem> {
    let book = book(&api, &admin.org).await?;
    let mut accounts = Vec::new();
    let mut stored = stored(&api, &admin.org).await?;
    for account in book.accounts() {
        let Some(shown) = stored.remove(&account.name) else { continue };
        let state = api.store.account_state(&admin.org, &account.name).await?.unwrap_or_default();
        accounts.push(view(&api, &book, account, shown, &state));
    }
    Ok(Json(Accounts { accounts }))
}

/// Shows an account
#[utoipa::path(get, path = "/v1/accounts/{name}", tag = "accounts", params(("name" = String, Path, description = "The account's name")), security(("key" = ["admin"])), responses((status = 200, body = OneAccount)))]
async fn show(
    State(api): Shared,
    admin: Admin,
    Path(name): Path<String>,
) -> Result<impl IntoResponse + use<>, Problem> {
    let found = edit::found(&api, &admin.org, Kind::Account, &name).await?;
    let account = view_of(&api, &admin.org, &found.name).await?;
    Ok(edit::tagged(found.version, Json(OneAccount { account })))
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
        account: view_of(&api, &admin.org, &account.name).await?,
        good: validated.found == Credentials::Good,
        released_runs: validated.released,
    }))
}
