//! Templates from files: the organization's own, all of them; of the library, those that a configuration uses; and those that
//! are stored.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    files::{self, is_ignored},
    page::Page,
    problem::Problem,
    source::{FoundKind, Outside, Source},
    stored::Stored,
};
use crate::template::{CompilePlace, MANIFEST, SourceFault, Template, TemplateSource, starter};

/// The folder of an organization's own templates.
pub(super) const FOLDER: &str = "templates";

/// The templates that can be used, read when they are asked for.
pub(super) struct Library<'a> {
    source: &'a dyn Source,
    stored: &'a Stored,
    known: BTreeMap<String, Place>,
    read: BTreeMap<String, Option<(TemplateSource, Template)>>,
    extent: Extent,
}

/// Where a template is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// In a folder of this folder.
    Folder(String),
    /// Compiled into the binary.
    Starter,
    /// In the store.
    Stored,
}

/// Whether all templates were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// A name that is not known is wrong.
    All,
    /// The folder that `organization.toml` names is missing, which was said: any name may have been in it.
    Some,
}

impl<'a> Library<'a> {
    /// Finds the templates: the organization's own folder, then the one that `organization.toml` names; else the starter
    /// library. The own ones are read at once, and so are those that are stored: they come after a library's where a file
    /// wants that one, and before it elsewhere.
    pub fn open(
        source: &'a dyn Source,
        stored: &'a Stored,
        named: Option<(&Page, &str)>,
        wanted: &BTreeSet<String>,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut library = Self { source, stored, known: BTreeMap::new(), read: BTreeMap::new(), extent: Extent::All };
        let own = library.folders(FOLDER, problems);
        let unseen = source.outside() == Outside::Unseen;
        if unseen {
            library.add_starter();
        } else {
            library.add_library(named, own.is_some(), problems);
        }
        for name in stored
            .templates()
            .filter(|name| unseen || !wanted.contains(*name) || !library.known.contains_key(*name))
            .collect::<Vec<_>>()
        {
            library.known.insert(name.to_owned(), Place::Stored);
        }
        library.add(FOLDER, own.clone().unwrap_or_default());
        let at_once = own.unwrap_or_default().into_iter().chain(library.stored_ones());
        at_once.collect::<Vec<_>>().iter().for_each(|name| {
            library.get(name, problems);
        });
        library
    }

    /// The folder that `organization.toml` names, or the starter library.
    fn add_library(&mut self, named: Option<(&Page, &str)>, has_own: bool, problems: &mut Vec<Problem>) {
        let mut starter_too = named.is_none() && !has_own;
        if let Some((page, folder)) = named {
            let folder = folder.trim_end_matches('/');
            match self.folders(folder, problems) {
                Some(names) => self.add(folder, names),
                None if self.source.outside() == Outside::Starter && folder.starts_with("..") => starter_too = true,
                None => {
                    self.extent = Extent::Some;
                    let message = format!(
                        "there is no folder \"{folder}\"; expected the path of a folder of templates, seen from this file"
                    );
                    problems.push(page.problem("templates", message));
                }
            }
        }
        if starter_too {
            self.add_starter();
        }
    }

    fn add_starter(&mut self) {
        let names = starter().unwrap_or_default().into_keys();
        self.known.extend(names.map(|name| (name, Place::Starter)));
    }

    fn stored_ones(&self) -> Vec<String> {
        let stored = self.known.iter().filter(|(_, place)| **place == Place::Stored);
        stored.map(|(name, _)| name.clone()).collect()
    }

    /// Every template's name.
    pub fn names(&self) -> Vec<&str> {
        self.known.keys().map(String::as_str).collect()
    }

    /// Whether there is, or may be, a template of this name, good or not.
    pub fn may_have(&self, name: &str) -> bool {
        self.known.contains_key(name) || self.extent == Extent::Some
    }

    /// A template, compiled; `None` if there is none, or it is not good, which is then said once.
    pub fn get(&mut self, name: &str, problems: &mut Vec<Problem>) -> Option<&Template> {
        let place = self.known.get(name)?.clone();
        if !self.read.contains_key(name) {
            let (folder, read) = match place {
                Place::Folder(folder) => {
                    let folder = format!("{folder}/{name}");
                    let read = self.read_folder(&folder, problems);
                    (folder, read)
                }
                Place::Starter => {
                    let source = starter().ok().and_then(|mut all| all.remove(name));
                    (format!("{FOLDER}/{name}"), source.map(|source| (source, None)))
                }
                Place::Stored => {
                    let (file, source) = self.stored.template(name)?;
                    (file, Some((source, None)))
                }
            };
            let compiled = read.and_then(|(source, page)| compile(&folder, source, page.as_ref(), problems));
            self.read.insert(name.to_owned(), compiled);
        }
        self.read.get(name)?.as_ref().map(|(_, template)| template)
    }

    /// Everything that was asked for, and the names of what of it is stored.
    pub fn into_templates(self) -> (BTreeMap<String, TemplateSource>, Vec<String>) {
        let stored = self.stored_ones();
        (self.read.into_iter().filter_map(|(name, read)| Some((name, read?.0))).collect(), stored)
    }

    fn add(&mut self, folder: &str, names: Vec<String>) {
        self.known.extend(names.into_iter().map(|name| (name, Place::Folder(folder.to_owned()))));
    }

    fn folders(&self, folder: &str, problems: &mut Vec<Problem>) -> Option<Vec<String>> {
        let found = files::list(self.source, folder, problems)?;
        let mut names = Vec::new();
        for entry in found.into_iter().filter(|entry| !is_ignored(&entry.name)) {
            let path = format!("{folder}/{}", entry.name);
            match entry.kind {
                FoundKind::Folder => {
                    files::check_name(&path, &entry.name, problems);
                    names.push(entry.name);
                }
                FoundKind::File => problems.push(Problem::new(&path, format!("is not a template; expected a folder {folder}/NAME with {MANIFEST} and one LOCALE.hbs for each language"))),
            }
        }
        Some(names)
    }

    /// A template's source, and its manifest for whoever has to name a place in it.
    fn read_folder(&self, folder: &str, problems: &mut Vec<Problem>) -> Option<(TemplateSource, Option<Page>)> {
        let before = problems.len();
        let mut manifest = None;
        let mut texts = Vec::new();
        for entry in files::list(self.source, folder, problems)?.into_iter().filter(|entry| !is_ignored(&entry.name)) {
            let path = format!("{folder}/{}", entry.name);
            let Some(bytes) = files::read(self.source, &path, problems) else { continue };
            match String::from_utf8(bytes) {
                Ok(text) if entry.name == MANIFEST => manifest = Some(text),
                Ok(text) => texts.push((entry.name, text)),
                Err(_) => problems.push(Problem::new(&path, SourceFault::NotUtf8.to_string())),
            }
        }
        let Some(manifest) = manifest else {
            problems.push(Problem::new(
                &format!("{folder}/{MANIFEST}"),
                "there is no such file; expected channel_type, default_locale and purpose in it",
            ));
            return None;
        };
        let page = Page::new(&format!("{folder}/{MANIFEST}"), manifest.clone().into_bytes()).ok();
        match TemplateSource::from_files(&manifest, texts) {
            Ok(source) if problems.len() == before => Some((source, page)),
            Ok(_) => None,
            Err(found) => {
                problems.extend(found.into_iter().map(|found| match (&page, &found.key) {
                    (Some(page), Some(key)) => page.problem(key, found.fault.to_string()),
                    _ => Problem::new(&format!("{folder}/{}", found.file), found.fault.to_string()),
                }));
                None
            }
        }
    }
}

fn compile(
    folder: &str,
    source: TemplateSource,
    page: Option<&Page>,
    problems: &mut Vec<Problem>,
) -> Option<(TemplateSource, Template)> {
    match Template::compile(&source) {
        Ok(template) => Some((source, template)),
        Err(found) => {
            problems.extend(found.into_iter().map(|found| match (found.place, page) {
                (CompilePlace::Text { locale, line, column }, _) => {
                    let message = format!("column {column}: {}", found.fault);
                    Problem::new(&format!("{folder}/{locale}.hbs"), message).at(Some(line))
                }
                (CompilePlace::Manifest { key }, Some(page)) => page.problem(&key, found.fault.to_string()),
                (CompilePlace::Manifest { key }, None) => {
                    Problem::new(&format!("{folder}/{MANIFEST}"), found.fault.to_string()).of(key)
                }
            }));
            None
        }
    }
}
