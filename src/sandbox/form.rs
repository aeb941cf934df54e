//! A form body, read leniently enough to be logged and strictly enough to be judged.

use axum::{
    extract::rejection::BytesRejection,
    http::{HeaderMap, header},
};
use bytes::Bytes;

/// The parameters of a call, in the order in which they came.
pub(super) struct Form {
    params: Vec<(String, String)>,
    /// What is wrong with the body as such.
    pub fault: Option<Fault>,
}

/// What can be wrong with a body before its parameters are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Its content type is another one.
    NotAForm,
    /// It is not UTF-8 once decoded.
    NotUtf8,
    /// It was not read.
    TooLarge,
}

impl Form {
    pub(super) fn read(headers: &HeaderMap, body: &Result<Bytes, BytesRejection>) -> Form {
        let Ok(body) = body else { return Form { params: Vec::new(), fault: Some(Fault::TooLarge) } };
        let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Form { params: Vec::new(), fault: Some(Fault::NotAForm) };
        }
        let params: Vec<(String, String)> = url::form_urlencoded::parse(body).into_owned().collect();
        Form { fault: (!is_utf8(body)).then_some(Fault::NotUtf8), params }
    }

    /// The value of a parameter; one that is empty is as good as absent.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The value of a parameter, which may be empty.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The values of a parameter that may be repeated.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.params.iter().filter(move |(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    pub(super) fn len(&self) -> u32 {
        self.params.len() as u32
    }

    /// How many parameters are none of those that the provider knows.
    pub(super) fn unknown(&self, known: &[&str]) -> u32 {
        self.params.iter().filter(|(name, _)| !known.contains(&name.as_str())).count() as u32
    }
}

/// Whether the body is UTF-8 once its `%XX` are decoded; the parser would quietly put a replacement character.
fn is_utf8(body: &[u8]) -> bool {
    if !body.contains(&b'%') {
        return std::str::from_utf8(body).is_ok();
    }
    let mut decoded = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((&byte, tail)) = rest.split_first() {
        let hex = |b: u8| char::from(b).to_digit(16).map(|digit| digit as u8);
        let pair = tail.first().and_then(|high| hex(*high)).zip(tail.get(1).and_then(|low| hex(*low)));
        match (byte, pair) {
            (b'%', Some((high, low))) => {
                decoded.push(high * 16 + low);
                rest = &tail[2..];
            }
            (byte, _) => {
                decoded.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8(decoded).is_ok()
}
