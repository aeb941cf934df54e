//! A herald with three organizations: two in order, one whose secrets are nowhere. And somebody who knocks: raw HTTP, so that
//! nothing is put right on the way.

use std::collections::BTreeMap;

use herald::{
    definitions::{self, Applied},
    domain::{account::Account, id::OrgId, secret_ref::SecretRef},
    inbound::webhook,
    sandbox::{Settings, telesign, twilio::sign},
    secret::Secret,
};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, SqliteConnection};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{DEADLINE, Database, HOOK_SECRET, Setup, Stage};

/// What is read of a body here: so little that a larger one fits into every buffer on the way.
pub const LIMIT: usize = 4_096;

/// The stage, and what the other organizations have.
pub struct House {
    pub stage: Stage,
    pub globex: (OrgId, Applied),
    /// Without secrets.
    pub initech: (OrgId, Applied),
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Value,
}

/// A knock.
#[derive(Clone, Debug, Default)]
pub struct Knock {
    pub method: String,
    /// As it stands in the first line of the request.
    pub path: Vec<u8>,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
    pub sent: Sent,
}

/// How a body is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sent {
    #[default]
    WithItsLength,
    InChunks,
}

impl Knock {
    pub fn new(method: &str, path: impl Into<Vec<u8>>) -> Self {
        Self { method: method.to_owned(), path: path.into(), ..Self::default() }
    }

    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub fn in_chunks(self) -> Self {
        Self { sent: Sent::InChunks, ..self }
    }

    fn bytes(&self, host: &str) -> Vec<u8> {
        let mut bytes = [self.method.as_bytes(), b" ", &self.path, b" HTTP/1.1\r\n"].concat();
        bytes.extend(format!("host: {host}\r\nconnection: close\r\n").into_bytes());
        for (name, value) in &self.headers {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        match self.sent {
            Sent::WithItsLength => bytes.extend(format!("content-length: {}\r\n\r\n", self.body.len()).into_bytes()),
            Sent::InChunks => bytes.extend(b"transfer-encoding: chunked\r\n\r\n"),
        }
        match self.sent {
            Sent::WithItsLength => bytes.extend(&self.body),
            Sent::InChunks => {
                for chunk in self.body.chunks(1_000) {
                    bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
                    bytes.extend([chunk, b"\r\n"].concat());
                }
                bytes.extend(b"0\r\n\r\n");
            }
        }
        bytes
    }
}

impl House {
    pub async fn open(database: Database) -> Self {
        let mut setup = Setup::new(database);
        setup.config.api.max_body_bytes = LIMIT;
        if let Some(Account::Acs(settings)) = setup.set.accounts.get_mut("acs") {
            settings.callback_secret = Some(SecretRef::Env("ACME_HOOK_SECRET".to_owned()));
        }
        let stage = Stage::set(setup).await;
        let globex = neighbour(&stage, "globex", |_| ()).await;
        let initech =
            neighbour(&stage, "initech", |secret| *secret = SecretRef::Env("HERALD_NOWHERE".to_owned())).await;
        let house = Self { stage, globex, initech };
        house.rests().await;
        house
    }

    /// Waits until nothing is due in any organization: from then on nothing moves unless somebody knocks.
    pub async fn rests(&self) {
        let store = &self.stage.app.store;
        let rests = async || store.due_work(self.stage.app.clock.now(), 100).await.unwrap().is_empty().then_some(());
        self.stage.until("every lane rests", rests).await;
    }

    /// Where the example's providers call back.
    pub fn callbacks_of(&self, account: &str) -> String {
        format!("/callbacks/{}", self.stage.applied.callback_tokens[account])
    }

    /// Where Twilio does.
    pub fn callbacks(&self) -> String {
        self.callbacks_of("twilio")
    }

    /// Where events are posted.
    pub fn hook(&self) -> String {
        format!("/hooks/{}", self.stage.applied.hook_tokens["crm"])
    }

    /// A form as Twilio posts it, signed.
    pub fn form(&self, path: &str, fields: &[(&str, &str)]) -> Knock {
        let url = format!("{}{path}", self.stage.base_url);
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        Knock::new("POST", path)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("x-twilio-signature", sign(Settings::DEFAULT_AUTH_TOKEN, &url, fields))
            .body(body)
    }

    /// A post as TeleSign signs it.
    pub fn telesign(&self, body: &str) -> Knock {
        let signature = telesign::sign(Settings::DEFAULT_API_KEY, body.as_bytes());
        Knock::new("POST", self.callbacks_of("telesign"))
            .header("content-type", "application/json")
            .header("authorization", format!("TSA {}:{signature}", Settings::DEFAULT_CUSTOMER_ID))
            .body(body)
    }

    /// A post as Event Grid sends it, with what the account wants to hear.
    pub fn event_grid(&self, method: &str, body: &str) -> Knock {
        Knock::new(method, self.callbacks_of("acs"))
            .header("content-type", "application/json")
            .header("x-callback-secret", HOOK_SECRET)
            .body(body)
    }

    /// A post as a system of events signs it, so many seconds ago.
    pub fn event(&self, path: &str, id: &str, body: impl Into<Vec<u8>>, seconds_ago: i64) -> Knock {
        let body = body.into();
        let at = self.stage.app.clock.now().seconds() - seconds_ago;
        let signature = webhook::sign(&Secret::new(HOOK_SECRET), id, at, &body).unwrap();
        Knock::new("POST", path)
            .header("webhook-id", id)
            .header("webhook-timestamp", at.to_string())
            .header("webhook-signature", signature)
            .body(body)
    }

    /// Knocks, on a connection of its own; `None` if it was closed without a word.
    pub async fn knock(&self, knock: &Knock) -> Option<Answer> {
        let host = self.stage.base_url.trim_start_matches("http://");
        let mut connection = TcpStream::connect(host).await.unwrap();
        // Whoever is refused may find the door closed before it has said everything.
        drop(connection.write_all(&knock.bytes(host)).await);
        let mut answer = Vec::new();
        let read = tokio::time::timeout(DEADLINE, connection.read_to_end(&mut answer)).await;
        drop(read.unwrap_or_else(|_| panic!("no answer to {knock:?}")));
        parse(&answer)
    }

    /// Knocks where an answer is due.
    pub async fn answer(&self, knock: &Knock) -> Answer {
        self.knock(knock).await.unwrap_or_else(|| panic!("closed without a word: {knock:?}"))
    }

    /// How often each result was counted at the two doors.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        let figures = self.stage.app.metrics.render();
        let lines = figures.lines().filter_map(|line| line.rsplit_once(' '));
        let doors = ["herald_callbacks_total", "herald_webhooks_total"];
        let mine = lines.filter(|(name, _)| doors.iter().any(|door| name.starts_with(door)));
        mine.map(|(name, count)| (name.to_owned(), count.parse().unwrap())).collect()
    }

    /// Every row there is, but for the lanes of the example's organization, which are only woken and put to rest; and the
    /// text of what must not have changed.
    pub async fn rows(&self) -> BTreeMap<String, Vec<String>> {
        let url = self.stage.app.config.database_url.expose();
        let sqlite = url.starts_with("sqlite:");
        let tables = if sqlite {
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        } else {
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        };
        let mut all = BTreeMap::new();
        for table in texts(url, tables).await {
            if table == "herald_schema" {
                continue;
            }
            let which = if table == "lanes" { "WHERE org_id <> 'acme'" } else { "" };
            let row = if sqlite { row_of(url, &table).await } else { "CAST(t AS TEXT)".to_owned() };
            let mut rows = texts(url, &format!("SELECT {row} FROM {table} t {which}")).await;
            rows.sort();
            all.insert(table, rows);
        }
        all
    }

    pub async fn close(self) {
        self.stage.strike().await;
    }
}

/// An organization like the example's, its secrets' places changed.
async fn neighbour(stage: &Stage, name: &str, change: impl Fn(&mut SecretRef)) -> (OrgId, Applied) {
    let mut set = stage.set.clone();
    set.organization.id = name.parse().unwrap();
    for account in set.accounts.values_mut() {
        if let Account::Twilio(settings) = account {
            change(&mut settings.auth_token);
        }
    }
    set.hooks.values_mut().for_each(|hook| change(&mut hook.secret));
    let applied = definitions::apply(&stage.app.store, &set, stage.app.clock.now(), rand::random).await.unwrap();
    (set.organization.id, applied)
}

/// All columns of a SQLite table as one text.
async fn row_of(url: &str, table: &str) -> String {
    let columns = texts(url, &format!("SELECT name FROM pragma_table_info('{table}')")).await;
    columns.iter().map(|name| format!("COALESCE(CAST({name} AS TEXT), '-')")).collect::<Vec<_>>().join(" || '|' || ")
}

async fn texts(url: &str, sql: &str) -> Vec<String> {
    let sql = || AssertSqlSafe(sql.to_owned());
    if url.starts_with("sqlite:") {
        let mut connection = SqliteConnection::connect(url).await.unwrap();
        sqlx::query(sql()).fetch_all(&mut connection).await.unwrap().iter().map(|row| row.get(0)).collect()
    } else {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::query(sql()).fetch_all(&mut connection).await.unwrap().iter().map(|row| row.get(0)).collect()
    }
}

fn parse(answer: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers =
        lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    Some(Answer {
        status,
        headers: headers.collect(),
        body: serde_json::from_str(body).unwrap_or(Value::String(body.to_owned())),
    })
}
