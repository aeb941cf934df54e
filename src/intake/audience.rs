//! Audiences that herald holds itself (a stored list, everybody with a case of a kind) become runs, a page at a time: by hand, by
//! a program, by the clock. Every contact is held against the configuration first; what is wrong with one is said of it, and
//! the others go.
//!
//! How far a run has come is written with its rows ([`Store::add_page`]), so that what broke off goes on where it stopped.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use tokio::task::JoinError;

use super::{
    begin::{self, NotBegun},
    cases,
    payload::{ContactRules, Refused},
    texts::{of_contact, text_for},
    upkeep,
    upload::{OnInvalid, TextFigures},
};
use crate::{
    book::{Book, ReadyConfiguration, Unusable},
    clock::Clock,
    domain::{
        contact::{Contact, OptIn},
        definition::{AudienceRef, CaseQuery, SmartEncoding},
        fairness::Priority,
        id::{OrgId, RunId},
        phone::E164,
        run::{Run, RunStatus},
    },
    store::{
        Store, StoreError,
        audiences::{Kept, Page as StoredPage},
        once::Hold,
        runs::{NewMessage, Rejected, Repeat},
    },
    template::{Encoding, Rendered, Template, segments},
};

/// Contacts that are read, and then written, in one go.
const CHUNK: i64 = 5_000;
/// The most problems that a preview shows; all are counted.
const SHOWN: usize = 100;

/// An audience that is to be sent to now.
#[derive(Clone, Debug)]
pub struct Start {
    /// Whose.
    pub book: Arc<Book>,
    /// Through which configuration.
    pub configuration: ReadyConfiguration,
    /// To whom.
    pub audience: AudienceRef,
    /// What to do with contacts that cannot be sent to.
    pub on_invalid: OnInvalid,
    /// Attests for every case whose events do not say: they agreed.
    pub attested: Option<OptIn>,
}

/// The caller's answer, kept under its idempotency key in the transaction that opens the run.
#[derive(Clone, Copy)]
pub struct Answering<'a> {
    /// The key.
    pub hold: &'a Hold,
    /// The HTTP status.
    pub status: u16,
    /// The body, as JSON, of the run as it is with its last row taken in.
    pub body: &'a (dyn Fn(&Run) -> String + Send + Sync),
}

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum NotStarted {
    /// There is nobody to send to.
    #[error("nobody would get anything: there are no {0}")]
    Nobody(AudienceRef),
    /// Some contacts cannot be sent to, and nothing was sent.
    #[error("{} of {} contacts cannot be sent to, so nothing was: {}", .0.bad, .0.rows, .0.summary())]
    Invalid(Box<Preview>),
    /// The run was ended while its audience was being taken in; or somebody else has taken up the caller's key.
    #[error("{0} was ended while its audience was being taken in, and nothing was sent")]
    Ended(RunId),
    /// The configuration or the audience cannot be used.
    #[error(transparent)]
    NotBegun(#[from] NotBegun),
    /// The store refused.
    #[error("the store refused")]
    Store(#[from] StoreError),
}

impl From<Unusable> for NotStarted {
    fn from(problem: Unusable) -> Self {
        Self::NotBegun(problem.into())
    }
}

/// A contact that cannot be sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadContact {
    /// Which: its place in the list, or its case.
    pub what: String,
    /// What is wrong with it.
    pub refused: Refused,
}

/// What an audience would be sent.
#[derive(Clone, Debug, Default)]
pub struct Preview {
    /// Contacts: good and bad ones.
    pub rows: u64,
    /// Those that can be sent to; whoever did not agree is among them.
    pub good: u64,
    /// Those that cannot.
    pub bad: u64,
    /// Of the good ones, those who did not agree.
    pub not_opted_in: u64,
    /// The bad ones: the first of them.
    pub problems: Vec<BadContact>,
    /// How many of each kind, by code and field.
    pub kinds: BTreeMap<(&'static str, String), u64>,
    /// The texts that good ones would get, by locale.
    pub texts: BTreeMap<String, TextFigures>,
}

impl Preview {
    /// What is wrong, counted, the most frequent first.
    pub fn summary(&self) -> String {
        let mut kinds: Vec<_> = self.kinds.iter().collect();
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let said = kinds.into_iter().map(|((code, field), count)| match field.rsplit('/').next() {
            Some(name) if !name.is_empty() => format!("{code} ({name}) in {count}"),
            _ => format!("{code} in {count}"),
        });
        said.collect::<Vec<_>>().join("; ")
    }

    fn add(&mut self, judged: Vec<(Entry, Result<Rendered, Refused>)>) {
        for (entry, verdict) in judged {
            self.rows += 1;
            match (verdict, entry.contact) {
                (Ok(rendered), Ok(contact)) => {
                    self.good += 1;
                    self.not_opted_in += u64::from(contact.opted_in == OptIn::No);
                    figure(self.texts.entry(rendered.locale.to_string()).or_default(), rendered.text);
                }
                (Err(refused), _) | (Ok(_), Err(refused)) => {
                    self.bad += 1;
                    *self.kinds.entry((refused.code, refused.field.clone())).or_default() += 1;
                    if self.problems.len() < SHOWN {
                        self.problems.push(BadContact { what: entry.what, refused });
                    }
                }
            }
        }
    }
}

fn figure(figures: &mut TextFigures, text: String) {
    let counted = segments(&text);
    figures.rows += 1;
    figures.segments += u64::from(counted.segments);
    figures.ucs2 += u64::from(counted.encoding == Encoding::Ucs2);
    if figures.sample.is_empty() {
        figures.sample = text;
    }
}

/// Reads the whole audience and works out what it would be sent; nothing is stored.
pub async fn preview(store: &Store, start: &Start) -> Result<Preview, NotStarted> {
    begin::pin(&start.book, &start.configuration)?;
    let reader = Reader::open(&start.book, &start.configuration, &start.audience, start.attested)?;
    let mut preview = Preview::default();
    let mut after = None;
    while let Some(page) = reader.page(store, &start.book.organization.id, after).await? {
        after = Some(page.to);
        preview.add(reader.judge(page.entries).await.map_err(NotBegun::from)?);
    }
    Ok(preview)
}

/// Makes a run of an audience, as it is when everything is stored and the run is about to begin. With `key`, the run and the
/// caller's answer are there together or not at all.
pub async fn start(store: &Store, clock: &Clock, start: &Start, key: Option<Answering<'_>>) -> Result<Run, NotStarted> {
    let Start { book, configuration, audience, on_invalid, attested } = start;
    let org = &book.organization.id;
    let pinned = begin::pin(book, configuration)?;
    let preview = preview(store, start).await?;
    if preview.rows == 0 {
        return Err(NotStarted::Nobody(audience.clone()));
    }
    if preview.bad > 0 && *on_invalid == OnInvalid::Refuse {
        return Err(NotStarted::Invalid(Box::new(preview)));
    }
    let reader = Reader::open(book, configuration, audience, *attested)?;
    let channel = pinned.channel.clone();
    let mut new = begin::new_run(clock, configuration, pinned, Priority::Instant, reader.source());
    // With a digest it is looked after like an upload: if this process vanishes, it is failed and cleared away.
    new.digest = format!("audience {}", new.id);
    upkeep::tidy(store, &book.organization, clock.now()).await?;
    let run = store.begin_run(org, &new, clock.now()).await?;
    match fill_and_open(store, clock, org, run, &reader, key).await {
        Ok(taken) => {
            begin::hold_if_stopped(store, book, run, &channel).await?;
            Ok(taken)
        }
        Err(problem) => {
            let why = format!("the audience could not be taken in, and nothing was sent: {problem}");
            store.fail_run(org, run, &why, clock.now()).await?;
            Err(problem)
        }
    }
}

async fn fill_and_open(
    store: &Store,
    clock: &Clock,
    org: &OrgId,
    run: RunId,
    reader: &Reader,
    key: Option<Answering<'_>>,
) -> Result<Run, NotStarted> {
    let Some(taken) = take_in(store, clock, org, run, reader).await? else { return Err(NotStarted::Ended(run)) };
    let body = key.map(|key| (key.body)(&taken)).unwrap_or_default();
    let kept = key.map(|key| Kept { hold: key.hold, status: key.status, body: &body });
    if store.open_answered(org, run, kept, clock.now()).await? { Ok(taken) } else { Err(NotStarted::Ended(run)) }
}

/// Takes the rest of an audience into a run that is importing, however far it had come; the run with its last row, or `None` if
/// it takes in no more.
pub(super) async fn take_in(
    store: &Store,
    clock: &Clock,
    org: &OrgId,
    run: RunId,
    reader: &Reader,
) -> Result<Option<Run>, NotBegun> {
    loop {
        let from = store.run_cursor(org, run).await?;
        let importing = |run: &Run| run.status == RunStatus::Importing;
        let Some(so_far) = store.run(org, run).await?.filter(importing) else { return Ok(None) };
        let after = from.as_deref().and_then(|place| serde_json::from_str(place).ok());
        let after = after.or_else(|| reader.place_of(&so_far));
        let Some(page) = reader.page(store, org, after).await? else { return Ok(Some(so_far)) };
        let to = serde_json::to_string(&page.to).unwrap_or_default();
        let mut page_in = StoredPage { from, to, ..StoredPage::default() };
        let first = so_far.messages + so_far.rejected + 1;
        for ((entry, verdict), row) in reader.judge(page.entries).await?.into_iter().zip(first..) {
            match (verdict, entry.contact) {
                // A list holds each number once, and a query over cases gives it once.
                (Ok(_), Ok(contact)) => page_in.messages.push(NewMessage { row, contact, repeat: Repeat::First }),
                (Err(refused), _) | (Ok(_), Err(refused)) => {
                    let problems = format!("{}: {refused}", entry.what);
                    page_in.rejected.push(Rejected { row, fields: vec![entry.to], problems });
                }
            }
        }
        store.add_page(org, run, &page_in, clock.now()).await?;
    }
}

/// How far an audience has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Place {
    /// A list: the version that the run began with, and the last entry.
    List { version: i64, seq: i64 },
    /// Cases: the last person's number.
    Cases { number: u64 },
}

/// One contact of an audience.
#[derive(Clone, Debug)]
struct Entry {
    /// Which it is, for people.
    what: String,
    /// The number, for whoever looks at what was refused.
    to: String,
    contact: Result<Contact, Refused>,
}

struct Page {
    entries: Vec<Entry>,
    to: Place,
}

/// What reads an audience, and holds its contacts against a configuration.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    audience: AudienceRef,
    /// Of the list, as it is now.
    version: i64,
    rules: ContactRules,
    template: Arc<Template>,
    smart_encoding: SmartEncoding,
}

impl Reader {
    /// For a configuration and one of its organization's audiences.
    ///
    /// # Errors
    /// If one of them cannot be used.
    pub(super) fn open(
        book: &Book,
        ready: &ReadyConfiguration,
        audience: &AudienceRef,
        attested: Option<OptIn>,
    ) -> Result<Self, Unusable> {
        let configuration = &ready.configuration;
        let version = audience.list().map(|list| book.list(list)).transpose()?.map_or(0, |list| list.version);
        let channel = book.channel(&configuration.channel)?;
        let rules = ContactRules {
            channel_type: channel.channel_type,
            configuration: Some(ready.id),
            default_country: book.organization.default_country,
            attested: attested.or(configuration.attested()),
        };
        let template = book.template(&configuration.template)?.template.clone();
        Ok(Self { audience: audience.clone(), version, rules, template, smart_encoding: channel.smart_encoding() })
    }

    /// Where a run's contacts come from, in words.
    pub(super) fn source(&self) -> String {
        match &self.audience {
            AudienceRef::List(_) => format!("{}, version {}", self.audience, self.version),
            AudienceRef::Cases(_) => self.audience.to_string(),
        }
    }

    /// Where a run is that has rows and does not say how far it came: in a list, which used to be taken in without a gap.
    fn place_of(&self, run: &Run) -> Option<Place> {
        let begun = run.messages > 0 && self.audience.list().is_some();
        begun.then_some(Place::List { version: self.version, seq: run.messages })
    }

    /// The contacts after a place (the first ones: `None`); `None` when there are no more.
    async fn page(&self, store: &Store, org: &OrgId, after: Option<Place>) -> Result<Option<Page>, StoreError> {
        match &self.audience {
            AudienceRef::List(list) => {
                let (version, seq) = match after {
                    Some(Place::List { version, seq }) => (version, seq),
                    Some(Place::Cases { .. }) | None => (self.version, 0),
                };
                let entries = store.list_entries(org, list, version, seq, CHUNK).await?;
                let Some(last) = entries.last() else { return Ok(None) };
                let to = Place::List { version, seq: last.seq };
                let entry = |entry: crate::store::lists::ListEntry| Entry {
                    what: format!("entry {} of list {list}", entry.seq),
                    to: entry.contact.to.to_string(),
                    contact: Ok(entry.contact),
                };
                Ok(Some(Page { entries: entries.into_iter().map(entry).collect(), to }))
            }
            AudienceRef::Cases(query) => self.people(store, org, query, after).await,
        }
    }

    async fn people(
        &self,
        store: &Store,
        org: &OrgId,
        query: &CaseQuery,
        after: Option<Place>,
    ) -> Result<Option<Page>, StoreError> {
        let after = match after {
            Some(Place::Cases { number }) => Some(E164::from_digits(number)),
            Some(Place::List { .. }) | None => None,
        };
        let status = query.status.as_ref().map(|status| status.trim().to_lowercase());
        let cases = store.people_with_cases(org, status.as_deref(), after, CHUNK).await?;
        let Some(last) = cases.last().and_then(|case| case.contact.as_ref()) else { return Ok(None) };
        let to = Place::Cases { number: last.to.digits() };
        let entry = |case: crate::store::cases::Case| Entry {
            what: format!("case {}", case.id),
            to: case.contact.as_ref().map(|contact| contact.to.to_string()).unwrap_or_default(),
            contact: cases::contact_of(&case, &self.rules),
        };
        Ok(Some(Page { entries: cases.into_iter().map(entry).collect(), to }))
    }

    /// The text of each contact, or why there is none; on a thread that may block.
    async fn judge(&self, entries: Vec<Entry>) -> Result<Vec<(Entry, Result<Rendered, Refused>)>, JoinError> {
        let (template, smart_encoding) = (self.template.clone(), self.smart_encoding);
        let judge = move |entry: Entry| {
            let verdict = entry.contact.as_ref().map_err(Clone::clone);
            let verdict = verdict
                .and_then(|contact| text_for(&template, contact, smart_encoding).map_err(|bad| of_contact(&bad)));
            (entry, verdict)
        };
        tokio::task::spawn_blocking(move || entries.into_iter().map(judge).collect()).await
    }
}
