//! The binary as a person or a script meets it: help, exit codes, one JSON document, and what it says when something is wrong.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's helpers panic as its tests do")]

#[path = "cli/files.rs"]
mod files;

use std::{
    net::TcpListener as Port,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use herald::sandbox::{Receipts, Sandbox, Settings};
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, SqliteConnection};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpListener,
    process::{Child, Command},
};

/// The longest that a command may take.
const DEADLINE: Duration = Duration::from_secs(120);

/// A folder of its own, in which commands are run.
struct Desk(TempDir);

/// What a command did.
struct Done {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Done {
    fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let code = output.status.code().unwrap_or_else(|| panic!("it was killed: {}", output.status));
        Self { code, stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Standard output, which is one JSON document and nothing else.
    #[track_caller]
    fn json(&self) -> Value {
        let document: Value = serde_json::from_str(&self.stdout)
            .unwrap_or_else(|problem| panic!("{problem}:\n{}\n{}", self.stdout, self.stderr));
        assert!(document.is_object(), "{document}");
        document
    }

    /// It ended with this code, and said each of these on standard error.
    #[track_caller]
    fn says(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{}\n{}", self.stdout, self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not in:\n{}", self.stderr);
        }
    }
}

impl Desk {
    fn new() -> Self {
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        Self(tempfile::tempdir().unwrap())
    }

    /// With the example's definitions applied, the account pointed at this address.
    async fn with_acme(base_url: &str) -> Self {
        let desk = Self::new();
        desk.acme(base_url);
        assert_eq!(desk.herald(&["apply", "acme"]).await.code, 0);
        desk
    }

    /// Writes the example's folder.
    fn acme(&self, base_url: &str) {
        let account = format!(
            "provider = \"twilio\"\naccount_sid = \"{}\"\nauth_token = {{ env = \"ACME_TWILIO_TOKEN\" }}\nbase_url = \"{base_url}\"\n",
            Settings::DEFAULT_ACCOUNT_SID
        );
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/acme"), &self.path("acme"));
        let organization = std::fs::read_to_string(self.path("acme/organization.toml")).unwrap();
        // The starter library is in the binary: the copy needs no other.
        self.file("acme/organization.toml", &organization.replace("templates = ", "# templates = "));
        self.file("acme/accounts/twilio.toml", &account);
        for name in ["telesign", "acs"] {
            let path = format!("acme/accounts/{name}.toml");
            let account = std::fs::read_to_string(self.path(&path)).unwrap();
            self.file(&path, &format!("base_url = \"{base_url}\"\n{account}"));
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_herald"));
        command
            .args(arguments)
            .current_dir(self.0.path())
            .env_clear()
            .env("TMPDIR", self.0.path())
            .env("ACME_TWILIO_TOKEN", Settings::DEFAULT_AUTH_TOKEN)
            .env("ACME_TELESIGN_KEY", Settings::DEFAULT_API_KEY)
            .env("ACME_ACS_KEY", Settings::DEFAULT_ACS_ACCESS_KEY)
            .env("ACME_HOOK_SECRET", "whsec_dGVzdC10ZXN0LXRlc3QtdGVzdC10ZXN0LXRlc3QtdGU=")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    async fn herald(&self, arguments: &[&str]) -> Done {
        let ended = tokio::time::timeout(DEADLINE, self.command(arguments).output()).await;
        Done::of(ended.unwrap_or_else(|_| panic!("{arguments:?} has not ended after {DEADLINE:?}")).unwrap())
    }

    /// A connection to the database, past herald.
    async fn database(&self) -> SqliteConnection {
        SqliteConnection::connect(&format!("sqlite:{}", self.path("herald.db").display())).await.unwrap()
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

async fn sandbox() -> Sandbox {
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    let settings = Settings { receipts: Receipts { enabled: false, ..Receipts::default() }, ..Settings::default() };
    Sandbox::start(TcpListener::bind("127.0.0.1:0").await.unwrap(), settings).await.unwrap()
}

/// An address at which nobody listens.
fn nobody() -> String {
    format!("http://{}", Port::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
}

const GOOD: &str = "Phone Number,OptIn,Locale,CustomerName,OrderNumber,DeliveryDate
+4915155500001,yes,de,Ana,AC-1,Montag
+4915155500002,yes,fr,Bo,AC-2,lundi
+4915155500001,yes,de,Ana,AC-1,Montag
";

#[tokio::test]
async fn every_command_is_explained_with_an_example() {
    let desk = Desk::new();
    let commands = [
        "demo",
        "serve",
        "apply",
        "check",
        "send",
        "run",
        "run list",
        "run show",
        "run pause",
        "run resume",
        "run cancel",
        "run retry-failed",
        "run export",
        "consent",
        "consent import",
        "consent set",
        "consent show",
        "template",
        "template preview",
        "list",
        "list import",
        "list show",
        "sandbox",
        "key",
        "key create",
        "key list",
        "key revoke",
    ];
    for command in commands {
        let mut arguments: Vec<&str> = command.split(' ').collect();
        arguments.push("--help");
        let help = desk.herald(&arguments).await;
        let example = format!("Example: herald {command}");
        assert!(help.code == 0 && help.stdout.contains(&example), "{example:?} is not in:\n{}", help.stdout);
    }
    let help = desk.herald(&["--help"]).await;
    let listed: Vec<&str> = help.stdout.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    for command in commands.iter().filter(|command| !command.contains(' ')) {
        assert!(listed.contains(command), "{command}: {}", help.stdout);
    }
    for (arguments, word) in [
        (&["sned"][..], "'send'"),
        (&["send"], "CONFIGURATION"),
        (&["run", "show", "nonsense"], "nonsense"),
        (&["--output", "xml", "run", "list"], "xml"),
        (&["serve", "--role", "cook"], "cook"),
    ] {
        desk.herald(arguments).await.says(2, &[word]);
    }
    assert!(!desk.path("herald.db").exists(), "nothing that is wrong on its face makes a database");
}

#[tokio::test]
async fn programs_get_one_document() {
    let sandbox = sandbox().await;
    let desk = Desk::new();
    desk.acme(&sandbox.base_url());
    desk.file("good.csv", GOOD);
    let json = async |arguments: &[&str], code: i32| {
        let done = desk.herald(&[&["--output", "json"], arguments].concat()).await;
        assert_eq!(done.code, code, "{arguments:?}: {}\n{}", done.stdout, done.stderr);
        done.json()
    };
    let planned = json(&["apply", "acme", "--dry-run"], 0).await;
    assert_eq!((planned["organization"].as_str(), planned["dry_run"].as_bool()), (Some("acme"), Some(true)));
    let nobody_yet = json(&["run", "list"], 2).await;
    assert!(nobody_yet["error"].as_str().unwrap().contains("no organization yet"), "{nobody_yet}");
    let applied = json(&["apply", "acme"], 0).await;
    assert_eq!(applied["change"].as_str(), Some("created"));
    assert!(applied["callbacks"]["twilio"].as_str().unwrap().starts_with("/callbacks/acme."), "{applied}");
    let again = json(&["apply", "acme"], 0).await;
    assert!(again["changes"].as_array().unwrap().iter().all(|change| change["change"] == "unchanged"), "{again}");
    let checked = json(&["check", "acme", "--providers"], 0).await;
    for told in [&again, &checked] {
        let firings = &told["firings"][0];
        assert_eq!(
            (firings["configuration"].as_str(), firings["timezone"].as_str()),
            (Some("monthly-reminder"), Some("Europe/Berlin")),
            "{told}"
        );
        let next: Vec<&str> =
            firings["next"].as_array().unwrap().iter().map(|next| next["local"].as_str().unwrap()).collect();
        assert!(next.len() == 5 && next.iter().all(|local| local.contains("-01 09:00:00 +0")), "{next:?}");
    }
    assert_eq!((checked["good"].as_bool(), checked["checks"].as_array().unwrap().len()), (Some(true), 5), "{checked}");

    let dry = json(&["send", "shipping-delay", "--csv", "good.csv", "--dry-run"], 0).await;
    assert_eq!((dry["dry_run"]["valid"].as_u64(), dry["dry_run"]["duplicates"].as_u64()), (Some(3), Some(1)), "{dry}");
    assert!(dry["dry_run"]["texts"]["fr"]["sample"].as_str().unwrap().starts_with("Bonjour Bo"), "{dry}");
    let plan = &dry["dry_run"]["plan"];
    assert_eq!(
        (plan["requests"].as_u64(), plan["messages"].as_u64()),
        (Some(1), Some(2)),
        "one repeats a number: {dry}"
    );
    assert_eq!((plan["bound_by"].as_str(), plan["cost"]["currency"].as_str()), (Some("nothing"), Some("EUR")), "{dry}");
    let told = desk.herald(&["send", "shipping-delay", "--csv", "good.csv", "--dry-run"]).await.stdout;
    assert!(told.contains("\nplan: about a second, bounded by nothing but the provider's own speed\n"), "{told}");
    assert!(told.contains(" EUR for 2 messages in 2 segments\n"), "{told}");
    assert_eq!(sandbox.summary().calls, 0, "a dry run sends nothing");
    assert_eq!(json(&["run", "list"], 0).await, json!({ "runs": [] }), "and makes no run");

    let sent = json(&["send", "shipping-delay", "--csv", "good.csv"], 0).await["run"].clone();
    assert_eq!(sent["buckets"], json!({ "sent": 2, "suppressed": 1 }), "{sent}");
    let told = (sent["rows"].as_u64(), sent["adds_up"].as_bool(), sent["status"].as_str(), sent["requests"].as_u64());
    assert_eq!(told, (Some(3), Some(true), Some("completed"), Some(1)), "{sent}");
    assert_eq!(sandbox.summary().accepted, 2);
    let id = sent["id"].as_str().unwrap();
    assert_eq!(json(&["run", "show", id], 0).await["run"]["buckets"], sent["buckets"]);
    assert_eq!(json(&["run", "list"], 0).await["runs"][0]["id"], sent["id"]);
    let refused = json(&["send", "shipping-delay", "--csv", "good.csv"], 2).await;
    assert!(refused["error"].as_str().unwrap().contains(id), "{refused}");
    let report = json(&["run", "export", id, "--to", "report.csv"], 0).await;
    assert_eq!((report["rows"].as_u64(), csv_rows(&desk.path("report.csv"))), (Some(3), 3));
    let nowhere = json(&["run", "export", id], 2).await;
    assert!(nowhere["error"].as_str().unwrap().contains("--to"), "{nowhere}");
    let over = json(&["run", "pause", id], 2).await;
    assert!(over["error"].as_str().unwrap().contains("is completed"), "{over}");
    let retried = json(&["run", "retry-failed", id], 0).await;
    assert_eq!(
        (retried["retried"].as_u64(), retried["run"]["status"].as_str()),
        (Some(0), Some("completed")),
        "{retried}"
    );
    let unknown = json(&["run", "cancel", "run_00000000000000000000000000"], 2).await;
    assert!(unknown["error"].as_str().unwrap().contains("there is no run"), "{unknown}");

    let key = json(&["key", "create", "crm", "--scope", "send"], 0).await;
    assert!(key["key"].as_str().unwrap().starts_with("herald_acme_"), "{key}");
    let keys = json(&["key", "list"], 0).await;
    assert_eq!((keys["keys"].as_array().unwrap().len(), &keys["keys"][0]["id"]), (1, &key["id"]));
    let secret = key["key"].as_str().unwrap().rsplit('_').next().unwrap();
    assert!(!keys.to_string().contains(secret), "a key is shown once");
    json(&["key", "revoke", key["id"].as_str().unwrap()], 0).await;
    json(&["key", "revoke", key["id"].as_str().unwrap()], 2).await;
    sandbox.stop().await.unwrap();
}

fn csv_rows(path: &Path) -> usize {
    csv::Reader::from_path(path).unwrap().records().map(Result::unwrap).count()
}

#[tokio::test]
async fn an_account_that_cannot_be_proven_is_one_document_too() {
    let desk = Desk::with_acme(&nobody()).await;
    let done = desk.herald(&["--output", "json", "check", "--providers"]).await;
    let told = done.json();
    assert_eq!((done.code, told["good"].as_bool()), (1, Some(false)), "{told}");
    let account = told["checks"].as_array().unwrap().iter().find(|check| check["checked"] == "account twilio (twilio)");
    assert!(account.is_some_and(|check| check["problems"].to_string().contains("could not be told")), "{told}");
}

#[tokio::test]
async fn settings_and_definitions_that_are_wrong_are_named() {
    let desk = Desk::new();
    desk.file("herald.toml", "[worker]\nslotz = 3\n");
    desk.herald(&["run", "list"]).await.says(2, &["herald.toml", "slotz", "slots"]);
    desk.file("herald.toml", "");
    desk.herald(&["--database-url", "mysql://x", "run", "list"]).await.says(2, &["database_url", "\"sqlite:\""]);
    desk.herald(&["--config", "missing.toml", "run", "list"]).await.says(2, &["missing.toml"]);

    desk.acme("http://127.0.0.1:1");
    let channel = std::fs::read_to_string(desk.path("acme/channels/support-sms.toml")).unwrap();
    desk.file("acme/channels/support-sms.toml", &channel.replace("14252306549", "+1 425"));
    desk.file(
        "acme/outbound/case-resolved.toml",
        "chanel = \"x\"\ntemplate = \"nothing\"\n[trigger]\nkind = \"instant\"\n",
    );
    for command in ["apply", "check"] {
        let done = desk.herald(&[command, "acme"]).await;
        let said = format!("{}{}", done.stdout, done.stderr);
        assert_eq!(done.code, 2, "{command}: {said}");
        for word in ["support-sms.toml", "+1 425", "case-resolved.toml", "chanel", "did you mean \"channel\"?"] {
            assert!(said.contains(word), "{command}: {word:?} is not in:\n{said}");
        }
    }
    desk.herald(&["apply", "nowhere"]).await.says(2, &["no such folder"]);
}

#[tokio::test]
async fn files_that_cannot_be_sent_are_refused() {
    let sandbox = sandbox().await;
    let desk = Desk::with_acme(&sandbox.base_url()).await;
    desk.file("short.csv", "Phone Number,OptIn,Locale,CustomerName\n+4915155500001,yes,de,Ana\n");
    desk.file("bad.csv", &format!("{GOOD}12,yes,de,Ana,AC-1,Montag\n"));
    std::fs::write(desk.path("latin.csv"), b"to,optin,CustomerName\n+4915155500001,yes,J\xf6rg\n").unwrap();
    for (file, words) in [
        ("missing.csv", &["cannot read missing.csv"][..]),
        ("short.csv", &["OrderNumber", "DeliveryDate", "CustomerName"]),
        ("latin.csv", &["UTF-8", "byte offset 42"]),
        ("bad.csv", &["1 of 4 rows", "12", "--skip-invalid"]),
    ] {
        desk.herald(&["send", "shipping-delay", "--csv", file]).await.says(2, words);
    }
    desk.file("good.csv", GOOD);
    desk.herald(&["send", "shiping-delay", "--csv", "good.csv"]).await.says(2, &["shiping-delay", "shipping-delay"]);
    assert_eq!(sandbox.summary().calls, 0);
    let sent = ["send", "shipping-delay", "--csv", "bad.csv", "--skip-invalid", "--rejected", "rejected.csv"];
    let done = desk.herald(&sent).await;
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout.contains("every row counted in exactly one bucket"), "{}", done.stdout);
    assert_eq!((sandbox.summary().accepted, csv_rows(&desk.path("rejected.csv"))), (2, 1));
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn consent_is_set_shown_and_taken_in() {
    let desk = Desk::with_acme(&nobody()).await;
    let json = async |arguments: &[&str]| -> Value {
        let done = desk.herald(&[&["--output", "json", "consent"], arguments].concat()).await;
        assert_eq!(done.code, 0, "{arguments:?}: {}\n{}", done.stdout, done.stderr);
        done.json()
    };
    let set = json(&["set", "+4915155500001", "--channel", "sms", "--state", "opted_out", "--note", "by letter"]).await;
    let told =
        |consent: &Value| ["channel", "state", "source", "actor"].map(|name| consent[name].as_str().map(str::to_owned));
    let some = |words: [&str; 4]| words.map(|word| Some(word.to_owned()));
    let by_letter = some(["sms", "opted_out", "command line: by letter", "operator"]);
    assert_eq!((told(&set["consents"][0]), told(&set["history"][0])), (by_letter.clone(), by_letter), "{set}");
    assert_eq!(set["consents"][1]["state"].as_str(), Some("unknown"));
    assert_eq!(json(&["show", "+49 151 55500001"]).await, set);

    desk.file("bad.csv", "Phone Number,State\n+4915155500001,opted_in\n+4915155500002,\n12,maybe\n");
    let refused = desk.herald(&["consent", "import", "bad.csv"]).await;
    refused.says(2, &["1 of 3 rows", "fix 1 phone number", "line 4, column State: \"maybe\"", "--skip-invalid"]);
    assert_eq!(json(&["show", "+4915155500001"]).await, set, "with a bad row nothing is taken in");
    let arguments = ["import", "bad.csv", "--skip-invalid", "--channel", "sms", "--rejected", "rejected.csv"];
    let import = json(&arguments).await["import"].clone();
    let figures = ["rows", "valid", "invalid", "changed"].map(|name| import[name].as_u64().unwrap());
    assert_eq!((figures, csv_rows(&desk.path("rejected.csv"))), ([3, 2, 1, 2], 1), "{import}");
    let shown = json(&["show", "+4915155500001"]).await;
    assert_eq!(told(&shown["consents"][0]), some(["sms", "opted_in", "file bad.csv", "operator"]), "{shown}");
    let history: Vec<_> =
        shown["history"].as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap()).collect();
    assert_eq!(history, ["opted_in", "opted_out"], "{shown}");
    let second = json(&["show", "+4915155500002"]).await;
    assert_eq!(told(&second["consents"][0]), some(["sms", "opted_out", "file bad.csv", "operator"]), "{second}");

    let text = desk.herald(&["consent", "show", "+4915155500001"]).await;
    assert!(text.code == 0 && text.stdout.contains("history, the newest first:"), "{}", text.stdout);
    for (arguments, word) in [
        (&["set", "12", "--state", "opted_out"][..], "12"),
        (&["set", "+4915155500001", "--state", "perhaps"], "opted_in"),
        (&["set", "+4915155500001", "--state", "opted_out", "--channel", "fax"], "whatsapp"),
        (&["set", "+4915155500001"], "--state"),
        (&["import", "missing.csv"], "cannot read missing.csv"),
        (&["show", ""], "is empty"),
    ] {
        desk.herald(&[&["consent"], arguments].concat()).await.says(2, &[word]);
    }
    desk.file("herald.toml", "[keywords]\nstart = { es = [\"STOP\"] }\n");
    desk.herald(&["consent", "show", "+4915155500001"])
        .await
        .says(2, &["keywords.start.es", "STOP", "another meaning"]);
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_said_to_be() {
    let desk = Desk::with_acme(&nobody()).await;
    let mut other = desk.database().await;
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    desk.herald(&["key", "create", "crm"]).await.says(1, &["locked", "another process"]);
    other.execute("ROLLBACK").await.unwrap();
    assert_eq!(desk.herald(&["key", "create", "crm"]).await.code, 0);

    other.execute("INSERT INTO herald_schema (version, checksum) VALUES (999, 'x')").await.unwrap();
    desk.herald(&["run", "list"]).await.says(1, &["version 999", "newer herald"]);
    desk.file("text.db", "this is no database, and it is long enough not to look like an empty one");
    desk.herald(&["--database-url", "sqlite:text.db", "run", "list"]).await.says(1, &["text.db"]);
    desk.herald(&["--database-url", "sqlite:no/such/folder.db", "run", "list"]).await.says(2, &["no/such/folder.db"]);
    desk.herald(&["--database-url", "sqlite:no/such/folder.db", "apply", "acme"]).await.says(1, &["no/such/folder.db"]);
}

#[tokio::test]
async fn a_port_in_use_is_said_to_be() {
    let desk = Desk::new();
    let taken = Port::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for command in ["serve", "sandbox"] {
        desk.herald(&[command, "--listen", &address]).await.says(1, &[&address, "is the port in use?"]);
    }
}

/// Waits until standard error has a line with a word.
async fn hears(child: &mut Child, word: &str) {
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let heard = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains(word) {
                return;
            }
        }
        panic!("it ended without saying {word:?}");
    };
    tokio::time::timeout(DEADLINE, heard).await.unwrap();
    child.stderr = Some(lines.into_inner().into_inner());
}

async fn interrupt(child: &Child) {
    let id = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().await.unwrap().success());
}

#[tokio::test]
async fn sending_to_a_provider_that_is_away_can_be_broken_off() {
    let desk = Desk::with_acme(&nobody()).await;
    desk.file("good.csv", GOOD);
    let mut child = desk.command(&["--output", "json", "send", "shipping-delay", "--csv", "good.csv"]).spawn().unwrap();
    // Said every five seconds where nobody watches.
    hears(&mut child, "of 3 messages dealt with").await;
    interrupt(&child).await;
    let done = Done::of(tokio::time::timeout(DEADLINE, child.wait_with_output()).await.unwrap().unwrap());
    done.says(1, &["is not finished", "herald serve"]);
    let run = done.json()["run"].clone();
    assert_eq!(run["status"].as_str(), Some("running"), "{run}");
    assert_eq!(run["buckets"], json!({ "queued": 2, "suppressed": 1 }), "{run}");
    assert_eq!(run["reasons"]["no_connection"].as_u64(), Some(2), "{run}");
    let shown = desk.herald(&["--output", "json", "run", "show", run["id"].as_str().unwrap()]).await.json();
    assert_eq!(shown["run"]["buckets"], run["buckets"]);
}

#[tokio::test]
async fn a_server_says_where_it_is_and_ends_when_told_to() {
    let desk = Desk::with_acme(&nobody()).await;
    let mut child = desk.command(&["--output", "json", "serve", "--listen", "127.0.0.1:0"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut document = String::new();
    let base = loop {
        document.push_str(&tokio::time::timeout(DEADLINE, lines.next_line()).await.unwrap().unwrap().unwrap());
        if let Ok(value) = serde_json::from_str::<Value>(&document) {
            break value["base_url"].as_str().unwrap().to_owned();
        }
    };
    let answer = reqwest::Client::builder().no_proxy().build().unwrap().get(format!("{base}/readyz")).send().await;
    assert_eq!(answer.unwrap().status().as_u16(), 200);
    interrupt(&child).await;
    assert!(lines.next_line().await.unwrap().is_none(), "one document and nothing else");
    assert_eq!(tokio::time::timeout(DEADLINE, child.wait()).await.unwrap().unwrap().code(), Some(0));
}

#[tokio::test]
async fn the_demo_adds_up() {
    let desk = Desk::new();
    let done = desk.herald(&["demo", "--output", "json"]).await;
    let told = done.json();
    assert_eq!((done.code, told["adds_up"].as_bool()), (0, Some(true)), "{}\n{}", told["problems"], done.stderr);
    let runs = told["runs"].as_array().unwrap();
    let names: Vec<&str> = runs.iter().map(|run| run["configuration"].as_str().unwrap()).collect();
    let expected = [
        "shipping-delay",
        "shipping-delay",
        "appointment-reminder",
        "answers",
        "appointment-reminder",
        "case-created",
        "case-resolved",
        "monthly-reminder",
    ];
    assert_eq!(names, expected);
    for run in runs {
        let sum: u64 = run["buckets"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
        assert_eq!((run["adds_up"].as_bool(), run["rows"].as_u64()), (Some(true), Some(sum)), "{run}");
    }
    assert!(runs[0]["rows"].as_u64().unwrap() > 3_000, "{}", runs[0]);
    let left: Vec<_> = std::fs::read_dir(desk.0.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.is_empty(), "the demo cleans up: {left:?}");
}

#[tokio::test]
async fn an_organization_without_files_is_made_once_and_what_is_in_no_file_is_pruned_only_if_asked() {
    let desk = Desk::new();
    let made = desk.herald(&["--output", "json", "org", "create", "acme", "--name", "Acme"]).await;
    assert_eq!((made.code, made.json()["organization"].as_str()), (0, Some("acme")), "{}", made.stderr);
    let key = made.json()["key"]["key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("herald_acme_"));
    let listed = desk.herald(&["key", "list"]).await;
    assert!(listed.stdout.contains("admin") && !listed.stdout.contains(&key), "{}", listed.stdout);
    desk.herald(&["org", "create", "acme", "--name", "Acme"]).await.says(2, &["already", "herald key create"]);
    let wrong = desk.herald(&["org", "create", "globex", "--name", "Globex", "--timezone", "Mars/Olympus"]).await;
    wrong.says(2, &["timezone", "is not a time zone"]);

    desk.acme(&nobody());
    assert_eq!(desk.herald(&["apply", "acme"]).await.code, 0);
    std::fs::remove_dir_all(desk.path("acme/hooks")).unwrap();
    let kept = desk.herald(&["apply", "acme"]).await;
    assert!(kept.stdout.contains("kept (--prune removes them): hook crm"), "{}", kept.stdout);
    for (arguments, removed) in [(&["--prune", "--dry-run"][..], true), (&["--prune"], true), (&["--prune"], false)] {
        let done = desk.herald(&[&["--output", "json", "apply", "acme"], arguments].concat()).await.json();
        let expected = if removed { json!([{ "kind": "hook", "name": "crm" }]) } else { json!([]) };
        assert_eq!((&done["removed"], &done["kept"]), (&expected, &json!([])), "{arguments:?}");
    }
}

#[tokio::test]
async fn templates_are_previewed() {
    let desk = Desk::with_acme(&nobody()).await;
    let set =
        ["--set", "CustomerName=Ana", "--set", "InvoiceNumber=R=7", "--set", "Amount=1234.5", "--set", "Currency=EUR"];
    let preview = |more: &[&'static str]| {
        ["template", "preview", "payment-due"].iter().chain(&set).chain(more).copied().collect::<Vec<_>>()
    };
    let shown = desk.herald(&preview(&["--set", "DueDate=2026-12-01", "--locale", "de-AT"])).await;
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    assert!(
        shown.stdout.starts_with("de: Guten Tag Ana, die Rechnung R=7 über 1.234,50 € ist am 1. Dezember 2026 fällig."),
        "{}",
        shown.stdout
    );
    assert!(shown.stdout.contains("gsm7") && shown.stdout.contains("in 1 segment,"), "{}", shown.stdout);
    let missing = desk.herald(&preview(&["--output", "json"])).await;
    let document = missing.json();
    assert_eq!((missing.code, document["preview"]["previews"].as_array().unwrap().len()), (2, 6));
    assert_eq!(document["preview"]["previews"][0]["missing"], json!(["DueDate"]));
    for (arguments, word) in [
        (&["template", "preview", "nothing"][..], "there is no template"),
        (&["template", "preview", "payment-due", "--set", "x"], "SLUG=VALUE"),
        (&["template", "preview", "payment-due", "--channel", "whatsapp"], "expected one for sms"),
        (&["template", "preview", "payment-due", "--csv", "x.csv"], "--row"),
    ] {
        desk.herald(arguments).await.says(2, &[word]);
    }

    desk.file("due.csv", "phone,locale,CustomerName,InvoiceNumber,Amount,Currency,DueDate\n+4915112345678,fr,“Zoé”,7,5,CHF,2026-12-01\nx,fr,Bo,8,5,CHF,2026-12-01\n");
    let row = ["template", "preview", "payment-due", "--csv", "due.csv", "--row"];
    let second = desk.herald(&[&row[..], &["2", "--channel", "support-sms"]].concat()).await;
    assert_eq!(second.code, 0, "{}", second.stderr);
    for words in [
        "fr: Bonjour “Zoé”, votre facture 7 de 5,00 CHF est à régler avant le 1 décembre 2026.",
        "(U+201C left double quotation mark) at character 9",
        "smart_encoding would save 1 of 2 segments",
    ] {
        assert!(second.stdout.contains(words), "{words:?} is not in:\n{}", second.stdout);
    }
    desk.herald(&[&row[..], &["3"]].concat()).await.says(2, &["line 3, column phone"]);
    desk.herald(&[&row[..], &["9"]].concat()).await.says(2, &["no good row begins on line 9"]);
}
