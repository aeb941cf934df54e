//! Stored audiences from CSV: checked like any upload, but wholly good or not taken; imported as a new version when the
//! file, or what is asked of it, has changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    fmt::Write,
};

use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::{
    apply::ApplyError,
    made::{self, Made},
    plan::read_made,
    problem::Problem,
    set::DefinitionSet,
    source::PathOrBytes,
    stored::{self, Stored},
};
use crate::{
    domain::{
        contact::{ChannelType, Contact, OptIn, fold},
        definition::{AudienceRef, Configuration, List},
        id::OrgId,
        phone::Country,
    },
    intake::csv::{CheckOptions, Entries, Entry, Expect, FileProblem, Row, RowProblem, SecondPass, check as check_csv},
    store::{Store, StoreError, definitions::Kind},
    template::Template,
};

/// Entries that are written at a time.
const CHUNK: usize = 2_000;

/// Entries that are looked at at a time.
const PAGE: i64 = 5_000;

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
    /// The configurations that are sent to it.
    users: Vec<String>,
}

impl ListNeeds {
    /// A list that no configuration is sent to.
    pub fn none(default_country: Option<Country>) -> Self {
        let users = Vec::new();
        Self { channel_type: ChannelType::Sms, slugs: BTreeSet::new(), attested: None, default_country, users }
    }

    /// One more configuration.
    pub fn add(&mut self, user: &str, channel_type: ChannelType, slugs: BTreeSet<String>, attested: Option<OptIn>) {
        self.attested = if self.users.is_empty() { attested } else { self.attested.and(attested) };
        self.channel_type = channel_type;
        self.slugs.extend(slugs);
        self.users.push(user.to_owned());
    }

    /// Everybody in it agreed: somebody vouches for it.
    pub fn attest(&mut self) {
        self.attested = Some(OptIn::Yes);
    }

    /// What a file is held against.
    pub fn expect(&self) -> Expect<'_> {
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
    columns: Vec<String>,
    second_pass: SecondPass,
}

/// Checks a list's file; all of its rows must be good. Blocks.
pub(super) fn check(name: &str, place: &PathOrBytes, needs: &ListNeeds) -> Result<GoodList, Vec<Problem>> {
    let file = format!("lists/{name}.csv");
    let unreadable = |problem: &FileProblem| {
        let columns = matches!(problem, FileProblem::MissingColumns { .. });
        let users = if columns { format!("; it is sent to by {}", needs.users.join(", ")) } else { String::new() };
        vec![Problem::new(&file, format!("{}{users}", in_words(problem)))]
    };
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
    Ok(GoodList {
        rows: checked.valid,
        digest: needs.digest(checked.sha256),
        columns: checked.columns.into_iter().map(|column| column.name).collect(),
        second_pass: checked.second_pass,
    })
}

fn in_words(problem: &FileProblem) -> String {
    problem.source().map_or_else(|| problem.to_string(), |source| format!("{problem}: {source}"))
}

/// What is wrong with lists that stay as they are stored, now that something else is asked of them: their entries have what was
/// asked of them before, so that only what is new is looked for, a page at a time.
pub(super) async fn no_longer_good(
    store: &Store,
    seen: &Stored,
    whole: &DefinitionSet,
) -> Result<Vec<Problem>, ApplyError> {
    let mut problems = Vec::new();
    let stays = |(_, place): &(&String, &PathOrBytes)| matches!(place, PathOrBytes::Stored(_));
    let lists: Vec<(&String, &PathOrBytes)> = whole.lists.iter().filter(stays).collect();
    if lists.is_empty() {
        return Ok(problems);
    }
    // What cannot be read any more has promised nothing.
    let before = read_made(Made::default(), seen.clone()).await.ok();
    for (name, place) in lists {
        let PathOrBytes::Stored(list) = place else { continue };
        let needs = whole.list_needs(name);
        let had = before.as_ref().map(|before| before.list_needs(name));
        let old: BTreeSet<String> = had.iter().flat_map(|had| had.slugs.iter().map(|slug| fold(slug))).collect();
        let new = needs.slugs.iter().filter(|slug| !old.contains(&fold(slug))).cloned().collect();
        let missing = missing_in(store, &whole.organization.id, name, list.version, new).await?;
        let attested = had.is_some_and(|had| !had.users.is_empty() && had.attested.is_some());
        problems.extend(in_configurations(whole, name, &missing, attested && needs.attested.is_none()));
    }
    Ok(problems)
}

/// Which of these slugs an entry is without, and the first that is.
async fn missing_in(
    store: &Store,
    org: &OrgId,
    list: &str,
    version: i64,
    mut wanted: BTreeSet<String>,
) -> Result<BTreeMap<String, i64>, StoreError> {
    let mut missing = BTreeMap::new();
    let mut after = 0;
    while !wanted.is_empty() {
        let entries = store.list_entries(org, list, version, after, PAGE).await?;
        let Some(last) = entries.last() else { break };
        after = last.seq;
        for entry in &entries {
            let lacks = |slug: &&String| entry.contact.slugs.get(slug).is_none_or(|value| value.trim().is_empty());
            let found: Vec<String> = wanted.iter().filter(lacks).cloned().collect();
            for slug in found {
                wanted.remove(&slug);
                missing.insert(slug, entry.seq);
            }
        }
    }
    Ok(missing)
}

/// The same, told to each configuration that is sent to the list.
fn in_configurations(
    whole: &DefinitionSet,
    list: &str,
    missing: &BTreeMap<String, i64>,
    unattested: bool,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let to_list = |user: &&Configuration| user.audience.as_ref().and_then(AudienceRef::list) == Some(list);
    for user in whole.configurations.values().filter(to_list) {
        let file = match whole.has_taken_over(Kind::Configuration, &user.name) {
            true => stored::file(Kind::Configuration, &user.name),
            false => made::path(Kind::Configuration, &user.name),
        };
        let source = whole.templates.get(&user.template);
        let template = source.and_then(|source| Template::compile(source).ok());
        let needs = |slug: &str| template.as_ref().is_some_and(|it| it.required_slugs().contains(&fold(slug)));
        for (slug, entry) in missing.iter().filter(|(slug, _)| needs(slug)) {
            let message = format!(
                "list \"{list}\" has no {slug} in its entry {entry}, and template \"{}\" needs it; expected a list that has it for everybody",
                user.template
            );
            problems.push(Problem::new(&file, message).of("audience.list"));
        }
        if unattested && user.attested().is_none() {
            let message = format!(
                "list \"{list}\" was taken in on the word of its configurations that everybody agreed; expected opted_in = true here as well, or the list to be imported anew"
            );
            problems.push(Problem::new(&file, message).of("opted_in"));
        }
    }
    problems
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
        Ok(Self {
            name,
            list: List { version, rows, digest: good.digest, columns: good.columns },
            import: Some(import),
        })
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
