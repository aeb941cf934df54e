//! Where definitions are read from: a folder, or files that were compiled into the binary. One reader serves both.

use std::{fs, io, path::PathBuf};

use include_dir::{Dir, include_dir};

use crate::domain::definition::List;

/// A tree of files. Paths are relative, with `/` between their parts; `..` may lead out of the organization's folder.
pub trait Source {
    /// What lies in a folder, by name, in order; `None` if there is no such folder.
    ///
    /// # Errors
    /// If it cannot be read.
    fn list(&self, folder: &str) -> io::Result<Option<Vec<Found>>>;

    /// A file's bytes.
    ///
    /// # Errors
    /// If it cannot be read.
    fn read(&self, path: &str) -> io::Result<Vec<u8>>;

    /// Where a file can be opened again later, so that a large one need not be held.
    ///
    /// # Errors
    /// If there is no such file.
    fn place(&self, path: &str) -> io::Result<PathOrBytes>;

    /// What a path that leads out of the organization's folder finds.
    fn outside(&self) -> Outside;
}

/// What lies outside of an organization's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outside {
    /// Whatever is there.
    Files,
    /// Nothing but the starter library.
    Starter,
    /// Nothing that can be seen from here. Templates are those that are stored, then the starter library's.
    Unseen,
}

/// Something in a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Its name, without the folder.
    pub name: String,
    /// What it is.
    pub kind: FoundKind,
}

/// What lies in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FoundKind {
    /// A file.
    File,
    /// A folder.
    Folder,
}

/// A file that is read when it is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathOrBytes {
    /// On disk.
    Path(PathBuf),
    /// In the binary.
    Bytes(&'static [u8]),
    /// In the store: its entries were judged when they came in, and there is no file.
    Stored(List),
}

impl PathOrBytes {
    /// Opens it, from its beginning. Blocks.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(&self) -> io::Result<Box<dyn io::Read + Send>> {
        match self {
            Self::Path(path) => Ok(Box::new(fs::File::open(path)?)),
            Self::Bytes(bytes) => Ok(Box::new(*bytes)),
            Self::Stored(_) => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// A folder on disk.
#[derive(Clone, Debug)]
pub struct OnDisk(pub PathBuf);

impl Source for OnDisk {
    fn list(&self, folder: &str) -> io::Result<Option<Vec<Found>>> {
        let entries = match fs::read_dir(self.0.join(folder)) {
            Ok(entries) => entries,
            Err(problem) if problem.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(problem) => return Err(problem),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry?;
            let kind = if fs::metadata(entry.path())?.is_dir() { FoundKind::Folder } else { FoundKind::File };
            found.push(Found { name: entry.file_name().to_string_lossy().into_owned(), kind });
        }
        found.sort();
        Ok(Some(found))
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        fs::read(self.0.join(path))
    }

    fn place(&self, path: &str) -> io::Result<PathOrBytes> {
        Ok(PathOrBytes::Path(self.0.join(path)))
    }

    fn outside(&self) -> Outside {
        Outside::Files
    }
}

/// Files in the binary. What lies outside of them is not there.
#[derive(Clone, Copy, Debug)]
pub struct Embedded(pub &'static Dir<'static>);

impl Source for Embedded {
    fn list(&self, folder: &str) -> io::Result<Option<Vec<Found>>> {
        let dir = if folder.is_empty() { Some(self.0) } else { self.0.get_dir(folder) };
        let Some(dir) = dir else { return Ok(None) };
        let name = |path: &std::path::Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        let folders = dir.dirs().filter_map(|dir| Some(Found { name: name(dir.path())?, kind: FoundKind::Folder }));
        let files = dir.files().filter_map(|file| Some(Found { name: name(file.path())?, kind: FoundKind::File }));
        let mut found: Vec<Found> = folders.chain(files).collect();
        found.sort();
        Ok(Some(found))
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        embedded(self.0, path).map(<[u8]>::to_vec)
    }

    fn place(&self, path: &str) -> io::Result<PathOrBytes> {
        embedded(self.0, path).map(PathOrBytes::Bytes)
    }

    fn outside(&self) -> Outside {
        Outside::Starter
    }
}

fn embedded(dir: &'static Dir<'static>, path: &str) -> io::Result<&'static [u8]> {
    dir.get_file(path).map(include_dir::File::contents).ok_or_else(|| io::ErrorKind::NotFound.into())
}

static ACME: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/examples/acme");

/// The example organization, compiled in: what `herald demo` uses.
pub const fn acme() -> Embedded {
    Embedded(&ACME)
}

/// The example organization's `customers.csv`: the file that the demo sends to.
pub fn acme_customers() -> &'static [u8] {
    embedded(&ACME, "customers.csv").unwrap_or_default()
}
