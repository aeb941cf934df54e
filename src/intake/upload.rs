//! A CSV file becomes a run: checked as a whole first, then taken in by chunks. Nothing is sent before the last chunk is in.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::mpsc, task::JoinError};

use super::{
    begin::{self, NotBegun},
    csv::{CheckOptions, Checked, Duplicate, Entries, Entry, Expect, FileProblem, Rejected, RowProblem, SecondPass},
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
        id::{ConfigurationId, OrgId, RunId},
        phone::Country,
        run::RunStatus,
    },
    store::{
        Store, StoreError,
        imports::Begun,
        runs::{NewMessage, NewRun, Rejected as StoredRejected, Repeat},
    },
    template::{Encoding, Template, segments},
};

/// Rows that are read, and then written, in one go.
const CHUNK: usize = 5_000;
/// Chunks that may wait for the store: reading and writing overlap, and memory stays small.
const WAITING: usize = 2;
/// Rejected rows that are written in one go.
const REJECTED_CHUNK: usize = 500;
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

/// Checks a file and works out what it would send; nothing is stored. `progress` is told the bytes read so far.
pub async fn preview(upload: &Upload, progress: impl Fn(u64) + Send + 'static) -> Result<Preview, NotSent> {
    begin::pin(&upload.book, &upload.configuration)?;
    let (rules, path) = (Rules::of(upload)?, upload.path.clone());
    tokio::task::spawn_blocking(move || check(&rules, &path, &progress)).await?
}

fn open(path: &Path) -> Result<File, NotSent> {
    File::open(path).map_err(|source| NotSent::Unreadable { path: path.to_owned(), source })
}

fn check(rules: &Rules, path: &Path, progress: &dyn Fn(u64)) -> Result<Preview, NotSent> {
    let mut texts: BTreeMap<String, TextFigures> = BTreeMap::new();
    let mut judge = |row: &super::csv::Row<'_>, contact: &Contact| render(rules, row.number, contact, &mut texts);
    let mut told = |bytes| progress(bytes);
    let checked = super::csv::check(open(path)?, rules.expect(), CheckOptions::new(&mut judge, &mut told))?;
    Ok(Preview { checked, texts })
}

/// A row whose text cannot be rendered is a bad row.
fn render(
    rules: &Rules,
    line: u64,
    contact: &Contact,
    texts: &mut BTreeMap<String, TextFigures>,
) -> Result<(), RowProblem> {
    let rendered = text_for(&rules.template, contact, rules.smart_encoding).map_err(|problem| of_row(line, problem))?;
    let counted = segments(&rendered.text);
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
    progress: impl Fn(u64) + Send + 'static,
) -> Result<RunId, NotSent> {
    let pinned = begin::pin(&upload.book, &upload.configuration)?;
    let preview = preview(upload, progress).await?;
    if preview.checked.invalid > 0 && upload.on_invalid == OnInvalid::Refuse {
        return Err(NotSent::Invalid(Box::new(preview)));
    }
    let org = &upload.book.organization.id;
    let name = upload.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let channel = pinned.channel.clone();
    let mut new = begin::new_run(clock, &upload.configuration, pinned, Priority::Instant, format!("file {name}"));
    new.digest = hex(&preview.checked.sha256);
    new.columns = preview.checked.columns.clone();
    upkeep::tidy(store, &upload.book.organization, clock.now()).await?;
    let run = begin_once(store, clock, upload, &new).await?;
    if let Err(problem) = take_in(store, clock, upload, run, preview.checked).await {
        store
            .fail_run(
                org,
                run,
                &format!("the file could not be taken in, and nothing was sent: {problem}"),
                clock.now(),
            )
            .await?;
        return Err(problem);
    }
    store.open_run(org, run, clock.now()).await?;
    if store.run(org, run).await?.is_none_or(|run| run.status == RunStatus::Failed) {
        return Err(NotSent::Ended(run)); // this process slept for so long that it was taken for gone
    }
    begin::hold_if_stopped(store, &upload.book, run, &channel).await?;
    Ok(run)
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

async fn take_in(store: &Store, clock: &Clock, upload: &Upload, run: RunId, checked: Checked) -> Result<(), NotSent> {
    let org = &upload.book.organization.id;
    let (rules, path) = (Rules::of(upload)?, upload.path.clone());
    let (chunks, mut waiting) = mpsc::channel(WAITING);
    let (second_pass, rejected) = (checked.second_pass, checked.rejected);
    let reading = tokio::task::spawn_blocking(move || read(&rules, &path, second_pass, &chunks));
    let mut after = 0;
    while let Some(chunk) = waiting.recv().await {
        store.add_chunk(org, run, after, &chunk, &[], clock.now()).await?;
        after += i64::try_from(chunk.len()).unwrap_or(0);
    }
    reading.await??;
    if let Some(rejected) = rejected {
        keep_rejected(store, clock, org, run, after, rejected).await?;
    }
    Ok(())
}

/// Reads the good rows, on a thread that may block, as fast as the store takes them.
fn read(
    rules: &Rules,
    path: &Path,
    second_pass: SecondPass,
    chunks: &mpsc::Sender<Vec<NewMessage>>,
) -> Result<(), NotSent> {
    let mut entries = Entries::open(open(path)?, rules.expect(), second_pass)?;
    loop {
        let chunk = entries.next_chunk(CHUNK)?;
        // Nobody receives any more only if the store refused: that is reported there.
        if chunk.is_empty() || chunks.blocking_send(chunk.into_iter().map(message).collect()).is_err() {
            return Ok(());
        }
    }
}

fn message(entry: Entry) -> NewMessage {
    let repeat = match entry.duplicate {
        Duplicate::First => Repeat::First,
        Duplicate::Repeat => Repeat::Again,
    };
    NewMessage { row: i64::try_from(entry.row).unwrap_or(i64::MAX), contact: entry.into_contact(), repeat }
}

async fn keep_rejected(
    store: &Store,
    clock: &Clock,
    org: &OrgId,
    run: RunId,
    after: i64,
    rejected: Rejected,
) -> Result<(), NotSent> {
    let mut rows = rejected.into_rows();
    loop {
        let chunk;
        (rows, chunk) = tokio::task::spawn_blocking(move || {
            let chunk: Result<Vec<_>, FileProblem> = rows.by_ref().take(REJECTED_CHUNK).collect();
            (rows, chunk)
        })
        .await?;
        let chunk = chunk?;
        if chunk.is_empty() {
            return Ok(());
        }
        let stored = chunk.into_iter().map(|row| StoredRejected {
            row: i64::try_from(row.line).unwrap_or(i64::MAX),
            fields: row.fields,
            problems: row.remark,
        });
        store.add_chunk(org, run, after, &[], &stored.collect::<Vec<_>>(), clock.now()).await?;
    }
}

/// Bytes as lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
