//! The second pass over a file that was checked: its good rows go into the run chunk by chunk, then the others beside them.

use std::path::Path;

use tokio::sync::mpsc;

use super::{NotSent, Preview, Progress, Rules, Told, Upload, open};
use crate::{
    clock::Clock,
    domain::id::{OrgId, RunId},
    intake::csv::{
        Checked, Duplicate, Entries, Entry, FileProblem, Rejected, RejectedRow, SecondPass, columns::Columns,
        written::Layout,
    },
    intake::figures::Spared,
    store::{
        Store,
        exports::{FileRows, Refused},
        runs::{NewMessage, Rejected as StoredRejected, Repeat},
    },
};

/// Rows that are read, and then written, in one go.
const CHUNK: usize = 5_000;
/// Chunks that may wait for the store: reading and writing overlap, and memory stays small.
const WAITING: usize = 2;
/// Rejected rows that are written in one go.
const REJECTED_CHUNK: usize = 500;

/// Takes a file in whose first pass found what is given here.
pub(super) async fn take_in(
    store: &Store,
    clock: &Clock,
    upload: &Upload,
    run: RunId,
    preview: Preview,
    told: Told,
) -> Result<(), NotSent> {
    let org = &upload.book.organization.id;
    let (rules, path) = (Rules::of(upload)?, upload.path.clone());
    let (chunks, mut waiting) = mpsc::channel(WAITING);
    let Preview { checked: Checked { second_pass, rejected, .. }, mut figures, .. } = preview;
    let spared = Spared::of(store, org, rules.channel_type, rules.template.clone(), rules.smart_encoding).await?;
    let reading = tokio::task::spawn_blocking(move || read(&rules, &path, second_pass, &chunks, &told));
    let mut after = 0;
    while let Some(rows) = waiting.recv().await {
        store.add_file_rows(org, run, after, &rows, clock.now()).await?;
        figures.take_off(&spared.among(&rows.messages).await?);
        after += i64::try_from(rows.messages.len()).unwrap_or(0);
    }
    reading.await??;
    store.add_run_texts(org, run, &figures).await?;
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
    chunks: &mpsc::Sender<FileRows>,
    told: &Told,
) -> Result<(), NotSent> {
    let mut entries = Entries::open(open(path)?, rules.expect(), second_pass)?;
    let layout = Layout::of(entries.layout().own().map(|(_, column)| column.name.as_str()));
    loop {
        let chunk = entries.next_chunk(CHUNK)?;
        told(Progress::TakenIn(entries.bytes()));
        // Nobody receives any more only if the store refused: that is reported there.
        if chunk.is_empty() || chunks.blocking_send(rows(chunk, entries.layout(), &layout)).is_err() {
            return Ok(());
        }
    }
}

/// The rows as they are stored, with what they say otherwise than will be told from that.
fn rows(chunk: Vec<Entry>, columns: &Columns, layout: &Layout) -> FileRows {
    let mut rows = FileRows::default();
    for mut entry in chunk {
        let fields = std::mem::take(&mut entry.fields);
        let message = message(entry);
        let own = columns.own().map(|(place, _)| fields.get(place).unwrap_or_default());
        let otherwise = layout.otherwise(own, &message.contact);
        if !otherwise.is_empty() {
            // Texts by number: serializing them cannot fail.
            rows.otherwise.push((rows.messages.len(), serde_json::to_string(&otherwise).unwrap_or_default()));
        }
        rows.messages.push(message);
    }
    rows
}

fn message(entry: Entry) -> NewMessage {
    let repeat = match entry.duplicate {
        Duplicate::First => Repeat::First,
        Duplicate::Repeat => Repeat::Again,
    };
    NewMessage { row: line(entry.row), contact: entry.into_contact(), repeat }
}

fn line(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
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
        let refused = chunk.into_iter().map(refused).collect();
        let rows = FileRows { refused, ..FileRows::default() };
        store.add_file_rows(org, run, after, &rows, clock.now()).await?;
    }
}

fn refused(row: RejectedRow) -> Refused {
    let RejectedRow { line: number, fields, remark, code } = row;
    Refused { row: StoredRejected { row: line(number), fields, problems: remark }, code }
}
