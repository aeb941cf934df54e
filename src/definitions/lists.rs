//! Stored audiences from CSV: checked like any upload, but wholly good or not taken; imported as a new version when the
//! file, or what is asked of it, has changed.

use std::{collections::BTreeSet, error::Error, fmt::Write};

use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::{apply::ApplyError, problem::Problem, source::PathOrBytes};
use crate::{
    domain::{
        contact::{ChannelType, Contact, OptIn},
        definition::List,
        id::OrgId,
        phone::Country,
    },
    intake::csv::{CheckOptions, Entries, Entry, Expect, FileProblem, Row, RowProblem, SecondPass, check as check_csv},
    store::Store,
};

/// Entries that are written at a time.
const CHUNK: usize = 2_000;

/// The most row problems that are named one by one.
const SHOWN: usize = 20;

/// What the rows of a list must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListNeeds {
    channel_type: ChannelType,
    slugs: BTreeSet<String>,
    /// What stands in for a missing `optin`: only if every configuration that is sent to the list attests it.
    attested: Option<OptIn>,
    default_country: Option<Country>,
    users: usize,
}

impl ListNeeds {
    /// A list that no configuration is sent to.
    pub fn none(default_country: Option<Country>) -> Self {
        Self { channel_type: ChannelType::Sms, slugs: BTreeSet::new(), attested: None, default_country, users: 0 }
    }

    /// One more configuration.
    pub fn add(&mut self, channel_type: ChannelType, slugs: BTreeSet<String>, attested: Option<OptIn>) {
        self.attested = if self.users == 0 { attested } else { self.attested.and(attested) };
        self.channel_type = channel_type;
        self.slugs.extend(slugs);
        self.users += 1;
    }

    fn expect(&self) -> Expect<'_> {
        Expect {
            channel_type: self.channel_type,
            configuration: None,
            required_slugs: &self.slugs,
            default_country: self.default_country,
            attested: self.attested,
        }
    }

    /// The file's digest, and what was asked of it: either may change what its entries are.
    fn digest(&self, file: [u8; 32]) -> String {
        let mut hasher = Sha256::new();
        hasher.update(file);
        let Self { channel_type, slugs, attested, default_country, users: _ } = self;
        hasher.update(format!("{channel_type} {slugs:?} {attested:?} {default_country:?}"));
        hasher.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
            let _: std::fmt::Result = write!(text, "{byte:02x}");
            text
        })
    }
}

/// A list whose file is good.
pub(super) struct GoodList {
    /// How many rows it has.
    pub rows: u64,
    digest: String,
    second_pass: SecondPass,
}

/// Checks a list's file; all of its rows must be good. Blocks.
pub(super) fn check(name: &str, place: &PathOrBytes, needs: &ListNeeds) -> Result<GoodList, Vec<Problem>> {
    let file = format!("lists/{name}.csv");
    let unreadable = |problem: &FileProblem| vec![Problem::new(&file, in_words(problem))];
    let reader = place.open().map_err(|problem| vec![Problem::new(&file, format!("cannot be read: {problem}"))])?;
    let (mut judge, mut progress) = (|_: &Row<'_>, _: &Contact| Ok(()), |_: u64| ());
    let options = CheckOptions { shown: SHOWN, ..CheckOptions::new(&mut judge, &mut progress) };
    let checked = check_csv(reader, needs.expect(), options).map_err(|problem| unreadable(&problem))?;
    let mut problems = Vec::new();
    if checked.invalid > 0 {
        problems.push(Problem::new(
            &file,
            format!(
                "{} of {} rows are not good: {}; expected all to be",
                checked.invalid, checked.rows, checked.summary
            ),
        ));
        let row =
            |found: &RowProblem| Problem::new(&file, found.reason().to_string()).at(usize::try_from(found.line).ok());
        problems.extend(checked.problems.iter().map(row));
    }
    if checked.duplicates > 0 {
        let rows = if checked.duplicates == 1 { "row repeats" } else { "rows repeat" };
        let message = format!("{} {rows} the number of an earlier row; expected each number once", checked.duplicates);
        problems.push(Problem::new(&file, message));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(GoodList { rows: checked.valid, digest: needs.digest(checked.sha256), second_pass: checked.second_pass })
}

fn in_words(problem: &FileProblem) -> String {
    problem.source().map_or_else(|| problem.to_string(), |source| format!("{problem}: {source}"))
}

/// What is to be done about a list.
pub(super) struct ListPlan {
    /// Its name.
    pub name: String,
    /// What is to be stored of it.
    pub list: List,
    /// The import, if there is one to be done.
    pub import: Option<Import>,
}

/// A file that is to be imported.
pub(super) struct Import {
    place: PathOrBytes,
    needs: ListNeeds,
    second_pass: SecondPass,
}

impl ListPlan {
    /// Checks the file on a thread that may block, and compares it with what is stored.
    pub async fn make(
        name: &str,
        place: &PathOrBytes,
        needs: ListNeeds,
        stored: Option<List>,
    ) -> Result<Self, ApplyError> {
        let (checked_name, checked_place, checked_needs) = (name.to_owned(), place.clone(), needs.clone());
        let checked = tokio::task::spawn_blocking(move || check(&checked_name, &checked_place, &checked_needs));
        let good = checked.await?.map_err(|problems| ApplyError::Problems(super::Problems(problems)))?;
        let name = name.to_owned();
        if let Some(list) = stored.clone().filter(|list| list.digest == good.digest) {
            return Ok(Self { name, list, import: None });
        }
        let version = stored.map_or(0, |list| list.version) + 1;
        let rows = i64::try_from(good.rows).unwrap_or(i64::MAX);
        let import = Import { place: place.clone(), needs, second_pass: good.second_pass };
        Ok(Self { name, list: List { version, rows, digest: good.digest }, import: Some(import) })
    }

    /// Writes the entries of a new version. Nobody reads them until the list's definition names the version.
    pub async fn import(&mut self, store: &Store, org: &OrgId) -> Result<(), ApplyError> {
        let Some(import) = self.import.take() else { return Ok(()) };
        let version = self.list.version;
        // What a broken-off import of this version has left behind.
        store.keep_list_versions(org, &self.name, version - 1).await?;
        let (hand, mut chunks) = mpsc::channel(2);
        let reader = tokio::task::spawn_blocking(move || import.read(&hand));
        let mut after = 0;
        while let Some(contacts) = chunks.recv().await {
            store.add_list_entries(org, &self.name, version, after, &contacts).await?;
            after += i64::try_from(contacts.len()).unwrap_or(0);
        }
        let read = reader.await?;
        read.map_err(|problem| {
            let problem = Problem::new(&format!("lists/{}.csv", self.name), in_words(&problem));
            ApplyError::Problems(super::Problems(vec![problem]))
        })
    }
}

impl Import {
    fn read(self, hand: &mpsc::Sender<Vec<Contact>>) -> Result<(), FileProblem> {
        let file = self.place.open().map_err(FileProblem::Io)?;
        let mut entries = Entries::open(file, self.needs.expect(), self.second_pass)?;
        loop {
            let chunk = entries.next_chunk(CHUNK)?;
            let contacts: Vec<Contact> = chunk.into_iter().map(Entry::into_contact).collect();
            if contacts.is_empty() || hand.blocking_send(contacts).is_err() {
                return Ok(()); // the end, or the importer has given up and says why
            }
        }
    }
}
