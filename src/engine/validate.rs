//! Proves an account's credentials with a call that messages nobody; a good answer lets a stopped account send again.

use super::{Answer, Transport};
use crate::{
    book::{Book, ReadyAccount},
    clock::Clock,
    domain::{
        id::RunId,
        reason::{Reason, Why},
    },
    provider::{Credentials, Stamp},
    store::{Store, StoreError, accounts::AccountState},
};

/// What proving an account's credentials has brought.
#[derive(Clone, Debug)]
pub struct Validated {
    /// What the provider says.
    pub found: Credentials,
    /// What is kept of it.
    pub state: AccountState,
    /// The runs that were held, and go on.
    pub released: Vec<RunId>,
}

/// Asks the provider, and keeps what it says. An account that cannot even be put together is as bad as one that is refused.
pub async fn validate(
    store: &Store,
    transport: &Transport,
    clock: &Clock,
    book: &Book,
    account: &ReadyAccount,
) -> Result<Validated, StoreError> {
    let org = &book.organization.id;
    let found = match &account.provider {
        Err(problem) => Credentials::Bad(Why::detailed(Reason::NotConfigured, problem.to_string())),
        Ok(provider) => {
            let stamp = Stamp { now: clock.now(), nonce: rand::random() };
            match transport.call(&provider.credential_check(stamp)).await {
                Answer::Reply(reply) => provider.credentials(&reply),
                Answer::NotSent(detail) | Answer::PerhapsSent(detail) => {
                    Credentials::Unknown(Why::detailed(Reason::NoConnection, detail))
                }
            }
        }
    };
    let before = store.account_state(org, &account.name).await?.unwrap_or_default();
    let stopped = match &found {
        Credentials::Good => String::new(),
        Credentials::Bad(why) => why.to_string(),
        Credentials::Unknown(_) => before.stopped,
    };
    let state = AccountState { stopped, checked_at: Some(clock.now()), checked: in_words(&found) };
    store.set_account_state(org, &account.name, &state).await?;
    let released =
        if found == Credentials::Good { release_runs(store, clock, book, &account.name).await? } else { Vec::new() };
    Ok(Validated { found, state, released })
}

/// Lets the account's held runs go on (SPEC 3). One that is held for another reason meets it again, and is held again.
async fn release_runs(store: &Store, clock: &Clock, book: &Book, account: &str) -> Result<Vec<RunId>, StoreError> {
    let org = &book.organization.id;
    let mut released = Vec::new();
    for (run, _) in store.held_runs(org).await? {
        let Some((pinned, _)) = store.run_facts(org, run).await? else { continue };
        let through = |name: &str| book.channel(name).is_ok_and(|channel| channel.account == account);
        let fallback = book.channel(&pinned.channel).ok().and_then(|channel| channel.fallback.as_deref());
        let uses = through(&pinned.channel) || fallback.is_some_and(through);
        if uses && store.resume_run(org, run, clock.now()).await? {
            released.push(run);
        }
    }
    Ok(released)
}

fn in_words(found: &Credentials) -> String {
    match found {
        Credentials::Good => "the credentials work".to_owned(),
        Credentials::Bad(why) => format!("the credentials do not work: {why}"),
        Credentials::Unknown(why) if why.detail.is_empty() => format!("could not be told: {why}"),
        Credentials::Unknown(why) => format!("could not be told: {}", why.detail),
    }
}
