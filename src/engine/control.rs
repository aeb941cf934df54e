//! What an operator orders of a run, by whatever way: pause, resume, cancel, try its failures again. What may be done to a run as
//! it stands, and what became of it, are said here once.

use crate::{
    book::Books,
    clock::Clock,
    domain::{
        id::{OrgId, RunId},
        message::Status,
        run::{Run, RunStatus, Sums},
    },
    store::{Store, StoreError, accounts::AccountState},
};

/// What is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Nothing more is sent for now.
    Pause,
    /// It goes on.
    Resume,
    /// What is not yet sent never is.
    Cancel,
    /// What failed is tried again.
    RetryFailed,
}

/// An order that was carried out, and how the run stands since.
#[derive(Clone, Debug)]
pub struct Obeyed {
    /// The run.
    pub run: Run,
    /// Its sums.
    pub sums: Sums,
    /// What there is to say of it.
    pub note: String,
    /// Messages that are queued again.
    pub retried: u64,
}

impl Obeyed {
    /// Messages that were cancelled.
    pub fn cancelled(&self) -> i64 {
        self.sums.of(Status::Cancelled)
    }

    /// Messages that a provider has or may have: nobody can call them back.
    pub fn with_provider(&self) -> i64 {
        let statuses = [Status::Sent, Status::Delivered, Status::Read, Status::Undelivered, Status::Uncertain];
        statuses.iter().map(|status| self.sums.of(*status)).sum()
    }
}

/// Why an order was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The organization has no such run.
    #[error("there is no run {0}")]
    Missing(RunId),
    /// The run is in no state for it.
    #[error("run {run} is {status}: {why}")]
    Unfit {
        /// Which.
        run: RunId,
        /// Where it stands.
        status: RunStatus,
        /// What keeps the order from being carried out.
        why: &'static str,
    },
    /// The store refused.
    #[error("the store refused")]
    Store(#[from] StoreError),
}

/// Carries an order out.
///
/// # Errors
/// [`Refused`]; nothing was changed then.
pub async fn control(
    store: &Store,
    books: &Books,
    clock: &Clock,
    org: &OrgId,
    run: RunId,
    order: Order,
) -> Result<Obeyed, Refused> {
    let before = store.run(org, run).await?.ok_or(Refused::Missing(run))?;
    let mut retried = 0;
    let done = match order {
        Order::Pause => store.stop_run(org, run, "paused", "paused by an operator").await?,
        Order::Resume => {
            release_account(store, books, org, &before).await?;
            store.resume_run(org, run, clock.now()).await?
        }
        Order::Cancel => {
            let begun = store.begin_cancel(org, run).await?;
            while begun && store.cancel_some(org, run, clock.now()).await? {}
            begun
        }
        Order::RetryFailed => {
            retried = store.retry_failed(org, run, clock.now()).await?;
            retried > 0
        }
    };
    let after = store.run(org, run).await?.ok_or(Refused::Missing(run))?;
    if !done && let Some(why) = unfit(order, after.status) {
        return Err(Refused::Unfit { run, status: after.status, why });
    }
    let sums = store.sums(org, run).await?;
    let mut obeyed = Obeyed { note: String::new(), run: after, sums, retried };
    obeyed.note = note(order, done, &obeyed);
    Ok(obeyed)
}

/// Why a run that stands there cannot do as ordered; `None` if it already does.
fn unfit(order: Order, status: RunStatus) -> Option<&'static str> {
    match (order, status) {
        (Order::Pause, RunStatus::Paused)
        | (Order::RetryFailed, RunStatus::Completed | RunStatus::Running | RunStatus::Paused | RunStatus::Held) => None,
        (Order::Pause, _) => Some("only a run that is running or held can be paused"),
        (Order::Resume, _) => Some("it is neither paused nor held"),
        (Order::Cancel, _) => Some("it is over"),
        (Order::RetryFailed, RunStatus::Importing) => Some("its audience is still being taken in"),
        (Order::RetryFailed, RunStatus::Cancelling | RunStatus::Cancelled) => {
            Some("what was cancelled is not sent; send its report's failed rows as a new run")
        }
        (Order::RetryFailed, RunStatus::Failed) => Some("it never began"),
    }
}

fn note(order: Order, done: bool, obeyed: &Obeyed) -> String {
    let Obeyed { run, sums, retried, .. } = obeyed;
    let dealt_with = sums.messages - sums.waiting();
    match (order, done) {
        (Order::Pause, false) => "it was paused already".to_owned(),
        (Order::Pause | Order::Resume, _) => {
            format!("{dealt_with} of {} messages were already dealt with", sums.messages)
        }
        (Order::Cancel, _) => {
            let (cancelled, taken, waiting) = (obeyed.cancelled(), obeyed.with_provider(), sums.waiting());
            let in_flight =
                if waiting > 0 { format!("; {waiting} are in flight and end by themselves") } else { String::new() };
            format!("{cancelled} messages are cancelled, {taken} are already with the provider{in_flight}")
        }
        (Order::RetryFailed, false) => "it has no failed messages that could be tried again now".to_owned(),
        (Order::RetryFailed, true) => {
            let stopped = matches!(run.status, RunStatus::Paused | RunStatus::Held);
            let then = if stopped { "; they are sent when the run is resumed" } else { "" };
            format!("{retried} messages are queued again{then}")
        }
    }
}

/// Resuming a run that is held because its account is stopped says: the account is in order again.
async fn release_account(store: &Store, books: &Books, org: &OrgId, run: &Run) -> Result<(), StoreError> {
    let (RunStatus::Held, Some(book)) = (run.status, books.current(org).await?) else { return Ok(()) };
    let Ok(channel) = book.channel(&run.pinned.channel) else { return Ok(()) };
    if let Some(state) = store.account_state(org, &channel.account).await? {
        let released = AccountState { stopped: String::new(), ..state };
        store.set_account_state(org, &channel.account, &released).await?;
    }
    Ok(())
}
