//! Recorded events become requests. Those that arrive close together for one configuration share a request: a request is the
//! scarce thing, not an event (SPEC 4).

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{
    begin::{self, Coming, NotBegun},
    cases,
    mapping::{CompiledMapping, Event, Made},
    payload::{ContactRules, Refused},
    upkeep,
};
use crate::{
    book::{Book, Books, ReadyConfiguration},
    clock::Clock,
    domain::{
        definition::Trigger,
        id::{ConfigurationId, OrgId},
        run::Pinned,
        time::Timestamp,
    },
    store::{
        Store, StoreError,
        cases::CaseWord,
        events::{Batch, Company, StoredEvent},
        lanes::LaneKind,
        runs::{NewMessage, Rejected, Repeat},
    },
};

/// Events that are dealt with in one go.
const CHUNK: i64 = 500;
/// Organizations that are looked at in one go.
const LANES: i64 = 1_000;
/// What part of the time that contacts wait for company events gather for: a fifth.
const GATHERING: u32 = 5;
/// Refusals of one event that are named; all are counted, and kept with the run.
const SHOWN: usize = 5;
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
    /// When the oldest of the events was recorded.
    since: Timestamp,
    messages: Vec<NewMessage>,
    rejected: Vec<Rejected>,
}

impl EventLoop {
    /// A configuration's contacts wait for company as long as `coalesce`, unless there are `coalesce_contacts` of them already.
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
            // They gather for a moment, so that they share a commit; it is their request that waits for company.
            if events.len() < self.coalesce_contacts && waited < self.coalesce / GATHERING && !events.is_empty() {
                continue;
            }
            let Some(book) = self.books.current(&work.org).await? else { continue };
            match self.deal_with(&book, &events, now).await {
                Ok(()) => done += events.len(),
                Err(problem) if problem.is_passing() => return Err(problem),
                // One organization's trouble keeps no other's events waiting.
                Err(problem) => {
                    let problem = crate::telemetry::chain(&problem);
                    tracing::error!(org = %work.org, %problem, "events could not be dealt with; they stay where they are");
                }
            }
        }
        Ok(done)
    }

    async fn deal_with(&self, book: &Book, events: &[StoredEvent], now: Timestamp) -> Result<(), StoreError> {
        let org = &book.organization.id;
        let mappings = self.mappings(book);
        let mut gathered: BTreeMap<ConfigurationId, Gathered> = BTreeMap::new();
        let mut results = Vec::with_capacity(events.len());
        let mut said = Vec::new();
        for stored in events {
            let result = match Event::parse(stored.body.as_bytes(), &stored.id) {
                Ok(event) => {
                    let of_case = keep_case(book, &event, &mut said);
                    let sent = gather(book, &mappings, &event, stored.received_at, &mut gathered);
                    of_case.into_iter().chain([sent]).collect::<Vec<_>>().join("; ")
                }
                Err(problem) => format!("unreadable: {problem}"),
            };
            tracing::debug!(%org, event = stored.id, result, "an event was dealt with");
            results.push((stored.id.clone(), result));
        }
        let batches: Vec<Batch> =
            gathered.into_iter().filter_map(|(id, gathered)| self.batch(book, id, gathered, now)).collect();
        if !self.store.finish_events(org, &results, &said, &batches, now).await? {
            return Ok(()); // another worker was quicker, and has done the same
        }
        for batch in &batches {
            let run = self.store.begin_run(org, &batch.run, now).await?;
            begin::hold_if_stopped(&self.store, book, run, &batch.run.pinned.channel).await?;
        }
        Ok(())
    }

    /// What is to be added to the configuration's run of the day; what is not yet enough for a request waits for company.
    fn batch(&self, book: &Book, id: ConfigurationId, gathered: Gathered, now: Timestamp) -> Option<Batch> {
        let ready = book.configurations().iter().find(|ready| ready.id == id)?;
        let Gathered { pinned, delay, since, messages, rejected } = gathered;
        let run = begin::day_run(&self.clock, book, ready, pinned, Coming::Events, now);
        let company = Company { until: since.plus(self.coalesce).plus(delay), enough: self.coalesce_contacts };
        Some(Batch {
            run,
            due: now.plus(delay),
            day_ends: upkeep::day_of(&book.organization, now).ends,
            company: Some(company),
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
    received_at: Timestamp,
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
                        since: received_at,
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

/// Keeps what an event says of a case; in words, if it is about one.
fn keep_case(book: &Book, event: &Event, said: &mut Vec<CaseWord>) -> Option<String> {
    match cases::word(event, book.organization.default_country)? {
        Ok((word, words)) => {
            said.push(word);
            Some(words)
        }
        Err(words) => Some(words),
    }
}

/// What an event's contacts, or a program's, are held against, and what their run keeps.
pub(super) fn rules(book: &Book, ready: &ReadyConfiguration) -> Result<(Pinned, ContactRules), NotBegun> {
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
    let (mut taken, mut refused) = (0, Vec::new());
    for contact in contacts {
        match contact {
            // Two cases of one customer are two messages: a day's run knows no duplicates.
            Ok(contact) => {
                taken += 1;
                slot.messages.push(NewMessage { row: taken, contact, repeat: Repeat::First });
            }
            Err(problem) => {
                refused.push(format!("{}, {problem}", problem.code));
                slot.rejected.push(Rejected {
                    row: 0,
                    fields: vec![event.id.clone()],
                    problems: format!("event {}: {problem}", event.id),
                });
            }
        }
    }
    let count = refused.len();
    refused.truncate(SHOWN);
    let why = if refused.is_empty() { String::new() } else { format!(" ({})", refused.join("; ")) };
    format!("{taken} contacts, {count} refused{why}")
}
