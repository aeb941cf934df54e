//! The plan (SPEC 8): what a run sends, what that costs, what bounds it and when it will end; before it starts, and while it goes.
//!
//! Here is gathered what the forecast is made of (`domain/plan.rs`): what is left, what goes before it, the hour as it stands.
//! How it reads is `view`'s.

mod left;
mod view;

pub use view::{CostView, CountryView, PlanView, SharesView, StepView, TextView, WholeView};

use std::{collections::BTreeMap, time::Duration};

use super::{
    begin::{self, NotBegun},
    upload::Preview,
};
use crate::{
    book::{Book, ReadyConfiguration, Unusable},
    domain::{
        definition::{Channel, Organization},
        fairness::{Priority, Slots},
        figures::{Amount, Figures},
        id::RunId,
        pace::{self, Unit},
        phone::Country,
        plan::{self, Closed, Forecast, Part, Situation, Whose},
        purpose::Purpose,
        quiet::{Clocks, Hour},
        quota::Allowance,
        rate::Rate,
        run::{Pinned, REQUEST_SIZE, Run, RunStatus},
        time::Timestamp,
    },
    store::{Store, StoreError, figures::UnderWay},
};
use left::Left;

/// Runs under way that are looked at: what waits behind more than these waits long enough.
const LOOKED_AT: i64 = 200;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum NoPlan {
    /// The definitions do not allow the run to go on.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// The configuration cannot be used.
    #[error(transparent)]
    NotBegun(#[from] NotBegun),
    /// The store refused.
    #[error("the store refused")]
    Store(#[from] StoreError),
}

/// Where and when a plan is made.
#[derive(Clone, Copy, Debug)]
pub struct Desk<'a> {
    /// The store.
    pub store: &'a Store,
    /// What the organization defines.
    pub book: &'a Book,
    /// How many requests a worker works on at once.
    pub slots: usize,
    /// Now.
    pub now: Timestamp,
}

/// A channel as a plan sees it.
struct Way<'a> {
    name: &'a str,
    channel: &'a Channel,
    rate: Rate,
    unit: Unit,
}

/// What is to be forecast.
struct Work {
    priority: Priority,
    purpose: Purpose,
    requests: u64,
    claimed: u64,
    texts: Figures,
    expires_at: Option<Timestamp>,
    /// Whether it stands in line already, and since when; what does not yet comes last.
    since: Option<(Option<Timestamp>, RunId)>,
}

/// The plan of a run as it stands.
pub async fn of_run(desk: Desk<'_>, run: &Run) -> Result<PlanView, NoPlan> {
    let (store, org) = (desk.store, &desk.book.organization.id);
    let texts = store.run_texts(org, run.id).await?;
    let sums = store.sums(org, run.id).await?;
    let left = Left::of(&texts, &sums);
    let way = desk.way(&run.pinned).await?;
    let over = run.status.is_over() || run.status == RunStatus::Cancelling;
    let going = run.status == RunStatus::Running;
    let (open, dispatched) = (count(run.open_requests), count(run.dispatched));
    let work = Work {
        priority: run.priority,
        purpose: run.pinned.purpose,
        requests: if over { 0 } else { open },
        claimed: if going { in_flight(dispatched, count(run.requests), open) } else { 0 },
        texts: if over { Figures::default() } else { left.texts.clone() },
        // A day's events are each as old as they are.
        expires_at: (run.priority != Priority::Automatic).then(|| run.created_at.plus(run.pinned.valid_for.0)),
        since: run.started_at.map(|started| (Some(started), run.id)),
    };
    let (forecast, allowance) = desk.forecast(&way, &work).await?;
    let mut plan = PlanView::of(&way.told(), &work.texts, work.requests, &forecast, allowance, desk.now);
    plan.whole = Some(WholeView::of(&texts, way.channel.prices.as_ref()));
    plan.notes.extend(left.note.filter(|_| !over));
    plan.notes.extend(standing(run));
    if over {
        plan.over(run.finished_at.unwrap_or(desk.now), desk.now);
    }
    Ok(plan)
}

/// What a run that does not simply go waits for.
fn standing(run: &Run) -> Option<String> {
    let why = if run.why.is_empty() { String::new() } else { format!(" ({})", run.why) };
    match run.status {
        RunStatus::Paused | RunStatus::Held => {
            Some(format!("the run is {}{why}; this is how it goes on if it is resumed now", run.status))
        }
        RunStatus::Importing => Some("the audience is still being taken in: this counts what is there".to_owned()),
        RunStatus::Cancelling => Some("the run is being cancelled: nothing more is sent".to_owned()),
        RunStatus::Completed | RunStatus::Cancelled | RunStatus::Failed => Some(format!("the run is {}", run.status)),
        RunStatus::Running => None,
    }
}

/// The plan of a run that an audience would make if it were sent now. `texts` is what its texts amount to ([`super::figures`]),
/// `rows` how many contacts are taken in, those who get nothing included.
pub async fn of_texts(
    desk: Desk<'_>,
    configuration: &ReadyConfiguration,
    priority: Priority,
    rows: u64,
    texts: Figures,
) -> Result<PlanView, NoPlan> {
    let pinned = begin::pin(desk.book, configuration)?;
    let way = desk.way(&pinned).await?;
    let work = Work {
        priority,
        purpose: pinned.purpose,
        requests: rows.div_ceil(REQUEST_SIZE as u64),
        claimed: 0,
        texts,
        expires_at: Some(desk.now.plus(pinned.valid_for.0)),
        since: None,
    };
    let (forecast, allowance) = desk.forecast(&way, &work).await?;
    Ok(PlanView::of(&way.told(), &work.texts, work.requests, &forecast, allowance, desk.now))
}

/// The plan of a file that was checked.
pub async fn of_preview(
    desk: Desk<'_>,
    configuration: &ReadyConfiguration,
    preview: &Preview,
) -> Result<PlanView, NoPlan> {
    let checked = &preview.checked;
    // Which rows repeat a number is known only when all are read: their part is taken off as it is on average.
    let agreed = preview.figures.total().messages;
    let repeats = u128::from(checked.duplicates) * u128::from(agreed) / u128::from(checked.valid.max(1));
    let texts = preview.figures.scaled(agreed.saturating_sub(u64::try_from(repeats).unwrap_or(agreed)));
    of_texts(desk, configuration, Priority::Instant, checked.valid, texts).await
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Requests that are being worked on: those that were dispatched and are not done. What was dispatched more than once is counted
/// more than once, so never more than are open.
fn in_flight(dispatched: u64, requests: u64, open: u64) -> u64 {
    dispatched.saturating_sub(requests.saturating_sub(open)).min(open)
}

impl<'a> Desk<'a> {
    /// The channel that a run's messages leave through as things stand.
    async fn way(&self, pinned: &Pinned) -> Result<Way<'a>, NoPlan> {
        let own = self.way_through(&pinned.channel)?;
        let Some(fallback) = &own.channel.fallback else { return Ok(own) };
        let state = self.store.account_state(&self.book.organization.id, &own.channel.account).await?;
        let stopped = state.is_some_and(|state| !state.stopped.is_empty());
        if !stopped {
            return Ok(own);
        }
        Ok(self.way_through(fallback).unwrap_or(own))
    }

    fn way_through(&self, name: &str) -> Result<Way<'a>, Unusable> {
        let (name, channel) = self.book.named_channel(name)?;
        let provider = self.book.account(&channel.account)?.kind;
        Ok(Way { name, channel, rate: channel.pace(provider), unit: pace::unit(provider, channel.channel_type) })
    }

    async fn forecast(&self, way: &Way<'_>, work: &Work) -> Result<(Forecast, Allowance), NoPlan> {
        let org = &self.book.organization.id;
        let allowance = self.store.allowance(org).await?.unwrap_or_else(|| self.book.organization.allowance());
        let slots = Slots::of(self.slots).usable(work.priority);
        let mut parts = self.ahead(way, work, slots).await?;
        parts.extend(own_parts(&self.book.organization, way, work, self.now));
        let situation = Situation {
            now: self.now,
            allowance,
            used: self.store.usage(org, self.now).await?,
            slots,
            expires_at: work.expires_at,
            parts,
        };
        Ok((plan::forecast(&situation), allowance))
    }

    /// The organization's other work that goes first: what is more urgent, what has waited longer, and, for what has yet to begin,
    /// what the slots are busy with.
    async fn ahead(&self, way: &Way<'_>, work: &Work, slots: usize) -> Result<Vec<Part>, NoPlan> {
        if work.requests == 0 {
            return Ok(Vec::new());
        }
        let org = &self.book.organization.id;
        let mut others = self.store.runs_under_way(org, LOOKED_AT).await?;
        others.sort_by_key(|other| (other.priority, other.started_at, other.id));
        let mut channels: BTreeMap<String, usize> = [(way.name.to_owned(), 0)].into();
        let mut parts = Vec::new();
        for other in others.iter().filter(|other| work.since.is_none_or(|(_, id)| id != other.id)) {
            let first = match work.since {
                Some((started, id)) => (other.priority, other.started_at, other.id) < (work.priority, started, id),
                None => other.priority <= work.priority,
            };
            let (requests, claimed) = waits_for(other, first, work, slots);
            let Ok(through) = self.way(&other.pinned).await else { continue };
            if requests == 0 {
                continue;
            }
            let sums = self.store.sums(org, other.id).await?;
            let left = Left::of(&self.store.run_texts(org, other.id).await?, &sums).texts.total();
            let part = |all: u64| all.saturating_mul(requests) / count(other.open_requests).max(1);
            let next = channels.len();
            let channel = *channels.entry(through.name.to_owned()).or_insert(next);
            parts.push(Part {
                whose: Whose::Others,
                channel,
                rate: through.rate,
                ask: other.priority.into(),
                requests,
                claimed,
                messages: part(left.messages),
                units: part(through.units(left)),
                closed: Vec::new(),
            });
        }
        Ok(parts)
    }
}

/// Requests of another run that have to be waited for, and how many of them are being worked on.
fn waits_for(other: &UnderWay, goes_first: bool, work: &Work, slots: usize) -> (u64, u64) {
    let open = count(other.open_requests);
    let claimed = in_flight(count(other.dispatched), count(other.requests), open).min(slots as u64);
    match (goes_first, work.since) {
        (true, _) => (open, claimed),
        // It has the slots that it has, and gets no more.
        (false, None) => (claimed, claimed),
        (false, Some(_)) => (0, 0),
    }
}

/// The run's own work: in one part, or by what may be sent when.
fn own_parts(organization: &Organization, way: &Way<'_>, work: &Work, now: Timestamp) -> Vec<Part> {
    let mut by_hours: BTreeMap<Vec<Closed>, Amount> = BTreeMap::new();
    for (country, amount) in work.texts.by(|kind| kind.country) {
        let sum = by_hours.entry(closed(organization, work.purpose, country, now)).or_default();
        *sum = sum.plus(amount);
    }
    if by_hours.is_empty() {
        by_hours.insert(Vec::new(), Amount::default());
    }
    let all: u64 = by_hours.values().map(|amount| amount.messages).sum();
    let (mut requests, mut claimed, mut messages) = (work.requests, work.claimed, all);
    let mut parts = Vec::new();
    for (closed, amount) in by_hours {
        // Each takes its part of what those before it have left.
        let part = |whole: u64| if amount.messages == messages { whole } else { whole * amount.messages / messages };
        let (own, begun) = (part(requests), part(claimed));
        (requests, claimed, messages) = (requests - own, claimed - begun, messages - amount.messages);
        parts.push(Part {
            whose: Whose::Own,
            channel: 0,
            rate: way.rate,
            ask: work.priority.into(),
            requests: own,
            claimed: begun,
            messages: amount.messages,
            units: way.units(amount),
            closed,
        });
    }
    parts
}

/// How far ahead quiet hours are looked for: what takes longer is bounded by something else.
const NIGHTS: Duration = Duration::from_hours(8 * 24);
/// The least that a look goes on by, so that it ends whatever a clock shows.
const LEAST: Duration = Duration::from_mins(1);

/// When marketing may not be sent to a country: its quiet hours, of the days to come. Who has a clock of its own may be left alone
/// at other times; here only the numbers are known.
fn closed(organization: &Organization, purpose: Purpose, country: Option<Country>, now: Timestamp) -> Vec<Closed> {
    let Some(hours) = organization.quiet_hours.filter(|_| purpose == Purpose::Marketing) else { return Vec::new() };
    let clocks = Clocks { own: None, country, organization: organization.timezone };
    let (mut at, mut closed) = (now, Vec::new());
    while at < now.plus(NIGHTS) {
        let until = match clocks.look(hours, at) {
            Hour::Quiet(quiet) => {
                closed.push(Closed { from: at, until: quiet.until });
                quiet.until
            }
            Hour::Awake { until } => until,
        };
        at = until.max(at.plus(LEAST));
    }
    closed
}

impl<'a> Way<'a> {
    fn units(&self, amount: Amount) -> u64 {
        match self.unit {
            Unit::Segments => amount.segments,
            Unit::Messages => amount.messages,
        }
    }

    fn told(&self) -> view::Told<'a> {
        view::Told { channel: self.name, rate: self.rate, unit: self.unit, prices: self.channel.prices.as_ref() }
    }
}
