//! Secrets: references to them in files, and the values, which show themselves to nobody.
//!
//! Settings and definitions never hold a secret, only `{ env = "NAME" }` or `{ file = "PATH" }`, or what the API was given,
//! sealed (`sealing`). A [`Secret`] has no `Serialize`, no comparison (use `subtle`) and a redacted `Debug`; no error here repeats a value that it was given.

mod sealing;

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fmt, fs, io,
    path::{Path, PathBuf},
};

pub use crate::domain::secret_ref::SecretRef;
pub use sealing::{NotSealed, Place};

/// The variable that the seal key is in, unless the setting `seal_key` says otherwise.
pub const SEAL_KEY: &str = "HERALD_SEAL_KEY";

/// A value that must not be seen. Only [`Secret::expose`] gives it away, so that a search finds every place.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Takes the value in.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself: for a signature or an `Authorization` header, and for nothing that is kept or shown.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Why a reference led to no secret. Names the place, never the value.
#[derive(Debug, thiserror::Error)]
pub enum SecretProblem {
    /// The variable is not set.
    #[error("environment variable {name} is not set; expected a secret in it")]
    MissingVariable {
        /// The variable.
        name: String,
    },
    /// The file cannot be read.
    #[error("cannot read file {}; expected a secret in it", path.display())]
    UnreadableFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is sealed, and there is no key to open it with.
    #[error("the secret is sealed, and cannot be opened: {0}")]
    NoSealKey(#[source] Box<NotSealed>),
    /// It is sealed, and the key that there is does not open it here.
    #[error("the sealed secret does not open: it was sealed with another key, or for another definition; give it anew")]
    Unopened,
    /// There is nothing there.
    #[error("{place} is empty; expected a secret in it")]
    Empty {
        /// Where.
        place: SecretRef,
    },
    /// What is there is not UTF-8 text.
    #[error("{place} is not UTF-8 text; expected a secret in it")]
    NotText {
        /// Where.
        place: SecretRef,
    },
}

/// Follows references. The environment and files are read when asked, so that a reload sees new values.
#[derive(Clone, Debug)]
pub struct Secrets {
    overrides: BTreeMap<String, Secret>,
    seal_key: SecretRef,
    environment: fn(&str) -> Option<OsString>,
}

impl Secrets {
    /// With the variables of this process.
    pub fn from_environment() -> Self {
        let seal_key = SecretRef::Env(SEAL_KEY.to_owned());
        Self { overrides: BTreeMap::new(), seal_key, environment: |name| env::var_os(name) }
    }

    /// Gives the variable `name` a value that comes before the environment's: for the demo and for tests.
    #[must_use]
    pub fn with_override(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.overrides.insert(name.into(), Secret::new(value));
        self
    }

    /// The secret that a reference leads to. From a file, one newline at the end is taken off. What is sealed opens only in its
    /// place: [`Secrets::of`].
    ///
    /// Reads files on the calling thread: for start-up and reload, not for the path of a message.
    pub fn resolve(&self, place: &SecretRef) -> Result<Secret, SecretProblem> {
        let value = match place {
            SecretRef::Env(name) => self.variable(name, place)?,
            SecretRef::File(path) => read(path, place)?,
            SecretRef::Sealed(_) => return Err(SecretProblem::Unopened),
        };
        if value.trim().is_empty() {
            return Err(SecretProblem::Empty { place: place.clone() });
        }
        Ok(Secret(value))
    }

    fn variable(&self, name: &str, place: &SecretRef) -> Result<String, SecretProblem> {
        if let Some(Secret(value)) = self.overrides.get(name) {
            return Ok(value.clone());
        }
        let value = (self.environment)(name).ok_or_else(|| SecretProblem::MissingVariable { name: name.to_owned() })?;
        value.into_string().map_err(|_| SecretProblem::NotText { place: place.clone() })
    }
}

fn read(path: &Path, place: &SecretRef) -> Result<String, SecretProblem> {
    let bytes = fs::read(path).map_err(|source| SecretProblem::UnreadableFile { path: path.to_owned(), source })?;
    let mut value = String::from_utf8(bytes).map_err(|_| SecretProblem::NotText { place: place.clone() })?;
    if value.ends_with('\n') {
        value.truncate(value.len() - if value.ends_with("\r\n") { 2 } else { 1 });
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use crate::domain::secret_ref::HOW;

    use super::*;

    #[derive(Deserialize, Serialize, Debug, PartialEq)]
    struct Account {
        token: SecretRef,
    }

    fn parse(text: &str) -> Result<SecretRef, String> {
        toml::from_str::<Account>(text).map(|account| account.token).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn references_are_read_and_written_back() {
        for (text, reference, shown) in [
            (
                r#"token = { env = "ACME_TOKEN" }"#,
                SecretRef::Env("ACME_TOKEN".into()),
                "environment variable ACME_TOKEN",
            ),
            (r#"token = { file = "/run/key" }"#, SecretRef::File("/run/key".into()), "file /run/key"),
        ] {
            assert_eq!((parse(text), reference.to_string().as_str()), (Ok(reference.clone()), shown), "{text}");
            let written = toml::to_string(&Account { token: reference.clone() }).unwrap();
            assert_eq!(parse(&written), Ok(reference), "{written}");
        }
        assert_eq!(serde_json::to_string(&SecretRef::Env("A".into())).unwrap(), r#"{"env":"A"}"#);
        assert_eq!(serde_json::from_str::<SecretRef>(r#"{"file":"f"}"#).unwrap(), SecretRef::File("f".into()));
    }

    #[test]
    fn anything_else_is_refused_in_words_that_repeat_no_value() {
        let cases = [
            (r#""9731hunter""#, "never as the value itself"),
            ("9731", "never as the value itself"),
            ("9731.5", "never as the value itself"),
            ("true", "never as the value itself"),
            (r#"["9731"]"#, "not as a list"),
            (r#"{ env = "A", file = "9731" }"#, "one of the two, not both"),
            (r#"{ enw = "9731" }"#, "unknown key \"enw\""),
            (r#"{ env = "9731hunter" }"#, "env: expected the name of an environment variable"),
            (r#"{ env = "A B" }"#, "env: expected the name of an environment variable"),
            ("{ env = 9731 }", "env: expected the name of an environment variable"),
            (r#"{ file = "" }"#, "file: expected a path"),
            ("{}", "neither is given"),
        ];
        for (value, expected) in cases {
            let message = parse(&format!("token = {value}")).unwrap_err();
            assert!(message.contains(expected) && !message.contains("9731"), "{value}: {message}");
            if !value.contains(" =") {
                assert!(message.contains(HOW), "{message}");
                let message = serde_json::from_str::<SecretRef>(value).unwrap_err().to_string();
                assert!(message.contains(expected) && !message.contains("9731"), "{value}: {message}");
            }
        }
    }

    #[test]
    fn a_secret_shows_itself_to_nobody() {
        let secrets = Secrets::from_environment().with_override("TOKEN", "hunter2");
        let secret = secrets.resolve(&SecretRef::Env("TOKEN".into())).unwrap();
        assert_eq!(secret.expose(), "hunter2");
        let shown = format!("{secret} {secret:?} {secret:#?} {secrets:?}");
        assert!(!shown.contains("hunter2") && shown.contains("[redacted]"), "{shown}");
    }

    #[test]
    fn variables_come_from_the_overrides_first_and_then_the_environment() {
        let resolve = |secrets: &Secrets, name: &str| match secrets.resolve(&SecretRef::Env(name.into())) {
            Ok(secret) => secret.expose().to_owned(),
            Err(problem) => problem.to_string(),
        };
        let environment = |name: &str| match name {
            "SET" | "BOTH" => Some("from outside".into()),
            "BLANK" => Some(" ".into()),
            _ => None,
        };
        let secrets = Secrets { environment, ..Secrets::from_environment() }.with_override("BOTH", "from here");
        for (name, expected) in [
            ("SET", "from outside"),
            ("BOTH", "from here"),
            ("BLANK", "environment variable BLANK is empty; expected a secret in it"),
            ("ABSENT", "environment variable ABSENT is not set; expected a secret in it"),
        ] {
            assert_eq!(resolve(&secrets, name), expected);
        }
        assert!(!resolve(&Secrets::from_environment(), "PATH").is_empty());
    }

    #[test]
    fn files_lose_one_newline_and_problems_name_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let resolve = |name: &str, content: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            Secrets::from_environment().resolve(&SecretRef::File(path))
        };
        for (content, value) in [("key", "key"), ("key\n", "key"), ("key\r\n", "key"), ("key\n\n", "key\n")] {
            assert_eq!(resolve("good", content.as_bytes()).unwrap().expose(), value, "{content:?}");
        }
        let empty = resolve("empty", b"\n").unwrap_err();
        assert!(
            matches!(&empty, SecretProblem::Empty { .. }) && empty.to_string().contains("empty is empty"),
            "{empty}"
        );
        let binary = resolve("binary", b"\xff\xfe").unwrap_err();
        assert!(matches!(&binary, SecretProblem::NotText { .. }), "{binary}");
        let absent = Secrets::from_environment().resolve(&SecretRef::File(folder.path().join("absent"))).unwrap_err();
        assert!(
            matches!(&absent, SecretProblem::UnreadableFile { .. }) && absent.to_string().contains("absent"),
            "{absent}"
        );
    }
}
