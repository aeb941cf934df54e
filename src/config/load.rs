//! Reading the settings from their sources, and saying what is wrong with them, where, and what was meant.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use toml::de::DeTable;

use super::{
    Config, WorkerConfig,
    slot::{Given, KEYS},
};
use crate::{
    domain::time::Span,
    keys::{self, Complaint},
    secret::SEAL_KEY,
};

/// The file that is read when no other is named, if it is there.
pub const DEFAULT_FILE: &str = "herald.toml";

const PREFIX: &str = "HERALD_";

/// Variables that are not settings: the tests' own, and secrets that references name. The seal key is one of these: where it is
/// found can be said in a file only, so that nobody gives the key where its place is asked for.
const NOT_SETTINGS: [&str; 3] = ["HERALD_TEST_", "HERALD_SECRET_", SEAL_KEY];

impl Config {
    /// The settings of a process. Without a `file`, [`DEFAULT_FILE`] is read if it is there.
    pub fn load(
        file: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
        overrides: &Overrides,
    ) -> Result<Self, ConfigProblem> {
        let mut config = Self::default();
        let path = file.unwrap_or(Path::new(DEFAULT_FILE));
        match fs::read_to_string(path) {
            Ok(text) => config.read(path, &text)?,
            Err(absent) if file.is_none() && absent.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(ConfigProblem::Unreadable { file: path.to_owned(), source }),
        }
        for (name, value) in env {
            if let Some(rest) = name.strip_prefix(PREFIX)
                && !NOT_SETTINGS.iter().any(|prefix| name.starts_with(prefix))
            {
                let key = rest.to_lowercase().replace("__", ".");
                config.set(&Origin::Variable(name), &key, &Given::bare(&value))?;
            }
        }
        for (key, value) in &overrides.0 {
            config.set(&Origin::Flag, key, &Given::bare(value))?;
        }
        config.check()?;
        Ok(config)
    }

    fn read(&mut self, file: &Path, text: &str) -> Result<(), ConfigProblem> {
        let syntax = |source| ConfigProblem::Syntax { file: file.to_owned(), source };
        if let Some(unknown) = keys::unknown_keys(text, KEYS).map_err(syntax)?.into_iter().next() {
            let origin = Origin::File { file: file.to_owned(), line: unknown.line };
            let meant = unknown.nearest.map(|key| origin.spelled(&key));
            return Err(ConfigProblem::UnknownKey { origin, key: unknown.path, meant });
        }
        let table = DeTable::parse(text).map_err(|error| syntax(keys::complaint(text, &error)))?;
        self.read_table(file, text, "", table.get_ref())
    }

    fn read_table(&mut self, file: &Path, text: &str, above: &str, table: &DeTable<'_>) -> Result<(), ConfigProblem> {
        for (key, value) in table {
            let path = format!("{above}{}", key.get_ref());
            let origin = Origin::File { file: file.to_owned(), line: keys::line_of(text, key.span().start) };
            match value.get_ref().as_table() {
                Some(inner) if !KEYS.contains(&path.as_str()) => {
                    self.read_table(file, text, &format!("{path}."), inner)?;
                }
                _ => self.set(&origin, &path, &Given::typed(value.get_ref()))?,
            }
        }
        Ok(())
    }

    fn set(&mut self, origin: &Origin, key: &str, given: &Given) -> Result<(), ConfigProblem> {
        let Some(slot) = self.slot(key) else {
            let below = format!("{key}.");
            if KEYS.iter().any(|known| known.starts_with(&below)) {
                let expected = format!("a table of settings, found {}", given.found());
                return Err(ConfigProblem::WrongValue { origin: origin.clone(), key: key.to_owned(), expected });
            }
            let meant = keys::nearest_path(key, KEYS).map(|key| origin.spelled(&key));
            return Err(ConfigProblem::UnknownKey { origin: origin.clone(), key: key.to_owned(), meant });
        };
        slot.fill(given).map_err(|expected| ConfigProblem::WrongValue {
            origin: origin.clone(),
            key: key.to_owned(),
            expected,
        })
    }

    /// A lease that ends while an answer may still come would put every slow message in doubt.
    fn check(&self) -> Result<(), ConfigProblem> {
        let WorkerConfig { lease, connect_timeout, answer_timeout, .. } = self.worker;
        let longest = connect_timeout.saturating_add(answer_timeout);
        if lease > longest {
            return Ok(());
        }
        let expected = format!(
            "more than worker.connect_timeout and worker.answer_timeout together ({}), found {}",
            Span(longest),
            Span(lease)
        );
        Err(ConfigProblem::Contradiction { key: "worker.lease", expected })
    }
}

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigProblem {
    /// The file that was named cannot be read.
    #[error("cannot read the settings in {}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("{}: not valid TOML", file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: Complaint,
    },
    /// There is no such setting.
    #[error("{origin}: unknown setting \"{key}\"{}", meant.as_ref().map(|meant| format!("; did you mean {meant}?")).unwrap_or_default())]
    UnknownKey {
        /// Where it was set.
        origin: Origin,
        /// Its path.
        key: String,
        /// The nearest setting, spelled as it would be there.
        meant: Option<String>,
    },
    /// The value does not fit.
    #[error("{origin}: {key}: expected {expected}")]
    WrongValue {
        /// Where it was set.
        origin: Origin,
        /// The setting's path.
        key: String,
        /// What would fit, and what is there.
        expected: String,
    },
    /// Two settings do not go together.
    #[error("{key}: expected {expected}")]
    Contradiction {
        /// The setting to change.
        key: &'static str,
        /// What would fit, and what is there.
        expected: String,
    },
}

/// Where a setting was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In a file.
    File {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// In the environment.
    Variable(String),
    /// On the command line.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line } => write!(f, "{}, line {line}", file.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Flag => f.write_str("command line"),
        }
    }
}

impl Origin {
    /// A setting's path as it is spelled there.
    fn spelled(&self, key: &str) -> String {
        match self {
            Self::Variable(_) => format!("{PREFIX}{}", key.replace('.', "__").to_uppercase()),
            Self::File { .. } | Self::Flag => format!("\"{key}\""),
        }
    }
}

/// Settings given on the command line, as (path, value).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides(Vec<(String, String)>);

impl Overrides {
    /// With one more; the last one for a path counts.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.push((key.into(), value.into()));
        self
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::LogFormat, *};

    const EXAMPLE: &str = include_str!("../../herald.example.toml");

    fn load(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("herald.toml");
        fs::write(&path, file).unwrap();
        let env = env.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let flags = flags.iter().fold(Overrides::default(), |flags, (key, value)| flags.with(*key, *value));
        Config::load(Some(&path), env, &flags).map_err(|problem| {
            let source = std::error::Error::source(&problem).map(|source| format!(": {source}")).unwrap_or_default();
            format!("{problem}{source}").replace(&path.display().to_string(), "herald.toml")
        })
    }

    #[test]
    fn the_example_holds_every_setting_with_its_default() {
        let with_comments: Vec<&str> = EXAMPLE
            .lines()
            .map(|line| if line.contains(" = ") { line.trim_start_matches("# ") } else { line })
            .collect();
        let live = with_comments.join("\n");
        let table: toml::Value = toml::from_str(&live).unwrap();
        for key in KEYS {
            let value = key.split('.').try_fold(&table, |table, key| table.get(key));
            assert!(value.is_some(), "{key} is not in herald.example.toml");
        }
        assert_eq!(load(EXAMPLE, &[], &[]), Ok(Config::default()));
        let config = load(&live, &[], &[]).unwrap();
        assert_eq!(Config { public_url: None, ..config }, Config::default());
    }

    #[test]
    fn later_sources_override_earlier_ones() {
        let file = "listen = \"0.0.0.0:1\"\n[worker]\nslots = 1\nconcurrency = 1_0\npoll = \"1s\"\n";
        let env = [
            ("HERALD_WORKER__SLOTS", "2"),
            ("HERALD_WORKER__CONCURRENCY", "20"),
            ("HERALD_LOG__FORMAT", "json"),
            ("HERALD_WEBHOOKS__ALLOW_PRIVATE", "true"),
            ("HERALD_DATABASE_URL", "postgres://db/herald"),
            ("HERALD_TEST_ANYTHING", "x"),
            ("HERALD_SECRET_TOKEN", "x"),
            ("PATH", "x"),
        ];
        let flags = [("worker.slots", "3"), ("public_url", "https://herald.example.com/"), ("intake.coalesce", "0s")];
        let config = load(file, &env, &flags).unwrap();
        assert_eq!((config.worker.slots, config.worker.concurrency), (3, 20));
        assert_eq!((config.worker.poll, config.intake.coalesce), (Duration::from_secs(1), Duration::ZERO));
        assert_eq!((config.listen.port(), config.log.format), (1, LogFormat::Json));
        assert!(config.webhooks.allow_private);
        assert_eq!(config.database_url.expose(), "postgres://db/herald");
        assert_eq!(config.public_url.as_deref(), Some("https://herald.example.com"));
    }

    #[test]
    fn problems_in_the_file_are_named_with_their_line() {
        let cases = [
            ("a", "herald.toml: not valid TOML: line 1: key with no value, expected `=`"),
            ("\nlisten_on = 1", "herald.toml, line 2: unknown setting \"listen_on\"; did you mean \"listen\"?"),
            (
                "[worker]\nslot = 1",
                "herald.toml, line 2: unknown setting \"worker.slot\"; did you mean \"worker.slots\"?",
            ),
            ("zebra = 1", "herald.toml, line 1: unknown setting \"zebra\""),
            ("slots = 1", "herald.toml, line 1: unknown setting \"slots\"; did you mean \"worker.slots\"?"),
            ("[wroker]\nslots = 1", "herald.toml, line 1: unknown setting \"wroker\"; did you mean \"worker\"?"),
            ("worker = 5", "herald.toml, line 1: worker: expected a table of settings, found the number 5"),
            (
                "[[worker]]\nslots = 1",
                "herald.toml, line 1: worker: expected a table of settings, found a value of type array",
            ),
            (
                "[worker]\nslots = \"5\"",
                "herald.toml, line 2: worker.slots: expected a whole number from 1 to 10000, found \"5\"",
            ),
            (
                "[worker]\nslots = 0",
                "herald.toml, line 2: worker.slots: expected a whole number from 1 to 10000, found the number 0",
            ),
            (
                "[worker]\npoll = \"0s\"",
                "herald.toml, line 2: worker.poll: expected a length of time like \"250ms\", \"30s\" or \"15m\", found \"0s\"",
            ),
            (
                "[worker]\npoll = 5",
                "herald.toml, line 2: worker.poll: expected a length of time like \"250ms\", \"30s\" or \"15m\", found the number 5",
            ),
            (
                "[worker]\nlease = \"35s\"",
                "worker.lease: expected more than worker.connect_timeout and worker.answer_timeout together (35s), found 35s",
            ),
            (
                "[webhooks]\nallow_private = \"true\"",
                "herald.toml, line 2: webhooks.allow_private: expected true or false, found \"true\"",
            ),
            (
                "[worker]\nslots = true",
                "herald.toml, line 2: worker.slots: expected a whole number from 1 to 10000, found true",
            ),
            ("log.format = \"xml\"", "herald.toml, line 1: log.format: expected \"pretty\" or \"json\", found \"xml\""),
            (
                "listen = \"localhost\"",
                "herald.toml, line 1: listen: expected an address and a port like \"127.0.0.1:8080\", found \"localhost\"",
            ),
            (
                "public_url = \"herald.example.com\"",
                "herald.toml, line 1: public_url: expected a URL like \"https://herald.example.com\", without ? and #, found \"herald.example.com\"",
            ),
            (
                "database_url = \"mysql://me:hunter2@db\"",
                "herald.toml, line 1: database_url: expected text that begins with \"sqlite:\" or \"postgres:\"",
            ),
        ];
        for (file, expected) in cases {
            assert_eq!(load(file, &[], &[]), Err(expected.to_owned()), "{file}");
        }
    }

    #[test]
    fn problems_elsewhere_are_named_as_they_are_written_there() {
        let slots = "expected a whole number from 1 to 10000, found \"many\"";
        for (env, flags, expected) in [
            (("HERALD_WORKER_SLOTS", "1"), None, "environment variable HERALD_WORKER_SLOTS: unknown setting \"worker_slots\"; did you mean HERALD_WORKER__SLOTS?".to_owned()),
            (("HERALD_WORKER__SLOTS", "many"), None, format!("environment variable HERALD_WORKER__SLOTS: worker.slots: {slots}")),
            (("HERALD_QUITE_DIFFERENT", "x"), None, "environment variable HERALD_QUITE_DIFFERENT: unknown setting \"quite_different\"".to_owned()),
            (("X", ""), Some(("worker.slots", "many")), format!("command line: worker.slots: {slots}")),
            (("X", ""), Some(("lisen", "")), "command line: unknown setting \"lisen\"; did you mean \"listen\"?".to_owned()),
        ] {
            assert_eq!(load("", &[env], flags.as_slice()), Err(expected));
        }
    }

    #[test]
    fn a_file_that_was_named_must_be_there() {
        let problem = Config::load(Some(Path::new("/nowhere/herald.toml")), std::iter::empty(), &Overrides::default());
        assert_eq!(problem.unwrap_err().to_string(), "cannot read the settings in /nowhere/herald.toml");
    }
}
