//! Consents from a CSV file: checked as a whole first, then taken in by chunks. With any bad row nothing is taken in, unless the
//! rest is asked for. Taking the same file in again changes nothing.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs::File,
    io::{self, Seek as _},
};

use tokio::{sync::mpsc, task::JoinError};

use super::{
    csv::{
        FileProblem,
        consents::{CheckedConsents, ConsentRow, ConsentRows, Unsaid, check_consents},
    },
    upload::OnInvalid,
};
use crate::{
    domain::{
        contact::ChannelType,
        id::{ConsentChangeId, OrgId},
    },
    store::{Store, StoreError, consents::ConsentChange},
};

/// Rows that are read, and then written, in one go.
const CHUNK: usize = 5_000;
/// Chunks that may wait for the store.
const WAITING: usize = 2;

/// A file of consents that is to be taken in.
#[derive(Debug)]
pub struct ConsentImport {
    /// Whose contacts they are.
    pub org: OrgId,
    /// The file, at whatever place: it is read from its beginning.
    pub file: File,
    /// What stands in for what a row does not say.
    pub unsaid: Unsaid,
    /// What to do with bad rows.
    pub on_invalid: OnInvalid,
    /// The most problems that are named one by one.
    pub shown: usize,
    /// By which way it came: `file opt-outs.csv`.
    pub source: String,
    /// Who says so: `operator`, `api key_…`.
    pub actor: String,
}

/// What was taken in.
#[derive(Debug)]
pub struct ImportedConsents {
    /// What the check found; its valid rows were taken in.
    pub checked: CheckedConsents,
    /// How many consents were changed by it. The others were as the file says, or something was said later.
    pub changed: usize,
}

/// Why a file was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum NotImported {
    /// The file as a whole is refused.
    #[error(transparent)]
    File(#[from] FileProblem),
    /// Some rows are bad, and nothing was taken in.
    #[error("{} of {} rows are bad, so nothing was taken in: {}", .0.invalid, .0.rows, .0.summary)]
    Invalid(Box<CheckedConsents>),
    /// The store refused. What was taken in before that stays; the file can be given again.
    #[error("the store refused")]
    Store(#[from] StoreError),
    /// Reading broke.
    #[error("reading the file broke off")]
    Broken(#[from] JoinError),
}

/// Takes a file in. `progress` is told the bytes that were checked so far.
pub async fn import(
    store: &Store,
    import: ConsentImport,
    progress: impl Fn(u64) + Send + 'static,
) -> Result<ImportedConsents, NotImported> {
    let ConsentImport { org, file, unsaid, on_invalid, shown, source, actor } = import;
    let checking = tokio::task::spawn_blocking(move || {
        let checked = check_consents(from_the_beginning(&file)?, unsaid, shown, &mut |bytes| progress(bytes))?;
        Ok::<_, FileProblem>((checked, file))
    });
    let (checked, file) = checking.await??;
    if checked.invalid > 0 && on_invalid == OnInvalid::Refuse {
        return Err(NotImported::Invalid(Box::new(checked)));
    }
    let (chunks, mut waiting) = mpsc::channel(WAITING);
    let sha256 = checked.sha256;
    let reading = tokio::task::spawn_blocking(move || read(&file, unsaid, sha256, &chunks));
    let mut changed = 0;
    while let Some(chunk) = waiting.recv().await {
        changed += store.set_consents(&org, &changes(&chunk, &source, &actor)).await?;
    }
    reading.await??;
    Ok(ImportedConsents { checked, changed })
}

fn from_the_beginning(file: &File) -> Result<&File, FileProblem> {
    let mut place = file;
    place.rewind().map_err(FileProblem::Io)?;
    Ok(file)
}

/// Reads the good rows, on a thread that may block, as fast as the store takes them.
fn read(
    file: &File,
    unsaid: Unsaid,
    sha256: [u8; 32],
    chunks: &mpsc::Sender<Vec<ConsentRow>>,
) -> Result<(), FileProblem> {
    let mut rows = ConsentRows::open(io::BufReader::new(from_the_beginning(file)?), unsaid)?;
    let mut chunk = Vec::with_capacity(CHUNK);
    while let Some(row) = rows.next_row() {
        chunk.extend(row?.said);
        if chunk.len() == CHUNK && chunks.blocking_send(std::mem::take(&mut chunk)).is_err() {
            return Ok(()); // nobody receives any more: the store refused, and that is reported there
        }
    }
    if rows.sha256() != sha256 {
        return Err(FileProblem::Changed);
    }
    drop(chunks.blocking_send(chunk)); // likewise
    Ok(())
}

/// What rows say, one word a person and channel type: of several the latest, of several at one time the last.
fn changes(rows: &[ConsentRow], source: &str, actor: &str) -> Vec<ConsentChange> {
    let mut said: BTreeMap<(ChannelType, _), &ConsentRow> = BTreeMap::new();
    for row in rows {
        let both = [ChannelType::Sms, ChannelType::WhatsApp];
        for channel_type in both.into_iter().filter(|one| row.channel_type.is_none_or(|only| only == *one)) {
            match said.entry((channel_type, row.of)) {
                Entry::Vacant(free) => {
                    free.insert(row);
                }
                Entry::Occupied(mut taken) if row.at >= taken.get().at => {
                    taken.insert(row);
                }
                Entry::Occupied(_) => {}
            }
        }
    }
    let change = |((channel_type, of), row): ((ChannelType, _), &ConsentRow)| ConsentChange {
        id: ConsentChangeId::new(row.at, rand::random()),
        channel_type,
        of,
        consent: row.consent,
        source: source.to_owned(),
        actor: actor.to_owned(),
        at: row.at,
    };
    said.into_iter().map(change).collect()
}
