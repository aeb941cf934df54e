//! Templates from files: the organization's own, all of them; of the library, those that a configuration uses.

use std::collections::BTreeMap;

use super::{
    files::{self, is_ignored},
    page::Page,
    problem::Problem,
    source::{FoundKind, Outside, Source},
};
use crate::template::{CompilePlace, MANIFEST, SourceFault, Template, TemplateSource, starter};

/// The folder of an organization's own templates.
pub(super) const FOLDER: &str = "templates";

/// The templates that can be used, read when they are asked for.
pub(super) struct Library<'a> {
    source: &'a dyn Source,
    /// By name: the folder, or `None` for one that is compiled into the binary.
    known: BTreeMap<String, Option<String>>,
    read: BTreeMap<String, Option<(TemplateSource, Template)>>,
    extent: Extent,
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
    /// library. The own ones are read at once.
    pub fn open(source: &'a dyn Source, named: Option<(&Page, &str)>, problems: &mut Vec<Problem>) -> Self {
        let mut library = Self { source, known: BTreeMap::new(), read: BTreeMap::new(), extent: Extent::All };
        let mut starter_too = named.is_none();
        if let Some((page, folder)) = named {
            let folder = folder.trim_end_matches('/');
            match library.folders(folder, problems) {
                Some(names) => library.add(folder, names),
                None if source.outside() == Outside::Starter && folder.starts_with("..") => starter_too = true,
                None => {
                    library.extent = Extent::Some;
                    let message = format!(
                        "there is no folder \"{folder}\"; expected the path of a folder of templates, seen from this file"
                    );
                    problems.push(page.problem("templates", message));
                }
            }
        }
        let own = library.folders(FOLDER, problems);
        starter_too &= own.is_none() || named.is_some();
        if starter_too {
            library.known.extend(starter().unwrap_or_default().into_keys().map(|name| (name, None)));
        }
        if let Some(names) = own {
            library.add(FOLDER, names.clone());
            names.iter().for_each(|name| {
                library.get(name, problems);
            });
        }
        library
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
        let folder = self.known.get(name)?.clone();
        if !self.read.contains_key(name) {
            let read = match folder {
                Some(folder) => self.read_folder(&format!("{folder}/{name}"), problems),
                None => starter().ok().and_then(|mut all| all.remove(name)).map(|source| (source, None)),
            };
            let place = self.known.get(name).cloned().flatten().unwrap_or_else(|| FOLDER.to_owned());
            let folder = format!("{place}/{name}");
            let compiled = read.and_then(|(source, page)| compile(&folder, source, page.as_ref(), problems));
            self.read.insert(name.to_owned(), compiled);
        }
        self.read.get(name)?.as_ref().map(|(_, template)| template)
    }

    /// Everything that was asked for.
    pub fn into_templates(self) -> BTreeMap<String, TemplateSource> {
        self.read.into_iter().filter_map(|(name, read)| Some((name, read?.0))).collect()
    }

    fn add(&mut self, folder: &str, names: Vec<String>) {
        self.known.extend(names.into_iter().map(|name| (name, Some(folder.to_owned()))));
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
