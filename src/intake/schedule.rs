//! The clock's firings: a due schedule becomes a run over its audience. Exactly once: the run's key is the due time, and a
//! firing that broke off is taken up again where it stopped.

use std::time::Duration;

use super::{
    audience::{self, Reader},
    begin::{self, NotBegun},
};
use crate::{
    book::{Book, Books, ReadyConfiguration, Unusable},
    clock::Clock,
    domain::{
        definition::Trigger,
        id::RunId,
        schedule::{Due, Schedule},
        time::Timestamp,
    },
    store::{Store, StoreError, lanes::LaneKind, schedules::DueFiring},
};

/// How long a worker has for making one chunk of a firing's run.
const LEASE: Duration = Duration::from_secs(120);
/// Organizations that are looked at in one go.
const LANES: i64 = 1_000;

/// The loop that fires schedules. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Scheduler {
    /// The store.
    pub store: Store,
    /// The organizations' books.
    pub books: Books,
    /// The time.
    pub clock: Clock,
}

/// The schedule of a scheduled configuration, in its own time zone or the organization's; `None` for other triggers.
pub fn schedule_of(book: &Book, ready: &ReadyConfiguration) -> Option<(Schedule, Duration)> {
    let Trigger::Scheduled { at, cron, timezone, grace } = &ready.configuration.trigger else { return None };
    let timezone = timezone.unwrap_or(book.organization.timezone);
    let schedule = match cron {
        Some(cron) => Schedule::cron(cron, timezone).ok()?,
        None => Schedule::at(at, timezone).ok()?,
    };
    Some((schedule, grace.0))
}

impl Scheduler {
    /// Fires what is due. How many firings that was.
    pub async fn tick(&self, now: Timestamp) -> Result<usize, StoreError> {
        let due = self.store.due_work(now, LANES).await?;
        let mut fired = 0;
        for work in due.into_iter().filter(|work| work.kind == LaneKind::Schedules) {
            let Some(book) = self.books.current(&work.org).await? else { continue };
            for firing in self.store.lease_firings(&work.org, now, now.plus(LEASE)).await? {
                self.fire(&book, firing, now).await?;
                fired += 1;
            }
        }
        Ok(fired)
    }

    async fn fire(&self, book: &Book, firing: DueFiring, now: Timestamp) -> Result<(), StoreError> {
        let org = &book.organization.id;
        let ready = book.configurations().iter().find(|ready| ready.id == firing.configuration);
        let Some((ready, (schedule, grace))) = ready.and_then(|ready| Some((ready, schedule_of(book, ready)?))) else {
            return self.store.finish_firing(org, firing, None).await;
        };
        let name = &ready.configuration.name;
        // The stored time is the first that was not dealt with: everything since then is judged together.
        let before = Timestamp::from_millis(firing.at.millis() - 1);
        match schedule.due(before, now, grace) {
            Due::Fire { at, .. } => match self.run(book, ready, at).await {
                Ok(run) => tracing::info!(%org, configuration = name, %run, due_at = %at, "a schedule fired"),
                Err(NotBegun::Store(problem)) => return Err(problem),
                Err(problem) => {
                    tracing::error!(%org, configuration = name, due_at = %at, %problem, "a schedule could not fire")
                }
            },
            Due::Missed { .. } => {
                tracing::warn!(%org, configuration = name, due_at = %firing.at, "a due time was missed by more than the grace")
            }
            Due::Nothing { .. } => {}
        }
        self.store.finish_firing(org, firing, schedule.next_after(now)).await
    }

    /// The run of one due time: made, or taken up where it broke off.
    async fn run(&self, book: &Book, ready: &ReadyConfiguration, at: Timestamp) -> Result<RunId, NotBegun> {
        let org = &book.organization.id;
        let pinned = begin::pin(book, ready)?;
        let channel = pinned.channel.clone();
        let audience = ready.configuration.audience.as_ref();
        let audience = audience.ok_or_else(|| Unusable("a scheduled configuration needs an audience".to_owned()))?;
        let reader = Reader::open(book, ready, audience, None)?;
        let priority = ready.configuration.trigger.priority();
        let mut new = begin::new_run(&self.clock, ready, pinned, priority, reader.source());
        new.firing = Some(at.to_string());
        let run = self.store.begin_run(org, &new, self.clock.now()).await?;
        if audience::take_in(&self.store, &self.clock, org, run, &reader).await?.is_none() {
            return Ok(run); // it has begun already, or is over
        }
        self.store.open_answered(org, run, None, self.clock.now()).await?;
        begin::hold_if_stopped(&self.store, book, run, &channel).await?;
        Ok(run)
    }
}
