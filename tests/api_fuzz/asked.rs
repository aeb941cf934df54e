//! A request that is made of an operation's description, and what came back.

use std::fmt;

use rand::{RngExt as _, rngs::StdRng};
use serde_json::Value;

use crate::{
    described::Operation,
    house::{Found, Who},
    values::{self, Kind},
};

/// A request.
#[derive(Clone, Debug)]
pub struct Case {
    pub method: String,
    pub who: Who,
    /// The path, encoded.
    pub path: String,
    pub query: Vec<(String, String)>,
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
    /// The statuses that alone are right, where that is known.
    pub expected: Option<Vec<u16>>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Sent {
    pub status: u16,
    pub kind: String,
    pub allow: String,
    pub body: String,
}

impl Case {
    /// A request as the dice will have it.
    pub fn drawn(operation: &Operation, who: Who, kind: Kind, found: &Found, dice: &mut StdRng) -> Self {
        let mut case = Self {
            method: operation.method.clone(),
            who,
            path: operation.path.clone(),
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
            expected: None,
        };
        // One thing goes wrong at a time, mostly: else nothing gets past the first check.
        let parameters: Vec<&Value> = operation.parameters().collect();
        let odd = (kind == Kind::Odd).then(|| dice.random_range(0..=parameters.len()));
        for (place, parameter) in parameters.into_iter().enumerate() {
            let kind =
                if odd == Some(place) || kind == Kind::Odd && dice.random_bool(0.1) { Kind::Odd } else { Kind::Good };
            let name = parameter["name"].as_str().unwrap().to_owned();
            let wanted = if name == "after" { 0.25 } else { 0.5 };
            let given =
                parameter["required"] == true && kind == Kind::Good || dice.random_bool(wanted) || odd == Some(place);
            let known_as = operation.known_as(parameter);
            let text = values::text(operation, &known_as, &parameter["schema"], kind, found, dice);
            match parameter["in"].as_str() {
                Some("path") => case.path = case.path.replace(&format!("{{{name}}}"), &segment(&text)),
                Some("query") if given => case.query.push((name, text)),
                Some("header") if given => case.headers.push((name, visible(&text))),
                _ => {}
            }
        }
        if kind == Kind::Odd && dice.random_bool(0.05) {
            case.query.push(("nonsense".to_owned(), "1".to_owned()));
        }
        if let Some((content, schema)) = operation.body() {
            let kind = if kind == Kind::Odd && dice.random_bool(0.7) { Kind::Odd } else { Kind::Good };
            let value = values::value(operation, "body", schema, kind, found, dice);
            case.headers.push(("content-type".to_owned(), content.to_owned()));
            case.body =
                Some(if content.contains("json") { value.to_string() } else { file(kind, &value) }.into_bytes());
        }
        case
    }

    /// A request without anything beyond its path.
    pub fn plain(operation: &Operation, who: Who, found: &Found) -> Self {
        let mut path = operation.path.clone();
        for parameter in operation.parameters().filter(|one| one["in"] == "path") {
            let name = parameter["name"].as_str().unwrap();
            let schema = operation.resolved(&parameter["schema"]);
            let known = found.like(&operation.known_as(parameter), schema["pattern"].as_str());
            path = path.replace(&format!("{{{name}}}"), &segment(known.first().map_or("x", String::as_str)));
        }
        let method = operation.method.clone();
        Self { method, who, path, query: Vec::new(), headers: Vec::new(), body: None, expected: None }
    }

    /// Each id of the organization in the path, asked for by another one: it is not there. A bad body may be refused before.
    pub fn of_another(operation: &Operation, found: &Found, dice: &mut StdRng) -> Vec<Self> {
        let Some(parameter) = operation.parameters().find(|one| {
            let pattern = operation.resolved(&one["schema"])["pattern"].as_str().unwrap_or_default();
            one["in"] == "path" && pattern.as_bytes().get(4) == Some(&b'_')
        }) else {
            return Vec::new();
        };
        let name = parameter["name"].as_str().unwrap();
        let pattern = operation.resolved(&parameter["schema"])["pattern"].as_str();
        let ids = found.of_form(pattern.unwrap_or_default());
        let ask = |id: &String| {
            let mut case = Self::drawn(operation, Who::Stranger, Kind::Good, found, dice);
            case.path = operation.path.replace(&format!("{{{name}}}"), id);
            case.query.retain(|(name, _)| name != "after");
            // Another parameter in the path is as good as any.
            case.path = case
                .path
                .split('/')
                .map(|part| if part.starts_with('{') { "x" } else { part })
                .collect::<Vec<_>>()
                .join("/");
            case.expected = Some(if case.body.is_some() { vec![404, 400, 413, 415, 422] } else { vec![404] });
            case
        };
        ids.iter().take(8).map(ask).collect()
    }

    /// Bodies that are wrong in themselves.
    pub fn bad_bodies(operation: &Operation, found: &Found, dice: &mut StdRng) -> Vec<Self> {
        if operation.body().is_none_or(|(kind, _)| kind != "application/json") {
            return Vec::new();
        }
        let json = Some("application/json");
        let large = format!("{{\"a\": \"{}\"}}", "x".repeat(3 << 20));
        let cases: [(Option<&str>, &str, &[u16]); 9] = [
            (None, "{}", &[415]),
            (Some("text/plain"), "{}", &[415]),
            (Some("application/xml"), "<a/>", &[415]),
            (json, "", &[400]),
            (json, "{", &[400]),
            (json, "null", &[422]),
            (json, "[]", &[422]),
            (json, "{\"\\u0000\": \"a\\u0000b\"}", &[422]),
            (json, &large, &[413, 422]),
        ];
        let ask = |(kind, body, expected): (Option<&str>, &str, &[u16])| {
            let mut case = Self::drawn(operation, operation.least_key(), Kind::Good, found, dice);
            case.headers.retain(|(name, _)| name != "content-type");
            case.headers.extend(kind.map(|kind| ("content-type".to_owned(), kind.to_owned())));
            case.body = Some(body.as_bytes().to_vec());
            // What is not there may be said before the body is read.
            let there = [404].into_iter().filter(|_| operation.path.contains('{'));
            case.expected = Some(expected.iter().copied().chain(there).collect());
            case
        };
        cases.into_iter().map(ask).collect()
    }

    /// Whether the request itself says this.
    pub fn mentions(&self, text: &str) -> bool {
        let body = self.body.as_deref().is_some_and(|body| String::from_utf8_lossy(body).contains(text));
        body || self.path.contains(text) || self.query.iter().any(|(_, value)| value.contains(text))
    }
}

/// A part of a path. A dot or two would be read as a way through the tree.
fn segment(text: &str) -> String {
    let text = if [".", "..", ""].contains(&text) { "x" } else { text };
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' {
                (byte as char).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

/// A header's value: what cannot be sent is left out.
fn visible(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(500).collect()
}

/// A file of people.
fn file(kind: Kind, value: &Value) -> String {
    match kind {
        Kind::Good => "to,optin,channel\n+4915155500001,yes,sms\n".to_owned(),
        Kind::Odd => format!("to,optin,channel\n{},maybe,\n", value.as_str().unwrap_or("\"open")),
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {} {} as {:?}", self.method, self.path, self.who)?;
        if !self.query.is_empty() {
            write!(f, "\n  query {}", short(&format!("{:?}", self.query)))?;
        }
        if !self.headers.is_empty() {
            write!(f, "\n  headers {}", short(&format!("{:?}", self.headers)))?;
        }
        match &self.body {
            Some(body) => write!(f, "\n  body {}", short(&String::from_utf8_lossy(body))),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  was answered {} {} {}", self.status, self.kind, short(&self.body))
    }
}

fn short(text: &str) -> String {
    text.chars().take(700).collect()
}
