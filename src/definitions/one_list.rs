//! One stored list, handed over by itself: the same checks as when it is applied with everything else, all of it or nothing.

use std::path::{Path, PathBuf};

use super::{
    apply::{ApplyError, TRIES},
    files,
    lists::{ListNeeds, ListPlan},
    plan::fresh_id,
    source::PathOrBytes,
};
use crate::{
    book::{Book, Books},
    clock::Clock,
    domain::{
        contact::{Contact, OptIn},
        definition::{AudienceRef, List},
        id::OrgId,
    },
    intake::csv::{CheckOptions, FileProblem, Row, RowProblem, Summary, check},
    store::{
        Store, StoreError,
        definitions::{Base, Change, InTheWay, Kind, NewDefinition, Save, Saved},
        once::{Asked, Hold},
    },
};

/// A list that is to be put.
#[derive(Clone, Debug)]
pub struct PutList {
    /// Whose.
    pub org: OrgId,
    /// Its name.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// Attests for every row that does not say: they agreed.
    pub attested: Option<OptIn>,
}

/// Why a list was not taken in. What there was before is as it was.
#[derive(Debug, thiserror::Error)]
pub enum NotPut {
    /// There is no such organization.
    #[error("there is no such organization")]
    NoOrganization,
    /// It cannot be a name.
    #[error("{0}")]
    Name(String),
    /// The file as a whole is refused.
    #[error(transparent)]
    File(FileProblem),
    /// Some rows are bad, or repeat a number.
    #[error("{0}")]
    Rows(Box<BadRows>),
    /// Somebody else is taking in a list of this name.
    #[error("list \"{0}\" is being taken in at this moment; try again when that is done")]
    Busy(String),
    /// It could not be applied.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The store refused.
    #[error("the store refused")]
    Store(#[from] StoreError),
}

/// What is wrong with the rows of a list.
#[derive(Debug)]
pub struct BadRows {
    /// All rows.
    pub rows: u64,
    /// Those that are bad.
    pub invalid: u64,
    /// Those that repeat the number of an earlier one.
    pub duplicates: u64,
    /// The problems counted.
    pub summary: Summary,
    /// The first of them.
    pub problems: Vec<RowProblem>,
}

impl std::fmt::Display for BadRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { rows, invalid, duplicates, summary, .. } = self;
        f.write_str("a list is wholly good or not taken in: ")?;
        if *invalid > 0 {
            write!(f, "{invalid} of {rows} rows are bad: {summary}")?;
        }
        if *duplicates > 0 {
            let also = if *invalid > 0 { "; and " } else { "" };
            let repeat = if *duplicates == 1 { "row repeats" } else { "rows repeat" };
            write!(f, "{also}{duplicates} {repeat} the number of an earlier row")?;
        }
        Ok(())
    }
}

/// Why a list was not removed.
#[derive(Debug, thiserror::Error)]
pub enum NotRemoved {
    /// There is none of this name.
    #[error("there is no list \"{0}\"")]
    NotThere(String),
    /// Configurations are sent to it.
    #[error("list \"{0}\" is the audience of {1}; name another there first")]
    Used(String, String),
    /// A run is reading it.
    #[error("list \"{0}\" is being read by {run} of \"{configuration}\"; wait until it has begun, or cancel it", run = .1.run, configuration = .1.configuration)]
    Read(String, InTheWay),
    /// Others change the definitions all the time.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The store refused.
    #[error("the store refused")]
    Store(#[from] StoreError),
}

/// The names of the configurations that are sent to a list.
pub fn users_of<'b>(book: &'b Book, list: &str) -> Vec<&'b str> {
    let to_list = |audience: &Option<AudienceRef>| audience.as_ref().and_then(AudienceRef::list) == Some(list);
    let users = book.configurations().iter().map(|ready| &ready.configuration);
    users.filter(|user| to_list(&user.audience)).map(|user| user.name.as_str()).collect()
}

/// Takes a list in: all of its rows as a new version, or none of them.
///
/// # Errors
/// [`NotPut`]; the list is as it was then.
pub async fn put_list(store: &Store, books: &Books, clock: &Clock, put: &PutList) -> Result<(List, Change), NotPut> {
    let mut problems = Vec::new();
    files::check_name("", &put.name, &mut problems);
    if let Some(problem) = problems.pop() {
        return Err(NotPut::Name(problem.message));
    }
    let hold = take(store, clock, put).await?;
    let done = put_held(store, books, clock, put).await;
    store.let_go(&put.org, &hold).await?;
    done
}

/// One at a time takes in a list of one name: two would number their versions alike.
async fn take(store: &Store, clock: &Clock, put: &PutList) -> Result<Hold, NotPut> {
    // No caller's idempotency key has such a letter in it.
    let key = format!("\u{1}list {}", put.name);
    match store.ask_once(&put.org, &key, "put", clock.now()).await? {
        Asked::Anew(hold) => Ok(hold),
        Asked::Underway | Asked::Other | Asked::Answered { .. } => Err(NotPut::Busy(put.name.clone())),
    }
}

async fn put_held(store: &Store, books: &Books, clock: &Clock, put: &PutList) -> Result<(List, Change), NotPut> {
    let place = PathOrBytes::Path(put.path.clone());
    for _ in 0..TRIES {
        let book = books.current(&put.org).await?.ok_or(NotPut::NoOrganization)?;
        let needs = needs_of(&book, put);
        let stored = book.list(&put.name).ok().cloned();
        let mut plan = match ListPlan::make(&put.name, &place, needs.clone(), stored).await {
            Err(ApplyError::Problems(_)) => return Err(what_is_wrong(needs, &put.path).await?),
            other => other?,
        };
        plan.import(store, &put.org).await?;
        let now = clock.now();
        let definition = NewDefinition {
            kind: Kind::List,
            fresh_id: fresh_id(Kind::List, now, rand::random()),
            name: put.name.clone(),
            body: serde_json::to_string(&plan.list).map_err(ApplyError::from)?,
        };
        let save = Save {
            organization: &book.organization,
            definitions: &[definition],
            removed: &[],
            firings: &[],
            base: Base::At(Some(book.revision)),
        };
        if let Saved::Done(_, changes) = store.save(&save, now).await? {
            store.keep_list_versions(&put.org, &put.name, plan.list.version).await?;
            return Ok((plan.list, changes.first().copied().unwrap_or(Change::Unchanged)));
        }
    }
    Err(ApplyError::Contended.into())
}

/// What every configuration that is sent to the list needs.
fn needs_of(book: &Book, put: &PutList) -> ListNeeds {
    let mut needs = ListNeeds::none(book.organization.default_country);
    for name in users_of(book, &put.name) {
        let Ok(ready) = book.configuration(name) else { continue };
        let user = &ready.configuration;
        let (Ok(channel), Ok(template)) = (book.channel(&user.channel), book.template(&user.template)) else {
            continue;
        };
        let template = &template.template;
        let slugs = template.required_slugs().iter().map(|slug| template.slug_spelling(slug).to_owned());
        needs.add(name, channel.channel_type, slugs.collect(), user.attested());
    }
    if put.attested == Some(OptIn::Yes) {
        needs.attest();
    }
    needs
}

/// The same check again, for each row's own problems.
async fn what_is_wrong(needs: ListNeeds, path: &Path) -> Result<NotPut, ApplyError> {
    let path = path.to_owned();
    let checking = tokio::task::spawn_blocking(move || {
        let (mut judge, mut progress) = (|_: &Row<'_>, _: &Contact| Ok(()), |_: u64| ());
        let file = std::fs::File::open(path).map_err(FileProblem::Io)?;
        check(file, needs.expect(), CheckOptions::new(&mut judge, &mut progress))
    });
    Ok(match checking.await? {
        Err(problem) => NotPut::File(problem),
        Ok(checked) => NotPut::Rows(Box::new(BadRows {
            rows: checked.rows,
            invalid: checked.invalid,
            duplicates: checked.duplicates,
            summary: checked.summary,
            problems: checked.problems,
        })),
    })
}

/// Takes a list away, with its entries.
///
/// # Errors
/// [`NotRemoved`]; it is as it was then.
pub async fn remove_list(
    store: &Store,
    books: &Books,
    clock: &Clock,
    org: &OrgId,
    name: &str,
) -> Result<(), NotRemoved> {
    let not_there = || NotRemoved::NotThere(name.to_owned());
    for _ in 0..TRIES {
        let book = books.current(org).await?.ok_or_else(not_there)?;
        book.list(name).map_err(|_| not_there())?;
        let users = users_of(&book, name);
        if !users.is_empty() {
            return Err(NotRemoved::Used(name.to_owned(), users.join(", ")));
        }
        let save = Save {
            organization: &book.organization,
            definitions: &[],
            removed: &[(Kind::List, name.to_owned())],
            firings: &[],
            base: Base::At(Some(book.revision)),
        };
        match store.save(&save, clock.now()).await? {
            Saved::Done(..) => return Ok(()),
            Saved::Stale => {}
            Saved::Needed(runs) => {
                let first = runs.into_iter().next().ok_or_else(not_there)?;
                return Err(NotRemoved::Read(name.to_owned(), first));
            }
        }
    }
    Err(ApplyError::Contended.into())
}
