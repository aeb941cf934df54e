//! Files that nobody wrote: definitions that are at hand, in the form of files, for the one reader.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use super::{
    files,
    set::DefinitionSet,
    source::{Found, FoundKind, Outside, PathOrBytes, Source},
    stored::folder,
};
use crate::{
    store::definitions::Kind,
    template::{MANIFEST, TemplateSource},
};

/// Files by their paths.
#[derive(Clone, Debug, Default)]
pub(super) struct Made {
    files: BTreeMap<String, PathOrText>,
}

#[derive(Clone, Debug)]
enum PathOrText {
    Text(String),
    Place(PathOrBytes),
}

impl Made {
    /// One more file.
    pub fn add(&mut self, path: impl Into<String>, text: String) {
        self.files.insert(path.into(), PathOrText::Text(text));
    }

    /// A set's own files: what it did not take over from the store.
    pub fn of(set: &DefinitionSet) -> Result<Self, toml::ser::Error> {
        let mut made = Self::default();
        made.add(files::ORGANIZATION, toml::to_string(&set.organization)?);
        let own = |kind: Kind, name: &str| !set.taken_over.names.contains(&(kind, name.to_owned()));
        macro_rules! add {
            ($($kind:ident: $field:ident),*) => {$(
                for (name, one) in set.$field.iter().filter(|(name, _)| own(Kind::$kind, name)) {
                    made.add(path(Kind::$kind, name), toml::to_string(one)?);
                }
            )*};
        }
        add!(Account: accounts, Channel: channels, Configuration: configurations, Hook: hooks, Endpoint: endpoints);
        for (name, template) in set.templates.iter().filter(|(name, _)| own(Kind::Template, name)) {
            made.add_template(name, template)?;
        }
        for (name, place) in set.lists.iter().filter(|(name, _)| own(Kind::List, name)) {
            made.files.insert(format!("lists/{name}.csv"), PathOrText::Place(place.clone()));
        }
        Ok(made)
    }

    fn add_template(&mut self, name: &str, template: &TemplateSource) -> Result<(), toml::ser::Error> {
        let mut manifest = toml::Table::try_from(template)?;
        manifest.remove("texts");
        let folder = format!("{}/{name}", folder(Kind::Template));
        self.add(format!("{folder}/{MANIFEST}"), toml::to_string(&manifest)?);
        // The one line end at the end of a file is its editor's.
        template
            .texts
            .iter()
            .for_each(|(locale, text)| self.add(format!("{folder}/{locale}.hbs"), format!("{text}\n")));
        Ok(())
    }
}

/// The path of a definition's file.
pub(super) fn path(kind: Kind, name: &str) -> String {
    format!("{}/{name}.toml", folder(kind))
}

impl Source for Made {
    fn list(&self, folder: &str) -> io::Result<Option<Vec<Found>>> {
        let below = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let rest = self.files.keys().filter_map(|path| path.strip_prefix(&below));
        let found: BTreeSet<Found> = rest
            .map(|rest| match rest.split_once('/') {
                Some((name, _)) => Found { name: name.to_owned(), kind: FoundKind::Folder },
                None => Found { name: rest.to_owned(), kind: FoundKind::File },
            })
            .collect();
        Ok((folder.is_empty() || !found.is_empty()).then(|| found.into_iter().collect()))
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        match self.files.get(path) {
            Some(PathOrText::Text(text)) => Ok(text.clone().into_bytes()),
            Some(PathOrText::Place(_)) | None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn place(&self, path: &str) -> io::Result<PathOrBytes> {
        match self.files.get(path) {
            Some(PathOrText::Place(place)) => Ok(place.clone()),
            Some(PathOrText::Text(_)) | None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn outside(&self) -> Outside {
        Outside::Unseen
    }
}
