//! What a crash is played on: a sandbox in this process, whose log survives every kill, a database, and the real binary.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use herald::{
    book::Books,
    clock::{Clock, Stopwatch},
    domain::{
        id::{OrgId, RunId},
        message::Status,
        run::{RunStatus, Sums},
    },
    intake::upload::{OnInvalid, OnSameFile, Upload},
    sandbox::{Provider, Sandbox, Settings},
    secret::Secrets,
    store::{Store, messages::MessageSearch},
};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::database::Database;

/// No wait takes longer; what is waited for has then failed to happen.
const DEADLINE: Duration = Duration::from_secs(90);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);
const TOKEN: &str = "CRASH_TWILIO_TOKEN";
const KEY: &str = "CRASH_ACS_KEY";

pub struct Stage {
    pub sandbox: Sandbox,
    pub store: Store,
    pub org: OrgId,
    pub clock: Clock,
    folder: TempDir,
    database_url: String,
    settings: Vec<(&'static str, String)>,
}

impl Stage {
    /// A database with a small organization, applied by the real binary; its channel sends through Twilio at this pace.
    pub async fn set(database: Database, pace: &str, settings: &[(&'static str, &str)]) -> Self {
        Self::at(Provider::Twilio, database, pace, settings).await
    }

    /// The same at another provider.
    pub async fn at(provider: Provider, database: Database, pace: &str, settings: &[(&'static str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database_url = database.fresh(&folder).await;
        let sandbox = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sandbox = Sandbox::start(sandbox, Settings::default()).await.unwrap();
        write(folder.path(), "org/organization.toml", "id = \"crash\"\nname = \"Crash\"\n");
        let place = sandbox.base_url();
        let account = match provider {
            Provider::Twilio => format!(
                "provider = \"twilio\"\naccount_sid = \"{}\"\nauth_token = {{ env = \"{TOKEN}\" }}\nbase_url = \"{place}\"\n",
                Settings::DEFAULT_ACCOUNT_SID,
            ),
            Provider::Acs => {
                format!("provider = \"acs\"\nendpoint = \"{place}\"\naccess_key = {{ env = \"{KEY}\" }}\n")
            }
            Provider::TeleSign => unreachable!("it can neither repeat nor tell: nothing is promised but never twice"),
        };
        write(folder.path(), "org/accounts/main.toml", &account);
        let channel = format!("type = \"sms\"\naccount = \"main\"\nnumber = \"14252306549\"\npace = \"{pace}\"\n");
        write(folder.path(), "org/channels/sms.toml", &channel);
        let template = "channel_type = \"sms\"\ndefault_locale = \"en\"\npurpose = \"transactional\"\n";
        write(folder.path(), "org/templates/note/template.toml", template);
        write(folder.path(), "org/templates/note/en.hbs", "Hello {{Name}}");
        let configuration = "channel = \"sms\"\ntemplate = \"note\"\n[trigger]\nkind = \"instant\"\n";
        write(folder.path(), "org/outbound/note.toml", configuration);

        let store = Store::open(&database_url).await.unwrap();
        let settings = settings.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let org = "crash".parse().unwrap();
        let stage = Self { sandbox, store, org, clock: Clock::system(), folder, database_url, settings };
        let applied = stage.herald(&["apply", "org"]).status().unwrap();
        assert!(applied.success(), "{}", stage.log());
        stage
    }

    /// The real binary, in the stage's folder; what it logs is kept.
    pub fn herald(&self, args: &[&str]) -> Command {
        let log = File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_herald"));
        command
            .args(args)
            .current_dir(self.folder.path())
            .env("HERALD_DATABASE_URL", &self.database_url)
            .env("HERALD_LISTEN", "127.0.0.1:0")
            .env(TOKEN, Settings::DEFAULT_AUTH_TOKEN)
            .env(KEY, Settings::DEFAULT_ACS_ACCESS_KEY)
            .envs(self.settings.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        command
    }

    pub fn start(&self, args: &[&str]) -> Running {
        Running(self.herald(args).spawn().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Everything that the processes have printed.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub fn file(&self, name: &str, rows: &[String]) {
        write(self.folder.path(), name, &format!("to,optin,Name\n{}\n", rows.join("\n")));
    }

    /// The same upload as `herald send note --csv NAME`, in this process.
    pub async fn upload(&self, name: &str) -> Upload {
        let secrets = Secrets::from_environment()
            .with_override(TOKEN, Settings::DEFAULT_AUTH_TOKEN)
            .with_override(KEY, Settings::DEFAULT_ACS_ACCESS_KEY);
        let book = Books::new(self.store.clone(), secrets).current(&self.org).await.unwrap().unwrap();
        let configuration = book.configuration("note").unwrap().clone();
        let (on_invalid, on_same_file) = (OnInvalid::Refuse, OnSameFile::Refuse);
        Upload { book, configuration, path: self.path(name), on_invalid, on_same_file, attested: None }
    }

    /// Waits for a condition.
    pub async fn until<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let watch = Stopwatch::start();
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            assert!(watch.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}\n{}", self.log());
            self.clock.sleep(LOOK).await;
        }
    }

    pub async fn accepted(&self, at_least: u64) {
        let what = format!("{at_least} messages accepted");
        self.until(&what, async || (self.sandbox.summary().accepted >= at_least).then_some(())).await;
    }

    pub async fn newest_run(&self) -> Option<herald::domain::run::Run> {
        self.store.runs(&self.org, None, 1).await.unwrap().into_iter().next()
    }

    pub async fn completed(&self, run: RunId) {
        let what = format!("{run} completed");
        self.until(&what, async || {
            let run = self.store.run(&self.org, run).await.unwrap().unwrap();
            (run.status == RunStatus::Completed).then_some(())
        })
        .await;
    }

    /// Waits for the child's end.
    pub async fn ended(&self, child: &mut Running) -> ExitStatus {
        self.until("the process ended", async || child.0.try_wait().unwrap()).await
    }

    /// Messages that the sandbox has accepted, by recipient, with the ids that it gave them.
    pub fn accepted_by_recipient(&self) -> BTreeMap<String, Vec<String>> {
        let mut accepted: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let log = self.sandbox.calls(0, usize::MAX - 1, None);
        assert_eq!(log.dropped, 0);
        for call in log.calls.iter().filter(|call| call.accepted) {
            let sid = call.sid.as_deref().unwrap_or_default().to_owned();
            accepted.entry(call.to.to_string()).or_default().push(sid);
        }
        accepted
    }

    /// Holds the run against the sandbox's own log: every good recipient accepted exactly once, under the id that the store
    /// has, and nobody else; the sums exact, the run completed.
    pub async fn audit(&self, run: RunId, good: &[String], others: &[(Status, usize)]) -> Audit {
        let accepted = self.accepted_by_recipient();
        let twice = accepted.values().filter(|sids| sids.len() > 1).count();
        let lost = good.iter().filter(|to| !accepted.contains_key(*to)).count();
        let sums = self.store.sums(&self.org, run).await.unwrap();
        let audit = Audit {
            messages: good.len(),
            accepted: accepted.values().map(Vec::len).sum(),
            twice,
            lost,
            uncertain: sums.of(Status::Uncertain),
        };
        assert_eq!((audit.accepted, twice, lost, audit.uncertain), (good.len(), 0, 0, 0), "{audit:?}\n{}", self.log());
        self.ids_agree(run, &accepted, good.len()).await;
        self.sums_hold(run, &sums).await;
        // What a look-up found may have been delivered already.
        let handed_over = sums.of(Status::Sent) + sums.of(Status::Delivered);
        assert_eq!(usize::try_from(handed_over).ok(), Some(good.len()), "{sums:?}");
        for (status, count) in others {
            assert_eq!(usize::try_from(sums.of(*status)).ok(), Some(*count), "{status} in {sums:?}");
        }
        audit
    }

    async fn ids_agree(&self, run: RunId, accepted: &BTreeMap<String, Vec<String>>, good: usize) {
        let search = MessageSearch { run: Some(run), ..MessageSearch::default() };
        let messages = self.store.search_messages(&self.org, &search, 1_000_000).await.unwrap();
        let mut sent = 0;
        let handed_over = |status| matches!(status, Status::Sent | Status::Delivered);
        for message in messages.iter().filter(|message| handed_over(message.status())) {
            let known = message.state.as_ref().map(|state| state.provider_id.clone()).into_iter().collect::<Vec<_>>();
            assert_eq!(accepted.get(&message.to.to_string()), Some(&known), "{}", message.id);
            sent += 1;
        }
        assert_eq!(sent, good);
    }

    async fn sums_hold(&self, run: RunId, sums: &Sums) {
        let counted = self.store.recount(&self.org, run).await.unwrap();
        assert_eq!((sums.disagreements(&counted), sums.waiting()), (Vec::new(), 0));
        let stored = self.store.run(&self.org, run).await.unwrap().unwrap();
        assert_eq!((stored.status, stored.open_requests), (RunStatus::Completed, 0));
    }
}

/// What an audit counted.
#[derive(Debug)]
#[expect(dead_code, reason = "printed")]
pub struct Audit {
    messages: usize,
    accepted: usize,
    twice: usize,
    lost: usize,
    uncertain: i64,
}

/// A child process, killed when it is forgotten.
pub struct Running(Child);

impl Running {
    /// `kill -9`.
    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// `kill -TERM`.
    pub fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).stderr(Stdio::null()).status();
        sent.unwrap();
    }

    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to end.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}
