//! One definition made, changed or removed, as the API asks for it: by the very rules of the files. What is asked for is made a
//! file, read over everything that is stored, and saved in one transaction.

use serde_json::{Map, Value};

use super::{
    apply::{ApplyError, TRIES},
    draft, files,
    made::Made,
    plan::{Plan, read_made},
    problem::{Notice, Problem, Problems},
    secrets::{Desk, Taken},
    set::DefinitionSet,
    stored::{self, Stored},
};
use crate::{
    book::connect,
    domain::{id::OrgId, time::Timestamp},
    secret::{NotSealed, Secrets},
    store::{
        Store, StoreError,
        definitions::{Definition, InTheWay, Kind},
    },
};

/// What is wrong with one place of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldProblem {
    /// The place: a JSON pointer.
    pub pointer: String,
    /// What is wrong and what was expected.
    pub detail: String,
}

impl FieldProblem {
    pub(super) fn new(pointer: &str, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.to_owned(), detail: detail.into() }
    }
}

/// What a caller has seen of what it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfMatch {
    /// It does not say.
    Anything,
    /// One of these: versions, or an organization's tags.
    OneOf(Vec<String>),
}

impl IfMatch {
    fn fits(&self, tag: &str) -> bool {
        match self {
            Self::Anything => true,
            Self::OneOf(tags) => tags.iter().any(|seen| seen == tag),
        }
    }
}

/// Whether a definition is to be new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// It must not be there.
    Create,
    /// It must be there.
    Replace(IfMatch),
}

/// A definition of another kind or name that does not fit any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which; `None`: the organization itself.
    pub definition: Option<(Kind, String)>,
    /// Why.
    pub detail: String,
}

/// Why a definition was not changed.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// There is none of this name or id.
    #[error("there is none")]
    Missing,
    /// There is one of this name.
    #[error("the name is taken")]
    Taken,
    /// The caller has seen another version than the one that there is.
    #[error("it was changed meanwhile: it is at version {0}")]
    Changed(String),
    /// What was given is not good.
    #[error("it is not good")]
    Invalid(Vec<FieldProblem>),
    /// It is good, and others would not be any more.
    #[error("others would not fit any more")]
    Breaks(Vec<Broken>),
    /// Others name it.
    #[error("others name it")]
    Used(Vec<(Kind, String)>),
    /// Runs that are not over need it.
    #[error("runs need it")]
    Needed(Vec<InTheWay>),
    /// A secret cannot be kept.
    #[error(transparent)]
    NotSealed(#[from] NotSealed),
    /// Others change the definitions all the time.
    #[error("the definitions are being changed by others")]
    Contended,
    /// herald itself could not do it.
    #[error(transparent)]
    Failed(ApplyError),
}

impl From<StoreError> for Refused {
    fn from(problem: StoreError) -> Self {
        Self::Failed(problem.into())
    }
}

/// What was written.
#[derive(Debug)]
pub struct Written {
    /// The definition as it is now; `None` for the organization.
    pub definition: Option<Definition>,
    /// What is worth knowing of it.
    pub notices: Vec<Notice>,
    /// Everything that the organization defines now.
    pub whole: DefinitionSet,
}

/// Changes one organization's definitions.
#[derive(Clone, Copy, Debug)]
pub struct Editor<'a> {
    /// The store.
    pub store: &'a Store,
    /// What seals secrets.
    pub secrets: &'a Secrets,
    /// Whose.
    pub org: &'a OrgId,
    /// When.
    pub now: Timestamp,
}

type Object = Map<String, Value>;

impl Editor<'_> {
    /// Makes a definition, or says something else of one that is there, by its name or id.
    ///
    /// # Errors
    /// [`Refused`]; nothing is changed then.
    pub async fn write(&self, kind: Kind, name: &str, body: &Object, write: &Write) -> Result<Written, Refused> {
        for _ in 0..TRIES {
            let seen = self.seen().await?;
            let found = find(&seen, kind, name);
            let name = match (write, found) {
                (Write::Create, None) => name,
                (Write::Create, Some(_)) => return Err(Refused::Taken),
                (Write::Replace(_), None) => return Err(Refused::Missing),
                (Write::Replace(seen), Some(found)) => {
                    fits(seen, found)?;
                    &found.name
                }
            };
            let draft = self.draft(kind, name, body, found)?;
            let plan = self.judged(&draft, seen.clone()).await?;
            if let Some(written) = self.save(plan, Some((kind, name))).await? {
                return Ok(written);
            }
        }
        Err(Refused::Contended)
    }

    /// Says something else of the organization itself. `tag` is what it is now, as callers know it.
    ///
    /// # Errors
    /// As [`Editor::write`].
    pub async fn write_organization(&self, body: &Object, seen_tag: &IfMatch) -> Result<Written, Refused> {
        for _ in 0..TRIES {
            let seen = self.seen().await?;
            let before = seen.before.as_ref().ok_or(Refused::Missing)?;
            let now = organization_tag(before);
            if !seen_tag.fits(&now) {
                return Err(Refused::Changed(now));
            }
            let mut body = body.clone();
            let mut problems = Vec::new();
            // Where templates lie is the business of whoever has files.
            let fixed = [("id", Some(self.org.to_string())), ("templates", before.templates.clone())];
            for (key, stored) in fixed {
                let stored = stored.map(Value::from);
                if body.get(key).is_some_and(|given| !given.is_null() && Some(given) != stored.as_ref()) {
                    let detail = "cannot be changed by API; expected it as it is, or none of this key";
                    problems.push(FieldProblem::new(&format!("/{key}"), detail));
                }
                match stored {
                    Some(stored) => drop(body.insert(key.to_owned(), stored)),
                    None => drop(body.remove(key)),
                }
            }
            let mut made = Made::default();
            if let Err(found) = draft::organization_to_files(&mut made, &body) {
                problems.extend(found);
            }
            if !problems.is_empty() {
                return Err(Refused::Invalid(problems));
            }
            let read = read_made(made, Stored { organization: None, ..seen.clone() }).await;
            let own = |problem: &Problem| draft::in_organization(&body, problem);
            let whole = read.map_err(|problem| sorted(problem, &seen, own, Vec::new()))?;
            let plan = Plan::of(self.store, seen.clone(), whole, Vec::new()).await;
            let plan = plan.map_err(|problem| sorted(problem, &seen, own, Vec::new()))?;
            if let Some(written) = self.save(plan, None).await? {
                return Ok(written);
            }
        }
        Err(Refused::Contended)
    }

    /// Removes a definition, by its name or id, if nothing needs it.
    ///
    /// # Errors
    /// As [`Editor::write`].
    pub async fn remove(&self, kind: Kind, name: &str, seen_version: &IfMatch) -> Result<(), Refused> {
        for _ in 0..TRIES {
            let seen = self.seen().await?;
            let found = find(&seen, kind, name).ok_or(Refused::Missing)?;
            fits(seen_version, found)?;
            let gone = (kind, found.name.clone());
            let rest = seen.without(|kind, name| gone.0 == kind && gone.1 == name);
            let users = users(&rest, kind, &gone.1);
            if !users.is_empty() {
                return Err(Refused::Used(users));
            }
            let none = |_: &Problem| None;
            let whole = read_made(Made::default(), rest).await;
            let whole = whole.map_err(|problem| sorted(problem, &seen, none, Vec::new()))?;
            let plan = Plan::of(self.store, seen.clone(), whole, vec![gone]).await;
            let plan = plan.map_err(|problem| sorted(problem, &seen, none, Vec::new()))?;
            if self.save(plan, None).await?.is_some() {
                return Ok(());
            }
        }
        Err(Refused::Contended)
    }

    async fn seen(&self) -> Result<Stored, Refused> {
        let seen = Stored::read(self.store, self.org).await?;
        if seen.revision.is_some() { Ok(seen) } else { Err(Refused::Missing) }
    }

    /// A body as it would be stored, with its secrets sealed.
    fn draft<'d>(
        &self,
        kind: Kind,
        name: &'d str,
        body: &Object,
        found: Option<&Definition>,
    ) -> Result<Draft<'d>, Refused> {
        let mut body = body.clone();
        let stored: Option<Object> = found.and_then(|found| serde_json::from_str(&found.body).ok());
        let desk = Desk { secrets: self.secrets, org: self.org, kind, name, stored: stored.as_ref() };
        let given = body.remove("name");
        let mut taken = desk.take(&mut body)?;
        if given.is_some_and(|given| given != name) {
            let detail = format!(
                "is \"{name}\" and stays so, as runs and other definitions go by it; make another definition and remove this one"
            );
            taken.problems.push(FieldProblem::new("/name", detail));
        }
        let mut unfit = Vec::new();
        files::check_name("", name, &mut unfit);
        taken.problems.extend(unfit.into_iter().map(|problem| FieldProblem::new("/name", problem.message)));
        if kind == Kind::Configuration {
            body.insert("name".to_owned(), name.into());
        }
        Ok(Draft { kind, name, body, taken })
    }

    async fn judged(&self, draft: &Draft<'_>, seen: Stored) -> Result<Plan, Refused> {
        let Draft { kind, name, body, taken } = draft;
        let mut made = Made::default();
        let mut problems = taken.problems.clone();
        // A name that cannot be one is no path either.
        let named = !problems.iter().any(|problem| problem.pointer == "/name");
        if let Err(found) = draft::to_files(&mut made, *kind, name, body) {
            problems.extend(found);
            return Err(Refused::Invalid(problems));
        }
        if !named {
            return Err(Refused::Invalid(problems));
        }
        let own = |problem: &Problem| draft::in_body(*kind, name, body, problem);
        let read = read_made(made, seen.without(|other, known| other == *kind && known == *name)).await;
        let whole = match read {
            Ok(_) if !problems.is_empty() => return Err(Refused::Invalid(problems)),
            Ok(whole) => whole,
            Err(problem) => return Err(sorted(problem, &seen, own, problems)),
        };
        if let (Kind::Account, true, Some(account)) = (kind, taken.given, whole.accounts.get(*name))
            && let Err(problem) = connect(self.org, name, account, self.secrets)
        {
            return Err(Refused::Invalid(vec![FieldProblem::new("", problem.to_string())]));
        }
        let plan = Plan::of(self.store, seen.clone(), whole, Vec::new()).await;
        plan.map_err(|problem| sorted(problem, &seen, own, Vec::new()))
    }

    async fn save(&self, plan: Plan, written: Option<(Kind, &str)>) -> Result<Option<Written>, Refused> {
        let whole = plan.whole.clone();
        let saved = plan.save(self.store, self.now, &mut rand::random).await;
        let applied = match saved {
            Ok(Some(applied)) => applied,
            Ok(None) => return Ok(None),
            Err(ApplyError::Needed(runs)) => return Err(Refused::Needed(runs)),
            Err(problem) => return Err(Refused::Failed(problem)),
        };
        let mut written_down = Written { definition: None, notices: applied.notices, whole };
        if let Some((kind, name)) = written {
            let all = self.store.definitions(self.org).await?;
            written_down.definition = all.into_iter().find(|one| one.kind == kind && one.name == name);
            written_down.notices.retain(|notice| notice.is_about(kind, name));
        }
        Ok(Some(written_down))
    }
}

struct Draft<'a> {
    kind: Kind,
    name: &'a str,
    body: Object,
    taken: Taken,
}

fn find<'s>(seen: &'s Stored, kind: Kind, name: &str) -> Option<&'s Definition> {
    let by_id = || seen.definitions.iter().find(|one| one.kind == kind && one.id == name);
    seen.find(kind, name).or_else(by_id)
}

fn fits(seen: &IfMatch, found: &Definition) -> Result<(), Refused> {
    let version = found.version.to_string();
    if seen.fits(&version) { Ok(()) } else { Err(Refused::Changed(version)) }
}

/// What names a definition.
fn users(rest: &Stored, kind: Kind, name: &str) -> Vec<(Kind, String)> {
    let names = |body: &Value, pointer: &str| body.pointer(pointer).and_then(Value::as_str) == Some(name);
    let uses = |one: &&Definition| {
        let body: Value = serde_json::from_str(&one.body).unwrap_or_default();
        match (kind, one.kind) {
            (Kind::Account, Kind::Channel) => names(&body, "/account"),
            (Kind::Channel, Kind::Channel) => names(&body, "/fallback"),
            (Kind::Channel, Kind::Configuration) => names(&body, "/channel"),
            (Kind::Template, Kind::Configuration) => names(&body, "/template"),
            (Kind::List, Kind::Configuration) => names(&body, "/audience/list"),
            (
                Kind::Account
                | Kind::Channel
                | Kind::Template
                | Kind::Configuration
                | Kind::Hook
                | Kind::Endpoint
                | Kind::List,
                _,
            ) => false,
        }
    };
    rest.definitions.iter().filter(uses).map(|one| (one.kind, one.name.clone())).collect()
}

/// What is wrong, told as the caller's own mistakes or as what the change would break. `own` finds the place in the body.
fn sorted(
    problem: ApplyError,
    seen: &Stored,
    own: impl Fn(&Problem) -> Option<FieldProblem>,
    mut invalid: Vec<FieldProblem>,
) -> Refused {
    let ApplyError::Problems(Problems(found)) = problem else { return Refused::Failed(problem) };
    let mut broken = Vec::new();
    for problem in found {
        match own(&problem) {
            Some(place) => invalid.push(place),
            None => broken.push(Broken { definition: whose(seen, &problem.file), detail: problem.message }),
        }
    }
    if invalid.is_empty() { Refused::Breaks(broken) } else { Refused::Invalid(invalid) }
}

fn whose(seen: &Stored, file: &str) -> Option<(Kind, String)> {
    let found = seen.definitions.iter().find(|one| {
        let own = stored::file(one.kind, &one.name);
        file == own || file.starts_with(&format!("{own}/"))
    });
    found.map(|one| (one.kind, one.name.clone()))
}

/// What tells an organization's settings from others: callers give it back to say what they have seen.
pub fn organization_tag(organization: &crate::domain::definition::Organization) -> String {
    use sha2::{Digest as _, Sha256};
    let text = serde_json::json!(organization).to_string();
    Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
