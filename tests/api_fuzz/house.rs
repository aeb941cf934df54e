//! The server that is asked, what is in it, and who asks.

use std::collections::BTreeSet;

use herald::{definitions, domain::id::OrgId, http::keys::Scope};
use rand::{rngs::StdRng, seq::IndexedRandom as _};
use serde_json::Value;

use crate::{
    asked::{Case, Sent},
    described::Description,
    support::{DEADLINE, Database, Setup, Stage, phone, shipping},
};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Without a key.
    Nobody,
    Reads,
    Sends,
    Admin,
    /// The administrator of another organization.
    Stranger,
}

impl Who {
    pub const ALL: [Self; 5] = [Self::Nobody, Self::Reads, Self::Sends, Self::Admin, Self::Stranger];

    pub fn pick(dice: &mut StdRng) -> &'static Self {
        Self::ALL.choose(dice).unwrap()
    }

    /// Whether the key does what needs this scope.
    pub fn may(self, scope: &str) -> bool {
        match self {
            Self::Nobody => false,
            Self::Reads => scope == "read",
            Self::Sends => scope != "admin",
            Self::Admin | Self::Stranger => true,
        }
    }
}

/// A server with something in it.
pub struct House {
    pub stage: Stage,
    other: OrgId,
    keys: [String; 5],
    /// Begins a connection for each request: the server ends one whose body it did not read.
    client: reqwest::Client,
    pub found: Found,
}

impl House {
    /// The example organization with a run, its reports, replies in two conversations and an opt-out; and another organization
    /// that has the same definitions, and nothing else.
    pub async fn set(database: Database) -> Self {
        let stage = Stage::set(Setup::new(database).with_whatsapp()).await;
        let mut set = stage.set.clone();
        set.organization.id = "globex".parse().unwrap();
        let other = set.organization.id.clone();
        definitions::apply(&stage.app.store, &set, stage.app.clock.now(), rand::random).await.unwrap();
        let run = stage.send("shipping-delay", &shipping([1, 90_003, 1, 97_867].map(phone))).await;
        stage.over(run).await;
        stage.writes("SM1", &phone(1), "Hello").await;
        stage.writes_on_whatsapp("SM2", &phone(2), "Hello").await;
        let client = reqwest::Client::builder().timeout(DEADLINE).pool_max_idle_per_host(0).no_proxy().build().unwrap();
        let mut found = Found::default();
        // What no answer says: words of hand-overs.
        for (name, text) in [
            ("tocontactid", "+4915155500001"),
            ("channelid", "sms"),
            ("timezone", "Europe/Berlin"),
            ("locale", "fr-CA"),
        ] {
            found.keep("", &serde_json::json!({ name: text }));
        }
        let mut house = Self { stage, other, keys: Default::default(), client, found };
        house.new_keys().await;
        house
    }

    /// Keys that hold, whatever was done to those before.
    pub async fn new_keys(&mut self) {
        let (org, other) = (&self.stage.org, &self.other);
        let of = async |org: &OrgId, scope| self.stage.key_for(org, scope).await;
        self.keys = [
            String::new(),
            of(org, Scope::Read).await,
            of(org, Scope::Send).await,
            of(org, Scope::Admin).await,
            of(other, Scope::Admin).await,
        ];
    }

    /// Asks.
    pub async fn send(&self, case: &Case) -> Sent {
        let mut url = url::Url::parse(&format!("{}{}", self.stage.base_url, case.path)).unwrap();
        if !case.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&case.query);
        }
        let mut request = self.client.request(case.method.parse().unwrap(), url);
        let place = Who::ALL.iter().position(|who| *who == case.who).unwrap();
        if case.who != Who::Nobody {
            request = request.header("authorization", format!("Bearer {}", self.keys[place]));
        }
        for (name, value) in &case.headers {
            request = request.header(name, value.as_bytes());
        }
        if let Some(body) = &case.body {
            request = request.body(body.clone());
        }
        let answer = request.send().await.unwrap_or_else(|problem| panic!("{problem:?}: no answer to\n{case}"));
        let header =
            |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let (status, kind, allow) = (answer.status().as_u16(), header("content-type"), header("allow"));
        // A stream has no end to wait for.
        let body =
            if kind.starts_with("text/event-stream") { String::new() } else { answer.text().await.unwrap_or_default() };
        Sent { status, kind, allow, body }
    }

    /// Asks what can be asked without harm, and keeps what is named in the answers: first the lists, then what they lead to.
    pub async fn harvest(&mut self, description: &Description) {
        let looks = description.operations.iter().filter(|one| one.method == "GET");
        let (lists, single): (Vec<_>, Vec<_>) = looks.partition(|one| !one.path.contains('{'));
        for operation in lists.into_iter().chain(single) {
            for query in ["", "to", "regarding"] {
                let mut case = Case::plain(operation, Who::Admin, &self.found);
                if !query.is_empty() {
                    if !operation.parameters().any(|one| one["name"] == query) {
                        continue;
                    }
                    case.query.push((query.to_owned(), phone(1)));
                }
                let sent = self.send(&case).await;
                if sent.status == 200 && sent.kind.contains("json") && case.path.starts_with("/v1/") {
                    self.found.keep("", &serde_json::from_str(&sent.body).unwrap());
                }
            }
        }
    }
}

/// What was named in answers, in the order in which it was found.
#[derive(Debug, Default)]
pub struct Found {
    /// The name of the field, and what it said.
    texts: Vec<(String, String)>,
    known: BTreeSet<(String, String)>,
}

impl Found {
    /// Keeps what is said: under its name, and under the name of the list that it stands in.
    fn keep(&mut self, within: &str, value: &Value) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    if let Some(text) = value.as_str().filter(|text| !text.is_empty() && text.len() < 200) {
                        for name in [name.clone(), format!("{within}.{name}")] {
                            let one = (name, text.to_owned());
                            if self.known.insert(one.clone()) {
                                self.texts.push(one);
                            }
                        }
                    }
                    self.keep(name, value);
                }
            }
            Value::Array(values) => values.iter().for_each(|value| self.keep(within, value)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// What could stand where this name and form are asked for.
    pub fn like(&self, name: &str, pattern: Option<&str>) -> Vec<String> {
        if let Some(pattern) = pattern {
            return self.of_form(pattern);
        }
        // A person goes by several names.
        let names: &[&str] = match name {
            "to" | "contact" | "number" => &["to", "contact", "number", "receiver"],
            "after" => &["next", "id"],
            "channel" => &["channel", "channel_type"],
            // Of a path: the list that it leads into, and what names one of it elsewhere.
            "configurations.id" => &["configurations.id", "configuration_id", "configuration"],
            _ => &[name],
        };
        let named = self.texts.iter().filter(|(known, _)| names.contains(&known.as_str()));
        // Senders have numbers, too, and those are no contacts.
        let of_a_person = |text: &&String| !names.contains(&"receiver") || text.starts_with('+');
        named.map(|(_, text)| text).filter(of_a_person).cloned().collect()
    }

    /// What has this form.
    pub fn of_form(&self, pattern: &str) -> Vec<String> {
        let form = jsonschema::validator_for(&serde_json::json!({ "pattern": pattern })).unwrap();
        let mut found: Vec<String> = self.texts.iter().map(|(_, text)| text.clone()).collect();
        found.retain(|text| form.is_valid(&Value::String(text.clone())));
        found.dedup();
        found
    }

    /// Every id: three letters, a bar, and at least 26 letters and digits.
    pub fn ids(&self) -> Vec<String> {
        self.of_form("^[a-z]{3}_[0-9A-Z]{26}")
    }
}
