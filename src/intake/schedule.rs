//! The clock's firings: a due schedule becomes a run over its audience. Exactly once: which due time it is is kept before its
//! run is begun, the run's key is that time, and a firing that broke off is taken up again where it stopped. A time that does not
//! fire leaves a run that says why.

use std::time::Duration;

use super::{
    audience::{self, Reader},
    begin::{self, NotBegun},
};
use crate::{
    book::{Book, Books, ReadyConfiguration, Unusable},
    clock::Clock,
    domain::{
        contact::ChannelType,
        definition::Trigger,
        id::RunId,
        purpose::Purpose,
        run::Pinned,
        schedule::{Due, LEAST_GRACE, Schedule, local},
        time::Timestamp,
    },
    store::{
        Store, StoreError,
        lanes::LaneKind,
        runs::NewRun,
        schedules::{DueFiring, Unfired},
    },
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
        let Some(ready) = ready else { return self.store.finish_firing(org, firing, None).await };
        let Some((schedule, grace)) = self.schedule_of(book, ready).await? else {
            return self.store.finish_firing(org, firing, None).await;
        };
        if let Some(at) = firing.decided {
            return self.make(book, ready, &schedule, firing, at, now).await; // it broke off, whenever that was
        }
        // The stored time is the first that was not dealt with: everything since then is judged together.
        let before = Timestamp::from_millis(firing.at.millis() - 1);
        match schedule.due(before, now, grace) {
            Due::Nothing { next } => self.store.finish_firing(org, firing, next).await,
            Due::Missed(missed) => {
                let why = missed.in_words(schedule.zone(), grace, None);
                tracing::warn!(%org, configuration = ready.configuration.name, why, "due times were missed by more than the grace");
                let unfired = self.unfired(book, ready, format!("missed {}", missed.first), why);
                self.store.finish_unfired(org, firing, schedule.next_after(now), &unfired, now).await
            }
            Due::Fire { at, missed } => {
                // Whoever looks a moment late has missed nothing.
                let missed = missed.filter(|missed| missed.first < now.minus(LEAST_GRACE)).map(|missed| {
                    let why = missed.in_words(schedule.zone(), grace, Some(at));
                    self.unfired(book, ready, format!("missed {}", missed.first), why)
                });
                if !self.store.decide_firing(org, firing, at, missed.as_ref(), now).await? {
                    return Ok(()); // somebody else has it by now
                }
                self.make(book, ready, &schedule, firing, at, now).await
            }
        }
    }

    /// Makes the run of a due time that was decided on, and moves the schedule on. What came due since then is judged next.
    async fn make(
        &self,
        book: &Book,
        ready: &ReadyConfiguration,
        schedule: &Schedule,
        firing: DueFiring,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (org, name) = (&book.organization.id, &ready.configuration.name);
        let next = schedule.next_after(at);
        match self.run(book, ready, at).await {
            Ok(run) => tracing::info!(%org, configuration = name, %run, due_at = %at, "a schedule fired"),
            Err(NotBegun::Store(problem)) => return Err(problem),
            Err(problem) => {
                tracing::error!(%org, configuration = name, due_at = %at, %problem, "a schedule could not fire");
                let why = format!("due at {} and could not fire: {problem}", local(at, schedule.zone()));
                let unfired = self.unfired(book, ready, at.to_string(), why);
                return self.store.finish_unfired(org, firing, next, &unfired, now).await;
            }
        }
        self.store.finish_firing(org, firing, next).await
    }

    /// The run that stands for due times without one. `firing` is what it is the one answer to.
    fn unfired(&self, book: &Book, ready: &ReadyConfiguration, firing: String, why: String) -> Unfired {
        let configuration = &ready.configuration;
        // What it would have kept may be the very thing that is missing.
        let pinned = begin::pin(book, ready).unwrap_or_else(|_| Pinned {
            channel: configuration.channel.clone(),
            template: None,
            version: 0,
            valid_for: configuration.valid_for,
            on_uncertain: configuration.on_uncertain,
            show_in_timeline: false,
            purpose: Purpose::Transactional,
            channel_type: ChannelType::Sms,
            guard: configuration.guard(),
        });
        let run =
            begin::new_run(&self.clock, ready, pinned, configuration.trigger.priority(), "its schedule".to_owned());
        Unfired { run: NewRun { firing: Some(firing), ..run }, why }
    }

    /// The schedule of a scheduled configuration, in its own time zone or the organization's; `None` for other triggers.
    async fn schedule_of(
        &self,
        book: &Book,
        ready: &ReadyConfiguration,
    ) -> Result<Option<(Schedule, Duration)>, StoreError> {
        let Trigger::Scheduled { at, cron, after, timezone, grace } = &ready.configuration.trigger else {
            return Ok(None);
        };
        let timezone = timezone.unwrap_or(book.organization.timezone);
        let schedule = match (cron, after) {
            (Some(cron), _) => Schedule::cron(cron, timezone).ok(),
            (None, Some(after)) => {
                let said = self.store.said_after(&book.organization.id).await?;
                said.get(&ready.id).map(|(_, said_at)| Schedule::once(said_at.plus(after.0), timezone))
            }
            (None, None) => Schedule::at(at, timezone).ok(),
        };
        Ok(schedule.map(|schedule| (schedule, grace.0)))
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
