//! herald's settings: defaults, overridden by `herald.toml`, by `HERALD_…` variables, by flags, in this order.
//!
//! This file is what can be set; `load` reads the sources, `slot` says what fits where. Nothing here reads the environment
//! or the time: the caller hands them in. Every setting stands in [`Config`], in `slot` and in `herald.example.toml`, and
//! a test holds the three together.

mod load;
mod slot;

use std::{
    collections::BTreeMap,
    fmt,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use crate::secret::{SEAL_KEY, SecretRef};
pub use load::{ConfigProblem, DEFAULT_FILE, Origin, Overrides};

/// Everything that can be set. `Config::default()` is herald as it comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the store is: `sqlite:…` or `postgres:…`.
    pub database_url: DatabaseUrl,
    /// Where the API, the callbacks and the console listen.
    pub listen: SocketAddr,
    /// How the world reaches `listen`, without a `/` at the end: callback URLs begin with it, signatures are checked
    /// against it. Without one, the address of the request is taken.
    pub public_url: Option<String>,
    /// Where the key is found that seals the secrets that the API is given: 32 bytes in base64.
    pub seal_key: SecretRef,
    /// What is logged, and how.
    pub log: LogConfig,
    /// Sending.
    pub worker: WorkerConfig,
    /// Taking contacts in.
    pub intake: IntakeConfig,
    /// The HTTP API.
    pub api: ApiConfig,
    /// Posting to organizations' endpoints.
    pub webhooks: WebhooksConfig,
    /// The words that people use about being written to.
    pub keywords: KeywordsConfig,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// For people or for programs.
    pub format: LogFormat,
    /// Which events, as `tracing` filters are written: `info`, `herald=debug,warn`.
    pub filter: String,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Sending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerConfig {
    /// Requests (of up to 100 messages) that this process works on at a time.
    pub slots: usize,
    /// Calls to providers that are open at a time, over all slots.
    pub concurrency: usize,
    /// How long a claimed request is this worker's own; after that, another may take it over.
    pub lease: Duration,
    /// How long to wait for a connection to a provider. Nothing was sent when it runs out.
    pub connect_timeout: Duration,
    /// How long to wait for a provider's answer. The message is in doubt when it runs out.
    pub answer_timeout: Duration,
    /// How often an idle worker looks for work.
    pub poll: Duration,
}

/// Taking contacts in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntakeConfig {
    /// How long an event waits for others of its configuration, to share a request with them. Zero: not at all.
    pub coalesce: Duration,
    /// How many contacts such a request waits for at most.
    pub coalesce_contacts: usize,
}

/// The HTTP API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiConfig {
    /// The largest body of a call or a callback, in bytes.
    pub max_body_bytes: usize,
    /// The largest file that is taken in, in bytes.
    pub max_upload_bytes: usize,
    /// Requests that an organization may make within any hour, to this process.
    pub requests_per_hour: usize,
}

/// Posting to organizations' endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhooksConfig {
    /// Whether an endpoint may lie in the operator's own network, and be reached without TLS.
    pub allow_private: bool,
}

/// Words by the language that they are of: its tag, and the words.
pub type WordLists = BTreeMap<String, Vec<String>>;

/// The words that people use about being written to, besides the built-in ones. Each counts only as a whole message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeywordsConfig {
    /// They opt out.
    pub stop: WordLists,
    /// They opt in.
    pub start: WordLists,
    /// They opt in who is opted out; from anyone else they answer a question.
    pub yes: WordLists,
    /// They ask for help, and are passed on.
    pub help: WordLists,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            database_url: DatabaseUrl("sqlite:herald.db".to_owned()),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            public_url: None,
            seal_key: SecretRef::Env(SEAL_KEY.to_owned()),
            log: LogConfig { format: LogFormat::Pretty, filter: "herald=info,warn".to_owned() },
            worker: WorkerConfig {
                slots: 16,
                concurrency: 64,
                lease: Duration::from_secs(60),
                connect_timeout: Duration::from_secs(5),
                answer_timeout: Duration::from_secs(30),
                poll: Duration::from_millis(200),
            },
            intake: IntakeConfig { coalesce: Duration::from_millis(250), coalesce_contacts: 100 },
            api: ApiConfig { max_body_bytes: 1 << 20, max_upload_bytes: 256 << 20, requests_per_hour: 30_000 },
            webhooks: WebhooksConfig { allow_private: false },
            keywords: KeywordsConfig::default(),
        }
    }
}

/// Where the store is. A password may be in it, so it shows itself without user, password and parameters.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The whole of it, password and all: for the connection only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for DatabaseUrl {
    fn from(url: String) -> Self {
        Self(url)
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.0.split(':').next().unwrap_or_default();
        if scheme == "sqlite" {
            return f.write_str(self.0.split('?').next().unwrap_or_default());
        }
        let url = url::Url::parse(&self.0).ok();
        let Some((url, host)) = url.as_ref().and_then(|url| Some((url, url.host_str()?))) else {
            return write!(f, "{scheme}:…");
        };
        write!(f, "{scheme}://{host}")?;
        url.port().map_or(Ok(()), |port| write!(f, ":{port}"))?;
        f.write_str(url.path())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_url_shows_no_password() {
        for (url, shown) in [
            ("sqlite:herald.db", "sqlite:herald.db"),
            ("sqlite:///var/herald.db?mode=rwc", "sqlite:///var/herald.db"),
            ("postgres://db.example.com/herald", "postgres://db.example.com/herald"),
            ("postgres://me:pass@db:5432/herald?sslmode=require", "postgres://db:5432/herald"),
            ("postgres://me:p@ss@db/herald?password=pass", "postgres://db/herald"),
            ("postgres:me:pass@@", "postgres:…"),
            ("postgres:///herald?user=me&password=pass", "postgres:…"),
        ] {
            let kept = DatabaseUrl::from(url.to_owned());
            assert_eq!((kept.to_string().as_str(), format!("{kept:?}")), (shown, format!("\"{shown}\"")));
            assert_eq!(kept.expose(), url);
        }
    }
}
