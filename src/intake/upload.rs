//! A CSV file becomes a run: checked as a whole first, then taken in by chunks. Nothing is sent before the last chunk is in.

mod taking;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::task::JoinError;

use super::{
    begin::{self, NotBegun},
    csv::{CheckOptions, Checked, Expect, FileProblem, RowProblem},
    figures::Counter,
    texts::{of_row, text_for},
    upkeep,
};
use crate::{
    book::{Book, ReadyConfiguration},
    clock::Clock,
    domain::{
        contact::{ChannelType, Contact, OptIn},
        definition::SmartEncoding,
        fairness::Priority,
        figures::Figures,
        id::{ConfigurationId, RunId},
        phone::Country,
        run::{Run, RunStatus, Sums},
    },
    store::{Store, StoreError, audiences::Kept, imports::Begun, once::Hold, runs::NewRun},
    template::{Encoding, Template, segments},
};

/// The same file for the same configuration within this time is refused (SPEC 5).
const SAME_FILE_WITHIN: Duration = Duration::from_secs(86_400);

/// A file that is to be sent.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Whose.
    pub book: Arc<Book>,
    /// Through which configuration.
    pub configuration: ReadyConfiguration,
    /// The file.
    pub path: PathBuf,
    /// What to do with bad rows.
    pub on_invalid: OnInvalid,
    /// What to do with a file that was sent before.
    pub on_same_file: OnSameFile,
    /// Attests for every row that does not say: they agreed.
    pub attested: Option<OptIn>,
}

/// What to do with bad rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnInvalid {
    /// Send nothing.
    Refuse,
    /// Send the rest, keep the rejected.
    Skip,
}

/// What to do with a file that was sent before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnSameFile {
    /// Send nothing, and name the run.
    Refuse,
    /// Send it again.
    Send,
}

/// How far a file has come, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So much was checked.
    Checked(u64),
    /// So much was taken in.
    TakenIn(u64),
}

/// Who is told of it.
type Told = Arc<dyn Fn(Progress) + Send + Sync>;

/// A run that has begun.
#[derive(Clone, Debug)]
pub struct Started {
    /// As it began.
    pub run: Run,
    /// Its sums then.
    pub sums: Sums,
    /// What the file held.
    pub figures: FileFigures,
}

/// What a file held, in figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFigures {
    /// Data rows: valid or not.
    pub rows: u64,
    /// Rows that make a contact.
    pub valid: u64,
    /// Rows that do not.
    pub invalid: u64,
    /// Valid rows that repeat the number of an earlier one.
    pub duplicates: u64,
    /// Valid rows whose contact did not agree.
    pub not_opted_in: u64,
    /// What is to be mended, as an instruction; empty if nothing is.
    pub summary: String,
}

impl From<&Checked> for FileFigures {
    fn from(checked: &Checked) -> Self {
        Self {
            rows: checked.rows,
            valid: checked.valid,
            invalid: checked.invalid,
            duplicates: checked.duplicates,
            not_opted_in: checked.not_opted_in,
            summary: checked.summary.to_string(),
        }
    }
}

/// The answer under an idempotency key: kept in the transaction that lets the run begin.
#[derive(Clone, Copy)]
pub struct Answer<'a> {
    /// The key.
    pub hold: &'a Hold,
    /// The HTTP status.
    pub status: u16,
    /// The body, as JSON.
    pub body: &'a (dyn Fn(&Started) -> String + Send + Sync),
}

/// Why a file was not sent.
#[derive(Debug, thiserror::Error)]
pub enum NotSent {
    /// The file cannot be opened.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file as a whole is refused.
    #[error(transparent)]
    File(#[from] FileProblem),
    /// Some rows are bad, and nothing was sent.
    #[error("{} of {} rows cannot be sent, so nothing was: {}", .0.checked.invalid, .0.checked.rows, .0.checked.summary)]
    Invalid(Box<Preview>),
    /// The same file was sent before.
    #[error("this file was already sent through \"{configuration}\" as {run}; send it again with --again")]
    AlreadySent {
        /// The configuration's name.
        configuration: String,
        /// The run.
        run: RunId,
    },
    /// The same file is being taken in, or was until its process vanished a moment ago.
    #[error(
        "this file is being taken in through \"{configuration}\" as {run}; if that broke off, it can be sent in {} seconds, or now with --again",
        upkeep::PATIENCE.as_secs()
    )]
    BeingTakenIn {
        /// The configuration's name.
        configuration: String,
        /// The run.
        run: RunId,
    },
    /// The run was ended while the file was still being taken in.
    #[error("{0} was ended while the file was being taken in, and nothing was sent")]
    Ended(RunId),
    /// The configuration cannot be used.
    #[error(transparent)]
    NotBegun(#[from] NotBegun),
    /// The store refused.
    #[error("the store refused")]
    Store(#[from] StoreError),
    /// Reading broke.
    #[error("reading the file broke off")]
    Broken(#[from] JoinError),
}

/// What a file would send.
#[derive(Debug)]
pub struct Preview {
    /// What the check found.
    pub checked: Checked,
    /// The texts that good rows would get, by locale.
    pub texts: BTreeMap<String, TextFigures>,
    /// What the texts for those who agreed amount to; repetitions are still among them.
    pub figures: Figures,
}

/// What the texts of one locale amount to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextFigures {
    /// How many good rows get it.
    pub rows: u64,
    /// Their segments.
    pub segments: u64,
    /// How many of them are not GSM-7.
    pub ucs2: u64,
    /// The first one, as an example.
    pub sample: String,
}

/// What rows are read by; owned, so that it can go to a thread that may block.
#[derive(Clone, Debug)]
struct Rules {
    channel_type: ChannelType,
    smart_encoding: SmartEncoding,
    configuration: ConfigurationId,
    template: Arc<Template>,
    /// What the template needs, spelt as its author does, for messages.
    needs: BTreeSet<String>,
    default_country: Option<Country>,
    attested: Option<OptIn>,
}

impl Rules {
    fn of(upload: &Upload) -> Result<Self, NotBegun> {
        let configuration = &upload.configuration.configuration;
        let template = upload.book.template(&configuration.template)?.template.clone();
        let channel = upload.book.channel(&configuration.channel)?;
        Ok(Self {
            channel_type: channel.channel_type,
            smart_encoding: channel.smart_encoding(),
            configuration: upload.configuration.id,
            needs: template.required_slugs().iter().map(|slug| template.slug_spelling(slug).to_owned()).collect(),
            template,
            default_country: upload.book.organization.default_country,
            attested: upload.attested.or(configuration.attested()),
        })
    }

    fn expect(&self) -> Expect<'_> {
        Expect {
            channel_type: self.channel_type,
            configuration: Some(self.configuration),
            required_slugs: &self.needs,
            default_country: self.default_country,
            attested: self.attested,
        }
    }
}

/// Checks a file and works out what it would send; nothing is stored. `progress` is told how far it has come.
pub async fn preview(upload: &Upload, progress: impl Fn(Progress) + Send + Sync + 'static) -> Result<Preview, NotSent> {
    checked(upload, Arc::new(progress)).await
}

async fn checked(upload: &Upload, told: Told) -> Result<Preview, NotSent> {
    begin::pin(&upload.book, &upload.configuration)?;
    let (rules, path) = (Rules::of(upload)?, upload.path.clone());
    tokio::task::spawn_blocking(move || check(&rules, &path, &told)).await?
}

fn open(path: &Path) -> Result<File, NotSent> {
    File::open(path).map_err(|source| NotSent::Unreadable { path: path.to_owned(), source })
}

fn check(rules: &Rules, path: &Path, told: &Told) -> Result<Preview, NotSent> {
    let mut texts: BTreeMap<String, TextFigures> = BTreeMap::new();
    let mut counter = Counter::default();
    let mut judge =
        |row: &super::csv::Row<'_>, contact: &Contact| render(rules, row.number, contact, &mut texts, &mut counter);
    let mut progress = |bytes| told(Progress::Checked(bytes));
    let checked = super::csv::check(open(path)?, rules.expect(), CheckOptions::new(&mut judge, &mut progress))?;
    Ok(Preview { checked, texts, figures: counter.figures() })
}

/// A row whose text cannot be rendered is a bad row.
fn render(
    rules: &Rules,
    line: u64,
    contact: &Contact,
    texts: &mut BTreeMap<String, TextFigures>,
    counter: &mut Counter,
) -> Result<(), RowProblem> {
    let rendered = text_for(&rules.template, contact, rules.smart_encoding).map_err(|problem| of_row(line, problem))?;
    let counted = segments(&rendered.text);
    counter.count(contact, &rendered.locale, &counted);
    let figures = texts.entry(rendered.locale.to_string()).or_default();
    figures.rows += 1;
    figures.segments += u64::from(counted.segments);
    figures.ucs2 += u64::from(counted.encoding == Encoding::Ucs2);
    if figures.sample.is_empty() {
        figures.sample = rendered.text;
    }
    Ok(())
}

/// Makes a run of a file. Returns when everything is stored and the run has begun.
pub async fn start(
    store: &Store,
    clock: &Clock,
    upload: &Upload,
    progress: impl Fn(Progress) + Send + Sync + 'static,
) -> Result<RunId, NotSent> {
    Ok(start_answering(store, clock, upload, None, progress).await?.run.id)
}

/// The same, and what is answered is kept with it.
pub async fn start_answering(
    store: &Store,
    clock: &Clock,
    upload: &Upload,
    answer: Option<Answer<'_>>,
    progress: impl Fn(Progress) + Send + Sync + 'static,
) -> Result<Started, NotSent> {
    let told: Told = Arc::new(progress);
    let pinned = begin::pin(&upload.book, &upload.configuration)?;
    let preview = checked(upload, told.clone()).await?;
    if preview.checked.invalid > 0 && upload.on_invalid == OnInvalid::Refuse {
        return Err(NotSent::Invalid(Box::new(preview)));
    }
    let org = &upload.book.organization.id;
    let name = upload.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let channel = pinned.channel.clone();
    let mut new = begin::new_run(clock, &upload.configuration, pinned, Priority::Instant, format!("file {name}"));
    new.digest = hex(&preview.checked.sha256);
    new.columns = preview.checked.columns.iter().map(|column| column.name.clone()).collect();
    let figures = FileFigures::from(&preview.checked);
    upkeep::tidy(store, &upload.book.organization, clock.now()).await?;
    let run = begin_once(store, clock, upload, &new).await?;
    let begun = match taking::take_in(store, clock, upload, run, preview, told).await {
        Ok(()) => open_run(store, clock, upload, run, figures, answer).await,
        Err(problem) => Err(problem),
    };
    match &begun {
        Ok(_) => begin::hold_if_stopped(store, &upload.book, run, &channel).await?,
        Err(problem) => {
            let why = format!("the file could not be taken in, and nothing was sent: {problem}");
            store.fail_run(org, run, &why, clock.now()).await?;
        }
    }
    begun
}

/// Lets the run begin, and keeps the answer in the same transaction.
async fn open_run(
    store: &Store,
    clock: &Clock,
    upload: &Upload,
    run: RunId,
    figures: FileFigures,
    answer: Option<Answer<'_>>,
) -> Result<Started, NotSent> {
    let org = &upload.book.organization.id;
    let now = clock.now();
    let stored = store.run(org, run).await?.ok_or(NotSent::Ended(run))?;
    let begun = Run { status: RunStatus::Running, started_at: Some(now), ..stored };
    let started = Started { run: begun, sums: store.sums(org, run).await?, figures };
    let body = answer.map(|answer| (answer.body)(&started));
    let kept = answer.zip(body.as_deref());
    let kept = kept.map(|(answer, body)| Kept { hold: answer.hold, status: answer.status, body });
    // Not opened if this process slept for so long that it was taken for gone, or somebody else answers under the key.
    let opened = store.open_answered(org, run, kept, now).await?;
    if opened { Ok(started) } else { Err(NotSent::Ended(run)) }
}

/// Begins the run, unless the same file is there already.
async fn begin_once(store: &Store, clock: &Clock, upload: &Upload, new: &NewRun) -> Result<RunId, NotSent> {
    let since = match upload.on_same_file {
        OnSameFile::Refuse => Some(clock.now().minus(SAME_FILE_WITHIN)),
        OnSameFile::Send => None,
    };
    let configuration = upload.configuration.configuration.name.clone();
    match store.begin_upload(&upload.book.organization.id, new, since, clock.now()).await? {
        Begun::Run(run) => Ok(run),
        Begun::Same(run, RunStatus::Importing) => Err(NotSent::BeingTakenIn { configuration, run }),
        Begun::Same(run, _) => Err(NotSent::AlreadySent { configuration, run }),
    }
}

/// Bytes as lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
