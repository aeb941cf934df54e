//! What is wrong with definitions, all of it at once, and what is only worth knowing.

use std::fmt;

use crate::store::definitions::Kind;

/// One thing that is wrong: where, what, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file (or folder), as seen from the organization's folder.
    pub file: String,
    /// The line, from 1, if it is known.
    pub line: Option<usize>,
    /// The key, if one is to blame: `trigger.contact.to`.
    pub key: Option<String>,
    /// What is wrong and what was expected.
    pub message: String,
}

impl Problem {
    /// A problem of a file as a whole.
    pub fn new(file: &str, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: None, key: None, message: message.into() }
    }

    /// The same, at this line.
    #[must_use]
    pub fn at(mut self, line: Option<usize>) -> Self {
        self.line = line;
        self
    }

    /// The same, of this key.
    #[must_use]
    pub fn of(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ": {key}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Everything that is wrong, in the order of the files; never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, problem) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

/// Something that is right and worth knowing: when a schedule fires next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The file that it concerns.
    pub file: String,
    /// What is to be known.
    pub message: String,
}

impl Notice {
    /// Whether it concerns this definition.
    pub(super) fn is_about(&self, kind: Kind, name: &str) -> bool {
        let kind = if kind == Kind::Configuration { "outbound" } else { kind.as_str() };
        self.file == format!("{kind} {name}")
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.message)
    }
}
