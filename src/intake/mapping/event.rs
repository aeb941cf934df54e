//! A system event as it comes in: the shape of Standard Webhooks, `{"type", "timestamp", "data"}`.

use serde_json::{Map, Value};

use crate::domain::time::Timestamp;

/// The longest event type.
const LONGEST_TYPE: usize = 100;

/// What happened, as a system of the organization tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its type, like `case.created`.
    pub event_type: String,
    /// The sender's id of it: the same id is the same event.
    pub id: String,
    /// When it happened, in the sender's words.
    pub time: Timestamp,
    /// What it is about.
    pub data: Map<String, Value>,
}

/// Why a body is no event. Never repeats what stands in the body, but for the type.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadEvent {
    /// It cannot be read at all.
    #[error("the body is not JSON (line {line}, column {column}); expected {{\"type\", \"timestamp\", \"data\"}}")]
    NotJson {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// It is JSON of another shape.
    #[error("the body is {0}; expected an object with \"type\", \"timestamp\" and \"data\"")]
    NotAnObject(&'static str),
    /// No type, or one that is no event type.
    #[error("type: {0}")]
    Type(BadType),
    /// No time, or one that cannot be read.
    #[error("timestamp: expected a time like \"2026-12-01T09:00:00Z\" (RFC 3339)")]
    Time,
    /// No data, or data that is no object.
    #[error("data: expected an object, found {0}")]
    Data(&'static str),
}

impl BadEvent {
    /// Where it is wrong: a JSON pointer.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::NotJson { .. } | Self::NotAnObject(_) => "",
            Self::Type(_) => "/type",
            Self::Time => "/time",
            Self::Data(_) => "/data",
        }
    }
}

/// A text that is no event type, or something that is no text.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "expected an event type: names of letters, digits and _ with dots between them, like \"case.created\", of at most {LONGEST_TYPE} characters"
)]
pub struct BadType;

impl Event {
    /// Reads a body; the id comes from the header or key that it came with. The body's size is the caller's to bound.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(body: &[u8], id: &str) -> Result<Self, BadEvent> {
        let value: Value = serde_json::from_slice(body)
            .map_err(|problem| BadEvent::NotJson { line: problem.line(), column: problem.column() })?;
        let Value::Object(mut event) = value else {
            return Err(BadEvent::NotAnObject(super::super::payload::kind(&value)));
        };
        let event_type = event.get("type").and_then(Value::as_str).unwrap_or_default();
        let event_type = check_type(event_type).map_err(BadEvent::Type)?.to_owned();
        let time = event.get("timestamp").and_then(Value::as_str).and_then(read_time).ok_or(BadEvent::Time)?;
        match event.remove("data") {
            Some(Value::Object(data)) => Ok(Self { event_type, id: id.to_owned(), time, data }),
            Some(other) => Err(BadEvent::Data(super::super::payload::kind(&other))),
            None => Err(BadEvent::Data("nothing")),
        }
    }
}

/// Whether a text is an event type, in a definition or in an event.
///
/// # Errors
/// If it is not, what would be.
pub fn check_type(text: &str) -> Result<&str, BadType> {
    let word = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if text.len() <= LONGEST_TYPE && text.split('.').all(word) { Ok(text) } else { Err(BadType) }
}

fn read_time(text: &str) -> Option<Timestamp> {
    chrono::DateTime::parse_from_rfc3339(text.trim()).ok().map(|time| time.to_utc().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_or_refused_in_words() {
        let good = br#"{"type":"case.created","timestamp":"2026-12-01T10:00:00+01:00","data":{"id":1},"more":true}"#;
        let event = Event::parse(good, "msg_1").unwrap();
        assert_eq!((event.event_type.as_str(), event.id.as_str()), ("case.created", "msg_1"));
        assert_eq!(event.time.to_string(), "2026-12-01T09:00:00.000Z");
        for (body, expected) in [
            ("", BadEvent::NotJson { line: 1, column: 0 }),
            ("[1]", BadEvent::NotAnObject("a list")),
            (r#"{"timestamp":"2026-12-01T09:00:00Z","data":{}}"#, BadEvent::Type(BadType)),
            (r#"{"type":"case..x","timestamp":"2026-12-01T09:00:00Z","data":{}}"#, BadEvent::Type(BadType)),
            (r#"{"type":"case","data":{}}"#, BadEvent::Time),
            (r#"{"type":"case","timestamp":1795000000,"data":{}}"#, BadEvent::Time),
            (r#"{"type":"case","timestamp":"2026-12-01T09:00:00Z"}"#, BadEvent::Data("nothing")),
            (r#"{"type":"case","timestamp":"2026-12-01T09:00:00Z","data":[]}"#, BadEvent::Data("a list")),
        ] {
            assert_eq!(Event::parse(body.as_bytes(), "x"), Err(expected), "{body}");
        }
    }

    #[test]
    fn types_are_words_with_dots() {
        for text in ["case", "case.created", "a.b_c.D1"] {
            assert_eq!(check_type(text), Ok(text));
        }
        for text in ["", ".", "a.", ".a", "a-b", "a b", "é", &"a".repeat(101)] {
            assert_eq!(check_type(text), Err(BadType), "{text}");
        }
    }
}
