//! Recorded events become requests. Those that arrive close together for one configuration share a request: a request is the
//! scarce thing, not an event (SPEC 4).

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{
    begin::{self, NotBegun},
    mapping::{CompiledMapping, Event, Made},
    payload::{ContactRules, Refused},
    upkeep,
};
use crate::{
    book::{Book, Books, ReadyConfiguration},
    clock::Clock,
    domain::{
        definition::Trigger,
        fairness::Priority,
        id::{ConfigurationId, OrgId},
        run::Pinned,
        time::Timestamp,
    },
    store::{
        Store, StoreError,
        events::{Batch, StoredEvent},
        lanes::LaneKind,
        runs::{Lasting, NewMessage, Rejected, Repeat},
    },
};

/// Events that are dealt with in one go.
const CHUNK: i64 = 500;
/// Organizations that are looked at in one go.
const LANES: i64 = 1_000;
/// Organizations whose mappings are kept compiled.
const KEPT: usize = 2_000;

type Mappings = Arc<Vec<(ConfigurationId, CompiledMapping)>>;

/// The loop that makes requests of events. Cheap to clone.
#[derive(Clone, Debug)]
pub struct EventLoop {
    store: Store,
    books: Books,
    clock: Clock,
    coalesce: Duration,
    coalesce_contacts: usize,
    compiled: Arc<Mutex<HashMap<OrgId, (i64, Mappings)>>>,
}

/// What the events of one configuration have amounted to so far.
struct Gathered {
    pinned: Pinned,
    delay: Duration,
    messages: Vec<NewMessage>,
    rejected: Vec<Rejected>,
}

impl EventLoop {
    /// Events wait for company as long as `coalesce`, unless there are `coalesce_contacts` of them already.
    pub fn new(store: Store, books: Books, clock: Clock, coalesce: Duration, coalesce_contacts: usize) -> Self {
        Self { store, books, clock, coalesce, coalesce_contacts, compiled: Arc::default() }
    }

    /// Makes requests of what has waited long enough. How many events that was.
    pub async fn tick(&self, now: Timestamp) -> Result<usize, StoreError> {
        let due = self.store.due_work(now, LANES).await?;
        let mut done = 0;
        for work in due.into_iter().filter(|work| work.kind == LaneKind::Events) {
            let events = self.store.new_events(&work.org, CHUNK).await?;
            let waited = events.first().map_or(Duration::ZERO, |oldest| now.since(oldest.received_at));
            if events.len() < self.coalesce_contacts && waited < self.coalesce && !events.is_empty() {
                continue;
            }
            let Some(book) = self.books.current(&work.org).await? else { continue };
            self.deal_with(&book, &events, now).await?;
            done += events.len();
        }
        Ok(done)
    }

    async fn deal_with(&self, book: &Book, events: &[StoredEvent], now: Timestamp) -> Result<(), StoreError> {
        let org = &book.organization.id;
        let mappings = self.mappings(book);
        let mut gathered: BTreeMap<ConfigurationId, Gathered> = BTreeMap::new();
        let mut results = Vec::with_capacity(events.len());
        for stored in events {
            let result = match Event::parse(stored.body.as_bytes(), &stored.id) {
                Ok(event) => gather(book, &mappings, &event, &mut gathered),
                Err(problem) => format!("unreadable: {problem}"),
            };
            tracing::debug!(%org, event = stored.id, result, "an event was dealt with");
            results.push((stored.id.clone(), result));
        }
        let batches: Vec<Batch> =
            gathered.into_iter().filter_map(|(id, gathered)| self.batch(book, id, gathered, now)).collect();
        if !self.store.finish_events(org, &results, &batches, now).await? {
            return Ok(()); // another worker was quicker, and has done the same
        }
        for batch in &batches {
            let run = self.store.begin_run(org, &batch.run, now).await?;
            begin::hold_if_stopped(&self.store, book, run, &batch.run.pinned.channel).await?;
        }
        Ok(())
    }

    /// The run of the organization's day, and what is to be added to it. A changed template, channel or place on timelines begins another run.
    fn batch(&self, book: &Book, id: ConfigurationId, gathered: Gathered, now: Timestamp) -> Option<Batch> {
        let ready = book.configurations().iter().find(|ready| ready.id == id)?;
        let Gathered { pinned, delay, messages, rejected } = gathered;
        let day = now.to_utc().with_timezone(&book.organization.timezone).date_naive();
        let template = pinned.template.map(|template| template.to_string()).unwrap_or_default();
        let shown = if pinned.show_in_timeline { " on timelines" } else { "" };
        let firing = format!("{day} {template} version {} through {}{shown}", pinned.version, pinned.channel);
        let mut run = begin::new_run(&self.clock, ready, pinned, Priority::Automatic, format!("events of {day}"));
        run.firing = Some(firing);
        run.lasting = Lasting::OpenEnded;
        Some(Batch {
            run,
            due: now.plus(delay),
            day_ends: upkeep::day_of(&book.organization, now).ends,
            messages,
            rejected,
        })
    }

    fn mappings(&self, book: &Book) -> Mappings {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let org = &book.organization.id;
        if let Some((revision, mappings)) = compiled.get(org)
            && *revision == book.revision
        {
            return mappings.clone();
        }
        let mappings: Mappings = Arc::new(book.configurations().iter().filter_map(compile).collect());
        if compiled.len() >= KEPT {
            compiled.clear();
        }
        compiled.insert(org.clone(), (book.revision, mappings.clone()));
        mappings
    }
}

fn compile(ready: &ReadyConfiguration) -> Option<(ConfigurationId, CompiledMapping)> {
    let Trigger::Automatic { when, contact, .. } = &ready.configuration.trigger else { return None };
    match CompiledMapping::compile(when.as_deref(), contact.as_ref()) {
        Ok(mapping) => Some((ready.id, mapping)),
        Err(problems) => {
            let problem = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            tracing::error!(configuration = ready.configuration.name, problem, "a stored mapping cannot be compiled");
            None
        }
    }
}

/// Adds an event's contacts to every configuration that it triggers; what was made of it, in words.
fn gather(
    book: &Book,
    mappings: &Mappings,
    event: &Event,
    gathered: &mut BTreeMap<ConfigurationId, Gathered>,
) -> String {
    let mut words = Vec::new();
    for ready in book.configurations() {
        let Trigger::Automatic { event: wanted, delay, .. } = &ready.configuration.trigger else { continue };
        let Some((_, mapping)) =
            mappings.iter().find(|(id, _)| *id == ready.id).filter(|_| *wanted == event.event_type)
        else {
            continue;
        };
        let name = &ready.configuration.name;
        let contacts = match rules(book, ready) {
            Ok((pinned, rules)) => match mapping.contacts(event, &rules) {
                Made::NotMeant => {
                    words.push(format!("{name}: its condition does not hold"));
                    continue;
                }
                Made::Contacts(contacts) => {
                    let delay = delay.map_or(Duration::ZERO, |delay| delay.0);
                    let slot = gathered.entry(ready.id).or_insert_with(|| Gathered {
                        pinned,
                        delay,
                        messages: Vec::new(),
                        rejected: Vec::new(),
                    });
                    add(slot, event, contacts)
                }
            },
            Err(problem) => problem.to_string(),
        };
        words.push(format!("{name}: {contacts}"));
    }
    if words.is_empty() {
        format!("no outbound configuration is triggered by {}", event.event_type)
    } else {
        words.join("; ")
    }
}

fn rules(book: &Book, ready: &ReadyConfiguration) -> Result<(Pinned, ContactRules), NotBegun> {
    let pinned = begin::pin(book, ready)?;
    let rules = ContactRules {
        channel_type: book.channel(&pinned.channel)?.channel_type,
        configuration: Some(ready.id),
        default_country: book.organization.default_country,
        attested: ready.configuration.attested(),
    };
    Ok((pinned, rules))
}

fn add(slot: &mut Gathered, event: &Event, contacts: Vec<Result<crate::domain::contact::Contact, Refused>>) -> String {
    let (mut taken, mut refused) = (0, 0);
    for contact in contacts {
        match contact {
            // Two cases of one customer are two messages: a day's run knows no duplicates.
            Ok(contact) => {
                taken += 1;
                slot.messages.push(NewMessage { row: taken, contact, repeat: Repeat::First });
            }
            Err(problem) => {
                refused += 1;
                slot.rejected.push(Rejected {
                    row: 0,
                    fields: vec![event.id.clone()],
                    problems: format!("event {}: {problem}", event.id),
                });
            }
        }
    }
    format!("{taken} contacts, {refused} refused")
}
