//! A run's rows as CSV, a page at a time: the report, which is the uploaded file itself with what became of each row, and the
//! rejected rows, which can be corrected and sent. Memory holds a page, however long the run.

use std::collections::{BTreeMap, VecDeque};

use super::csv::{
    columns::{error_name, fold_header},
    export::ReportWriter,
    written::{Kept, Layout, Otherwise},
};
use crate::{
    domain::{
        contact::OptIn,
        id::{MessageId, OrgId},
        run::Run,
    },
    store::{
        Store, StoreError,
        exports::Refused,
        messages::{MessageSearch, StoredMessage},
    },
};

/// Rows that are read in one go.
const PAGE: i64 = 1_000;
/// What stands before the file's own columns.
const BEFORE: [&str; 1] = ["row"];
/// What stands after them.
const AFTER: [&str; 10] =
    ["number", "status", "code", "reason", "locale", "segments", "sent_at", "changed_at", "message", "provider_id"];

/// The report of a run: a header, and every row that came in, in the order of the file.
#[derive(Debug)]
pub struct Report {
    store: Store,
    org: OrgId,
    run: Run,
    layout: Layout,
    messages: Waiting<(StoredMessage, Otherwise)>,
    after: Option<MessageId>,
    refused: Waiting<Refused>,
    refused_after: i64,
    begun: Option<()>,
    rows: u64,
}

/// Rows that were read and not yet written.
#[derive(Debug)]
struct Waiting<T> {
    rows: VecDeque<T>,
    /// Whether the store has more.
    more: bool,
}

impl<T> Waiting<T> {
    fn new() -> Self {
        Self { rows: VecDeque::new(), more: true }
    }

    fn is_wanted(&self) -> bool {
        self.rows.is_empty() && self.more
    }

    fn fill(&mut self, page: impl ExactSizeIterator<Item = T>) {
        self.more = i64::try_from(page.len()) == Ok(PAGE);
        self.rows.extend(page);
    }
}

impl Report {
    /// Of this run, from the beginning.
    pub fn new(store: Store, org: OrgId, run: Run) -> Self {
        let layout = Layout::of(run.columns.iter().map(String::as_str));
        let (messages, refused) = (Waiting::new(), Waiting::new());
        Self { store, org, run, layout, messages, after: None, refused, refused_after: 0, begun: None, rows: 0 }
    }

    /// How many rows were written so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The next part of the file; `None` when it has ended.
    ///
    /// # Errors
    /// The store refused.
    pub async fn next_page(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let mut page = ReportWriter::new(Vec::new());
        if self.begun.replace(()).is_none() {
            let own: Vec<String> = self.run.columns.iter().map(|name| fold_header(name)).collect();
            let added = |name: &&str| added_name(name, &own);
            let (before, after): (Vec<_>, Vec<_>) =
                (BEFORE.iter().map(added).collect(), AFTER.iter().map(added).collect());
            write(&mut page, before.iter().chain(&self.run.columns).chain(&after))?;
        }
        for _ in 0..PAGE {
            let Some(cells) = self.next_row().await? else { break };
            write(&mut page, cells.iter())?;
            self.rows += 1;
        }
        finished(page)
    }

    /// The next row of the file, whether it was taken in or refused.
    async fn next_row(&mut self) -> Result<Option<Vec<String>>, StoreError> {
        self.read().await?;
        let of_message = self.messages.rows.front().map(|(message, _)| message.row);
        let of_refused = self.refused.rows.front().map(|refused| refused.row.row);
        if of_refused.is_some_and(|row| of_message.is_none_or(|other| row <= other)) {
            return Ok(self.refused.rows.pop_front().map(|refused| self.refused_cells(refused)));
        }
        let next = self.messages.rows.pop_front();
        next.map(|(message, otherwise)| self.cells(&message, &otherwise)).transpose()
    }

    async fn read(&mut self) -> Result<(), StoreError> {
        if self.messages.is_wanted() {
            let search = MessageSearch { run: Some(self.run.id), after: self.after, ..MessageSearch::default() };
            let page = self.store.search_messages(&self.org, &search, PAGE).await?;
            let mut otherwise = self.otherwise(&page).await?;
            self.after = page.last().map(|message| message.id).or(self.after);
            self.messages.fill(page.into_iter().map(|message| {
                let said = otherwise.remove(&message.id.seq).unwrap_or_default();
                (message, said)
            }));
        }
        if self.refused.is_wanted() {
            let places = (self.refused_after, i64::MAX);
            let page = self.store.refused_rows(&self.org, self.run.id, places, PAGE).await?;
            self.refused_after = page.last().map_or(self.refused_after, |last| last.row.row);
            self.refused.fill(page.into_iter());
        }
        Ok(())
    }

    /// What the messages of a page say otherwise than can be told from them.
    async fn otherwise(&self, page: &[StoredMessage]) -> Result<BTreeMap<i64, Otherwise>, StoreError> {
        match (page.first(), page.last()) {
            (Some(first), Some(last)) if !self.run.columns.is_empty() => {
                self.store.message_cells(&self.org, self.run.id, (first.id.seq, last.id.seq)).await
            }
            _ => Ok(BTreeMap::new()),
        }
    }

    fn cells(&self, message: &StoredMessage, otherwise: &Otherwise) -> Result<Vec<String>, StoreError> {
        let slugs = message.read_slugs()?;
        let opted_in = if message.opted_in { OptIn::Yes } else { OptIn::No };
        let kept = Kept { to: message.to, opted_in, locale: &message.locale, slugs: &slugs };
        let mut cells = vec![message.row.to_string()];
        cells.extend(self.layout.cells(kept, otherwise));
        let state = message.state.as_ref();
        let why = state.and_then(|state| state.why.as_ref());
        let text = |text: Option<String>| text.unwrap_or_default();
        cells.extend([
            message.to.to_string(),
            message.status().to_string(),
            text(why.map(|why| why.reason.code().to_owned())),
            text(why.map(ToString::to_string)),
            text(state.map(|state| state.locale.clone())),
            text(state.map(|state| state.segments.to_string())),
            text(state.and_then(|state| state.sent_at).map(|at| at.to_string())),
            text(state.map(|state| state.changed_at.to_string())),
            message.id.to_string(),
            text(state.map(|state| state.provider_id.clone())),
        ]);
        Ok(cells)
    }

    /// Cells beyond the header's stand last, so that columns stay in line.
    fn refused_cells(&self, refused: Refused) -> Vec<String> {
        let Refused { row, code } = refused;
        let width = self.run.columns.len();
        let mut own = row.fields.into_iter();
        let mut cells = vec![row.row.to_string()];
        cells.extend((0..width).map(|_| own.next().unwrap_or_default()));
        cells.extend([String::new(), "invalid".to_owned(), code, row.problems]);
        cells.extend(std::iter::repeat_n(String::new(), AFTER.len() - 4));
        cells.extend(own);
        cells
    }
}

/// The rows of a run that were refused, as a CSV that can be corrected and sent: the file's own columns, and what is wrong.
#[derive(Debug)]
pub struct Rejections {
    store: Store,
    org: OrgId,
    run: Run,
    after: i64,
    begun: Option<()>,
    rows: u64,
}

impl Rejections {
    /// Of this run, from the beginning.
    pub fn new(store: Store, org: OrgId, run: Run) -> Self {
        Self { store, org, run, after: 0, begun: None, rows: 0 }
    }

    /// How many rows were written so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The next part of the file; `None` when it has ended.
    ///
    /// # Errors
    /// The store refused.
    pub async fn next_page(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let mut page = ReportWriter::new(Vec::new());
        let (columns, width) = (&self.run.columns, self.run.columns.len());
        if self.begun.replace(()).is_none() {
            let error = error_name(columns.iter().map(String::as_str)).to_owned();
            write(&mut page, columns.iter().chain([&error]))?;
        }
        let rows = self.store.refused_rows(&self.org, self.run.id, (self.after, i64::MAX), PAGE).await?;
        for Refused { row, .. } in &rows {
            let nothing = String::new();
            let own = (0..width).map(|place| row.fields.get(place).unwrap_or(&nothing));
            write(&mut page, own.chain([&row.problems]).chain(row.fields.iter().skip(width)))?;
            self.after = row.row;
            self.rows += 1;
        }
        finished(page)
    }
}

/// What herald adds has another name where the file has the same.
fn added_name(name: &str, own: &[String]) -> String {
    if own.contains(&fold_header(name)) { format!("herald_{name}") } else { name.to_owned() }
}

fn write<'c>(page: &mut ReportWriter<Vec<u8>>, cells: impl Iterator<Item = &'c String>) -> Result<(), StoreError> {
    page.write(cells.map(String::as_str)).map_err(unwritable)
}

fn finished(page: ReportWriter<Vec<u8>>) -> Result<Option<Vec<u8>>, StoreError> {
    let bytes = page.finish().map_err(unwritable)?;
    Ok(Some(bytes).filter(|bytes| !bytes.is_empty()))
}

/// Memory takes whatever is written to it: only what is no CSV is refused.
fn unwritable(problem: std::io::Error) -> StoreError {
    StoreError::Damaged { column: "fields".into(), problem: problem.to_string() }
}
